//! An instance without an answer waits for a person; what a person asks is done once and stays on record.

use factline_saga::{
    acts::{self, Act, NewAct, Wish},
    inspect::{self, Filter},
};
use factline_testkit::{
    eventually_ok,
    parcels::{lost, packed, sent},
    recorded,
};

use crate::support::*;

impl World {
    async fn ask(&self, parcel: &str, wish: Wish) -> Act {
        let (saga, reason) = ("delivery", "the carrier was called");
        let act = NewAct { who: "ada", wish, saga, instance: parcel, reason };
        let id = acts::ask(&self.pool, &act).await.unwrap();
        eventually_ok(SOON, "the act is finished", async || {
            let act = acts::find(&self.pool, id).await.unwrap();
            if act.is_finished() { Ok(act) } else { Err(format!("{act:?}")) }
        })
        .await
    }

    /// A parcel whose booking was refused for a reason that nobody knows; it is sent meanwhile.
    async fn puzzled(&self) {
        self.post.refuse("book/road", "haunted");
        let history = recorded([("p", packed(1)), ("p", sent("Oslo"))]);
        self.take(Delivery::<1, 1>, &history[..1]).await;
        self.becomes("p", "needs_attention").await;
        self.step_becomes("p", "book/rail", "accepted").await;
        self.take(Delivery::<1, 1>, &history[1..]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_answer_waits_with_all_that_follows_and_a_retry_goes_on_where_it_stopped() {
    let world = World::create("retry").await;
    let process = world.start(Delivery::<1, 1>);
    world.puzzled().await;
    process.says("1 instances need attention").await;
    let waiting = inspect::waiting(&world.pool, "delivery", "p").await.unwrap();
    let inputs: Vec<_> = waiting.iter().map(|one| one.input["input"].as_str().unwrap()).collect();
    assert_eq!((inputs.first(), inputs.last()), (Some(&"answer"), Some(&"fact")), "{waiting:?}");

    let again = world.ask("p", Wish::Retry).await;
    assert!(again.is_done(), "{again:?}");
    world.becomes("p", "needs_attention").await; // still haunted
    world.post.accept_everything();
    let again = world.ask("p", Wish::Retry).await;
    assert!(again.is_done(), "{again:?}");
    world.becomes("p", "completed").await;
    process.stop().await;

    let told = acts::of(&world.pool, "delivery", "p").await.unwrap();
    let told: Vec<_> = told.iter().map(|act| (&*act.who, &*act.act, &*act.reason)).collect();
    assert_eq!(told, [("ada", "retry", "the carrier was called"); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_takes_a_refused_step_as_done() {
    let world = World::create("skip").await;
    let process = world.start(Delivery::<1, 1>);
    world.puzzled().await;
    assert!(world.ask("p", Wish::Skip).await.is_done());
    world.becomes("p", "completed").await;
    world.step_becomes("p", "book/road", "skipped").await;
    assert!(!world.post.effects().contains(&"p: book/road".to_owned()));
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compensation_undoes_what_was_done_and_asks_no_more() {
    let world = World::create("compensate").await;
    let process = world.start(Delivery::<1, 1>);
    world.post.refuse("book/road", "haunted");
    world.take(Delivery::<1, 1>, &recorded([("p", packed(1)), ("q", packed(1))])).await;
    world.becomes("p", "needs_attention").await;
    assert!(world.ask("p", Wish::Compensate).await.is_done());
    world.becomes("p", "compensated").await;
    let of_p: Vec<_> =
        world.post.effects().into_iter().filter(|one| one.starts_with("p: ")).collect();
    assert_eq!(of_p, ["p: book/rail", "p: return/rail"]);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_panics_loses_nothing_and_its_event_can_be_passed_over() {
    let world = World::create("panics").await;
    let process = world.start(Delivery::<1, 1>);
    let history = recorded([("p", packed(1)), ("p", lost("a bug")), ("p", sent("Oslo"))]);
    world.take(Delivery::<1, 1>, &history).await;
    world.becomes("p", "needs_attention").await;
    let shown = Filter { instance: Some("p"), ..Filter::default() };
    let shown = inspect::instances(&world.pool, shown, 300.0, 1).await.unwrap();
    let why = shown[0].attention.clone().unwrap();
    assert!(why.contains("panicked: who would have thought"), "{why}");
    assert!(world.ask("p", Wish::Retry).await.is_done());
    world.becomes("p", "needs_attention").await; // the same code panics again
    assert!(world.ask("p", Wish::Skip).await.is_done());
    world.becomes("p", "completed").await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_that_cannot_be_is_refused_with_its_reason_and_one_without_a_reason_is_not_taken() {
    let world = World::create("refused_acts").await;
    let process = world.start(Delivery::<1, 1>);
    world.post.is_away(true);
    world.take(Delivery::<1, 1>, &recorded([("p", packed(1))])).await;
    for (parcel, why) in [("p", "it needs no attention"), ("q", "there is no such instance")] {
        let act = world.ask(parcel, Wish::Retry).await;
        assert_eq!((&*act.state, act.outcome.as_deref()), ("refused", Some(why)));
    }
    let (who, saga, instance) = ("ada", "delivery", "p");
    let act = NewAct { who, wish: Wish::Skip, saga, instance, reason: "" };
    assert!(acts::ask(&world.pool, &act).await.is_err());
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_is_done_once_although_two_processes_look_for_it() {
    let world = World::create("acts_two").await;
    let (one, two) = (world.start(Delivery::<1, 1>), world.start(Delivery::<1, 1>));
    world.puzzled().await;
    for _ in 0..5 {
        assert!(world.ask("p", Wish::Retry).await.is_done());
        world.becomes("p", "needs_attention").await;
    }
    let waiting = inspect::waiting(&world.pool, "delivery", "p").await.unwrap();
    assert_eq!(waiting.len(), 1, "all the rest was reacted to: {waiting:?}");
    let acts = acts::of(&world.pool, "delivery", "p").await.unwrap();
    assert!(acts.len() == 5 && acts.iter().all(Act::is_done), "{acts:?}");
    one.stop().await;
    two.stop().await;
}
