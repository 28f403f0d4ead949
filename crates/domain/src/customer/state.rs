//! The state of one customer, made by its events.

use factline_core::Aggregate;
use serde::{Deserialize, Serialize};

use super::{CustomerEvent, CustomerRefusal};

/// A customer, or the place where one could be registered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Customer(Option<KnownCustomer>);

/// A customer that was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCustomer {
    /// What the customer is called.
    pub name: String,
    /// Where mail reaches the customer.
    pub email: String,
}

impl Customer {
    /// The customer, if one was ever registered.
    #[must_use]
    pub fn known(&self) -> Option<&KnownCustomer> {
        self.0.as_ref()
    }
}

impl KnownCustomer {
    fn take(&mut self, event: &CustomerEvent) {
        match event {
            CustomerEvent::CustomerRegistered(_) => {} // made this state
            CustomerEvent::CustomerRenamed(event) => self.name.clone_from(&event.name),
            CustomerEvent::CustomerEmailChanged(event) => self.email.clone_from(&event.email),
        }
    }
}

impl Aggregate for Customer {
    const STATE_VERSION: i32 = 1;
    type Event = CustomerEvent;
    type Refusal = CustomerRefusal;

    fn evolve(&mut self, event: &CustomerEvent) {
        if let CustomerEvent::CustomerRegistered(registered) = event {
            let (name, email) = (registered.name.clone(), registered.email.clone());
            self.0 = Some(KnownCustomer { name, email });
        } else if let Some(known) = &mut self.0 {
            known.take(event);
        }
    }
}
