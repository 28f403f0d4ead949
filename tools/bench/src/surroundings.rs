//! What a bench finds around it: the stack, the programs, the checkout.

use std::path::{Path, PathBuf};

use bench_load::{Meter, ProcessTree};
use factline_log::LogSettings;
use local_stack::{Addresses, Component, StackRecord};
use serde::Deserialize;

use crate::failure::Failure;

/// The write side's committed defaults: what is measured is what a user gets.
const COMMAND_API: &str = include_str!("../../../services/command-api/config.toml");

/// Everything that was there before the bench.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) addresses: Addresses,
    /// The folder for logs and address files.
    pub(crate) scratch: PathBuf,
    programs: PathBuf,
    pub(crate) postgres_pid: u32,
    kafka_pid: Option<u32>,
}

#[derive(Deserialize)]
struct Defaults {
    log: LogSettings,
}

impl Surroundings {
    /// Reads `FACTLINE_STACK` and `FACTLINE_PROGRAMS`.
    ///
    /// # Errors
    /// They are not set, or the stack has no PostgreSQL of its own, whose CPU time could be read.
    pub(crate) fn find() -> Result<Surroundings, Failure> {
        let variable = |name: &str| {
            let value = std::env::var_os(name).map(PathBuf::from);
            let told = || format!("{name} is not set: run the benches through `cargo xtask bench`");
            value.ok_or_else(|| Failure::new(told()))
        };
        let (stack, programs) = (variable("FACTLINE_STACK")?, variable("FACTLINE_PROGRAMS")?);
        let root = stack.parent().unwrap_or(Path::new("")).to_owned();
        let record = StackRecord::read(&root).map_err(|error| Failure::new(error.to_string()))?;
        let told = || Failure::new(format!("{} describes no stack", stack.display()));
        let record = record.ok_or_else(told)?;
        let postgres = record.processes.get(&Component::Postgres);
        let told = "a PostgreSQL from outside cannot be measured: its CPU time is not to be seen";
        let postgres_pid = postgres.ok_or_else(|| Failure::new(told))?.pid;
        let kafka_pid = record.processes.get(&Component::Kafka).map(|kafka| kafka.pid);
        let addresses = record.addresses;
        Ok(Surroundings { addresses, scratch: root, programs, postgres_pid, kafka_pid })
    }

    /// A program that was built for this run.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The CPU time of this program and of PostgreSQL.
    pub(crate) fn meter(&self) -> Meter {
        Meter::new(vec![ProcessTree::own("bench"), self.postgres()])
    }

    /// The CPU time of this program, of PostgreSQL and of Kafka, where it is ours.
    pub(crate) fn meter_with_kafka(&self) -> Meter {
        let ours = [ProcessTree::own("bench"), self.postgres()];
        Meter::new(ours.into_iter().chain(self.kafka()).collect())
    }

    /// Kafka, where it is ours.
    pub(crate) fn kafka(&self) -> Option<ProcessTree> {
        self.kafka_pid.map(|pid| ProcessTree::of("kafka", pid))
    }

    /// PostgreSQL with its backends.
    pub(crate) fn postgres(&self) -> ProcessTree {
        ProcessTree::of("postgres", self.postgres_pid)
    }

    /// The log's settings as they are committed, with another database.
    ///
    /// # Errors
    /// The committed defaults do not read.
    pub(crate) fn log_settings(owner_url: &str) -> Result<LogSettings, Failure> {
        let defaults: Defaults = toml::from_str(COMMAND_API)
            .map_err(|error| Failure::new(format!("the defaults of command-api: {error}")))?;
        let url = owner_url.replace("//postgres@", "//factline_log_writer@");
        Ok(LogSettings { url, owner_url: owner_url.to_owned(), ..defaults.log })
    }
}

/// The checkout that this program was built from.
pub(crate) fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}
