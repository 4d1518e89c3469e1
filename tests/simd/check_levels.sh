#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Proof by disassembly that nothing above a CPU level leaks below it: each instruction of each level's objects belongs to
# what the level allows, each level uses what it is named for, and everything else keeps to the architecture's baseline.
# Proves on small samples that it can fail.
#
#   check_levels.sh [FOLDER]    the folder that has libox_*.a (else .libs of the build)
set -u
LC_ALL=C
export LC_ALL
build=${abs_top_builddir:-.}
cc=${CC:-cc}
objdump=${OBJDUMP:-objdump}

skip() { # REASON
    echo "1..0 # SKIP $1"
    exit 77
}

command -v "$objdump" >/dev/null 2>&1 || skip "no objdump (package binutils)"
if test $# -eq 0; then
    grep -q '^OX_SANITIZE = *-f' "$build/Makefile" && skip "a build with sanitizers"
    grep -qE '^(CFLAGS|CC) = .*-(march|mcpu|mavx|flto)' "$build/Makefile" && skip "a build with instruction sets or LTO of the user's"
fi
folder=${1:-$build/.libs}

# What a level allows beyond the baseline, and which of it must be there. No other level is known.
allowed() { # LEVEL
    case $1 in
    baseline | c) echo '' ;;
    avx2) echo 'sse4 avx2' ;;
    avx512) echo 'sse4 avx2 avx512' ;;
    avx512bf16) echo 'sse4 avx2 avx512 avx512bf16' ;;
    amx) echo 'sse4 avx2 avx512 avx512bf16 amx' ;;
    neon) echo 'neon' ;;
    neonbf16) echo 'neon neonbf16' ;;
    *) return 1 ;;
    esac
}

# The instructions of the files: one line a kind above the baseline, "kind example".
kinds() { # FILE...
    "$objdump" -d -w "$@" | awk -F'\t' '
    /file format elf64-x86-64/ { arm = 0 }
    /file format elf64-littleaarch64/ { arm = 1 }
    NF < 3 { next }
    {
        text = $3
        for (i = 4; i <= NF; i++) text = text " " $i
        sub(/[ ]*(#|\/\/).*/, "", text)
        kind = arm ? kind_aarch64(text) : kind_x86($2, text)
        if (kind != "" && !(kind in seen)) {
            seen[kind] = 1
            print kind " " text
        }
    }
    function kind_x86(bytes, text,    m) {
        while (bytes ~ /^(26|2e|36|3e|64|65|67) /) bytes = substr(bytes, 4)
        while (text ~ /^(\{vex\}|\{evex\}|lock|repn?z|rep|data16|[cdefgs]s|notrack|bnd|addr32) /) sub(/^[^ ]* /, "", text)
        m = text
        sub(/ .*/, "", m)
        if (m ~ /^(ldtilecfg|sttilecfg|tile|tdp)/) return "amx"
        if (m ~ /^v(dpbf16ps|cvtne2?ps2bf16)/) return "avx512bf16"
        if (m ~ /^(andn|bextr|blsi|blsmsk|blsr|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt)[lq]?$/) return "bmi"
        if (m ~ /^(v?gf2p8|v?aes|sha[12]|v?pclmul|crc32|movbe|rdrand|rdseed|adcx|adox)/) return "extra"
        if (m ~ /^v(permb|permi2b|permt2b|pmultishiftqb|pdp|pcompress[bw]|pexpand[bw]|psh[lr]d|pmadd52|popcnt|pshufbitqmb|p2intersect|pconflict|plzcnt|pbroadcastm)/)
            return "extra"
        if (m ~ /^v.*(ph|sh)[xyz]?$/ && m !~ /^vcvtps2ph/) return "extra"
        if (bytes ~ /^62 /) return "avx512"
        if (bytes ~ /^c[45] /) return m ~ /^k/ || text ~ /%(zmm|k[0-7])/ ? "avx512" : "avx2"
        if (m ~ /^(haddp|hsubp|addsubp|lddqu|movddup|movs[hl]dup|palignr|pshufb|phadd|phsub|pmaddubsw|pmulhrsw|psign|pabs)/) return "sse4"
        if (m ~ /^(p?blend|dpp[sd]|extractps|insertps|mpsadbw|packusdw|pcmp(eq|gt)q|pextr[bdq]|phminpos|pinsr[bdq])/) return "sse4"
        if (m ~ /^(pm(ax|in)(sb|sd|ud|uw)|pmov[sz]x|pmuldq|pmulld|ptest|round[ps][sd]|movntdqa|pcmp[ei]str|popcnt)/) return "sse4"
        return ""
    }
    function kind_aarch64(text,    m) {
        m = text
        sub(/ .*/, "", m)
        if (m ~ /^bf(dot|mmla|mlal|cvt)/) return "neonbf16"
        if (text ~ /[ ,{]z[0-9]+\./ || text ~ /[ ,]p[0-9]+[.\/]/) return "extra"
        if (m ~ /^([su]dot|usdot|sudot|[su]mmla|usmmla|sqrdml|fcmla|fcadd|fml[as]l|aes|sha|cas|swp|ldadd|ldclr|ldset|ldeor|stadd)/)
            return "extra"
        if (m ~ /^f/ && m !~ /^fcvt[ln]?2?$/ && text ~ /(\.[48]h|[ ,]h[0-9])/) return "extra"
        if (text ~ /[ ,]v[0-9]+\.4s/) return "neon"
        return ""
    }'
}

# What is wrong with the files as those of a level; nothing if all is well.
wrong() { # LEVEL FILE...
    level=$1
    shift
    if ! may=$(allowed "$level"); then
        echo "no list of what level $level allows"
        return
    fi
    found=$(kinds "$@")
    printf '%s\n' "$found" | while read -r kind example; do
        case " $may neon " in
        *" ${kind:-neon} "*) ;;
        *) echo "above level $level ($kind): $example" ;;
        esac
    done
    case $level in
    baseline | c) ;;
    *) printf '%s\n' "$found" | grep -q "^$level " || echo "level $level has no instruction of its own" ;;
    esac
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

