#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oxcart run on the demonstration model: sources of the prompt, plain and JSON output, sampling, thinking, calls, Ctrl-C.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"

paris="The capital of France is Paris.$nl"
question="What is the capital of France?"

# ---- where the prompt comes from
ox run --greedy "$question"
is "$status:$out" "0:$paris" "an operand"
has "$err" '^prompt [0-9]+ tok \(0 cached\) [0-9]+\.[0-9] tok/s \| first token [0-9.]+ s \| generated [0-9]+ tok [0-9]+\.[0-9][0-9] tok/s \| memory [0-9.]+ [GM]iB$' "the statistics"
is "$(printf '%s\n' "$err" | wc -l)" 1 "and nothing else on stderr"
ox run What is --greedy the -q capital of France?
is "$out:$err" "$paris:" "operands joined, options between"
ox run -q --greedy -p "$question"
is "$out" "$paris" "--prompt"
printf '%s\n' "$question" > "$work/prompt"
ox run -q --greedy --file="$work/prompt"
is "$out" "$paris" "--file"
ox run -q --greedy -f - < "$work/prompt"
is "$out" "$paris" "--file=-"
ox run -q --greedy < "$work/prompt"
is "$out" "$paris" "standard input"
ox -q --greedy < "$work/prompt"
is "$out" "$paris" "no verb, standard input is no terminal"
ox --greedy -q -p "$question" < /dev/null
is "$out" "$paris" "no verb, but --prompt"
plain=$("$oxcart" run -q --greedy --json "$question" | sed 's/.*"prompt_tokens": \([0-9]*\).*/\1/')
lines=$("$oxcart" run -q --greedy --json < "$work/prompt" | sed 's/.*"prompt_tokens": \([0-9]*\).*/\1/')
is "$lines" "$plain" "a file's last line end is no part of the prompt"
printf 'Hi \377 \000 there' > "$work/bytes"
ox run -q --greedy -n 4 -f "$work/bytes"
is "$status" 0 "bytes that are no text"

# ---- JSON
ox run -q --greedy --json "$question"
has "$out" '^\{"content": "The capital of France is Paris\.", "finish_reason": "stop", "usage": \{"prompt_tokens": [0-9]+, "completion_tokens": [0-9]+, "total_tokens": [0-9]+, "prompt_tokens_details": \{"cached_tokens": 0\}, "completion_tokens_details": \{"reasoning_tokens": 0\}\}, "timings": \{"cache_n": 0, "prompt_n": [0-9]+, "prompt_ms": [0-9.]+, "prompt_per_token_ms": [0-9.]+, "prompt_per_second": [0-9.]+, "predicted_n": [0-9]+, "predicted_ms": [0-9.]+, "predicted_per_token_ms": [0-9.]+, "predicted_per_second": [0-9.]+\}\}$' "the whole object"
is "$(printf '%s' "$out" | wc -l)" 1 "on one line"
set -- $(printf '%s' "$out" | sed 's/.*"prompt_tokens": \([0-9]*\), "completion_tokens": \([0-9]*\), "total_tokens": \([0-9]*\).*/\1 \2 \3/')
is "$(($1 + $2))" "$3" "tokens add up"
ox run -q --greedy --json -n 3 "$question"
has "$out" '"finish_reason": "length".*"completion_tokens": 3,' "--predict: length"
ox run -q --greedy --json -c 190 "$question"
has "$out" '"finish_reason": "length".*"total_tokens": 190,' "--ctx-size: length"
ox run -q -c 20 "$question"
is "$status:$out" "1:" "a prompt that does not fit: 1"
has "$err" 'exceed|context full' "its message"

# ---- sampling
ox run -q --greedy --stop=Paris "$question"
is "$out" "The capital of France is $nl" "--stop"
ox run -q --greedy --stop=nothing --stop=" is" "$question"
is "$out" "The capital of France$nl" "--stop twice"
one=$("$oxcart" run -q --seed=11 --temperature=5 --top-k=0 --top-p=1 -n 12 x)
is "$("$oxcart" run -q --seed=11 --temperature=5 --top-k=0 --top-p=1 -n 12 x)" "$one" "equal seeds, equal answers"
is "$("$oxcart" run -q --seed=11 --temperature=5 --top-k=0 --top-p=1 -n 12 -t 1 x)" "$one" "with one thread as well"
[ "$("$oxcart" run -q --seed=12 --temperature=5 --top-k=0 --top-p=1 -n 12 x)" != "$one" ]
ok $? "other seeds, other answers"
is "$("$oxcart" run -q --seed=12 --temperature=5 --top-k=1 "$question")$nl" "$paris" "--top-k=1 is greedy"
is "$("$oxcart" run -q --temp=0 "$question")$nl" "$paris" "--temp=0 is greedy"
ox run -v --seed=77 -n 1 x
has "$err" "^oxcart: seed 77$" "-v tells the seed"
rome=$("$oxcart" tokenize -p " Paris" | cut -d ' ' -f 1)
ox run -q --greedy --logit-bias="$rome:-100" "$question"
[ "$status" -eq 0 ] && [ "$out" != "$paris" ]
ok $? "--logit-bias keeps a token away"

