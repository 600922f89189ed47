//! A whole gateway in this process: a real store in a temporary folder, both sides of authentication,
//! the operations that change it, and the data plane's threads on real sockets.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use base64::Engine as _;
use http::{HeaderName, Method};
use locum::authn::lockout::{Counts, Lockout, LockoutSettings, OnLoss, StoreCounts};
use locum::authn::{self, ThrottleSettings};
use locum::authz;
use locum::clock::{Clock, SystemClock};
use locum::cluster::{InFlight, Subjects};
use locum::directory::pepper::Peppers;
use locum::directory::personal::PersonalChange;
use locum::directory::tombstone::TombstoneKey;
use locum::directory::{
    AppName, DisplayName, Email, Holding, LegacyName, Networks, Phone, PublicId, ReasonCode, Restrictions, RoleName,
    Username,
};
use locum::gateway::{
    AccessLogSettings, AppConnections, AppSettings, ClientSettings, Field, Gateway, HeaderLine, HopSettings, Identity,
    Parts, Piece, Preset, Resilience, Resolver, SecretHeaderSettings, Settings, SlotSettings, Timeouts,
    TransportSettings, TunnelSettings, Watching,
};
use locum::history::checkpoint::SigningKey;
use locum::policy::{
    Accept, AppRoutes, HostName, OwnTimeouts, PathPrefix, PathReading, Pattern, Per, RateLimit, RouteSettings, Rule,
    Upgrades,
};
use locum::provision::{self, Provision};
use locum::seal::Keyring;
use locum::server::data_plane::{DataPlane, Limits};
use locum::server::entrance::Entrance;
use locum::store::{Location, Store};
use locum::telemetry::trace::{self, Exporting};

use crate::client::Client;

/// What the app `proxied` can tell the gateway by.
pub(crate) const GATE_SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How a world is opened.
pub(crate) struct Plan {
    pub(crate) upstreams: Vec<SocketAddr>,
    /// `HOST:PORT`, in place of the addresses.
    pub(crate) names: Option<Vec<String>>,
    pub(crate) timeouts: Timeouts,
    pub(crate) tunnels: TunnelSettings,
    pub(crate) early_hints: bool,
    pub(crate) resilience: Resilience,
    pub(crate) resolver: Resolver,
    pub(crate) throttle: u32,
    pub(crate) limits: Limits,
    pub(crate) slots: SlotSettings,
    pub(crate) judgement_wait: Duration,
    pub(crate) app_connections: AppConnections,
    pub(crate) hops: HopSettings,
    pub(crate) entrance: Entrance,
    pub(crate) transport: TransportSettings,
    pub(crate) access_log: AccessLogSettings,
    /// Where spans go, and of which requests.
    pub(crate) tracing: Option<trace::Settings>,
}

impl Plan {
    pub(crate) fn of(upstream: SocketAddr) -> Self {
        Self {
            upstreams: vec![upstream],
            names: None,
            timeouts: Timeouts::default(),
            tunnels: TunnelSettings::default(),
            early_hints: true,
            resilience: Resilience::default(),
            resolver: Resolver::system(),
            throttle: 1_000_000,
            limits: Limits::default(),
            // So many that connections to apps run out first, where those are few.
            slots: SlotSettings { requests: NonZeroUsize::new(10_000), ..SlotSettings::default() },
            // As long as anybody waits: a busy machine keeps many waiting.
            judgement_wait: Duration::from_secs(2),
            app_connections: AppConnections::up_to(4096),
            hops: HopSettings::default(),
            entrance: Entrance::default(),
            transport: TransportSettings::default(),
            access_log: AccessLogSettings::default(),
            tracing: None,
        }
    }
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) in_flight: InFlight,
    /// While this is set, no credential is judged.
    pub(crate) stalled: Arc<AtomicBool>,
    provision: Provision,
    plane: Option<DataPlane>,
    _watching: Watching,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

/// A token with the name that it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) username: String,
    pub(crate) token: String,
    pub(crate) public_id: PublicId,
}

