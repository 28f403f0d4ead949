//! Showing an import while it runs: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::sleep;

use super::import::Counters;
use super::operator::Operator;

/// On a terminal. Each look starts a program, which costs the import a little.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Elsewhere: a log is read afterwards, and should be short.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Shows how far the import and the projections are, until it is dropped.
pub(crate) async fn watch(total: u64, counters: Arc<Counters>, operator: Operator) {
    let bar = stderr().is_terminal().then(|| bar(total));
    let began = Instant::now();
    loop {
        sleep(if bar.is_some() { LOOK_EVERY } else { LOG_EVERY }).await;
        // A status that cannot be had now can be had a second later.
        let lag = operator.status().await.map(|status| status.lag_events).ok();
        let line = line(&counters, began.elapsed(), lag);
        match &bar {
            Some(bar) => {
                bar.set_position(counters.answered.load(Ordering::Relaxed));
                bar.set_message(line);
            }
            None => eprintln!("{} of {total}, {line}", counters.answered.load(Ordering::Relaxed)),
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("  {bar:30} {pos}/{len}  {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

fn line(counters: &Counters, took: Duration, lag: Option<u64>) -> String {
    let answered = counters.answered.load(Ordering::Relaxed);
    let refused = counters.refused.load(Ordering::Relaxed);
    // Whole commands a second are exact enough for a display.
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = answered.saturating_mul(1000) / millis;
    let lag = lag.map_or_else(String::new, |lag| format!(", lag {lag} events"));
    format!("{rate} commands/s, {refused} refused{lag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_refusals_and_lag() {
        let counters = Counters::default();
        counters.answered.store(3_000, Ordering::Relaxed);
        counters.refused.store(2, Ordering::Relaxed);
        let took = Duration::from_secs(2);
        assert_eq!(line(&counters, took, Some(7)), "1500 commands/s, 2 refused, lag 7 events");
        assert_eq!(line(&counters, took, None), "1500 commands/s, 2 refused");
    }
}
