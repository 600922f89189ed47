//! TLS to clients: which certificate they are shown, what they have to show, and what ends a handshake.

use std::fs::Permissions;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{
    CertificateParams, CertificateRevocationList, CertificateRevocationListParams, KeyIdMethod, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version};

use crate::authority::{Authority, Identity};
use crate::locum::{Locum, binary, configuration};
use crate::upstream::Upstream;

pub(crate) fn with_tls(upstream: &Upstream, identities: &[&Identity], more: &str) -> String {
    let tables: Vec<String> =
        identities.iter().map(|identity| table(&identity.certificate(), &identity.key())).collect();
    configuration(upstream.address, &tables.concat()).replace("threads = 2", &format!("threads = 2\n{more}"))
}

fn table(certificate: &Path, key: &Path) -> String {
    let (certificate, key) = (certificate.display(), key.display());
    format!("[[server.tls]]\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"\n")
}

/// How a client speaks.
pub(crate) struct Client<'a> {
    /// A file with the certificate of an authority.
    pub(crate) believes: PathBuf,
    pub(crate) shows: Option<&'a Identity>,
    pub(crate) version: &'static SupportedProtocolVersion,
    pub(crate) offers: &'static [&'static [u8]],
}

impl Client<'_> {
    pub(crate) fn of(believes: &Authority) -> Self {
        Self::believing(believes.certificate())
    }

    pub(crate) fn believing(believes: PathBuf) -> Self {
        Self { believes, shows: None, version: &version::TLS13, offers: &[b"http/1.1"] }
    }

    pub(crate) fn connect(&self, gate: &Locum, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let tcp = TcpStream::connect(gate.address()).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        StreamOwned::new(ClientConnection::new(self.config(), name).unwrap(), tcp)
    }

    fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.believes).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[self.version]).unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match self.shows {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = vec![CertificateDer::from_pem_file(identity.certificate()).unwrap()];
                let key = PrivateKeyDer::from_pem_file(identity.key()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = self.offers.iter().map(|offer| offer.to_vec()).collect();
        Arc::new(config)
    }
}

/// One request; the status, or why there is none.
pub(crate) fn get(
    stream: &mut StreamOwned<ClientConnection, TcpStream>,
    host: &str,
    path: &str,
) -> Result<u16, std::io::Error> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece)?;
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        if text.ends_with(path) || text.ends_with("}\n") {
            return Ok(text.split(' ').nth(1).unwrap().parse().unwrap());
        }
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

pub(crate) fn shown(stream: &StreamOwned<ClientConnection, TcpStream>) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

pub(crate) fn der(identity: &Identity) -> Vec<u8> {
    CertificateDer::from_pem_file(identity.certificate()).unwrap().to_vec()
}

/// G11: TLS 1.2 and 1.3, a certificate by the name that is asked for, and the app learns that it was TLS.
#[test]
fn a_client_is_shown_the_certificate_of_the_name_that_it_asks_for() {
    let (upstream, authority) = (Upstream::echo(), Authority::new());
    let (app, ledger) = (authority.vouch_for("app.test"), authority.vouch_for("*.ledger.test"));
    let gate = Locum::start(&with_tls(&upstream, &[&app, &ledger], ""));
    for version in [&version::TLS12, &version::TLS13] {
        for (name, certificate) in [("app.test", &app), ("eu.ledger.test", &ledger)] {
            let client = Client { version, ..Client::of(&authority) };
            let mut stream = client.connect(&gate, name);
            assert_eq!(get(&mut stream, "app.test", "/pub/x").unwrap(), 200);
            assert_eq!(shown(&stream), der(certificate), "{name}");
            assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
            assert_eq!(upstream.last().value("x-forwarded-proto").as_deref(), Some("https"));
        }
    }
    let mut stream = Client::of(&authority).connect(&gate, "other.test");
    assert!(get(&mut stream, "app.test", "/pub/x").is_err(), "no certificate is for this name");
}

