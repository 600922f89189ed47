//! Metrics: recorded anywhere by the `metrics` macros, rendered as Prometheus text on request.
//!
//! Labels come from small closed sets (outcome, app, route); never a username, which would let a
//! stranger grow the registry.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Bounds of the duration histograms, in seconds.
const DURATION_BOUNDS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

/// The registry of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Why metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("metrics could not be set up: {0}")]
pub struct MetricsError(#[from] BuildError);

impl Metrics {
    /// Becomes the recorder of the whole process.
    ///
    /// # Errors
    /// When the process already has a recorder.
    pub fn install() -> Result<Self, MetricsError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BOUNDS)?
            .install_recorder()?;
        Ok(Self(handle))
    }

    /// All metrics in the Prometheus text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Moves what the histograms collected into their buckets; called now and then, or their memory
    /// would grow between two renderings.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics(..)")
    }
}
