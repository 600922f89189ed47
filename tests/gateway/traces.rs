//! What a collector of traces is told of requests, what an app is told, and what neither ever is.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use locum::clock::{Clock as _, SystemClock};
use locum::gateway::{AccessLogSettings, HopSettings, HopWords, TrustedProxies};
use locum::telemetry::trace::{Endpoint, Settings};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::client::{Answer, Client};
use crate::collector::{Collector, hex, text};
use crate::log::LOG;
use crate::upstream::{Next, Upstream, respond};
use crate::world::{Plan, World};

const PROXY: [u8; 4] = [127, 0, 0, 2];
const STRANGER: [u8; 4] = [127, 0, 0, 1];

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn settings(collector: &Collector, one_in: u32) -> Settings {
    Settings {
        endpoint: Endpoint::parse(&collector.endpoint()).unwrap(),
        tls: None,
        headers: Vec::new(),
        sample_one_in: NonZeroU32::new(one_in).unwrap(),
        service_name: "gate".to_owned(),
        timeout: Duration::from_secs(5),
    }
}

/// One request in so many is traced; 127.0.0.2 is a trusted proxy.
fn traced(upstream: &Upstream, collector: &Collector, one_in: u32) -> World {
    let trusted = TrustedProxies::new(vec![TrustedProxies::network("127.0.0.2").unwrap()]);
    World::open(&Plan {
        tracing: Some(settings(collector, one_in)),
        hops: HopSettings { trusted, words: HopWords::XForwarded { scheme: true, host: false } },
        ..Plan::of(upstream.address)
    })
}

fn get(world: &World, from: [u8; 4], target: &str, lines: &str) -> Answer {
    let mut client = Client::connect_from(from, world.address);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test:8080\r\n{lines}\r\n"));
    client.answer().unwrap()
}

fn sides(trace: &[Span]) -> (&Span, Option<&Span>) {
    let of = |kind: SpanKind| trace.iter().find(|span| span.kind() == kind);
    (of(SpanKind::Server).expect("the request has a span"), of(SpanKind::Client))
}

fn said<'a>(span: &Span, keys: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    keys.into_iter().map(|key| text(span, key).unwrap_or_default()).collect()
}

/// G13: a request is a span, the exchange with the app one below it; the trace of who asks goes on, and the app is told
/// where it stands.
#[test]
fn a_request_is_a_span_of_its_clients_trace_and_the_app_stands_below_it() {
    let log = &*LOG;
    let (upstream, collector) = (Upstream::echo(), Collector::start());
    let world = traced(&upstream, &collector, 1);
    let billing = world.proxy_user("billing", &["user"]);
    let now = || u64::try_from(SystemClock.now().as_millis()).unwrap() * 1_000_000;
    let before = now();
    let lines = format!("{}traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: rojo=1, congo=2\r\n", billing.basic());
    assert_eq!(get(&world, STRANGER, "/app/traced?secret=1", &lines).status, 200);

    let trace = collector.trace_of("/app/traced");
    let after = now() + 1_000_000;
    let (server, client) = sides(&trace);
    let client = client.expect("the exchange with the app has a span");
    assert_eq!((hex(&server.trace_id).as_str(), hex(&server.parent_span_id).as_str()), (TRACE, PARENT));
    assert_eq!((&client.trace_id, &client.parent_span_id), (&server.trace_id, &server.span_id));
    let told = upstream.last();
    assert_eq!(told.value("traceparent").unwrap(), format!("00-{TRACE}-{}-01", hex(&client.span_id)));
    assert_eq!(told.value("tracestate").unwrap(), "rojo=1, congo=2");

    assert_eq!(server.name, "GET /app/*");
    let keys = ["http.request.method", "url.path", "url.scheme", "http.response.status_code", "http.route"];
    assert_eq!(said(server, keys), ["GET", "/app/traced", "http", "200", "/app/*"]);
    let keys = ["client.address", "server.address", "server.port", "network.protocol.version", "error.type"];
    assert_eq!(said(server, keys), ["127.0.0.1", "app.test", "8080", "1.1", ""]);
    let keys = ["locum.app", "locum.route", "locum.decision", "locum.reason", "locum.account", "locum.owner"];
    assert_eq!(said(server, keys), ["app", "/app/*", "permitted", "", "billing", "billing-owner"]);
    let line = log.wait_for("/app/traced");
    let keys = ["locum.pat", "locum.upstream", "locum.request_id"];
    assert_eq!(
        said(server, keys),
        [billing.public_id.as_str(), &upstream.address.to_string(), line["request_id"].as_str().unwrap()]
    );
    assert_eq!(line["trace_id"], TRACE);
    let port = upstream.address.port().to_string();
    let keys = ["http.request.method", "server.address", "server.port", "http.response.status_code"];
    assert_eq!(said(client, keys), ["GET", "127.0.0.1", &port, "200"]);
    for span in &trace {
        assert_ne!(span.status.as_ref().unwrap().code(), StatusCode::Error);
        assert!(span.start_time_unix_nano >= before && span.end_time_unix_nano >= span.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= after);
    }
    assert!(client.start_time_unix_nano >= server.start_time_unix_nano);

    let (seen, batch) = collector.batches().remove(0);
    assert_eq!(
        (seen.target().as_str(), seen.value("content-type").unwrap().as_str()),
        ("/v1/traces", "application/x-protobuf")
    );
    let resource = batch.resource_spans[0].resource.clone().unwrap();
    assert_eq!(crate::collector::attribute(&resource.attributes, "service.name").unwrap(), "gate");
}

