//! The business: what can be asked for (commands), what can happen (events), what is refused, and
//! the rules that watch it.
//!
//! Wire data flows in through [`command::Fields`], which turns JSON into commands whose fields are
//! already valid; decisions turn a command and an aggregate's state into events or a refusal.
//! Everything here is a pure function: no clock, no I/O, no async. Time and ids are arguments.

#![deny(clippy::wildcard_enum_match_arm)] // a new event must be answered for by name

#[macro_use]
pub mod command;
pub mod customer;
pub mod fulfilment;
pub mod inventory;
pub mod order;
pub mod values;
