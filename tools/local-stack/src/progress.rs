//! How a caller watches a stack come up.

use std::time::Duration;

use crate::Component;

/// A piece of work that takes long enough to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Maven fetches the archives; only on the first run and after a version changed.
    Download,
    /// The archives are unpacked; only after a download.
    Unpack,
    /// A process is prepared, started and asked until it answers.
    Start(Component),
}

/// Told about steps in the order in which they happen, always from the thread that called
/// [`crate::Stack::up`]. Steps overlap: the five starts run side by side.
pub trait Progress {
    /// The step has begun.
    fn begin(&mut self, step: Step);
    /// Something changed within a running step: a few words, no full stop.
    fn note(&mut self, step: Step, text: &str);
    /// The step succeeded. A step that fails is never done; its error is what `up` returns.
    fn done(&mut self, step: Step, took: Duration);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&mut self, _step: Step) {}
    fn note(&mut self, _step: Step, _text: &str) {}
    fn done(&mut self, _step: Step, _took: Duration) {}
}
