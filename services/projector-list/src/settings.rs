//! The service's own sections; `config.toml` lists every key.

use read_kit::{Role, redis_url_problem};
use serde::Deserialize;
use service_kit::settings::{SettingsProblem, Validate, within};

read_kit::service_settings! {
    /// Everything but what every service has.
    pub struct Settings of Role {
        /// How events are told as they happen.
        pub live: LiveSettings,
    }
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
        problems.extend(redis_url_problem(&self.redis_url));
        problems
    }
}
