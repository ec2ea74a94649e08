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

# The gate's own cores know nothing of nginx either.
for object in "$build"/ngx_module/objs-plain/addon/*/fm_*.o; do
    [ -f "$object" ] || continue
    bad=$(nm -u "$object" | awk '$1 == "U" { print $2 }' | grep -vE '^(fm_|fermata__|crc32$)' |
        grep -vxE -f <(grep -v '^#' "$here/core-imports.txt"))
    [ -z "$bad" ] && continue
    printf '%s may not use: %s\n' "$(basename "$object")" "$(tr '\n' ' ' <<<"$bad")"
    failed=1
done

# The lower layers of proto/ know nothing of those above them, nor of the world.
without() {
    local bad
    bad=$(nm -u "$build/proto/$1" | awk '$1 == "U" { print $2 }' | sort -u | grep -E "$2")
    [ -z "$bad" ] && return
    printf '%s may not use: %s\n' "$1" "$(tr '\n' ' ' <<<"$bad")"
    failed=1
}
world='^(event_|evbuffer_|bufferevent_|evutil_|PQ|sqlite3_|SSL_|EVP_|fork$|exec|socket$|connect$)'
without libfm_base.a "$world|^(fermata__|protobuf_c_)"
without libfm_wire.a "$world|^(fopen|open|read|write|clock_gettime|time)$"

[ $checked = 2 ] || { echo "$checked of 2 cores are built"; failed=1; }
exit $failed
