//! Records that kill the process: memory that runs out or a stack that overflows takes the process along
//! before anybody sees an error, and after a restart the same record comes again.
//!
//! The first batch of an assignment therefore leaves a mark beforehand: the position that it begins at. A
//! mark that is there at the next assignment says that a process ended, or froze, with that batch in hand.
//! Mostly that was chance. So the partition is tried once more as it is, but with no other marked batch
//! beside it in its process, so that an end has one cause; after a second one it goes on one record at a
//! time, marked each; and what [`DEATHS`] processes have ended with is parked undecoded. A batch that ends
//! in any other way takes its mark away.

use factline_core::Position;
use factline_kafka::PartitionId;
use sqlx::PgPool;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::schemas::Bad;

/// One may be chance, and two a deployment in a hurry.
pub(crate) const DEATHS: u32 = 3;

/// More batches than any process has in hand at once.
const TURNS: u32 = 1 << 16;

/// A process dies as a whole, whatever number of projections it runs.
static IN_HAND: Semaphore = Semaphore::const_new(TURNS as usize);

const SET: &str = "
    insert into projection.attempts (projection, topic, partition, position, attempts)
    select $1, m.* from unnest($2::text[], $3::int[], $4::bigint[], $5::int[]) m
    order by 2, 3
    on conflict (projection, topic, partition)
    do update set position = excluded.position, attempts = excluded.attempts";

const TAKE_AWAY: &str = "
    delete from projection.attempts a
    using unnest($2::text[], $3::int[], $4::bigint[], $5::int[])
        m (topic, partition, position, attempts)
    where a.projection = $1 and a.topic = m.topic and a.partition = m.partition
      and a.position = m.position and a.attempts = m.attempts";

/// How far a partition is trusted to leave the process alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    Full,
    /// Its next batch is marked: nothing has been done under this assignment, or one process has ended
    /// with what comes next in hand.
    Marked {
        deaths: u32,
    },
    /// So many processes have ended with what comes next in hand; after so many events it was chance.
    Suspect {
        deaths: u32,
        left: usize,
    },
}

impl Trust {
    /// At an assignment. `batch_records`: the most that a process had in hand when it ended.
    pub(crate) const fn after(deaths: u32, batch_records: usize) -> Self {
        match deaths {
            0 | 1 => Self::Marked { deaths },
            _ => Self::Suspect { deaths, left: batch_records },
        }
    }

    /// How many processes have ended with what comes next; `None` when it need not be marked.
    pub(crate) const fn deaths(self) -> Option<u32> {
        match self {
            Self::Full => None,
            Self::Marked { deaths } | Self::Suspect { deaths, .. } => Some(deaths),
        }
    }

    /// Nothing else is in its batch, and no other marked batch in its process.
    pub(crate) const fn is_alone(self) -> bool {
        matches!(self, Self::Marked { deaths: 1.. } | Self::Suspect { .. })
    }

    /// One record makes a batch.
    pub(crate) const fn goes_step_by_step(self) -> bool {
        matches!(self, Self::Suspect { .. })
    }

    /// A batch has settled. `moved`: by so many events; what is none proves nothing.
    pub(crate) const fn settled(self, moved: usize) -> Self {
        match self {
            Self::Marked { deaths: 1.. } | Self::Suspect { .. } if moved == 0 => self,
            Self::Suspect { left, .. } if left > moved => {
                Self::Suspect { deaths: 0, left: left - moved }
            }
            Self::Full | Self::Marked { .. } | Self::Suspect { .. } => Self::Full,
        }
    }
}

/// What an event that so many processes have ended with is parked for, if they are enough.
pub(crate) fn lethal(deaths: Option<u32>) -> Option<Bad> {
    let deaths = deaths.filter(|deaths| *deaths >= DEATHS)?;
    let detail = format!("{deaths} processes ended with it in hand; it was not decoded again");
    Some(Bad { code: "lethal", detail })
}

/// A batch in hand, for the case that nobody lives to tell.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) id: PartitionId,
    /// The checkpoint that it begins at.
    pub(crate) position: Position,
    /// Which one it is that begins there.
    pub(crate) attempt: u32,
}

/// As long as it lives no other process-ending batch can be mistaken for this one.
pub(crate) type Turn = SemaphorePermit<'static>;

/// The turn of a batch: with others, or alone.
pub(crate) async fn turn(alone: bool) -> Option<Turn> {
    IN_HAND.acquire_many(if alone { TURNS } else { 1 }).await.ok() // it is never closed
}

/// Leaves marks.
pub(crate) async fn set(
    pool: &PgPool,
    projection: &str,
    marks: &[Mark],
) -> Result<(), sqlx::Error> {
    write(pool, SET, projection, marks).await
}

/// Takes marks away, where no other process has left its own instead.
pub(crate) async fn take_away(
    pool: &PgPool,
    projection: &str,
    marks: &[Mark],
) -> Result<(), sqlx::Error> {
    write(pool, TAKE_AWAY, projection, marks).await
}

async fn write(
    pool: &PgPool,
    statement: &'static str,
    projection: &str,
    marks: &[Mark],
) -> Result<(), sqlx::Error> {
    let attempts = marks.iter().map(|mark| i32::try_from(mark.attempt).unwrap_or(i32::MAX));
    sqlx::query(statement)
        .bind(projection)
        .bind(marks.iter().map(|mark| mark.id.topic.to_string()).collect::<Vec<_>>())
        .bind(marks.iter().map(|mark| mark.id.partition).collect::<Vec<_>>())
        .bind(marks.iter().map(|mark| mark.position.0).collect::<Vec<_>>())
        .bind(attempts.collect::<Vec<_>>())
        .execute(pool)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_batch_of_an_assignment_is_marked_and_no_other() {
        let trust = Trust::after(0, 100);
        assert_eq!((trust.deaths(), trust.is_alone()), (Some(0), false));
        assert_eq!(trust.settled(0), Trust::Full);
        assert_eq!(Trust::Full.deaths(), None);
    }

    #[test]
    fn one_death_is_tried_again_as_it_is_but_alone() {
        let trust = Trust::after(1, 100);
        assert_eq!((trust.deaths(), trust.is_alone()), (Some(1), true));
        assert!(!trust.goes_step_by_step());
        assert_eq!(trust.settled(40), Trust::Full);
    }

    #[test]
    fn after_two_deaths_it_goes_step_by_step_over_as_many_events_as_were_in_hand() {
        let mut trust = Trust::after(2, 3);
        for deaths in [2, 0, 0] {
            assert!(trust.goes_step_by_step() && trust.is_alone());
            assert_eq!(trust.deaths(), Some(deaths));
            trust = trust.settled(1);
        }
        assert_eq!(trust, Trust::Full);
    }

    #[test]
    fn records_that_are_no_events_prove_nothing() {
        for deaths in [1, 2] {
            assert_eq!(Trust::after(deaths, 3).settled(0), Trust::after(deaths, 3));
        }
    }

    #[test]
    fn the_third_death_condemns_and_the_second_does_not() {
        let codes = [None, Some(0), Some(2), Some(3)].map(|deaths| lethal(deaths).map(|b| b.code));
        assert_eq!(codes, [None, None, None, Some("lethal")]);
    }
}
