# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_slownet_global_optspecs
    string join \n q/quiet v/verbose path= h/help V/version
end

function __fish_slownet_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_slownet_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_slownet_using_subcommand
    set -l cmd (__fish_slownet_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c slownet -n "__fish_slownet_needs_command" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c slownet -n "__fish_slownet_needs_command" -s q -l quiet -d 'Print only errors'
complete -c slownet -n "__fish_slownet_needs_command" -s v -l verbose -d 'Print each step'
complete -c slownet -n "__fish_slownet_needs_command" -s h -l help -d 'Print help'
complete -c slownet -n "__fish_slownet_needs_command" -s V -l version -d 'Print version'
complete -c slownet -n "__fish_slownet_needs_command" -f -a "set" -d 'Delay, lose or otherwise impair what nodes send, until a time or a signal'
complete -c slownet -n "__fish_slownet_needs_command" -f -a "replay" -d 'Repeat the faults of a recorded run: the same impairments, nodes and offsets'
complete -c slownet -n "__fish_slownet_needs_command" -f -a "clear" -d 'End every fault, whichever process made it'
complete -c slownet -n "__fish_slownet_needs_command" -f -a "list" -d 'Print the faults in force, as the nodes\' kernels list them'
complete -c slownet -n "__fish_slownet_needs_command" -f -a "probe" -d 'Print which backends work here, and why the others do not'
complete -c slownet -n "__fish_slownet_needs_command" -f -a "agent" -d 'Hold delay lines for a run on another host, which copied this program here'
complete -c slownet -n "__fish_slownet_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c slownet -n "__fish_slownet_using_subcommand set" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l preset -d 'Start from a preset: the impairments of a named network' -r -f -a "slow\t'50 ms ± 10 ms (normal): Jepsen\'s slow network'
flaky\t'20 % loss in bursts: Jepsen\'s flaky network'
lossy\t'5 % loss, 1 % duplicates, 0.1 % corrupt packets'
satellite\t'A geostationary link: 300 ms each way, 0.5 % loss, 20 Mbit/s'
3g\t'A 3G phone: 100 ms ± 30 ms, 1 % loss, 1.6 Mbit/s'
dialup\t'A modem: 90 ms ± 10 ms, 56 kbit/s'"
complete -c slownet -n "__fish_slownet_using_subcommand set" -l delay -d 'Hold each packet for TIME' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l jitter -d 'Vary the delay by up to TIME' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l distribution -d 'How the delay varies: uniform, normal, pareto, paretonormal, or the table in a file NAME.dist [default: uniform]' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l correlation -d 'How much a packet\'s delay resembles the one before' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l loss -d 'Lose packets at random: 20%, or 20%,75% with correlation' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l loss-state -d 'Lose packets by a Markov chain of four states: P13[,P31[,P32[,P23[,P14]]]]' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l loss-gemodel -d 'Lose packets by the Gilbert-Elliott model: P[,R[,1-H[,1-K]]]' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l duplicate -d 'Send packets twice: 1%, or 1%,25% with correlation' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l reorder -d 'Let packets overtake those that are held: 25%, or 25%,50% with correlation' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l gap -d 'Let only each Nth packet overtake' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l corrupt -d 'Flip one bit of a packet: 0.1%, or 0.1%,25% with correlation' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l rate -d 'Limit the rate to RATE: 56kbit, 1mbit, 1.5gbit (bits a second)' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l burst -d 'With a rate: let N bytes pass at once before the rate applies [default: what accrues in 2 ms, or a packet]' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l slot -d 'Release packets in batches: every 20ms, or at random intervals of 10ms,40ms' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l slot-packets -d 'Let at most N packets out in one batch' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l slot-bytes -d 'Let at most N bytes out in one batch' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l limit -d 'Hold at most N packets at once [default: computed from delay and rate]' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l to -d 'Only packets to these: nodes as for -n, addresses, blocks such as 10.0.0.0/8, hosts\' names [default: all]' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l direction -d 'Impair what the nodes send (the default), what they receive (from the peers in --to), or both' -r -f -a "out\t'What the node sends'
in\t'What the node receives'
both\t'What it sends, and what it receives'"
complete -c slownet -n "__fish_slownet_using_subcommand set" -l interface -d 'Only packets through these interfaces of the nodes' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l protocol -d 'Only packets of this protocol' -r -f -a "tcp\t'TCP'
udp\t'UDP'
icmp\t'ICMP, and ICMPv6 except neighbour discovery'
sctp\t'SCTP'"
complete -c slownet -n "__fish_slownet_using_subcommand set" -l port -d 'Only packets with this port at either end: 5432, postgresql, 7000-7003, 5432/tcp [of TCP and UDP]' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l except -d 'Never impair these packets: port:22, port:ssh, port:53/udp, an address, a block or a host\'s name' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l for -d 'How long each fault stays in force [default: until a signal]' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l every -d 'Start a fault every TIME, counted from start to start' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l first -d 'Start the first fault after TIME [default: at once, or with --every after one gap between faults]' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l time-limit -d 'End after TIME, and heal the fault in force' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l stagger -d 'With --every: start each fault up to TIME later, by a random delay' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l lease -d 'How long the fault stays in force after its holder died' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l backend -d 'The backend' -r -f -a "auto\t'The first that works and supports all the impairments'
netem\t'The kernel\'s network emulator: all impairments'
htb\t'A class of htb: a rate and nothing else'
blackhole\t'A queue that drops packets: random loss and nothing else'
nfqueue\t'slownet\'s own delay line: all impairments, on this host\'s nodes, and with --agent on hosts over ssh'"
complete -c slownet -n "__fish_slownet_using_subcommand set" -l seed -d 'The seed of every random choice; only the backend nfqueue uses it [default: $BREAKIT_SEED, else random]' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c slownet -n "__fish_slownet_using_subcommand set" -l sudo -d 'Use sudo -n on hosts over ssh, for logins that are not root'
complete -c slownet -n "__fish_slownet_using_subcommand set" -l keep-order -d 'Keep packets in order, however the delay varies'
complete -c slownet -n "__fish_slownet_using_subcommand set" -l until-eof -d 'End at the end of stdin too, which must be a pipe, a socket or a terminal; else stdin is not read'
complete -c slownet -n "__fish_slownet_using_subcommand set" -l keep -d 'Leave the fault in force and exit; it ends with its lease (--for, else --lease)'
complete -c slownet -n "__fish_slownet_using_subcommand set" -l agent -d 'Copy slownet to hosts over ssh whose kernel has no netem, and delay packets there without netem'
complete -c slownet -n "__fish_slownet_using_subcommand set" -l force -d 'Impair even what a node\'s sshd sends'
complete -c slownet -n "__fish_slownet_using_subcommand set" -l dry-run -d 'Print what would be done, and do nothing'
complete -c slownet -n "__fish_slownet_using_subcommand set" -s q -l quiet -d 'Print only errors'
complete -c slownet -n "__fish_slownet_using_subcommand set" -s v -l verbose -d 'Print each step'
complete -c slownet -n "__fish_slownet_using_subcommand set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c slownet -n "__fish_slownet_using_subcommand replay" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c slownet -n "__fish_slownet_using_subcommand replay" -l lease -d 'How long the fault stays in force after its holder died' -r
complete -c slownet -n "__fish_slownet_using_subcommand replay" -l backend -d 'The backend' -r -f -a "auto\t'The first that works and supports all the impairments'
netem\t'The kernel\'s network emulator: all impairments'
htb\t'A class of htb: a rate and nothing else'
blackhole\t'A queue that drops packets: random loss and nothing else'
nfqueue\t'slownet\'s own delay line: all impairments, on this host\'s nodes, and with --agent on hosts over ssh'"
complete -c slownet -n "__fish_slownet_using_subcommand replay" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c slownet -n "__fish_slownet_using_subcommand replay" -l sudo -d 'Use sudo -n on hosts over ssh, for logins that are not root'
complete -c slownet -n "__fish_slownet_using_subcommand replay" -l agent -d 'Copy slownet to hosts over ssh whose kernel has no netem, and delay packets there without netem'
complete -c slownet -n "__fish_slownet_using_subcommand replay" -l force -d 'Impair even what a node\'s sshd sends'
complete -c slownet -n "__fish_slownet_using_subcommand replay" -l dry-run -d 'Print what would be done, and when, and do nothing'
complete -c slownet -n "__fish_slownet_using_subcommand replay" -s q -l quiet -d 'Print only errors'
complete -c slownet -n "__fish_slownet_using_subcommand replay" -s v -l verbose -d 'Print each step'
complete -c slownet -n "__fish_slownet_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c slownet -n "__fish_slownet_using_subcommand clear" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c slownet -n "__fish_slownet_using_subcommand clear" -l id -d 'Only the faults with these numbers [default: all of slownet\'s]' -r
complete -c slownet -n "__fish_slownet_using_subcommand clear" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c slownet -n "__fish_slownet_using_subcommand clear" -l sudo -d 'Use sudo -n on hosts over ssh, for logins that are not root'
complete -c slownet -n "__fish_slownet_using_subcommand clear" -l all -d 'Examine every network of this host'
complete -c slownet -n "__fish_slownet_using_subcommand clear" -l dry-run -d 'Print what would be cleared, and do nothing'
complete -c slownet -n "__fish_slownet_using_subcommand clear" -s q -l quiet -d 'Print only errors'
complete -c slownet -n "__fish_slownet_using_subcommand clear" -s v -l verbose -d 'Print each step'
complete -c slownet -n "__fish_slownet_using_subcommand clear" -s h -l help -d 'Print help'
complete -c slownet -n "__fish_slownet_using_subcommand list" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c slownet -n "__fish_slownet_using_subcommand list" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c slownet -n "__fish_slownet_using_subcommand list" -l sudo -d 'Use sudo -n on hosts over ssh, for logins that are not root'
complete -c slownet -n "__fish_slownet_using_subcommand list" -l all -d 'Examine every network of this host'
complete -c slownet -n "__fish_slownet_using_subcommand list" -l exit-code -d 'Exit with status 1 if any fault is listed'
complete -c slownet -n "__fish_slownet_using_subcommand list" -s q -l quiet -d 'Print only errors'
complete -c slownet -n "__fish_slownet_using_subcommand list" -s v -l verbose -d 'Print each step'
complete -c slownet -n "__fish_slownet_using_subcommand list" -s h -l help -d 'Print help'
complete -c slownet -n "__fish_slownet_using_subcommand probe" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c slownet -n "__fish_slownet_using_subcommand probe" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c slownet -n "__fish_slownet_using_subcommand probe" -l agent -d 'Copy slownet to hosts over ssh for the trial'
complete -c slownet -n "__fish_slownet_using_subcommand probe" -l sudo -d 'Use sudo -n on hosts over ssh, for logins that are not root'
complete -c slownet -n "__fish_slownet_using_subcommand probe" -s q -l quiet -d 'Print only errors'
complete -c slownet -n "__fish_slownet_using_subcommand probe" -s v -l verbose -d 'Print each step'
complete -c slownet -n "__fish_slownet_using_subcommand probe" -s h -l help -d 'Print help'
complete -c slownet -n "__fish_slownet_using_subcommand agent" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c slownet -n "__fish_slownet_using_subcommand agent" -s q -l quiet -d 'Print only errors'
complete -c slownet -n "__fish_slownet_using_subcommand agent" -s v -l verbose -d 'Print each step'
complete -c slownet -n "__fish_slownet_using_subcommand agent" -s h -l help -d 'Print help'
complete -c slownet -n "__fish_slownet_using_subcommand help; and not __fish_seen_subcommand_from set replay clear list probe agent help" -f -a "set" -d 'Delay, lose or otherwise impair what nodes send, until a time or a signal'
complete -c slownet -n "__fish_slownet_using_subcommand help; and not __fish_seen_subcommand_from set replay clear list probe agent help" -f -a "replay" -d 'Repeat the faults of a recorded run: the same impairments, nodes and offsets'
complete -c slownet -n "__fish_slownet_using_subcommand help; and not __fish_seen_subcommand_from set replay clear list probe agent help" -f -a "clear" -d 'End every fault, whichever process made it'
complete -c slownet -n "__fish_slownet_using_subcommand help; and not __fish_seen_subcommand_from set replay clear list probe agent help" -f -a "list" -d 'Print the faults in force, as the nodes\' kernels list them'
complete -c slownet -n "__fish_slownet_using_subcommand help; and not __fish_seen_subcommand_from set replay clear list probe agent help" -f -a "probe" -d 'Print which backends work here, and why the others do not'
complete -c slownet -n "__fish_slownet_using_subcommand help; and not __fish_seen_subcommand_from set replay clear list probe agent help" -f -a "agent" -d 'Hold delay lines for a run on another host, which copied this program here'
complete -c slownet -n "__fish_slownet_using_subcommand help; and not __fish_seen_subcommand_from set replay clear list probe agent help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
