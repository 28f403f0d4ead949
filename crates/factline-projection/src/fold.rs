//! Folding a batch, without a database: rows and events in, changed rows and poisoned events out.
//!
//! The runtime and the tests of a view use this one function.

use std::{
    any::Any,
    collections::{BTreeMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use factline_core::{Fold, Folded, Recorded, StreamId};

use crate::{Poisoned, trace};

/// What a batch makes of its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldOutcome<Key, Row> {
    /// The rows that differ from what they were: each once, in the order of the keys.
    pub changes: BTreeMap<Key, Change<Row>>,
    /// The events that could not be folded. Neither they nor any later event of their streams are
    /// in `changes`.
    pub poisoned: Vec<Poisoned>,
}

/// What happens to one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change<Row> {
    /// It is this from now on.
    Put(Row),
    /// It is gone.
    Remove,
}

/// Folds events, in order, into rows. `rows` are those of the events' keys that exist.
#[must_use]
pub fn fold_batch<F: Fold>(
    rows: &BTreeMap<F::Key, F::Row>,
    events: &[Recorded<F::Event>],
) -> FoldOutcome<F::Key, F::Row> {
    let mut touched: BTreeMap<F::Key, Option<F::Row>> = BTreeMap::new();
    let poisoned = try_each(events, |event| fold_one::<F>(rows, &mut touched, event));
    let differs = |(key, row): (F::Key, Option<F::Row>)| match (rows.get(&key), row) {
        (Some(_), None) => Some((key, Change::Remove)),
        (before, Some(row)) if before != Some(&row) => Some((key, Change::Put(row))),
        (_, _) => None, // as it was: read, but not written
    };
    FoldOutcome { changes: touched.into_iter().filter_map(differs).collect(), poisoned }
}

/// Makes a row of each event, in order, for a table that has none of them yet; or tells which events
/// are poison.
pub(crate) fn fold_each<F: Fold>(
    events: &[Recorded<F::Event>],
) -> Result<Vec<F::Row>, Vec<Poisoned>> {
    let mut rows = Vec::with_capacity(events.len());
    let poisoned = try_each(events, |event| {
        if attempt_twice(|| F::key(event))?.is_none() {
            return Ok(());
        }
        match attempt_twice(|| F::fold(None, event))? {
            Folded::Put(row) => rows.push(row),
            Folded::Unchanged => {}
            Folded::Remove => return Err(("impossible", "its view removes no rows".to_owned())),
            Folded::Impossible(reason) => return Err(("impossible", reason.to_owned())),
        }
        Ok(())
    });
    if poisoned.is_empty() { Ok(rows) } else { Err(poisoned) }
}

