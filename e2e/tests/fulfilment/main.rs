//! Order fulfilment over the built services: what happens to an order when nobody but its customer and the
//! warehouse says anything.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

mod crashes;
mod crossings;
mod frozen;
mod many;
mod operators;
mod shop;
mod storm;
mod walks;
