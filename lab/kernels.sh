#!/bin/sh
# kernels.sh DIRECTORY TABLE : runs the boot tests on each kernel that Debian
# has, of several releases, and writes what was seen into TABLE.
#
# The kernels are unpacked into DIRECTORY, without root. User-mode Linux is one
# of them, a kernel that is an ordinary program; the boot tests start QEMU, so
# it gets checks of its own (tests/uml.rs has more, on one release). Set SUITES or PACKAGES to try fewer or others.
set -eu

directory=$1 table=$2
suites=${SUITES:-bookworm trixie trixie-backports}
packages=${PACKAGES:-linux-image-cloud-amd64 linux-image-amd64 user-mode-linux}

fail() {
    echo "picoinit: $*" >&2
    exit 1
}

for command in apt-get dpkg-deb setarch; do
    command -v $command >/dev/null || fail "make kernels needs $command: it is for Debian"
done
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
work=$directory/work.$$
trap 'rm -rf "$work" "$directory"/*.part' EXIT
trap 'exit 1' INT TERM
mkdir -p "$work/lists/partial"

# The machine's own lists name one release, and only root may get others; so
# these are private ones, from the server that the machine uses.
server=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
    awk '$1 !~ /-/ { print $2; exit }')
[ "$server" ] || fail "make kernels: this machine has no list of Debian's packages. Type: apt-get update"
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

echo "picoinit: getting the lists of packages of: $suites"
apt apt-get update >"$work/log" 2>&1 || {
    tail -n 5 "$work/log" >&2
    fail "make kernels: the lists of packages cannot be had"
}

# Adds the files of a package of a certain version to a folder.
unpack() { # PACKAGE=VERSION FOLDER
    echo "picoinit: downloading the package $1"
    rm -f "$work"/*.deb
    (cd "$work" && apt apt-get download "$1") >"$work/log" 2>&1 || {
        tail -n 5 "$work/log" >&2
        fail "make kernels: $1 cannot be downloaded"
    }
    dpkg-deb -x "$work"/*.deb "$2"
}

# The packages that a package needs in a certain version, and whose names begin so.
needed() { # PACKAGE=VERSION NAME
    apt apt-cache show "$1" | sed -n 's/^Depends: //p' | tr ',' '\n' |
        sed -nE "s/^ *(($2)[^ ]*) \(= ([^)]*)\).*/\1=\3/p"
}

# How a kernel has the drivers that the boot tests meet.
drivers() { # CONFIG
    built_in= modules= missing=
    for option in SERIAL_8250 VIRTIO_PCI VIRTIO_BLK EXT4_FS; do
        case $(grep "^CONFIG_$option=" "$1") in
        *=y) built_in="$built_in $option" ;;
        *=m) modules="$modules $option" ;;
        *) missing="$missing $option" ;;
        esac
    done
    echo "built in:${built_in:- none}; modules:${modules:- none}${missing:+; missing:$missing}"
}

# The smallest MEM, in steps of 8, with which the demo succeeds three times in
# a row: where the kernel puts itself in memory is random, and may not leave
# enough each time. And how far the kernel gets with 8 less.
smallest_memory() { # KERNEL
    too_little=32 enough=256
    while [ $((enough - too_little)) -gt 8 ]; do
        middle=$(((too_little + enough) / 16 * 8))
        if boots "$1" $middle && boots "$1" $middle && boots "$1" $middle; then
            enough=$middle
        else
            too_little=$middle
            cp "$work/boot" "$work/failed"
        fi
    done
    if grep -aq 'Run /init' "$work/failed"; then
        echo "$enough (with $too_little, /init starts, and fails)"
    else
        echo "$enough (with $too_little, /init is not always reached)"
    fi
}

boots() { # KERNEL MEM
    # The tests take this lock, too: two machines at a time starve each other.
    mkdir -p target/tmp
    flock target/tmp/boot.lock make run KERNEL="$1" MEM="$2" TIMEOUT=30 </dev/null >"$work/boot" 2>&1
}

# From what `cargo test -- --show-output` said: what failed or was skipped, and why.
notes() { # LOG
    awk '
        function end() { if (why) print "failed " test " " why (crash ? ". The kernel crashed before it started /init: " crash : ""); why = crash = "" }
        /^---- .* stdout ----$/ { end(); test = $2; started = 0; next }
        /^(successes|failures):$/ { end() }
        /^skipped: / { print "skipped " test " " substr($0, 10) }
        /^thread .* panicked at / { getline; why = $0 }
        /Run \/init as init process/ { started = 1 }
        /\] RIP: / && !started { crash = substr($0, index($0, "RIP: ")) }
        END { end() }
    ' "$1" | sort -u
}

