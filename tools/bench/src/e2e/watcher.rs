//! Who looks whether an effect is there: a connection of its own that asks the view's database again
//! and again, on a thread of its own.
//!
//! It asks for checkpoints. A checkpoint and the effects up to it are one transaction, so a
//! connection that sees the one sees the others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// Between two looks; a look takes about as long, so that an effect is seen within two of these.
const PAUSE: Duration = Duration::from_micros(100);

const CHECKPOINTS: &str =
    "select partition, position from projection.checkpoints where projection = 'inventory_list'";

#[derive(Default)]
struct Seen {
    positions: BTreeMap<i32, i64>,
    waiting: BTreeMap<(i32, i64), Vec<oneshot::Sender<()>>>,
}

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
}

impl Watcher {
    /// Begins to look; [`Watcher::end`] ends it.
    pub(super) fn start(url: String) -> (Watcher, JoinHandle<Result<(), Failure>>) {
        let watcher = Watcher::default();
        let looking = watcher.clone();
        (watcher, thread::spawn(move || looking.look(&url)))
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Completes when the position's effect was seen.
    pub(super) fn sees(&self, partition: i32, position: i64) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut seen = self.seen();
        if seen.positions.get(&partition).is_some_and(|applied| *applied >= position) {
            let _received_right_here = sender.send(());
        } else {
            seen.waiting.entry((partition, position)).or_default().push(sender);
        }
        receiver
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, url: &str) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut connection = runtime.block_on(PgConnection::connect(url))?;
        while !self.over.load(Ordering::Relaxed) {
            let query = sqlx::query_as(CHECKPOINTS).fetch_all(&mut connection);
            let rows: Vec<(i32, i64)> = runtime.block_on(query)?;
            for (partition, position) in rows {
                self.moved(partition, position);
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn moved(&self, partition: i32, position: i64) {
        let mut seen = self.seen();
        if seen.positions.insert(partition, position) == Some(position) {
            return;
        }
        let mut later = seen.waiting.split_off(&(partition, 0));
        let mut reached = later.split_off(&(partition, position + 1));
        std::mem::swap(&mut later, &mut reached);
        seen.waiting.append(&mut later);
        for waiting in reached.into_values().flatten() {
            let _nobody_may_wait = waiting.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_when_the_position_is_reached_and_not_before() {
        let watcher = Watcher::default();
        let mut two = watcher.sees(1, 2);
        let mut other = watcher.sees(2, 1);
        watcher.moved(1, 1);
        assert!(two.try_recv().is_err());
        watcher.moved(1, 3);
        assert!(two.try_recv().is_ok());
        assert!(watcher.sees(1, 3).try_recv().is_ok(), "it was seen before");
        assert!(other.try_recv().is_err());
    }
}
