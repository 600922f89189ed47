//! `locum serve`: open, build, bind, run, drain.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::acme::{Acme, AcmeError, Obtained};
use super::administration::{admin_state, serve_admin, serve_network};
use super::data_plane::{Changes, DataPlane, Limits, Stack};
use super::descriptors;
use super::dev::{self, DevError, EXAMPLE_UPSTREAM, Environment, StateFolder, welcome};
use super::dev_accounts::{self, AccountsError};
use super::example_app;
use super::house::{self, House, HouseError};
use super::inherited::{Inherited, InheritedError};
use super::listener::{self, ListenError};
use super::monitoring::{self, Readiness};
use super::reload::{self, ReadAgain, Reloader, WatchedGateway};
use super::restart::{Program, Restarter, Sockets};
use super::signals::{self, Wishes};
use super::tls::{Certificates, TlsError};
use crate::admin::{Afterwards, BoundSocket, SocketError};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::config::settings::Upstream;
use crate::gateway::{self, AppConnections, Gateway};
use crate::telemetry::log::{Log, LogFilter, LostLines};
use crate::telemetry::metrics::{Metrics, MetricsError};
use crate::telemetry::trace::{Exporting, Traces};

/// Threads of the control runtime.
const CONTROL_THREADS: usize = 2;
/// How long a restart lets answers say that their connection ends, before nobody is accepted any more: so long that
/// a client that keeps asking is told.
const TURN: Duration = Duration::from_millis(500);
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
    /// What was listened on before this process was.
    pub inherited: Inherited,
    /// What is started in the place of this process, when it is told to restart.
    pub program: Program,
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
    Inherited(#[from] InheritedError),
    #[error(transparent)]
    AdminSocket(#[from] SocketError),
    #[error("the new process could not begin, and this one has ended: {0}")]
    Restart(io::Error),
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

/// Serves until it is told to end, by SIGTERM or SIGINT; a second signal ends at once. Told to restart, by SIGUSR2 or
/// on the admin socket, it does not return: another program goes on in its place.
///
/// # Errors
/// When it cannot start, has to stop because it lost its store, or nothing can go on in its place.
pub fn serve(what: Serve) -> Result<(), ServeError> {
    let Serve { settings, read_again, dev, inherited, program, log } = what;
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()?;
    let logging = Logging { filter: log.filter(), lost_lines: log.lost_lines() };
    let start = Start { settings, read_again, dev, inherited, program: program.clone(), logging };
    let served = control.block_on(run(start));
    control.shutdown_timeout(Duration::from_secs(5));
    drop(log);
    match served? {
        None => Ok(()),
        Some(sockets) => Err(ServeError::Restart(program.become_new(sockets))),
    }
}

/// What a running gateway does with its log.
struct Logging {
    filter: LogFilter,
    lost_lines: LostLines,
}

/// What is served, once there is a log.
struct Start {
    settings: Settings,
    read_again: ReadAgain,
    dev: Option<StateFolder>,
    inherited: Inherited,
    program: Program,
    logging: Logging,
}

/// Why serving comes to its end.
enum End {
    Asked,
    LockLost,
    /// The next process is to begin, with these sockets.
    Restart(Vec<OwnedFd>),
}

/// Answers with the sockets for the next process, where there is to be one.
async fn run(start: Start) -> Result<Option<Vec<OwnedFd>>, ServeError> {
    let (mut reloads, mut restarts) = (Wishes::to_reload(), Wishes::to_restart());
    let Start { mut settings, mut read_again, dev, inherited, program, logging } = start;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Metrics::install()?;
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
    let bound = Bound::by(&settings, threads, inherited).await?;
    let address = bound.clients[0].local_addr()?;
    let open_files = descriptors::raise();
    let exporting = Exporting::start(settings.tracing.as_ref(), house::random);
    let app_connections = AppConnections::up_to(descriptors::for_apps(open_files));
    let parts = parts(&house, &clock, app_connections, exporting.traces());
    let gateway = Gateway::new(settings.gateway(), parts()).map_err(|problems| ServeError::gateway(&problems))?;
    let obtained = Obtained::default();
    let acme = settings.server.tls.as_ref().and_then(|tls| tls.acme.clone());
    let acme = acme.map(|settings| Acme::open(settings, &obtained, Arc::clone(&clock))).transpose()?;
    let entrance = reload::entrance(&settings.server, &obtained)?;
    let admin_shown = reload::admin_shown(&settings)?.map(|shown| Arc::new(ArcSwap::new(shown)));
    let (certificates, dated) = watch::channel(entrance.tls.clone());
    let connections = settings.limits.connections.min(descriptors::for_clients(open_files));
    let limits = Limits { connections, ..settings.limits.clone() };
    let watched = WatchedGateway::begin(&gateway).await;
    let first = limits.with_tunnels(gateway.takes_upgrades());
    let dealt = listener::deal(&bound.clients, threads)?;
    let started = DataPlane::start(dealt, &Arc::new(entrance), &first, move |core| gateway.stack(core));
    let (data_plane, changes) = started?;
    let reloader = Arc::new(Reloader {
        read_again,
        in_force: ArcSwap::from_pointee(settings.clone()),
        turn: Mutex::new(()),
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
        admin_shown,
        exchange: exchange(changes, Gateway::stack),
    });
    reload::taken_up_at(&*clock);
    let (restarter, mut begins) = Restarter::new(program, bound.handles(&settings, threads)?);
    let restarter = Arc::new(restarter);
    // A client would wait in a socket for as long as anybody has a handle on it.
    drop(bound.clients);
    let state = admin_state(&house, metrics.clone(), &reloader, &restarter);
    let network =
        bound.network.map(|listener| serve_network(listener, &settings, &reloader, state.clone())).transpose()?;
    let (stop_admin, admin) = serve_admin(bound.admin, state);
    let readiness = Arc::new(Readiness::new(house.store.clone(), house.lockout.clone()));
    let monitoring = bound.monitoring.map(|listener| monitor(listener, &readiness, metrics.clone())).transpose()?;

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
    let keep_up = keep_up(metrics, logging.lost_lines, Arc::clone(&reloader));
    let mut upkeep = vec![tokio::spawn(keep_up), tokio::spawn(watch_dates(dated, clock))];
    upkeep.extend(acme.map(|acme| tokio::spawn(acme.run())));

    let end = tokio::select! {
        end = wait_for_the_end(&house, &mut begins) => end,
        () = hear_wishes(&mut reloads, &mut restarts, &reloader, &restarter) => End::Asked,
    };
    let running = Running {
        house,
        data_plane,
        reloader,
        restarter,
        readiness,
        monitoring,
        exporting,
        upkeep,
        network,
        stop_admin,
        admin,
    };
    running.wind_up(end).await
}

/// What has to end in its order.
struct Running {
    house: House,
    data_plane: DataPlane,
    reloader: Arc<Reloader>,
    restarter: Arc<Restarter>,
    readiness: Arc<Readiness>,
    monitoring: Option<JoinHandle<()>>,
    exporting: Exporting,
    /// What goes on beside, and may end at any time.
    upkeep: Vec<JoinHandle<()>>,
    /// The admin API over the network, and what ends it.
    network: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    stop_admin: oneshot::Sender<Afterwards>,
    admin: JoinHandle<()>,
}

impl Running {
    /// Answers with the sockets for the next process, where there is to be one.
    async fn wind_up(self, end: End) -> Result<Option<Vec<OwnedFd>>, ServeError> {
        let Self {
            house,
            data_plane,
            reloader,
            restarter,
            readiness,
            monitoring,
            exporting,
            upkeep,
            network,
            stop_admin,
            admin,
        } = self;
        let (shutdown_delay, shutdown_timeout) = reloader.shutdown();
        match &end {
            End::Asked | End::LockLost => {
                readiness.end();
                restarter.give_up_sockets();
                tell_systemd(&[sd_notify::NotifyState::Stopping]);
            }
            End::Restart(_) => tell_systemd_of_reload(),
        }
        let turn = match &end {
            End::LockLost => Duration::ZERO,
            End::Asked => shutdown_delay,
            End::Restart(_) => TURN,
        };
        if !turn.is_zero() {
            data_plane.turn();
            tokio::select! {
                () = tokio::time::sleep(turn) => {}
                () = signals::to_end() => tracing::warn!("a second signal: nobody is accepted any more"),
            }
        }
        if matches!(end, End::LockLost) {
            house.in_flight.cut_all();
        }
        let drained = tokio::task::spawn_blocking(move || data_plane.drain(shutdown_timeout));
        let ended_at_once = tokio::select! {
            drained = drained => drained.map(|()| false).map_err(io::Error::other)?,
            () = signals::to_end() => {
                tracing::warn!("a second signal: what was still running is dropped");
                true
            }
        };
        exporting.end().await;
        upkeep.iter().for_each(JoinHandle::abort);
        if let Some(monitoring) = monitoring {
            monitoring.abort();
            // It ends by being aborted.
            drop(monitoring.await);
        }
        if let Some((stop, network)) = network {
            // Dropped, it ends as well.
            drop(stop);
            network.await.map_err(io::Error::other)?;
        }
        // The receiver is gone only when the admin API has ended by itself.
        let goes_on = matches!(end, End::Restart(_)) && !ended_at_once;
        let afterwards = if goes_on { Afterwards::Keep } else { Afterwards::Remove };
        if stop_admin.send(afterwards).is_err() {
            tracing::debug!("the admin API had ended before");
        }
        admin.await.map_err(io::Error::other)?;
        drop((reloader, restarter, readiness));
        house.close().await;
        match end {
            End::LockLost => Err(ServeError::LockLost),
            End::Restart(sockets) if goes_on => {
                tracing::info!("ended: a new process goes on");
                Ok(Some(sockets))
            }
            End::Asked | End::Restart(_) => {
                tracing::info!("ended");
                Ok(None)
            }
        }
    }
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

/// What is listened on.
struct Bound {
    clients: Vec<TcpListener>,
    monitoring: Option<TcpListener>,
    /// The admin API's.
    network: Option<TcpListener>,
    admin: BoundSocket,
}

impl Bound {
    /// What was handed over, and where nothing was, new sockets.
    async fn by(settings: &Settings, threads: usize, mut inherited: Inherited) -> Result<Self, ServeError> {
        // First, and never by port 0, because port 0 of the other fits any.
        let mut one = |address: Option<SocketAddr>| -> Result<Option<TcpListener>, ServeError> {
            let Some(address) = address else { return Ok(None) };
            let ours = if address.port() == 0 { Vec::new() } else { inherited.tcp(address) };
            let ours = if ours.is_empty() { listener::bind(address, 1)? } else { ours };
            Ok(ours.into_iter().next())
        };
        let monitoring = one(settings.monitoring)?;
        let network = one(settings.admin.network.as_ref().map(|network| network.listen))?;
        let clients = match inherited.tcp(settings.server.listen) {
            inherited if inherited.is_empty() => listener::bind(settings.server.listen, threads)?,
            inherited => inherited,
        };
        let admin = match inherited.unix(&settings.admin.socket) {
            Some(listener) => BoundSocket::adopt(listener, &settings.admin.socket).await?,
            None => BoundSocket::bind(&settings.admin.socket).await?,
        };
        inherited.nothing_is_left()?;
        Ok(Self { clients, monitoring, network, admin })
    }

    /// Handles on all of it, for the next process.
    fn handles(&self, settings: &Settings, threads: usize) -> io::Result<Sockets> {
        let one = |listen: Option<SocketAddr>, listener: &Option<TcpListener>| match (listen, listener) {
            (Some(listen), Some(listener)) if listen.port() != 0 => {
                io::Result::Ok(Some((listen, listener.try_clone()?)))
            }
            _ => Ok(None),
        };
        Ok(Sockets {
            listen: settings.server.listen,
            threads,
            clients: self.clients.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?,
            monitoring: one(settings.monitoring, &self.monitoring)?,
            network: one(settings.admin.network.as_ref().map(|network| network.listen), &self.network)?,
            admin_socket: settings.admin.socket.clone(),
            admin: self.admin.handle()?,
        })
    }
}

fn monitor(listener: TcpListener, readiness: &Arc<Readiness>, metrics: Metrics) -> io::Result<JoinHandle<()>> {
    tracing::info!(listen = %listener.local_addr()?, "monitoring");
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(tokio::spawn(monitoring::serve(listener, Arc::clone(readiness), metrics)))
}

/// Reloads and restarts as signals say so; never ends.
async fn hear_wishes(
    reloads: &mut Wishes,
    restarts: &mut Wishes,
    reloader: &Arc<Reloader>,
    restarter: &Arc<Restarter>,
) {
    loop {
        // Beside this loop, so that no signal waits for what another one asked for.
        tokio::select! {
            () = reloads.next() => drop(tokio::spawn(reload_for_systemd(Arc::clone(reloader)))),
            () = restarts.next() => {
                let restarter = Arc::clone(restarter);
                // What came of it is in the log and the metrics.
                tokio::spawn(async move { drop(restarter.restart().await) });
            }
        }
    }
}

async fn wait_for_the_end(house: &House, begins: &mut mpsc::Receiver<Vec<OwnedFd>>) -> End {
    tokio::select! {
        () = signals::to_end() => {
            tracing::info!("asked to end: no new connections, what runs may finish");
            End::Asked
        }
        () = house.lock.lost() => {
            tracing::error!("the lock on the store was lost: serving stops at once");
            End::LockLost
        }
        Some(sockets) = begins.recv() => {
            tracing::info!("a new process can begin: what runs may finish, who comes waits for the new one");
            End::Restart(sockets)
        }
    }
}

/// `systemctl reload` waits until the service says that it is ready again.
async fn reload_for_systemd(reloader: Arc<Reloader>) {
    tell_systemd_of_reload();
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

async fn keep_up(metrics: Metrics, lost_lines: LostLines, reloader: Arc<Reloader>) {
    let lost = metrics::counter!("locum_log_lines_lost_total");
    let mut tick = tokio::time::interval(UPKEEP);
    loop {
        tick.tick().await;
        lost.absolute(lost_lines.count());
        reloader.gateway.load().meter();
        metrics.upkeep();
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn holder(settings: &Settings) -> String {
    format!("locum serve, process {}, admin socket {}", std::process::id(), settings.admin.socket.display())
}

/// Until it is told that the service is ready again.
fn tell_systemd_of_reload() {
    match sd_notify::NotifyState::monotonic_usec_now() {
        Ok(now) => tell_systemd(&[sd_notify::NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "systemd could not be told"),
    }
}

fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
