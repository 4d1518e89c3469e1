#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oxcart serve on the demonstration model under load (server_load.c prints the TAP): 64 clients that stream and 8 that mean
# harm, more than may run and wait, and less memory than all they ask for needs; then a quarter of the time with so little
# memory that answers pause.
#
#     server_load.sh [SECONDS [CLIENTS [GROWTH_MB]]]
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"
. "${abs_top_srcdir:-.}/tests/e2e/serve_lib.sh"

if "$oxcart" serve --max-body=0 2>&1 | grep -q 'built without'; then
    echo "1..0 # SKIP built without the HTTP server"
    exit 0
fi

# load SECONDS CLIENTS GROWTH_MB SEED PAUSES OPTIONS
load() {
    for_load="$1 $2 500 $3 $4 $5"
    shift 5
    serve --max-body=1M --queue=40 --max-stall=500 "$@"
    # shellcheck disable=SC2086
    "$build/tests/e2e/server_load" "$port" "$server" $for_load > "$work/load"
    n_wrong=$?
    sed -E "/^1\.\./d; s/^((not )?ok) [0-9]+/\1/" "$work/load"
    n_run=$((n_run + $(grep -Ec '^(not )?ok ' "$work/load")))
    [ "$n_wrong" -eq 0 ] || n_failed=$((n_failed + 1))
    has "$(curl -s "$url/health")" '"ok"' "/health answers"
    stop TERM
    is "$status" 0 "SIGTERM: 0"
    has "$(grep -v '^oxcart: \(serving\|finishing\) ' "$work/serve")" '^$' "nothing is complained about"
}
seconds=${1-40}
load "$seconds" "${2-64}" "${3-16}" 1 0 -c 8192 --kv-memory=48M
load $((seconds / 4 + 5)) "${2-64}" "${3-16}" 2 1 -c 4096 --kv-memory=16M --parallel=24
done_testing
