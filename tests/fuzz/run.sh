#!/bin/bash
# run.sh DIR SECONDS - runs every fuzzer in DIR so long, from the seeds in corpus/NAME and what earlier
# runs have found in DIR. A finding is kept as DIR/NAME-crash-*.
set -uo pipefail
dir=$1
seconds=$2
here=$(dirname "${BASH_SOURCE[0]}")
passed=0
failed=0

for program in "$dir"/fuzz_*; do
    if [ ! -f "$program" ] || [ ! -x "$program" ]; then continue; fi
    name=$(basename "$program")
    mkdir -p "$dir/corpus/$name"
    seeds=()
    if [ -d "$here/corpus/$name" ]; then seeds=("$here/corpus/$name"); fi
    if "$program" -max_total_time="$seconds" -max_len=40000 -rss_limit_mb=1024 -timeout=10 \
        -artifact_prefix="$dir/$name-" -print_final_stats=1 -verbosity=0 \
        "$dir/corpus/$name" "${seeds[@]}" >"$dir/$name.log" 2>&1; then
        passed=$((passed + 1))
        printf '%s: %s\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: *\([0-9]*\)/\1 inputs/p' "$dir/$name.log")"
    else
        failed=$((failed + 1))
        tail -40 "$dir/$name.log"
    fi
done
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
