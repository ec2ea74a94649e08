#!/bin/sh
# page.sh SOURCE [MARK FILE ...] - a manual page on standard output: scdoc of SOURCE, in which each line
# @MARK@ is replaced by its FILE, which a program printed about its own tables.
set -eu
source=$1
shift
script=
while [ $# -gt 0 ]; do
    script="$script
/^@$1@\$/{
r $2
d
}"
    shift 2
done
sed -e "$script" "$source" | scdoc
