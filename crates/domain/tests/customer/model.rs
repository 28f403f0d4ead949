//! Random commands against a model that is too plain to be wrong: a name and an address.

use chrono::DateTime;
use domain::customer::{ChangeCustomer, Customer, CustomerCommand, RegisterCustomer};
use factline_core::{Aggregate, Decide, Moment};
use rand::{Rng, SeedableRng, rngs::StdRng};

const NAMES: [&str; 3] = ["Ada", "Grace", "Mary"];
const EMAILS: [&str; 3] = ["ada@example.com", "grace@example.com", "mary@example.com"];

fn random_command(random: &mut StdRng) -> CustomerCommand {
    let name = NAMES[random.random_range(0..3)].try_into().unwrap();
    let email = EMAILS[random.random_range(0..3)].try_into().unwrap();
    if random.random_ratio(1, 4) {
        return RegisterCustomer { name, email }.into();
    }
    let name = random.random_bool(0.5).then_some(name);
    let email = random.random_bool(0.5).then_some(email);
    ChangeCustomer { name, email }.into()
}

/// Whether the command is accepted; if so, it is done.
fn accepts(model: &mut Option<(String, String)>, command: &CustomerCommand) -> bool {
    match (command, &mut *model) {
        (CustomerCommand::RegisterCustomer(_), Some(_)) => false,
        (CustomerCommand::ChangeCustomer(_), None) => false,
        (CustomerCommand::RegisterCustomer(register), None) => {
            *model = Some((register.name.as_str().into(), register.email.as_str().into()));
            true
        }
        (CustomerCommand::ChangeCustomer(change), Some((name, email))) => {
            *name = change.name.as_ref().map_or(name.clone(), |name| name.as_str().into());
            *email = change.email.as_ref().map_or(email.clone(), |email| email.as_str().into());
            true
        }
    }
}

#[test]
fn no_sequence_of_commands_parts_from_the_plain_model_or_tells_what_did_not_change() {
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut customer, mut model) = (Customer::default(), None);
        for step in 0..50 {
            let place = format!("seed {seed} step {step}");
            let command = random_command(&mut random);
            let decision = customer.decide(&command, Moment(DateTime::UNIX_EPOCH));
            assert_eq!(decision.is_ok(), accepts(&mut model, &command), "{place}: {command:?}");
            if decision.is_ok() {
                accepted += 1;
            } else {
                refused += 1;
            }
            for event in decision.unwrap_or_default() {
                let before = customer.clone();
                customer.evolve(&event);
                assert_ne!(customer, before, "{place}: {event:?} changed nothing");
            }
            let known = customer.known().map(|known| (known.name.clone(), known.email.clone()));
            assert_eq!(known, model, "{place}");
        }
    }
    assert!(accepted > 5_000 && refused > 1_000, "{accepted} accepted, {refused} refused");
}
