#!/bin/sh
# title: C, freestanding, clang
# needs: clang ld objcopy
# version: clang --version
set -eu
# As with gcc; but here the vector registers, and the alignment of the stack that
# they want, make it smaller.
clang -std=gnu11 -Wall -Wextra -Oz -fno-jump-tables -mno-red-zone \
    -ffreestanding -nostdlib -static -fno-pie -fno-stack-protector -fcf-protection=none \
    -fno-asynchronous-unwind-tables -fno-ident \
    -Wl,-O2 -Wl,--build-id=none -Wl,--defsym=elf_machine=62 -Wl,-T,../../../src/link.ld ../c-freestanding/init.c -o "$1"
# ld stores strings that end alike once only in an ELF file: so first it makes one.
objcopy -O binary "$1"
