//! Two thousand orders of every fate, while the saga's process and Postgres are killed every few seconds:
//! each order settles once, and stock and money add up to the last unit and cent.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use e2e::{Answer, Client, Service, System};
use factline_testkit::eventually_ok;
use futures::StreamExt as _;
use local_stack::{Component, OwnedStack, Quiet, Stack, StackOptions};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::shop::register;

/// What two minutes of a laptop's time take.
const ORDERS: u64 = 2_000;
/// Customers at once.
const CALLERS: usize = 24;
/// One time the saga's process, one time Postgres. A broker takes six seconds to notice that a consumer is
/// dead, and until then its heir gets no events, so a shorter life of the process would be an idle one.
const KILL_EVERY: Duration = Duration::from_secs(5);
const OPENING: i64 = 1_000_000;
/// Long enough that an honest customer pays in time although everything is killed.
const PAYMENT_TIMEOUT_MS: &str = "20000";
/// From the last kill until the last order has settled: the timeout, a lease, and a loaded machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// What its customer has in mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    SoldOut,
    PaymentFails,
    NeverPaid,
    CancelledAtOnce,
    CancelledPending,
    CancelledPaid,
    Shipped,
    /// Somebody has a reservation under the order's name: a person must look.
    Puzzling,
}

impl Fate {
    fn of(order: u64) -> Self {
        match order * 37 % 100 {
            0..20 => Self::SoldOut,
            20..30 => Self::PaymentFails,
            30..40 => Self::NeverPaid,
            40..50 => Self::CancelledAtOnce,
            50..60 => Self::CancelledPending,
            60..70 => Self::CancelledPaid,
            70..99 => Self::Shipped,
            _ => Self::Puzzling,
        }
    }
}

/// What an order is about: item and units.
fn lines(order: u64, fate: Fate) -> Vec<(String, i64)> {
    let some = |nth: u64| {
        let units = i64::try_from((order + nth) % 3).unwrap() + 1;
        (format!("item-{}", (order * 7 + nth) % 12), units)
    };
    let mut lines = vec![some(0), some(1)];
    if fate == Fate::SoldOut {
        lines.push(("sold-out".to_owned(), 1));
    }
    lines
}

#[derive(Clone)]
struct Caller {
    client: Client,
    customer: String,
}

