//! The customers. Their commands need nothing but themselves.

use domain::{
    command::{CommandSpec, FieldValue, InvalidFields, ReadError, Shape, Stated},
    customer::{Customer, CustomerCommand},
    values::CustomerId,
};
use factline_core::StreamId;
use http::Method;
use serde_json::{Value, json};
use service_kit::Problem;

use super::{CommandRoute, Kind, Store};
use crate::App;

impl Kind for Customer {
    type Command = CustomerCommand;
    type Informed = CustomerCommand;

    const ID: &'static str = "customer_id";
    const ID_DOC: &'static str = "The customer: a UUID.";
    const ID_SHAPE: Shape = <CustomerId as FieldValue>::SHAPE;
    const CREATING: &'static [&'static str] = &["customer.register_customer"];
    const UNKNOWN: &'static str = "unknown_customer";
    const SPECS: &'static [CommandSpec] = CustomerCommand::SPECS;
    const HISTORY: &'static str = "/customers/{customer_id}/history";
    const ROUTES: &'static [CommandRoute] = &[
        CommandRoute::new(Method::POST, "/customers", "customer.register_customer", true),
        CommandRoute::new(
            Method::PATCH,
            "/customers/{customer_id}",
            "customer.change_customer",
            false,
        ),
    ];

    fn stream_id(value: &Value) -> Result<StreamId, InvalidFields> {
        <CustomerId as FieldValue>::read(value).map(StreamId::from)
    }

    fn read(name: &str, data: Value) -> Result<Stated<CustomerCommand>, ReadError> {
        CustomerCommand::read(name, data)
    }

    async fn inform(
        _app: &App,
        _stream_id: &StreamId,
        command: CustomerCommand,
        _actor: Option<&str>,
    ) -> Result<CustomerCommand, Problem> {
        Ok(command)
    }

    fn shown(&self) -> Option<Value> {
        self.known().map(|known| json!({ "name": known.name, "email": known.email }))
    }

    fn store(app: &App) -> &Store<Self> {
        &app.customers
    }
}
