//! What of a database nobody notices until it hurts.

use std::time::Duration;

use sqlx::PgPool;

use crate::{clock::ClockWatch, horizon::Horizon};

/// Watches a database: how long it has not been able to forget, and whether its clock is right.
#[derive(Debug, Default)]
pub struct DatabaseWatch {
    horizon: Horizon,
    clock: ClockWatch,
}

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseState {
    /// For how long looks have found the same transaction to be the oldest one.
    pub horizon_held: Duration,
    /// By how much its clock and this process's differ, either way.
    pub clock_apart: Duration,
}

impl DatabaseWatch {
    /// Looks once, and tells the gauges `factline_database_horizon_held_seconds` and
    /// `factline_database_clock_apart_seconds`. Call it every few seconds.
    ///
    /// # Errors
    /// The database fails; nothing is forgotten.
    pub async fn look(&mut self, pool: &PgPool) -> Result<DatabaseState, sqlx::Error> {
        let horizon_held = self.horizon.look(pool).await?;
        let clock_apart = self.clock.look(pool).await?;
        Ok(DatabaseState { horizon_held, clock_apart })
    }
}
