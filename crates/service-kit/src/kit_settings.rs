//! The sections of a service's settings that this crate owns.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::{
    http::HttpSettings,
    settings::{SettingsProblem, Validate, in_section, within},
    telemetry::TelemetrySettings,
};

/// `[http] [admin] [telemetry] [shutdown]`. `service-kit/config.toml` lists every key; a service's
/// own default file repeats it with its own ports.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KitSettings {
    /// The public HTTP server.
    pub http: HttpSettings,
    /// The operators' HTTP server.
    pub admin: AdminSettings,
    /// Logs.
    pub telemetry: TelemetrySettings,
    /// How long stopping may take.
    pub shutdown: ShutdownSettings,
}

impl KitSettings {
    pub(crate) const SECTIONS: [&'static str; 4] = ["http", "admin", "telemetry", "shutdown"];
}

impl Validate for KitSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let mut problems = in_section("http", self.http.validate());
        problems.extend(in_section("telemetry", self.telemetry.validate()));
        problems.extend(in_section("shutdown", self.shutdown.validate()));
        problems
    }
}

/// Liveness, readiness and metrics, on a port that is not public.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSettings {
    /// Address and port; port 0 means any free one.
    pub listen: SocketAddr,
}

/// Stopping.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownSettings {
    /// How long requests in flight may still run.
    pub drain_ms: u64,
    /// How long consumers, relays and the like may then take to finish what they hold.
    pub finish_ms: u64,
}

impl Validate for ShutdownSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        // An hour: no orchestrator waits longer, so a larger number is a slip of the unit.
        [
            within("drain_ms", self.drain_ms, 0..=3_600_000),
            within("finish_ms", self.finish_ms, 100..=3_600_000),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::load_from;

    #[test]
    fn the_reference_file_lists_exactly_the_keys_that_exist() {
        let loaded = load_from::<KitSettings>(include_str!("../config.toml"), None, []);
        loaded.unwrap_or_else(|problems| panic!("{problems}"));
    }
}
