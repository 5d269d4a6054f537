#!/bin/sh
# uml-kernel.sh DIRECTORY [KERNEL] : prints the path of User-mode Linux. That is
# KERNEL; or Debian's or Ubuntu's, downloaded to DIRECTORY without root.
set -eu

directory=$1
kernel=${2:-}

# It says which Linux it is.
check() { # NAME FILE
    if ! [ -e "$2" ]; then
        echo "picoinit: $1: there is no such file" >&2
        exit 1
    fi
    case $("$2" --version 2>&1 </dev/null) in
    [1-9]*.[0-9]*) echo "$2" ;;
    *'not found (required by'*)
        # The package is Debian's, and its C library may be older than the program.
        echo "picoinit: $1 does not run here: its C library is not the one of this machine" >&2
        exit 1
        ;;
    *)
        echo "picoinit: $1 is not User-mode Linux, a program such as /usr/bin/linux.uml, which VM=uml boots" >&2
        exit 1
        ;;
    esac
}

if [ "$kernel" ]; then
    check "KERNEL=$kernel" "$(command -v "$kernel" || echo "$kernel")"
    exit
fi
linux=$directory/usr/bin/linux.uml
[ -e "$linux" ] || "$(dirname "$0")"/package.sh "$directory" user-mode-linux || {
    echo "picoinit: VM=uml: no User-mode Linux to be had. Name one with: make run VM=uml KERNEL=/path/to/linux. Or use QEMU: make run VM=qemu" >&2
    exit 1
}
check "$linux" "$linux"