/// G1, G11: over TLS a client that offers HTTP/2 gets it.
#[test]
fn http2_is_agreed_on_over_tls() {
    let (upstream, authority) = (Upstream::echo(), Authority::new());
    let app = authority.vouch_for("app.test");
    let gate = Locum::start(&with_tls(&upstream, &[&app], ""));
    let client = Client { offers: &[b"h2", b"http/1.1"], ..Client::of(&authority) };
    let mut stream = client.connect(&gate, "app.test");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!((stream.conn.alpn_protocol(), head[3]), (Some(&b"h2"[..]), 4), "SETTINGS come first");
    let url = format!("https://app.test:{}/pub/x", gate.address().port());
    let asked = Command::new("curl")
        .args(["-q", "-sS", "--http2", "--max-time", "20", "-w", "%{http_version} %{http_code};"])
        .args(["-o", "/dev/null", "-o", "/dev/null"])
        .arg("--resolve")
        .arg(format!("app.test:{}:127.0.0.1", gate.address().port()))
        // The certificates of the harness all bear one name, which OpenSSL takes for signed by themselves.
        .arg("--insecure")
        .args([&url, &url])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert_eq!(told, "2 200;2 200;", "{}", String::from_utf8_lossy(&asked.stderr));
    assert_eq!(upstream.last().value("x-forwarded-proto").as_deref(), Some("https"));
}

fn hang_up(gate: &Locum) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(gate.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
}

const READ_AGAIN: &str = "the configuration was taken up anew";
const NOT_READ_AGAIN: &str = "the one in force stays";

pub(crate) fn wait_for_log(gate: &Locum, text: &str) {
    wait_for_log_of(gate, text, 1);
}

