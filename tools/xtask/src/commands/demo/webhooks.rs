//! A receiver of alerts, as a customer of the alerter would run one: it checks each delivery's
//! signature (Standard Webhooks, standardwebhooks.com) and counts alerts, a repeat once.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::failure::Failure;

/// The demo's signing secret: 32 bytes, of no value.
pub(crate) const SECRET: &str = "whsec_ZmFjdGxpbmUgZGVtbzogbm90IGEgc2VjcmV0IGF0IGFsbA==";

/// The longest body that is read: an alert has a few hundred bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What arrived.
#[derive(Debug, Default)]
struct Arrived {
    ids: HashSet<String>,
    forged: u64,
}

/// The receiver; it listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Where alerts go.
    pub(crate) url: String,
    arrived: Arc<Mutex<Arrived>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Begins to listen on any free port.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn listen() -> Result<Receiver, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/alerts", listener.local_addr()?);
        let arrived = Arc::<Mutex<Arrived>>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&arrived)));
        Ok(Receiver { url, arrived, task })
    }

    /// Different alerts with a good signature.
    pub(crate) fn delivered(&self) -> usize {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).ids.len()
    }

    /// Requests without one.
    pub(crate) fn forged(&self) -> u64 {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).forged
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
        let good = is_signed(&headers, &body, SECRET);
        note(&arrived, &headers, good);
        let status = if good { "204 No Content" } else { "401 Unauthorized" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        connection.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

fn note(arrived: &Mutex<Arrived>, headers: &BTreeMap<String, String>, good: bool) {
    let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    match headers.get("webhook-id") {
        Some(id) if good => drop(arrived.ids.insert(id.clone())),
        _ => arrived.forged += 1,
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
        connection.read_line(&mut line).await?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => return Ok(Some(headers)),
        }
    }
}

/// Whether one of the signatures is the HMAC-SHA256 of `id.timestamp.body` under the secret.
fn is_signed(headers: &BTreeMap<String, String>, body: &[u8], secret: &str) -> bool {
    let header = |name: &str| headers.get(name).map(String::as_str);
    let (Some(id), Some(timestamp), Some(signatures)) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
    else {
        return false;
    };
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap_or_default();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    let given = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
    let mut given = given.filter_map(|signature| STANDARD.decode(signature).ok());
    given.any(|signature| mac.clone().verify_slice(&signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(signature: &str) -> BTreeMap<String, String> {
        let headers = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", signature),
        ];
        headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn a_signature_holds_for_its_body_and_secret_only() {
        // The example of the Standard Webhooks libraries' own tests.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = br#"{"test": 2432232314}"#;
        let good = headers("v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(is_signed(&good, body, secret));
        assert!(!is_signed(&good, b"{}", secret));
        assert!(!is_signed(&good, body, SECRET));
        assert!(!is_signed(&headers("v1,AAAA"), body, secret));
        assert!(!is_signed(&BTreeMap::new(), body, secret));
    }
}
