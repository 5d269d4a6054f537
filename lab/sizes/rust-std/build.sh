#!/bin/sh
# title: Rust, std, glibc, static
# needs: rustc cc
# version: rustc --version
set -eu
rustc --edition 2024 --crate-name init -Copt-level=z -Clto -Ccodegen-units=1 -Cpanic=abort -Cstrip=symbols \
    -Ctarget-feature=+crt-static -Crelocation-model=static -Cjump-tables=no \
    -Clink-args="-Wl,-O2 -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noseparate-code" init.rs -o "$1"
