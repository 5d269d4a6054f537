//! Whether an init keeps picoinit's contract: each row of the README's table,
//! checked with the init as PID 1 in namespaces of its own.

pub mod inits;
mod rows;

use crate::bench::jail::{Jail, Launch, Prepare, Run};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nix::sys::wait::WaitStatus;
use rows::ROWS;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The name under which this program is what runs under PID 1.
pub const GUEST: &str = "/guest";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `conform` can be told.
#[derive(Args)]
pub struct Options {
    /// The init: any program that can run as PID 1
    init: PathBuf,
    /// Rows that may fail, for an init that lacks a duty
    #[arg(long, num_args = 1.., value_name = "ROW", value_parser = row_names())]
    allow_missing: Vec<String>,
    /// Check only these rows
    #[arg(long, num_args = 1.., value_name = "ROW", value_parser = row_names())]
    only: Vec<String>,
    /// An empty folder to mount file systems on, which other processes do not see
    #[arg(long, default_value = "build/conform")]
    scratch: PathBuf,
}

fn row_names() -> clap::builder::PossibleValuesParser {
    ROWS.iter().map(|row| row.name).collect::<Vec<_>>().into()
}

/// A row of the contract.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it demands.
    pub demand: &'static str,
    /// Checks it; an error says what was seen instead.
    check: fn(&Bench) -> Result<()>,
}

/// Checks the rows, and prints a line for each.
pub fn run(options: &Options) -> Result<()> {
    check_program(&options.init)?;
    // Without it, the init would seem to be at fault.
    let strace = Command::new("strace").arg("--version").output();
    ensure!(strace.is_ok(), "strace is missing; install it: some rows are checked with it");
    let bench = Bench::build(&options.scratch)?;
    let is_wanted = |row: &&Row| options.only.is_empty() || options.only.contains(&row.name.into());
    let mut failed = Vec::new();
    for row in ROWS.iter().filter(is_wanted) {
        let outcome = bench.check(&options.init, row);
        println!("{}", line(row, &outcome));
        if outcome.is_err() && !options.allow_missing.contains(&row.name.into()) {
            failed.push(row.name);
        }
    }
    ensure!(
        failed.is_empty(),
        "{} does not keep the contract: {}",
        options.init.display(),
        failed.join(", ")
    );
    Ok(())
}

/// What is printed of a row.
pub fn line(row: &Row, outcome: &Result<()>) -> String {
    match outcome {
        Ok(()) => format!("pass  {:13}  {}", row.name, row.demand),
        Err(seen) => {
            format!(
                "FAIL  {:13}  {}: {}",
                row.name,
                row.demand,
                one_line(&format!("{seen:#}"), 300)
            )
        }
    }
}

/// A text on one line, and not longer than that.
pub fn one_line(text: &str, limit: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}

/// Refuses a file that is not a program.
pub fn check_program(path: &Path) -> Result<()> {
    let status = fs::metadata(path).with_context(|| path.display().to_string())?;
    ensure!(status.is_file(), "{}: not a file", path.display());
    let is_executable = status.permissions().mode() & 0o111 != 0;
    ensure!(is_executable, "{}: not executable; try: chmod 755", path.display());
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let is_program = bytes.starts_with(b"\x7fELF") || bytes.starts_with(b"#!");
    ensure!(is_program, "{}: not a program: no ELF file, and no #! in it", path.display());
    Ok(())
}

/// Where inits are checked.
pub struct Bench {
    jail: Jail,
}

impl Bench {
    /// Moves this process to namespaces of its own.
    pub fn build(scratch: &Path) -> Result<Bench> {
        Bench::within(Jail::build(scratch)?)
    }

    /// Uses a root file system that is there.
    pub fn within(jail: Jail) -> Result<Bench> {
        jail.install(&std::env::current_exe().context("find this program")?, &GUEST[1..])?;
        Ok(Bench { jail })
    }

    /// The root file system.
    pub fn jail(&self) -> &Jail {
        &self.jail
    }

    /// Checks one row of an init.
    pub fn check(&self, init: &Path, row: &Row) -> Result<()> {
        self.jail.install(init, "init")?;
        (row.check)(self)
    }

    /// All rows of an init, and how each came out.
    pub fn check_all(&self, init: &Path) -> Vec<(&'static Row, Result<()>)> {
        ROWS.iter().map(|row| (row, self.check(init, row))).collect()
    }
}

/// How an init is run. By default it is not permitted to reboot, as in a container.
#[derive(Clone, Default)]
struct Setup(Launch);

impl Setup {
    /// /init with these arguments.
    fn new(arguments: &[&str]) -> Setup {
        Setup::command(&[&["/init"], arguments].concat())
    }

    /// Any program.
    fn command(words: &[&str]) -> Setup {
        let command = words.iter().map(|word| word.to_string()).collect();
        Setup(Launch { command, fresh: true, ..Launch::default() })
    }

