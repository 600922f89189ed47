//! What the access log says of a request, and what it never says.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::upstream::Upstream;
use crate::world::World;

/// What all tests of this process have logged.
pub(crate) static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer({
            let log = log.clone();
            move || log.clone()
        })
        .with_max_level(tracing::Level::TRACE)
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
    log
});

#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// The access log's lines of one path.
    pub(crate) fn lines_of(&self, path: &str) -> Vec<Value> {
        let access = |line: &Value| line["target"] == "locum::access" && line["fields"]["path"] == path;
        self.text().lines().filter_map(|line| serde_json::from_str(line).ok()).filter(access).collect()
    }

    pub(crate) fn wait_for(&self, path: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let [line] = &self.lines_of(path)[..] {
                return line["fields"].clone();
            }
            assert!(Instant::now() < deadline, "no line, or several, for {path}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// T4, LG-001: a token in the path is an accident that the log does not keep, however it is written.
#[test]
fn a_token_in_the_path_is_not_written_down() {
    let log = &*LOG;
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let encoded = billing.token.replace('_', "%5f");
    for (place, token) in [("one", &billing.token), ("two", &encoded)] {
        let mut client = world.client();
        client.send(format!("GET /pub/{place}/{token}/simple HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        assert_eq!(client.answer().unwrap().status, 200);
        assert_eq!(log.wait_for(&format!("/pub/{place}/locum_pat_…"))["status"], 200);
    }
    let mut client = world.client();
    client.send(format!("{} /pub/as-a-method HTTP/1.1\r\nHost: app.test\r\n\r\n", billing.token));
    assert_eq!(client.answer().unwrap().status, 405);
    assert_eq!(log.wait_for("/pub/as-a-method")["method"], "locum_pat_…");
    assert!(!log.text().contains(&billing.token[22..62]));
}

/// G13, G3: one line a request, with who, where, what was decided and why.
#[test]
fn each_request_leaves_one_line() {
    let log = &*LOG;
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let ask = |target: &str, line: &str| {
        let mut client = world.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{line}\r\n"));
        client.answer().unwrap()
    };

    let status = ask("/app/logged?token=in-the-query", &billing.basic()).status;
    let line = log.wait_for("/app/logged");
    assert_eq!((status, &line["status"]), (200, &Value::from(200)));
    assert_eq!(line["method"], "GET");
    assert_eq!((&line["app"], &line["route"]), (&Value::from("app"), &Value::from("/app/*")));
    assert_eq!((&line["account"], &line["owner"]), (&Value::from("billing"), &Value::from("billing-owner")));
    assert_eq!(line["pat"], billing.public_id.as_str());
    assert_eq!(line["decision"], "permitted");
    assert_eq!(line["upstream"], upstream.address.to_string());
    assert_eq!(line["source"], "127.0.0.1");
    assert!(line["duration_us"].is_u64());
    assert_eq!(line["request_id"], upstream.last().value("x-request-id").unwrap());

    let denied = ask("/admin/logged", &billing.basic());
    let line = log.wait_for("/admin/logged");
    assert_eq!((&line["decision"], &line["reason"]), (&Value::from("denied"), &Value::from("role_missing")));
    let problem: Value = serde_json::from_slice(&denied.body).unwrap();
    assert_eq!(problem["request_id"], line["request_id"]);

    ask("/app/revoked", "Authorization: Basic bm9ib2R5Om5vbnNlbnNl\r\n");
    let line = log.wait_for("/app/revoked");
    assert_eq!((&line["decision"], &line["account"]), (&Value::from("unauthenticated"), &Value::Null));
    assert!(line["reason"].is_string());
}

/// LG-001: what a client put into a secret place is in no line, whatever became of the request.
#[test]
fn no_secret_is_logged() {
    let log = &*LOG;
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let secret = &billing.token[22..62];
    for (number, line) in [
        billing.basic(),
        billing.bearer(),
        format!("Authorization: Bearer {}x\r\n", billing.token),
        format!("{}X_Locum_User: {}\r\n", billing.basic(), billing.token),
        format!("Cookie: a={}\r\nX-Api-Key: {}\r\n", billing.token, billing.token),
    ]
    .iter()
    .enumerate()
    {
        let mut client = world.client();
        let target = format!("/app/secret-{number}");
        client.send(format!(
            "POST {target}?t={token} HTTP/1.1\r\nHost: app.test\r\n{line}Content-Length: 68\r\n\r\n{token}",
            token = billing.token
        ));
        client.answer();
        log.wait_for(&target);
    }
    world.revoke(&billing);
    let encoded = &billing.basic()[40..100];
    let text = log.text();
    // hyper's own traces show what passes by; they are never written by the program (`locum` only).
    let ours = text.lines().filter(|line| line.contains(r#""target":"locum"#)).collect::<String>();
    assert!(ours.contains("/app/secret-0"));
    assert!(!ours.contains(secret) && !ours.contains(encoded));
}

/// G5: what was refused unread is in the log with its reason, and without a method or path that nobody read.
#[test]
fn a_head_that_was_not_read_is_logged_with_its_reason() {
    let log = &*LOG;
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let mut client = world.client();
    client.send("GET /secret/place#fragment HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 400);
    let unread = |line: &&str| line.contains("locum::access") && line.contains("target_fragment");
    let deadline = Instant::now() + Duration::from_secs(10);
    let line = loop {
        if let Some(line) = log.text().lines().find(unread).map(str::to_owned) {
            break line;
        }
        assert!(Instant::now() < deadline, "no line says that the target has a fragment");
        std::thread::sleep(Duration::from_millis(5));
    };
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["fields"]["status"], &line["fields"]["decision"]), (&Value::from(400), &Value::from("rejected")));
    assert_eq!((&line["fields"]["method"], &line["fields"]["path"]), (&Value::Null, &Value::Null));
}
