#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The verbs that look at models and machines: inspect, doctor, score, trace, bench.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"

# ---- inspect
ox inspect
is "$status:$err" "0:" "inspect"
is "$(head -1 "$work/out")" "$(head -1 "$work/out" | grep -E '^[a-z_.0-9]+  [A-Z0-9_]+  \[[0-9, ]*\]  [0-9]+$')" "name, format, shape, bytes"
has "$out" '^language_model\.lm_head\.weight  BF16  \[2048, 256\]  1048576$' "a tensor"
has "$out" '^F8_E4M3  172 tensors  7028736 bytes$' "the sum of a format"
has "$out" '^all  450 tensors  12875488 bytes$' "the sum of all"
has "$out" 'model\.safetensors  12936992 bytes$' "the file"
has "$out" '^layers 6 \(5 with experts, 5 with sparse attention\), hidden 256, vocabulary 2048$' "the model's numbers"
plain=$out
ox inspect "$demo"
is "$out" "$plain" "the model as an operand"
ox inspect "$demo" "$demo"
is "$status" 2 "two models: 2"
ox inspect --json
has "$out" '^ "bytes": 12875488,$' "--json: bytes"
is "$(grep -c '^   "dtype": ' "$work/out")" 450 "every tensor"
has "$out" '^  "topk_blocks": 4,$' "numbers of the configuration"
has "$out" '^  "vision": true$' "the model can see"
mkdir "$work/blind"
cp "$demo"/*.json "$work/blind"
sed -e 's/vision_tower\./vision-tower./g' -e 's/multi_modal_proj/multi-modal-proj/g' -e 's/patch_merge_mlp/patch-merge-mlp/g' \
    "$demo/model.safetensors" > "$work/blind/model.safetensors"
ox inspect --json -m "$work/blind"
has "$out" '^  "vision": false$' "without the tower's tensors it cannot"
ox inspect -m "$work/blind"
has "$out" '^layers 6 ' "without --json too"
is "$(grep -c '^vision tower' "$work/out")" 0 "nothing is said of a tower"
ox inspect --verify
is "$status:$out" "0:450 tensors, 12875488 bytes read: 0 bad$nl" "--verify finds nothing"
mkdir "$work/model"
cp "$demo"/*.json "$work/model"
# The last bytes of the file are those of a BF16 matrix: make one a NaN.
head -c 12936990 "$demo/model.safetensors" > "$work/model/model.safetensors"
printf '\377\177' >> "$work/model/model.safetensors"
ox inspect --verify -m "$work/model"
is "$status" 3 "--verify finds a NaN: 3"
has "$out" '^patch_merge_mlp\.linear_2\.bias: .*NaN' "where it is"
has "$out" ': 1 bad$' "how many"
ox inspect --verify --json -m "$work/model"
is "$status" 3 "the same as JSON"
has "$out" '"tensor": "patch_merge_mlp\.linear_2\.bias",' "where it is"
sed 's/"hidden_size": 256/"hidden_size": 128/' "$demo/config.json" > "$work/model/config.json"
ox inspect --verify -m "$work/model"
is "$status" 3 "shapes that do not fit the configuration: 3"
has "$out" ': 2 bad$' "are one finding more"
printf '{"text_config": 5}' > "$work/model/config.json"
ox inspect -m "$work/model"
is "$status:$out" "3:" "a malformed configuration: 3"
ox inspect -m "$demo/model.safetensors"
is "$status" 0 "a single file"

# ---- doctor
ox doctor
is "$status:$err" "0:" "doctor"
for word in processor 'CPU level' levels caches cores 'node 0' memory 'huge pages' limits GPUs; do
    has "$out" "^$word +[^ ]" "says: $word"
done
has "$out" '^MiniMax-M3 MXFP8 +448\.2 GB with 32768 tokens of context: (fits|does not fit, [0-9.]+ GB are missing)$' "what fits"
ox doctor --json
for key in cpu cpu_level cpu_levels threads caches nodes memory_bytes available_bytes huge_pages huge_page_bytes locked_memory_limit address_space_limit gpus models; do
    has "$out" "^ \"$key\": " "as JSON: $key"
done

# ---- score
ox score -p "The capital of France is Paris."
is "$status" 0 "score"
has "$out" '^tokens 7  loglik -[0-9]+\.[0-9]{4}  per token -[0-9]+\.[0-9]{4}  perplexity [0-9]+\.[0-9]{4}$' "its line"
is "$(printf '%s\n' "$out" | awk 'NF { printf "%.2f", $4 / ($2 - 1) }')" "$(printf '%s\n' "$out" | awk 'NF { printf "%.2f", $7 }')" "per token is loglik by tokens but the first"
is "$(printf '%s\n' "$out" | awk 'NF { printf "%.0f", exp(-$7) }')" "$(printf '%s\n' "$out" | awk 'NF { printf "%.0f", $9 }')" "perplexity is its exponential"
one=$out
printf 'The capital of France is Paris.' > "$work/text"
ox score -t 1 < "$work/text"
is "$out" "$one" "standard input, one thread: the same"
ox score --json -f "$work/text"
has "$out" '^\{"tokens": 7, "scored": 6, "loglik": -[0-9.]+, "per_token": -[0-9.]+, "perplexity": [0-9.]+, "token_logprobs": \[\{"id": [0-9]+, "logprob": null\}, \{"id": [0-9]+, "logprob": -[0-9.]+\}' "--json"
ox score -p ']~b]ai'
special=$out
ox score --no-special -p ']~b]ai'
[ "$special" != "$out" ]
ok $? "--no-special"
ox score -p x
is "$status:$out" "1:" "a text of one token: 1"
ox score -c 5 -f "$work/text"
is "$status:$out" "1:" "a text above the context: 1"

# ---- trace
"$oxcart" tokenize -p "The capital of France is" > "$work/ids"
ox trace --tokens="$work/ids" --out="$work/all.st" --greedy=4
is "$status:$out:$err" "0::" "trace"
ox inspect "$work/all.st"
for tensor in 'tokens  I32  \[5\]' 'positions  I32  \[5\]' 'logits  F32  \[5, 2048\]' 'hidden  F32  \[7, 5, 256\]' \
    'blocks\.1  I32  \[5, 2, 4\]' 'experts\.5  I32  \[5, 2\]' 'expert_weights\.1  F32  \[5, 2\]' 'greedy  I32  \[4\]'; do
    has "$out" "^$tensor  [0-9]+$" "it holds $tensor"
done
ox trace --tokens="$work/ids" --out="$work/one.st" --greedy=4 --chunk=1 -t 1
cmp -s "$work/all.st" "$work/one.st"
ok $? "token by token and with one thread: the same bits"
ox trace --tokens="$work/ids" --out="$work/chosen.st" --choices="$work/all.st" --kv=bf16 --positions=2
is "$status" 0 "--choices, --kv=bf16, --positions"
printf '5 x' > "$work/bad"
ox trace --tokens="$work/bad" --out="$work/bad.st"
is "$status" 1 "ids that are none: 1"
[ ! -e "$work/bad.st" ]
ok $? "and no file"
ox trace --tokens="$work/ids" --out="$work/none/x.st"
is "$status" 1 "a file that cannot be written: 1"

# ---- bench
ox bench --prompt=8 --predict=4 --depth=0,32 --repeat=2 --json -q
is "$status" 0 "bench"
for key in model format threads cpu_level rounds machine read_bytes_s matmul_flops_s matmul_unit results depth batch prompt predict prefill tok_s flops_per_token share_of_matmul decode bytes_per_token experts shared dense attention index kv head total share_of_read; do
    has "$out" "\"$key\": ?" "its JSON has $key"
done
ox bench --prompt=8 --predict=4 --depth=0 --repeat=1 --synthetic=m3,layers=2,hidden=256,inter=128,experts=4
is "$status" 0 "bench --synthetic"
[ "$(wc -l < "$work/out")" -ge 2 ] && [ "$(head -1 "$work/out" | tr ',' '\n' | wc -l)" -gt 5 ]
ok $? "CSV with a head line"
ox bench --synthetic=m4
is "$status" 2 "a shape that there is not: 2"
ox bench --depth=a
is "$status" 2 "a depth that is no number: 2"
done_testing
