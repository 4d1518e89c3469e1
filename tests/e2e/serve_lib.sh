# SPDX-License-Identifier: Apache-2.0
#
# What the tests of the server share: starting it on a free port, asking it with curl. Read with `.` after cli_lib.sh.
# shellcheck shell=sh disable=SC2034,SC2154
json='Content-Type: application/json'
raw=$build/tests/e2e/raw_client
server=

# serve OPTIONS: start a server; sets server (its process), url, port. Its messages are in $work/serve.
serve() {
    : > "$work/serve"
    "$oxcart" serve --port=0 "$@" 2> "$work/serve" &
    server=$!
    url=
    for i in 1 2 3 4 5 6 7 8 9 10; do
        for j in 1 2 3 4 5 6 7 8 9 10; do
            url=$(sed -n 's/^oxcart: serving .* at \(https*:.*\)$/\1/p' "$work/serve")
            [ -z "$url" ] || break 2
            kill -0 "$server" 2> /dev/null || break 2
            sleep 0.3
        done
    done
    port=${url##*:}
}

# stop [SIGNAL]: end the server; sets status.
stop() {
    status=0
    kill "-${1-TERM}" "$server" 2> /dev/null
    wait "$server" || status=$?
    server=
}
trap '[ -z "$server" ] || kill -9 "$server" 2> /dev/null; rm -rf "$work"' EXIT

# ask PATH CURL_OPTIONS: sets code, body and head.
ask() {
    path=$1
    shift
    : > "$work/body"
    : > "$work/head"
    code=$(curl -sS -o "$work/body" -D "$work/head" -w '%{http_code}' --max-time 60 "$@" "$url$path" 2> "$work/curl")
    body=$(cat "$work/body")
    head=$(tr -d '\r' < "$work/head")
}

# post PATH JSON CURL_OPTIONS
post() {
    path=$1
    data=$2
    shift 2
    ask "$path" -H "$json" -d "$data" "$@"
}

# metric NAME: its value.
metric() {
    curl -s "$url/metrics" | sed -n "s/^oxcart_$1 //p"
}

# await COMMAND: until it succeeds, at most 10 s.
await() {
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        ! "$@" || return 0
        sleep 0.5
    done
    return 1
}
is_idle() { [ "$(metric running)" = 0 ] && [ "$(metric queue)" = 0 ]; }
is_busy() { [ "$(metric running)" != 0 ]; }
