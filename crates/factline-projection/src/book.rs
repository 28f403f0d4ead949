//! Where a batch's progress, its ids and what it parks are noted: for the live table, or for one that
//! is rebuilt beside it.

use std::collections::HashSet;

use factline_core::Recorded;
use sqlx::PgConnection;
use tracing::warn;
use uuid::Uuid;

use crate::{
    checkpoint::{self, Slice},
    ledger,
};

/// See the module.
#[derive(Debug)]
pub(crate) enum Book {
    /// Checkpoints and `processed_events` of this projection.
    Live(&'static str),
    /// Positions of a rebuild. It enters no ids: at the switch both tables have the same events, so
    /// the live one's ids are right for it.
    Beside {
        /// What positions and parked rows are under: `NAME/next`.
        name: String,
        /// Events that an operator has taken out of the view's history.
        skipped: HashSet<Uuid>,
    },
}

impl Book {
    /// What parked rows are under.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Live(name) => name,
            Self::Beside { name, .. } => name,
        }
    }

    /// Moves by compare-and-set; false when another owner has moved.
    pub(crate) async fn advance(
        &self,
        tx: &mut PgConnection,
        slices: &[Slice],
    ) -> Result<bool, sqlx::Error> {
        match self {
            Self::Live(name) => checkpoint::advance(tx, name, slices).await,
            Self::Beside { name, .. } => advance_beside(tx, name, slices).await,
        }
    }

    /// Ids of the batch that are not to be applied.
    pub(crate) async fn known<E>(
        &self,
        tx: &mut PgConnection,
        events: &[Recorded<E>],
    ) -> Result<HashSet<Uuid>, sqlx::Error> {
        let name = match self {
            Self::Live(name) => name,
            Self::Beside { skipped, .. } => return Ok(skipped.clone()),
        };
        let known = ledger::known(tx, name, events).await?;
        for id in &known {
            warn!(projection = name, event_id = %id, "an event is known at a position not yet reached");
        }
        Ok(known)
    }

    /// Enters ids; false when one of them stood there before.
    pub(crate) async fn enter<E>(
        &self,
        tx: &mut PgConnection,
        events: &[Recorded<E>],
    ) -> Result<bool, sqlx::Error> {
        match self {
            Self::Live(name) => ledger::enter(tx, name, events).await,
            Self::Beside { .. } => Ok(true),
        }
    }
}

const MOVE: &str = "
    update projection.rebuild_positions p set position = n.position
    from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
        n (topic, partition, expected, position)
    where p.projection = $1 and p.topic = n.topic and p.partition = n.partition
      and p.position = n.expected";

async fn advance_beside(
    tx: &mut PgConnection,
    name: &str,
    slices: &[Slice],
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(MOVE)
        .bind(name)
        .bind(slices.iter().map(|slice| slice.id.topic.to_string()).collect::<Vec<_>>())
        .bind(slices.iter().map(|slice| slice.id.partition).collect::<Vec<_>>())
        .bind(slices.iter().map(|slice| slice.expected.0).collect::<Vec<_>>())
        .bind(slices.iter().map(|slice| slice.position.0).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(moved.rows_affected() == u64::try_from(slices.len()).unwrap_or(u64::MAX))
}
