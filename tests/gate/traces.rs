//! Traces of the real binary: what it is configured with, who is told, and that its end waits for nobody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, Identity};
use crate::collector::{Collector, attribute};
use crate::locum::{Locum, configuration};
use crate::upstream::{Next, Upstream};

fn tracing(endpoint: &str, more: &str) -> String {
    format!("[tracing]\nendpoint = \"{endpoint}\"\nsample_one_in = 1\n{more}")
}

/// Ends TLS in front of a server without it; where it listens.
fn behind_tls(identity: &Identity, server: SocketAddr) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(identity.certificate()).unwrap()];
    let key = PrivateKeyDer::from_pem_file(identity.key()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((tcp, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut tls = acceptor.accept(tcp).await?;
                    let mut plain = tokio::net::TcpStream::connect(server).await?;
                    tokio::io::copy_bidirectional(&mut tls, &mut plain).await
                });
            }
        });
    });
    address
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

/// G13: a collector behind TLS is told where the authority that is configured vouches for it, and nothing where another does.
#[test]
fn spans_go_by_tls_to_who_proves_to_be_the_collector() {
    let (upstream, authority, stranger) = (Upstream::echo(), Authority::new(), Authority::new());
    for (vouches, taken) in [(&authority, true), (&stranger, false)] {
        let collector = Collector::start();
        let address = behind_tls(&vouches.vouch_for("localhost"), collector.0.address);
        let ca = format!("ca_file = \"{}\"\n", authority.certificate().display());
        let table = tracing(&format!("https://localhost:{}", address.port()), &ca);
        let mut gate = Locum::start(&configuration(upstream.address, &table));
        for number in 0..5 {
            assert_eq!(gate.get("app.test", &format!("/pub/{number}"), "").status, 200);
        }
        if !taken {
            crate::https::wait_for_log(&gate, "the collector of traces takes no spans");
            assert!(gate.log().to_ascii_lowercase().contains("certificate"), "{}", gate.log());
        }
        assert!(gate.terminate(), "{}", gate.log());
        assert_eq!(collector.spans().len(), if taken { 10 } else { 0 }, "{}", gate.log());
        assert_eq!(collector.0.connections() > 0, taken, "nothing is said before the handshake is done");
    }
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
