//! What the documents say of every query: how fresh its answer is, and why there may be none.

use service_kit::{extract::ConsistencyTokens, http::problem_response};
use utoipa::{
    Modify,
    openapi::{
        Header, HeaderBuilder, KnownFormat, ObjectBuilder, OpenApi, RefOr, SchemaFormat,
        path::Operation, schema::Type,
    },
};

/// Adds to every operation that takes [`ConsistencyTokens`] what a [`Reading`](crate::Reading) answers
/// around its rows: `#[openapi(modifiers(&QueryAnswers, &ServerAnswers))]`, in this order.
#[derive(Debug, Clone, Copy)]
pub struct QueryAnswers;

const MALFORMED: &str = "malformed_header, unknown_partition";
const UNAVAILABLE: &str = "not_yet_consistent, database_unavailable; with Retry-After";

impl Modify for QueryAnswers {
    fn modify(&self, openapi: &mut OpenApi) {
        let queries = openapi.paths.paths.values_mut().filter_map(|item| item.get.as_mut());
        queries.filter(|operation| takes_tokens(operation)).for_each(complete);
    }
}

fn takes_tokens(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| {
        matches!(parameter, RefOr::T(parameter) if parameter.name == ConsistencyTokens::HEADER)
    })
}

fn complete(operation: &mut Operation) {
    let documented = &mut operation.responses.responses;
    if let Some(RefOr::T(answer)) = documented.get_mut("200") {
        let (text, number) = (ObjectBuilder::new().schema_type(Type::String), number());
        for (name, schema, words) in [
            ("Projection-Position", text, "topic:partition:position, …"),
            ("Projection-Age-Seconds", number, "age of the newest event that the answer shows"),
        ] {
            answer.headers.insert(name.to_owned(), RefOr::T(header(schema, words)));
        }
    }
    for (status, codes) in [("400", MALFORMED), ("503", UNAVAILABLE)] {
        match documented.get_mut(status) {
            Some(RefOr::T(own)) => own.description = format!("{}, {codes}", own.description),
            Some(RefOr::Ref(_)) => {} // says what it says
            None => {
                documented.insert(status.to_owned(), RefOr::T(problem_response(codes)));
            }
        }
    }
}

fn number() -> ObjectBuilder {
    let double = SchemaFormat::KnownFormat(KnownFormat::Double);
    ObjectBuilder::new().schema_type(Type::Number).format(Some(double))
}

fn header(schema: ObjectBuilder, words: &str) -> Header {
    HeaderBuilder::new().schema(Some(schema)).description(Some(words)).build()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, to_value};
    use utoipa::OpenApi as _;

    use super::*;

    #[utoipa::path(
        get,
        path = "/parcels",
        params(ConsistencyTokens),
        responses(
            (status = 200, description = "parcels"),
            (status = 400, description = "unknown_parameter"),
        )
    )]
    const fn list_parcels() {}

    #[utoipa::path(get, path = "/depot", responses((status = 200, description = "the depot")))]
    const fn show_depot() {}

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(list_parcels, show_depot), modifiers(&QueryAnswers))]
    struct Api;

    fn answers(path: &str) -> Value {
        to_value(Api::openapi()).unwrap()["paths"][path]["get"]["responses"].clone()
    }

    #[test]
    fn a_query_that_takes_tokens_says_how_fresh_its_answer_is_and_why_there_may_be_none() {
        let answers = answers("/parcels");
        let headers = answers["200"]["headers"].as_object().unwrap();
        assert_eq!(
            Vec::from_iter(headers.keys()),
            ["Projection-Age-Seconds", "Projection-Position"]
        );
        let refused = "unknown_parameter, malformed_header, unknown_partition";
        assert_eq!(answers["400"]["description"], refused);
        assert_eq!(answers["503"]["description"], UNAVAILABLE);
    }

    #[test]
    fn what_takes_no_tokens_is_left_as_it_is() {
        assert_eq!(answers("/depot"), serde_json::json!({"200": {"description": "the depot"}}));
        list_parcels();
        show_depot();
    }
}
