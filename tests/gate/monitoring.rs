//! What orchestrators and Prometheus are told, on a listener of its own.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::lockout::wait_until;
use crate::locum::{Answer, Locum, configuration, free_address};
use crate::redis::Redis;
use crate::reload::signal;
use crate::upstream::Upstream;

fn ask(address: SocketAddr, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: locum\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).ok()?;
    Some(crate::locum::read_answer(&mut stream))
}

/// G13: alive, ready, and the metrics; nothing else, and nothing of it where clients come in.
#[test]
fn orchestrators_and_prometheus_have_a_listener_of_their_own() {
    let upstream = Upstream::echo();
    let address = free_address();
    let gate = Locum::start(&configuration(upstream.address, &format!("[monitoring]\nlisten = \"{address}\"\n")));
    assert_eq!(gate.get("app.test", "/pub/x", "").status, 200);
    assert_eq!(ask(address, "/healthz").unwrap().status, 200);
    assert_eq!(ask(address, "/readyz").unwrap().body, "ready\n");
    let metrics = ask(address, "/metrics").unwrap();
    assert!(metrics.body.contains("locum_requests_total{app=\"app\",status=\"2xx\"} 1"), "{}", metrics.body);
    assert_eq!(ask(address, "/v1/health").unwrap().status, 404);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(gate.get("elsewhere.test", path, "").status, 404, "{path}");
    }
    gate.run_cli(&["restart"]);
    assert_eq!(ask(address, "/readyz").unwrap().status, 200);
}

/// G13, L7: it says why requests should go elsewhere, and is alive all the same.
#[test]
fn readiness_says_why_not() {
    let upstream = Upstream::echo();
    let (mut redis, address) = (Redis::start(), free_address());
    let extra =
        format!("[redis]\nurl = \"{}\"\non_loss = \"closed\"\n[monitoring]\nlisten = \"{address}\"\n", redis.url());
    let _gate = Locum::start(&configuration(upstream.address, &extra));
    wait_until("it is ready", Duration::from_secs(10), || ask(address, "/readyz").unwrap().status == 200);
    redis.stop();
    wait_until("it is not", Duration::from_secs(10), || ask(address, "/readyz").unwrap().status == 503);
    let said = ask(address, "/readyz").unwrap().body;
    assert!(said.contains("Redis cannot be reached"), "{said}");
    assert_eq!(ask(address, "/healthz").unwrap().status, 200);
}

/// G12, G13: told to end, it is not ready at once, and serves on for as long as load balancers need to notice.
#[test]
fn an_end_is_announced_before_anybody_is_turned_away() {
    let upstream = Upstream::echo();
    let address = free_address();
    let file = configuration(upstream.address, &format!("[monitoring]\nlisten = \"{address}\"\n"));
    let mut gate = Locum::start(&file.replace("threads = 2", "threads = 2\nshutdown_delay = \"3s\""));
    assert_eq!(ask(address, "/readyz").unwrap().status, 200);
    signal(&gate, Signal::TERM);
    let told = Instant::now();
    wait_until("it is not ready", Duration::from_secs(2), || ask(address, "/readyz").unwrap().status == 503);
    assert!(ask(address, "/readyz").unwrap().body.contains("ending"));
    while told.elapsed() < Duration::from_secs(2) {
        let answer = gate.get("app.test", "/pub/x", "");
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(gate.ended());
    assert!(ask(address, "/readyz").is_none());
}
