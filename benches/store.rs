//! What the store costs on the path of a request, and how much of what changes it keeps: acknowledged
//! changes, each surviving the loss of power (decision: at least 1,000 a second on two cores), and
//! counted failures.
//!
//! A look-up is the one query of a judgement, among ten thousand tokens. A change adds an account and
//! leaves an action. Callers wait for their answer before they ask again, so what is measured is what
//! callers see: the time of an iteration is that in which each of them was answered once. The more of
//! them there are, the more share a commit; how many did, and the longest that one waited, stand below.
//!
//! ```text
//! cargo bench --bench store            # SQLite, and PostgreSQL with its files flushed
//! cargo bench --bench store -- sqlite  # one of them
//! ```

use std::cell::LazyCell;
use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::{BoxFuture, join_all};
use locum::clock::{Clock as _, SystemClock};
use locum::directory::lockout::{Attempt, AttemptId};
use locum::directory::pat::LONGEST_LIFE;
use locum::directory::pepper::Peppers;
use locum::directory::{
    Account, AccountId, Actor, Kind, Life, Networks, Pat, PatState, PublicId, Restrictions, State, Token, TokenKind,
    Username,
};
use locum::history::{Action, ActionType, Actions};
use locum::store::{Location, Outcome, Settings, Store, StoreError, Writer};
use tokio::runtime::Runtime;

#[path = "../tests/harness/postgres.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with the tests, which need more of it")]
mod postgres;

const CALLERS: [usize; 4] = [1, 8, 64, 256];
const TOKENS: usize = 10_000;
/// How many of them are made at once, so that they share commits.
const TOGETHER: usize = 500;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime can be built")
});

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = sqlite, postgres
}
criterion_main!(benches);

fn sqlite(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk");
    measure(criterion, "sqlite", || Location::Sqlite(folder.path().join("locum.db")));
}

fn postgres(criterion: &mut Criterion) {
    let server = LazyCell::new(|| postgres::Postgres::start(&["-c", "fsync=on", "-c", "synchronous_commit=on"]));
    measure(criterion, "postgres", || Location::Postgres(server.database().into()));
}

/// Nothing is opened or filled before a bench that was asked for needs it.
fn measure(criterion: &mut Criterion, name: &str, location: impl Fn() -> Location) {
    let store = LazyCell::new(|| RUNTIME.block_on(open(location())));
    let full = LazyCell::new(|| RUNTIME.block_on(fill(&store)));
    let mut group = criterion.benchmark_group(name);

    let mut turn = 0;
    group.bench_function("look up a credential", |b| {
        let (store, (username, public_ids)) = (&*store, &*full);
        b.to_async(&*RUNTIME).iter(|| {
            // Far from the one before, so that not one page holds them all.
            turn = (turn + 7919) % TOKENS;
            look_up(store, black_box(username.as_str()), public_ids[turn])
        });
    });

    for callers in CALLERS {
        group.throughput(Throughput::Elements(callers as u64));
        let mut seen = Seen::default();
        group.bench_function(BenchmarkId::new("changes, callers", callers), |b| {
            let store = &*store;
            let ask = async |_, _| {
                add(store, Kind::Person).await;
            };
            b.iter_custom(|rounds| RUNTIME.block_on(seen.crowd(store, callers, rounds, &ask)));
        });
        seen.tell();
    }
    for callers in CALLERS {
        group.throughput(Throughput::Elements(callers as u64));
        let mut seen = Seen::default();
        let accounts = LazyCell::new(|| RUNTIME.block_on(join_all((0..callers).map(|_| add(&store, Kind::Person)))));
        group.bench_function(BenchmarkId::new("counted failures, callers", callers), |b| {
            let (store, accounts) = (&*store, &*accounts);
            let ask = async |caller: usize, round| count(store, &accounts[caller], round).await;
            b.iter_custom(|rounds| RUNTIME.block_on(seen.crowd(store, callers, rounds, &ask)));
        });
        seen.tell();
    }
}

/// What criterion does not see of a crowd of callers.
#[derive(Default)]
struct Seen {
    operations: u64,
    commits: u64,
    longest: Duration,
}

impl Seen {
    /// Lets each of the callers ask so many times, and answers how long that took.
    async fn crowd(&mut self, store: &Store, callers: usize, rounds: u64, ask: &impl AsyncFn(usize, u64)) -> Duration {
        let (before, started) = (store.statistics(), Instant::now());
        let asking = (0..callers).map(async |caller| {
            let mut longest = Duration::ZERO;
            for round in 0..rounds {
                let asked = Instant::now();
                ask(caller, round).await;
                longest = longest.max(asked.elapsed());
            }
            longest
        });
        let longest = join_all(asking).await.into_iter().max().unwrap_or_default();
        let (took, after) = (started.elapsed(), store.statistics());
        self.operations += after.operations - before.operations;
        self.commits += after.commits - before.commits;
        self.longest = self.longest.max(longest);
        took
    }

