//! `factline projection` as an operator runs it. The projector's part is played by the test: it answers
//! in the row that the program has written.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

mod support;

use std::time::Duration;

use factline_projection::rebuilds::{self, Rebuild};
use factline_testkit::eventually_ok;
use serde_json::Value;
use tokio::task::JoinHandle;

const CHECKPOINTS: &str = "
    insert into projection.checkpoints (projection, topic, partition, position, partitions)
    values ('parcels', 'parcel.v1', 0, 70, 2), ('parcels', 'parcel.v1', 1, 30, 2)";

/// The world of these tests, and what the projector does in it.
struct World(support::World);

impl World {
    async fn create(test: &str) -> Self {
        Self(support::World::create(test, CHECKPOINTS).await)
    }

    fn run(&self, arguments: &[&str]) -> JoinHandle<(Option<i32>, String)> {
        self.0.run("projection", arguments)
    }

    /// The last rebuild, once it is as wanted.
    async fn once(&self, wanted: impl Fn(&Rebuild) -> bool) -> Rebuild {
        eventually_ok(Duration::from_secs(60), "a rebuild is asked for", async || {
            let last = rebuilds::all(&self.0.pool).await.unwrap().pop();
            last.filter(&wanted).ok_or("not yet")
        })
        .await
    }

    async fn becomes(&self, state: &str, difference: Option<&str>) {
        sqlx::query(
            "update projection.rebuilds set state = $1, difference = $2::jsonb, wish = null,
             started_at = now() - interval '10 seconds'",
        )
        .bind(state)
        .bind(difference)
        .execute(&self.0.pool)
        .await
        .unwrap();
    }
}

const ASKED: [&str; 4] = ["--by", "ada", "--reason", "corrected in 1.4"];
const DIFFERENCE: &str = r#"{"different": 1, "samples": [{"what": "different",
    "key": {"parcel": "a"}, "columns": [{"column": "grams", "live": 9, "rebuilt": 7}]}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_differs_is_told_and_switched_when_the_difference_is_accepted() {
    let world = World::create("cli_rebuild").await;
    let running = world.run(&[&["rebuild", "parcels"][..], &ASKED].concat());
    let asked = world.once(|_| true).await;
    assert_eq!((&*asked.who, &*asked.reason), ("ada", "corrected in 1.4"));
    assert_eq!((&*asked.begins_with, asked.accept_difference), ("nothing", false));
    world.becomes("ready", Some(DIFFERENCE)).await;
    let (code, told) = running.await.unwrap();
    assert_eq!(code, Some(1), "nothing was switched: {told}");
    assert!(told.contains(r#"different {"parcel":"a"}: grams: live 9, rebuilt 7"#), "{told}");

    let accepts = ["switch", "parcels", "--accept-difference"];
    let running = world.run(&[&accepts[..], &ASKED].concat());
    let said = world.once(|one| one.wish.is_some()).await;
    assert_eq!((said.wish.as_deref(), said.accept_difference), (Some("switch"), true));
    assert_eq!(said.said.0[0].reason.as_deref(), Some("corrected in 1.4"));
    world.becomes("switched", Some(DIFFERENCE)).await;
    let (code, told) = running.await.unwrap();
    assert_eq!(code, Some(0), "{told}");

    let running = world.run(&[&["rollback", "parcels"][..], &ASKED].concat());
    let back = world.once(|one| one.id != said.id).await;
    assert_eq!((&*back.begins_with, back.accept_difference), ("previous", true));
    world.becomes("switched", None).await;
    assert_eq!(running.await.unwrap().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_and_a_second_rebuild_beside_it_is_not_asked_for() {
    let world = World::create("cli_progress").await;
    let asking = ["rebuild", "parcels", "--wait-seconds", "0", "--events-per-second", "5"];
    let (code, told) = world.run(&[&asking[..], &ASKED].concat()).await.unwrap();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("no projector has taken it in 0 s; it stays asked for"), "{told}");
    world.becomes("building", None).await;
    sqlx::raw_sql(
        "insert into projection.rebuild_positions values ('parcels/next', 'parcel.v1', 0, 50)",
    )
    .execute(&world.0.pool)
    .await
    .unwrap();
    let (_, told) = world.run(&["rebuilds"]).await.unwrap();
    assert!(told.contains("50 of 100 events"), "{told}");
    let (_, told) = world.run(&["rebuilds", "--json"]).await.unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["is"]["progress"]["done"], 50);
    assert!(told["is"]["seconds_left"].as_f64().unwrap() > 5.0, "{told}");

    let (code, told) = world.run(&[&asking[..], &ASKED].concat()).await.unwrap();
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("is being rebuilt already"), "{told}");
    let running = world.run(&[&["cancel", "parcels"][..], &ASKED].concat());
    world.once(|one| one.wish.as_deref() == Some("cancel")).await;
    world.becomes("cancelled", None).await;
    assert_eq!(running.await.unwrap().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_with_the_reason() {
    let world = World::create("cli_refused").await;
    for (arguments, why) in [
        (&["rebuild", "nowhere"][..], "no projection is called \"nowhere\"; there are parcels"),
        (&["switch", "parcels"], "no rebuild that is ready"),
        (&["cancel", "parcels"], "no rebuild that could be cancelled"),
        (&["drop-previous", "parcels"], "no rebuild whose previous table is kept"),
    ] {
        let (code, told) = world.run(&[arguments, &ASKED].concat()).await.unwrap();
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(why), "{told}");
    }
    let (code, told) = world.run(&["rebuild", "parcels", "--by", "ada"]).await.unwrap();
    assert_eq!(code, Some(2), "without a reason: {told}");
    let (_, told) = world.run(&["list"]).await.unwrap();
    assert!(told.contains("parcels  projector-list: 100 events, 0 streams parked"), "{told}");
}
