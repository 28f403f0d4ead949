//! The view on histories, and its queries on a real database.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the words are used outside #[test] functions

mod live;
mod queries;
mod view;
