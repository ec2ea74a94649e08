#!/bin/bash
# build.sh WORD [ARGUMENT ...] - everything that is done with this checkout. CI calls only these words.
#
#   deps [SET ...]      installs what the other words need (sets: build test real browser lint fuzz cover bench)
#   build               all programs and the gate, into build/
#   test [NAME ...]     unit tests, simulator and fast flows; with names: only those unit tests
#   demo [--keep]       a real NocoBase cluster, conducted through five scenarios
#   flow [ARGS]         real processes with the stand-in application (pytest arguments)
#   gate [ARGS]         the module in the distribution's nginx (pytest arguments)
#   e2e                 the demo's scenarios, and an open tab in a real browser
#   sim [N [ARGS]]      the simulator: all single faults, all pairs, then N seeds
#   fuzz [SECONDS]      every parser of foreign bytes, so long each
#   bench [WORD ARGS]   one comparison of tests/bench; without a word: each, in short
#   lint [--fix]        format, static checks, layers, sizes, spelling
#   sanitize            unit, simulator, flows and gate with ASan and UBSan
#   coverage            lines of the cores that unit tests and simulator reach
#   mutate              bugs planted in the cores: the simulator must catch them
#   golden [--accept]   generated texts against those kept in tests/golden
#   docs                manual pages, into build/docs
#   install [ARGS]      into the system (arguments of `meson install`)
#
# Each word installs what it lacks (as root, with apt) and ends with one line. FERMATA_BUILD names
# another build folder, FERMATA_CACHE where NocoBase is kept, FERMATA_WORKERS how many flows run at once
# (as many as there are processors; 0: in this process, for a debugger).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export FERMATA_BUILD=${FERMATA_BUILD:-$PWD/build}
export PYTHONDONTWRITEBYTECODE=1
python=/usr/bin/python3 # the one that apt's modules are for

declare -A packages=(
    [build]="build-essential pkg-config meson ninja-build libevent-dev libprotobuf-c-dev
        protobuf-c-compiler protobuf-compiler libsqlite3-dev libpq-dev libjansson-dev libinih-dev
        libhttp-parser-dev libsmartcols-dev libsystemd-dev libcap-ng-dev libbsd-dev libssl-dev
        libcmocka-dev zlib1g-dev nginx nginx-dev scdoc"
    [test]="python3 python3-pytest python3-h2 python3-psycopg2 python3-websockets
        python3-prometheus-client python3-dnslib
        python3-pytest-rerunfailures python3-pytest-xdist postgresql
        postgresql-client redis-server procps iproute2 curl docker.io docker-registry"
    [real]="ca-certificates curl"
    [browser]="chromium fonts-dejavu-core"
    [lint]="clang-tidy clang-format cppcheck codespell shellcheck universal-ctags binutils"
    [fuzz]="clang libclang-rt-14-dev"
    [cover]="gcovr"
    [bench]="valgrind wrk haproxy"
)

say() { printf '%s\n' "$*"; }
die() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}

