//! A receiver of webhooks that answers as it is told and remembers what it got.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use alerter::signature::SigningKey;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use factline_testkit::eventually_ok;
use serde_json::Value;
use service_kit::settings::Secret;
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

#[derive(Debug, Default)]
struct Inner {
    answers: VecDeque<Answer>,
    messages: Vec<Message>,
}

/// Answers 204 once its script is over.
pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

impl Receiver {
    pub async fn answering(answers: impl Into<VecDeque<Answer>>) -> Self {
        let inner = Inner { answers: answers.into(), messages: Vec::new() };
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

    pub fn messages(&self) -> Vec<Message> {
        self.inner.lock().unwrap().messages.clone()
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
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let key = SigningKey::parse(&Secret::new(SECRET)).unwrap();
    let signature = key.sign(&id, timestamp.parse().unwrap(), &body);
    assert_eq!(header("webhook-signature"), signature, "only what is signed is taken");
    let answer = {
        let mut inner = inner.lock().unwrap();
        inner.messages.push(Message { id, body });
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
