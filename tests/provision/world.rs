//! What a claim stands on: operations over a database of either kind, and short words for them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use locum::clock::{Clock as _, FixedClock, Timestamp};
use locum::cluster::{InFlight, Subjects};
use locum::directory::administrator::{Administration, AdministrationState, Level};
use locum::directory::api_key::Scopes;
use locum::directory::pepper::Peppers;
use locum::directory::rights::{Grade, Right};
use locum::directory::tombstone::TombstoneKey;
use locum::directory::{
    AccountId, Actor, AppName, Holding, Networks, Permission, PublicId, ReasonCode, RoleName, Username,
};
use locum::history::checkpoint::SigningKey;
use locum::history::{Action, ActionType, Actions, Entry, Value};
use locum::provision::pat::{Made, Wish};
use locum::provision::reading::{self, Question, Shown};
use locum::provision::{
    self, Error, Parts, Provision, Refusal, Request, Settings, Wanted, api_key, app, caller, holding, pat, person,
    proxy_user, role,
};
use locum::seal::Keyring;
use locum::store::{self, Location, Outcome, Store, StoreError};
use secrecy::ExposeSecret as _;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use crate::key_files::{self, KeyFile};
use crate::postgres::Postgres;

pub const NOON: Timestamp = Timestamp::from_millis(1_795_000_000_000);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Sqlite,
    Postgres,
}

/// Operations over an empty database that knows the apps `blog` and `wiki`.
pub struct World {
    pub provision: Provision,
    pub subjects: Subjects,
    pub in_flight: InFlight,
    pub clock: Arc<FixedClock>,
    pub host: Request,
    location: Location,
    pub master_key: KeyFile,
    pub pepper: KeyFile,
    _folder: Option<TempDir>,
}