impl Credential {
    pub(crate) fn basic(&self) -> String {
        let pair = format!("{}:{}", self.username, self.token);
        format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(pair))
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }

    /// The same in the header that stands beside an `Authorization` of the app's own.
    pub(crate) fn own_basic(&self) -> String {
        format!("Locum-{}", self.basic())
    }

    pub(crate) fn own_bearer(&self) -> String {
        format!("Locum-{}", self.bearer())
    }
}

/// A line of `set_headers`, such as `("X-WEBAUTH-USER", Field::User)`.
fn line(name: &'static str, field: Field) -> HeaderLine {
    HeaderLine { name: HeaderName::from_static(name), value: vec![Piece::Field(field)] }
}

fn route(path: &str, rule: Rule) -> RouteSettings {
    RouteSettings { path: Pattern::parse(path).unwrap(), rule }
}

fn roles(names: &[&str]) -> Vec<RoleName> {
    names.iter().map(|name| RoleName::parse(name).unwrap()).collect()
}

fn needs(names: &[&str]) -> Rule {
    Rule { roles_any: roles(names), ..Rule::default() }
}

fn app(name: &str, hosts: &[&str], plan: &Plan, routes: Vec<RouteSettings>) -> AppSettings {
    AppSettings {
        routing: AppRoutes {
            name: AppName::parse(name).unwrap(),
            hosts: hosts.iter().map(|host| HostName::parse(host).unwrap()).collect(),
            path_prefix: PathPrefix::parse("/").unwrap(),
            path_reading: PathReading::Exact,
            routes,
        },
        transport: plan.transport.clone(),
        upstreams: plan.names.clone().unwrap_or_else(|| plan.upstreams.iter().map(ToString::to_string).collect()),
        headers: Preset::Locum,
        set_headers: Vec::new(),
        secret_header: None,
        identity: Identity::Account,
        timeouts: plan.timeouts,
        tunnels: plan.tunnels.clone(),
        early_hints: plan.early_hints,
        resilience: plan.resilience.clone(),
        rate_limits: Vec::new(),
    }
}

/// The apps of the cases: `app.test` as they ask for, and others with names of their own.
fn apps(plan: &Plan) -> Vec<AppSettings> {
    const OWN: Accept = Accept { locum_authorization: true, ..Accept::NOTHING };
    const EVERY: Accept = Accept { basic: true, bearer: true, locum_authorization: true };
    let public = Rule { public: true, ..Rule::default() };
    let named = HeaderName::from_static("x-locum-username");
    let brisk = OwnTimeouts { response: Some(Duration::from_millis(200)), ..OwnTimeouts::default() };
    let main = vec![
        route("/pub/*", public),
        route("/app/*", needs(&["user"])),
        route("/admin/*", needs(&["admin"])),
        route("/enc/*", Rule { forwards_encoded_slash: true, refuses_doubled_slash: true, ..needs(&["user"]) }),
        route("/basic/*", Rule { accept: Accept { basic: true, ..Accept::NOTHING }, ..needs(&["user"]) }),
        route("/bearer/*", Rule { accept: Accept { bearer: true, ..Accept::NOTHING }, ..needs(&["user"]) }),
        route("/own/*", Rule { accept: OWN, ..needs(&["user"]) }),
        route("/every/*", Rule { accept: EVERY, ..needs(&["user"]) }),
        route("/pub/every/*", Rule { accept: EVERY, public: true, ..Rule::default() }),
        route("/named/*", Rule { accept: EVERY, username_header: Some(named.clone()), ..needs(&["user"]) }),
        route("/pub/named/*", Rule { public: true, username_header: Some(named), ..Rule::default() }),
        route("/plain/*", Rule { upgrades: Upgrades::NONE, ..needs(&["user"]) }),
        route("/own-protocol/*", Rule { upgrades: Upgrades::new(vec!["own/2".into()]), ..needs(&["user"]) }),
        route("/brisk/*", Rule { timeouts: brisk, ..needs(&["user"]) }),
        route("/small/*", Rule { max_body: Some(1_000), public: true, ..Rule::default() }),
        route("/read/*", Rule { methods: vec![Method::GET], ..needs(&["user"]) }),
    ];
    let mut proxied = app("proxied", &["proxied.test"], plan, vec![route("/*", Rule::default())]);
    proxied.headers = Preset::Oauth2Proxy;
    proxied.set_headers = vec![
        line("x-webauth-user", Field::User),
        line("x-trace", Field::RequestId),
        line("x-forwarded-port", Field::Port),
    ];
    let secret = HeaderName::from_static("x-gate-secret");
    proxied.secret_header = SecretHeaderSettings::new(secret, GATE_SECRET);
    let mut owned = app("owned", &["owned.test"], plan, vec![route("/*", Rule::default())]);
    owned.identity = Identity::Owner;
    owned.set_headers = vec![line("x-legacy", Field::LegacyName)];
    let mut secret = app("secret", &["*.secret.test", "[::1]"], plan, vec![route("/*", Rule::default())]);
    secret.headers = Preset::None;
    let files = vec![route("/*", needs(&["user"])), route("/Admin/*", needs(&["admin"]))];
    let mut windows = app("windows", &["windows.test"], plan, files);
    windows.routing.path_reading = PathReading::Windows;
    vec![app("app", &["app.test"], plan, main), proxied, owned, secret, windows, limited(plan)]
}

