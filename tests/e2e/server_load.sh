#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oxcart serve on the demonstration model under load (server_load.c prints the TAP): 64 clients that stream and 8 that mean
# harm, more than may run and wait, and less memory than all they ask for needs.
#
#     server_load.sh [SECONDS [CLIENTS [GROWTH_MB]]]
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"
. "${abs_top_srcdir:-.}/tests/e2e/serve_lib.sh"

if "$oxcart" serve --max-body=0 2>&1 | grep -q 'built without'; then
    echo "1..0 # SKIP built without the HTTP server"
    exit 0
fi
serve -c 8192 --kv-memory=48M --max-body=1M --queue=40 --max-stall=500
"$build/tests/e2e/server_load" "$port" "$server" "${1-40}" "${2-64}" 500 "${3-16}" > "$work/load"
n_failed=$?
sed '/^1\.\./d' "$work/load"
n_run=$(grep -Ec '^(not )?ok ' "$work/load")
has "$(curl -s "$url/health")" '"ok"' "/health answers"
stop
is "$status" 0 "SIGTERM: 0"
has "$(grep -v '^oxcart: \(serving\|finishing\) ' "$work/serve")" '^$' "nothing is complained about"
done_testing
