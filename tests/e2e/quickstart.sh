#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# src/quickstart over a build that is there: it says "building" when make has something to build, and only then.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"

tree=$work/tree
mkdir -p "$tree/src" "$tree/.build" "$work/bin"
cp "${abs_top_srcdir:-.}/src/quickstart" "$tree/src"
printf '#!/bin/sh\necho installed\n' > "$work/bin/dpkg-query"
: > "$tree/configure.ac"
: > "$tree/configure"
: > "$tree/.build/config.status"
printf "'%s/configure'\n" "$tree" > "$tree/.build/.quickstart"
chmod +x "$work/bin/dpkg-query" "$tree/configure"
# What automake makes: config.h is older than its stamp, and its recipe leaves it alone.
cat > "$tree/.build/Makefile" << 'END'
all: config.h
	$(MAKE) all-am
all-am: one.lo
one.lo: config.h one.c
	: --mode=compile && touch one.lo
config.h: stamp-h1
	@test -f $@
END
: > "$tree/.build/config.h"
: > "$tree/.build/one.c"
touch -d '1 hour ago' "$tree/.build/config.h" "$tree/.build/one.c"
: > "$tree/.build/stamp-h1"

quickstart() { # [VERB]
    status=0
    err=$(PATH=$work/bin:$PATH MAKEFLAGS='' MFLAGS='' "$tree/src/quickstart" "${1-build}" 2>&1 > "$work/out") || status=$?
}
quickstart
is "$status:$err:$(cat "$work/out")" "0:quickstart: building (about a minute):" "something to build"
[ -f "$tree/.build/one.lo" ]
ok $? "it is built"
quickstart
is "$status:$err:$(cat "$work/out")" "0::" "nothing to build"
touch "$tree/.build/one.c"
touch -d '1 minute ago' "$tree/.build/one.lo"
quickstart
is "$status:$err" "0:quickstart: building (about a minute)" "a source that changed"
# The tests' packages came after the first build.
printf 'check check-long:\n\t@echo "# PASS: 1"\n' >> "$tree/.build/Makefile"
quickstart check
has "$err" "^quickstart: configuring in " "configured again for the tests"
quickstart check
is "$(printf '%s\n' "$err" | grep -c configuring)" 0 "once"
quickstart
is "$(printf '%s\n' "$err" | grep -c configuring)" 0 "and not back"
# shellcheck disable=SC2016
printf 'all-am:\n\techo no --mode=x compiler; false\nall:\n\t$(MAKE) all-am\n' > "$tree/.build/Makefile"
quickstart
is "$status" 1 "a build that fails"
has "$err" "no --mode=x compiler" "its output is shown"
done_testing
