#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oxcart chat: turns and commands from a file, then line editing, history and Ctrl-C on a terminal.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"

# chat INPUT ARGUMENTS: one line of input a turn (printf format).
chat() {
    # shellcheck disable=SC2059
    printf "$1" > "$work/in"
    shift
    ox chat --greedy "$@" < "$work/in"
}
hello="Hello! How can I help you?$nl"
lima="The capital of Peru is Lima.$nl"

chat 'Hello!\nWhat is the capital of Peru?\n'
is "$status:$out:$err" "0:$hello$lima:" "two turns"
chat 'Hello!'
is "$out" "$hello" "a last line without an end"
chat '\n\n'
is "$status:$out:$err" "0::" "empty lines are no turns"
chat 'Hello!\n/exit\nHello!\n'
is "$out" "$hello" "/exit"
for leave in /bye /quit; do
    chat "$leave\\nHello!\\n"
    is "$out" "" "$leave"
done
chat '/help\n/?\n'
is "$out" "" "/help: nothing on stdout"
for command in /help '/\?' /exit /bye /quit /clear /regen /read /save /load /image /video /system /set /show /think /nothink /ctx /stats; do
    has "$err" "^  $command( |\$)" "/help lists $command"
done
chat '/dance\n'
is "$status:$err" "0:no such command; /help lists them" "an unknown command"
chat 'Hello!\n/regen\n'
is "$out" "$hello$hello" "/regen"
chat '/regen\n/stats\n'
is "$err" "there is nothing to answer yet${nl}nothing was answered yet" "nothing to answer, no statistics"
chat 'Hello!\n/stats\n/ctx\n'
has "$err" '^prompt [0-9]+ tok \(0 cached\) .* generated [0-9]+ tok ' "/stats"
has "$err" '^[0-9]+ of 32768 tokens of the context are used$' "/ctx"
chat 'Hello!\nGoodbye\n/stats\n'
has "$err" '^prompt [0-9]+ tok \([1-9][0-9]+ cached\) ' "the second turn keeps what the first computed"
printf 'What is the capital of Peru?' > "$work/question"
chat "/read $work/question\\n/read $work/none\\n/read\\n"
is "$out" "$lima" "/read"
has "$err" "none: .*No such file" "a file that is not there"
has "$err" "^expected /read FILE$" "no file"
chat "Hello!\n/save $work/saved\n/save\n/load\n/save $work/none/saved\n"
has "$err" '^saved, [1-9][0-9]+ tokens$' "/save"
has "$err" "^expected /save FILE$" "no file to save to"
has "$err" "^expected /load FILE$" "no file to load"
has "$err" "none/saved.*: cannot be written" "where nothing can be written"
chat "/load $work/saved\nWhat is the capital of Peru?\n/stats\n/load $work/question\n/load $work/none\n"
is "$out" "$lima" "/load"
has "$err" '^loaded, 2 messages, [1-9][0-9]+ tokens$' "what was loaded is told"
has "$err" '^prompt [0-9]+ tok \([1-9][0-9]+ cached\) ' "the turn after it computes what is new"
has "$err" 'question: .*no saved session|question: ends after' "a file that is none"
has "$err" 'none: cannot be opened' "a file that is not there"
chat 'Repeat: \\\namber apple\n'
[ "$status" -eq 0 ] && [ "$(printf %s "$out" | wc -l)" -le 2 ]
ok $? "a line that goes on is one turn"
chat '"""What is the\ncapital of Peru?"""\n/ctx\n' --system=Brief.
is "$(printf %s "$err" | wc -l)" 0 "text in triple quotes is one turn"
has "$out" . "and is answered"
chat '/set predict 2\nHello!\n/set predict 500\n/set\n'
is "$out" "Hello$nl" "/set predict"
has "$err" '^oxcart: the answer was cut off after 2 tokens' "what was cut off is said"
has "$err" '^ +predict +500$' "/set lists settings"
chat '/set top_p 7\n/set tools x\n/set greedy maybe\n/set greedy off\n/set temperature=0\nHello!\n'
is "$out" "$hello" "/set KEY=VALUE"
is "$err" "--top-p: expected a number from 0 to 1, found '7'${nl}no such setting; /set alone lists them${nl}expected on or off" "wrong settings"
chat '/think\nAdd 12 and 30.\n/set show-thinking on\nAdd 12 and 30.\n'
has "$out" '^Thinking\.\.\.$' "/think and show-thinking"
is "$(printf '%s' "$out" | grep -c '^42$')" 2 "both are answered"
chat '/nothink\n/set show-thinking on\nAdd 2 and 3.\n/think wildly\n'
is "$(printf '%s' "$out" | grep -c Thinking)" 0 "/nothink"
has "$err" "expected one of adaptive\|enabled\|disabled, found 'wildly'" "a mode that there is not"
chat '/system You are a poet.\n/show\n/system\n/show\n' --system=First
is "$(printf '%s\n' "$err" | grep -c '^system prompt: You are a poet.$')" 1 "/system"
has "$err" '^model demo: 9\.6 million parameters, mxfp8' "/show"
chat 'Hello!\n/clear\n/ctx\nHello!\n'
is "$out" "$hello$hello" "/clear"
chat 'Hello!\nWhat is the capital of Peru?\n/clear\nHello!\n' -c 200
is "$status:$out" "1:$hello$hello" "a full context takes the turn back, and is told by the status"
has "$err" 'context full.*; /clear begins a new conversation$' "and a message"

