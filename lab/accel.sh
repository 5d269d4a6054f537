#!/bin/sh
# accel.sh ACCEL CACHE QEMU KERNEL : prints how QEMU should run the machine: kvm or tcg.
#
# ACCEL is kvm, tcg or auto. A /dev/kvm that can be opened proves nothing: on
# some machines the guest hangs before its first line. So auto boots KERNEL
# once under KVM, and remembers in CACHE whether it said anything. That is about
# this machine: with another KERNEL, it is not tried again.
set -eu

accel=$1 cache=$2 qemu=$3 kernel=$4

usable() { [ -r /dev/kvm ] && [ -w /dev/kvm ]; }

case $accel in
tcg) echo tcg ;;
kvm)
    usable || {
        echo "picoinit: ACCEL=kvm: /dev/kvm is missing, or you may not open it. Try ACCEL=tcg (slower)" >&2
        exit 1
    }
    echo kvm
    ;;
auto)
    key="$(uname -r) $qemu $(usable && echo usable || :)"
    if [ -r "$cache" ] && [ "$(head -n 1 "$cache")" = "$key" ]; then
        tail -n 1 "$cache"
        exit 0
    fi
    answer=tcg
    if usable; then
        echo "picoinit: trying KVM, once, for at most 8 seconds" >&2
        # Without a root file system, the guest panics and QEMU exits.
        if timeout --kill-after=1 8 "$qemu" -accel kvm -M pc -nodefaults -no-user-config -display none \
            -serial stdio -no-reboot -m 128 -kernel "$kernel" -append "console=ttyS0 panic=-1" \
            </dev/null 2>/dev/null | grep -aq 'Linux version'; then
            answer=kvm
        else
            echo "picoinit: KVM does not work here (a guest says nothing); emulating, which is slower" >&2
        fi
    fi
    printf '%s\n%s\n' "$key" $answer >"$cache"
    echo $answer
    ;;
*)
    echo "picoinit: ACCEL=$accel: it is one of auto, kvm, tcg" >&2
    exit 1
    ;;
esac