/// G13: what is no `traceparent`, or is there twice, is none: a trace begins, and a state that belongs to no parent ends.
#[test]
fn a_parent_that_cannot_be_read_is_none() {
    let (upstream, collector) = (Upstream::echo(), Collector::start());
    let world = traced(&upstream, &collector, 1);
    let good = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n");
    for (number, lines) in [
        String::new(),
        format!("{good}{good}"),
        good.to_uppercase().replace("TRACEPARENT", "traceparent"),
        format!("traceparent: 00-{TRACE}-{PARENT}-01-more\r\n"),
        format!("traceparent: 00-{}-{PARENT}-01\r\n", "0".repeat(32)),
    ]
    .iter()
    .enumerate()
    {
        let target = format!("/pub/unread-{number}");
        assert_eq!(get(&world, STRANGER, &target, &format!("{lines}tracestate: rojo=1\r\n")).status, 200);
        let told = upstream.last();
        let told_parent = told.value("traceparent").unwrap();
        assert!(!told_parent.contains(TRACE), "{lines}");
        assert_eq!(told.value("tracestate"), None, "{lines}");
        let trace = collector.trace_of(&target);
        let (server, client) = sides(&trace);
        assert!(server.parent_span_id.is_empty(), "{lines}");
        assert_eq!(told_parent, format!("00-{}-{}-01", hex(&server.trace_id), hex(&client.unwrap().span_id)));
    }
    // A state that cannot be read goes alone.
    assert_eq!(get(&world, STRANGER, "/pub/state", &format!("{good}tracestate: Rojo\r\n")).status, 200);
    let told = upstream.last();
    assert!(told.value("traceparent").unwrap().contains(TRACE));
    assert_eq!(told.value("tracestate"), None);
}

/// G13: a stranger cannot make us trace, and a trusted proxy decides itself, both ways.
#[test]
fn only_a_trusted_proxy_decides_what_is_traced() {
    let (upstream, collector) = (Upstream::echo(), Collector::start());
    let few = traced(&upstream, &collector, 1_000_000_000);
    let parent = |flags: &str| format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\n");
    let told = |world: &World, from, target: &str, lines: &str| {
        assert_eq!(get(world, from, target, lines).status, 200);
        upstream.last().value("traceparent").unwrap()
    };
    for number in 0..5 {
        let told = told(&few, STRANGER, &format!("/pub/stranger-{number}"), &parent("01"));
        assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00"), "{told}");
    }
    assert!(told(&few, PROXY, "/pub/few", "").ends_with("-00"), "the proxy has decided nothing");
    assert!(told(&few, PROXY, "/pub/wanted", &parent("01")).ends_with("-01"));
    let all = traced(&upstream, &collector, 1);
    assert!(told(&all, PROXY, "/pub/unwanted", &parent("00")).ends_with("-00"));
    assert!(told(&all, STRANGER, "/pub/ours", &parent("00")).ends_with("-01"));
    collector.trace_of("/pub/wanted");
    collector.trace_of("/pub/ours");
    let mut paths: Vec<_> = collector.spans().iter().filter_map(|span| text(span, "url.path")).collect();
    paths.sort();
    assert_eq!(paths, ["/pub/ours", "/pub/wanted"]);
}

