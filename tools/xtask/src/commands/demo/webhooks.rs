//! A receiver of alerts, as a customer of the alerter would run one: it checks each delivery's
//! signature (Standard Webhooks, standardwebhooks.com) and counts alerts, a repeat once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use webhook_listener::{Headers, Listener};

use crate::failure::Failure;

/// The demo's signing secret: 32 bytes, of no value.
pub(crate) const SECRET: &str = "whsec_ZmFjdGxpbmUgZGVtbzogbm90IGEgc2VjcmV0IGF0IGFsbA==";

/// What arrived.
#[derive(Debug, Default)]
struct Arrived {
    ids: HashSet<String>,
    forged: u64,
}

/// The receiver; it listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    arrived: Arc<Mutex<Arrived>>,
    listener: Listener,
}

impl Receiver {
    /// Begins to listen on any free port.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn listen() -> Result<Receiver, Failure> {
        let arrived = Arc::<Mutex<Arrived>>::default();
        let noting = Arc::clone(&arrived);
        let listener = Listener::start(move |headers, body| {
            let good = is_signed(headers, body, SECRET);
            note(&noting, headers, good);
            Some(if good { "204 No Content" } else { "401 Unauthorized" })
        });
        Ok(Receiver { arrived, listener: listener.await? })
    }

    /// Where alerts go.
    pub(crate) fn url(&self) -> &str {
        &self.listener.url
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

fn note(arrived: &Mutex<Arrived>, headers: &Headers, good: bool) {
    let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    match headers.get("webhook-id") {
        Some(id) if good => drop(arrived.ids.insert(id.clone())),
        _ => arrived.forged += 1,
    }
}

/// Whether one of the signatures is the HMAC-SHA256 of `id.timestamp.body` under the secret.
fn is_signed(headers: &Headers, body: &[u8], secret: &str) -> bool {
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

    fn headers(signature: &str) -> Headers {
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
        assert!(!is_signed(&Headers::new(), body, secret));
    }
}
