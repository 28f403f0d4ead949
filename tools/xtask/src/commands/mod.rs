//! One module per command: its arguments and `run`.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod down;
pub(crate) mod faults;
pub(crate) mod logs;
pub(crate) mod schemathesis;
pub(crate) mod status;
pub(crate) mod test;
pub(crate) mod up;
