//! `locum serve`: open, build, bind, run, drain.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::data_plane::{DataPlane, Limits};
use super::descriptors;
use super::dev::{self, DevError, EXAMPLE_UPSTREAM, Environment, StateFolder};
use super::dev_accounts::{self, Accounts, AccountsError, TokenState};
use super::entrance::Entrance;
use super::example_app;
use super::house::{self, House, HouseError};
use super::listener::{self, ListenError};
use super::tls::{Certificates, TlsError};
use crate::admin::{self, AdminState, SocketError};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::config::settings::{ServerSettings, Upstream};
use crate::gateway::{self, AppConnections, Gateway, TrustedProxies};
use crate::telemetry::log::{Log, LostLines};
use crate::telemetry::metrics::{Metrics, MetricsError};

/// Threads of the control runtime.
const CONTROL_THREADS: usize = 2;
/// How often histograms are folded.
const UPKEEP: Duration = Duration::from_secs(5);

/// What is to be served.
#[derive(Debug)]
pub struct Serve {
    pub settings: Settings,
    /// The state folder of `--dev`.
    pub dev: Option<StateFolder>,
    /// Held until everything has ended.
    pub log: Log,
}

/// Why the gateway could not be started, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    House(#[from] HouseError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    AdminSocket(#[from] SocketError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error(transparent)]
    Dev(#[from] DevError),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error("the gateway could not be built: {0}")]
    Gateway(String),
    #[error("the lock on the store was lost, another process may hold it: this gateway has stopped serving")]
    LockLost,
    #[error("the system refused a thread or a socket: {0}")]
    System(#[from] io::Error),
}

impl ServeError {
    fn gateway(problems: &[gateway::Problem]) -> Self {
        Self::Gateway(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

/// Serves until it is told to end, by SIGTERM or SIGINT; a second signal ends at once.
///
/// # Errors
/// When it cannot start, or has to stop because it lost its store.
pub fn serve(what: Serve) -> Result<(), ServeError> {
    let Serve { settings, dev, log } = what;
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()?;
    let served = control.block_on(run(settings, dev, log.lost_lines()));
    control.shutdown_timeout(Duration::from_secs(5));
    drop(log);
    served
}

async fn run(mut settings: Settings, dev: Option<StateFolder>, lost_lines: LostLines) -> Result<(), ServeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Metrics::install()?;
    if dev.is_some() {
        put_example_app(&mut settings).await?;
    }
    let house = House::open(&settings, &holder(&settings), Arc::clone(&clock)).await?;
    let accounts = match &dev {
        None => None,
        Some(folder) => Some(dev_accounts::ready(&house.provision, folder, &*clock).await?),
    };

    let threads = settings.server.threads.map_or_else(cores, |threads| threads.get() as usize);
    let listeners = listener::bind(settings.server.listen, threads)?;
    let address = listeners[0].local_addr()?;
    let (stop_admin, admin) = serve_admin(&house, &settings, metrics.clone()).await?;
    let mut run = [0; 4];
    house::random(&mut run);
    let open_files = descriptors::raise();
    let parts = gateway::Parts {
        authn: house.authn.clone(),
        authz: house.authz.clone(),
        in_flight: house.in_flight.clone(),
        clock: Arc::clone(&clock),
        app_connections: AppConnections::up_to(descriptors::for_apps(open_files)),
        run: u32::from_ne_bytes(run),
    };
    let gateway = Gateway::new(settings.gateway(), parts).map_err(|problems| ServeError::gateway(&problems))?;
    let shutdown_timeout = settings.server.shutdown_timeout;
    let certificates = settings.server.tls.as_ref().map(Certificates::read).transpose()?;
    for warning in certificates.iter().flat_map(|certificates| certificates.out_of_date(clock.now())) {
        tracing::warn!("{warning}");
    }
    let entrance = entrance(&settings.server, certificates.as_ref())?;
    let limits = Limits { connections: descriptors::for_clients(open_files), ..Limits::default() };
    let data_plane =
        DataPlane::start(listeners, &Arc::new(entrance), &limits, shutdown_timeout, move |core| gateway.stack(core))?;

    if let (Some(folder), Some(accounts)) = (&dev, &accounts) {
        let environment = Environment {
            address,
            admin_socket: &settings.admin.socket,
            username: dev::USERNAME,
            token: &accounts.token,
        };
        folder.write_environment(&environment)?;
        welcome(folder, address, accounts)?;
    }
    tracing::info!(listen = %address, admin = %settings.admin.socket.display(), threads, "serving");
    tell_systemd(&[sd_notify::NotifyState::Ready]);
    let upkeep = tokio::spawn(keep_up(metrics, lost_lines));
    let reloading = tokio::spawn(read_again_on_sighup(certificates));

    let ended = wait_for_the_end(&house).await;
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    if ended.is_err() {
        house.in_flight.cut_all();
    }
    let drained = tokio::task::spawn_blocking(move || data_plane.drain());
    tokio::select! {
        drained = drained => drained.map_err(io::Error::other)?,
        () = a_signal() => tracing::warn!("a second signal: what was still running is dropped"),
    }
    upkeep.abort();
    reloading.abort();
    // The receiver is gone only when the admin API has ended by itself.
    if stop_admin.send(()).is_err() {
        tracing::debug!("the admin API had ended before");
    }
    admin.await.map_err(io::Error::other)?;
    house.close().await;
    tracing::info!("ended");
    ended
}

async fn put_example_app(settings: &mut Settings) -> Result<(), ServeError> {
    let example = Upstream::parse(EXAMPLE_UPSTREAM).expect("the constant is an upstream");
    let mut places = settings.apps.iter_mut().flat_map(|app| &mut app.upstreams).filter(|place| **place == example);
    let Some(first) = places.next() else { return Ok(()) };
    let address = example_app::start().await?;
    let built_in = Upstream::parse(&format!("http://{address}")).expect("an address of a socket is an upstream");
    *first = built_in.clone();
    places.for_each(|place| *place = built_in.clone());
    Ok(())
}

async fn serve_admin(
    house: &House,
    settings: &Settings,
    metrics: Metrics,
) -> Result<(oneshot::Sender<()>, tokio::task::JoinHandle<()>), ServeError> {
    let lockout = house.lockout.clone();
    let mut state = AdminState::new(house.provision.clone());
    state.notes = Arc::new(move || {
        let notes = house::notes(&lockout);
        Box::pin(std::future::ready(notes))
    });
    state.metrics = Some(metrics);
    let bound = admin::BoundSocket::bind(&settings.admin.socket).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = bound.serve(admin::router(state), async move {
        // An error means that the sender is gone: the same end.
        let _end = stopped.await;
    });
    Ok((stop, tokio::spawn(serving)))
}

async fn wait_for_the_end(house: &House) -> Result<(), ServeError> {
    tokio::select! {
        () = a_signal() => {
            tracing::info!("asked to end: no new connections, what runs may finish");
            Ok(())
        }
        () = house.lock.lost() => {
            tracing::error!("the lock on the store was lost: serving stops at once");
            Err(ServeError::LockLost)
        }
    }
}

async fn a_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be waited for: the default of the system holds");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// SIGHUP reads the certificates again, and nothing else: the configuration is read at the start only.
async fn read_again_on_sighup(certificates: Option<Certificates>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return tracing::error!("SIGHUP cannot be waited for: it ends the process");
    };
    while hangup.recv().await.is_some() {
        let Some(certificates) = certificates.clone() else {
            tracing::warn!(
                "SIGHUP: there are no certificates to read again; the configuration is read at the start only"
            );
            continue;
        };
        match tokio::task::spawn_blocking(move || certificates.read_again()).await {
            Ok(Ok(())) => tracing::info!("the certificates were read again: new connections are shown these"),
            Ok(Err(error)) => tracing::error!(%error, "the certificates were not read again: those in force stay"),
            Err(error) => tracing::error!(%error, "reading the certificates again failed: those in force stay"),
        }
    }
}

async fn keep_up(metrics: Metrics, lost_lines: LostLines) {
    let lost = metrics::counter!("locum_log_lines_lost_total");
    let mut tick = tokio::time::interval(UPKEEP);
    loop {
        tick.tick().await;
        lost.absolute(lost_lines.count());
        metrics.upkeep();
    }
}

fn entrance(settings: &ServerSettings, certificates: Option<&Certificates>) -> Result<Entrance, TlsError> {
    let proxies = &settings.hops.trusted;
    let proxy_protocol = if settings.proxy_protocol { proxies.clone() } else { TrustedProxies::default() };
    let tls = certificates.map(Certificates::server_config).transpose()?.map(Arc::new);
    Ok(Entrance { proxy_protocol, h2c: settings.h2c, tls })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn holder(settings: &Settings) -> String {
    format!("locum serve, process {}, admin socket {}", std::process::id(), settings.admin.socket.display())
}

fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

/// What a newcomer reads first. The token is shown once, when it was made.
fn welcome(folder: &StateFolder, address: SocketAddr, accounts: &Accounts) -> io::Result<()> {
    let (folder, address) = (shown(folder.path()), dev::reachable(address));
    let mut out = io::stdout().lock();
    let (bold, plain) = if io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    writeln!(out, "\n{bold}Locum is running{plain} on http://{address}, with everything it keeps in {folder}")?;
    match accounts.state {
        TokenState::New => {
            let token = accounts.token.as_str();
            writeln!(out, "\nTry it (the token is shown this once, and kept in {folder}/dev.env):\n")?;
            writeln!(out, "    curl -u '{}:{token}' http://{address}/hello\n", dev::USERNAME)?;
        }
        TokenState::Earlier => {
            writeln!(out, "\nTry it, with the token of the first start:\n")?;
            writeln!(out, "    . {folder}/dev.env && curl -u \"$LOCUM_USERNAME:$LOCUM_PAT\" \"$LOCUM_URL/hello\"\n")?;
        }
        TokenState::Shut => {
            writeln!(out, "\nThe proxy user `{}` was made inactive or deleted. To go on:\n", dev::USERNAME)?;
            writeln!(out, "    locum history --account {} --state {folder}", dev::USERNAME)?;
            writeln!(out, "    locum proxy-user activate {} --state {folder}", dev::USERNAME)?;
            writeln!(
                out,
                "    locum pat add {} --service 'trying Locum out' --confirm --state {folder}\n",
                dev::USERNAME
            )?;
        }
    }
    out.flush()
}

fn shown(path: &std::path::Path) -> String {
    let here: Option<PathBuf> = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(std::path::Path::to_path_buf));
    relative.map_or_else(|| path.display().to_string(), |relative| format!("./{}", relative.display()))
}
