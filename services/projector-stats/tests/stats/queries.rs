//! The queries over HTTP, on a real database that the views were folded into.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use domain::inventory::InventoryEvent;
use factline_core::Recorded;
use factline_projection::{FoldedView, Projection, View};
use factline_testkit::{History, TestDatabase, stand_at};
use projector_stats::{
    ProjectorStats, Settings, begin_views, http::routes, inventory_stats::InventoryStats,
    sales_by_country::SalesByCountry, sales_by_day::SalesByDay,
};
use read_kit::{Cache, CacheSettings, Database};
use serde_json::{Value, json};
use service_kit::{Program, Runtime, settings::load_service};
use sqlx::{Connection, PgConnection};

use crate::views::{added, sold, trade};

/// A listening service whose views hold a history.
pub struct Office {
    address: SocketAddr,
    pub database: Arc<TestDatabase>,
    _runtime: Runtime,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Seen {
    /// How far the view is, as the answer says.
    pub fn position(&self) -> &str {
        &self.headers["projection-position"]
    }
}

impl Office {
    pub async fn open(test: &str, history: &[Recorded<InventoryEvent>]) -> Self {
        let database = Arc::new(TestDatabase::create(test).await);
        let office = Self::on(Arc::clone(&database), None).await;
        apply::<InventoryStats>(&database, history).await;
        apply::<SalesByDay>(&database, history).await;
        apply::<SalesByCountry>(&database, history).await;
        office
    }

    /// Another process of the service on the same database, which keeps answers.
    pub async fn beside(&self, cache: &CacheSettings) -> Self {
        Self::on(Arc::clone(&self.database), Some(cache)).await
    }

    async fn on(database: Arc<TestDatabase>, cache: Option<&CacheSettings>) -> Self {
        let given = [
            ("FACTLINE__ROLES", "query".to_owned()),
            ("FACTLINE__DATABASE__URL", database.url()),
            ("FACTLINE__HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("FACTLINE__QUERY__CONSISTENCY_WAIT_MS", "0".to_owned()),
            ("FACTLINE__CACHE__REDIS_URL", String::new()),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value));
        let loaded = load_service::<Settings>(ProjectorStats::DEFAULTS, None, given).unwrap();
        let (kit, settings) = loaded.settings;
        ProjectorStats::migrate(settings.clone()).await.unwrap();
        ProjectorStats::migrate(settings.clone()).await.expect("a second time changes nothing");
        let pools = Database::new(&settings.database).unwrap();
        let runtime = Runtime::new(kit.http);
        let views = begin_views(&settings.read(), &pools, &runtime).unwrap();
        let cache = cache.map_or(Ok(Cache::off()), |cache| Cache::begin(cache, &runtime)).unwrap();
        let address = runtime.serve_http(routes(views, cache)).await.unwrap();
        Self { address, database, _runtime: runtime }
    }

