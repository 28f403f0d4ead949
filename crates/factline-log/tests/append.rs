//! What the log promises to commands, on a real Postgres.

use std::time::Duration;

use crate::support::{PARTITIONS, TestLog, command, noon, pack, send, stream};
use factline_core::{Position, Version};
use factline_log::{CommandFault, StreamBound, state_at};
use factline_testkit::{
    FaultProxy, eventually_ok,
    parcels::{Parcel, ParcelRefusal},
};
use futures::future::join_all;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_answers_with_its_events_their_places_and_the_state_after_it() {
    let log = TestLog::create("answers").await;
    let (lanes, parts) = log.process();
    let first = lanes.execute(command("p", "1", pack(250))).await.unwrap();
    let second = lanes.execute(command("p", "2", pack(50))).await.unwrap();
    assert_eq!((first.version, second.version), (Version(1), Version(2)));
    assert_eq!(second.state.weight_grams, 300);
    assert!(!second.replayed);
    let envelope = &second.events[0].envelope;
    assert_eq!(envelope.position, Position(2));
    assert_eq!(&*envelope.event_type, "factline.parcel.ParcelPacked");
    assert_eq!(envelope.occurred_at, noon());
    assert_eq!(second.token().unwrap(), envelope.token());
    drop(lanes);
    for task in parts.tasks {
        task.await.unwrap();
    }
    assert_eq!(log.assert_dense().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_and_one_with_nothing_to_do_leave_no_trace() {
    let log = TestLog::create("no_trace").await;
    let (lanes, _parts) = log.process();
    let refused = lanes.execute(command("p", "1", send("Oslo"))).await.unwrap_err();
    assert!(matches!(refused, CommandFault::Refused(ParcelRefusal::Empty)), "{refused:?}");
    let nothing = lanes.execute(command("p", "2", pack(0))).await.unwrap();
    assert_eq!((nothing.version, nothing.events.len()), (Version(0), 0));
    assert_eq!(log.assert_dense().await, 0);

    lanes.execute(command("p", "3", pack(1))).await.unwrap();
    let retried = lanes.execute(command("p", "1", send("Oslo"))).await.unwrap();
    assert_eq!(retried.version, Version(2), "a refused command is simply decided again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_twice_has_one_effect_and_one_answer_also_after_a_restart() {
    let log = TestLog::create("same_key").await;
    let (lanes, _parts) = log.process();
    let first = lanes.execute(command("p", "k", pack(250))).await.unwrap();
    lanes.execute(command("p", "other", send("Oslo"))).await.unwrap();
    let again = lanes.execute(command("p", "k", pack(250))).await.unwrap();
    let (restarted, _parts) = log.process();
    let later = restarted.execute(command("p", "k", pack(250))).await.unwrap();
    for repeat in [again, later] {
        assert!(repeat.replayed);
        assert_eq!(repeat.version, first.version);
        assert_eq!(repeat.events, first.events);
        assert_eq!(repeat.state, first.state, "the state is the one after the first answer");
    }
    assert_eq!(log.assert_dense().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_for_another_command_is_refused() {
    let log = TestLog::create("key_reused").await;
    let (lanes, _parts) = log.process();
    lanes.execute(command("p", "k", pack(250))).await.unwrap();
    let reused = lanes.execute(command("p", "k", pack(251))).await.unwrap_err();
    assert!(matches!(reused, CommandFault::KeyReused), "{reused:?}");
    let elsewhere = lanes.execute(command("q", "k", pack(251))).await.unwrap();
    assert!(!elsewhere.replayed, "the key's scope is the stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_twins_in_two_processes_have_one_effect_and_one_answer() {
    let log = TestLog::create("twins").await;
    let (one, _parts) = log.process();
    let (two, _parts) = log.process();
    let twins = (0..40).map(|index| {
        let lanes = if index % 2 == 0 { &one } else { &two };
        lanes.execute(command("p", "k", pack(250)))
    });
    let outcomes: Vec<_> = join_all(twins).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|done| !done.replayed).count(), 1);
    assert!(outcomes.iter().all(|done| done.events == outcomes[0].events));
    assert_eq!(log.assert_dense().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_send_one_parcel_at_once_send_it_once() {
    let log = TestLog::create("send_once").await;
    let (one, _parts) = log.process();
    let (two, _parts) = log.process();
    for round in 0..20 {
        let id = format!("p{round}");
        one.execute(command(&id, "pack", pack(1))).await.unwrap();
        two.execute(command(&id, "warm", pack(1))).await.unwrap();
        let (a, b) = tokio::join!(
            one.execute(command(&id, "a", send("Oslo"))),
            two.execute(command(&id, "b", send("Rome"))),
        );
        assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1, "{a:?} {b:?}");
    }
    assert_eq!(log.assert_dense().await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_writers_on_one_stream_in_two_processes_lose_no_update() {
    let log = TestLog::create("one_hot_stream").await;
    let (one, _parts) = log.process();
    let (two, _parts) = log.process();
    let writers = (0..32).map(|writer| {
        let lanes = if writer % 2 == 0 { one.clone() } else { two.clone() };
        async move {
            for round in 0..10 {
                let key = format!("{writer}-{round}");
                lanes.execute(command("hot", &key, pack(1))).await.unwrap();
            }
        }
    });
    join_all(writers).await;
    assert_eq!(log.assert_dense().await, 320);
    let last = one.execute(command("hot", "last", send("Oslo"))).await.unwrap();
    assert_eq!(last.state.weight_grams, 320);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_insists_on_a_version_is_told_the_current_one() {
    let log = TestLog::create("if_match").await;
    let (lanes, _parts) = log.process();
    lanes.execute(command("p", "1", pack(1))).await.unwrap();
    let mut stale = command("p", "2", pack(1));
    stale.expected = Some(Version(7));
    let refused = lanes.execute(stale).await.unwrap_err();
    assert!(matches!(refused, CommandFault::VersionMismatch { current: Version(1) }));
    let mut right = command("p", "3", pack(1));
    right.expected = Some(Version(1));
    assert_eq!(lanes.execute(right).await.unwrap().version, Version(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_too_large_to_store_is_refused_and_its_neighbours_are_not() {
    let log = TestLog::create("too_large").await;
    let (lanes, _parts) = log.process();
    lanes.execute(command("p", "1", pack(1))).await.unwrap();
    let (large, small) = tokio::join!(
        lanes.execute(command("p", "2", send(&"x".repeat(300_000)))),
        lanes.execute(command("p", "3", pack(1))),
    );
    assert!(matches!(large, Err(CommandFault::Unencodable(_))), "{large:?}");
    assert_eq!(small.unwrap().version, Version(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_at_any_moment_lose_no_acknowledged_command_and_double_none() {
    let log = TestLog::create("cut").await;
    let proxy = FaultProxy::to_postgres(&factline_testkit::stack()).await;
    let settings = log.settings_through(&proxy);
    let (lanes, _parts) = factline_log::Lanes::<Parcel>::start(&settings, &log.topic).unwrap();
    let load = (0..600).map(|index| {
        let lanes = lanes.clone();
        let (id, key) = (format!("p{}", index % 30), format!("k{index}"));
        async move {
            eventually_ok(Duration::from_secs(30), "the command is settled", async || {
                lanes.execute(command(&id, &key, pack(1))).await
            })
            .await
        }
    });
    let cuts = async {
        for _ in 0..15 {
            tokio::task::yield_now().await;
            proxy.cut_once();
            let (done,): (i64,) = sqlx::query_as("select count(*) from log.events")
                .fetch_one(&log.pool().await)
                .await
                .unwrap();
            assert!(done <= 600);
        }
    };
    let (outcomes, ()) = tokio::join!(join_all(load), cuts);
    assert_eq!(outcomes.len(), 600);
    assert_eq!(log.assert_dense().await, 600, "every command once");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_gives_the_state_at_a_version_and_at_a_time() {
    let log = TestLog::create("history").await;
    let (lanes, _parts) = log.process();
    for day in 0..4 {
        let mut pack = command("p", &format!("{day}"), pack(100));
        pack.occurred_at = noon() + chrono::Duration::days(day);
        lanes.execute(pack).await.unwrap();
    }
    let codec = factline_codec::Codec::new().unwrap();
    let reader = log.reader();
    let at = async |bound| {
        let found = state_at::<Parcel>(&reader, &codec, &log.topic, &stream("p"), bound).await;
        found.unwrap().map(|(parcel, version)| (parcel.weight_grams, version.0))
    };
    assert_eq!(at(StreamBound::Everything).await, Some((400, 4)));
    assert_eq!(at(StreamBound::Version(Version(3))).await, Some((300, 3)));
    let second_day = noon() + chrono::Duration::days(1);
    assert_eq!(at(StreamBound::OccurredBy(second_day)).await, Some((200, 2)));
    let before = noon() - chrono::Duration::days(1);
    assert_eq!(at(StreamBound::OccurredBy(before)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_back_by_position_in_every_partition() {
    let log = TestLog::create("by_position").await;
    let (lanes, _parts) = log.process();
    let commands = (0..50).map(|index| lanes.execute(command(&format!("p{index}"), "k", pack(1))));
    for done in join_all(commands).await {
        done.unwrap();
    }
    let reader = log.reader();
    let heads = reader.heads(&log.topic).await.unwrap();
    assert_eq!(heads.len(), usize::try_from(PARTITIONS).unwrap());
    for (partition, head) in heads {
        let all = reader.read(&log.topic, partition, Position::ZERO, 1_000).await.unwrap();
        let positions: Vec<i64> = all.iter().map(|event| event.envelope.position.0).collect();
        assert_eq!(positions, (1..=head.0).collect::<Vec<_>>());
        let rest = reader.read(&log.topic, partition, Position(head.0 - 1), 1_000).await.unwrap();
        assert_eq!(rest.len(), 1);
    }
}
