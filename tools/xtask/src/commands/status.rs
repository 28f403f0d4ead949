//! `cargo xtask status`: what runs, where it is and whether it answers.

use local_stack::{ComponentState, ComponentStatus, Stack, StackOptions};

use crate::failure::Failure;
use crate::stack_args::known_stacks;
use crate::workspace;

/// Arguments of `status`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only the stack of this name
    #[arg(long)]
    name: Option<String>,
}

/// Shows every stack of this checkout, or the one that is named.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let names = match &args.name {
        Some(name) => vec![name.clone()],
        None => known_stacks()?,
    };
    if names.is_empty() {
        println!("no stack has been up yet: start one with `cargo xtask up`");
    }
    for name in names {
        let options = StackOptions::new(&workspace::root(), &name);
        match Stack::attach(&options.root)? {
            Some(stack) => show(&stack)?,
            None => println!("{name}: down"),
        }
    }
    Ok(())
}

/// Prints one stack's components, a line each.
pub(crate) fn show(stack: &Stack) -> Result<(), Failure> {
    println!("{}: {}", stack.name(), stack.root().display());
    for status in stack.status()? {
        println!("{}", line(&status));
    }
    Ok(())
}

fn line(status: &ComponentStatus) -> String {
    let answers = if status.answers { "answers" } else { "does not answer" };
    let state = match status.state {
        ComponentState::Running(pid) => format!("{answers} (process {pid})"),
        ComponentState::Paused(pid) => format!("paused (process {pid})"),
        ComponentState::Stopped => "down".to_owned(),
        ComponentState::External => format!("{answers} (from outside)"),
    };
    format!("  {:<9} {:<45} {state}", status.component, status.address)
}

#[cfg(test)]
mod tests {
    use local_stack::Component;

    use super::*;

    #[test]
    fn a_line_says_where_a_component_is_and_whether_it_answers() {
        let status = ComponentStatus {
            component: Component::Kafka,
            state: ComponentState::Running(4711),
            answers: true,
            address: "127.0.0.1:19092".to_owned(),
            log: None,
        };
        let words: Vec<String> = line(&status).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words.join(" "), "kafka 127.0.0.1:19092 answers (process 4711)");
    }
}
