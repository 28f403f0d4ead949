//! Where the table beside the live one stands, and where the live one.

use factline_core::Position;
use factline_kafka::PartitionId;
use sqlx::PgConnection;

use super::tables::{Side, Tables};
use crate::partition::Intake;

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: PartitionId,
    /// Of the table beside the live one.
    pub(super) position: i64,
    /// Of the live one.
    pub(super) live: i64,
}

/// A partition that the live view has begun since is begun here too.
const BEGIN: &str = "
    insert into projection.rebuild_positions (projection, topic, partition)
    select $2, topic, partition from projection.checkpoints where projection = $1
    on conflict do nothing";

const PLACES: &str = "
    select c.topic, c.partition, p.position, c.position
    from projection.checkpoints c
    join projection.rebuild_positions p
      on p.projection = $2 and p.topic = c.topic and p.partition = c.partition
    where c.projection = $1 order by 1, 2";

const LOCK: &str = "
    select from projection.checkpoints where projection = $1 order by topic, partition for update";

/// Begins every partition that has none yet.
pub(super) async fn begin(
    tx: &mut PgConnection,
    projection: &str,
    tables: &Tables,
) -> Result<(), sqlx::Error> {
    let book = tables.book(Side::Next);
    sqlx::query(BEGIN).bind(projection).bind(book).execute(tx).await?;
    Ok(())
}

/// Where each partition stands.
pub(super) async fn read(
    connection: &mut PgConnection,
    projection: &str,
    tables: &Tables,
) -> Result<Vec<Place>, sqlx::Error> {
    begin(&mut *connection, projection, tables).await?;
    let rows: Vec<(String, i32, i64, i64)> = sqlx::query_as(PLACES)
        .bind(projection)
        .bind(tables.book(Side::Next))
        .fetch_all(connection)
        .await?;
    let place = |(topic, partition, position, live): (String, i32, i64, i64)| Place {
        id: PartitionId { topic: topic.into(), partition },
        position,
        live,
    };
    Ok(rows.into_iter().map(place).collect())
}

/// The same, and the live view stands still until the transaction ends: a live batch moves its
/// checkpoints first of all.
pub(super) async fn hold(
    tx: &mut PgConnection,
    projection: &str,
    tables: &Tables,
) -> Result<Vec<Place>, sqlx::Error> {
    sqlx::query(LOCK).bind(projection).execute(&mut *tx).await?;
    read(tx, projection, tables).await
}

/// Events until the table beside is where the live one is.
pub(super) fn remaining(places: &[Place]) -> i64 {
    places.iter().map(|place| (place.live - place.position).max(0)).sum()
}

/// What is to be read next, at most so many events; those of the partition that is furthest behind
/// first, so that all arrive together.
pub(super) fn intakes(places: &[Place], mut budget: i64) -> Vec<Intake> {
    let mut places: Vec<_> = places.iter().filter(|one| one.live > one.position).collect();
    places.sort_by_key(|one| one.position - one.live);
    let mut intakes = Vec::new();
    for place in places {
        let events = (place.live - place.position).min(budget);
        if events < 1 {
            break;
        }
        budget -= events;
        intakes.push(Intake {
            id: place.id.clone(),
            epoch: 0,
            partitions: 0, // of records from Kafka; there are none
            expected: Position(place.position),
            incoming: std::collections::VecDeque::new(),
            refill: Some(events),
            open_end: None,
            deaths: None,
        });
    }
    intakes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: i32, position: i64, live: i64) -> Place {
        let id = PartitionId { topic: "factline.parcel.v1".into(), partition };
        Place { id, position, live }
    }

    #[test]
    fn what_is_furthest_behind_is_read_first_and_never_beyond_the_live_view() {
        let places = [place(0, 5, 9), place(1, 2, 20), place(2, 7, 7)];
        assert_eq!(remaining(&places), 22);
        let taken = |budget| {
            let intakes = intakes(&places, budget);
            intakes.iter().map(|one| (one.id.partition, one.refill)).collect::<Vec<_>>()
        };
        assert_eq!(taken(20), [(1, Some(18)), (0, Some(2))]);
        assert_eq!(taken(100), [(1, Some(18)), (0, Some(4))]);
        assert_eq!(taken(3), [(1, Some(3))]);
    }
}
