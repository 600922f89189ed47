//! The costly steps of a request that authenticates: reading what it presents, recalling who that is,
//! recalling what is in force; and beside them what they spare, a judgement and a resolution.
//!
//! `cargo bench --bench authn`. The recalls are measured with ten thousand credentials known, on one
//! thread and on two, because what threads share is what costs.

#[path = "../tests/authn/house.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "the tests' house, of which a bench needs one part")]
mod house;
#[path = "../tests/authn/steps.rs"]
#[expect(dead_code, reason = "a bench measures time, and leaves the counting of steps to the tests")]
mod steps;

use std::sync::LazyLock;

use divan::{Bencher, black_box};
use futures_util::future::join_all;
use house::{HOME, House, Plan, address, basic, bearer};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use locum::authn::{Accepts, Presentation, Presented, Source};
use locum::directory::{Token, TokenKind};
use tokio::runtime::Runtime;

/// Counts what each step allocates; the way of a known credential has to show none.
#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

const KNOWN: usize = 10_000;
/// How many of them are made at once, so that they share commits.
const TOGETHER: usize = 500;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime can be built")
});

/// A house with many proven credentials, and the headers of all of them.
static FULL: LazyLock<(House, Vec<HeaderMap>)> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let house = House::with(Plan::default()).await;
        let billing = house.proxy("billing", house.person("ann").await).await;
        let mut tokens = Vec::new();
        for _ in 0..KNOWN / TOGETHER {
            tokens.extend(join_all((0..TOGETHER).map(|_| house.pat(billing))).await);
        }
        let mut known = Vec::new();
        for token in tokens {
            let header = basic("billing", token.expose());
            house.ask(&header).await;
            known.push(headers(&header));
        }
        house.authz.resolve(billing).await;
        (house, known)
    })
});

fn main() {
    LazyLock::force(&FULL);
    divan::main();
}

fn headers(authorization: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).expect("base64 is a header's value"));
    headers
}

fn accepts() -> Accepts {
    Accepts { basic: true, bearer: true, username_header: None }
}

fn identify(house: &House, headers: &HeaderMap) -> Presented {
    match house.authn.identify(headers, &accepts()) {
        Presentation::Claimed(presented) => presented,
        other => unreachable!("a Basic is always claimed: {other:?}"),
    }
}

#[divan::bench]
fn read_a_basic(bencher: Bencher) {
    let (house, known) = &*FULL;
    bencher.bench(|| identify(house, black_box(&known[0])));
}

#[divan::bench]
fn read_a_bearer(bencher: Bencher) {
    let token = Token::generate(TokenKind::PersonalAccess, "", house::random);
    let headers = headers(&bearer(&token));
    bencher.bench(|| identify(&FULL.0, black_box(&headers)));
}

#[divan::bench]
fn pass_a_foreign_bearer_of_1_kib(bencher: Bencher) {
    let headers = headers(&format!("Bearer eyJhbGciOiJFUzI1NiJ9.{}", "a".repeat(1024)));
    bencher.bench(|| FULL.0.authn.identify(black_box(&headers), &accepts()));
}

#[divan::bench(threads = [1, 2])]
fn recall_one_credential(bencher: Bencher) {
    let (house, known) = &*FULL;
    let presented = identify(house, &known[0]);
    let (from, now) = (address(HOME), house.now());
    bencher.bench(|| house.authn.recall(black_box(&presented), from, now).expect("it is known"));
}

#[divan::bench(threads = [1, 2])]
fn read_and_recall_any_of_10_000(bencher: Bencher) {
    let (house, known) = &*FULL;
    let (from, now) = (address(HOME), house.now());
    let next = std::sync::atomic::AtomicUsize::new(0);
    bencher
        .with_inputs(|| &known[next.fetch_add(7919, std::sync::atomic::Ordering::Relaxed) % KNOWN])
        .bench_values(|headers| house.authn.recall(&identify(house, headers), from, now).expect("it is known"));
}

#[divan::bench(threads = [1, 2])]
fn recall_what_is_in_force(bencher: Bencher) {
    let (house, known) = &*FULL;
    let presented = identify(house, &known[0]);
    let account = house.authn.recall(&presented, address(HOME), house.now()).expect("it is known").account;
    RUNTIME.block_on(house.authz.resolve(account));
    bencher.with_inputs(|| ()).bench_values(|()| house.authz.recall(black_box(account)));
}

/// From the data plane to the control side and back, with a look-up in SQLite and one HMAC.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn judge_a_good_credential(bencher: Bencher) {
    let (house, known) = &*FULL;
    let account = house.authn.recall(&identify(house, &known[0]), address(HOME), house.now()).expect("known").account;
    bencher
        .with_inputs(|| {
            house.subjects.widen(account);
            identify(house, &known[0])
        })
        .bench_values(|presented| {
            RUNTIME.block_on(house.authn.judge(presented, Source { address: address(HOME) }, house.now()))
        });
    for headers in known {
        let asked = house.authn.judge(identify(house, headers), Source { address: address(HOME) }, house.now());
        RUNTIME.block_on(asked);
    }
}
