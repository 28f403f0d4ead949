//! How many records of a partition wait for the runtime: the one bound on the channel's memory.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Counts what was delivered and not yet taken.
#[derive(Debug)]
pub struct Backlog {
    waiting: AtomicUsize,
    room: Arc<Room>,
}

/// Where the polling thread waits for any backlog to shrink.
#[derive(Debug, Default)]
pub(crate) struct Room {
    lock: Mutex<()>,
    made: Condvar,
}

impl Backlog {
    pub(crate) fn new(room: Arc<Room>) -> Arc<Self> {
        Arc::new(Self { waiting: AtomicUsize::new(0), room })
    }

    /// One that no consumer fills: for tests of what takes from it.
    #[must_use]
    pub fn detached() -> Arc<Self> {
        Self::new(Arc::default())
    }

    /// So many records are done with: applied, set aside or given up.
    pub fn taken(&self, records: usize) {
        // A count that would fall below zero belongs to an assignment that is gone.
        let _before = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| {
            Some(waiting.saturating_sub(records))
        });
        self.room.announce();
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    pub(crate) fn delivered(&self, records: usize) {
        self.waiting.fetch_add(records, Ordering::AcqRel);
    }
}

impl Room {
    fn announce(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.made.notify_all();
    }

    /// Waits until `enough` holds, at most for `patience`; says whether it holds.
    pub(crate) fn wait_until(&self, patience: Duration, enough: impl Fn() -> bool) -> bool {
        let until = Instant::now() + patience;
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !enough() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.made.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_goes_on_as_soon_as_there_is_room() {
        let room = Arc::new(Room::default());
        let backlog = Backlog::new(Arc::clone(&room));
        backlog.delivered(10);
        let other = Arc::clone(&backlog);
        let taker = std::thread::spawn(move || other.taken(6));
        let patience = Duration::from_secs(60);
        assert!(room.wait_until(patience, || backlog.waiting() < 5));
        taker.join().unwrap();
        assert_eq!(backlog.waiting(), 4);
    }

    #[test]
    fn the_thread_stops_waiting_when_nobody_takes() {
        let room = Arc::new(Room::default());
        let backlog = Backlog::new(Arc::clone(&room));
        backlog.delivered(1);
        assert!(!room.wait_until(Duration::from_millis(1), || backlog.waiting() == 0));
    }

    #[test]
    fn a_late_count_of_an_ended_assignment_does_no_harm() {
        let backlog = Backlog::new(Arc::new(Room::default()));
        backlog.taken(3);
        assert_eq!(backlog.waiting(), 0);
    }
}
