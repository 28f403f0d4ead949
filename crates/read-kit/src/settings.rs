//! The sections that every read service has; the service's own `config.toml` lists every key.

use factline_codec::RegistrySettings;
use factline_core::heartbeat::HeartbeatSettings;
use factline_kafka::KafkaSettings;
use factline_projection::ProjectionSettings;
use serde::Deserialize;
use service_kit::settings::{SettingsProblem, Validate, in_section, required, within};

use crate::redis::redis_url_problem;

/// What every read service has, beside what every service has. `R` is what the service calls its roles,
/// where they are others than [`Role`]. Read as a part of what
/// [`service_settings!`](crate::service_settings) declares.
#[derive(Debug, Clone)]
pub struct ReadSettings<R = Role> {
    /// What this process does; at least one thing.
    pub roles: Vec<R>,
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
    /// How often one is to come.
    pub heartbeat: HeartbeatSettings,
}

/// Declares a service's settings: the sections of [`ReadSettings`] and its own beside them, each of which
/// validates itself. Nesting them instead (serde's `flatten`) would lose which key an error is about.
#[macro_export]
macro_rules! service_settings {
    ($(#[$meta:meta])* pub struct $name:ident of $role:ty {
        $($(#[$own_meta:meta])* pub $own:ident: $section:ty,)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// What this process does.
            pub roles: Vec<$role>,
            /// The read model's database.
            pub database: $crate::sections::DatabaseSettings,
            /// Where missing positions are read.
            pub history: $crate::sections::HistorySettings,
            /// Where events come from.
            pub kafka: $crate::sections::KafkaSettings,
            /// Where unknown schemas are asked for.
            pub registry: $crate::sections::RegistrySettings,
            /// How projections work.
            pub projection: $crate::sections::ProjectionSettings,
            /// How queries are answered.
            pub query: $crate::sections::QuerySettings,
            /// How often a heartbeat is to come.
            pub heartbeat: $crate::sections::HeartbeatSettings,
            $($(#[$own_meta])* pub $own: $section,)+
        }

        impl $name {
            /// The part that every read service has.
            #[must_use]
            pub fn read(&self) -> $crate::ReadSettings<$role> {
                let Self {
                    roles, database, history, kafka, registry, projection, query, heartbeat, $($own: _),+
                } = self.clone();
                $crate::ReadSettings {
                    roles, database, history, kafka, registry, projection, query, heartbeat,
                }
            }
        }

        impl service_kit::settings::Validate for $name {
            fn validate(&self) -> Vec<service_kit::settings::SettingsProblem> {
                use service_kit::settings::{Validate, in_section};

                let mut problems = Validate::validate(&self.read());
                $(problems.extend(in_section(stringify!($own), Validate::validate(&self.$own)));)+
                problems
            }
        }
    };
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
    /// The service's own database; required.
    pub url: String,
    /// Connections for queries, 1 to 100.
    pub max_connections: u32,
}

/// `[history]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistorySettings {
    /// The log's database as a role that may only read; empty: there is none.
    pub url: String,
    /// Connections to it, 1 to 100.
    pub max_connections: u32,
}

/// `[query]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuerySettings {
    /// How long a query waits for what its caller has written, 0 to 30,000.
    pub consistency_wait_ms: u64,
}

/// `[cache]`; not a part of [`ReadSettings`], as few services have expensive queries.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSettings {
    /// The Redis that keeps answers; empty: nothing is kept.
    pub redis_url: String,
    /// Put before every key.
    pub key_prefix: String,
    /// How long a query waits for Redis, 1 to 1,000.
    pub answer_within_ms: u64,
    /// How long an answer is kept, 1,000 to 3,600,000.
    pub keep_for_ms: u64,
    /// How long Redis is left alone once it keeps failing, 10 to 60,000.
    pub pause_ms: u64,
}

impl<R: PartialEq> ReadSettings<R> {
    /// Whether this process has a role.
    #[must_use]
    pub fn plays(&self, role: R) -> bool {
        self.roles.contains(&role)
    }
}

impl<R> Validate for ReadSettings<R> {
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
        let told = |problems: Vec<(&'static str, String)>| {
            problems.into_iter().map(|(key, detail)| SettingsProblem::new(key, detail)).collect()
        };
        problems.extend(in_section("kafka", told(self.kafka.problems())));
        problems.extend(in_section("heartbeat", told(self.heartbeat.problems())));
        problems.extend(self.projection.problems().into_iter().map(|text| {
            let (key, detail) = text.split_once(' ').unwrap_or((&text, ""));
            SettingsProblem::new(key, detail)
        }));
        problems
    }
}

