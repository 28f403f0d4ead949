//! Asks processes for their figures: addresses go in, samples come out, or why there are none.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use reqwest::{Client, Response, redirect};
use service_kit::ServiceError;

use super::{
    exposition,
    settings::{Service, WatchSettings},
};
use crate::rules::{Rules, judging::Sample};

/// Ten times what our services tell.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Whom to ask, and for what.
pub(super) struct Asking {
    client: Client,
    services: Vec<Service>,
    metrics: BTreeSet<String>,
}

impl Asking {
    pub(super) fn new(settings: &WatchSettings, rules: &Rules) -> Result<Self, ServiceError> {
        let client = Client::builder()
            .timeout(Duration::from_millis(settings.answer_within_ms))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()?;
        let metrics = rules.0.iter().map(|rule| rule.metric.clone()).collect();
        Ok(Self { client, services: settings.services.clone(), metrics })
    }

    /// Asks all of them at once; takes no longer than one may take, twice.
    pub(super) async fn ask_all(&self) -> Vec<(Service, Result<Vec<Sample>, String>)> {
        let each = self
            .services
            .iter()
            .map(|service| async move { (service.clone(), self.ask(service).await) });
        join_all(each).await
    }

    async fn ask(&self, service: &Service) -> Result<Vec<Sample>, String> {
        let metrics = self.read(service, "/metrics").await?;
        let mut samples = exposition::metrics(service, &metrics, &self.metrics);
        let readiness = self.read(service, "/readyz").await?;
        samples.extend(exposition::readiness(service, &readiness)?);
        Ok(samples)
    }

    /// The body, whatever the status: a service that is not ready says so with 503.
    async fn read(&self, service: &Service, path: &str) -> Result<String, String> {
        let told = |error: reqwest::Error| error.without_url().to_string();
        let request = self.client.get(format!("{}{path}", service.url));
        let answer = request.send().await.map_err(told)?;
        whole(answer).await
    }
}

async fn whole(mut answer: Response) -> Result<String, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(format!("the answer has more than {MOST_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| "the answer is not UTF-8".to_owned())
}
