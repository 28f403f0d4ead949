//! A receiver of alerts that is no better than receivers are: now and then it says 500 after it
//! has understood, or nothing at all. It keeps every delivery that it saw.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::dice::Dice;
use crate::failure::Failure;

/// The longest body that is read: an alert has a few hundred bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// One answer in so many is a 500.
const REFUSES_ONE_IN: u64 = 10;
/// One answer in so many never comes: the connection is closed instead.
const HANGS_UP_ONE_IN: u64 = 20;

/// A delivery as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) webhook_id: String,
    pub(crate) body: String,
    /// The receiver said 2xx.
    pub(crate) taken: bool,
}

impl Delivery {
    /// Which alert it tells: its episode, and whether that opened or resolved.
    pub(crate) fn alert(&self) -> (String, String) {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&body["data"]["episode_id"]), text(&body["type"]))
    }
}

/// It listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    arrived: Arc<Mutex<Arrived>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Arrived {
    all: Vec<Delivery>,
    dice: Dice,
}

impl Receiver {
    /// Begins to listen on any free port.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn listen(seed: u64) -> Result<Receiver, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/alerts", listener.local_addr()?);
        let arrived = Arrived { all: Vec::new(), dice: Dice::new(seed, 2) };
        let arrived = Arc::new(Mutex::new(arrived));
        let task = tokio::spawn(accept(listener, Arc::clone(&arrived)));
        Ok(Receiver { url, arrived, task })
    }

    /// Everything that arrived, repeats included.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).all.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, arrived: Arc<Mutex<Arrived>>) {
    while let Ok((connection, _)) = listener.accept().await {
        // A connection that breaks is the sender's to repeat.
        tokio::spawn(converse(connection, Arc::clone(&arrived)));
    }
}

/// As much HTTP/1.1 as a webhook needs: requests with a length, one after the other.
async fn converse(connection: TcpStream, arrived: Arc<Mutex<Arrived>>) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    while let Some(headers) = head(&mut connection).await? {
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let Some(length) = length.filter(|length| *length <= MAX_BODY_BYTES) else {
            return connection.write_all(b"HTTP/1.1 411 Length Required\r\n\r\n").await;
        };
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await?;
        let Some(status) = note(&arrived, &headers, &body) else { return Ok(()) };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        connection.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// Takes a delivery down; what to say to it, if anything.
fn note(
    arrived: &Mutex<Arrived>,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) -> Option<&'static str> {
    let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    let refuses = arrived.dice.below(REFUSES_ONE_IN) == 0;
    let hangs_up = arrived.dice.below(HANGS_UP_ONE_IN) == 0;
    arrived.all.push(Delivery {
        webhook_id: headers.get("webhook-id").cloned().unwrap_or_default(),
        body: String::from_utf8_lossy(body).into_owned(),
        taken: !refuses && !hangs_up,
    });
    match (hangs_up, refuses) {
        (true, _) => None,
        (false, true) => Some("500 Internal Server Error"),
        (false, false) => Some("204 No Content"),
    }
}

/// A request's headers by their names in lower case; none when the sender is done.
async fn head(
    connection: &mut BufReader<TcpStream>,
) -> std::io::Result<Option<BTreeMap<String, String>>> {
    let mut line = String::new();
    if connection.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        if connection.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => return Ok(Some(headers)),
        }
    }
}
