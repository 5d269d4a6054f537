#!/bin/sh
# title: C, glibc, static
# needs: gcc
# version: echo "$(ldd --version | head -n 1), $(gcc --version)"
set -eu
gcc -std=gnu11 -Wall -Wextra -Os -static -s -fno-asynchronous-unwind-tables -ffunction-sections \
    -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noseparate-code \
    ../c/init.c -o "$1"
