//! What every bench measures with: in flow workers that do something again and again, out flows how
//! often they did it, how long each took, and what it cost which process.
//!
//! A cell is warmed first and then measured for a fixed time, while all its workers keep going; so
//! neither the first connections nor the last stragglers are in the figures.

mod cpu;
mod gauge;
mod schedule;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::sleep;

pub use cpu::{CpuTime, Meter, ProcessTree};
pub use gauge::{Gauge, Latency, Notes};
pub use schedule::{Due, pace};

/// How long a cell is warmed, and then measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Long enough for connections, caches and prepared statements.
    pub warm: Duration,
    /// What counts.
    pub measure: Duration,
}

/// What a cell came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Things done while it was measured.
    pub units: u64,
    /// How long that was.
    pub seconds: f64,
    /// How long each took.
    pub latency: Latency,
    /// What each process spent meanwhile.
    pub cpu: Vec<CpuTime>,
}

impl Measured {
    /// Things done in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        as_f64(self.units) / self.seconds
    }

    /// Microseconds of CPU for one thing done, by process.
    #[must_use]
    pub fn cpu_us_per_unit(&self) -> Vec<(String, f64)> {
        let units = as_f64(self.units.max(1));
        self.cpu.iter().map(|cpu| (cpu.process.clone(), cpu.seconds * 1e6 / units)).collect()
    }
}

/// Why a cell has no figures.
#[derive(Debug)]
pub enum LoadFault<E> {
    /// A worker could not go on.
    Worker(E),
    /// A worker panicked.
    Panicked,
}

impl<E: fmt::Display> fmt::Display for LoadFault<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadFault::Worker(error) => write!(formatter, "a worker could not go on: {error}"),
            LoadFault::Panicked => formatter.write_str("a worker panicked"),
        }
    }
}

/// Runs workers, each of which notes in the gauge what it does until the gauge is over. `around` is
/// called at the first and at the last moment of the measured time.
///
/// # Errors
/// A worker failed: the cell is void.
pub async fn measure<E, W>(
    gauge: &Arc<Gauge>,
    pace: Pace,
    meter: &Meter,
    workers: impl IntoIterator<Item = W>,
    around: impl AsyncFnMut(),
) -> Result<Measured, LoadFault<E>>
where
    E: Send + 'static,
    W: Future<Output = Result<(), E>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for worker in workers {
        running.spawn(worker);
    }
    let measured = tokio::select! {
        measured = watch(gauge, pace, meter, around) => Ok(measured),
        failed = first_failure(&mut running) => Err(failed),
    };
    gauge.end();
    let measured = measured?;
    while let Some(ended) = running.join_next().await {
        ended.map_err(|_| LoadFault::Panicked)?.map_err(LoadFault::Worker)?;
    }
    Ok(measured)
}

async fn watch(
    gauge: &Gauge,
    pace: Pace,
    meter: &Meter,
    mut around: impl AsyncFnMut(),
) -> Measured {
    sleep(pace.warm).await;
    around().await;
    let before = meter.read();
    let began = Instant::now();
    gauge.begin();
    sleep(pace.measure).await;
    let units = gauge.units();
    let seconds = began.elapsed().as_secs_f64();
    let cpu = meter.since(&before);
    around().await;
    Measured { units, seconds, latency: gauge.latency(), cpu }
}

/// Waits for a worker that fails; for ever when all of them end well.
async fn first_failure<E: 'static>(running: &mut JoinSet<Result<(), E>>) -> LoadFault<E> {
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return LoadFault::Worker(error),
            Err(_) => return LoadFault::Panicked,
        }
    }
    std::future::pending().await
}

/// Counts here stay far below 2^53, where a float is exact.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}
