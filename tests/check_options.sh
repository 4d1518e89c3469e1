#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every option of options.def stands in its verb's --help, man page and completions, with the same argument and default,
# and nothing else does. --help is what the C compiler made of the table, the rest is what awk made of it.
set -u
LC_ALL=C
export LC_ALL
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
build=${abs_top_builddir:-.}
awk=${AWK:-awk}
oxcart=$build/oxcart
n=0
failed=0
check() { # STATUS NAME
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=1
    fi
}
work=$(mktemp -d "$build/check_options.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

table() {
    "$awk" -v what="$1" -f "$top/src/cli/options.awk" "$top/src/cli/options.def"
}

# "long|short|argument|default" of each option that a help text on standard input describes.
from_help() {
    "$awk" '
    function done() {
        if (entry == "") return
        text = entry; short = ""; argument = ""; preset = ""
        sub(/^ +/, "", text)
        if (text ~ /^-[^-]/) { short = substr(text, 2, 1); sub(/^-., /, "", text) }
        sub(/^--/, "", text)
        long = text; sub(/[ =].*/, "", long)
        rest = substr(text, length(long) + 1)
        if (rest ~ /^=/) { argument = substr(rest, 2); sub(/ .*/, "", argument) }
        if (match(text, /\(default: .*\)$/)) preset = substr(text, RSTART + 10, RLENGTH - 11)
        print long "|" short "|" argument "|" preset
        entry = ""
    }
    /^  (-|    --)/ { done(); entry = $0; next }
    /^                              / && entry != "" { sub(/^ +/, ""); entry = entry " " $0; next }
    { done() }
    END { done() }' | sort
}

# The same from a man page.
from_page() {
    "$awk" '
    function done() { if (head != "") print long "|" short "|" argument "|" preset; head = "" }
    /^\.SH/ { done(); inside = ($0 == ".SH OPTIONS"); next }
    !inside { next }
    /^\.TP/ || /^\.SS/ { done(); named = ($0 == ".TP"); next }
    named {
        head = $0; named = 0; short = ""; argument = ""; preset = ""; going = 0
        gsub(/\\f[BIR]/, "", head); gsub(/\\-/, "-", head)
        if (head ~ /^-[^-]/) { short = substr(head, 2, 1); sub(/^-., /, "", head) }
        long = head; sub(/^--/, "", long); sub(/=.*/, "", long)
        if (head ~ /=/) { argument = head; sub(/^[^=]*=/, "", argument) }
        next
    }
    /^Default: / || going {
        line = $0; gsub(/\\-/, "-", line)
        sub(/^Default: /, "", line)
        preset = preset (going ? " " : "") line
        going = !sub(/\.$/, "", preset)
    }
    END { done() }' | sort
}

table list > "$work/list" && [ "$(wc -l < "$work/list")" -gt 50 ]
check $? "the table can be read"
table verbs | cut -f 1 > "$work/verbs"
"$oxcart" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p' > "$work/help_verbs"
cmp -s "$work/verbs" "$work/help_verbs"
check $? "oxcart --help lists the verbs of the table"

while read -r verb; do
    "$awk" -F '\t' -v verb="$verb" '$1 == verb { print $2 "|" $3 "|" $4 "|" $6 }' "$work/list" | sort > "$work/expected"
    "$oxcart" "$verb" --help > "$work/help" 2> /dev/null
    from_help < "$work/help" > "$work/found"
    diff "$work/expected" "$work/found" > "$work/diff"
    check $? "oxcart $verb --help"
    sed 's/^/# /' "$work/diff"

    page=$build/man/oxcart-$verb.1
    from_page < "$page" > "$work/found"
    diff "$work/expected" "$work/found" > "$work/diff"
    check $? "oxcart-$verb.1"
    sed 's/^/# /' "$work/diff"

    "$awk" -F '\t' -v verb="$verb" '$1 == verb { print "--" $2 ($5 == "FLAG" ? "" : "=") }' "$work/list" |
        sort > "$work/expected_words"
    sed -n "/^        $verb)\$/,/;;/s/^            options='\(.*\)'/\1/p" "$build/completions/oxcart" | tr ' ' '\n' |
        sort > "$work/found"
    diff "$work/expected_words" "$work/found" > "$work/diff"
    check $? "bash completion of $verb"
    sed 's/^/# /' "$work/diff"

    sed -n "s/^complete .*__fish_seen_subcommand_from $verb' -l \([^ ]*\) .*/\1/p" "$build/completions/oxcart.fish" |
        sort > "$work/found"
    cut -d '|' -f 1 "$work/expected" | sort | diff - "$work/found" > "$work/diff"
    check $? "fish completion of $verb"
    sed 's/^/# /' "$work/diff"

    sed -n "/^        $verb)\$/,/;;/s/^ *'\\**--\([a-z-]*\)=*\[.*/\1/p" "$build/completions/_oxcart" | sort > "$work/found"
    cut -d '|' -f 1 "$work/expected" | sort | diff - "$work/found" > "$work/diff"
    check $? "zsh completion of $verb"
    sed 's/^/# /' "$work/diff"
done < "$work/verbs"

# Other names are known to the parser and to nobody else.
table aliases | while read -r other long; do
    "$oxcart" run "--$other=0" --help > /dev/null 2>&1 && ! "$oxcart" run --help | grep -q -- "--${other}[ =]" &&
        [ -n "$long" ] || exit 1
done
check $? "other names work and are not listed"

# The comparison can fail.
printf '  -p, --prompt=WORD           the text (default: x)\n' | from_help > "$work/found"
[ "$(cat "$work/found")" = "prompt|p|WORD|x" ]
check $? "a help line is taken apart"
printf '.SH OPTIONS\n.TP\n\\fB\\-p\\fR, \\fB\\-\\-top\\-p\\fR=\\fIon\\fR|\\fIoff\\fR\nText.\nDefault: one\ntwo.\n' | from_page > "$work/found"
[ "$(cat "$work/found")" = "top-p|p|on|off|one two" ]
check $? "a man page is taken apart"

for tool in mandoc man; do
    if ! command -v $tool > /dev/null; then
        n=$((n + 1))
        echo "ok $n - $tool is satisfied # SKIP no $tool"
        continue
    fi
    for page in "$build"/man/*.[137]; do
        case $tool in
        mandoc) mandoc -T lint -W style "$page" ;;
        man) LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 > /dev/null ;;
        esac
    done > "$work/lint" 2>&1
    [ ! -s "$work/lint" ]
    check $? "$tool is satisfied with all pages"
    sed 's/^/# /' "$work/lint"
done
if command -v bash > /dev/null; then
    bash -n "$build/completions/oxcart"
    check $? "bash can read its completion"
fi
echo "1..$n"
exit $failed