impl Validate for CacheSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let mut problems: Vec<_> = [
            // Who would wait longer than a second for a cache is better off without one.
            within("answer_within_ms", self.answer_within_ms, 1..=1_000),
            // Old positions are never asked for again, so an hour is memory for nothing.
            within("keep_for_ms", self.keep_for_ms, 1_000..=3_600_000),
            // Shorter is no rest; longer and a Redis that is back is of no use.
            within("pause_ms", self.pause_ms, 10..=60_000),
        ]
        .into_iter()
        .flatten()
        .collect();
        problems.extend(redis_url_problem(&self.redis_url));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sections that have no problem.
    fn sections() -> ReadSettings {
        let url = || "postgres://localhost/parcels".to_owned();
        ReadSettings {
            roles: vec![Role::Project, Role::Query],
            database: DatabaseSettings { url: url(), max_connections: 8 },
            history: HistorySettings { url: String::new(), max_connections: 2 },
            kafka: KafkaSettings::default(),
            registry: RegistrySettings { url: url(), timeout_ms: 5_000, auto_register: false },
            projection: ProjectionSettings::default(),
            query: QuerySettings { consistency_wait_ms: 2_000 },
            heartbeat: HeartbeatSettings { every_ms: 30_000 },
        }
    }

    fn keys(settings: &ReadSettings) -> Vec<String> {
        settings.validate().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn c01_every_problem_is_reported_together() {
        assert_eq!(keys(&sections()), [""; 0]);
        let mut bad = sections();
        bad.roles.clear();
        bad.database = DatabaseSettings { url: " ".to_owned(), max_connections: 0 };
        bad.history.max_connections = 101;
        bad.kafka.brokers.clear();
        bad.heartbeat.every_ms = 1;
        bad.registry.url.clear();
        bad.projection.workers = 0;
        bad.query.consistency_wait_ms = 30_001;
        assert_eq!(
            keys(&bad),
            [
                "roles",
                "database.url",
                "registry.url",
                "database.max_connections",
                "history.max_connections",
                "query.consistency_wait_ms",
                "kafka.brokers",
                "heartbeat.every_ms",
                "projection.workers",
            ]
        );
    }

    #[test]
    fn c01_every_problem_of_a_cache_is_reported_together() {
        let redis_url = "redis://127.0.0.1:6379".to_owned();
        let good = CacheSettings {
            redis_url,
            key_prefix: String::new(),
            answer_within_ms: 50,
            keep_for_ms: 60_000,
            pause_ms: 5_000,
        };
        let keys = |settings: &CacheSettings| -> Vec<String> {
            settings.validate().into_iter().map(|problem| problem.key).collect()
        };
        assert_eq!(keys(&good), [""; 0]);
        assert_eq!(
            keys(&CacheSettings { redis_url: String::new(), ..good.clone() }),
            [""; 0],
            "off"
        );
        let redis_url = "http://127.0.0.1".to_owned();
        let bad =
            CacheSettings { redis_url, answer_within_ms: 0, keep_for_ms: 0, pause_ms: 0, ..good };
        assert_eq!(keys(&bad), ["answer_within_ms", "keep_for_ms", "pause_ms", "redis_url"]);
    }

    #[test]
    fn a_process_plays_the_roles_that_it_was_given() {
        let settings = ReadSettings { roles: vec![Role::Query], ..sections() };
        assert!(settings.plays(Role::Query) && !settings.plays(Role::Project));
    }
}
