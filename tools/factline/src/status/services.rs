//! What each service says of itself on its admin port.

use reqwest::Client;
use serde::Serialize;
use serde_json::Value;

use crate::sources::Sources;

/// One service.
#[derive(Debug, Serialize)]
pub(super) struct ServiceStatus {
    pub(super) name: String,
    pub(super) address: String,
    /// `ready`, `degraded`, `not_ready`, or `down` when nothing answers.
    pub(super) status: String,
    /// Which component says so and why; empty when all is well.
    pub(super) detail: String,
}

/// Asks every service.
pub(super) async fn ask(sources: &Sources) -> Vec<ServiceStatus> {
    let questions =
        sources.services.iter().map(|(name, address)| one(&sources.http, name, address));
    futures::future::join_all(questions).await
}

async fn one(http: &Client, name: &str, address: &str) -> ServiceStatus {
    let (status, detail) = match http.get(format!("{address}/readyz")).send().await {
        Ok(answer) => read(&answer.json().await.unwrap_or_default()),
        Err(_) => ("down".to_owned(), "nothing answers there".to_owned()),
    };
    ServiceStatus { name: name.to_owned(), address: address.to_owned(), status, detail }
}

/// `{"status": …, "components": {name: {"status": …, "reason": …}}}`.
fn read(answer: &Value) -> (String, String) {
    let status = answer["status"].as_str().unwrap_or("unknown").to_owned();
    let components = answer["components"].as_object().into_iter().flatten();
    let reasons: Vec<String> = components
        .filter_map(|(name, component)| Some(format!("{name}: {}", component["reason"].as_str()?)))
        .collect();
    (status, reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_that_is_not_ready_says_why() {
        let answer = json!({
            "status": "degraded",
            "components": {
                "relay": { "status": "degraded", "reason": "kafka is away" },
                "http": { "status": "ready" },
            },
        });
        assert_eq!(read(&answer), ("degraded".to_owned(), "relay: kafka is away".to_owned()));
        assert_eq!(read(&json!({})), ("unknown".to_owned(), String::new()));
    }
}
