//! Many alerts at once, alerts that must wait, and people who act on them.

use std::time::{Duration, Instant};

use alerter::rules::Group;
use domain::inventory::InventoryEvent;
use factline_core::Recorded;
use factline_testkit::{eventually_ok, recorded};
use serde_json::Value;

use crate::{
    alarm::{Alarm, DEADLINE, added, received, sold},
    receiver::Receiver,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn low_items(count: usize) -> Vec<Recorded<InventoryEvent>> {
    let skus: Vec<String> = (0..count).map(|number| format!("SKU-{number:05}")).collect();
    recorded(skus.iter().map(|sku| (sku.as_str(), added(1))).collect::<Vec<_>>())
}

/// The bodies of what came, by their type.
fn told(receiver: &Receiver, kind: &str) -> Vec<Value> {
    let bodies = receiver.messages().into_iter();
    let bodies = bodies.map(|message| serde_json::from_str::<Value>(&message.body).unwrap());
    bodies.filter(|body| body["type"] == kind).collect()
}

impl Alarm {
    async fn count(&self, state: &str) -> usize {
        self.states().await.iter().filter(|row| row.ends_with(state)).count()
    }

    /// Waits until nothing is left to be told.
    async fn until_all_told(&self) {
        eventually_ok(DEADLINE, "everything is told", async || {
            let left = self.count("pending").await;
            if left == 0 { Ok(()) } else { Err(format!("{left} are pending")) }
        })
        .await;
    }
}

#[tokio::test]
async fn ten_thousand_alerts_in_ten_seconds_are_thirty_messages_and_none_is_lost() {
    let mut alarm = Alarm::new("ten_thousand_alerts", HOUR).await;
    alarm.most_per_minute = 30;
    let receiver = Receiver::answering([]).await;
    let events = low_items(10_000);
    let began = Instant::now();
    for events in events.chunks(2_000) {
        alarm.happens(events).await;
    }
    let opening = began.elapsed();
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_all_told().await;
    deliverer.stop().await;
    eprintln!("10,000 opened in {opening:?}, all told after {:?}", began.elapsed());
    let (alone, summaries) = (told(&receiver, "alert.opened"), told(&receiver, "alert.summary"));
    assert_eq!((alone.len(), summaries.len()), (29, 1));
    let data = &summaries[0]["data"];
    assert_eq!((&data["count"], &data["reason"]), (&9_971.into(), &"rate_cap".into()));
    assert_eq!(data["counts"][0]["rule"], "low_stock");
    assert_eq!(data["first"].as_array().unwrap().len(), 20);
    assert_eq!(alarm.count("opened summarised").await, 9_971, "and each says so");
}

#[tokio::test]
async fn within_a_minute_of_its_summary_a_channel_is_silent_and_keeps_what_comes() {
    let mut alarm = Alarm::new("within_a_minute", HOUR).await;
    alarm.most_per_minute = 3;
    let receiver = Receiver::answering([]).await;
    let events = low_items(20);
    alarm.happens(&events[..10]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_all_told().await;
    alarm.happens(&events[10..]).await;
    // What was told moves a minute into the past, and only then the rest is.
    assert_eq!(alarm.count("pending").await, 10);
    assert_eq!(receiver.messages().len(), 3);
    sqlx::query(
        "update deliveries set first_attempt_at = first_attempt_at - interval '1 minute',
             not_before = not_before - interval '1 minute'",
    )
    .execute(&alarm.pool)
    .await
    .unwrap();
    alarm.until_all_told().await;
    deliverer.stop().await;
    assert_eq!(receiver.messages().len(), 6);
    assert_eq!(told(&receiver, "alert.summary").len(), 2);
}

#[tokio::test]
async fn a_rule_that_groups_tells_what_came_within_its_window_in_one_message() {
    let mut alarm = Alarm::new("a_rule_that_groups", HOUR).await;
    (alarm.low_stock().group, alarm.low_stock().group_window_ms) = (Group::Rule, 60_000);
    let receiver = Receiver::answering([]).await;
    alarm.happens(&low_items(7)).await; // within ten seconds, in January
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_all_told().await;
    deliverer.stop().await;
    let messages = receiver.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    let body: Value = serde_json::from_str(&messages[0].body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["reason"]),
        (&"alert.summary".into(), &"grouped".into())
    );
    assert_eq!(body["data"]["count"], 7);
}

#[tokio::test]
async fn an_episode_that_a_summary_told_has_its_resolution_told() {
    let mut alarm = Alarm::new("an_episode_that_a_summary", HOUR).await;
    (alarm.low_stock().group, alarm.low_stock().group_window_ms) = (Group::Rule, 60_000);
    let receiver = Receiver::answering([]).await;
    let skus = ["A", "B"];
    let history = recorded([(skus[0], added(1)), (skus[1], added(1)), ("A", received(9))]);
    alarm.happens(&history[..2]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_all_told().await;
    alarm.happens(&history[2..]).await;
    alarm.until_all_told().await;
    deliverer.stop().await;
    assert_eq!(told(&receiver, "alert.resolved").len(), 1);
}

#[tokio::test]
async fn the_worst_goes_out_by_itself_when_there_is_too_much() {
    let mut alarm = Alarm::new("the_worst_goes_out", HOUR).await;
    alarm.most_per_minute = 2;
    let receiver = Receiver::answering([]).await;
    alarm.happens(&low_items(5)).await;
    sqlx::query("update alert_episodes set severity = 'critical' where subject = 'SKU-00003'")
        .execute(&alarm.pool)
        .await
        .unwrap();
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_all_told().await;
    deliverer.stop().await;
    let alone = told(&receiver, "alert.opened");
    assert_eq!(alone.len(), 1);
    assert_eq!(alone[0]["data"]["subject"], "SKU-00003");
}

#[tokio::test]
async fn while_the_judging_view_is_behind_nothing_is_told_and_what_is_over_then_never_is() {
    let alarm = Alarm::new("while_the_judging_view", HOUR).await;
    let receiver = Receiver::answering([]).await;
    sqlx::query(
        "insert into alert_episodes (id, rule, subject, name, severity, opened_at, figures)
         values (gen_random_uuid(), 'heartbeat_missing', 'alerter', '', 'critical', now(), '{}')",
    )
    .execute(&alarm.pool)
    .await
    .unwrap();
    let history = recorded([("A", added(1)), ("B", added(9)), ("B", sold(8)), ("A", received(9))]);
    alarm.happens(&history[..3]).await; // as of long ago: the rest has not come yet
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_health(|status| *status == service_kit::health::ComponentStatus::Ready).await;
    assert_eq!(alarm.states().await, ["opened pending"; 2]);
    alarm.happens(&history[3..]).await;
    sqlx::query("update alert_episodes set resolved_at = now() where rule = 'heartbeat_missing'")
        .execute(&alarm.pool)
        .await
        .unwrap();
    alarm.until_all_told().await;
    deliverer.stop().await;
    let alone = told(&receiver, "alert.opened");
    assert_eq!(alone.len(), 1, "A was low, and is not");
    assert_eq!(alone[0]["data"]["subject"], "B");
}
