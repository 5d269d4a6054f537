#!/bin/sh
# image.sh SOURCE ARCHIVE IMAGE DIRECTORY : writes IMAGE, a floppy of 1.44 MB that starts a kernel
# with ARCHIVE in it. The kernel is built in DIRECTORY from SOURCE, the kernel's source. No root,
# and nothing is mounted.
set -eu

source=$1 archive=$2 image=$3 directory=$4
here=${0%/*}
kernels=$here/../kernel
mkdir -p "$directory"

# The archive becomes a part of the kernel, so that both are compressed together. Its checksum
# has the kernel linked anew if it is another one.
cat >"$directory/archive.config" <<END
# $(cksum "$archive")
CONFIG_INITRAMFS_SOURCE="$(realpath "$archive")"
CONFIG_INITRAMFS_COMPRESSION_NONE=y
END
kernel=$("$here/../own-kernel.sh" "$source" "$directory" "$kernels/base.config" "$kernels/keyboard.config" \
    "$kernels/floppy.config" "$directory/archive.config")

part=$directory/part.img
trap 'rm -f "$part"' EXIT
trap 'exit 1' INT TERM
rm -f "$part"
truncate -s 1440K "$part"
{
    # syslinux comes before the kernel: where it has no room, it does not say so.
    mformat -i "$part" -f 1440 -v PICOINIT :: && syslinux --install "$part" &&
        mcopy -i "$part" "$here/syslinux.cfg" :: && mcopy -i "$part" "$kernel" ::LINUX
} >"$directory/image.log" 2>&1 || {
    tail -n 2 "$directory/image.log" >&2
    echo "picoinit: this does not fit on a floppy of 1.44 MB: the kernel with all that is in it has $(stat -c %s "$kernel") bytes" >&2
    exit 1
}
mv "$part" "$image"
free=$(mdir -i "$image" :: | sed -n 's/ bytes free//; t end; d; :end s/ //gp')
echo "picoinit: $image: the kernel with all that is in it has $(stat -c %s "$kernel") bytes; $free are free" >&2