# Runs the boot tests, and once more those that failed: an emulated machine on
# a busy one has its accidents, which are to be told from faults.
boot_tests() { # KERNEL LOG
    CI='' KERNEL=$1 cargo test --test boot -- --show-output >"$2" 2>&1 </dev/null || :
    : >"$2.again"
    for test in $(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$2"); do
        CI='' KERNEL=$1 cargo test --test boot -- --show-output --exact "$test" >>"$2.again" 2>&1 </dev/null || :
    done
}

rows=$work/rows differences=$work/differences
: >"$rows"
: >"$differences"

# Adds a kernel to the table.
row() { # RELEASE PACKAGE VERSION SUITE LOG DRIVERS MEMORY
    notes "$5" >"$work/notes"
    ok=$(grep -c '^test .* \.\.\. ok$' "$5" || :)
    failed=$(grep -c '^test .* \.\.\. FAILED$' "$5" || :)
    skipped=$(grep -c '^skipped ' "$work/notes" || :)
    mended=$(grep -c '^test .* \.\.\. ok$' "$5.again" 2>/dev/null || :)
    mended=${mended:-0}
    echo "| $1 | $2 $3 | $4 | $((ok - skipped)) | $mended | $((failed - mended)) | $skipped | $6 | $7 |" >>"$rows"
    while read -r what test why; do
        if grep -qx "test $test \.\.\. ok" "$5.again" 2>/dev/null; then what='failed, and passed the second time'; fi
        printf -- '- %s, `%s` %s: %s\n' "$1" "$test" "$what" "$why" >>"$differences"
    done <"$work/notes"
    echo "picoinit: $1: passed $((ok - skipped)), at the second attempt $mended, failed $((failed - mended)), skipped $skipped"
    [ $((ok + failed)) -gt 0 ] || fail "make kernels: no test ran; see $5"
}

# Boots User-mode Linux with the tree $work/tree, and leaves in $work/boot what was said.
uml() { # ARGUMENT...
    # Its words go to a file: make may be on a terminal, whose settings it would change.
    make --silent archive ROOTFS="$tree" >/dev/null
    status=0
    mkdir -p "$work/uml"
    timeout --kill-after=5 60 lab/uml.sh "$work/uml" "" "$linux" mem=64M \
        initrd="build/$(echo "$tree" | tr / _).cpio" con=null con0=fd:4,fd:1 panic=-1 "$@" \
        </dev/null >/dev/null 2>&1 || status=$?
    mv "$work/uml/console.log" "$work/boot"
    cat "$work/boot" >>"$log"
}

# Says how a check went, as `cargo test` does.
judge() { # NAME CONDITION...
    name=$1
    shift
    if "$@"; then
        echo "test $name ... ok" >>"$log"
    else
        printf 'test %s ... FAILED\n---- %s stdout ----\n panicked at\nnot so: %s\n' "$name" "$name" "$*" >>"$log"
    fi
}

said() { grep -aq -e "$1" "$work/boot"; }
# It cannot power off, so that is a halt, and a halt ends it.
powered_off() { [ $status = 0 ] && said 'reboot: System halted' && ! said 'Kernel panic'; }

rc() {
    mkdir -p "$tree/etc" "$tree/bin"
    { echo '#!/bin/sh' && cat; } >"$tree/etc/rc"
    cp build/busybox/bin/busybox "$tree/bin/"
    ln -sf busybox "$tree/bin/sh"
    chmod 755 "$tree/etc/rc"
}

new_disk() { mke2fs -q -F -t ext4 "$work/disk" 16M >>"$log" 2>&1; }

demo_story() {
    powered_off && said 'demo: started by PID 1' && said 'exited with status 7' &&
        said 'demo: the server: SIGTERM came' && ! said 'init: cannot'
}
missing_program() {
    powered_off && said 'init: cannot run /does/not/exist: errno 2' && said 'exited with status 127'
}
restarted() { said 'reboot: Restarting system' && ! said 'Kernel panic'; }
clean_disk() {
    powered_off && e2fsck -f -n "$work/disk" >>"$log" 2>&1 && ! unclean_disk &&
        [ "$(debugfs -R 'cat file' "$work/disk" 2>/dev/null)" = saved ]
}
unclean_disk() {
    dumpe2fs -h "$work/disk" 2>/dev/null |
        grep -q -e '^Filesystem features:.*needs_recovery' -e '^Filesystem state: *not clean'
}

uml_tests() { # LOG
    log=$1
    : >"$log"
    tree=demo
    uml
    judge demo_runs_from_the_first_line_to_power_off demo_story
    uml -- /does/not/exist
    judge says_why_a_program_cannot_be_executed missing_program

    tree=${directory#"$PWD"/}/uml.tree
    rc <<'END'
mkdir /mnt
mount -t ext4 /dev/ubda /mnt
setsid sh -c 'exec > /mnt/file; trap "echo saved; exit" TERM; : > /run/ready; while :; do sleep 1; done' &
until [ -e /run/ready ]; do :; done
[ ! "$cut" ] || poweroff -n -f
END
    new_disk
    uml ubda="$work/disk"
    judge file_systems_end_clean clean_disk
    new_disk
    uml ubda="$work/disk" cut=1
    judge file_systems_do_not_end_clean_without_a_teardown unclean_disk

    # A restart starts it again for ever: the second time, the program powers off.
    rc <<'END'
mkdir /mnt
mount -t ext4 /dev/ubda /mnt
[ ! -e /mnt/again ] || exit
: > /mnt/again
kill -TERM 1
exec sleep 1000
END
    new_disk
    uml ubda="$work/disk"
    judge restarts_on_sigterm_and_powers_off_then restarted
    rm -rf "$directory/uml.tree" build/*uml.tree.cpio
}

for suite in $suites; do
    for package in $packages; do
        version=$(apt apt-cache madison "$package" | awk -v suite="$suite/main" '$6 == suite { print $3; exit }')
        if ! [ "$version" ]; then
            echo "picoinit: $suite has no $package"
            continue
        fi
        # The package without a version in its name has no kernel in it, but
        # needs the one that has; and that may have been split into several.
        real=$(needed "$package=$version" 'linux-image-[0-9]')
        real=${real:-$package=$version}
        folder=$directory/$(echo "$real" | tr = -)
        if ! [ -d "$folder" ]; then
            parts=$(needed "$real" 'linux-base-[0-9]|linux-binary-[0-9]|linux-modules-[0-9]')
            for part in $real $parts; do unpack "$part" "$folder.part"; done
            mv "$folder.part" "$folder"
        fi
        log=$folder.log
        linux=$folder/usr/bin/linux.uml
        if [ -e "$linux" ]; then
            if ! release=$("$linux" --version 2>"$work/log"); then
                echo "- User-mode Linux $version of $suite does not start on this machine: $(head -n 1 "$work/log" | sed 's/.*: //')" >>"$differences"
                continue
            fi
            echo "picoinit: User-mode Linux $release"
            uml_tests "$log"
            row "$release" "$package" "$version" "$suite" "$log" "its own" "not tried"
            for line in "process '/init' started with executable stack" "reboot: System halted"; do
                if grep -aq "$line" "$log"; then echo "- $release: it says \`$line\`" >>"$differences"; fi
            done
            continue
        fi
        # In /boot, or, in newer packages, beside its modules.
        kernel=$(ls "$folder"/boot/vmlinuz-* "$folder"/usr/lib/modules/*/vmlinuz 2>/dev/null | head -n 1)
        config=$(ls "$folder"/boot/config-* "$folder"/usr/lib/modules/*/config 2>/dev/null | head -n 1)
        [ "$kernel" ] || fail "make kernels: the package ${real%=*} has no kernel in it"
        release=${real%%=*} release=${release#linux-image-}
        echo "picoinit: the boot tests on Linux $release"
        boot_tests "$kernel" "$log"
        row "$release" "$package" "$version" "$suite" "$log" "$(drivers "$config")" "$(smallest_memory "$kernel")"
    done
done

{
    echo "# Kernels"
    echo
    echo "What \`make kernels\` saw: the boot tests (tests/boot.rs) on each of these kernels, with the same /init of $(wc -c <"${INIT:-target/x86_64-unknown-linux-gnu/release/init}") bytes. All here is written by [kernels.sh](kernels.sh)."
    echo
    echo "| Linux | package | release | passed | passed at the second attempt | failed | skipped | drivers | smallest MEM |"
    echo "|---|---|---|---:|---:|---:|---:|---|---|"
    cat "$rows"
    echo
    echo "User-mode Linux (uml) is a kernel that is an ordinary program, and runs without QEMU; it has checks of its own, in kernels.sh. MEM is tried in steps of 8 MB, three times each."
    echo
    echo "## What differs"
    echo
    # Where things lie on this machine is of no interest to others.
    if [ -s "$differences" ]; then sed "s,$directory/,,g; s,$PWD/,,g" "$differences"; else echo "Nothing: all passed everywhere."; fi
} >"$work/table"
mv "$work/table" "$table"
echo "picoinit: the table is in $table"
! grep -q '` failed: ' "$table" || fail "make kernels: some tests failed"
