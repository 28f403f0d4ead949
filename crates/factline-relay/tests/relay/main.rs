//! The relay on the real stack: a real log, a real registry, and Kafka, real or one that fails on
//! command.

mod failures;
mod outages;
mod relaying;
mod support;
