//! Experiments: pages in lab/experiments whose commands are typed, one by one, and
//! whose text is compared with what is seen. A reader at a terminal is shown the text, too.

mod command;
mod document;
mod guide;
pub mod kernel;

use anyhow::{Context, Result, ensure};
use clap::Args;
use document::{Block, Experiment, Step};
use guide::Guide;
use snapbox::{Assert, Data};
use std::path::{Path, PathBuf};

/// Which experiment to run.
#[derive(Args)]
pub struct Options {
    /// The folder that holds them
    #[arg(long, value_name = "FOLDER", default_value = "lab/experiments")]
    folder: PathBuf,
    /// Its number, such as 03
    #[arg(default_value = "")]
    number: String,
    /// Another init, as make's INIT= has it: what is booted with picoinit is booted with that
    #[arg(long)]
    init: Option<String>,
}

/// Runs one, and says in the last line whether its page was right.
pub fn run(options: &Options) -> Result<()> {
    let wanted = &options.number;
    let how = "`make experiments` lists them";
    ensure!(!wanted.is_empty(), "which experiment? {how}; then: make experiment N=1");
    let number = wanted.parse::<u32>().ok();
    let experiment = read_all(&options.folder)?
        .into_iter()
        .find(|experiment| Some(experiment.number) == number)
        .with_context(|| format!("N={wanted}: there is no such experiment; {how}"))?;

    let name = format!("experiment {:02}", experiment.number);
    println!("picoinit: {name}: {}", experiment.question);
    println!("picoinit: its page: {}", experiment.path.display());
    if let Some(init) = &options.init {
        return run_under(&experiment, &name, init);
    }
    let guide = Guide::on_terminal();
    let mut differ = 0;
    for block in &experiment.blocks {
        if let Some(guide) = &guide
            && guide.show(block)?.is_break()
        {
            return leave(&name);
        }
        let Block::Steps(steps) = block else { continue };
        for step in steps {
            println!("\n$ {}", step.command.replace('\n', "\n> "));
            if let Some(guide) = &guide
                && guide.wait("Enter runs it")?.is_break()
            {
                return leave(&name);
            }
            differ += usize::from(!is_as_written(step)?);
        }
    }
    println!();
    ensure!(
        differ == 0,
        "{name}: what was seen is NOT what the page says: {differ} of {} commands did something else",
        experiment.steps().count()
    );
    println!("picoinit: {name}: what was seen is what the page says");
    Ok(())
}

/// Runs what the page boots with picoinit under another init, and shows what is different then.
fn run_under(experiment: &Experiment, name: &str, init: &str) -> Result<()> {
    let (mut boots, mut differ) = (0, 0);
    for step in experiment.steps() {
        let Some(command) = under(&step.command, init) else { continue };
        println!("\n$ {}", command.replace('\n', "\n> "));
        let is_boot = command != step.command;
        let is_same = is_as_written(&Step { command, ..step.clone() })?;
        boots += usize::from(is_boot);
        differ += usize::from(is_boot && !is_same);
    }
    println!();
    ensure!(
        boots > 0,
        "INIT={init}: {name} boots nothing with picoinit's init, so there is nothing to compare"
    );
    println!("picoinit: {name} under {init}: {differ} of {boots} boots are not as with picoinit");
    Ok(())
}

/// A command with another init; None if it has one already, or if it is about picoinit without a duty.
fn under(command: &str, init: &str) -> Option<String> {
    let is_other =
        ["INIT=", "WITHOUT=", "ONLY=", "make panic"].iter().any(|word| command.contains(word));
    let quoted = format!("'{}'", init.replace('\'', r"'\''"));
    (!is_other).then(|| command.replace("make try ", &format!("make try INIT={quoted} ")))
}

/// What is said if the reader leaves.
fn leave(name: &str) -> Result<()> {
    println!("\npicoinit: {name}: left before its end");
    Ok(())
}

/// Runs a command. Returns whether it did what its page says, and if not, says what differs.
fn is_as_written(step: &Step) -> Result<bool> {
    let seen = command::run(&step.command)?;
    let output = compare(&seen.text, &step.output);
    if let Err(difference) = &output {
        let difference = difference.to_string();
        println!("\npicoinit: not what the page says (- the page, + what was seen):");
        println!("{}", difference.trim_matches('\n'));
    }
    let (status, wanted) = (seen.status, step.status);
    if status != wanted {
        println!("\npicoinit: not what the page says: the exit status is {status}, not {wanted}");
    }
    Ok(output.is_ok() && status == wanted)
}

/// Reads all of them, in order.
fn read_all(folder: &Path) -> Result<Vec<Experiment>> {
    let mut experiments = Vec::new();
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            experiments.push(Experiment::read(&path).with_context(|| path.display().to_string())?);
        }
    }
    experiments.sort_by_key(|experiment| experiment.number);
    for pair in experiments.windows(2) {
        let number = pair[0].number;
        ensure!(number != pair[1].number, "two experiments have the number {number:02}");
    }
    ensure!(!experiments.is_empty(), "there is no experiment in {}", folder.display());
    Ok(experiments)
}

/// Compares what was seen with the text, in which `...` on a line of its own
/// stands for any number of lines, and `[..]` for any part of one. The error
/// is a listing of what differs.
fn compare(seen: &str, text: &str) -> Result<(), snapbox::assert::Error> {
    Assert::new().normalize_paths(false).try_eq(Some(&"seen"), Data::text(seen), Data::text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_booted_with_picoinit_is_booted_with_another_init() {
        let under = |command| under(command, "tini");
        assert_eq!(
            under("make try ROOTFS=a | grep b").as_deref(),
            Some("make try INIT='tini' ROOTFS=a | grep b")
        );
        assert_eq!(under("cc -static a.c").as_deref(), Some("cc -static a.c"));
        assert_eq!(under("make try ROOTFS=a INIT=b"), None);
        assert_eq!(under("make try ROOTFS=a WITHOUT=reap"), None);
    }
}
