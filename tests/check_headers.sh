#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Each header compiles alone, twice in one file, and without a warning; oxcart.h also as C++ and without our flags. Each
# source, header and test is named in Makefile.am, so that a release has it.
set -u
LC_ALL=C
export LC_ALL
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
cc=${CC:-cc}
cppflags=${OX_TEST_CPPFLAGS:--I$top/src -I$top}
warnings='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wundef -Werror'
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

work=$(mktemp -d ./check_headers.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT

# The project's sources: what git knows, or all there is in a release.
sources() { # PATTERN
    if test -e .git && git ls-files >/dev/null 2>&1; then
        git ls-files -- src simd vulkan tests
    else
        find src simd vulkan tests -type f 2>/dev/null
    fi | grep -E "$1" | sort
}

# What a header of simd/<level>/, or of the emulated levels, is compiled with.
level_flags() {
    avx2='-mavx2 -mfma -mf16c'
    avx512="$avx2 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi"
    case $1 in
    simd/avx2/*) echo "$avx2" ;;
    simd/avx512/*) echo "$avx512" ;;
    simd/avx512bf16/*) echo "$avx512 -mavx512bf16" ;;
    simd/amx/*) echo "$avx512 -mavx512bf16 -mamx-tile -mamx-bf16 -mamx-int8" ;;
    simd/neonbf16/*) echo '-march=armv8.2-a+bf16' ;;
    tests/simd/emulate/immintrin.h) echo '-Wno-psabi' ;;
    esac
}

# Can this compiler's machine have the level of header $1 at all?
# shellcheck disable=SC2086
level_possible() {
    flags=$(level_flags "$1")
    case $1 in
    simd/neon*) flags="$flags -include arm_neon.h" ;;
    tests/simd/emulate/immintrin.h) flags="$flags -include simde/x86/avx512.h" ;;
    esac
    test -z "$flags" || echo 'int x;' | $cc $flags -x c -fsyntax-only - >/dev/null 2>&1
}

# Does the header $1 (as it is included) compile alone and twice?
# shellcheck disable=SC2086
alone() {
    printf '#include "%s"\n#include "%s"\nextern int ox_not_empty;\n' "$1" "$1" >"$work/alone.c"
    level=$(level_flags "$1")
    test -z "$level" || level="$level -Wno-conversion -Wno-sign-conversion"
    $cc -std=c11 -D_GNU_SOURCE $cppflags $warnings $level -Wno-unused-function -fsyntax-only "$work/alone.c" \
        >"$work/messages" 2>&1
}

headers=$(cd "$top" && sources '\.h$')
for header in $headers; do
    if ! level_possible "$header"; then
        n=$((n + 1))
        echo "ok $n - $header # SKIP not for this machine"
        continue
    fi
    alone "${header#src/}"
    status=$?
    check $status "$header"
    test $status -eq 0 || sed 's/^/# /' "$work/messages"
    guard=$(sed -n 's/^#ifndef \(OX[A-Z0-9_]*_H\)$/\1/p' "$top/$header" | head -1)
    test -n "$guard"
    check $? "$header has an include guard"
done

# It can fail.
mkdir "$work/x"
printf 'struct a { size_t n; };\n' >"$work/x/bad.h"
cppflags="-I$work $cppflags"
if alone x/bad.h; then
    check 1 "a header that needs another is found"
else
    check 0 "a header that needs another is found"
fi

printf '#include "oxcart.h"\nint main(void) { return oxcart_version() == NULL; }\n' >"$work/plain.c"
for standard in c99 c11; do
    $cc -std=$standard -pedantic-errors -Wall -Wextra -Werror -I"$top/src" -fsyntax-only "$work/plain.c"
    check $? "oxcart.h in strict $standard"
done
cxx=${OX_CXX:-}
for name in c++ g++ clang++; do
    # One that was installed after configure ran will do.
    test -n "$cxx" || ! command -v "$name" >/dev/null 2>&1 || cxx=$name
done
if test -n "$cxx"; then
    cp "$work/plain.c" "$work/plain.cc"
    for standard in c++11 c++17; do
        $cxx -std=$standard -pedantic-errors -Wall -Wextra -Werror -I"$top/src" -fsyntax-only "$work/plain.cc"
        check $? "oxcart.h as $standard"
    done
else
    n=$((n + 1))
    echo "ok $n - oxcart.h as C++ # SKIP no C++ compiler"
fi

unnamed=
for file in $(cd "$top" && sources '\.(c|h|def|sh)$'); do
    # The source of a program that has no ..._SOURCES is named without its ending.
    grep -qE "(^|[[:space:]])${file%.c}(\.c)?([[:space:]\\\\]|\$)" "$top/Makefile.am" || unnamed="$unnamed $file"
done
test -z "$unnamed"
check $? "every source is named in Makefile.am"
test -z "$unnamed" || echo "#$unnamed"
echo "1..$n"
exit $failed
