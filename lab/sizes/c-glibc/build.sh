#!/bin/sh
# title: C, glibc, static
# needs: gcc
# version: echo "$(ldd --version | head -n 1), $(gcc --version)"
set -eu
# -Oz: smaller than -Os. -fno-pie: what is static is at its addresses anyway.
gcc -std=gnu11 -Wall -Wextra -Oz -static -s -fno-pie -fno-asynchronous-unwind-tables \
    -ffunction-sections -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noseparate-code \
    ../c/init.c -o "$1"
