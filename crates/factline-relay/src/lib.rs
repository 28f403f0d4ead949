//! The log to Kafka: in order, at least once, one task for each topic.
//!
//! Events flow in from the store, page by page, read after a cursor per partition; they flow out
//! to the *same* partition of the Kafka topic of the same name, in the order of their positions.
//! The events table is the outbox: nothing is copied, flagged or deleted. The cursor follows what
//! Kafka has acknowledged, never what was merely handed over.
//!
//! The contract: at every moment the topic contains the positions 1, 2, 3 … up to the stored
//! cursor of each partition *as a subsequence*. Repeats are normal, after any crash or failure.
//! A failed record may leave a hole with later records behind it; the relay closes it by going
//! back to the cursor and sending everything again from there. It never goes on past a failure.
//! A reader that applies only the successor of the last position therefore sees every event once,
//! in order, whatever is repeated, and however many relays run at once. The lease lets a second
//! relay stand by instead of doing the work twice; correctness does not rest on it.
//!
//! While a page is in flight, the cursor of the page before is saved, and the next page is read if
//! there is one for certain (the page was full).

mod backoff;
mod meters;
mod progress;
mod publication;
mod relay;
mod session;
mod settings;
mod status;

pub use relay::{Relay, RelayParts};
pub use settings::RelaySettings;
pub use status::RelayStatus;
