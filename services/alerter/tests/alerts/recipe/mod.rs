//! The recipe for a new reaction, followed: `shipping.rs` beside this file is the code that the recipe
//! shows, run here as the service would.

mod shipping;

use std::time::Duration;

use alerter::reactions::{Mail, Reacting, Reaction, Recipient};
use domain::order::{OrderEvent, OrderShipped};
use factline_testkit::recorded;

use self::shipping::TellShipment;
use crate::{
    alarm::Alarm,
    post_office::{email, somebody, until_received},
    reactions::{ORDER, created},
};

const RECIPE: &str = include_str!("../../../../../docs/recipes/add-a-reaction.md");

fn shipped() -> OrderEvent {
    let (tracking_number, carrier) = ("RM123456785GB".to_owned(), "Royal <Mail>".to_owned());
    OrderShipped { tracking_number, carrier, estimated_delivery_on: None }.into()
}

#[tokio::test]
async fn the_reaction_that_the_recipe_adds_writes_to_whom_an_order_is_shipped() {
    let (alarm, to) =
        (Alarm::new("the_reaction_that_the_recipe", Duration::ZERO).await, somebody());
    alarm.registers(&to).await;
    let events = recorded([(ORDER, created()), (ORDER, shipped())]);
    alarm.orders(&events).await;
    alarm.apply(Reacting::<TellShipment>::new(), &events).await;
    let sending = alarm.mail(&email());
    let mails = until_received(&to, 1).await;
    sending.stop().await;
    assert_eq!(mails[0].subject, format!("Your order {ORDER} is on its way"));
    let source = mails[0].source.replace("=\r\n", "");
    assert!(source.contains("with Royal <Mail>.") && source.contains("with Royal &#60;Mail&#62;."));
}

#[test]
fn the_recipe_shows_the_code_and_the_templates_that_are_tested() {
    for (what, text) in [
        ("the reaction", include_str!("shipping.rs")),
        ("the text", include_str!("../templates/order-shipped.txt")),
        ("the HTML", include_str!("../templates/order-shipped.html")),
    ] {
        assert!(RECIPE.contains(text), "{what} of the recipe is another");
    }
}

#[test]
fn the_recipe_for_receivers_shows_the_verification_that_is_tested() {
    let recipe = include_str!("../../../../../docs/recipes/receive-webhooks.md");
    let code = recipe.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let receiver = include_str!("../receiver.rs");
    for line in code.lines() {
        assert!(receiver.contains(&format!("        {line}\n")), "{line}");
    }
}
