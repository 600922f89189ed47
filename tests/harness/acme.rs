//! An ACME server (RFC 8555): it checks who signed each request, looks at the proof on the gate itself (`tls-alpn-01`,
//! RFC 8737), and signs what was proven. Nobody but its own tests knows it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    Certificate, CertificateParams, DistinguishedName, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
    SignatureAlgorithm,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned,
};
use serde_json::{Value, json};

use crate::authority::Authority;

/// How long ago the next certificate was made, and how long it lives in all.
type Life = (Duration, Duration);

pub struct AcmeServer {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    authority: Authority,
    certificate: PathBuf,
    base: String,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    down: bool,
    /// Where each name leads to; the name of everybody else is "".
    hosts: HashMap<String, SocketAddr>,
    nonces: HashSet<String>,
    accounts: Vec<Option<Key>>,
    orders: Vec<Order>,
    lives: VecDeque<Life>,
    /// When certificates are to be renewed, where somebody has said so.
    window: Option<[String; 2]>,
    count: usize,
    faults: Vec<String>,
}

/// A point on the curve, and the thumbprint of its JWK (RFC 7638).
#[derive(Clone)]
struct Key {
    point: Vec<u8>,
    thumbprint: String,
}

struct Order {
    name: String,
    account: usize,
    status: &'static str,
    why: Option<String>,
    chain: Option<String>,
    /// The certificate itself.
    der: Vec<u8>,
    /// The name of the one that it takes the place of (RFC 9773 §4.1).
    replaces: Option<String>,
}

struct Point(Vec<u8>);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

struct Reply {
    status: u16,
    location: Option<String>,
    kind: &'static str,
    body: String,
}

impl AcmeServer {
    pub fn start() -> Self {
        let authority = Authority::new();
        let identity = authority.vouch_for("localhost");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let chain = vec![CertificateDer::from_pem_file(identity.certificate()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_file(identity.key()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they belong together");
        let certificate = authority.certificate();
        let base = format!("https://localhost:{}", address.port());
        let state = Arc::new(State { authority, certificate, base, inner: Mutex::default() });
        let (config, serving) = (Arc::new(config), Arc::clone(&state));
        std::thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                let (config, state) = (Arc::clone(&config), Arc::clone(&serving));
                std::thread::spawn(move || serve(tcp, config, &state));
            }
        });
        Self { address, state }
    }

    pub fn authority(&self) -> &Authority {
        &self.state.authority
    }

    /// The table `[server.acme]` of a gate that keeps what it obtains in `folder`.
    pub fn table(&self, names: &[&str], folder: &str) -> String {
        let ca = self.state.certificate.display();
        let base = &self.state.base;
        format!(
            "[server.acme]\ndirectory = \"{base}/directory\"\ndomains = {names:?}\nfolder = \"{folder}\"\n\
             ca_file = \"{ca}\"\ncontact = \"ops@example.org\"\n"
        )
    }

    /// Where a name leads to from now on.
    pub fn lead(&self, name: &str, to: SocketAddr) {
        self.state.inner().hosts.insert(name.to_owned(), to);
    }

    /// Ends every connection at once, or no longer.
    pub fn set_down(&self, down: bool) {
        self.state.inner().down = down;
    }

    /// The lives of the next certificates; after them, ninety days.
    pub fn next_lives(&self, lives: &[Life]) {
        self.state.inner().lives = lives.iter().copied().collect();
    }

    /// Says to who asks that certificates are to be renewed between these times (RFC 3339).
    pub fn suggest(&self, start: &str, end: &str) {
        self.state.inner().window = Some([start.to_owned(), end.to_owned()]);
    }

    /// How many of its certificates took the place of another.
    pub fn replaced(&self) -> usize {
        self.state.inner().orders.iter().filter(|order| order.chain.is_some() && order.replaces.is_some()).count()
    }

    /// How many certificates it signed.
    pub fn signed(&self) -> usize {
        self.state.inner().orders.iter().filter(|order| order.chain.is_some()).count()
    }

