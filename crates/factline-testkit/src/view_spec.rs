//! A view's proof: whatever the runtime does to a history on its way (batches, repeats, restarts),
//! the same table comes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

use factline_core::{Fold, Folded, Position, Recorded, StreamId};
use uuid::Uuid;

/// A view and the history that it is about to see.
#[must_use]
pub struct ViewSpec<F: Fold> {
    history: Vec<Recorded<F::Event>>,
}

impl<F: Fold> ViewSpec<F>
where
    F::Key: Debug,
    F::Row: Debug,
{
    /// The view sees this history; see [`recorded`](crate::recorded).
    pub fn given(history: Vec<Recorded<F::Event>>) -> Self {
        Self { history }
    }

    /// Run once, twice, one record at a time, and split anywhere with a restart between (each with
    /// the partitions as told and one partition after the other), the view holds exactly these rows,
    /// and no stream is parked.
    #[track_caller]
    pub fn then_rows(self, expected: impl Into<Vec<(F::Key, F::Row)>>) {
        let expected: BTreeMap<_, _> = expected.into().into_iter().collect();
        for (way, table) in self.all_ways() {
            assert!(table.parked.is_empty(), "{way}: parked {:?}", table.parked);
            assert_eq!(table.rows, expected, "{way}");
        }
    }

    /// In every one of those ways, exactly the history's first impossible event parks its stream,
    /// for this reason.
    #[track_caller]
    pub fn then_impossible(self, reason: &'static str) {
        for (way, table) in self.all_ways() {
            let reasons: Vec<_> = table.parked.values().copied().collect();
            assert_eq!(reasons, [reason], "{way}");
        }
    }

    fn all_ways(&self) -> Vec<(String, Table<F>)> {
        let mut by_partition = self.history.clone();
        by_partition.sort_by_key(|event| event.envelope.partition); // stable: order within stays
        let mut tables = ways("as told", &self.history);
        tables.extend(ways("one partition after the other", &by_partition));
        tables
    }
}

fn ways<F: Fold>(order: &str, history: &[Recorded<F::Event>]) -> Vec<(String, Table<F>)> {
    let mut tables = Vec::new();

    let mut once = Table::<F>::new();
    once.take(history);
    tables.push((format!("{order}, once"), once.clone()));

    let mut twice = once;
    twice.take(history);
    tables.push((format!("{order}, twice"), twice));

    let mut one_by_one = Table::<F>::new();
    for event in history.chunks(1) {
        one_by_one.take(event);
    }
    tables.push((format!("{order}, one record at a time"), one_by_one));

    for split in 0..=history.len() {
        let mut committed = Table::<F>::new();
        committed.take(&history[..split]);
        // A crash in the next transaction leaves what was committed, and nothing else.
        committed.clone().take(&history[split..]);
        let mut resumed = committed.clone();
        resumed.take(&history[split..]);
        tables.push((format!("{order}, restarted after {split} records"), resumed));
        // The broker hands out old records again: the checkpoint wins over the broker's offset.
        committed.take(history);
        tables.push((format!("{order}, restarted after {split} records, rewound"), committed));
    }
    tables
}

/// What the runtime keeps for a view, in memory: rows, checkpoints, processed events, parked
/// streams; changed by whole batches only.
struct Table<F: Fold> {
    rows: BTreeMap<F::Key, F::Row>,
    checkpoints: BTreeMap<(Arc<str>, i32), Position>,
    processed: BTreeSet<Uuid>,
    parked: BTreeMap<StreamId, &'static str>,
}

impl<F: Fold> Clone for Table<F> {
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone(),
            checkpoints: self.checkpoints.clone(),
            processed: self.processed.clone(),
            parked: self.parked.clone(),
        }
    }
}

impl<F: Fold> Table<F> {
    fn new() -> Self {
        Self {
            rows: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            processed: BTreeSet::new(),
            parked: BTreeMap::new(),
        }
    }

    /// One batch, as the runtime takes it: rows are loaded once, folded, and written once.
    fn take(&mut self, batch: &[Recorded<F::Event>]) {
        let mut touched: BTreeMap<F::Key, Option<F::Row>> = BTreeMap::new();
        for event in batch {
            if self.is_next(event) {
                self.fold(&mut touched, event);
            }
        }
        for (key, row) in touched {
            match row {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }

    fn is_next(&mut self, event: &Recorded<F::Event>) -> bool {
        let envelope = &event.envelope;
        let place = (envelope.topic.clone(), envelope.partition);
        let checkpoint = self.checkpoints.entry(place).or_insert(Position::ZERO);
        if envelope.position <= *checkpoint {
            assert!(self.processed.contains(&envelope.event_id), "a fork at {}", envelope.token());
            return false;
        }
        assert_eq!(envelope.position, checkpoint.next(), "the history has a gap");
        *checkpoint = envelope.position;
        self.processed.insert(envelope.event_id);
        true
    }

    fn fold(&mut self, touched: &mut BTreeMap<F::Key, Option<F::Row>>, event: &Recorded<F::Event>) {
        let stream_id = &event.envelope.stream_id;
        if self.parked.contains_key(stream_id) {
            return; // joins its stream, in order
        }
        let Some(key) = F::key(event) else { return };
        let row = match touched.get(&key) {
            Some(row) => row.clone(),
            None => self.rows.get(&key).cloned(),
        };
        let folded = F::fold(row.clone(), event);
        assert!(F::fold(row, event) == folded, "{}: the fold is not a pure function", F::NAME);
        match folded {
            Folded::Put(row) => {
                touched.insert(key, Some(row));
            }
            Folded::Remove => {
                touched.insert(key, None);
            }
            Folded::Unchanged => {}
            Folded::Impossible(reason) => {
                self.parked.insert(stream_id.clone(), reason);
            }
        }
    }
}
