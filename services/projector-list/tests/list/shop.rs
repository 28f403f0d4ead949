//! The service on a real database that its views were folded into, listening.

use std::net::SocketAddr;

use domain::inventory::InventoryEvent;
use factline_core::Recorded;
use factline_projection::{FoldedView, Projection, View};
use factline_testkit::{TestDatabase, stand_at};
use projector_list::{
    ProjectorList, Settings, begin_views, http::routes, inventory_list::InventoryList,
};
use read_kit::Database;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use service_kit::{Program, Runtime, settings::load_service};
use sqlx::{Connection, PgConnection};

/// A listening service whose views hold histories.
pub struct Shop {
    address: SocketAddr,
    database: TestDatabase,
    client: reqwest::Client,
    _runtime: Runtime,
}

impl Shop {
    /// The service waits for tokens for `wait_ms`.
    pub async fn open(test: &str, wait_ms: u64, history: Vec<Recorded<InventoryEvent>>) -> Self {
        let database = TestDatabase::create(test).await;
        let given = [
            ("FACTLINE__ROLES", "query".to_owned()),
            ("FACTLINE__DATABASE__URL", database.url()),
            ("FACTLINE__HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("FACTLINE__QUERY__CONSISTENCY_WAIT_MS", wait_ms.to_string()),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value));
        let loaded = load_service::<Settings>(ProjectorList::DEFAULTS, None, given).unwrap();
        let (kit, settings) = loaded.settings;
        ProjectorList::migrate(settings.clone()).await.unwrap();
        let settings = settings.read();
        let (runtime, pools) = (Runtime::new(kit.http), Database::new(&settings.database).unwrap());
        let views = begin_views(&settings, &pools, &runtime).unwrap();
        let address = runtime.serve_http(routes(views)).await.unwrap();
        let shop = Self { address, database, client: reqwest::Client::new(), _runtime: runtime };
        shop.apply::<InventoryList>(&history).await;
        shop
    }

    /// As the projection runtime does, in small: the view's rows and the checkpoints.
    pub async fn apply<V: View>(&self, events: &[Recorded<V::Event>]) {
        let mut connection = PgConnection::connect(&self.database.url()).await.unwrap();
        let view = FoldedView::<V>::new();
        view.prepare(&mut connection).await.unwrap();
        let mut tx = connection.begin().await.unwrap();
        view.apply(&mut tx, events).await.unwrap();
        for Recorded { envelope, .. } in events {
            stand_at(&mut tx, V::NAME, envelope, 3).await;
        }
        tx.commit().await.unwrap();
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    pub async fn get_with_token(&self, path: &str, token: &str) -> Response {
        let request = self.client.get(format!("http://{}{path}", self.address));
        request.header("consistency-token", token).send().await.unwrap()
    }

    pub async fn page(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    /// Every item of every page of three, in order.
    pub async fn all_pages(&self, path: &str, query: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let more = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page = self.page(&format!("{path}?limit=3{query}{more}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return items;
            }
        }
    }

    pub async fn refused(&self, path: &str, status: u16, code: &str) {
        problem(self.get(path).await, status, code).await;
    }
}

pub async fn problem(answer: Response, status: u16, code: &str) -> Value {
    let found = answer.status().as_u16();
    let document: Value = answer.json().await.unwrap();
    assert_eq!((found, document["code"].as_str()), (status, Some(code)), "{document}");
    document
}
