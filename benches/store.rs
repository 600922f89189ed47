//! How many acknowledged changes a second the store keeps, each surviving the loss of power (decision:
//! at least 1,000 on two cores), and how many failures it counts.
//!
//! A change adds an account and leaves an action. Callers wait for their answer before they ask again,
//! so what is measured is what callers see; the more of them there are, the more share a commit.
//!
//! ```text
//! cargo bench --bench store            # SQLite, and PostgreSQL with its files flushed
//! cargo bench --bench store -- sqlite  # one of them
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use locum::clock::{Clock as _, SystemClock};
use locum::directory::lockout::{Attempt, AttemptId};
use locum::directory::{Account, AccountId, Actor, Kind, Life, State, Username};
use locum::history::{Action, ActionType, Actions};
use locum::store::{Location, Outcome, Settings, Store, StoreError, Writer};

#[path = "../tests/harness/postgres.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with the tests, which need more of it")]
mod postgres;

const CALLERS: [u64; 4] = [1, 8, 64, 256];
const LASTS: Duration = Duration::from_secs(3);

fn main() {
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    if wanted("sqlite") {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk");
        runtime.block_on(measure("sqlite", Location::Sqlite(folder.path().join("locum.db"))));
    }
    if wanted("postgres") {
        let server = postgres::Postgres::start(&["-c", "fsync=on", "-c", "synchronous_commit=on"]);
        runtime.block_on(measure("postgres", Location::Postgres(server.database().into())));
    }
}

async fn measure(name: &str, location: Location) {
    let settings = Settings { location, readers: 4, timeout: Duration::from_secs(30), queue: 4_096 };
    let store = Store::open(&settings, Arc::new(SystemClock)).await.expect("the store opens");
    for callers in CALLERS {
        report(name, "changes", callers, &store, |caller, number| change(store.clone(), caller, number)).await;
    }
    for callers in CALLERS {
        let mut accounts = Vec::new();
        for number in 0..callers {
            accounts.push(add(&store, u64::MAX - callers, number).await);
        }
        let fail = |caller: u64, number| {
            let account = accounts[usize::try_from(caller % 1_000).expect("at most 256")];
            count(store.clone(), account, caller, number)
        };
        report(name, "counted failures", callers, &store, fail).await;
    }
    store.close().await;
}

/// Lets so many callers ask again and again, and prints what came of it.
async fn report<F: Future<Output = ()>>(
    name: &str,
    what: &str,
    callers: u64,
    store: &Store,
    ask: impl Fn(u64, u64) -> F,
) {
    let (before, started) = (store.statistics(), Instant::now());
    let asking = (0..callers).map(|caller| {
        let ask = &ask;
        async move {
            let mut longest = Duration::ZERO;
            for number in 0_u64.. {
                if started.elapsed() > LASTS {
                    break;
                }
                let asked = Instant::now();
                ask(callers * 1_000 + caller, number).await;
                longest = longest.max(asked.elapsed());
            }
            longest
        }
    });
    let longest = join_all(asking).await.into_iter().max().unwrap_or_default();
    let after = store.statistics();
    let (operations, commits) = (after.operations - before.operations, after.commits - before.commits);
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are far below 2^52")]
    let (rate, shared) = (operations as f64 / seconds, operations as f64 / commits.max(1) as f64);
    println!(
        "{name:9} {what:17} {callers:4} callers: {rate:8.0}/s, {shared:6.1} a commit, longest {:6.1} ms",
        longest.as_secs_f64() * 1_000.0
    );
}

async fn change(store: Store, caller: u64, number: u64) {
    add(&store, caller, number).await;
}

async fn add(store: &Store, caller: u64, number: u64) -> AccountId {
    let now = SystemClock.now();
    let account = Account {
        id: AccountId::new(now, &rand::random()),
        username: Username::parse(&format!("u{caller}-{number}")).expect("letters and digits"),
        kind: Kind::Person,
        state: State::Active,
        life: Life::FIRST,
        created_at: now,
    };
    let id = account.id;
    let adding = store.change(move |writer: &mut Writer| {
        Box::pin(async move {
            writer.insert_account(&account).await?;
            let told = Action::new(ActionType::UserAdded, Actor::Host("bench".to_owned())).to(account.id);
            Ok::<_, StoreError>(Outcome::Changed((), Actions::one(told)))
        })
    });
    adding.await.expect("the change is kept");
    id
}

/// A success now and then keeps the streak from tripping.
async fn count(store: Store, account: AccountId, caller: u64, number: u64) {
    let id = AttemptId(u128::from(caller) << 64 | u128::from(number));
    let attempt = Attempt { id, address: None, at: SystemClock.now() };
    let books = store.bookkeeping();
    books.fail(account, Life::FIRST, 5, attempt).await.expect("the failure is counted");
    if number.is_multiple_of(4) {
        books.succeed(account, Life::FIRST).await.expect("the success is noted");
    }
}
