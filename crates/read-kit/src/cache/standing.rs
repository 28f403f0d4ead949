//! What an answer depends on: a view's name flows in, out flows how far it is, and a key that is another
//! one as soon as any answer may be.
//!
//! Positions alone would not do. A parked event that an operator retries changes rows and moves no
//! position, but it leaves the parked ones, and at the same positions none can come to them. A rebuild
//! that is switched, or rolled back, puts another table under the name. A log that was restored may hold
//! another event at a position, recorded at another time.

use chrono::{DateTime, Utc};
use factline_core::Position;
use factline_projection::{Freshness, PartitionFreshness};
use sqlx::PgPool;
use uuid::Uuid;

use super::Question;

/// Two builds that answer a question in different shapes share no keys.
const VERSION: &str = env!("CARGO_PKG_VERSION");

const STANDING: &str = "
    select topic, partition, partitions, position, recorded_at,
           coalesce(to_regclass($2)::oid::bigint, 0),
           (select count(*) from projection.parked_events where projection = $1)
    from projection.checkpoints where projection = $1 order by topic, partition";

type Row = (String, i32, i32, i64, Option<DateTime<Utc>>, i64, i64);

/// Equal ones have the same answers, and between two equal ones there was no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) freshness: Freshness,
    table: i64,
    parked: i64,
}

impl Standing {
    /// As it is now, in one statement; `None` for a view that has read nothing.
    pub(super) async fn read(
        pool: &PgPool,
        question: &Question<'_>,
    ) -> Result<Option<Self>, sqlx::Error> {
        let rows: Vec<Row> = sqlx::query_as(STANDING)
            .bind(question.projection)
            .bind(question.table)
            .fetch_all(pool)
            .await?;
        Ok(Self::of(rows))
    }

    fn of(rows: Vec<Row>) -> Option<Self> {
        let &(.., table, parked) = rows.first()?;
        let partition = |(topic, partition, partitions, position, recorded_at, ..): Row| {
            let (topic, position) = (topic.into(), Position(position));
            PartitionFreshness { topic, partition, partitions, position, recorded_at }
        };
        let partitions = rows.into_iter().map(partition).collect();
        Some(Self { freshness: Freshness { partitions }, table, parked })
    }

    /// Where in Redis this question's answer is, behind the prefix. A digest, because neither positions
    /// nor questions are short.
    pub(super) fn key(&self, question: &Question<'_>) -> String {
        let Question { projection, table, text } = question;
        let mut all = format!("{VERSION}\n{table}\n{}\n{}\n", self.table, self.parked);
        for one in &self.freshness.partitions {
            let recorded_at = one.recorded_at.map(|at| at.timestamp_micros());
            let PartitionFreshness { topic, partition, partitions, position, .. } = one;
            all += &format!("{topic}:{partition}/{partitions}:{position}@{recorded_at:?}\n");
        }
        all += text;
        let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, projection.as_bytes());
        format!("cache:{projection}:{}", Uuid::new_v5(&namespace, all.as_bytes()).simple())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const QUESTION: Question<'_> =
        Question { projection: "parcels", table: "parcels", text: "how many" };

    fn row(partition: i32, position: i64) -> Row {
        let recorded_at = DateTime::from_timestamp(1_700_000_000, 0);
        ("factline.parcel.v1".to_owned(), partition, 2, position, recorded_at, 16_384, 0)
    }

    fn key(rows: [Row; 2]) -> String {
        Standing::of(rows.into()).unwrap().key(&QUESTION)
    }

    #[test]
    fn a_view_that_has_read_nothing_has_no_standing() {
        assert_eq!(Standing::of(Vec::new()), None);
    }

    #[test]
    fn whatever_may_change_an_answer_changes_its_key() {
        let same = || [row(0, 12), row(1, 3)];
        assert_eq!(key(same()), key(same()));
        let mut forked = same();
        forked[1].4 = forked[1].4.map(|at| at + TimeDelta::microseconds(1));
        let [mut switched, mut retried] = [same(), same()];
        switched[0].5 = 16_385;
        retried[0].6 = 1;
        let others = [[row(0, 1), row(1, 23)], [row(0, 12), row(1, 4)], forked, switched, retried];
        let mut keys: Vec<_> = others.into_iter().map(key).collect();
        let standing = Standing::of(same().into()).unwrap();
        for question in [
            Question { text: "how heavy", ..QUESTION },
            Question { projection: "letters", ..QUESTION },
        ] {
            keys.push(standing.key(&question));
        }
        keys.push(key(same()));
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count, "{keys:?}");
    }
}
