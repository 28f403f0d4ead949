//! One attempt to tell a receiver: a frozen body goes in and is posted once, signed; what came of
//! it comes out.

use std::{error::Error, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header};
use reqwest::{Client, Url, redirect};
use service_kit::ServiceError;
use uuid::Uuid;

use crate::{
    destination::{self, PublicOnly},
    settings::WebhookSettings,
    signature::SigningKey,
};

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// The receiver wants nothing any more.
    Gone,
    /// The receiver certainly does not have it.
    Refused {
        /// For an operator.
        why: String,
        /// How long the receiver asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The receiver may have it, and did not say so in time.
    Uncertain {
        /// For an operator.
        why: String,
    },
}

/// A receiver. Cheap to clone.
#[derive(Clone)]
pub struct Webhook {
    client: Client,
    url: Url,
    key: SigningKey,
}

impl Webhook {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// The address or the secret cannot be used.
    pub fn new(settings: &WebhookSettings) -> Result<Self, ServiceError> {
        let url = destination::check(&settings.url, settings.allow_insecure)
            .map_err(|error| ServiceError::settings(format!("webhook.url: {error}")))?;
        let key = SigningKey::parse(&settings.secret)
            .map_err(|error| ServiceError::settings(format!("webhook.secret: {error}")))?;
        let mut client = Client::builder()
            .timeout(Duration::from_millis(settings.timeout_ms))
            .redirect(redirect::Policy::none()) // a redirect could lead inside our own network
            .no_proxy() // so could a proxy of the environment
            .user_agent(concat!("factline-alerter/", env!("CARGO_PKG_VERSION")));
        if !settings.allow_insecure {
            client = client.dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self { client: client.build()?, url, key })
    }

    /// The receiver's id in our tables; its address may hold a secret and is not stored.
    #[must_use]
    pub fn endpoint_id(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_URL, self.url.as_str().as_bytes())
    }

    /// Posts a body once. The status alone decides; of the answer's body nothing is read.
    pub async fn post(&self, id: Uuid, body: &str) -> Outcome {
        let (id, now) = (id.to_string(), Utc::now());
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", now.timestamp())
            .header("webhook-signature", self.key.sign(&id, now.timestamp(), body))
            .body(body.to_owned());
        match request.send().await {
            Ok(answer) => judge(answer.status(), answer.headers(), now),
            Err(error) if error.is_connect() || error.is_builder() => {
                Outcome::Refused { why: told(&error.without_url()), retry_after: None }
            }
            Err(error) => Outcome::Uncertain { why: told(&error.without_url()) },
        }
    }
}

fn judge(status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) -> Outcome {
    if status.is_success() {
        return Outcome::Delivered;
    }
    if status == StatusCode::GONE {
        return Outcome::Gone;
    }
    let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| wait_of(text, now));
    Outcome::Refused { why: format!("the receiver answered {status}"), retry_after }
}

/// `Retry-After`: seconds or an HTTP date; `None` for what is neither, or in the past.
fn wait_of(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    (date.to_utc() - now).to_std().ok()
}

/// The deepest cause, which tells most.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the receiver did not answer in time".to_owned();
    }
    let mut deepest: &dyn Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry_after: Option<&str>) -> Outcome {
        let now = "2026-01-05T09:00:00Z".parse().unwrap();
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        }
        judge(StatusCode::from_u16(status).unwrap(), &headers, now)
    }

    fn asked(retry_after: &str) -> Option<Duration> {
        let Outcome::Refused { retry_after, .. } = judged(429, Some(retry_after)) else {
            panic!("429 is a refusal")
        };
        retry_after
    }

    #[test]
    fn w04_the_status_alone_decides() {
        assert_eq!(judged(200, None), Outcome::Delivered);
        assert_eq!(judged(204, None), Outcome::Delivered);
        for status in [400, 401, 404, 429, 500, 503] {
            assert!(matches!(judged(status, None), Outcome::Refused { .. }), "{status}");
        }
    }

    #[test]
    fn w05_a_redirect_is_a_failure() {
        for status in [301, 302, 307, 308] {
            assert!(matches!(judged(status, None), Outcome::Refused { .. }), "{status}");
        }
    }

    #[test]
    fn w06_gone_is_for_ever() {
        assert_eq!(judged(410, None), Outcome::Gone);
    }

    #[test]
    fn w07_a_retry_after_is_read_as_seconds_or_as_a_date_and_nonsense_is_passed_over() {
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("1000000000"), Some(Duration::from_secs(1_000_000_000)), "cut later");
        assert_eq!(asked("Mon, 05 Jan 2026 09:00:30 GMT"), Some(Duration::from_secs(30)));
        for nonsense in ["-1", "soon", "", "1e9", "Mon, 05 Jan 2026 08:59:00 GMT"] {
            assert_eq!(asked(nonsense), None, "{nonsense:?}");
        }
    }
}
