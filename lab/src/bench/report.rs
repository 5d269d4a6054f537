//! RESULTS.md: tables, and what a reader has to know about them.

use super::inits::{INITS, Init};
use super::metrics::{Cell, METRICS, Metric, NOISE, Rank, Results, Unit, spread};
use super::{
    BURST, EARLY, EARLY_PATIENCE, EARLY_STOPS, IDLE, NEVER, ORPHANS, REAPS, STARTS, STOPS,
    TRACED_BURST, TRACED_ORPHANS,
};
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use std::fmt::Write;
use std::time::Duration;

const SIZE: [Metric; 3] = [Metric::Bytes, Metric::Rss, Metric::WakeUps];
const REAPING: [Metric; 4] =
    [Metric::CallsForOne, Metric::CallsInBurst, Metric::TimeForOne, Metric::TimeInBurst];
const ENDING: [Metric; 6] = [
    Metric::Start,
    Metric::Stop,
    Metric::StopStubborn,
    Metric::LostStops,
    Metric::Statuses,
    Metric::Signals,
];

/// Writes a number in its unit.
pub fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Count => thousands(value),
        Unit::Ratio => format!("{value:.2}"),
        Unit::Microseconds if value.abs() < 99_950.0 => format!("{:.1}", value / 1e3),
        Unit::Microseconds => thousands(value / 1e3),
        Unit::Time if value < 1e8 => format!("{:.2} ms", value / 1e6),
        Unit::Time => format!("{:.2} s", value / 1e9),
        Unit::All => format!("all {value}"),
    }
}

