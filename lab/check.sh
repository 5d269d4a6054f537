#!/bin/sh
# check.sh NAME=VALUE... : makes sure that what make was told makes sense.
set -eu

refuse() { # WHY
    echo "picoinit: $name=$value$1" >&2
    exit 1
}
number() { # LEAST WHAT
    case $value in
    '' | *[!0-9]*) refuse ": it is $2" ;;
    esac
    [ "$value" -ge "$1" ] || refuse ": it is $2"
}
one_of() { # WORD...
    for word; do [ "$word" != "$value" ] || return 0; done
    refuse ": it is one of: $*"
}

host=$(uname -m)
VM='' WITHOUT='' ONLY='' OFF=''
for setting; do
    name=${setting%%=*} value=${setting#*=}
    case $name in
    CPU) one_of x86_64 i686 aarch64 riscv64 ;;
    NATIVE)
        [ ! "$value" ] || [ "$CPU" = "$host" ] || {
            name=CPU value=$CPU
            refuse ": this is done for the CPU of this machine only, $host"
        }
        ;;
    VM) one_of qemu uml ;;
    MEM) number 1 "a number of megabytes, such as 256" ;;
    CPUS) number 1 "a number of processors, such as 2" ;;
    TIMEOUT) number 0 "a number of seconds, such as 120" ;;
    BOOTS) number 0 "a number, such as 5" ;;
    ROOTFS)
        case $value in
        *[[:space:]]*) refuse ": there cannot be blanks in the name of a folder to pack" ;;
        esac
        [ "$value" ] && { [ -d "initramfs/$value" ] || [ -d "$value" ]; } ||
            refuse ": there is no folder initramfs/$value and no folder $value"
        ;;
    IMAGES) for value in $value; do one_of own floppy; done ;;
    PRESS) [ ! "$value" ] || one_of ctrl-c ctrl-alt-delete ;;
    WITHOUT | ONLY)
        for duty in $value; do
            case " $DUTIES " in
            *" $duty "*) ;;
            *)
                echo "picoinit: no such duty: $duty. There are: $DUTIES" >&2
                exit 1
                ;;
            esac
        done
        ;;
    INIT | DISK)
        case $name=$value in
        INIT=target/*) ;; # it may be about to be built
        INIT=tini | INIT=dumb-init | INIT=catatonit | INIT=busybox | INIT=runit) ;; # Debian's
        *) [ ! "$value" ] || [ -f "$value" ] || refuse ": there is no such file" ;;
        esac
        ;;
    QEMU)
        case $value in
        "qemu-system-$CPU" | qemu-system-x86_64) ;; # these can be installed
        *) command -v "$value" >/dev/null || refuse ": there is no such program" ;;
        esac
        ;;
    ACCEL) [ "$value" = auto ] || [ "$value" = tcg ] || lab/accel.sh "$value" - - - >/dev/null ;;
    BUSYBOX) [ ! "$value" ] || lab/busybox.sh - "$value" ;;
    esac
    eval "$name=\$value"
done

# What depends on more than one of them.
if [ "$WITHOUT" ] && [ "$ONLY" ]; then
    echo "picoinit: WITHOUT says what to leave out, ONLY what to leave in: give one of them" >&2
    exit 1
fi
[ "$VM" ] || exit 0
if [ "$PC_ONLY" ]; then
    name=CPU value=$CPU
    [ "$CPU" = x86_64 ] || refuse ": a stick is for x86_64 only"
    name=VM value=$VM
    [ "$VM" = qemu ] || refuse ": a stick is for VM=qemu only"
    name=KERNEL value=$KERNEL
    [ "$KERNEL" != own ] || refuse ": it knows no screen and no USB, which a stick needs"
fi
for name in DISK PRESS; do
    eval "value=\$$name"
    [ "$value" ] || continue
    [ ! "$NO_EXTRAS" ] || refuse ": that is for make try only"
    [ "$VM" = qemu ] || refuse ": that is for VM=qemu only"
    [ "$CPU" = x86_64 ] || refuse ": that is for CPU=x86_64 only"
done
name=OFF value=$OFF
[ ! "$OFF" ] || [ "$KERNEL" = own ] || refuse ": that is for KERNEL=own only"
name=CPU value=$CPU
[ "$VM" = qemu ] || [ "$CPU" = "$host" ] || refuse ": with VM=uml, it can only be that of this machine, $host"
name=VM value=$VM
case $VM-$host in qemu-* | *86*) ;; *) refuse ": there is User-mode Linux for x86 only, and this machine is $host" ;; esac
name=ACCEL value=$ACCEL
[ "$ACCEL" != kvm ] || [ "$CPU$host" = x86_64x86_64 ] || refuse ": with CPU=$CPU, the machine is emulated: try ACCEL=tcg"
name=CPUS value=$CPUS
[ "$VM" = qemu ] || [ "$CPUS" = 1 ] || refuse ": with VM=uml, there is one processor"
if [ "$KERNEL" ] && [ "$VM" = qemu ]; then lab/kernel.sh - "$KERNEL" >/dev/null; fi
if [ "$KERNEL" ] && [ "$VM" = uml ]; then lab/uml-kernel.sh - "$KERNEL" >/dev/null; fi

if ! mkdir -p build 2>/dev/null || ! [ -w build ] || ! [ -w . ]; then
    echo "picoinit: nothing can be written to $PWD: copy the project to a folder of yours" >&2
    exit 1
fi
# What a boot left behind that was killed: its number is that of a make that is gone.
for folder in build/boot.* build/*/boot.*; do
    [ ! -d "$folder" ] || [ -e "/proc/${folder##*.}" ] || rm -rf "$folder"
done
