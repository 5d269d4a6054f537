//! What a duty costs, and what a library of system calls costs: picoinit built
//! without, in a copy of its source, and measured.

use crate::bench::chart::STYLE;
use crate::bench::machine;
use crate::bench::report::{difference, thousands};
use crate::binary::{Build, Owner, bytes_by_owner};
use crate::disasm::bytes_by_function;
use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use svg::Document;
use svg::node::element::{Rectangle, Style, Text};

/// What `costs` can be told.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    build: Build,
    /// A folder for copies of the source, and for what is built
    #[arg(long)]
    scratch: PathBuf,
    /// Where COSTS.md and costs.svg go
    #[arg(long)]
    output: PathBuf,
    /// The duties, as the features of the crate are called
    #[arg(required = true)]
    duties: Vec<String>,
}

/// A call of rustix in the source, and what replaces it without rustix.
struct Call {
    name: &'static str,
    edits: &'static [(&'static str, &'static str, &'static str)],
    /// What rustix gives for the bytes.
    gives: &'static str,
}

/// How many calls of rustix there are.
pub const CALL_COUNT: usize = CALLS.len();

const CALLS: [Call; 8] = [
    Call {
        name: "access",
        edits: &[(
            "src/mounts.rs",
            "access(c\"/proc/mounts\", Access::EXISTS).is_ok()",
            "unsafe { crate::arch::syscall!(__NR_access, c\"/proc/mounts\".as_ptr(), 0) == 0 }",
        )],
        gives: "a type for the access that is asked about",
    },
    Call {
        name: "mkdir",
        edits: &[(
            "src/mounts.rs",
            "let _ = mkdir(path.as_c_str(), Mode::from_raw_mode(0o755));",
            "unsafe { crate::arch::syscall!(__NR_mkdir, path.0.as_ptr(), 0o755) };",
        )],
        gives: "the newer mkdirat(2), which all CPUs have",
    },
    Call {
        name: "setsid",
        edits: &[(
            "src/console.rs",
            "let _ = setsid();",
            "unsafe { crate::arch::syscall!(__NR_setsid) };",
        )],
        gives: "no `unsafe`",
    },
    Call {
        name: "ioctl(TIOCSCTTY)",
        edits: &[(
            "src/console.rs",
            "let _ = ioctl_tiocsctty(stdin);",
            "unsafe { crate::arch::syscall!(__NR_ioctl, 0, 0x540e, 0) };",
        )],
        gives: "the right argument for the request",
    },
    Call {
        name: "lseek",
        edits: &[(
            "src/console.rs",
            "tell(stderr).is_ok()",
            "{
        let _ = stderr;
        unsafe { crate::arch::syscall!(__NR_lseek, 2, 0usize, 1) >= 0 }
    }",
        )],
        gives: "an error that cannot be taken for an offset",
    },
    Call {
        name: "wait4",
        edits: &[
            (
                "src/reap.rs",
                "        // None has exited, or there is none.
        let Ok(Some((pid, status))) = waited else { return waited.is_ok() };
        let (text, number, exit_status) = match status.exit_status() {
            Some(status) => (c\"init: pid # exited with status #\\n\", status, status),
            None => {
                let signal = status.as_raw() & 0x7f;",
                "        let _ = waited;
        let mut status = 0i32;
        let pid = unsafe {
            crate::arch::syscall!(__NR_wait4, -1isize, &raw mut status, 1, core::ptr::null::<u8>())
        };
        if pid <= 0 {
            return pid == 0;
        }
        let Some(pid) = Pid::from_raw(pid as i32) else { return true };
        let (text, number, exit_status) = match status & 0x7f {
            0 => (c\"init: pid # exited with status #\\n\", status >> 8 & 0xff, status >> 8 & 0xff),
            signal => {",
            ),
            (
                "src/reap.rs",
                "        let waited = if cfg!(feature = \"reap\") {
            wait(WaitOptions::NOHANG)
        } else {
            waitpid(init.program, WaitOptions::NOHANG)
        };",
                "        let waited = ();",
            ),
        ],
        gives: "a status that cannot be misread, and an errno that is no PID",
    },
    Call {
        name: "write",
        edits: &[(
            "src/say.rs",
            "let _ = write(stderr, line.as_bytes());",
            "let line = line.as_bytes();
        unsafe { crate::arch::syscall!(__NR_write, 2, line.as_ptr(), line.len()) };",
        )],
        gives: "a slice, whose length is always right",
    },
    Call {
        name: "sync",
        edits: &[(
            "src/teardown.rs",
            "        sync();",
            "        unsafe { crate::arch::syscall!(__NR_sync) };",
        )],
        gives: "no `unsafe`",
    },
];

/// ppoll(2), which the init makes itself, made through rustix.
const POLL: [(&str, &str, &str); 1] = [(
    "src/say.rs",
    "    let mut wanted = PollFd::from_borrowed_fd(stderr, PollFlags::OUT);
    // SAFETY: one of them, and a timespec.
    unsafe { syscall!(__NR_ppoll, &raw mut wanted, 1, &raw const NOW, null::<u8>()) };
    if wanted.revents() == PollFlags::OUT {",
    "    let mut wanted = [PollFd::from_borrowed_fd(stderr, PollFlags::OUT)];
    let _ = rustix::event::poll(&mut wanted, Some(&NOW));
    if wanted[0].revents() == PollFlags::OUT {",
)];

/// Builds everything, and writes down what came out.
pub fn run(options: &Options) -> Result<()> {
    let (source, binary) = options.build.read()?;
    let pieces = binary.pieces(&source)?;
    let copy = copy(Path::new("."), &options.scratch)?;
    let all: Vec<&str> = options.duties.iter().map(String::as_str).collect();
    let build = |duties: &[&str]| build(&copy, &options.scratch, duties);

    let shipped = build(&all)?;
    ensure!(
        shipped == binary.image.len() as u64,
        "the copy of the source gives {shipped} bytes, not the {} of the init",
        binary.image.len()
    );
    let none = build(&[])?;
    let mut rows = Vec::new();
    for duty in &all {
        eprintln!("costs: {duty}");
        let others: Vec<&str> = all.iter().copied().filter(|other| other != duty).collect();
        rows.push((duty.to_string(), build(&[duty])?, build(&others)?));
    }

    let mut calls = Vec::new();
    for call in &CALLS {
        eprintln!("costs: {}", call.name);
        calls.push((call, with_edits(&copy, call.edits, || build(&all))?));
    }
    let edits: Vec<_> = CALLS.iter().flat_map(|call| call.edits).copied().collect();
    let without_rustix = with_edits(&copy, &edits, || build(&all))?;
    let with_poll = with_edits(&copy, &POLL, || build(&all))?;

    let rustc = machine::output("rustc", &["--version"])?;
    let text = report(shipped, none, &rows, &calls, without_rustix, with_poll, &rustc)?;
    let owners = bytes_by_owner(&pieces);
    let mut by_duty: Vec<(String, usize)> = owners
        .iter()
        .map(|(owner, bytes)| {
            let name = match owner {
                Owner::Shared(name) => format!("{name} (serves several)"),
                other => other.to_string(),
            };
            (name, *bytes)
        })
        .collect();
    by_duty.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let picture = draw(&[
        ("by duty", &by_duty),
        ("by function, with what was inlined into it", &bytes_by_function(&binary, &pieces)),
    ]);
    fs::create_dir_all(&options.output).with_context(|| options.output.display().to_string())?;
    for (name, text) in [("COSTS.md", &text), ("costs.svg", &picture)] {
        let path = options.output.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    println!("{text}");
    Ok(())
}

/// Copies what cargo needs to build the init.
fn copy(root: &Path, scratch: &Path) -> Result<PathBuf> {
    let copy = scratch.join("source");
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| copy.display().to_string())?;
    }
    fs::create_dir_all(&copy).with_context(|| copy.display().to_string())?;
    let status = Command::new("cp")
        .args(["-R", "Cargo.toml", "Cargo.lock", ".cargo", "build.rs", "src", "lab", "tests"])
        .arg(fs::canonicalize(&copy).context("the copy")?)
        .current_dir(root)
        .status()
        .context("run cp")?;
    ensure!(status.success(), "cp failed");
    Ok(copy)
}

/// The bytes of the init that is built there with these duties.
fn build(source: &Path, scratch: &Path, duties: &[&str]) -> Result<u64> {
    let target = fs::canonicalize(scratch).context("the scratch folder")?.join("target");
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--bin", "init", "--no-default-features"])
        .args(["--features", &duties.join(",")])
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(source)
        .stdin(Stdio::null())
        .output()
        .context("run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "with the duties {duties:?}: {said}");
    let init = target.join("x86_64-unknown-linux-gnu/release/init");
    Ok(fs::metadata(&init).with_context(|| init.display().to_string())?.len())
}

/// Makes a change to some files as long as something is done.
fn with_edits<T>(
    root: &Path,
    edits: &[(&str, &str, &str)],
    act: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let mut before = Vec::new();
    for (file, from, to) in edits {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(
            text.matches(from).count() == 1,
            "{file} does not have this once, so lab/src/sizes/costs.rs is out of date: {from}"
        );
        fs::write(&path, text.replace(from, to)).with_context(|| path.display().to_string())?;
        before.push((path, text));
    }
    let result = act();
    for (path, text) in before.into_iter().rev() {
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    result
}

fn table(head: &[&str], numbers: std::ops::Range<usize>) -> Result<Table> {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(head);
    for column in numbers {
        table.column_mut(column).context("a column")?.set_cell_alignment(CellAlignment::Right);
    }
    Ok(table)
}

fn report(
    shipped: u64,
    none: u64,
    rows: &[(String, u64, u64)],
    calls: &[(&Call, u64)],
    without_rustix: u64,
    with_poll: u64,
    rustc: &str,
) -> Result<String> {
    let count = |bytes: u64| thousands(bytes as f64);
    let mut duties =
        table(&["duty", "alone", "more than none", "left out", "less than all"], 1..5)?;
    for (duty, alone, without) in rows {
        duties.add_row([
            duty.clone(),
            count(*alone),
            difference(none, *alone),
            count(*without),
            difference(shipped, *without),
        ]);
    }
    let mut library = table(
        &["system call", "bytes with a raw call", "change", "what rustix gives in return"],
        1..3,
    )?;
    for (call, bytes) in calls {
        library.add_row([
            call.name.to_string(),
            count(*bytes),
            difference(shipped, *bytes),
            call.gives.into(),
        ]);
    }
    library.add_row([
        "all of them".to_string(),
        count(without_rustix),
        difference(shipped, without_rustix),
        String::new(),
    ]);
    Ok(format!(
        "# What a duty costs, and what a library costs

Generated by `make costs`; do not edit. The numbers are bytes of the file, each from a separate build.

![Where the bytes are](costs.svg)

## Duties

With all duties, picoinit has {} bytes; with none, {}. What is left then is the ELF header, the first instructions, a wait for signals, and reboot(2). The cost of a duty depends on which others are there, because they share code: the first duty that prints a line brings along everything that it takes to print one.

{duties}

Without `reap`, PID 1 waits only for its own program, which is the same system call with another argument. So the most indispensable duty is the cheapest.

## rustix

The init makes its system calls through [rustix](https://docs.rs/rustix). The exceptions are the calls that rustix does not offer in public, and three more: openat ([sys.rs](../../src/sys.rs)), because rustix's could panic; ppoll ([say.rs](../../src/say.rs)), because rustix copies the time limit, which changes the file by {} bytes; and times, which rustix does not have. The table replaces {} of rustix's calls with raw ones, one at a time:

{library}

The compiler optimises the whole program, so even a call that compiles to the same instructions can shift others, and the row for all calls need not be the sum of the rows above.

- {rustc}
",
        count(shipped),
        count(none),
        difference(shipped, with_poll),
        calls.len(),
    ))
}

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
const LABEL: f64 = 250.0;
const ROW: f64 = 20.0;
const BAR: f64 = 13.0;
const HEAD: f64 = 34.0;
const GAP: f64 = 14.0;
const LONGEST: f64 = WIDTH - 2.0 * MARGIN - LABEL - 60.0;

/// Bars for several ways to divide the same bytes up, on one scale.
fn draw(parts: &[(&str, &[(String, usize)])]) -> String {
    let rows: usize = parts.iter().map(|(_, rows)| rows.len()).sum();
    let height = 2.0 * MARGIN + parts.len() as f64 * (HEAD + GAP) + rows as f64 * ROW - GAP;
    let greatest = parts.iter().flat_map(|(_, rows)| *rows).map(|(_, bytes)| *bytes).max();
    let scale = LONGEST / greatest.unwrap_or(1) as f64;
    let mut document = Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("role", "img")
        .set("aria-label", "Where the bytes of /init are, by duty and by function")
        .add(Style::new(STYLE))
        .add(
            Rectangle::new()
                .set("class", "page")
                .set("x", 0.5)
                .set("y", 0.5)
                .set("width", WIDTH - 1.0)
                .set("height", height - 1.0)
                .set("rx", 6),
        );
    let left = MARGIN + LABEL;
    let mut y = MARGIN;
    for (title, rows) in parts {
        let sum: usize = rows.iter().map(|(_, bytes)| bytes).sum();
        let title = format!("The {} bytes of /init, {title}", thousands(sum as f64));
        document = document
            .add(Text::new(title).set("class", "title").set("x", MARGIN).set("y", y + 12.0));
        y += HEAD;
        for (label, bytes) in *rows {
            let length = *bytes as f64 * scale;
            document = document
                .add(
                    Text::new(label.clone())
                        .set("x", left - 8.0)
                        .set("y", y + 11.0)
                        .set("text-anchor", "end"),
                )
                .add(
                    Rectangle::new()
                        .set("class", "own")
                        .set("x", left)
                        .set("y", y)
                        .set("width", format!("{length:.1}"))
                        .set("height", BAR)
                        .set("rx", 2),
                )
                .add(
                    Text::new(thousands(*bytes as f64))
                        .set("x", format!("{:.1}", left + length + 6.0))
                        .set("y", y + 11.0),
                );
            y += ROW;
        }
        y += GAP;
    }
    format!("{document}\n")
}
