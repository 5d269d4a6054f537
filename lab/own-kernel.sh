#!/bin/sh
# own-kernel.sh SOURCE DIRECTORY FRAGMENT... : builds a kernel for x86 from fragments of its
# configuration, and prints its path. That is in DIRECTORY, and is built only if it is not there
# yet, or if a fragment or the source has changed. SOURCE is where the kernel's source is, or
# is downloaded to.
set -eu

source=$1 directory=$2
shift 2
here=$(cd "${0%/*}" && pwd)

fail() {
    echo "picoinit: $*" >&2
    exit 1
}

[ "$(uname -m)" = x86_64 ] || fail "kernels are built for x86, on an x86_64 machine only"
packed=$("$here/kernel-source.sh" "$source")
mkdir -p "$directory/boot"
[ -e "$directory/build" ] || mkdir "$directory/build"
directory=$(cd "$directory" && pwd)
# One at a time builds it; for another, it is there then.
exec 9>"$directory/build/lock"
flock 9
name=6.1-${directory##*/}
kernel=$directory/boot/vmlinuz-$name
# If what it is made from is the same, so is the kernel.
{
    stat -c %s-%Y "$packed"
    cat "$@"
} >"$directory/recipe.new"
if [ -e "$kernel" ] && cmp -s "$directory/recipe.new" "$directory/recipe"; then
    echo "$kernel"
    exit
fi

case $(cat "$@") in
*CONFIG_64BIT=y*) arch=x86_64 libelf=libelf ;;
*) arch=i386 libelf= ;;
esac
"$here/tools.sh" make gcc flex bison bc xz $libelf
tree=$("$here/kernel-source.sh" "$source" unpacked)

# The variables of the make that runs this are about another build. Nothing in the
# kernel says who built it, or when.
build() { # ARGUMENT...
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=picoinit KBUILD_BUILD_HOST=lab \
        make -C "$tree" ARCH=$arch O="$(realpath "$directory/build")" LOCALVERSION="-${directory##*/}" "$@" >"$directory/log" 2>&1 || {
        grep -i 'error' "$directory/log" | head -n 3 >&2
        fail "the kernel cannot be built. All that was said is in $directory/log"
    }
}
# tinyconfig, and the fragments. What none of them names is off.
cat "$tree"/kernel/configs/tiny*.config "$tree/arch/x86/configs/tiny.config" "$@" >"$directory/wanted"
build KCONFIG_ALLCONFIG="$directory/wanted" allnoconfig
# An option that needs one that is off is left out without a word; which is right if that is taken away.
for option in $(sed -n 's/^\(CONFIG_[^ ]*\)/\1/p' "$@"); do
    grep -qFx -e "$option" -e "# ${option%=n} is not set" "$directory/build/.config" || grep -q '=n$' "$@" ||
        fail "$option has no effect: it needs an option that is off, or has another name"
done
echo "picoinit: building a kernel in $directory: some minutes, once" >&2
build -j "$(nproc)" bzImage
cp "$directory/build/arch/x86/boot/bzImage" "$kernel"
# For modules.sh: what could be a module, and is built in.
modules=$directory/lib/modules/$(cat "$directory/build/include/config/kernel.release")
mkdir -p "$modules"
cp "$directory/build/modules.builtin" "$modules"
mv "$directory/recipe.new" "$directory/recipe"
echo "$kernel"
