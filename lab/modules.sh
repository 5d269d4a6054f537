#!/bin/sh
# modules.sh KERNEL FOLDER [NAME...] : copies these modules of KERNEL, and those that they need, to
# FOLDER/lib/modules, as far as they are not built in, and prints their paths there in the order in
# which they can be loaded. In the machine, `depmod` and `modprobe` find them, too.
#
# With no NAMEs, those with which KERNEL sees a virtio disk or one in a file, and an ext4 on it; then
# it prints nothing.
set -eu

kernel=$1 folder=$2
shift 2

fail() {
    echo "picoinit: $*" >&2
    exit 1
}

# In a bzImage, where the release stands is at offset 0x20e, less 0x200 (Documentation/arch/x86/boot.rst).
# An Image, as other CPUs have, is not compressed.
if [ "$(dd if="$kernel" bs=1 skip=514 count=4 2>/dev/null | tr -d '\0')" = HdrS ]; then
    offset=$(od -An -tu2 -j 526 -N 2 "$kernel")
    release=$(dd if="$kernel" bs=1 skip=$((offset + 512)) count=200 2>/dev/null | tr ' \0' '\n\n' | head -n 1)
else
    release=$(LC_ALL=C grep -aom 1 'Linux version [^ ]*' "$kernel" | sed 's/.* //')
fi
[ "$release" ] || fail "$kernel does not say which Linux it is"
modules=
beside=$(dirname "$kernel")
for place in "$beside/../lib" "$beside/../usr/lib" "$beside/../../../lib" /lib; do
    [ -d "$place/modules/$release" ] && modules=$place/modules/$release && break
done
[ "$modules" ] || fail "the modules of Linux $release are not beside $kernel, nor in /lib/modules"

target=$folder/lib/modules/$release
mkdir -p "$target"
cat "$modules/modules.builtin" >"$target/modules.builtin" 2>/dev/null || :
# One a line: its name, and its file.
files=$(find "$modules" -name '*.ko*' | sed 's|.*/\([^/]*\)\.ko.*|\1 &|')

order=
add() { # NAME
    [ ! -e "$target/$1.ko" ] || return 0
    # In names of files, it is `-` at times.
    name=$(echo "$1" | sed 's/[-_]/[-_]/g')
    file=$(echo "$files" | sed -n "s/^$name //p" | head -n 1)
    if ! [ "$file" ]; then
        grep -q "/$name\.ko" "$target/modules.builtin" || fail "Linux $release has no module $1"
        return 0
    fi
    case $file in
    *.ko) cat "$file" ;;
    *.ko.gz) gzip -dc "$file" ;;
    *.ko.xz) "${0%/*}/tools.sh" xz && xz -dc "$file" ;;
    *.ko.zst) "${0%/*}/tools.sh" zstd && zstd -dc "$file" ;;
    *) fail "$file: how is that compressed?" ;;
    esac >"$target/$1.ko" || fail "$file cannot be decompressed"
    set -- "$1" $(tr '\0' '\n' <"$target/$1.ko" | sed -n 's/^depends=//p' | tr , ' ')
    for needed; do
        [ "$needed" = "$1" ] || add "$needed"
    done
    order="$order/lib/modules/$release/$1.ko
"
}

if [ $# = 0 ]; then
    add virtio_pci
    add virtio_blk
    add loop
    add ext4
    # ext4 asks for it by another name, where it is not built in.
    case $files in *crc32c_generic*) add crc32c_generic ;; esac
    exit
fi
for name; do add "$name"; done
printf %s "$order"