/// What is wrong with an event: a code and a sentence.
type Wrong = (&'static str, String);

/// Tries every event but those whose stream had a poisoned one before; the poisoned ones.
fn try_each<E>(
    events: &[Recorded<E>],
    mut attempt: impl FnMut(&Recorded<E>) -> Result<(), Wrong>,
) -> Vec<Poisoned> {
    let mut poisoned = Vec::new();
    let mut standing: HashSet<(&Arc<str>, &StreamId)> = HashSet::new();
    for (index, event) in events.iter().enumerate() {
        let stream = (&event.envelope.topic, &event.envelope.stream_id);
        if !standing.is_empty() && standing.contains(&stream) {
            continue;
        }
        let _span = trace::event_span(&event.envelope).entered();
        if let Err((code, detail)) = attempt(event) {
            standing.insert(stream);
            poisoned.push(Poisoned { index, code, detail });
        }
    }
    poisoned
}

fn fold_one<F: Fold>(
    rows: &BTreeMap<F::Key, F::Row>,
    touched: &mut BTreeMap<F::Key, Option<F::Row>>,
    event: &Recorded<F::Event>,
) -> Result<(), Wrong> {
    let Some(key) = attempt_twice(|| F::key(event))? else { return Ok(()) };
    let slot = touched.entry(key).or_insert_with_key(|key| rows.get(key).cloned());
    match attempt_twice(|| F::fold(slot.clone(), event))? {
        Folded::Put(row) => *slot = Some(row),
        Folded::Remove => *slot = None,
        Folded::Unchanged => {}
        Folded::Impossible(reason) => return Err(("impossible", reason.to_owned())),
    }
    Ok(())
}

/// A panic is a bug of the view: it gets a second chance, then its event is poison.
fn attempt_twice<T>(run: impl Fn() -> T) -> Result<T, Wrong> {
    catch_unwind(AssertUnwindSafe(&run))
        .or_else(|_| catch_unwind(AssertUnwindSafe(&run)))
        .map_err(|panic| ("bug", panic_text(&*panic)))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// The keys that the events touch, in order. An event whose key cannot be told is left to
/// [`fold_batch`], which reports it.
pub(crate) fn keys_of<F: Fold>(events: &[Recorded<F::Event>]) -> Vec<F::Key> {
    let mut keys: Vec<F::Key> = events
        .iter()
        .filter_map(|event| catch_unwind(AssertUnwindSafe(|| F::key(event))).ok().flatten())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ParcelEvent, parcels};

    struct Sent;

    impl Fold for Sent {
        const NAME: &'static str = "parcels_sent";
        type Event = ParcelEvent;
        type Key = String;
        type Row = i64;

        fn key(event: &Recorded<ParcelEvent>) -> Option<String> {
            match &event.event {
                ParcelEvent::Sent(sent) if sent.to == "nobody" => None,
                ParcelEvent::Sent(sent) if sent.to == "panic in key" => panic!("no such place"),
                ParcelEvent::Sent(_) | ParcelEvent::Lost(_) => {
                    Some(event.envelope.stream_id.to_string())
                }
            }
        }

        fn fold(row: Option<i64>, event: &Recorded<ParcelEvent>) -> Folded<i64> {
            match &event.event {
                ParcelEvent::Sent(sent) if sent.to == "limbo" => Folded::Impossible("no limbo"),
                ParcelEvent::Sent(sent) if sent.to == "panic" => panic!("weight {}", sent.grams),
                ParcelEvent::Sent(sent) if sent.grams == 0 => Folded::Unchanged,
                ParcelEvent::Sent(sent) => Folded::Put(row.unwrap_or(0) + sent.grams),
                ParcelEvent::Lost(_) => Folded::Remove,
            }
        }
    }

    fn rows(rows: &[(&str, i64)]) -> BTreeMap<String, i64> {
        rows.iter().map(|(key, row)| ((*key).to_owned(), *row)).collect()
    }

    #[test]
    fn events_of_one_key_become_one_change() {
        let events = parcels(&[("a", "x", 3), ("b", "x", 5), ("a", "x", 4)]);
        let outcome = fold_batch::<Sent>(&rows(&[("a", 10)]), &events);
        assert_eq!(outcome.changes["a"], Change::Put(17));
        assert_eq!(outcome.changes["b"], Change::Put(5));
        assert_eq!(outcome.poisoned, []);
    }

    #[test]
    fn a_row_that_ends_as_it_began_is_not_written() {
        let events = parcels(&[("a", "x", 0), ("b", "nobody", 4), ("c", "x", 1), ("c", "", -1)]);
        assert!(fold_batch::<Sent>(&rows(&[("a", 10)]), &events).changes.is_empty());
    }

    #[test]
    fn a_removed_row_is_removed_and_may_come_back() {
        let events = parcels(&[("a", "", -1), ("b", "", -1), ("b", "x", 2)]);
        let outcome = fold_batch::<Sent>(&rows(&[("a", 10), ("b", 1)]), &events);
        assert_eq!(outcome.changes["a"], Change::Remove);
        assert_eq!(outcome.changes["b"], Change::Put(2));
    }

    #[test]
    fn an_impossible_event_takes_its_own_streams_rest_along_and_nothing_else() {
        let events = parcels(&[
            ("a", "x", 1),
            ("b", "x", 1),
            ("a", "limbo", 1),
            ("a", "x", 1),
            ("b", "x", 1),
        ]);
        let outcome = fold_batch::<Sent>(&rows(&[]), &events);
        assert_eq!(outcome.changes["a"], Change::Put(1), "what came before the poison holds");
        assert_eq!(outcome.changes["b"], Change::Put(2));
        let poison = Poisoned { index: 2, code: "impossible", detail: "no limbo".into() };
        assert_eq!(outcome.poisoned, [poison]);
    }

    #[test]
    fn of_rows_of_one_event_each_event_makes_its_own_and_none_is_removed() {
        let events = parcels(&[("a", "x", 3), ("b", "nobody", 4), ("c", "x", 0), ("a", "x", 4)]);
        assert_eq!(fold_each::<Sent>(&events), Ok(vec![3, 4]));
        let events = parcels(&[("a", "x", 3), ("a", "", -1), ("a", "limbo", 1), ("b", "limbo", 1)]);
        let poisoned = fold_each::<Sent>(&events).unwrap_err();
        let told: Vec<_> = poisoned.iter().map(|p| (p.index, p.detail.as_str())).collect();
        assert_eq!(told, [(1, "its view removes no rows"), (3, "no limbo")]);
    }

    #[test]
    fn a_panic_is_poison_after_two_attempts_and_its_words_are_kept() {
        let events = parcels(&[("a", "panic", 7), ("b", "panic in key", 1), ("c", "x", 1)]);
        let outcome = fold_batch::<Sent>(&rows(&[]), &events);
        assert_eq!(outcome.changes.len(), 1);
        let told: Vec<_> = outcome.poisoned.iter().map(|p| (p.code, p.detail.as_str())).collect();
        assert_eq!(told, [("bug", "weight 7"), ("bug", "no such place")]);
        assert_eq!(keys_of::<Sent>(&events), ["a", "c"]);
    }

    #[test]
    fn a_panic_that_does_not_repeat_is_forgiven() {
        let tries = std::cell::Cell::new(0);
        let result = attempt_twice(|| {
            tries.set(tries.get() + 1);
            assert!(tries.get() > 1, "once");
            tries.get()
        });
        assert_eq!(result, Ok(2));
    }
}
