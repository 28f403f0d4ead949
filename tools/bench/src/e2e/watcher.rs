//! Who looks whether an effect is there: a connection of its own, on a thread of its own, that reads
//! the checkpoints whenever the view's database says that one has moved.
//!
//! A checkpoint and the effects up to it are one transaction, so a connection that sees the one sees
//! the others. A trigger of the bench tells of each commit; asking again and again instead would take
//! more of a machine of two cores than what is measured.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use sqlx::postgres::PgListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

const CHECKPOINTS: &str =
    "select partition, position from projection.checkpoints where projection = 'inventory_list'";

/// The database delivers a notification when its transaction's effects can be seen.
const TELL: &str = "
    create or replace function tell() returns trigger language plpgsql as
        $$ begin notify moved; return null; end $$;
    create or replace trigger tell after update on projection.checkpoints
        for each statement execute function tell()";

#[derive(Default)]
struct Seen {
    positions: BTreeMap<i32, i64>,
    waiting: BTreeMap<(i32, i64), Vec<oneshot::Sender<()>>>,
}

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    over: CancellationToken,
}

impl Watcher {
    /// Begins to look; [`Watcher::end`] ends it.
    pub(super) fn start(url: String) -> (Watcher, JoinHandle<Result<(), Failure>>) {
        let watcher = Watcher::default();
        let looking = watcher.clone();
        (watcher, thread::spawn(move || looking.look(&url)))
    }

    pub(super) fn end(&self) {
        self.over.cancel();
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
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connection = PgListener::connect(url).await?;
            sqlx::raw_sql(TELL).execute(&mut connection).await?;
            connection.listen("moved").await?;
            loop {
                let rows: Vec<(i32, i64)> =
                    sqlx::query_as(CHECKPOINTS).fetch_all(&mut connection).await?;
                for (partition, position) in rows {
                    self.moved(partition, position);
                }
                // What was told during the look was perhaps not seen in it: one more look.
                let told = connection.next_buffered().is_some();
                while connection.next_buffered().is_some() {}
                if told {
                    continue;
                }
                tokio::select! {
                    told = connection.recv() => drop(told?),
                    () = self.over.cancelled() => return Ok(()),
                }
            }
        })
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
