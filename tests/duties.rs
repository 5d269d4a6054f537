//! Each duty can be left out of the build; then what it is for breaks, and
//! nothing else does.

mod common;

use common::{Namespace, Outcome, ROOT};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

const DUTIES: [&str; 6] = ["console", "mounts", "reap", "signals", "spawn", "teardown"];

/// Runs cargo for the init with these duties only.
fn cargo(verb: &str, duties: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO"));
    command
        .args([verb, "--release", "--target-dir", "target/duties-test"])
        .args(["--no-default-features", "--features", &duties.join(",")])
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(ROOT);
    command.output().expect("run cargo")
}

/// What is wrong with a build: nothing, or all that the compiler said.
fn complaints(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() && !said.contains("warning") { String::new() } else { said.into() }
}

/// Builds the init with these duties only.
fn init_with(duties: &[&str]) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _alone = BUILDING.lock().unwrap_or_else(|error| error.into_inner());
    let built = cargo("build", duties);
    assert_eq!(complaints(&built), "", "{duties:?}");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("init-{}", duties.join("-")));
    let init = Path::new(ROOT).join("target/duties-test/x86_64-unknown-linux-gnu/release/init");
    fs::copy(init, &copy).expect("copy the init");
    copy
}

/// Builds the init that lacks one duty.
fn init_without(duty: &str) -> PathBuf {
    assert!(DUTIES.contains(&duty));
    let others: Vec<&str> = DUTIES.into_iter().filter(|other| *other != duty).collect();
    init_with(&others)
}

/// Runs the same under the whole init and under the one that lacks `duty`, and
/// demands that `check` tells them apart. Returns what was seen under the latter.
fn breaks(duty: &str, make: impl Fn() -> Namespace, check: impl Fn(&Outcome) -> bool) -> Outcome {
    let whole = make().run();
    assert!(check(&whole), "with {duty}: {:#?}\n{}", whole.report, whole.console);
    let outcome = make().file(init_without(duty)).run();
    assert!(!check(&outcome), "without {duty}: {:#?}\n{}", outcome.report, outcome.console);
    outcome
}

#[test]
fn every_selection_compiles_without_warnings() {
    for number in 0..1 << DUTIES.len() {
        let selected = |(index, duty)| (number >> index & 1 == 1).then_some(duty);
        let duties: Vec<&str> = DUTIES.into_iter().enumerate().filter_map(selected).collect();
        assert_eq!(complaints(&cargo("check", &duties)), "", "{duties:?}");
    }
    assert!(complaints(&cargo("check", &["tea"])).contains("tea"), "there is no such duty");
}

#[test]
fn each_alone_links_and_all_are_the_default() {
    let size = |path: PathBuf| fs::metadata(path).expect("an init").len();
    let (none, all) = (size(init_with(&[])), size(init_with(&DUTIES)));
    assert_eq!(all, size(common::init()));
    for duty in DUTIES {
        let alone = size(init_with(&[duty]));
        assert!(alone < all && none < all, "{duty}: {none} {alone} {all}");
    }
}