/// Until a text stands in the log so many times.
fn wait_for_log_of(gate: &Locum, text: &str, times: usize) {
    let started = Instant::now();
    while gate.log().matches(text).count() < times {
        assert!(started.elapsed() < Duration::from_secs(10), "`{text}` was not logged:\n{}", gate.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}

/// G11: SIGHUP exchanges certificates under open connections; files that cannot be used change nothing.
#[test]
fn certificates_are_exchanged_without_ending_a_connection() {
    let (upstream, authority) = (Upstream::echo(), Authority::new());
    let (served, next) = (authority.vouch_for("app.test"), authority.vouch_for("app.test"));
    let gate = Locum::start(&with_tls(&upstream, &[&served], ""));
    let before = der(&served);
    let mut old = Client::of(&authority).connect(&gate, "app.test");
    assert_eq!(get(&mut old, "app.test", "/pub/a").unwrap(), 200);

    copy(&next.certificate(), &served.certificate());
    hang_up(&gate);
    wait_for_log(&gate, NOT_READ_AGAIN);
    let mut stream = Client::of(&authority).connect(&gate, "app.test");
    assert_eq!(get(&mut stream, "app.test", "/pub/b").unwrap(), 200);
    assert_eq!(shown(&stream), before, "a certificate without its key is not taken");

    copy(&next.key(), &served.key());
    hang_up(&gate);
    wait_for_log(&gate, READ_AGAIN);
    let mut stream = Client::of(&authority).connect(&gate, "app.test");
    assert_eq!(get(&mut stream, "app.test", "/pub/c").unwrap(), 200);
    assert_eq!(shown(&stream), der(&next));
    assert_eq!(get(&mut old, "app.test", "/pub/d").unwrap(), 200, "the old connection goes on");
}

/// G11, TL-005: with authorities for clients, nobody comes in without a certificate of theirs.
#[test]
fn clients_show_a_certificate_where_they_have_to() {
    let (upstream, authority, stranger) = (Upstream::echo(), Authority::new(), Authority::new());
    let app = authority.vouch_for("app.test");
    let asks = format!("client_ca_file = \"{}\"", authority.certificate().display());
    let gate = Locum::start(&with_tls(&upstream, &[&app], &asks));
    let (known, unknown) = (authority.vouch_for("client.test"), stranger.vouch_for("client.test"));
    for (shows, passes) in [(Some(&known), true), (None, false), (Some(&unknown), false)] {
        let mut stream = Client { shows, ..Client::of(&authority) }.connect(&gate, "app.test");
        assert_eq!(get(&mut stream, "app.test", "/pub/x").is_ok(), passes);
    }
    assert_eq!(upstream.count(), 1);
}

/// A list of these serial numbers by this authority, good until a year begins.
fn revoked(authority: &Authority, serials: &[u64], until: i32) -> CertificateRevocationList {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(until, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&authority.issuer).unwrap()
}

fn client_no(authority: &Authority, serial: u64) -> Identity {
    let mut params = CertificateParams::new(vec![format!("client-{serial}.test")]).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    authority.vouch(&params)
}

/// G11, TL-005: who was revoked is turned away from the next SIGHUP on, and resumes no session; a list past its date
/// or of a strange authority lets nobody in, and one that cannot be read changes nothing.
#[test]
fn a_client_whose_certificate_was_revoked_is_turned_away() {
    let (upstream, authority, stranger) = (Upstream::echo(), Authority::new(), Authority::new());
    let app = authority.vouch_for("app.test");
    let (first, second) = (client_no(&authority, 7), client_no(&authority, 8));
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("revoked.crl");
    std::fs::write(&list, revoked(&authority, &[99], 2999).pem().unwrap()).unwrap();
    let (ca, crl) = (folder.path().join("clients.pem"), list.display());
    copy(&authority.certificate(), &ca);
    let asks = format!("client_ca_file = \"{}\"\nclient_crl_files = [\"{crl}\"]", ca.display());
    let gate = Locum::start(&with_tls(&upstream, &[&app], &asks));
    let passes = |shows: &Identity| {
        let client = Client { shows: Some(shows), ..Client::of(&authority) };
        get(&mut client.connect(&gate, "app.test"), "app.test", "/pub/x").is_ok()
    };
    let again = |list_is: &[u8], times: usize, says: &str| {
        std::fs::write(&list, list_is).unwrap();
        hang_up(&gate);
        wait_for_log_of(&gate, says, times);
    };
    assert!(passes(&first) && passes(&second));

    let config = Client { shows: Some(&first), version: &version::TLS13, ..Client::of(&authority) }.config();
    let mut resumed = Vec::new();
    for _ in 0..2 {
        let tcp = TcpStream::connect(gate.address()).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let name = ServerName::try_from("app.test").unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(&config), name).unwrap(), tcp);
        assert_eq!(get(&mut stream, "app.test", "/pub/x").unwrap(), 200);
        resumed.push(stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed));
    }
    assert_eq!(resumed, [false, false]);

    again(revoked(&authority, &[7], 2999).pem().unwrap().as_bytes(), 1, READ_AGAIN);
    assert!(!passes(&first) && passes(&second));
    again(b"no list", 1, NOT_READ_AGAIN);
    assert!(!passes(&first) && passes(&second), "what was in force stays");
    again(revoked(&authority, &[8], 2999).der(), 2, READ_AGAIN);
    assert!(passes(&first) && !passes(&second), "in DER too");
    again(revoked(&authority, &[7], 2021).pem().unwrap().as_bytes(), 3, READ_AGAIN);
    assert!(!passes(&first) && !passes(&second), "a list past its date proves nothing");
    wait_for_log(&gate, "is past its date");
    again(revoked(&stranger, &[], 2999).pem().unwrap().as_bytes(), 4, READ_AGAIN);
    assert!(!passes(&first) && !passes(&second), "a list of somebody else proves nothing");

    // The authorities are read again too: from here on only the other one is known.
    let theirs = client_no(&stranger, 9);
    copy(&stranger.certificate(), &ca);
    again(revoked(&stranger, &[], 2999).pem().unwrap().as_bytes(), 5, READ_AGAIN);
    assert!(passes(&theirs) && !passes(&first));
}

