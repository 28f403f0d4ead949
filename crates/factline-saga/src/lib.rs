//! Processes over several aggregates: an event in; state, timers and commands out, in one transaction.
//!
//! ```text
//! Kafka ─▶ projection runtime ─▶ react ─▶ one transaction: checkpoint, state, commands, timers
//!                                  ▲                                       │
//!      answer, timer, operator ────┘      dispatcher: claim ─▶ carry out ◀─┘
//! ```
//!
//! A service writes a [`Saga`](factline_core::saga::Saga), which is pure, and an [`Executor`], which
//! carries commands out. [`SagaRuntime::projection`] is what a projector runs, [`SagaRuntime::run`] does
//! the rest. What `machine.rs` decides, `journal.rs` writes; the contract stands there.

pub mod acts;
mod clock;
mod dispatch;
mod executor;
pub mod inspect;
mod journal;
mod machine;
mod meters;
mod operator;
mod projection;
mod runtime;
mod settings;
#[cfg(test)]
mod simulation;
mod wishes;

pub use executor::{Errand, Executor, Later, Verdict};
pub use journal::{Unsupported, check_definitions};
pub use machine::Status;
pub use projection::SagaProjection;
pub use runtime::{SagaParts, SagaRuntime};
pub use settings::SagaSettings;

/// The runtime's tables: a step of the schema of the service's database, behind the projection runtime's.
pub const MIGRATION: (i64, &str, &str) =
    (1001, "sagas", include_str!("../migrations/1001_sagas.sql"));
