//! The HTTP server: in flow connections, out flow answers of a service's routes, with every limit
//! that keeps one caller from taking the service away from the others.

mod accept;
mod answers;
mod body;
mod cors;
mod deadline;
mod docs;
mod guard;
mod in_flight;
mod rate;
mod routes;
mod server;
mod wire;

use std::net::SocketAddr;

use serde::Deserialize;

pub use answers::{ServerAnswers, problem_response};
pub(crate) use body::BodyFault;
pub use docs::openapi_routes;
pub use in_flight::InFlight;
pub use routes::Routes;
pub use server::serve;

use crate::settings::{SettingsProblem, Validate, within};

/// `[http]`; `service-kit/config.toml` says what each number is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Address and port; port 0 means any free one.
    pub listen: SocketAddr,
    /// Where to write the bound addresses; empty means nowhere.
    pub address_file: String,
    /// Until a request head is complete; also how long an idle HTTP/1 connection is kept.
    pub header_read_timeout_ms: u64,
    /// Until a request body is complete.
    pub body_read_timeout_ms: u64,
    /// How long an HTTP/2 connection without a request is kept.
    pub idle_timeout_ms: u64,
    /// Connections at once.
    pub max_connections: usize,
    /// Open streams of one HTTP/2 connection.
    pub max_streams_per_connection: u32,
    /// Header lines of one request.
    pub max_headers: usize,
    /// Bytes of all header lines of one request.
    pub max_header_bytes: usize,
    /// Bytes of path and query.
    pub max_uri_bytes: usize,
    /// Bytes of one request body.
    pub max_body_bytes: usize,
    /// Requests worked on at once.
    pub max_in_flight: usize,
    /// How long a request may wait for its turn.
    pub queue_wait_ms: u64,
    /// Requests of one client; 0 means no limit.
    pub client_requests_per_minute: u32,
    /// Of these, as many as may come at once.
    pub client_burst_requests: u32,
    /// Whose pages a browser lets read the answers.
    pub cors_allowed_origins: Vec<String>,
}

impl HttpSettings {
    /// The same for operators: their probes and scrapers are few and known, and no browser's page
    /// has any business there.
    pub(crate) fn for_operators(&self) -> Self {
        Self { client_requests_per_minute: 0, cors_allowed_origins: Vec::new(), ..self.clone() }
    }
}

impl Validate for HttpSettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        const HOUR_MS: u64 = 3_600_000; // more is a slip of the unit
        // Tokio's semaphores hold no more permits than usize::MAX >> 3; a million is plenty.
        const MANY: usize = 1_000_000;
        [
            within("header_read_timeout_ms", self.header_read_timeout_ms, 1..=HOUR_MS),
            within("body_read_timeout_ms", self.body_read_timeout_ms, 1..=HOUR_MS),
            within("idle_timeout_ms", self.idle_timeout_ms, 1..=HOUR_MS),
            within("max_connections", self.max_connections, 1..=MANY),
            within("max_streams_per_connection", self.max_streams_per_connection, 1..=10_000),
            within("max_headers", self.max_headers, 1..=10_000),
            within("max_header_bytes", self.max_header_bytes, 256..=wire::MAX_HEAD_BYTES / 2),
            within("max_uri_bytes", self.max_uri_bytes, 64..=wire::MAX_HEAD_BYTES / 2),
            within("max_body_bytes", self.max_body_bytes, 1..=1 << 30),
            within("max_in_flight", self.max_in_flight, 1..=MANY),
            within("queue_wait_ms", self.queue_wait_ms, 0..=HOUR_MS),
            within("client_burst_requests", self.client_burst_requests, 1..=1_000_000),
            self.origins(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl HttpSettings {
    fn origins(&self) -> Option<SettingsProblem> {
        let wrong = self.cors_allowed_origins.iter().find(|origin| !cors::is_origin(origin))?;
        let detail = format!("{wrong:?} is no origin such as \"https://shop.example\"");
        Some(SettingsProblem::new("cors_allowed_origins", detail))
    }
}
