//! Two processes of the write side, many callers at once: what the streams hold in the end is what
//! the acknowledged commands come to, unit by unit and cent by cent.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::collections::HashMap;

use e2e::{Answer, Client, Service, System};
use futures::{StreamExt, future::join_all};
use serde_json::{Value, json};
use uuid::Uuid;

const CALLERS: u64 = 40;
const COMMANDS_EACH: u64 = 250;
const ITEMS: u64 = 10;
const OPENING: i64 = 20;

/// Numbers that look random and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
    fn units(&mut self) -> i64 {
        i64::try_from(self.below(5)).unwrap() + 1
    }
}

/// What a caller was told comes to, by stream.
#[derive(Default)]
struct Account {
    /// Units that came in, less those that left.
    on_hand: HashMap<String, i64>,
    reserved: HashMap<String, i64>,
    total_cents: HashMap<String, i64>,
    accepted: u64,
    refused: u64,
}

impl Account {
    fn note(&mut self, answer: &Answer) -> bool {
        match answer.status {
            200 | 201 => self.accepted += 1,
            422 => self.refused += 1,
            _ => panic!("{answer:?}"),
        }
        answer.status != 422
    }

    fn add(&mut self, other: Self) {
        let Self { on_hand, reserved, total_cents, accepted, refused } = other;
        for (mine, theirs) in [
            (&mut self.on_hand, on_hand),
            (&mut self.reserved, reserved),
            (&mut self.total_cents, total_cents),
        ] {
            for (stream, amount) in theirs {
                *mine.entry(stream).or_default() += amount;
            }
        }
        self.accepted += accepted;
        self.refused += refused;
    }
}

fn sku(index: u64) -> String {
    format!("item-{index}")
}

fn price(index: u64) -> i64 {
    100 + i64::try_from(index).unwrap()
}

struct Caller {
    client: Client,
    dice: Dice,
    customer: String,
    /// Its own promises that are still open: item, reservation, units.
    promises: Vec<(String, Uuid, i64)>,
    /// Its own orders, each with the event that placed it.
    orders: Vec<(String, Value)>,
    account: Account,
}

impl Caller {
    async fn act(mut self) -> Account {
        for _ in 0..COMMANDS_EACH {
            match self.dice.below(8) {
                0 => self.stock("receipts", 1).await,
                1..=3 => self.stock("sales", -1).await,
                4 => self.promise().await,
                5 => self.settle_promise().await,
                6 => self.place_order().await,
                _ => self.correct_order().await,
            }
        }
        self.account
    }

    async fn stock(&mut self, what: &str, sign: i64) {
        let (sku, units) = (sku(self.dice.below(ITEMS)), self.dice.units());
        let path = format!("/inventory/{sku}/{what}");
        let answer = self.client.post(&path, json!({"quantity": units})).await;
        if self.account.note(&answer) {
            *self.account.on_hand.entry(sku).or_default() += sign * units;
        }
    }

    async fn promise(&mut self) {
        let (sku, units, id) = (sku(self.dice.below(ITEMS)), self.dice.units(), Uuid::new_v4());
        let path = format!("/inventory/{sku}/reservations");
        let body = json!({"reservation_id": id, "quantity": units});
        let answer = self.client.post(&path, body).await;
        if self.account.note(&answer) {
            *self.account.reserved.entry(sku.clone()).or_default() += units;
            self.promises.push((sku, id, units));
        }
    }

    async fn settle_promise(&mut self) {
        let Some((sku, id, units)) = self.promises.pop() else {
            return self.stock("receipts", 1).await;
        };
        let path = format!("/inventory/{sku}/reservations/{id}");
        let ships = self.dice.below(2) == 0;
        let answer = if ships {
            self.client.post(&format!("{path}/shipment"), json!({})).await
        } else {
            Answer::of(self.client.request(reqwest::Method::DELETE, &path)).await
        };
        assert!(self.account.note(&answer), "its own promise is there: {answer:?}");
        *self.account.reserved.entry(sku.clone()).or_default() -= units;
        if ships {
            *self.account.on_hand.entry(sku).or_default() -= units;
        }
    }

