#!/bin/sh
# busybox.sh DIRECTORY FILE [TREE] : finds a BusyBox for a machine that has no C library.
# That is FILE, if it is linked statically; or, without one, Debian's or Ubuntu's, downloaded
# to DIRECTORY without root. Copies it to TREE/bin, if TREE/bin/sh is a link to what is not there.
# CPU, in the environment, is as make was given it.
set -eu

directory=$1 file=$2 tree=${3:-}
if [ "$tree" ] && { ! [ -L "$tree/bin/sh" ] || [ -e "$tree/bin/sh" ]; }; then exit 0; fi

if ! [ "$file" ]; then
    busybox=$directory/bin/busybox
    if ! [ -e "$busybox" ]; then
        "$(dirname "$0")"/package.sh "$directory" busybox-static || {
            echo "picoinit: no static BusyBox to be had. Name one with: make shell BUSYBOX=/path/to/busybox" >&2
            exit 1
        }
        # In newer packages it is in /usr/bin.
        [ -e "$busybox" ] || { mkdir -p "$directory/bin" && ln "$directory/usr/bin/busybox" "$busybox"; }
    fi
    [ ! "$tree" ] || cp "$busybox" "$tree/bin/busybox"
    exit
fi

fail() {
    echo "picoinit: BUSYBOX=$file$*" >&2
    exit 1
}

# Prints a number of so many bytes at this offset.
number() { # OFFSET BYTES
    od -An -tu"$2" -j "$1" -N "$2" "$file" | tr -d ' '
}

# A program that names a loader has a program header of type 3, PT_INTERP (elf(5)).
has_loader() {
    case $(number 4 1) in
    1) header=$(number 28 4) size=$(number 42 2) left=$(number 44 2) ;; # 32 bits
    *) header=$(number 32 8) size=$(number 54 2) left=$(number 56 2) ;;
    esac
    while [ "$left" -gt 0 ]; do
        [ "$(number "$header" 4)" != 3 ] || return 0
        header=$((header + size)) left=$((left - 1))
    done
    return 1
}

[ -f "$file" ] || fail ": there is no such file"
[ -r "$file" ] || fail " cannot be read by you"
[ -x "$file" ] || fail " is not executable"
cpu=${CPU:-$(uname -m)}
case $cpu in x86_64) machine=62 ;; i686) machine=3 ;; aarch64) machine=183 ;; *) machine=243 ;; esac # elf(5)
# The first word is that of every ELF file.
[ "$(number 0 4)" = 1179403647 ] && [ "$(number 18 2)" = $machine ] && grep -aq BusyBox "$file" ||
    fail " is not a BusyBox for $cpu"
! has_loader || fail " is not linked statically: it needs a C library, which the machine does not have"
[ ! "$tree" ] || cp "$file" "$tree/bin/busybox"
