//! `factline dlq retry` and `skip` as an operator runs them. The projector's part is played by the
//! test: it answers in the row that the program has written.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

mod support;

use factline_projection::acts::{self, Act};
use factline_testkit::eventually_ok;
use serde_json::Value;
use tokio::task::JoinHandle;

const PARKED: &str = "
    insert into projection.parked_streams
        (projection, topic, stream_id, code, detail, fingerprint, first_position)
    values ('parcels', 'parcel.v1', 'a', 'impossible', 'too early', 'f1', 7),
           ('parcels', 'parcel.v1', 'b', 'impossible', 'too early', 'f1', 9)";

/// The world of these tests, and what the projector does in it.
struct World(support::World);

impl World {
    async fn create(test: &str) -> Self {
        Self(support::World::create(test, PARKED).await)
    }

    fn run(&self, arguments: &[&str]) -> JoinHandle<(Option<i32>, String)> {
        self.0.run("dlq", arguments)
    }

    /// The acts that were asked for, once there are so many.
    async fn asked(&self, count: usize) -> Vec<Act> {
        eventually_ok(std::time::Duration::from_secs(60), "acts are asked for", async || {
            let ids: Vec<i64> =
                sqlx::query_scalar("select id from projection.operator_acts order by id")
                    .fetch_all(&self.0.pool)
                    .await
                    .unwrap();
            let mut all = Vec::new();
            for id in &ids {
                all.push(acts::find(&self.0.pool, *id).await.unwrap());
            }
            if all.len() == count { Ok(all) } else { Err(format!("{all:?}")) }
        })
        .await
    }

    async fn answer(&self, id: i64, state: &str, outcome: &str) {
        sqlx::query(
            "update projection.operator_acts
             set state = $2, outcome = $3::jsonb, finished_at = now() where id = $1",
        )
        .bind(id)
        .bind(state)
        .bind(outcome)
        .execute(&self.0.pool)
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_a_dry_run_unless_it_is_said_to_be_meant() {
    let world = World::create("cli_dry").await;
    let running = world.run(&["retry", "a", "--by", "ada"]);
    let act = world.asked(1).await.remove(0);
    assert_eq!((&*act.who, &*act.act, act.dry_run), ("ada", "retry", true));
    world.answer(act.id, "done", r#"{"applied": 3, "still_parked": 3}"#).await;
    let (code, told) = running.await.unwrap();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("a retry would apply 3 events"), "{told}");
    assert!(told.contains("nothing was changed"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_by_fingerprint_asks_for_every_stream_that_failed_alike() {
    let world = World::create("cli_fingerprint").await;
    let running =
        world.run(&["retry", "f1", "--by", "ada", "--yes", "--reason", "fixed", "--json"]);
    let acts = world.asked(2).await;
    let streams: Vec<_> = acts.iter().map(|act| (&*act.stream_id, act.dry_run)).collect();
    assert_eq!(streams, [("a", false), ("b", false)]);
    world.answer(acts[0].id, "done", r#"{"applied": 3}"#).await;
    let failed = r#"{"failed": {"event_id": "00000000-0000-0000-0000-000000000001",
        "event_type": "x", "partition": 0, "position": 9, "version": 2, "code": "impossible",
        "detail": "too early"}, "still_parked": 1}"#;
    world.answer(acts[1].id, "refused", failed).await;
    let (code, told) = running.await.unwrap();
    assert_eq!(code, Some(1), "one of them stays parked: {told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["streams"], &told["dry_run"]), (&Value::from(2), &Value::from(false)));
    assert_eq!(told["acts"][0]["outcome"]["applied"], 3);
    assert_eq!(told["acts"][1]["outcome"]["failed"]["code"], "impossible");
    assert_eq!(told["acts"][1]["reason"], "fixed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_needs_a_reason_a_position_and_a_person() {
    let world = World::create("cli_skip").await;
    for lacking in [
        &["skip", "a", "--position", "7", "--by", "ada"][..],
        &["skip", "a", "--reason", "r", "--by", "ada"],
        &["skip", "a", "--position", "7", "--reason", "r"],
        &["skip", "f1", "--position", "7", "--reason", "r", "--by", "ada"],
    ] {
        let (code, told) = world.run(lacking).await.unwrap();
        assert_eq!(code, Some(2), "{lacking:?}: {told}");
    }
    let all = ["skip", "a", "--position", "7", "--reason", "a test sale", "--by", "ada"];
    let running = world.run(&all);
    let act = world.asked(1).await.remove(0);
    assert_eq!((act.position, act.reason.as_deref()), (Some(7), Some("a test sale")));
    let why = r#"{"refused": "only the first parked event can be skipped: position 6"}"#;
    world.answer(act.id, "refused", why).await;
    let (code, told) = running.await.unwrap();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("refused: only the first"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_projector_answers_the_program_says_so_and_what_stays() {
    let world = World::create("cli_nobody").await;
    let asking = world.run(&["retry", "a", "--by", "ada", "--yes", "--wait-seconds", "1"]);
    let (code, told) = asking.await.unwrap();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("no projector has answered in 1 s; it stays asked for"), "{told}");
    let (code, told) = world.run(&["retry", "nothing", "--by", "ada"]).await.unwrap();
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("nothing of \"nothing\" is parked"), "{told}");
}
