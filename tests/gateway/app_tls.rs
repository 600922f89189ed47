//! Apps behind TLS: who is believed to be the app, what it is shown, and that nothing goes to anybody else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use locum::gateway::{AppTlsSettings, Timeouts, TransportSettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::upstream::Upstream;
use crate::world::{Plan, World};

/// Vouches for apps, and for the gateway.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// What the gateway believes.
    pub(crate) fn believed(&self) -> AppTlsSettings {
        AppTlsSettings::believing(self.0.pem().as_bytes()).unwrap()
    }

    fn vouch(&self, params: &CertificateParams) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// What an app of this name speaks TLS with.
    pub(crate) fn server(&self, name: &str, protocols: &[&str]) -> Arc<ServerConfig> {
        self.server_with(&CertificateParams::new(vec![name.to_owned()]).unwrap(), protocols, None)
    }

    fn server_with(
        &self,
        params: &CertificateParams,
        protocols: &[&str],
        clients: Option<&Authority>,
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = match clients {
            None => versions.unwrap().with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                versions.unwrap().with_client_cert_verifier(verifier)
            }
        };
        let (certificate, key) = self.vouch(params);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// Speaks TLS in front of an app that does not, and counts the handshakes that came to their end.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) handshakes: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Front {
    pub(crate) fn before(app: SocketAddr, config: Arc<ServerConfig>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let (acceptor, count) = (tokio_rustls::TlsAcceptor::from(config), Arc::clone(&handshakes));
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                    count.fetch_add(1, Ordering::SeqCst);
                    let mut app = tokio::net::TcpStream::connect(app).await.unwrap();
                    // Whoever ends first ends both; what was said is judged by the app's own record.
                    let _ended = tokio::io::copy_bidirectional(&mut tls, &mut app).await;
                });
            }
        });
        Self { address, handshakes, _runtime: runtime }
    }
}

fn world(address: SocketAddr, tls: AppTlsSettings) -> World {
    let timeouts = Timeouts { connect: Duration::from_secs(1), ..Timeouts::default() };
    let transport = TransportSettings { tls: Some(tls), http2: false };
    World::open(&Plan { timeouts, transport, ..Plan::of(address) })
}

fn ask(world: &World) -> (u16, String) {
    let mut client = world.client();
    client.send("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let answer = client.answer().expect("there is an answer");
    (answer.status, answer.text())
}

/// G8: an app behind TLS is asked like any other, and its connection is used again.
#[test]
fn an_app_behind_tls_is_asked_and_its_connection_kept() {
    let (upstream, authority) = (Upstream::echo(), Authority::new());
    let front = Front::before(upstream.address, authority.server("127.0.0.1", &["http/1.1"]));
    let world = world(front.address, authority.believed());
    let mut client = world.client();
    for number in 0..5 {
        client.send(format!("GET /pub/{number} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        assert_eq!(client.answer().unwrap().text(), format!("/pub/{number}"));
    }
    assert_eq!(front.handshakes.load(Ordering::SeqCst), 1);
    let seen = upstream.last();
    assert_eq!(seen.value("Host").as_deref(), Some("app.test"));
    assert_eq!(seen.value("X-Forwarded-Proto").as_deref(), Some("http"));
}

/// G8: the certificate is for the name that was given, where the upstream has none that could stand in one.
#[test]
fn an_app_is_believed_by_the_name_that_is_given() {
    let (upstream, authority) = (Upstream::echo(), Authority::new());
    let front = Front::before(upstream.address, authority.server("wiki.internal", &[]));
    let named = authority.believed().named("wiki.internal").unwrap();
    assert_eq!(ask(&world(front.address, named)).0, 200);
    assert_eq!(ask(&world(front.address, authority.believed())).0, 502);
}

/// TL-007: with another's name, out of date, or of an authority that nobody named, an app is a 502, and not a
/// byte of the request reaches it, by TLS or without.
#[test]
fn an_app_that_does_not_prove_who_it_is_gets_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let of = |name: &str| CertificateParams::new(vec![name.to_owned()]).unwrap();
    let mut expired = of("127.0.0.1");
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut early = of("127.0.0.1");
    early.not_before = date_time_ymd(2999, 1, 1);
    early.not_after = date_time_ymd(3000, 1, 1);
    for (what, by, params) in [
        ("another name", &authority, of("other.internal")),
        ("expired", &authority, expired),
        ("not valid yet", &authority, early),
        ("nobody vouches", &stranger, of("127.0.0.1")),
    ] {
        let upstream = Upstream::echo();
        let front = Front::before(upstream.address, by.server_with(&params, &[], None));
        let (status, text) = ask(&world(front.address, authority.believed()));
        assert_eq!(status, 502, "{what}");
        assert!(text.contains("bad-gateway"), "{what}: {text}");
        assert_eq!((upstream.count(), front.handshakes.load(Ordering::SeqCst)), (0, 0), "{what}");
    }
    let plain = Upstream::echo();
    assert_eq!(ask(&world(plain.address, authority.believed())).0, 502, "it speaks no TLS");
    assert_eq!(plain.count(), 0, "nothing that reads as a request reached it");
}

/// TL-006: what comes before the handshake is no answer, however much it looks like one.
#[test]
fn an_answer_before_the_handshake_is_not_relayed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ninjected");
            let _ended = stream.read(&mut [0; 1024]);
        }
    });
    let (status, text) = ask(&world(address, Authority::new().believed()));
    assert_eq!(status, 502);
    assert!(!text.contains("injected"), "{text}");
}

/// G8: a handshake that never ends is given up within `connect_timeout`.
#[test]
fn an_app_that_never_answers_the_handshake_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = world(listener.local_addr().unwrap(), Authority::new().believed());
    let started = Instant::now();
    assert_eq!(ask(&world).0, 502);
    assert!((Duration::from_millis(900)..Duration::from_secs(8)).contains(&started.elapsed()));
    drop(listener);
}

/// G8: an app that asks who the gateway is gets its certificate; without one, or with a stranger's, it is a 502.
#[test]
fn the_gateway_shows_an_app_its_certificate() {
    let (authority, gates, stranger) = (Authority::new(), Authority::new(), Authority::new());
    let upstream = Upstream::echo();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let front = Front::before(upstream.address, authority.server_with(&params, &[], Some(&gates)));
    let shown = |by: &Authority| {
        let (certificate, key) = by.vouch(&CertificateParams::new(vec!["gate".to_owned()]).unwrap());
        authority.believed().showing(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    };
    assert_eq!(ask(&world(front.address, shown(&gates))).0, 200);
    assert_eq!(upstream.count(), 1);
    assert_eq!(ask(&world(front.address, shown(&stranger))).0, 502);
    assert_eq!(ask(&world(front.address, authority.believed())).0, 502);
    assert_eq!(upstream.count(), 1);
}