#[test]
fn the_makefile_knows_the_same_duties() {
    let make = |words: &[&str]| {
        let output = Command::new("make").args(words).current_dir(ROOT).output().expect("make");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, said) = make(&["check-duties", "WITHOUT=reap tea"]);
    assert_eq!(status, Some(2));
    assert!(
        said.contains(&format!("no such duty: tea. There are: {}\n", DUTIES.join(" "))),
        "{said}"
    );
    let (status, said) = make(&["check-duties", "WITHOUT=reap", "ONLY=reap"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("give one of them"), "{said}");
    for words in [["check-duties", "WITHOUT=reap spawn"], ["check-duties", "ONLY=console"]] {
        assert_eq!(make(&words), (Some(0), String::new()));
    }
    // What is built is what was asked for.
    for (words, duties) in [
        ("WITHOUT=reap spawn", &["console", "mounts", "signals", "teardown"][..]),
        ("ONLY=console spawn", &["console", "spawn"]),
    ] {
        assert_eq!(make(&["build", words]).0, Some(0));
        let built = Path::new(ROOT).join("target/duties/x86_64-unknown-linux-gnu/release/init");
        let built = fs::read(built).expect("the init");
        assert!(built == fs::read(init_with(duties)).expect("the init"), "{words}");
    }
}

#[test]
fn without_reap_orphans_stay_zombies() {
    let orphans = || Namespace::new(&["/guest", "orphans", "5"]);
    let outcome = breaks("reap", orphans, |outcome| outcome.fact("zombies") == "0");
    assert_eq!(outcome.fact("zombies"), "5");
    // Its own program it waits for.
    assert_eq!(outcome.code(), Some(0));
}

#[test]
fn without_mounts_there_is_no_run() {
    let script = "grep ' /run ' /proc/mounts > /out/report; exit 0";
    let look = || Namespace::new(&["/bin/sh", "-c", script]);
    let is_mounted =
        |outcome: &Outcome| outcome.report.iter().any(|line| line.starts_with("tmpfs /run"));
    assert_eq!(breaks("mounts", look, is_mounted).code(), Some(0));
}

#[test]
fn without_console_there_is_no_controlling_terminal() {
    let look = || {
        let (terminal, console) = common::terminal();
        // The other end stays open for as long as it is needed.
        std::mem::forget(terminal);
        Namespace::new(&["/guest", "look"]).stdio(console)
    };
    let outcome = breaks("console", look, |outcome| outcome.fact("controlling terminal") == "true");
    assert_eq!(outcome.fact("leads its session"), "false");
    // Nor does PID 1 open it for itself alone. It sleeps once it would have.
    let script = "until grep -q '^State:.S' /proc/1/status; do :; done
        echo $(grep flags: /proc/1/fdinfo/2) > /out/report";
    let flags = || {
        let (terminal, console) = common::terminal();
        std::mem::forget(terminal);
        Namespace::new(&["/bin/sh", "-c", script]).stdio(console)
    };
    breaks("console", flags, |outcome| {
        let flags = i32::from_str_radix(outcome.fact("flags:"), 8).expect("an octal number");
        flags & libc::O_NONBLOCK != 0
    });
}

#[test]
fn without_signals_nobody_is_answered() {
    let end = || Namespace::new(&["/guest", "outlive-stop"]);
    let outcome = breaks("signals", end, |outcome| outcome.code() == Some(128 + 15));
    assert_eq!(outcome.code(), Some(5));
}

#[test]
fn without_spawn_there_is_no_program() {
    // It would wait for ever; so whoever looks on from outside ends it.
    let run = |file: PathBuf| {
        let (out, root) = (common::TempDir::new(), common::TempDir::new());
        let namespace = Namespace::new(&["/guest", "exit", "7"]).file(file);
        let mut child = namespace.command(root.path(), out.path()).spawn().expect("spawn");
        let pid1 = common::pid1_of(child.id());
        common::wait_until("PID 1 sleeps or has ended", || {
            common::sleeps_in(pid1) == Some(libc::SYS_rt_sigtimedwait)
                || child.try_wait().expect("wait").is_some()
        });
        // SAFETY: a plain system call; it may have ended.
        unsafe { libc::kill(pid1, libc::SIGTERM) };
        Outcome::read(child.wait().expect("wait"), out)
    };
    let whole = Namespace::new(&["/guest", "exit", "7"]).run();
    assert!(whole.console.contains(" exited with status 7"), "{}", whole.console);
    let outcome = run(init_without("spawn"));
    // As if the program had been killed.
    assert_eq!((outcome.code(), outcome.console.as_str()), (Some(128 + 9), ""));
}

#[test]
fn without_teardown_nobody_is_asked_to_end() {
    let slow = || Namespace::new(&["/guest", "slow"]);
    breaks("teardown", slow, |outcome| outcome.report.contains(&"saved".into()));
}
