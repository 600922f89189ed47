//! A small house for the tests of authentication: a real SQLite store in a temporary folder, the
//! lockout that counts in it, both sides of `authn` and `authz`, and a clock that stands still.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use http::header::{AUTHORIZATION, HeaderMap};
use locum::authn::lockout::{CarryOut, Counts, Lockout, LockoutSettings, OnLoss, StoreCounts, Trip};
use locum::authn::{
    self, Accepts, Authn, Parts, Presentation, Presented, Proven, Settings, Source, ThrottleSettings, Verdict,
};
use locum::authz::{self, Authz};
use locum::clock::{Clock, FixedClock, Timestamp};
use locum::cluster::Subjects;
use locum::directory::owner_cascade::Change;
use locum::directory::pepper::{PepperVersion, Peppers};
use locum::directory::{
    Account, AccountId, Actor, AppName, Kind, Life, Networks, Pat, PatState, PublicId, ReasonCode, Restrictions,
    RoleName, State, Token, TokenKind, Username,
};
use locum::history::{Action, ActionType, Actions, Entry};
use locum::seal::Keyring;
use locum::store::{ApplyContext, HistoryFilter, Location, Outcome, Store, StoreError};
use tokio::task::JoinHandle;

use crate::steps::{Counting, Steps};

pub(crate) const HOME: &str = "192.0.2.7";
pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// How a house is opened.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) counts: Counts,
    pub(crate) burst: u32,
    pub(crate) quantum: Duration,
    pub(crate) peppers: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            counts: Counts::EveryFailure,
            burst: 1_000_000,
            quantum: Duration::from_millis(1),
            peppers: pepper_line(1),
        }
    }
}

impl Plan {
    pub(crate) fn guesses() -> Self {
        Self { counts: Counts::Guesses, ..Self::default() }
    }
}

pub(crate) fn pepper_line(version: u32) -> String {
    format!("{version} {}\n", format!("{version:02x}").repeat(32))
}

pub(crate) struct House {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) store: Store,
    pub(crate) subjects: Subjects,
    pub(crate) peppers: Arc<Peppers>,
    pub(crate) lockout: Lockout,
    pub(crate) authn: Authn,
    pub(crate) authz: Authz,
    /// The steps that the counter was asked for.
    pub(crate) steps: Steps,
    running: Vec<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

