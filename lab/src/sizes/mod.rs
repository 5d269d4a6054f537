//! The same job in many languages, and what each of them costs.

mod boot;
mod chart;
pub mod costs;
pub mod ladder;
mod measure;
mod report;
mod twins;

use crate::bench::QUIET;
use crate::bench::inits::{self, INITS, Init};
use crate::bench::jail::{Jail, Launch};
use crate::bench::machine;
use crate::bench::metrics::Cell;
use crate::conform::{self, Bench};
use anyhow::{Context, Result, ensure};
use boot::Machine;
use clap::Args;
use measure::Bytes;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use twins::Built;

/// What `sizes` can be told.
#[derive(Args)]
pub struct Options {
    /// The init, as it is shipped
    #[arg(long)]
    init: PathBuf,
    /// The folder of the twins
    #[arg(long)]
    twins: PathBuf,
    /// The folder where the Debian packages were unpacked, each in a folder of its name
    #[arg(long)]
    packages: PathBuf,
    /// The program that runs under the inits in a boot
    #[arg(long)]
    program: PathBuf,
    /// A folder for what is built; file systems are mounted there that other processes do not see
    #[arg(long)]
    scratch: PathBuf,
    /// Where RESULTS.md and sizes.svg go
    #[arg(long)]
    output: PathBuf,
    /// One more init, to be compared with the others
    #[arg(long)]
    compare: Option<PathBuf>,
    /// The init for another CPU, of which only the size is measured: CPU=PATH
    #[arg(long)]
    port: Vec<String>,
    /// How often each init is booted; 0 is not at all
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// QEMU, and the arguments that make the machine
    #[arg(last = true, required = true)]
    machine: Vec<String>,
}

/// What a row is about.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// picoinit.
    Own,
    /// A program that does the same job.
    Twin,
    /// An init that does a different job.
    Shelf,
    /// The user's.
    Compared,
}

/// A row of the table.
struct Row {
    name: String,
    kind: Kind,
    /// What it was built with, or which version it is.
    version: String,
    /// The program, or why there is none.
    program: Result<PathBuf, String>,
    bytes: Bytes,
    is_dynamic: bool,
    rss: Cell,
    calls: Cell,
    boots: Cell,
    /// How many rows of the contract it keeps, of how many; and those that it does not.
    contract: Option<(usize, usize)>,
    failed: Vec<String>,
}

impl Row {
    fn new(name: &str, kind: Kind, version: String, program: Result<PathBuf, String>) -> Row {
        let none = || Cell::Text("—".into());
        Row {
            name: name.into(),
            kind,
            version,
            program,
            bytes: Bytes::default(),
            is_dynamic: false,
            rss: none(),
            calls: none(),
            boots: none(),
            contract: None,
            failed: Vec::new(),
        }
    }

    /// Whether it does picoinit's job.
    fn is_rival(&self) -> bool {
        self.kind != Kind::Shelf
    }
}

/// What is off the shelf, by its name in the benchmark.
const SHELF: [&str; 5] = ["busybox init", "tini-static", "dumb-init", "catatonit", "runit"];
/// It cannot run in a namespace of this kind, so only its size is measured.
const SYSTEMD: (&str, &str) = ("systemd", "lib/systemd/systemd");

fn shelf() -> impl Iterator<Item = &'static Init> {
    INITS.iter().filter(|init| SHELF.contains(&init.name))
}

/// Measures, and writes down what came out.
pub fn run(options: &Options) -> Result<()> {
    let begin = Instant::now();
    let progress = |what: &str| eprintln!("sizes: {:3} s: {what}", begin.elapsed().as_secs());
    let mut rows = gather(options, &progress)?;
    fs::create_dir_all(&options.output).with_context(|| options.output.display().to_string())?;
    for row in &mut rows {
        if let Ok(program) = &row.program {
            row.bytes = measure::bytes(program, &options.scratch)?;
            row.is_dynamic = measure::is_dynamic(program)?;
        }
    }

    // The user's init comes first: it is what the user wants to know about.
    rows.sort_by_key(|row| (row.kind != Kind::Compared, row.bytes.file));
    let machine = Machine {
        command: options.machine.clone(),
        program: options.program.clone(),
        scratch: options.scratch.clone(),
    };
    // Boots come before this process moves to namespaces, where it may not open /dev/kvm.
    let before = (Instant::now(), machine::busy()?, children_busy()?);
    for round in 1..=options.rounds {
        progress(&format!("booting each init: round {round} of {}", options.rounds));
        for row in rows.iter_mut().filter(|row| row.is_rival()) {
            boot_once(&machine, row);
        }
    }
    let mut description = describe(options)?;
    if options.rounds > 0 {
        let (took, busy) = (before.0.elapsed(), machine::busy()?.saturating_sub(before.1));
        let others = busy.saturating_sub(children_busy()? - before.2);
        let disturbance = others.as_secs_f64() / took.as_secs_f64();
        description.push(format!(
            "processors kept busy by something else during the boots: {disturbance:.2}"
        ));
        if disturbance > QUIET {
            eprintln!(
                "picoinit-lab: something else kept {disturbance:.2} processors busy, so do not trust the times; try again on a quiet machine"
            );
        }
    }
    let bench = Bench::within(Jail::build(&options.scratch.join("root"))?)?;
    for row in &mut rows {
        check(&bench, options, row, &progress)?;
    }

    rows.sort_by_key(|row| (row.program.is_err(), row.bytes.file));
    let ports = options.port.iter().map(|port| {
        let (cpu, path) = port.split_once('=').context("--port CPU=PATH")?;
        let path = Path::new(path);
        let bytes = path.exists().then(|| measure::bytes(path, &options.scratch));
        Ok((cpu, bytes.transpose()?))
    });
    let ports = ports.collect::<Result<Vec<_>>>()?;
    let report = report::write(&rows, &ports, &description, options.rounds, begin.elapsed());
    let write = |name: &str, text: &str| {
        let path = options.output.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    write("sizes.svg", &chart::draw(&rows))?;
    write("RESULTS.md", &report)?;
    println!("{report}");
    Ok(())
}

/// How long the processes ran that this one started and reaped.
fn children_busy() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("getrusage")?;
    let time = |time: TimeVal| Duration::from_micros(time.num_microseconds() as u64);
    Ok(time(usage.user_time()) + time(usage.system_time()))
}

