#!/bin/sh
# title: C, musl, static
# needs: musl-gcc
# version: musl-gcc --version
set -eu
musl-gcc -std=gnu11 -Wall -Wextra -Os -static -s -fno-asynchronous-unwind-tables -ffunction-sections \
    -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noseparate-code \
    ../c/init.c -o "$1"
