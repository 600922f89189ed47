//! Connections that stop speaking HTTP: WebSockets and other protocols behind an `Upgrade` (G1).
//!
//! ```text
//!   upgrade     what of a request asks for another protocol, read before hygiene removes it
//!   handshake   what the app is asked in its place, and what it has to answer
//!   origin      which pages may open a tunnel with a credential that the browser adds by itself
//!   settings    what an app's tunnels are held to
//!   lane        bytes from one side to the other, with room for what the other has not taken yet
//!   frames      where a frame of a WebSocket ends, and the frame that says goodbye
//!   relay       both lanes, until the sides end, fall silent, are cut or drained
//!   story       what is logged and counted of a tunnel
//! ```
//!
//! A request for a tunnel is judged as any other `GET`: nothing here decides who may come through. The
//! tunnel begins when the app has agreed in the protocol's own way, and not a byte earlier; any other
//! answer is an answer, after which both sides go on speaking HTTP (UP-002). What flows is not parsed, but
//! the heads of frames to the client are followed, so that a client that is cut is told why (decision 8).
//!
//! The guard of the request lives in the tunnel, so what runs can be cut until its end (R3). Whoever
//! serves the connection runs the tunnel: it stays in its client's place, and learns of the drain.

mod frames;
mod handshake;
mod lane;
mod origin;
mod relay;
mod settings;
mod story;
mod upgrade;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

pub(super) use handshake::{Asker, Handshake, Switch};
pub use origin::{Origin, OriginError};
pub use settings::TunnelSettings;
pub(super) use story::Told;
pub(super) use upgrade::UpgradeRequest;

use super::slots::Held;
use super::upstream::AppSide;
use crate::cluster::Guard;
use frames::Boundaries;
use relay::{End, Relay};
use story::Story;

/// How long the client's side may take to let go of its connection, once the answer that switches was sent.
const SWITCH: Duration = Duration::from_secs(10);

/// Two connections that are to be one.
pub struct Tunnel {
    client: OnUpgrade,
    app: AppSide,
    /// Its slot, and its place among what runs at the app.
    _held: Held,
    guard: Option<Arc<Guard>>,
    /// How long both sides may be silent.
    idle: Duration,
    websocket: bool,
    told: Told,
}

impl Tunnel {
    pub(super) fn new(
        switch: Switch,
        app: AppSide,
        held: Held,
        guard: Option<Arc<Guard>>,
        settings: &TunnelSettings,
        told: Told,
    ) -> Self {
        let (client, websocket) = (switch.client, switch.is_websocket);
        Self { client, app, _held: held, guard, idle: settings.idle, websocket, told }
    }

    /// Runs until a side ends or fails, both are silent for too long, the access is withdrawn, or
    /// `draining` says that the gateway ends. To be called once the answer that switches was sent.
    pub async fn run(self, draining: impl Future<Output = ()>) {
        let Self { client, app, _held, guard, idle, websocket, told } = self;
        let story = Story::begin(told);
        let client = match timeout(SWITCH, client).await {
            Ok(Ok(client)) => TokioIo::new(client),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client left before its tunnel began");
                return story.end(&End::NeverBegan, [0, 0]);
            }
            Err(_) => return story.end(&End::NeverBegan, [0, 0]),
        };
        let boundaries = websocket.then(Boundaries::default);
        let mut relay = Relay::new(client, app, boundaries, idle);
        let end = relay.run(guard.as_deref(), draining).await;
        let moved = relay.moved();
        // The app's side ends here, and what ran has left the register, however long the client takes.
        let goodbye = relay.into_goodbye(&end);
        drop(guard);
        story.end(&end, moved);
        if let Some(goodbye) = goodbye {
            goodbye.say().await;
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("websocket", &self.websocket).finish_non_exhaustive()
    }
}
