//! picoinit and its peers, side by side.

pub mod chart;
pub mod inits;
pub mod jail;
pub mod load;
pub mod machine;
pub mod metrics;
pub mod report;

use anyhow::{Context, Result, ensure};
use clap::Args;
use inits::{INITS, Init};
use jail::{Jail, Launch, Run};
use metrics::{Metric, Results};
use nix::sys::wait::WaitStatus;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use syscalls::Sysno;

/// What `bench` can be told.
#[derive(Args)]
pub struct Options {
    /// The init, as it is shipped
    #[arg(long)]
    init: PathBuf,
    /// The folder where each peer's Debian package was unpacked, in a folder of its name
    #[arg(long)]
    packages: PathBuf,
    /// An empty folder to mount file systems on, which other processes do not see
    #[arg(long)]
    scratch: PathBuf,
    /// Where RESULTS.md and peers.svg go
    #[arg(long)]
    output: PathBuf,
    /// How often each init has its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// How often PID 1 is started in a round, to see how long that takes.
const STARTS: usize = 20;
/// How often it is stopped in a round, if that is quick.
const STOPS: usize = 5;
/// How often it reaps in a round, if that is quick.
const REAPS: usize = 5;
/// Orphans one at a time, and at once.
const ORPHANS: u32 = 1000;
const BURST: u32 = 20_000;
/// The same, while system calls are counted, which slows PID 1 down.
const TRACED_ORPHANS: u32 = 300;
const TRACED_BURST: u32 = 1000;
/// How long an idle PID 1 is watched.
const IDLE: Duration = Duration::from_secs(10);
/// How many stop requests come early, and how long after execve(2) the last of them.
const EARLY_STOPS: u32 = 300;
const EARLY: Duration = Duration::from_micros(500);
/// How long an init may take to stop at one of them. A hundredth is enough, but it has to start
/// its program first.
const EARLY_PATIENCE: Duration = Duration::from_millis(100);
/// How long an init may take to stop a program that ignores SIGTERM.
const NEVER: Duration = Duration::from_secs(8);
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an init may take to pass on an exit status.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// How many processors something else may keep busy before times are not to be trusted.
pub const QUIET: f64 = 0.1;

/// Measures, and writes down what came out.
pub fn run(options: &Options) -> Result<()> {
    let begin = Instant::now();
    for init in &INITS {
        let file = init.file(&options.init, &options.packages);
        ensure!(
            file.is_file(),
            "{}: there is no such file, and so no {}",
            file.display(),
            init.name
        );
    }
    let machine = machine::describe(&options.packages)?;
    // What cannot be written is better known before than after.
    fs::create_dir_all(&options.output).with_context(|| options.output.display().to_string())?;
    let mut table = open(&options.output.join("RESULTS.md"))?;
    let mut chart = open(&options.output.join("peers.svg"))?;

    let mut results = Results::default();
    for init in &INITS {
        let file = init.file(&options.init, &options.packages);
        let bytes = fs::metadata(&file).with_context(|| file.display().to_string())?.len();
        results.add(init, Metric::Bytes, bytes as f64);
    }
    let jail = Jail::build(&options.scratch)?;
    for init in &INITS {
        jail.install(&init.file(&options.init, &options.packages), init.copy)?;
    }
    let bench = Bench { jail };
    for round in 1..=options.rounds {
        let progress = |what: &str| {
            let rounds = options.rounds;
            eprintln!(
                "bench: {:3} s: round {round} of {rounds}: {what}",
                begin.elapsed().as_secs()
            );
        };
        progress("starting");
        bench.starts(&mut results)?;
        progress("stopping");
        bench.stops(&mut results);
        progress("orphans, one at a time");
        bench.orphans(&mut results, Metric::TimeForOne, &format!("orphans {ORPHANS}"));
        progress("orphans, all at once");
        bench.orphans(&mut results, Metric::TimeInBurst, &format!("burst {BURST}"));
        progress("orphans, counting system calls");
        bench.calls(&mut results, Metric::CallsForOne, "orphans", TRACED_ORPHANS);
        bench.calls(&mut results, Metric::CallsInBurst, "burst", TRACED_BURST);
        progress("idle, then stopping with a program that ignores SIGTERM");
        bench.idle(&mut results);
    }
    eprintln!("bench: {:3} s: exit statuses and signals", begin.elapsed().as_secs());
    bench.statuses(&mut results);
    eprintln!("bench: {:3} s: early stop requests", begin.elapsed().as_secs());
    bench.early_stops(&mut results);

    results.subtract_own_start();
    let took = begin.elapsed();
    let report = report::write(&results, &machine, options.rounds, took);
    overwrite(&mut chart, &chart::draw(&results)).context("peers.svg")?;
    overwrite(&mut table, &report).context("RESULTS.md")?;
    println!("{report}");
    if let Some((median, ..)) = metrics::spread(&results.disturbance)
        && median > QUIET
    {
        eprintln!(
            "picoinit-lab: something else kept {median:.2} processors busy, so do not trust the times; try again on a quiet machine"
        );
    }
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    file.with_context(|| path.display().to_string())
}

fn overwrite(file: &mut File, text: &str) -> Result<()> {
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

/// Gives each init up to this many turns, one init after the other. `turn` says
/// whether it was quick; one that was not gets no more.
fn take_turns(turns: usize, mut turn: impl FnMut(&Init) -> bool) {
    let mut inits = Vec::from_iter(&INITS);
    for _ in 0..turns {
        inits.retain(|init| turn(init));
    }
}

struct Bench {
    jail: Jail,
}

impl Bench {
    fn launch(&self, init: &Init, load: &str) -> Launch {
        Launch {
            command: init.command(),
            load: load.into(),
            may_reboot: init.reboots,
            ..Launch::default()
        }
    }

    /// From PID 1's execve(2) to the first line of its program's main function.
    fn starts(&self, results: &mut Results) -> Result<()> {
        let time = |launch: &Launch| -> Result<f64> {
            let mut run = self.jail.start(launch)?;
            let executed: u64 = run.hear("executed", PATIENCE)?.parse()?;
            let started: u64 = run.hear("started", PATIENCE)?.parse()?;
            Ok((started - executed) as f64)
        };
        let none =
            Launch { command: vec!["/load".into()], load: "start".into(), ..Launch::default() };
        for _ in 0..STARTS {
            results.start_of_nothing.push(time(&none)?);
            let bare = Launch { bare: true, ..self.launch(&INITS[0], "start") };
            results.start_bare.push(time(&bare)?);
            for init in &INITS {
                results.try_add(init, Metric::Start, time(&self.launch(init, "start")));
            }
        }
        Ok(())
    }

    /// From the request to stop until PID 1 is gone, with a program that exits when it is told to.
    fn stops(&self, results: &mut Results) {
        let time = |init: &Init| -> Result<Option<Duration>> {
            let mut run = self.jail.start(&self.launch(init, "well-behaved"))?;
            run.hear("ready", PATIENCE)?;
            settle(&run);
            let start = Instant::now();
            run.signal(init.stop)?;
            Ok(run.end(NEVER)?.map(|_| start.elapsed()))
        };
        take_turns(STOPS, |init| {
            let time = time(init);
            let is_quick = matches!(time, Ok(Some(time)) if time < Duration::from_millis(200));
            results.add_stop(init, Metric::Stop, time);
            is_quick
        });
    }

    /// Processor time of PID 1 for each orphan.
    fn orphans(&self, results: &mut Results, metric: Metric, load: &str) {
        let time = |init: &Init| -> Result<f64> {
            let mut run = self.jail.start(&self.launch(init, load))?;
            let (time, count) = time_and_count(&run.hear("time", PATIENCE)?)?;
            Ok(time / count)
        };
        take_turns(REAPS, |init| {
            let start = Instant::now();
            let time = time(init);
            let is_quick = time.is_ok() && start.elapsed() <= Duration::from_secs(1);
            results.try_add(init, metric, time);
            is_quick
        });
    }

    /// System calls of PID 1 for each orphan: what it makes for `count` of
    /// them, without what it makes for none.
    fn calls(&self, results: &mut Results, metric: Metric, load: &str, count: u32) {
        for init in &INITS {
            let calls = || -> Result<BTreeMap<Sysno, f64>> {
                let trace = |count: u32| {
                    let launch = self.launch(init, &format!("{load} {count}"));
                    self.jail.trace(&launch, PATIENCE)
                };
                let (_, without) = trace(0)?;
                let (said, with) = trace(count)?;
                let (_, count) = time_and_count(&said)?;
                let each = |(call, number): (Sysno, u64)| {
                    let number =
                        number as f64 - without.get(&call).map_or(0.0, |&number| number as f64);
                    (number != 0.0).then_some((call, number / count))
                };
                Ok(with.into_iter().filter_map(each).collect())
            };
            match calls() {
                Ok(calls) => {
                    results.add(init, metric, calls.values().sum());
                    results.calls.insert((init.name, metric), calls);
                }
                Err(error) => results.fail(init, metric, format!("{error:#}")),
            }
        }
    }

    /// All inits at the same time: what they need while idle, and how long they
    /// take to stop with a program that ignores SIGTERM.
    fn idle(&self, results: &mut Results) {
        let mut runs = Vec::new();
        for init in &INITS {
            let start = || -> Result<Run> {
                let launch = Launch { fixed_addresses: true, ..self.launch(init, "stubborn") };
                let mut run = self.jail.start(&launch)?;
                run.hear("ready", PATIENCE)?;
                Ok(run)
            };
            match start() {
                Ok(run) => runs.push((init, run)),
                Err(error) => {
                    for metric in [Metric::Rss, Metric::WakeUps, Metric::StopStubborn] {
                        results.fail(init, metric, format!("{error:#}"));
                    }
                }
            }
        }
        sleep(Duration::from_secs(1));
        let before: Vec<_> = runs.iter().map(|(_, run)| wake_ups(run)).collect();
        let busy_before = machine::busy();
        sleep(IDLE);
        if let (Ok(before), Ok(after)) = (busy_before, machine::busy()) {
            results.disturbance.push((after - before).as_secs_f64() / IDLE.as_secs_f64());
        }
        for ((init, run), before) in runs.iter().zip(before) {
            let wake_ups = || Ok(wake_ups(run)? - before?);
            results.try_add(init, Metric::WakeUps, wake_ups());
            results.try_add(init, Metric::Rss, rss(run));
            results.libraries.insert(init.name, libraries(run).unwrap_or_default());
        }
        let mut waiting: Vec<_> = runs
            .iter_mut()
            .map(|(init, run)| {
                let start = Instant::now();
                (*init, run.signal(init.stop).map(|()| start), run)
            })
            .collect();
        let deadline = Instant::now() + NEVER;
        while !waiting.is_empty() {
            let is_late = Instant::now() > deadline;
            waiting.retain_mut(|(init, start, run)| {
                let time = match start {
                    Ok(start) => run.end(Duration::ZERO).map(|end| end.map(|_| start.elapsed())),
                    Err(error) => Err(anyhow::anyhow!("{error:#}")),
                };
                let goes_on = matches!(time, Ok(None));
                if !goes_on || is_late {
                    results.add_stop(init, Metric::StopStubborn, time);
                    return false;
                }
                true
            });
        }
    }

    /// How many stop requests are lost that come before PID 1 had time to get ready: it carries on.
    fn early_stops(&self, results: &mut Results) {
        let is_lost = |init: &Init, delay: Duration| -> Result<bool> {
            let mut run = self.jail.start(&self.launch(init, "well-behaved"))?;
            run.wait_for_exec(PATIENCE)?;
            let executed = Instant::now();
            while executed.elapsed() < delay {
                std::hint::spin_loop();
            }
            run.signal(init.stop)?;
            let end = run.end(EARLY_PATIENCE)?;
            run.check_executed()?;
            Ok(end.is_none())
        };
        // The others take seconds to stop.
        for init in INITS.iter().filter(|init| !init.reboots) {
            let lost = (0..EARLY_STOPS).try_fold(0.0, |lost, number| {
                Ok(lost + f64::from(is_lost(init, EARLY * number / (EARLY_STOPS - 1))?))
            });
            results.try_add(init, Metric::LostStops, lost);
        }
    }

    /// Whether PID 1 exits with the status that its program exited with.
    fn statuses(&self, results: &mut Results) {
        // The signals that kill a process.
        let signals = (1..=64).filter(|signal| ![17, 18, 19, 20, 21, 22, 23, 28].contains(signal));
        let signals: Vec<i32> = signals.collect();
        let kinds = [
            (Metric::Statuses, "exit", (0..256).collect(), 0),
            (Metric::Signals, "die", signals, 128),
        ];
        for init in &INITS {
            for (metric, load, numbers, offset) in &kinds {
                let numbers: &Vec<i32> = numbers;
                let mut right = 0;
                let mut wrong = Vec::new();
                for number in numbers {
                    match self.status(init, &format!("{load} {number}")) {
                        Ok(Some(WaitStatus::Exited(_, status))) if status == number + offset => {
                            right += 1
                        }
                        Ok(Some(WaitStatus::Exited(_, status))) => {
                            wrong.push(format!("{load} {number}: {status}"))
                        }
                        Ok(Some(WaitStatus::Signaled(..))) => {
                            wrong.push("none: reboot(2) shuts the namespace down".into())
                        }
                        Ok(_) => wrong.push("none: it carries on when its program exits".into()),
                        Err(error) => wrong.push(format!("{error:#}")),
                    }
                    // An init that passes nothing on need not be asked for each.
                    if right == 0 && wrong.len() == 3 {
                        break;
                    }
                }
                match wrong.last() {
                    None => results.add(init, *metric, right as f64),
                    Some(last) if right == 0 => results.fail(init, *metric, last.clone()),
                    Some(_) => results.fail(
                        init,
                        *metric,
                        format!("{right} of {} ({})", numbers.len(), wrong.join(", ")),
                    ),
                }
            }
        }
    }

    fn status(&self, init: &Init, load: &str) -> Result<Option<WaitStatus>> {
        self.jail.start(&self.launch(init, load))?.end(STATUS_PATIENCE)
    }
}

/// Waits until PID 1 sleeps: it may still be busy after its program was started.
fn settle(run: &Run) {
    let path = format!("/proc/{}/stat", run.pid());
    let is_asleep = || fs::read_to_string(&path).is_ok_and(|stat| stat.contains(") S "));
    let start = Instant::now();
    while !is_asleep() && start.elapsed() < Duration::from_secs(1) {
        sleep(Duration::from_millis(1));
    }
}

/// What the load says: a time and a number of orphans.
fn time_and_count(said: &str) -> Result<(f64, f64)> {
    let (time, count) = said.split_once(' ').context("two numbers")?;
    Ok((time.parse()?, count.parse()?))
}

/// How often PID 1 was switched away from so far, which is how often it woke up.
fn wake_ups(run: &Run) -> Result<f64> {
    let status =
        fs::read_to_string(format!("/proc/{}/status", run.pid())).context("read status")?;
    let number = |line: &str| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok();
    Ok(status.lines().filter_map(number).sum::<u64>() as f64)
}

/// Its resident memory in kB.
pub fn rss(run: &Run) -> Result<f64> {
    let path = format!("/proc/{}/smaps_rollup", run.pid());
    let text = fs::read_to_string(&path).context("read smaps_rollup")?;
    let rss = text.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
    Ok(rss.context("no Rss in smaps_rollup")?.trim().parse()?)
}

/// The shared libraries that it has loaded.
fn libraries(run: &Run) -> Result<Vec<String>> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", run.pid())).context("read maps")?;
    let name = |line: &str| Some(line.rsplit_once('/')?.1.to_string());
    let mut names: Vec<String> =
        maps.lines().filter_map(name).filter(|name| name.contains(".so")).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
