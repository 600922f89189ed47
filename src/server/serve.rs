//! `locum serve`: open, build, bind, run, drain.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinHandle;

use super::acme::{Acme, AcmeError, Obtained};
use super::data_plane::{Changes, DataPlane, Limits, Stack};
use super::descriptors;
use super::dev::{self, DevError, EXAMPLE_UPSTREAM, Environment, StateFolder, welcome};
use super::dev_accounts::{self, AccountsError};
use super::example_app;
use super::house::{self, House, HouseError};
use super::listener::{self, ListenError};
use super::reload::{self, ReadAgain, Reloader, WatchedGateway};
use super::signals::{self, Hangups};
use super::tls::{Certificates, TlsError};
use crate::admin::{self, AdminState, SocketError};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::config::settings::Upstream;
use crate::gateway::{self, AppConnections, Gateway};
use crate::telemetry::log::{Log, LogFilter, LostLines};
use crate::telemetry::metrics::{Metrics, MetricsError};
use crate::telemetry::trace::{Exporting, Traces};

/// Threads of the control runtime.
const CONTROL_THREADS: usize = 2;
/// How often histograms are folded.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often the dates of certificates are looked at.
const WATCH: Duration = Duration::from_hours(12);

/// What is to be served.
#[expect(missing_debug_implementations, reason = "how settings are read again is a function")]
pub struct Serve {
    pub settings: Settings,
    /// How the settings are read again.
    pub read_again: ReadAgain,
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
    #[error("certificates cannot be obtained: {0}")]
    Acme(#[from] AcmeError),
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
        Self::Gateway(gateway::in_words(problems))
    }
}

/// Serves until it is told to end, by SIGTERM or SIGINT; a second signal ends at once.
///
/// # Errors
/// When it cannot start, or has to stop because it lost its store.
pub fn serve(what: Serve) -> Result<(), ServeError> {
    let Serve { settings, read_again, dev, log } = what;
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()?;
    let logging = Logging { filter: log.filter(), lost_lines: log.lost_lines() };
    let served = control.block_on(run(settings, read_again, dev, logging));
    control.shutdown_timeout(Duration::from_secs(5));
    drop(log);
    served
}

/// What a running gateway does with its log.
struct Logging {
    filter: LogFilter,
    lost_lines: LostLines,
}

async fn run(
    mut settings: Settings,
    mut read_again: ReadAgain,
    dev: Option<StateFolder>,
    logging: Logging,
) -> Result<(), ServeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Metrics::install()?;
    let mut hangups = Hangups::expect();
    if dev.is_some() {
        let example = example_app().await?;
        put_example_app(&mut settings, &example);
        read_again = with_example_app(read_again, example);
    }
    let house = House::open(&settings, &holder(&settings), Arc::clone(&clock)).await?;
    let accounts = match &dev {
        None => None,
        Some(folder) => Some(dev_accounts::ready(&house.provision, folder, &*clock).await?),
    };

    let threads = settings.server.threads.map_or_else(cores, |threads| threads.get() as usize);
    let listeners = listener::bind(settings.server.listen, threads)?;
    let address = listeners[0].local_addr()?;
    let open_files = descriptors::raise();
    let exporting = Exporting::start(settings.tracing.as_ref(), house::random);
    let app_connections = AppConnections::up_to(descriptors::for_apps(open_files));
    let parts = parts(&house, &clock, app_connections, exporting.traces());
    let gateway = Gateway::new(settings.gateway(), parts()).map_err(|problems| ServeError::gateway(&problems))?;
    let obtained = Obtained::default();
    let acme = settings.server.tls.as_ref().and_then(|tls| tls.acme.clone());
    let acme = acme.map(|settings| Acme::open(settings, &obtained, Arc::clone(&clock))).transpose()?;
    let entrance = reload::entrance(&settings.server, &obtained)?;
    let (certificates, dated) = watch::channel(entrance.tls.clone());
    let connections = settings.limits.connections.min(descriptors::for_clients(open_files));
    let limits = Limits { connections, ..settings.limits.clone() };
    let watched = WatchedGateway::begin(&gateway).await;
    let first = limits.with_tunnels(gateway.takes_upgrades());
    let started = DataPlane::start(listeners, &Arc::new(entrance), &first, move |core| gateway.stack(core));
    let (data_plane, changes) = started?;
    let reloader = Arc::new(Reloader {
        read_again,
        in_force: Mutex::new(settings.clone()),
        gateway: ArcSwap::from_pointee(watched),
        provision: house.provision.clone(),
        authn: house.authn.clone(),
        lockout: house.lockout.clone(),
        log: logging.filter,
        clock: Arc::clone(&clock),
        parts: Box::new(parts),
        connections,
        obtained,
        certificates,
        exchange: exchange(changes, Gateway::stack),
    });
    reload::taken_up_at(&*clock);
    let (stop_admin, admin) = serve_admin(&house, &settings, metrics.clone(), Arc::clone(&reloader)).await?;

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
    let upkeep = tokio::spawn(keep_up(metrics, logging.lost_lines));
    let watching = tokio::spawn(watch_dates(dated, clock));
    let obtaining = acme.map(|acme| tokio::spawn(acme.run()));

    let ended = wait_for_the_end(&house, &mut hangups, &reloader).await;
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    if ended.is_err() {
        house.in_flight.cut_all();
    }
    let shutdown_timeout = reloader.shutdown_timeout().await;
    let drained = tokio::task::spawn_blocking(move || data_plane.drain(shutdown_timeout));
    tokio::select! {
        drained = drained => drained.map_err(io::Error::other)?,
        () = signals::to_end() => tracing::warn!("a second signal: what was still running is dropped"),
    }
    exporting.end().await;
    upkeep.abort();
    watching.abort();
    if let Some(obtaining) = obtaining {
        obtaining.abort();
    }
    // The receiver is gone only when the admin API has ended by itself.
    if stop_admin.send(()).is_err() {
        tracing::debug!("the admin API had ended before");
    }
    admin.await.map_err(io::Error::other)?;
    drop(reloader);
    house.close().await;
    tracing::info!("ended");
    ended
}

