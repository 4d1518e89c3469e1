#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What every verb has in common: help, version, wrong usage, exit codes, streams that are closed or full, colours, logs.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"

# ---- help and version
ox --help
is "$status" 0 "--help ends with 0"
is "$err" "" "nothing on stderr"
has "$out" "^Usage: oxcart VERB" "usage first"
has "$out" "^  run +one answer" "verbs are listed"
for verb in run chat tokenize inspect trace score bench doctor; do
    ox $verb --help
    is "$status:$err" "0:" "$verb --help ends with 0, stderr silent"
    has "$out" "^Usage: oxcart $verb " "its usage"
    is "$(awk 'length($0) > 79' "$work/out")" "" "no line is longer than 79"
done
ox --version
is "$status:$err" "0:" "--version ends with 0, stderr silent"
has "$(head -1 "$work/out")" "^oxcart \(Oxcart\) [0-9]+\.[0-9]+\.[0-9]+$" "its first line"
has "$(sed -n 2p "$work/out")" "^Copyright \(C\) 20" "then the copyright"
has "$out" "NO WARRANTY" "the warranty"
has "$out" "^CPU levels: c" "CPU levels"
has "$out" "^Vulkan: no$" "Vulkan"
long=$out
ox run --version --nonsense
is "$status:$out" "0:$long" "a verb's --version is the same and ignores the rest"
ox -V
is "$status:$out" "0:$long" "-V is --version"

# ---- wrong usage
usage() { # NAME MESSAGE HINT-VERB ARGUMENTS
    name=$1
    message=$2
    hint=$3
    shift 3
    ox "$@" < /dev/null
    is "$status" 2 "$name: 2"
    is "$err" "oxcart: $message${nl}Try 'oxcart $hint--help' for more information." "$name: message and hint"
    is "$out" "" "$name: nothing on stdout"
}
usage "unknown verb" "unknown verb 'convert'" "" convert
usage "unknown option" "unknown option '--imagine'" "run " run --imagine=x.png hello
usage "unknown letter" "unknown option '-x'" "score " score -x
usage "no argument" "option '--model' needs an argument (PATH)" "run " run hello -m
usage "argument of a flag" "option '--json' takes no argument" "run " run --json=yes
usage "wrong number" "--threads: expected a whole number from 1 to 1024, found '0'" "run " run -t 0 hello
usage "wrong choice" "--kv: expected one of bf16|f32, found 'q8'" "run " run --kv=q8 hello
usage "another verb's option" "unknown option '--greedy'" "doctor " doctor --greedy
usage "operand too much" "'tokenize' takes no operand, found 'x'" "tokenize " tokenize x
usage "operand without verb" "'x' without a verb: name the verb first, as in 'oxcart run PROMPT'" "" -q x
usage "two texts" "the text is given more than once: expected an operand, --prompt or --file" "run " run -p a b
usage "empty prompt" "the prompt is empty" "run " run
usage "conversation and prompt" \
    "--messages: the conversation's file holds everything, there can be no prompt, --system, --tools, --image or --video besides" "run " \
    run --messages=x y
usage "wrong bias" "--logit-bias: expected ID:X, a token's number and what to add, found '5'" "run " run --logit-bias=5 a
usage "empty stop" "--stop: expected a text, found nothing" "chat " chat --stop=
usage "empty model" "--model: expected a path, found nothing" "run " run -m "" a
usage "unknown CPU level" 'CPU level "z80" is not known' "run " run --cpu-level=z80 a
usage "context above the model's" "ctx-size: expected 1 to 65536 (the model's maximum), found 70000" "run " run -c 70000 a
usage "tokenize: two sources" "expected one of --prompt, --file, --batch and --chat" "tokenize " tokenize -p a --batch=b
usage "trace: nothing to do" "expected --tokens=FILE and --out=FILE" "trace " trace
cp "$oxcart" "$work/other"
status=0
err=$("$work/other" --nonsense 2>&1) || status=$?
is "$status:$err" "2:oxcart: unknown option '--nonsense'${nl}Try 'oxcart --help' for more information." \
    "the program's file name changes nothing"

# ---- other exit codes
ox run -f "$work/none"
is "$status:$out" "1:" "a prompt file that is not there: 1"
has "$err" "^oxcart: .*none.*No such file" "its message"
ox run -m "$work/none" hello
is "$status:$out" "3:" "a model that is not there: 3"
has "$err" "^oxcart: .*$work/none" "its message"
ox inspect -m "$work/none"
is "$status:$out" "3:" "the same of inspect"
ox tokenize -m "$work/none" -p x
is "$status:$out" "3:" "the same of tokenize"
mkdir "$work/short"
cp "$demo/config.json" "$demo/tokenizer.json" "$work/short"
head -c 1000000 "$demo/model.safetensors" > "$work/short/model.safetensors"
ox run -m "$work/short" hello
is "$status" 3 "a truncated model: 3"
has "$err" "^oxcart: .*model.safetensors" "its message names the file"
rm "$work/short/model.safetensors" "$work/short/tokenizer.json"
cp "$demo/model.safetensors" "$work/short"
ox run -m "$work/short" hello
is "$status" 3 "a model without tokenizer.json: 3"
rm -r "$work/short"
# Address space for everything but the cache of so long a context. Sanitizers need all of it for themselves.
if "$build/oxcart" doctor --json | grep -q '"address_space_limit": null' &&
    (ulimit -v 400000 && "$oxcart" doctor) > /dev/null 2>&1; then
    status=0
    (ulimit -v 400000 && exec "$oxcart" run -c 65536 --kv=f32 hello) > "$work/out" 2> "$work/err" || status=$?
    is "$status" 4 "not enough memory: 4"
    has "$(cat "$work/err")" "not enough memory: .* missing" "its message says how much"
    mkdir "$work/large"
    cp "$demo/config.json" "$demo/tokenizer.json" "$work/large"
    truncate -s 1G "$work/large/model.safetensors"
    status=0
    (ulimit -v 400000 && exec "$oxcart" run -m "$work/large" hello) > "$work/out" 2> "$work/err" || status=$?
    is "$status" 4 "a model larger than the address space: 4"
    has "$(cat "$work/err")" "model.safetensors: not enough memory: 1\.0 GiB .* missing" "its message"
    rm -r "$work/large"
