#!/bin/sh
# kernel.sh DIRECTORY [KERNEL] : prints the path of a kernel to boot. That is
# KERNEL; or the newest in /boot that can be read; or the distribution's own,
# downloaded to DIRECTORY without root. KERNEL=own is one that is built.
# CPU, in the environment, is as make was given it.
set -eu

directory=$1
kernel=${2:-}

host=$(uname -m)
cpu=${CPU:-$host}
# What a kernel says of itself, and where: Documentation/arch/x86/boot.rst, arm64/booting.rst,
# riscv/boot-image-header.rst. Of the packages, Debian's come first, then Ubuntu's; the small ones first.
case $cpu in
aarch64) offset=56 magic=ARMd form="an Image" packages="linux-image-cloud-arm64 linux-image-arm64" ;;
riscv64) offset=56 magic=$(printf 'RSC\005') form="an Image" packages=linux-image-riscv64 ;;
i686) offset=514 magic=HdrS form="a bzImage" packages=linux-image-686 ;;
*) offset=514 magic=HdrS form="a bzImage" packages="linux-image-cloud-amd64 linux-image-amd64" ;;
esac

is_kernel() {
    [ "$(dd if="$1" bs=1 skip=$offset count=4 2>/dev/null | tr -d '\0')" = "$magic" ]
}

if [ "$kernel" = own ]; then
    [ "$cpu" = x86_64 ] || {
        echo "picoinit: KERNEL=own is for CPU=x86_64 only" >&2
        exit 1
    }
    [ "$directory" = - ] || exec "${0%/*}/kernel/own.sh" "${directory%/*}"
    exit # it was only to be checked
fi
if [ "$kernel" ]; then
    if ! [ -e "$kernel" ]; then
        echo "picoinit: KERNEL=$kernel: there is no such file" >&2
    elif ! [ -r "$kernel" ]; then
        echo "picoinit: KERNEL=$kernel cannot be read by you. Try: sudo chmod a+r $kernel" >&2
    elif [ -d "$kernel" ] || ! is_kernel "$kernel"; then
        echo "picoinit: KERNEL=$kernel is not a Linux kernel for $cpu ($form, such as /boot/vmlinuz-*)" >&2
    else
        echo "$kernel"
        exit 0
    fi
    exit 1
fi

unreadable=
for candidate in $([ "$cpu" != "$host" ] || ls /boot/vmlinu[xz]-* 2>/dev/null | sort -rV); do
    if ! [ -r "$candidate" ]; then
        unreadable=$candidate
    elif is_kernel "$candidate"; then
        echo "$candidate"
        exit 0
    fi
done

# In a package, it is in /boot or, in newer ones, beside its modules.
unpacked() {
    for candidate in "$directory"/boot/vmlinu[xz]-* "$directory"/usr/lib/modules/*/vmlinuz; do
        if [ -r "$candidate" ] && is_kernel "$candidate"; then
            echo "$candidate"
            exit 0
        fi
    done
}

unpacked
if [ "$unreadable" ]; then
    echo "picoinit: $unreadable is readable by root only; downloading a readable copy" >&2
elif [ "$cpu" = "$host" ]; then
    echo "picoinit: there is no kernel in /boot; downloading the distribution's" >&2
fi
"$(dirname "$0")"/package.sh "$directory" $packages linux-image-virtual linux-image-generic || {
    echo "picoinit: no kernel to boot. Name one with: make run KERNEL=/path/to/vmlinuz" >&2
    exit 1
}
unpacked
echo "picoinit: the kernel's package has no kernel in it: look into $directory" >&2
exit 1
