//! The project's own commands: `cargo xtask <command>`.

mod building;
mod commands;
mod failure;
mod interrupt;
mod progress;
mod session;
mod stack_args;
mod strays;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about = "Factline's own commands", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run six days of a real shop's invoices through the whole system, and show what came of it
    Demo(commands::demo::Args),
    /// Run every test against a stack of its own
    Test(commands::test::Args),
    /// Measure the system beside the raw limits of its parts
    Bench(commands::bench::Args),
    /// Run the system under faults from a seed, and prove what is left of it
    Faults(commands::faults::Args),
    /// Hold every service against its OpenAPI document, with made-up requests
    Schemathesis(commands::schemathesis::Args),
    /// Check format, boundaries, schemas, documents, lints
    Check(commands::check::Args),
    /// Start Kafka, the registry, PostgreSQL and Redis, or whatever of them is missing
    Up(commands::up::Args),
    /// End a stack's processes; its data stays
    Down(commands::down::Args),
    /// Show what runs, where it is and whether it answers
    Status(commands::status::Args),
    /// Show a component's log
    Logs(commands::logs::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_told() {
                eprintln!("error: {failure}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => commands::demo::run(&args),
        Command::Test(args) => commands::test::run(&args),
        Command::Bench(args) => commands::bench::run(&args),
        Command::Faults(args) => commands::faults::run(&args),
        Command::Schemathesis(args) => commands::schemathesis::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::Up(args) => commands::up::run(&args),
        Command::Down(args) => commands::down::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Logs(args) => commands::logs::run(&args),
    }
}
