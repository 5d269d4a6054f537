#!/bin/sh
# usb.sh DIRECTORY kernel : prints the path of a kernel that a PC can boot, with its keyboards and
# its screen. It is Debian's, and downloaded to DIRECTORY without root, whatever the distribution.
# usb.sh DIRECTORY image KERNEL INITRAMFS COMMAND_LINE : writes DIRECTORY/../usb.img, a FAT file
# system for a USB stick, in which the firmware of PCs (UEFI) finds a program to start: these three.
set -eu

directory=$1 task=$2

get() { # FOLDER FILE PACKAGE
    set -- "$directory/$1" "$2" "$3"
    [ -r $1/$2 ] || SUITE=bookworm "${0%/*}/package.sh" "$1" "$3" || {
        echo "picoinit: Debian's package $3 cannot be had, and the stick needs it" >&2
        exit 1
    }
    echo $1/$2
}

if [ "$task" = kernel ]; then
    get kernel "boot/vmlinuz-*" linux-image-amd64
    exit
fi

kernel=$3 initramfs=$4
# Without the stub that UEFI starts, it does not begin as a program for UEFI does.
[ "$(head -c 2 "$kernel")" = MZ ] || {
    echo "picoinit: KERNEL=$kernel was built without CONFIG_EFI_STUB, so UEFI cannot start it" >&2
    exit 1
}
stub=$(get stub usr/lib/systemd/boot/efi/linuxx64.efi.stub systemd-boot-efi)
image=${directory%/*}/usb.img
work=$directory/part.$$
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$work"
printf %s "$5" >"$work/command-line"

# What the firmware starts is this stub, which starts the kernel. It finds it in sections of its own
# file (systemd-stub(7)), which are added behind the others, each on a page of its own.
page() { echo $((($1 + 4095) / 4096 * 4096)); }
at=$(objdump -h "$stub" | awk '$1 ~ /^[0-9]+$/ { print "0x" $4 " + 0x" $3 }' | tail -n 1)
at=$(page "$at")
for section in cmdline:"$work/command-line" linux:"$kernel" initrd:"$initramfs"; do
    name=.${section%%:*} file=${section#*:}
    set -- "$@" --add-section "$name=$file" --change-section-vma "$name=$at"
    at=$(page $((at + $(stat -Lc %s "$file"))))
done
shift 5
objcopy "$@" "$stub" "$work/BOOTX64.EFI"

megabytes=$(($(stat -c %s "$work/BOOTX64.EFI") / 1048576 + 2))
mformat -C -i "$work/image" -T $((megabytes * 2048)) -N 0 -v PICOINIT ::
mmd -i "$work/image" ::/EFI ::/EFI/BOOT
mcopy -i "$work/image" "$work/BOOTX64.EFI" ::/EFI/BOOT
mv "$work/image" "$image"
echo "picoinit: $image, $megabytes MB, is to be written to a whole USB stick; make run-usb boots it here"
