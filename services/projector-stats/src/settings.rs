//! The service's own sections; `config.toml` lists every key.

use factline_codec::RegistrySettings;
use factline_kafka::KafkaSettings;
use factline_projection::ProjectionSettings;
use serde::Deserialize;
use service_kit::settings::{SettingsProblem, Validate, in_section, required, within};

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
    /// How the projection works.
    pub projection: ProjectionSettings,
    /// How queries are answered.
    pub query: QuerySettings,
}

/// What a process does; one binary scales by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes events into the views.
    Project,
    /// Answers queries from the views.
    Query,
}

/// `[database]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// The service's own database.
    pub url: String,
    /// Connections for queries.
    pub max_connections: u32,
}

/// `[history]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistorySettings {
    /// The log's database as a role that may only read; empty: there is none.
    pub url: String,
    /// Connections to it.
    pub max_connections: u32,
}

/// `[query]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuerySettings {
    /// How long a query waits for what its caller has written.
    pub consistency_wait_ms: u64,
}

impl Settings {
    /// Whether this process has a role.
    #[must_use]
    pub fn plays(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

impl Validate for Settings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let mut problems = Vec::new();
        if self.roles.is_empty() {
            problems.push(SettingsProblem::new("roles", "must name at least one role"));
        }
        problems.extend(required("database.url", &self.database.url));
        problems.extend(required("registry.url", &self.registry.url));
        // Postgres takes 100 connections by default; a process that wants more is a slip.
        let connections = 1..=100;
        for (key, count) in [
            ("database.max_connections", self.database.max_connections),
            ("history.max_connections", self.history.max_connections),
        ] {
            problems.extend(within(key, count, connections.clone()));
        }
        // A caller that waits longer is better told to come back.
        let wait = self.query.consistency_wait_ms;
        problems.extend(within("query.consistency_wait_ms", wait, 0..=30_000));
        let kafka = self.kafka.problems().into_iter();
        let kafka = kafka.map(|(key, detail)| SettingsProblem::new(key, detail)).collect();
        problems.extend(in_section("kafka", kafka));
        problems.extend(self.projection.problems().into_iter().map(|text| {
            let (key, detail) = text.split_once(' ').unwrap_or((&text, ""));
            SettingsProblem::new(key, detail)
        }));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_kit::settings::load_service;

    #[test]
    fn the_reference_file_lists_exactly_the_keys_that_exist() {
        let loaded = load_service::<Settings>(include_str!("../config.toml"), None, []);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        let (_, own) = loaded.settings;
        let defaults = ProjectionSettings::default();
        assert_eq!(own.projection, defaults, "the file and the code state the same defaults");
    }

    #[test]
    fn c01_every_problem_is_reported_together() {
        let bad = [
            ("FACTLINE__ROLES", "[]"),
            ("FACTLINE__DATABASE__URL", ""),
            ("FACTLINE__KAFKA__BROKERS", ""),
            ("FACTLINE__PROJECTION__WORKERS", "0"),
        ];
        let bad = bad.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let problems = load_service::<Settings>(include_str!("../config.toml"), None, bad);
        let problems = problems.unwrap_err().to_string();
        for key in ["roles", "database.url", "kafka.brokers", "projection.workers"] {
            assert!(problems.contains(&format!("\n  {key}: ")), "{key}: {problems}");
        }
    }
}
