//! HTTP as a caller speaks it.

use std::time::Duration;

use factline_testkit::eventually_ok;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use uuid::Uuid;

/// Longer than a group takes to begin on a loaded machine.
const SOON: Duration = Duration::from_secs(60);

/// One service's address.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Consistency-Token`, if there was one.
    pub token: Option<String>,
    /// The `ETag`, if there was one.
    pub etag: Option<String>,
    /// Whether it repeats an earlier answer.
    pub replayed: bool,
    /// The body; null when it is not JSON.
    pub body: Value,
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        // No pool: a connection that a killed process left behind must not fail the next request.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { base: base.to_owned(), http }
    }

    /// A command with a key of its own.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with(path, &Uuid::new_v4().to_string(), body).await
    }

    /// A command with this key.
    pub async fn post_with(&self, path: &str, key: &str, body: Value) -> Answer {
        self.try_post(path, key, &body).await.unwrap()
    }

    /// A command whose answer may never come.
    ///
    /// # Errors
    /// The connection was refused or lost.
    pub async fn try_post(
        &self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Answer, reqwest::Error> {
        let request = self.request(Method::POST, path).header("Idempotency-Key", key).json(body);
        read(request).await
    }

    /// A query.
    pub async fn get(&self, path: &str) -> Answer {
        read(self.request(Method::GET, path)).await.unwrap()
    }

    /// A query whose answer may never come.
    ///
    /// # Errors
    /// The connection was refused or lost.
    pub async fn try_get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        read(self.request(Method::GET, path)).await
    }

    /// A query that waits until it shows what the token stands for. As the interface asks its
    /// callers to, it comes again when it is told that the view is not there yet: a consumer group
    /// that has just begun may take longer than one query waits.
    pub async fn get_after(&self, path: &str, token: &str) -> Answer {
        eventually_ok(SOON, "the view shows what the token stands for", async || {
            let request = self.request(Method::GET, path).header("Consistency-Token", token);
            let answer = read(request).await.unwrap();
            if answer.body["code"] == "not_yet_consistent" {
                Err(format!("{answer:?}"))
            } else {
                Ok(answer)
            }
        })
        .await
    }

    /// Where the service listens, for a caller that speaks bytes.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// A request to build on.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// An answer that is not JSON.
    pub async fn text(&self, path: &str) -> String {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        answer.text().await.unwrap()
    }
}

impl Answer {
    /// Sends a request and reads its answer.
    pub async fn of(request: RequestBuilder) -> Self {
        read(request).await.unwrap()
    }
}

async fn read(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let answer = request.send().await?;
    let header = |name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (status, token, etag) =
        (answer.status().as_u16(), header("consistency-token"), header("etag"));
    let replayed = header("idempotent-replayed").is_some();
    let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
    Ok(Answer { status, token, etag, replayed, body })
}
