#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Older and other processors, under qemu-user: the x86-64 program on one with SSE3 at most and on one that stops at AVX2
# finds its level and never meets an instruction that it has not; the kernels built for aarch64 are right on a processor
# that has everything and on a plain ARMv8.0 one, and nothing above a level leaks below it.
set -u
LC_ALL=C
export LC_ALL
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${abs_top_builddir:-.}
cross=aarch64-linux-gnu
trials=20
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

skip() { # NAME REASON
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

have() { # PROGRAM
    command -v "$1" >/dev/null 2>&1
}

work=$(mktemp -d ./check_qemu.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT

# The kernel checker, and what it says about how each level ran. Few trials: emulation is slow; and levels that the
# checker emulates have nothing to do with the processor.
kernels() { # NAME LEVEL-EXPECTED LEVEL-NOT-EXPECTED-OR-NOTHING COMMAND...
    name=$1
    has=$2
    lacks=$3
    shift 3
    "$@" --native --trials=$trials >"$work/out" 2>"$work/err"
    check $? "$name: check_simd, $(grep -c '^ok' "$work/out") checks"
    grep '^not ok' "$work/out" | sed 's/^/# /'
    grep -q "^# level $has: native" "$work/out"
    check $? "$name: level $has is there"
    test -n "$lacks" || return
    grep -q "^# level $lacks: native" "$work/out"
    test $? -eq 1
    check $? "$name: level $lacks is not"
}

# A program of one instruction runs on one processor and ends at once on another: the emulated one is no better than it
# says.
instruction() { # COMPILER QEMU CPU-THAT-HAS CPU-THAT-HAS-NOT INSTRUCTION
    printf 'int main(void)\n{\n    __asm__ volatile("%s");\n    return 0;\n}\n' "$5" >"$work/one.c"
    # shellcheck disable=SC2086
    $1 -static -o "$work/one" "$work/one.c" && $2 -cpu "$3" "$work/one" 2>"$work/err"
    check $? "$3 runs $5"
    # In a shell of its own, whose message about the signal is not shown.
    (exec 2>/dev/null; $2 -cpu "$4" "$work/one"; test $? -gt 128)
    check $? "$4 does not run $5"
}

# One x86-64 processor. The program finds its level, and answers as ever.
x86() { # CPU LEVEL LEVEL-ABOVE
    qemu-x86_64 -cpu "$1" "$build/oxcart" doctor >"$work/out" 2>"$work/err"
    check $? "$1: oxcart doctor"
    grep -q "^CPU level  *$2," "$work/out"
    check $? "$1: doctor names level $2"
    answer=$(qemu-x86_64 -cpu "$1" "$build/oxcart" run -q --greedy "What is the capital of France?" 2>"$work/err")
    test "$answer" = "The capital of France is Paris."
    check $? "$1: oxcart run"
    kernels "$1" "$2" "$3" qemu-x86_64 -cpu "$1" "$build/tests/simd/check_simd"
}

# The flags that a level of aarch64 is compiled with.
level_flags() { # LEVEL
    case $1 in
    neonbf16) echo '-march=armv8.2-a+bf16' ;;
    *) echo ;;
    esac
}

compile() { # ARCHIVE FLAGS FILE...
    archive=$1
    flags=$2
    shift 2
    mkdir -p "$work/$archive"
    for file in "$@"; do
        # shellcheck disable=SC2086
        $cross-gcc -std=c11 -D_GNU_SOURCE -fno-math-errno -ffp-contract=off -O2 $flags -I"$top/src" -I"$top" \
            -c "$file" -o "$work/$archive/$(basename "$file" .c).o" || return 1
    done
    $cross-ar rcs "$work/$archive.a" "$work/$archive"/*.o
}

# The kernels and their checker for aarch64, linked statically: what needs no library of that architecture.
build_aarch64() {
    archives=
    for folder in "$top"/simd/c "$top"/simd/neon*; do
        level=${folder##*/}
        compile "libox_simd_$level" "$(level_flags "$level")" "$folder"/*.c || return 1
        archives="$archives $work/libox_simd_$level.a"
    done
    compile libox_simd '' "$top"/simd/*.c || return 1
    compile libox_base '' "$top"/src/base/rng.c "$top"/src/base/str.c || return 1
    # The checker has the sources that Makefile.am names.
    sources=$(sed -n "/^tests_simd_check_simd_SOURCES/,/[^\\\\]\$/s|.*\(tests/simd/[a-z_]*\.c\).*|$top/\1|p" "$top/Makefile.am")
    # shellcheck disable=SC2086
    $cross-gcc -std=c11 -D_GNU_SOURCE -O1 -I"$top/src" -I"$top" -static -o "$work/check_simd" $sources \
        "$work/libox_simd.a" $archives "$work/libox_base.a" -lm
}

aarch64() {
    instruction "$cross-gcc -march=armv8.2-a+bf16" qemu-aarch64 max cortex-a53 'bfdot v0.4s, v1.8h, v2.8h'
    build_aarch64 2>"$work/err"
    status=$?
    check $status "aarch64: the kernels build"
    if test $status -ne 0; then
        sed 's/^/# /' "$work/err"
        return
    fi
    newest=neon
    test -d "$top/simd/neonbf16" && newest=neonbf16
    kernels "aarch64 max" $newest "" qemu-aarch64 -cpu max "$work/check_simd"
    kernels "aarch64 cortex-a53" neon neonbf16 qemu-aarch64 -cpu cortex-a53 "$work/check_simd"
    CC=$cross-gcc OBJDUMP=$cross-objdump sh "$top/tests/simd/check_levels.sh" "$work" >"$work/levels"
    check $? "aarch64: levels keep to themselves, $(grep -c '^ok' "$work/levels") checks"
    grep '^not ok' "$work/levels" | sed 's/^/# /'
}

if test "$(uname -m)" != x86_64; then
    echo "1..0 # SKIP made for x86-64 machines"
    exit 77
fi
if grep -q '^OX_SANITIZE = *-f' "$build/Makefile" 2>/dev/null; then
    skip "x86-64" "a build with sanitizers"
elif have qemu-x86_64; then
    instruction "${CC:-cc}" qemu-x86_64 Haswell qemu64 'vaddps %ymm0, %ymm0, %ymm0'
    instruction "${CC:-cc}" qemu-x86_64 Haswell qemu64 'pshufb %xmm0, %xmm0'
    x86 qemu64 c avx2
    x86 Haswell avx2 avx512
else
    skip "x86-64" "no qemu-x86_64 (package qemu-user)"
fi
if ! have qemu-aarch64; then
    skip "aarch64" "no qemu-aarch64 (package qemu-user)"
elif ! have $cross-gcc || ! echo 'int main(void) { return 0; }' | $cross-gcc -static -x c -o "$work/static" - 2>/dev/null; then
    skip "aarch64" "no cross compiler (packages gcc-aarch64-linux-gnu and libc6-dev-arm64-cross)"
else
    aarch64
fi
echo "1..$n"
exit $failed
