//! Which command is taken where: every command in every status.

use domain::order::{Informed, OrderStatus};
use serde_json::json;

use crate::words::*;

/// A command, the status that it belongs to, and the code that it gets in any other.
type OneStatus = (fn() -> Informed, OrderStatus, &'static str);

fn commands() -> [OneStatus; 8] {
    [
        (|| add("candle", 1), OrderStatus::Draft, "not_draft"),
        (|| remove("lantern"), OrderStatus::Draft, "not_draft"),
        (confirm, OrderStatus::Draft, "not_draft"),
        (allocate, OrderStatus::Confirmed, "not_confirmed"),
        (|| pay(500), OrderStatus::Pending, "not_pending"),
        (fail_payment, OrderStatus::Pending, "not_pending"),
        (ship, OrderStatus::Paid, "not_paid"),
        (deliver, OrderStatus::Shipped, "not_shipped"),
    ]
}

#[test]
fn a_command_is_refused_in_every_status_but_its_own() {
    for (command, required, code) in commands() {
        for status in EVERY_STATUS.into_iter().filter(|status| *status != required) {
            at(status).when(command()).then_refused(code).with(json!({
                "required_status": required.as_str(),
                "order_status": status.as_str(),
            }));
        }
    }
}

#[test]
fn a_command_is_taken_in_its_own_status() {
    let own = |index: usize| {
        let (command, status, _) = commands()[index];
        at(status).when(command())
    };
    own(0).then_events([added("candle", 1, 99)]);
    own(1).then_events([removed("lantern", 2, 250)]);
    own(2).then_events([confirmed(&[("lantern", 2, 250)])]);
    own(3).then_events([allocated(500)]);
    own(4).then_events([paid(500)]);
    own(5).then_events([payment_failed()]);
    own(6).then_events([shipped()]);
    own(7).then_events([delivered()]);
}

#[test]
fn an_unknown_order_takes_no_command_but_the_first() {
    for (command, ..) in commands() {
        nothing_known().when(command()).then_refused("unknown_order");
    }
}

#[test]
fn an_item_is_not_looked_up_for_an_order_that_takes_none() {
    at(OrderStatus::Paid).when(add("unicorn", 1)).then_refused("not_draft");
    nothing_known().when(add("unicorn", 1)).then_refused("unknown_order");
}
