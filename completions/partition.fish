# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_partition_global_optspecs
    string join \n q/quiet v/verbose path= h/help V/version
end

function __fish_partition_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_partition_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_partition_using_subcommand
    set -l cmd (__fish_partition_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c partition -n "__fish_partition_needs_command" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c partition -n "__fish_partition_needs_command" -s q -l quiet -d 'Print only errors'
complete -c partition -n "__fish_partition_needs_command" -s v -l verbose -d 'Print each step'
complete -c partition -n "__fish_partition_needs_command" -s h -l help -d 'Print help'
complete -c partition -n "__fish_partition_needs_command" -s V -l version -d 'Print version'
complete -c partition -n "__fish_partition_needs_command" -f -a "plan" -d 'Print the grudge that a shape makes, as JSON; changes nothing'
complete -c partition -n "__fish_partition_needs_command" -f -a "cut" -d 'Cut nodes off from one another until a time or a signal'
complete -c partition -n "__fish_partition_needs_command" -f -a "replay" -d 'Repeat the cuts of a recorded run, at the same offsets'
complete -c partition -n "__fish_partition_needs_command" -f -a "heal" -d 'End every cut, whichever process made it'
complete -c partition -n "__fish_partition_needs_command" -f -a "list" -d 'Print the cuts in force, one JSON line each, as the kernel lists them'
complete -c partition -n "__fish_partition_needs_command" -f -a "check" -d 'Measure which nodes reach which; exit status 1 if a node does not reach another'
complete -c partition -n "__fish_partition_needs_command" -f -a "probe" -d 'Print which backends work here, and why the others do not, as JSON'
complete -c partition -n "__fish_partition_needs_command" -f -a "guard" -d 'Heal when the holder of a cut is gone (run by cut itself)'
complete -c partition -n "__fish_partition_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c partition -n "__fish_partition_using_subcommand plan" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c partition -n "__fish_partition_using_subcommand plan" -l seed -d 'The seed of every random choice [default: $BREAKIT_SEED, else random]' -r
complete -c partition -n "__fish_partition_using_subcommand plan" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c partition -n "__fish_partition_using_subcommand plan" -l invert -d 'Drop what the shape lets pass, and let pass what it drops'
complete -c partition -n "__fish_partition_using_subcommand plan" -s q -l quiet -d 'Print only errors'
complete -c partition -n "__fish_partition_using_subcommand plan" -s v -l verbose -d 'Print each step'
complete -c partition -n "__fish_partition_using_subcommand plan" -s h -l help -d 'Print help'
complete -c partition -n "__fish_partition_using_subcommand cut" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l seed -d 'The seed of every random choice [default: $BREAKIT_SEED, else random]' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l from -d 'Instead of a shape: drop what comes from PEER, an address, a network 10.0.0.0/8 or a host\'s name' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l to -d 'Instead of a shape: drop what is sent to PEER' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l protocol -d 'Only packets of this protocol' -r -f -a "tcp\t'TCP'
udp\t'UDP'
icmp\t'ICMP, and ICMPv6 except neighbour discovery'
sctp\t'SCTP'"
complete -c partition -n "__fish_partition_using_subcommand cut" -l port -d 'Only packets with this port at either end: 5432, postgresql, 8000-8010, 5432/tcp [of TCP and UDP]' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l loss -d 'Only this share of the packets, by chance' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l except -d 'Never drop these packets: port:22, port:ssh, port:53/udp, an address, a network or a host\'s name' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l primaries -d 'For the shape primaries: a command that prints their names or addresses, run before each cut' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l for -d 'How long each fault stays in force [default: until a signal]' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l every -d 'Start a fault every TIME, counted from start to start' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l first -d 'Start the first fault after TIME [default: at once, or with --every after one gap between faults]' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l time-limit -d 'End after TIME, and heal the fault in force' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l stagger -d 'With --every: start each fault up to TIME later, by a random delay' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l lease -d 'How long the fault stays in force after its holder died' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l backend -d 'How to cut [default: the first that works]' -r -f -a "nft-bridge\t'One nftables table on this host\'s bridges, for nodes that are attached to them'
nft\t'nftables tables in each node\'s own network: the node drops what it receives'
ipset-nft\t'ipset and iptables-nft in each node\'s own network'
ipset-legacy\t'ipset and iptables-legacy in each node\'s own network'"
complete -c partition -n "__fish_partition_using_subcommand cut" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c partition -n "__fish_partition_using_subcommand cut" -l invert -d 'Drop what the shape lets pass, and let pass what it drops'
complete -c partition -n "__fish_partition_using_subcommand cut" -l new-only -d 'Only packets that open a TCP connection; established connections stay'
complete -c partition -n "__fish_partition_using_subcommand cut" -l reject -d 'Answer with a TCP reset, or that the port is unreachable, instead of silence'
complete -c partition -n "__fish_partition_using_subcommand cut" -l sudo -d 'Use sudo -n on hosts over ssh, for logins that are not root'
complete -c partition -n "__fish_partition_using_subcommand cut" -l until-eof -d 'End at the end of stdin too, which must be a pipe, a socket or a terminal; else stdin is not read'
complete -c partition -n "__fish_partition_using_subcommand cut" -l keep -d 'Leave the cut in force and exit; it ends with its lease (--for, else --lease)'
complete -c partition -n "__fish_partition_using_subcommand cut" -l dry-run -d 'Print the nft script of the first cut, and do nothing'
complete -c partition -n "__fish_partition_using_subcommand cut" -l verify -d 'Measure after each cut that exactly the chosen packets are dropped'
complete -c partition -n "__fish_partition_using_subcommand cut" -l force -d 'Cut ssh logins too, even the one that runs this command'
complete -c partition -n "__fish_partition_using_subcommand cut" -s q -l quiet -d 'Print only errors'
complete -c partition -n "__fish_partition_using_subcommand cut" -s v -l verbose -d 'Print each step'
complete -c partition -n "__fish_partition_using_subcommand cut" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c partition -n "__fish_partition_using_subcommand replay" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c partition -n "__fish_partition_using_subcommand replay" -l lease -d 'How long the fault stays in force after its holder died' -r
complete -c partition -n "__fish_partition_using_subcommand replay" -l backend -d 'How to cut [default: the first that works]' -r -f -a "nft-bridge\t'One nftables table on this host\'s bridges, for nodes that are attached to them'
nft\t'nftables tables in each node\'s own network: the node drops what it receives'
ipset-nft\t'ipset and iptables-nft in each node\'s own network'
ipset-legacy\t'ipset and iptables-legacy in each node\'s own network'"
complete -c partition -n "__fish_partition_using_subcommand replay" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c partition -n "__fish_partition_using_subcommand replay" -l sudo -d 'Use sudo -n on hosts over ssh, for logins that are not root'
complete -c partition -n "__fish_partition_using_subcommand replay" -l dry-run -d 'Print the script of each cut with its offsets, and do nothing'
complete -c partition -n "__fish_partition_using_subcommand replay" -l force -d 'Cut ssh logins too, even the one that runs this command'
complete -c partition -n "__fish_partition_using_subcommand replay" -s q -l quiet -d 'Print only errors'
complete -c partition -n "__fish_partition_using_subcommand replay" -s v -l verbose -d 'Print each step'
complete -c partition -n "__fish_partition_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c partition -n "__fish_partition_using_subcommand heal" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c partition -n "__fish_partition_using_subcommand heal" -l id -d 'Only the cuts of these tables, as list names them [default: all]' -r
complete -c partition -n "__fish_partition_using_subcommand heal" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c partition -n "__fish_partition_using_subcommand heal" -l sudo -d 'Use sudo -n on hosts over ssh, for logins that are not root'
complete -c partition -n "__fish_partition_using_subcommand heal" -l all -d 'Examine every network of this host'
complete -c partition -n "__fish_partition_using_subcommand heal" -l dry-run -d 'Print the scripts that would remove the cuts, and do nothing'
complete -c partition -n "__fish_partition_using_subcommand heal" -s q -l quiet -d 'Print only errors'
complete -c partition -n "__fish_partition_using_subcommand heal" -s v -l verbose -d 'Print each step'
complete -c partition -n "__fish_partition_using_subcommand heal" -s h -l help -d 'Print help'
complete -c partition -n "__fish_partition_using_subcommand list" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c partition -n "__fish_partition_using_subcommand list" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c partition -n "__fish_partition_using_subcommand list" -l sudo -d 'Use sudo -n on hosts over ssh, for logins that are not root'
complete -c partition -n "__fish_partition_using_subcommand list" -l all -d 'Examine every network of this host'
complete -c partition -n "__fish_partition_using_subcommand list" -l exit-code -d 'Exit with status 1 if any cut is listed'
complete -c partition -n "__fish_partition_using_subcommand list" -s q -l quiet -d 'Print only errors'
complete -c partition -n "__fish_partition_using_subcommand list" -s v -l verbose -d 'Print each step'
complete -c partition -n "__fish_partition_using_subcommand list" -s h -l help -d 'Print help'
complete -c partition -n "__fish_partition_using_subcommand check" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c partition -n "__fish_partition_using_subcommand check" -l timeout -d 'How long to wait for a packet before it counts as lost' -r
complete -c partition -n "__fish_partition_using_subcommand check" -l protocol -d 'Measure with this protocol: tcp opens connections, icmp pings [default: udp, and with --port tcp too]' -r -f -a "tcp\t'TCP'
udp\t'UDP'
icmp\t'ICMP, and ICMPv6 except neighbour discovery'
sctp\t'SCTP'"
complete -c partition -n "__fish_partition_using_subcommand check" -l port -d 'Measure at these ports, to detect cuts of single ports' -r
complete -c partition -n "__fish_partition_using_subcommand check" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c partition -n "__fish_partition_using_subcommand check" -l table -d 'Print a table instead of JSON'
complete -c partition -n "__fish_partition_using_subcommand check" -s q -l quiet -d 'Print only errors'
complete -c partition -n "__fish_partition_using_subcommand check" -s v -l verbose -d 'Print each step'
complete -c partition -n "__fish_partition_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c partition -n "__fish_partition_using_subcommand probe" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c partition -n "__fish_partition_using_subcommand probe" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c partition -n "__fish_partition_using_subcommand probe" -l sudo -d 'Use sudo -n on hosts over ssh, for logins that are not root'
complete -c partition -n "__fish_partition_using_subcommand probe" -s q -l quiet -d 'Print only errors'
complete -c partition -n "__fish_partition_using_subcommand probe" -s v -l verbose -d 'Print each step'
complete -c partition -n "__fish_partition_using_subcommand probe" -s h -l help -d 'Print help'
complete -c partition -n "__fish_partition_using_subcommand guard" -l after -d 'Sweep after this time instead of healing at the holder\'s end' -r
complete -c partition -n "__fish_partition_using_subcommand guard" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c partition -n "__fish_partition_using_subcommand guard" -s q -l quiet -d 'Print only errors'
complete -c partition -n "__fish_partition_using_subcommand guard" -s v -l verbose -d 'Print each step'
complete -c partition -n "__fish_partition_using_subcommand guard" -s h -l help -d 'Print help'
complete -c partition -n "__fish_partition_using_subcommand help; and not __fish_seen_subcommand_from plan cut replay heal list check probe guard help" -f -a "plan" -d 'Print the grudge that a shape makes, as JSON; changes nothing'
complete -c partition -n "__fish_partition_using_subcommand help; and not __fish_seen_subcommand_from plan cut replay heal list check probe guard help" -f -a "cut" -d 'Cut nodes off from one another until a time or a signal'
complete -c partition -n "__fish_partition_using_subcommand help; and not __fish_seen_subcommand_from plan cut replay heal list check probe guard help" -f -a "replay" -d 'Repeat the cuts of a recorded run, at the same offsets'
complete -c partition -n "__fish_partition_using_subcommand help; and not __fish_seen_subcommand_from plan cut replay heal list check probe guard help" -f -a "heal" -d 'End every cut, whichever process made it'
complete -c partition -n "__fish_partition_using_subcommand help; and not __fish_seen_subcommand_from plan cut replay heal list check probe guard help" -f -a "list" -d 'Print the cuts in force, one JSON line each, as the kernel lists them'
complete -c partition -n "__fish_partition_using_subcommand help; and not __fish_seen_subcommand_from plan cut replay heal list check probe guard help" -f -a "check" -d 'Measure which nodes reach which; exit status 1 if a node does not reach another'
complete -c partition -n "__fish_partition_using_subcommand help; and not __fish_seen_subcommand_from plan cut replay heal list check probe guard help" -f -a "probe" -d 'Print which backends work here, and why the others do not, as JSON'
complete -c partition -n "__fish_partition_using_subcommand help; and not __fish_seen_subcommand_from plan cut replay heal list check probe guard help" -f -a "guard" -d 'Heal when the holder of a cut is gone (run by cut itself)'
complete -c partition -n "__fish_partition_using_subcommand help; and not __fish_seen_subcommand_from plan cut replay heal list check probe guard help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
