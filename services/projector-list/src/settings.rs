//! The service's own sections; `config.toml` lists every key.

use factline_codec::RegistrySettings;
use factline_core::heartbeat::HeartbeatSettings;
use factline_kafka::KafkaSettings;
use factline_projection::ProjectionSettings;
use read_kit::{DatabaseSettings, HistorySettings, QuerySettings, ReadSettings, Role};
use serde::Deserialize;
use service_kit::settings::{SettingsProblem, Validate, in_section, within};

/// Everything but what every service has.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What this process does.
    pub roles: Vec<Role>,
    /// The read model's database.
    pub database: DatabaseSettings,
    /// Where missing positions are read.
    pub history: HistorySettings,
    /// Where events come from.
    pub kafka: KafkaSettings,
    /// Where unknown schemas are asked for.
    pub registry: RegistrySettings,
    /// How projections work.
    pub projection: ProjectionSettings,
    /// How queries are answered.
    pub query: QuerySettings,
    /// How often a heartbeat is to come.
    pub heartbeat: HeartbeatSettings,
    /// How events are told as they happen.
    pub live: LiveSettings,
}

/// `[live]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveSettings {
    /// The Redis that the feed goes through; empty: there is no feed.
    pub redis_url: String,
    /// Put before every key and channel.
    pub key_prefix: String,
    /// About so many events of each kind are kept for callers that come back.
    pub keep_events: u32,
    /// Callers that listen at once.
    pub max_clients: usize,
    /// How often a silent feed says that it is there.
    pub heartbeat_ms: u64,
}

impl Settings {
    /// The part that every read service has.
    #[must_use]
    pub fn read(&self) -> ReadSettings {
        let Self {
            roles,
            database,
            history,
            kafka,
            registry,
            projection,
            query,
            heartbeat,
            live: _,
        } = self.clone();
        ReadSettings { roles, database, history, kafka, registry, projection, query, heartbeat }
    }
}

impl Validate for LiveSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let mut problems: Vec<_> = [
            within("keep_events", self.keep_events, 1..=1_000_000),
            within("max_clients", self.max_clients, 1..=100_000),
            within("heartbeat_ms", self.heartbeat_ms, 100..=60_000), // proxies cut after a minute
        ]
        .into_iter()
        .flatten()
        .collect();
        if !self.redis_url.is_empty() && redis::Client::open(&*self.redis_url).is_err() {
            problems.push(SettingsProblem::new("redis_url", "is not redis://host:port"));
        }
        problems
    }
}

impl Validate for Settings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let mut problems = self.read().validate();
        problems.extend(in_section("live", self.live.validate()));
        problems
    }
}
