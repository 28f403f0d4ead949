//! Showing how a stack comes up: moving lines on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use local_stack::{Component, Progress, Step};

/// What suits the place that standard error goes to.
pub(crate) fn suitable() -> Box<dyn Progress> {
    if stderr().is_terminal() { Box::new(Moving::default()) } else { Box::new(Plain) }
}

fn title(step: Step) -> &'static str {
    match step {
        Step::Download => "downloading",
        Step::Unpack => "unpacking",
        Step::Start(Component::Kafka) => "kafka",
        Step::Start(Component::Registry) => "registry",
        Step::Start(Component::Postgres) => "postgres",
        Step::Start(Component::Redis) => "redis",
        Step::Start(Component::Mail) => "mail",
    }
}

fn finished(step: Step, took: Duration) -> String {
    let what = match step {
        Step::Download | Step::Unpack => "done",
        Step::Start(_) => "ready",
    };
    format!("{what} after {:.1} s", took.as_secs_f32())
}

/// A line per step, written over while the step lasts.
#[derive(Default)]
struct Moving {
    lines: MultiProgress,
    bars: HashMap<Step, ProgressBar>,
}

impl Progress for Moving {
    fn begin(&mut self, step: Step) {
        // Often enough to look alive, seldom enough to cost nothing.
        const TURN_EVERY: Duration = Duration::from_millis(120);
        let bar = self.lines.add(ProgressBar::new_spinner());
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix:<12} {elapsed:>4} {wide_msg}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(title(step));
        bar.set_message("starting");
        bar.enable_steady_tick(TURN_EVERY);
        self.bars.insert(step, bar);
    }

    fn note(&mut self, step: Step, text: &str) {
        if let Some(bar) = self.bars.get(&step) {
            bar.set_message(text.to_owned());
        }
    }

    fn done(&mut self, step: Step, took: Duration) {
        if let Some(bar) = self.bars.remove(&step) {
            if let Ok(style) = ProgressStyle::with_template("  {prefix:<12} {wide_msg}") {
                bar.set_style(style);
            }
            bar.finish_with_message(finished(step, took));
        }
    }
}

/// A line when a step begins and one when it is done; a download's files are left out.
struct Plain;

impl Progress for Plain {
    fn begin(&mut self, step: Step) {
        match step {
            Step::Download => eprintln!("downloading: the first run fetches about 250 MB"),
            Step::Unpack => eprintln!("unpacking"),
            Step::Start(component) => eprintln!("{component}: starting"),
        }
    }

    fn note(&mut self, step: Step, text: &str) {
        if let Step::Start(component) = step {
            eprintln!("{component}: {text}");
        }
    }

    fn done(&mut self, step: Step, took: Duration) {
        eprintln!("{}: {}", title(step), finished(step, took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_ready_and_a_download_is_done() {
        let took = Duration::from_millis(3_240);
        assert_eq!(finished(Step::Start(Component::Kafka), took), "ready after 3.2 s");
        assert_eq!(finished(Step::Download, took), "done after 3.2 s");
    }
}
