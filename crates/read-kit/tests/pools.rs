//! The pools of the read services, on a real Postgres.

use factline_testkit::TestDatabase;
use read_kit::{DatabaseSettings, pool};

#[tokio::test]
async fn d10_a_connection_that_comes_back_inside_a_transaction_is_closed_and_takes_nobody_along() {
    let database = TestDatabase::create("open_transaction_read").await;
    let settings = DatabaseSettings { url: database.url(), max_connections: 1 };
    let pool = pool(&settings, "test", 1).unwrap();
    sqlx::raw_sql("create table told (word text)").execute(&pool).await.unwrap();
    let mut borrowed = pool.acquire().await.unwrap();
    sqlx::raw_sql("begin; insert into told values ('left open')")
        .execute(&mut *borrowed)
        .await
        .unwrap();
    drop(borrowed);
    sqlx::query("insert into told values ('whole')").execute(&pool).await.unwrap();
    let seen: Vec<String> = sqlx::query_scalar("select word from told")
        .fetch_all(&database.pool().await)
        .await
        .unwrap();
    assert_eq!(seen, ["whole"], "committed, and the other thing is not");
}
