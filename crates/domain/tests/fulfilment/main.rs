//! Order fulfilment: the table, every way through it, and every order in which events, answers and the
//! timer can cross, played against the real orders and items.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the words are used outside #[test] functions

mod crossings;
mod reactions;
mod table;
mod words;
mod world;
