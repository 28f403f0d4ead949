//! A receiver of webhooks that answers as it is told and remembers what it got.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use factline_testkit::eventually_ok;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::alarm::{DEADLINE, SECRET};

#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    Header(u16, &'static str, String),
    /// 200 and a body that never ends.
    EndlessBody,
    /// No answer at all.
    Silence,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    pub body: String,
}

impl Message {
    /// `alert.opened` or `alert.resolved`.
    pub fn kind(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["type"].as_str().unwrap().to_owned()
    }
}

/// A message with its headers, as anybody on the way could have kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub id: String,
    pub timestamp: i64,
    pub signatures: String,
    pub body: String,
}

impl Seen {
    /// What docs/recipes/receive-webhooks.md has a receiver do, at a time in seconds since 1970.
    pub fn verify(&self, secret: &str, now: i64) -> Result<(), &'static str> {
        const TOLERANCE_S: i64 = 300; // as the libraries of Standard Webhooks
        if now - self.timestamp > TOLERANCE_S {
            return Err("too old");
        }
        if self.timestamp - now > TOLERANCE_S {
            return Err("of the future");
        }
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.{}", self.id, self.timestamp, self.body).as_bytes());
        let given = self.signatures.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        let mut given = given.filter_map(|one| STANDARD.decode(one).ok());
        // In constant time, and whichever of the sender's keys it is of.
        let good = given.any(|signature| mac.clone().verify_slice(&signature).is_ok());
        if good { Ok(()) } else { Err("not signed") }
    }

    pub fn with_body(&self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self.clone() }
    }

    pub fn with_timestamp(&self, timestamp: i64) -> Self {
        Self { timestamp, ..self.clone() }
    }

    pub fn with_id(&self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self.clone() }
    }
}

#[derive(Debug)]
struct Inner {
    answers: VecDeque<Answer>,
    seen: Vec<Seen>,
    secret: String,
}

/// Answers 204 once its script is over.
pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

impl Receiver {
    pub async fn answering(answers: impl Into<VecDeque<Answer>>) -> Self {
        let (answers, secret) = (answers.into(), SECRET.to_owned());
        let inner = Inner { answers, seen: Vec::new(), secret };
        let inner = Arc::new(Mutex::new(inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/hook", post(take).get(take)).with_state(inner.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, inner, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// host:port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on only what is signed with this is taken.
    pub fn knows(&self, secret: &str) {
        secret.clone_into(&mut self.inner.lock().unwrap().secret);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.inner.lock().unwrap().seen.clone()
    }

    pub fn messages(&self) -> Vec<Message> {
        self.seen().into_iter().map(|Seen { id, body, .. }| Message { id, body }).collect()
    }

    pub async fn until_messages(&self, count: usize) -> Vec<Message> {
        eventually_ok(DEADLINE, "messages at the receiver", async || {
            let messages = self.messages();
            if messages.len() >= count { Ok(messages) } else { Err(format!("{messages:?}")) }
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(
    State(inner): State<Arc<Mutex<Inner>>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let timestamp = header("webhook-timestamp").parse().unwrap();
    let (id, signatures) = (header("webhook-id"), header("webhook-signature"));
    let seen = Seen { id, timestamp, signatures, body };
    let answer = {
        let mut inner = inner.lock().unwrap();
        if seen.verify(&inner.secret, chrono::Utc::now().timestamp()).is_err() {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        inner.seen.push(seen);
        inner.answers.pop_front().unwrap_or(Answer::Status(204))
    };
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Header(status, name, value) => {
            (StatusCode::from_u16(status).unwrap(), [(name, value)]).into_response()
        }
        Answer::EndlessBody => {
            let kilobyte = || Ok::<_, std::convert::Infallible>("x".repeat(1_024));
            Body::from_stream(futures::stream::repeat_with(kilobyte)).into_response()
        }
        Answer::Silence => std::future::pending().await,
    }
}
