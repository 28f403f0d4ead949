//! The accept loop. `axum::serve` waits for ever for the rest of a request head and takes any number
//! of connections; this one does neither.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    HttpSettings, Routes,
    guard::guarded,
    rate::Peer,
    wire::{AmbiguousLength, MAX_HEAD_BYTES, Wire},
};

/// After an error of `accept`, such as no file handles left: long enough not to spin, short enough
/// that nobody notices.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// HTTP/2 pings: a peer that vanished without a word is noticed within both together.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// hyper's default, which keeps the parser's header table on the stack.
const HEADERS_ON_STACK: usize = 100;

struct Server {
    builder: Builder<TokioExecutor>,
    router: Router,
    first_request_within: Duration,
    idle_timeout: Duration,
}

/// Serves these routes with every limit of `settings` until `stop` is cancelled; then accepts no
/// more, and returns when every open connection has finished its requests. Dropping the future
/// closes all connections at once.
pub async fn serve(
    listener: TcpListener,
    routes: impl Into<Routes>,
    settings: &HttpSettings,
    stop: CancellationToken,
) {
    let server = Arc::new(Server {
        builder: builder(settings),
        router: guarded(routes.into(), settings),
        first_request_within: Duration::from_millis(settings.header_read_timeout_ms),
        idle_timeout: Duration::from_millis(settings.idle_timeout_ms),
    });
    let slots = Arc::new(Semaphore::new(settings.max_connections));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (accepted, slot) = accept(&listener, &slots) => match accepted {
                Ok((stream, peer)) => {
                    let peer = Peer(peer.ip());
                    connections.spawn(server.clone().connection(stream, peer, slot, stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_BACKOFF).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// A connection and its slot. Cancel-safe: a slot taken for nothing is given back, and `accept`
/// loses no connection.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (io::Result<(TcpStream, SocketAddr)>, Option<OwnedSemaphorePermit>) {
    let slot = slots.clone().acquire_owned().await.ok(); // the semaphore is never closed
    (listener.accept().await, slot)
}

fn builder(settings: &HttpSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let mut http1 = builder.http1();
    http1
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(settings.header_read_timeout_ms))
        .max_buf_size(MAX_HEAD_BYTES);
    if settings.max_headers != HEADERS_ON_STACK {
        http1.max_headers(settings.max_headers);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams_per_connection)
        .max_header_list_size(u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// What a connection has done so far.
#[derive(Debug, Default)]
struct Activity {
    has_requested: AtomicBool,
    in_flight: AtomicUsize,
    /// Something was requested since the last look.
    recently: AtomicBool,
}

/// What a look at a connection's activity finds.
enum Look {
    NeverRequested,
    Busy,
    Idle,
}

impl Activity {
    /// What has happened since the last look.
    fn look(&self) -> Look {
        if !self.has_requested.load(Ordering::Relaxed) {
            return Look::NeverRequested;
        }
        let recently = self.recently.swap(false, Ordering::Relaxed);
        let in_flight = self.in_flight.load(Ordering::Relaxed) > 0;
        if recently || in_flight { Look::Busy } else { Look::Idle }
    }
}

/// One request on a connection; gone when it was answered or given up.
struct Requesting(Arc<Activity>);

impl Requesting {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.has_requested.store(true, Ordering::Relaxed);
        activity.recently.store(true, Ordering::Relaxed);
        activity.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(activity.clone())
    }
}

impl Drop for Requesting {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: Peer,
        _slot: Option<OwnedSemaphorePermit>,
        stop: CancellationToken,
    ) {
        let _open = OpenConnection::count();
        // Answers are small and complete: waiting to fill a packet only adds 40 ms.
        let _best_effort = stream.set_nodelay(true);
        let wire = Wire::new(stream);
        let (raw_head, activity) = (wire.raw_head(), Arc::new(Activity::default()));
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            let requesting = Requesting::begin(&activity);
            request.extensions_mut().insert(peer);
            if raw_head.is_ambiguous(request.version(), request.headers()) {
                request.extensions_mut().insert(AmbiguousLength);
            }
            let router = self.router.clone();
            async move {
                let response = router.oneshot(request.map(Body::new) as Request).await;
                drop(requesting);
                response as Result<_, Infallible>
            }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(wire), service));
        let mut look_at = Instant::now() + self.first_request_within;
        let mut closing = false;
        loop {
            tokio::select! {
                result = connection.as_mut() => return result.unwrap_or_else(log_end),
                () = stop.cancelled(), if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep_until(look_at) => match activity.look() {
                    // hyper's own timeout begins when it knows which HTTP it is; this one does not
                    // need to know.
                    Look::NeverRequested => return,
                    Look::Idle if !closing => {
                        closing = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Look::Idle | Look::Busy => look_at = Instant::now() + self.idle_timeout,
                },
            }
        }
    }
}

/// Peers vanish and speak nonsense all day: nobody acts on it.
fn log_end(error: Box<dyn std::error::Error + Send + Sync>) {
    tracing::debug!(error, "connection ended");
}

/// Counts a connection for as long as it lives.
struct OpenConnection;

impl OpenConnection {
    fn count() -> Self {
        metrics::gauge!("factline_http_connections").increment(1.0);
        Self
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        metrics::gauge!("factline_http_connections").decrement(1.0);
    }
}
