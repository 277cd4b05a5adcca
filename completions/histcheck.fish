# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_histcheck_global_optspecs
    string join \n not-a-client= json lenient format= keyed timeout= memory= follow stall= q/quiet v/verbose h/help V/version
end

function __fish_histcheck_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_histcheck_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_histcheck_using_subcommand
    set -l cmd (__fish_histcheck_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c histcheck -n "__fish_histcheck_needs_command" -l not-a-client -d 'A process that is not a client, although it has invocations (repeatable)' -r
complete -c histcheck -n "__fish_histcheck_needs_command" -l format -d 'The format of the histories [default: detected from their first bytes]' -r -f -a "jsonl\t'One JSON object a line, as `workload` writes them'
json\t'One JSON array of objects, as elle-cli reads it, or objects over several lines, as jq prints them'
operations\t'One JSON object an operation, with the times at which it began and ended'
edn\t'EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list'
log\t'Jepsen\'s history.txt, and the lines of jepsen.util in its log'
csv\t'A table whose header names the columns'
plume\t'Plume\'s text of transactions, as AWDIT takes it: r(key,value,session,transaction)'
sessions\t'AWDIT\'s test text: r KEY VALUE, --- between transactions, === between sessions'"
complete -c histcheck -n "__fish_histcheck_needs_command" -l timeout -d 'The time that reading and checking one history may take before the verdict is unknown [default: 60s]' -r
complete -c histcheck -n "__fish_histcheck_needs_command" -l memory -d 'The memory that a history and its check may take before the verdict is unknown [default: half of what is free]' -r
complete -c histcheck -n "__fish_histcheck_needs_command" -l stall -d 'With --follow: treat an operation without a completion as info after TIME' -r
complete -c histcheck -n "__fish_histcheck_needs_command" -l json -d 'Print each verdict as a JSON object on one line'
complete -c histcheck -n "__fish_histcheck_needs_command" -l lenient -d 'Ignore an incomplete last line, as a killed writer leaves it, with a warning'
complete -c histcheck -n "__fish_histcheck_needs_command" -l keyed -d 'Read every value as [KEY, VALUE], as jepsen.independent writes them'
complete -c histcheck -n "__fish_histcheck_needs_command" -l follow -d 'Check linear while the history grows, and exit 1 at the first violation'
complete -c histcheck -n "__fish_histcheck_needs_command" -s q -l quiet -d 'Print only errors'
complete -c histcheck -n "__fish_histcheck_needs_command" -s v -l verbose -d 'Print each step'
complete -c histcheck -n "__fish_histcheck_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c histcheck -n "__fish_histcheck_needs_command" -s V -l version -d 'Print version'
complete -c histcheck -n "__fish_histcheck_needs_command" -a "stats" -d 'Count operations by name and outcome, with latencies and faults; decides nothing'
complete -c histcheck -n "__fish_histcheck_needs_command" -a "set" -d 'Check that no acknowledged element is lost, and that every element read was added'
complete -c histcheck -n "__fish_histcheck_needs_command" -a "linear" -d 'Check linearizability against a sequential model'
complete -c histcheck -n "__fish_histcheck_needs_command" -a "verify" -d 'Check an order that linear --witness wrote, without a search'
complete -c histcheck -n "__fish_histcheck_needs_command" -a "convert" -d 'Write a history in another format'
complete -c histcheck -n "__fish_histcheck_needs_command" -a "split" -d 'Split a history into shards that can be checked separately, and print their names'
complete -c histcheck -n "__fish_histcheck_needs_command" -a "merge" -d 'Merge the shards\' verdicts, as --json printed them, into one'
complete -c histcheck -n "__fish_histcheck_needs_command" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -l not-a-client -d 'A process that is not a client, although it has invocations (repeatable)' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -l format -d 'The format of the histories [default: detected from their first bytes]' -r -f -a "jsonl\t'One JSON object a line, as `workload` writes them'
json\t'One JSON array of objects, as elle-cli reads it, or objects over several lines, as jq prints them'
operations\t'One JSON object an operation, with the times at which it began and ended'
edn\t'EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list'
log\t'Jepsen\'s history.txt, and the lines of jepsen.util in its log'
csv\t'A table whose header names the columns'
plume\t'Plume\'s text of transactions, as AWDIT takes it: r(key,value,session,transaction)'
sessions\t'AWDIT\'s test text: r KEY VALUE, --- between transactions, === between sessions'"
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -l timeout -d 'The time that reading and checking one history may take before the verdict is unknown [default: 60s]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -l memory -d 'The memory that a history and its check may take before the verdict is unknown [default: half of what is free]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -l stall -d 'With --follow: treat an operation without a completion as info after TIME' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -l json -d 'Print each verdict as a JSON object on one line'
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -l lenient -d 'Ignore an incomplete last line, as a killed writer leaves it, with a warning'
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -l keyed -d 'Read every value as [KEY, VALUE], as jepsen.independent writes them'
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -l follow -d 'Check linear while the history grows, and exit 1 at the first violation'
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -s q -l quiet -d 'Print only errors'
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -s v -l verbose -d 'Print each step'
complete -c histcheck -n "__fish_histcheck_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -l not-a-client -d 'A process that is not a client, although it has invocations (repeatable)' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -l format -d 'The format of the histories [default: detected from their first bytes]' -r -f -a "jsonl\t'One JSON object a line, as `workload` writes them'
json\t'One JSON array of objects, as elle-cli reads it, or objects over several lines, as jq prints them'
operations\t'One JSON object an operation, with the times at which it began and ended'
edn\t'EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list'
log\t'Jepsen\'s history.txt, and the lines of jepsen.util in its log'
csv\t'A table whose header names the columns'
plume\t'Plume\'s text of transactions, as AWDIT takes it: r(key,value,session,transaction)'
sessions\t'AWDIT\'s test text: r KEY VALUE, --- between transactions, === between sessions'"
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -l timeout -d 'The time that reading and checking one history may take before the verdict is unknown [default: 60s]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -l memory -d 'The memory that a history and its check may take before the verdict is unknown [default: half of what is free]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -l stall -d 'With --follow: treat an operation without a completion as info after TIME' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -l json -d 'Print each verdict as a JSON object on one line'
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -l lenient -d 'Ignore an incomplete last line, as a killed writer leaves it, with a warning'
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -l keyed -d 'Read every value as [KEY, VALUE], as jepsen.independent writes them'
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -l follow -d 'Check linear while the history grows, and exit 1 at the first violation'
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -s q -l quiet -d 'Print only errors'
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -s v -l verbose -d 'Print each step'
complete -c histcheck -n "__fish_histcheck_using_subcommand set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l model -d 'The object: a model, semaphore:N, or @FILE for a table' -r -f -a "register\t'One value: read, write'
cas-register\t'One value: read, write, cas with [expected, new]'
mutex\t'A lock with one holder: acquire, release'
reentrant-mutex\t'A lock that its holder may acquire again: acquire, release'
fenced-mutex\t'A lock whose acquire returns a token that grows: acquire, release'
fifo-queue\t'A queue, first in, first out: enqueue, dequeue, drain'
unordered-queue\t'A queue in any order: enqueue, dequeue, drain'
stack\t'A stack: push, pop, drain'
priority-queue\t'A queue of whole numbers, the least first: insert, extract, drain'
set\t'A set: add, remove, contains, read of all elements'
counter\t'A number: inc, dec, add, read'
fetch-add\t'A number: fetch-add, which returns [added, before], and read'
list-append\t'A list: append, read of the whole list'
kv-append\t'A string: put, append, get'
multi-register\t'Several named values: read, write, txn'"
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l initial -d 'The value before the first operation, as JSON [default: null]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l witness -d 'Write a legal order of each valid key to a file, for verify' -r -F
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l svg -d 'Draw the evidence of the first invalid key as SVG' -r -F
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l not-a-client -d 'A process that is not a client, although it has invocations (repeatable)' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l format -d 'The format of the histories [default: detected from their first bytes]' -r -f -a "jsonl\t'One JSON object a line, as `workload` writes them'
json\t'One JSON array of objects, as elle-cli reads it, or objects over several lines, as jq prints them'
operations\t'One JSON object an operation, with the times at which it began and ended'
edn\t'EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list'
log\t'Jepsen\'s history.txt, and the lines of jepsen.util in its log'
csv\t'A table whose header names the columns'
plume\t'Plume\'s text of transactions, as AWDIT takes it: r(key,value,session,transaction)'
sessions\t'AWDIT\'s test text: r KEY VALUE, --- between transactions, === between sessions'"
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l timeout -d 'The time that reading and checking one history may take before the verdict is unknown [default: 60s]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l memory -d 'The memory that a history and its check may take before the verdict is unknown [default: half of what is free]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l stall -d 'With --follow: treat an operation without a completion as info after TIME' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l ignore-null-reads -d 'Treat an ok read of null as a read of an unknown value'
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l fail-observes -d 'Treat a failed cas as proof that the register held another value'
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l json -d 'Print each verdict as a JSON object on one line'
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l lenient -d 'Ignore an incomplete last line, as a killed writer leaves it, with a warning'
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l keyed -d 'Read every value as [KEY, VALUE], as jepsen.independent writes them'
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -l follow -d 'Check linear while the history grows, and exit 1 at the first violation'
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -s q -l quiet -d 'Print only errors'
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -s v -l verbose -d 'Print each step'
complete -c histcheck -n "__fish_histcheck_using_subcommand linear" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l model -d 'The object: a model, semaphore:N, or @FILE for a table' -r -f -a "register\t'One value: read, write'
cas-register\t'One value: read, write, cas with [expected, new]'
mutex\t'A lock with one holder: acquire, release'
reentrant-mutex\t'A lock that its holder may acquire again: acquire, release'
fenced-mutex\t'A lock whose acquire returns a token that grows: acquire, release'
fifo-queue\t'A queue, first in, first out: enqueue, dequeue, drain'
unordered-queue\t'A queue in any order: enqueue, dequeue, drain'
stack\t'A stack: push, pop, drain'
priority-queue\t'A queue of whole numbers, the least first: insert, extract, drain'
set\t'A set: add, remove, contains, read of all elements'
counter\t'A number: inc, dec, add, read'
fetch-add\t'A number: fetch-add, which returns [added, before], and read'
list-append\t'A list: append, read of the whole list'
kv-append\t'A string: put, append, get'
multi-register\t'Several named values: read, write, txn'"
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l initial -d 'The value before the first operation, as JSON [default: null]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l witness -d 'The order, as linear --witness wrote it' -r -F
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l not-a-client -d 'A process that is not a client, although it has invocations (repeatable)' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l format -d 'The format of the histories [default: detected from their first bytes]' -r -f -a "jsonl\t'One JSON object a line, as `workload` writes them'
json\t'One JSON array of objects, as elle-cli reads it, or objects over several lines, as jq prints them'
operations\t'One JSON object an operation, with the times at which it began and ended'
edn\t'EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list'
log\t'Jepsen\'s history.txt, and the lines of jepsen.util in its log'
csv\t'A table whose header names the columns'
plume\t'Plume\'s text of transactions, as AWDIT takes it: r(key,value,session,transaction)'
sessions\t'AWDIT\'s test text: r KEY VALUE, --- between transactions, === between sessions'"
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l timeout -d 'The time that reading and checking one history may take before the verdict is unknown [default: 60s]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l memory -d 'The memory that a history and its check may take before the verdict is unknown [default: half of what is free]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l stall -d 'With --follow: treat an operation without a completion as info after TIME' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l ignore-null-reads -d 'Treat an ok read of null as a read of an unknown value'
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l fail-observes -d 'Treat a failed cas as proof that the register held another value'
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l json -d 'Print each verdict as a JSON object on one line'
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l lenient -d 'Ignore an incomplete last line, as a killed writer leaves it, with a warning'
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l keyed -d 'Read every value as [KEY, VALUE], as jepsen.independent writes them'
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -l follow -d 'Check linear while the history grows, and exit 1 at the first violation'
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -s q -l quiet -d 'Print only errors'
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -s v -l verbose -d 'Print each step'
complete -c histcheck -n "__fish_histcheck_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -l to -d 'The format' -r -f -a "jsonl\t'One JSON object a line, as `workload` writes them'
edn\t'EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list'
csv\t'A table whose header names the columns'"
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -l not-a-client -d 'A process that is not a client, although it has invocations (repeatable)' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -l format -d 'The format of the histories [default: detected from their first bytes]' -r -f -a "jsonl\t'One JSON object a line, as `workload` writes them'
json\t'One JSON array of objects, as elle-cli reads it, or objects over several lines, as jq prints them'
operations\t'One JSON object an operation, with the times at which it began and ended'
edn\t'EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list'
log\t'Jepsen\'s history.txt, and the lines of jepsen.util in its log'
csv\t'A table whose header names the columns'
plume\t'Plume\'s text of transactions, as AWDIT takes it: r(key,value,session,transaction)'
sessions\t'AWDIT\'s test text: r KEY VALUE, --- between transactions, === between sessions'"
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -l timeout -d 'The time that reading and checking one history may take before the verdict is unknown [default: 60s]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -l memory -d 'The memory that a history and its check may take before the verdict is unknown [default: half of what is free]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -l stall -d 'With --follow: treat an operation without a completion as info after TIME' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -l json -d 'Print each verdict as a JSON object on one line'
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -l lenient -d 'Ignore an incomplete last line, as a killed writer leaves it, with a warning'
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -l keyed -d 'Read every value as [KEY, VALUE], as jepsen.independent writes them'
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -l follow -d 'Check linear while the history grows, and exit 1 at the first violation'
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -s q -l quiet -d 'Print only errors'
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -s v -l verbose -d 'Print each step'
complete -c histcheck -n "__fish_histcheck_using_subcommand convert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l by -d 'The operations that stay in one shard' -r -f -a "key\t'Operations of one key stay together'"
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l shards -d 'The number of shards' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l into -d 'The folder for the shards' -r -F
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l not-a-client -d 'A process that is not a client, although it has invocations (repeatable)' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l format -d 'The format of the histories [default: detected from their first bytes]' -r -f -a "jsonl\t'One JSON object a line, as `workload` writes them'
json\t'One JSON array of objects, as elle-cli reads it, or objects over several lines, as jq prints them'
operations\t'One JSON object an operation, with the times at which it began and ended'
edn\t'EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list'
log\t'Jepsen\'s history.txt, and the lines of jepsen.util in its log'
csv\t'A table whose header names the columns'
plume\t'Plume\'s text of transactions, as AWDIT takes it: r(key,value,session,transaction)'
sessions\t'AWDIT\'s test text: r KEY VALUE, --- between transactions, === between sessions'"
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l timeout -d 'The time that reading and checking one history may take before the verdict is unknown [default: 60s]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l memory -d 'The memory that a history and its check may take before the verdict is unknown [default: half of what is free]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l stall -d 'With --follow: treat an operation without a completion as info after TIME' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l json -d 'Print each verdict as a JSON object on one line'
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l lenient -d 'Ignore an incomplete last line, as a killed writer leaves it, with a warning'
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l keyed -d 'Read every value as [KEY, VALUE], as jepsen.independent writes them'
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -l follow -d 'Check linear while the history grows, and exit 1 at the first violation'
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -s q -l quiet -d 'Print only errors'
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -s v -l verbose -d 'Print each step'
complete -c histcheck -n "__fish_histcheck_using_subcommand split" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -l not-a-client -d 'A process that is not a client, although it has invocations (repeatable)' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -l format -d 'The format of the histories [default: detected from their first bytes]' -r -f -a "jsonl\t'One JSON object a line, as `workload` writes them'
json\t'One JSON array of objects, as elle-cli reads it, or objects over several lines, as jq prints them'
operations\t'One JSON object an operation, with the times at which it began and ended'
edn\t'EDN, as Jepsen, Knossos and Porcupine keep it: maps one after the other, or in one vector or list'
log\t'Jepsen\'s history.txt, and the lines of jepsen.util in its log'
csv\t'A table whose header names the columns'
plume\t'Plume\'s text of transactions, as AWDIT takes it: r(key,value,session,transaction)'
sessions\t'AWDIT\'s test text: r KEY VALUE, --- between transactions, === between sessions'"
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -l timeout -d 'The time that reading and checking one history may take before the verdict is unknown [default: 60s]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -l memory -d 'The memory that a history and its check may take before the verdict is unknown [default: half of what is free]' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -l stall -d 'With --follow: treat an operation without a completion as info after TIME' -r
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -l json -d 'Print each verdict as a JSON object on one line'
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -l lenient -d 'Ignore an incomplete last line, as a killed writer leaves it, with a warning'
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -l keyed -d 'Read every value as [KEY, VALUE], as jepsen.independent writes them'
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -l follow -d 'Check linear while the history grows, and exit 1 at the first violation'
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -s q -l quiet -d 'Print only errors'
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -s v -l verbose -d 'Print each step'
complete -c histcheck -n "__fish_histcheck_using_subcommand merge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c histcheck -n "__fish_histcheck_using_subcommand help; and not __fish_seen_subcommand_from stats set linear verify convert split merge help" -f -a "stats" -d 'Count operations by name and outcome, with latencies and faults; decides nothing'
complete -c histcheck -n "__fish_histcheck_using_subcommand help; and not __fish_seen_subcommand_from stats set linear verify convert split merge help" -f -a "set" -d 'Check that no acknowledged element is lost, and that every element read was added'
complete -c histcheck -n "__fish_histcheck_using_subcommand help; and not __fish_seen_subcommand_from stats set linear verify convert split merge help" -f -a "linear" -d 'Check linearizability against a sequential model'
complete -c histcheck -n "__fish_histcheck_using_subcommand help; and not __fish_seen_subcommand_from stats set linear verify convert split merge help" -f -a "verify" -d 'Check an order that linear --witness wrote, without a search'
complete -c histcheck -n "__fish_histcheck_using_subcommand help; and not __fish_seen_subcommand_from stats set linear verify convert split merge help" -f -a "convert" -d 'Write a history in another format'
complete -c histcheck -n "__fish_histcheck_using_subcommand help; and not __fish_seen_subcommand_from stats set linear verify convert split merge help" -f -a "split" -d 'Split a history into shards that can be checked separately, and print their names'
complete -c histcheck -n "__fish_histcheck_using_subcommand help; and not __fish_seen_subcommand_from stats set linear verify convert split merge help" -f -a "merge" -d 'Merge the shards\' verdicts, as --json printed them, into one'
complete -c histcheck -n "__fish_histcheck_using_subcommand help; and not __fish_seen_subcommand_from stats set linear verify convert split merge help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