    /// Nothing, when the bench was not asked for.
    fn tell(&self) {
        if self.commits > 0 {
            #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are far below 2^52")]
            let shared = self.operations as f64 / self.commits as f64;
            let longest_ms = self.longest.as_secs_f64() * 1_000.0;
            println!("{shared:.1} operations a commit; the longest wait took {longest_ms:.1} ms\n");
        }
    }
}

async fn open(location: Location) -> Store {
    let settings = Settings { location, readers: 4, timeout: Duration::from_secs(30), queue: 4_096 };
    Store::open(&settings, Arc::new(SystemClock)).await.expect("the store opens")
}

/// A proxy user with many tokens, and the ids of all of them.
async fn fill(store: &Store) -> (Username, Vec<PublicId>) {
    let owner = add(store, Kind::Person).await.id;
    let account = add(store, Kind::Proxy { owner }).await;
    let peppers = Peppers::parse(&format!("1 {}", "ab".repeat(32))).expect("one line of 64 digits");
    let mut public_ids = Vec::new();
    while public_ids.len() < TOKENS {
        public_ids.extend(join_all((0..TOGETHER).map(|_| add_pat(store, &peppers, account.id))).await);
    }
    (account.username, public_ids)
}

async fn look_up(store: &Store, username: &str, public_id: PublicId) {
    let mut reader = store.read().await.expect("a reader is free");
    let found = reader.look_up(Some(username), Some(public_id)).await.expect("the store answers");
    assert!(found.named.is_some() && found.pat.is_some(), "both are there");
}

async fn add(store: &Store, kind: Kind) -> Account {
    let now = SystemClock.now();
    let account = Account {
        id: AccountId::new(now, &rand::random()),
        username: Username::parse(&format!("u{:016x}", rand::random::<u64>())).expect("letters and digits"),
        kind,
        state: State::Active,
        life: Life::FIRST,
        networks: Networks::ANY,
        created_at: now,
    };
    let (id, added) = (account.id, account.clone());
    let kind = if kind == Kind::Person { ActionType::UserAdded } else { ActionType::ProxyUserAdded };
    keep(store, kind, id, |writer| Box::pin(async move { writer.insert_account(&account).await })).await;
    added
}

async fn add_pat(store: &Store, peppers: &Peppers, account: AccountId) -> PublicId {
    let (now, version) = (SystemClock.now(), peppers.newest());
    let token = Token::generate(TokenKind::PersonalAccess, "", |bytes| rand::fill(bytes));
    let hash = peppers.hash(version, &token).expect("the newest is there");
    let pat = Pat {
        public_id: token.public_id(),
        account,
        service: "nightly export".to_owned(),
        state: PatState::Confirmed { at: now },
        created_at: now,
        created_by: by(),
        expires_at: now.plus(LONGEST_LIFE),
        restrictions: Restrictions::default(),
        last_used: None,
        succession: None,
        retires_at: None,
    };
    keep(store, ActionType::PatCreated, account, move |writer| {
        Box::pin(async move { writer.insert_pat(&pat, &hash, version).await })
    })
    .await;
    token.public_id()
}

fn by() -> Actor {
    Actor::Host("bench".to_owned())
}

async fn keep<F>(store: &Store, kind: ActionType, about: AccountId, write: F)
where
    F: for<'w> FnOnce(&'w mut Writer) -> BoxFuture<'w, Result<(), StoreError>> + Send + 'static,
{
    let changing = store.change(move |writer: &mut Writer| {
        Box::pin(async move {
            write(writer).await?;
            Ok::<_, StoreError>(Outcome::Changed((), Actions::one(Action::new(kind, by()).to(about))))
        })
    });
    changing.await.expect("the change is kept");
}

/// A success now and then keeps the streak from tripping.
async fn count(store: &Store, account: &Account, round: u64) {
    let attempt = Attempt { id: AttemptId(rand::random()), address: None, at: SystemClock.now() };
    let books = store.bookkeeping();
    books.fail(account.id, account.life, 5, attempt).await.expect("the failure is counted");
    if round.is_multiple_of(4) {
        books.succeed(account.id, account.life).await.expect("the success is noted");
    }
}
