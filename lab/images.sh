#!/bin/sh
# images.sh changed NAME... : prints these images, and those that were not tested as they are now.
# images.sh tested NAME... : writes down that these were.
#
# What an image is made from has a checksum; lab/images.tested, which git tracks, has that of the
# last test. /init and the demo are no part of it: they are tested everywhere.
set -eu

cd "${0%/*}/.."
tested=lab/images.tested

checksum() { # NAME
    case $1 in
    own) files="lab/kernel/base.config lab/kernel/own.config lab/kernel/keyboard.config lab/kernel/disk.config lab/kernel/own.sh" ;;
    floppy) files="lab/kernel/base.config lab/kernel/floppy.config lab/kernel/keyboard.config lab/floppy/* initramfs/floppy/*/*" ;;
    *)
        echo "picoinit: IMAGES=$1: there are: own floppy" >&2
        exit 1
        ;;
    esac
    cat $files lab/own-kernel.sh lab/kernel-source.sh tests/images.rs 2>/dev/null | sha256sum | cut -c 1-16
}

command=$1
shift
case $command in
changed)
    for name in own floppy; do
        case " $* " in *" $name "*) ;; *) ! grep -qsx "$name $(checksum $name)" $tested || continue ;; esac
        printf '%s ' $name
    done
    ;;
tested)
    for name; do
        sum=$(checksum "$name")
        { grep -v "^$name " $tested || :; echo "$name $sum"; } 2>/dev/null | sort >$tested.new
        mv $tested.new $tested
    done
    ;;
esac
