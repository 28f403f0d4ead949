//! What any log promises to commands: one suite, held against the log on Postgres and against the
//! one in memory.

mod logs;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::support::{
    PackAll, TearBelt, TestLog, assert_dense_events, assert_only_added, command, pack, send,
};
use factline_core::{Position, Version};
use factline_log::CommandFault;
use factline_testkit::parcels::ParcelRefusal;
use futures::future::join_all;
use logs::{InMemory, LogUnderTest};

/// A test a promise and a log.
macro_rules! contract {
    ($($promise:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&super::InMemory::create()).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&super::TestLog::create(stringify!($promise)).await).await;
            })+
        }
    };
}

contract!(
    versions_count_from_1_and_an_expected_version_must_be_the_current_one,
    a_commands_events_are_stored_all_or_none,
    a_decision_that_panics_costs_its_own_command_alone,
    a_refused_command_and_one_with_nothing_to_do_leave_nothing,
    a_command_that_comes_too_late_is_not_decided_and_its_repeat_still_gets_the_first_answer,
    a_repeat_gets_the_first_answer_however_much_came_after_it,
    a_key_belongs_to_one_command_of_its_stream,
    concurrent_twins_have_one_effect_and_one_answer,
    a_writer_that_comes_late_is_decided_on_what_came_before_it,
    concurrent_appends_lose_nothing_and_leave_no_hole,
    who_follows_by_position_never_sees_one_appear_behind,
);

async fn versions_count_from_1_and_an_expected_version_must_be_the_current_one(
    log: &impl LogUnderTest,
) {
    let lanes = log.process();
    let insisting = |key: &str, expected| {
        let mut command = command("p", key, pack(1));
        command.expected = Some(Version(expected));
        lanes.execute(command)
    };
    assert_eq!(insisting("first", 0).await.unwrap().version, Version(1));
    let late = insisting("late", 0).await.unwrap_err();
    assert!(matches!(late, CommandFault::VersionMismatch { current: Version(1) }), "{late:?}");
    let early = insisting("early", 2).await.unwrap_err();
    assert!(matches!(early, CommandFault::VersionMismatch { current: Version(1) }), "{early:?}");
    assert_eq!(insisting("right", 1).await.unwrap().version, Version(2));
    let again = insisting("first", 0).await.unwrap();
    assert!(again.replayed, "a repeat insists on what was so at the time");
}

async fn a_commands_events_are_stored_all_or_none(log: &impl LogUnderTest) {
    let lanes = log.process();
    let done = lanes.execute(command("p", "all", PackAll(vec![1, 2, 3]))).await.unwrap();
    let places: Vec<_> =
        done.events.iter().map(|event| (event.envelope.version, event.envelope.position)).collect();
    assert_eq!(places, [1, 2, 3].map(|place| (Version(place), Position(place))));
    let too_large = send(&"x".repeat(300_000));
    let (none, neighbour) = tokio::join!(
        lanes.execute(command("p", "none", logs::PackAndSend(too_large))),
        lanes.execute(command("p", "neighbour", pack(4))),
    );
    assert!(matches!(none, Err(CommandFault::Unencodable(_))), "{none:?}");
    assert_eq!(neighbour.unwrap().state.weight_grams, 10);
    assert_eq!(log.stored().await.len(), 4);
}

async fn a_decision_that_panics_costs_its_own_command_alone(log: &impl LogUnderTest) {
    let lanes = log.process();
    let over = PackAll(vec![5, i64::MAX]); // the first of its events is taken in, the second panics
    let (before, torn, half_way, after, elsewhere) = tokio::join!(
        lanes.execute(command("p", "before", pack(1))),
        lanes.execute(command("p", "torn", TearBelt)),
        lanes.execute(command("p", "half way", over.clone())),
        lanes.execute(command("p", "after", pack(2))),
        lanes.execute(command("q", "elsewhere", pack(4))),
    );
    assert_eq!(before.unwrap().version, Version(1));
    for panicked in [torn, half_way, lanes.execute(command("p", "half way", over)).await] {
        assert!(matches!(panicked, Err(CommandFault::Panicked)), "{panicked:?}");
    }
    let after = after.unwrap();
    assert_eq!((after.version, after.state.weight_grams), (Version(2), 3));
    assert_eq!(elsewhere.unwrap().state.weight_grams, 4);
    let later = lanes.execute(command("p", "torn", pack(3))).await.unwrap();
    assert_eq!((later.version, later.state.weight_grams), (Version(3), 6), "it left no key either");
    let stored = log.stored().await;
    assert_eq!(stored.len(), 4);
    assert_dense_events(&stored);
}

async fn a_command_that_comes_too_late_is_not_decided_and_its_repeat_still_gets_the_first_answer(
    log: &impl LogUnderTest,
) {
    let lanes = log.process();
    let by = |decide_by, key: &str| {
        let mut command = command("p", key, pack(1));
        command.decide_by = Some(decide_by);
        command
    };
    let now = tokio::time::Instant::now();
    let (past, future) = (now - Duration::from_millis(1), now + Duration::from_secs(3_600));
    let late = lanes.execute(by(past, "k")).await;
    assert!(matches!(late, Err(CommandFault::TooLate)), "{late:?}");
    assert!(log.stored().await.is_empty());
    let first = lanes.execute(by(future, "k")).await.unwrap();
    let again = lanes.execute(by(past, "k")).await.unwrap();
    assert!(again.replayed && again.events == first.events, "{again:?}");
    assert_eq!(log.stored().await.len(), 1);
}

