#!/bin/sh
# title: C, musl, static
# needs: musl-gcc
# version: echo "musl $(/lib/ld-musl-x86_64.so.1 2>&1 | sed -n "s/^Version //p"), $(gcc --version)"
set -eu
musl-gcc -std=gnu11 -Wall -Wextra -Os -static -s -fno-asynchronous-unwind-tables -ffunction-sections \
    -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noseparate-code \
    ../c/init.c -o "$1"
