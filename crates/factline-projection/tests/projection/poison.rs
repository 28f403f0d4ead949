//! Events that cannot be applied, and records that are no events: their streams stand still, all
//! others flow, and nothing is lost.

use crate::support::{Parcels, World, read_topic};
use bytes::Bytes;
use factline_kafka::Outgoing;
use factline_projection::{Condition, FoldedView, ProjectionSettings};
use factline_testkit::parcels::{ParcelEvent, lost, packed, sent};

/// Three neighbours in one partition; the middle one's events are poisoned at `at` of four.
async fn poisoned_at(test: &str, at: usize, poison: ParcelEvent, code: &str) {
    let world = World::create(test).await;
    let names = world.neighbours(0, 3);
    let mut events = Vec::new();
    for step in 0..4 {
        for (which, name) in names.iter().enumerate() {
            let event = if which == 1 && step == at { poison.clone() } else { packed(1) };
            events.push(world.record(name, event));
        }
    }
    let projector = world.start();
    world.send(&events).await;
    world.caught_up(&projector).await;

    let expected = if at == 0 { None } else { Some(i64::try_from(at).unwrap()) };
    let weights = [
        world.weight(&names[0]).await,
        world.weight(&names[1]).await,
        world.weight(&names[2]).await,
    ];
    assert_eq!(weights, [Some(4), expected, Some(4)]);
    let parked = world.parked().await;
    let mut codes = vec![(names[1].clone(), code.to_owned())];
    codes.resize(4 - at, (names[1].clone(), "stream_parked".to_owned()));
    assert_eq!(parked, codes, "the stream's later events joined it, in order");
    let streams = world.count("select count(*) from projection.parked_streams").await;
    assert_eq!(streams, 1);
    assert_eq!(world.processed().await, 12 - (4 - i64::try_from(at).unwrap()));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_first_event_parks_its_stream_alone() {
    poisoned_at("first", 0, lost("too early"), "impossible").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_event_in_the_middle_parks_its_stream_alone() {
    poisoned_at("middle", 2, lost("too early"), "impossible").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_last_event_parks_its_stream_alone() {
    poisoned_at("last", 3, lost("too early"), "impossible").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_view_parks_the_stream_as_a_bug_with_its_words() {
    poisoned_at("panic", 1, packed(-7), "bug").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d08_a_constraint_violation_parks_the_stream_of_the_one_event_that_causes_it() {
    poisoned_at("constraint", 1, packed(2_000_000), "constraint_violation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_stream_stays_parked_after_a_restart() {
    let world = World::create("stays").await;
    let projector = world.start();
    world.write(&[("a", packed(1)), ("a", lost("too early")), ("b", packed(1))]).await;
    world.caught_up(&projector).await;
    projector.stop().await;
    let projector = world.start();
    world.write(&[("a", packed(1)), ("b", packed(1))]).await;
    world.caught_up(&projector).await;
    assert_eq!((world.weight("a").await, world.weight("b").await), (Some(1), Some(2)));
    assert_eq!(world.parked().await.len(), 2);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_letter_carries_key_value_and_headers_untouched_and_says_why() {
    let world = World::create("letters").await;
    let projector = world.start();
    let event = world.record("a", lost("too early"));
    let original = world.outgoing(&event);
    world.send_raw(vec![original.clone()]).await;
    let foreign = Outgoing {
        topic: world.topic.clone(),
        partition: Some(2),
        key: None,
        value: Some(Bytes::from_static(b"not an event")),
        headers: vec![
            ("x-from".into(), Some(Bytes::from_static(b"elsewhere"))),
            ("nil".into(), None),
        ],
    };
    world.send_raw(vec![foreign.clone()]).await;

    let topic = world.kafka.dead_letters("parcels");
    let letters = read_topic(&world.kafka, &topic, 2).await;
    let parked = letters.iter().find(|letter| letter.0.key.is_some()).unwrap();
    assert_eq!((&parked.0.key, &parked.0.value), (&original.key, &original.value));
    assert_eq!(parked.0.headers[..original.headers.len()], original.headers[..]);
    assert_eq!(parked.text("kafka_dlt-original-topic").as_deref(), Some(&*world.topic));
    assert_eq!(parked.int("kafka_dlt-original-partition"), Some(event.envelope.partition));
    assert_eq!(parked.long("kafka_dlt-original-offset"), Some(0));
    assert!(parked.long("kafka_dlt-original-timestamp").unwrap() > 1_600_000_000_000);
    assert_eq!(parked.text("kafka_dlt-exception-fqcn").as_deref(), Some("impossible"));
    let message = parked.text("kafka_dlt-exception-message");
    assert_eq!(message.as_deref(), Some("lost before it was sent"));
    let group = world.kafka.group("parcels");
    assert_eq!(parked.text("kafka_dlt-original-consumer-group"), Some(group));

    let stranger = letters.iter().find(|letter| letter.0.key.is_none()).unwrap();
    assert_eq!(stranger.0.value, foreign.value);
    assert_eq!(stranger.0.headers[..2], foreign.headers[..]);
    assert_eq!(stranger.text("kafka_dlt-exception-fqcn").as_deref(), Some("key_missing"));
    let exported = "select count(*) from projection.parked_events where exported_at is not null";
    factline_testkit::eventually(crate::support::SOON, "the rows are marked", async || {
        world.count(exported).await == 1
    })
    .await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_no_events_are_set_aside_and_hold_up_nothing() {
    let world = World::create("foreign").await;
    let projector = world.start();
    let event = world.record("a", packed(3));
    let good = world.outgoing(&event);
    let bare = |key: Option<&'static str>, value: Option<&'static [u8]>| Outgoing {
        key: key.map(Bytes::from),
        value: value.map(Bytes::from_static),
        headers: Vec::new(),
        ..good.clone()
    };
    world
        .send_raw(vec![
            bare(None, Some(b"k01 no key")),
            bare(Some("a"), None), // k03: a tombstone
            bare(Some("a"), Some(b"k05 no headers")),
            bare(Some("a"), Some(b"")), // v01
            Outgoing { key: Some(Bytes::from_static(b"b")), ..good.clone() }, // k02
            good.clone(),
        ])
        .await;
    world.caught_up(&projector).await;
    assert_eq!(world.weight("a").await, Some(3));
    let kept: Vec<(i64, String)> = sqlx::query_as(
        "select record_offset, code from projection.foreign_records order by record_offset",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let codes: Vec<_> = kept.iter().map(|(_, code)| code.as_str()).collect();
    assert_eq!(
        codes,
        ["key_missing", "header_missing", "header_missing", "header_missing", "key_mismatch"]
    );
    assert_eq!(world.parked().await, []);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_decoded_parks_its_stream_and_the_position_is_passed() {
    let world = World::create("undecodable").await;
    let names = world.neighbours(1, 7);
    let mut records = Vec::new();
    for (name, value) in names.iter().zip([
        Some(&b""[..]),           // v01
        Some(b"\0\0\0"),          // v02
        Some(b"\x01\0\0\0\x01x"), // v03
        None,                     // k03
    ]) {
        let good = world.outgoing(&world.record(name, packed(1)));
        records.push(Outgoing { value: value.map(Bytes::from_static), ..good });
    }
    let cut = world.outgoing(&world.record(&names[4], sent("Oslo")));
    let value = cut.value.clone().unwrap();
    records.push(Outgoing { value: Some(value.slice(..value.len() - 2)), ..cut }); // v10
    let long = world.outgoing(&world.record(&names[5], packed(1)));
    let value = [&long.value.clone().unwrap()[..], b"more"].concat();
    records.push(Outgoing { value: Some(value.into()), ..long }); // v09
    records.push(world.outgoing(&world.record(&names[6], packed(9))));

    let projector = world.start();
    world.send_raw(records).await;
    world.caught_up(&projector).await;
    let codes: Vec<_> = world.parked().await.into_iter().map(|(_, code)| code).collect();
    let expected =
        ["bad_magic", "bad_magic", "bad_magic", "tombstone", "data_mismatch", "trailing_bytes"];
    assert_eq!(codes, expected);
    assert_eq!(world.weight(&names[6]).await, Some(9));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v05_an_id_of_another_event_type_parks_the_stream() {
    let world = World::create("other_type").await;
    let projector = world.start();
    let event = world.record("a", packed(1));
    let mut disguised = world.outgoing(&world.record("b", lost("x")));
    let original = world.outgoing(&event);
    disguised.key = original.key.clone();
    disguised.headers = original.headers.clone();
    disguised.partition = original.partition;
    world.send_raw(vec![disguised]).await;
    let token = event.envelope.token();
    projector.gate.wait_for(&[token], crate::support::SOON).await.unwrap();
    assert_eq!(world.parked().await, [("a".to_owned(), "type_mismatch".to_owned())]);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_parked_limit_the_projection_stops_and_drops_nothing() {
    let world = World::create("limit").await;
    let names = world.neighbours(0, 3);
    for name in &names {
        world.write(&[(name.as_str(), lost("too early"))]).await;
    }
    let generous = World::settings();
    for settings in [
        ProjectionSettings { parked_streams_limit: 2, ..generous.clone() },
        ProjectionSettings { parked_events_limit: 2, ..generous.clone() },
        ProjectionSettings { parked_bytes_limit: 3 * "too early".len() as i64, ..generous },
    ] {
        let projector = world.start_with(FoldedView::<Parcels>::new(), settings);
        let stopped = projector.becomes("stopped", |s| s.condition == Condition::Stopped).await;
        assert!(stopped.reasons.iter().any(|reason| reason.contains("limit")), "{stopped:?}");
        assert!(world.parked().await.len() <= 2, "over the limit nothing is parked");
        projector.stop().await;
    }

    let projector = world.start(); // an operator raised the limit
    world.caught_up(&projector).await;
    assert_eq!(world.parked().await.len(), 3);
    projector.stop().await;
}
