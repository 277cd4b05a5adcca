# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_workload_global_optspecs
    string join \n q/quiet v/verbose path= h/help V/version
end

function __fish_workload_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_workload_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_workload_using_subcommand
    set -l cmd (__fish_workload_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c workload -n "__fish_workload_needs_command" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c workload -n "__fish_workload_needs_command" -s q -l quiet -d 'Print only errors'
complete -c workload -n "__fish_workload_needs_command" -s v -l verbose -d 'Print each step'
complete -c workload -n "__fish_workload_needs_command" -s h -l help -d 'Print help'
complete -c workload -n "__fish_workload_needs_command" -s V -l version -d 'Print version'
complete -c workload -n "__fish_workload_needs_command" -f -a "register" -d 'Reads and writes of registers; each value is written once. The promise: linearizability'
complete -c workload -n "__fish_workload_needs_command" -f -a "cas-register" -d 'Reads, writes and compare-and-sets of registers. The promise: linearizability'
complete -c workload -n "__fish_workload_needs_command" -f -a "set" -d 'Adds elements to one set and reads it at the end. The promise: no acknowledged element is lost'
complete -c workload -n "__fish_workload_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c workload -n "__fish_workload_using_subcommand register" -s c -l client -d 'The database\'s client: mem, redis, redis-sentinel, etcd, or exec:CMD' -r
complete -c workload -n "__fish_workload_using_subcommand register" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l rate -d 'Operations to start a second, whether or not earlier ones were answered' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l concurrency -d 'The maximum number of operations that are open at the same time' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l time-limit -d 'End the load after TIME [default: 30s, with mem 1.5s, with --ops none]' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l ops -d 'End the load after N operations' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l seed -d 'The seed of every random choice [default: $BREAKIT_SEED, else a new number]' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l timeout -d 'Give up waiting for the answer to an operation after TIME' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l start-timeout -d 'Wait at most TIME until a program of --client exec: reads its first request' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l final-timeout -d 'Give up a final read after TIME, with all its attempts' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l ready -d 'Wait at most TIME for a database that is still starting' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l recovery -d 'Wait at most TIME until the nodes agree again after the last fault [default: 15s, with mem 1s]' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l nemesis -d 'Run CMD during the load, and put the fault lines that it prints into the history (repeatable)' -r
complete -c workload -n "__fish_workload_using_subcommand register" -s o -l output -d 'Write the history to FILE as well, even if the reader of stdout exits or hangs' -r -F
complete -c workload -n "__fish_workload_using_subcommand register" -l process-base -d 'The number of the first process' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l prefix -d 'The prefix of all names that the run creates in the database [default: breakit- and a new number]' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l keys -d 'Use N registers at the same time' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l ops-per-key -d 'Replace a register by a new one after N operations' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c workload -n "__fish_workload_using_subcommand register" -l final -d 'Read everything from every node at the end [default]'
complete -c workload -n "__fish_workload_using_subcommand register" -l no-final -d 'Skip recovery and final reads'
complete -c workload -n "__fish_workload_using_subcommand register" -l record-commands -d 'Record every word of the commands of --client and --nemesis, including secrets'
complete -c workload -n "__fish_workload_using_subcommand register" -l dry-run -d 'Print what would be done, and do nothing'
complete -c workload -n "__fish_workload_using_subcommand register" -s q -l quiet -d 'Print only errors'
complete -c workload -n "__fish_workload_using_subcommand register" -s v -l verbose -d 'Print each step'
complete -c workload -n "__fish_workload_using_subcommand register" -s h -l help -d 'Print help'
complete -c workload -n "__fish_workload_using_subcommand cas-register" -s c -l client -d 'The database\'s client: mem, redis, redis-sentinel, etcd, or exec:CMD' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l rate -d 'Operations to start a second, whether or not earlier ones were answered' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l concurrency -d 'The maximum number of operations that are open at the same time' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l time-limit -d 'End the load after TIME [default: 30s, with mem 1.5s, with --ops none]' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l ops -d 'End the load after N operations' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l seed -d 'The seed of every random choice [default: $BREAKIT_SEED, else a new number]' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l timeout -d 'Give up waiting for the answer to an operation after TIME' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l start-timeout -d 'Wait at most TIME until a program of --client exec: reads its first request' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l final-timeout -d 'Give up a final read after TIME, with all its attempts' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l ready -d 'Wait at most TIME for a database that is still starting' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l recovery -d 'Wait at most TIME until the nodes agree again after the last fault [default: 15s, with mem 1s]' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l nemesis -d 'Run CMD during the load, and put the fault lines that it prints into the history (repeatable)' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -s o -l output -d 'Write the history to FILE as well, even if the reader of stdout exits or hangs' -r -F
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l process-base -d 'The number of the first process' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l prefix -d 'The prefix of all names that the run creates in the database [default: breakit- and a new number]' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l keys -d 'Use N registers at the same time' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l ops-per-key -d 'Replace a register by a new one after N operations' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l final -d 'Read everything from every node at the end [default]'
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l no-final -d 'Skip recovery and final reads'
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l record-commands -d 'Record every word of the commands of --client and --nemesis, including secrets'
complete -c workload -n "__fish_workload_using_subcommand cas-register" -l dry-run -d 'Print what would be done, and do nothing'
complete -c workload -n "__fish_workload_using_subcommand cas-register" -s q -l quiet -d 'Print only errors'
complete -c workload -n "__fish_workload_using_subcommand cas-register" -s v -l verbose -d 'Print each step'
complete -c workload -n "__fish_workload_using_subcommand cas-register" -s h -l help -d 'Print help'
complete -c workload -n "__fish_workload_using_subcommand set" -s c -l client -d 'The database\'s client: mem, redis, redis-sentinel, etcd, or exec:CMD' -r
complete -c workload -n "__fish_workload_using_subcommand set" -s n -l nodes -d 'Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l rate -d 'Operations to start a second, whether or not earlier ones were answered' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l concurrency -d 'The maximum number of operations that are open at the same time' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l time-limit -d 'End the load after TIME [default: 30s, with mem 1.5s, with --ops none]' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l ops -d 'End the load after N operations' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l seed -d 'The seed of every random choice [default: $BREAKIT_SEED, else a new number]' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l timeout -d 'Give up waiting for the answer to an operation after TIME' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l start-timeout -d 'Wait at most TIME until a program of --client exec: reads its first request' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l final-timeout -d 'Give up a final read after TIME, with all its attempts' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l ready -d 'Wait at most TIME for a database that is still starting' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l recovery -d 'Wait at most TIME until the nodes agree again after the last fault [default: 15s, with mem 1s]' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l nemesis -d 'Run CMD during the load, and put the fault lines that it prints into the history (repeatable)' -r
complete -c workload -n "__fish_workload_using_subcommand set" -s o -l output -d 'Write the history to FILE as well, even if the reader of stdout exits or hangs' -r -F
complete -c workload -n "__fish_workload_using_subcommand set" -l process-base -d 'The number of the first process' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l prefix -d 'The prefix of all names that the run creates in the database [default: breakit- and a new number]' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l path -d 'Search these folders for helper programs (ip, nft, ssh, ...) before the system\'s folders; $PATH is not used' -r
complete -c workload -n "__fish_workload_using_subcommand set" -l final -d 'Read everything from every node at the end [default]'
complete -c workload -n "__fish_workload_using_subcommand set" -l no-final -d 'Skip recovery and final reads'
complete -c workload -n "__fish_workload_using_subcommand set" -l record-commands -d 'Record every word of the commands of --client and --nemesis, including secrets'
complete -c workload -n "__fish_workload_using_subcommand set" -l dry-run -d 'Print what would be done, and do nothing'
complete -c workload -n "__fish_workload_using_subcommand set" -s q -l quiet -d 'Print only errors'
complete -c workload -n "__fish_workload_using_subcommand set" -s v -l verbose -d 'Print each step'
complete -c workload -n "__fish_workload_using_subcommand set" -s h -l help -d 'Print help'
complete -c workload -n "__fish_workload_using_subcommand help; and not __fish_seen_subcommand_from register cas-register set help" -f -a "register" -d 'Reads and writes of registers; each value is written once. The promise: linearizability'
complete -c workload -n "__fish_workload_using_subcommand help; and not __fish_seen_subcommand_from register cas-register set help" -f -a "cas-register" -d 'Reads, writes and compare-and-sets of registers. The promise: linearizability'
complete -c workload -n "__fish_workload_using_subcommand help; and not __fish_seen_subcommand_from register cas-register set help" -f -a "set" -d 'Adds elements to one set and reads it at the end. The promise: no acknowledged element is lost'
complete -c workload -n "__fish_workload_using_subcommand help; and not __fish_seen_subcommand_from register cas-register set help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
