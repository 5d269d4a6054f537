#!/bin/sh
# vmrun-modules.sh KERNEL CACHE DISK NET MODULES : prints the path of a folder in CACHE with the kernel
# modules that vmrun loads: in lib, to be packed; and `errand` lists them in order, with `m` for the
# disk, the network card and the program, and with `p` for the courier's second port. Either may be
# loaded first, so each list is complete.
set -eu

kernel=$1 cache=$2 disk=$3 net=$4 modules=$5
folder=$cache/modules.$(echo "$kernel $(stat -L -c '%y %s' "$kernel" "$0" "${0%/*}/modules.sh") ${disk:+disk}:$net:$modules" | md5sum | cut -c -32)
echo "$folder"
[ ! -e "$folder" ] || exit 0

mkdir -p "$cache"
new=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 143' INT TERM HUP
load() { # LETTER NAME...
    letter=$1
    shift
    part=$(mktemp -d "$new/part.XXXXXX")
    mkdir "$part/lib"
    "${0%/*}"/modules.sh "$kernel" "$part" "$@" >"$new/order" 2>"$new/why" || return
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
cp -r "$new"/part.*/lib "$new"
rm -r "$new"/part.*
# Another run may have been faster.
mv -T "$new" "$folder" 2>/dev/null || :
