//! What black-box tests drive: the built binaries, each a real process that can be killed, frozen
//! and started again, on the real stack, with databases, topics and groups of the test's own.
//!
//! Tests speak HTTP and Kafka to them, and SQL only where a fault has to be planted.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has to end

mod client;
mod operator;
mod process;
mod system;
mod topics;

pub use client::{Answer, Client};
pub use operator::{Operator, Report};
pub use process::Process;
pub use system::{Service, System};
pub use topics::{TopicRecord, dead_letters, topic_records};
