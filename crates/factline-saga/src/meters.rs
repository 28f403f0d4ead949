//! The sagas' metrics, each named once.

use metrics::{counter, gauge};

/// Inputs that instances were given, by what they are.
pub(crate) fn inputs(saga: &'static str, input: &'static str, count: usize) {
    counter!("factline_saga_inputs_total", "saga" => saga, "input" => input)
        .increment(count as u64);
}

/// Attempts to carry a command out, by how they ended.
pub(crate) fn attempts(saga: &'static str, outcome: &'static str, count: usize) {
    counter!("factline_saga_attempts_total", "saga" => saga, "outcome" => outcome)
        .increment(count as u64);
}

/// An instance has come to need a person.
pub(crate) fn attention(saga: &'static str, count: usize) {
    counter!("factline_saga_attention_total", "saga" => saga).increment(count as u64);
}

/// An act of an operator was finished.
pub(crate) fn operator_act(saga: &'static str, act: &'static str, outcome: &'static str) {
    counter!(
        "factline_saga_operator_acts_total", "saga" => saga, "act" => act, "outcome" => outcome
    )
    .increment(1);
}

/// Open instances of all processes, as the database counts them.
#[allow(clippy::cast_precision_loss)] // far below 2^53
pub(crate) fn open(saga: &'static str, running: i64, needs_attention: i64, stuck: i64) {
    gauge!("factline_saga_running", "saga" => saga).set(running as f64);
    gauge!("factline_saga_needs_attention", "saga" => saga).set(needs_attention as f64);
    gauge!("factline_saga_stuck", "saga" => saga).set(stuck as f64);
}

/// So that each counter is there before its first event.
pub(crate) fn announce(saga: &'static str) {
    for input in ["fact", "answer", "timer"] {
        inputs(saga, input, 0);
    }
    for outcome in ["accepted", "refused", "later", "superseded"] {
        attempts(saga, outcome, 0);
    }
    attention(saga, 0);
}
