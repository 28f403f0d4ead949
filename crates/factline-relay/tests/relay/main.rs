//! The relay on the real stack: a real log, a real registry, and Kafka, real or one that fails on
//! command.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has to end

mod failures;
mod outages;
mod relaying;
mod support;
