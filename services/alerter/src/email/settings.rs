//! `[email]`; `config.toml` lists every key.

use lettre::Address;
use serde::Deserialize;
use service_kit::settings::{Secret, SettingsProblem, Validate, within};

use super::letter::Sender;
use crate::{outbox::pace::Pace, tls};

/// `[email]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    /// The SMTP server, host:port; empty: none, and nothing is sent.
    pub smtp: String,
    /// How the way to it is protected.
    pub security: Security,
    /// Allow it not to be.
    pub allow_insecure: bool,
    /// Authorities beside the public ones, in PEM; empty: none.
    pub ca_file: String,
    /// Whom the server knows us as; empty: it does not ask.
    pub username: String,
    /// What proves it.
    pub password: Secret,
    /// Whom mail is from.
    pub from: String,
    /// Whom alerts are mailed to; empty: nobody.
    pub alerts_to: String,
    /// How long handing in one mail may take.
    pub timeout_ms: u64,
    /// How often due mail is looked for.
    pub poll_ms: u64,
    /// Mails handed in at once.
    pub concurrency: usize,
    /// The first wait after a failed attempt; it doubles from here.
    pub retry_first_ms: u64,
    /// The longest such wait.
    pub retry_most_ms: u64,
    /// Attempts before a mail is abandoned.
    pub max_attempts: u32,
    /// A reaction's mail that is older than this is not sent any more.
    pub expire_ms: u64,
}

/// How the way to the SMTP server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first byte on (port 465).
    Tls,
    /// TLS from the first command on (port 587); a server that does not offer it is refused.
    Starttls,
    /// Everybody on the way can read it.
    None,
}

impl EmailSettings {
    /// How mail is tried.
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

    /// Host and port of the server.
    pub(super) fn server(&self) -> Option<(&str, u16)> {
        let (host, port) = self.smtp.rsplit_once(':')?;
        let port = port.parse().ok()?;
        (!host.is_empty()).then_some((host, port))
    }
}

impl Validate for EmailSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        const MONTH_MS: u64 = 31 * 24 * 3_600_000; // nobody waits for older mail
        let problem = |key: &str, detail: &str| SettingsProblem::new(key, detail);
        let mut problems = self.pace().problems();
        problems.extend(within("expire_ms", self.expire_ms, 60_000..=MONTH_MS));
        problems.extend(tls::ca_file_problem(&self.ca_file));
        if self.smtp.is_empty() {
            return problems;
        }
        if self.server().is_none() {
            problems.push(problem("smtp", "is not host:port"));
        }
        if self.security == Security::None && !self.allow_insecure {
            problems.push(problem("security", "is none, which email.allow_insecure would allow"));
        }
        if self.username.is_empty() != self.password.is_empty() {
            problems.push(problem("password", "belongs to a username, and the other way around"));
        }
        if self.from.parse::<Sender>().is_err() {
            problems.push(problem("from", "is not an address, such as Shop <orders@shop.example>"));
        }
        if !self.alerts_to.is_empty() && self.alerts_to.parse::<Address>().is_err() {
            problems.push(problem("alerts_to", "is not an address"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use service_kit::settings::load_service;

    use crate::settings::Settings;

    fn problems_of(given: &[(&str, &str)]) -> String {
        let good = [("SMTP", "mail.example:587"), ("FROM", "Shop <orders@shop.example>")];
        let given: BTreeMap<_, _> = good.into_iter().chain(given.iter().copied()).collect();
        let given = given
            .into_iter()
            .map(|(key, value)| (format!("FACTLINE__EMAIL__{key}"), value.to_owned()));
        let loaded = load_service::<Settings>(include_str!("../../config.toml"), None, given);
        loaded.err().map(|problems| problems.to_string()).unwrap_or_default()
    }

    #[test]
    fn c05_mail_without_tls_needs_the_local_profile() {
        assert_eq!(problems_of(&[]), "");
        assert!(problems_of(&[("SECURITY", "none")]).contains("email.security: "));
        assert_eq!(problems_of(&[("SECURITY", "none"), ("ALLOW_INSECURE", "true")]), "");
        assert!(problems_of(&[("CA_FILE", "/nowhere/ca.pem")]).contains("email.ca_file: "));
    }

    #[test]
    fn c01_every_problem_of_mail_is_reported_together_and_no_password_is_shown() {
        let told = problems_of(&[
            ("SMTP", "mail.example"),
            ("FROM", "nobody"),
            ("ALERTS_TO", "a b@example.com"),
            ("PASSWORD", "secret of mine"),
            ("EXPIRE_MS", "1"),
            ("CONCURRENCY", "0"),
        ]);
        for key in ["smtp", "from", "alerts_to", "password", "expire_ms", "concurrency"] {
            assert!(told.contains(&format!("\n  email.{key}: ")), "{key}: {told}");
        }
        assert!(!told.contains("secret of mine"), "{told}");
    }
}
