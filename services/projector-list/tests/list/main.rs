//! The views on histories, and their queries on a real database.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the words are used outside #[test] functions

mod live;
mod model;
mod order_queries;
mod order_view;
mod queries;
mod shipments;
mod shop;
mod view;
mod words;
