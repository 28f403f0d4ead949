//! The service's own sections.

use factline_codec::RegistrySettings;
use factline_core::heartbeat::HeartbeatSettings;
use factline_kafka::KafkaSettings;
use factline_log::LogSettings;
use factline_projection::ProjectionSettings;
use factline_relay::RelaySettings;
use factline_saga::SagaSettings;
use read_kit::DatabaseSettings;
use serde::Deserialize;
use service_kit::settings::{SettingsProblem, Validate, in_section, required, within};

/// What a process does; one binary scales by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Takes commands and answers history.
    Http,
    /// Sends the log to Kafka.
    Relay,
    /// Carries orders through: reacts to events with commands.
    Saga,
}

/// See `config.toml`, which lists every key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub(crate) roles: Vec<Role>,
    pub(crate) log: LogSettings,
    pub(crate) kafka: KafkaSettings,
    pub(crate) registry: RegistrySettings,
    pub(crate) relay: RelaySettings,
    pub(crate) heartbeat: HeartbeatSettings,
    pub(crate) inline: InlineSection,
    pub(crate) projection: ProjectionSettings,
    pub(crate) saga: SagaSection,
}

/// `[inline]`: the views that are part of the appends.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InlineSection {
    pub(crate) stock_levels: bool,
}

/// `[saga]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SagaSection {
    pub(crate) database: DatabaseSettings,
    pub(crate) payment_timeout_ms: u64,
    concurrency: u32,
    dispatchers: u32,
    decide_within_ms: u64,
    poll_ms: u64,
    retry_first_ms: u64,
    retry_most_ms: u64,
    stuck_after_ms: u64,
}

impl SagaSection {
    /// The part that has nothing to do with orders.
    pub(crate) fn runtime(&self) -> SagaSettings {
        SagaSettings {
            concurrency: self.concurrency,
            dispatchers: self.dispatchers,
            decide_within_ms: self.decide_within_ms,
            poll_ms: self.poll_ms,
            retry_first_ms: self.retry_first_ms,
            retry_most_ms: self.retry_most_ms,
            stuck_after_ms: self.stuck_after_ms,
        }
    }
}

impl Validate for SagaSection {
    fn validate(&self) -> Vec<SettingsProblem> {
        let runtime = self.runtime();
        let mut problems: Vec<_> = (runtime.problems().into_iter())
            .map(|(key, detail)| SettingsProblem::new(key, detail))
            .collect();
        // Each dispatcher needs a connection; timers, acts and refunds need some more.
        let connections = u64::from(self.database.max_connections);
        let least = u64::from(self.dispatchers) + 2;
        problems.extend(within("database.max_connections", connections, least..=100));
        // From what a test waits for to a year: beyond that nobody means it.
        let a_year_ms = 366 * 24 * 3_600_000;
        problems.extend(within("payment_timeout_ms", self.payment_timeout_ms, 1..=a_year_ms));
        problems
    }
}

impl Validate for Settings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let told = |problems: Vec<(&'static str, String)>| {
            problems.into_iter().map(|(key, detail)| SettingsProblem::new(key, detail)).collect()
        };
        let mut problems = in_section("log", told(self.log.problems()));
        problems.extend(in_section("kafka", told(self.kafka.problems())));
        problems.extend(in_section("relay", told(self.relay.problems())));
        problems.extend(in_section("heartbeat", told(self.heartbeat.problems())));
        problems.extend(self.projection.problems().into_iter().map(|text| {
            let (key, detail) = text.split_once(' ').unwrap_or((&text, ""));
            SettingsProblem::new(key, detail)
        }));
        problems.extend(in_section("saga", self.saga.validate()));
        if self.roles.contains(&Role::Saga) {
            problems.extend(required("saga.database.url", &self.saga.database.url));
        }
        if self.roles.is_empty() {
            problems.push(SettingsProblem::new("roles", "must name at least one role"));
        }
        problems
    }
}
