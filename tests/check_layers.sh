#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The arrows between the folders point only downward: reads the #include lines of every source and header and fails on
# an arrow that this table does not have. Proves on a small bad tree that it can fail.
set -u
LC_ALL=C
export LC_ALL
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}

# folder: what it may include, beside itself and base. Each line is the sum of what its row in README.md names.
arrows='
base:
os:
simd:
weights: os
text:
media:
helper: media
model: simd os weights
vulkan: weights os
engine: model text media vulkan simd os weights oxcart.h config.h
server: oxcart.h text os
cli: oxcart.h server engine model text media vulkan simd os weights config.h
tests: oxcart.h engine model text media helper vulkan simd os weights cli server tests config.h
'

# Outside libraries: which folder may include which header (a pattern of case).
library_allowed() {
    case $1:$2 in
    *:jansson.h) ;;
    os:hwloc.h | os:hwloc/* | os:numa.h | os:numaif.h | os:omp.h) ;;
    text:pcre2.h) ;;
    cli:editline/* | cli:histedit.h) ;;
    server:microhttpd.h | server:curl/*) ;;
    tests:microhttpd.h | tests:curl/*) ;;
    helper:stb/* | helper:webp/* | helper:libav* | helper:libsw*) ;;
    tests:omp.h | tests:hwloc.h | tests:pcre2.h | tests:stb/* | tests:webp/* | tests:libav*) ;;
    *:hwloc* | *:numa* | *:omp.h | *:pcre2* | *:editline* | *:histedit.h | *:curl/* | *:microhttpd.h | *:vulkan/* | \
        *:stb/* | *:webp/* | *:libav* | *:libsw*)
        return 1 ;;
    # Instruction sets: only in simd/<level>/, simd/cpu.c and the tests of single instructions.
    simd:* | tests:immintrin.h | tests:cpuid.h) ;;
    *:immintrin.h | *:x86intrin.h | *:arm_neon.h | *:cpuid.h) return 1 ;;
    esac
    return 0
}

# The folder of a file, or of an include's text.
folder_of() {
    case $1 in
    src/media/helper/*) echo helper ;; # the programs that decode
    src/*/* | vulkan/* | simd/* | tests/*)
        rest=${1#src/}
        echo "${rest%%/*}" ;;
    src/oxcart.h) echo oxcart.h ;;
    *) echo none ;;
    esac
}

include_folder() {
    case $1 in
    oxcart.h | config.h) echo "$1" ;;
    media/helper/*) echo helper ;;
    */*) echo "${1%%/*}" ;;
    *) echo none ;;
    esac
}

# The project's sources: what git knows, or all there is in a release.
sources() { # PATTERN
    if test -e .git && git ls-files >/dev/null 2>&1; then
        git ls-files -- src simd vulkan tests
    else
        find src simd vulkan tests -type f 2>/dev/null
    fi | grep -E "$1" | sort
}

# Print one line for each wrong arrow below the folder $1.
wrong_arrows() {
    (
        cd "$1" || exit 1
        sources '\.(c|h|def)$' |
            while IFS= read -r file; do
                from=$(folder_of "$file")
                test "$from" = none && continue
                allowed=$(printf '%s\n' "$arrows" | sed -n "s/^$from: *//p")
                sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*\([<"]\)\([^>"]*\)[>"].*/\1 \2/p' "$file" |
                    while read -r mark name; do
                        if test "$mark" = '<'; then
                            library_allowed "$from" "$name" || echo "$file: <$name> does not belong in $from"
                            continue
                        fi
                        to=$(include_folder "$name")
                        case " $from base $allowed " in
                        *" $to "*) ;;
                        *) echo "$file: $from must not include \"$name\"" ;;
                        esac
                    done
            done
    )
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

wrong=$(wrong_arrows "$top")
test -z "$wrong"
check $? "includes point only downward"
test -z "$wrong" || printf '%s\n' "$wrong" | sed 's/^/# /'
count=$(cd "$top" && find src simd -name '*.[ch]' | wc -l)
test "$count" -gt 20
check $? "sources were found ($count)"

# A tree with one mistake a file, and some that are none.
bad=$(mktemp -d ./check_layers.XXXXXX) || exit 1
trap 'rm -rf "$bad"' EXIT
mkdir -p "$bad/src/media/helper" "$bad/src/base" "$bad/src/os" "$bad/src/text" "$bad/src/model" "$bad/src/server" "$bad/simd/c"
echo '#include "os/file.h"' >"$bad/src/base/one.c"
echo '  #  include "weights/config.h" /* why */' >"$bad/src/os/two.h"
echo '#include "model/attention.h"' >"$bad/src/text/three.c"
echo '#include <hwloc.h>' >"$bad/src/model/four.c"
echo '#include "engine/session.h"' >"$bad/src/server/five.c"
echo '#include <stb/stb_image.h>' >"$bad/src/media/nine.c"
echo '#include "media/helper/jail.h"' >"$bad/src/media/ten.c"
echo '#include "os/team.h"' >"$bad/simd/c/six.c"
echo '#include <immintrin.h>' >"$bad/src/model/seven.c"
echo '#include "six.h"' >"$bad/src/os/eight.c"
printf '#include "base/buf.h"\n#include "weights/tensor.h"\n#include "model/x.h"\n#include <stdio.h>\n' \
    >"$bad/src/model/good.c"
printf '#include "media/media.h"\n#include <libavcodec/avcodec.h>\n' >"$bad/src/media/helper/good.c"
found=$(wrong_arrows "$bad")
for name in one.c two.h three.c four.c five.c six.c seven.c eight.c nine.c ten.c; do
    printf '%s\n' "$found" | grep -q "/$name: "
    check $? "a wrong arrow in $name is found"
done
if printf '%s\n' "$found" | grep -q good.c; then
    check 1 "right arrows are accepted"
else
    check 0 "right arrows are accepted"
fi
echo "1..$n"
exit $failed