    fn may_reboot(mut self) -> Setup {
        self.0.may_reboot = true;
        self
    }

    fn environment(mut self, word: &str) -> Setup {
        self.0.environment.push(word.into());
        self
    }

    /// With these system calls written down.
    fn strace(mut self, calls: &str) -> Setup {
        self.0.strace = Some(calls.into());
        self
    }

    /// With one of these calls taking so many seconds longer.
    fn delay(mut self, call: &str, seconds: u32) -> Setup {
        self.0.delay = Some(format!("{call}:delay_enter={seconds}s"));
        self
    }

    /// With something done before, to the process and to its root file system.
    fn prepare(mut self, prepare: impl Fn(&Path) -> Result<()> + 'static) -> Setup {
        let prepare: Rc<Prepare> = Rc::new(prepare);
        self.0.prepare = Some(prepare);
        self
    }

    fn start(&self, bench: &Bench) -> Result<Run> {
        bench.jail.start(&self.0)
    }

    /// Runs it until it exits or is killed.
    fn run(&self, bench: &Bench) -> Result<Outcome> {
        self.start(bench)?.outcome(PATIENCE)
    }
}

/// What became of an init, and what was said under it.
struct Outcome {
    end: End,
    console: String,
    report: Vec<String>,
    trace: String,
}

/// What became of an init.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// It exited.
    Status(i32),
    /// A signal killed it: 2 is the kernel's way to say that its namespace was
    /// halted or powered off, 1 that it was restarted (reboot(2)).
    Signal(i32),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            End::Status(status) => write!(f, "PID 1 exited with status {status}"),
            End::Signal(1) => write!(f, "reboot(2) restarted the namespace"),
            End::Signal(2) => write!(f, "reboot(2) halted the namespace, or powered it off"),
            End::Signal(signal) => write!(f, "signal {signal} killed PID 1"),
        }
    }
}

trait Finish {
    /// Waits until PID 1 is gone.
    fn outcome(self, patience: Duration) -> Result<Outcome>;
    /// Waits until something holds.
    fn until(&self, what: &str, condition: impl FnMut() -> bool) -> Result<()>;
}

impl Finish for Run {
    fn outcome(mut self, patience: Duration) -> Result<Outcome> {
        let end = match self.end(patience)? {
            Some(WaitStatus::Exited(_, status)) => End::Status(status),
            Some(WaitStatus::Signaled(_, signal, _)) => End::Signal(signal as i32),
            Some(other) => bail!("what became of PID 1: {other:?}"),
            None => {
                bail!("it still runs after {} s; console: {}", patience.as_secs(), self.console())
            }
        };
        self.check_executed()?;
        let report = self.out("report").lines().map(String::from).collect();
        Ok(Outcome { end, console: self.console(), report, trace: self.trace() })
    }

    fn until(&self, what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !condition() {
            ensure!(
                start.elapsed() < PATIENCE,
                "waited in vain for {} s until {what}",
                PATIENCE.as_secs()
            );
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Outcome {
    /// What the report says after `key` and a space.
    fn fact(&self, key: &str) -> Result<&str> {
        let fact = |line: &'_ String| line.strip_prefix(key)?.strip_prefix(' ').map(str::len);
        let value = self
            .report
            .iter()
            .find_map(|line| fact(line).map(|length| &line[line.len() - length..]));
        value.with_context(|| {
            format!(
                "the program never got as far as reporting its {key}; {}; console: {}",
                self.end, self.console
            )
        })
    }

    /// Demands that a fact has this value.
    fn expect(&self, key: &str, value: &str) -> Result<()> {
        let seen = self.fact(key)?;
        ensure!(seen == value, "{key}: {seen:?} instead of {value:?}");
        Ok(())
    }

    /// Demands that the console has this line.
    fn expect_line(&self, line: &str) -> Result<()> {
        let has = self.console.lines().any(|said| said.trim_end() == line);
        ensure!(has, "no line {line:?}; console: {}", self.console);
        Ok(())
    }

    /// Demands that this became of it.
    fn expect_end(&self, end: End) -> Result<()> {
        ensure!(self.end == end, "{}, instead of: {end}; console: {}", self.end, self.console);
        Ok(())
    }

    /// Demands that the console has every line that the guest announced, once.
    fn expect_announced(&self) -> Result<()> {
        let announced: Vec<&String> =
            self.report.iter().filter(|line| line.starts_with("init: ")).collect();
        ensure!(!announced.is_empty(), "the program reported nothing; console: {}", self.console);
        let mut lines: std::collections::HashMap<&str, usize> = Default::default();
        for line in self.console.lines() {
            *lines.entry(line).or_default() += 1;
        }
        for line in announced {
            let count = lines.get(line.as_str()).copied().unwrap_or(0);
            ensure!(count == 1, "{count} lines {line:?} instead of one");
        }
        Ok(())
    }
}
