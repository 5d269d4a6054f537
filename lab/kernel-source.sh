#!/bin/sh
# kernel-source.sh DIRECTORY [unpacked] : prints the path of the source of Linux 6.1, as Debian
# has it, packed; or of the folder in which it is unpacked, as far as it takes to build a kernel
# for x86. It is downloaded to DIRECTORY, without root and whatever the distribution.
set -eu

directory=$1
source=$directory/usr/src/linux-source-6.1.tar.xz
tree=$directory/linux-source-6.1
if ! [ -r "$source" ]; then
    "${0%/*}/tools.sh" debian-keys
    echo "picoinit: the kernel's source is a download of 139 MB, once" >&2
    # Debian 12 has it, and no later release.
    CPU= SUITE=bookworm "${0%/*}/package.sh" "$directory" linux-source-6.1 && [ -r "$source" ] || {
        echo "picoinit: there is no source to build a kernel from: Debian's linux-source-6.1 cannot be had" >&2
        exit 1
    }
fi
if [ "${2:-}" != unpacked ]; then
    echo "$source"
    exit
fi
if ! [ -e "$tree" ]; then
    "${0%/*}/tools.sh" xz
    echo "picoinit: unpacking the kernel's source" >&2
    part=$directory/part.$$
    trap 'rm -rf "$part"' EXIT
    trap 'exit 1' INT TERM
    mkdir "$part"
    # A third of it: neither other processors, nor the largest drivers.
    tar -C "$part" -xf "$source" --exclude='*.dts*' --exclude='linux-source-6.1/arch/[!x]*.[chS]' \
        --exclude='linux-source-6.1/drivers/gpu/*.[ch]' --exclude='linux-source-6.1/drivers/net/*.[ch]' \
        --exclude='linux-source-6.1/drivers/media/*.[ch]' --exclude='linux-source-6.1/sound/*.[ch]' \
        --exclude='linux-source-6.1/tools/testing/*' --exclude='linux-source-6.1/tools/perf/*' || {
        echo "picoinit: $source cannot be unpacked. Remove it, and it is downloaded again" >&2
        exit 1
    }
    mv "$part/linux-source-6.1" "$tree"
fi
echo "$tree"