impl World {
    async fn new(kept: Kept, settings: Settings) -> Self {
        let (location, folder) = match kept {
            Kept::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                (Location::Sqlite(folder.path().join("locum.db")), Some(folder))
            }
            Kept::Postgres => (Location::Postgres(Postgres::shared().database().into()), None),
        };
        let clock = Arc::new(FixedClock::at(NOON));
        let opened =
            store::Settings { location: location.clone(), readers: 4, timeout: Duration::from_secs(10), queue: 4_096 };
        let store = Store::open(&opened, clock.clone()).await.unwrap();
        let (subjects, in_flight) = (Subjects::new(), InFlight::new());
        let draws = AtomicU64::new(1);
        let (master_key, pepper) = (KeyFile::of("12"), KeyFile::of("ab"));
        let provision = Provision::new(Parts {
            store,
            subjects: subjects.clone(),
            in_flight: in_flight.clone(),
            counts: None,
            peppers: Arc::new(Peppers::parse(&pepper.text()).unwrap()),
            tombstones: Arc::new(TombstoneKey::parse(&"cd".repeat(32)).unwrap()),
            keyring: Keyring::parse(&master_key.text()).unwrap(),
            key_stores: key_files::stores(&master_key, &pepper),
            history_key: Arc::new(|| Ok(SigningKey::parse(&"ef".repeat(32)).unwrap())),
            clock: clock.clone(),
            random: Arc::new(move |buffer| spread(draws.fetch_add(1, Ordering::Relaxed), buffer)),
            settings,
        });
        let configured = ["blog", "wiki"].map(|name| AppName::parse(name).unwrap());
        app::register(&provision, configured.into()).await.unwrap();
        let host = Request::from_host("root");
        Self { provision, subjects, in_flight, clock, host, master_key, pepper, location, _folder: folder }
    }

    pub fn store(&self) -> &Store {
        self.provision.store()
    }

    /// Runs statements past Locum, as somebody who reaches the database.
    pub async fn tamper(&self, sqlite: &'static str, postgres: &'static str) {
        match &self.location {
            Location::Sqlite(file) => {
                let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
                sqlx::raw_sql(sqlite).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Location::Postgres(url) => {
                let mut connection = sqlx::PgConnection::connect(url.expose_secret()).await.unwrap();
                sqlx::raw_sql(postgres).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    pub async fn person(&self, username: &str) {
        person::add(&self.provision, &self.host, name(username), BTreeSet::new()).await.unwrap();
    }

    pub async fn try_person(&self, username: &str) -> Result<(), Refusal> {
        refused(person::add(&self.provision, &self.host, name(username), BTreeSet::new()).await)
    }

    pub async fn proxy(&self, username: &str, owner: &str) {
        self.try_proxy(username, owner).await.unwrap();
    }

    pub async fn try_proxy(&self, username: &str, owner: &str) -> Result<(), Refusal> {
        refused(proxy_user::add(&self.provision, &self.host, name(username), name(owner), Networks::ANY).await)
    }

    /// Says where a proxy user may be used from.
    pub async fn confine(&self, proxy: &str, networks: &[&str]) {
        let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        proxy_user::set_networks(&self.provision, &self.host, name(proxy), networks).await.unwrap();
    }

    pub async fn role(&self, role: &str, permissions: &[&str]) {
        role::add(&self.provision, &self.host, role_name(role), permission_set(permissions)).await.unwrap();
    }

    pub async fn grant(&self, account: &str, held: &str) {
        self.try_grant(account, held).await.unwrap();
    }

    pub async fn try_grant(&self, account: &str, held: &str) -> Result<(), Refusal> {
        refused(holding::grant(&self.provision, &self.host, name(account), held_thing(held)).await)
    }

    pub async fn remove(&self, account: &str, held: &str) {
        holding::remove(&self.provision, &self.host, name(account), held_thing(held)).await.unwrap();
    }

    pub async fn try_copy(&self, from: &str, to: &str) -> Result<(), Refusal> {
        refused(holding::copy_roles(&self.provision, &self.host, name(from), name(to)).await)
    }

    /// What an account holds, as `role:NAME` and `app:NAME`.
    pub async fn holdings(&self, account: &str) -> Vec<String> {
        let mut held: Vec<_> = self.show(account).await.holdings.iter().map(ToString::to_string).collect();
        held.sort();
        held
    }

    pub async fn show(&self, account: &str) -> Shown {
        reading::show(&self.provision, &self.host, &name(account), Wanted::Either).await.unwrap()
    }

    pub async fn id(&self, account: &str) -> AccountId {
        self.show(account).await.account.id
    }

    pub async fn is_active(&self, account: &str) -> bool {
        self.show(account).await.account.state.is_active()
    }

    pub async fn exists(&self, account: &str) -> bool {
        self.store().read().await.unwrap().account_by_username(&name(account)).await.unwrap().is_some()
    }

    pub fn wish(account: &str) -> Wish {
        Wish {
            account: name(account),
            service: "ci".to_owned(),
            life: None,
            restrictions: locum::directory::Restrictions::default(),
            idempotency_key: None,
        }
    }

    pub async fn pending_pat(&self, account: &str) -> Made {
        pat::add(&self.provision, &self.host, Self::wish(account)).await.unwrap()
    }

    /// A usable token.
    pub async fn pat(&self, account: &str) -> PublicId {
        let made = self.pending_pat(account).await;
        pat::confirm(&self.provision, &self.host, made.pat.public_id).await.unwrap();
        made.pat.public_id
    }

    /// What a token says of itself now.
    pub async fn standing(&self, public_id: PublicId) -> &'static str {
        let (pat, _) = reading::pat(&self.provision, &self.host, public_id).await.unwrap();
        pat.standing(self.clock.now()).slug()
    }

    pub async fn revoke(&self, public_id: PublicId) {
        let reason = ReasonCode::parse("compromised").unwrap();
        pat::revoke(&self.provision, &self.host, public_id, reason).await.unwrap();
    }

    /// All actions, oldest first.
    pub async fn history(&self) -> Vec<Entry> {
        let question = Question { limit: 1_000, ..Question::default() };
        let (mut entries, _) = reading::history(&self.provision, &self.host, question).await.unwrap();
        entries.reverse();
        entries
    }

    /// The actions after the first `count`, each in words: type, actor, cause, target, details.
    pub async fn told_since(&self, count: usize) -> Vec<String> {
        let question = Question { limit: 1_000, ..Question::default() };
        let (mut entries, names) = reading::history(&self.provision, &self.host, question).await.unwrap();
        entries.reverse();
        entries.iter().skip(count).map(|entry| in_words(entry, &names)).collect()
    }

    pub async fn count(&self) -> usize {
        self.history().await.len()
    }

    /// The last action, which has to be a refusal that names `code`.
    pub async fn demand_recorded_refusal(&self, code: &str) {
        let last = self.history().await.pop().unwrap();
        assert_eq!(last.action.kind, ActionType::OperationRefused, "{last:?}");
        assert!(!last.changed);
        let codes: Vec<_> = last.action.details.iter().filter(|detail| detail.field == "code").collect();
        assert!(format!("{codes:?}").contains(&format!("\"{code}\"")), "{last:?}");
    }

    /// A signed-in person, who has this grade and these rights from now on.
    pub async fn signed_in(&self, username: &str, grade: Grade, granted: &[Right]) -> Request {
        let account = self.id(username).await;
        let granted = granted.to_vec();
        let written = self.store().change::<_, _, StoreError>(move |writer| {
            Box::pin(async move {
                let (level, apps) = match grade {
                    Grade::None => (None, BTreeSet::new()),
                    Grade::OfApps(apps) => (None, apps),
                    Grade::Administrator => (Some(Level::Administrator), BTreeSet::new()),
                    Grade::SuperAdministrator => (Some(Level::SuperAdministrator), BTreeSet::new()),
                };
                if let Some(level) = level {
                    let held = Administration { level, state: AdministrationState::Active };
                    writer.put_administration(account, &held).await?;
                }
                for app in apps {
                    writer.give_app_administration(account, &app).await?;
                }
                for right in granted {
                    writer.grant_right(account, right).await?;
                }
                let actor = Actor::Host("test".to_owned());
                let action = Action::new(ActionType::AdminStatusChanged, actor).to(account);
                Ok(Outcome::Changed((), Actions::one(action)))
            })
        });
        written.await.unwrap();
        let caller = caller::person(&self.provision, account).await.unwrap();
        Request { caller, address: Some([192, 0, 2, 7].into()), request_id: Some("r-1".to_owned()) }
    }
}

impl World {
    /// Whoever presents a key with all scopes that acts as this person, which has this level from now on.
    pub async fn by_key(&self, username: &str, level: Level) -> Request {
        let grade = match level {
            Level::Administrator => Grade::Administrator,
            Level::SuperAdministrator => Grade::SuperAdministrator,
        };
        self.signed_in(username, grade, &[]).await;
        let made = self.key(username, &["all:write"]).await;
        self.presents(&made).await.unwrap()
    }

    /// A new key that acts as this person, for a day.
    pub async fn key(&self, username: &str, scopes: &[&str]) -> api_key::Made {
        let wish = api_key::Wish {
            person: Some(name(username)),
            name: "provisioning".to_owned(),
            scopes: Scopes::parse(scopes.iter().copied()).unwrap(),
            life: Duration::from_hours(24),
            idempotency_key: None,
        };
        api_key::add(&self.provision, &self.host, wish).await.unwrap()
    }

    /// What comes of presenting a key; nothing when it is not in force.
    pub async fn presents(&self, made: &api_key::Made) -> Option<Request> {
        let token = made.token.as_ref().unwrap();
        let caller = caller::api_key(&self.provision, token.expose()).await.unwrap()?;
        Some(Request { caller, address: Some([192, 0, 2, 8].into()), request_id: None })
    }
}

fn in_words(entry: &Entry, names: &reading::Names) -> String {
    let action = &entry.action;
    let mut words = vec![format!("{} by {}", action.kind.slug(), names.of_actor(&action.actor))];
    words.extend(action.cause.iter().map(|cause| format!("because {}", names.of_text(cause))));
    words.extend(action.target.iter().map(|target| format!("to {}", names.of(*target))));
    words.extend(action.object.iter().map(|object| format!("of {object}")));
    let side = |value: &Option<Value>| match value {
        None => "-".to_owned(),
        Some(value) => names.of_value(value),
    };
    let details = action.details.iter();
    let details =
        details.map(|detail| format!(", {} {} > {}", detail.field, side(&detail.before), side(&detail.after)));
    words.join(" ") + &details.collect::<String>()
}

/// The refusal of an operation that must not have met a fault.
pub fn refused<T>(result: Result<T, Error>) -> Result<T, Refusal> {
    match result {
        Ok(value) => Ok(value),
        Err(Error::Refused(refusal)) => Err(refusal),
        Err(fault) => panic!("a fault, no refusal: {fault}"),
    }
}

pub fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

pub fn role_name(text: &str) -> RoleName {
    RoleName::parse(text).unwrap()
}

pub fn permission_set(texts: &[&str]) -> BTreeSet<Permission> {
    texts.iter().map(|text| Permission::parse(text).unwrap()).collect()
}

/// `app:NAME`, or a role.
fn held_thing(text: &str) -> Holding {
    match text.strip_prefix("app:") {
        Some(app) => Holding::App(AppName::parse(app).unwrap()),
        None => Holding::Role(role_name(text)),
    }
}

/// Bytes that differ from draw to draw (splitmix64).
fn spread(draw: u64, buffer: &mut [u8]) {
    static TURN: Mutex<u64> = Mutex::new(0);
    let mut turn = TURN.lock().unwrap();
    for chunk in buffer.chunks_mut(8) {
        *turn += 1;
        let mut mixed = (draw ^ *turn).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes()[..chunk.len()]);
    }
}

pub fn settings() -> provision::Settings {
    Settings::default()
}

/// Runs a claim on a runtime like the one that serves.
pub fn run(kept: Kept, settings: Settings, claim: impl AsyncFnOnce(World)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { claim(World::new(kept, settings).await).await });
}

/// Makes of each claim one test for SQLite and one for PostgreSQL.
macro_rules! claims {
    ($($(#[$doc:meta])* async fn $name:ident($world:ident: World) $body:block)*) => {
        $(
        async fn $name($world: $crate::world::World) $body

        $(#[$doc])*
        mod $name {
            #[test]
            fn in_sqlite() {
                $crate::world::run($crate::world::Kept::Sqlite, $crate::world::settings(), super::$name);
            }

            #[test]
            fn in_postgres() {
                $crate::world::run($crate::world::Kept::Postgres, $crate::world::settings(), super::$name);
            }
        }
        )*
    };
}

pub(crate) use claims;
