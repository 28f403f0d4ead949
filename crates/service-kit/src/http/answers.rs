//! What the server itself may answer in place of any route, and what it reads before any: the part
//! of an OpenAPI document that no service has to write.

use utoipa::{
    Modify,
    openapi::{
        Content, HeaderBuilder, KnownFormat, ObjectBuilder, OpenApi, Ref, RefOr, Required,
        Response, ResponseBuilder, SchemaFormat,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::Type,
    },
};

/// Adds the server's own answers to every operation: `#[openapi(modifiers(&ServerAnswers))]`. What
/// an operation says itself about a status stays.
#[derive(Debug, Clone, Copy)]
pub struct ServerAnswers;

/// Of every request.
const ANSWERS: [(&str, &str); 8] = [
    ("400", "malformed_header, malformed_correlation_id, malformed_actor"),
    ("406", "not_acceptable: answers are JSON"),
    ("414", "uri_too_long; the connection is closed"),
    ("429", "too_many_requests: this address asks more often than it may"),
    ("431", "headers_too_large; the connection is closed"),
    ("500", "internal_error: a defect of ours; trace_id is what to tell us"),
    ("503", "overloaded"),
    ("504", "deadline_passed: X-Request-Deadline had passed; nothing was done"),
];

/// Of a request with a body.
const BODY_ANSWERS: [(&str, &str); 3] = [
    ("408", "request_timeout: the body did not arrive; the connection is closed"),
    ("413", "body_too_large; the connection is closed"),
    ("415", "unsupported_media_type: send application/json in UTF-8, uncompressed"),
];

/// Of these a caller is told when to come again.
const WITH_RETRY_AFTER: [&str; 2] = ["429", "503"];

const DEADLINE: &str = "RequestDeadline";

impl Modify for ServerAnswers {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for (status, codes) in ANSWERS.iter().chain(&BODY_ANSWERS) {
            let mut response = problem_response(codes);
            add_retry_after(status, &mut response);
            components.responses.insert(name(status), RefOr::T(response));
        }
        components.parameters.insert(DEADLINE.to_owned(), RefOr::T(deadline()));
        for item in openapi.paths.paths.values_mut() {
            let methods =
                [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
            methods.into_iter().flatten().for_each(complete);
        }
    }
}

fn complete(operation: &mut Operation) {
    let of_body: &[_] = if operation.request_body.is_some() { &BODY_ANSWERS } else { &[] };
    let documented = &mut operation.responses.responses;
    for (status, response) in documented.iter_mut() {
        if let RefOr::T(response) = response {
            add_retry_after(status, response);
        }
    }
    for (status, _) in ANSWERS.iter().chain(of_body) {
        let servers = || RefOr::Ref(Ref::from_response_name(name(status)));
        documented.entry((*status).to_owned()).or_insert_with(servers);
    }
    let deadline = Ref::new(format!("#/components/parameters/{DEADLINE}"));
    operation.parameters.get_or_insert_default().push(RefOr::Ref(deadline));
}

fn name(status: &str) -> String {
    format!("Server{status}")
}

/// A refusal with a [`Problem`](crate::Problem) of one of these codes.
#[must_use]
pub fn problem_response(codes: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(codes).content("application/problem+json", content).build()
}

fn add_retry_after(status: &str, response: &mut Response) {
    if WITH_RETRY_AFTER.contains(&status) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
        let words = "seconds after which to come again";
        let header = HeaderBuilder::new().schema(Some(seconds)).description(Some(words)).build();
        response.headers.insert("Retry-After".to_owned(), RefOr::T(header));
    }
}

fn deadline() -> Parameter {
    let time = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    ParameterBuilder::new()
        .name("X-Request-Deadline")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Until when the caller waits; work is not begun after it."))
        .schema(Some(time))
        .build()
}
