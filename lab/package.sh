#!/bin/sh
# package.sh DIRECTORY PACKAGE... : unpacks the first of these Debian or Ubuntu
# packages that there is into DIRECTORY, without root, and installs nothing.
# If a package has no files of its own, the kernel image that it depends on is taken;
# and if that was split into several packages, all of them. src:PACKAGE, together with SUITE, is
# the source of a package, as its authors released it.
# CPU, in the environment, is as make was given it; for another than this machine's, the
# packages are Debian's. So they are with SUITE, of that release whatever the machine has.
set -eu

directory=$1
shift
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "picoinit: this needs apt-get and dpkg-deb, to get one of the packages: $*" >&2
    exit 1
fi
mkdir -p "$(dirname "$directory")"
directory=$(cd "$(dirname "$directory")" && pwd)/$(basename "$directory")
work=$directory.part
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/unpacked"

fail() { # WHAT
    echo "picoinit: $1. This was said:" >&2
    tail -n 5 "$work/log" >&2
    exit 1
}

# First the machine's own list of packages. It may be missing, or so old that
# the package is not there any more: then a list of our own, which needs no root.
own_lists="-o Dir::State::Lists=$work/lists -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
sources="machine own" parts_wanted='base\|binary\|modules'
case ${CPU:-$(uname -m)} in
"$(uname -m)") arch=${SUITE:+$(dpkg --print-architecture)} ;;
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
i686) arch=i386 SUITE=${SUITE:-bookworm} ;; # the last release that has a kernel for it
*) arch=$CPU ;;
esac
# For another CPU, there is only such a list: of Debian's present release, or of the next one.
if [ "$arch" ]; then
    sources=${SUITE:-stable unstable} parts_wanted='base\|binary' # modules are only for make try DISK=
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    : >"$work/status"
    server=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v security | head -n 1)
    own_lists="$own_lists -o APT::Architecture=$arch -o APT::Architectures=$arch -o Dir::State::status=$work/status
        -o Dir::Etc::sourcelist=$work/sources.list -o Dir::Etc::sourceparts=/dev/null -o Acquire::Languages=none"
fi
: >"$work/log"
for source in $sources; do
    lists=$own_lists
    case $source in
    machine) lists= ;;
    own) ;;
    *)
        case $1 in src:*) type=deb-src ;; *) type=deb ;; esac
        echo "$type [signed-by=$keys] ${server:-http://deb.debian.org/debian/} $source main" >"$work/sources.list"
        ;;
    esac
    if [ "$lists" ]; then
        echo "picoinit: getting the list of packages" >&2
        # apt-get exits with 0 even if it could get no list; then its log has errors.
        if ! apt-get -q $lists update >"$work/log" 2>&1 || grep -q '^Err:' "$work/log"; then
            [ "$source" = stable ] || fail "the list of packages cannot be downloaded"
            continue
        fi
    fi
    for package; do
        case $package in
        src:*)
            echo "picoinit: downloading the source of ${package#src:}" >&2
            (cd "$work" && apt-get -q $lists source --download-only "${package#src:}") >"$work/log" 2>&1 || break
            tar -C "$work/unpacked" -xf "$work"/*.orig.tar.* 2>"$work/log" || fail "the source of ${package#src:} cannot be unpacked"
            rm -rf "$directory"
            mv "$work/unpacked" "$directory"
            exit 0
            ;;
        esac
        real=$(apt-cache $lists depends "$package" 2>/dev/null |
            sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
        real=${real:-$package}
        apt-cache $lists show "$real" >/dev/null 2>&1 || continue
        echo "picoinit: downloading the package $real" >&2
        parts=$(apt-cache $lists depends "$real" 2>/dev/null |
            sed -n "s/^ *Depends: \(linux-\($parts_wanted\)-[0-9].*\)/\1/p")
        # If one that is listed cannot be downloaded, the next one could not be either.
        (cd "$work" && apt-get -q -o APT::Sandbox::User="$(id -un)" $lists download $real $parts) >"$work/log" 2>&1 || break
        for file in "$work"/*.deb; do
            dpkg-deb -x "$file" "$work/unpacked" 2>"$work/log" || fail "the package $real cannot be unpacked"
        done
        rm -rf "$directory"
        mv "$work/unpacked" "$directory"
        exit 0
    done
done
fail "none of these packages could be downloaded: $*"
