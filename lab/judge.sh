#!/bin/sh
# judge.sh EXPECT STATUS TIMEOUT DIRECTORY LOG MACHINE... : says how a boot went. STATUS is
# that of the MACHINE, a command line that timeout(1) ran for TIMEOUT seconds; DIRECTORY is
# as for boot.sh; LOG is what to call console.log to the reader.
#
# EXPECT is what has to happen:
#   verdict  the program reports `status 0`, and the machine stops
#   panic    the kernel panics
#   shell    the machine stops, or the person before it stops it, by keys or by kill
#   any      whatever happens, the last line says what
# WITHOUT and ONLY, in the environment, are as make was given them: an /init that lacks
# duties may keep the program from its report.
set -u

expect=$1 status=$2 timeout=$3 directory=$4 kept=$5
shift 5
log=$directory/console.log

fail() {
    echo "picoinit: $*" >&2
    [ ! "$errno" ] || explain
    echo "picoinit: all that the console said is in $kept" >&2
    exit 1
}

# What the numbers mean that PID 1 prints when the program cannot be executed.
explain() {
    case $errno in
    2) why="there is no such file; or its loader, or what its first line names after #!, is not there" ;;
    8) why="it is no program for this processor, nor a script that begins with #!" ;;
    13) why="it is not executable; or it is a folder" ;;
    *) return ;;
    esac
    echo "picoinit: errno $errno: $why" >&2
}

not_one_line() {
    fail "no verdict: what the program reported is not one line 'status N': $(printf '%s' "$said" | tr '\n' '|')"
}

# The kernel panics in one printk, so nothing can come between these words.
panicked=
grep -aq 'Kernel panic - not syncing' "$log" 2>/dev/null && panicked=1
errno=$(sed -n 's/^init: cannot run .*: errno \([0-9]*\).*/\1/p' "$log" 2>/dev/null | tail -n 1)
lacks_spawn=
case " ${WITHOUT:-} " in *' spawn '*) lacks_spawn=1 ;; esac
case " ${ONLY:-spawn} " in *' spawn '*) ;; *) lacks_spawn=1 ;; esac
said=$(tr -d '\r' 2>/dev/null <"$directory/verdict")

case $expect:$status in
any:124 | any:137)
    echo "picoinit: the machine was still running after $timeout seconds, and was switched off"
    exit 0
    ;;
*:124 | *:137)
    hint=
    case " $* " in *' -accel kvm '*) hint=". If it says nothing under KVM, try ACCEL=tcg" ;; esac
    [ "$lacks_spawn" ] && hint=". Without the duty spawn, /init starts no program"
    fail "hung: the machine was still running after $timeout seconds (TIMEOUT=$timeout)$hint"
    ;;
shell:143) echo "picoinit: the machine was stopped from outside" ;;
*:0) ;;
*) fail "${1##*/} exited with status $status" ;;
esac
given_up="panicked: the kernel gave up; the reason stands after 'Kernel panic - not syncing'"
case $expect in
panic)
    [ "$panicked" ] || fail "the kernel did not panic, as it should have"
    echo
    echo "picoinit: this is what a kernel does when it finds no file system holding a program to run as PID 1:"
    echo "picoinit: with nothing left to do, it gives up. Now give it one: make run"
    ;;
verdict)
    [ "$panicked" ] && fail "$given_up"
    case $said in
    'status 0')
        echo 'picoinit: the program exited with status 0, and the machine is off'
        [ ! "${WITHOUT:-}${ONLY:-}" ] ||
            echo "picoinit: this /init lacks a duty: compare the lines above with those of a whole one, make run"
        ;;
    '')
        hint=
        [ ! "${WITHOUT:-}${ONLY:-}" ] ||
            hint=". Perhaps /init lacks a duty that this takes; make try asks for no verdict"
        fail "no verdict: the machine stopped before the program reported a status ('status N', written to \$VERDICT)$hint"
        ;;
    'status '*[!0-9]* | 'status ') not_one_line ;;
    'status '*) fail "the program exited with $said" ;;
    *) not_one_line ;;
    esac
    ;;
any)
    if [ "$panicked" ]; then
        echo 'picoinit: the kernel panicked'
    else
        echo 'picoinit: the machine stopped'
    fi
    ;;
shell) [ ! "$panicked" ] || fail "$given_up" ;;
esac
exit 0
