//! The recipe for a changed event shows how `OrderCreated` got its currency: it is that code.

const RECIPE: &str = include_str!("../../../../docs/recipes/change-an-event.md");
const EVENTS: &str = include_str!("../../src/order/events.rs");
const SCHEMA: &str = include_str!("../../../../schemas/order/order_created.v2.avsc");

fn pieces(language: &str) -> Vec<&'static str> {
    let fence = format!("\n```{language}\n");
    RECIPE.split(&*fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn the_recipe_shows_the_code_that_runs() {
    let (code, schemas) = (pieces("rust"), pieces("json"));
    assert_eq!((code.len(), schemas.len()), (2, 1), "the recipe has other pieces");
    for piece in code {
        assert!(EVENTS.contains(piece), "src/order/events.rs does not hold\n{piece}");
    }
    assert!(SCHEMA.contains(schemas[0]), "order_created.v2.avsc does not hold\n{}", schemas[0]);
}
