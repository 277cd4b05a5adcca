#!/bin/sh
# The first process of a node. It sets the loopback interface up, runs /etc/breakit/boot where there is one,
# and reaps what others leave. On the signal of a clean stop everything else gets TERM and a while to end.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

end() {
    kill -TERM -1 2>/dev/null
    tries=0
    while [ "$tries" -lt 600 ]; do
        set -- /proc/[0-9]*
        [ "$#" -le 1 ] && exit 0
        sleep 0.05
        tries=$((tries + 1))
    done
    exit 0
}
trap end TERM PWR INT

ip link set lo up
[ -x /etc/breakit/boot ] && /etc/breakit/boot </dev/null &
while :; do
    sleep 3600 &
    wait "$!"
done
