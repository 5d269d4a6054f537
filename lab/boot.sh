#!/bin/sh
# boot.sh EXPECT TIMEOUT LOG VERDICT MACHINE... : runs the machine, which is QEMU
# or uml.sh, and judges the boot.
#
# EXPECT is what is to happen:
#   verdict  the program says `status 0` into the file VERDICT, and the machine ends
#   panic    the kernel panics
#   end      the machine ends, or is ended by the person before it, by keys or by kill
#   any      whatever happens, the last line says what
# TIMEOUT is in seconds; 0 is none. LOG is where it leaves what the console said.
# PRESS, in the environment, is keys to press once a program says "now press" on the
# console: ctrl-c, typed on the console; or, on the keyboard, ctrl-alt-delete, for
# which QEMU's monitor has to listen on the pipe LOG.keys. WITHOUT and ONLY, too, are
# as make was given them: an /init that lacks duties may keep the program from its verdict.
set -u

expect=$1 timeout=$2 log=$3 verdict=$4
shift 4
rm -f "$log" "$verdict" "$log.pid" "$log.end"

fail() {
    echo "picoinit: $*" >&2
    echo "picoinit: all that the console said is in $log" >&2
    exit 1
}

not_one_line() {
    fail "lost: the program's verdict is not one line 'status N': $(printf '%s' "$said" | tr '\n' '|')"
}

press_keys() {
    until grep -aq 'now press' "$log" 2>/dev/null; do
        kill -0 "$machine" 2>/dev/null || return
        sleep 0.1
    done
    # Open for reading, too, so that it cannot wait for a reader.
    case $PRESS in
    ctrl-c) printf '\003' ;;
    *) echo "sendkey $PRESS" ;;
    esac 1<>"$keys.in"
}

terminal=
[ -t 0 ] && terminal=$(stty -g)
# timeout(1) is not asked to pass it on: while it forks, it exits instead, and its child
# stays; and while this shell forks, its child loses what it is sent. So the machine's PID
# is written down before it starts; and where it is not yet, it does not start any more.
end() {
    : >"$log.end"
    kill "$(cat "$log.pid")"
} 2>/dev/null
ended_by=
trap 'ended_by=INT; end' INT
trap 'ended_by=TERM; end' TERM HUP
exec 3<&0
if [ "${PRESS:-}" ]; then
    keys=$log.keys
    rm -f "$keys.in" "$keys.out"
    mkfifo "$keys.in" "$keys.out"
    [ "$PRESS" != ctrl-c ] || exec 3<>"$keys.in"
fi
# In the background, because a shell that waits for a program in the foreground
# heeds no signal: whoever ends this script would leave the machine running.
timeout --foreground --kill-after=20 "$timeout" sh -c \
    'echo $$ >"$0.pid" && [ ! -e "$0.end" ] && exec "$@"' "$log" "$@" <&3 3<&- &
machine=$!
[ ! "${PRESS:-}" ] || press_keys &
while
    wait "$machine"
    status=$?
    kill -0 "$machine" 2>/dev/null # a signal may have ended the wait
do :; done
trap - INT TERM HUP
rm -f "$log.pid" "$log.end"
[ ! "${PRESS:-}" ] || rm -f "$keys.in" "$keys.out"
[ "$terminal" ] && stty "$terminal"
# The firmware switches the terminal's line wrap off.
[ -t 1 ] && printf '\033[?7h'
[ "$ended_by" ] && kill -s "$ended_by" $$

# The kernel panics in one printk, so nothing can come between these words.
panicked=
grep -aq 'Kernel panic - not syncing' "$log" 2>/dev/null && panicked=1

case $expect:$status in
any:124 | any:137)
    echo "picoinit: the machine was still running after $timeout seconds, and was switched off"
    exit 0
    ;;
*:124 | *:137)
    hint=
    case " $* " in *' -accel kvm '*) hint=". If it says nothing under KVM, try ACCEL=tcg" ;; esac
    fail "hung: the machine was still running after $timeout seconds (TIMEOUT=$timeout)$hint"
    ;;
end:143) echo "picoinit: the machine was ended from outside" ;;
*:0) ;;
*) fail "${1##*/} exited with status $status" ;;
esac
case $expect in
panic)
    [ "$panicked" ] || fail "the kernel did not panic, as it should have" ;;
verdict)
    [ "$panicked" ] && fail "panicked: the kernel gave up; the reason stands after 'Kernel panic - not syncing'"
    said=$(tr -d '\r' 2>/dev/null <"$verdict")
    case $said in
    'status 0') echo 'picoinit: the program exited with status 0, and the machine is off' ;;
    '')
        hint=
        [ ! "${WITHOUT:-}${ONLY:-}" ] ||
            hint=". Perhaps /init lacks a duty that this takes; make try asks for no verdict"
        fail "lost: the machine ended, but the program never said how it did (it writes 'status N' to \$VERDICT)$hint"
        ;;
    'status '*[!0-9]* | 'status ') not_one_line ;;
    'status '*) fail "the program exited with $said" ;;
    *) not_one_line ;;
    esac ;;
any)
    if [ "$panicked" ]; then
        echo 'picoinit: the kernel panicked'
    else
        echo 'picoinit: the machine stopped'
    fi
    ;;
end)
    [ "$panicked" ] && fail "panicked: the kernel gave up; the reason stands after 'Kernel panic - not syncing'" ;;
esac
exit 0
