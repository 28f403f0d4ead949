//! The service's own sections.

use factline_codec::RegistrySettings;
use factline_core::heartbeat::HeartbeatSettings;
use factline_kafka::KafkaSettings;
use factline_log::LogSettings;
use factline_relay::RelaySettings;
use serde::Deserialize;
use service_kit::settings::{SettingsProblem, Validate, in_section};

/// What a process does; one binary scales by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Takes commands and answers history.
    Http,
    /// Sends the log to Kafka.
    Relay,
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
        if self.roles.is_empty() {
            problems.push(SettingsProblem::new("roles", "must name at least one role"));
        }
        problems
    }
}
