//! The service's own sections; `config.toml` lists every key.

use factline_codec::RegistrySettings;
use factline_core::heartbeat::HeartbeatSettings;
use factline_kafka::KafkaSettings;
use factline_projection::ProjectionSettings;
use read_kit::{
    CacheSettings, DatabaseSettings, HistorySettings, QuerySettings, ReadSettings, Role,
};
use serde::Deserialize;
use service_kit::settings::{SettingsProblem, Validate, in_section};

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
    /// Where answers of expensive queries are kept.
    pub cache: CacheSettings,
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
            cache: _,
        } = self.clone();
        ReadSettings { roles, database, history, kafka, registry, projection, query, heartbeat }
    }
}

impl Validate for Settings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let mut problems = self.read().validate();
        problems.extend(in_section("cache", self.cache.validate()));
        problems
    }
}
