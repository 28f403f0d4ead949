//! What the operations of the document have in common: headers, answers, schemas.

use domain::{command::Shape, customer::Customer, inventory::Item, order::Order};
use serde_json::{Map, Value, json};

use super::{body_schema, id_schema, shape_schema};
use crate::{flow, kinds::Kind};

/// Everything that operations refer to.
pub(super) fn all() -> Value {
    json!({ "schemas": schemas(), "responses": responses(), "parameters": parameters() })
}

/// What a command may be refused with, beside what the server says to any request.
const COMMAND_REFUSALS: [(&str, &str); 6] = [
    ("400", "malformed_json, unknown_field, missing_idempotency_key, malformed_header …"),
    ("404", "unknown_item, unknown_order, unknown_customer …"),
    ("409", "item_exists, order_exists …"),
    ("412", "version_mismatch, with current_version"),
    ("422", "invalid_fields, idempotency_key_reused, or a rule such as insufficient_stock"),
    (
        "503",
        "log_unavailable: nothing was written; outcome_unknown: repeat with the same key; busy",
    ),
];

/// What a question about a history may be refused with, beside the same.
const HISTORY_REFUSALS: [(&str, &str); 3] = [
    ("404", "there is no such stream, or was none then"),
    ("422", "invalid_field, contradicting_parameters"),
    ("503", "log_unavailable, overloaded"),
];

/// The answers of a command: its events with their version and token, or why there are none.
pub(super) fn command_responses(success: &[&str], done: &str) -> Value {
    let refused = COMMAND_REFUSALS.iter().map(|(status, _)| (*status, refused("Command", status)));
    let done = success.iter().map(|status| (*status, done.to_owned()));
    by_reference(done.chain(refused))
}

pub(super) fn history_responses(told: &str) -> Value {
    let refused = HISTORY_REFUSALS.iter().map(|(status, _)| (*status, refused("History", status)));
    by_reference([("200", told.to_owned())].into_iter().chain(refused))
}

pub(super) fn by_reference<'s>(responses: impl Iterator<Item = (&'s str, String)>) -> Value {
    let reference = |name| json!({ "$ref": format!("#/components/responses/{name}") });
    Value::Object(responses.map(|(status, name)| (status.to_owned(), reference(name))).collect())
}

fn refused(what: &str, status: &str) -> String {
    format!("{what}{status}")
}