    /// All that a caller sees but what differs from one answer to the next: when it was asked, how
    /// long ago the newest event was, and the request's names.
    pub async fn ask(&self, path: &str) -> Seen {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        let status = answer.status().as_u16();
        let varying = ["date", "projection-age-seconds", "x-request-id", "x-correlation-id"];
        let headers = answer.headers().iter().map(|(name, value)| {
            let varies = varying.contains(&name.as_str());
            (name.to_string(), if varies { "…" } else { value.to_str().unwrap() }.to_owned())
        });
        Seen { status, headers: headers.collect(), body: answer.text().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

/// As the projection runtime does, in small: the view's rows and its checkpoint.
pub async fn apply<V: View>(database: &TestDatabase, events: &[Recorded<V::Event>]) {
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    let view = FoldedView::<V>::new();
    view.prepare(&mut connection).await.unwrap();
    let mut tx = connection.begin().await.unwrap();
    view.apply(&mut tx, events).await.unwrap();
    for Recorded { envelope, .. } in events {
        stand_at(&mut tx, V::NAME, envelope, 3).await;
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn the_figures_of_the_whole_inventory_are_the_sums_of_its_items() {
    let office = Office::open("the_figures", &trade()).await;
    let (status, figures) = office.get("/inventory/stats?limit=1").await;
    assert_eq!(status, 200, "{figures}");
    assert_eq!(
        figures,
        json!({
            "items": 2, "units_on_hand": 19, "stock_value_cents": 19 * 255, "currency": "GBP",
            "low_stock_count": 0, "items_sold": 2, "total_sales": 4, "units_sold": 12, "revenue_cents": 2_330,
            "returns": 1, "units_returned": 1, "refund_cents": 255,
            "last_sale_at": "2010-12-02T12:00:00Z",
            "top_items": [
                {"sku": "A", "name": "Lantern", "sales": 2, "units_sold": 8, "revenue_cents": 1_930},
            ],
        })
    );
    let (_, same) = office.get("/inventory/analytics?limit=1").await;
    assert_eq!(same, figures);
}

#[tokio::test]
async fn one_items_figures_are_shown_when_asked_for() {
    let office = Office::open("one_items_figures", &trade()).await;
    let (_, figures) = office.get("/inventory/stats?sku=B").await;
    assert_eq!(figures["per_sku"]["sku"], "B");
    assert_eq!(figures["per_sku"]["revenue_cents"], 400);
    assert_eq!(figures["top_items"].as_array().unwrap().len(), 2);
    let (status, problem) = office.get("/inventory/stats?sku=nowhere").await;
    assert_eq!((status, &problem["code"]), (404, &"unknown_item".into()));
}

#[tokio::test]
async fn a_key_with_a_dot_is_an_item_of_its_own() {
    let history = History::new()
        .then("A.B", added(20))
        .then("A", added(10))
        .then("A.B", sold(2, 100, None))
        .build();
    let office = Office::open("a_key_with_a_dot", &history).await;
    let (_, figures) = office.get("/inventory/stats?sku=A.B").await;
    assert_eq!(figures["per_sku"]["units_sold"], 2);
    let (_, figures) = office.get("/inventory/stats?sku=A").await;
    assert_eq!((&figures["per_sku"]["units_sold"], &figures["items"]), (&0.into(), &2.into()));
}

#[tokio::test]
async fn an_empty_inventory_has_figures_too() {
    let office = Office::open("an_empty_inventory", &[]).await;
    let (status, figures) = office.get("/inventory/stats").await;
    assert_eq!(status, 200, "{figures}");
    assert_eq!((&figures["items"], &figures["revenue_cents"]), (&0.into(), &0.into()));
    assert_eq!((&figures["currency"], &figures["top_items"]), (&Value::Null, &json!([])));
    assert_eq!(office.get("/stats/sales").await.1, json!({"by": "day", "items": []}));
}

#[tokio::test]
async fn sales_are_summed_up_by_day_and_by_country() {
    let office = Office::open("sales_are_summed_up", &trade()).await;
    let day = |day, sales, units_sold, revenue_cents| json!({"day": day, "sales": sales, "units_sold": units_sold, "revenue_cents": revenue_cents});
    let (first, second) = (day("2010-12-01", 2, 9, 1_830), day("2010-12-02", 2, 3, 500));
    let (_, all) = office.get("/stats/sales?by=day").await;
    assert_eq!(all, json!({"by": "day", "items": [first, second]}));
    let (_, one) = office.get("/stats/sales?from=2010-12-02&to=2010-12-31").await;
    assert_eq!(one["items"], json!([second]));
    let (_, countries) = office.get("/stats/sales?by=country").await;
    let names = countries["items"].as_array().unwrap().iter().map(|row| row["country"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["France", "unknown", "Norway"]);
}

#[tokio::test]
async fn h35_parameters_that_do_not_fit_are_refused() {
    let office = Office::open("h35_parameters", &[]).await;
    for path in [
        "/inventory/stats?limit=0",
        "/inventory/stats?limit=1000000000",
        "/stats/sales?by=hour",
        "/stats/sales?from=yesterday",
    ] {
        let (status, problem) = office.get(path).await;
        assert_eq!((status, &problem["code"]), (422, &"invalid_field".into()), "{path}");
    }
    let (status, problem) = office.get("/stats/sales?by=country&from=2010-12-01").await;
    assert_eq!((status, &problem["code"]), (422, &"contradicting_parameters".into()));
}

#[tokio::test]
async fn h38_each_view_waits_for_its_own_projection() {
    let office = Office::open("h38_each_view", &[]).await;
    let client = reqwest::Client::new();
    for (path, topic) in [
        ("/inventory/stats", "inventory"),
        ("/stats/sales?by=day", "inventory"),
        ("/stats/sales?by=country", "inventory"),
        ("/stats/orders", "order"),
        ("/stats/orders/completed", "order"),
    ] {
        let request = client.get(format!("http://{}{path}", office.address));
        let answer = request.header("consistency-token", format!("factline.{topic}.v1:0:1"));
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 503, "{path}");
        assert_eq!(answer.headers()["retry-after"], "1");
    }
}
