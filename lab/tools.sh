#!/bin/sh
# tools.sh COMMAND... : makes sure that these commands are there.
#
# Finds all that are missing, names them at once, and has the distribution's
# package manager install them: as root, or through sudo. With NO_INSTALL=1,
# or where neither is possible, it only says what to type.
#
# Some of them are no commands: `linker` is a cc that can link a program, `static-linker`
# a cc that can link it statically, `pip` is what Python installs packages with, `rust-TARGET`
# is Rust's library for another CPU, `libelf` a library with its headers, `debian-keys` is what
# apt-get needs to trust Debian, `ovmf` is the firmware of PCs for QEMU, and `qemu-window` what
# QEMU needs to open a window.
set -eu

PATH=$PATH:/usr/sbin:/sbin

. "${0%/*}/packages.sh"

# A cc may be there without the C library's files that every program is linked with.
links() { # OPTION...
    program=$(mktemp) || exit
    status=0
    echo 'int main(void) { return 0; }' | cc "$@" -x c -o "$program" - >/dev/null 2>&1 || status=1
    rm -f "$program"
    return $status
}

is_there() { # COMMAND
    case $1 in
    linker) links ;;
    static-linker) links -static ;;
    libelf) echo '#include <gelf.h>' | cc -E - >/dev/null 2>&1 ;;
    pip) python3 -m pip --version >/dev/null 2>&1 ;;
    debian-keys) ! command -v apt-get >/dev/null || [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ;;
    ovmf) "${0%/*}/ovmf.sh" >/dev/null ;;
    qemu-window) "${0%/*}/screen.sh" qemu-system-x86_64 window >/dev/null ;;
    rust-*) [ -d "$(rustc --print target-libdir --target "${1#rust-}")" ] ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

missing=
for command; do
    is_there "$command" && continue
    if [ "$command" = cargo ]; then
        echo "picoinit: missing: cargo. Install Rust 1.93 or newer, from https://rustup.rs" >&2
        exit 1
    fi
    case $command in
    rust-*)
        echo "picoinit: missing: Rust's library for this CPU. Type: rustup target add ${command#rust-}" >&2
        exit 1
        ;;
    esac
    missing="$missing $command"
done
[ "$missing" ] || exit 0

for manager in apt-get dnf pacman zypper apk none; do
    command -v $manager >/dev/null && break
done
packages=$(for command in $missing; do packages $manager "$command"; done | tr ' ' '\n' | sort -u)
packages=$(echo $packages) # in one line
update=
case $manager in
apt-get) install="apt-get install --no-install-recommends $packages" update="apt-get update" ;;
dnf) install="dnf install $packages" ;;
pacman) install="pacman -S $packages" ;;
zypper) install="zypper install $packages" ;;
apk) install="apk add $packages" ;;
none)
    echo "picoinit: missing:$missing. Install them; this script knows no package manager of this machine." >&2
    exit 1
    ;;
esac

# What serves as well where nothing can be installed.
otherwise=
case $missing in
*qemu-system-x86_64*) otherwise=". Or do without QEMU: make run VM=uml" ;;
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
status=0
$as_root $install >&2 || status=$?
# apt-get exits with 100 after an error, but with 1 if the answer was no. After an error, the
# list of packages may be missing or too old: get it, and try once more.
if [ $status = 100 ] && [ "$update" ]; then
    status=0
    { $as_root $update >&2 && $as_root $install >&2; } || status=$?
fi
[ $status = 0 ] || echo "picoinit: not installed, so this cannot go on:$missing" >&2
exit $status