    async fn place_order(&mut self) {
        let lines: Vec<(u64, i64)> =
            (0..3).map(|_| (self.dice.below(ITEMS), self.dice.units())).collect();
        let items = lines.iter().map(|(item, units)| json!({"sku": sku(*item), "quantity": units}));
        let order = json!({
            "customer_id": self.customer,
            "shipping_address": "1 Main Street, Leeds",
            "items": items.collect::<Vec<_>>(),
        });
        let answer = self.client.post("/orders", order).await;
        assert!(self.account.note(&answer), "nothing speaks against it: {answer:?}");
        let event = &answer.body["events"][0];
        let order = event["stream_id"].as_str().unwrap().to_owned();
        let total = lines.iter().map(|(item, units)| price(*item) * units).sum::<i64>();
        *self.account.total_cents.entry(order.clone()).or_default() += total;
        self.orders.push((order, event["event_id"].clone()));
    }

    async fn correct_order(&mut self) {
        let count = u64::try_from(self.orders.len()).unwrap();
        if count == 0 {
            return self.place_order().await;
        }
        let index = usize::try_from(self.dice.below(count)).unwrap();
        let (order, event) = self.orders[index].clone();
        let delta = 50 - i64::try_from(self.dice.below(200)).unwrap();
        let body = json!({"delta_cents": delta, "reason": "scratched", "corrects_event_id": event});
        let answer = self.client.post(&format!("/orders/{order}/corrections"), body).await;
        if self.account.note(&answer) {
            *self.account.total_cents.entry(order).or_default() += delta;
        }
    }
}

/// The stream's state now.
async fn state(client: &Client, kind: &str, id: &str) -> Value {
    let now = "2999-01-01T00:00:00Z";
    let answer = client.get(&format!("/{kind}/{id}/history?at={now}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["state"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_and_money_are_conserved_under_ten_thousand_random_concurrent_commands() {
    let system = System::create("conservation").await;
    let one = system.start_as(Service::CommandApi, "one", &[]).await;
    let two = system.start_as(Service::CommandApi, "two", &[]).await;
    for item in 0..ITEMS {
        let body = json!({"sku": sku(item), "name": "Lantern", "quantity": OPENING,
                          "unit_price_cents": price(item)});
        assert_eq!(one.client().post("/inventory", body).await.status, 201);
    }
    let customer = json!({"name": "Ada", "email": "ada@example.com"});
    let customer = one.client().post("/customers", customer).await;
    let customer = customer.body["events"][0]["stream_id"].as_str().unwrap().to_owned();

    let callers = (0..CALLERS).map(|seed| {
        let client = if seed % 2 == 0 { one.client() } else { two.client() };
        let (customer, dice) = (customer.clone(), Dice(seed));
        let (promises, orders, account) = (Vec::new(), Vec::new(), Account::default());
        let caller = Caller { client, dice, customer, promises, orders, account };
        tokio::spawn(caller.act())
    });
    let mut account = Account::default();
    for done in join_all(callers).await {
        account.add(done.unwrap());
    }
    assert_eq!(account.accepted + account.refused, CALLERS * COMMANDS_EACH);
    assert!(account.refused > 100, "stock never ran out: {} refused", account.refused);

    for item in (0..ITEMS).map(sku) {
        let state = state(&two.client(), "inventory", &item).await;
        let on_hand = OPENING + account.on_hand[&item];
        assert_eq!(state["on_hand"], on_hand, "{item}");
        assert_eq!(state["reserved"], account.reserved[&item], "{item}");
        assert!(on_hand >= account.reserved[&item], "{item}: more is promised than there is");
    }
    assert!(account.total_cents.len() > 1_000, "{} orders", account.total_cents.len());
    let check = async |(order, total): (&String, &i64)| {
        assert_eq!(state(&one.client(), "orders", order).await["total_cents"], *total, "{order}");
    };
    futures::stream::iter(&account.total_cents).for_each_concurrent(20, check).await;
}
