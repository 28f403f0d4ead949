//! The OpenAPI document, made from the route table and the commands' own descriptions, so that it
//! cannot say anything that the code does not do.

mod components;

use domain::{
    command::{CommandSpec, FieldSpec, Shape},
    customer::Customer,
    inventory::Item,
    order::Order,
};
use http::Method;
use serde_json::{Map, Value, json};
use service_kit::{extract::Json, http::ServerAnswers};
use utoipa::{Modify, openapi::OpenApi};

use crate::{
    flow,
    kinds::{CommandRoute, Kind},
    stock_levels,
};

use components::{by_reference, command_responses, history_responses};

/// The whole document.
///
/// # Panics
/// Never: the document is built from constants, and a test builds it.
#[must_use]
pub fn document() -> OpenApi {
    let mut paths = Map::new();
    put_kind::<Item>(&mut paths);
    put_kind::<Order>(&mut paths);
    put_kind::<Customer>(&mut paths);
    put(&mut paths, "/inventory/sell", &Method::POST, sell());
    put(&mut paths, "/inventory/history", &Method::GET, history_alias());
    let level = stock_levels::operation(
        &path_parameter(Item::ID, Item::ID_SHAPE),
        &history_responses("History"),
    );
    put(&mut paths, "/inventory/{sku}/stock", &Method::GET, level);
    put(&mut paths, "/history", &Method::GET, flow::operation(history_responses("Flow")));
    put(&mut paths, "/commands", &Method::POST, commands_by_name());
    put(&mut paths, "/commands", &Method::GET, list_of_commands());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "command-api",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Commands in, events out. Every success answers the stream's version \
                (ETag), the events that were caused, and a Consistency-Token that a query takes to \
                show nothing older.",
        },
        "paths": paths,
        "components": components::all(),
    });
    let document: Result<OpenApi, _> = serde_json::from_value(document);
    let mut document = document.unwrap_or_else(|error| unreachable!("{error}"));
    ServerAnswers.modify(&mut document);
    document
}

fn put(paths: &mut Map<String, Value>, path: &str, method: &Method, operation: Value) {
    let place = paths.entry(path).or_insert_with(|| json!({}));
    place[method.as_str().to_lowercase()] = operation;
}

fn put_kind<A: Kind>(paths: &mut Map<String, Value>) {
    for route in A::ROUTES {
        put(paths, route.path, &route.method, command::<A>(route));
    }
    put(paths, A::HISTORY, &Method::GET, history::<A>());
}

fn spec<A: Kind>(name: &str) -> Option<&'static CommandSpec> {
    A::SPECS.iter().find(|spec| spec.name == name)
}

fn command<A: Kind>(route: &CommandRoute) -> Value {
    let in_path = parameters_of(route.path);
    let specs: Vec<_> = route.commands().filter_map(spec::<A>).collect();
    let of_field = |name: &str| {
        let mut fields = specs.iter().flat_map(|spec| spec.fields);
        fields.find(|field| field.name == name).map_or(A::ID_SHAPE, |field| field.shape)
    };
    let parameter = |name: &&'static str| path_parameter(name, of_field(name));
    let mut parameters: Vec<Value> = in_path.iter().map(parameter).collect();
    parameters.extend(command_headers(&route.method));
    let docs: Vec<_> = specs.iter().map(|spec| spec.doc).collect();
    let mut bodies: Vec<_> = specs.iter().map(|spec| body_schema::<A>(spec, &in_path)).collect();
    let body = if bodies.len() == 1 { bodies.remove(0) } else { json!({ "anyOf": bodies }) };
    let success = if route.creates { vec!["201", "200"] } else { vec!["200"] };
    json!({
        "operationId": format!("{} {}", route.method, route.path),
        "summary": docs.join(" Or: "),
        "tags": [A::KIND],
        "parameters": parameters,
        "requestBody": {
            "required": route.method != Method::DELETE,
            "content": { "application/json": { "schema": body } },
        },
        "responses": command_responses(&success, "Done"),
    })
}

/// `GET /commands`: every command by its name, with the JSON schema of its data.
pub(crate) async fn commands() -> Json<Value> {
    let commands: Vec<Value> =
        described::<Item>().chain(described::<Order>()).chain(described::<Customer>()).collect();
    Json(json!({ "commands": commands }))
}

fn described<A: Kind>() -> impl Iterator<Item = Value> {
    A::SPECS.iter().map(|spec| {
        json!({
            "command": spec.name,
            "description": spec.doc,
            "stream_id": { "description": A::ID_DOC, "required": !A::CREATING.contains(&spec.name) },
            "data": body_schema::<A>(spec, &[A::ID]),
        })
    })
}

fn commands_by_name() -> Value {
    let atomic = json!({
        "name": "atomic", "in": "query", "required": false,
        "description": "All commands of a list or none; they must be for one stream.",
        "schema": { "type": "boolean", "default": false },
    });
    let mut parameters = vec![atomic];
    parameters.extend(command_headers(&Method::POST));
    let command = json!({ "$ref": "#/components/schemas/Command" });
    let list = json!({ "type": "array", "items": command, "minItems": 1, "maxItems": 100 });
    json!({
        "operationId": "POST /commands",
        "summary": "Carries out a command by its name, or a list of them: one after the other, each \
            with its own outcome, or with atomic as one.",
        "tags": ["commands"],
        "parameters": parameters,
        "requestBody": { "required": true, "content": {
            "application/json": { "schema": { "anyOf": [command, list] } } } },
        "responses": command_responses(&["200"], "DoneOrOutcomes"),
    })
}

