#!/bin/sh
# title: Rust, std, musl, static
# needs: rustc rust-target:x86_64-unknown-linux-musl
# version: rustc --version
set -eu
rustc --target x86_64-unknown-linux-musl \
    --edition 2024 --crate-name init -Copt-level=z -Clto -Ccodegen-units=1 -Cpanic=abort -Cstrip=symbols \
    -Ctarget-feature=+crt-static -Crelocation-model=static -Cjump-tables=no \
    -Clink-args="-Wl,-O2 -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noseparate-code" ../rust-std/init.rs -o "$1"