/// G13: a refusal is a span with its reason and without an app; what is our side's or the app's fault is an error.
#[test]
fn a_refusal_is_a_span_with_its_reason() {
    let collector = Collector::start();
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| match seen.target().as_str() {
            "/app/broken" => respond(stream, "503 Service Unavailable", &[], b""),
            "/app/silent" => Next::Close,
            _ => respond(stream, "404 Not Found", &[], b""),
        },
    );
    let world = traced(&upstream, &collector, 1);
    let billing = world.proxy_user("billing", &["user"]).basic();
    let nobody = "Authorization: Basic bm9ib2R5Om5vbnNlbnNl\r\n";
    for (target, lines, status, decision, reason, failed) in [
        ("/admin/x", billing.as_str(), 403, "denied", "role_missing", [None, Some(false)]),
        ("/app/none", "", 401, "unauthenticated", "credential_required", [None, Some(false)]),
        ("/app/nobody", nobody, 401, "unauthenticated", "", [None, Some(false)]),
        ("/nowhere", &billing, 404, "unrouted", "", [None, Some(false)]),
        ("/app/absent", &billing, 404, "permitted", "", [Some(true), Some(false)]),
        ("/app/broken", &billing, 503, "permitted", "", [Some(true), Some(true)]),
        ("/app/silent", &billing, 502, "upstream_failed", "", [Some(true), Some(true)]),
    ] {
        assert_eq!(get(&world, STRANGER, target, lines).status, status, "{target}");
        let trace = collector.trace_of(target);
        let (server, client) = sides(&trace);
        let failures = [client, Some(server)]
            .map(|span| span.map(|span| span.status.as_ref().unwrap().code() == StatusCode::Error));
        assert_eq!(failures, failed, "{target}");
        let keys = ["http.response.status_code", "locum.decision"];
        assert_eq!(said(server, keys), [&status.to_string(), decision], "{target}");
        let found = text(server, "locum.reason").unwrap_or_default();
        assert!(found == reason || (reason.is_empty() && decision != "permitted"), "{target}: {found}");
        assert_eq!(text(server, "error.type").is_some(), status >= 500, "{target}");
    }
}

/// LG-001, T4: what a client put into a secret place leaves the gateway for no collector, whatever became of the request.
#[test]
fn no_secret_is_in_a_span() {
    let (upstream, collector) = (Upstream::echo(), Collector::start());
    let world = traced(&upstream, &collector, 1);
    let billing = world.proxy_user("billing", &["user"]);
    let token = billing.token.clone();
    let canary = "c4n4ry0000c4n4ry";
    let lines = [
        billing.basic(),
        billing.bearer(),
        format!("Authorization: Bearer {token}x\r\n"),
        format!("{}Cookie: a={token}\r\nX-Api-Key: {canary}\r\nUser-Agent: {canary}\r\n", billing.basic()),
        format!("{}traceparent: {token}\r\ntracestate: {canary}={canary}\r\n", billing.basic()),
        format!("traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: {canary}={canary}\r\nbaggage: a={canary}\r\n"),
    ];
    for (number, lines) in lines.iter().enumerate() {
        let mut client = world.client();
        let target = format!("/app/secret-{number}");
        client.send(format!(
            "POST {target}?t={token}&c={canary} HTTP/1.1\r\nHost: app.test\r\n{lines}Content-Length: 68\r\n\r\n{token}"
        ));
        client.answer();
        collector.trace_of(&target);
    }
    for (number, head) in [
        format!("GET /app/x/{token}/y HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()),
        format!("GET /app/last HTTP/1.1\r\nHost: {canary}@app.test\r\n\r\n"),
        format!("{token} /app/last HTTP/1.1\r\nHost: app.test\r\n\r\n"),
        format!("GET /app/last#{canary} HTTP/1.1\r\nHost: app.test\r\n\r\n"),
        "GET /pub/the-end HTTP/1.1\r\nHost: app.test\r\n\r\n".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = world.client();
        client.send(head);
        client.answer().unwrap_or_else(|| panic!("no answer to {number}"));
    }
    collector.trace_of("/pub/the-end");
    let encoded = &billing.basic()[40..100];
    let (secret, bodies) = (&token[22..62], collector.0.seen());
    let sent: String = bodies.iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
    assert!(sent.contains("/app/secret-0") && sent.contains(billing.public_id.as_str()));
    for never in [secret, encoded, canary] {
        assert!(!sent.contains(never), "{never} was sent");
    }
}

/// G13: a span lasts until the last byte of the answer, and says when that never came.
#[test]
fn a_span_lasts_as_long_as_the_answer() {
    let collector = Collector::start();
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| {
            use std::io::Write as _;
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
            stream.write_all(head.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(300));
            if seen.target() == "/pub/broken-off" {
                return Next::Close;
            }
            if stream.write_all(b"world").is_ok() { Next::Open } else { Next::Close }
        },
    );
    let world = traced(&upstream, &collector, 1);
    for target in ["/pub/slow", "/pub/broken-off"] {
        let mut client = world.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        let head = client.head().unwrap();
        client.body(&head);
        let trace = collector.trace_of(target);
        let (server, client) = sides(&trace);
        for span in [server, client.unwrap()] {
            let lasted = Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano);
            assert!(lasted >= Duration::from_millis(300), "{target}: {lasted:?}");
            let failed = target == "/pub/broken-off";
            assert_eq!(span.status.as_ref().unwrap().code() == StatusCode::Error, failed, "{target}");
            assert_eq!(text(span, "error.type").as_deref(), failed.then_some("upstream"), "{target}");
        }
    }
}

