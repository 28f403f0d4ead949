//! How far the views are behind the log, looked at all the time, and how long they take to be whole
//! again after a fault.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::failure::Failure;
use crate::place::{Place, Service};

/// The resolution of every figure of this module.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A database that is down or frozen gives no sample.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A partition of a topic.
type PartitionName = (String, i32);

/// What was seen at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) heads: BTreeMap<PartitionName, i64>,
    /// The checkpoint of the slowest projection.
    pub(crate) slowest: BTreeMap<PartitionName, i64>,
}

impl Sample {
    /// Whether every view had seen what the log had in `earlier`.
    fn has_passed(&self, earlier: &Sample) -> bool {
        earlier
            .heads
            .iter()
            .all(|(partition, head)| self.slowest.get(partition).copied().unwrap_or(0) >= *head)
    }
}

/// Looks at the databases.
#[derive(Debug)]
pub(crate) struct Lag {
    log: PgPool,
    views: Vec<PgPool>,
    began: Instant,
    samples: Mutex<Vec<Sample>>,
}

impl Lag {
    /// # Errors
    /// An address is none.
    pub(crate) fn new(place: &Place, began: Instant) -> Result<Lag, Failure> {
        let pool = |database: String| {
            let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER_WITHIN);
            pool.connect_lazy(&database)
        };
        let views = [Service::List, Service::Stats, Service::Alerter].into_iter();
        let views = views.map(|service| place.database(service)).chain([place.saga_database()]);
        Ok(Lag {
            log: pool(place.database(Service::CommandApi))?,
            views: views.map(pool).collect::<Result<_, _>>()?,
            began,
            samples: Mutex::default(),
        })
    }

    /// Looks for ever.
    pub(crate) async fn run(&self) {
        loop {
            if let Ok(Ok(sample)) = tokio::time::timeout(ANSWER_WITHIN, self.look()).await {
                self.samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// # Errors
    /// A database does not answer.
    async fn look(&self) -> Result<Sample, sqlx::Error> {
        const HEADS: &str = "select topic, partition, position from log.heads";
        const SLOWEST: &str = "
            select topic, partition, min(position) from projection.checkpoints group by 1, 2";
        let heads: Vec<(String, i32, i64)> = sqlx::query_as(HEADS).fetch_all(&self.log).await?;
        let mut sample = Sample { at: self.began.elapsed(), ..Sample::default() };
        let part = |(topic, partition, position)| ((topic, partition), position);
        sample.heads = heads.into_iter().map(part).collect();
        for view in &self.views {
            let rows: Vec<(String, i32, i64)> = sqlx::query_as(SLOWEST).fetch_all(view).await?;
            for (partition, position) in rows.into_iter().map(part) {
                let slowest = sample.slowest.entry(partition).or_insert(position);
                *slowest = (*slowest).min(position);
            }
        }
        Ok(sample)
    }

    /// Waits until every view has seen everything that the log has; whether it came to that.
    pub(crate) async fn quiet(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Ok(Ok(sample)) = tokio::time::timeout(ANSWER_WITHIN, self.look()).await
                && sample.has_passed(&sample)
            {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Everything that was seen.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Of each sample, how long ago the oldest event was first seen that some view had not seen yet:
/// in seconds, sorted.
pub(crate) fn lags(samples: &[Sample]) -> Vec<f64> {
    let mut lags = Vec::with_capacity(samples.len());
    for (index, now) in samples.iter().enumerate() {
        // The first sample that had something which is not in the views now.
        let oldest = samples.iter().take(index).find(|then| !now.has_passed(then));
        let lag = oldest.map(|then| now.at.saturating_sub(then.at)).unwrap_or_default();
        lags.push(lag.as_secs_f64());
    }
    lags.sort_by(f64::total_cmp);
    lags
}

/// For each end of a fault, how long it took until every view had seen what the log had then: in
/// seconds, sorted. Other faults may have been at work meanwhile.
pub(crate) fn recoveries(samples: &[Sample], ends: &[Duration]) -> Vec<f64> {
    let recovery = |end: &Duration| {
        let mut after = samples.iter().skip_while(|sample| sample.at < *end);
        let then = after.next()?;
        let whole = samples.iter().find(|now| now.at >= then.at && now.has_passed(then))?;
        Some(whole.at.saturating_sub(*end).as_secs_f64())
    };
    let mut recoveries: Vec<f64> = ends.iter().filter_map(recovery).collect();
    recoveries.sort_by(f64::total_cmp);
    recoveries
}

/// Of sorted figures, the one that so many of a hundred are not above; 0 of none.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(seen: &[(u64, i64, i64)]) -> Vec<Sample> {
        let key = || ("t".to_owned(), 0);
        let sample = |(at, head, slowest): &(u64, i64, i64)| Sample {
            at: Duration::from_secs(*at),
            heads: [(key(), *head)].into(),
            slowest: [(key(), *slowest)].into(),
        };
        seen.iter().map(sample).collect()
    }

    #[test]
    fn lag_is_the_age_of_the_oldest_event_that_a_view_lacks() {
        let seen = samples(&[(0, 1, 1), (1, 5, 1), (2, 9, 1), (3, 9, 4), (4, 9, 9)]);
        assert_eq!(lags(&seen), [0.0, 0.0, 0.0, 1.0, 2.0]);
    }

    #[test]
    fn recovery_lasts_until_the_views_have_what_the_log_had_at_the_end_of_the_fault() {
        let seen = samples(&[(0, 1, 1), (10, 50, 1), (14, 70, 49), (15, 80, 50), (20, 80, 80)]);
        assert_eq!(recoveries(&seen, &[Duration::from_secs(9)]), [6.0]);
        assert_eq!(recoveries(&seen, &[Duration::from_secs(99)]), [0.0; 0]);
    }

    #[test]
    fn a_percentile_is_one_of_the_figures() {
        let figures = [1.0, 2.0, 3.0, 4.0];
        assert_eq!((percentile(&figures, 50), percentile(&figures, 99)), (2.0, 4.0));
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
