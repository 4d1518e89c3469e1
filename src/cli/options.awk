# SPDX-License-Identifier: Apache-2.0
#
# Reads options.def and prints what is made from it:
#   awk -v what=page -v version=1.2.3 -f options.awk options.def X.man
#                                                              a man page: @OPTIONS@ of the verb in X's name and so on
#   awk -v what=bash|zsh|fish -f options.awk options.def       shell completions
#   awk -v what=verbs -f options.awk options.def               NAME <tab> OPERANDS <tab> PURPOSE
#   awk -v what=list -f options.awk options.def                VERB, long, short, argument, kind, default, help by tabs
#   awk -v what=aliases -f options.awk options.def             other name <tab> long name

# The page, kept until the table is known.
FNR != NR { page[++n_page] = $0; page_name = FILENAME; next }

# Take a row apart into field[1..]: strings without their quotes (those that touch are one), the rest without blanks.
function split_row(row,    i, c, n, quoted, text) {
    n = 1; text = ""; quoted = 0
    for (i = 1; i <= length(row); i++) {
        c = substr(row, i, 1)
        if (quoted) {
            if (c == "\\") { i++; text = text substr(row, i, 1) }
            else if (c == quoted) { quoted = 0 }
            else { text = text c }
        } else if (c == "\"" || c == "'") { quoted = c }
        else if (c == ",") { field[n++] = text; text = "" }
        else if (c != " ") { text = text c }
    }
    field[n] = text
    return n
}

function has_verb(i, v,    parts, n, k) {
    if (scope[i] == "ALL") return 1
    n = split(scope[i], parts, "|")
    for (k = 1; k <= n; k++) if (parts[k] == v) return 1
    return 0
}

/^OX_/ { row = ""; collecting = 1 }
collecting {
    line = $0
    sub(/^[ \t]+/, "", line)
    row = row (row == "" ? "" : " ") line
    if (line ~ /\)$/) {
        collecting = 0
        macro = row; sub(/\(.*/, "", macro)
        sub(/^[A-Z_]+\(/, "", row); sub(/\)$/, "", row)
        split_row(row)
        if (macro == "OX_GROUP") { group_id[++n_groups] = field[1]; heading[n_groups] = field[2] }
        if (macro == "OX_VERB") {
            verb_id[++n_verbs] = field[1]; verb_name[n_verbs] = field[2]; operands[n_verbs] = field[3]
            purpose[n_verbs] = field[4]
        }
        if (macro == "OX_OPTION") {
            n_options++
            id[n_options] = field[1]; scope[n_options] = field[2]; long[n_options] = field[3]
            short[n_options] = field[4] == "0" ? "" : field[4]; argument[n_options] = field[5]
            kind[n_options] = field[6]; preset[n_options] = field[9]; group[n_options] = field[10]
            help[n_options] = field[11]
        }
        if (macro == "OX_ALIAS") { alias_name[++n_aliases] = field[1]; alias_id[n_aliases] = field[2] }
    }
}

END {
    if (what == "page") print_page()
    else if (what == "bash") print_bash()
    else if (what == "zsh") print_zsh()
    else if (what == "fish") print_fish()
    else if (what == "list") print_list()
    else if (what == "verbs") for (v = 1; v <= n_verbs; v++) print verb_name[v] "\t" operands[v] "\t" purpose[v]
    else if (what == "aliases") {
        for (a = 1; a <= n_aliases; a++)
            for (i = 1; i <= n_options; i++) if (id[i] == alias_id[a]) print alias_name[a] "\t" long[i]
    } else { print "options.awk: what is " what "?" | "cat >&2"; exit 1 }
}

function print_list(    v, i) {
    for (v = 1; v <= n_verbs; v++)
        for (i = 1; i <= n_options; i++)
            if (has_verb(i, verb_id[v]))
                print verb_name[v] "\t" long[i] "\t" short[i] "\t" argument[i] "\t" kind[i] "\t" preset[i] "\t" help[i]
}

# ---- man ------------------------------------------------------------------------------------------------------------

function roff(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    return text
}

# Hyphens of words stay hyphens; those of options and lone ones are minus signs.
function roff_prose(text) {
    gsub(/\\/, "\\e", text)
    gsub(/--/, "\\-\\-", text)
    gsub(/ - /, " \\- ", text)
    gsub(/ -m /, " \\-m ", text)
    gsub(/ -v/, " \\-v", text)
    return text
}

