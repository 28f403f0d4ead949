//! Which answers are kept, and for whom.

use factline_testkit::eventually;
use redis::AsyncCommands;

use crate::depot::{DEADLINE, Depot, redis};

/// Makes of a kept value one that is none.
type Spoil = fn(&[u8]) -> Vec<u8>;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_for_its_position_and_no_other() {
    let depot = Depot::open("cache_position").await;
    depot.until_kept(7).await;
    depot.advance(2, 9).await;
    let computed = depot.computed();
    assert_eq!(depot.weight().await, 9);
    assert_eq!(depot.computed(), computed + 1, "the database was asked");
    depot.until_kept(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_answer_expires() {
    let depot = Depot::open("cache_expires").await;
    depot.until_kept(7).await;
    let mut redis = redis().await;
    for key in depot.keys().await {
        let left_ms: i64 = redis.pttl(&key).await.unwrap();
        assert!((1..=60_000).contains(&left_ms), "{key} {left_ms}");
    }
}

/// An operator's retry changes rows and takes parked events away, at the position that is.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_retry_of_parked_events_changed_is_seen_at_once() {
    let depot = Depot::open("cache_retry").await;
    depot
        .sql(
            "insert into projection.parked_events
                 (projection, topic, partition, position, stream_id, version, event_id, event_type,
                  header_names, header_values, code, detail)
             values ('parcels', 'factline.parcel.v1', 0, 1, 'p', 1, gen_random_uuid(),
                     'ParcelPacked', '{}', '{}', 'data_mismatch', '')",
        )
        .await;
    depot.until_kept(7).await;
    depot
        .sql("begin; delete from projection.parked_events; update parcels set weight = 8; commit")
        .await;
    assert_eq!(depot.weight().await, 8);
}

/// A rebuild that is switched puts another table under the name, at the position that is.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_rebuilt_table_says_is_seen_at_once() {
    let depot = Depot::open("cache_rebuilt").await;
    depot.until_kept(7).await;
    depot
        .sql(
            "begin;
             create table parcels__next as select id, weight + 4 as weight from parcels;
             alter table parcels rename to parcels__previous;
             alter table parcels__next rename to parcels;
             commit",
        )
        .await;
    assert_eq!(depot.weight().await, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_computed_while_the_view_moved_is_not_kept() {
    let depot = Depot::open("cache_moved").await;
    assert_eq!(depot.weight_while(depot.advance(2, 9)).await, 7);
    depot.until_kept(9).await;
    assert_eq!(depot.keys().await.len(), 1, "changes are carried out in order, and there is one");
}

#[tokio::test(flavor = "multi_thread")]
async fn w01_a_value_that_is_none_of_ours_is_a_miss_and_is_removed() {
    let depot = Depot::open("w01_values").await;
    let mut redis = redis().await;
    let other_version = |value: &[u8]| [&[2][..], &value[1..]].concat();
    let cut = |value: &[u8]| value[..value.len() - 1].to_vec();
    let not_cut_but_empty = |value: &[u8]| value[..17].to_vec();
    let of_ten_megabytes = |_: &[u8]| vec![b'x'; 10_000_000];
    let bad: [Spoil; 4] = [other_version, cut, not_cut_but_empty, of_ten_megabytes];
    for (position, bad) in (1..).zip(bad.map(Some).into_iter().chain([None])) {
        depot.advance(position, position).await;
        let before = depot.keys().await;
        depot.until_kept(position).await;
        let key = depot.keys().await.into_iter().find(|key| !before.contains(key)).unwrap();
        let value: Vec<u8> = redis.get(&key).await.unwrap();
        let () = redis.del(&key).await.unwrap();
        let () = match bad {
            Some(bad) => redis.set(&key, bad(&value)).await.unwrap(),
            None => redis.lpush(&key, "a value of another type").await.unwrap(),
        };
        // Nothing is kept for a view that moves, so what is removed stays away.
        let computed = depot.computed();
        let weight = depot.weight_while(depot.advance(position + 1, position + 1)).await;
        assert_eq!((weight, depot.computed()), (position, computed + 1));
        eventually(DEADLINE, "the value is removed", async || {
            !redis.clone().exists::<_, bool>(&key).await.unwrap()
        })
        .await;
    }
    assert_eq!(depot.trouble(), "", "nothing is wrong with Redis");
}
