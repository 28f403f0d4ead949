//! The harness itself: it passes what is right and fails what is wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};

use factline_core::{DomainEvent, Fold, Folded, Recorded};
use factline_testkit::{
    Given, History, ViewSpec,
    parcels::{PackParcel, Parcel, ParcelEvent, SendParcel, lost, packed, sent},
    recorded, round_trips,
};

/// What is on its way, and how heavy.
struct Weights;

impl Fold for Weights {
    const NAME: &'static str = "weights";
    type Event = ParcelEvent;
    type Key = String;
    type Row = i64;

    fn key(event: &Recorded<ParcelEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(row: Option<i64>, event: &Recorded<ParcelEvent>) -> Folded<i64> {
        match (&event.event, row) {
            (ParcelEvent::ParcelPacked(packed), row) => {
                Folded::Put(row.unwrap_or(0) + packed.weight_grams)
            }
            (ParcelEvent::ParcelSent(_), Some(_)) => Folded::Unchanged,
            (ParcelEvent::ParcelSent(_), None) => Folded::Impossible("sent before it was packed"),
            (ParcelEvent::ParcelLost(_), _) => Folded::Remove,
        }
    }
}

/// One row for everything that keeps the destination it saw last: it depends on which partition
/// comes first, so a rebuild would give another table.
struct LastDestination;

impl Fold for LastDestination {
    const NAME: &'static str = "last_destination";
    type Event = ParcelEvent;
    type Key = ();
    type Row = String;

    fn key(_event: &Recorded<ParcelEvent>) -> Option<()> {
        Some(())
    }

    fn fold(_row: Option<String>, event: &Recorded<ParcelEvent>) -> Folded<String> {
        match &event.event {
            ParcelEvent::ParcelSent(sent) => Folded::Put(sent.to.clone()),
            ParcelEvent::ParcelPacked(_) | ParcelEvent::ParcelLost(_) => Folded::Unchanged,
        }
    }
}

fn fails<T>(check: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

#[test]
fn a_decision_is_followed_by_another() {
    Given::<Parcel>::nothing()
        .when(PackParcel { weight_grams: 250 })
        .then_events([packed(250)])
        .when(PackParcel { weight_grams: 0 })
        .then_nothing()
        .when(SendParcel { to: "Oslo".to_owned() })
        .then_events([sent("Oslo")])
        .then_state(|parcel| assert!(parcel.sent));
}

#[test]
fn a_refusal_is_told_from_another_and_from_success() {
    let send = || SendParcel { to: "Oslo".to_owned() };
    Given::<Parcel>::nothing().when(send()).then_refused("empty");
    let twice = || Given::<Parcel>::events([packed(1), sent("Oslo")]);
    twice().when(send()).then_refused("already_sent");
    assert!(fails(|| twice().when(send()).then_refused("empty")));
    assert!(fails(|| twice().when(send()).then_events([sent("Oslo")])));
    let unsent = || Given::<Parcel>::events([packed(1)]);
    assert!(fails(|| unsent().when(send()).then_refused("already_sent")));
}

#[test]
fn a_history_has_gapless_positions_and_versions() {
    let events = ["a", "b", "c", "d", "e", "a", "b"].map(|stream| (stream, packed(1)));
    let history = recorded(events);
    let mut positions = std::collections::BTreeMap::<i32, Vec<i64>>::new();
    for event in &history {
        positions.entry(event.envelope.partition).or_default().push(event.envelope.position.0);
    }
    assert!(positions.len() > 1, "several partitions: {positions:?}");
    for (partition, seen) in positions {
        assert!(seen.iter().copied().eq(1..=seen.len() as i64), "{partition}: {seen:?}");
    }
    assert_eq!(history[0].envelope.version.0, 1);
    assert_eq!(history[5].envelope.version.0, 2);
    assert_eq!(&*history[0].envelope.event_type, "factline.parcel.ParcelPacked");
}

#[test]
fn a_view_gives_one_table_however_its_history_arrives() {
    let history = History::new()
        .then("a", packed(100))
        .then("b", packed(50))
        .then("a", packed(20))
        .then("c", packed(1))
        .then("a", sent("Oslo"))
        .then("c", lost("nobody knows"))
        .build();
    ViewSpec::<Weights>::given(history).then_rows([("a".to_owned(), 120), ("b".to_owned(), 50)]);
}

#[test]
fn a_wrong_row_or_an_impossible_history_fails_a_view_spec() {
    let spec = |events: &[(&'static str, ParcelEvent)]| {
        ViewSpec::<Weights>::given(recorded(events.to_vec()))
    };
    assert!(fails(|| spec(&[("a", packed(1))]).then_rows([("a".to_owned(), 2)])));
    assert!(fails(|| spec(&[("a", sent("Oslo"))]).then_rows([])));
    spec(&[("a", packed(1)), ("b", sent("Oslo"))]).then_impossible("sent before it was packed");
}

#[test]
fn a_view_that_depends_on_the_order_between_partitions_fails_its_spec() {
    let history = recorded([("a", sent("Oslo")), ("b", sent("Bergen")), ("c", sent("Rome"))]);
    let row = [((), "Rome".to_owned())];
    let last = ViewSpec::<LastDestination>::given(history.clone());
    let other = [((), "Oslo".to_owned())];
    assert!(fails(|| last.then_rows(row)));
    assert!(fails(|| ViewSpec::<LastDestination>::given(history).then_rows(other)));
}

#[test]
fn samples_survive_their_schemas() {
    round_trips::<ParcelEvent>();
    assert_eq!(ParcelEvent::samples()[2].name(), "ParcelLost");
}
