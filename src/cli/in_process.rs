//! The admin API without a running gateway: the store opened, the node's lock taken, the same router in
//! this process (decision: the host socket speaks the admin API, and so does a command line alone).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::time::Instant;

use super::exit::Failure;
use crate::admin::{self, AdminState, Peer, peer};
use crate::clock::{Clock, SystemClock};
use crate::cluster::{InFlight, Subjects};
use crate::config::Settings;
use crate::config::settings::SecretsSettings;
use crate::provision::{self, Parts, Provision, sealing};
use crate::seal::Keyring;
use crate::server::{house, secrets};
use crate::store::{LockError, NodeLock, Store};

/// How a command names itself in the lock.
const COMMAND: &str = "a `locum` command";
/// How a gateway names itself there.
const GATEWAY: &str = "locum serve";
/// How long another command is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a command waits before it tries the lock again.
const PAUSE: Duration = Duration::from_millis(50);

/// A store that this process alone has, with the router on it.
pub(super) struct InProcess {
    pub(super) router: Router,
    pub(super) peer: Peer,
    store: Store,
    lock: NodeLock,
}

impl InProcess {
    /// Opens the store of a configuration and takes its lock.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Failure> {
        let files = &settings.secrets;
        let secrets = secrets::read(&files.pepper_file, &files.tombstone_key_file).map_err(Failure::failed)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = open_store(settings, Arc::clone(&clock)).await?;
        let uid = rustix::process::getuid().as_raw();
        let peer = Peer { uid, unix_user: peer::unix_user(uid).await };
        let keyring = match readable(&store, files).await {
            Ok(keyring) => keyring,
            Err(failure) => {
                store.close().await;
                return Err(failure);
            }
        };
        let lock = match take_lock(&store, &holder(&peer.unix_user)).await {
            Ok(lock) => lock,
            Err(error) => {
                store.close().await;
                return Err(refused(settings, &error));
            }
        };
        let provision = Provision::new(Parts {
            store: store.clone(),
            subjects: Subjects::new(),
            in_flight: InFlight::new(),
            counts: None,
            peppers: Arc::new(secrets.peppers),
            tombstones: Arc::new(secrets.tombstones),
            keyring,
            key_stores: secrets::key_stores_of(files),
            history_key: secrets::history_key_of(files),
            clock,
            random: Arc::new(house::random),
            settings: settings.provision(),
        });
        let configured = settings.apps.iter().map(|app| app.name().clone()).collect();
        provision::app::register(&provision, configured).await.map_err(Failure::failed)?;
        let mut state = AdminState::new(provision);
        state.own_uid = uid;
        Ok(Self { router: admin::router(state), peer, store, lock })
    }

    /// Closes the store and gives its lock back.
    pub(super) async fn close(self) {
        self.store.close().await;
        self.lock.release().await;
    }
}

/// The master key, which opens what the store holds sealed.
pub(super) async fn readable(store: &Store, files: &SecretsSettings) -> Result<Keyring, Failure> {
    let keyring = secrets::keyring(&files.master_key).map_err(Failure::failed)?;
    sealing::demand_readable(store, &keyring).await.map_err(Failure::failed)?;
    Ok(keyring)
}

/// How a command of this user names itself in the lock.
pub(super) fn holder(unix_user: &str) -> String {
    format!("{COMMAND} of {unix_user}, process {}", std::process::id())
}

/// Takes the node's lock. Another command is waited for, and so is who has not yet said its name: that is
/// over in a moment. A gateway is not waited for.
async fn take_lock(store: &Store, holder: &str) -> Result<NodeLock, LockError> {
    let started = Instant::now();
    loop {
        match NodeLock::take(store, holder).await {
            Err(LockError::Held { by }) if !by.starts_with(GATEWAY) && started.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            taken => return taken,
        }
    }
}

/// Opens the store that a configuration names.
pub(super) async fn open_store(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Store, Failure> {
    Store::open(&settings.store(), clock).await.map_err(Failure::failed)
}

fn refused(settings: &Settings, error: &LockError) -> Failure {
    Failure::Failed(match error {
        LockError::Held { by } => format!(
            "{by} is using the store, and nobody answers on the admin socket `{}`: wait until it is done, or end it",
            settings.admin.socket.display()
        ),
        LockError::Store(error) => error.to_string(),
    })
}
