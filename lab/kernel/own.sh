#!/bin/sh
# own.sh BUILD : builds the kernel that KERNEL=own means, in the folder BUILD, and prints its path.
# OFF, in the environment, names options that it is to lack: make try KERNEL=own OFF=BINFMT_SCRIPT
set -eu

build=$1
here=${0%/*}
set -- "$here/base.config" "$here/own.config" "$here/keyboard.config" "$here/disk.config"
if ! [ "${OFF:-}" ]; then exec "$here/../own-kernel.sh" "$build/linux-source" "$build/own" "$@"; fi

for option in $OFF; do
    cat "$@" | grep -q "^CONFIG_$option=" || {
        echo "picoinit: OFF=$OFF: no option $option is on. See lab/kernel/*.config" >&2
        exit 1
    }
done
# It is built where the whole one was: little differs.
OFF='' "$0" "$build" >/dev/null
directory=$build/off/$(echo "$OFF" | tr ' A-Z_' '-a-z-')
mkdir -p "$directory"
ln -sfn ../../own/build "$directory/build"
printf 'CONFIG_%s=n\n' $OFF >"$directory/off.config"
exec "$here/../own-kernel.sh" "$build/linux-source" "$directory" "$@" "$directory/off.config"
