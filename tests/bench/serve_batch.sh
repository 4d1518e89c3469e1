#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Batched decode through the server: tokens a second of 1, 8 and 32 conversations that stream at once, and how many times
# that is what one gets. Of a random dense model of 1.2 GB, larger than the caches, unless another is named. Run by hand, from
# the build folder, on a machine that does nothing else.
#
#     serve_batch.sh [SECONDS [MODEL]]
set -eu
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
seconds=${1-20}
work=$(mktemp -d ./serve_batch.XXXXXX)
model=${2-$work/model}
server=
trap '[ -z "$server" ] || kill "$server" 2> /dev/null; rm -rf "$work"' EXIT
[ $# -ge 2 ] || ./tests/bench/make_model "$model" "$top/tests/demo/tokenizer.json" 1 4096 16384 5 mxfp8
./oxcart serve --port=0 -m "$model" -c 4096 --parallel=32 --queue=64 2> "$work/serve" &
server=$!
port=
until [ -n "$port" ]; do
    kill -0 "$server"
    sleep 0.2
    port=$(sed -n 's/^oxcart: serving .*:\([0-9]*\)$/\1/p' "$work/serve")
done
one=
for n in 1 8 32; do
    rate=$(./tests/bench/bench_http "$port" "$n" "$seconds")
    one=${one:-$rate}
    echo "$n $rate $one" | awk '{ printf "%2d conversations: %8.2f tok/s, %.2f times one\n", $1, $2, $2 / $3 }'
done