/// An app in which everything is counted, and nothing comes back in the time of a test.
fn limited(plan: &Plan) -> AppSettings {
    let at_most = |requests: u32, per| {
        let requests = NonZeroU32::new(requests).unwrap();
        RateLimit { per, requests, every: Duration::from_hours(10), burst: requests }
    };
    let hourly = |path, public, limits: &[RateLimit]| {
        route(path, Rule { public, rate_limits: limits.to_vec(), ..Rule::default() })
    };
    let routes = vec![
        hourly("/source/*", false, &[at_most(3, Per::Source)]),
        hourly("/account/*", false, &[at_most(2, Per::Account)]),
        hourly("/public/*", true, &[at_most(2, Per::Account)]),
        hourly("/all/*", false, &[at_most(4, Per::Account), at_most(5, Per::All)]),
        route("/admin/*", Rule { rate_limits: vec![at_most(1, Per::All)], ..needs(&["admin"]) }),
        hourly("/*", false, &[]),
    ];
    let mut limited = app("limited", &["limited.test"], plan, routes);
    limited.rate_limits = vec![at_most(8, Per::Account)];
    limited
}

/// Runs something that stands still while `stalled` is set.
async fn unless(stalled: Arc<AtomicBool>, run: impl Future<Output = ()>) {
    let mut run = pin!(run);
    std::future::poll_fn(|cx| {
        if !stalled.load(Ordering::SeqCst) {
            return run.as_mut().poll(cx);
        }
        let waker = cx.waker().clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            waker.wake();
        });
        Poll::Pending
    })
    .await;
}

/// The same that the configuration says to both.
fn clients(limits: &Limits) -> ClientSettings {
    let Limits { head_fields, stall_timeout, min_rate, .. } = *limits;
    ClientSettings { head_fields, stall_timeout, min_rate }
}

impl World {
    pub(crate) fn before(upstream: SocketAddr) -> Self {
        Self::open(&Plan::of(upstream))
    }

