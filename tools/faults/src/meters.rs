//! What the services count about themselves, scraped while they live: a process that is killed
//! takes its counters with it, so the last values that were seen of it are kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;

use crate::failure::Failure;

/// What a kill may take unseen is what is counted within so long.
const SCRAPE_EVERY: Duration = Duration::from_millis(500);
/// A process that is frozen answers nothing.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);

/// The defences that a run hopes to see at work: its name in the summary, and the line of the
/// metrics that counts it.
const DEFENCES: [(&str, &str, &str); 4] = [
    ("stale compare-and-set refused", "factline_projection_refused_checkpoints_total", ""),
    ("repeat skipped", "factline_projection_events_total", "outcome=\"repeat\""),
    ("gap refilled", "factline_projection_refilled_events_total", ""),
    ("suffix re-sent", "factline_relay_resends_total", ""),
];

/// The last counters of every process that ever was, by its operators' address.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    seen: Mutex<BTreeMap<String, BTreeMap<&'static str, u64>>>,
    live: Mutex<Vec<String>>,
}

impl Meters {
    /// A process listens here from now on. Addresses are free ports, so a new process may have the
    /// number of a dead one: what that one counted is put aside.
    pub(crate) fn watch(&self, admin: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = seen.remove(admin) {
            let aside = format!("{admin} before {}", seen.len());
            seen.insert(aside, earlier);
        }
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|known| known != admin);
        live.push(admin.to_owned());
    }

    /// Scrapes for ever.
    ///
    /// # Errors
    /// There is no HTTP client.
    pub(crate) async fn run(self: Arc<Meters>) -> Result<(), Failure> {
        let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        loop {
            self.scrape(&client).await;
            tokio::time::sleep(SCRAPE_EVERY).await;
        }
    }

    async fn scrape(&self, client: &Client) {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for admin in live {
            let Ok(answer) = client.get(format!("{admin}/metrics")).send().await else { continue };
            let Ok(text) = answer.text().await else { continue };
            let counted = read(&text);
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(admin, counted);
        }
    }

    /// Every defence, summed over all processes.
    pub(crate) fn defences(&self) -> BTreeMap<String, u64> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |name: &str| seen.values().filter_map(|counted| counted.get(name)).sum();
        DEFENCES.iter().map(|(name, _, _)| ((*name).to_owned(), sum(name))).collect()
    }
}

/// Of an exposition in Prometheus' text format, the defences.
fn read(text: &str) -> BTreeMap<&'static str, u64> {
    let count = |metric: &str, label: &str| -> u64 {
        let lines = text.lines().filter(|line| {
            let rest = line.strip_prefix(metric);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    DEFENCES.iter().map(|(name, metric, label)| (*name, count(metric, label))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE factline_projection_events_total counter\n\
        factline_projection_events_total{projection=\"a\",outcome=\"repeat\"} 3\n\
        factline_projection_events_total{projection=\"b\",outcome=\"repeat\"} 4\n\
        factline_projection_events_total{projection=\"b\",outcome=\"applied\"} 900\n\
        factline_relay_resends_total{topic=\"t\"} 5\n";

    #[test]
    fn a_defence_is_summed_over_labels() {
        let counted = read(TEXT);
        assert_eq!(counted["repeat skipped"], 7);
        assert_eq!(counted["suffix re-sent"], 5);
        assert_eq!(counted["gap refilled"], 0);
    }

    #[test]
    fn what_a_killed_process_counted_is_kept_when_another_takes_its_port() {
        let meters = Meters::default();
        for _ in 0..2 {
            meters.watch("http://127.0.0.1:1");
            meters.seen.lock().unwrap().insert("http://127.0.0.1:1".to_owned(), read(TEXT));
        }
        assert_eq!(meters.defences()["repeat skipped"], 14);
    }
}
