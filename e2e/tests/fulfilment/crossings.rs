//! A cancellation in every state that an order can be cancelled in.

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_at_any_time_frees_the_stock_and_gives_the_money_back() {
    let shop = Shop::open("cancelling", &[]).await;
    shop.item("lantern", 100).await;
    // At once, most likely while its stock is being reserved.
    let early = shop.order(&[("lantern", 3)]).await;
    shop.cancel(&early).await;
    let pending = shop.order(&[("lantern", 4)]).await;
    shop.becomes(&pending, "pending").await;
    shop.cancel(&pending).await;
    let paid = shop.order(&[("lantern", 5)]).await;
    shop.becomes(&paid, "pending").await;
    shop.pay(&paid, 500).await;
    shop.cancel(&paid).await;
    for order in [&early, &pending, &paid] {
        shop.ends(order, "compensated").await;
    }
    assert_eq!(shop.stock("lantern").await, (100, 0));
    assert_eq!(shop.refunds().await, [(paid, 500)]);
}
