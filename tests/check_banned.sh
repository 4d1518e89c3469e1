#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Functions and constructs that this project does not use, and where the few exceptions are. Comments and strings are
# taken out before looking. Proves on bad samples that it can fail.
set -u
LC_ALL=C
export LC_ALL
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}

# C without comments and without the contents of strings and characters; line numbers stay.
bare() {
    awk '
    {
        line = $0; out = ""; n = length(line)
        for (i = 1; i <= n; i++) {
            c = substr(line, i, 1); two = substr(line, i, 2)
            if (comment) { if (two == "*/") { comment = 0; i++ } continue }
            if (two == "/*") { comment = 1; i++; continue }
            if (two == "//") break
            if (c == "\"" || c == "\x27") {
                out = out c
                for (i++; i <= n && substr(line, i, 1) != c; i++) if (substr(line, i, 1) == "\\") i++
                out = out c
                continue
            }
            out = out c
        }
        print out
    }' "$1"
}

# Print "file:line: what" for each use of a call whose name is in the alternatives $3.
calls() { # FILE WHAT NAMES
    bare "$1" | grep -nE "(^|[^A-Za-z0-9_])($3)[[:space:]]*\(" | sed "s|^\([0-9]*\):.*|$1:\1: $2|"
}

# All that is wrong in one file (path from the top).
wrong_in() {
    file=$1
    calls "$file" "a banned function" 'strcpy|strcat|sprintf|vsprintf|strtok|strtok_r|gets|rand|srand|random|alloca|__builtin_alloca|scanf|ato[ifl]|atoll|bcopy|mktemp|tmpnam'
    case $file in
    src/base/str.c) ;;
    *) calls "$file" "number parsing outside src/base/str.c" 'strto[a-z]*' ;;
    esac
    case $file in
    src/base/mem.c | tests/*) ;;
    *) calls "$file" "the heap outside src/base/mem.c" 'malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strdup|strndup|asprintf|vasprintf|getline|getdelim' ;;
    esac
    case $file in
    src/cli/* | tests/* | src/media/helper/*) ;; # programs, not the library
    *)
        calls "$file" "the environment outside src/cli" 'getenv|secure_getenv|setenv|putenv'
        calls "$file" "the library ends or prints" 'exit|_exit|abort|printf|puts|putchar|vprintf|perror|signal|sigaction'
        bare "$file" | grep -nE '(^|[^A-Za-z0-9_])(stdout|stderr)([^A-Za-z0-9_]|$)' |
            sed "s|^\([0-9]*\):.*|$file:\1: the library prints|" ;;
    esac
    case $file in
    src/cli/* | tests/*) ;;
    *) calls "$file" "the calendar in the library" 'time|localtime|localtime_r|gmtime' ;;
    esac
    case $file in
    src/os/team.c | src/server/* | tests/*) ;;
    *) calls "$file" "threads outside src/os/team.c" 'pthread_create|thrd_create' ;;
    esac
    case $file in
    src/os/team.c | tests/*) ;;
    *) bare "$file" | grep -nE '^[[:space:]]*#[[:space:]]*pragma[[:space:]]+omp|(^|[^A-Za-z0-9_])omp_[a-z_]+[[:space:]]*\(' |
        sed "s|^\([0-9]*\):.*|$file:\1: OpenMP outside src/os/team.c|" ;;
    esac
    # A conditional operator within another one: "?" while one is open at this depth of brackets or around it.
    bare "$file" | awk -v file="$file" '
        BEGIN { depth = 0 }
        /^[[:space:]]*#/ { next }
        {
            for (i = 1; i <= length($0); i++) {
                c = substr($0, i, 1)
                if (c == "(" || c == "[") { depth++; open[depth] = 0 }
                else if (c == ")" || c == "]") { open[depth] = 0; depth-- }
                else if (c == "{" || c == "}" || c == ";") { for (d in open) open[d] = 0; depth = 0 }
                else if (c == ",") open[depth] = 0
                else if (c == "?") {
                    nested = 0
                    for (d = 0; d <= depth; d++) nested = nested || open[d]
                    if (nested) print file ":" NR ": a nested conditional"
                    open[depth] = 1
                }
            }
        }'
    # Conditional compilation inside a function: a directive between a line "{" and the next line "}".
    bare "$file" | awk -v file="$file" '
        /^\{/ { inside = 1 }
        /^\}/ { inside = 0 }
        inside && /^[[:space:]]*#[[:space:]]*(if|ifdef|ifndef|elif|else)([^A-Za-z0-9_]|$)/ { print file ":" NR ": #if inside a function" }
        /-ffast-math|__attribute__.*fast-math/ { print file ":" NR ": fast-math" }'
    head -1 "$file" | grep -q '^/\* SPDX-License-Identifier: Apache-2.0' || echo "$file:1: no licence line"
    lines=$(wc -l <"$file")
    test "$lines" -lt 1000 || echo "$file:$lines: longer than a thousand lines"
}

# The project's sources: what git knows, or all there is in a release.
sources() { # PATTERN
    if test -e .git && git ls-files >/dev/null 2>&1; then
        git ls-files -- src simd vulkan tests
    else
        find src simd vulkan tests -type f 2>/dev/null
    fi | grep -E "$1" | sort
}

# Each file name once in the whole tree.
doubled_names() {
    sources '\.(c|h|def)$' | sed 's|.*/||' | sort | uniq -d
}

