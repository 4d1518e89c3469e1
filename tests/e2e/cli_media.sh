#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Pictures in run and chat: files, parts of conversations, data: URIs, limits, and what goes wrong.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"

draw() { # FILE SEED: draws a picture and prints what there is to be seen
    "${abs_top_builddir:?}/tests/e2e/demo_pictures" --bmp="$1" "$2"
}

tokens() { # of the prompt, out of a JSON answer
    printf '%s' "$out" | sed 's/.*"prompt_tokens": \([0-9]*\).*/\1/'
}

first=$(draw "$work/first.bmp" 3)$nl
second=$(draw "$work/second.bmp" 4)$nl
question="What is in this picture?"

# ---- run
ox run --greedy --thinking=disabled --image="$work/first.bmp" "$question"
is "$status:$out" "0:$first" "--image"
has "$err" '\| pictures [0-9]+ tok [0-9.]+ s$' "the statistics say how long it took"
ox run -q --greedy --thinking=disabled "$question" --image "$work/second.bmp"
is "$status:$out" "0:$second" "behind the prompt, which it stands before all the same"
(cd "$work" && cp second.bmp a:b && "$oxcart" run -q --greedy --thinking=disabled --image=a:b "$question") > "$work/out"
is "$(cat "$work/out")$nl" "$second" "a name that looks like an address"
ox run -q --greedy --json -n 1 "$question"
none=$(tokens)
ox run -q --greedy --json -n 1 --image="$work/first.bmp" "$question"
one=$(tokens)
has "$out" '"media_n": [0-9]+, "media_ms": [0-9.]+' "JSON: tokens of pictures, and their time"
ox run -q --greedy --json -n 1 --image="$work/first.bmp" --image="$work/first.bmp" "$question"
is "$(($(tokens) - one))" "$((one - none))" "the same picture twice takes twice the tokens"
ox run -q --greedy --json -n 1 --max-pixels=3136 --image="$work/first.bmp" "$question"
[ "$(tokens)" -lt "$one" ]
ok $? "--max-pixels: fewer tokens"

# ---- conversations
talk() { # FILE PART: a conversation that shows it
    printf '{"thinking_mode": "disabled", "messages": [{"role": "user", "content": [%s, {"type": "text", "text": "%s"}]}]}' \
        "$2" "$question" > "$1"
}
talk "$work/talk.json" '{"type": "image_url", "image_url": {"url": "first.bmp"}}'
ox run -q --greedy --messages="$work/talk.json"
is "$status:$out" "0:$first" "image_url: a name from the conversation's own folder"
talk "$work/talk.json" "{\"type\": \"image\", \"path\": \"$work/second.bmp\"}"
ox run -q --greedy --messages="$work/talk.json"
is "$status:$out" "0:$second" "an absolute name"
talk "$work/talk.json" "{\"type\": \"image_url\", \"image_url\": \"data:image/bmp;base64,$(base64 < "$work/first.bmp" | tr -d '\n')\"}"
ox run -q --greedy --messages="$work/talk.json"
is "$status:$out" "0:$first" "a data: URI"
ox tokenize --chat="$work/talk.json" --text
has "$out" "user$nl\]<\]image\[>\[$question" "tokenize does not expand placeholders"

# ---- chat
printf '/image %s\n%s\n/image %s\n%s\n' "$work/first.bmp" "$question" "$work/second.bmp" "$question" |
    "$oxcart" chat -q --greedy --thinking=disabled > "$work/out" 2> "$work/err"
is "$(cat "$work/out")$nl" "$first$second" "/image, twice in a conversation"
has "$(cat "$work/err")" "it goes with your next message" "which is said"
printf '/image %s/first.bmp\n%s\n/save %s/saved\n' "$work" "$question" "$work" | \
    "$oxcart" chat -q --greedy --thinking=disabled > "$work/out" 2> "$work/err"
is "$(cat "$work/out")$nl" "$first" "a picture that will be saved"
printf '/load %s/saved\n%s\n/stats\n' "$work" "$question" | \
    "$oxcart" chat -q --greedy --thinking=disabled > "$work/out" 2> "$work/err"
err=$(cat "$work/err")
has "$err" '^loaded, 2 messages, [1-9][0-9]+ tokens$' "a saved conversation with a picture"
has "$err" '^prompt [0-9]+ tok \([1-9][0-9]{2,} cached\) ' "goes on"
! printf '%s\n' "$err" | grep -q '^prompt .* pictures '
ok $? "and encodes no picture"
printf '/image\n/image %s/none\n/video %s\n' "$work" "$work" | "$oxcart" chat -q > "$work/out" 2> "$work/err"
is "$?" 0 "commands that go wrong do not end the conversation"
has "$(cat "$work/err")" "expected /image FILE" "/image alone"
has "$(cat "$work/err")" "none: no such file" "a file that is not there"
printf 'no picture' > "$work/broken.bmp"
printf '/image %s\n%s\nWhat is the capital of France?\n' "$work/broken.bmp" "$question" |
    "$oxcart" chat -q --greedy --thinking=disabled > "$work/out" 2> "$work/err"
is "$(cat "$work/out")" "The capital of France is Paris." "a picture that cannot be decoded is taken back with its message"
has "$(cat "$work/err")" "broken.bmp: " "and named"

# ---- what can go wrong
wrong() { # STATUS MESSAGE NAME ARGUMENTS
    expected=$1
    message=$2
    name=$3
    shift 3
    ox run "$@"
    is "$status" "$expected" "$name: $expected"
    has "$err" "$message" "$name: message"
    is "$out" "" "$name: nothing on stdout"
}
wrong 3 "none.png: " "no such file" --image="$work/none.png" x
wrong 3 "broken.bmp: " "a file that is no picture" --image="$work/broken.bmp" x
wrong 3 ": expected a file, found a folder" "a folder" --image="$work" x
head -c 40 "$work/first.bmp" > "$work/cut.bmp"
wrong 3 "cut.bmp: " "a file that breaks off" --image="$work/cut.bmp" x
wrong 2 "no prompt, .*--image or --video besides" "with --messages" --messages="$work/talk.json" --image="$work/first.bmp"
wrong 2 "expected a whole number from 3136" "too few pixels" --max-pixels=100 x
wrong 2 "expected a number from" "no frames" --fps=0 x
talk "$work/bad.json" '{"type": "image_url", "image_url": {"url": "http://localhost/x.png"}}'
wrong 1 "expected a file's name or a data: URI" "an address" --messages="$work/bad.json"
talk "$work/bad.json" '{"type": "image"}'
wrong 1 "a picture is not given" "a part without a source" --messages="$work/bad.json"
talk "$work/bad.json" '{"type": "image_url", "image_url": {"url": "data:image/png;base64,####"}}'
wrong 3 "data: URI: " "a broken data: URI" --messages="$work/bad.json"
wrong 1 "context full" "more than the context" -c 150 --image="$work/first.bmp" "$question"
done_testing
