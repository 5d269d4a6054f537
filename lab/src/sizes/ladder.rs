//! The ladder: from a plain std program to the init as it is shipped, one flag
//! or one decision a rung, each built and measured.

use super::costs;
use crate::bench::machine;
use crate::bench::report::{difference, thousands};
use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `ladder` can be told.
#[derive(Args)]
pub struct Options {
    /// The init, as it is shipped
    #[arg(long)]
    init: PathBuf,
    /// The folder of the twins
    #[arg(long)]
    twins: PathBuf,
    /// A folder for what is built
    #[arg(long)]
    scratch: PathBuf,
    /// Where LADDER.md goes
    #[arg(long)]
    output: PathBuf,
}

/// A rung.
struct Rung {
    /// The flag, or the decision.
    what: &'static str,
    /// What rustc is told in addition, from this rung on.
    flags: &'static [&'static str],
    /// What is handed to the linker in addition, from this rung on.
    link: &'static [&'static str],
    /// What it does.
    does: &'static str,
    /// What is lost by it.
    costs: &'static str,
    /// Whether picoinit is built so.
    in_default: bool,
}

/// With std: lab/sizes/rust-std/init.rs, linked to the system's C library at first.
const STD: [Rung; 8] = [
    Rung {
        what: "`rustc`, as `cargo build` calls it",
        flags: &["-Cdebuginfo=2"],
        link: &[],
        does: "leaves nothing out",
        costs: "",
        in_default: false,
    },
    Rung {
        what: "`opt-level = 3`, no debug information, as `cargo build --release` does it",
        flags: &["-Cdebuginfo=0", "-Copt-level=3", "-Cstrip=debuginfo"],
        link: &[],
        does: "optimises for speed; drops the debug information of std, too",
        costs: "a debugger no longer sees source lines",
        in_default: false,
    },
    Rung {
        what: "`strip = true`",
        flags: &["-Cstrip=symbols"],
        link: &[],
        does: "drops the names of functions",
        costs: "a debugger sees no names (picoinit has another profile, with names)",
        in_default: true,
    },
    Rung {
        what: "`opt-level = \"z\"`",
        flags: &["-Copt-level=z"],
        link: &[],
        does: "optimises for size",
        costs: "speed, where there are loops to unroll",
        in_default: true,
    },
    Rung {
        what: "`codegen-units = 1`",
        flags: &["-Ccodegen-units=1"],
        link: &[],
        does: "optimises the crate as a whole",
        costs: "time to compile",
        in_default: true,
    },
    Rung {
        what: "`lto = true`",
        flags: &["-Clto=fat"],
        link: &[],
        does: "optimises across all crates, and drops what is never called",
        costs: "time to compile",
        in_default: true,
    },
    Rung {
        what: "`panic = \"abort\"`",
        flags: &["-Cpanic=abort"],
        link: &[],
        does: "does not unwind the stack after a panic",
        costs: "a panic cannot be caught",
        in_default: true,
    },
    Rung {
        what: "`-Ctarget-feature=+crt-static`",
        flags: &["-Ctarget-feature=+crt-static"],
        link: &[],
        does: "includes the C library: a step up, but an initramfs has none",
        costs: "",
        in_default: false,
    },
];

