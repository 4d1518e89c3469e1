#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oxcart trace on the demonstration model: the file does not depend on chunks and threads, choices are taken, and what
# goes wrong is said. That the numbers are right is tested by unit/test_trace.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"

ids=$work/ids
awk 'BEGIN { x = 7; for (i = 0; i < 150; i++) { x = (x * 75 + 74) % 65537; print x % 2000 } }' > "$ids"

trace() { # NAME ARGUMENTS: to $work/NAME
    name=$1
    shift
    ox trace --tokens="$ids" --out="$work/$name" "$@"
}

same() { # A B NAME
    cmp -s "$work/$1" "$work/$2"
    ok $? "$3"
}

trace whole --greedy=3
is "$status:$out$err" "0:" "a trace: 0, both streams silent"
header=$(head -c 20000 "$work/whole" | tr -d '\0')
has "$header" '"tokens"' "tokens are in it"
has "$header" '"dtype":"I32","shape":\[150\]' "all of them"
has "$header" '"dtype":"F32","shape":\[16,2048\]' "logits of the last 16 positions"
has "$header" '"dtype":"F32","shape":\[7,16,256\]' "hidden rows of 6 layers and the last output"
has "$header" '"dtype":"I32","shape":\[150,2,4\]' "chosen blocks"
has "$header" '"dtype":"I32","shape":\[150,2\]' "chosen experts"
has "$header" '"dtype":"I32","shape":\[3\]' "three tokens that follow"

for chunk in 1 7 128; do
    trace part --greedy=3 --chunk=$chunk
    same whole part "chunks of $chunk: the same bytes"
done
for threads in 1 3; do
    trace part --greedy=3 -t $threads
    same whole part "$threads threads: the same bytes"
done
trace part --greedy=3 --choices="$work/whole"
same whole part "its own choices: the same bytes"
trace part --greedy=3 --kv=bf16
if cmp -s "$work/whole" "$work/part"; then false; else true; fi
ok $? "a cache in BF16: other bytes"
trace part --positions=200
has "$(head -c 20000 "$work/part" | tr -d '\0')" '"shape":\[150,2048\]' "no more positions than tokens"
ox trace --tokens=- --out="$work/part" --greedy=3 < "$ids"
same whole part "ids from standard input: the same bytes"
printf '5\t6\r\n  7' > "$work/few"
ox trace --tokens="$work/few" --out="$work/part"
is "$status" 0 "any white space separates ids"

# ---- what can go wrong
wrong() { # STATUS MESSAGE NAME ARGUMENTS
    expected=$1
    message=$2
    name=$3
    shift 3
    rm -f "$work/none"
    ox "$@"
    is "$status" "$expected" "$name: $expected"
    has "$err" "$message" "$name: message"
    is "$out" "" "$name: nothing on stdout"
    [ ! -e "$work/none" ]
    ok $? "$name: no file"
}
wrong 2 "expected --tokens=FILE and --out=FILE" "no ids" trace --out="$work/none"
wrong 2 "expected --tokens=FILE and --out=FILE" "no file to write" trace --tokens="$ids"
wrong 2 "takes no operand" "an operand" trace --tokens="$ids" --out="$work/none" x
wrong 2 "expected one of bf16\|f32" "wrong cache" trace --tokens="$ids" --out="$work/none" --kv=q8
wrong 2 "expected a whole number from 1" "no chunk" trace --tokens="$ids" --out="$work/none" --chunk=0
wrong 2 "CPU level \"mmx\" is not known" "unknown level" trace --tokens="$ids" --out="$work/none" --cpu-level=mmx
wrong 1 "missing: " "no file of ids" trace --tokens="$work/missing" --out="$work/none"
printf '1 2 3x 4' > "$work/bad"
wrong 1 "bad: id 2, at byte 4: expected a number from 0 to 2147483647, found \"3x\"" "no number" \
    trace --tokens="$work/bad" --out="$work/none"
printf '1 -2' > "$work/bad"
wrong 1 "id 1, at byte 2: .* found \"-2\"" "negative id" trace --tokens="$work/bad" --out="$work/none"
printf '1 2048' > "$work/bad"
wrong 1 "bad: tokens: id 2048 at position 1 is not in 0 to 2047" "id beyond the vocabulary" \
    trace --tokens="$work/bad" --out="$work/none"
: > "$work/bad"
wrong 1 "bad: expected token ids, found none" "empty file" trace --tokens="$work/bad" --out="$work/none"
wrong 1 "exceed|expected 1 to 65536" "more than the model's positions" \
    trace --tokens="$ids" --out="$work/none" --greedy=70000
wrong 1 "no-folder" "a folder that is not there" trace --tokens="$ids" --out="$work/no-folder/x"
wrong 1 "ids" "choices that are no tensors" trace --tokens="$ids" --out="$work/none" --choices="$ids"
printf '5 6' > "$work/two"
wrong 1 "tensor blocks\.1: expected I32 \[2, 2, 4\]" "choices for other tokens" \
    trace --tokens="$work/two" --out="$work/none" --choices="$work/whole"
wrong 3 "no-model" "a model that is not there" trace --tokens="$ids" --out="$work/none" -m "$work/no-model"
done_testing
