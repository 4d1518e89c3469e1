#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oxcart serve with a cache folder, killed at random moments while clients stream, again and again: each time the next one
# comes up and answers as one does that never had a cache folder. Before every fourth start, files are damaged.
#
#     server_kill.sh [HOW OFTEN [SEED]]
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"
. "${abs_top_srcdir:-.}/tests/e2e/serve_lib.sh"

if "$oxcart" serve --max-body=0 2>&1 | grep -q 'built without'; then
    echo "1..0 # SKIP built without the HTTP server"
    exit 0
fi

# What a disk may do to files: other bytes, or the end is missing.
damage() {
    n=0
    for file in "$work"/cache/*.kv; do
        n=$((n + 1))
        case $((n % 6)) in
        1) printf 'damaged!' | dd of="$file" bs=1 seek=60000 conv=notrunc 2> /dev/null ;;
        4) truncate -s 60000 "$file" ;;
        esac
    done
}

rounds=${1-20}
seed=${2-1}
serve -c 4096 --kv-memory=32M
other=$server
other_port=$port
server=
trap 'kill -9 "$other" $server 2> /dev/null; rm -rf "$work"' EXIT
n_killed=0
n_up=0
n_asked=0
n_hits=0
n_wrong=0
n_cached=0
n_read=0
n_bad=0
round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    # Room for all histories, or for a part of them, so that files are removed as well.
    [ $((round % 3)) -eq 0 ] && size=8M || size=64M
    serve -c 4096 --kv-memory=32M --cache-dir="$work/cache" --cache-size="$size"
    "$build/tests/e2e/server_kill" kill "$port" "$server" $((seed * 1000 + round))
    stop KILL
    [ "$status" -ne 137 ] || n_killed=$((n_killed + 1))
    [ $((round % 4)) -ne 0 ] || damage
    serve -c 4096 --kv-memory=32M --cache-dir="$work/cache" --cache-size="$size"
    [ "$(curl -s "$url/health")" != '{"status":"ok"}' ] || n_up=$((n_up + 1))
    "$build/tests/e2e/server_kill" look "$port" "$other_port" $((seed * 1000 + round)) > "$work/look"
    grep '^#' "$work/look"
    n_wrong=$((n_wrong + $(sed -n 's/^wrong \([0-9]*\) .*/\1/p' "$work/look")))
    cached=$(sed -n 's/^wrong .* cached //p' "$work/look")
    n_cached=$((n_cached + cached))
    [ "$cached" = 0 ] || n_hits=$((n_hits + 1))
    n_asked=$((n_asked + 8))
    n_read=$((n_read + $(metric cache_read_blocks_total)))
    n_bad=$((n_bad + $(metric cache_bad_blocks_total)))
    [ $((round % 2)) -eq 0 ] && stop KILL || stop
    [ $((round % 10)) -ne 0 ] || echo "# round $round: $n_up up, $n_wrong wrong, $n_hits continued, $n_bad blocks refused"
done
is "$n_killed" "$rounds" "servers were killed while they answered"
is "$n_up" "$rounds" "every restart came up"
is "$n_wrong" 0 "of $n_asked answers none is wrong"
[ "$n_hits" -gt $((rounds / 2)) ]
ok $? "$n_hits of $rounds restarts continued from the folder: $n_cached tokens, $n_read blocks read"
[ "$n_bad" -gt 0 ]
ok $? "$n_bad damaged ones were refused"
kill "$other"
status=0
wait "$other" || status=$?
is "$status" 0 "the other server ends with 0"
done_testing
