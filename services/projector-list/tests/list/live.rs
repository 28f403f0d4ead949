//! The live feed, on a real Redis: fed as the projection runtime does, heard over HTTP.

use std::net::SocketAddr;

use domain::inventory::{InventoryEvent, ItemAdded, ItemSold};
use factline_core::{Fault, Recorded};
use factline_projection::{ApplyError, Projection};
use factline_testkit::{
    FaultProxy, History, ServerSent, ServerSentReader, TestDatabase, stack, unique_prefix,
};
use projector_list::{
    LiveSettings, ProjectorList, Settings,
    live::{Feed, Live},
};
use redis::AsyncCommands;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use service_kit::{Program, Runtime, http::Routes, settings::load_service};
use sqlx::{Connection, PgConnection};

/// A feed with keys of its own, and a server that it is heard at.
struct Station {
    address: SocketAddr,
    feed: Feed<InventoryEvent>,
    /// Apply wants a transaction, which the feed leaves alone.
    database: TestDatabase,
    prefix: String,
    _runtime: Runtime,
}

fn settings(redis_url: &str, prefix: &str) -> LiveSettings {
    LiveSettings {
        redis_url: redis_url.to_owned(),
        key_prefix: prefix.to_owned(),
        keep_events: 1_000,
        max_clients: 2,
        heartbeat_ms: 200,
    }
}