fn parameters() -> Value {
    let header = |name: &str, required: bool, doc: &str, schema: Value| {
        let mut header = json!({ "name": name, "in": "header", "required": required });
        header["description"] = json!(doc);
        header["schema"] = schema;
        header
    };
    let key = |required: bool| {
        let doc = "The same key and request again gets the first answer again; 1 to 255 visible \
                   ASCII characters, quoted or bare.";
        let pattern = r"^[!#-\[\]-~]{1,255}$";
        header("Idempotency-Key", required, doc, json!({ "type": "string", "pattern": pattern }))
    };
    let version = json!({ "type": "string", "pattern": r#"^("[0-9]{1,18}"|[0-9]{1,18})$"# });
    let actor = json!({ "type": "string", "pattern": "^[!-~]([ -~]{0,126}[!-~])?$" });
    let flow = "A UUID that follows the whole business flow.";
    json!({
        "IdempotencyKey": key(true),
        "OptionalIdempotencyKey": key(false),
        "IfMatch": header("If-Match", false, "The version that the stream must have, as in its ETag.", version),
        "CorrelationId": header("X-Correlation-Id", false, flow, shape_schema(Shape::Uuid)),
        "Actor": header("X-Actor", false, "Who acts: visible ASCII characters.", actor),
    })
}

fn responses() -> Value {
    let mut responses = Map::new();
    let json = |schema: &str| {
        json!({ "application/json": { "schema": {
        "$ref": format!("#/components/schemas/{schema}") } } })
    };
    for schema in ["Done", "Sold", "DoneOrOutcomes"] {
        let done =
            json!({ "description": "Done", "headers": answer_headers(), "content": json(schema) });
        responses.insert(schema.into(), done);
    }
    for schema in ["Commands", "History", "Flow"] {
        let told = json!({ "description": "What was asked for", "content": json(schema) });
        responses.insert(schema.into(), told);
    }
    let problem = json!({ "application/problem+json": {
        "schema": { "$ref": "#/components/schemas/Problem" } } });
    for (what, refusals) in [("Command", &COMMAND_REFUSALS[..]), ("History", &HISTORY_REFUSALS[..])]
    {
        for (status, codes) in refusals {
            let mut response = json!({ "description": codes, "content": problem });
            if *status == "503" {
                response["headers"]["Retry-After"] = json!({ "schema": { "type": "integer" },
                    "description": "seconds after which to come again" });
            }
            responses.insert(refused(what, status), response);
        }
    }
    Value::Object(responses)
}

fn answer_headers() -> Value {
    let text = |doc: &str| json!({ "schema": { "type": "string" }, "description": doc });
    json!({
        "ETag": text("The stream's version, for If-Match."),
        "Consistency-Token": text("Give it to a query that must show what this command did; absent \
            when it caused nothing, and on a list, whose outcomes have their own."),
        "Idempotent-Replayed": text("true: this is an earlier answer again."),
    })
}

fn schemas() -> Value {
    let event = json!({
        "type": "object",
        "required": ["event_id", "event_type", "version", "partition", "position", "occurred_at", "recorded_at", "data"],
        "properties": {
            "event_id": {"type": "string", "format": "uuid"},
            "event_type": {"type": "string", "examples": ["factline.inventory.ItemSold"]},
            "stream_id": {"type": "string"},
            "version": {"type": "integer", "format": "int64"},
            "partition": {"type": "integer", "format": "int32"},
            "position": {"type": "integer", "format": "int64"},
            "occurred_at": {"type": "string", "format": "date-time"},
            "recorded_at": {"type": "string", "format": "date-time"},
            "data": {"type": "object"},
        },
    });
    let done = json!({
        "version": {"type": "integer", "format": "int64", "description": "The stream's version after the command."},
        "events": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
    });
    let mut sold = done.clone();
    sold["remaining"] = json!({"type": "integer", "format": "int64"});
    let commands: Vec<Value> =
        by_name::<Item>().chain(by_name::<Order>()).chain(by_name::<Customer>()).collect();
    json!({
        "Event": event,
        "Done": {"type": "object", "required": ["version", "events"], "properties": done},
        "Sold": {"type": "object", "required": ["version", "events", "remaining"], "properties": sold},
        "Command": {"anyOf": commands, "description": "Any command by its name; see GET /commands."},
        "DoneOrOutcomes": {"anyOf": [
            {"$ref": "#/components/schemas/Done"}, {"$ref": "#/components/schemas/Outcomes"}]},
        "Commands": {"type": "object", "required": ["commands"], "properties": {
            "commands": {"type": "array", "items": {"type": "object"}}}},
        "Outcomes": {"type": "object", "required": ["outcomes"], "properties": {
            "outcomes": {"type": "array", "items": {"type": "object", "required": ["status"],
                "properties": {
                    "status": {"type": "integer", "description": "As if the command had come alone."},
                    "replayed": {"type": "boolean", "description": "It is an earlier answer again."},
                    "consistency_token": {"type": "string", "description":
                        "Give it to a query that must show what this command did; absent when it \
                         caused nothing."},
                    "done": {"$ref": "#/components/schemas/Done"},
                    "problem": {"$ref": "#/components/schemas/Problem"},
        }}}}},
        "History": {"type": "object", "properties": {
            "events": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
            "next_after": {"type": ["integer", "null"], "format": "int64"},
            "version": {"type": "integer", "format": "int64"},
            "state": {"type": "object"},
        }},
        "Flow": flow::schema(),
        "Problem": {"type": "object", "required": ["type", "title", "status", "code"], "properties": {
            "type": {"type": "string"}, "title": {"type": "string"},
            "status": {"type": "integer"}, "code": {"type": "string"},
            "detail": {"type": "string"}, "trace_id": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object", "properties": {
                "pointer": {"type": "string"}, "detail": {"type": "string"}}}},
        }},
    })
}

/// A command as `POST /commands` takes it.
fn by_name<A: Kind>() -> impl Iterator<Item = Value> {
    A::SPECS.iter().map(|spec| {
        let mut required = vec!["command"];
        if !A::CREATING.contains(&spec.name) {
            required.push("stream_id");
        }
        if spec.fields.iter().any(|field| field.required) {
            required.push("data");
        }
        json!({
            "type": "object",
            "description": spec.doc,
            "required": required,
            "additionalProperties": false,
            "properties": {
                "command": { "type": "string", "enum": [spec.name] },
                "stream_id": id_schema::<A>(spec),
                "data": body_schema::<A>(spec, &[A::ID]),
            },
        })
    })
}
