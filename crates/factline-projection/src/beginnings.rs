//! Where an operator lets a projection begin a partition: behind events that shall have no effect in it. The
//! way out of a gap that nothing can fill, and of a projection that shall not hear of the past.
//!
//! Written by whoever asks, in one transaction with its record. A projector at work finds its
//! compare-and-set refused, or looks by itself where it stands at a gap, and goes on from there.

use sqlx::PgPool;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewBeginning<'a> {
    /// The person.
    pub who: &'a str,
    /// Why; the database refuses one without.
    pub reason: &'a str,
    /// Which projection.
    pub projection: &'a str,
    /// Of which topic.
    pub topic: &'a str,
    /// Of it, from 0.
    pub partition: i32,
    /// How many partitions the topic has.
    pub partitions: i32,
    /// The last position that is left out.
    pub after: i64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// The projection goes on behind `after`; it was at this position before.
    From {
        /// 0 when it had no checkpoint.
        was: i64,
    },
    /// It is at a later position already. What it has applied cannot be applied again: that is a
    /// rebuild.
    Passed {
        /// Where it is.
        position: i64,
    },
}

const MAKE: &str = "
    insert into projection.checkpoints (projection, topic, partition, partitions)
    values ($1, $2, $3, $4) on conflict do nothing";

/// Waits for a batch under way.
const LOCK: &str = "
    select position from projection.checkpoints
    where projection = $1 and topic = $2 and partition = $3 for update";

const MOVE: &str = "
    update projection.checkpoints set position = $4, updated_at = now()
    where projection = $1 and topic = $2 and partition = $3";

const RECORD: &str = "
    insert into projection.beginnings (projection, topic, partition, was, after, who, reason)
    values ($1, $2, $3, $4, $5, $6, $7)";

/// Lets a projection begin there.
///
/// # Errors
/// The database fails, or refuses one without a person or a reason. Nothing is changed then.
pub async fn begin(database: &PgPool, beginning: &NewBeginning<'_>) -> Result<Begun, sqlx::Error> {
    let NewBeginning { who, reason, projection, topic, partition, partitions, after } = *beginning;
    let mut tx = database.begin().await?;
    let place = |sql: &'static str| sqlx::query(sql).bind(projection).bind(topic).bind(partition);
    place(MAKE).bind(partitions).execute(&mut *tx).await?;
    let (was,): (i64,) = sqlx::query_as(LOCK)
        .bind(projection)
        .bind(topic)
        .bind(partition)
        .fetch_one(&mut *tx)
        .await?;
    if was > after {
        return Ok(Begun::Passed { position: was }); // dropped, so rolled back
    }
    place(MOVE).bind(after).execute(&mut *tx).await?;
    place(RECORD).bind(was).bind(after).bind(who).bind(reason).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Begun::From { was })
}