# ---- tools
clock='[{"type": "function", "function": {"name": "get_weather", "description": "Current weather of a city", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}, "required": ["city"]}}}, {"type": "function", "function": {"name": "get_time", "description": "Local time of a city", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]'
printf '%s' "$clock" > "$work/tools.json"
chat 'What is the weather in Rome?\n21 degrees, sunny\n' --tools="$work/tools.json" --thinking=disabled
has "$out" '"name":"get_weather"' "a call is printed"
has "$out" '^The weather in Rome is 21 degrees, sunny\.$' "its result is asked for and used"
chat 'What is the weather in Rome?\n' --tools="$work/tools.json" --thinking=disabled
is "$status" 0 "no more input instead of a result"

# ---- on a terminal
# Whoever types waits for what the terminal shows: a busy machine takes its time.
shown() { # LINES TEXT: until so many lines hold the text, at most a minute
    tries=0
    while [ "$(grep -c -e "$2" "$work/terminal")" -lt "$1" ] && [ $tries -lt 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

long_answer() { # until the terminal shows some hundred words, at most a minute
    tries=0
    while [ "$(wc -c < "$work/terminal")" -lt 2000 ] && [ $tries -lt 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

# The status goes to a file: script(1) has one of its own when the end of its input meets a program that just left.
chat_on_terminal() { # ARGUMENTS, in one word
    TERM=xterm XDG_STATE_HOME=$work/state script -qc "trap : INT; $oxcart chat $1; echo \$? > $work/code" /dev/null > "$work/terminal" 2>&1
}

left() { # until the program has left, at most a minute: the terminal lives as long as whoever types at it
    tries=0
    while [ ! -s "$work/code" ] && [ $tries -lt 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

if have_terminal; then
    : > "$work/terminal"
    : > "$work/code"
    (shown 1 '> '; printf 'Hello!\n'; shown 1 'Hello! How'; printf '/regen\n'; shown 2 'Hello! How'; shown 3 '> '; printf '\004'; left) |
        chat_on_terminal --greedy
    out=$(tr -d '\r' < "$work/terminal")
    is "$(printf '%s\n' "$out" | grep -c '^.*Hello! How can I help you?$')" 2 "a turn and a command"
    has "$out" "; /help lists commands$" "a greeting"
    has "$out" "> " "a prompt"
    if "$oxcart" --version > /dev/null && [ -f "$work/state/oxcart/history" ]; then
        has "$(cat "$work/state/oxcart/history")" '^Hello!$' "history is kept"
        is "$(stat -c %a "$work/state/oxcart/history")" 600 "for its owner only"
    else
        grep -q OX_HAVE_EDITLINE "$build/config.h" && ! grep -q 'define OX_HAVE_EDITLINE 1' "$build/config.h"
        ok $? "no history without libedit"
    fi
    cat > "$work/editor" << 'END'
#!/bin/sh
[ -t 0 ] && [ -t 1 ] && grep -q '^Repeat: plum$' "$1" && echo 'What is the capital of Peru?' > "$1"
END
    chmod +x "$work/editor"
    if grep -q 'define OX_HAVE_EDITLINE 1' "$build/config.h"; then
        : > "$work/terminal"
        : > "$work/code"
        (shown 1 '> '; printf 'Repeat: plum\007'; shown 1 'of Peru?'; printf '\n'; shown 1 'Lima'; shown 2 '> '
            printf 'Hello!\007\n'; shown 1 'help you'; printf '/quit\n'; left) |
            VISUAL='' EDITOR=$work/editor chat_on_terminal --greedy
        has "$(tr -d '\r' < "$work/terminal")" '^[^>]*The capital of Peru is Lima\.$' "Ctrl-G: what \$EDITOR made of the line is the message"
        has "$(tr -d '\r' < "$work/terminal")" 'Hello! How can I help you\?$' "an editor that fails leaves the line alone"
    else
        skip "Ctrl-G" "no libedit"
    fi
    : > "$work/terminal"
    : > "$work/code"
    (shown 1 '> '; printf 'abc\003'; shown 1 'leaves)'; shown 2 '> '; printf '\003'; left) | chat_on_terminal ''
    is "$(cat "$work/code")" 130 "Ctrl-C twice at the prompt: 130"
    has "$(tr -d '\r' < "$work/terminal")" '^\(Ctrl-C again or Ctrl-D leaves\)$' "after the first it is said how to leave"
    : > "$work/terminal"
    : > "$work/code"
    (shown 1 '> '; printf 'x\n'; long_answer; printf '\003'; shown 1 'stopped'; printf '/ctx\n'; shown 1 'of 32768'; printf '/quit\n'; left) |
        chat_on_terminal "--seed=3 --temperature=100 --top-k=0 --top-p=1 --logit-bias=2038:-1e9 --logit-bias=2036:-1e9 --logit-bias=2037:-1e9"
    is "$(cat "$work/code")" 0 "Ctrl-C stops an answer, not the program"
    has "$(tr -d '\r' < "$work/terminal")" 'oxcart:.* stopped$' "it is said"
    has "$(tr -d '\r' < "$work/terminal")" '([2-9][0-9][0-9]|[0-9]{4,}) of 32768 tokens' "what was drawn is kept"
else
    skip "the terminal" "no script(1)"
fi
done_testing
