//! The lab: measures picoinit and its peers, and runs the experiments. `make
//! bench`, `make experiments` and `make experiment` call it.

#![deny(missing_docs)]

mod bench;
mod experiment;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measures picoinit and its peers, and runs the experiments.
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
    /// List the experiments
    Experiments(experiment::Place),
    /// Run an experiment, and say whether what is seen is what its text says
    Experiment(experiment::Options),
}

fn main() -> ExitCode {
    // Under an init that is measured, this program is the load.
    if let Ok(order) = std::env::var(bench::load::ORDER) {
        return bench::load::run(&order);
    }
    let outcome = match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Experiments(place) => experiment::list(&place),
        Command::Experiment(options) => experiment::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("picoinit: {error:#}");
            ExitCode::FAILURE
        }
    }
}
