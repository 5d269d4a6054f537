#!/bin/sh
# boot.sh EXPECT TIMEOUT DIRECTORY MACHINE... : runs the machine, which is QEMU
# or uml.sh, and has judge.sh, which says what EXPECT can be, judge the boot.
#
# TIMEOUT is in seconds; 0 is none. DIRECTORY has what belongs to this boot. The machine
# leaves what the console said in console.log there, and the program's report in verdict;
# in the end, console.log is beside DIRECTORY, which is removed.
# PRESS, in the environment, is keys to press once a program says "now press" on the
# console: ctrl-c, typed on the console; or, on the keyboard, ctrl-alt-delete, for
# which QEMU's monitor has to listen on the pipe DIRECTORY/keys. Or it is `story`, which is
# typed on the console once a boot loader asks what to boot.
set -u

expect=$1 timeout=$2 directory=$3
shift 3
log=$directory/console.log
kept=$(dirname "$directory")/console.log
mkdir -p "$directory" || exit
ln -sf "${directory##*/}/console.log" "$kept"

runs() { kill -0 "$machine" 2>/dev/null; }
is_said() { grep -aq "$1" "$log" 2>/dev/null; }

press_keys() {
    until is_said 'now press\|^boot:'; do
        runs || return
        sleep 0.1
    done
    # Open for reading, too, so that it cannot wait for a reader.
    case $PRESS in
    ctrl-c) printf '\003' ;;
    story) printf 'story\r' ;;
    *) echo "sendkey $PRESS" ;;
    esac 1<>"$directory/keys.in"
}

# QEMU goes on when the kernel has halted, or stands still after a panic.
stop_after_halt() {
    until is_said 'reboot: System halted\|end Kernel panic'; do
        runs || return
        sleep 0.2
    done
    printf 'picoinit: the kernel has stopped, so the machine is switched off\r\n'
    stop
}

{ true 3<&0; } 2>/dev/null || exec </dev/null
terminal=
[ -t 0 ] && terminal=$(stty -g)
# timeout(1) is not asked to pass a signal on: while it forks, it exits instead, and its child
# stays; and while this shell forks, its child loses what it is sent. So the machine's PID
# is written down before it starts; and if it is not yet, the machine does not start any more.
stop() {
    : >"$directory/stop"
    kill "$(cat "$directory/pid")"
} 2>/dev/null
stopped_by=
trap 'stopped_by=INT; stop' INT
trap 'stopped_by=TERM; stop' TERM HUP
exec 3<&0
case "$expect $*" in
shell*' -mon chardev=console '*) echo "picoinit: to leave QEMU at any time: hold Ctrl, press A, release both, press X" ;;
esac
if [ "${PRESS:-}" ]; then
    mkfifo "$directory/keys.in" "$directory/keys.out"
    [ "$PRESS" = ctrl-alt-delete ] || exec 3<>"$directory/keys.in"
fi
# In the background, because a shell that waits for a program in the foreground
# heeds no signal, and a signal to this script has to stop the machine.
timeout --foreground --kill-after=20 "$timeout" sh -c \
    'echo $$ >"$0/pid" && [ ! -e "$0/stop" ] && exec "$@"' "$directory" "$@" <&3 3<&- &
machine=$!
[ ! "${PRESS:-}" ] || press_keys &
[ "$expect" != shell ] || stop_after_halt &
while
    wait "$machine"
    status=$?
    runs # a signal may have interrupted the wait
do :; done
trap - INT TERM HUP
[ "$terminal" ] && stty "$terminal"
# The firmware switches the terminal's line wrap off.
[ -t 1 ] && printf '\033[?7h'

[ "$stopped_by" ] || "$(dirname "$0")"/judge.sh "$expect" "$status" "$timeout" "$directory" "$kept" "$@"
verdict=$?
mv "$log" "$kept" 2>/dev/null
rm -rf "$directory"
[ ! "$stopped_by" ] || kill -s "$stopped_by" $$
exit $verdict
