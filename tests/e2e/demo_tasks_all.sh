#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every case of the demonstration model's tasks, at level c and at the best level of this machine.
play=${abs_top_builddir:?}/tests/e2e/demo_tasks
failed=0
n=0
for level in c best; do
    n=$((n + 1))
    option=
    [ "$level" = best ] || option=--level=$level
    if found=$("$play" --all ${option:+"$option"}); then
        echo "ok $n - all cases at level $level"
    else
        echo "not ok $n - all cases at level $level"
        failed=1
    fi
    echo "$found" | sed 's/^/# /'
done
echo "1..$n"
exit $failed
