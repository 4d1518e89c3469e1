#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tests/e2e/kv_kill 200 times.
exec "${abs_top_builddir:-.}/tests/e2e/kv_kill" 200 7
