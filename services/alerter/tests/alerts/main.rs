//! The view on histories; episodes, deliveries and queries on a real database and a real receiver.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the words are used outside #[test] functions

mod acts;
mod alarm;
mod channels;
mod deliveries;
mod episodes;
mod fronts;
mod post_office;
mod queries;
mod reactions;
mod receiver;
mod recipe;
mod storms;
mod view;
mod watching;
