//! Hostile input: whatever words and environment PID 1 is started with, it
//! runs what it should, does not crash, and prints nothing but its own lines.

mod common;

use common::{Namespace, Outcome};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// How much is tried: a sample, or the whole with TORTURE=1.
fn rounds() -> usize {
    if std::env::var_os("TORTURE").is_some() { 2000 } else { 100 }
}

/// Whether every line is one that PID 1 prints, and none has a byte in it that
/// does more to a terminal than to appear.
fn is_harmless(console: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_known = |line: &str| {
        let Some(line) = line.strip_prefix("init: ") else {
            return false;
        };
        let ends_well = [": errno ", " exited with status ", " killed by signal "]
            .iter()
            .filter_map(|text| line.rsplit_once(text))
            .any(|(_, number)| is_number(number));
        let begins_well =
            ["cannot run ", "cannot mount /", "pid "].iter().any(|text| line.starts_with(text));
        begins_well && ends_well && line.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    console.lines().all(is_known)
}

/// A word of random bytes, mostly short, sometimes long.
fn word(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = match random.u8(..8) {
        0 => random.usize(..5000),
        1 => 0,
        _ => random.usize(..20),
    };
    let interesting = b"/=-. \x1b[\n\r\t\x7f\x80\xff%$\\\"'";
    let byte = |_| match random.bool() {
        true => interesting[random.usize(..interesting.len())],
        false => random.u8(1..),
    };
    (0..length).map(byte).collect()
}

fn random_words(random: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    (0..random.usize(..12)).map(|_| word(random)).collect()
}

fn run(words: &[Vec<u8>]) -> Outcome {
    let words = words.iter().cloned().map(OsString::from_vec).collect();
    Namespace::with_init(&["/init"], &[]).words(words).run()
}

#[test]
fn random_words_name_a_program_or_none() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..rounds() {
        let words = random_words(&mut random);
        let outcome = run(&words);
        let shown: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
        // Nothing by these names is there, nor is /etc/rc; a folder may be.
        assert!(
            [Some(126), Some(127)].contains(&outcome.code()),
            "seed {seed}: {shown:?}: {}",
            outcome.console
        );
        assert!(is_harmless(&outcome.console), "seed {seed}: {shown:?}: {}", outcome.console);
    }
}

#[test]
fn the_program_is_found_behind_random_words() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..rounds() {
        let mut words = random_words(&mut random);
        words.retain(|word| !word.starts_with(b"/"));
        words.extend(["/guest", "exit", "7"].map(|word| word.as_bytes().to_vec()));
        words.extend(random_words(&mut random));
        let outcome = run(&words);
        assert_eq!(outcome.code(), Some(7), "seed {seed}: {}", outcome.console);
        assert!(is_harmless(&outcome.console), "seed {seed}: {}", outcome.console);
    }
}

#[test]
fn a_random_environment_changes_nothing() {
    let first = fastrand::u64(..);
    let end = |init: PathBuf, seed: u64, program: &[&str]| {
        let words = ["/guest", "random-environment", &seed.to_string(), "/init"];
        let outcome = Namespace::with_init(&words, program).file(init).run();
        assert!(is_harmless(&outcome.console), "seed {seed}: {}", outcome.console);
        outcome.code()
    };
    for seed in (first..).take(rounds()) {
        for init in [common::init(), common::container_init()] {
            let code = end(init, seed, &["/guest", "exit", "7"]);
            assert_eq!(code, Some(7), "seed {seed}");
        }
        // Whatever PATH is, this is not there, or may not be executed.
        let code = end(common::container_init(), seed, &["--", "guest\n"]);
        assert!([Some(126), Some(127)].contains(&code), "seed {seed}: {code:?}");
    }
}

#[test]
fn extremes() {
    let exit = ["/guest", "exit", "7"].map(|word| word.as_bytes().to_vec());
    let code = |before: Vec<Vec<u8>>| {
        let outcome = run(&[before, exit.to_vec()].concat());
        assert!(is_harmless(&outcome.console), "{}", outcome.console);
        outcome.code()
    };
    assert_eq!(code(vec![b"w".to_vec(); 100_000]), Some(7), "100,000 words");
    assert_eq!(code(vec![b"".to_vec(); 1000]), Some(7), "empty words");
    assert_eq!(code(vec![vec![b'\xff'; 120_000]; 10]), Some(7), "words of 120 kB");
    let environment = "i=0; while [ $i -lt 2000 ]; do export V$i=/$i; i=$((i+1)); done";
    let outcome = Namespace::new(&["/guest", "exit", "7"]).prepare(environment).run();
    assert_eq!(outcome.code(), Some(7), "2,000 variables");
}

#[test]
fn no_words_at_all() {
    // argc is 0 on kernels before 5.18; later ones make it one empty word.
    let outcome = Namespace::with_init(&["/guest", "exec-nothing", "/init"], &[]).run();
    assert!(outcome.said("init: cannot run /etc/rc: errno 2"), "{}", outcome.console);
    assert_eq!(outcome.code(), Some(127));
}

#[test]
fn the_check_can_fail() {
    assert!(is_harmless("init: pid 7 exited with status 0\ninit: cannot run /x?: errno 2\n"));
    assert!(!is_harmless("init: cannot run /\u{1b}[2J: errno 2\n"));
    assert!(!is_harmless("init: cannot run /x\n"));
    assert!(!is_harmless("login:\n"));
}
