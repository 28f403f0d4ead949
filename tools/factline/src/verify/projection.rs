//! A projection's side: its checkpoints, and which events have had their effect.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use factline_projection::inspect;
use sqlx::PgConnection;
use uuid::Uuid;

use super::store::Stored;
use crate::failure::Failure;
use crate::sources::{Projector, Topic};

/// What one projection has seen of one topic, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) service: String,
    pub(super) projection: String,
    pub(super) topic: String,
    /// By partition.
    pub(super) positions: BTreeMap<i32, i64>,
    /// Sorted. Memory: 16 bytes an event.
    pub(super) processed: Vec<Uuid>,
    /// Ids below it are not kept: of these events nobody knows any more that they had their effect.
    pub(super) forgotten_below: Uuid,
    pub(super) parked: BTreeSet<Uuid>,
    /// Left out by an operator: partition, and the positions before the first and of the last one.
    pub(super) left_out: Vec<(i32, i64, i64)>,
}

/// Reads everything in one snapshot, so that progress and effect belong together.
///
/// # Errors
/// The database does not answer, or was never migrated.
pub(super) async fn read(projector: &Projector) -> Result<Vec<Seen>, Failure> {
    let mut tx = projector.database.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only")
        .execute(&mut *tx)
        .await?;
    let rows: Vec<(String, String, i32, i64)> =
        sqlx::query_as("select projection, topic, partition, position from projection.checkpoints")
            .fetch_all(&mut *tx)
            .await?;
    let mut seen: BTreeMap<(String, String), Seen> = BTreeMap::new();
    for (projection, topic, partition, position) in rows {
        let key = (projection.clone(), topic.clone());
        let one = seen.entry(key).or_insert_with(|| Seen {
            service: projector.service.clone(),
            projection,
            topic,
            ..Seen::default()
        });
        one.positions.insert(partition, position);
    }
    let mut seen: Vec<Seen> = seen.into_values().collect();
    for one in &mut seen {
        one.read_effects(&mut tx).await?;
    }
    Ok(seen)
}

/// Whether a checkpoint has not passed these heads; a projector that does not answer is not waited
/// for.
pub(super) async fn is_behind(projector: &Projector, heads: &[Topic]) -> bool {
    let checkpoints = inspect::checkpoints(&projector.database).await.unwrap_or_default();
    checkpoints.iter().any(|row| {
        let topic = heads.iter().find(|topic| topic.name == row.topic);
        topic.is_some_and(|topic| row.position < topic.head(row.partition))
    })
}

impl Seen {
    async fn read_effects(&mut self, tx: &mut PgConnection) -> Result<(), Failure> {
        self.forgotten_below = sqlx::query_scalar("select below from projection.forgotten")
            .fetch_one(&mut *tx)
            .await?;
        self.processed = sqlx::query_scalar(
            "select event_id from projection.processed_events
             where projection = $1 and event_id >= $2 order by event_id",
        )
        .bind(&self.projection)
        .bind(self.forgotten_below)
        .fetch_all(&mut *tx)
        .await?;
        let parked: Vec<Uuid> = sqlx::query_scalar(
            "select event_id from projection.parked_events where projection = $1 and topic = $2",
        )
        .bind(&self.projection)
        .bind(&self.topic)
        .fetch_all(&mut *tx)
        .await?;
        self.parked = parked.into_iter().collect();
        self.left_out = sqlx::query_as(
            "select partition, was, after from projection.beginnings
             where projection = $1 and topic = $2",
        )
        .bind(&self.projection)
        .bind(&self.topic)
        .fetch_all(tx)
        .await?;
        Ok(())
    }

    /// Since when events were made that are compared; `None`: all of them are.
    pub(super) fn compared_since(&self) -> Option<DateTime<Utc>> {
        let millis = i64::try_from(self.forgotten_below.as_u128() >> 80).ok()?;
        (millis > 0).then(|| DateTime::from_timestamp_millis(millis)).flatten()
    }

    fn is_left_out(&self, partition: i32, position: i64) -> bool {
        let holds = |(of, was, after): &(i32, i64, i64)| {
            *of == partition && (was + 1..=*after).contains(&position)
        };
        self.left_out.iter().any(holds)
    }

