//! `factline`: what an operator asks of the system.
//!
//! In flow the addresses of the log, of Kafka and of every service; out flow answers for a person,
//! or with `--json` for a program. Nothing is
//! changed, except by a verb that says so: `schemas push --apply`, `dlq retry --yes`, `dlq skip`,
//! `relay reset --yes`, `saga retry`, `skip` and `compensate`, and those of `projection` that begin or end a rebuild or say where to begin.

mod dlq;
mod events;
mod failure;
mod projection;
mod relay;
mod saga;
mod schemas;
mod settings;
mod sources;
mod status;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use failure::Failure;
use sources::Sources;

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Asks the system how it is",
    after_help = "Addresses come from the demo's stack (target/stack/demo/stack.json, here or in a \
                  folder above), or from --stack or FACTLINE_STACK; --config and then the \
                  environment (FACTLINE__SECTION__KEY) and --set override them. `factline settings` \
                  shows what is in force."
)]
struct Cli {
    #[command(flatten)]
    addresses: Addresses,
    #[command(subcommand)]
    verb: Verb,
}

/// Where to find the system.
#[derive(Debug, Clone, Args)]
struct Addresses {
    /// A TOML file of addresses, instead of a stack's
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The record of a local stack: target/stack/NAME/stack.json
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "FACTLINE_STACK",
        hide_env_values = true
    )]
    stack: Option<PathBuf>,
    /// One setting, such as log.url=postgres://… or services.alerter=http://…
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Services, positions, lag, what is parked
    Status(status::Args),
    /// The log's events
    Events(events::Args),
    /// What could not be applied
    #[command(subcommand)]
    Dlq(dlq::Verb),
    /// Views, and rebuilding one beside itself
    #[command(subcommand)]
    Projection(projection::Verb),
    /// Processes over several aggregates, and what to do about one
    #[command(subcommand)]
    Saga(saga::Verb),
    /// Where the relay is to go on
    #[command(subcommand)]
    Relay(relay::Verb),
    /// Whether store, topic and every projection hold the same events; exit code 1 if not
    Verify(verify::Args),
    /// The repository's schemas, by themselves and beside a registry's
    #[command(subcommand)]
    Schemas(schemas::Verb),
    /// The settings in force, secrets redacted
    Settings,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("factline: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Whether the answer is a good one.
fn run(cli: Cli) -> Result<bool, Failure> {
    let loaded = settings::load(&cli.addresses)?;
    if matches!(cli.verb, Verb::Settings) {
        println!("{}", loaded.effective().trim_end());
        return Ok(true);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Verb::Schemas(verb) = &cli.verb {
            return schemas::run(verb, &loaded.settings).await;
        }
        let sources = Sources::new(loaded.settings)?;
        match cli.verb {
            Verb::Status(args) => status::run(&args, &sources).await,
            Verb::Events(args) => events::run(&args, &sources).await,
            Verb::Dlq(verb) => dlq::run(&verb, &sources).await,
            Verb::Projection(verb) => projection::run(&verb, &sources).await,
            Verb::Saga(verb) => saga::run(&verb, &sources).await,
            Verb::Relay(verb) => relay::run(&verb, &sources).await,
            Verb::Verify(args) => verify::run(&args, &sources).await,
            Verb::Schemas(_) | Verb::Settings => Ok(true), // answered above
        }
    })
}
