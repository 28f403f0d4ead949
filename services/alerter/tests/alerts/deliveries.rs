//! What happens to deliveries when receivers misbehave or processes die.

use std::time::Duration;

use factline_testkit::{eventually, eventually_ok};
use service_kit::health::ComponentStatus;

use crate::{
    alarm::{Alarm, DEADLINE, Row, added, swings},
    receiver::{Answer, Receiver},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// An alarm with one episode open.
async fn ringing(test: &str) -> Alarm {
    let alarm = Alarm::new(test, HOUR).await;
    alarm.happens(&swings(1)).await;
    alarm
}

async fn first_failure(alarm: &Alarm) -> Row {
    eventually_ok(DEADLINE, "a failed attempt", async || {
        let row = alarm.deliveries().await.remove(0);
        if row.last_error.is_some() { Ok(row) } else { Err(format!("{row:?}")) }
    })
    .await
}

#[tokio::test]
async fn a_failed_alert_is_told_again_under_the_same_id() {
    let alarm = ringing("a_failed_alert").await;
    let receiver = Receiver::answering([Answer::Status(500), Answer::Status(503)]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_states(&["opened delivered"]).await;
    deliverer.stop().await;
    let messages = receiver.messages();
    assert_eq!(messages.len(), 3);
    assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
    let row = alarm.deliveries().await.remove(0);
    assert_eq!((row.id.to_string(), row.attempts), (messages[0].id.clone(), 3));
    assert_eq!(row.last_error, None);
}

#[tokio::test]
async fn a_crash_between_a_post_and_its_mark_repeats_the_same_id_and_body() {
    let alarm = ringing("a_crash_between").await;
    let receiver = Receiver::answering([Answer::Silence]).await;
    let dying = alarm.deliver(Alarm::webhook(receiver.url()));
    receiver.until_messages(1).await;
    dying.crash().await;
    let claimed = alarm.deliveries().await.remove(0);
    assert_eq!((claimed.state.as_str(), claimed.attempts), ("pending", 1));
    assert!(claimed.waits_ms > 5_000, "nobody else posts it while the claim may still be alive");
    sqlx::query("update deliveries set next_attempt_at = now()") // the claim runs out
        .execute(&alarm.pool)
        .await
        .unwrap();
    let next = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_states(&["opened delivered"]).await;
    next.stop().await;
    let messages = receiver.messages();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0], messages[1]);
}

#[tokio::test]
async fn two_deliverers_tell_each_alert_once() {
    let alarm = Alarm::new("two_deliverers", HOUR).await;
    let skus: Vec<String> = (0..40).map(|number| format!("SKU-{number}")).collect();
    let low: Vec<_> = skus.iter().map(|sku| (sku.as_str(), added(1))).collect();
    alarm.happens(&factline_testkit::recorded(low)).await;
    let receiver = Receiver::answering([]).await;
    let deliverers = [(); 2].map(|()| alarm.deliver(Alarm::webhook(receiver.url())));
    alarm.until_states(&["opened delivered"; 40]).await;
    for deliverer in deliverers {
        deliverer.stop().await;
    }
    let mut ids: Vec<_> = receiver.messages().into_iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), 40);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}

#[tokio::test]
async fn a_delivery_is_abandoned_after_its_last_attempt() {
    let alarm = ringing("a_delivery_is_abandoned").await;
    let receiver = Receiver::answering(vec![Answer::Status(500); 9]).await;
    let mut settings = Alarm::webhook(receiver.url());
    settings.max_attempts = 3;
    let deliverer = alarm.deliver(settings);
    alarm.until_states(&["opened abandoned"]).await;
    deliverer.stop().await;
    assert_eq!(receiver.messages().len(), 3);
}

#[tokio::test]
async fn w04_an_answer_whose_body_never_ends_counts_by_its_status() {
    let alarm = ringing("w04_an_answer").await;
    let receiver = Receiver::answering([Answer::EndlessBody]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_states(&["opened delivered"]).await;
    deliverer.stop().await;
    assert_eq!(receiver.messages().len(), 1);
}

#[tokio::test]
async fn w05_a_redirect_into_our_own_network_is_not_followed() {
    let alarm = ringing("w05_a_redirect").await;
    let inside = Receiver::answering([]).await;
    for status in [301, 307] {
        let redirect = Answer::Header(status, "location", inside.url());
        let outside = Receiver::answering(vec![redirect; 1_000]).await;
        let deliverer = alarm.deliver(Alarm::webhook(outside.url()));
        outside.until_messages(2).await;
        deliverer.stop().await;
    }
    assert_eq!(inside.messages(), []);
}

#[tokio::test]
async fn w06_a_receiver_that_is_gone_is_disabled_and_what_waits_is_kept() {
    let alarm = ringing("w06_a_receiver").await;
    let gone = Receiver::answering(vec![Answer::Status(410); 9]).await;
    let deliverer = alarm.deliver(Alarm::webhook(gone.url()));
    let disabled = |status: &ComponentStatus| matches!(status, ComponentStatus::Degraded { reason } if reason.contains("410"));
    alarm.until_health(disabled).await;
    deliverer.stop().await;
    assert_eq!(gone.messages().len(), 1, "and nothing more");
    assert_eq!(alarm.states().await, ["opened pending"]);
    let other = Receiver::answering([]).await;
    let deliverer = alarm.deliver(Alarm::webhook(other.url()));
    alarm.until_states(&["opened delivered"]).await;
    deliverer.stop().await;
}

#[tokio::test]
async fn w07_a_retry_after_without_measure_is_cut_to_the_longest_wait() {
    for (asked, least_ms, most_ms) in [("1000000000", 50_000, 60_000), ("-5", 0, 1_000)] {
        let alarm = ringing("w07_a_retry_after").await;
        let answer = Answer::Header(429, "retry-after", asked.to_owned());
        let receiver = Receiver::answering([answer]).await;
        let mut settings = Alarm::webhook(receiver.url());
        (settings.retry_first_ms, settings.retry_most_ms) = (1_000, 60_000);
        let deliverer = alarm.deliver(settings);
        let row = first_failure(&alarm).await;
        deliverer.stop().await;
        assert!(row.waits_ms <= most_ms, "{asked}: {row:?}");
        assert!(row.waits_ms >= least_ms || least_ms == 0, "{asked}: {row:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_away_leaves_the_service_degraded_and_its_alert_pending() {
    let alarm = ringing("a_receiver_that_is_away").await;
    let away = Receiver::answering([]).await;
    let url = away.url();
    drop(away);
    let deliverer = alarm.deliver(Alarm::webhook(url));
    eventually(DEADLINE, "two attempts", async || alarm.deliveries().await[0].attempts >= 2).await;
    alarm.until_health(|status| matches!(status, ComponentStatus::Degraded { .. })).await;
    deliverer.stop().await;
    let row = alarm.deliveries().await.remove(0);
    assert_eq!(row.state, "pending");
}
