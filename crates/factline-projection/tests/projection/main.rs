//! The projection runtime on the real broker, registry and database.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has to end

mod corrupt;
mod following;
mod forgetting;
mod freshness;
mod holes;
mod operator;
mod outages;
mod poison;
mod producers;
mod rebuild;
mod storms;
mod support;
