#!/bin/sh
# uml-checks.sh LINUX LOG : checks that /init works on LINUX, a User-mode Linux. Leaves in LOG
# what was said, and how each check went, as `cargo test` says it. (tests/uml.rs has more.)
set -eu

linux=$1 log=$2
work=build/uml-checks.$$
trap 'rm -rf "$work" build/build_uml-checks.$$_tree.cpio' EXIT
trap 'exit 1' INT TERM
mkdir -p "$work"

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
# User-mode Linux cannot power off: it halts, and a halt has it exit.
powered_off() { [ $status = 0 ] && said 'reboot: System halted' && ! said 'Kernel panic'; }

rc() {
    mkdir -p "$tree/etc" "$tree/bin"
    { echo '#!/bin/sh' && cat; } >"$tree/etc/rc"
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

: >"$log"
tree=demo
uml
judge demo_runs_from_the_first_line_to_power_off demo_story
uml -- /does/not/exist
judge says_why_a_program_cannot_be_executed missing_program

tree=$work/tree
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
