#!/bin/sh
# screen.sh QEMU : prints what QEMU is to show a screen with: a window; or, where there is no desktop,
# VNC, to look at it from another machine. `screen.sh QEMU window` only prints the first, if there is it.
set -eu

qemu=$1
window() { "$qemu" -display help 2>&1 | grep -x 'gtk\|sdl\|cocoa' | head -n 1 | grep .; }
if [ "${2:-}" ]; then
    window
elif [ "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    "${0%/*}/tools.sh" qemu-window
    window
else
    echo "picoinit: there is no desktop here, so the screen is at VNC 127.0.0.1:5900. Ctrl-C stops the machine" >&2
    echo vnc=127.0.0.1:0
fi