# Text lines of at most 79 bytes; requests and examples as they are.
function emit(line,    at) {
    if (line == ".EX") example = 1
    if (line == ".EE") example = 0
    while (!example && line !~ /^[.']/ && length(line) > 79) {
        for (at = 79; at > 1 && (substr(line, at, 1) != " " || substr(line, at + 1, 1) ~ /[.']/); at--) ;
        if (at <= 1) break
        print substr(line, 1, at - 1)
        line = substr(line, at + 1)
    }
    print line
}

function print_option(i,    line, name) {
    line = short[i] == "" ? "" : "\\fB\\-" short[i] "\\fR, "
    name = argument[i]
    gsub(/\|/, "\\fR|\\fI", name)
    line = line "\\fB" roff("--" long[i]) "\\fR" (argument[i] == "" ? "" : "=\\fI" name "\\fR")
    print ".TP\n" line
    line = toupper(substr(help[i], 1, 1)) substr(help[i], 2) "."
    emit(roff_prose(line))
    if (preset[i] != "") emit("Default: " roff_prose(preset[i]) ".")
}

function print_options(verb,    v, g, i, any) {
    for (v = 1; v <= n_verbs && verb_name[v] != verb; v++) ;
    if (v > n_verbs) { print "options.awk: no verb " verb | "cat >&2"; exit 1 }
    for (g = 1; g <= n_groups; g++) {
        any = 0
        for (i = 1; i <= n_options; i++) {
            if (group[i] != group_id[g] || !has_verb(i, verb_id[v])) continue
            if (!any) { print ".SS " heading[g]; any = 1 }
            print_option(i)
        }
    }
}

function print_page(    k, i, v, verb) {
    verb = page_name
    sub(/.*oxcart-/, "", verb)
    sub(/\.man$/, "", verb)
    for (k = 1; k <= n_page; k++) {
        if (page[k] == "@OPTIONS@") print_options(verb)
        else if (page[k] == "@COMMON@") { for (i = 1; i <= n_options; i++) if (scope[i] == "ALL") print_option(i) }
        else if (page[k] == "@VERBS@") {
            for (v = 1; v <= n_verbs; v++) print ".TP\n.BR oxcart\\-" verb_name[v] " (1)\n" toupper(substr(purpose[v], 1, 1)) substr(purpose[v], 2) "."
        } else if (page[k] == "@SEE_ALSO@") { for (v = 1; v <= n_verbs; v++) print ".BR oxcart\\-" verb_name[v] " (1)," }
        else { gsub(/@VERSION@/, version, page[k]); emit(page[k]) }
    }
}

# ---- bash -----------------------------------------------------------------------------------------------------------

function print_bash(    v, i, words, files) {
    print "# bash completion for oxcart; made from options.def, do not edit\n"
    print "_oxcart()\n{"
    print "    local cur prev words cword split=false"
    print "    _init_completion -s -n : || return"
    words = ""
    for (v = 1; v <= n_verbs; v++) words = words (v > 1 ? " " : "") verb_name[v]
    print "    local verb= i"
    print "    for ((i = 1; i < cword; i++)); do"
    print "        case ${words[i]} in\n            -*) ;;\n            *) verb=${words[i]}; break ;;\n        esac"
    print "    done"
    print "    if ((cword == 1)); then"
    print "        COMPREPLY=($(compgen -W '" words " --help --version' -- \"$cur\"))\n        return\n    fi"
    print "    case $verb:$prev in"
    for (v = 1; v <= n_verbs; v++)
        for (i = 1; i <= n_options; i++) {
            if (!has_verb(i, verb_id[v]) || kind[i] == "FLAG") continue
            printf "        %s:--%s%s)\n", verb_name[v], long[i], short[i] == "" ? "" : "|" verb_name[v] ":-" short[i]
            words = argument[i]
            gsub(/\|/, " ", words)
            if (kind[i] ~ /^FILES?$/) print "            _filedir"
            else if (kind[i] == "CHOICE") print "            COMPREPLY=($(compgen -W '" words "' -- \"$cur\"))"
            else print "            COMPREPLY=() # " argument[i]
            print "            return\n            ;;"
        }
    print "    esac"
    print "    $split && return"
    print "    local options="
    print "    case $verb in"
    for (v = 1; v <= n_verbs; v++) {
        words = ""
        for (i = 1; i <= n_options; i++)
            if (has_verb(i, verb_id[v])) words = words (words == "" ? "" : " ") "--" long[i] (kind[i] == "FLAG" ? "" : "=")
        print "        " verb_name[v] ")\n            options='" words "'\n            ;;"
    }
    print "    esac"
    print "    if [[ $cur == -* ]]; then"
    print "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))"
    print "        [[ ${COMPREPLY-} == *= ]] && compopt -o nospace"
    files = ""
    for (v = 1; v <= n_verbs; v++) if (operands[v] ~ /MODEL/) files = files (files == "" ? "" : "|") verb_name[v]
    if (files != "") print "    elif [[ $verb == @(" files ") ]]; then\n        _filedir"
    print "    fi"
    print "} &&\n    complete -F _oxcart oxcart"
}

# ---- zsh ------------------------------------------------------------------------------------------------------------

function zsh_text(text) {
    gsub(/'/, "'\\''", text)
    gsub(/\[/, "\\[", text)
    gsub(/\]/, "\\]", text)
    gsub(/:/, "\\:", text)
    return text
}

function print_zsh(    v, i, action, words, head) {
    print "#compdef oxcart\n# zsh completion for oxcart; made from options.def, do not edit\n"
    print "_oxcart() {"
    print "    local -a verbs\n    verbs=("
    for (v = 1; v <= n_verbs; v++) print "        '" verb_name[v] ":" zsh_text(purpose[v]) "'"
    print "    )"
    print "    if (( CURRENT == 2 )); then"
    print "        _describe verb verbs\n        return\n    fi"
    print "    local verb=$words[2]\n    shift words\n    (( CURRENT-- ))"
    print "    case $verb in"
    for (v = 1; v <= n_verbs; v++) {
        print "        " verb_name[v] ")\n            _arguments -s -S \\"
        for (i = 1; i <= n_options; i++) {
            if (!has_verb(i, verb_id[v])) continue
            words = argument[i]
            gsub(/\|/, " ", words)
            action = ""
            if (kind[i] ~ /^FILES?$/) action = ":" argument[i] ":_files"
            else if (kind[i] == "CHOICE") action = ":" zsh_text(argument[i]) ":(" words ")"
            else if (kind[i] != "FLAG") action = ":" zsh_text(argument[i]) ":"
            head = (kind[i] == "LIST" || kind[i] == "FILES" || id[i] == "VERBOSE") ? "*" : ""
            if (short[i] != "")
                printf "                '%s-%s%s[%s]%s' \\\n", head, short[i], kind[i] == "FLAG" ? "" : "+", zsh_text(help[i]), action
            printf "                '%s--%s%s[%s]%s' \\\n", head, long[i], kind[i] == "FLAG" ? "" : "=", zsh_text(help[i]), action
        }
        if (operands[v] ~ /MODEL/) print "                '1:model:_files'"
        else if (operands[v] != "") print "                '*:" tolower(substr(operands[v], 2, index(operands[v], "]") - 2)) ":'"
        else print "                && return"
        print "            ;;"
    }
    print "    esac\n}\n"
    print "_oxcart \"$@\""
}

# ---- fish -----------------------------------------------------------------------------------------------------------

function fish_text(text) {
    gsub(/\\/, "\\\\", text)
    gsub(/'/, "\\'", text)
    return text
}

function print_fish(    v, i, words) {
    print "# fish completion for oxcart; made from options.def, do not edit\n"
    print "complete -c oxcart -f"
    for (v = 1; v <= n_verbs; v++)
        print "complete -c oxcart -n __fish_use_subcommand -a " verb_name[v] " -d '" fish_text(purpose[v]) "'"
    print "complete -c oxcart -n __fish_use_subcommand -l help -s h -d 'print help and exit'"
    print "complete -c oxcart -n __fish_use_subcommand -l version -s V -d 'print the version and exit'"
    for (v = 1; v <= n_verbs; v++)
        for (i = 1; i <= n_options; i++) {
            if (!has_verb(i, verb_id[v])) continue
            words = argument[i]
            gsub(/\|/, " ", words)
            printf "complete -c oxcart -n '__fish_seen_subcommand_from %s' -l %s%s%s -d '%s'\n", verb_name[v], long[i],
                short[i] == "" ? "" : " -s " short[i],
                kind[i] == "FLAG" ? "" : kind[i] ~ /^FILES?$/ ? " -r -F" : kind[i] == "CHOICE" ? " -x -a '" words "'" : " -x",
                fish_text(help[i])
        }
}
