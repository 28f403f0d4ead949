//! When a snapshot is due, and its one statement.

use factline_core::{Aggregate, Fault, StreamId, Version};
use sqlx::{PgConnection, types::Json};

use crate::classify;

/// Did the stream cross a multiple of `every` between two versions?
pub(crate) fn crossed(before: Version, after: Version, every: i64) -> bool {
    before.0 / every < after.0 / every
}

/// Writes a stream's snapshot at a version. Those at other versions stay: they shorten the way to
/// older states, which repeats ask for.
///
/// # Errors
/// The database fails. A snapshot is a cache: the caller logs it and goes on.
pub(crate) async fn save<A: Aggregate>(
    connection: &mut PgConnection,
    topic: &str,
    stream_id: &StreamId,
    version: Version,
    state: &A,
) -> Result<(), Fault> {
    const SAVE: &str = "
        insert into log.snapshots (topic, stream_id, version, state_version, state)
        values ($1, $2, $3, $4, $5)
        on conflict (topic, stream_id, version) do update
        set state_version = excluded.state_version, state = excluded.state, created_at = now()";
    sqlx::query(SAVE)
        .bind(topic)
        .bind(stream_id.as_str())
        .bind(version.0)
        .bind(A::STATE_VERSION)
        .bind(Json(state))
        .execute(connection)
        .await
        .map_err(|error| classify("writing a snapshot", error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_when_a_batch_crosses_a_multiple() {
        let due = |before, after| crossed(Version(before), Version(after), 100);
        assert!(due(99, 100));
        assert!(due(98, 103));
        assert!(!due(100, 101));
        assert!(!due(0, 99));
    }
}
