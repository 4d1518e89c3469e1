#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Pictures from https hosts, with certificates made here: one that is good, and those that must not do (remote_tls.c prints
# the TAP).
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"

if ! command -v openssl > /dev/null; then
    echo "1..0 # SKIP openssl is missing"
    exit 0
fi
if [ ! -x "$build/tests/e2e/remote_tls" ]; then
    echo "1..0 # SKIP built without the HTTP server or libcurl"
    exit 0
fi

authority() { # NAME
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1 of a test"
}
host() { # NAME HOST AUTHORITY DAYS
    printf 'subjectAltName=DNS:%s\n' "$2" > "$1.ext"
    openssl x509 -req -in host.csr -CA "$3.pem" -CAkey "$3.key" -CAcreateserial -out "$1.pem" -days "$4" -extfile "$1.ext"
}
(
    set -e
    cd "$work"
    authority ca
    authority stranger
    openssl req -newkey rsa:2048 -nodes -keyout host.key -out host.csr -subj /CN=media.test
    host good media.test ca 2
    host name others.test ca 2
    host old media.test ca -1
    host other media.test stranger 2
    openssl req -x509 -key host.key -out self.pem -days 2 -subj /CN=media.test -addext subjectAltName=DNS:media.test
) > "$work/openssl" 2>&1
"$build/tests/e2e/remote_tls" "$work"
