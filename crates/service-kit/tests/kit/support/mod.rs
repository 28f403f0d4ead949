//! A parcels service on a real socket, and a client that sends exactly the bytes it is given.
#![allow(dead_code)] // each test binary uses a part

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::{Deserialize, Serialize};
use service_kit::{
    KitSettings, Problem, RequestContext,
    extract::{ConsistencyTokens, IdempotencyKey, IfMatch, Json, Path, Query},
    http::{HttpSettings, Routes, serve},
    settings::load_from,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer, so a test that waits so long has failed.
pub const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendParcel {
    pub address: String,
    pub weight_grams: i64,
    #[serde(default)]
    pub labels: Vec<Label>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    pub text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    pub limit: Option<u32>,
}

/// What the routes share with the test.
#[derive(Clone, Default)]
pub struct Depot {
    pub entered: Arc<Notify>,
    pub release: Arc<Notify>,
    pub sent: Arc<AtomicUsize>,
}

pub fn routes(depot: Depot) -> Router {
    Router::new()
        .route("/parcels", post(send_parcel).get(list_parcels))
        .route("/parcels/{id}", delete(drop_parcel).get(show_parcel))
        .route("/keyed", post(keyed))
        .route("/slow", get(slow))
        .route("/panic", get(panics))
        .with_state(depot)
}

async fn send_parcel(State(depot): State<Depot>, Json(parcel): Json<SendParcel>) -> Response {
    depot.sent.fetch_add(1, Ordering::Relaxed);
    (StatusCode::CREATED, Json(parcel)).into_response()
}

async fn list_parcels(
    Query(page): Query<Page>,
    tokens: ConsistencyTokens,
    context: RequestContext,
) -> Response {
    let trace = context.trace.to_header();
    Json(serde_json::json!({
        "limit": page.limit, "tokens": tokens.0.len(), "actor": context.actor, "trace": trace,
    }))
    .into_response()
}

async fn show_parcel(Path(id): Path<u32>) -> String {
    id.to_string()
}

async fn drop_parcel(Path(_id): Path<u32>, expected: Option<IfMatch>) -> Response {
    match expected {
        Some(IfMatch(version)) if version.0 != 7 => Problem::precondition_failed(7).into_response(),
        Some(_) | None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn keyed(key: IdempotencyKey) -> String {
    key.0
}

async fn slow(State(depot): State<Depot>) -> &'static str {
    depot.entered.notify_one();
    depot.release.notified().await;
    "done"
}

async fn panics() -> &'static str {
    panic!("the belt is torn, and only the log may know")
}

pub fn settings() -> HttpSettings {
    let loaded = load_from::<KitSettings>(include_str!("../../../config.toml"), None, []);
    let mut http = loaded.unwrap().settings.http;
    http.listen = "127.0.0.1:0".parse().unwrap();
    http
}

/// A running server; stopped and awaited by [`Server::stop`].
pub struct Server {
    pub address: SocketAddr,
    pub depot: Depot,
    pub stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(settings()).await
    }

    pub async fn start_with(settings: HttpSettings) -> Self {
        let depot = Depot::default();
        let routes = Routes::json(routes(depot.clone()));
        Self::start_routes(settings, routes, depot).await
    }

    pub async fn start_routes(settings: HttpSettings, routes: Routes, depot: Depot) -> Self {
        let listener = TcpListener::bind(settings.listen).await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move { serve(listener, routes, &settings, stopped).await });
        Self { address, depot, stop, task }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        timeout(DEADLINE, self.task).await.expect("the server drains").unwrap();
    }

    pub async fn connect(&self) -> Connection {
        Connection { stream: TcpStream::connect(self.address).await.unwrap(), read: Vec::new() }
    }

    /// From an address that the socket is bound to.
    pub async fn connect_from(&self, socket: TcpSocket) -> Connection {
        Connection { stream: socket.connect(self.address).await.unwrap(), read: Vec::new() }
    }

    /// Sends one request as it stands and reads one answer.
    pub async fn exchange(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect().await;
        connection.send(request).await;
        connection.answer().await
    }

    /// Posts a body with these headers besides the length.
    pub async fn post(&self, path: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let length = body.len();
        let mut request =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n")
                .into_bytes();
        request.extend_from_slice(body);
        self.exchange(request).await
    }

    pub async fn post_json(&self, body: impl AsRef<[u8]>) -> Answer {
        self.post("/parcels", "content-type: application/json\r\n", body).await
    }

    pub async fn get(&self, path: &str, headers: &str) -> Answer {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n")).await
    }
}

pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// Sends bytes; a server that has closed meanwhile is no failure here.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _closed = self.stream.write_all(bytes.as_ref()).await;
    }

    /// One answer with its body, by its Content-Length.
    pub async fn answer(&mut self) -> Answer {
        timeout(DEADLINE, async {
            loop {
                if let Some((answer, length)) = Answer::parse(&self.read) {
                    self.read.drain(..length);
                    return answer;
                }
                let count = self.stream.read_buf(&mut self.read).await.unwrap();
                assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&self.read));
            }
        })
        .await
        .expect("an answer")
    }

    /// Waits until the server closes; returns what it sent before that.
    pub async fn closed(&mut self) -> Vec<u8> {
        timeout(DEADLINE, async {
            loop {
                match self.stream.read_buf(&mut self.read).await {
                    Ok(0) | Err(_) => return std::mem::take(&mut self.read),
                    Ok(_) => {}
                }
            }
        })
        .await
        .expect("the connection is closed")
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut answer = Self { status: head[9..12].parse().unwrap(), head, body: Vec::new() };
        let length: usize =
            answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = bytes.get(end + 4..end + 4 + length)?.to_vec();
        Some((answer, end + 4 + length))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Checks that this is a problem document with this status and code.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) -> serde_json::Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let document = self.json();
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(document["status"], status);
        assert_eq!(document["trace_id"].as_str().map(str::len), Some(32), "{document}");
        assert!(self.header("x-request-id").is_some(), "{self:?}");
        document
    }

    /// As [`is_problem`](Self::is_problem), with the pointer of its first field error.
    #[track_caller]
    pub fn is_problem_at(&self, status: u16, code: &str, pointer: &str) {
        let document = self.is_problem(status, code);
        assert_eq!(document["errors"][0]["pointer"], pointer, "{document}");
    }
}
