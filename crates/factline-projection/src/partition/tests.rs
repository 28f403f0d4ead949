use std::time::Duration;

use factline_core::Version;
use factline_kafka::envelope_headers;

use super::*;
use crate::testing::{TOPIC, envelope};

const WAIT: Duration = Duration::from_secs(2);

/// A partition that has applied up to `applied`; no record counts against its backlog.
fn partition(applied: i64) -> Partition {
    Partition {
        id: PartitionId { topic: TOPIC.into(), partition: 0 },
        epoch: 1,
        partitions: 1,
        applied: Position(applied),
        next_offset: None,
        hold: Hold::Free,
        attempts: 0,
        backlog: Backlog::detached(),
        queue: VecDeque::new(),
        ran_ahead: Position::ZERO,
        ran_ahead_since: None,
        in_hand_since: None,
        losses: 0,
        made_up: 0,
        pass: 0,
        trust: Trust::Full,
    }
}

fn record(offset: i64, position: i64) -> Record {
    let envelope = envelope("a", position, Version(position), "ParcelSent");
    Record {
        topic: TOPIC.into(),
        partition: 0,
        offset,
        key: Some(bytes::Bytes::from_static(b"a")),
        value: Some(bytes::Bytes::from_static(b"12345678")),
        headers: envelope_headers(&envelope, 1, "http://registry"),
        timestamp_ms: None,
    }
}

fn foreign(offset: i64) -> Record {
    Record { key: None, headers: Vec::new(), ..record(offset, 1) }
}

fn budget(records: usize) -> Budget {
    Budget { records, bytes: 1_000_000 }
}

fn positions(intake: &Intake) -> Vec<Option<i64>> {
    intake.incoming.iter().map(|one| one.position().map(|at| at.0)).collect()
}

fn take(partition: &mut Partition, now: Instant) -> Option<Intake> {
    partition.take(&mut budget(100), now, WAIT)
}

#[test]
fn what_follows_is_taken_in_order_with_repeats_and_foreign_records_between() {
    let mut one = partition(2);
    one.accept(0, vec![record(10, 2), foreign(11), record(12, 3), record(13, 4)]);
    let intake = take(&mut one, Instant::now()).unwrap();
    assert_eq!(positions(&intake), [Some(2), None, Some(3), Some(4)]);
    assert_eq!((intake.expected, intake.refill), (Position(2), None));
}

#[test]
fn the_budget_bounds_records_and_bytes() {
    let mut one = partition(0);
    one.accept(0, (1..=5).map(|n| record(n, n)).collect());
    let mut tight = budget(2);
    assert_eq!(one.take(&mut tight, Instant::now(), WAIT).unwrap().incoming.len(), 2);
    assert_eq!(tight.records, 0);
    one.settle(Position(2), Some(3), 2);
    let mut small = Budget { records: 100, bytes: 10 };
    assert_eq!(
        one.take(&mut small, Instant::now(), WAIT).unwrap().incoming.len(),
        2,
        "9 bytes each"
    );
}

#[test]
fn a_jump_waits_for_the_missing_position_and_then_asks_the_log() {
    let (mut one, now) = (partition(1), Instant::now());
    one.accept(0, vec![record(10, 5)]);
    assert!(take(&mut one, now).is_none());
    assert_eq!(one.due_at(WAIT), Some(now + WAIT));
    let intake = take(&mut one, now + WAIT).unwrap();
    assert_eq!((intake.incoming.len(), intake.refill), (0, Some(3)));
}

#[test]
fn a_long_refill_does_not_wait_again_between_its_pages() {
    let (mut one, now) = (partition(0), Instant::now());
    one.accept(0, vec![record(10, 1_000)]);
    assert!(take(&mut one, now).is_none());
    assert_eq!(take(&mut one, now + WAIT).unwrap().refill, Some(100));
    one.settle(Position(100), None, 0);
    assert_eq!(take(&mut one, now + WAIT).unwrap().refill, Some(100));
    one.settle(Position(999), None, 0);
    assert_eq!(positions(&take(&mut one, now + WAIT).unwrap()), [Some(1_000)]);
    assert_eq!(one.hold, Hold::Free);
}

#[test]
fn what_ran_ahead_is_dropped_when_the_missing_position_comes() {
    let (mut one, now) = (partition(1), Instant::now());
    one.accept(0, vec![record(10, 3), foreign(11), record(12, 4)]);
    assert!(take(&mut one, now).is_none());
    one.accept(0, vec![record(13, 2), record(14, 3), record(15, 4)]);
    let intake = take(&mut one, now).unwrap();
    assert_eq!(positions(&intake), [None, Some(2), Some(3), Some(4)]);
    assert_eq!(one.hold, Hold::Free);
}

