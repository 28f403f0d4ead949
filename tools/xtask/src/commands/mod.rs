//! One module per command: its arguments and `run`.

pub(crate) mod down;
pub(crate) mod logs;
pub(crate) mod status;
pub(crate) mod up;
