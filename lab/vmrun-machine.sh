#!/bin/sh
# vmrun-machine.sh CACHE CPU VM KERNEL MEM CPUS : builds what vmrun takes, and prints what `make machine`
# says of it. Make is asked again only if something that it looks at has changed since.
set -eu

cache=$1 cpu=$2 vm=$3 kernel=$4 mem=$5 cpus=$6
mkdir -p "$cache"
# A kernel of one's own may be another one by now, of the same name.
kernel_is=$kernel${kernel:+$(stat -Lc ' %s %y' "$kernel" 2>/dev/null)} || :
words=$cache/machine.$(echo "$cpu $vm $kernel_is $mem $cpus ${KERNEL-} ${QEMU-} ${ACCEL-} $PATH" | md5sum | cut -c -32)
# Where the program for the host is; /init and the courier were built before it.
built=$(sed -n '3s/^[^ ]* \([^ ]*\).*/\1/p' "$words" 2>/dev/null)/vmrun-host || :
# What was decompressed of it is kept until four others have been wanted since.
image=$(sed -n '/^-kernel$/{n;p}' "$words" 2>/dev/null) || :
case $image in build/vmlinux/*) touch -c "${image%/*}" 2>/dev/null || : ;; esac
if ! [ -e "$words" ] || ! [ -e "$built" ] || ! [ -r "$(head -n 1 "$words")" ] || ! [ -e "${image:-$words}" ] || [ "$(find Makefile Cargo.toml \
    Cargo.lock build.rs .cargo src lab/*.mk lab/*.sh lab/vmrun-host "$built" /boot -newer "$words" -print -quit)" ]; then
    # What is set for another make and cargo is not for these.
    unset MAKEFLAGS MAKELEVEL CARGO_TERM_QUIET RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET RUSTUP_TOOLCHAIN
    new=$(mktemp "$words.XXXXXX")
    trap 'rm -f "$new"' EXIT
    trap 'exit 143' INT TERM HUP
    {
        make --no-print-directory machine CPU="$cpu" VM="$vm" ${kernel:+KERNEL="$kernel"} MEM="$mem" CPUS="$cpus" 2>&1 >&3 |
            sed -u 's/^picoinit: \(MEM\|CPUS\|KERNEL\|VM\)=/vmrun: --\L\1 /; s/^picoinit:/vmrun:/; /^make: /d' >&2
    } 3>"$new"
    [ -s "$new" ] || exit 201
    mv "$new" "$words"
fi
cat "$words"