async fn serve(live: &LiveSettings) -> (SocketAddr, Live, Runtime) {
    let listen = ("FACTLINE__HTTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned());
    let loaded = load_service::<Settings>(ProjectorList::DEFAULTS, None, [listen]).unwrap();
    let runtime = Runtime::new(loaded.settings.0.http);
    let live = Live::new(live.clone(), &runtime).unwrap();
    let routes = Routes::none().with_other(live.clone().routes());
    (runtime.serve_http(routes).await.unwrap(), live, runtime)
}

impl Station {
    async fn open(test: &str) -> Self {
        let prefix = format!("{}:", unique_prefix(test));
        Self::at(&stack().redis_url, prefix).await
    }

    async fn at(redis_url: &str, prefix: String) -> Self {
        let (address, live, runtime) = serve(&settings(redis_url, &prefix)).await;
        let feed = live.feed("live_inventory").unwrap().unwrap();
        let database = TestDatabase::create("live").await;
        Self { address, feed, database, prefix, _runtime: runtime }
    }

    async fn tell(&self, events: &[Recorded<InventoryEvent>]) -> Result<(), ApplyError> {
        let mut connection = PgConnection::connect(&self.database.url()).await.unwrap();
        self.feed.apply(&mut connection, events).await
    }

    async fn ask(&self, last: Option<&str>) -> Response {
        let url = format!("http://{}/events/live?kind=inventory", self.address);
        let mut request = reqwest::Client::new().get(url);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        request.send().await.unwrap()
    }

    async fn listen(&self, last: Option<&str>) -> Listener {
        let response = self.ask(last).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Listener { response, reader: ServerSentReader::default() }
    }

    fn stream(&self) -> String {
        format!("{}stream:inventory", self.prefix)
    }
}

async fn redis() -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(stack().redis_url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// A caller that reads server-sent events.
struct Listener {
    response: Response,
    reader: ServerSentReader,
}

impl Listener {
    /// The next event; heartbeats are passed over.
    async fn next(&mut self) -> ServerSent {
        loop {
            if let Some(event) = self.reader.next_event() {
                return event;
            }
            let more = self.response.chunk().await.unwrap().expect("the feed goes on");
            self.reader.push(std::str::from_utf8(&more).unwrap());
        }
    }
}

fn position(told: &ServerSent) -> i64 {
    let event: Value = serde_json::from_str(&told.data).unwrap();
    event["position"].as_i64().unwrap()
}

fn history(sales: usize) -> Vec<Recorded<InventoryEvent>> {
    let (name, currency) = ("Lantern".to_owned(), "GBP".to_owned());
    let added = ItemAdded { name, quantity: 99, unit_price_cents: 255, reorder_point: 5, currency };
    let sold = || ItemSold {
        quantity: 1,
        unit_price_cents: 255,
        revenue_cents: 255,
        currency: "GBP".to_owned(),
        country: None,
    };
    (0..sales).fold(History::new().then("A", added), |history, _| history.then("A", sold())).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_is_told_every_event_in_order_and_goes_on_where_it_left_off() {
    let station = Station::open("live_order").await;
    let events = history(6);
    let mut first = station.listen(None).await;
    station.tell(&events[..4]).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(first.next().await);
    }
    let types: Vec<_> = told.iter().map(|told| told.event.as_str()).collect();
    assert_eq!(types, ["ItemAdded", "ItemSold", "ItemSold", "ItemSold"]);
    let data: Value = serde_json::from_str(&told[0].data).unwrap();
    assert_eq!((&data["stream_id"], &data["data"]["quantity"]), (&"A".into(), &99.into()));

    station.tell(&events[4..]).await.unwrap();
    let mut back = station.listen(Some(&told[1].id)).await;
    let mut positions = Vec::new();
    for _ in 0..5 {
        positions.push(position(&back.next().await));
    }
    assert_eq!(positions, [3, 4, 5, 6, 7], "what it had not seen, and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_projection_repeats_is_told_once() {
    let station = Station::open("live_repeat").await;
    let events = history(3);
    station.tell(&events[..3]).await.unwrap();
    station.tell(&events).await.unwrap();
    let kept: i64 = redis().await.xlen(station.stream()).await.unwrap();
    assert_eq!(kept, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_published_on_the_channel_of_its_type() {
    let station = Station::open("live_channel").await;
    let client = redis::Client::open(stack().redis_url).unwrap();
    let mut channel = client.get_async_pubsub().await.unwrap();
    channel.subscribe(format!("{}events:ItemSold", station.prefix)).await.unwrap();
    station.tell(&history(1)).await.unwrap();
    let message = futures::StreamExt::next(&mut channel.on_message()).await.unwrap();
    let event: Value = serde_json::from_str(&message.get_payload::<String>().unwrap()).unwrap();
    assert_eq!(event["event_type"], "factline.inventory.ItemSold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_emptied_costs_a_caller_what_it_missed_and_it_is_told_so() {
    let station = Station::open("live_emptied").await;
    let events = history(3);
    station.tell(&events[..2]).await.unwrap();
    let mut listener = station.listen(Some("0-0")).await;
    let seen = listener.next().await;
    let keys = [station.stream(), format!("{}:positions", station.stream())];
    let removed: i64 = redis().await.del(&keys[..]).await.unwrap();
    assert_eq!(removed, 2);
    station.tell(&events[2..]).await.unwrap();
    let mut back = station.listen(Some(&seen.id)).await;
    let gap = back.next().await;
    assert_eq!((gap.event.as_str(), gap.id.as_str()), ("gap", ""));
    assert_eq!(position(&back.next().await), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn w01_a_value_of_another_type_is_removed_and_the_feed_goes_on() {
    let station = Station::open("live_type").await;
    let mut redis = redis().await;
    let positions = format!("{}:positions", station.stream());
    let () = redis.set(station.stream(), "no stream").await.unwrap();
    let () = redis.set(&positions, vec![b'x'; 10_000_000]).await.unwrap();
    let mut listener = station.listen(Some("0-0")).await;
    assert_eq!(listener.response.chunk().await.unwrap(), None, "it ends, and callers come back");
    station.tell(&history(1)).await.unwrap();
    let () = redis.hset(&positions, 0, "not a number").await.unwrap();
    let foreign = [("type", "Two\nlines"), ("event", "{}")];
    let _id: String = redis.xadd(station.stream(), "*", &foreign).await.unwrap();
    station.tell(&history(2)[2..]).await.unwrap();
    let mut listener = station.listen(Some("0-0")).await;
    let positions = [listener.next().await, listener.next().await, listener.next().await];
    assert_eq!(positions.each_ref().map(position), [1, 2, 3], "the foreign entry is passed over");
}

#[tokio::test(flavor = "multi_thread")]
async fn w02_a_redis_that_refuses_us_is_an_operators_to_mend() {
    let with_user = stack().redis_url.replacen("redis://", "redis://nobody:wrong@", 1);
    let station = Station::at(&with_user, "live_refused:".to_owned()).await;
    let refused = station.tell(&history(1)).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Fault(Fault::Fatal { .. })), "{refused}");
    let answer = station.ask(None).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn w03_a_redis_that_does_not_answer_is_given_up_after_a_second_and_come_back_to() {
    let proxy = FaultProxy::to_url(&stack().redis_url).await;
    let prefix = format!("{}:", unique_prefix("live_slow"));
    let station = Station::at(&proxy.url(&stack().redis_url), prefix).await;
    let events = history(2);
    station.tell(&events[..1]).await.unwrap();
    proxy.stall();
    let refused = station.tell(&events[1..]).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Fault(Fault::Transient { .. })), "{refused}");
    let answer = station.ask(None).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    proxy.cut_once();
    let told = factline_testkit::eventually_ok(
        std::time::Duration::from_secs(20),
        "the feed goes on",
        async || station.tell(&events[1..]).await,
    );
    told.await;
    let mut listener = station.listen(Some("0-0")).await;
    let positions = [position(&listener.next().await), position(&listener.next().await)];
    assert_eq!(positions, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_too_many_a_foreign_id_and_a_feed_that_is_off_are_told_apart() {
    let station = Station::open("live_refusals").await;
    for id in ["", "1", "1-0.2-0", "x-y"] {
        let answer = station.ask(Some(id)).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{id:?}");
    }
    let _both = [station.listen(None).await, station.listen(None).await];
    let third = station.ask(None).await;
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem: Value = third.json().await.unwrap();
    assert_eq!(problem["code"], "too_many_listeners");

    let (address, live, _runtime) = serve(&settings("", "")).await;
    assert!(live.feed::<InventoryEvent>("live_inventory").unwrap().is_none());
    let answer = reqwest::get(format!("http://{address}/events/live")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}
