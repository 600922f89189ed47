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

/// A signal that can come again and again, and does not end the process any more.
pub(super) struct Wishes(Option<Signal>);

impl Wishes {
    /// SIGHUP: read the configuration again.
    pub(super) fn to_reload() -> Self {
        Self::expect(SignalKind::hangup(), "SIGHUP")
    }

    /// SIGUSR2: let a new process take the place of this one.
    pub(super) fn to_restart() -> Self {
        Self::expect(SignalKind::user_defined2(), "SIGUSR2")
    }

    fn expect(kind: SignalKind, name: &str) -> Self {
        let signal = signal(kind);
        Self(
            signal
                .inspect_err(|error| tracing::error!(%error, "{name} cannot be waited for: it ends the process"))
                .ok(),
        )
    }

    pub(super) async fn next(&mut self) {
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
