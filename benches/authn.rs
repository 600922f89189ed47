//! The costly steps of authentication: reading what a request presents, recalling who that is; and what
//! a recall spares, verifying the secret and a whole judgement.
//!
//! `cargo bench --bench authn`. The recalls are measured with ten thousand credentials known, on one
//! thread and on two. A recall is the keyed digest of what was presented and the look at what it proved;
//! a judgement goes from the data plane to the control side and back, with a look-up in SQLite and one HMAC.

#[path = "../tests/authn/house.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "the tests' house, of which a bench needs one part")]
mod house;
#[path = "../tests/authn/steps.rs"]
#[expect(dead_code, reason = "a bench measures time, and leaves the counting of steps to the tests")]
mod steps;
#[path = "harness/threads.rs"]
mod threads;

use std::cell::LazyCell;
use std::hint::black_box;
use std::sync::LazyLock;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use futures_util::future::join_all;
use house::{HOME, House, Plan, address, basic, bearer};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use locum::authn::{Accepts, Presentation, Presented, Source, Verdict};
use locum::directory::pepper::{PepperVersion, Peppers};
use locum::directory::{Token, TokenKind};
use threads::together;
use tokio::runtime::Runtime;

const KNOWN: usize = 10_000;
/// How many of them are made at once, so that they share commits.
const TOGETHER: usize = 500;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime can be built")
});

criterion_group!(benches, reading, recalling, verifying, judging);
criterion_main!(benches);

/// A house with many proven credentials of one account, and the headers of all of them.
async fn full_house() -> (House, Vec<HeaderMap>) {
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
    (house, known)
}

fn headers(authorization: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).expect("base64 is a header's value"));
    headers
}

fn accepts() -> Accepts<'static> {
    Accepts::default()
}

fn identify(house: &House, headers: &HeaderMap) -> Presented {
    match house.authn.identify(headers, &accepts()) {
        Presentation::Claimed { presented, .. } => presented,
        other => unreachable!("a token of Locum's is always claimed: {other:?}"),
    }
}

fn reading(criterion: &mut Criterion) {
    let house = LazyCell::new(|| RUNTIME.block_on(House::open()));
    let token = Token::generate(TokenKind::PersonalAccess, "", house::random);
    let mut group = criterion.benchmark_group("authn");

    let presented = headers(&basic("billing", token.expose()));
    group.bench_function("read a Basic", |b| {
        let house = &*house;
        b.iter(|| identify(house, black_box(&presented)));
    });

    let presented = headers(&bearer(&token));
    group.bench_function("read a Bearer", |b| {
        let house = &*house;
        b.iter(|| identify(house, black_box(&presented)));
    });

    let foreign = headers(&format!("Bearer eyJhbGciOiJFUzI1NiJ9.{}", "a".repeat(1024)));
    group.bench_function("pass a foreign Bearer of 1 KiB", |b| {
        let house = &*house;
        b.iter(|| house.authn.identify(black_box(&foreign), &accepts()));
    });
}

fn recalling(criterion: &mut Criterion) {
    let full = LazyCell::new(|| RUNTIME.block_on(full_house()));
    let mut group = criterion.benchmark_group("authn");
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new("digest and recall one credential, threads", threads), |b| {
            let (house, known) = &*full;
            let (presented, from, now) = (identify(house, &known[0]), address(HOME), house.now());
            let recall = || house.authn.recall(black_box(&presented), from, now).expect("it is known");
            b.iter_custom(|rounds| together(threads, rounds, || drop(recall()), |_| recall()));
        });
        group.bench_function(BenchmarkId::new("read and recall any of 10000, threads", threads), |b| {
            let (house, known) = &*full;
            let (from, now) = (address(HOME), house.now());
            let recall = |round: usize| {
                // Far from the one before, so that no cache of the processor has it.
                let headers = &known[round.wrapping_mul(7919) % KNOWN];
                house.authn.recall(&identify(house, headers), from, now).expect("it is known")
            };
            b.iter_custom(|rounds| together(threads, rounds, || (0..KNOWN).for_each(|at| drop(recall(at))), recall));
        });
    }
}

/// One HMAC over the whole token, and one comparison in constant time.
fn verifying(criterion: &mut Criterion) {
    let peppers = Peppers::parse(&house::pepper_line(1)).expect("one line of 64 digits");
    let token = Token::generate(TokenKind::PersonalAccess, "", house::random);
    let kept = peppers.hash(PepperVersion(1), &token).expect("version 1 is there");
    criterion.bench_function("authn/verify a PAT", |b| {
        b.iter(|| peppers.hash(PepperVersion(1), black_box(&token)).expect("version 1 is there").agrees_with(&kept));
    });
}

/// Each judgement is of a credential whose account changed the moment before, or it would be a recall.
fn judging(criterion: &mut Criterion) {
    let house = LazyCell::new(|| {
        RUNTIME.block_on(async {
            let house = House::open().await;
            let billing = house.proxy("billing", house.person("ann").await).await;
            let presented = headers(&basic("billing", house.pat(billing).await.expose()));
            (house, billing, presented)
        })
    });
    criterion.bench_function("authn/judge a good credential", |b| {
        let (house, billing, headers) = &*house;
        b.to_async(&*RUNTIME).iter(|| async {
            house.subjects.widen(*billing);
            let asked = house.authn.judge(identify(house, headers), Source { address: address(HOME) }, house.now());
            let verdict = asked.await;
            assert!(matches!(verdict, Verdict::Proven(_)), "a good credential is proven: {verdict:?}");
        });
    });
}