#[test]
fn what_was_dropped_and_does_not_come_again_is_asked_of_the_log() {
    let (mut one, now) = (partition(1), Instant::now());
    one.accept(0, vec![record(10, 3), record(11, 5), record(12, 2)]);
    assert_eq!(positions(&take(&mut one, now).unwrap()), [Some(2)]);
    one.settle(Position(2), Some(13), 1);
    assert!(take(&mut one, now).is_none());
    assert_eq!(one.due_at(WAIT), Some(now + WAIT));
    assert_eq!(take(&mut one, now + WAIT).unwrap().refill, Some(3), "3, 4 and 5");
    one.settle(Position(5), None, 0);
    assert!(take(&mut one, now + WAIT).is_none());
    assert_eq!(one.hold, Hold::Free);
}

#[test]
fn events_of_the_log_count_against_the_budget() {
    let (mut one, now) = (partition(0), Instant::now());
    one.accept(0, vec![record(10, 9)]);
    assert!(take(&mut one, now).is_none());
    let mut single = budget(1);
    assert_eq!(one.take(&mut single, now + WAIT, WAIT).unwrap().refill, Some(1));
    assert_eq!(single.records, 0, "another partition's event would hide which one is poison");
}

#[test]
fn a_partition_that_no_budget_was_left_for_goes_on_waiting_at_its_gap() {
    let (mut one, now) = (partition(0), Instant::now());
    one.accept(0, vec![record(10, 9)]);
    assert!(take(&mut one, now).is_none());
    assert!(one.take(&mut budget(0), now, WAIT).is_none());
    assert_eq!(one.hold, Hold::Gap { since: now });
}

#[test]
fn what_comes_before_a_gap_is_applied_without_waiting() {
    let (mut one, now) = (partition(0), Instant::now());
    one.accept(0, vec![record(10, 1), record(11, 3)]);
    let intake = take(&mut one, now + WAIT).unwrap();
    assert_eq!((positions(&intake), intake.refill), (vec![Some(1)], None));
}

#[test]
fn a_partition_that_backs_off_is_left_out_until_it_is_due() {
    let (mut one, now) = (partition(0), Instant::now());
    one.accept(0, vec![record(10, 1)]);
    one.hold = Hold::BackOff { until: now + WAIT };
    assert!(take(&mut one, now).is_none());
    assert!(take(&mut one, now + WAIT).is_some());
}

#[test]
fn a_stopped_partition_yields_nothing() {
    let mut one = partition(0);
    one.accept(0, vec![record(10, 1)]);
    one.hold = Hold::Stopped;
    assert!(take(&mut one, Instant::now()).is_none());
    assert_eq!(one.due_at(WAIT), None);
}

#[test]
fn records_given_back_come_again_in_order() {
    let mut one = partition(0);
    one.accept(0, vec![record(10, 1), record(11, 2), record(12, 3)]);
    let intake = one.take(&mut budget(2), Instant::now(), WAIT).unwrap();
    let mut incoming: Vec<_> = intake.incoming.into();
    incoming.reverse();
    one.give_back(incoming);
    assert_eq!(positions(&take(&mut one, Instant::now()).unwrap()), [Some(1), Some(2), Some(3)]);
}

/// Of the record at a position, when it was recorded (see `testing::envelope`).
fn recorded_at(position: i64) -> Option<DateTime<Utc>> {
    Some(envelope("a", position, Version(position), "ParcelSent").recorded_at)
}

#[test]
fn what_waits_is_as_old_as_the_oldest_event_that_is_not_visible() {
    let (mut one, now) = (partition(2), Instant::now());
    assert_eq!(one.waiting_since(), None, "nothing came");
    one.accept(0, vec![record(10, 1), foreign(11), record(12, 2)]);
    assert_eq!(one.waiting_since(), None, "repeats are visible, and what is foreign never will be");
    one.accept(0, vec![record(13, 3), record(14, 4)]);
    assert_eq!(one.waiting_since(), recorded_at(3));
    let intake = one.take(&mut budget(4), now, WAIT).unwrap();
    assert_eq!(one.waiting_since(), recorded_at(3), "taken, and not visible yet");
    one.give_back(intake.incoming.into());
    assert_eq!(one.waiting_since(), recorded_at(3), "the batch was rolled back");
    take(&mut one, now).unwrap();
    one.settle(Position(4), Some(15), 5);
    assert_eq!(one.waiting_since(), None);
}

#[test]
fn behind_a_hole_what_waits_is_as_old_as_the_first_event_beyond_it() {
    let (mut one, now) = (partition(1), Instant::now());
    one.accept(0, vec![record(10, 4), record(11, 5)]);
    assert!(take(&mut one, now).is_none());
    assert_eq!(one.waiting_since(), recorded_at(4));
}

#[test]
fn what_ran_ahead_and_was_dropped_still_waits() {
    let (mut one, now) = (partition(1), Instant::now());
    one.accept(0, vec![record(10, 3), record(11, 5), record(12, 2)]);
    take(&mut one, now).unwrap();
    one.settle(Position(2), Some(13), 1);
    assert_eq!(one.waiting_since(), recorded_at(3));
    assert!(take(&mut one, now).is_none());
    one.settle(Position(5), None, 0);
    assert_eq!(one.waiting_since(), None);
}
