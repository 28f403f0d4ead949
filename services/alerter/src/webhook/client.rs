//! The HTTP client that posts: a request goes out once, over TLS where its address says so, to no
//! address but the ones that were checked; an answer or what is known of the failure comes back.
//!
//! It follows no redirect and asks no proxy: either could lead inside our own network.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{Request, response};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

use super::{destination::Names, settings::WebhookSettings};
use crate::{
    outbox::Outcome,
    tls::{self, CaFileError},
};

/// Opens connections as they are needed, and keeps them for the next request.
pub(super) struct Client {
    client: legacy::Client<HttpsConnector<HttpConnector<Names>>, Full<Bytes>>,
    within: Duration,
}

impl Client {
    pub(super) fn new(settings: &WebhookSettings) -> Result<Self, CaFileError> {
        let names = if settings.allow_insecure { Names::any() } else { Names::public() };
        let mut connector = HttpConnector::new_with_resolver(names);
        connector.enforce_http(false); // what the address is was checked
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config(&settings.ca_file)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, within: settings.pace().timeout() })
    }

    /// Sends once; of the answer, the head.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<response::Parts, Outcome> {
        match timeout(self.within, self.client.request(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_parts().0),
            Ok(Err(error)) if error.is_connect() => Err(Outcome::refused(told(&error))),
            Ok(Err(error)) => Err(Outcome::Uncertain { why: told(&error) }),
            Err(_) => {
                Err(Outcome::Uncertain { why: "the receiver did not answer in time".to_owned() })
            }
        }
    }
}

/// The deepest cause, which tells most.
fn told(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}
