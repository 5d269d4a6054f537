//! Measures picoinit and its peers. `make bench` runs it.

#![deny(missing_docs)]

mod bench;
mod conform;
#[path = "../../tests/common/guest.rs"]
mod guest;
mod sizes;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measures picoinit and its peers.
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
    /// Measure the same job in many languages
    Sizes(sizes::Options),
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
        Command::Sizes(options) => sizes::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("picoinit-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}
