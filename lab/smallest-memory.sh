#!/bin/sh
# smallest-memory.sh KERNEL : prints the smallest MEM, in steps of 8, with which the demo
# succeeds three times in a row: where the kernel puts itself in memory is random, and may
# not leave enough each time. And how far the kernel gets with 8 less.
set -eu

kernel=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

boots() { # MEM
    # The tests take this lock, too: two machines at a time starve each other.
    mkdir -p target/tmp
    flock target/tmp/boot.lock make run KERNEL="$kernel" MEM="$1" TIMEOUT=30 </dev/null >"$work/boot" 2>&1
}

too_little=32 enough=256
while [ $((enough - too_little)) -gt 8 ]; do
    middle=$(((too_little + enough) / 16 * 8))
    if boots $middle && boots $middle && boots $middle; then
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
