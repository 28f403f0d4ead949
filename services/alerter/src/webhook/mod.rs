//! One attempt to tell a receiver: a frozen body goes in and is posted once, signed; what came of
//! it comes out.

mod client;
pub mod destination;
mod settings;
pub mod signature;

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, Request, StatusCode, Uri, header};
use service_kit::ServiceError;
use uuid::Uuid;

pub use self::settings::WebhookSettings;
use self::{client::Client, signature::Signer};
use crate::outbox::Outcome;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// As of any message.
    Outcome(Outcome),
    /// The receiver wants nothing any more.
    Gone,
}

/// A receiver.
pub struct Webhook {
    client: Client,
    url: Uri,
    signer: Signer,
}

impl Webhook {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// The address, the secret or the authorities cannot be used.
    pub fn new(settings: &WebhookSettings) -> Result<Self, ServiceError> {
        let unusable = |key: &str, error: &dyn std::fmt::Display| {
            ServiceError::settings(format!("webhook.{key}: {error}"))
        };
        let url = destination::check(&settings.url, settings.allow_insecure)
            .map_err(|error| unusable("url", &error))?;
        let url = url.as_str().parse().map_err(|error| unusable("url", &error))?;
        let signer = Signer::parse(&settings.secret).map_err(|error| unusable("secret", &error))?;
        let client = Client::new(settings).map_err(|error| unusable("ca_file", &error))?;
        Ok(Self { client, url, signer })
    }

    /// The receiver's id in our tables; its address may hold a secret and is not stored.
    #[must_use]
    pub fn endpoint_id(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_URL, self.url.to_string().as_bytes())
    }

    /// Posts a body once. The status alone decides; of the answer's body nothing is read.
    pub async fn post(&self, id: Uuid, body: &str) -> Answer {
        let (id, now) = (id.to_string(), Utc::now());
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("factline-alerter/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &id)
            .header("webhook-timestamp", now.timestamp())
            .header("webhook-signature", self.signer.sign(&id, now.timestamp(), body))
            .body(body.to_owned().into());
        match request {
            Ok(request) => match self.client.send(request).await {
                Ok(answer) => judge(answer.status, &answer.headers, now),
                Err(outcome) => Answer::Outcome(outcome),
            },
            Err(error) => Answer::Outcome(Outcome::refused(error.to_string())),
        }
    }
}

fn judge(status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) -> Answer {
    if status.is_success() {
        return Answer::Outcome(Outcome::Delivered);
    }
    if status == StatusCode::GONE {
        return Answer::Gone;
    }
    let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| wait_of(text, now));
    let why = format!("the receiver answered {status}");
    Answer::Outcome(Outcome::Refused { why, retry_after })
}

/// `Retry-After`: seconds or an HTTP date; `None` for what is neither, or in the past.
fn wait_of(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    (date.to_utc() - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry_after: Option<&str>) -> Answer {
        let now = "2026-01-05T09:00:00Z".parse().unwrap();
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        }
        judge(StatusCode::from_u16(status).unwrap(), &headers, now)
    }

    fn is_refused(answer: &Answer) -> bool {
        matches!(answer, Answer::Outcome(Outcome::Refused { .. }))
    }

    fn asked(retry_after: &str) -> Option<Duration> {
        let Answer::Outcome(Outcome::Refused { retry_after, .. }) = judged(429, Some(retry_after))
        else {
            panic!("429 is a refusal")
        };
        retry_after
    }

    #[test]
    fn w04_the_status_alone_decides() {
        assert_eq!(judged(200, None), Answer::Outcome(Outcome::Delivered));
        assert_eq!(judged(204, None), Answer::Outcome(Outcome::Delivered));
        for status in [400, 401, 404, 429, 500, 503] {
            assert!(is_refused(&judged(status, None)), "{status}");
        }
    }

    #[test]
    fn w05_a_redirect_is_a_failure() {
        for status in [301, 302, 307, 308] {
            assert!(is_refused(&judged(status, None)), "{status}");
        }
    }

    #[test]
    fn w06_gone_is_for_ever() {
        assert_eq!(judged(410, None), Answer::Gone);
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
