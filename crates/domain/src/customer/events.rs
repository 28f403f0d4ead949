//! What can happen to a customer. The fields are those of the schema files, in their order.

use factline_core::{Sample, event_set};
use serde::{Deserialize, Serialize};

event_set! {
    /// Everything that can happen to a customer.
    pub enum CustomerEvent of "customer" {
        CustomerRegistered: "customer_registered.v1",
        CustomerRenamed: "customer_renamed.v1",
        CustomerEmailChanged: "customer_email_changed.v1",
    }
}

/// Somebody is a customer from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRegistered {
    /// What the customer is called.
    pub name: String,
    /// Where mail reaches the customer.
    pub email: String,
}

impl Sample for CustomerRegistered {
    fn sample() -> Self {
        Self { name: "Ada Lovelace".to_owned(), email: "ada@example.com".to_owned() }
    }
}

/// The customer is called otherwise from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRenamed {
    /// The name from now on.
    pub name: String,
}

impl Sample for CustomerRenamed {
    fn sample() -> Self {
        Self { name: "Ada King".to_owned() }
    }
}

/// Mail reaches the customer elsewhere from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerEmailChanged {
    /// The address from now on.
    pub email: String,
}

impl Sample for CustomerEmailChanged {
    fn sample() -> Self {
        Self { email: "ada.king@example.com".to_owned() }
    }
}