/// TL-003, TL-004: what is no handshake, or takes too long, ends the connection, and others are served.
#[test]
fn a_handshake_that_is_wrong_or_slow_ends_the_connection() {
    let (upstream, authority) = (Upstream::echo(), Authority::new());
    let app = authority.vouch_for("app.test");
    let gate = Locum::start(&with_tls(&upstream, &[&app], ""));
    let started = Instant::now();
    let mut slow = TcpStream::connect(gate.address()).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    for bytes in [
        &b"GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // An alert that says `close_notify` instead of a hello.
        b"\x15\x03\x01\x00\x02\x01\x00",
        b"\x16\x03\x01\xff\xff",
    ] {
        let mut stream = TcpStream::connect(gate.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "{:?} {read:?}", String::from_utf8_lossy(&answer));
        let waited = read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        assert!(!waited, "the connection stays open after {bytes:?}");
    }
    // A hello, and in the middle of the handshake `close_notify`.
    let began = Instant::now();
    let mut stream = TcpStream::connect(gate.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let hello = hello(&Client::of(&authority));
    stream.write_all(&hello).unwrap();
    stream.write_all(b"\x15\x03\x03\x00\x02\x01\x00").unwrap();
    let read = stream.read_to_end(&mut Vec::new());
    assert!(read.is_ok() || read.is_err_and(|error| is_an_end(&error)), "the connection ends");
    assert!(began.elapsed() < Duration::from_secs(5), "and it does so at once: {:?}", began.elapsed());
    // The same hello in records of one byte, as fast as they go, is a hello.
    let mut stream = TcpStream::connect(gate.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let pieces: Vec<u8> = hello[5..].iter().flat_map(|byte| [0x16, 3, 1, 0, 1, *byte]).collect();
    stream.write_all(&pieces).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert!(matches!(answer[0], 0x15 | 0x16), "an answer of TLS: {answer:?}");
    // One record of one byte each second.
    let ended = loop {
        let sent = slow.write_all(b"\x16\x03\x01\x00\x01\x01");
        let mut byte = [0; 64];
        let read = slow.read(&mut byte);
        if sent.is_err() || matches!(read, Ok(0)) || read.as_ref().is_err_and(is_an_end) {
            break started.elapsed();
        }
        assert!(started.elapsed() < Duration::from_secs(30), "it may go on for ever");
    };
    assert!(ended < Duration::from_secs(15), "{ended:?}");
    let mut stream = Client::of(&authority).connect(&gate, "app.test");
    assert_eq!(get(&mut stream, "app.test", "/pub/x").unwrap(), 200);
    assert_eq!(upstream.count(), 1);
}

/// The first record that a client sends.
fn hello(client: &Client<'_>) -> Vec<u8> {
    let name = ServerName::try_from("app.test").unwrap();
    let mut hello = Vec::new();
    ClientConnection::new(client.config(), name).unwrap().write_tls(&mut hello).unwrap();
    hello
}

fn is_an_end(error: &std::io::Error) -> bool {
    !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// G11, C2: `locum check` says which file is wrong, and why.
#[test]
fn check_says_what_is_wrong_with_a_certificate() {
    let (upstream, authority) = (Upstream::echo(), Authority::new());
    let (app, other) = (authority.vouch_for("app.test"), authority.vouch_for("app.test"));
    let mut past = rcgen::CertificateParams::new(vec!["app.test".to_owned()]).unwrap();
    past.not_before = rcgen::date_time_ymd(2000, 1, 1);
    past.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let old = authority.vouch(&past);
    let gate = Locum::start(&configuration(upstream.address, ""));
    let file = gate.folder().join("checked.toml");
    let check = |text: String| {
        std::fs::write(&file, text).unwrap();
        let checked = Command::new(binary()).args(["check", "--config"]).arg(&file).output().unwrap();
        (checked.status.success(), String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned())
    };
    let keyless = gate.folder().join("keyless");
    std::fs::write(&keyless, "no key").unwrap();
    std::fs::set_permissions(&keyless, Permissions::from_mode(0o600)).unwrap();
    // The gateway that runs holds the store of its own folder; this one is to have another.
    let text = |certificate: &Path, key: &Path| {
        let tls = format!("{}[store]\nurl = \"sqlite:other.db\"\n", table(certificate, key));
        configuration(upstream.address, &tls)
    };
    let (good, said) = check(text(&app.certificate(), &app.key()));
    assert!(good && said.contains("speaks TLS with 1 certificate"), "{said}");
    for (certificate, key, why) in [
        (Path::new("gone.pem").to_owned(), app.key(), "cannot be read"),
        (app.key(), app.key(), "holds no certificate"),
        (app.certificate(), app.certificate(), "can be read by others"),
        (app.certificate(), keyless, "holds no private key"),
        (app.certificate(), other.key(), "does not belong to the certificate"),
        (old.certificate(), old.key(), "has expired"),
    ] {
        let (good, said) = check(text(&certificate, &key));
        assert!(!good && said.contains(why), "{why}: {said}");
    }
}
