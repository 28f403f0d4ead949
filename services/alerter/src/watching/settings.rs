//! `[watch]`; `config.toml` lists every key.

use serde::Deserialize;
use service_kit::settings::{SettingsProblem, Validate, within};

/// `[watch]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchSettings {
    /// Whose figures are judged.
    pub services: Vec<Service>,
    /// How often they are looked at.
    pub look_every_ms: u64,
    /// How long a service may take to tell them.
    pub answer_within_ms: u64,
}

/// A process and its operators' port: `projector-list=http://127.0.0.1:9081`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Service {
    /// What subjects are called by; processes of one service share it.
    pub name: String,
    /// Without a path.
    pub url: String,
}

impl TryFrom<String> for Service {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let must = || format!("{text:?} is not name=http://host:port");
        let (name, url) = text.split_once('=').ok_or_else(must)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let parsed = reqwest::Url::parse(url).map_err(|_| must())?;
        let whole = parsed.has_host() && parsed.scheme() == "http"; // operators' ports have no TLS
        if name.is_empty() || !name.chars().all(allowed) || !whole || parsed.path() != "/" {
            return Err(must());
        }
        Ok(Self { name: name.to_owned(), url: url.trim_end_matches('/').to_owned() })
    }
}

impl Validate for WatchSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        const HOUR_MS: u64 = 3_600_000;
        let mut problems: Vec<_> = [
            // Oftener is a load on everybody, seldomer than an hour is no watch.
            within("look_every_ms", self.look_every_ms, 100..=HOUR_MS),
            within("answer_within_ms", self.answer_within_ms, 1..=60_000),
        ]
        .into_iter()
        .flatten()
        .collect();
        if self.answer_within_ms > self.look_every_ms {
            let detail = "is longer than look_every_ms, so looks would be late";
            problems.push(SettingsProblem::new("answer_within_ms", detail));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_name_and_an_address() {
        let service =
            Service::try_from("projector-list=http://127.0.0.1:9081/".to_owned()).unwrap();
        assert_eq!(service.name, "projector-list");
        assert_eq!(service.url, "http://127.0.0.1:9081");
        for bad in [
            "",
            "http://127.0.0.1:9081",
            "=http://a:1",
            "a/b=http://a:1",
            "a=a:1",
            "a=http://a:1/metrics",
        ] {
            assert!(Service::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
