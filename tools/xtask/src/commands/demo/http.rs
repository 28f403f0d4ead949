//! The demo's HTTP client: requests that are repeated until they are answered, with the same key.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::failure::Failure;

/// A request is given up after so long: far longer than any service takes to restart.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first wait before a repeat; it doubles from here.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait before a repeat, whatever the server wishes: a demo is watched.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// One answer may take so long; a service that works answers in milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Carried out now.
    Accepted,
    /// Carried out by an earlier run; the answer was the first one's.
    Replayed,
    /// The problem document's code.
    Refused(String),
}

/// A client for so many requests at once. Never through a proxy: everything is on this machine.
pub(crate) fn client(in_flight: usize) -> Result<Client, Failure> {
    Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(in_flight)
        .timeout(ANSWER_WITHIN)
        .build()
        .map_err(|error| Failure::new(told(&error)))
}

/// Sends a command until it is answered with anything but "not now".
///
/// # Errors
/// No answer came in time.
pub(crate) async fn command(
    client: &Client,
    url: &str,
    key: &str,
    body: &Value,
) -> Result<Answer, Failure> {
    let request = || {
        let request = client.post(url).header("Idempotency-Key", key);
        request.header("X-Actor", "demo").json(body).send()
    };
    let response = until_answered(url, request).await?;
    let status = response.status();
    if status.is_success() {
        let replayed = response.headers().contains_key("idempotent-replayed");
        // Read to its end, so that the connection can be used again.
        drop(response.bytes().await);
        return Ok(if replayed { Answer::Replayed } else { Answer::Accepted });
    }
    let problem: Value = response.json().await.unwrap_or_default();
    let code = problem.get("code").and_then(Value::as_str).map(str::to_owned);
    Ok(Answer::Refused(code.unwrap_or_else(|| format!("http_{}", status.as_u16()))))
}

/// Asks a question; the answer's JSON.
///
/// # Errors
/// No answer came in time, or it is no JSON, or a problem.
pub(crate) async fn question(client: &Client, url: &str) -> Result<Value, Failure> {
    let response = until_answered(url, || client.get(url).send()).await?;
    let status = response.status();
    let text = response.text().await.map_err(|error| Failure::new(told(&error)))?;
    if !status.is_success() {
        return Err(Failure::new(format!("GET {url} answered {status}: {text}")));
    }
    serde_json::from_str(&text).map_err(|error| Failure::new(format!("GET {url}: {error}")))
}

async fn until_answered<F>(url: &str, request: impl Fn() -> F) -> Result<Response, Failure>
where
    F: Future<Output = Result<Response, reqwest::Error>>,
{
    let deadline = Instant::now() + PATIENCE;
    let mut wait = FIRST_WAIT;
    loop {
        let (wish, told) = match request().await {
            Ok(response) if !is_not_now(response.status()) => return Ok(response),
            Ok(response) => (retry_after(&response), response.status().to_string()),
            Err(error) => (None, told(&error)),
        };
        if Instant::now() >= deadline {
            let seconds = PATIENCE.as_secs();
            return Err(Failure::new(format!("{url}: {told}, for {seconds} s")));
        }
        sleep(wish.unwrap_or_default().max(wait).min(LONGEST_WAIT)).await;
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
}

fn is_not_now(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The error with what caused it: reqwest's own text leaves that out.
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A text as one segment of a path: everything but unreserved characters is percent-encoded
/// (RFC 3986, 2.3).
pub(crate) fn segment(text: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| match byte {
        byte if unreserved(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    // A segment of one or two dots would be taken for a relative path.
    match text {
        "." | ".." => text.replace('.', "%2E"),
        text => text.bytes().map(encode).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_becomes_one_segment_whatever_it_holds() {
        assert_eq!(segment("85123A"), "85123A");
        assert_eq!(segment("BANK CHARGES"), "BANK%20CHARGES");
        assert_eq!(segment("a/b?c#d%"), "a%2Fb%3Fc%23d%25");
        assert_eq!(segment("käse"), "k%C3%A4se");
        assert_eq!(segment(".."), "%2E%2E");
    }
}
