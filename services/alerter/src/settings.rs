//! The service's own sections; `config.toml` lists every key.

use serde::Deserialize;
use service_kit::settings::{SettingsProblem, Validate, within};

use crate::{
    email::EmailSettings, rules::Rules, watching::WatchSettings, webhook::WebhookSettings,
};

read_kit::service_settings! {
    /// Everything but what every service has.
    pub struct Settings of Role {
        /// What is judged, and how it is told.
        pub rules: Rules,
        /// How much is told.
        pub alerts: AlertSettings,
        /// Whose figures are judged.
        pub watch: WatchSettings,
        /// Where alerts are told.
        pub webhook: WebhookSettings,
        /// How mail is sent.
        pub email: EmailSettings,
    }
}

/// What a process does; one binary scales by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Judges events and figures, and opens and resolves episodes.
    Watch,
    /// Tells alerts over the channels, and sends the reactions' mail.
    Deliver,
    /// Makes mail to customers of what happens to their orders.
    React,
    /// Answers what is going on, and takes silences and acknowledgements.
    Query,
}

/// `[alerts]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertSettings {
    /// Messages that one channel begins in a minute.
    pub most_per_minute: u32,
    /// How often the webhook is told that all is well; 0: never.
    pub heartbeat_every_ms: u64,
}

impl Validate for AlertSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        const DAY_MS: u64 = 24 * 3_600_000;
        let mut problems =
            Vec::from_iter(within("most_per_minute", self.most_per_minute, 2..=100_000));
        // A switch that is thrown after more than a day is none; below a second it is a load.
        let every = self.heartbeat_every_ms;
        problems.extend(
            (every != 0).then(|| within("heartbeat_every_ms", every, 1_000..=DAY_MS)).flatten(),
        );
        problems
    }
}

/// The committed defaults, for tests of this crate.
#[cfg(test)]
pub(crate) fn defaults() -> Settings {
    let loaded =
        service_kit::settings::load_service::<Settings>(include_str!("../config.toml"), None, []);
    loaded.unwrap().settings.1
}

#[cfg(test)]
mod tests {
    use factline_projection::ProjectionSettings;
    use service_kit::settings::load_service;

    use super::*;

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
            ("FACTLINE__ALERTS__MOST_PER_MINUTE", "0"),
            ("FACTLINE__WEBHOOK__CONCURRENCY", "0"),
        ];
        let bad = bad.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let problems = load_service::<Settings>(include_str!("../config.toml"), None, bad);
        let problems = problems.unwrap_err().to_string();
        for key in ["roles", "alerts.most_per_minute", "webhook.concurrency"] {
            assert!(problems.contains(&format!("\n  {key}: ")), "{key}: {problems}");
        }
    }

    fn problems_of(url: &str, secret: &str, allow_insecure: &str) -> String {
        let given = [
            ("FACTLINE__WEBHOOK__URL", url),
            ("FACTLINE__WEBHOOK__SECRET", secret),
            ("FACTLINE__WEBHOOK__ALLOW_INSECURE", allow_insecure),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let loaded = load_service::<Settings>(include_str!("../config.toml"), None, given);
        loaded.err().map(|problems| problems.to_string()).unwrap_or_default()
    }

    /// 24 bytes: the shortest that is allowed.
    const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

    #[test]
    fn c14_a_webhook_over_http_or_to_an_internal_address_is_refused_at_load() {
        for url in ["http://example.com/hook", "https://10.0.0.7/hook", "https://[::1]/", "nowhere"]
        {
            let problems = problems_of(url, SECRET, "false");
            assert!(problems.contains("webhook.url: "), "{url}: {problems:?}");
        }
        assert_eq!(problems_of("http://127.0.0.1:9/hook", SECRET, "true"), "", "the local profile");
        assert_eq!(problems_of("", "", "false"), "", "no webhook at all");
    }

    #[test]
    fn c14_a_short_or_malformed_secret_is_refused_at_load_and_never_shown() {
        let short = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY="; // 23 bytes
        for secret in ["", short, "whsec_not base64", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"] {
            let problems = problems_of("http://127.0.0.1:9/hook", secret, "true");
            assert!(problems.contains("webhook.secret: "), "{secret}: {problems:?}");
            assert!(secret.is_empty() || !problems.contains(secret), "{problems}");
        }
    }
}
