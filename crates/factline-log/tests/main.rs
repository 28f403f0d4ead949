//! The log on a real Postgres and, where the contract is concerned, in memory. One program, since
//! each would link the database's client anew.

#![allow(clippy::unwrap_used, clippy::expect_used)] // also outside #[test] functions

mod append;
mod concurrency;
mod contract;
mod flows;
mod inline;
mod misfits;
mod old_streams;
mod outages;
mod refusals;
mod repeats;
mod servers;
mod storage;
mod support;