all_wrong() {
    sources '\.(c|h|def)$' | while IFS= read -r file; do
        wrong_in "$file"
    done
}

n=0
failed=0
check() { # STATUS NAME
    n=$((n + 1))
    if test "$1" -eq 0; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=1
    fi
}

here=$(pwd)
bad=$(mktemp -d "$here/check_banned.XXXXXX") || exit 1
trap 'rm -rf "$bad"' EXIT

cd "$top" || exit 1
wrong=$(all_wrong)
test -z "$wrong"
check $? "nothing banned is used"
test -z "$wrong" || printf '%s\n' "$wrong" | sed 's/^/# /'
doubled=$(doubled_names)
test -z "$doubled"
check $? "file names are unique in the tree"
test -z "$doubled" || printf '%s\n' "$doubled" | sed 's/^/# /'
grep -E '^[^#]*-ffast-math' configure.ac Makefile.am
test $? -eq 1
check $? "no -ffast-math in the build"

cd "$bad" || exit 1
mkdir -p src/base src/cli src/model
sample() { # NAME CODE
    printf '/* SPDX-License-Identifier: Apache-2.0\n */\n%s\n' "$2" >"src/model/$1.c"
}
sample strcpy 'x = strcpy(a, b);'
sample sprintf 'sprintf (a, "%d", 1);'
sample atoi 'x = atoi(a);'
sample strtol 'x = strtol(a, 0, 10);'
sample malloc 'x = malloc(3);'
sample free '    free(x);'
sample getenv 'x = getenv("A");'
sample exit 'exit(1);'
sample print 'fprintf(stderr, "a");'
sample time 'x = time(NULL);'
sample thread 'pthread_create(&t, 0, f, 0);'
sample omp '#pragma omp parallel'
sample nested 'x = a ? b : c ? d : e;'
sample brackets 'x = a ? b : (c ? d : e);'
sample lines "$(printf 'x = a\n    ? f(c ? d : e)\n    : b;\n')"
sample inside "$(printf 'int f(void)\n{\n#ifdef A\n    return 1;\n#endif\n}\n')"
echo 'int x;' >src/model/licence.c
found=$(all_wrong)
for name in strcpy sprintf atoi strtol malloc free getenv exit print time thread omp nested brackets lines inside licence; do
    printf '%s\n' "$found" | grep -q "^src/model/$name.c:"
    check $? "found: $name"
done
rm -f src/model/*.c
sample good "$(printf '/* strcpy(a, b) */\nox_free(p); my_exit(1); runtime(3); "malloc(3) stderr"; // getenv()\nx = a ? b : c;\ny = (d ? e : f) + (g ? h : i);\nf(a ? b : c, d ? e : f);\nsnprintf(a, n, "%%s", b);\n')"
printf '/* SPDX-License-Identifier: Apache-2.0 */\nx = getenv("A"); exit(1); printf("a");\n' >src/cli/main.c
printf '/* SPDX-License-Identifier: Apache-2.0 */\nx = malloc(1); free(x);\n' >src/base/mem.c
printf '/* SPDX-License-Identifier: Apache-2.0 */\nx = strtod_l(a, &b, c);\n' >src/base/str.c
found=$(all_wrong)
test -z "$found"
check $? "what is allowed is accepted"
test -z "$found" || printf '%s\n' "$found" | sed 's/^/# /'
cd "$here" || exit 1
echo "1..$n"
exit $failed
