//! A shop with the saga at work: items, a customer, orders, and what became of them.

use std::time::Duration;

use e2e::{Answer, Client, Process, Service, System};
use factline_testkit::eventually_ok;
use serde_json::{Value, json};
use sqlx::PgPool;

/// Generous: the machine may be busy with other tests.
pub const SOON: Duration = Duration::from_secs(60);

pub struct Shop {
    pub system: System,
    pub api: Process,
    pub client: Client,
    /// Where the sagas are.
    pub sagas: PgPool,
    customer: String,
}

impl Shop {
    pub async fn open(test: &str, settings: &[(&str, &str)]) -> Self {
        let system = System::create(test).await;
        let api = system.start_with_saga("command-api", settings).await;
        Self::of(system, api).await
    }

    /// Without anybody who carries orders through.
    pub async fn open_without_saga(test: &str) -> Self {
        let system = System::create(test).await;
        let api = system.start(Service::CommandApi).await;
        Self::of(system, api).await
    }

    async fn of(system: System, api: Process) -> Self {
        let client = api.client();
        let sagas = system.saga_database().pool().await;
        let customer = register(&client).await;
        Self { system, api, client, sagas, customer }
    }

    /// Starts the service anew with a place to stand still at, does something, kills the service there, and
    /// waits until its heir has brought an order that was shipped and one that was cancelled to their end.
    pub async fn kill_at(&mut self, place: &str, does: impl AsyncFnOnce(&Self) -> [String; 2]) {
        self.api.kill();
        let armed = [("FACTLINE_FAILPOINT", place)];
        self.api = self.system.start_with_saga(&format!("doomed-{place}"), &armed).await;
        self.client = self.api.client();
        let [shipped, cancelled] = does(self).await;
        self.api.reached(place).await;
        self.api.kill();
        self.api = self.system.start_with_saga(&format!("heir-{place}"), &[]).await;
        self.client = self.api.client();
        self.ends(&shipped, "completed").await;
        self.ends(&cancelled, "compensated").await;
    }

    pub async fn item(&self, sku: &str, quantity: i64) {
        let body = json!({"sku": sku, "name": "Lantern", "quantity": quantity,
                          "unit_price_cents": 100});
        assert_eq!(self.client.post("/inventory", body).await.status, 201);
    }

    /// Places an order; its id.
    pub async fn order(&self, lines: &[(&str, i64)]) -> String {
        let placed = self.client.post("/orders", self.basket(lines)).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        placed.body["events"][0]["stream_id"].as_str().unwrap().to_owned()
    }

    /// What an order is placed with.
    pub fn basket(&self, lines: &[(&str, i64)]) -> Value {
        let items = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity}));
        json!({"customer_id": self.customer, "shipping_address": "Leeds",
               "items": items.collect::<Vec<_>>()})
    }

    /// Begins an order; its id.
    pub async fn draft(&self) -> String {
        let body = json!({"customer_id": self.customer, "shipping_address": "Leeds"});
        let created = self.client.post("/orders", body).await;
        created.body["events"][0]["stream_id"].as_str().unwrap().to_owned()
    }

    pub async fn ask(&self, order: &str, what: &str, body: Value) -> Answer {
        self.client.post(&format!("/orders/{order}/{what}"), body).await
    }

    pub async fn pay(&self, order: &str, cents: i64) {
        let body =
            json!({"payment_id": format!("pay-{order}"), "amount_cents": cents, "method": "card"});
        assert_eq!(self.ask(order, "payments", body).await.status, 201);
    }

    pub async fn ship(&self, order: &str) {
        let body = json!({"tracking_number": "RM1", "carrier": "Royal Mail"});
        assert_eq!(self.ask(order, "shipment", body).await.status, 201);
    }

    pub async fn cancel(&self, order: &str) {
        let answer = self.ask(order, "cancellation", json!({"reason": "changed my mind"})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// The order's or the item's state now, by the log.
    pub async fn state(&self, kind: &str, id: &str) -> Value {
        let path = format!("/{kind}/{id}/history?at=2999-01-01T00:00:00Z");
        let answer = self.client.get(&path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["state"].clone()
    }

    /// The order's or the item's events.
    pub async fn events(&self, kind: &str, id: &str) -> Vec<Value> {
        let answer = self.client.get(&format!("/{kind}/{id}/history?limit=1000")).await;
        answer.body["events"].as_array().unwrap().clone()
    }

    /// Waits until the order stands there.
    pub async fn becomes(&self, order: &str, status: &str) -> Value {
        eventually_ok(SOON, &format!("{order} becomes {status}"), async || {
            let state = self.state("orders", order).await;
            if state["status"] == status { Ok(state) } else { Err(state.to_string()) }
        })
        .await
    }

    /// Waits until the order's fulfilment has ended so.
    pub async fn ends(&self, order: &str, status: &str) {
        eventually_ok(SOON, &format!("the fulfilment of {order} is {status}"), async || {
            let row: Option<(String, Value)> =
                sqlx::query_as("select status, state from saga.instances where instance = $1")
                    .bind(order)
                    .fetch_optional(&self.sagas)
                    .await
                    .map_err(|error| error.to_string())?;
            match row {
                Some((now, _)) if now == status => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// On hand and reserved.
    pub async fn stock(&self, sku: &str) -> (i64, i64) {
        let item = self.state("inventory", sku).await;
        (item["on_hand"].as_i64().unwrap(), item["reserved"].as_i64().unwrap())
    }

    /// What was paid back, by order.
    pub async fn refunds(&self) -> Vec<(String, i64)> {
        sqlx::query_as("select order_id, amount_cents from refunds order by 1")
            .fetch_all(&self.sagas)
            .await
            .unwrap()
    }
}

pub async fn register(client: &Client) -> String {
    let ada = json!({"name": "Ada", "email": "ada@example.com"});
    let registered = client.post("/customers", ada).await;
    registered.body["events"][0]["stream_id"].as_str().unwrap().to_owned()
}