else
    skip "not enough memory" "the address space cannot be limited here"
fi
level=$("$oxcart" doctor --json | sed -n '/"cpu_levels"/,/}/s/.*"\(.*\)": false.*/\1/p' | head -1)
if [ -n "$level" ]; then
    ox run --cpu-level="$level" hello
    is "$status" 5 "a CPU level that is not there ($level): 5"
else
    skip "a CPU level that is not there" "this machine has all"
fi

# ---- streams
if [ -w /dev/full ]; then
    for arguments in "run --greedy Hi" "tokenize -p x" "inspect" "doctor" "score -p abc" "--help" "run --json --greedy Hi"; do
        status=0
        # shellcheck disable=SC2086
        "$oxcart" $arguments > /dev/full 2> "$work/err" || status=$?
        is "$status" 1 "oxcart $arguments > /dev/full: 1"
        has "$(cat "$work/err")" "^oxcart: standard output cannot be written: No space left" "its message"
    done
else
    skip "a full disk" "no /dev/full"
fi
status=0
"$oxcart" tokenize -p x >&- 2> "$work/err" || status=$?
is "$status" 1 "closed standard output: 1"
has "$(cat "$work/err")" "^oxcart: standard output cannot be written: " "its message"
status=0
"$oxcart" tokenize -p x > "$work/out" 2>&- || status=$?
is "$status" 0 "closed standard error is no failure"
status=0
"$oxcart" tokenize --log-file="$work/log" -p x >&- 2>&- <&- || status=$?
is "$status" 1 "all closed: 1"
status=$( (
    status=0
    trap - PIPE
    "$oxcart" inspect 2> /dev/null || status=$?
    echo $status > "$work/status"
) | head -c 1 > /dev/null; cat "$work/status")
has "$status" '^(141|0)$' "a closed pipe ends it by SIGPIPE"
ox run "Hello!" < /dev/null
is "$status" 0 "an operand needs no standard input"

# ---- messages
unset OXCART_MODEL
ox tokenize -p Hi
is "$(printf '%s\n' "$err" | wc -l):$status" "1:0" "without a model: one line"
has "$err" "^oxcart: using the built-in demonstration model, .*-m PATH or OXCART_MODEL$" "that says how to name one"
ox tokenize -q -p Hi
is "$err" "" "not with -q"
ox tokenize -m "$demo" -p Hi
is "$err" "" "nor with a model"
OXCART_MODEL=$demo
export OXCART_MODEL
ox run --greedy --color=always nonsense --cpu-level=x
esc=$(printf '\033')
has "$err" "^$esc\[1;31moxcart: $esc\[0mCPU level" "--color=always"
ox run --greedy --color=auto nonsense --cpu-level=x
has "$err" "^oxcart: CPU level" "--color=auto: not in a file"
ox run -q --cpu-level=x y
has "$err" "^oxcart: CPU level" "-q leaves errors alone"
if have_terminal; then
    on_terminal "$oxcart run x --cpu-level=x"
    has "$out" "$esc\[1;31moxcart: " "on a terminal there are colours"
    on_terminal "NO_COLOR=1 $oxcart run x --cpu-level=x"
    has "$out" "^oxcart: CPU level" "not with NO_COLOR"
    on_terminal "TERM=dumb $oxcart run x --cpu-level=x"
    has "$out" "^oxcart: CPU level" "nor with TERM=dumb"
    on_terminal "NO_COLOR=1 $oxcart run x --cpu-level=x --color=always"
    has "$out" "$esc\[1;31moxcart: " "but with --color=always"
    on_terminal "$oxcart tokenize"
    has "$out" "no text: give it with --prompt" "a terminal is no source of text"
else
    skip "colours on a terminal" "no script(1)"
fi
ox run --log-file="$work/log" --greedy -q Hi
is "$status:$err" "0:" "--log-file"
has "$(cat "$work/log")" "^20[0-9-]*T[0-9:]*Z prompt [0-9]+ tok" "the log has the statistics, with the time"
ox run --log-file="$work/none/log" Hi
is "$status" 1 "a log that cannot be written: 1"
has "$err" "^oxcart: --log-file: '.*' cannot be opened: No such file" "its message"
done_testing
