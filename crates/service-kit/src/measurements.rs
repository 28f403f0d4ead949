//! Metrics: in flow the `metrics` facade's calls, out flows Prometheus text.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::ServiceError;

/// Upper bounds of every `…_seconds` histogram: 0.5 ms, a commit on a fast disk, to 30 s, where
/// every deadline has passed. 2 s is what readers of a view are promised.
const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The process's recorder, installed by the first call.
pub(crate) fn install() -> Result<PrometheusHandle, ServiceError> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    Ok(RECORDER.get_or_init(|| handle).clone())
}