    /// Everything in which it differs from the store. `head` is from before its own reading.
    pub(super) fn differences(&self, stored: &Stored, head: &Topic) -> Vec<String> {
        let name = &self.projection;
        let mut differences = Vec::new();
        let mut accounted = 0;
        let mut without_effect = 0;
        let mut twice = 0;
        for (partition, position) in &self.positions {
            if *position < head.head(*partition) {
                let (topic, head) = (&self.topic, head.head(*partition));
                differences.push(format!("{name}: at {position} of {head} in {topic}/{partition}"));
            }
            for at in 1..=*position {
                let Some(event) = stored.event(*partition, at) else {
                    differences.push(format!(
                        "{name}: its checkpoint {position} of {}/{partition} is ahead of the store",
                        self.topic
                    ));
                    break;
                };
                if event.id < self.forgotten_below {
                    continue;
                }
                let processed = self.processed.binary_search(&event.id).is_ok();
                let parked = self.parked.contains(&event.id);
                accounted += usize::from(processed);
                let left_out = self.is_left_out(*partition, at);
                without_effect += usize::from(!processed && !parked && !left_out);
                twice += usize::from(processed && parked);
            }
        }
        let unknown = self.processed.len().saturating_sub(accounted);
        for (count, what) in [
            (without_effect, "events up to its checkpoint had no effect"),
            (twice, "events are both processed and parked"),
            (unknown, "processed events are not in the store up to its checkpoint"),
        ] {
            if count > 0 {
                differences.push(format!("{name}: {count} {what}"));
            }
        }
        let missing = head.heads.len().saturating_sub(self.positions.len());
        let events_without = (0..)
            .take(head.heads.len())
            .any(|partition| !self.positions.contains_key(&partition) && head.head(partition) > 0);
        if events_without {
            differences.push(format!("{name}: {missing} partitions have no checkpoint"));
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::stored;
    use super::*;

    fn seen(position: i64, processed: &[u128], parked: &[u128]) -> Seen {
        Seen {
            projection: "parcels".to_owned(),
            topic: "t".to_owned(),
            positions: BTreeMap::from([(0, position)]),
            processed: processed.iter().copied().map(Uuid::from_u128).collect(),
            parked: parked.iter().copied().map(Uuid::from_u128).collect(),
            ..Seen::default()
        }
    }

    fn differences(seen: &Seen) -> Vec<String> {
        let head = Topic { name: "t".to_owned(), heads: vec![3], relayed: vec![3] };
        seen.differences(&stored(&[1, 2, 3]), &head)
    }

    #[test]
    fn every_event_up_to_the_checkpoint_is_processed_or_parked() {
        assert!(differences(&seen(3, &[1, 2, 3], &[])).is_empty());
        assert!(differences(&seen(3, &[1, 2], &[3])).is_empty());
        assert_eq!(
            differences(&seen(3, &[1, 2], &[])),
            ["parcels: 1 events up to its checkpoint had no effect"]
        );
        assert_eq!(
            differences(&seen(3, &[1, 2, 3], &[3])),
            ["parcels: 1 events are both processed and parked"]
        );
    }

    #[test]
    fn an_event_that_an_operator_has_left_out_has_no_effect() {
        let begun = Seen { left_out: vec![(0, 1, 2)], ..seen(3, &[1, 3], &[]) };
        assert!(differences(&begun).is_empty());
        let other = Seen { left_out: vec![(1, 1, 2)], ..seen(3, &[1, 3], &[]) };
        assert_eq!(differences(&other), ["parcels: 1 events up to its checkpoint had no effect"]);
    }

    #[test]
    fn what_is_older_than_its_id_is_kept_is_not_asked_for_and_what_is_younger_is() {
        let forgot =
            |processed| Seen { forgotten_below: Uuid::from_u128(2), ..seen(3, processed, &[]) };
        assert!(differences(&forgot(&[2, 3])).is_empty());
        assert_eq!(
            differences(&forgot(&[3])),
            ["parcels: 1 events up to its checkpoint had no effect"]
        );
        assert_eq!(seen(3, &[1], &[]).compared_since(), None, "everything is compared");
        let moment =
            Seen { forgotten_below: Uuid::from_u128(1_796_000_000_123 << 80), ..Seen::default() };
        let since = moment.compared_since().map(|since| since.timestamp_millis());
        assert_eq!(since, Some(1_796_000_000_123));
    }

    #[test]
    fn an_effect_that_the_store_does_not_know_is_found() {
        assert_eq!(
            differences(&seen(3, &[1, 2, 3, 9], &[])),
            ["parcels: 1 processed events are not in the store up to its checkpoint"]
        );
    }

    #[test]
    fn a_checkpoint_behind_or_ahead_of_the_store_is_found() {
        assert_eq!(differences(&seen(2, &[1, 2], &[])), ["parcels: at 2 of 3 in t/0"]);
        assert_eq!(
            differences(&seen(4, &[1, 2, 3], &[])),
            ["parcels: its checkpoint 4 of t/0 is ahead of the store"]
        );
    }
}