# ---- thinking
ask="Add 12 and 30."
think="2 + 0 = 2. 1 + 3 + 0 = 4."
ox run -q --greedy --thinking=enabled "$ask"
is "$out" "42$nl" "thinking is not shown in a file"
ox run -q --greedy --thinking=enabled --show-thinking=on "$ask"
is "$out" "Thinking...$nl$think$nl...done thinking.$nl${nl}42$nl" "--show-thinking=on"
ox run -q --greedy --thinking=enabled --json "$ask"
has "$out" "^\{\"content\": \"42\", \"reasoning_content\": \"2 \\+ 0 = 2\\. 1 \\+ 3 \\+ 0 = 4\\.\", \"finish_reason\": \"stop\"" "in JSON it is apart"
has "$out" '"reasoning_tokens": [1-9]' "and counted"
if have_terminal; then
    esc=$(printf '\033')
    on_terminal "$oxcart run -q --greedy --thinking=enabled '$ask'"
    has "$out" "^$esc\[2mThinking\.\.\.$" "on a terminal it is shown, and faint"
    has "$out" "^$esc\[0m42$" "the answer is not"
    on_terminal "NO_COLOR=1 $oxcart run -q --greedy --thinking=enabled '$ask'"
    is "$out" "Thinking...$nl$think$nl...done thinking.$nl${nl}42" "NO_COLOR: shown without colours"
else
    skip "thinking on a terminal" "no script(1)"
fi

# ---- conversations and tools
weather='{"type": "function", "function": {"name": "get_weather", "description": "Current weather of a city", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}, "required": ["city"]}}}'
clock='{"type": "function", "function": {"name": "get_time", "description": "Local time of a city", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}'
user='{"role": "user", "content": "What is the weather in Rome?"}'
call='{"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}]}'
result='{"role": "tool", "content": "21 degrees, sunny"}'
printf '{"messages": [%s], "tools": [%s, %s], "thinking_mode": "disabled"}' "$user" "$weather" "$clock" > "$work/call.json"
printf '{"messages": [%s, %s, %s], "tools": [%s, %s], "thinking_mode": "disabled"}' "$user" "$call" "$result" "$weather" "$clock" > "$work/answer.json"
printf '[%s, %s]' "$weather" "$clock" > "$work/tools.json"
ox run -q --greedy --messages="$work/call.json"
has "$out" '^\{"id":"call_[0-9A-Za-z]{24}","type":"function","function":\{"name":"get_weather","arguments":"\{\\"city\\": ?\\"Rome\\"\}"\}\}$' "a call is one line of JSON"
is "$(wc -l < "$work/out")" 1 "and nothing else"
id=$out
ox run -q --greedy --messages="$work/call.json"
[ "${id#*:}" != "$out" ] && [ "$id" != "$out" ]
ok $? "ids of calls differ"
ox run -q --greedy --json --messages="$work/call.json"
has "$out" '^\{"content": "", "tool_calls": \[\{"id": "call_[0-9A-Za-z]{24}", "type": "function", "function": \{"name": "get_weather", "arguments": "\{\\"city\\": ?\\"Rome\\"\}"\}\}\], "finish_reason": "tool_calls", ' "the call in JSON"
ox run -q --greedy --thinking=disabled --tools="$work/tools.json" "What is the weather in Rome?"
has "$out" '"name":"get_weather"' "--tools for a plain prompt"
ox run -q --greedy --messages="$work/answer.json"
is "$out" "The weather in Rome is 21 degrees, sunny.$nl" "the answer to a tool's result"
ox run -q --greedy --messages=- < "$work/answer.json"
is "$out" "The weather in Rome is 21 degrees, sunny.$nl" "--messages=-"
ox run -q --greedy --json --thinking=enabled --messages="$work/call.json"
forced=$(printf '%s' "$out" | sed 's/.*"prompt_tokens": \([0-9]*\).*/\1/')
ox run -q --greedy --json --messages="$work/call.json"
[ "$forced" != "$(printf '%s' "$out" | sed 's/.*"prompt_tokens": \([0-9]*\).*/\1/')" ]
ok $? "--thinking wins over the file's mode"
for bad in 'no JSON' '{"messages": 5}' '{"messages": [{"role": "elf", "content": "x"}]}' '[]' \
    '{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]}'; do
    printf '%s' "$bad" > "$work/bad.json"
    ox run -q --messages="$work/bad.json"
    is "$status:$out" "1:" "malformed conversation: 1 ($bad)"
    has "$err" "^oxcart: $work/bad.json: " "its message names the file"
