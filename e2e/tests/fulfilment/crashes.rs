//! The saga's process really killed between two steps, once at each place.

use crate::shop::Shop;

/// Where a process stands still, to be killed there.
const PLACES: [&str; 5] = [
    "projector_in_batch",     // an event taken in, not committed
    "projector_after_commit", // commands due, the offset not committed
    "saga_after_claim",       // commands claimed, not carried out
    "saga_before_answer",     // carried out, the answers not recorded
    "saga_after_answer",      // recorded, and what follows is due
];

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_killed_between_any_two_steps_reserves_and_ships_each_unit_once() {
    let mut shop = Shop::open("killed", &[]).await;
    shop.item("lantern", 100).await;
    shop.item("candle", 100).await;
    for (killed, place) in (1..).zip(PLACES) {
        let order = shop.order(&[("lantern", 3), ("candle", 2)]).await;
        shop.becomes(&order, "pending").await;
        shop.pay(&order, 500).await;
        shop.kill_at(place, async |shop| {
            shop.ship(&order).await;
            // A second one is under way in the other direction.
            let other = shop.order(&[("lantern", 1)]).await;
            shop.cancel(&other).await;
            [order.clone(), other]
        })
        .await;
        assert_eq!(shop.stock("lantern").await, (100 - 3 * killed, 0), "{place}");
        assert_eq!(shop.stock("candle").await, (100 - 2 * killed, 0), "{place}");
    }
}
