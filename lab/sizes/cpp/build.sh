#!/bin/sh
# title: C++, glibc, static
# needs: g++
# version: g++ --version
set -eu
g++ -std=c++20 -Wall -Wextra -Os -static -s -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables \
    -ffunction-sections -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noseparate-code \
    init.cpp -o "$1"
