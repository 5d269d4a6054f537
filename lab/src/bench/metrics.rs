//! What is measured, and what came out.

use super::NEVER;
use super::inits::{INITS, Init};
use anyhow::Result;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use syscalls::Sysno;

/// A thing that is measured.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Metric {
    Bytes,
    Rss,
    WakeUps,
    CallsForOne,
    CallsInBurst,
    TimeForOne,
    TimeInBurst,
    Start,
    Stop,
    StopStubborn,
    LostStops,
    Statuses,
    Signals,
}

/// How a number is written.
#[derive(Clone, Copy, PartialEq)]
pub enum Unit {
    /// As it is.
    Count,
    /// With two digits after the point.
    Ratio,
    /// Nanoseconds, as microseconds.
    Microseconds,
    /// Nanoseconds, as milliseconds, or seconds.
    Time,
    /// All are right.
    All,
}

/// What there is to say about a metric.
pub struct About {
    pub metric: Metric,
    /// The head of the column.
    pub head: &'static str,
    /// The heading in the chart; none if it is not in there.
    pub title: &'static str,
    pub unit: Unit,
    /// Why picoinit is not the first in it, if it is not.
    pub why: &'static str,
}

/// All metrics, in the order of the columns.
pub const METRICS: [About; 13] = [
    About {
        metric: Metric::Bytes,
        head: "file, bytes",
        title: "File size, bytes",
        unit: Unit::Count,
        why: "",
    },
    About {
        metric: Metric::Rss,
        head: "Rss, kB",
        title: "Resident memory while idle, kB",
        unit: Unit::Count,
        why: "",
    },
    About {
        metric: Metric::WakeUps,
        head: "wake-ups in 10 s",
        title: "Wake-ups in 10 idle seconds",
        unit: Unit::Count,
        why: "",
    },
    About {
        metric: Metric::CallsForOne,
        head: "calls, one at a time",
        title: "System calls for an orphan, one at a time",
        unit: Unit::Ratio,
        why: "Reaping takes three calls for each orphan, as with most of them: one to wait for the signal, and wait4(2) until no child is left to reap. picoinit also prints a line for each orphan, which takes two more: a ppoll(2), so that a full pipe cannot hold it up, and a write(2)",
    },
    About {
        metric: Metric::CallsInBurst,
        head: "calls, at once",
        title: "System calls for an orphan, all at once",
        unit: Unit::Ratio,
        why: "Reaping takes one wait4(2) for each orphan, as with them, and a kill(2) after every hundred. picoinit also prints a line for each orphan, which takes two more: a ppoll(2), so that a full pipe cannot hold it up, and a write(2)",
    },
    About {
        metric: Metric::TimeForOne,
        head: "processor µs, one at a time",
        title: "Processor time for an orphan, one at a time, µs",
        unit: Unit::Microseconds,
        why: "It prints a line for each orphan, which they do not: a ppoll(2) and a write(2)",
    },
    About {
        metric: Metric::TimeInBurst,
        head: "processor µs, at once",
        title: "Processor time for an orphan, 20,000 at once, µs",
        unit: Unit::Microseconds,
        why: "It prints a line for each orphan, which they do not: a ppoll(2) and a write(2) on top of the wait4(2) that all of them need",
    },
    About {
        metric: Metric::Start,
        head: "start, µs",
        title: "From exec of PID 1 to its program, µs",
        unit: Unit::Microseconds,
        why: "",
    },
    About {
        metric: Metric::Stop,
        head: "stop",
        title: "From stop request to exit, program obeys",
        unit: Unit::Time,
        why: "They exit as soon as their program does. picoinit first signals every other process, and makes sure that all of them have exited",
    },
    About {
        metric: Metric::StopStubborn,
        head: "stop, program ignores SIGTERM",
        title: "From stop request to exit, program ignores SIGTERM",
        unit: Unit::Time,
        why: "It gives every process 5 s to save its work before SIGKILL; BusyBox's init gives 1 s, and takes 2 s even if no process is left",
    },
    About {
        metric: Metric::LostStops,
        head: "early stops lost, of 300",
        title: "Stop requests lost, of 300 within 500 µs of exec",
        unit: Unit::Count,
        why: "",
    },
    About {
        metric: Metric::Statuses,
        head: "exit status 0 to 255",
        title: "",
        unit: Unit::All,
        why: "",
    },
    About { metric: Metric::Signals, head: "128 + signal", title: "", unit: Unit::All, why: "" },
];

