#!/bin/sh
# title: C++, glibc, static
# needs: g++
# version: g++ --version
set -eu
# -Oz: smaller than -Os. -fno-pie: what is static is at its addresses anyway.
g++ -std=c++20 -Wall -Wextra -Oz -static -s -fno-pie -fno-exceptions -fno-rtti \
    -fno-asynchronous-unwind-tables -ffunction-sections -Wl,--gc-sections -Wl,--build-id=none \
    -Wl,-z,norelro -Wl,-z,noseparate-code \
    init.cpp -o "$1"
