//! `contacts`: whom mail reaches, and where. A customer's events flow in; one row per customer flows
//! out, which [`mailing`](super::mailing) joins.

use domain::customer::CustomerEvent;
use factline_core::{Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use serde::{Deserialize, Serialize};

/// The view.
pub struct Contacts;

/// How to reach one customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The customer's key.
    pub customer_id: String,
    /// What the customer is called.
    pub name: String,
    /// Where mail reaches the customer.
    pub email: String,
}

impl View for Contacts {
    const TABLE: &'static str = "contacts";
    const KEY: &'static [&'static str] = &["customer_id"];
    const ROWS: Rows = Rows::OfOneStream;
}

impl Fold for Contacts {
    const NAME: &'static str = "contacts";
    type Event = CustomerEvent;
    type Key = String;
    type Row = Contact;

    fn key(event: &Recorded<CustomerEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(
        row: Option<Contact>,
        Recorded { envelope, event }: &Recorded<CustomerEvent>,
    ) -> Folded<Contact> {
        let customer_id = envelope.stream_id.to_string();
        match (row, event) {
            (None, CustomerEvent::CustomerRegistered(registered)) => {
                let (name, email) = (registered.name.clone(), registered.email.clone());
                Folded::Put(Contact { customer_id, name, email })
            }
            (Some(_), CustomerEvent::CustomerRegistered(_)) => {
                Folded::Impossible("the customer was registered before")
            }
            (Some(contact), CustomerEvent::CustomerRenamed(renamed)) => {
                Folded::Put(Contact { name: renamed.name.clone(), ..contact })
            }
            (Some(contact), CustomerEvent::CustomerEmailChanged(changed)) => {
                Folded::Put(Contact { email: changed.email.clone(), ..contact })
            }
            (None, CustomerEvent::CustomerRenamed(_) | CustomerEvent::CustomerEmailChanged(_)) => {
                Folded::Impossible("the customer was never registered")
            }
        }
    }
}