fn list_of_commands() -> Value {
    json!({
        "operationId": "GET /commands",
        "summary": "Every command by its name, with the JSON schema of its data.",
        "tags": ["commands"],
        "responses": by_reference([("200", "Commands".to_owned())].into_iter()),
    })
}

fn sell() -> Value {
    let body = spec::<Item>("inventory.sell_item").map(|spec| body_schema::<Item>(spec, &[]));
    json!({
        "operationId": "POST /inventory/sell",
        "summary": "Sells available units and answers how many remain.",
        "tags": ["reference example"],
        "parameters": command_headers(&Method::POST),
        "requestBody": { "required": true, "content": { "application/json": { "schema": body } } },
        "responses": command_responses(&["201", "200"], "Sold"),
    })
}

fn history<A: Kind>() -> Value {
    let path = A::HISTORY;
    let mut parameters = vec![path_parameter(A::ID, A::ID_SHAPE)];
    for (name, doc, schema) in [
        (
            "at",
            "The state at this time of the business.",
            json!({"type": "string", "format": "date-time"}),
        ),
        ("version", "The state at this version.", json!({"type": "integer", "minimum": 1})),
        ("after", "The trail after this version.", json!({"type": "integer", "minimum": 0})),
        (
            "limit",
            "Events of one page.",
            json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        ),
    ] {
        parameters.push(json!({"name": name, "in": "query", "required": false, "description": doc, "schema": schema}));
    }
    json!({
        "operationId": format!("GET {path}"),
        "summary": "The audit trail of a stream; with at or version, its state then.",
        "tags": ["history"],
        "parameters": parameters,
        "responses": history_responses("History"),
    })
}

fn history_alias() -> Value {
    json!({
        "operationId": "GET /inventory/history",
        "summary": "The first page of an item's audit trail.",
        "tags": ["reference example"],
        "parameters": [{"name": "sku", "in": "query", "required": true, "schema": shape_schema(Item::ID_SHAPE)}],
        "responses": history_responses("History"),
    })
}

fn parameters_of(path: &'static str) -> Vec<&'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

fn path_parameter(name: &str, shape: Shape) -> Value {
    let schema = shape_schema(shape);
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

/// The headers of a command, by their components.
fn command_headers(method: &Method) -> Vec<Value> {
    let key = if method == Method::POST { "IdempotencyKey" } else { "OptionalIdempotencyKey" };
    let reference = |name| json!({ "$ref": format!("#/components/parameters/{name}") });
    [key, "IfMatch", "CorrelationId", "Actor"].map(reference).into()
}

fn body_schema<A: Kind>(spec: &CommandSpec, in_path: &[&str]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if !in_path.contains(&A::ID) {
        properties.insert(A::ID.into(), id_schema::<A>(spec));
        if !A::CREATING.contains(&spec.name) {
            required.push(A::ID);
        }
    }
    for field in spec.fields.iter().filter(|field| !in_path.contains(&field.name)) {
        properties.insert(field.name.into(), field_schema(field));
        if field.required {
            required.push(field.name);
        }
    }
    properties.insert(
        "occurred_at".into(),
        json!({"type": ["string", "null"], "format": "date-time", "description": "When it happened; now when not given."}),
    );
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The id of a command's stream, where the body names it.
fn id_schema<A: Kind>(spec: &CommandSpec) -> Value {
    let schema = shape_schema(A::ID_SHAPE);
    let mut schema = if A::CREATING.contains(&spec.name) { or_null(schema) } else { schema };
    schema["description"] = json!(A::ID_DOC);
    schema
}

fn field_schema(field: &FieldSpec) -> Value {
    let schema = shape_schema(field.shape);
    let mut schema = if field.required { schema } else { or_null(schema) };
    schema["description"] = json!(field.doc);
    schema
}

/// Where nothing has to be said, null says nothing.
fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    schema
}

fn shape_schema(shape: Shape) -> Value {
    match shape {
        Shape::Integer { minimum, maximum } => {
            json!({"type": "integer", "format": "int64", "minimum": minimum, "maximum": maximum})
        }
        Shape::Text { min_length, max_length, pattern } => {
            let mut text =
                json!({"type": "string", "minLength": min_length, "maxLength": max_length});
            if let Some(pattern) = pattern {
                text["pattern"] = json!(pattern);
            }
            text
        }
        Shape::Timestamp => json!({"type": "string", "format": "date-time"}),
        Shape::Date => json!({"type": "string", "format": "date"}),
        Shape::Uuid => json!({"type": "string", "format": "uuid"}),
        Shape::Choice { words } => json!({"type": "string", "enum": words}),
        Shape::List { of, min_items, max_items } => {
            let items = shape_schema(*of);
            json!({"type": "array", "items": items, "minItems": min_items, "maxItems": max_items})
        }
        Shape::Object { fields } => {
            let schema = |field: &FieldSpec| (field.name.to_owned(), field_schema(field));
            let properties: Map<String, Value> = fields.iter().map(schema).collect();
            let required = fields.iter().filter(|field| field.required).map(|field| field.name);
            let required: Vec<_> = required.collect();
            json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_the_one_that_the_code_makes() {
        let committed: Value = serde_json::from_str(include_str!("../openapi.json")).unwrap();
        let made = serde_json::to_value(document()).unwrap();
        assert_eq!(
            committed, made,
            "run `command-api openapi > services/command-api/openapi.json`"
        );
    }

    #[test]
    fn every_command_has_a_route() {
        fn check<A: Kind>() {
            for spec in A::SPECS {
                let routed = A::ROUTES.iter().flat_map(CommandRoute::commands);
                assert!(routed.into_iter().any(|name| name == spec.name), "{}", spec.name);
            }
        }
        check::<Item>();
        check::<Order>();
        check::<Customer>();
    }
}
