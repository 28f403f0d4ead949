//! A test's own database on the real Postgres.

#![allow(clippy::unwrap_used)] // also outside #[test] functions

use std::time::Duration;

use factline_testkit::{FaultProxy, TestDatabase, eventually_ok, stack};
use sqlx::{Connection, PgConnection};

async fn exists(name: &str) -> bool {
    let mut admin = PgConnection::connect(&stack().postgres_url("postgres")).await.unwrap();
    let query = sqlx::query_scalar("select exists (select from pg_database where datname = $1)");
    query.bind(name).fetch_one(&mut admin).await.unwrap()
}

#[tokio::test]
async fn a_test_database_is_there_until_it_is_dropped_even_with_open_connections() {
    let database = TestDatabase::create("a test database is there").await;
    let name = database.name().to_owned();
    assert!(exists(&name).await);
    let pool = database.pool().await;
    let _open = pool.acquire().await.unwrap();
    drop(database);
    assert!(!exists(&name).await);
}

#[tokio::test]
async fn a_database_behind_a_proxy_is_lost_and_found_again() {
    let database = TestDatabase::create("a database behind a proxy").await;
    let proxy = FaultProxy::to_postgres(&stack()).await;
    let url = database.url_through(&proxy);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.ping().await.unwrap();
    proxy.cut();
    assert!(connection.ping().await.is_err());
    proxy.heal();
    let deadline = Duration::from_secs(10);
    eventually_ok(deadline, "Postgres answers", async || PgConnection::connect(&url).await).await;
}
