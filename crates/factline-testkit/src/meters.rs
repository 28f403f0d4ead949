//! What the metrics of this process say: one recorder for all tests of a program, which their own
//! topics and groups tell apart.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// Every counter, gauge and histogram of this process. A metric is found by its name and by labels
/// that it must have; it may have more.
#[derive(Debug, Clone, Default)]
pub struct Meters(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    counters: Mutex<HashMap<Key, Arc<AtomicU64>>>,
    gauges: Mutex<HashMap<Key, Arc<AtomicU64>>>,
    histograms: Mutex<HashMap<Key, Arc<Observations>>>,
}

#[derive(Debug, Default)]
struct Observations(Mutex<Vec<f64>>);

impl Meters {
    /// The one of this process; call it before what is measured starts.
    pub fn install() -> Self {
        static INSTALLED: OnceLock<Meters> = OnceLock::new();
        let install = || {
            let meters = Meters::default();
            metrics::set_global_recorder(meters.clone()).unwrap();
            meters
        };
        INSTALLED.get_or_init(install).clone()
    }

    /// 0: it was never counted.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let found = find(&self.0.counters, name, labels);
        found.map_or(0, |count| count.load(Ordering::SeqCst))
    }

    /// `None`: it was never set.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = find(&self.0.gauges, name, labels);
        found.map(|bits| f64::from_bits(bits.load(Ordering::SeqCst)))
    }

    /// In the order in which they were made; none: it was never observed.
    pub fn observations(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let found = find(&self.0.histograms, name, labels);
        found.map(|seen| seen.0.lock().unwrap().clone()).unwrap_or_default()
    }
}

fn find<T>(
    metrics: &Mutex<HashMap<Key, Arc<T>>>,
    name: &str,
    labels: &[(&str, &str)],
) -> Option<Arc<T>> {
    let has = |key: &Key, (label, value): &(&str, &str)| {
        key.labels().any(|one| one.key() == *label && one.value() == *value)
    };
    let is_it = |key: &Key| key.name() == name && labels.iter().all(|label| has(key, label));
    let metrics = metrics.lock().unwrap();
    metrics.iter().find(|(key, _)| is_it(key)).map(|(_, metric)| Arc::clone(metric))
}

impl HistogramFn for Observations {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

impl Recorder for Meters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.0.counters.lock().unwrap();
        Counter::from_arc(Arc::clone(counters.entry(key.clone()).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut gauges = self.0.gauges.lock().unwrap();
        Gauge::from_arc(Arc::clone(gauges.entry(key.clone()).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut histograms = self.0.histograms.lock().unwrap();
        Histogram::from_arc(Arc::clone(histograms.entry(key.clone()).or_default()))
    }
}
