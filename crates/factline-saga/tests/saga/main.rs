//! The saga runtime on a real database and a real broker, with parcels.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has to end

mod definitions;
mod operators;
mod records;
mod steps;
mod support;
mod timers;