/// A whole number, with a comma after each three digits.
pub fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    // What is measured as a difference may be less than nothing.
    let mut text = String::from(if value <= -0.5 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// By how much a number of bytes changes, with its sign.
pub fn difference(from: u64, to: u64) -> String {
    let sign = if to > from { "+" } else { "" };
    format!("{sign}{}", thousands(to as f64 - from as f64))
}

/// The median, and from where to where the values go if they differ.
fn values(values: &[f64], unit: Unit) -> String {
    let Some((median, least, greatest)) = spread(values) else { return "none".into() };
    let [median, least, greatest] = [median, least, greatest].map(|value| number(value, unit));
    if least == greatest { median } else { format!("{median} ({least} to {greatest})") }
}

fn cell(results: &Results, init: &Init, metric: Metric) -> String {
    let about = metric.about();
    let text = match results.cell(init, metric) {
        Cell::Values(numbers) => values(&numbers, about.unit),
        Cell::Text(text) => text,
    };
    match (results.calls_for_line(init, metric), results.cell(init, metric).spread()) {
        (Some(line), Some((median, ..))) => {
            format!("{text}: {:.2}, and {line:.2} to print its line", median - line)
        }
        _ => text,
    }
}

fn table(results: &Results, metrics: &[Metric]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let heads = metrics.iter().map(|metric| metric.about().head);
    let is_size = metrics == SIZE;
    let heads = ["PID 1"].into_iter().chain(heads);
    table.set_header(heads.chain(is_size.then_some("shared libraries, not counted")));
    for init in &INITS {
        let mut row = vec![init.name.to_string()];
        row.extend(metrics.iter().map(|metric| cell(results, init, *metric)));
        if is_size {
            let none = vec!["none".to_string()];
            let names = results.libraries.get(init.name).filter(|names| !names.is_empty());
            row.push(names.unwrap_or(&none).join(", "));
        }
        table.add_row(row);
    }
    table
}

/// Where picoinit stands, and the reason wherever it is not first.
fn standing(results: &Results) -> String {
    let mut first = Vec::new();
    let mut equal = Vec::new();
    let mut behind = String::new();
    for about in &METRICS {
        match results.rank(about.metric) {
            Rank::First => first.push(about.head),
            Rank::Equal => equal.push(about.head),
            Rank::Behind(better) => {
                let reason = if about.why.is_empty() { "Not understood" } else { about.why };
                let _ =
                    writeln!(behind, "- {}: behind {}. {reason}.", about.head, better.join(", "));
            }
        }
    }
    let list = |heads: Vec<&str>| if heads.is_empty() { "none".into() } else { heads.join("; ") };
    let mut text = format!(
        "picoinit comes first in: {}.\n\nAs good as the best (a median within {:.0} % of it, or every value right): {}.\n",
        list(first),
        NOISE * 100.0,
        list(equal)
    );
    if !behind.is_empty() {
        let _ = write!(text, "\nNot first:\n\n{behind}");
    }
    text
}

/// The system calls that an init makes for each orphan.
fn calls(results: &Results) -> String {
    let mut text = String::new();
    for init in &INITS {
        let list = |metric: Metric| {
            let calls = results.calls.get(&(init.name, metric))?;
            let calls: Vec<String> = calls
                .iter()
                .filter(|(_, count)| count.abs() >= 0.005)
                .map(|(call, count)| format!("{call} {count:.2}"))
                .collect();
            Some(calls.join(", "))
        };
        let none = || "not measured".to_string();
        let _ = writeln!(
            text,
            "- {}: {}; at once: {}",
            init.name,
            list(Metric::CallsForOne).unwrap_or_else(none),
            list(Metric::CallsInBurst).unwrap_or_else(none)
        );
    }
    text
}

/// The whole file.
pub fn write(results: &Results, machine: &[String], rounds: u32, took: Duration) -> String {
    let size = table(results, &SIZE);
    let reaping = table(results, &REAPING);
    let ending = table(results, &ENDING);
    let standing = standing(results);
    let calls = calls(results);
    let notes: String =
        INITS.iter().map(|init| format!("- {}: {}.\n", init.name, init.note)).collect();
    let machine: String = machine.iter().map(|line| format!("- {line}\n")).collect();
    let (idle, never, took) = (IDLE.as_secs(), NEVER.as_secs(), took.as_secs());
    let (orphans, burst) = (thousands(ORPHANS.into()), thousands(BURST.into()));
    let (traced_orphans, traced_burst) =
        (thousands(TRACED_ORPHANS.into()), thousands(TRACED_BURST.into()));
    let (early, early_patience) = (EARLY.as_micros(), EARLY_PATIENCE.as_millis());
    let disturbance = values(&results.disturbance, Unit::Ratio);
    let nothing = values(&results.start_of_nothing, Unit::Microseconds);
    let bare = values(&results.start_bare, Unit::Microseconds);
    format!(
        "# picoinit and its peers, as PID 1

Generated by `make bench` in {took} s; do not edit. Each number is the median of {rounds} rounds, with the smallest and the largest value where they differ. In each round, every init has its turn.

![The medians as bars](peers.svg)

## Size, and what it costs to do nothing

{size}

Only the file counts, not the shared libraries that it needs.

## Reaping

{reaping}

These are the system calls that PID 1 makes for each orphan, and its processor time for each, inside and outside the kernel.

## Starting and stopping

{ending}

## Where picoinit stands

{standing}
## System calls for each orphan, by name

First for orphans one at a time, then for orphans all at once, in the last round.

{calls}
## How it was measured

- Each PID 1 has its own PID and mount namespaces, inside a user, network and IPC namespace that the benchmark makes. /proc, /sys, /dev, /dev/pts and /run are mounted already, as container engines do it. Descriptors 0, 1 and 2 are /dev/null for every init, so printing a line costs its system calls, but no process has to read it. CAP_SYS_BOOT is dropped, as in a container, except for the two inits that stop only by reboot(2).
- Rss: `/proc/PID/smaps_rollup` while idle, with address space randomization off, as `setarch -R` does it, because the number of pages depends on where the stack begins.
- Wake-ups: context switches of PID 1 in {idle} s, while its program sleeps. All inits are idle at the same time.
- System calls: only PID 1 is traced, with ptrace(2), for {traced_orphans} orphans one at a time and {traced_burst} at once, because tracing slows it down. The calls that it makes without any orphan are subtracted.
- Processor time: `/proc/1/schedstat`, in nanoseconds, before and after {orphans} orphans one at a time (or as many as were reaped in 2 s), and {burst} at once, which have all exited before they become orphans. A measurement that takes no more than a second is made {REAPS} times a round, any other once.
- Start: from right before PID 1's execve(2) to the first line of its program's main function, minus the median of the same with the program itself as PID 1, which is {nothing} µs. {STARTS} starts a round. Where picoinit has to mount /proc, /sys, /dev/pts and /run itself, it takes {bare} µs.
- Stop: from kill(2) until PID 1, and so every process in its namespace, is gone; up to {STOPS} times a round. With the program that ignores SIGTERM, all inits are measured at the same time, and are killed after {never} s.
- Early stops: {EARLY_STOPS} stop requests, 0 to {early} µs after execve(2), evenly spread. When execve(2) can no longer fail, it closes a pipe that is close-on-exec; that is when the time begins, a little before PID 1's first instruction. A request is lost if PID 1 is still running {early_patience} ms later. Measured once, and not for the two inits that take seconds to stop.
- Exit status: of a program that exits with each status from 0 to 255, or is killed by each signal that kills a process. Measured once.

## The inits

{notes}
## The machine

{machine}- processors kept busy by something else while all inits were idle: {disturbance}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let cases = [
            (0.0, "0"),
            (-0.4, "0"),
            (999.4, "999"),
            (-164.0, "-164"),
            (1_000.0, "1,000"),
            (-1_000.0, "-1,000"),
            (1_234_567.0, "1,234,567"),
        ];
        for (value, text) in cases {
            assert_eq!(thousands(value), text);
        }
        assert_eq!(number(7_250.0, Unit::Microseconds), "7.2");
        assert_eq!(number(-99_000.0, Unit::Microseconds), "-99.0");
        assert_eq!(number(-164_400.0, Unit::Microseconds), "-164");
        assert_eq!(number(460_000.0, Unit::Time), "0.46 ms");
        assert_eq!(number(5.0e9, Unit::Time), "5.00 s");
        assert_eq!(number(2.667, Unit::Ratio), "2.67");
    }

    #[test]
    fn a_difference_has_a_sign() {
        assert_eq!(difference(1_000, 2_500), "+1,500");
        assert_eq!(difference(2_500, 1_000), "-1,500");
        assert_eq!(difference(7, 7), "0");
    }

    #[test]
    fn the_spread_is_shown_where_there_is_one() {
        assert_eq!(values(&[], Unit::Count), "none");
        assert_eq!(values(&[8.0, 8.0], Unit::Count), "8");
        assert_eq!(values(&[1280.0, 1252.0, 1272.0], Unit::Count), "1,272 (1,252 to 1,280)");
    }
}
