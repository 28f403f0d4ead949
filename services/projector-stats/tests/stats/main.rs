//! The views on histories, and their queries on a real database.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the words are used outside #[test] functions

mod kept;
mod orders;
mod queries;
mod recipe;
mod returns_by_reason;
mod views;
