//! The five things a stack is made of.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the five processes of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// Apache Kafka: broker and controller in one process.
    Kafka,
    /// Apicurio Registry, used through its Confluent API.
    Registry,
    /// PostgreSQL.
    Postgres,
    /// Redis, without persistence.
    Redis,
    /// GreenMail: an SMTP server that keeps what it is sent, and shows it over HTTP.
    Mail,
}

impl Component {
    /// All of them, slowest start first.
    pub const ALL: [Component; 5] = [
        Component::Registry,
        Component::Kafka,
        Component::Mail,
        Component::Postgres,
        Component::Redis,
    ];

    /// The name in commands, folders and log files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Component::Kafka => "kafka",
            Component::Registry => "registry",
            Component::Postgres => "postgres",
            Component::Redis => "redis",
            Component::Mail => "mail",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Component {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Component::ALL.into_iter().find(|component| component.name() == text).ok_or_else(|| {
            format!("no component is called {text:?}: kafka, registry, postgres, redis, mail")
        })
    }
}

/// What a component's process is doing, as the operating system sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComponentState {
    /// Our process runs.
    Running(u32),
    /// Our process exists and is stopped by a signal ([`crate::Stack::pause`]).
    Paused(u32),
    /// There is no process of ours.
    Stopped,
    /// Given from outside by an environment variable.
    External,
}

/// One line of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentStatus {
    /// Which one.
    pub component: Component,
    /// What its process is doing.
    pub state: ComponentState,
    /// Whether it answered a request just now (asked only of running and external ones).
    pub answers: bool,
    /// Where clients reach it.
    pub address: String,
    /// Its log of this run; absent for an external component.
    pub log: Option<PathBuf>,
}
