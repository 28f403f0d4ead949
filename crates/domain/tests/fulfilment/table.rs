//! The table is what it promises, and what it names exists.

use domain::{
    fulfilment::steps::{OnRefusal, STEPS, Step, on_refusal, rows},
    inventory::InventoryCommand,
    order::OrderCommand,
};

#[test]
fn every_step_but_the_last_has_its_compensation_beside_it_and_the_last_cannot_be_undone() {
    let (last, others) = STEPS.split_last().unwrap();
    assert_eq!((last.step, last.undone_by), (Step::Ship, None));
    assert!(others.iter().all(|row| row.undone_by.is_some()));
    let undoings = others.iter().map(|row| row.undone_by.unwrap().step);
    assert_eq!(undoings.collect::<Vec<_>>(), [Step::Release, Step::Cancel, Step::Refund]);
}

#[test]
fn every_command_of_the_table_is_one_of_the_borders_or_of_the_port() {
    let specs = || InventoryCommand::SPECS.iter().chain(OrderCommand::SPECS);
    for row in rows() {
        let known = specs().any(|spec| spec.name == row.command);
        assert!(known || row.command == "payment.refund", "{}", row.command);
    }
}

#[test]
fn what_no_row_lists_needs_a_person() {
    assert_eq!(on_refusal(Step::Reserve, "insufficient_stock"), Some(OnRefusal::GiveUp));
    assert_eq!(on_refusal(Step::Cancel, "not_cancellable"), Some(OnRefusal::MovedOn));
    assert_eq!(on_refusal(Step::Reserve, "reservation_conflict"), None);
    assert_eq!(on_refusal(Step::Ship, "unknown_reservation"), None);
}
