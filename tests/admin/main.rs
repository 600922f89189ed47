//! The admin API through its public doors: the router, and the Unix socket with a peer at its end.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod api;
mod document;
mod keys;
mod matrix;
mod recorded;
mod refused;
mod socket;

#[expect(
    dead_code,
    unreachable_pub,
    reason = "the harness is shared by several tests, and this one needs little of it"
)]
#[path = "../harness/key_files.rs"]
mod key_files;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use locum::admin::{self, AdminState, Peer};
use locum::clock::{FixedClock, Timestamp};
use locum::cluster::{InFlight, Subjects};
use locum::directory::AppName;
use locum::directory::pepper::Peppers;
use locum::directory::tombstone::TombstoneKey;
use locum::history::checkpoint::SigningKey;
use locum::provision::{Parts, Provision, RetentionSettings, Settings, app};
use locum::seal::Keyring;
use locum::store::{self, Location, Store};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

const NOON: Timestamp = Timestamp::from_millis(1_795_000_000_000);
/// The user that the API of these tests runs as.
const OWN_UID: u32 = 998;

/// The admin API over an empty store that knows the app `blog`.
struct Api {
    router: Router,
    clock: Arc<FixedClock>,
    peer: Option<Peer>,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }
}

impl Api {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("locum.db"));
        let clock = Arc::new(FixedClock::at(NOON));
        let opened = store::Settings { location, readers: 2, timeout: Duration::from_secs(10), queue: 64 };
        let provision = Provision::new(Parts {
            store: Store::open(&opened, clock.clone()).await.unwrap(),
            subjects: Subjects::new(),
            in_flight: InFlight::new(),
            counts: None,
            peppers: Arc::new(Peppers::parse(&format!("1 {}", "ab".repeat(32))).unwrap()),
            tombstones: Arc::new(TombstoneKey::parse(&"cd".repeat(32)).unwrap()),
            keyring: Keyring::parse(&format!("1 {}", "12".repeat(32))).unwrap(),
            key_stores: key_files::first_versions(),
            history_key: Arc::new(|| Ok(SigningKey::parse(&"ef".repeat(32)).unwrap())),
            clock: clock.clone(),
            random: Arc::new(|buffer| rand::fill(buffer)),
            settings: Settings {
                retention: RetentionSettings {
                    archive: Some(folder.path().join("archive")),
                    ..RetentionSettings::default()
                },
                ..Settings::default()
            },
        });
        app::register(&provision, [AppName::parse("blog").unwrap()].into()).await.unwrap();
        let mut state = AdminState::new(provision);
        state.own_uid = OWN_UID;
        let peer = Some(Peer { uid: 0, unix_user: "root".to_owned() });
        Self { router: admin::router(state), clock, peer, _folder: folder }
    }

    async fn send(&self, mut request: Request<Body>) -> Answer {
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(peer.clone());
        }
        self.send_from(request).await
    }

    /// Sends as whoever the request says.
    async fn send_from(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let is = |kind| head.headers.get(header::CONTENT_TYPE).is_some_and(|found| found == kind);
        let lines = is("application/x-ndjson");
        let body = match &bytes[..] {
            [] => Value::Null,
            database if is("application/vnd.sqlite3") => {
                assert!(database.starts_with(b"SQLite format 3\0"));
                Value::Null
            }
            bytes if lines => {
                let lines = std::str::from_utf8(bytes).unwrap().lines();
                lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).collect()
            }
            bytes => serde_json::from_slice(bytes).unwrap(),
        };
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn call(&self, method: &str, path: &str) -> Answer {
        self.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with(path, body, &[]).await
    }

    async fn post_with(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}
