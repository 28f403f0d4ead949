//! The live feed through the built binaries: a command in at one end, an event out at the other.

#![allow(clippy::unwrap_used, clippy::expect_used)] // plain functions beside the tests use them too

use e2e::{Client, Service, System};
use factline_testkit::{ServerSent, ServerSentReader};
use reqwest::{Method, Response};
use serde_json::{Value, json};

struct Listener {
    response: Response,
    reader: ServerSentReader,
}

impl Listener {
    async fn new(client: &Client, last: Option<&str>) -> Self {
        let mut request = client.request(Method::GET, "/events/live");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap().error_for_status().unwrap();
        Self { response, reader: ServerSentReader::default() }
    }

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

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_is_told_live_and_to_those_who_come_back() {
    let system = System::create("live").await;
    let api = system.start(Service::CommandApi).await;
    let list = system.start_live_list().await;
    let mut listener = Listener::new(&list.client(), None).await;
    let item = json!({"sku": "71053", "name": "Lantern", "quantity": 9, "unit_price_cents": 255});
    assert_eq!(api.client().post("/inventory", item).await.status, 201);
    let sold = api.client().post("/inventory/71053/sales", json!({"quantity": 2})).await;
    assert_eq!(sold.status, 201);

    let (added, told) = (listener.next().await, listener.next().await);
    assert_eq!((added.event.as_str(), told.event.as_str()), ("ItemAdded", "ItemSold"));
    let event: Value = serde_json::from_str(&told.data).unwrap();
    assert_eq!(event, sold.body["events"][0], "as its caller was told");

    let mut back = Listener::new(&list.client(), Some(&added.id)).await;
    assert_eq!(back.next().await, told);
}
