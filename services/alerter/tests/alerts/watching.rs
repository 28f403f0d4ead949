//! Figures of services, judged: parked events, lag, what stands still, what is silent; rules that
//! cannot be judged; reminders and heartbeats.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use alerter::{
    rules::Channel,
    watching::{Service, WatchParts, WatchSettings, Watching},
};
use axum::{Router, extract::State, routing::get};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    alarm::{Alarm, swings},
    receiver::Receiver,
};

const ALL_WELL: &str = "factline_projection_parked_streams{projection=\"list\"} 0\n\
    factline_projection_freshness_seconds{projection=\"list\",partition=\"0\"} 0\n";
const PARKED: &str = "factline_projection_parked_streams{projection=\"list\"} 2\n\
    factline_projection_freshness_seconds{projection=\"list\",partition=\"0\"} 0\n";

/// A service's operators' port that says what it is told to.
struct Shop {
    address: SocketAddr,
    metrics: Arc<Mutex<String>>,
    server: JoinHandle<()>,
}

impl Shop {
    async fn saying(metrics: &str) -> Self {
        let metrics = Arc::new(Mutex::new(metrics.to_owned()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let said = |State(metrics): State<Arc<Mutex<String>>>| async move {
            metrics.lock().unwrap().clone()
        };
        let ready = json!({"status": "degraded", "components": {
            "database": {"status": "ready"},
            "projection list": {"status": "degraded", "reason": "waits"},
        }});
        let routes = Router::new()
            .route("/metrics", get(said))
            .route("/readyz", get(|| async move { ready.to_string() }))
            .with_state(metrics.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, metrics, server }
    }

    fn says(&self, metrics: &str) {
        metrics.clone_into(&mut self.metrics.lock().unwrap());
    }

    fn service(&self) -> Service {
        Service::try_from(format!("shop=http://{}", self.address)).unwrap()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Alarm {
    fn watching(&self, services: Vec<Service>, tell_every: Duration) -> Watching {
        let settings = WatchSettings { services, look_every_ms: 15_000, answer_within_ms: 2_000 };
        Watching::new(WatchParts {
            pool: self.pool.clone(),
            settings,
            rules: self.rules.clone(),
            channels: vec![Channel::Webhook],
            heartbeat_every: Duration::from_secs(30),
            heartbeats: "heartbeat_alerts",
            tell_every,
        })
        .unwrap()
    }

    /// Every episode as `rule subject state`, oldest first.
    async fn episodes(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select concat_ws(' ', rule, subject,
                              case when resolved_at is null then 'open' else 'resolved' end)
             from alert_episodes order by opened_at, rule, subject",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// A heartbeat of the system came.
    async fn beats(&self, at: DateTime<Utc>) {
        sqlx::query(
            "insert into projection.checkpoints
                 (projection, topic, partition, position, partitions, recorded_at)
             values ('heartbeat_alerts', 'factline.heartbeat.v1', 0, 1, 1, $1)
             on conflict (projection, topic, partition) do update set recorded_at = $1",
        )
        .bind(at)
        .execute(&self.pool)
        .await
        .unwrap();
    }
}

fn later(seconds: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::seconds(seconds)
}

#[tokio::test]
async fn parked_events_open_an_alert_that_resolves_when_none_are_left() {
    let alarm = Alarm::new("parked_events_open", Duration::ZERO).await;
    let shop = Shop::saying(PARKED).await;
    let mut watching = alarm.watching(vec![shop.service()], Duration::ZERO);
    watching.look(Utc::now()).await.unwrap();
    watching.look(Utc::now()).await.unwrap();
    assert_eq!(alarm.episodes().await, ["dead_letters shop/list open"], "once");
    // Another process sees the same.
    alarm.watching(vec![shop.service()], Duration::ZERO).look(Utc::now()).await.unwrap();
    assert_eq!(alarm.episodes().await, ["dead_letters shop/list open"]);
    assert_eq!(alarm.states().await, ["opened pending"]);
    shop.says(ALL_WELL);
    watching.look(Utc::now()).await.unwrap();
    assert_eq!(alarm.episodes().await, ["dead_letters shop/list resolved"]);
}

#[tokio::test]
async fn a_view_that_stays_late_opens_an_alert_and_one_that_catches_up_in_time_does_not() {
    let alarm = Alarm::new("a_view_that_stays_late", Duration::ZERO).await;
    let late = ALL_WELL.replace("partition=\"0\"} 0", "partition=\"0\"} 2.5");
    let shop = Shop::saying(&late).await;
    let mut watching = alarm.watching(vec![shop.service()], Duration::ZERO);
    alarm.beats(later(100)).await;
    watching.look(later(0)).await.unwrap();
    watching.look(later(30)).await.unwrap();
    assert_eq!(alarm.episodes().await, [""; 0], "not for long enough");
    watching.look(later(61)).await.unwrap();
    assert_eq!(alarm.episodes().await, ["projection_late shop/list open"]);
}

#[tokio::test]
async fn a_service_that_is_silent_is_told_and_what_it_told_before_stays_open() {
    let alarm = Alarm::new("a_service_that_is_silent", Duration::ZERO).await;
    let shop = Shop::saying(PARKED).await;
    let mut watching = alarm.watching(vec![shop.service()], Duration::ZERO);
    alarm.beats(later(100)).await;
    watching.look(later(0)).await.unwrap();
    drop(shop);
    watching.look(later(10)).await.unwrap();
    watching.look(later(80)).await.unwrap();
    let open = ["dead_letters shop/list open", "service_silent shop open"];
    assert_eq!(alarm.episodes().await, open, "nobody says that the events are parked no more");
}

#[tokio::test]
async fn w11_a_rule_that_cannot_be_judged_is_one_alert_and_the_others_are_judged() {
    let alarm = Alarm::new("w11_a_rule", Duration::ZERO).await;
    for nonsense in ["NaN", "+Inf", "-Inf"] {
        let broken = PARKED.replace("partition=\"0\"} 0", &format!("partition=\"0\"}} {nonsense}"));
        let shop = Shop::saying(&broken).await;
        let mut watching = alarm.watching(vec![shop.service()], Duration::ZERO);
        for _ in 0..3 {
            watching.look(Utc::now()).await.unwrap();
        }
        let open = ["dead_letters shop/list open", "rule_error projection_late open"];
        assert_eq!(alarm.episodes().await, open, "{nonsense}");
    }
    let shop = Shop::saying("factline_projection_parked_streams 1\n").await;
    let mut watching = alarm.watching(vec![shop.service()], Duration::ZERO);
    watching.look(Utc::now()).await.unwrap();
    let errors: Vec<String> = sqlx::query_scalar(
        "select figures ->> 'error' from alert_episodes where rule = 'rule_error' order by subject",
    )
    .fetch_all(&alarm.pool)
    .await
    .unwrap();
    assert_eq!(errors.len(), 2, "a missing label and a missing figure: {errors:?}");
    let shop = Shop::saying(ALL_WELL).await;
    alarm.watching(vec![shop.service()], Duration::ZERO).look(Utc::now()).await.unwrap();
    assert!(alarm.episodes().await.iter().all(|one| one.ends_with("resolved")), "and mended");
}

#[tokio::test]
async fn heartbeats_that_stop_coming_open_an_alert() {
    let alarm = Alarm::new("heartbeats_that_stop", Duration::ZERO).await;
    let mut watching = alarm.watching(Vec::new(), Duration::ZERO);
    alarm.beats(later(0)).await;
    watching.look(later(80)).await.unwrap();
    assert_eq!(alarm.episodes().await, [""; 0]);
    watching.look(later(100)).await.unwrap();
    assert_eq!(alarm.episodes().await, ["heartbeat_missing alerter open"]);
    alarm.beats(later(110)).await;
    watching.look(later(111)).await.unwrap();
    assert_eq!(alarm.episodes().await, ["heartbeat_missing alerter resolved"]);
}

#[tokio::test]
async fn the_receiver_is_told_regularly_that_all_is_well_and_no_more_when_it_is_not() {
    let alarm = Alarm::new("the_receiver_is_told", Duration::ZERO).await;
    let receiver = Receiver::answering([]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    // As two processes do, each in the same interval of an hour, and in the next.
    let hour = Duration::from_secs(3_600);
    let mut one = alarm.watching(Vec::new(), hour);
    let mut two = alarm.watching(Vec::new(), hour);
    let begin =
        DateTime::from_timestamp(Utc::now().timestamp() / 3_600 * 3_600 - 7_200, 0).unwrap();
    for hours in 0..2 {
        let now = begin + TimeDelta::hours(hours);
        alarm.beats(now).await;
        one.look(now).await.unwrap();
        two.look(now + TimeDelta::seconds(10)).await.unwrap();
        receiver.until_messages(usize::try_from(hours).unwrap() + 1).await;
    }
    // The heartbeats of the system stop: so do those to the receiver, which notices.
    one.look(begin + TimeDelta::hours(2)).await.unwrap();
    let heartbeats: i64 =
        sqlx::query_scalar("select count(*) from deliveries where kind = 'heartbeat'")
            .fetch_one(&alarm.pool)
            .await
            .unwrap();
    deliverer.stop().await;
    assert_eq!(heartbeats, 2);
    let kinds: Vec<_> = receiver.messages().iter().map(|message| message.kind()).collect();
    assert_eq!(kinds[..2], ["alert.heartbeat", "alert.heartbeat"]);
}

#[tokio::test]
async fn an_open_alert_is_told_again_until_somebody_acknowledges_it() {
    let mut alarm = Alarm::new("an_open_alert_is_told_again", Duration::ZERO).await;
    alarm.low_stock().repeat_ms = 3_600_000;
    let receiver = Receiver::answering([]).await;
    alarm.happens(&swings(1)).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_states(&["opened delivered"]).await;
    let an_hour_passes = async || {
        sqlx::query("update deliveries set delivered_at = delivered_at - interval '61 minutes'")
            .execute(&alarm.pool)
            .await
            .unwrap();
        // Two processes look.
        alarm.beats(Utc::now()).await;
        alarm.watching(Vec::new(), Duration::ZERO).look(Utc::now()).await.unwrap();
        alarm.watching(Vec::new(), Duration::ZERO).look(Utc::now()).await.unwrap();
    };
    an_hour_passes().await;
    alarm.until_states(&["opened delivered", "reminded delivered"]).await;
    sqlx::query("update alert_episodes set acknowledged_at = now(), acknowledged_by = 'ada'")
        .execute(&alarm.pool)
        .await
        .unwrap();
    an_hour_passes().await;
    assert_eq!(alarm.states().await.len(), 2);
    deliverer.stop().await;
    let kinds: Vec<_> = receiver.messages().iter().map(|message| message.kind()).collect();
    assert_eq!(kinds, ["alert.opened", "alert.reminded"]);
}
