//! Registering and changing.

use domain::customer::{
    ChangeCustomer, Customer, CustomerCommand, CustomerEmailChanged, CustomerEvent,
    CustomerRegistered, CustomerRenamed, RegisterCustomer,
};
use factline_testkit::Given;

fn register(name: &str, email: &str) -> RegisterCustomer {
    RegisterCustomer { name: name.try_into().unwrap(), email: email.try_into().unwrap() }
}

fn change(name: Option<&str>, email: Option<&str>) -> ChangeCustomer {
    ChangeCustomer {
        name: name.map(|name| name.try_into().unwrap()),
        email: email.map(|email| email.try_into().unwrap()),
    }
}

fn registered(name: &str, email: &str) -> CustomerEvent {
    CustomerRegistered { name: name.to_owned(), email: email.to_owned() }.into()
}

fn renamed(name: &str) -> CustomerEvent {
    CustomerRenamed { name: name.to_owned() }.into()
}

fn moved(email: &str) -> CustomerEvent {
    CustomerEmailChanged { email: email.to_owned() }.into()
}

fn nobody() -> Given<Customer> {
    Given::nothing()
}

fn ada() -> Given<Customer> {
    Given::events([registered("Ada", "ada@example.com")])
}

fn known_as(name: &str, email: &str) -> impl FnOnce(&Customer) {
    move |customer| {
        let customer = customer.known().unwrap();
        assert_eq!((&*customer.name, &*customer.email), (name, email));
    }
}

#[test]
fn a_customer_is_registered_with_name_and_email() {
    nobody()
        .when(register("Ada", "ada@example.com"))
        .then_events([registered("Ada", "ada@example.com")])
        .then_state(known_as("Ada", "ada@example.com"));
}

#[test]
fn a_customer_that_exists_is_not_registered_again() {
    ada().when(register("Ada", "ada@example.com")).then_refused("customer_exists");
}

#[test]
fn a_new_name_and_a_new_address_are_two_facts() {
    ada()
        .when(change(Some("Ada King"), Some("king@example.com")))
        .then_events([renamed("Ada King"), moved("king@example.com")])
        .then_state(known_as("Ada King", "king@example.com"));
}

#[test]
fn what_is_not_given_stays() {
    ada()
        .when(change(Some("Ada King"), None))
        .then_events([renamed("Ada King")])
        .when(change(None, Some("king@example.com")))
        .then_events([moved("king@example.com")])
        .then_state(known_as("Ada King", "king@example.com"));
}

#[test]
fn a_change_that_changes_nothing_is_no_event() {
    ada().when(change(None, None)).then_nothing();
    ada().when(change(Some(" Ada "), Some("ada@example.com"))).then_nothing();
}

#[test]
fn an_unknown_customer_is_not_changed() {
    nobody().when(change(Some("Ada"), None)).then_refused("unknown_customer");
    nobody().when(change(None, None)).then_refused("unknown_customer");
}

#[test]
fn a_command_by_name_is_decided_like_the_command_itself() {
    let command = CustomerCommand::from(change(Some("Ada King"), None));
    assert_eq!(command.name(), "customer.change_customer");
    ada().when(command).then_events([renamed("Ada King")]);
}