# Services of these packages are not started: every test brings its own.
apt_install() {
    local policy=/usr/sbin/policy-rc.d
    [ "$(id -u)" = 0 ] || die "missing packages; as root: apt-get install $*"
    say "apt-get install $*"
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

need() {
    local set name missing=()
    for set in "$@"; do
        [ -n "${packages[$set]:-}" ] || die "no set of packages is called $set"
        for name in ${packages[$set]}; do
            [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
                missing+=("$name")
        done
        # NocoBase wants node 20, Debian has 18: npm brings a newer one (tests/stage/nocobase.sh).
        [ "$set" != real ] || command -v npm >/dev/null || missing+=(nodejs npm)
    done
    [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

# configure DIR [OPTION ...]: once; afterwards ninja sees itself what has changed.
configure() {
    local dir=$1
    shift
    [ -f "$dir/build.ninja" ] && return
    meson setup "$dir" "$@" >"$dir.log" 2>&1 || {
        tail -30 "$dir.log" >&2
        die "meson setup failed"
    }
    rm -f "$dir.log"
}

compile() {
    ninja -C "$1" --quiet "${@:2}" || die "it does not compile"
}

# Without output where there is nothing to run yet: tests_in FOLDER
tests_in() { compgen -G "$1/test_*.py" >/dev/null; }

# units DIR SUITES [NAME ...]: results go to DIR/meson-logs, the tally reads them there.
units() {
    local dir=$1 suites=$2 suite args=()
    shift 2
    for suite in $suites; do args+=(--suite "$suite"); done
    rm -f "$dir"/meson-logs/testlog*.json
    meson test -C "$dir" --no-rebuild --quiet --print-errorlogs --timeout-multiplier 3 \
        "${args[@]}" "$@" || true
}

# Flows wait most of the time: one a processor runs beside the others, each with its own ports and
# folders. Those that ask for more of the machine (an engine, a booted systemd) are one group.
side_by_side=(-n "${FERMATA_WORKERS:-$(nproc)}" --dist loadgroup)

# pythons RESULT FOLDER [ARGUMENT ...]
pythons() {
    local result=$1
    shift
    rm -f "$result"
    $python -m pytest -q -p no:cacheprovider --reruns "${FERMATA_RERUNS:-0}" -o junit_family=xunit2 \
        --junitxml="$result" "$@" || true
    [ -f "$result" ] || printf '<testsuite tests="1" failures="1"/>' >"$result"
}

# The closing line; its exit code is that of the word. tally FILE ...
tally() { $python tests/lint/tally.py "$@"; }

word_deps() {
    if [ $# = 0 ]; then set -- build test real browser lint fuzz cover bench; fi
    need "$@"
    say "deps: $* are here"
}

word_build() {
    need build
    configure "$FERMATA_BUILD"
    compile "$FERMATA_BUILD"
    say "build: programs and gate are in ${FERMATA_BUILD#"$PWD"/}"
}

word_test() {
    local results=("$FERMATA_BUILD/meson-logs")
    need build test
    word_build
    if [ $# -gt 0 ]; then
        units "$FERMATA_BUILD" "unit" "$@"
    else
        units "$FERMATA_BUILD" "unit sim"
        if tests_in tests/flow; then
            pythons "$FERMATA_BUILD/flow.xml" tests/flow "${side_by_side[@]}" -m "not slow"
            results+=("$FERMATA_BUILD/flow.xml")
        fi
    fi
    tally "${results[@]}"
}

python_word() {
    local folder=$1
    shift
    need build test
    word_build
    tests_in "tests/$folder" || die "tests/$folder has no tests"
    pythons "$FERMATA_BUILD/$folder.xml" "tests/$folder" "$@"
    tally "$FERMATA_BUILD/$folder.xml"
}

word_flow() { python_word flow "${side_by_side[@]}" "$@"; }
# nginx that nobody started as root; from a copy, as such a user may not read the checkout.
gate_as_nobody() {
    local copy tests=(tests/gate/test_{first,rides,reloads,survival,tabs,bypass,drain}.py)
    copy=$(mktemp -d)
    mkdir "$copy/tests" "$copy/out"
    cp -r tests/gate tests/conftest.py tests/pytest.ini "$copy/tests"
    cp "$FERMATA_BUILD/ngx_module/ngx_http_fermata_module.so" "$copy"
    chmod -R a+rX "$copy" && chmod 777 "$copy/out"
    (
        cd "$copy"
        FERMATA_GATE_MODULE=$copy/ngx_http_fermata_module.so HOME=/tmp \
            setpriv --reuid=65534 --regid=65534 --clear-groups \
            $python -m pytest -q -p no:cacheprovider -o junit_family=xunit2 --junitxml=out/gate.xml \
            -m "not slow" "${tests[@]}"
    ) || true
    cp "$copy/out/gate.xml" "$1" || printf '<testsuite tests="1" failures="1"/>' >"$1"
    rm -rf "$copy"
}

word_gate() {
    local results=("$FERMATA_BUILD/gate.xml")
    if [ $# -gt 0 ]; then
        python_word gate "$@"
        return
    fi
    need build test
    word_build
    pythons "${results[0]}" tests/gate -m "not slow"
    if [ "$(id -u)" = 0 ]; then
        results+=("$FERMATA_BUILD/gate-as-nobody.xml")
        gate_as_nobody "${results[1]}"
    fi
    tally "${results[@]}"
}

word_demo() {
    need build test real
    word_build
    $python tests/e2e/demo.py "$@"
}

word_e2e() {
    need build test real browser
    word_build
    $python tests/e2e/demo.py --tab "$@"
}

word_sim() {
    need build
    word_build
    if [ $# = 0 ]; then
        "$FERMATA_BUILD/tests/sim/fm-sim" --runs 100000
    else # a number: that many seeds, behind a thin sweep; or fm-sim's own options
        case $1 in
        -*) "$FERMATA_BUILD/tests/sim/fm-sim" "$@" ;;
        *) "$FERMATA_BUILD/tests/sim/fm-sim" --thin 50 --runs "$1" "${@:2}" ;;
        esac
    fi
}

word_fuzz() {
    local seconds=${1:-30} dir=$FERMATA_BUILD-fuzz
    need build fuzz
    CC=clang configure "$dir" -Dfuzz=true -Dngx_module=disabled -Dwerror=false -Db_lundef=false \
        -Db_sanitize=address,undefined
    compile "$dir" fuzzers
    tests/fuzz/run.sh "$dir/tests/fuzz" "$seconds"
}

word_bench() {
    local program said missed=()
    need build test real bench
    said=$(mktemp)
    word_build
    if [ $# -gt 0 ]; then
        [ -f "tests/bench/$1.py" ] || die "tests/bench has no $1"
        $python "tests/bench/$1.py" "${@:2}"
        return
    fi
    for program in tests/bench/*.py; do
        grep -q -e '--smoke' "$program" || continue # a part of another one
        say "bench: $(basename "$program" .py)"
        # So short a run says that the bench works; what it measures is no verdict, but is shown.
        if ! $python "$program" --smoke | tee "$said"; then
            grep -q 'NOT HELD' "$said" || die "bench $(basename "$program" .py) failed"
            missed+=("$(basename "$program" .py)")
        fi
    done
    rm -f "$said"
    say "bench: each has run${missed[*]:+; bars missed in these few seconds: ${missed[*]}}"
}

word_lint() {
    need build lint
    word_build
    tests/lint/lint.sh "$FERMATA_BUILD" "$@"
}

word_sanitize() {
    local dir=$FERMATA_BUILD-sanitize results
    need build test
    configure "$dir" -Db_sanitize=address,undefined
    compile "$dir"
    rm -rf "$dir/found" && mkdir "$dir/found"
    results=("$dir/meson-logs" "$dir/found")
    # What daemons find goes to files, which the tally counts as failures.
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
    units "$dir" "unit"
    if [ -x "$dir/tests/sim/fm-sim" ]; then
        "$dir/tests/sim/fm-sim" --thin 60 --runs 2000 || touch "$dir/found/sim"
    fi
    if tests_in tests/flow; then
        chmod 777 "$dir/found" # flows run programs as other users, too
        # Not those whose agent lives in a unit's sandbox: the sanitizers can write nothing there.
        ASAN_OPTIONS=$ASAN_OPTIONS:log_path=$dir/found/asan \
            UBSAN_OPTIONS=$UBSAN_OPTIONS:log_path=$dir/found/ubsan \
            FERMATA_BUILD=$dir pythons "$dir/flow.xml" tests/flow "${side_by_side[@]}" -m "not slow" \
            --ignore=tests/flow/test_systemd.py --ignore=tests/flow/test_unit.py
        results+=("$dir/flow.xml")
    fi
    # The module alone, in the distribution's nginx; each test reads what was found.
    FERMATA_GATE_ASAN=1 pythons "$dir/gate.xml" tests/gate -m "not slow"
    results+=("$dir/gate.xml")
    tally "${results[@]}"
}

word_coverage() {
    local dir=$FERMATA_BUILD-coverage
    need build cover
    configure "$dir" -Db_coverage=true -Dngx_module=disabled
    compile "$dir"
    find "$dir" -name '*.gcda' -delete
    units "$dir" "unit"
    "$dir/tests/sim/fm-sim" --thin 60 --runs 500
    gcovr --root . --object-directory "$dir" --exclude-unreachable-branches \
        --filter 'agent/core/' --filter 'proto/(base|wire|loop)/' \
        --filter 'coordinator/(run|steps|procedures|fleet)/' --txt "$dir/coverage.txt" \
        --fail-under-line 85 --print-summary "$dir" >"$dir/coverage.summary" || {
        cat "$dir/coverage.txt"
        die "less than 85 % of the cores' lines are reached"
    }
    cat "$dir/coverage.txt"
    say "coverage: $(grep '^lines' "$dir/coverage.summary")"
}

word_mutate() {
    need build test
    word_build
    $python tests/sim/mutate.py "$@"
}

word_golden() {
    need build test
    word_build
    if [ "${1:-}" = --accept ]; then export FERMATA_GOLDEN_ACCEPT=1; fi
    units "$FERMATA_BUILD" "golden"
    pythons "$FERMATA_BUILD/golden.xml" tests/gate/test_golden.py
    tally "$FERMATA_BUILD/meson-logs" "$FERMATA_BUILD/golden.xml"
}

word_docs() {
    local pages
    word_build
    pages=("$FERMATA_BUILD"/docs/*.[1-8])
    say "docs: ${#pages[@]} manual pages in ${FERMATA_BUILD#"$PWD"/}/docs"
}

word_install() {
    word_build
    meson install -C "$FERMATA_BUILD" --no-rebuild "$@"
    say "install: done"
}

word=${1:-}
[ $# = 0 ] || shift
case $word in
'' | -h | --help | help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" ;;
*)
    declare -F "word_$word" >/dev/null || die "no word is called $word; ./build.sh help"
    "word_$word" "$@"
    ;;
esac
