# SPDX-License-Identifier: Apache-2.0
#
# What the end-to-end tests of the command line share: running oxcart with its two streams and status kept, and TAP.
# Read with `.`; ends with done_testing.
# shellcheck shell=sh disable=SC2034
set -u
LC_ALL=C
export LC_ALL
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${abs_top_builddir:-.}
oxcart=$build/oxcart
demo=$top/tests/demo
OXCART_MODEL=$demo
export OXCART_MODEL
TERM=dumb
export TERM
unset NO_COLOR XDG_STATE_HOME POSIXLY_CORRECT
n_run=0
n_failed=0
work=$(mktemp -d "$build/${0##*/}.XXXXXX") || exit 1
HOME=$work
export HOME
trap 'rm -rf "$work"' EXIT

# ok STATUS NAME: one check.
ok() {
    n_run=$((n_run + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n_run - $2"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $n_run - $2"
    fi
}

# is FOUND EXPECTED NAME
is() {
    [ "$1" = "$2" ]
    ok $? "$3"
    [ "$1" = "$2" ] || printf 'found:    %s\nexpected: %s\n' "$1" "$2" | sed 's/^/# /'
}

# has TEXT PATTERN NAME: an extended regular expression.
has() {
    printf '%s\n' "$1" | grep -Eq -- "$2"
    has_status=$?
    ok $has_status "$3"
    [ $has_status -eq 0 ] || printf 'found:    %s\nexpected: %s\n' "$1" "$2" | sed 's/^/# /'
}

# What takes longer than a second shows its progress: on a slow machine anything does.
without_progress() {
    sed -E '/^[a-z ]+ [0-9.]+( GB)?\/[0-9.]+ [A-Za-z]+ \([0-9.]+ %\) [0-9.]+ [A-Za-z]+\/s$/d'
}

# ox ARGUMENTS: run with standard input as it is; sets out, err (without progress) and status. A final line end of out is
# kept as ".".
ox() {
    status=0
    "$oxcart" "$@" > "$work/out" 2> "$work/err" || status=$?
    out=$(cat "$work/out"; echo .)
    out=${out%.}
    err=$(without_progress < "$work/err")
}

skip() {
    n_run=$((n_run + 1))
    echo "ok $n_run - $1 # SKIP $2"
}

# on_terminal COMMAND: run a shell command line with a terminal at all three streams; its output, carriage returns left
# out, in $out. Wants a script(1).
on_terminal() {
    status=0
    TERM=xterm script -qec "$1" /dev/null > "$work/terminal" 2>&1 || status=$?
    out=$(tr -d '\r' < "$work/terminal")
}

have_terminal() {
    command -v script > /dev/null && script -qec true /dev/null < /dev/null > /dev/null 2>&1
}

nl='
'

done_testing() {
    echo "1..$n_run"
    [ "$n_failed" -eq 0 ]
    exit
}
