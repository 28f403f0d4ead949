//! Alert rules as data: what is judged, by which limit, for how long, and how it is told.
//!
//! A rule computes nothing that could fail: it compares a figure with a limit. There are no
//! expressions in it, no patterns and no templates.

pub mod judging;
mod rule;
mod section;

pub use self::{
    rule::{Absent, Channel, Figure, Group, Rule, Severity, Source},
    section::{LOW_STOCK, RULE_ERROR, Rules, SILENT},
};
