#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oxcart bench on the demonstration model and on synthetic ones: form of both outputs, streams, and refusals. What the
# numbers mean is tested by unit/test_benchmark.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"

small=m3,layers=3,hidden=64,inter=32,dense_inter=96,shared_inter=64,heads=4,kv_heads=2,head_dim=32,rotary_dim=16
small=$small,index_dim=16,experts=6,used=2,vocab=50,block=8,topk_blocks=3
few="--prompt=20 --predict=3 --repeat=1"

# ---- JSON: pieces of the object in their order
# shellcheck disable=SC2086
ox bench $few --depth=0,100 --batch=1,2 --json
is "$status:$err" "0:" "a model, JSON: 0, stderr silent"
is "$(printf '%s' "$out" | tr -d '[:space:]' | sed 's/[0-9][-+.e0-9]*/0/g; s/"cpu_level":"[a-z0-9]*"/"cpu_level":"?"/
    s/"matmul_unit":"[-a-z0-9]*"/"matmul_unit":"?"/
    s/\("share_of_read":0}}\).*/\1/')" \
"{\"model\":\"demo\",\"format\":\"mxfp0\",\"threads\":0,\"cpu_level\":\"?\",\"rounds\":0,\
\"machine\":{\"read_bytes_s\":{\"median\":0,\"min\":0,\"max\":0},\"matmul_flops_s\":{\"median\":0,\"min\":0,\"max\":0},\
\"matmul_unit\":\"?\"},\"results\":[{\"depth\":0,\"batch\":0,\"prompt\":0,\"predict\":0,\
\"prefill\":{\"tok_s\":{\"median\":0,\"min\":0,\"max\":0},\"flops_per_token\":0,\"share_of_matmul\":0},\
\"decode\":{\"tok_s\":{\"median\":0,\"min\":0,\"max\":0},\
\"bytes_per_token\":{\"experts\":0,\"shared\":0,\"dense\":0,\"attention\":0,\"index\":0,\"kv\":0,\"head\":0,\"total\":0},\
\"share_of_read\":0}}" "the object begins as the manual says"
is "$(printf '%s' "$out" | grep -c '"depth"')" 4 "two depths, two batches"
is "$(printf '%s' "$out" | tr ',' '\n' | grep -c extrapolation)" 0 "nothing to extrapolate"
has "$out" '"depth": 100, "batch": 2, "prompt": 20, "predict": 3' "the last of them"

# ---- CSV
# shellcheck disable=SC2086
ox bench $few --synthetic=$small --depth=0,1000 --batch=2
is "$status:$err" "0:" "a synthetic model, CSV: 0, stderr silent"
is "$(wc -l < "$work/out" | tr -d ' ')" 3 "a header and a line for each depth"
has "$(head -1 "$work/out")" "^model,format,threads,cpu_level,rounds,depth,batch,prompt,predict,prefill_tok_s," "the header"
has "$(head -1 "$work/out")" ",extrapolated_layers," "extrapolation has columns"
has "$(sed -n 3p "$work/out")" "^\"synthetic $small\",mxfp8,[0-9]+,[a-z0-9]+,1,1000,2,20,3," "the second line"
# shellcheck disable=SC2086
ox bench $few --synthetic=$small,format=f32 --depth=0 -t 1 --cpu-level=c --kv=f32
has "$(sed -n 2p "$work/out")" "^\"synthetic $small,format=f32\",f32,1,c,1,0,1,20,3," "options count"

# ---- what can go wrong
wrong() { # STATUS MESSAGE NAME ARGUMENTS
    expected=$1
    message=$2
    name=$3
    shift 3
    ox bench "$@"
    is "$status" "$expected" "$name: $expected"
    has "$err" "$message" "$name: message"
    is "$out" "" "$name: nothing on stdout"
}
wrong 2 "--depth: expected whole numbers from 0 on, separated by commas, found '0,,5'" "empty depth" --depth=0,,5
wrong 2 "--depth: .* found 'x'" "no number" --depth=x
wrong 2 "--depth: .* found ''" "no depth" --depth=
wrong 2 "--depth: .* found '99999999999'" "no such depth" --depth=99999999999
wrong 2 "--batch: expected whole numbers from 1 on, .* found '0'" "no batch" --batch=0
wrong 2 "--batch: expected at most 64 numbers" "too many batches" --batch="$(yes 1 | head -65 | paste -sd, -)"
wrong 2 "batch: expected 1 to 4096 timelines, found 5000" "too wide a batch" --synthetic=$small --batch=5000
wrong 2 "--repeat: expected a whole number from 1" "no round" --repeat=0
wrong 2 "depth 65536 with 512 more tokens exceeds the model's 65536 positions" "too deep" --depth=0,65536
wrong 2 "depth 2000000 with 512 more tokens exceeds the model's 1048576 positions" "too deep a synthetic model" \
    --synthetic=m3 --depth=2000000
wrong 2 "found both" "two models" --synthetic=m3 -m "$demo"
wrong 2 "synthetic model: expected m3\[,NAME=VALUE\]" "unknown shapes" --synthetic=m4
wrong 2 "synthetic model: layers: expected a number from 1 to 1024, found \"0\"" "no layers" --synthetic=m3,layers=0
wrong 2 "takes no operand" "an operand" x
wrong 3 "no-model" "a model that is not there" -m "$work/no-model"
wrong 4 "not enough memory: weights .* GiB are missing" "more than any machine has" \
    --synthetic=m3,layers=1024,experts=4096,hidden=65536
wrong 4 "GiB are missing" "more cache than any machine has" --synthetic=$small --depth=1000000 --batch=4096
done_testing
