//! A connection that can be cut: bytes flow through to a server until the test says otherwise.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::Addresses;

/// A TCP proxy in front of one server. Kafka tells its clients its own addresses, so it cannot be
/// put behind one; Postgres, the registry and Redis can.
///
/// Dropping it ends every connection and closes the port.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    listener: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Flowing,
    Stalled,
    AnswersStalled,
    Cut,
}

/// `cuts` counts, so that a cut that is over at once still ends the connections that were open.
#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    cuts: u64,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `target`, which is `host:port`.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the listener's address");
        let (state, seen) = watch::channel(State { mode: Mode::Flowing, cuts: 0 });
        let listener = tokio::spawn(accept(listener, target.to_owned(), seen));
        Self { address, state, listener }
    }

    /// In front of the stack's Postgres.
    pub async fn to_postgres(stack: &Addresses) -> Self {
        Self::to(&format!("{}:{}", stack.postgres_host, stack.postgres_port)).await
    }

    /// In front of the server of a URL such as the registry's or Redis'; [`Self::url`] gives the
    /// URL to use instead.
    pub async fn to_url(url: &str) -> Self {
        Self::to(authority(url)).await
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url` with the proxy in place of its host and port.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        url.replacen(authority(url), &self.address.to_string(), 1)
    }

    /// Ends every connection; new ones are closed as soon as they are accepted.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.mode = Mode::Cut;
            state.cuts += 1;
        });
    }

    /// Ends every connection that is open, whatever it held back; new ones flow at once. Not the
    /// same as a cut and a heal: whoever reconnects never meets the moment between the two.
    pub fn cut_once(&self) {
        self.state.send_modify(|state| {
            state.mode = Mode::Flowing;
            state.cuts += 1;
        });
    }

    /// Holds every byte back, in both directions; connections stay open and new ones are accepted.
    pub fn stall(&self) {
        self.state.send_modify(|state| state.mode = Mode::Stalled);
    }

    /// Holds back what the server says; what the client says still arrives.
    pub fn stall_answers(&self) {
        self.state.send_modify(|state| state.mode = Mode::AnswersStalled);
    }

    /// Lets bytes flow again, and new connections in.
    pub fn heal(&self) {
        self.state.send_modify(|state| state.mode = Mode::Flowing);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listener.abort(); // its set of connections goes with it
    }
}

/// `host:port` of `scheme://user@host:port/path`.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

async fn accept(listener: TcpListener, target: String, state: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let now = *state.borrow();
                if let (Ok((client, _)), true) = (accepted, now.mode != Mode::Cut) {
                    connections.spawn(connection(client, target.clone(), now.cuts, state.clone()));
                }
            }
            Some(_) = connections.join_next() => {} // it ended by itself
        }
    }
}

async fn connection(client: TcpStream, target: String, cuts: u64, state: watch::Receiver<State>) {
    let mut watcher = state.clone();
    tokio::select! {
        biased; // a cut that also lets bytes flow lets none of this connection's through
        _ = watcher.wait_for(|state| state.cuts > cuts) => {}
        _ = forward(client, &target, state) => {}
    }
}

async fn forward(client: TcpStream, target: &str, state: watch::Receiver<State>) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let asking = |mode| matches!(mode, Mode::Flowing | Mode::AnswersStalled);
    let answering = |mode| mode == Mode::Flowing;
    tokio::try_join!(
        pump(from_client, to_server, state.clone(), asking),
        pump(from_server, to_client, state, answering)
    )?;
    Ok(())
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    flows: impl Fn(Mode) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024]; // one read of a busy socket
    loop {
        let length = from.read(&mut buffer).await?;
        let flowing = state.wait_for(|state| flows(state.mode)).await;
        flowing.map_err(io::Error::other)?;
        if length == 0 {
            return to.shutdown().await; // the other direction may go on
        }
        to.write_all(&buffer[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_place_in_a_url_is_found() {
        assert_eq!(authority("http://127.0.0.1:18081/apis/ccompat/v7"), "127.0.0.1:18081");
        assert_eq!(authority("redis://user:secret@cache:6379/0"), "cache:6379");
        assert_eq!(authority("cache:6379"), "cache:6379");
    }
}