pub(crate) fn random(bytes: &mut [u8]) {
    rand::fill(bytes);
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(Plan::default()).await
    }

    pub(crate) async fn with(plan: Plan) -> Self {
        Self::inside(tempfile::tempdir().unwrap(), Arc::new(FixedClock::at(START)), plan).await
    }

    /// Ends this house and opens another in the same place, as a restart does.
    pub(crate) async fn restarted(self, plan: Plan) -> Self {
        let (folder, clock) = self.closed().await;
        Self::inside(folder, clock, plan).await
    }

    pub(crate) async fn closed(self) -> (tempfile::TempDir, Arc<FixedClock>) {
        let Self { clock, store, lockout, authn, authz, running, folder, .. } = self;
        drop((authn, authz));
        for task in running {
            task.await.unwrap();
        }
        drop(lockout);
        store.close().await;
        (folder, clock)
    }

    #[expect(clippy::similar_names, reason = "the rooms are called so")]
    async fn inside(folder: tempfile::TempDir, clock: Arc<FixedClock>, plan: Plan) -> Self {
        let location = Location::Sqlite(folder.path().join("locum.db"));
        let settings = locum::store::Settings { location, readers: 4, timeout: Duration::from_secs(30), queue: 4096 };
        let store = Store::open(&settings, clock.clone()).await.unwrap();
        let subjects = Subjects::new();
        let peppers = Arc::new(Peppers::parse(&plan.peppers).unwrap());
        let steps = Steps::default();
        let lockout = Lockout::new(
            None,
            Arc::new(Counting { counts: StoreCounts::new(&store), steps: steps.clone() }),
            subjects.clone(),
            LockoutSettings { threshold: 5, counts: plan.counts, on_loss: OnLoss::Count },
            carry_out(store.clone(), subjects.clone(), clock.clone()),
        );
        lockout.load().await.unwrap();
        let throttle = ThrottleSettings { burst: NonZeroU32::new(plan.burst).unwrap(), per_second: NonZeroU32::MIN };
        // A busy machine keeps everybody waiting.
        let judgement_wait = Duration::from_secs(30);
        let settings = Settings { refusal_quantum: plan.quantum, throttle, judgement_wait, ..Settings::default() };
        let parts = Parts {
            store: store.clone(),
            peppers: peppers.clone(),
            subjects: subjects.clone(),
            lockout: lockout.clone(),
            clock: clock.clone(),
        };
        let (authn, answering) = authn::build(settings, parts, &mut random);
        let (authz, resolver) =
            authz::build(authz::Settings::default(), store.clone(), subjects.clone(), Keyring::empty());
        let running = vec![tokio::spawn(answering.run()), tokio::spawn(resolver.run())];
        Self { clock, store, subjects, peppers, lockout, authn, authz, steps, running, folder }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    // who there is

    pub(crate) async fn person(&self, username: &str) -> AccountId {
        self.account(username, Kind::Person).await
    }

    pub(crate) async fn proxy(&self, username: &str, owner: AccountId) -> AccountId {
        self.account(username, Kind::Proxy { owner }).await
    }

    async fn account(&self, username: &str, kind: Kind) -> AccountId {
        let mut bytes = [0; 10];
        random(&mut bytes);
        let account = Account {
            id: AccountId::new(self.now(), &bytes),
            username: Username::parse(username).unwrap(),
            kind,
            state: State::Active,
            life: Life::FIRST,
            networks: Networks::ANY,
            created_at: self.now(),
        };
        let id = account.id;
        let added = if kind == Kind::Person { ActionType::UserAdded } else { ActionType::ProxyUserAdded };
        self.change(added, id, |writer| Box::pin(async move { writer.insert_account(&account).await })).await;
        id
    }

    pub(crate) async fn apply(&self, kind: ActionType, changes: Vec<Change>) {
        let context = ApplyContext {
            now: self.now(),
            by: Actor::Host("root".to_owned()),
            reason: ReasonCode::marked_inactive(),
            pat_reason: ReasonCode::account_inactivated(),
        };
        let about = target_of(&changes[0]);
        let touched: Vec<AccountId> = changes.iter().map(target_of).collect();
        self.change(kind, about, |writer| Box::pin(async move { writer.apply(&changes, &context).await.map(|_| ()) }))
            .await;
        for account in touched {
            self.subjects.narrow(account);
        }
    }

    pub(crate) async fn change<F>(&self, kind: ActionType, about: AccountId, write: F)
    where
        F: for<'w> FnOnce(&'w mut locum::store::Writer) -> futures_util::future::BoxFuture<'w, Result<(), StoreError>>
            + Send
            + 'static,
    {
        self.store
            .change(move |writer| {
                Box::pin(async move {
                    write(writer).await?;
                    let action = Action::new(kind, Actor::Host("root".to_owned())).to(about);
                    Ok::<_, StoreError>(Outcome::Changed((), Actions::one(action)))
                })
            })
            .await
            .unwrap();
    }

    /// Defines a role, in its app where it has one, and the apps beside it.
    pub(crate) async fn define(&self, role: &RoleName, apps: &[&AppName]) {
        let (role, apps) = (role.clone(), apps.iter().map(|app| (*app).clone()).collect::<Vec<_>>());
        self.change(ActionType::RoleAdded, AccountId::from_bytes([0; 16]), move |writer| {
            Box::pin(async move {
                for app in &apps {
                    writer.put_app(app, true).await?;
                }
                writer.insert_role(&role, &std::collections::BTreeSet::new()).await
            })
        })
        .await;
    }

    // tokens

    /// A usable token.
    pub(crate) async fn pat(&self, account: AccountId) -> Token {
        self.pat_with(account, |_| {}).await
    }

    pub(crate) async fn pat_with(&self, account: AccountId, change: impl FnOnce(&mut Pat)) -> Token {
        let token = Token::generate(TokenKind::PersonalAccess, "", random);
        let version = self.peppers.newest();
        self.keep(account, &token, &token, version, change).await;
        token
    }

    /// Keeps `hashed` under the public id of `shown`.
    pub(crate) async fn keep(
        &self,
        account: AccountId,
        shown: &Token,
        hashed: &Token,
        version: PepperVersion,
        change: impl FnOnce(&mut Pat),
    ) {
        let mut pat = Pat {
            public_id: shown.public_id(),
            account,
            service: "nightly export".to_owned(),
            state: PatState::Confirmed { at: self.now() },
            created_at: self.now(),
            created_by: Actor::Host("root".to_owned()),
            expires_at: self.now().plus(365 * DAY),
            restrictions: Restrictions::default(),
            last_used: None,
            succession: None,
            retires_at: None,
        };
        change(&mut pat);
        let hash = self.peppers.hash(version, hashed).unwrap();
        self.change(ActionType::PatCreated, account, move |writer| {
            Box::pin(async move { writer.insert_pat(&pat, &hash, version).await })
        })
        .await;
        self.subjects.widen(account);
    }

    pub(crate) async fn pat_state(&self, public_id: PublicId) -> Pat {
        self.store.read().await.unwrap().pat(public_id).await.unwrap().unwrap()
    }

    /// Revokes, and answers when it holds: after the commit, after the bump (R2).
    pub(crate) async fn revoke(&self, public_id: PublicId) {
        let mut pat = self.pat_state(public_id).await;
        let account = pat.account;
        let reason = ReasonCode::parse("compromised").unwrap();
        pat.revoke(self.now(), Actor::Host("root".to_owned()), reason).unwrap();
        self.change(ActionType::PatRevoked, account, move |writer| {
            Box::pin(async move { writer.save_pat_state(&pat).await })
        })
        .await;
        self.subjects.narrow(account);
    }

    // what a gateway does

    pub(crate) fn presented(&self, authorization: &str) -> Presented {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        match self.authn.identify(&headers, &Accepts::default()) {
            Presentation::Claimed { presented, .. } => presented,
            other => panic!("`{authorization}` is not claimed: {other:?}"),
        }
    }

    pub(crate) fn recall(&self, authorization: &str) -> Option<Arc<Proven>> {
        self.authn.recall(&self.presented(authorization), address(HOME), self.now())
    }

    pub(crate) async fn ask(&self, authorization: &str) -> Verdict {
        self.ask_from(authorization, HOME).await
    }

    pub(crate) async fn ask_from(&self, authorization: &str, from: &str) -> Verdict {
        let presented = self.presented(authorization);
        if let Some(proven) = self.authn.recall(&presented, address(from), self.now()) {
            return Verdict::Proven(proven);
        }
        self.authn.judge(presented, Source { address: address(from) }, self.now()).await
    }

    // what is left behind

    pub(crate) async fn on_record(&self, account: AccountId) -> u32 {
        let streaks = self.store.bookkeeping().streaks().await.unwrap();
        streaks.into_iter().find(|(id, _)| *id == account).map_or(0, |(_, streak)| streak.count())
    }

    /// The actions of one kind about an account, once all that was handed in is written.
    pub(crate) async fn actions(&self, kind: ActionType, account: AccountId) -> Vec<Entry> {
        let filter =
            HistoryFilter { kind: Some(kind), target: Some(account), limit: 10_000, ..HistoryFilter::default() };
        self.store.read().await.unwrap().history(&filter).await.unwrap()
    }

    /// The same, waited for: counted failures are written off the response's path.
    pub(crate) async fn actions_when(&self, kind: ActionType, account: AccountId, expected: usize) -> Vec<Entry> {
        for _ in 0..500 {
            let actions = self.actions(kind, account).await;
            if actions.len() >= expected {
                return actions;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} never came to {expected}", kind.slug());
    }

    pub(crate) async fn is_active(&self, account: AccountId) -> bool {
        self.store.read().await.unwrap().account(account).await.unwrap().unwrap().state.is_active()
    }
}

