#!/bin/sh
# busybox.sh SOURCE DIRECTORY : builds the BusyBox of the floppy from Debian's source, against the C
# library musl, and prints its path. SOURCE is where the kernel's source is, for its headers.
# All is in DIRECTORY; nothing is installed.
set -eu

kernel=$1 directory=$2
here=$(cd "${0%/*}" && pwd)
config=$here/busybox.config
busybox=$directory/busybox
if [ -e "$busybox" ] && cmp -s "$config" "$directory/recipe"; then
    echo "$busybox"
    exit 0
fi

fail() {
    tail -n 5 "$directory/log" >&2
    echo "picoinit: BusyBox for the floppy cannot be $1. All that was said is in $directory/log" >&2
    exit 1
}

"$here/../tools.sh" make gcc bzip2 debian-keys
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
get() { # FOLDER CPU PACKAGE
    [ -e "$directory/$1" ] || CPU=$2 SUITE=bookworm "$here/../package.sh" "$directory/$1" "$3"
}
get source '' src:busybox
get musl i386 musl-dev
get libgcc i386 libgcc-12-dev
source=$(echo "$directory"/source/busybox-*)
headers=$directory/musl/usr/include/i386-linux-musl
libraries=$directory/musl/usr/lib/i386-linux-musl
libgcc=$(echo "$directory"/libgcc/usr/lib/gcc/*/*/libgcc.a)

echo "picoinit: building BusyBox for the floppy: a minute, once" >&2
build() { # FOLDER ARGUMENT...
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$@" >>"$directory/log" 2>&1
}
: >"$directory/log"
build "$("$here/../kernel-source.sh" "$kernel" unpacked)" ARCH=i386 O="$directory/headers" headers || fail "built: the kernel's headers"
build "$source" allnoconfig || fail configured
sed -n 's/^\(CONFIG_[A-Z0-9_]*\)=.*/^\1=\n^# \1 is/p' "$config" >"$directory/named"
grep -v -f "$directory/named" "$source/.config" | cat "$config" - >"$directory/wanted"
cp "$directory/wanted" "$source/.config"
# To what these options bring along that could be chosen, too, the answer is no.
yes n | head -n 2000 | build "$source" oldconfig || fail configured
# The host's C library is kept out: its headers, its startup code, and itself (gcc's "Spec Files").
cat >"$directory/specs" <<END
*startfile:
$libraries/crt1.o $libraries/crti.o

*endfile:
$libraries/crtn.o

*link_libgcc:
-L$libraries

*libgcc:
$libgcc

END
build "$source" -j "$(nproc)" CC="gcc -m32 -march=i486 -fno-pie -no-pie -fno-stack-protector -specs=$directory/specs -nostdinc -isystem $headers -isystem $directory/headers/usr/include" busybox || fail built
cp "$source/busybox" "$busybox"
cp "$config" "$directory/recipe"
echo "$busybox"
