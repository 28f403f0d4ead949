//! `cargo xtask up`: a stack that stays up when this command ends.

use local_stack::Stack;

use crate::failure::Failure;
use crate::progress;
use crate::stack_args::StackArgs;

use super::status;

/// Arguments of `up`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    stack: StackArgs,
}

/// Starts what is missing and shows where everything is.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let stack = Stack::up(&args.stack.options(), progress::suitable().as_mut())?;
    status::show(&stack)
}
