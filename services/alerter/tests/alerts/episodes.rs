//! When episodes open, resolve, and are told.

use std::time::Duration;

use factline_testkit::eventually;

use crate::{
    alarm::{Alarm, DEADLINE, added, swings},
    receiver::{Answer, Receiver},
};

const NO_COOLDOWN: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn an_episode_is_told_once_opened_and_once_resolved() {
    let alarm = Alarm::new("an_episode_is_told", HOUR).await;
    let receiver = Receiver::answering([]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    let history = swings(2);
    alarm.happens(&history[..2]).await;
    alarm.until_states(&["opened delivered"]).await;
    alarm.happens(&history[2..]).await;
    alarm.until_states(&["opened delivered", "resolved delivered"]).await;
    deliverer.stop().await;
    let kinds: Vec<_> = receiver.messages().iter().map(|message| message.kind()).collect();
    assert_eq!(kinds, ["alert.opened", "alert.resolved"]);
}

#[tokio::test]
async fn episodes_are_the_same_whether_events_come_at_once_or_one_by_one() {
    let (history, open) = (swings(5), ["opened withdrawn", "resolved withdrawn"].repeat(2));
    let expected: Vec<_> = open.into_iter().chain(["opened pending"]).collect();
    let at_once = Alarm::new("episodes_at_once", NO_COOLDOWN).await;
    at_once.happens(&history).await;
    at_once.until_states(&expected).await;
    let one_by_one = Alarm::new("episodes_one_by_one", NO_COOLDOWN).await;
    for event in &history {
        one_by_one.happens(std::slice::from_ref(event)).await;
    }
    one_by_one.until_states(&expected).await;
    let ids = |rows: Vec<crate::alarm::Row>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(at_once.deliveries().await), ids(one_by_one.deliveries().await));
}

#[tokio::test]
async fn a_level_that_swings_within_the_cooldown_is_told_once() {
    let alarm = Alarm::new("a_level_that_swings", HOUR).await;
    let receiver = Receiver::answering([]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    let history = swings(6);
    alarm.happens(&history[..2]).await;
    alarm.until_states(&["opened delivered"]).await;
    for event in &history[2..] {
        alarm.happens(std::slice::from_ref(event)).await;
    }
    let withdrawn = ["opened withdrawn", "resolved withdrawn"].repeat(2);
    let expected: Vec<_> =
        ["opened delivered", "resolved delivered"].into_iter().chain(withdrawn).collect();
    alarm.until_states(&expected).await;
    deliverer.stop().await;
    assert_eq!(receiver.messages().len(), 2);
}

#[tokio::test]
async fn an_item_that_is_still_low_when_the_cooldown_is_over_is_told() {
    let alarm = Alarm::new("an_item_that_is_still_low", Duration::from_millis(300)).await;
    let receiver = Receiver::answering([]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    let history = swings(3);
    alarm.happens(&history[..2]).await;
    alarm.until_states(&["opened delivered"]).await;
    alarm.happens(&history[2..]).await;
    let expected = ["opened delivered", "resolved delivered", "opened delivered"];
    alarm.until_states(&expected).await;
    deliverer.stop().await;
    let told_after_ms: i64 = sqlx::query_scalar(
        "select (extract(epoch from max(delivered_at) - min(delivered_at)) * 1000)::bigint
         from deliveries where kind = 'opened'",
    )
    .fetch_one(&alarm.pool)
    .await
    .unwrap();
    assert!(told_after_ms >= 300, "told again after {told_after_ms} ms of a cooldown of 300");
}

#[tokio::test]
async fn a_resolution_is_told_after_an_opening_that_the_receiver_may_have() {
    let alarm = Alarm::new("a_resolution_is_told", HOUR).await;
    let receiver = Receiver::answering([Answer::Silence]).await;
    let mut settings = Alarm::webhook(receiver.url());
    settings.timeout_ms = 300;
    let deliverer = alarm.deliver(settings);
    let history = swings(2);
    alarm.happens(&history[..2]).await;
    receiver.until_messages(1).await; // and it does not answer
    alarm.happens(&history[2..]).await;
    alarm.until_states(&["opened delivered", "resolved delivered"]).await;
    deliverer.stop().await;
    let messages = receiver.messages();
    let kinds: Vec<_> = messages.iter().map(|message| message.kind()).collect();
    assert_eq!(kinds, ["alert.opened", "alert.opened", "alert.resolved"]);
    assert_eq!(messages[0], messages[1], "the same id and the same body");
}

#[tokio::test]
async fn an_opening_that_the_receiver_refused_is_withdrawn_when_the_episode_resolves() {
    let alarm = Alarm::new("an_opening_refused", HOUR).await;
    let receiver = Receiver::answering([Answer::Status(503)]).await;
    let mut settings = Alarm::webhook(receiver.url());
    (settings.retry_first_ms, settings.retry_most_ms) = (3_600_000, 3_600_000);
    let deliverer = alarm.deliver(settings);
    let history = swings(2);
    alarm.happens(&history[..2]).await;
    eventually(DEADLINE, "the refusal is marked", async || {
        alarm.deliveries().await[0].last_error.is_some()
    })
    .await;
    alarm.happens(&history[2..]).await;
    alarm.until_states(&["opened withdrawn", "resolved withdrawn"]).await;
    deliverer.stop().await;
}

#[tokio::test]
async fn an_impossible_event_is_named_and_nothing_of_its_batch_is_kept() {
    use factline_projection::{ApplyError, Projection};
    use sqlx::Connection;

    let alarm = Alarm::new("an_impossible_event", NO_COOLDOWN).await;
    let events = factline_testkit::recorded([
        ("A", added(1)),
        ("B", crate::alarm::sold(1)),
        ("B", crate::alarm::sold(1)),
    ]);
    let mut connection = sqlx::PgConnection::connect(&alarm.database.url()).await.unwrap();
    let watch = alarm.watch();
    let mut tx = connection.begin().await.unwrap();
    let refused = watch.apply(&mut tx, &events).await.unwrap_err();
    let ApplyError::Poison(poisoned) = refused else { panic!("{refused}") };
    assert_eq!(poisoned.iter().map(|one| one.index).collect::<Vec<_>>(), [1]);
    tx.rollback().await.unwrap();
    assert!(alarm.deliveries().await.is_empty());
}
