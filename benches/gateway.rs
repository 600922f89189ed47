//! What the gateway's work on headers costs: removing what is not the client's to say, and setting what
//! the app is told of its caller; and what it costs to look at a head before it is parsed.
//!
//! `cargo bench --bench gateway`. What is measured is what the stack calls, on heads made here: no
//! connection, no parser. Of a request's header work this leaves out what stands between the two, the
//! removal of the credential and the four words of the hop (`X-Forwarded-…`, `X-Request-Id`), each an
//! insertion or a removal like those that are measured.

#[path = "../tests/authn/house.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "the tests' house, of which a bench needs one part")]
mod house;
#[path = "../tests/authn/steps.rs"]
#[expect(dead_code, reason = "a bench measures time, and leaves the counting of steps to the tests")]
mod steps;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use house::{House, basic};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use locum::authn::{Proven, Verdict};
use locum::authz::{InForce, Resolution};
use locum::directory::AppName;
use locum::gateway::head_guard::{Limits, Scanner};
use locum::gateway::{
    AppSettings, Asked, Identity, Plan, Preset, Resilience, Settings, Timeouts, TransportSettings, TunnelSettings,
};
use locum::policy::{AppRoutes, PathPrefix, PathReading, Pattern, RouteSettings, Rule};

const ASKED: Asked<'static> = Asked { request_id: "00000000000000000000002a", port: 443 };

/// As a script's client sends it.
const SCRIPT: [(&str, &str); 5] = [
    ("host", "app.example.org"),
    ("authorization", "Basic YmlsbGluZzpub25l"),
    ("user-agent", "curl/8.17.0"),
    ("accept", "*/*"),
    ("connection", "keep-alive"),
];

/// As a browser sends it.
const BROWSER: [(&str, &str); 13] = [
    ("host", "app.example.org"),
    ("connection", "keep-alive"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "http://app.example.org/reports/"),
    ("cookie", "session=6f1d1f6a2c9e4b57a7b1; theme=dark"),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("priority", "u=0, i"),
];

/// What a forger adds; all of it has to go.
const FORGED: [(&str, &str); 6] = [
    ("x-locum-user", "root"),
    ("x-locum-roles", "admin"),
    ("x-forwarded-for", "192.0.2.1"),
    ("x-real-ip", "192.0.2.1"),
    ("x-original-url", "/admin"),
    ("forwarded", "for=192.0.2.1"),
];

criterion_group!(benches, guarding, cleaning, telling);
criterion_main!(benches);

fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let line =
        |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    lines.iter().map(line).collect()
}

/// One app, told in the names of the native preset.
fn plan() -> Plan {
    let routing = AppRoutes {
        name: AppName::parse("app").expect("letters"),
        hosts: Vec::new(),
        path_prefix: PathPrefix::parse("/").expect("the widest prefix"),
        path_reading: PathReading::Exact,
        routes: vec![RouteSettings { path: Pattern::parse("/*").expect("a pattern"), rule: Rule::default() }],
    };
    let app = AppSettings {
        routing,
        upstreams: vec!["127.0.0.1:3000".to_owned()],
        transport: TransportSettings::default(),
        secret_header: None,
        headers: Preset::Locum,
        set_headers: Vec::new(),
        identity: Identity::Account,
        timeouts: Timeouts::default(),
        tunnels: TunnelSettings::default(),
        early_hints: true,
        resilience: Resilience::default(),
        rate_limits: Vec::new(),
    };
    Plan::compile(&Settings { apps: vec![app], ..Settings::default() }).expect("one app with a route and an upstream")
}

/// The same head as bytes.
fn bytes(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut lines: Vec<_> = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    lines.insert(0, "GET /reports/monthly?year=2026 HTTP/1.1\r\n".to_owned());
    format!("{}\r\n", lines.concat()).into_bytes()
}

fn guarding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gateway");
    for (name, head) in
        [("head guard, an ordinary head", bytes(&SCRIPT)), ("head guard, a browser's head", bytes(&BROWSER))]
    {
        let mut scanner = Scanner::new(Limits { head_bytes: 64 * 1024, head_fields: 100 });
        group.bench_function(name, |b| {
            b.iter(|| {
                let scan = scanner.scan(black_box(&head));
                assert_eq!(scan.pass, head.len(), "a whole head passes");
            });
        });
    }
}

fn cleaning(criterion: &mut Criterion) {
    let plan = plan();
    let mut group = criterion.benchmark_group("gateway");
    let forged: Vec<_> = BROWSER.into_iter().chain(FORGED).collect();
    let heads = [
        ("clean a script's head", head(&SCRIPT)),
        ("clean a browser's head", head(&BROWSER)),
        ("clean a browser's head of six forged lines", head(&forged)),
    ];
    for (name, head) in heads {
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || head.clone(),
                |head| plan.clean(Version::HTTP_11, black_box(head)).expect("nothing in it is ambiguous"),
                BatchSize::SmallInput,
            );
        });
    }
}

fn telling(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    let (proven, in_force, changed) = runtime.block_on(principal());
    let (plan, head) = (plan(), head(&BROWSER));
    let mut group = criterion.benchmark_group("gateway");

    group.bench_function("set the identity of a known principal", |b| {
        b.iter_batched_ref(
            || head.clone(),
            |head| plan.tell(0, Some((&proven, &in_force)), ASKED, black_box(head)),
            BatchSize::SmallInput,
        );
    });

    // Each one finds what was kept for the other, and renders anew.
    let mut turns = [&in_force, &changed].into_iter().cycle();
    group.bench_function("render and set the identity of a changed principal", |b| {
        b.iter_batched_ref(
            || (head.clone(), turns.next().expect("a cycle has no end")),
            |(head, in_force)| plan.tell(0, Some((&proven, in_force)), ASKED, black_box(head)),
            BatchSize::SmallInput,
        );
    });
}

/// A proxy user that was proven, and what was in force for it before and after a change.
async fn principal() -> (Arc<Proven>, Arc<InForce>, Arc<InForce>) {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let token = house.pat(billing).await;
    let Verdict::Proven(proven) = house.ask(&basic("billing", token.expose())).await else {
        unreachable!("the token is usable");
    };
    let resolve = async || match house.authz.resolve(billing).await {
        Resolution::InForce(in_force) => in_force,
        other => unreachable!("the account and its owner are active: {other:?}"),
    };
    let before = resolve().await;
    house.subjects.widen(billing);
    let after = resolve().await;
    assert!(!Arc::ptr_eq(&before, &after), "the second is a reading of its own");
    (proven, before, after)
}
