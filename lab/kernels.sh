#!/bin/sh
# kernels.sh DIRECTORY TABLE : runs the boot tests on each kernel that Debian
# has, of several releases, and writes what was seen into TABLE.
#
# kernel-packages.sh unpacks the kernels into DIRECTORY. User-mode Linux is one of them, a
# kernel that is an ordinary program; the boot tests start QEMU, so uml-checks.sh is for it.
set -eu

directory=$1 table=$2

fail() {
    echo "picoinit: make kernels: $*" >&2
    exit 1
}

mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
work=$directory/work.$$
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$work"
here=$(dirname "$0")
"$here"/kernel-packages.sh "$directory" >"$work/kernels"

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
    [ $((ok + failed)) -gt 0 ] || fail "no test ran; see $5"
}

while read -r suite package version real folder; do
    log=$folder.log
    linux=$folder/usr/bin/linux.uml
    if [ -e "$linux" ]; then
        if ! release=$("$linux" --version 2>"$work/log"); then
            echo "- User-mode Linux $version of $suite does not start on this machine: $(head -n 1 "$work/log" | sed 's/.*: //')" >>"$differences"
            continue
        fi
        echo "picoinit: User-mode Linux $release"
        "$here"/uml-checks.sh "$linux" "$log"
        row "$release" "$package" "$version" "$suite" "$log" "its own" "not tried"
        for line in "process '/init' started with executable stack" "reboot: System halted"; do
            if grep -aq "$line" "$log"; then echo "- $release: it says \`$line\`" >>"$differences"; fi
        done
        continue
    fi
    # In /boot, or, in newer packages, beside its modules.
    kernel=$(ls "$folder"/boot/vmlinuz-* "$folder"/usr/lib/modules/*/vmlinuz 2>/dev/null | head -n 1)
    config=$(ls "$folder"/boot/config-* "$folder"/usr/lib/modules/*/config 2>/dev/null | head -n 1)
    [ "$kernel" ] || fail "the package $real has no kernel in it"
    release=${real#linux-image-}
    echo "picoinit: the boot tests on Linux $release"
    boot_tests "$kernel" "$log"
    row "$release" "$package" "$version" "$suite" "$log" "$(drivers "$config")" "$("$here"/smallest-memory.sh "$kernel")"
done <"$work/kernels"

{
    echo "# Kernels"
    echo
    echo "What \`make kernels\` saw: the boot tests (tests/boot.rs) on each of these kernels, with the same /init of $(wc -c <"${INIT:-target/x86_64-unknown-linux-gnu/release/init}") bytes. This page is written by [kernels.sh](kernels.sh)."
    echo
    echo "| Linux | package | release | passed | passed at the second attempt | failed | skipped | drivers | smallest MEM |"
    echo "|---|---|---|---:|---:|---:|---:|---|---|"
    cat "$rows"
    echo
    echo "User-mode Linux (uml) is a kernel that is an ordinary program. It runs without QEMU and has checks of its own, in uml-checks.sh. MEM is tried in steps of 8 MB, three times each."
    echo
    echo "## What differs"
    echo
    # Where things lie on this machine is of no interest to others.
    if [ -s "$differences" ]; then sed "s,$directory/,,g; s,$PWD/,,g" "$differences"; else echo "Nothing: all passed everywhere."; fi
} >"$work/table"
mv "$work/table" "$table"
echo "picoinit: the table is in $table"
! grep -q '` failed: ' "$table" || fail "some tests failed"
