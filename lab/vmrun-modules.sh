#!/bin/sh
# vmrun-modules.sh KERNEL CACHE DISK NET MODULES : prints the path of a folder in CACHE with the kernel
# modules that vmrun loads: in lib, to be packed, and in `errand` which, in order: with an `m` those
# for a disk, a network card and the program, and with a `p` those for the courier's second port, all
# of them, as nobody knows which come first.
set -eu

kernel=$1 cache=$2 disk=$3 net=$4 modules=$5
folder=$cache/modules.$(echo "$kernel $(stat -L -c '%y %s' "$kernel") ${disk:+disk}:$net:$modules" | md5sum | cut -c -32)
echo "$folder"
[ ! -e "$folder" ] || exit 0

mkdir -p "$cache"
new=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 143' INT TERM HUP
load() { # LETTER NAME...
    letter=$1
    shift
    mkdir -p "$new/$letter/lib"
    "$(dirname "$0")"/modules.sh "$kernel" "$new/$letter" "$@" >"$new/order" 2>"$new/why" || return
    sed "s/^/$letter/" "$new/order" | tr '\n' '\0' >>"$new/errand"
}
: >"$new/errand"
# A kernel of one's own may have all these built in. If not, there is the serial port.
load p virtio_pci virtio_console || :
[ ! "$disk" ] || load m virtio_pci virtio_blk || :
[ ! "$net" ] || load m virtio_pci virtio_net || :
for module in $modules; do
    load m "$module" || { echo "vmrun: --modules $module: $(sed 's/^picoinit: //' "$new/why")" >&2 && exit 201; }
done
cp -r "$new"/*/lib "$new"
rm -r "$new"/?
# Another run may have been faster.
mv -T "$new" "$folder" 2>/dev/null || :
