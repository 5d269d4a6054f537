//! The budgets: sizes and counts, as numbers that a change may not exceed.

mod common;

use common::{Namespace, TempDir};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, elf};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

#[test]
fn file_size() {
    let size = fs::metadata(common::init()).expect("the init").len();
    println!("/init: {size} bytes");
    assert!(size <= 2400, "{size} bytes");
}

/// What is wrong with the segments of an ELF file.
fn complaints(file: &[u8]) -> Vec<&'static str> {
    let file = ElfFile64::<Endianness>::parse(file).expect("an ELF file");
    let mut complaints = Vec::new();
    let loaded: Vec<_> = file
        .elf_program_headers()
        .iter()
        .filter(|segment| segment.p_type(Endianness::Little) == elf::PT_LOAD)
        .collect();
    for segment in &loaded {
        let flags = segment.p_flags(Endianness::Little);
        if flags & elf::PF_W == elf::PF_W {
            complaints.push("a writable segment: .data or .bss");
            if flags & elf::PF_X == elf::PF_X {
                complaints.push("a segment that is writable and executable");
            }
        }
        if segment.p_memsz(Endianness::Little) != segment.p_filesz(Endianness::Little) {
            complaints.push("memory that is not in the file: .bss");
        }
    }
    if loaded.len() != 1 {
        complaints.push("not one segment");
    }
    if file.elf_header().e_type(Endianness::Little) != elf::ET_EXEC {
        complaints.push("not loaded where it was linked");
    }
    complaints
}

#[test]
fn segments() {
    let init = fs::read(common::init()).expect("the init");
    assert_eq!(complaints(&init), [""; 0]);
    // An ordinary program has all of that.
    let guest = fs::read(common::guest()).expect("the guest");
    assert!(complaints(&guest).contains(&"a writable segment: .data or .bss"));
    assert!(complaints(&guest).contains(&"not one segment"));
}

/// Builds a copy of the init, in which `old` in `file` became `new`.
fn build_changed(file: &str, old: &str, new: &str) -> Output {
    let copy = TempDir::new();
    for name in ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo", "src", "tests", "lab"] {
        let status = Command::new("cp")
            .arg("-r")
            .arg(Path::new(common::ROOT).join(name))
            .arg(copy.path())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "copy {name}");
    }
    let path = copy.path().join(file);
    let source = fs::read_to_string(&path).expect("read the source");
    assert!(source.contains(old), "{file} has no {old}");
    fs::write(&path, source.replacen(old, new, 1)).expect("write the source");
    Command::new(env!("CARGO"))
        .args(["build", "--release", "--offline", "--bin", "init"])
        .current_dir(copy.path())
        .env("CARGO_TARGET_DIR", copy.path().join("target"))
        .output()
        .expect("run cargo")
}

#[test]
fn no_panic_can_be_reached() {
    // That the init was linked is the proof. This is the proof that it is one:
    // with an index that may go out of bounds, it cannot be linked.
    let old = "signals::block(signals::ALL);\n";
    let new = "signals::block(signals::ALL);\n    sys::exit([1, 2, 3][sys::fork() as usize]);\n";
    let output = build_changed("src/main.rs", old, new);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("undefined symbol: picoinit_a_panic_can_be_reached")
            || said.contains("undefined reference to `picoinit_a_panic_can_be_reached'"),
        "{said}"
    );
    // The same change without the index does no harm.
    let output = build_changed(
        "src/main.rs",
        old,
        "signals::block(signals::ALL);\n    sys::exit(sys::fork());\n",
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn nothing_writable_can_be_linked() {
    let old = "signals::block(signals::ALL);\n";
    let new = "signals::block(signals::ALL);\n    static COUNT: core::sync::atomic::AtomicI32 = core::sync::atomic::AtomicI32::new(0);\n    sys::exit(COUNT.fetch_add(sys::fork(), core::sync::atomic::Ordering::Relaxed));\n";
    let output = build_changed("src/main.rs", old, new);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("something is writable"), "{said}");
}

#[test]
fn flags_from_the_environment_are_noticed() {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--offline", "--bin", "init"])
        .current_dir(common::ROOT)
        .env("CARGO_TARGET_DIR", TempDir::new().path())
        .env("RUSTFLAGS", "-Copt-level=3")
        .output()
        .expect("run cargo");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("RUSTFLAGS"), "{said}");
}

#[test]
fn the_development_build_works_too() {
    // Cargo built it along with this test.
    let output = Command::new(env!("CARGO_BIN_EXE_init")).output().expect("run init");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "init: must run as PID 1\n");
}

#[test]
fn dependencies() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--depth",
            "1",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(common::ROOT)
        .output()
        .expect("run cargo");
    let tree = String::from_utf8(output.stdout).expect("UTF-8");
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["picoinit", "linux-raw-sys", "rustix"]);
}

#[test]
fn lines_of_code() {
    // Not counted: empty lines, comments, the demo, and what only containers need, which is off
    // by default: container.rs, and each line that names it. Nor other CPUs, in the same way: a
    // person who reads how PID 1 works needs the file of one.
    let cpu = std::env::consts::ARCH;
    let is_code = |line: &&str| {
        !line.trim().is_empty()
            && !line.trim().starts_with("//")
            && !line.contains("container")
            && (!line.contains("target_arch") || line.contains(cpu))
    };
    let source = Path::new(common::ROOT).join("src");
    let mut count = 0;
    for folder in [source.clone(), source.join("arch")] {
        for entry in fs::read_dir(&folder).expect("read src") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "rs")
                || path.ends_with("container.rs")
            {
                continue;
            }
            let text = fs::read_to_string(&path).expect("read");
            if folder.ends_with("arch") {
                assert!(text.lines().count() <= 60, "{}: too long for a port", path.display());
                let name = path.file_stem().and_then(|stem| stem.to_str());
                if ![Some("mod"), Some(cpu)].contains(&name) {
                    continue;
                }
            }
            let lines = text.lines().filter(is_code).count();
            assert!(lines <= 130, "{}: {lines} lines", path.display());
            count += lines;
        }
    }
    println!("src/: {count} lines of Rust");
    assert!(count <= 500, "{count} lines");
}

