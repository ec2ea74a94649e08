#!/bin/bash
# layers.sh BUILD-DIR - what the cores import, by symbol: no clock, no process, no socket, no file, no
# database. core-imports.txt is all that they may; what is not in it is the world.
set -uo pipefail
build=$1
here=$(dirname "${BASH_SOURCE[0]}")
failed=0
checked=0

for archive in "$build"/agent/core/libag_core.a "$build"/coordinator/*/libco_core.a \
    "$build"/coordinator/libco_core.a; do
    [ -f "$archive" ] || continue
    checked=$((checked + 1))
    bad=$(comm -23 \
        <(nm -u "$archive" 2>/dev/null | awk '$1 == "U" { print $2 }' | sort -u) \
        <(nm --defined-only "$archive" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u) |
        grep -vxE -f <(grep -v '^#' "$here/core-imports.txt"))
    [ -z "$bad" ] && continue
    printf '%s may not use: %s\n' "$(basename "$archive")" "$(tr '\n' ' ' <<<"$bad")"
    failed=1
done
[ $checked = 2 ] || { echo "$checked of 2 cores are built"; failed=1; }
exit $failed
