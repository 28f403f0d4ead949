//! The service's own sections; `config.toml` lists every key.

use serde::Deserialize;
use service_kit::settings::{Secret, SettingsProblem, Validate, within};

use crate::{destination, signature::SigningKey};

read_kit::service_settings! {
    /// Everything but what every service has.
    pub struct Settings of Role {
        /// Where alerts are told.
        pub webhook: WebhookSettings,
        /// When alerts are told.
        pub alerts: AlertSettings,
    }
}

/// What a process does; one binary scales by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Keeps the view that alerts are judged on, and opens and resolves episodes.
    Watch,
    /// Posts what is due to the webhook.
    Deliver,
    /// Answers what is going on.
    Query,
}

/// `[alerts]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertSettings {
    /// The least time between two episodes of one subject being told.
    pub cooldown_ms: u64,
}

/// `[webhook]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where alerts are posted; empty: nowhere.
    pub url: String,
    /// `whsec_` and the key in base64.
    pub secret: Secret,
    /// Allow http and internal addresses.
    pub allow_insecure: bool,
    /// How long a receiver may take to answer.
    pub timeout_ms: u64,
    /// How often due deliveries are looked for.
    pub poll_ms: u64,
    /// Deliveries posted at once.
    pub concurrency: usize,
    /// The first wait after a failed attempt; it doubles from here.
    pub retry_first_ms: u64,
    /// The longest such wait.
    pub retry_most_ms: u64,
    /// Attempts before a delivery is abandoned.
    pub max_attempts: u32,
}

impl Validate for WebhookSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        const HOUR_MS: u64 = 3_600_000;
        let mut problems: Vec<_> = [
            within("timeout_ms", self.timeout_ms, 1..=60_000), // no honest receiver needs a minute
            within("poll_ms", self.poll_ms, 10..=HOUR_MS),
            within("concurrency", self.concurrency, 1..=64),
            within("retry_first_ms", self.retry_first_ms, 1..=self.retry_most_ms.max(1)),
            within("retry_most_ms", self.retry_most_ms, 1..=24 * HOUR_MS),
            within("max_attempts", self.max_attempts, 1..=10_000),
        ]
        .into_iter()
        .flatten()
        .collect();
        if self.url.is_empty() {
            return problems;
        }
        if let Err(error) = destination::check(&self.url, self.allow_insecure) {
            problems.push(SettingsProblem::new("url", error.to_string()));
        }
        if let Err(error) = SigningKey::parse(&self.secret) {
            problems.push(SettingsProblem::new("secret", error.to_string()));
        }
        problems
    }
}

impl Validate for AlertSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        // A month: a subject that is silent for longer would be taken for healthy.
        Vec::from_iter(within("cooldown_ms", self.cooldown_ms, 0..=2_592_000_000))
    }
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
            ("FACTLINE__ALERTS__COOLDOWN_MS", "2592000001"),
            ("FACTLINE__WEBHOOK__CONCURRENCY", "0"),
        ];
        let bad = bad.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let problems = load_service::<Settings>(include_str!("../config.toml"), None, bad);
        let problems = problems.unwrap_err().to_string();
        for key in ["roles", "alerts.cooldown_ms", "webhook.concurrency"] {
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
