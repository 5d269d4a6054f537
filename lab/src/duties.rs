//! What each duty costs, in bytes and system calls: as data, and for the table in README.md.

use crate::binary::{Binary, Owner, Source, bytes_by_owner};
use crate::trace::{self, Call, Stage};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What `duties` can be told.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    stage: Stage,
    /// Instead of printing it, write it into the table of this file
    #[arg(long)]
    readme: Option<PathBuf>,
    /// Only check whether the table is up to date, and fail if not
    #[arg(long, requires = "readme")]
    check: bool,
}

/// The heads of the columns that are written.
const BYTES: &str = "bytes";
const CALLS: &str = "system calls";
/// The column that says which files a row is about.
const FILE: &str = "file";

/// What a file of the source costs.
#[derive(Default)]
struct Cost {
    bytes: usize,
    calls: usize,
    /// The calls by name, in the order in which they are made first, by PID 1 and
    /// then by its children.
    names: Vec<&'static str>,
}

/// Measures, and prints or writes it.
pub fn run(options: &Options) -> Result<()> {
    let (source, binary) = options.stage.build.read()?;
    let trace = trace::trace(&options.stage, &source, &binary, false)?;
    trace.demand_end()?;
    let costs = costs(&source, &binary, &trace.calls)?;
    match &options.readme {
        Some(path) => update(path, &costs, binary.image.len(), options.check),
        None => {
            println!("file\tbytes\tcalls\tsystem calls");
            for (file, cost) in &costs {
                println!("{file}\t{}\t{}\t{}", cost.bytes, cost.calls, cost.names.join(" "));
            }
            Ok(())
        }
    }
}

/// What each file costs, by its name.
fn costs(source: &Source, binary: &Binary, calls: &[Call]) -> Result<BTreeMap<String, Cost>> {
    let mut costs: BTreeMap<String, Cost> = BTreeMap::new();
    // A duty may cost nothing, and is still listed.
    for duty in source.duties() {
        costs.insert(file_of(&Owner::Duty(duty.into()))?, Cost::default());
    }
    for (owner, bytes) in bytes_by_owner(&binary.pieces(source)?) {
        costs.entry(file_of(&owner)?).or_default().bytes += bytes;
    }
    // A child's calls come between those of PID 1 by chance, so they are named after them.
    let (first, children): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.pid == 1);
    for call in first.into_iter().chain(children) {
        let cost = costs.entry(file_of(&call.owner)?).or_default();
        cost.calls += 1;
        if !cost.names.contains(&call.name.name()) {
            cost.names.push(call.name.name());
        }
    }
    Ok(costs)
}

fn file_of(owner: &Owner) -> Result<String> {
    Ok(match owner {
        Owner::Duty(module) | Owner::Shared(module) => format!("src/{module}.rs"),
        Owner::Header => "src/link.ld".into(),
        Owner::Padding => bail!("some bytes of the init serve nothing: see make disasm"),
    })
}

/// Writes the costs into the table of a file.
fn update(path: &Path, costs: &BTreeMap<String, Cost>, total: usize, check: bool) -> Result<()> {
    let name = path.display();
    let old = fs::read_to_string(path).with_context(|| name.to_string())?;
    let new = with_costs(&old, costs, total).with_context(|| name.to_string())?;
    match (old == new, check) {
        (true, _) => Ok(()),
        (false, true) => {
            let stale = old.lines().zip(new.lines()).find(|(old, new)| old != new);
            let (old, new) = stale.context("the end of the last line")?;
            bail!(
                "{name} is out of date; make readme writes it anew. It says\n{old}\nwhich is now\n{new}"
            )
        }
        (false, false) => {
            fs::write(path, new).with_context(|| name.to_string())?;
            println!("picoinit: wrote the table of duties in {name} anew");
            Ok(())
        }
    }
}

/// The text, with what the costs are now in the columns of its table.
fn with_costs(text: &str, costs: &BTreeMap<String, Cost>, total: usize) -> Result<String> {
    let mut lines: Vec<String> = text.split('\n').map(String::from).collect();
    let heads = |line: &String| {
        let heads = cells(line);
        let find = |head| heads.iter().position(|cell| cell == head);
        Some((find(FILE)?, find(BYTES)?, find(CALLS)?))
    };
    let (start, (file, bytes, calls)) = lines
        .iter()
        .enumerate()
        .find_map(|(index, line)| Some((index, heads(line)?)))
        .with_context(|| {
            format!("there is no table with the columns {FILE}, {BYTES} and {CALLS}")
        })?;
    let mut sum = 0;
    for line in lines[start + 2..].iter_mut().take_while(|line| line.starts_with('|')) {
        let mut cells = cells(line);
        ensure!(cells.len() > file.max(bytes).max(calls), "too few columns: {line}");
        let mut cost = Cost::default();
        for file in links(&cells[file]) {
            // A file without code, such as one of types, costs nothing.
            let Some(found) = costs.get(file) else { continue };
            cost.bytes += found.bytes;
            cost.names.extend(&found.names);
        }
        sum += cost.bytes;
        cells[bytes] = cost.bytes.to_string();
        cells[calls] = cost.names.join(", ");
        let written = cells
            .iter()
            .map(|cell| if cell.is_empty() { " |".into() } else { format!(" {cell} |") });
        *line = format!("|{}", written.collect::<String>());
    }
    ensure!(
        sum == total,
        "the files that the table names have {sum} bytes of {total}: it has to name each one of {:?} once",
        costs.keys().collect::<Vec<_>>()
    );
    Ok(lines.join("\n"))
}

/// The cells of a row.
fn cells(line: &str) -> Vec<String> {
    let row = line.trim().trim_start_matches('|').trim_end_matches('|');
    row.split('|').map(|cell| cell.trim().to_string()).collect()
}

/// What a cell links to.
fn links(cell: &str) -> impl Iterator<Item = &str> {
    cell.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}