    pub(crate) fn open(plan: &Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let settings = locum::store::Settings {
            location: Location::Sqlite(folder.path().join("locum.db")),
            readers: 4,
            timeout: Duration::from_secs(10),
            queue: 4096,
        };
        let apps = apps(plan);
        let names: BTreeSet<AppName> = apps.iter().map(|app| app.name().clone()).collect();
        let (in_flight, stalled) = (InFlight::new(), Arc::new(AtomicBool::new(false)));
        let (provision, authn, rights) = runtime.block_on(async {
            let store = Store::open(&settings, Arc::clone(&clock)).await.unwrap();
            let subjects = Subjects::new();
            let peppers = Arc::new(Peppers::parse(&format!("1 {}\n", "ab".repeat(32))).unwrap());
            let keyring = Keyring::parse(&format!("1 {}", "12".repeat(32))).unwrap();
            let provision = Provision::new(provision::Parts {
                store: store.clone(),
                subjects: subjects.clone(),
                in_flight: in_flight.clone(),
                counts: None,
                peppers: Arc::clone(&peppers),
                tombstones: Arc::new(TombstoneKey::parse(&"07".repeat(32)).unwrap()),
                keyring: keyring.clone(),
                key_stores: crate::key_files::first_versions(),
                history_key: Arc::new(|| Ok(SigningKey::parse(&"ef".repeat(32)).unwrap())),
                clock: Arc::clone(&clock),
                random: Arc::new(|bytes| rand::fill(bytes)),
                settings: provision::Settings { default_apps: names.clone(), ..provision::Settings::default() },
            });
            provision::app::register(&provision, names).await.unwrap();
            let carrying = provision.clone();
            let lockout = Lockout::new(
                None,
                Arc::new(StoreCounts::new(&store)),
                subjects.clone(),
                LockoutSettings { threshold: 5, counts: Counts::EveryFailure, on_loss: OnLoss::Count },
                Arc::new(move |trip| {
                    let provision = carrying.clone();
                    Box::pin(async move {
                        provision::lockout::carry_out(&provision, trip.account, trip.life, Vec::new()).await?;
                        Ok(())
                    })
                }),
            );
            lockout.load().await.unwrap();
            let throttle =
                ThrottleSettings { burst: NonZeroU32::new(plan.throttle).unwrap(), per_second: NonZeroU32::MIN };
            let judgement_wait = plan.judgement_wait;
            let settings = authn::Settings { throttle, judgement_wait, ..authn::Settings::default() };
            let parts = authn::Parts {
                store: store.clone(),
                peppers,
                subjects: subjects.clone(),
                lockout,
                clock: clock.clone(),
            };
            let (authn, authenticator) = authn::build(settings, parts, &mut |bytes| rand::fill(bytes));
            let (access, role_sets) = authz::build(authz::Settings::default(), store, subjects, keyring);
            tokio::spawn(unless(Arc::clone(&stalled), authenticator.run()));
            tokio::spawn(role_sets.run());
            (provision, authn, access)
        });
        let parts = Parts {
            authn,
            authz: rights,
            in_flight: in_flight.clone(),
            clock,
            app_connections: plan.app_connections.clone(),
            run: 0x7e57,
            traces: runtime
                .block_on(async { Exporting::start(plan.tracing.as_ref(), |bytes| rand::fill(bytes)).traces() }),
        };
        let (hops, clients) = (plan.hops.clone(), clients(&plan.limits));
        let settings = Settings { hops, clients, access_log: plan.access_log, slots: plan.slots, apps };
        let gateway = Gateway::new(settings, parts).unwrap();
        let watching = runtime.block_on(gateway.watch(&plan.resolver));
        let listeners = locum::server::listener::bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let entrance = Arc::new(plan.entrance.clone());
        let started = DataPlane::start(
            listeners.into_iter().map(|one| vec![one]).collect(),
            &entrance,
            &plan.limits,
            move |core| gateway.stack(core),
        );
        let (plane, _changes) = started.unwrap();
        let plane = Some(plane);
        let world =
            Self { address, in_flight, stalled, provision, plane, _watching: watching, runtime, _folder: folder };
        for role in ["user", "admin"] {
            let role = RoleName::parse(role).unwrap();
            world.ask(|provision, request| async move {
                provision::role::add(&provision, &request, role, BTreeSet::new()).await
            });
        }
        world
    }

