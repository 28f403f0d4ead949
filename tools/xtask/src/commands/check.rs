//! `cargo xtask check`: everything that can be found out about the code without running it.
//!
//! In: the files of the checkout, as git lists them. Out: every problem of every check, together.

mod benchmarks;
mod boundaries;
mod dependencies;
mod documents;
mod released;
mod schemas;
mod sizes;
mod tree;

use crate::building::cargo;
use crate::failure::Failure;
use crate::workspace;

use super::bench::PEERS;
use tree::Tree;

/// Arguments of `check`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Leave out what compiles: clippy and rustdoc
    #[arg(long)]
    fast: bool,
}

/// Something that must be changed, told so that a person finds the place: `path:line: what`.
pub(crate) type Problem = String;

/// Runs every check, shows what each found, and fails when any found a problem.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let tree = Tree::of(&workspace::root())?;
    let mut problems = 0;
    let mut report = |check: &str, found: Vec<Problem>| {
        let outcome = if found.is_empty() { "fine" } else { "not fine" };
        println!("{check}: {outcome}");
        found.iter().for_each(|problem| println!("  {problem}"));
        problems += found.len();
    };
    let mut format = command(&["fmt", "--all", "--check"], &[])?;
    format.extend(command(&["fmt", "--manifest-path", PEERS, "--check"], &[])?);
    report("format", format);
    report("boundaries", boundaries::problems(&tree));
    report("dependencies", dependencies::problems(&dependencies::read()?));
    report("schemas", schemas::problems(&tree, &schemas::committed()?));
    report("released schemas", released::problems(&tree, &released::ever_recorded()?));
    report("documents", documents::problems(&tree));
    report("benchmarks", benchmarks::problems(&tree));
    let sizes = sizes::of(&tree);
    report("file sizes", sizes.problems);
    sizes.long.iter().for_each(|file| println!("  (long, and allowed: {file})"));
    if !args.fast {
        let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
        report("clippy", command(&clippy, &[])?);
        let rustdoc = ["doc", "--workspace", "--no-deps", "--document-private-items"];
        let as_errors =
            [("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private-intra-doc-links")];
        report("rustdoc", command(&rustdoc, &as_errors)?);
    }
    match problems {
        0 => Ok(()),
        1 => Err(Failure::new("1 problem was found")),
        many => Err(Failure::new(format!("{many} problems were found"))),
    }
}

/// Runs cargo, whose output tells the details.
fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Vec<Problem>, Failure> {
    let mut cargo = cargo();
    let status = cargo.args(arguments).envs(environment.iter().copied()).as_std_mut().status()?;
    let told = format!("cargo {} failed: see above", arguments.join(" "));
    Ok(if status.success() { Vec::new() } else { vec![told] })
}