impl Metric {
    /// What there is to say about it.
    pub fn about(self) -> &'static About {
        METRICS.iter().find(|about| about.metric == self).expect("every metric is in the list")
    }
}

/// What came out for one init and one metric.
#[derive(Clone)]
pub enum Cell {
    /// What was measured, each time.
    Values(Vec<f64>),
    /// Why there is no number.
    Text(String),
}

impl Cell {
    /// The median, the least and the greatest value.
    pub fn spread(&self) -> Option<(f64, f64, f64)> {
        match self {
            Cell::Values(values) => spread(values),
            Cell::Text(_) => None,
        }
    }
}

/// The median, the least and the greatest of some values.
pub fn spread(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (least, greatest) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    };
    Some((median, least, greatest))
}

/// All that came out.
#[derive(Default)]
pub struct Results {
    cells: HashMap<(&'static str, Metric), Cell>,
    /// The system calls for each orphan, by name.
    pub calls: BTreeMap<(&'static str, Metric), BTreeMap<Sysno, f64>>,
    /// The shared libraries that an init loads.
    pub libraries: HashMap<&'static str, Vec<String>>,
    /// How long the load takes to start as PID 1, without an init.
    pub start_of_nothing: Vec<f64>,
    /// How long picoinit takes to start its program where nothing is mounted.
    pub start_bare: Vec<f64>,
    /// How many processors the rest of the machine kept busy while all inits were idle.
    pub disturbance: Vec<f64>,
}

impl Results {
    /// Adds a value.
    pub fn add(&mut self, init: &Init, metric: Metric, value: f64) {
        let cell = self.cells.entry((init.name, metric)).or_insert(Cell::Values(Vec::new()));
        if let Cell::Values(values) = cell {
            values.push(value);
        }
    }

    /// Says why there is no number.
    pub fn fail(&mut self, init: &Init, metric: Metric, why: String) {
        self.cells.insert((init.name, metric), Cell::Text(why));
    }

    /// Adds a value, or why there is none.
    pub fn try_add(&mut self, init: &Init, metric: Metric, value: Result<f64>) {
        match value {
            Ok(value) => self.add(init, metric, value),
            Err(error) => self.fail(init, metric, format!("{error:#}")),
        }
    }

    /// Adds how long an init took to stop; none if it did not in [`NEVER`].
    pub fn add_stop(&mut self, init: &Init, metric: Metric, time: Result<Option<Duration>>) {
        match time {
            Ok(Some(time)) => self.add(init, metric, time.as_nanos() as f64),
            Ok(None) => {
                self.fail(init, metric, format!("never (killed after {} s)", NEVER.as_secs()))
            }
            Err(error) => self.fail(init, metric, format!("{error:#}")),
        }
    }

    /// Subtracts from all starts what the load itself takes, which is the same for all.
    pub fn subtract_own_start(&mut self) {
        let own = spread(&self.start_of_nothing).map_or(0.0, |(median, ..)| median);
        self.start_bare.iter_mut().for_each(|time| *time -= own);
        for init in &INITS {
            if let Some(Cell::Values(values)) = self.cells.get_mut(&(init.name, Metric::Start)) {
                values.iter_mut().for_each(|time| *time -= own);
            }
        }
    }

    /// How many of an orphan's system calls print a line; none if no line is printed.
    pub fn calls_for_line(&self, init: &Init, metric: Metric) -> Option<f64> {
        let calls = self.calls.get(&(init.name, metric)).filter(|_| !init.line.is_empty())?;
        Some(
            calls.iter().filter(|(call, _)| init.line.contains(call)).map(|(_, count)| count).sum(),
        )
    }

    /// What came out.
    pub fn cell(&self, init: &Init, metric: Metric) -> Cell {
        let none = || Cell::Text("not measured".into());
        self.cells.get(&(init.name, metric)).cloned().unwrap_or_else(none)
    }

    /// Where picoinit stands in a column.
    pub fn rank(&self, metric: Metric) -> Rank {
        if metric.about().unit == Unit::All {
            let all_right = self.cell(&INITS[0], metric).spread().is_some();
            return if all_right { Rank::Equal } else { Rank::Behind(Vec::new()) };
        }
        let median = |init| self.cell(init, metric).spread().map(|(median, ..)| median);
        let own = median(&INITS[0]).unwrap_or(f64::INFINITY);
        let others = || INITS[1..].iter().filter_map(|init| Some((init.name, median(init)?)));
        let better: Vec<_> = others()
            .filter(|(_, other)| other * (1.0 + NOISE) < own)
            .map(|(name, _)| name)
            .collect();
        if !better.is_empty() {
            Rank::Behind(better)
        } else if others().all(|(_, other)| own * (1.0 + NOISE) < other) {
            Rank::First
        } else {
            Rank::Equal
        }
    }
}

/// Medians that differ by no more than this part count as equal.
pub const NOISE: f64 = 0.05;

/// Where picoinit stands in a column.
#[derive(PartialEq, Debug)]
pub enum Rank {
    /// All others are worse.
    First,
    /// None is better.
    Equal,
    /// These are better.
    Behind(Vec<&'static str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where picoinit stands if it and all others, but one, have these values.
    fn rank(own: &[f64], others: f64, one: Cell) -> Rank {
        let mut results = Results::default();
        own.iter().for_each(|value| results.add(&INITS[0], Metric::Stop, *value));
        INITS[1..].iter().for_each(|init| results.add(init, Metric::Stop, others));
        results.cells.insert((INITS[1].name, Metric::Stop), one);
        results.rank(Metric::Stop)
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7.0]), Some((7.0, 7.0, 7.0)));
        assert_eq!(spread(&[9.0, -1.0, 2.0]), Some((2.0, -1.0, 9.0)));
        assert_eq!(spread(&[9.0, 1.0, 4.0, 2.0]), Some((3.0, 1.0, 9.0)));
    }

