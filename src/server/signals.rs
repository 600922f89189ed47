//! What the operating system tells a running gateway.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Returns at SIGTERM or SIGINT.
pub(super) async fn to_end() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be waited for: the default of the system holds");
        return std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Arrives each time the configuration is to be read anew.
pub(super) struct Hangups(Option<Signal>);

impl Hangups {
    /// From now on SIGHUP does not end the process.
    pub(super) fn expect() -> Self {
        let hangups = signal(SignalKind::hangup());
        Self(
            hangups
                .inspect_err(|error| tracing::error!(%error, "SIGHUP cannot be waited for: it ends the process"))
                .ok(),
        )
    }

    pub(super) async fn next(&mut self) {
        if let Some(hangups) = &mut self.0
            && hangups.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
