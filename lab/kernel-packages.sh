#!/bin/sh
# kernel-packages.sh DIRECTORY : unpacks the kernels that Debian has, of several
# releases, into DIRECTORY, without root. Prints a line for each: release, package,
# version, the package that it needs and that has the kernel, and the folder.
# Set SUITES or PACKAGES to get fewer or others.
set -eu

mkdir -p "$1"
directory=$(cd "$1" && pwd)
suites=${SUITES:-bookworm trixie trixie-backports}
packages=${PACKAGES:-linux-image-cloud-amd64 linux-image-amd64 user-mode-linux}

tell() { echo "picoinit: $*" >&2; }
fail() {
    tell "make kernels: $*"
    exit 1
}

for command in apt-get dpkg-deb; do
    command -v $command >/dev/null || fail "$command is missing: the kernels are Debian's"
done
work=$directory/packages.$$
trap 'rm -rf "$work" "$directory"/*.part' EXIT
trap 'exit 1' INT TERM
mkdir -p "$work/lists/partial"

# The machine's own lists name one release, and only root may get others; so
# these are private ones, from the server that the machine uses.
server=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
    awk '$1 !~ /-/ { print $2; exit }')
[ "$server" ] || fail "this machine has no list of Debian's packages. Type: apt-get update"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
for suite in $suites; do
    echo "deb [arch=amd64 signed-by=$keys] $server $suite main"
done >"$work/sources.list"

apt() { # COMMAND ARGUMENT...
    command=$1
    shift
    "$command" -q -o Dir::State::Lists="$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" "$@"
}

# Adds the files of a package of a certain version to a folder.
unpack() { # PACKAGE=VERSION FOLDER
    tell "downloading the package $1"
    rm -f "$work"/*.deb
    (cd "$work" && apt apt-get download "$1") >"$work/log" 2>&1 || {
        tail -n 5 "$work/log" >&2
        fail "$1 cannot be downloaded"
    }
    dpkg-deb -x "$work"/*.deb "$2"
}

# The packages that a package needs in a certain version, and whose names begin so.
needed() { # PACKAGE=VERSION NAME
    apt apt-cache show "$1" | sed -n 's/^Depends: //p' | tr ',' '\n' |
        sed -nE "s/^ *(($2)[^ ]*) \(= ([^)]*)\).*/\1=\3/p"
}

tell "getting the lists of packages of: $suites"
apt apt-get update >"$work/log" 2>&1 || {
    tail -n 5 "$work/log" >&2
    fail "the lists of packages cannot be downloaded"
}
for suite in $suites; do
    for package in $packages; do
        version=$(apt apt-cache madison "$package" | awk -v suite="$suite/main" '$6 == suite { print $3; exit }')
        if ! [ "$version" ]; then
            tell "$suite has no $package"
            continue
        fi
        # The package without a version in its name has no kernel in it, but needs
        # the one that has; and that may have been split into several.
        real=$(needed "$package=$version" 'linux-image-[0-9]')
        real=${real:-$package=$version}
        folder=$directory/$(echo "$real" | tr = -)
        if ! [ -d "$folder" ]; then
            parts=$(needed "$real" 'linux-base-[0-9]|linux-binary-[0-9]|linux-modules-[0-9]')
            for part in $real $parts; do unpack "$part" "$folder.part"; done
            mv "$folder.part" "$folder"
        fi
        echo "$suite $package $version ${real%%=*} $folder"
    done
done