    #[test]
    fn only_who_is_clearly_better_than_all_is_the_first() {
        let value = |value| Cell::Values(vec![value]);
        assert_eq!(rank(&[90.0], 100.0, value(100.0)), Rank::First);
        assert_eq!(rank(&[90.0], 100.0, value(94.0)), Rank::Equal);
        assert_eq!(rank(&[90.0], 100.0, value(86.0)), Rank::Equal);
        assert_eq!(rank(&[90.0], 100.0, value(85.0)), Rank::Behind(vec![INITS[1].name]));
        // The median counts.
        assert_eq!(rank(&[1.0, 101.0, 200.0], 100.0, value(100.0)), Rank::Equal);
        // An init that never stops is no better; one that was not measured is not first.
        assert_eq!(rank(&[90.0], 100.0, Cell::Text("never".into())), Rank::First);
        let others = INITS[1..].iter().map(|init| init.name).collect();
        assert_eq!(rank(&[], 100.0, value(100.0)), Rank::Behind(others));
    }

    #[test]
    fn what_is_to_be_right_is_right_or_not() {
        let mut results = Results::default();
        results.add(&INITS[0], Metric::Statuses, 256.0);
        assert_eq!(results.rank(Metric::Statuses), Rank::Equal);
        results.fail(&INITS[0], Metric::Statuses, "255 of 256".into());
        assert_eq!(results.rank(Metric::Statuses), Rank::Behind(vec![]));
    }
}
