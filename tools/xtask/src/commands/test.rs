//! `cargo xtask test`: every test against a stack of its own, and one line that sums them up.
//!
//! Order: build everything once; bring up the stack `test`, empty; run unit tests, integration
//! tests, documentation tests, and last, one at a time, the end-to-end tests; take the stack down
//! in every case.

mod plan;
mod running;
mod tally;

use local_stack::StackOptions;

use crate::building;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::session::Session;
use crate::workspace;

use plan::Stage;
use running::Surroundings;
use tally::Tally;

/// The stack's name: never the demo's, so that both may run.
const STACK: &str = "test";

/// Arguments of `test`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Run only the tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// Runs the tests; fails when one of them does.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let tally = runtime.block_on(test(args.filter.as_deref()))?;
    tally.failures().iter().for_each(|failure| println!("failed: {failure}"));
    println!("{tally}");
    if tally.is_good() { Ok(()) } else { Err(Failure::already_told()) }
}

async fn test(filter: Option<&str>) -> Result<Tally, Failure> {
    let mut interrupt = Interrupt::listen()?;
    let packages = plan::features()?;
    let features = plan::arguments(&packages);
    let mut build = vec!["build", "--workspace", "--bins", "--tests", "--examples"];
    build.extend(features.iter().map(String::as_str));
    let built = building::build(&build, &mut interrupt).await?;
    let mut options = StackOptions::new(&workspace::root(), STACK);
    options.fresh = true;
    let work = async |session: &Session| {
        let surroundings = Surroundings::of(session, &built)?;
        run_stages(&built, &surroundings, &features, filter).await
    };
    Session::with(options, &mut interrupt, work).await
}

async fn run_stages(
    built: &[building::Built],
    surroundings: &Surroundings,
    features: &[String],
    filter: Option<&str>,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    for stage in [Stage::Unit, Stage::Integration, Stage::Documentation, Stage::EndToEnd] {
        if stage == Stage::Documentation {
            tally += running::documentation(surroundings, features, filter).await?;
            continue;
        }
        for test in plan::of_stage(built, stage) {
            tally += running::binary(test, stage, surroundings, filter).await?;
        }
    }
    Ok(tally)
}
