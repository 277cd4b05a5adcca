#!/bin/sh
# What the tool does with the shape of shape.patch: shape.sh FOLDER-OF-BINARIES
set -e
partition=$1/partition
"$partition" plan --help | grep -q '^  first  *The first node against all others'
test "$("$partition" -q plan first -n n1..n3)" = '{"n1":["n2","n3"],"n2":["n1"],"n3":["n1"]}'
"$partition" plan firs -n n1..n3 2>&1 | grep -q 'did you mean first'
