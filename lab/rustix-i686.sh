#!/bin/sh
# rustix-i686.sh DIRECTORY : copies the source of rustix to DIRECTORY, with one line changed.
#
# On i686, rustix makes a system call through a pointer to code of the kernel's (vdso(7)), which it
# has to find first. That is faster, but it needs memory that is written to, and it may panic. The
# instruction that always works is there, too, in the lines below those that are changed here.
set -eu

directory=$1
work=$directory.part
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
rm -rf "$work" "$directory"
mkdir -p "${work%/*}"

# cargo downloads it, if need be, and says where it is. `cargo metadata` would download all that the
# lab's tool is made of, too.
source=$(cargo build --quiet --locked --release --lib --message-format json-render-diagnostics |
    sed -n 's/.*"manifest_path":"\([^"]*\/rustix-[0-9.]*\)\/Cargo.toml".*/\1/p' | head -n 1)
[ "$source" ] || exit 1 # cargo has said why
cp -R "$source" "$work"
sed -i 's/^\(pub(in crate::backend) use\) super::vdso_wrappers::x86_via_vdso as choose;$/\1 self::asm as choose;/' \
    "$work/src/backend/linux_raw/arch/mod.rs"
# Cargo warns of these in a package that it has not downloaded itself.
sed -i '/^\[hints\]$/,/^$/d' "$work/Cargo.toml"
if cmp -s "$source/src/backend/linux_raw/arch/mod.rs" "$work/src/backend/linux_raw/arch/mod.rs"; then
    echo "picoinit: ${source##*/} is not as ${0##*/} knows it, so it cannot be changed for i686" >&2
    exit 1
fi
mv "$work" "$directory"