    fn ask<F, T>(&self, operation: impl FnOnce(Provision, provision::Request) -> F) -> T
    where
        F: Future<Output = Result<T, provision::Error>>,
    {
        self.runtime.block_on(operation(self.provision.clone(), provision::Request::from_host("tester"))).unwrap()
    }

    /// A proxy user with one token; its owner has the roles.
    pub(crate) fn proxy_user(&self, name: &str, held: &[&str]) -> Credential {
        let owner = Username::parse(&format!("{name}-owner")).unwrap();
        let username = Username::parse(name).unwrap();
        let held: BTreeSet<RoleName> = roles(held).into_iter().collect();
        let (of, proxy) = (owner.clone(), username.clone());
        self.ask(|provision, request| async move { provision::person::add(&provision, &request, of, held).await });
        self.ask(|provision, request| async move {
            provision::proxy_user::add(&provision, &request, proxy, owner, Networks::ANY).await
        });
        self.token(name, Restrictions::default())
    }

    /// One more token of a proxy user.
    pub(crate) fn token(&self, name: &str, restrictions: Restrictions) -> Credential {
        let wish = provision::pat::Wish {
            account: Username::parse(name).unwrap(),
            service: "nightly export, Zürich".to_owned(),
            life: None,
            restrictions,
            idempotency_key: None,
        };
        let made = self.ask(|provision, request| async move { provision::pat::add(&provision, &request, wish).await });
        let public_id = made.pat.public_id;
        self.ask(|provision, request| async move { provision::pat::confirm(&provision, &request, public_id).await });
        Credential {
            username: name.to_owned(),
            token: made.token.expect("made just now").expose().to_owned(),
            public_id,
        }
    }

    /// Says what is known of a person.
    pub(crate) fn know(&self, person: &str, name: &str, email: &str, phone: &str) {
        let person = Username::parse(person).unwrap();
        let change = PersonalChange {
            name: Some(Some(DisplayName::parse(name).unwrap())),
            email: Some(Some(Email::parse(email).unwrap())),
            phone: Some(Some(Phone::parse(phone).unwrap())),
        };
        self.ask(
            |provision, request| async move { provision::person::set(&provision, &request, person, change).await },
        );
    }

    /// Says what a person is called in an app, or that it is called nothing.
    pub(crate) fn call(&self, person: &str, app: &str, name: Option<&str>) {
        let (person, app) = (Username::parse(person).unwrap(), AppName::parse(app).unwrap());
        let name = name.map(|name| LegacyName::parse(name).unwrap());
        self.ask(|provision, request| async move {
            match name {
                Some(name) => provision::legacy_name::link(&provision, &request, person, app, name).await,
                None => provision::legacy_name::remove(&provision, &request, person, app).await,
            }
        });
    }

    pub(crate) fn grant(&self, account: &str, role: &str) {
        let (account, role) = (Username::parse(account).unwrap(), Holding::Role(RoleName::parse(role).unwrap()));
        self.ask(
            |provision, request| async move { provision::holding::grant(&provision, &request, account, role).await },
        );
    }

    pub(crate) fn remove(&self, account: &str, role: &str) {
        let (account, role) = (Username::parse(account).unwrap(), Holding::Role(RoleName::parse(role).unwrap()));
        self.ask(
            |provision, request| async move { provision::holding::remove(&provision, &request, account, role).await },
        );
    }

    pub(crate) fn revoke(&self, credential: &Credential) {
        let public_id = credential.public_id;
        let reason = ReasonCode::parse("compromised").unwrap();
        self.ask(
            |provision, request| async move { provision::pat::revoke(&provision, &request, public_id, reason).await },
        );
    }

    pub(crate) fn inactivate_owner_of(&self, credential: &Credential) {
        let owner = Username::parse(&format!("{}-owner", credential.username)).unwrap();
        self.ask(|provision, request| async move { provision::person::inactivate(&provision, &request, owner).await });
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(plane) = self.plane.take() {
            plane.drain(Duration::from_millis(200));
        }
    }
}
