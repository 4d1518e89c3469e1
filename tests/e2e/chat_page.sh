#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The chat page in a real browser (packages chromium, chromium-driver, nodejs): starts a server, one that wants a key, and
# ChromeDriver, for chat_page.mjs.
set -u
LC_ALL=C.UTF-8
export LC_ALL
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${abs_top_builddir:-.}

skip() {
    echo "1..0 # SKIP $*"
    exit 77
}
for program in chromium chromedriver node; do
    command -v $program >/dev/null || skip "no $program"
done
"$build/oxcart" serve --help >/dev/null 2>&1 || skip "no server in this build"

work=$(mktemp -d "$build/chat_page.XXXXXX") || exit 1
work=$(cd "$work" && pwd)
pids=
# shellcheck disable=SC2086,SC2317
finish() {
    test -z "$pids" || kill $pids 2>/dev/null
    wait
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# Wait until FILE has a line that the pattern matches; print what it takes out of it.
wait_for() { # FILE PATTERN
    for _ in $(seq 300); do
        found=$(sed -n "s/$2/\\1/p" "$1" | head -1)
        if test -n "$found"; then
            echo "$found"
            return
        fi
        sleep 0.1
    done
    sed 's/^/# /' "$1" >&2
    return 1
}

serve() { # NAME OPTIONS...
    name=$1
    shift
    "$build/oxcart" serve -m "$top/tests/demo" --port=0 "$@" >/dev/null 2>"$work/$name" &
    pids="$pids $!"
    wait_for "$work/$name" '.*serving .* at \(http:[^ ]*\).*'
}

key=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
echo "$key" >"$work/keys"
HOME=$work
export HOME
# In the order of use; a function in $(...) could not keep the process ids.
if ! serve open >"$work/open.url" || ! serve guarded --api-key-file="$work/keys" >"$work/guarded.url"; then
    echo 'Bail out! the server does not start'
    exit 1
fi
chromedriver --port=0 >"$work/driver" 2>&1 &
pids="$pids $!"
port=$(wait_for "$work/driver" '.*started successfully on port \([0-9]*\).*') || {
    echo 'Bail out! ChromeDriver does not start'
    exit 1
}
seen=$("$build/tests/e2e/demo_pictures" --bmp="$work/picture.bmp" 3) || exit 1

# Without a sandbox of its own as root, and where there are no user namespaces.
node "$top/tests/e2e/chat_page.mjs" "http://127.0.0.1:$port" "$(cat "$work/open.url")" "$(cat "$work/guarded.url")" "$key" \
    "$work" "$work/picture.bmp" "$seen" --no-sandbox --disable-dev-shm-usage --user-data-dir="$work/profile"
status=$?
# What a test saw when it failed.
for picture in "$work"/test*.png; do
    test ! -e "$picture" || cp "$picture" "$build/"
done
exit $status
