#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The official clients of OpenAI and Anthropic, installed by npm into the build folder (packages nodejs, npm), against oxcart
# serve: starts the server for clients/clients.mjs, which prints the TAP.
home=$HOME
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"
. "${abs_top_srcdir:-.}/tests/e2e/serve_lib.sh"

skip() {
    echo "1..0 # SKIP $*"
    exit 77
}
for program in node npm; do
    command -v $program > /dev/null || skip "no $program"
done
node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' || skip "node is older than 18"
"$oxcart" serve --help > /dev/null 2>&1 || skip "no server in this build"

# npm with the user's own settings, which may name another registry.
npm() {
    HOME=$home command npm --no-audit --no-fund --ignore-scripts --fetch-retries=1 --fetch-timeout=60000 "$@"
}

clients=$top/tests/e2e/clients
installed=$build/clients_run
mkdir -p "$installed"
cp "$clients/package.json" "$clients/clients.mjs" "$installed"
if ! cmp -s "$clients/package-lock.json" "$installed/package-lock.json" || [ ! -d "$installed/node_modules" ]; then
    rm -rf "$installed/node_modules"
    cp "$clients/package-lock.json" "$installed"
    if ! (cd "$installed" && npm ci) > "$work/npm" 2>&1; then
        rm -f "$installed/package-lock.json"
        npm view openai version > /dev/null 2>&1 || skip "npm reaches no registry"
        sed 's/^/# /' "$work/npm"
        ok 1 "npm installs the clients"
        done_testing
        exit 1
    fi
fi

serve
[ -n "$url" ] || sed 's/^/# /' "$work/serve"
status=0
node "$installed/clients.mjs" "$url" || status=$?
stop
exit $status
