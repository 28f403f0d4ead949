//! Connections: sizes, slowness, smuggling, draining (hazards 6.1).

use std::time::Duration;

use crate::support::{Server, settings};
use tokio::time::Instant;

const LIMIT: usize = 64 * 1024;

fn parcel_of(bytes: usize) -> String {
    let frame = r#"{"address":"","weight_grams":1}"#;
    let address = "x".repeat(bytes - frame.len());
    frame.replace(r#""""#, &format!("\"{address}\""))
}

#[tokio::test]
async fn h06_a_body_over_the_limit_is_413_and_the_connection_is_closed() {
    let server = Server::start().await;
    assert_eq!(server.post_json(parcel_of(LIMIT)).await.status, 201);

    let mut announced = server.connect().await;
    let length = LIMIT + 1;
    announced
        .send(format!(
            "POST /parcels HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        ))
        .await;
    let answer = announced.answer().await; // before a byte of the body was sent
    answer.is_problem(413, "body_too_large");
    assert_eq!(answer.header("connection"), Some("close"));
    announced.send(parcel_of(length)).await;
    assert_eq!(announced.closed().await, b"");
    server.stop().await;
}

#[tokio::test]
async fn h06_a_chunked_body_over_the_limit_is_413_and_the_connection_is_closed() {
    let server = Server::start().await;
    let mut chunked = server.connect().await;
    let head = "POST /parcels HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    chunked.send(head).await;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    for _ in 0..=LIMIT / 0x1000 {
        chunked.send(&chunk).await;
    }
    let answer = chunked.answer().await; // its end was never sent
    answer.is_problem(413, "body_too_large");
    assert_eq!(chunked.closed().await, b"");

    let mut small = server.connect().await;
    let body = r#"{"address":"a","weight_grams":1}"#;
    small.send(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await;
    assert_eq!(small.answer().await.status, 201);
    server.stop().await;
}

#[tokio::test]
async fn h07_too_many_or_too_large_headers_are_431_and_a_long_address_414() {
    let server = Server::start().await;
    let many: String = (0..1_000).map(|number| format!("x-{number}: y\r\n")).collect();
    assert_eq!(server.get("/parcels", &many).await.status, 431);
    let large = format!("x-large: {}\r\n", "y".repeat(20 * 1024));
    server.get("/parcels", &large).await.is_problem(431, "headers_too_large");
    let huge = format!("x-huge: {}\r\n", "y".repeat(200 * 1024));
    assert_eq!(server.get("/parcels", &huge).await.status, 431);
    let long = format!("/parcels?limit={}", "1".repeat(32 * 1024));
    server.get(&long, "").await.is_problem(414, "uri_too_long");
    assert_eq!(server.get("/parcels", "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn h30_a_head_that_does_not_come_is_not_waited_for() {
    let mut impatient = settings();
    impatient.header_read_timeout_ms = 100;
    let server = Server::start_with(impatient).await;
    let half_preface = "PRI * HTTP/2.0\r\n\r\nS"; // is it HTTP/1 or 2? hyper waits to know
    for beginning in ["", "G", "GET /parcels HTTP/1.1\r\nhost:", half_preface] {
        let began = Instant::now();
        let mut connection = server.connect().await;
        connection.send(beginning).await;
        assert_eq!(connection.closed().await, b"", "{beginning:?}");
        assert!(began.elapsed() >= Duration::from_millis(90), "{beginning:?}: not at once");
    }
    server.stop().await;
}

#[tokio::test]
async fn h30_a_head_that_dribbles_is_cut_off() {
    let mut impatient = settings();
    impatient.header_read_timeout_ms = 100;
    let server = Server::start_with(impatient).await;
    let mut connection = server.connect().await;
    connection.send("GET /parcels HTTP/1.1\r\nx: ").await;
    let began = Instant::now();
    let tick = Duration::from_millis(5); // how it dribbles, not what is waited for
    while tokio::time::timeout(tick, connection.closed()).await.is_err() {
        assert!(began.elapsed() < crate::support::DEADLINE, "dribbling keeps the connection open");
        connection.send("y").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn h30_a_body_that_does_not_come_is_408_and_the_connection_is_closed() {
    let mut impatient = settings();
    impatient.body_read_timeout_ms = 100;
    let server = Server::start_with(impatient).await;
    let mut connection = server.connect().await;
    let head = "POST /parcels HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    connection.send(format!("{head}content-length: 50\r\n\r\n{{")).await;
    connection.answer().await.is_problem(408, "request_timeout");
    assert_eq!(connection.closed().await, b"");
    server.stop().await;
}

#[tokio::test]
async fn h32_requests_that_two_parsers_would_read_differently_are_400_and_close() {
    let server = Server::start().await;
    let post = "POST /parcels HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let chunks = "0\r\n\r\n";
    for (shape, rest) in [
        ("content-length: 5\r\ntransfer-encoding: chunked\r\n", chunks),
        ("transfer-encoding: chunked\r\nContent-Length: 5\r\n", chunks),
        ("content-length: 5\r\ncontent-length: 6\r\n", "12345"),
        ("content-length: 5, 6\r\n", "12345"),
        ("content-length: +5\r\n", "12345"),
        ("x: a\r\n b\r\n", ""),
        ("content-length : 5\r\n", "12345"),
        ("transfer-encoding: identity, chunked, x\r\n", chunks),
    ] {
        let mut connection = server.connect().await;
        connection.send(format!("{post}{shape}\r\n{rest}")).await;
        assert_eq!(connection.answer().await.status, 400, "{shape:?}");
        assert_eq!(connection.closed().await, b"", "{shape:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn h32_a_length_that_follows_an_earlier_request_is_seen_too() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    connection.send("GET /parcels HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(connection.answer().await.status, 200);
    let post = "POST /parcels HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let body = r#"{"address":"content-length: 3","weight_grams":1}"#;
    let chunked =
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    connection.send(format!("{post}{chunked}")).await;
    assert_eq!(connection.answer().await.status, 201);
    connection.send(format!("{post}content-length: 3\r\n{chunked}")).await;
    connection.answer().await.is_problem(400, "ambiguous_length");
    assert_eq!(connection.closed().await, b"");
    server.stop().await;
}

#[tokio::test]
async fn http2_is_spoken_on_the_same_port() {
    let server = Server::start().await;
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, axum::body::Body>(executor, io)
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let uri = format!("http://{}/parcels", server.address);
    let large = "x".repeat(LIMIT + 1);
    for (body, status) in [(r#"{"address":"a","weight_grams":1}"#, 201), (&large, 413)] {
        let request = http::Request::post(&uri).header("content-type", "application/json");
        let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), status);
    }
    drop(sender);
    connection.await.unwrap().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_stopping_server_finishes_what_is_in_flight_and_takes_nothing_new() {
    let server = Server::start().await;
    let mut idle = server.connect().await;
    idle.send("GET /parcels HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    let mut busy = server.connect().await;
    busy.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.depot.entered.notified().await;
    server.stop.cancel();
    assert_eq!(idle.closed().await, b"");
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
    server.depot.release.notify_one();
    assert_eq!(busy.answer().await.status, 200);
    server.stop().await;
}
