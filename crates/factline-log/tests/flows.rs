//! A business flow's events come back together, on a real Postgres.

use chrono::{DateTime, Utc};
use factline_core::StreamId;
use factline_log::{Flow, LogReader, Place};
use futures::future::join_all;
use uuid::Uuid;

use crate::support::{TestLog, command, pack};

fn flow(correlation_id: Uuid, after: Place) -> Flow {
    Flow { correlation_id, after, before: None }
}

fn beginning() -> Place {
    Place::from_time(DateTime::UNIX_EPOCH)
}

/// Every page of a flow, and how many pages there were.
async fn all(
    reader: &LogReader,
    log: &TestLog,
    mut flow: Flow,
    limit: i64,
    examined: i64,
) -> (Vec<Place>, Vec<StreamId>, usize) {
    let (mut places, mut streams, mut pages) = (Vec::new(), Vec::new(), 0);
    loop {
        let page = reader.flow_within(&[&log.topic], &flow, limit, examined).await.unwrap();
        pages += 1;
        for event in page.events {
            let envelope = event.envelope;
            assert_eq!(envelope.correlation_id, flow.correlation_id);
            places.push(Place {
                recorded_at: envelope.recorded_at,
                topic: envelope.topic.to_string(),
                partition: envelope.partition,
                position: envelope.position.0,
            });
            streams.push(envelope.stream_id);
        }
        match page.next {
            Some(next) => assert!(next > std::mem::replace(&mut flow.after, next.clone())),
            None => return (places, streams, pages),
        }
    }
}

/// Twenty streams' commands under one correlation id among a hundred others.
async fn filled(name: &str, correlation_id: Uuid) -> (TestLog, DateTime<Utc>) {
    let log = TestLog::create(name).await;
    let (lanes, _parts) = log.process();
    for round in 0..4 {
        let commands = (0..30).map(|index| {
            let mut command = command(&format!("{round}-{index}"), "k", pack(1));
            if index < 5 {
                command.correlation_id = correlation_id;
            }
            lanes.execute(command)
        });
        for done in join_all(commands).await {
            done.unwrap();
        }
    }
    let last = log.events().await.iter().map(|event| event.envelope.recorded_at).max();
    (log, last.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_comes_back_whole_and_in_one_order_whatever_the_pages() {
    let id = Uuid::new_v4();
    let (log, _) = filled("flow_pages", id).await;
    let reader = log.reader();
    let (whole, streams, pages) = all(&reader, &log, flow(id, beginning()), 1_000, 1_000).await;
    assert_eq!((whole.len(), pages), (20, 1));
    assert!(whole.is_sorted(), "{whole:?}");
    assert_eq!(streams.iter().collect::<std::collections::BTreeSet<_>>().len(), 20);
    for limit in [1, 3, 20] {
        let (paged, ..) = all(&reader, &log, flow(id, beginning()), limit, 1_000).await;
        assert_eq!(paged, whole, "{limit} a page");
    }
    let other = all(&reader, &log, flow(Uuid::new_v4(), beginning()), 10, 1_000).await;
    assert!(other.0.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_looks_at_a_bounded_number_of_events_and_says_where_to_go_on() {
    let id = Uuid::new_v4();
    let (log, _) = filled("flow_bounded", id).await;
    let reader = log.reader();
    let (whole, ..) = all(&reader, &log, flow(id, beginning()), 1_000, 1_000).await;
    // No append of this test writes more than 30 events.
    let (paged, _, pages) = all(&reader, &log, flow(id, beginning()), 1_000, 30).await;
    assert_eq!(paged, whole);
    let busiest = reader.heads(&log.topic).await.unwrap().iter().map(|head| head.1.0).max();
    assert_eq!(pages > 1, busiest.unwrap() > 30, "{pages} pages");
    let (one_by_one, ..) = all(&reader, &log, flow(id, beginning()), 1_000, 1).await;
    assert_eq!(one_by_one, whole, "an append of more is looked at as a whole");
    let absent = all(&reader, &log, flow(Uuid::new_v4(), beginning()), 10, 30).await;
    assert!(absent.0.is_empty(), "empty pages lead on to the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_time_bounds_a_flow() {
    let id = Uuid::new_v4();
    let (log, last) = filled("flow_window", id).await;
    let reader = log.reader();
    let (whole, ..) = all(&reader, &log, flow(id, beginning()), 1_000, 1_000).await;
    let middle = whole[10].recorded_at;
    let (later, ..) = all(&reader, &log, flow(id, Place::from_time(middle)), 1_000, 1_000).await;
    let earlier = Flow { before: Some(middle), ..flow(id, beginning()) };
    let (earlier, ..) = all(&reader, &log, earlier, 1_000, 1_000).await;
    assert_eq!([earlier, later].concat(), whole);
    let after_all = Place::from_time(last + chrono::Duration::microseconds(1));
    assert!(all(&reader, &log, flow(id, after_all), 10, 1_000).await.0.is_empty());
}
