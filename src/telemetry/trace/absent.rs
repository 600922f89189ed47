//! What stands for the sending of spans in a binary that cannot send any.

use super::queue::Traces;
use super::settings::Settings;

/// Nothing is sent.
#[derive(Debug)]
pub struct Exporting;

impl Exporting {
    /// The configuration has no settings for this binary: see [`super::AVAILABLE`].
    pub fn start(settings: Option<&Settings>, _random: impl FnMut(&mut [u8])) -> Self {
        if settings.is_some() {
            tracing::error!("this binary was built without the feature `otel`: no spans are sent");
        }
        Self
    }

    pub fn traces(&self) -> Option<Traces> {
        None
    }

    #[expect(clippy::unused_async, reason = "it has the shape of the one that sends")]
    pub async fn end(self) {}
}
