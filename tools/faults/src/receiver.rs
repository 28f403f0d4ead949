//! A receiver of alerts that is no better than receivers are: now and then it says 500 after it
//! has understood, or nothing at all. It keeps every delivery that it saw.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use webhook_listener::{Headers, Listener};

use crate::dice::Dice;
use crate::failure::Failure;

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
    arrived: Arc<Mutex<Arrived>>,
    listener: Listener,
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
        let arrived = Arrived { all: Vec::new(), dice: Dice::new(seed, 2) };
        let arrived = Arc::new(Mutex::new(arrived));
        let noting = Arc::clone(&arrived);
        let listener = Listener::start(move |headers, body| note(&noting, headers, body)).await?;
        Ok(Receiver { arrived, listener })
    }

    /// Where alerts go.
    pub(crate) fn url(&self) -> &str {
        &self.listener.url
    }

    /// Everything that arrived, repeats included.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).all.clone()
    }
}

/// Takes a delivery down; what to say to it, if anything.
fn note(arrived: &Mutex<Arrived>, headers: &Headers, body: &[u8]) -> Option<&'static str> {
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
