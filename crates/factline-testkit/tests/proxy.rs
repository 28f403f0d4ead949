//! The fault proxy, against a server that sends back what it gets.

#![allow(clippy::unwrap_used)] // also outside #[test] functions

use std::time::Duration;

use factline_testkit::{FaultProxy, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(10);

async fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                drop(tokio::io::copy(&mut from, &mut to).await); // the proxy cuts it
            });
        }
    });
    address
}

async fn echoes(client: &mut TcpStream) -> bool {
    let mut answer = [0; 4];
    client.write_all(b"ping").await.is_ok()
        && client.read_exact(&mut answer).await.is_ok()
        && &answer == b"ping"
}

#[tokio::test]
async fn bytes_flow_until_the_connection_is_cut_and_again_after_it_is_healed() {
    let proxy = FaultProxy::to(&echo_server().await).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(echoes(&mut client).await);
    proxy.cut();
    assert!(!echoes(&mut client).await, "the open connection ended");
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(!echoes(&mut refused).await, "a new one is closed");
    proxy.heal();
    let mut healed = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(echoes(&mut healed).await);
}

#[tokio::test]
async fn a_cut_that_is_healed_at_once_still_ends_what_was_open() {
    let proxy = FaultProxy::to(&echo_server().await).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(echoes(&mut client).await);
    proxy.cut_once();
    assert!(!echoes(&mut client).await);
}

#[tokio::test]
async fn a_stalled_connection_stays_open_and_delivers_everything_once_it_is_healed() {
    let proxy = FaultProxy::to(&echo_server().await).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(echoes(&mut client).await);
    proxy.stall();
    client.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    let waited = timeout(Duration::from_millis(50), client.read_exact(&mut answer)).await;
    assert!(waited.is_err(), "nothing comes through");
    proxy.heal();
    timeout(DEADLINE, client.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"ping");
}

#[tokio::test]
async fn waiting_ends_as_soon_as_the_condition_holds() {
    let mut asked = 0;
    eventually(DEADLINE, "asked three times", async || {
        asked += 1;
        asked == 3
    })
    .await;
    assert_eq!(asked, 3);
}

#[tokio::test]
#[should_panic(expected = "a parcel arrives: not within 1 ms; last seen: not yet")]
async fn waiting_ends_at_the_deadline_with_a_sentence() {
    eventually(Duration::from_millis(1), "a parcel arrives", async || false).await;
}

#[tokio::test]
async fn with_its_answers_stalled_a_server_hears_everything_and_is_not_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultProxy::to(&listener.local_addr().unwrap().to_string()).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    proxy.stall_answers();
    let mut heard = [0; 4];
    client.write_all(b"ping").await.unwrap();
    timeout(DEADLINE, server.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(&heard, b"ping");
    server.write_all(b"pong").await.unwrap();
    let waited = timeout(Duration::from_millis(50), client.read_exact(&mut heard)).await;
    assert!(waited.is_err(), "nothing comes back");
    proxy.heal();
    timeout(DEADLINE, client.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(&heard, b"pong");
}
