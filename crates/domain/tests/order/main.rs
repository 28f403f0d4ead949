//! Every rule and every refusal of the orders, given/when/then; what the wire may say; the schema
//! files; random commands against a plain model.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the words are used outside #[test] functions

mod cancelling;
mod corrections;
mod drafts;
mod fulfilment;
mod model;
mod placing;
mod recipe;
mod schemas;
#[path = "../shared/wire.rs"]
mod shared_wire;
mod statuses;
mod wire;
mod words;