    pub fn accounts(&self) -> usize {
        self.state.inner().accounts.iter().flatten().count()
    }

    /// Knows nobody any more.
    pub fn forget_accounts(&self) {
        self.state.inner().accounts.iter_mut().for_each(|account| *account = None);
    }

    /// What was wrong with requests so far.
    pub fn faults(&self) -> Vec<String> {
        self.state.inner().faults.clone()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics with the state in hand")
    }

    fn nonce(&self) -> String {
        let mut inner = self.inner();
        inner.count += 1;
        let nonce = URL_SAFE_NO_PAD.encode(format!("nonce {}", inner.count));
        inner.nonces.insert(nonce.clone());
        nonce
    }
}

fn serve(tcp: TcpStream, config: Arc<ServerConfig>, state: &Arc<State>) {
    if state.inner().down {
        return;
    }
    tcp.set_read_timeout(Some(Duration::from_secs(20))).ok();
    let mut stream = StreamOwned::new(ServerConnection::new(config).expect("the settings are good"), tcp);
    let Some((method, path, body)) = read_request(&mut stream) else { return };
    let reply = match (method.as_str(), path.as_str()) {
        ("GET", "/directory") => {
            let url = |path: &str| format!("{}{path}", state.base);
            let directory = json!({ "newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/order"),
                "revokeCert": url("/revoke"), "keyChange": url("/key"), "renewalInfo": url("/renewal") });
            ok(200, &directory)
        }
        ("HEAD", "/nonce") => ok(200, &Value::Null),
        ("GET", path) if path.starts_with("/renewal/") => renewal(&state.inner(), &path["/renewal/".len()..]),
        ("POST", path) => signed_request(state, path, &body).unwrap_or_else(|(kind, why)| {
            state.inner().faults.push(format!("{path}: {why}"));
            let problem = json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": why });
            let status = if kind == "alreadyReplaced" { 409 } else { 400 };
            Reply { kind: "application/problem+json", ..ok(status, &problem) }
        }),
        _ => ok(404, &Value::Null),
    };
    let location = reply.location.map_or_else(String::new, |url| format!("Location: {}{url}\r\n", state.base));
    let body = if method == "HEAD" { "" } else { reply.body.as_str() };
    let head = format!(
        "HTTP/1.1 {} X\r\nReplay-Nonce: {}\r\n{location}Content-Type: {}\r\nContent-Length: {}\r\n\
         Retry-After: {}\r\nConnection: close\r\n\r\n",
        reply.status,
        state.nonce(),
        reply.kind,
        body.len(),
        // Of an order it is asked again soon, of a certificate tomorrow.
        if path.starts_with("/renewal/") { 86_400 } else { 1 },
    );
    // A client that is gone needs no answer.
    let _sent = stream.write_all(format!("{head}{body}").as_bytes());
    stream.conn.send_close_notify();
    let _sent = stream.flush();
}

fn read_request(stream: &mut impl Read) -> Option<(String, String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let mut words = head.split(' ');
            let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            });
            let whole = end + 4 + length.unwrap_or(0);
            if bytes.len() >= whole {
                return Some((method, path, bytes[end + 4..whole].to_vec()));
            }
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

fn ok(status: u16, body: &Value) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Reply { status, location: None, kind: "application/json", body }
}