/// Finds everything to measure, and builds the twins.
fn gather(options: &Options, progress: &dyn Fn(&str)) -> Result<Vec<Row>> {
    if let Some(path) = &options.compare {
        conform::check_program(path)?;
    }
    conform::check_program(&options.init)?;
    let rustc = machine::output("rustc", &["--version"])?;
    let mut rows = vec![Row::new("picoinit", Kind::Own, rustc, Ok(options.init.clone()))];
    if let Some(path) = &options.compare {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let version = "named by COMPARE".to_string();
        rows.push(Row::new(&name, Kind::Compared, version, Ok(path.clone())));
    }
    for twin in twins::find(&options.twins)? {
        progress(&format!("building: {}", twin.title));
        let (program, version) = match twin.build(&options.scratch.join("twins"))? {
            Built::Program(program) => (Ok(program), twin.version()?),
            Built::Missing(why) => (Err(why), String::new()),
        };
        rows.push(Row::new(&twin.title, Kind::Twin, version, program));
    }
    let files = shelf().map(|init| (init.name, init.package.unwrap_or_default(), init.path));
    for (name, package, path) in files.chain([(SYSTEMD.0, SYSTEMD.0, SYSTEMD.1)]) {
        let file = inits::unpacked(&options.packages, package, path);
        let (program, version) = if file.is_file() {
            (Ok(file), machine::version(&options.packages, package)?)
        } else {
            (Err(format!("not there: needs the package {package}")), String::new())
        };
        rows.push(Row::new(name, Kind::Shelf, version, program));
    }
    Ok(rows)
}

/// Boots with an init, unless that failed before.
fn boot_once(machine: &Machine, row: &mut Row) {
    let Ok(program) = &row.program else { return };
    let outcome = match &row.boots {
        Cell::Text(text) if text != "—" => return,
        _ if row.is_dynamic => Err(anyhow::anyhow!("needs libraries")),
        _ => machine.boot(program),
    };
    match (outcome, &mut row.boots) {
        (Ok(time), Cell::Values(times)) => times.push(time),
        (Ok(time), boots) => *boots = Cell::Values(vec![time]),
        (Err(error), boots) => {
            eprintln!("sizes: {} does not boot: {error:#}", row.name);
            *boots = Cell::Text("no boot".into());
        }
    }
}

/// Measures in namespaces, and checks the contract of each init that should keep it.
fn check(bench: &Bench, options: &Options, row: &mut Row, progress: &dyn Fn(&str)) -> Result<()> {
    let Ok(program) = &row.program else { return Ok(()) };
    let value = |value: Result<f64>| match value {
        Ok(value) => Cell::Values(vec![value]),
        Err(error) => {
            eprintln!("sizes: {}: {error:#}", row.name);
            Cell::Text("failed".into())
        }
    };
    if row.kind == Kind::Shelf {
        let Some(init) = shelf().find(|init| init.name == row.name) else { return Ok(()) };
        bench.jail().install(&init.file(&options.init, &options.packages), init.copy)?;
        let launch = Launch {
            command: init.command(),
            load: "start".into(),
            may_reboot: init.reboots,
            ..Launch::default()
        };
        row.rss = value(measure::rss(bench.jail(), launch));
        return Ok(());
    }
    progress(&format!("checking the contract: {}", row.name));
    bench.jail().install(program, "init")?;
    let command = ["/init", conform::GUEST, "sleep"].map(String::from).to_vec();
    let launch = Launch { command, fresh: true, ..Launch::default() };
    row.rss = value(measure::rss(bench.jail(), launch));
    row.calls = value(measure::calls(bench.jail()));
    let outcomes = bench.check_all(program);
    for (demand, outcome) in &outcomes {
        let line = conform::line(demand, outcome);
        if row.kind == Kind::Compared {
            println!("{line}");
        }
        if let Err(seen) = outcome {
            row.failed.push(format!(
                "{}: {}",
                demand.name,
                conform::one_line(&format!("{seen:#}"), 150)
            ));
        }
    }
    row.contract = Some((outcomes.len() - row.failed.len(), outcomes.len()));
    Ok(())
}

/// What it was measured with, a line for each thing.
fn describe(options: &Options) -> Result<Vec<String>> {
    let (qemu, _) = options.machine.split_first().context("no QEMU is named")?;
    let version = machine::output(qemu, &["--version"])?;
    let word = |key: &str| {
        let mut words = options.machine.iter().skip_while(|word| *word != key);
        words.nth(1).map(String::as_str)
    };
    let kernel = word("-kernel").context("no -kernel is named")?;
    let kernel = kernel.rsplit('/').next().unwrap_or_default();
    let accel = word("-accel").unwrap_or("tcg");
    ensure!(!version.is_empty(), "{qemu} --version says nothing");
    let mut lines = vec![format!(
        "boots: {} (-accel {accel}), {kernel}",
        version.lines().next().unwrap_or_default()
    )];
    lines.extend(machine::here()?);
    Ok(lines)
}
