//! The recipe for a new saga, followed: `welcome.rs` beside this file is the code that the recipe shows.

use domain::order::{OrderConfirmed, OrderPaid};
use factline_core::{
    Sample as _,
    saga::{Answer, Input, Outcome, Saga as _},
};
use factline_testkit::recorded;

use crate::welcome::{CallCustomer, Guest, News, Welcome};

const RECIPE: &str = include_str!("../../../../docs/recipes/add-a-saga.md");
const SAGA: &str = include_str!("welcome.rs");

#[test]
fn the_saga_that_the_recipe_adds_calls_a_customer_whose_order_was_paid() {
    let history =
        recorded([("o-1", OrderConfirmed::sample().into()), ("o-1", OrderPaid::sample().into())]);
    let facts: Vec<News> = history.iter().filter_map(Welcome::fact).collect();
    let guest: Guest = Welcome::begin(&facts[0]).unwrap();
    let waits = Welcome.react(1, guest.clone(), Input::Fact(&facts[0])).unwrap();
    assert_eq!((waits.commands.len(), waits.timers.len()), (0, 1));
    let calls = Welcome.react(1, guest.clone(), Input::Fact(&facts[1])).unwrap();
    let call = CallCustomer { customer_id: guest.customer_id.clone() };
    assert_eq!(calls.commands, [("call".to_owned(), call)]);
    let answer = Input::Answer { step: "call", answer: Answer::Accepted };
    assert_eq!(Welcome.react(1, guest.clone(), answer).unwrap().outcome, Some(Outcome::Completed));
    let refused = Input::Answer { step: "call", answer: Answer::Refused("no_number") };
    assert!(Welcome.react(1, guest.clone(), refused).is_err(), "a person must look");
    let given_up = Welcome.react(1, guest, Input::Timer("week")).unwrap();
    assert_eq!(given_up.outcome, Some(Outcome::Compensated));
}

#[test]
fn the_recipe_shows_the_saga_that_is_tested_and_it_is_under_a_hundred_lines() {
    assert!(RECIPE.contains(SAGA), "the recipe's saga is not tests/fulfilment/welcome.rs");
    assert!(SAGA.lines().count() < 100, "{} lines", SAGA.lines().count());
}
