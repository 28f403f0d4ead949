//! HTTP/2 spoken badly on purpose, frame by frame (hazards 6.1, H31). A server that lets this go on
//! works for one connection alone, or remembers without end.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::support::{Connection, Depot, Server, settings};
use axum::{Router, routing::get};
use service_kit::http::Routes;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types of frames (RFC 9113, 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// Flags of HEADERS.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// The code of a GOAWAY that means "you are too much" (RFC 9113, 7).
const ENHANCE_YOUR_CALM: u32 = 11;
/// CANCEL.
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// GET of a path, by indices of HPACK's static table (RFC 7541, appendix A) and one literal.
fn get_head(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    [&[0x82, 0x86, 0x01, 1, b'x', 0x04, length], path.as_bytes()].concat()
}

/// The code of the GOAWAY among what a server has sent.
fn goaway(mut received: &[u8]) -> Option<u32> {
    while let [a, b, c, kind, _flags, _, _, _, _, rest @ ..] = received {
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap();
        let payload = rest.get(..length)?;
        if *kind == GOAWAY {
            return Some(u32::from_be_bytes(payload.get(4..8)?.try_into().unwrap()));
        }
        received = &rest[length..];
    }
    None
}

async fn greeted(server: &Server) -> Connection {
    let mut connection = server.connect().await;
    connection.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
    connection
}

/// A server whose one route counts who is in it, and lets nobody out.
async fn crowded(inside: &Arc<AtomicUsize>) -> Server {
    struct Inside(Arc<AtomicUsize>);
    impl Drop for Inside {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let (now, most) = (Arc::<AtomicUsize>::default(), inside.clone());
    let stay = move || {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let inside = Inside(now.clone());
        async move {
            std::future::pending::<()>().await;
            drop(inside);
        }
    };
    let router = Router::new().route("/stay", get(stay)).route("/free", get(|| async { "free" }));
    Server::start_routes(settings(), Routes::json(router), Depot::default()).await
}

#[tokio::test]
async fn h31_requests_that_are_taken_back_at_once_end_the_connection() {
    let inside = Arc::<AtomicUsize>::default();
    let server = crowded(&inside).await;
    let mut connection = greeted(&server).await;
    let taken_back = |round: u32| {
        let stream = 2 * round + 1;
        let request = frame(HEADERS, END_STREAM | END_HEADERS, stream, &get_head("/stay"));
        [request, frame(RST_STREAM, 0, stream, &CANCEL)].concat()
    };
    connection.send((0..10_000).flat_map(taken_back).collect::<Vec<u8>>()).await;
    assert_eq!(goaway(&connection.closed().await), Some(ENHANCE_YOUR_CALM));
    assert_eq!(server.get("/free", "").await.status, 200, "others are served");
    server.stop().await;
}

#[tokio::test]
async fn h31_a_head_that_never_ends_ends_the_connection() {
    let inside = Arc::<AtomicUsize>::default();
    let server = crowded(&inside).await;
    // x: yyy…, of 1,000 bytes a frame, without indexing.
    let line = [&[0x00, 1, b'x', 0x7f, 0xe9, 0x06][..], &[b'y'; 1_000]].concat();
    for line in [line, Vec::new()] {
        let mut connection = greeted(&server).await;
        connection.send(frame(HEADERS, END_STREAM, 1, &get_head("/stay"))).await;
        connection.send(frame(CONTINUATION, 0, 1, &line).repeat(10_000)).await;
        assert!(goaway(&connection.closed().await).is_some_and(|code| code != 0));
    }
    assert_eq!(inside.load(Ordering::SeqCst), 0, "it came to nothing");
    assert_eq!(server.get("/free", "").await.status, 200, "others are served");
    server.stop().await;
}

#[tokio::test]
async fn h31_of_ten_thousand_streams_no_more_are_worked_on_than_a_connection_may_have() {
    let inside = Arc::<AtomicUsize>::default();
    let server = crowded(&inside).await;
    let mut connection = greeted(&server).await;
    let head = get_head("/stay");
    let request = |round: u32| frame(HEADERS, END_STREAM | END_HEADERS, 2 * round + 1, &head);
    connection.send((0..10_000).flat_map(request).collect::<Vec<u8>>()).await;
    assert_eq!(goaway(&connection.closed().await), Some(ENHANCE_YOUR_CALM));
    let allowed = usize::try_from(settings().max_streams_per_connection).unwrap();
    assert!(inside.load(Ordering::SeqCst) <= allowed, "{inside:?}");
    assert_eq!(server.get("/free", "").await.status, 200, "others are served");
    server.stop().await;
}
