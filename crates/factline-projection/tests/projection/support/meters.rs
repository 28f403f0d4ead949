//! What the metrics of this process say: a recorder for all tests of the program, whose topics tell
//! them apart.

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

#[derive(Clone, Default)]
pub struct Meters(Arc<Inner>);

#[derive(Default)]
struct Inner {
    gauges: Mutex<HashMap<Key, Arc<AtomicU64>>>,
    histograms: Mutex<HashMap<Key, Arc<Observations>>>,
}

#[derive(Default)]
struct Observations(Mutex<Vec<f64>>);

impl Meters {
    /// The one of this process; call it before the first projector starts.
    pub fn install() -> Self {
        static INSTALLED: OnceLock<Meters> = OnceLock::new();
        let install = || {
            let meters = Meters::default();
            metrics::set_global_recorder(meters.clone()).unwrap();
            meters
        };
        INSTALLED.get_or_init(install).clone()
    }

    /// `None`: it was never set.
    pub fn gauge(&self, name: &str, topic: &str, partition: i32) -> Option<f64> {
        let gauges = self.0.gauges.lock().unwrap();
        let found = gauges.iter().find(|(key, _)| is_of(key, name, topic, partition));
        found.map(|(_, bits)| f64::from_bits(bits.load(Ordering::SeqCst)))
    }

    pub fn observations(&self, name: &str, topic: &str, partition: i32) -> Vec<f64> {
        let histograms = self.0.histograms.lock().unwrap();
        let found = histograms.iter().find(|(key, _)| is_of(key, name, topic, partition));
        found.map(|(_, seen)| seen.0.lock().unwrap().clone()).unwrap_or_default()
    }
}

fn is_of(key: &Key, name: &str, topic: &str, partition: i32) -> bool {
    let partition = partition.to_string();
    let has = |label: &str, value: &str| {
        key.labels().any(|one| one.key() == label && one.value() == value)
    };
    key.name() == name && has("topic", topic) && has("partition", &partition)
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

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
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
