#!/bin/sh
# title: C, freestanding, gcc
# needs: gcc
# version: gcc --version
set -eu
# -Oz: smaller than -Os. No jump tables: a table is larger than the compares.
# -mgeneral-regs-only: as kernels do, no vector registers to clear memory with.
# -fno-move-loop-invariants: a constant is loaded where it is used, and not
# kept in a register that has to be saved.
# Linked by picoinit's own script: an ELF header, one program header, the code.
gcc -std=gnu11 -Wall -Wextra -Oz -fno-jump-tables -mgeneral-regs-only -fno-move-loop-invariants \
    -ffreestanding -nostdlib -static -no-pie -fno-pie -fno-stack-protector -fcf-protection=none \
    -fno-asynchronous-unwind-tables -fno-ident \
    -Wl,-O2 -Wl,--build-id=none -Wl,--oformat=binary -Wl,--defsym=elf_machine=62 -Wl,-T,../../../src/link.ld init.c -o "$1"
