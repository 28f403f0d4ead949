//! The process as a table: what each step asks for, what undoes it, and what a refusal means. Whatever
//! cannot be undone comes last.

use std::fmt;

/// A step of the process, forth or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Units of one line are put aside; for each line.
    Reserve,
    /// They are free again; for each line.
    Release,
    /// The order may be paid.
    Allocate,
    /// The order is given up.
    Cancel,
    /// The customer pays: awaited, not asked for.
    Payment,
    /// The money goes back.
    Refund,
    /// The units have left the house; for each line.
    Ship,
}

/// What a refusal with some code means. One that is not listed needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// This order cannot be fulfilled: undo what was done.
    GiveUp,
    /// The order has moved on, and its events say where to.
    MovedOn,
}

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What is done.
    pub step: Step,
    /// By which command; for a step that is awaited, another's.
    pub command: &'static str,
    /// What a refusal means, by its code.
    pub on_refusal: &'static [(&'static str, OnRefusal)],
    /// What undoes it. Its own is never there: an undoing is not undone.
    pub undone_by: Option<&'static Row>,
}

use OnRefusal::{GiveUp, MovedOn};

/// The process, in its order.
#[rustfmt::skip]
pub const STEPS: [Row; 4] = [
    Row {
        step: Step::Reserve, command: "inventory.reserve_stock",
        on_refusal: &[("insufficient_stock", GiveUp), ("item_discontinued", GiveUp), ("unknown_item", GiveUp)],
        undone_by: Some(&Row {
            step: Step::Release, command: "inventory.release_reservation",
            on_refusal: &[],
            undone_by: None,
        }),
    },
    Row {
        step: Step::Allocate, command: "order.allocate_order",
        on_refusal: &[("not_confirmed", MovedOn)],
        undone_by: Some(&Row {
            step: Step::Cancel, command: "order.cancel_order",
            on_refusal: &[("not_cancellable", MovedOn), ("version_mismatch", MovedOn)],
            undone_by: None,
        }),
    },
    Row {
        step: Step::Payment, command: "order.pay_order",
        on_refusal: &[],
        undone_by: Some(&Row {
            step: Step::Refund, command: "payment.refund",
            on_refusal: &[],
            undone_by: None,
        }),
    },
    Row {
        step: Step::Ship, command: "inventory.ship_reservation",
        on_refusal: &[],
        undone_by: None,
    },
];

/// Every line of the table, undoings too.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    STEPS.iter().flat_map(|row| [Some(row), row.undone_by]).flatten()
}

/// What a refusal of a step means; `None`: a person must look.
#[must_use]
pub fn on_refusal(step: Step, code: &str) -> Option<OnRefusal> {
    let row = rows().find(|row| row.step == step)?;
    row.on_refusal.iter().find(|(listed, _)| *listed == code).map(|(_, meaning)| *meaning)
}

impl Step {
    /// The first word of the step's name in an instance.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Release => "release",
            Self::Allocate => "allocate",
            Self::Cancel => "cancel",
            Self::Payment => "payment",
            Self::Refund => "refund",
            Self::Ship => "ship",
        }
    }

    /// Its name in an instance, with what it is about: `reserve/85123A`.
    pub(super) fn about(self, what: impl fmt::Display) -> String {
        format!("{}/{what}", self.as_str())
    }

    /// Reads a name; what it is about is empty for a step that is about the whole order.
    pub(super) fn read(name: &str) -> Option<(Self, &str)> {
        let (word, about) = name.split_once('/').unwrap_or((name, ""));
        let step = rows().map(|row| row.step).find(|step| step.as_str() == word)?;
        Some((step, about))
    }
}