#[test]
fn resident_memory() {
    // Where the stack begins is random, so what PID 1 has there may lie on one
    // page or on three. Without that, it is always the same.
    let init = ["setarch", "-R", "/init"];
    let look = ["/bin/sh", "-c", "echo rss $(grep ^Rss: /proc/1/smaps_rollup) > /out/report"];
    let outcome = Namespace::with_init(&init, &look).run();
    let kilobytes: u32 =
        outcome.fact("rss").split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a number");
    println!("resident: {kilobytes} kB");
    assert!(kilobytes <= 8, "{kilobytes} kB");
    // Another init needs more.
    let twin = Namespace::naive(&look).run();
    let kilobytes: u32 =
        twin.fact("rss").split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a number");
    assert!(kilobytes > 8, "{kilobytes} kB");
}

/// How often PID 1 woke up, and how long it ran in nanoseconds, in ten seconds that begin when it
/// `is_idle`.
fn activity(namespace: Namespace, is_idle: impl Fn(i32) -> bool) -> (u64, u64) {
    let (out, root) = (TempDir::new(), TempDir::new());
    let mut child = namespace.command(root.path(), out.path()).spawn().expect("spawn");
    let pid1 = common::pid1_of(child.id());
    common::wait_until("PID 1 is idle", || {
        is_idle(pid1)
            && fs::read_to_string(out.path().join("report")).is_ok_and(|text| text == "ready\n")
    });
    let before = common::activity_of(pid1);
    sleep(Duration::from_secs(10));
    let after = common::activity_of(pid1);
    common::signal(pid1, libc::SIGKILL);
    let _ = child.wait();
    (after.0 - before.0, after.1 - before.1)
}

const READY: &str = "echo ready > /out/report";

/// Whether PID 1 waits for a signal, and has children or has none.
fn waits(pid1: i32, with_children: bool) -> bool {
    let children = fs::read_to_string(format!("/proc/{pid1}/task/{pid1}/children"));
    children.is_ok_and(|children| children.is_empty() != with_children)
        && common::sleeps_in(pid1) == Some(libc::SYS_rt_sigtimedwait)
}

#[test]
fn wakes_up_never_with_children() {
    let script = format!("{READY}; exec sleep 1000");
    let namespace = Namespace::new(&["/bin/sh", "-c", &script]);
    assert_eq!(activity(namespace, |pid1| waits(pid1, true)), (0, 0));
}

#[test]
fn wakes_up_never_without_children() {
    let init = ["/guest", "without-reboot", "/init"];
    let namespace = Namespace::with_init(&init, &["/bin/sh", "-c", READY]);
    assert_eq!(activity(namespace, |pid1| waits(pid1, false)), (0, 0));
}

#[test]
fn a_polling_init_is_seen_to_wake_up() {
    // PID 1 has to be called init to be found.
    let script = format!("{READY}; while :; do sleep 1; done");
    let init = ["/bin/sh", "-c", "cp /bin/sh /tmp/init; exec /tmp/init -c \"$0\"", &script];
    let is_idle = |pid1| common::sleeps_in(pid1) == Some(libc::SYS_wait4);
    let (switches, time) = activity(Namespace::with_init(&init, &[]), is_idle);
    assert!(switches > 5 && time > 0, "{switches} switches, {time} ns");
}

/// How many system calls PID 1 makes to get through this; and how many of them
/// print lines.
fn system_calls(arguments: &[&str]) -> (usize, usize) {
    let outcome = Namespace::new(arguments).trace("all").run();
    let trace = fs::read_to_string(outcome.out.path().join("trace")).expect("read the trace");
    // PID 1 is the one that switches Ctrl-Alt-Del off.
    let pid1 = trace
        .lines()
        .find(|line| line.contains("CMD_CAD_OFF"))
        .and_then(|line| line.split(' ').next())
        .expect("PID 1");
    let name = |line: &'_ str| {
        // A call that sleeps takes two lines; signals and the end are no calls.
        let (name, _) = line.strip_prefix(pid1)?.trim_start().split_once('(')?;
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then(|| name.to_string())
    };
    let calls: Vec<String> = trace.lines().filter_map(name).collect();
    let prints = |name: &&String| ["ppoll", "write"].contains(&name.as_str());
    (calls.len(), calls.iter().filter(prints).count())
}

#[test]
fn system_calls_for_each_orphan() {
    let count = 100;
    // What comes on top for each of them, its line apart (a ppoll(2) and a write(2)). For one that
    // comes alone: the signal is taken, wait4(2) reaps, wait4(2) says that there is no other. In
    // a burst, there is one wait4(2) each, and the rest once for up to a hundred.
    for (way, most) in [("orphans", 3 * count), ("burst", count + count / 20)] {
        let none = system_calls(&["/guest", way, "0"]);
        let some = system_calls(&["/guest", way, &count.to_string()]);
        let (calls, prints) = (some.0 - none.0, some.1 - none.1);
        println!(
            "{way}: {calls} system calls for {count} orphans, {prints} of them to print lines"
        );
        assert_eq!(prints, 2 * count, "{way}");
        assert!((count..=most).contains(&(calls - prints)), "{way}: {}", calls - prints);
    }
}
