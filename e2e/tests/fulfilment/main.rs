//! Order fulfilment over the built services: what happens to an order when nobody but its customer and the
//! warehouse says anything.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

mod crossings;
mod operators;
mod storm;
mod shop;
mod walks;
