#!/bin/sh
# mdbook.sh FOLDER VERSION : makes sure that FOLDER/bin/mdbook is there, in this version.
#
# Cargo builds it, once, with what it takes to make a book that can be searched, and no more. A
# log of that is kept in FOLDER/log.
set -eu

folder=$1 version=$2

mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || {
    echo "picoinit: cannot write to $folder, where mdBook is to be; see who may: ls -ld $(dirname "$folder")" >&2
    exit 1
}
case $("$folder/bin/mdbook" --version 2>/dev/null) in *" v$version") exit 0 ;; esac

echo "picoinit: building mdBook $version; this takes some minutes, once" >&2
if ! cargo install mdbook --version "$version" --locked --no-default-features --features search \
    --root "$folder" >"$folder/log" 2>&1; then
    why=$(sed -n 's/^error: //p' "$folder/log" | head -n 1)
    echo "picoinit: mdBook $version was not built: ${why:-cargo failed}. It is downloaded from crates.io; see $folder/log, and try again" >&2
    exit 1
fi
