//! What happens because an order was confirmed or cancelled: mail, from the command over log and Kafka
//! to a real SMTP server; and what operators' ports tell, as alerts.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::time::Duration;

use e2e::{Client, Process, Service, System};
use factline_testkit::eventually_ok;
use serde_json::{Value, json};
use uuid::Uuid;

/// Two processes start and consumer groups form on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);

async fn mailing(system: &System, name: &str) -> Process {
    let settings = [
        ("FACTLINE__ROLES", "watch,deliver,react,query"),
        ("FACTLINE__EMAIL__SMTP", &*system.stack().smtp),
        ("FACTLINE__EMAIL__SECURITY", "none"),
        ("FACTLINE__EMAIL__ALLOW_INSECURE", "true"),
        ("FACTLINE__EMAIL__FROM", "Shop <orders@shop.example>"),
        ("FACTLINE__EMAIL__POLL_MS", "50"),
    ];
    system.start_as(Service::Alerter, name, &settings).await
}

async fn created(client: &Client, path: &str, body: Value) -> String {
    let answer = client.post(path, body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["events"][0]["stream_id"].as_str().unwrap().to_owned()
}

async fn placed(client: &Client, customer: &str) -> String {
    let order = json!({
        "customer_id": customer,
        "shipping_address": "1 Main Street, Leeds",
        "items": [{"sku": "71053", "quantity": 2}],
    });
    created(client, "/orders", order).await // with its items, so it is confirmed at once
}

/// The subjects of what somebody got, sorted.
async fn subjects(system: &System, to: &str) -> Vec<String> {
    let url = format!("{}/api/user/{to}/messages", system.stack().mail_url);
    let answer = reqwest::get(url).await.unwrap();
    if !answer.status().is_success() {
        return Vec::new(); // nobody has written to them yet
    }
    let mails: Vec<Value> = answer.json().await.unwrap();
    let subject = |mail: &Value| mail["subject"].as_str().unwrap().to_owned();
    let mut subjects: Vec<String> = mails.iter().map(subject).collect();
    subjects.sort();
    subjects
}

async fn until_subjects(system: &System, to: &str, mut expected: Vec<String>) {
    expected.sort();
    eventually_ok(DEADLINE, "mail to the customer", async || {
        let found = subjects(system, to).await;
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_confirmed_and_its_cancellation_told_by_one_mail_each_though_the_alerter_dies()
{
    let system = System::create("reactions").await;
    let api = system.start(Service::CommandApi).await;
    let mut first = mailing(&system, "first").await;
    let client = api.client();
    let item = json!({"sku": "71053", "name": "Lantern", "quantity": 10, "unit_price_cents": 339});
    assert_eq!(client.post("/inventory", item).await.status, 201);
    let to = format!("{}@example.com", Uuid::new_v4().simple());
    let customer = created(&client, "/customers", json!({"name": "Ada", "email": to})).await;

    let one = placed(&client, &customer).await;
    until_subjects(&system, &to, vec![format!("We have your order {one}")]).await;

    // What was confirmed while nobody reacted is told by the next process, and nothing twice.
    first.kill();
    let two = placed(&client, &customer).await;
    let cancelled =
        client.post(&format!("/orders/{one}/cancellation"), json!({"reason": "twice"})).await;
    assert_eq!(cancelled.status, 201, "{cancelled:?}");
    let second = mailing(&system, "second").await;
    let expected = vec![
        format!("We have your order {one}"),
        format!("We have your order {two}"),
        format!("Your order {one} was cancelled"),
    ];
    until_subjects(&system, &to, expected).await;
    assert_eq!(second.stop().await, 0);
    assert_eq!(api.stop().await, 0);
}

/// An alerter that judges the rules that must be there, and one more, about these processes.
async fn judging(system: &System, rule: &str, processes: &[(&str, &Process)]) -> Process {
    const ALWAYS: &str = r#"
        { name = "low_stock", title = "Stock is low", source = "stock", severity = "warning",
          channels = [], cooldown_ms = 0 },
        { name = "service_silent", title = "A service is silent", source = "watch",
          severity = "critical", channels = [], cooldown_ms = 0 },
        { name = "rule_error", title = "A rule cannot be judged", source = "watch",
          severity = "warning", channels = [], cooldown_ms = 0 },"#;
    let rules = format!("[{ALWAYS} {rule}]");
    let services = processes.iter().map(|(name, one)| format!("{name}={}", one.admin_url()));
    let services = services.collect::<Vec<_>>().join(",");
    let settings = [
        ("FACTLINE__RULES", &*rules),
        ("FACTLINE__WATCH__SERVICES", &*services),
        ("FACTLINE__WATCH__LOOK_EVERY_MS", "200"),
        ("FACTLINE__WATCH__ANSWER_WITHIN_MS", "200"),
    ];
    system.start_as(Service::Alerter, "alerter", &settings).await
}

/// Waits until exactly these alerts are open: rule and subject of each.
async fn until_open(alerter: &Process, expected: Value) {
    eventually_ok(DEADLINE, "open alerts", async || {
        let page = alerter.client().get("/alerts?state=open").await;
        let items = page.body["items"].as_array().unwrap().iter();
        let open: Value = items.map(|item| json!([item["rule"], item["subject"]])).collect();
        if open == expected { Ok(()) } else { Err(format!("{open}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_dies_is_an_alert() {
    const PARKED: &str = r#"
        { name = "dead_letters", title = "Events are parked", source = "metric",
          metric = "factline_projection_parked_streams", labels = ["projection"], above = 0.0,
          severity = "critical", channels = [], cooldown_ms = 0 },"#;
    let system = System::create("silent_service").await;
    let api = system.start(Service::CommandApi).await;
    let mut list = system.start(Service::List).await;
    let processes = [("command-api", &api), ("projector-list", &list)];
    let alerter = judging(&system, PARKED, &processes).await;
    until_open(&alerter, json!([])).await;
    list.kill();
    until_open(&alerter, json!([["service_silent", "projector-list"]])).await;
    assert_eq!(alerter.stop().await, 0);
    assert_eq!(api.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn d16_a_transaction_that_is_left_open_is_an_alert_until_it_ends() {
    const HELD: &str = r#"
        { name = "horizon_held", title = "A transaction is left open", source = "metric",
          metric = "factline_database_horizon_held_seconds", above = 3.0, absent = "fine",
          severity = "warning", channels = [], cooldown_ms = 0 },"#;
    let system = System::create("left_open").await;
    let list = system.start(Service::List).await;
    let alerter = judging(&system, HELD, &[("projector-list", &list)]).await;
    until_open(&alerter, json!([])).await;
    let pool = system.database(Service::List).pool().await;
    let mut open = pool.begin().await.unwrap();
    sqlx::query("create table left_open ()").execute(&mut *open).await.unwrap();
    until_open(&alerter, json!([["horizon_held", "projector-list"]])).await;
    open.rollback().await.unwrap();
    until_open(&alerter, json!([])).await;
    assert_eq!(alerter.stop().await, 0);
    assert_eq!(list.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_that_a_built_in_rule_judges_is_told_by_a_service() {
    const RULES: &str = include_str!("../../services/alerter/config.toml");
    /// Of /readyz; and there from the first stall on.
    const ELSEWHERE: [&str; 2] =
        ["component_not_ready", "factline_kafka_consumer_replacements_total"];
    let system = System::create_with("figures", &[("FACTLINE__HEARTBEAT__EVERY_MS", "1000")]).await;
    let api = system.start_with_saga("command-api", &[]).await;
    let list = system.start(Service::List).await;
    let figures =
        RULES.lines().filter_map(|line| line.strip_prefix("metric = \"")?.strip_suffix('"'));
    let mut judged = 0;
    for figure in figures.filter(|figure| !ELSEWHERE.contains(figure)) {
        eventually_ok(DEADLINE, "the figure is told", async || {
            for process in [&api, &list] {
                let metrics = process.admin().text("/metrics").await;
                if metrics.lines().any(|line| line.starts_with(figure)) {
                    return Ok(());
                }
            }
            Err(figure)
        })
        .await;
        judged += 1;
    }
    assert_eq!(judged, 7);
    assert_eq!(list.stop().await, 0);
    assert_eq!(api.stop().await, 0);
}
