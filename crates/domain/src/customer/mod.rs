//! The customers: one stream per customer, named by a UUID that whoever registers one brings along.
//!
//! [`CustomerCommand`]s flow in, [`Customer`] decides them, [`CustomerEvent`]s or a
//! [`CustomerRefusal`] flow out. Events say what somebody is called and where mail reaches them from
//! now on, never what it was before: personal data is written down as rarely as can be.

mod commands;
mod decisions;
mod events;
mod refusal;
mod state;

pub use commands::{ChangeCustomer, CustomerCommand, RegisterCustomer};
pub use events::{CustomerEmailChanged, CustomerEvent, CustomerRegistered, CustomerRenamed};
pub use refusal::CustomerRefusal;
pub use state::{Customer, KnownCustomer};