async fn a_refused_command_and_one_with_nothing_to_do_leave_nothing(log: &impl LogUnderTest) {
    let lanes = log.process();
    let refused = lanes.execute(command("p", "1", send("Oslo"))).await.unwrap_err();
    assert!(matches!(refused, CommandFault::Refused(ParcelRefusal::Empty)), "{refused:?}");
    let nothing = lanes.execute(command("p", "2", pack(0))).await.unwrap();
    assert_eq!((nothing.version, nothing.events.len()), (Version(0), 0));
    assert!(log.stored().await.is_empty());
    lanes.execute(command("p", "3", pack(1))).await.unwrap();
    let again = lanes.execute(command("p", "1", send("Oslo"))).await.unwrap();
    assert!(!again.replayed, "it left no key either: it is decided anew");
    assert_eq!(again.version, Version(2));
}

async fn a_repeat_gets_the_first_answer_however_much_came_after_it(log: &impl LogUnderTest) {
    let (lanes, other) = (log.process(), log.process());
    let mut first_answers = Vec::new();
    for number in 0..70_i64 {
        let body = PackAll(vec![number, 1]);
        let done = lanes.execute(command("p", &number.to_string(), body)).await.unwrap();
        assert!(!done.replayed);
        first_answers.push(done);
    }
    let stored = log.stored().await;
    for lanes in [lanes, other, log.process()] {
        let repeats = (0..70_i64)
            .map(|number| command("p", &number.to_string(), PackAll(vec![number, 1])))
            .map(|repeat| lanes.execute(repeat));
        for (repeat, first) in join_all(repeats).await.into_iter().zip(&first_answers) {
            let repeat = repeat.unwrap();
            assert!(repeat.replayed);
            assert_eq!((repeat.version, &repeat.events), (first.version, &first.events));
            assert_eq!(repeat.state, first.state, "the state is the one after the first answer");
        }
    }
    assert_eq!(log.stored().await, stored);
}

async fn a_key_belongs_to_one_command_of_its_stream(log: &impl LogUnderTest) {
    let lanes = log.process();
    let (first, twin) = tokio::join!(
        lanes.execute(command("p", "k", pack(250))),
        lanes.execute(command("p", "k", pack(251))),
    );
    first.unwrap();
    for reused in [twin, log.process().execute(command("p", "k", pack(252))).await] {
        assert!(matches!(reused, Err(CommandFault::KeyReused)), "{reused:?}");
    }
    let elsewhere = lanes.execute(command("q", "k", pack(251))).await.unwrap();
    assert!(!elsewhere.replayed, "the key's scope is the stream");
    assert_eq!(log.stored().await.len(), 2);
}

async fn concurrent_twins_have_one_effect_and_one_answer(log: &impl LogUnderTest) {
    let processes = [log.process(), log.process()];
    let twins = (0..40).map(|index| processes[index % 2].execute(command("p", "k", pack(250))));
    let outcomes: Vec<_> = join_all(twins).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|done| !done.replayed).count(), 1);
    assert!(outcomes.iter().all(|done| done.events == outcomes[0].events));
    assert_eq!(log.stored().await.len(), 1);
}

async fn a_writer_that_comes_late_is_decided_on_what_came_before_it(log: &impl LogUnderTest) {
    let (one, two) = (log.process(), log.process());
    one.execute(command("p", "1", pack(1))).await.unwrap();
    two.execute(command("p", "2", send("Oslo"))).await.unwrap();
    let late = one.execute(command("p", "3", pack(1))).await.unwrap_err();
    assert!(matches!(late, CommandFault::Refused(ParcelRefusal::AlreadySent)), "{late:?}");
    let mut insisting = command("p", "4", pack(1));
    insisting.expected = Some(Version(1));
    let late = one.execute(insisting).await.unwrap_err();
    assert!(matches!(late, CommandFault::VersionMismatch { current: Version(2) }), "{late:?}");
    assert_eq!(log.stored().await.len(), 2);
}

async fn concurrent_appends_lose_nothing_and_leave_no_hole(log: &impl LogUnderTest) {
    let processes = [log.process(), log.process()];
    let writers = (0..32).map(|writer| {
        let lanes = processes[writer % 2].clone();
        async move {
            for round in 0..10 {
                let key = format!("{writer}-{round}");
                lanes.execute(command("hot", &key, pack(1))).await.unwrap();
                lanes.execute(command(&format!("p{writer}"), &key, pack(1))).await.unwrap();
            }
        }
    });
    join_all(writers).await;
    let stored = log.stored().await;
    assert_eq!(stored.len(), 640);
    assert_dense_events(&stored);
    let last = processes[0].execute(command("hot", "last", send("Oslo"))).await.unwrap();
    assert_eq!((last.version, last.state.weight_grams), (Version(321), 320));
}

async fn who_follows_by_position_never_sees_one_appear_behind(log: &impl LogUnderTest) {
    let processes = [log.process(), log.process()];
    let done = AtomicBool::new(false);
    let writing = async {
        let commands = (0..400).map(|index| {
            let lanes = &processes[index % 2];
            lanes.execute(command(&format!("p{}", index % 23), &index.to_string(), pack(1)))
        });
        join_all(commands).await.into_iter().for_each(|done| drop(done.unwrap()));
        done.store(true, Ordering::Relaxed);
    };
    let following = async {
        let mut seen = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let now = log.stored().await;
            assert_dense_events(&now);
            assert_only_added(&seen, &now);
            seen = now;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writing, following);
    assert_eq!(log.stored().await.len(), 400);
}