type Fault = (&'static str, String);

fn bad(why: impl Into<String>) -> Fault {
    ("malformed", why.into())
}

fn decoded(value: &Value) -> Result<Vec<u8>, Fault> {
    let text = value.as_str().ok_or_else(|| bad("a part of the JWS is no text"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|error| bad(error.to_string()))
}

/// RFC 8555 §6.2: the signature, the URL, the nonce, and by whom.
fn signed_request(state: &Arc<State>, path: &str, body: &[u8]) -> Result<Reply, Fault> {
    let jws: Value = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    let protected: Value =
        serde_json::from_slice(&decoded(&jws["protected"])?).map_err(|error| bad(error.to_string()))?;
    if protected["alg"] != "ES256" || protected["url"] != format!("{}{path}", state.base) {
        return Err(bad(format!("another algorithm, or signed for another URL: {protected}")));
    }
    let nonce = protected["nonce"].as_str().unwrap_or_default();
    if !state.inner().nonces.remove(nonce) {
        return Err(("badNonce", "this nonce was not given out, or was used".to_owned()));
    }
    let (account, key) = if path == "/account" {
        (None, key_of(&protected["jwk"])?)
    } else {
        let kid = protected["kid"].as_str().unwrap_or_default();
        let number = kid.strip_prefix(&format!("{}/account/", state.base)).and_then(|number| number.parse().ok());
        let number: usize = number.ok_or_else(|| bad("no `kid` of an account"))?;
        let key = state.inner().accounts.get(number).cloned().flatten();
        (Some(number), key.ok_or_else(|| ("accountDoesNotExist", "nobody knows this account".to_owned()))?)
    };
    let part = |name: &str| jws[name].as_str().unwrap_or_default();
    let signed = format!("{}.{}", part("protected"), part("payload"));
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point)
        .verify(signed.as_bytes(), &decoded(&jws["signature"])?)
        .map_err(|_| bad("the signature is wrong"))?;
    let payload = decoded(&jws["payload"])?;
    let payload: Value = if payload.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&payload).map_err(|error| bad(error.to_string()))?
    };
    match account {
        None => new_account(state, key, &payload),
        Some(account) => answer(state, path, account, &key, &payload),
    }
}

fn key_of(jwk: &Value) -> Result<Key, Fault> {
    let point = [&[4][..], &decoded(&jwk["x"])?, &decoded(&jwk["y"])?].concat();
    let text = |name: &str| jwk[name].as_str().unwrap_or_default();
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text("x"), text("y"));
    Ok(Key { point, thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes())) })
}

fn new_account(state: &State, key: Key, payload: &Value) -> Result<Reply, Fault> {
    if payload["termsOfServiceAgreed"] != true || payload["contact"] != json!(["mailto:ops@example.org"]) {
        return Err(bad(format!("the terms were not agreed to, or the contact is another: {payload}")));
    }
    let mut inner = state.inner();
    inner.accounts.push(Some(key));
    let location = Some(format!("/account/{}", inner.accounts.len() - 1));
    Ok(Reply { location, ..ok(201, &json!({ "status": "valid" })) })
}

fn answer(state: &Arc<State>, path: &str, account: usize, key: &Key, payload: &Value) -> Result<Reply, Fault> {
    if path == "/order" {
        let [identifier] = payload["identifiers"].as_array().map_or(&[][..], Vec::as_slice) else {
            return Err(bad("one name is expected"));
        };
        let name = identifier["value"].as_str().unwrap_or_default().to_owned();
        let mut inner = state.inner();
        let replaces = payload["replaces"].as_str().map(str::to_owned);
        if let Some(replaces) = &replaces {
            let earlier = identified(&inner, replaces).ok_or_else(|| bad("there is no such certificate"))?;
            if inner.orders[earlier].name != name {
                return Err(bad("that certificate is for another name"));
            }
            if inner.orders.iter().any(|order| order.replaces.as_ref() == Some(replaces)) {
                return Err(("alreadyReplaced", "another has taken its place".to_owned()));
            }
        }
        inner.orders.push(Order {
            name,
            account,
            status: "pending",
            why: None,
            chain: None,
            der: Vec::new(),
            replaces,
        });
        let number = inner.orders.len() - 1;
        let order = order(state, number, &inner.orders[number]);
        return Ok(Reply { location: Some(format!("/order/{number}")), ..ok(201, &order) });
    }
    let (what, number) = path[1..].split_once('/').ok_or_else(|| bad("no such resource"))?;
    let number: usize = number.parse().map_err(|_| bad("no such resource"))?;
    let mut inner = state.inner();
    let entry = inner.orders.get_mut(number).filter(|order| order.account == account);
    let entry = entry.ok_or_else(|| bad("no order of this account"))?;
    match what {
        "order" => Ok(ok(200, &order(state, number, entry))),
        "authorization" => Ok(ok(200, &authorization(state, number, entry))),
        "challenge" => {
            if entry.status == "pending" && payload.is_object() {
                let (state, name) = (Arc::clone(state), entry.name.clone());
                let expected = digest(&SHA256, format!("{}.{}", token(number), key.thumbprint).as_bytes());
                let expected: Vec<u8> = expected.as_ref().to_vec();
                std::thread::spawn(move || {
                    let seen = look_at(&state, &name, &expected);
                    let order = &mut state.inner().orders[number];
                    order.status = if seen.is_ok() { "ready" } else { "invalid" };
                    order.why = seen.err();
                });
            }
            let challenge = authorization(state, number, entry)["challenges"][1].clone();
            Ok(ok(200, &challenge))
        }
        "finalize" => {
            if entry.status != "ready" {
                return Err(("orderNotReady", "nothing was proven".to_owned()));
            }
            let request = decoded(&payload["csr"])?;
            let key = requested(&request, &entry.name)?;
            let name = entry.name.clone();
            let life = inner.lives.pop_front().unwrap_or((Duration::ZERO, Duration::from_hours(90 * 24)));
            let certificate = sign(&state.authority, &name, &Point(key), life, number);
            let entry = &mut inner.orders[number];
            (entry.status, entry.chain, entry.der) = ("valid", Some(certificate.pem()), certificate.der().to_vec());
            Ok(ok(200, &order(state, number, entry)))
        }
        "certificate" => {
            let chain = entry.chain.clone().ok_or_else(|| bad("there is none"))?;
            Ok(Reply { kind: "application/pem-certificate-chain", body: chain, ..ok(200, &Value::Null) })
        }
        _ => Err(bad("no such resource")),
    }
}

