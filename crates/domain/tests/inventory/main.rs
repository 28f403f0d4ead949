//! Every rule and every refusal of the inventory, given/when/then; what the wire may say; the
//! schema files; random commands against a plain model.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the words are used outside #[test] functions

mod catalogue;
mod model;
mod movements;
mod reservations;
mod sales;
mod schemas;
#[path = "../shared/wire.rs"]
mod shared_wire;
mod wire;
mod words;