/// Without std: lab/sizes/rust-raw/init.rs, whose system calls are its own.
const RAW: [Rung; 9] = [
    Rung {
        what: "`#![no_std]`, `#![no_main]`, its own system calls",
        flags: &[
            "-Copt-level=z",
            "-Clto=fat",
            "-Ccodegen-units=1",
            "-Cpanic=abort",
            "-Cstrip=symbols",
        ],
        link: &["-nostartfiles", "-nostdlib", "-static-pie"],
        does: "no C library, no start code, no allocator, no formatting",
        costs: "everything that std offers; each system call is `unsafe`",
        in_default: true,
    },
    Rung {
        what: "`-Crelocation-model=static`, `-no-pie`",
        flags: &["-Crelocation-model=static"],
        link: &["-static", "-no-pie"],
        does: "loads the program at the address where it was linked: no addresses to correct, no dynamic section",
        costs: "its addresses are the same at every start",
        in_default: true,
    },
    Rung {
        what: "`-Cforce-unwind-tables=no`",
        flags: &["-Cforce-unwind-tables=no"],
        link: &[],
        does: "no tables for unwinding the stack",
        costs: "backtraces, which nothing here could print. (In picoinit, the linker script drops the tables.)",
        in_default: true,
    },
    Rung {
        what: "`--build-id=none`",
        flags: &[],
        link: &["-Wl,--build-id=none"],
        does: "no note with a checksum of the file",
        costs: "it cannot be matched with its debug information",
        in_default: true,
    },
    Rung {
        what: "`--no-rosegment`",
        flags: &[],
        link: &["-Wl,--no-rosegment"],
        does: "one segment for code and constants, instead of one each",
        costs: "constants are executable",
        in_default: true,
    },
    Rung {
        what: "`-Cjump-tables=no`",
        flags: &["-Cjump-tables=no"],
        link: &[],
        does: "turns a `match` into comparisons, instead of a table of addresses",
        costs: "speed, in a `match` with many arms",
        in_default: true,
    },
    Rung {
        what: "`-O2` to the linker",
        flags: &[],
        link: &["-Wl,-O2"],
        does: "stores strings with the same ending once",
        costs: "",
        in_default: true,
    },
    Rung {
        what: "`-z nosectionheader`",
        flags: &[],
        link: &["-Wl,-z,nosectionheader"],
        does: "no section table, which the kernel never reads",
        costs: "objdump and gdb see no sections",
        in_default: true,
    },
    Rung {
        what: "its own linker script",
        flags: &[],
        link: &["-Wl,--oformat=binary", "-Wl,--defsym=elf_machine=62", "-Wl,-T,{root}/src/link.ld"],
        does: "the ELF header and one program header are written by hand; everything else is code and constants",
        costs: "40 lines more to read",
        in_default: true,
    },
];

/// Beyond what is shipped: what rustc is told in addition for picoinit, on top of all before.
const BEYOND: [Rung; 2] = [
    Rung {
        what: "`-Cllvm-args=-disable-machine-licm`",
        flags: &["-Cllvm-args=-disable-machine-licm"],
        link: &[],
        does: "loads a constant where it is used, instead of before a loop into a register that has to be saved",
        costs: "the next version of LLVM may lack the option, and then nothing can be built",
        in_default: false,
    },
    Rung {
        what: "`-Cllvm-args=-enable-ipra`",
        flags: &["-Cllvm-args=-enable-ipra"],
        link: &[],
        does: "does not save registers that a called function leaves alone",
        costs: "it is experimental: a mistake of the compiler becomes a mistake of PID 1",
        in_default: false,
    },
];

/// Builds all rungs, and writes down what came out.
pub fn run(options: &Options) -> Result<()> {
    let mut rows = Vec::new();
    let mut linker = None;
    let twins = options.twins.canonicalize();
    let twins = twins.with_context(|| options.twins.display().to_string())?;
    let root = twins.ancestors().nth(2).context("the twins are not in lab/sizes")?;
    for (folder, rungs) in [("rust-std", &STD[..]), ("rust-raw", &RAW)] {
        let source = twins.join(folder).join("init.rs");
        for number in 1..=rungs.len() {
            eprintln!("ladder: {folder}: {}", rungs[number - 1].what);
            let program = build(&source, &rungs[..number], root, &options.scratch)?;
            rows.push((&rungs[number - 1], program.len() as u64));
            linker = linker.or_else(|| linker_of(&program));
        }
    }
    let shipped =
        fs::metadata(&options.init).with_context(|| options.init.display().to_string())?;
    let mut beyond = Vec::new();
    for number in 1..=BEYOND.len() {
        eprintln!("ladder: picoinit: {}", BEYOND[number - 1].what);
        let bytes = build_shipped(&BEYOND[..number], root, &options.scratch)?;
        beyond.push((&BEYOND[number - 1], bytes));
    }
    let rustc = machine::output("rustc", &["--version"])?;
    let linker = linker.unwrap_or("a linker that does not name itself".into());
    let text = report(&rows, shipped.len(), &beyond, &rustc, &linker);
    fs::create_dir_all(&options.output).with_context(|| options.output.display().to_string())?;
    let path = options.output.join("LADDER.md");
    fs::write(&path, &text).with_context(|| path.display().to_string())?;
    println!("{text}");
    Ok(())
}