/// RFC 9773 §4.2; nobody has to sign for that.
fn renewal(inner: &Inner, identifier: &str) -> Reply {
    match (&inner.window, identified(inner, identifier)) {
        (Some([start, end]), Some(_)) => ok(200, &json!({ "suggestedWindow": { "start": start, "end": end } })),
        _ => ok(404, &json!({ "type": "urn:ietf:params:acme:error:malformed", "detail": "nothing is known of it" })),
    }
}

/// The order whose certificate has this name: the key of its authority, and its number.
fn identified(inner: &Inner, identifier: &str) -> Option<usize> {
    let (key, number) = identifier.split_once('.')?;
    let (key, number) = (URL_SAFE_NO_PAD.decode(key).ok()?, URL_SAFE_NO_PAD.decode(number).ok()?);
    let key = [b"\x06\x03\x55\x1d\x23\x04\x18\x30\x16\x80\x14", &key[..]].concat();
    let number = [&[2, u8::try_from(number.len()).ok()?][..], &number].concat();
    inner.orders.iter().position(|order| holds(&order.der, &key) && holds(&order.der, &number))
}

fn token(number: usize) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("token {number}").as_bytes()))
}

fn order(state: &State, number: usize, order: &Order) -> Value {
    let base = &state.base;
    let mut shown = json!({
        "status": order.status,
        "identifiers": [{ "type": "dns", "value": order.name }],
        "authorizations": [format!("{base}/authorization/{number}")],
        "finalize": format!("{base}/finalize/{number}"),
    });
    if let Some(replaces) = &order.replaces {
        shown["replaces"] = json!(replaces);
    }
    if order.chain.is_some() {
        shown["certificate"] = json!(format!("{base}/certificate/{number}"));
    }
    shown
}

fn authorization(state: &State, number: usize, order: &Order) -> Value {
    let base = &state.base;
    let status = match order.status {
        "ready" => "valid",
        other => other,
    };
    let challenge = |kind: &str| {
        let mut shown = json!({ "type": kind, "url": format!("{base}/challenge/{number}"), "token": token(number),
            "status": status });
        if let Some(why) = &order.why {
            shown["error"] = json!({ "type": "urn:ietf:params:acme:error:unauthorized", "detail": why });
        }
        shown
    };
    json!({ "status": status, "identifier": { "type": "dns", "value": order.name },
        "challenges": [challenge("http-01"), challenge("tls-alpn-01")] })
}

