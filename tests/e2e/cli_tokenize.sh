#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oxcart tokenize: sources, both directions, batches, JSON, conversations.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"

ox tokenize -p "Hello there"
is "$status:$err" "0:" "a text"
has "$out" '^[0-9]+( [0-9]+)*$' "ids on one line with blanks between"
ids=$out
printf 'Hello there' > "$work/text"
ox tokenize -f "$work/text"
is "$out" "$ids" "--file"
ox tokenize < "$work/text"
is "$out" "$ids" "standard input"
ox tokenize --decode -p "$ids"
is "$out" "Hello there" "--decode gives the bytes and nothing else"
printf ' %s\n\t' "${ids%"$nl"}" | tr ' ' '\n' > "$work/ids"
ox tokenize --decode -f "$work/ids"
is "$out" "Hello there" "any white space between ids"
printf '' > "$work/empty"
ox tokenize -f "$work/empty"
is "$out" "$nl" "no text, no ids"
printf 'line end\n' > "$work/text"
"$oxcart" tokenize -f "$work/text" | "$oxcart" tokenize --decode > "$work/back"
cmp -s "$work/text" "$work/back"
ok $? "a file's last line end counts"
head -c 20000 /dev/urandom > "$work/bytes"
"$oxcart" tokenize -f "$work/bytes" | "$oxcart" tokenize --decode > "$work/back"
cmp -s "$work/bytes" "$work/back"
ok $? "any bytes come back"
for bad in 'x' '1 -2' '1,2' '99999999999'; do
    ox tokenize --decode -p "$bad"
    is "$status:$out" "1:" "no ids: $bad"
    has "$err" "^oxcart: byte [0-9]+: expected a token id, found '" "its message"
done
ox tokenize --decode -p 999999
is "$status:$out" "0:" "an id without a token gives nothing"

# ---- added tokens
ox tokenize -p ']~b]ai'
recognised=$out
set -- $recognised
is "$#" 2 "an added token is recognised"
ox tokenize --no-special -p ']~b]ai'
[ "$out" != "$recognised" ]
ok $? "but not with --no-special"
ox tokenize --decode -p "$recognised"
is "$out" ']~b]ai' "it is decoded"
ox tokenize --decode --no-special -p "$recognised"
is "$out" 'ai' "but not with --no-special"

# ---- JSON
ox tokenize --json -p 'é'
has "$out" '^\[\{"id": [0-9]+, "text": "[^"]+", "bytes": \[[0-9]+(, [0-9]+)*\], "special": false\}' "--json"
ox tokenize --json -p ']~b]'
is "$out" "[{\"id\": ${recognised%% *}, \"text\": \"]~b]\", \"bytes\": [93, 126, 98, 93], \"special\": true}]$nl" "of a special token"
ox tokenize --json -f "$work/empty"
is "$out" "[]$nl" "of nothing"
printf '["Hello there", "", "]~b]ai"]' > "$work/batch"
ox tokenize --batch="$work/batch"
is "$out" "[[$(printf '%s' "$ids" | sed 's/ /, /g')], [], [$(printf '%s' "$recognised" | sed 's/ /, /g')]]$nl" "--batch"
printf '%s' "$out" > "$work/ids"
ox tokenize --batch="$work/ids" --decode
is "$out" "[\"Hello there\", \"\", \"]~b]ai\"]$nl" "--batch --decode"
printf '[[%s]]' "$("$oxcart" tokenize -f "$work/bytes" | cut -d ' ' -f 1-200 | sed 's/ /, /g')" > "$work/ids"
ox tokenize --batch="$work/ids" --decode
printf '%s' "$out" | grep -q "$(printf '\357\277\275')"
ok $? "bytes that are no UTF-8 become U+FFFD there"
for bad in 'x' '{}' '[5]' '["a", ["b"]]'; do
    printf '%s' "$bad" > "$work/bad"
    ox tokenize --batch="$work/bad"
    is "$status:$out" "1:" "no batch: $bad"
    has "$err" "^oxcart: $work/bad" "its message names the file"
done
printf '[["a"]]' > "$work/bad"
ox tokenize --batch="$work/bad" --decode
is "$status:$out" "1:" "ids that are none"

# ---- conversations
printf '{"messages": [{"role": "user", "content": "Say ]~b]ai"}], "thinking_mode": "disabled"}' > "$work/talk"
ox tokenize --chat="$work/talk" --text
has "$out" '^\]~!b\[\]~b\]system$' "--text is the prompt"
is "$(tail -c 18 "$work/out")" "]~b]ai$nl</mm:think>" "which ends as it should, no line end added"
ox tokenize --chat="$work/talk" --text --thinking=enabled
is "$(tail -c 17 "$work/out")" "]~b]ai$nl<mm:think>" "--thinking wins"
ox tokenize --chat="$work/talk"
has "$out" '^[0-9]+( [0-9]+)*$' "its ids"
apart=$(printf '%s' "$out" | wc -w)
"$oxcart" tokenize --decode -p "$out" > "$work/back"
"$oxcart" tokenize --chat="$work/talk" --text | cmp -s - "$work/back"
ok $? "are those of the prompt"
ox tokenize --chat="$work/talk" --allow-special
[ "$(printf '%s' "$out" | wc -w)" -lt "$apart" ]
ok $? "a caller's text is no control token, unless --allow-special"
ox tokenize --chat="$work/talk" --json
has "$out" '^\[\{"id": [0-9]+, "text": "\]~!b\[", ' "--chat --json"
OXCART_MODEL=$work/none ox tokenize --chat="$work/talk" --text
is "$status" 0 "--text needs no model"
printf '{"messages": [{"role": "user"}, {"role": "tool", "content": "x"}]}' > "$work/bad"
ox tokenize --chat="$work/bad" --text
is "$status:$out" "1:" "a malformed conversation: 1"
for together in "--chat=a --batch=b" "--chat=a -p x" "--chat=a --decode" "--text -p x" "--batch=a --json" "--thinking=enabled -p x"; do
    # shellcheck disable=SC2086
    ox tokenize $together
    is "$status:$out" "2:" "$together: 2"
done

# ---- what is needed of a model
mkdir "$work/model"
cp "$demo/tokenizer.json" "$work/model"
ox tokenize -m "$work/model" -p "Hello there"
is "$out" "$ids" "a folder with nothing but tokenizer.json"
ox tokenize -m "$work/model/tokenizer.json" -p "Hello there"
is "$out" "$ids" "the file itself"
printf '{}' > "$work/model/tokenizer.json"
ox tokenize -m "$work/model" -p "Hello there"
is "$status:$out" "3:" "one that is malformed: 3"
has "$err" "^oxcart: $work/model/tokenizer.json: " "its message"
done_testing
