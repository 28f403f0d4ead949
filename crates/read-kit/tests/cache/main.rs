//! Kept answers, on a real database and a real Redis, and on servers that only look like one.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the words are used outside #[test] functions

mod answers;
mod depot;
mod scripted;
mod troubles;