impl Caller {
    /// Asks until somebody answers, always with the same key.
    async fn insist(&self, path: &str, body: &Value) -> Answer {
        let key = Uuid::new_v4().to_string();
        eventually_ok(SETTLED_WITHIN, path, async || {
            match self.client.try_post(path, &key, body).await {
                Ok(answer) if answer.status < 500 => Ok(answer),
                Ok(answer) => Err(format!("{answer:?}")),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }

    async fn state(&self, kind: &str, id: &str) -> Value {
        let path = format!("/{kind}/{id}/history?at=2999-01-01T00:00:00Z");
        eventually_ok(SETTLED_WITHIN, &path, async || match self.client.try_get(&path).await {
            Ok(answer) if answer.status == 200 => Ok(answer.body["state"].clone()),
            Ok(answer) => Err(format!("{answer:?}")),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    async fn place(&self, order: u64, fate: Fate) -> String {
        let lines = lines(order, fate);
        let line = |(sku, units): &(String, i64)| json!({"sku": sku, "quantity": units});
        let mut body = json!({"customer_id": self.customer, "shipping_address": "Leeds"});
        if fate != Fate::Puzzling {
            body["items"] = lines.iter().map(line).collect();
        }
        let placed = self.insist("/orders", &body).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        let id = placed.body["events"][0]["stream_id"].as_str().unwrap().to_owned();
        if fate == Fate::Puzzling {
            let squatter = json!({"reservation_id": id, "quantity": 9});
            self.insist(&format!("/inventory/{}/reservations", lines[0].0), &squatter).await;
            for one in &lines {
                self.insist(&format!("/orders/{id}/items"), &line(one)).await;
            }
            self.insist(&format!("/orders/{id}/confirmation"), &json!({})).await;
        }
        id
    }

    async fn until_pending(&self, id: &str) {
        eventually_ok(SETTLED_WITHIN, "the order moves", async || {
            tokio::time::sleep(Duration::from_millis(150)).await; // thousands look at once
            let state = self.state("orders", id).await;
            if state["status"] == "confirmed" { Err(state.to_string()) } else { Ok(()) }
        })
        .await;
    }

    async fn pay(&self, id: &str, cents: i64) {
        let body = json!({"payment_id": id, "amount_cents": cents, "method": "card"});
        self.insist(&format!("/orders/{id}/payments"), &body).await;
    }

    async fn live(self, order: u64) -> (String, Fate, i64) {
        let fate = Fate::of(order);
        let cents = lines(order, fate).iter().map(|(_, units)| units * 100).sum();
        let id = self.place(order, fate).await;
        let cancel = json!({"reason": "changed my mind"});
        let path = |what: &str| format!("/orders/{id}/{what}");
        match fate {
            Fate::SoldOut | Fate::NeverPaid | Fate::Puzzling => {}
            Fate::CancelledAtOnce => drop(self.insist(&path("cancellation"), &cancel).await),
            Fate::PaymentFails => {
                self.until_pending(&id).await;
                let body = json!({"payment_id": id, "reason": "card declined"});
                self.insist(&path("payment_failures"), &body).await;
            }
            Fate::CancelledPending => {
                self.until_pending(&id).await;
                self.insist(&path("cancellation"), &cancel).await;
            }
            Fate::CancelledPaid => {
                self.until_pending(&id).await;
                self.pay(&id, cents).await;
                self.insist(&path("cancellation"), &cancel).await;
            }
            Fate::Shipped => {
                self.until_pending(&id).await;
                self.pay(&id, cents).await;
                let body = json!({"tracking_number": "RM1", "carrier": "Royal Mail"});
                self.insist(&path("shipment"), &body).await;
            }
        }
        (id, fate, cents)
    }
}

/// Kills the saga's process and Postgres, one time this, one time that, until told to stop.
async fn kill(
    system: &System,
    stack: &Stack,
    over: &AtomicBool,
    kills: &[AtomicUsize; 2],
) -> e2e::Process {
    let saga: &[_] = &[
        ("FACTLINE__ROLES", "saga"),
        ("FACTLINE__SAGA__PAYMENT_TIMEOUT_MS", PAYMENT_TIMEOUT_MS),
        ("FACTLINE__SAGA__DECIDE_WITHIN_MS", "2000"),
    ];
    let mut process = system.start_as(Service::CommandApi, "saga", saga).await;
    for round in 1.. {
        tokio::time::sleep(KILL_EVERY).await;
        if over.load(Ordering::Relaxed) {
            break;
        }
        if round % 2 == 0 {
            stack.kill(Component::Postgres).unwrap();
            stack.start(Component::Postgres).unwrap();
            kills[1].fetch_add(1, Ordering::Relaxed);
        } else {
            process.kill();
            process = system.start_as(Service::CommandApi, "saga", saga).await;
            kills[0].fetch_add(1, Ordering::Relaxed);
        }
    }
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_orders_settle_once_while_saga_and_postgres_are_killed() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let options = StackOptions::new(workspace, "storm");
    let stack = OwnedStack::from(Stack::up(&options, &mut Quiet).unwrap());
    let system = System::create_on("storm", stack.addresses().clone()).await;
    let api = system.start(Service::CommandApi).await;
    let client = api.client();
    for (sku, quantity) in
        (0..12).map(|n| (format!("item-{n}"), OPENING)).chain([("sold-out".to_owned(), 0)])
    {
        let item = json!({"sku": sku, "name": sku, "quantity": quantity, "unit_price_cents": 100});
        assert_eq!(client.post("/inventory", item).await.status, 201);
    }
    let caller = Caller { customer: register(&client).await, client };

    let (over, kills) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; 2]);
    let living = async {
        let lives = (0..ORDERS).map(|order| caller.clone().live(order));
        let lived: Vec<_> = futures::stream::iter(lives).buffer_unordered(CALLERS).collect().await;
        over.store(true, Ordering::Relaxed);
        lived
    };
    let (saga, lived) = tokio::join!(kill(&system, &stack, &over, &kills), living);
    let killed = [0, 1].map(|of: usize| kills[of].load(Ordering::Relaxed));
    assert!(killed[0] >= 4 && killed[1] >= 2, "saga and Postgres were killed {killed:?} times");

    let puzzling = lived.iter().filter(|(_, fate, _)| *fate == Fate::Puzzling).count();
    let sagas = system.saga_database().pool().await;
    settled(&sagas, puzzling).await;
    let (settled, refunded) = check(&caller, &sagas, &lived).await;
    println!(
        "{ORDERS} orders: {settled:?}, {refunded} refunds; saga killed {} times, Postgres {} times",
        killed[0], killed[1]
    );
    drop((saga, api));
}

/// Waits until nothing goes on, and exactly so many need a person.
async fn settled(sagas: &PgPool, puzzling: usize) {
    let puzzling = i64::try_from(puzzling).unwrap();
    let expected = (i64::try_from(ORDERS).unwrap(), puzzling, 0);
    eventually_ok(SETTLED_WITHIN, "every order settles", async || {
        let counted: (i64, i64, i64) = sqlx::query_as(
            "select count(*), count(*) filter (where status = 'needs_attention'),
                    count(*) filter (where status = 'running') from saga.instances",
        )
        .fetch_one(sagas)
        .await
        .map_err(|error| error.to_string())?;
        if counted == expected { Ok(()) } else { Err(format!("{counted:?}")) }
    })
    .await;
}

/// Stock and money against what the log says of every order; how many stand where, and refunds.
async fn check(
    caller: &Caller,
    sagas: &PgPool,
    lived: &[(String, Fate, i64)],
) -> (BTreeMap<String, usize>, usize) {
    let rows: Vec<(String, String)> = sqlx::query_as("select instance, status from saga.instances")
        .fetch_all(sagas)
        .await
        .unwrap();
    let instances: BTreeMap<_, _> = rows.into_iter().collect();
    let refunds: Vec<(String, i64)> = sqlx::query_as("select order_id, amount_cents from refunds")
        .fetch_all(sagas)
        .await
        .unwrap();
    let refunds: BTreeMap<_, _> = refunds.into_iter().collect();
    let asked = futures::stream::iter(lived).map(async |(id, fate, cents)| {
        (caller.state("orders", id).await, id.clone(), *fate, *cents)
    });
    let states: Vec<_> = asked.buffer_unordered(CALLERS).collect().await;
    let (mut stock, mut counts) = (BTreeMap::<String, (i64, i64)>::new(), BTreeMap::new());
    let mut refunded = 0;
    for (state, id, fate, cents) in states {
        let status = state["status"].as_str().unwrap();
        let expected = match status {
            "shipped" => "completed",
            "cancelled" => "compensated",
            "confirmed" if fate == Fate::Puzzling => "needs_attention",
            other => panic!("{id} ({fate:?}) is {other}"),
        };
        assert_eq!(instances[&id], expected, "{id} ({fate:?}): {state}");
        assert!(fate == Fate::Shipped || status != "shipped", "{id} ({fate:?}): {state}");
        let back = refunds.get(&id).copied();
        match fate {
            Fate::CancelledPaid if back.is_some() => assert_eq!(back, Some(cents), "{id}"),
            // Whoever pays too late, in all this, finds the order cancelled and pays nothing.
            _ => assert_eq!(back, None, "{id} ({fate:?}): {state}"),
        }
        refunded += usize::from(back.is_some());
        let order = state["lines"].as_object().unwrap();
        for (sku, line) in order {
            let units = line["quantity"].as_i64().unwrap();
            let (gone, held) = stock.entry(sku.clone()).or_default();
            match status {
                "shipped" => *gone += units,
                "confirmed" => *held += units,
                _ => {}
            }
        }
        *counts.entry(status.to_owned()).or_default() += 1;
    }
    // The squatter's units are held in place of the order's own.
    for order in (0..ORDERS).filter(|order| Fate::of(*order) == Fate::Puzzling) {
        let (sku, units) = &lines(order, Fate::Puzzling)[0];
        stock.get_mut(sku).unwrap().1 += 9 - units;
    }
    for (sku, (gone, held)) in stock.iter().filter(|(sku, _)| *sku != "sold-out") {
        let item = caller.state("inventory", sku).await;
        let there = (item["on_hand"].as_i64().unwrap(), item["reserved"].as_i64().unwrap());
        assert_eq!(there, (OPENING - gone, *held), "{sku}");
    }
    let sold_out = caller.state("inventory", "sold-out").await;
    assert_eq!((&sold_out["on_hand"], &sold_out["reserved"]), (&json!(0), &json!(0)));
    assert!(refunded > 0 && refunded == refunds.len());
    (counts, refunded)
}
