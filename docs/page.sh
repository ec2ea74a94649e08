#!/bin/sh
# page.sh SOURCE [MARK FILE] - a manual page on standard output: scdoc of SOURCE, in which the line
# @MARK@ is replaced by FILE, which a program printed about its own tables.
set -eu
if [ $# = 1 ]; then
    exec scdoc <"$1"
fi
sed -e "/^@$2@\$/{
r $3
d
}" "$1" | scdoc
