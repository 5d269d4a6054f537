#!/bin/sh
# modules.sh KERNEL FOLDER : copies the modules with which KERNEL sees a virtio
# disk, and an ext4 on it, to FOLDER/lib/modules, as far as they are not built in;
# and with which it sees a disk in a file.
# In the machine, `depmod` and `modprobe` find them there.
set -eu

kernel=$1 folder=$2
wanted="virtio_pci virtio_blk ext4"

fail() {
    echo "picoinit: $*" >&2
    exit 1
}

# Where the release stands is at offset 0x20e, less 0x200 (Documentation/arch/x86/boot.rst).
offset=$(od -An -tu2 -j 526 -N 2 "$kernel")
release=$(dd if="$kernel" bs=1 skip=$((offset + 512)) count=200 2>/dev/null | tr ' \0' '\n\n' | head -n 1)
modules=
beside=$(dirname "$kernel")
for place in "$beside/../lib" "$beside/../usr/lib" "$beside/../../../lib" /lib; do
    [ -d "$place/modules/$release" ] && modules=$place/modules/$release && break
done
[ "$modules" ] || fail "the modules of Linux $release are not beside $kernel, nor in /lib/modules"

mkdir -p "$folder/lib/modules/$release"
target=$(cd "$folder/lib/modules/$release" && pwd)
cat "$modules/modules.builtin" >"$target/modules.builtin" 2>/dev/null || :
cd "$modules/kernel"
for module in drivers/virtio/virtio*.ko* drivers/block/virtio_blk.ko* drivers/block/loop.ko* fs/ext4/ext4.ko* fs/jbd2/jbd2.ko* \
    fs/mbcache.ko* lib/crc16.ko* lib/crc/crc16.ko* crypto/crc32c_generic.ko*; do
    [ -e "$module" ] || continue
    name=$(basename "${module%.ko*}")
    case $module in
    *.ko) cat "$module" ;;
    *.ko.gz) gzip -dc "$module" ;;
    *.ko.xz) xz -dc "$module" ;;
    *.ko.zst) zstd -dc "$module" ;;
    *) fail "$module: how is that compressed?" ;;
    esac >"$target/$name.ko" || fail "$module cannot be decompressed"
done
for name in $wanted; do
    [ -s "$target/$name.ko" ] || grep -q "/$name\.ko" "$target/modules.builtin" || fail "Linux $release has no $name"
done
