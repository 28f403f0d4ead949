use chrono::{DateTime, TimeDelta};
use serde_json::Value;

use super::*;
use crate::history::Told;

fn event(id: u128, of: u128, version: i64, position: i64) -> Event {
    Event {
        topic: "inventory".to_owned(),
        partition: 0,
        position,
        stream_id: "item-01".to_owned(),
        version,
        event_id: Uuid::from_u128(id),
        event_type: "factline.inventory.ItemSold".to_owned(),
        occurred_at: DateTime::UNIX_EPOCH,
        recorded_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(position),
        correlation_id: Uuid::from_u128(of),
        actor: None,
        data: Value::Null,
    }
}

/// An operation that ran from `began` to `ended` and, where acknowledged, was told of these events.
fn operation(of: u128, outcome: Outcome, events: &[Event], times: (u64, u64)) -> Operation {
    let told = |event: &Event| Told {
        event_id: event.event_id,
        stream_id: event.stream_id.clone(),
        version: event.version,
        partition: event.partition,
        position: event.position,
    };
    Operation {
        key: format!("key-{of}"),
        correlation_id: Uuid::from_u128(of),
        path: "/inventory/item-01/sales".to_owned(),
        request: Value::Null,
        outcome,
        status: None,
        code: None,
        token: None,
        events: events.iter().map(told).collect(),
        attempts: 1,
        began_us: times.0,
        ended_us: times.1,
    }
}

fn found(operations: &[Operation], events: &[Event]) -> Findings {
    let mut found = Findings::default();
    judge(operations, events, &mut found);
    found
}

#[test]
fn what_was_acknowledged_and_is_there_once_is_fine() {
    let events = [event(1, 10, 1, 1), event(2, 20, 2, 2)];
    let operations = [
        operation(10, Outcome::Acknowledged, &events[..1], (0, 5)),
        operation(20, Outcome::Acknowledged, &events[1..], (6, 9)),
        operation(30, Outcome::Failed, &[], (1, 2)),
        operation(40, Outcome::Unknown, &[], (1, 2)),
    ];
    assert!(found(&operations, &events).is_clean());
}

#[test]
fn an_acknowledged_event_that_is_not_in_the_log_is_lost() {
    let told = [event(1, 10, 1, 1)];
    let operations = [operation(10, Outcome::Acknowledged, &told, (0, 5))];
    assert_eq!(found(&operations, &[]).lost.len(), 1);
}

#[test]
fn an_acknowledged_event_that_stands_elsewhere_than_was_told_is_lost() {
    let told = [event(1, 10, 1, 1)];
    let operations = [operation(10, Outcome::Acknowledged, &told, (0, 5))];
    let before = event(9, 90, 1, 1);
    let unknown = operation(90, Outcome::Unknown, &[], (0, 5));
    let operations = [operations[0].clone(), unknown];
    assert_eq!(found(&operations, &[before, event(1, 10, 2, 2)]).lost.len(), 1);
}

#[test]
fn an_effect_of_what_failed_or_of_nobody_is_too_much() {
    let events = [event(1, 10, 1, 1), event(2, 20, 2, 2)];
    let operations = [operation(10, Outcome::Failed, &[], (0, 5))];
    assert_eq!(found(&operations, &events).duplicated.len(), 2);
}

#[test]
fn an_effect_that_happened_twice_is_found_whether_its_caller_was_answered_or_not() {
    let events = [event(1, 10, 1, 1), event(2, 10, 2, 2)];
    let unknown = [operation(10, Outcome::Unknown, &[], (0, 5))];
    assert_eq!(found(&unknown, &events).duplicated.len(), 1);
    let told = [operation(10, Outcome::Acknowledged, &events[..1], (0, 5))];
    assert_eq!(found(&told, &events).duplicated.len(), 1);
}

#[test]
fn the_several_events_of_one_command_are_one_effect() {
    let named = |mut event: Event, name: &str| {
        event.event_type = format!("factline.order.{name}");
        event
    };
    let events = [
        named(event(1, 10, 1, 1), "OrderCreated"),
        named(event(2, 10, 2, 2), "OrderItemAdded"),
        named(event(3, 10, 3, 3), "OrderItemAdded"),
        named(event(4, 10, 4, 4), "OrderConfirmed"),
    ];
    assert!(found(&[operation(10, Outcome::Unknown, &[], (0, 5))], &events).is_clean());
}

#[test]
fn a_version_out_of_order_a_hole_and_a_clock_that_goes_back_are_order_breaks() {
    let unknown = |of| operation(of, Outcome::Unknown, &[], (0, 5));
    let operations = [unknown(10), unknown(20)];
    let swapped = [event(1, 10, 2, 1), event(2, 20, 1, 2)];
    assert_eq!(found(&operations, &swapped).order_breaks.len(), 1);
    let hole = [event(1, 10, 1, 1), event(2, 20, 2, 3)];
    assert_eq!(found(&operations, &hole).order_breaks.len(), 1);
    let mut late = event(2, 20, 2, 2);
    late.recorded_at = DateTime::UNIX_EPOCH;
    assert_eq!(found(&operations, &[event(1, 10, 1, 1), late]).order_breaks.len(), 1);
}

#[test]
fn who_was_answered_first_stands_first() {
    let events = [event(1, 10, 1, 1), event(2, 20, 2, 2)];
    let operations = [
        operation(10, Outcome::Acknowledged, &events[..1], (6, 9)),
        operation(20, Outcome::Acknowledged, &events[1..], (0, 5)),
    ];
    assert_eq!(found(&operations, &events).order_breaks.len(), 1);
}
