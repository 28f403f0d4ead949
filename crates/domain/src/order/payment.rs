//! How orders are paid.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::{FieldValue, InvalidFields, Shape};

/// How an order was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    /// With a credit or debit card.
    Card,
    /// By a bank transfer.
    Bank,
    /// From a wallet on a phone or a site.
    Wallet,
}

impl PaymentMethod {
    const ALL: [Self; 3] = [Self::Card, Self::Bank, Self::Wallet];

    /// The word on the wire and in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Bank => "bank",
            Self::Wallet => "wallet",
        }
    }
}

impl FieldValue for PaymentMethod {
    const SHAPE: Shape =
        Shape::Choice { words: &[Self::Card.as_str(), Self::Bank.as_str(), Self::Wallet.as_str()] };

    fn read(value: &Value) -> Result<Self, InvalidFields> {
        let named = Self::ALL.into_iter().find(|method| value == method.as_str());
        named.ok_or_else(|| InvalidFields::whole("must be card, bank or wallet"))
    }
}
