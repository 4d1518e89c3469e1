#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every case of the demonstration model's tasks and many pictures and clips, at level c and at the best level of this
# machine.
failed=0
n=0
for play in demo_tasks demo_pictures demo_files demo_clips; do
    [ -x "${abs_top_builddir:?}/tests/e2e/$play" ] || continue # clips without FFmpeg
    levels="c best"
    case $play in demo_files | demo_clips) levels=best ;; esac
    for level in $levels; do
        n=$((n + 1))
        option=
        [ "$level" = best ] || option=--level=$level
        if found=$("$abs_top_builddir/tests/e2e/$play" --all ${option:+"$option"}); then
            echo "ok $n - $play: all cases at level $level"
        else
            echo "not ok $n - $play: all cases at level $level"
            failed=1
        fi
        echo "$found" | sed 's/^/# /'
    done
done
echo "1..$n"
exit $failed
