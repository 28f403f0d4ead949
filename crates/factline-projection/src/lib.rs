//! Kafka to read models, exactly once in effect.
//!
//! Records flow in from a consumer group; rows flow out into a service's own Postgres database,
//! each event's effect in one transaction with its id and its partition's checkpoint.
//!
//! ```text
//! Kafka ─▶ polling thread ─▶ coordinator ─▶ worker: take ▶ decode ▶ fold ▶ one transaction
//!                 ▲                             │                            │
//!                 └────── offset, afterwards ───┘          parked rows ─▶ <group>.dlq
//! ```
//!
//! A service writes a [`View`]: its row, its key, its fold. [`FoldedView`] makes it a
//! [`Projection`], [`Projector`] runs it, [`ReadGate`] lets queries wait for what a command wrote.
//! The delivery contract stands in `transaction.rs`, what may go wrong in `failure.rs`.

pub mod acts;
mod attempt;
mod batch;
pub mod beginnings;
mod book;
mod broken;
mod checkpoint;
mod classify;
mod columns;
mod coordinator;
mod desk;
mod export;
mod failure;
mod fold;
mod forgetting;
mod gate;
mod history;
mod inline;
pub mod inspect;
mod lateness;
mod ledger;
mod meters;
mod operator;
mod park;
mod partition;
mod patrol;
mod projection;
mod projector;
mod reading;
mod rebuild;
pub mod rebuilds;
mod row;
mod schemas;
mod setbacks;
mod settings;
mod shared;
#[cfg(test)]
mod simulation;
mod status;
mod table;
#[cfg(test)]
mod testing;
mod trace;
mod transaction;
mod trust;
mod view;
mod worker;

use std::sync::LazyLock;

use sqlx::{
    SqlStr,
    migrate::{Migration, MigrationType, Migrator},
};

pub use classify::{Place, place};
pub use failure::{Class, class_of, class_of_fault};
pub use fold::{Change, FoldOutcome, fold_batch};
pub use gate::{Freshness, GateError, PartitionFreshness, ReadGate};
pub use history::History;
pub use projection::{ApplyError, Beside, NEXT, Poisoned, Projection};
pub use projector::{Projector, ProjectorError, ProjectorParts};
pub use settings::{BeginAt, ProjectionSettings};
pub use status::{Condition, Status};
pub use view::{FoldedView, Rows, View};

/// The runtime's own tables, versions 1 to 999; a service's own migrations begin at 1001 and share
/// the database's list of migrations.
pub static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    const RUNTIME: &str = include_str!("../migrations/0001_projection_runtime.sql");
    let sql = SqlStr::from_static(RUNTIME);
    let first = Migration::new(1, "projection runtime".into(), MigrationType::Simple, sql, false);
    let mut migrator = Migrator::with_migrations(vec![first]);
    migrator.set_ignore_missing(true); // those of the service
    migrator
});
