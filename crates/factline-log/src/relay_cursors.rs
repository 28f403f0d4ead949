//! What the relay remembers: how far Kafka has acknowledged, and who is relaying.

use factline_core::{Fault, Position};
use sqlx::{Connection, PgConnection, PgPool};

use crate::{LogReader, classify};

/// The relay's cursors in the log's database.
#[derive(Clone)]
pub struct RelayCursors {
    pool: PgPool,
}

/// The right to relay a topic, held as long as its connection lives. It only saves work: two
/// relays on one topic are harmless, since each sends a contiguous run from its cursor.
pub struct Lease(PgConnection);

impl RelayCursors {
    /// Shares the reader's pool.
    #[must_use]
    pub fn new(reader: &LogReader) -> Self {
        Self { pool: reader.pool().clone() }
    }

    /// The last position that Kafka acknowledged, for every partition in order.
    ///
    /// # Errors
    /// The database fails.
    pub async fn load(&self, topic: &str) -> Result<Vec<(i32, Position)>, Fault> {
        const LOAD: &str =
            "select partition, position from log.relay_cursors where topic = $1 order by partition";
        let rows: Vec<(i32, i64)> = sqlx::query_as(LOAD)
            .bind(topic)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| classify("loading the relay's cursors", error))?;
        Ok(rows.into_iter().map(|(partition, position)| (partition, Position(position))).collect())
    }

    /// Moves cursors forward; one that is already further stays. The commit is not waited for: a
    /// crash of the server may take the last moves back, and events are then sent again. Waiting
    /// would cost a flush for every command of an idle system, on the disk that the next one needs.
    ///
    /// # Errors
    /// The database fails; the events are then sent again after a restart, which is harmless.
    pub async fn advance(&self, topic: &str, to: &[(i32, Position)]) -> Result<(), Fault> {
        const ADVANCE: &str = "
            update log.relay_cursors c set position = n.position
            from unnest($2::int[], $3::bigint[]) n (partition, position),
                 set_config('synchronous_commit', 'off', true)
            where c.topic = $1 and c.partition = n.partition and c.position < n.position";
        let partitions: Vec<i32> = to.iter().map(|cursor| cursor.0).collect();
        let positions: Vec<i64> = to.iter().map(|cursor| cursor.1.0).collect();
        sqlx::query(ADVANCE)
            .bind(topic)
            .bind(partitions)
            .bind(positions)
            .execute(&self.pool)
            .await
            .map_err(|error| classify("advancing the relay's cursors", error))?;
        Ok(())
    }

    /// Puts one cursor where an operator wants it, also back. Only under the lease: a relay at work
    /// would save its own cursor over this one. Events behind it are sent again, which is harmless;
    /// events that it passes over are not sent.
    ///
    /// # Errors
    /// The database fails; fatal when the log has no such cursor.
    pub async fn reset(
        &self,
        _held: &Lease,
        topic: &str,
        partition: i32,
        to: Position,
    ) -> Result<(), Fault> {
        const DOING: &str = "resetting a relay's cursor";
        const RESET: &str =
            "update log.relay_cursors set position = $3 where topic = $1 and partition = $2";
        let done = sqlx::query(RESET)
            .bind(topic)
            .bind(partition)
            .bind(to.0)
            .execute(&self.pool)
            .await
            .map_err(|error| classify(DOING, error))?;
        match done.rows_affected() {
            1 => Ok(()),
            _ => Err(Fault::fatal(DOING, format!("the log has no cursor of {topic}/{partition}"))),
        }
    }

    /// The lease of a topic, unless another relay holds it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn try_lease(&self, topic: &str) -> Result<Option<Lease>, Fault> {
        const LEASE: &str =
            "select pg_try_advisory_lock(hashtextextended('factline-relay:' || $1, 0))";
        let failed = |error| classify("taking the relay's lease", error);
        // A connection of its own: a session's lock must not travel back into a pool.
        let options = self.pool.connect_options();
        let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
        let (taken,): (bool,) =
            sqlx::query_as(LEASE).bind(topic).fetch_one(&mut connection).await.map_err(failed)?;
        if taken {
            return Ok(Some(Lease(connection)));
        }
        connection.close().await.map_err(failed)?;
        Ok(None)
    }
}

impl Lease {
    /// Does the session that holds the lease still live?
    pub async fn still_held(&mut self) -> bool {
        self.0.ping().await.is_ok()
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// The connection does not close in order; the server then ends the session by itself.
    pub async fn release(self) -> Result<(), Fault> {
        self.0.close().await.map_err(|error| classify("releasing the relay's lease", error))
    }
}