done
printf '{}' > "$work/bad.json"
ox run -q --tools="$work/bad.json" x
is "$status" 1 "tools that are no array: 1"
ids=$("$oxcart" run -q --json -n 1 "]~b]ai" | sed 's/.*"prompt_tokens": \([0-9]*\).*/\1/')
special=$("$oxcart" run -q --json -n 1 --allow-special "]~b]ai" | sed 's/.*"prompt_tokens": \([0-9]*\).*/\1/')
[ "$ids" -gt "$special" ]
ok $? "a prompt forges no control token, unless --allow-special"

# ---- the model cannot drive the terminal
if have_terminal; then
    printf '\033]0;title\007Repeat' > "$work/escape"
    on_terminal "$oxcart run --color=never -q --greedy -n 40 --show-thinking=off -f '$work/escape'"
    printf '%s' "$out" | grep -q "$(printf '[\033\007]')"
    [ $? -eq 1 ]
    ok $? "no control characters on a terminal"
fi

# ---- Ctrl-C
# interrupt FILE N ARGUMENTS: run, send SIGINT N times once FILE (out or err) has text; sets status, out and err.
interrupt() {
    watched=$1
    times=$2
    shift 2
    : > "$work/$watched"
    "$oxcart" "$@" > "$work/out" 2> "$work/err" &
    pid=$!
    tries=0
    while [ ! -s "$work/$watched" ] && [ $tries -lt 600 ] && kill -0 $pid 2> /dev/null; do
        sleep 0.05
        tries=$((tries + 1))
    done
    kill -INT $pid
    if [ "$times" = 2 ]; then
        sleep 0.02 # or the two become one
        kill -INT $pid
    fi
    status=0
    wait $pid || status=$?
    out=$(cat "$work/out")
    err=$(cat "$work/err")
}
endless="run --seed=3 --temperature=100 --top-k=0 --top-p=1 -n 20000 --stop=never --logit-bias=2038:-1e9 --logit-bias=2036:-1e9 --logit-bias=2037:-1e9"
# shellcheck disable=SC2086
interrupt out 1 $endless x
is "$status" 1 "the first Ctrl-C stops the answer: 1"
has "$err" "^prompt .*generated [0-9]+ tok" "statistics come all the same"
has "$err" "^oxcart: interrupted; the answer is not complete$" "and it is said"
[ -n "$out" ]
ok $? "what was drawn is there"

# A prompt that takes long enough to show progress. Between two signals its batch may end, so try again.
awk 'BEGIN { for (i = 0; i < 2000; i++) printf "The code of north gate %d is %d.\n", i, 100 + i % 900 }' > "$work/long"
interrupt err 1 run -f "$work/long"
is "$status:$out" "1:" "Ctrl-C while the prompt is read: 1"
has "$err" "^prompt [0-9]+/[0-9]+ tok \([0-9.]+ %\) [0-9.]+ tok/s$" "there was progress, in whole lines"
has "$err" "^oxcart: interrupted before the answer began$" "and it is said"
for try in 1 2 3 4 5 6 7 8; do
    interrupt err 2 run -f "$work/long"
    [ "$status" -eq 130 ] && break
done
is "$status:$out" "130:" "the second Ctrl-C: 130 (try $try)"

# ---- a file of the model that gets shorter
mkdir "$work/model"
cp "$demo"/* "$work/model"
: > "$work/out"
# shellcheck disable=SC2086
"$oxcart" $endless -m "$work/model" x > "$work/out" 2> "$work/err" &
pid=$!
tries=0
while [ ! -s "$work/out" ] && [ $tries -lt 600 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
: > "$work/model/model.safetensors"
status=0
wait $pid || status=$?
is "$status" 3 "a model file that is shortened under way: 3"
has "$(cat "$work/err")" "^oxcart: a file of the model was shortened or became unreadable" "its message"
done_testing
