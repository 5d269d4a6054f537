#!/bin/sh
# vmrun-machine.sh CACHE CPU VM KERNEL MEM CPUS : builds what vmrun takes, and prints what `make machine`
# says of it. Make is asked again only if something that it looks at has changed since.
set -eu

cache=$1 cpu=$2 vm=$3 kernel=$4 mem=$5 cpus=$6
mkdir -p "$cache"
# A kernel of one's own may be another one by now, of the same name.
kernel_is=$kernel${kernel:+$(stat -Lc ' %s %y' "$kernel" 2>/dev/null)} || :
words=$cache/machine.$(echo "$cpu $vm $kernel_is $mem $cpus ${KERNEL-} ${QEMU-} ${ACCEL-} $PATH" | md5sum | cut -c -32)
# The programs for the guest and for the host.
set -- $(sed -n 3p "$words" 2>/dev/null)
built="${1-}/init ${1-}/courier ${2-}/vmrun-host"
# What was decompressed of it is kept until four others have been wanted since.
image=$(sed -n '/^-kernel$/{n;p}' "$words" 2>/dev/null) || :
case $image in build/vmlinux/*) touch -c "${image%/*}" 2>/dev/null || : ;; esac
if ! [ -e "$words" ] || ! ls $built >/dev/null 2>&1 || ! [ -r "$(head -n 1 "$words")" ] || ! [ -e "${image:-$words}" ] || [ "$(find Makefile Cargo.toml \
    Cargo.lock build.rs .cargo src lab/*.mk lab/*.sh lab/vmrun-host $built /boot -newer "$words" -print -quit)" ]; then
    # What is set for another make and cargo is not for these; nor what changes /init, or make's words.
    unset WITHOUT ONLY OFF V MAKEFLAGS MAKELEVEL CARGO_TERM_QUIET RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET RUSTUP_TOOLCHAIN
    new=$(mktemp "$words.XXXXXX")
    trap 'rm -f "$new"' EXIT
    trap 'exit 143' INT TERM HUP
    {
        make --no-print-directory machine CPU="$cpu" VM="$vm" ${kernel:+KERNEL="$kernel"} MEM="$mem" CPUS="$cpus" 2>&1 >&3 |
            sed -u 's/^picoinit: CPU=\([^:]*\): with VM=uml, it/vmrun: --vm uml: the program is for \1, and its CPU/; s/^picoinit: \(MEM\|CPUS\|KERNEL\|VM\)=/vmrun: --\L\1 /; s/^picoinit:/vmrun:/; /^make: /d' >&2
    } 3>"$new"
    [ -s "$new" ] || exit 201
    mv "$new" "$words"
fi
cat "$words"
