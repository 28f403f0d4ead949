//! The event log on Postgres.
//!
//! Commands flow in through [`Lanes`]: each lane decides a batch of them against the aggregates'
//! states and appends their events with one statement, in one round trip and one commit.
//! Events flow out through [`LogReader`], by position for the relay, refills and rebuilds, by
//! stream and by business flow for history. [`MemoryLog`] is the same to commands without a database, for unit tests.
//!
//! What holds at every moment, whatever crashes: positions of a partition are 1, 2, 3 … in commit
//! order; versions of a stream are 1, 2, 3 …; a command's events are all there or none; a command
//! key stands on one event at most; nothing is ever updated or deleted.

mod append;
mod audit;
mod batch;
mod broken;
mod cache;
mod clock;
mod command;
mod connection;
mod correlated;
mod decision;
mod fault;
mod horizon;
mod inline;
mod kind;
mod lane;
mod lanes;
mod load;
mod memory;
mod migrate;
mod pool;
mod reader;
mod recorded;
mod relay_cursors;
mod repeats;
mod schemas;
mod settings;
mod settle;
mod snapshot;
mod stretch;
mod watch;

pub use command::{Command, CommandFault, Done, Fingerprint, fingerprint};
pub use correlated::{EXAMINED, Flow, FlowPage, Place};
pub use fault::{Class, class_of, classify};
pub use inline::InlineView;
pub use lanes::{LaneParts, Lanes};
pub use load::state_at;
pub use memory::MemoryLog;
pub use migrate::{ensure_topic, migrate};
pub use pool::without_open_transactions;
pub use reader::{LogReader, StreamBound};
pub use relay_cursors::{Lease, RelayCursors};
pub use settings::LogSettings;
pub use watch::{DatabaseState, DatabaseWatch};
