//! How the freestanding programs of this package are linked.
//!
//! These arguments reach only the programs with a `_start` of their own;
//! tests and host tools are linked as usual.

use std::env;
use std::process::{Command, exit};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/link.ld");
    println!("cargo::rerun-if-changed=src/link32.ld");

    // RUSTFLAGS in the environment replaces, not extends, what .cargo/config.toml says.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if !flags.contains("relocation-model=static") {
        eprintln!(
            "picoinit: the flags of .cargo/config.toml did not arrive (rustc got: {flags:?}). \
             RUSTFLAGS or CARGO_ENCODED_RUSTFLAGS in the environment replaces them: \
             unset it, and build inside this folder."
        );
        exit(1);
    }

    let is = |name, value: &str| env::var(name).is_ok_and(|found| found == value);

    // For another CPU than this machine's, rustup's linker runs by itself, because the C compiler
    // here knows only its own CPU; else the C compiler calls the linker, and adds to it.
    let for_linker = if flags.contains("linker-flavor=ld.lld") { "" } else { "-Wl," };
    if !for_linker.is_empty() {
        // No C library and no C start code: `_start` is ours. No loader to relocate it, either.
        for argument in ["-nostartfiles", "-nostdlib", "-static", "-no-pie"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
        // GNU's linker cannot write plain bytes for aarch64; the one that comes with Rust can.
        // On x86_64, rustc has the C compiler call it anyway.
        if !is("CARGO_CFG_TARGET_ARCH", "x86_64") {
            println!("cargo::rustc-link-arg-bins=-fuse-ld=lld");
            println!("cargo::rustc-link-arg-bins=-B{}", folder_of_lld());
        }
    }
    // Strings that end alike are stored once: "/proc" has "proc" in it.
    println!("cargo::rustc-link-arg-bins={for_linker}-O2");
    // The layout of the file.
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let layout = if is("CARGO_CFG_TARGET_POINTER_WIDTH", "32") { "link32.ld" } else { "link.ld" };
    println!("cargo::rustc-link-arg-bins={for_linker}-T{root}/src/{layout}");

    // What link.ld lays out is the whole file. With the profile `symbols`, it is
    // one section of an ELF file, which has room for symbols and line numbers, too.
    let keeps_symbols = is("PROFILE", "release") && is("DEBUG", "true");
    if !keeps_symbols {
        println!("cargo::rustc-link-arg-bins={for_linker}--oformat=binary");
    }
}

/// Where C compilers find the linker that comes with Rust under the name `ld.lld`.
fn folder_of_lld() -> String {
    let variable = |name| env::var(name).expect("cargo sets RUSTC and HOST");
    let sysroot = Command::new(variable("RUSTC")).args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(sysroot.expect("run rustc").stdout).expect("a path in UTF-8");
    format!("{}/lib/rustlib/{}/bin/gcc-ld", sysroot.trim_end(), variable("HOST"))
}
