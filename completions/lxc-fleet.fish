# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_lxc_fleet_global_optspecs
    string join \n q/quiet v/verbose path= h/help V/version
end

function __fish_lxc_fleet_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_lxc_fleet_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_lxc_fleet_using_subcommand
    set -l cmd (__fish_lxc_fleet_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -s V -l version -d 'Print version'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "image" -d 'Make, list or remove images: layers of packages over this host\'s own root'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "up" -d 'Make and start nodes; nodes that exist stay as they are, and those that died are started again'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "down" -d 'Stop the nodes and remove all that was made for them'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "ls" -d 'List the nodes with their state'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "nodes" -d 'Print the nodes as lines for the other tools'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "exec" -d 'Run a program in nodes'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "push" -d 'Copy a file or folder into nodes'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "pull" -d 'Copy a file or folder out of nodes'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "start" -d 'Start nodes that do not run'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "stop" -d 'Stop nodes: their programs get TERM, and KILL after --timeout'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "kill" -d 'Kill nodes: all their programs get KILL at once; with --for the nodes are started again'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "pause" -d 'Pause nodes: all their programs stop; with --for they continue'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "resume" -d 'Resume paused nodes'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "logs" -d 'Print LXC\'s logs and the output of the nodes\' first processes'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "launch" -d 'Mount a machine\'s root where it alone sees it, and start it (started by up and start)'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "watchdog" -d 'Wait on stdin for a holder\'s lease to end, then undo its fault (started by the commands that hold one)'
complete -c lxc-fleet -n "__fish_lxc_fleet_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -l packages -d 'The packages, with the names of this host\'s package manager' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -l store-size -d 'The size of a store that does not exist yet: 4G, 500M [default: 4G, or a tenth of what is free]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -l sparse -d 'Let the store grow as it is filled; a full disk of the host then stops the nodes [default: reserve its size]'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -l build-allow -d 'Let the packages\' scripts run as root of this host: for a package whose scripts need more than a node may do'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -l dry-run -d 'Print what would be done, a command or step a line, and do nothing'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -a "ls" -d 'List the images'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -a "rm" -d 'Remove images that no node uses'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and not __fish_seen_subcommand_from ls rm help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from ls" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from ls" -l json -d 'As JSON lines'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from ls" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from rm" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from rm" -l all -d 'Remove every image, and the store\'s file with them'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List the images'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove images that no node uses'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l image -d 'The image of new nodes: host, busybox, or a name given to image [default: host]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l show -d 'Show this path of the host to new nodes, whatever its mode (repeatable)' -r -F
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l disk -d 'Give each new node a filesystem of its own of this size, in the store: 500M, 2G' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l store-size -d 'The size of a store that does not exist yet: 4G, 500M [default: 4G, or a tenth of what is free]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l allow-host -d 'Let the fleet\'s nodes open connections to this port of the host, which refuses all others (repeatable)' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l allow -d 'Allow system calls that nodes may not make otherwise: io_uring, userns (namespaces of their own), vsock' -r -f -a "io_uring\t'Asynchronous input and output by io_uring(7)'
userns\t'Namespaces of the node\'s own: unshare(2), setns(2) and what is done in them'
vsock\t'Sockets to the host of this virtual machine, and the call socketcall(2) of 32-bit programs'"
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l memory -d 'The maximum memory of each new node, such as 512M [default: the fleet\'s memory]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l processes -d 'The maximum number of processes and threads of each new node [default: 4096]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l nofile -d 'The maximum number of open files of a program in a new node [default: 65536, up to 1048576 on request]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l fleet-memory -d 'The maximum memory of all nodes of the fleet together [default: half of the host\'s]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l privileged -d 'Let the nodes of a new fleet share the user ids of the host: root in a node is then the host\'s root'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l sparse -d 'Let the store grow as it is filled; a full disk of the host then stops the nodes [default: reserve its size]'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l nat -d 'Let the nodes of a new fleet open connections to other networks, through the host and with its address'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -l dry-run -d 'Print what would be done, a command or step a line, and do nothing'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand up" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand down" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand down" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand down" -l all -d 'All nodes of all fleets on this host'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand down" -l dry-run -d 'Print what would be done, a command or step a line, and do nothing'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand down" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand down" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand down" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand ls" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand ls" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand ls" -l json -d 'As JSON lines'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand ls" -l all -d 'The nodes of all fleets on this host'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand ls" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand ls" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand ls" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand nodes" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand nodes" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand nodes" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand nodes" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand nodes" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand exec" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand exec" -l timeout -d 'End the program if it still runs after TIME' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand exec" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand exec" -s i -l interactive -d 'Give the program this command\'s stdin, or a terminal if stdin and stdout are one; for one node only'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand exec" -l prefix -d 'Put the node\'s name before each line even for one node'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand exec" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand exec" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand exec" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand push" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand push" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand push" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand push" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pull" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pull" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pull" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pull" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand start" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand start" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand start" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand start" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand start" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand stop" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand stop" -l timeout -d 'How long their programs have to end after TERM' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand stop" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand stop" -l dry-run -d 'Print what would be done, a command or step a line, and do nothing'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand stop" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand stop" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand stop" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l for -d 'How long each fault stays in force [default: until a signal]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l every -d 'Start a fault every TIME, counted from start to start' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l first -d 'Start the first fault after TIME [default: at once, or with --every after one gap between faults]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l time-limit -d 'End after TIME, and heal the fault in force' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l stagger -d 'With --every: start each fault up to TIME later, by a random delay' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l lease -d 'How long the fault stays in force after its holder died' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l seed -d 'The seed of --stagger [default: $BREAKIT_SEED, else random]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l until-eof -d 'End at the end of stdin too, which must be a pipe, a socket or a terminal; else stdin is not read'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l hold -d 'Hold the fault until a signal'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l keep -d 'Leave the fault in force and exit; it is undone after --for, else when its lease ends'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -l dry-run -d 'Print what would be done, a command or step a line, and do nothing'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand kill" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l for -d 'How long each fault stays in force [default: until a signal]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l every -d 'Start a fault every TIME, counted from start to start' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l first -d 'Start the first fault after TIME [default: at once, or with --every after one gap between faults]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l time-limit -d 'End after TIME, and heal the fault in force' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l stagger -d 'With --every: start each fault up to TIME later, by a random delay' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l lease -d 'How long the fault stays in force after its holder died' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l seed -d 'The seed of --stagger [default: $BREAKIT_SEED, else random]' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l until-eof -d 'End at the end of stdin too, which must be a pipe, a socket or a terminal; else stdin is not read'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l hold -d 'Hold the fault until a signal'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l keep -d 'Leave the fault in force and exit; it is undone after --for, else when its lease ends'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -l dry-run -d 'Print what would be done, a command or step a line, and do nothing'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand pause" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand resume" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand resume" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand resume" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand resume" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand resume" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand logs" -s n -l nodes -d 'The same as NODES, as a flag like that of the other tools; also @FILE or - with node lines' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand logs" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand logs" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand logs" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand logs" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand launch" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand launch" -l foreground -d 'End when it does'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand launch" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand launch" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand launch" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand watchdog" -l kind -d 'What is undone' -r -f -a "kill\t''
pause\t''"
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand watchdog" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand watchdog" -s q -l quiet -d 'Print only errors'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand watchdog" -s v -l verbose -d 'Print each step'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand watchdog" -s h -l help -d 'Print help'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "image" -d 'Make, list or remove images: layers of packages over this host\'s own root'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "up" -d 'Make and start nodes; nodes that exist stay as they are, and those that died are started again'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "down" -d 'Stop the nodes and remove all that was made for them'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "ls" -d 'List the nodes with their state'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "nodes" -d 'Print the nodes as lines for the other tools'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "exec" -d 'Run a program in nodes'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "push" -d 'Copy a file or folder into nodes'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "pull" -d 'Copy a file or folder out of nodes'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "start" -d 'Start nodes that do not run'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "stop" -d 'Stop nodes: their programs get TERM, and KILL after --timeout'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "kill" -d 'Kill nodes: all their programs get KILL at once; with --for the nodes are started again'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "pause" -d 'Pause nodes: all their programs stop; with --for they continue'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "resume" -d 'Resume paused nodes'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "logs" -d 'Print LXC\'s logs and the output of the nodes\' first processes'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "launch" -d 'Mount a machine\'s root where it alone sees it, and start it (started by up and start)'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "watchdog" -d 'Wait on stdin for a holder\'s lease to end, then undo its fault (started by the commands that hold one)'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and not __fish_seen_subcommand_from image up down ls nodes exec push pull start stop kill pause resume logs launch watchdog help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "ls" -d 'List the images'
complete -c lxc-fleet -n "__fish_lxc_fleet_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "rm" -d 'Remove images that no node uses'
