//! How late a projection is: for each partition that is held here, the age of the oldest event that
//! it knows of and that is not visible yet, as a gauge. Workers note; once a second it is told, so
//! that it grows while nothing moves.
//!
//! It knows what Kafka has brought. What Kafka does not bring shows in `factline status`, which asks
//! the log, and in the heartbeat's age. Ages are this process's clock minus the log's.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use factline_kafka::PartitionId;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::meters::{self, seconds};

/// Half of what a reader is promised (two seconds), at the cost of a dozen stores in memory.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    held: Mutex<BTreeMap<PartitionId, Option<DateTime<Utc>>>>,
}

impl Lateness {
    /// Notes, for partitions that are held, when the oldest event was recorded that waits.
    pub(crate) fn note(
        &self,
        partitions: impl Iterator<Item = (PartitionId, Option<DateTime<Utc>>)>,
    ) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).extend(partitions);
    }

    /// A partition is held here no more. Its gauge goes to 0, for none can be taken back, and another
    /// process tells how late the partition is: a maximum or a sum over processes is right.
    pub(crate) fn forget(&self, projection: &'static str, id: &PartitionId) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.remove(id).is_some() {
            meters::freshness(projection, id, 0.0);
        }
    }

    /// Tells until `stop`, then forgets everything.
    pub(crate) async fn tell(&self, projection: &'static str, mut stop: watch::Receiver<bool>) {
        let mut every = interval(TELL_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                _ = every.tick() => self.tell_once(projection, Utc::now()),
            }
        }
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for id in held.keys() {
            self.forget(projection, id);
        }
    }

    /// Under the lock, so that a partition that goes meanwhile stays at 0.
    fn tell_once(&self, projection: &'static str, now: DateTime<Utc>) {
        for (id, since) in &*self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            let late = since.map_or(0.0, |since| seconds(since, now).max(0.0));
            meters::freshness(projection, id, late);
        }
    }
}
