//! Traces of the real binary: what it is configured with, who is told, and that its end waits for nobody.

use std::time::{Duration, Instant};

use crate::collector::{Collector, attribute};
use crate::locum::{Locum, configuration};
use crate::upstream::{Next, Upstream};

fn tracing(endpoint: &str, more: &str) -> String {
    format!("[tracing]\nendpoint = \"{endpoint}\"\nsample_one_in = 1\n{more}")
}

fn metrics(gate: &Locum) -> String {
    let output = std::process::Command::new("curl")
        .arg("-s")
        .arg("--unix-socket")
        .arg(gate.socket())
        .arg("http://locum/metrics")
        .output()
        .expect("curl runs");
    String::from_utf8(output.stdout).unwrap()
}

/// G13: the last spans are sent before the end, under the name and with the credential that are configured, which is in
/// no log.
#[test]
fn the_last_spans_are_sent_before_the_end() {
    let (upstream, collector) = (Upstream::echo(), Collector::start());
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    std::fs::write(&headers, "Authorization: Bearer let-me-in-4711\n").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&headers, private).unwrap();
    let more = format!("service_name = \"front-gate\"\nheaders_file = \"{}\"\n", headers.display());
    let mut gate = Locum::start(&configuration(upstream.address, &tracing(&collector.endpoint(), &more)));
    let user = gate.add_proxy_user_of("ann");
    for number in 0..20 {
        assert_eq!(gate.get("app.test", &format!("/reports/{number}"), &user.basic()).status, 200);
    }
    assert!(gate.terminate(), "{}", gate.log());
    let batches = collector.batches();
    let (seen, batch) = &batches[0];
    assert_eq!(seen.value("authorization").unwrap(), "Bearer let-me-in-4711");
    let resource = batch.resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name").unwrap(), "front-gate");
    assert_eq!(collector.spans().len(), 40, "{}", gate.log());
    assert!(!gate.log().contains("let-me-in"), "{}", gate.log());
}

/// G13: a collector that hangs costs spans, which are counted, and two seconds at the end.
#[test]
fn a_collector_that_hangs_holds_up_neither_requests_nor_the_end() {
    let upstream = Upstream::echo();
    let hanging = Collector::answering(|_| {
        std::thread::sleep(Duration::from_mins(5));
        Next::Close
    });
    let table = tracing(&hanging.endpoint(), "timeout = \"200ms\"\n");
    let mut gate = Locum::start(&configuration(upstream.address, &table));
    let user = gate.add_proxy_user_of("ann");
    assert_eq!(gate.get("app.test", "/reports", &user.basic()).status, 200);
    let deadline = Instant::now() + Duration::from_mins(1);
    while !metrics(&gate).contains("locum_trace_spans_total{outcome=\"undeliverable\"}") {
        assert!(Instant::now() < deadline, "no dropped span is counted:\n{}\n{}", metrics(&gate), gate.log());
        assert_eq!(gate.get("app.test", "/reports", &user.basic()).status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(gate.log().matches("the collector of traces takes no spans").count(), 1, "{}", gate.log());
    let started = Instant::now();
    assert!(gate.terminate(), "{}", gate.log());
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}