fn target_of(change: &Change) -> AccountId {
    match change {
        Change::Added { account, .. }
        | Change::Given { account, .. }
        | Change::Taken { account, .. }
        | Change::AdministrationTaken { account, .. }
        | Change::Inactivated { account }
        | Change::Activated { account }
        | Change::Deleted { account } => *account,
    }
}

/// What `provision` does in the real house: the account inactive, once, by Locum.
fn carry_out(store: Store, subjects: Subjects, clock: Arc<FixedClock>) -> CarryOut {
    Arc::new(move |trip: Trip| {
        let (store, subjects, now) = (store.clone(), subjects.clone(), clock.now());
        Box::pin(async move {
            let account = trip.account;
            let context = ApplyContext {
                now,
                by: Actor::Locum,
                reason: ReasonCode::failed_attempts(),
                pat_reason: ReasonCode::account_inactivated(),
            };
            store
                .change(move |writer| {
                    Box::pin(async move {
                        let found = writer.account(account).await?;
                        if !found.is_some_and(|found| found.state.is_active() && found.life == trip.life) {
                            return Ok::<_, StoreError>(Outcome::Unchanged(()));
                        }
                        writer.apply(&[Change::Inactivated { account }], &context).await?;
                        let action = Action::new(ActionType::AttemptsLocked, Actor::Locum).to(account).because("L1");
                        Ok(Outcome::Changed((), Actions::one(action)))
                    })
                })
                .await?;
            subjects.narrow(account);
            Ok(())
        })
    })
}

#[expect(clippy::unnecessary_wraps, reason = "as a request has it")]
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

pub(crate) fn basic(username: &str, password: &str) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    format!("Basic {encoded}")
}

pub(crate) fn bearer(token: &Token) -> String {
    format!("Bearer {}", token.expose())
}
