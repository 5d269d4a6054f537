#!/bin/sh
# title: Rust, raw system calls
# needs: rustc cc
# version: rustc --version
set -eu
# Compiled as picoinit is, and linked by its own script.
rustc --edition 2024 --crate-name init -Copt-level=z -Clto -Ccodegen-units=1 -Cpanic=abort -Cstrip=symbols \
    -Crelocation-model=static -Cjump-tables=no \
    -Clink-args="-nostartfiles -nostdlib -static -no-pie -Wl,-O2 -Wl,--build-id=none -Wl,--oformat=binary -Wl,--defsym=elf_machine=62 -Wl,-T,../../../src/link.ld" \
    init.rs -o "$1"