/// Connects to where the name leads, and expects the proof there (RFC 8737 §3).
fn look_at(state: &State, name: &str, expected: &[u8]) -> Result<(), String> {
    let mut patience = 200;
    let address = loop {
        let known = state.inner().hosts.get(name).copied();
        match known {
            Some(address) => break address,
            None if patience == 0 => return Err(format!("{name} leads nowhere")),
            None => std::thread::sleep(Duration::from_millis(50)),
        }
        patience -= 1;
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let server = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let mut connection = ClientConnection::new(Arc::new(config), server).map_err(|error| error.to_string())?;
    let mut tcp = TcpStream::connect(address).map_err(|error| error.to_string())?;
    tcp.set_read_timeout(Some(Duration::from_secs(10))).ok();
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp).map_err(|error| error.to_string())?;
    }
    if connection.alpn_protocol() != Some(b"acme-tls/1") {
        return Err("another protocol was agreed on".to_owned());
    }
    let shown = connection.peer_certificates().and_then(<[_]>::first).ok_or("nothing was shown")?;
    // `id-pe-acmeIdentifier`, critical, an OCTET STRING in an OCTET STRING.
    let extension = [b"\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f\x01\x01\xff\x04\x22\x04\x20", expected].concat();
    // It is for this name and no other: a list of names (SAN) that holds just one.
    let length = u8::try_from(name.len()).expect("a short name");
    let named = [&[0x30, length + 2, 0x82, length][..], name.as_bytes()].concat();
    if !holds(shown, &extension) || !holds(shown, &named) {
        return Err("what was shown is no proof, or one for another name".to_owned());
    }
    Ok(())
}

fn holds(bytes: &[u8], piece: &[u8]) -> bool {
    bytes.windows(piece.len()).any(|window| window == piece)
}

/// The key in a request that its holder signed, for this name.
fn requested(request: &[u8], name: &str) -> Result<Vec<u8>, Fault> {
    const P256: &[u8] =
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
    let start = request.windows(P256.len()).position(|window| window == P256).ok_or_else(|| bad("no key"))?;
    let point = request[start + P256.len()..].get(..65).ok_or_else(|| bad("no key"))?.to_vec();
    let (_, whole) = der(request).ok_or_else(|| bad("no DER"))?;
    let (info_length, _) = der(whole).ok_or_else(|| bad("no DER"))?;
    let (info, rest) = whole.split_at(info_length);
    let (algorithm_length, _) = der(rest).ok_or_else(|| bad("no DER"))?;
    let (_, signature) = der(&rest[algorithm_length..]).ok_or_else(|| bad("no DER"))?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &point)
        .verify(info, &signature[1..])
        .map_err(|_| bad("the request is not signed by its key"))?;
    let san = [&[0x82, u8::try_from(name.len()).expect("a short name")][..], name.as_bytes()].concat();
    if holds(info, &san) { Ok(point) } else { Err(("badCSR", "the request is for another name".to_owned())) }
}

/// The length of the first value with its head, and its content.
fn der(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, length) = match *bytes.get(1)? {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(*bytes.get(2)?)),
        0x82 => (4, usize::from(*bytes.get(2)?) << 8 | usize::from(*bytes.get(3)?)),
        _ => return None,
    };
    Some((head + length, bytes.get(head..head + length)?))
}

#[expect(clippy::disallowed_methods, reason = "certificates that live for seconds are made by the machine's clock")]
fn sign(authority: &Authority, name: &str, key: &Point, (age, life): Life, number: usize) -> Certificate {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name = DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    // Its first bit is set, which takes a byte before it.
    params.serial_number = Some(SerialNumber::from_slice(&[&[0x87][..], &number.to_be_bytes()].concat()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + now.saturating_sub(age);
    params.not_after = params.not_before + life;
    params.signed_by(key, &authority.issuer).expect("the authority signs")
}

/// Whoever answers is to show the proof, and nobody vouches for that.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
