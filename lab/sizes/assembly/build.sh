#!/bin/sh
# title: assembly
# needs: as ld
# version: as --version
set -eu
as init.s -o "$1.o"
# picoinit's own linker script: an ELF header, one program header, the code.
ld -static -O2 --build-id=none --oformat=binary --defsym=elf_machine=62 -T ../../../src/link.ld "$1.o" -o "$1"
rm "$1.o"
