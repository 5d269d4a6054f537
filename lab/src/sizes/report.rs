//! RESULTS.md: the table, and what has to be known to read it.

use super::{Kind, Row};
use crate::bench::metrics::Cell;
use crate::bench::report::thousands;
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use std::time::Duration;

const HEADS: [&str; 10] = [
    "PID 1",
    "file",
    "loaded",
    "gzip -9",
    "initramfs",
    "initramfs, gzip -9",
    "Rss, kB",
    "system calls",
    "ms to the program",
    "contract",
];

fn count(value: u64) -> String {
    thousands(value as f64)
}

/// A number, or why there is none.
fn cell(cell: &Cell, digits: usize) -> String {
    match (cell, cell.spread()) {
        (Cell::Text(text), _) => text.clone(),
        (_, Some((median, least, greatest))) if least != greatest => {
            format!("{median:.digits$} ({least:.digits$} to {greatest:.digits$})")
        }
        (_, Some((median, ..))) => format!("{median:.digits$}"),
        (_, None) => "—".into(),
    }
}

/// The name in the table.
fn name(row: &Row) -> String {
    match row.kind {
        Kind::Own | Kind::Compared => format!("**{}**", row.name),
        _ => row.name.clone(),
    }
}

fn contract(row: &Row) -> String {
    match row.contract {
        None => "does another job".into(),
        Some((passed, all)) if passed == all => format!("all {all}"),
        Some((passed, all)) => {
            let names: Vec<&str> =
                row.failed.iter().filter_map(|failed| failed.split(':').next()).collect();
            format!("{passed} of {all}, not: {}", names.join(", "))
        }
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(HEADS);
    for row in rows {
        let bytes = row.bytes;
        let cells = match &row.program {
            Err(why) => {
                let mut cells = vec![name(row), why.clone()];
                cells.resize(HEADS.len(), String::new());
                cells
            }
            Ok(_) => vec![
                name(row),
                count(bytes.file) + if row.is_dynamic { " and libraries" } else { "" },
                count(bytes.loaded),
                count(bytes.gzip),
                count(bytes.cpio),
                count(bytes.cpio_gzip),
                cell(&row.rss, 0),
                cell(&row.calls, 0),
                cell(&row.boots, 1),
                contract(row),
            ],
        };
        table.add_row(cells);
    }
    table
}

/// The whole file.
pub fn write(rows: &[Row], description: &[String], rounds: u32, took: Duration) -> String {
    let table = table(rows);
    let took = took.as_secs();
    let boots = match rounds {
        0 => "Not measured this time.".to_string(),
        1 => "One boot.".to_string(),
        _ => format!(
            "The median of {rounds} boots, and the least and the greatest; the inits take turns."
        ),
    };
    let mut failed = String::new();
    for row in rows {
        for seen in &row.failed {
            failed += &format!("- {}: {}\n", row.name, seen.replace('`', "'"));
        }
    }
    if failed.is_empty() {
        failed = "Nothing.\n".into();
    }
    let versions = rows.iter().filter(|row| row.program.is_ok() && row.kind != Kind::Own);
    let versions: String =
        versions.map(|row| format!("- {}: {}\n", row.name, row.version)).collect();
    let description: String = description.iter().map(|line| format!("- {line}\n")).collect();
    format!(
        "# One job in many languages

Written by `make sizes` in {took} s; not edited.

![The sizes as bars](sizes.svg)

{table}

Sorted by the size of the file, in bytes. Those that do the same job are in [this folder](.); each keeps the contract of the [README](../../README.md#the-duties-of-pid-1) as far as the last column says. Those from the distribution's packages do another job, some a smaller one, some a far larger one, and are there to have something to compare with.

## What is not kept

{failed}
## How it was measured

- loaded: the memory that the file's loadable segments take.
- initramfs: a cpio archive with nothing but /init in it.
- Rss: `/proc/PID/smaps_rollup` of an idle PID 1 of namespaces of its own, its program asleep, with address space randomization off.
- system calls: from PID 1's own execve(2) to that of its program, counted by strace(1): its own until it starts a process, and that process's.
- ms to the program: in a real boot, from the kernel's `{run}` to the first line of the same program, [src/bin/demo.rs](../../src/bin/demo.rs), as it arrives at the serial port. {boots}
- contract: the rows of `picoinit-lab conform`, of which each is checked on the program as PID 1 of namespaces of its own. `make sizes COMPARE=path/to/init` does all this with an init of yours.

## Toolchains

{versions}
## The machine

{description}",
        run = "Run /init",
    )
}
