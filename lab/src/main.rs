//! The lab: measures picoinit and its peers, takes it apart, and runs the
//! experiments. The targets of lab/lab.mk call it.

#![deny(missing_docs)]

mod bench;
mod binary;
mod book;
mod conform;
mod disasm;
mod duties;
mod experiment;
#[path = "../../tests/common/guest.rs"]
mod guest;
mod sizes;
mod trace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measures picoinit and its peers, takes it apart, and runs the experiments.
#[derive(Parser)]
#[command(name = "picoinit-lab")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run picoinit and its peers as PID 1, side by side, and write down what they cost
    Bench(bench::Options),
    /// Check whether an init keeps picoinit's contract, row by row
    Conform(conform::Options),
    /// Write down what picoinit and its peers do in the situations of the experiments
    Inits(conform::inits::Options),
    /// Measure the same job in many languages
    Sizes(sizes::Options),
    /// Measure what each flag and each decision saves, from a std program to the init
    Ladder(sizes::ladder::Options),
    /// Measure what each duty costs, and what rustix costs
    Costs(sizes::costs::Options),
    /// Print the whole init as commented assembly, and what each byte of it is for
    Disasm(binary::Build),
    /// Print every system call that PID 1 makes, and which line and duty it is for
    Trace(trace::Options),
    /// Print what each file of the init costs in bytes and system calls, or write it into README.md
    Duties(duties::Options),
    /// Run an experiment, and say whether what is seen is what its page says
    Experiment(experiment::Options),
    /// Check what pages quote of the kernel's source, and where their links to it lead
    Quotes(experiment::kernel::Options),
    /// Make the book out of the project's Markdown, and check its links
    #[command(subcommand)]
    Book(book::Options),
}

fn main() -> ExitCode {
    // Under an init that is checked, this program is what the tests run under theirs.
    if std::env::args_os().next().is_some_and(|name| name == conform::GUEST) {
        guest::main();
        return ExitCode::SUCCESS;
    }
    // Under an init that is measured, this program is the load.
    if let Ok(order) = std::env::var(bench::load::ORDER) {
        return bench::load::run(&order);
    }
    let outcome = match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Conform(options) => conform::run(&options),
        Command::Inits(options) => conform::inits::run(&options),
        Command::Sizes(options) => sizes::run(&options),
        Command::Ladder(options) => sizes::ladder::run(&options),
        Command::Costs(options) => sizes::costs::run(&options),
        Command::Disasm(options) => disasm::run(&options),
        Command::Trace(options) => trace::run(&options),
        Command::Duties(options) => duties::run(&options),
        Command::Experiment(options) => experiment::run(&options),
        Command::Quotes(options) => experiment::kernel::run(&options),
        Command::Book(options) => book::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("picoinit: {error:#}");
            ExitCode::FAILURE
        }
    }
}
