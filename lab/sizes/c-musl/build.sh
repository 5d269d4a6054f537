#!/bin/sh
# title: C, musl, static
# needs: musl-gcc
# version: echo "musl $(/lib/ld-musl-x86_64.so.1 2>&1 | sed -n "s/^Version //p"), $(gcc --version)"
set -eu
# -Oz: smaller than -Os. -fno-pie: what is static is at its addresses anyway.
musl-gcc -std=gnu11 -Wall -Wextra -Oz -static -s -fno-pie -fno-asynchronous-unwind-tables \
    -ffunction-sections -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noseparate-code \
    ../c/init.c -o "$1"
