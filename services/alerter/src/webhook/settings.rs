//! `[webhook]`; `config.toml` lists every key.

use serde::Deserialize;
use service_kit::settings::{Secret, SettingsProblem, Validate};

use super::{destination, signature::Signer};
use crate::{outbox::pace::Pace, tls};

/// `[webhook]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where alerts are posted; empty: nowhere.
    pub url: String,
    /// `whsec_` and the key in base64; several sign at once.
    pub secret: Secret,
    /// Authorities beside the public ones, in PEM; empty: none.
    pub ca_file: String,
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

impl WebhookSettings {
    /// How deliveries are tried.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        Pace {
            timeout_ms: self.timeout_ms,
            poll_ms: self.poll_ms,
            concurrency: self.concurrency,
            retry_first_ms: self.retry_first_ms,
            retry_most_ms: self.retry_most_ms,
            max_attempts: self.max_attempts,
        }
    }
}

impl Validate for WebhookSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        let mut problems = self.pace().problems();
        problems.extend(tls::ca_file_problem(&self.ca_file));
        if self.url.is_empty() {
            return problems;
        }
        if let Err(error) = destination::check(&self.url, self.allow_insecure) {
            problems.push(SettingsProblem::new("url", error.to_string()));
        }
        if let Err(error) = Signer::parse(&self.secret) {
            problems.push(SettingsProblem::new("secret", error.to_string()));
        }
        problems
    }
}
