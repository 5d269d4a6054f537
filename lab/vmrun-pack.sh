#!/bin/sh
# vmrun-pack.sh LIST CACHE : prints the path of an archive, in the folder CACHE, of the files and
# folders in LIST: one a line, where it is on the host, a tab, and where it is to be in the guest.
# What was packed before is not packed again, unless it, or this script, changed.
set -eu

list=$1 cache=$2
tab=$(printf '\t')
# Not what cargo and git keep there, nor what is packed here.
inside() { find . \( -path ./target -o -path ./.git -o -samefile "$cache" \) -prune -o "$@"; }

fail() {
    echo "vmrun: $*" >&2
    exit 201
}

mkdir -p "$cache"
cache=$(realpath "$cache")
key=$({
    cat "$list"
    cut -f 1 "$list" | xargs -d '\n' stat -L -c '%n %s %y %a' "$0"
    while IFS=$tab read -r host guest; do
        [ ! -d "$host" ] || (cd "$host" && inside -printf '%p %s %T@ %m %l\n')
    done <"$list"
} | sha256sum | cut -c -32)
archive=$cache/$key.cpio
if [ -e "$archive" ]; then
    touch "$archive"
    echo "$archive"
    exit
fi

work=$(mktemp -d "$cache/pack.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
tree=$work/tree
mkdir -p "$tree/tmp" "$tree/var/tmp" "$tree/root" "$tree/etc"
chmod 1777 "$tree/tmp" "$tree/var/tmp"
while IFS=$tab read -r host guest; do
    folder=$tree$guest
    [ -d "$host" ] || folder=${folder%/*}
    mkdir -p "$folder" || fail "$host: there is no place for it at $guest"
    # A folder that was added may have links in it; they must not lead out of the guest.
    case $(realpath "$folder") in "$work"/*) ;; *) fail "$host: $guest is behind an absolute link" ;; esac
    if [ -d "$host" ]; then
        (cd "$host" && inside -print0 | cpio --null -pdmu --quiet "$folder")
    else
        cp -L --remove-destination --preserve=mode,timestamps "$host" "$tree$guest"
    fi || fail "$host cannot be packed (see above)"
done <"$list"
chmod -R u+rw "$tree"
for name in passwd group hosts; do
    [ -e "$tree/etc/$name" ] || case $name in
    passwd) printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/false' ;;
    group) printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' ;;
    hosts) echo '127.0.0.1 localhost' ;;
    esac >"$tree/etc/$name"
done
(cd "$tree" && find . -mindepth 1 -print0 | cpio --null -o -H newc --owner=0:0 --quiet) >"$work/archive"
mv "$work/archive" "$archive"
# The cache does not grow for ever.
(cd "$cache" && ls -t ./*.cpio | tail -n +33 | xargs -r rm -f)
echo "$archive"