/// G13: without a collector nothing is added to a request and nothing taken from it.
#[test]
fn without_traces_what_a_client_says_of_them_passes() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let lines = "traceparent: what I want\r\ntracestate: and more\r\n";
    assert_eq!(get(&world, STRANGER, "/pub/untraced", lines).status, 200);
    let told = upstream.last();
    assert_eq!(told.value("traceparent").unwrap(), "what I want");
    assert_eq!(told.value("tracestate").unwrap(), "and more");
    assert_eq!(LOG.wait_for("/pub/untraced")["trace_id"], serde_json::Value::Null);
    assert_eq!(get(&world, STRANGER, "/pub/untraced-too", "").status, 200);
    assert_eq!(upstream.last().value("traceparent"), None);
}

/// G13: a collector that is absent, hangs, refuses or cannot take more at the moment is nobody's problem who asks.
#[test]
fn a_collector_in_trouble_slows_no_request() {
    let upstream = Upstream::answering(|_| Vec::new());
    let hanging = Collector::answering(|_| {
        std::thread::sleep(Duration::from_mins(1));
        Next::Close
    });
    let refusing = Collector::answering(|stream| respond(stream, "401 Unauthorized", &[], b""));
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    // Whoever waited for this one would wait longer than any request may take.
    let patient = Settings { timeout: Duration::from_mins(1), ..settings(&hanging, 1) };
    let mut absent = settings(&refusing, 1);
    absent.endpoint = Endpoint::parse(&format!("http://{gone}")).unwrap();
    for settings in [patient, settings(&refusing, 1), absent] {
        let world = World::open(&Plan { tracing: Some(settings), ..Plan::of(upstream.address) });
        let mut client = world.client();
        // More than the queue holds, two spans each.
        for _ in 0..2500 {
            let started = Instant::now();
            client.send("GET /pub/many HTTP/1.1\r\nHost: app.test\r\n\r\n");
            assert_eq!(client.answer().unwrap().status, 200);
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "it waited for the collector: {:?}",
                started.elapsed()
            );
        }
    }
}

/// G13: what a collector could not take for a moment, it gets.
#[test]
fn a_batch_is_sent_again_when_the_collector_can_take_it() {
    let upstream = Upstream::echo();
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let collector = Collector::answering(move |stream| match turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => respond(stream, "503 Service Unavailable", &[("Retry-After", "0")], b""),
        1 => Next::Close,
        _ => respond(stream, "200 OK", &[], b""),
    });
    let world = traced(&upstream, &collector, 1);
    assert_eq!(get(&world, STRANGER, "/pub/again", "").status, 200);
    collector.0.wait_for(|seen| seen.len() == 3);
    let bodies: Vec<_> = collector.0.seen().into_iter().map(|seen| seen.body).collect();
    assert!(bodies[0] == bodies[1] && bodies[1] == bodies[2]);
}

/// G13: of the requests that went well one in so many has a line, which says so; every refusal has one.
#[test]
fn the_access_log_can_be_thinned_out_and_keeps_what_went_wrong() {
    let log = &*LOG;
    let upstream = Upstream::echo();
    let access_log = AccessLogSettings { sample_one_in: NonZeroU32::new(10).unwrap(), slow: Duration::from_mins(1) };
    let world = World::open(&Plan { access_log, ..Plan::of(upstream.address) });
    // One connection is served by one core.
    let mut client = world.client();
    for _ in 0..100 {
        client.send("GET /pub/thinned HTTP/1.1\r\nHost: app.test\r\n\r\n");
        assert_eq!(client.answer().unwrap().status, 200);
    }
    for _ in 0..20 {
        client.send("GET /app/thinned HTTP/1.1\r\nHost: app.test\r\n\r\n");
        assert_eq!(client.answer().unwrap().status, 401);
    }
    let (good, refused) = (log.lines_of("/pub/thinned"), log.lines_of("/app/thinned"));
    assert_eq!((good.len(), refused.len()), (10, 20));
    assert!(good.iter().all(|line| line["fields"]["sampled_one_in"] == 10), "{good:?}");
    assert!(refused.iter().all(|line| line["fields"]["sampled_one_in"].is_null()), "{refused:?}");
}
