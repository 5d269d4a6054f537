#!/bin/sh
# options.sh TABLE : takes options away from the kernel that KERNEL=own means, one at a time, and
# writes into TABLE what its file loses, and what is said then that is not said otherwise; or, if
# that is nothing, what is not said any more.
# Set OPTIONS for others.
set -eu

table=$1
options=${OPTIONS:-BINFMT_SCRIPT UNIX98_PTYS DEVTMPFS TMPFS BLK_DEV_INITRD BINFMT_ELF PROC_FS SYSFS TTY MULTIUSER POSIX_TIMERS PRINTK ACPI}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# What PID 1, the programs, and a kernel that panics say: without what differs in each boot.
boot() { # OPTION ROOTFS
    make try KERNEL=own OFF="$1" ROOTFS="$2" TIMEOUT=30 MEM=256 >"$work/said" 2>&1 || {
        cat "$work/said" >&2
        exit 1
    }
    tr -d '\r' <"$work/said" | sed 's/pid [0-9]*/pid N/g; s/PID \(is \)*[0-9][0-9]*/PID \1N/g; s/is Linux .*/is Linux/; s/^\[[^]]*\] //' |
        grep -v 'picoinit: building'
}
size() { # OPTION
    stat -c %s "$(OFF=$1 lab/kernel/own.sh build)"
}

for tree in demo lab/experiments/41-kernel-options; do boot '' $tree >"$work/${tree##*/}"; done
whole=$(size '')
{
    echo "# What PID 1 needs of the kernel"
    echo
    echo "What \`make kernel-options\` measured: the kernel of \`make kernel\` has $whole bytes. Without each of these options, and those that need it, its file is smaller by so many bytes, and the first line that is said then, and not otherwise, is this one; or the first that is not said any more. The sizes differ in steps of 4096 bytes."
    echo
    echo "| option | bytes | without it |"
    echo "|---|---:|---|"
} >"$work/table"
for option in $options; do
    tree=demo
    [ "$option" != BINFMT_SCRIPT ] || tree=lab/experiments/41-kernel-options
    boot "$option" $tree >"$work/without"
    first=$(grep -vxFf "$work/${tree##*/}" "$work/without" | head -n 1)
    lost=$(grep -vxFf "$work/without" "$work/${tree##*/}" | head -n 1)
    says="the same is said"
    [ ! "$lost" ] || says="not said: \`$lost\`"
    [ ! "$first" ] || says="\`$first\`"
    echo "| $option | $((whole - $(size "$option"))) | $says |" >>"$work/table"
    echo "picoinit: without $option: $says" >&2
done
mkdir -p "$(dirname "$table")"
cp "$work/table" "$table"
cat "$table"
