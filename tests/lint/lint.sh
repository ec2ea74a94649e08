#!/bin/bash
# lint.sh BUILD-DIR [--fix] - what a reviewer should not have to look for. Called by build.sh.
set -uo pipefail
build=$1
fix=${2:-}
here=$(dirname "${BASH_SOURCE[0]}")
failed=0
count=0

all_files() { git ls-files --cached --others --exclude-standard; }
mapfile -t files < <(all_files | while read -r f; do [ -f "$f" ] && echo "$f"; done)
mapfile -t ours < <(printf '%s\n' "${files[@]}" | grep -E '^(proto|agent|coordinator|tests)/.*\.[ch]$|^ngx_module/fm_[^/]*\.[ch]$')
mapfile -t c_files < <(printf '%s\n' "${files[@]}" | grep -E '\.(c|h)$')
mapfile -t scripts < <(printf '%s\n' "${files[@]}" | grep -E '\.sh$|^\.ci/run$')

# check NAME COMMAND ...: output only when it fails.
check() {
    local name=$1 out began=$SECONDS
    shift
    count=$((count + 1))
    if out=$("$@" 2>&1); then
        printf 'ok   %s (%s s)\n' "$name" $((SECONDS - began))
    else
        printf 'FAIL %s\n%s\n' "$name" "$(head -60 <<<"$out")"
        failed=$((failed + 1))
    fi
}

# none PATTERN FILE ...: no line may match.
none() {
    local pattern=$1
    shift
    ! grep -nPI -e "$pattern" -- "$@"
}

format() {
    if [ "$fix" = --fix ]; then clang-format -i "${ours[@]}"; fi
    clang-format --dry-run -Werror "${ours[@]}"
}

tidy() {
    mapfile -t list < <(printf '%s\n' "${ours[@]}" | grep '\.c$' | grep -v '^tests/')
    mapfile -t list < <(for f in "${list[@]}"; do grep -q "\"file\": \"[^\"]*/$f\"" "$build/compile_commands.json" && echo "$f"; done)
    printf '%s\n' "${list[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet
}

# It knows neither _cleanup_ nor that CHECK ends the process: leaks are the sanitizers' affair.
check_cppcheck() {
    mapfile -t list < <(printf '%s\n' "${ours[@]}" | grep '\.c$' | grep -v '^tests/')
    cppcheck --quiet --error-exitcode=1 --std=c11 --language=c --inline-suppr -j "$(nproc)" \
        --enable=warning,portability --library=gnu,bsd --suppressions-list="$here/cppcheck.txt" \
        -Iproto -I. -D_GNU_SOURCE -DFM_VERSION='""' \
        -D'LIST_HEAD(name,type)=struct name{struct type*lh_first;}' \
        -D'TAILQ_HEAD(name,type)=struct name{struct type*tqh_first;}' \
        "${list[@]}"
}

c_words() {
    local outside
    mapfile -t outside < <(printf '%s\n' "${c_files[@]}" | grep -v '^ngx_module/ngx_')
    none '^[^*"/]*\b(strcpy|strcat|sprintf|vsprintf|strtok|strncpy|strncat|atoi|atol|atof|gets|alloca)\s*\(' "${outside[@]}" &&
        none '^[^*"/]*\bgoto\b' "${outside[@]}"
}

hosts() {
    mapfile -t list < <(printf '%s\n' "${files[@]}" | grep -v '^tests/lint/lint.sh$')
    none 'registry\.(npmjs|yarnpkg)|deb\.debian\.org|(^|[^a-zA-Z0-9_.)}\]])/(work|farm|root)/[a-z.]' "${list[@]}"
}

marks() {
    mapfile -t list < <(printf '%s\n' "${files[@]}" | grep -v '^tests/lint/')
    none '\b(TODO|FIXME|XXX|HACK)\b' "${list[@]}"
}

whitespace() {
    mapfile -t list < <(printf '%s\n' "${files[@]}" | grep -vE '^tests/(golden|fuzz/corpus)/')
    none '[ \t]+$' "${list[@]}"
}

spelling() {
    codespell --ignore-words "$here/spelling.txt" --skip '*.js,*/corpus/*,*.svg,*/fm_gate_words.c,*/golden/page-*.txt' "${files[@]}"
}

# A script without its first line is run as `sh -c`.
check_shellcheck() {
    local script bad=0
    for script in "${scripts[@]}"; do
        if head -c 2 "$script" | grep -q '#!'; then
            shellcheck --exclude SC1091 "$script" || bad=1
        else
            shellcheck --shell sh "$script" || bad=1
        fi
    done
    return $bad
}

check format format
check tidy tidy
check cppcheck check_cppcheck
check sizes "$here/sizes.py" "${c_files[@]}"
check words c_words
check marks marks
check hosts hosts
check layers "$here/layers.sh" "$build"
check whitespace whitespace
check spelling spelling
check shellcheck check_shellcheck
check mutants "$here/../sim/mutate.py" --check
printf '%s passed, %s failed\n' $((count - failed)) "$failed"
[ "$failed" = 0 ]
