#!/bin/sh
# uml.sh LOG VERDICT APPEND LINUX ARGUMENT... : runs LINUX, User-mode Linux, a
# kernel that is an ordinary program. The counterpart of QEMU for boot.sh.
#
# What the console says goes to standard output and to LOG, and what the guest
# writes to /dev/ttyS0 goes to VERDICT, if the ARGUMENTs connect them so:
# descriptors 0 and 1 are the console's, 5 is the verdict's, and 4 and 6 are
# inputs where nobody types anything. APPEND is added to the kernel's command line.
set -u

log=$1 verdict=$2 append=$3 linux=$4
shift 4

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
finish() {
    trap '' INT TERM HUP
    # It leaves processes behind if it is killed, or panics. At first, it may
    # not have a group of its own yet.
    [ "$uml" ] && kill -s KILL -- "-$uml" "$uml" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
ended=
trap 'ended=1; stop' INT TERM HUP
stop() { [ ! "$uml" ] || exit 143; }

mkfifo "$work/output" "$work/verdict" "$work/silence" || exit
# Ctrl-C is for this script; these end when User-mode Linux has.
(trap '' INT && exec tee "$log" <"$work/output") &
tee=$!
(trap '' INT && exec cat <"$work/verdict" >"$verdict") &
cat=$!

case " $* " in
*' con0=fd:0,'*) echo "picoinit: to leave User-mode Linux: type poweroff; or, at any time, in another terminal: kill $$" ;;
esac

# A session of its own, because when it panics, it kills its process group, of
# which make would be one. setarch: where the address space is laid out by
# chance, it loses memory of the guest. And no core dump after a panic.
exec 3<&0
ulimit -c 0
HOME=$work setsid setarch -R "$linux" uml_dir="$work/" "$@" \
    <&3 3<&- 4<>"$work/silence" 6<>"$work/silence" 5>"$work/verdict" >"$work/output" 2>&1 &
uml=$!
# Whoever ends this script may do so before it knows what it started.
[ ! "$ended" ] || stop
{ wait $uml; } 2>/dev/null # the shell would say that it was aborted
status=$?
kill -s KILL -- "-$uml" 2>/dev/null
# All has been said when they have heard it.
wait $tee
wait $cat
# This is how it ends after a panic; boot.sh sees what was said.
[ $status = 134 ] && status=0
exit $status
