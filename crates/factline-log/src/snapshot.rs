//! When a snapshot is due, and how several are written at once.

use std::sync::Arc;

use factline_core::{Aggregate, Fault, StreamId, Version};
use sqlx::{PgConnection, types::Json};

use crate::{classify, load::Loaded};

/// Did the stream cross a multiple of `every` between two versions?
pub(crate) fn crossed(before: Version, after: Version, every: i64) -> bool {
    before.0 / every < after.0 / every
}

/// A stream's state, to be written.
pub(crate) struct Snapshot<A> {
    pub stream_id: StreamId,
    pub version: Version,
    pub state: Arc<A>,
}

impl<A> Snapshot<A> {
    pub(crate) fn of(stream_id: &StreamId, stream: &Loaded<A>) -> Self {
        let (version, state) = (stream.version, stream.state.clone());
        Self { stream_id: stream_id.clone(), version, state }
    }
}

/// Writes snapshots. Those at other versions stay: they shorten the way to older states, which
/// repeats ask for. The commit is not waited for: a cache may lose its last entries in a crash.
///
/// # Errors
/// The database fails. A snapshot is a cache: the caller logs it and goes on.
pub(crate) async fn save<A: Aggregate>(
    connection: &mut PgConnection,
    topic: &str,
    snapshots: &[Snapshot<A>],
) -> Result<(), Fault> {
    const SAVE: &str = "
        insert into log.snapshots (topic, stream_id, version, state_version, state)
        select distinct on (s.stream_id, s.version) $1, s.stream_id, s.version, $2, s.state
        from unnest($3::text[], $4::bigint[], $5::jsonb[]) s (stream_id, version, state),
             set_config('synchronous_commit', 'off', true)
        on conflict (topic, stream_id, version) do update
        set state_version = excluded.state_version, state = excluded.state, created_at = now()";
    let ids: Vec<&str> = snapshots.iter().map(|one| one.stream_id.as_str()).collect();
    let versions: Vec<i64> = snapshots.iter().map(|one| one.version.0).collect();
    let states: Vec<Json<&A>> = snapshots.iter().map(|one| Json(&*one.state)).collect();
    sqlx::query(SAVE)
        .bind(topic)
        .bind(A::STATE_VERSION)
        .bind(ids)
        .bind(versions)
        .bind(states)
        .execute(connection)
        .await
        .map_err(|error| classify("writing snapshots", error))?;
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
