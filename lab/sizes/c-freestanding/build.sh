#!/bin/sh
# title: C, freestanding, gcc
# needs: gcc objcopy
# version: gcc --version
set -eu
# -Oz: smaller than -Os. No jump tables: a table is larger than the compares.
# -fno-move-loop-invariants, -fno-cse-follow-jumps, -fno-gcse: a constant is loaded
# where it is used, and not kept in a register that has to be saved.
# -fno-thread-jumps, -fno-tree-sink: nothing is there twice to save a jump.
# As kernels do: no vector registers to clear memory with, so that the stack need
# not be aligned for them; and no red zone, because a function that has one loads
# constants by longer instructions than push and pop.
# Linked by picoinit's own script: an ELF header, one program header, the code.
gcc -std=gnu11 -Wall -Wextra -Oz -fno-jump-tables \
    -fno-move-loop-invariants -fno-cse-follow-jumps -fno-gcse -fno-thread-jumps -fno-tree-sink \
    -mgeneral-regs-only -mpreferred-stack-boundary=3 -mno-red-zone \
    -ffreestanding -nostdlib -static -no-pie -fno-pie -fno-stack-protector -fcf-protection=none \
    -fno-asynchronous-unwind-tables -fno-ident \
    -Wl,-O2 -Wl,--build-id=none -Wl,--defsym=elf_machine=62 -Wl,-T,../../../src/link.ld init.c -o "$1"
# ld stores strings that end alike once only in an ELF file: so first it makes one.
objcopy -O binary "$1"
