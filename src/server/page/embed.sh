#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Writes C on standard output: the files of the chat page, given as operands, as the table ox_page_assets (page.h).
# index.html is the asset "/", any other is "/NAME". The same files give the same bytes.
set -eu
LC_ALL=C
export LC_ALL

content_type() { # NAME
    case $1 in
    *.html) echo 'text/html; charset=utf-8' ;;
    *.css) echo 'text/css; charset=utf-8' ;;
    *.js) echo 'text/javascript; charset=utf-8' ;;
    *.svg) echo 'image/svg+xml' ;;
    *) echo "embed.sh: $1: of what type?" >&2; exit 1 ;;
    esac
}

echo '/* Made by embed.sh. */'
echo '#include "server/page.h"'
i=0
for file; do
    printf '\nstatic const uint8_t asset_%d[] = {\n' "$i"
    # A NUL behind the bytes, so that none is empty.
    { cat "$file"; printf '\0'; } | od -An -v -tu1 | sed 's/  */,/g; s/^,/    /; s/$/,/'
    echo '};'
    i=$((i + 1))
done
printf '\nconst struct ox_page_asset ox_page_assets[] = {\n'
i=0
for file; do
    name=${file##*/}
    path=/$name
    test "$name" != index.html || path=/
    type=$(content_type "$name")
    # The checksum and length that POSIX cksum prints.
    etag=$(cksum <"$file" | tr ' ' '-')
    printf '    {"%s", "%s", asset_%d, sizeof asset_%d - 1, "\\"%s\\""},\n' "$path" "$type" "$i" "$i" "$etag"
    i=$((i + 1))
done
echo '};'
printf 'const size_t ox_page_n_assets = %d;\n' "$i"
