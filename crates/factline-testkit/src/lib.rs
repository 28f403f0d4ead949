//! What tests are written with, for any event set: given/when/then for aggregates, view specs that
//! run a history four ways, recorded histories, generated checks of schema files and of the golden
//! data that they once wrote, and what an integration test needs of the
//! real stack: addresses, a database and names of its own, a wait with a deadline, a connection that
//! can be cut, a reader of server-sent events, a recorder of metrics.
//!
//! Everything here reports a failure by panicking with a sentence that says what was expected and
//! what was there: it runs inside tests only.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has to end

mod avro_sample;
mod checkpoint;
mod database;
mod eventually;
mod given;
mod golden;
mod history;
mod meters;
pub mod parcels;
mod proxy;
mod schema_specs;
mod server_sent;
mod stack;
mod view_spec;

pub use checkpoint::stand_at;
pub use database::TestDatabase;
pub use eventually::{eventually, eventually_ok};
pub use given::{Given, Outcome, Refused};
pub use golden::{golden_data, renew_golden_data};
pub use history::{History, recorded};
pub use meters::Meters;
pub use proxy::FaultProxy;
pub use schema_specs::{round_trips, schema_files};
pub use server_sent::{ServerSent, ServerSentReader};
pub use stack::{Addresses, stack, unique_prefix};
pub use view_spec::ViewSpec;
