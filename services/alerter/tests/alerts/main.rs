//! The view on histories; episodes, deliveries and queries on a real database and a real receiver.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the words are used outside #[test] functions

mod alarm;
mod deliveries;
mod episodes;
mod queries;
mod receiver;
mod view;