good() { # LEVEL NAME FILE...
    level=$1
    name=$2
    shift 2
    result=$(wrong "$level" "$@")
    test -z "$result"
    check $? "$name keeps to level $level"
    test -z "$result" || printf '%s\n' "$result" | sed 's/^/# /'
}

n_archives=0
for archive in "$folder"/libox_*.a; do
    test -f "$archive" || continue
    name=${archive##*/libox_}
    name=${name%.a}
    case $name in
    simd_*) good "${name#simd_}" "$name" "$archive" ;;
    # Single instructions of a level, for tests of them.
    try_*) continue ;;
    *) good baseline "$name" "$archive" ;;
    esac
    n_archives=$((n_archives + 1))
done
test "$n_archives" -ge 3
check $? "objects were found ($n_archives archives)"
if test $# -eq 0; then
    good baseline "the program" "$build/src/cli/main.o"
fi

# It can fail: single instructions as objects of a level.
work=$(mktemp -d ./check_levels.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
assemble() { # INSTRUCTION...
    { echo '.text'; for line in "$@"; do echo "$line"; done; } >"$work/sample.s"
    # shellcheck disable=SC2086
    $cc -c "$work/sample.s" -o "$work/sample.o"
}
caught() { # LEVEL INSTRUCTION...
    level=$1
    shift
    if assemble "$@" && test -n "$(wrong "$level" "$work/sample.o")"; then
        check 0 "level $level must not be: $*"
    else
        check 1 "level $level must not be: $*"
    fi
}
taken() { # LEVEL INSTRUCTION...
    level=$1
    shift
    assemble "$@" && test -z "$(wrong "$level" "$work/sample.o")"
    check $? "level $level may be: $*"
}
# shellcheck disable=SC2016
samples_x86() {
    taken baseline 'addps %xmm1, %xmm0'
    taken baseline 'xgetbv'
    caught baseline 'vaddps %xmm1, %xmm0, %xmm0'
    caught baseline 'pshufb %xmm1, %xmm0'
    caught baseline 'roundss $0, %xmm1, %xmm0'
    caught baseline 'popcnt %rax, %rax'
    caught baseline 'vzeroupper'
    caught baseline 'shlx %rax, %rbx, %rcx'
    taken avx2 'vaddps %ymm1, %ymm0, %ymm0'
    taken avx2 'vcvtph2ps %xmm1, %ymm0' 'vfmadd231ps (%rax), %ymm0, %ymm1' 'vcvtps2ph $0, %ymm0, %xmm1'
    caught avx2 'addps %xmm1, %xmm0'
    caught avx2 'vaddps %ymm1, %ymm0, %ymm0' 'vaddps %ymm16, %ymm0, %ymm0'
    caught avx2 'vaddps %ymm1, %ymm0, %ymm0' 'vaddps %zmm1, %zmm0, %zmm0'
    caught avx2 'vaddps %ymm1, %ymm0, %ymm0' 'kmovw %eax, %k1'
    caught avx2 'vaddps %ymm1, %ymm0, %ymm0' 'vpternlogd $1, %xmm1, %xmm2, %xmm3'
    caught avx2 'vaddps %ymm1, %ymm0, %ymm0' '{vex} vpdpbusd %ymm1, %ymm2, %ymm3'
    caught avx2 'vaddps %ymm1, %ymm0, %ymm0' 'shlx %rax, %rbx, %rcx'
    taken avx512 'vaddps %zmm1, %zmm0, %zmm0' 'kmovw %eax, %k1' 'vpackuswb %zmm1, %zmm2, %zmm3'
    caught avx512 'vaddps %ymm1, %ymm0, %ymm0'
    caught avx512 'vaddps %zmm1, %zmm0, %zmm0' 'vdpbf16ps %zmm1, %zmm0, %zmm0'
    caught avx512 'vaddps %zmm1, %zmm0, %zmm0' 'vcvtne2ps2bf16 %zmm1, %zmm0, %zmm0'
    caught avx512 'vaddps %zmm1, %zmm0, %zmm0' 'vpermb %zmm1, %zmm0, %zmm0'
    caught avx512 'vaddps %zmm1, %zmm0, %zmm0' 'vpdpbusd %zmm1, %zmm0, %zmm0'
    caught avx512 'vaddps %zmm1, %zmm0, %zmm0' 'vaddph %zmm1, %zmm0, %zmm0'
    caught avx512 'vaddps %zmm1, %zmm0, %zmm0' 'vpopcntd %zmm1, %zmm0'
    caught avx512 'vaddps %zmm1, %zmm0, %zmm0' 'tdpbf16ps %tmm1, %tmm2, %tmm3'
    taken avx512bf16 'vdpbf16ps %zmm1, %zmm0, %zmm0'
    caught avx512bf16 'vdpbf16ps %zmm1, %zmm0, %zmm0' 'tilerelease'
    caught avx512bf16 'vaddps %zmm1, %zmm0, %zmm0'
    taken amx 'tdpbf16ps %tmm1, %tmm2, %tmm3' 'ldtilecfg (%rax)'
    caught amx 'vdpbf16ps %zmm1, %zmm0, %zmm0'
}
samples_aarch64() {
    arch='.arch armv8.6-a+sve+fp16'
    taken baseline 'fmla v0.4s, v1.4s, v2.4s'
    taken neon 'fmla v0.4s, v1.4s, v2.4s' 'fcvtl v0.4s, v1.4h'
    caught neon 'add x0, x1, x2'
    caught neon "$arch" 'fmla v0.4s, v1.4s, v2.4s' 'bfdot v0.4s, v1.8h, v2.8h'
    caught neon "$arch" 'fmla v0.4s, v1.4s, v2.4s' 'bfmmla v0.4s, v1.8h, v2.8h'
    caught neon "$arch" 'fmla v0.4s, v1.4s, v2.4s' 'sdot v0.4s, v1.16b, v2.16b'
    caught neon "$arch" 'fmla v0.4s, v1.4s, v2.4s' 'smmla v0.4s, v1.16b, v2.16b'
    caught neon "$arch" 'fmla v0.4s, v1.4s, v2.4s' 'fmla v0.8h, v1.8h, v2.8h'
    caught neon "$arch" 'fmla v0.4s, v1.4s, v2.4s' 'fadd z0.s, z1.s, z2.s'
    caught neon "$arch" 'fmla v0.4s, v1.4s, v2.4s' 'ldadd x0, x1, [x2]'
    taken neonbf16 "$arch" 'bfmmla v0.4s, v1.8h, v2.8h'
    caught neonbf16 'fmla v0.4s, v1.4s, v2.4s'
    caught neonbf16 "$arch" 'bfmmla v0.4s, v1.8h, v2.8h' 'fadd z0.s, z1.s, z2.s'
}
assemble 'nop'
case $("$objdump" -f "$work/sample.o") in
*x86-64*) samples_x86 ;;
*aarch64*) samples_aarch64 ;;
esac
caught nonsense 'nop'
echo "1..$n"
exit $failed
