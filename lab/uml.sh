#!/bin/sh
# uml.sh DIRECTORY APPEND LINUX ARGUMENT... : runs LINUX, User-mode Linux, a
# kernel that is an ordinary program. The counterpart of QEMU for boot.sh.
#
# What the console says goes to standard output and to DIRECTORY/console.log, and what the
# guest writes to /dev/ttyS0 goes to DIRECTORY/verdict, if the ARGUMENTs connect them so:
# descriptor 1 is the console's, 5 is the verdict's, 7 is what is typed on the terminal,
# and 4 and 6 are inputs where nobody types anything. APPEND is added to the kernel's
# command line.
set -u

directory=$1 append=$2 linux=$3
shift 3
# With this, initramfs/shell can say how to leave.
set -- "$@" UML_PID=$$

# What stands after `--` is for PID 1. As one word, nothing in it can be taken
# for an option of User-mode Linux itself, such as --version.
after=
case " $append " in
*' -- '*)
    append=" $append "
    after="-- ${append#* -- }" append=${append%% -- *}
    ;;
esac
set -f # the words are no patterns
for word in $append; do set -- "$@" "$word"; done
[ "$after" ] && set -- "$@" "$after"
set +f

# Its path is short, because a socket is made there. HOME is another place
# where User-mode Linux makes one.
work=$(mktemp -d "${TMPDIR:-/tmp}/uml.XXXXXX") || exit
uml=
keyboard=
finish() {
    trap '' INT TERM HUP
    [ ! "$keyboard" ] || kill "$keyboard" 2>/dev/null
    # It leaves processes behind if it is killed, or panics. At first, it may
    # not have a group of its own yet.
    [ "$uml" ] && kill -s KILL -- "-$uml" "$uml" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
stopped=
trap 'stopped=1; stop' INT TERM HUP
stop() { [ ! "$uml" ] || exit 143; }

mkfifo "$work/output" "$work/verdict" "$work/silence" "$work/keyboard" || exit
# Ctrl-C is for this script; these exit when User-mode Linux has.
(trap '' INT && exec tee "$directory/console.log" <"$work/output") &
tee=$!
(trap '' INT && exec cat <"$work/verdict" >"$directory/verdict") &
cat=$!

exec 3<&0
case " $* " in
*' con0=fd:7,'*)
    # User-mode Linux would make the terminal raw, and then speak without carriage returns
    # itself. So the terminal is made raw here, and it gets what is typed from a pipe.
    stty raw -echo opost onlcr
    cat <&3 >"$work/keyboard" &
    keyboard=$!
    echo "picoinit: to leave User-mode Linux: type poweroff; or, at any time, in another terminal: kill $$"
    ;;
esac

# A session of its own, because when it panics, it kills its process group, of
# which make would be one. setarch: where the address space is laid out by
# chance, it loses memory of the guest. And no core dump after a panic.
ulimit -c 0
HOME=$work setsid setarch -R "$linux" uml_dir="$work/" "$@" </dev/null 3<&- 4<>"$work/silence" \
    6<>"$work/silence" 7<>"$work/keyboard" 5>"$work/verdict" >"$work/output" 2>&1 &
uml=$!
# A signal may have come before it was known what to stop.
[ ! "$stopped" ] || stop
{ wait $uml; } 2>/dev/null # the shell would say that it was aborted
status=$?
kill -s KILL -- "-$uml" 2>/dev/null
# Everything has been said when they have heard it.
wait $tee
wait $cat
# This is how it exits after a panic; judge.sh sees what was said.
[ $status = 134 ] && status=0
exit $status
