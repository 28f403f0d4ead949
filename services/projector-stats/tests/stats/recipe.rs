//! The recipe for a new projector, followed: `returns_by_reason.rs` beside this file is the code that
//! the recipe shows, run here as a view.

use factline_testkit::ViewSpec;

use crate::{
    returns_by_reason::{ReasonOfReturns, ReturnsByReason},
    views::trade,
};

const RECIPE: &str = include_str!("../../../../docs/recipes/add-a-projector.md");
const VIEW: &str = include_str!("returns_by_reason.rs");

#[test]
fn the_projector_that_the_recipe_adds_counts_returns_by_their_reason() {
    let row = ReasonOfReturns { reason: "broken".to_owned(), returns: 1, units_returned: 1 };
    ViewSpec::<ReturnsByReason>::given(trade()).then_rows([("broken".to_owned(), row)]);
}

#[test]
fn the_recipe_shows_the_code_that_is_tested_and_it_is_under_a_hundred_lines_with_its_table() {
    assert!(RECIPE.contains(VIEW), "the recipe's view is not tests/stats/returns_by_reason.rs");
    let table = RECIPE.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let wiring = 5; // two migrations' lines, the module, the use, the beginning
    let lines = VIEW.lines().count() + table.lines().count() + wiring;
    assert!(lines < 100, "{lines} lines");
}
