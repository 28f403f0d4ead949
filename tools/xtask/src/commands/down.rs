//! `cargo xtask down`: no process of a stack is left.

use local_stack::{Component, Stack, StackOptions};

use crate::failure::Failure;
use crate::interrupt::interrupted;
use crate::stack_args::{StackName, known_stacks};
use crate::{strays, workspace};

/// Arguments of `down`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    stack: StackName,
    /// Every stack of this checkout
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// In place of a command that was interrupted: fails as that one would
    #[arg(long, hide = true)]
    interrupted: bool,
}

/// Ends the stack, or all of them; one that does not run is fine.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let names = if args.all { known_stacks()? } else { vec![args.stack.name.clone()] };
    for name in names {
        let root = StackOptions::new(&workspace::root(), &name).root;
        let services = root.canonicalize().map_or(0, |root| strays::end(&root));
        if services > 0 {
            println!("{name}: ended {services} processes that worked with it");
        }
        println!("{}", sentence(&name, &Stack::end(&root)?));
    }
    if args.interrupted { Err(interrupted()) } else { Ok(()) }
}

fn sentence(name: &str, ended: &[Component]) -> String {
    if ended.is_empty() {
        return format!("{name}: nothing was running");
    }
    let ended: Vec<&str> = ended.iter().map(|component| component.name()).collect();
    format!("{name}: ended {}", ended.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn down_says_what_it_ended() {
        assert_eq!(sentence("demo", &[]), "demo: nothing was running");
        let some = [Component::Kafka, Component::Redis];
        assert_eq!(sentence("demo", &some), "demo: ended kafka, redis");
    }
}
