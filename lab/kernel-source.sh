#!/bin/sh
# kernel-source.sh DIRECTORY : prints the path of the source of Linux 6.1, as Debian has
# it, packed. It is downloaded to DIRECTORY, without root and whatever the distribution.
set -eu

directory=$1
source=$directory/usr/src/linux-source-6.1.tar.xz
if ! [ -r "$source" ]; then
    "${0%/*}/tools.sh" debian-keys
    echo "picoinit: the kernel's source is a download of 139 MB, once" >&2
    # Debian 12 has it, and no later release.
    CPU= SUITE=bookworm "${0%/*}/package.sh" "$directory" linux-source-6.1 && [ -r "$source" ] || {
        echo "picoinit: there is no source to build a kernel from: Debian's linux-source-6.1 cannot be had" >&2
        exit 1
    }
fi
echo "$source"