/// What each gateway of this process stands on: the same, but for what its request ids begin with.
#[expect(clippy::similar_names, reason = "the two rooms are called so")]
fn parts(
    house: &House,
    clock: &Arc<dyn Clock>,
    app_connections: AppConnections,
    traces: Option<Traces>,
) -> impl Fn() -> gateway::Parts + Send + Sync + use<> {
    let (authn, authz) = (house.authn.clone(), house.authz.clone());
    let (in_flight, clock) = (house.in_flight.clone(), Arc::clone(clock));
    move || {
        let mut run = [0; 4];
        house::random(&mut run);
        gateway::Parts {
            authn: authn.clone(),
            authz: authz.clone(),
            in_flight: in_flight.clone(),
            clock: Arc::clone(&clock),
            app_connections: app_connections.clone(),
            run: u32::from_ne_bytes(run),
            traces: traces.clone(),
        }
    }
}

fn exchange<S: Stack>(changes: Changes<S>, make: fn(&Gateway, u16) -> S) -> reload::Exchange {
    Box::new(move |gateway, entrance, limits| {
        let changes = changes.clone();
        Box::pin(async move { changes.take_up(&entrance, &limits, move |core| make(&gateway, core)).await })
    })
}

async fn example_app() -> io::Result<Upstream> {
    let address = example_app::start().await?;
    Ok(Upstream::parse(&format!("http://{address}")).expect("an address of a socket is an upstream"))
}

fn put_example_app(settings: &mut Settings, built_in: &Upstream) {
    let example = Upstream::parse(EXAMPLE_UPSTREAM).expect("the constant is an upstream");
    let places = settings.apps.iter_mut().flat_map(|app| &mut app.upstreams).filter(|place| **place == example);
    places.for_each(|place| *place = built_in.clone());
}

fn with_example_app(read_again: ReadAgain, built_in: Upstream) -> ReadAgain {
    Arc::new(move || {
        let mut settings = read_again()?;
        put_example_app(&mut settings, &built_in);
        Ok(settings)
    })
}

async fn serve_admin(
    house: &House,
    settings: &Settings,
    metrics: Metrics,
    reloader: Arc<Reloader>,
) -> Result<(oneshot::Sender<()>, JoinHandle<()>), ServeError> {
    let (lockout, in_force) = (house.lockout.clone(), Arc::clone(&reloader));
    let mut state = AdminState::new(house.provision.clone());
    state.notes = Arc::new(move || {
        let mut notes = house::notes(&lockout);
        notes.extend(in_force.gateway.load().notes());
        Box::pin(std::future::ready(notes))
    });
    state.metrics = Some(metrics);
    state.reload = Some(Arc::new(move |request| {
        let reloader = Arc::clone(&reloader);
        Box::pin(async move { reloader.reload(Some(request)).await })
    }));
    let bound = admin::BoundSocket::bind(&settings.admin.socket).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = bound.serve(admin::router(state), async move {
        // An error means that the sender is gone: the same end.
        let _end = stopped.await;
    });
    Ok((stop, tokio::spawn(serving)))
}

/// Reads the configuration again as often as SIGHUP says so, until it is time to end.
async fn wait_for_the_end(house: &House, hangups: &mut Hangups, reloader: &Arc<Reloader>) -> Result<(), ServeError> {
    let mut to_end = std::pin::pin!(signals::to_end());
    loop {
        tokio::select! {
            () = &mut to_end => {
                tracing::info!("asked to end: no new connections, what runs may finish");
                return Ok(());
            }
            () = house.lock.lost() => {
                tracing::error!("the lock on the store was lost: serving stops at once");
                return Err(ServeError::LockLost);
            }
            // Beside this loop, which has more urgent things to hear of.
            () = hangups.next() => drop(tokio::spawn(reload_for_systemd(Arc::clone(reloader)))),
        }
    }
}

/// `systemctl reload` waits until the service says that it is ready again.
async fn reload_for_systemd(reloader: Arc<Reloader>) {
    match sd_notify::NotifyState::monotonic_usec_now() {
        Ok(now) => tell_systemd(&[sd_notify::NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "systemd could not be told"),
    }
    // What came of it is in the log and the metrics.
    let status = match reloader.reload(None).await {
        Ok(()) => "serving",
        Err(_reported) => "serving by an earlier configuration: the last one was not taken up, the log says why",
    };
    tell_systemd(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(status)]);
}

/// Says which certificates are, or will soon be, out of date: of every set at once, and from time to time.
async fn watch_dates(mut certificates: watch::Receiver<Option<Certificates>>, clock: Arc<dyn Clock>) {
    loop {
        let in_force = certificates.borrow_and_update().clone();
        if let Some(in_force) = in_force {
            in_force.meter();
            let now = clock.now();
            for warning in in_force.out_of_date(now).into_iter().chain(in_force.ending(now)) {
                tracing::warn!("{warning}");
            }
        }
        tokio::select! {
            changed = certificates.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(WATCH) => {}
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
