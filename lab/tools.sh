#!/bin/sh
# tools.sh COMMAND... : makes sure that these commands are there.
#
# Finds all that are missing, names them at once, and has the distribution's
# package manager install them: as root, or through sudo. With NO_INSTALL=1,
# or where neither is possible, it only says what to type.
set -eu

PATH=$PATH:/usr/sbin:/sbin

# The package that has a command, for a package manager.
package() { # MANAGER COMMAND
    case $1:$2 in
    apt-get:qemu-system-x86_64) echo qemu-system-x86 ;;
    dnf:qemu-system-x86_64) echo qemu-system-x86-core ;;
    pacman:qemu-system-x86_64) echo qemu-system-x86 ;;
    zypper:qemu-system-x86_64) echo qemu-x86 ;;
    *:mke2fs | *:e2fsck | *:debugfs) echo e2fsprogs ;;
    *:unshare | *:setpriv) echo util-linux ;;
    *:cc) echo gcc ;;
    *:objdump | *:readelf) echo binutils ;;
    *:bwrap) echo bubblewrap ;;
    *:musl-gcc) echo musl-tools ;;
    apt-get:go) echo golang-go ;;
    dnf:go) echo golang ;;
    dnf:g++) echo gcc-c++ ;;
    zypper:g++) echo gcc-c++ ;;
    pacman:g++) echo gcc ;;
    *) echo "$2" ;;
    esac
}

missing=
for command; do
    command -v "$command" >/dev/null && continue
    case $command in
    */*)
        echo "picoinit: $command: there is no such program" >&2
        exit 1
        ;;
    esac
    missing="$missing $command"
done
[ "$missing" ] || exit 0

for manager in apt-get dnf pacman zypper apk none; do
    command -v $manager >/dev/null && break
done
packages=$(for command in $missing; do package $manager "$command"; done | sort -u | tr '\n' ' ')
case $manager in
apt-get) install="apt-get install --no-install-recommends $packages" update="apt-get update" ;;
dnf) install="dnf install $packages" update= ;;
pacman) install="pacman -S $packages" update= ;;
zypper) install="zypper install $packages" update= ;;
apk) install="apk add $packages" update= ;;
none)
    echo "picoinit: missing:$missing. Install them; this script knows no package manager of this machine." >&2
    exit 1
    ;;
esac

# What serves as well where nothing can be installed.
otherwise=
case $missing in
*qemu-system-*) otherwise=". Or do without QEMU: make run VM=uml" ;;
esac

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
if [ "${NO_INSTALL:-}" ] || { [ "$as_root" ] && ! command -v sudo >/dev/null; }; then
    echo "picoinit: missing:$missing. Install as root: $install$otherwise" >&2
    exit 1
fi
# sudo may ask for a password, if there is somebody to ask.
if [ "$as_root" ] && ! sudo -n true 2>/dev/null && ! [ -t 0 ]; then
    echo "picoinit: missing:$missing. sudo wants a password, so type: sudo $install$otherwise" >&2
    exit 1
fi

echo "picoinit: missing:$missing. Installing: ${as_root:+$as_root }$install" >&2
if ! [ -t 0 ]; then
    # Nobody can answer questions.
    case $manager in
    pacman) install="$install --noconfirm" ;;
    apk) ;;
    *) install="$install -y" ;;
    esac
fi
# The list of packages may be missing or too old: then get it, and try once more.
$as_root $install >&2 || { [ "$update" ] && $as_root $update >&2 && $as_root $install >&2; }
