#!/bin/sh
# title: Zig
# needs: zig ld
# version: echo "zig $(zig version)"
set -eu
zig build-obj -target x86_64-linux-none -O ReleaseSmall -fstrip -fsingle-threaded -fno-unwind-tables \
    -fomit-frame-pointer -fno-stack-check -fno-stack-protector -mno-red-zone -femit-bin="$1.o" init.zig
# picoinit's own linker script: an ELF header, one program header, the code.
ld -static -O2 --build-id=none --oformat=binary --gc-sections --defsym=elf_machine=62 -T ../../../src/link.ld -u _start "$1.o" -o "$1"
rm "$1.o"