/// Builds a program with the flags of these rungs.
fn build(source: &Path, rungs: &[Rung], root: &Path, scratch: &Path) -> Result<Vec<u8>> {
    fs::create_dir_all(scratch).with_context(|| scratch.display().to_string())?;
    let program = scratch.join("rung");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "--crate-name", "init", "-o"]).arg(&program).arg(source);
    for rung in rungs {
        rustc.args(rung.flags);
        for argument in rung.link {
            let argument = argument.replace("{root}", &root.display().to_string());
            rustc.arg(format!("-Clink-arg={argument}"));
        }
    }
    let output = rustc.stdin(Stdio::null()).output().context("run rustc")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = rungs.last().map_or("", |rung| rung.what);
    ensure!(output.status.success(), "{last}: rustc failed: {said}");
    fs::read(&program).context("the program")
}

/// The bytes of the init, built as it is shipped, but with the flags of these rungs.
fn build_shipped(rungs: &[Rung], root: &Path, scratch: &Path) -> Result<u64> {
    let target = scratch.canonicalize().context("the scratch folder")?.join("target");
    let mut cargo = Command::new("cargo");
    cargo.args(["rustc", "--quiet", "--release", "--bin", "init", "--"]);
    cargo.args(rungs.iter().flat_map(|rung| rung.flags));
    let cargo = cargo.env("CARGO_TARGET_DIR", &target).current_dir(root).stdin(Stdio::null());
    let output = cargo.output().context("run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = rungs.last().map_or("", |rung| rung.what);
    ensure!(output.status.success(), "{last}: cargo failed: {said}");
    let init = target.join("x86_64-unknown-linux-gnu/release/init");
    Ok(fs::metadata(&init).with_context(|| init.display().to_string())?.len())
}

/// The linker, which leaves its name in a program; not all do.
fn linker_of(program: &[u8]) -> Option<String> {
    let key = b"Linker: ";
    let start = program.windows(key.len()).position(|bytes| bytes == key)? + key.len();
    let name = program[start..].split(|byte| *byte == 0).next()?;
    // Some add where they were built.
    let name = String::from_utf8_lossy(name);
    Some(name.split(" (").next()?.to_string())
}

fn report(
    rows: &[(&Rung, u64)],
    shipped: u64,
    beyond: &[(&Rung, u64)],
    rustc: &str,
    linker: &str,
) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["rung", "bytes", "change", "what it does", "what it costs", "in picoinit"]);
    let mut before: Option<u64> = None;
    let count = |bytes: u64| thousands(bytes as f64);
    let change = |before: Option<u64>, bytes: u64| {
        before.map_or_else(String::new, |before| difference(before, bytes))
    };
    let row = |rung: &Rung, bytes: u64, before: Option<u64>| {
        [
            rung.what.to_string(),
            count(bytes),
            change(before, bytes),
            rung.does.into(),
            rung.costs.into(),
            if rung.in_default { "yes" } else { "no" }.into(),
        ]
    };
    for (rung, bytes) in rows {
        table.add_row(row(rung, *bytes, before));
        before = Some(*bytes);
    }
    table.add_row([
        "**picoinit**, as it is shipped".to_string(),
        count(shipped),
        change(before, shipped),
        format!(
            "makes through rustix the system calls that rustix offers, which makes them safe \
             (COSTS.md measures {} of them)",
            costs::CALL_COUNT
        ),
        String::new(),
        "yes".into(),
    ]);
    before = Some(shipped);
    for (rung, bytes) in beyond {
        table.add_row(row(rung, *bytes, before));
        before = Some(*bytes);
    }
    format!(
        "# The ladder

Generated by `make ladder`; do not edit. It goes from a plain program with std to the init as it is shipped: the same job on each rung, with one more flag or decision than on the rung before.

{table}

The rungs before `#![no_std]` are [rust-std/init.rs](rust-std/init.rs), and the rungs after it are [rust-raw/init.rs](rust-raw/init.rs); both keep the whole contract. picoinit does not use the rungs below it. What a flag saves depends on the order: earlier or later, it may save more or less.

- {rustc}
- {linker}
"
    )
}
