//! Every rule and every refusal of the customers, given/when/then; what the wire may say; the schema
//! files; random commands against a plain model.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the words are used outside #[test] functions

mod model;
mod rules;
mod schemas;
#[path = "../shared/wire.rs"]
mod shared_wire;
mod wire;
