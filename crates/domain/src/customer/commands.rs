//! What can be asked of a customer. The customer's id is the stream's id and stands beside a
//! command, never in it.

use super::Customer;
use crate::values::{Email, Name};

command! {
    /// Makes a customer known.
    pub struct RegisterCustomer = "customer.register_customer" {
        /// What the customer is called.
        pub name: Name,
        /// Where mail reaches the customer.
        pub email: Email,
    }
}

command! {
    /// Changes what is given and leaves the rest.
    pub struct ChangeCustomer = "customer.change_customer" {
        /// What the customer is called from now on.
        pub name: Option<Name>,
        /// Where mail reaches the customer from now on.
        pub email: Option<Email>,
    }
}

command_set! {
    /// Everything that can be asked of a customer.
    pub enum CustomerCommand for Customer {
        RegisterCustomer,
        ChangeCustomer,
    }
}
