//! A customer's no.

use factline_core::{Refusal, RefusalKind};

/// Why a customer refuses a command. Nothing was written; the same command may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustomerRefusal {
    /// There is such a customer already.
    #[error("the customer exists already")]
    CustomerExists,
    /// There is no such customer.
    #[error("there is no such customer")]
    UnknownCustomer,
}

impl Refusal for CustomerRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::CustomerExists => "customer_exists",
            Self::UnknownCustomer => "unknown_customer",
        }
    }

    fn kind(&self) -> RefusalKind {
        match self {
            Self::CustomerExists => RefusalKind::Exists,
            Self::UnknownCustomer => RefusalKind::Unknown,
        }
    }
}
