//! The configuration read again while the gateway serves: whole or not at all, for every connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::frames::{Frames, Outcome};
use crate::lockout::wait_until;
use crate::locum::{Locum, configuration};
use crate::upstream::Upstream;

/// A connection of HTTP/1.1 that stays open.
pub(crate) struct KeptOpen(TcpStream);

impl KeptOpen {
    pub(crate) fn to(gate: &Locum) -> Self {
        let stream = TcpStream::connect(gate.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// One request and its answer, on the connection of all those before.
    pub(crate) fn get(&mut self, host: &str, path: &str, headers: &str) -> u16 {
        self.try_get(host, path, headers).unwrap().0
    }

    /// The same, with whether the gateway wants the connection to end; or how it ended.
    pub(crate) fn try_get(&mut self, host: &str, path: &str, headers: &str) -> std::io::Result<(u16, bool)> {
        self.0.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").as_bytes())?;
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = self.0.read(&mut piece)?;
            answer.extend_from_slice(&piece[..read]);
            if read == 0 {
                let nothing = answer.is_empty();
                let kind =
                    if nothing { std::io::ErrorKind::ConnectionReset } else { std::io::ErrorKind::UnexpectedEof };
                return Err(kind.into());
            }
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() == length.unwrap_or(0) {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Ok((status, head.contains("\r\nconnection: close")));
            }
        }
    }
}

/// A connection of HTTP/2 that stays open, and its next stream.
pub(crate) struct Streams(Frames, u32);

impl Streams {
    pub(crate) fn to(gate: &Locum) -> Self {
        Self(Frames::connect(gate.address()), 1)
    }

    pub(crate) fn get(&mut self, host: &str, path: &str, authorization: &str) -> Outcome {
        let stream = self.1;
        self.1 += 2;
        let fields = [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", path)];
        let mut fields = fields.to_vec();
        if !authorization.is_empty() {
            fields.push(("authorization", authorization));
        }
        self.0.request(stream, &fields);
        self.0.outcome(stream)
    }
}

/// Without the name of the header and the end of the line.
pub(crate) fn value_of(line: &str) -> &str {
    line.trim_end().split_once(": ").unwrap().1
}

pub(crate) fn write(gate: &Locum, configuration: &str) {
    std::fs::write(gate.folder().join("locum.toml"), configuration).unwrap();
}

pub(crate) fn signal(gate: &Locum, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(gate.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A metric with its labels, as the admin socket shows it; 0 when it is not there yet.
pub(crate) fn metric(gate: &Locum, name: &str) -> f64 {
    let text = asked(gate, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// What the admin socket answers.
pub(crate) fn asked(gate: &Locum, path: &str) -> String {
    let output = std::process::Command::new("curl")
        .args(["-sS", "--max-time", "20", "--unix-socket"])
        .arg(gate.socket())
        .arg(format!("http://locum{path}"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// G12: a route that is gone, one that is new, a role that is asked for now, and an app that is new: all hold for
/// the very next request of connections that were open before, over HTTP/1.1 and HTTP/2; and it is on record.
#[test]
fn a_reload_holds_for_the_next_request_of_every_open_connection() {
    let upstream = Upstream::echo();
    let before = configuration(upstream.address, "").replace("threads = 2", "threads = 2\nh2c = true");
    let gate = Locum::start(&before);
    let user = gate.add_proxy_user_of("ann");
    let authorization = value_of(&user.basic()).to_owned();
    // So many that every thread has some of each kind.
    let mut kept: Vec<_> = (0..8).map(|_| KeptOpen::to(&gate)).collect();
    let mut streams: Vec<_> = (0..8).map(|_| Streams::to(&gate)).collect();
    for kept in &mut kept {
        assert_eq!(kept.get("app.test", "/pub/x", ""), 200);
        assert_eq!(kept.get("app.test", "/x", &user.basic()), 200);
        assert_eq!(kept.get("new.test", "/x", ""), 404);
    }
    for streams in &mut streams {
        assert_eq!(streams.get("app.test", "/pub/x", ""), Outcome::Status(200));
        assert_eq!(streams.get("app.test", "/x", &authorization), Outcome::Status(200));
    }

    let after = before
        .replace("path = \"/pub/*\"\npublic = true", "path = \"/open/*\"\npublic = true")
        .replace("[apps.ledger]", "[apps.new]\nhosts = [\"new.test\"]\nupstreams = [\"http://UPSTREAM\"]\n[[apps.new.routes]]\npath = \"/*\"\npublic = true\n[apps.ledger]")
        .replace("UPSTREAM", &upstream.address.to_string());
    write(&gate, &after);
    assert_eq!(gate.json_cli(&["reload"])["outcome"], "taken_up");
    for kept in &mut kept {
        assert_eq!(kept.get("app.test", "/pub/x", ""), 401, "public no more");
        assert_eq!(kept.get("app.test", "/open/x", ""), 200);
        assert_eq!(kept.get("new.test", "/x", ""), 200);
        assert_eq!(kept.get("app.test", "/x", &user.basic()), 200, "the token is known still");
    }
    for streams in &mut streams {
        assert_eq!(streams.get("app.test", "/pub/x", ""), Outcome::Status(401), "public no more");
        assert_eq!(streams.get("new.test", "/x", ""), Outcome::Status(200));
    }

    // By a signal, which nobody is answered: the routes of the whole app are gone.
    let (head, tail) = after.split_once("[apps.ledger]").unwrap();
    let (_, tail) = tail.split_once("roles_any = [\"ledger/clerk\"]").unwrap();
    write(&gate, &format!("{head}{tail}"));
    signal(&gate, rustix::process::Signal::HUP);
    wait_until("it was taken up", Duration::from_secs(10), || {
        metric(&gate, "locum_config_reloads_total{outcome=\"taken_up\"}") > 1.5
    });
    for kept in &mut kept {
        assert_eq!(kept.get("ledger.test", "/x", &user.basic()), 404);
    }
    let written = gate.json_cli(&["history", "--type", "config_reloaded"]);
    let written = written.as_array().unwrap();
    assert_eq!(written.len(), 2, "{written:?}");
    assert_eq!((written[0]["actor"].as_str(), written[0]["cause"].as_str()), (Some("locum"), Some("SIGHUP")));
    assert!(written[1]["actor"].as_str().unwrap().starts_with("host:"), "{written:?}");
    assert_eq!(gate.json_cli(&["history", "--type", "app_disabled"])[0]["object"], "app:ledger");
    assert_eq!(gate.json_cli(&["history", "--type", "app_registered"])[0]["object"], "app:new");
    assert!(metric(&gate, "locum_config_last_taken_up_timestamp_seconds") > 1.0e9);
}

/// G12, FT-003: what is wrong is refused whole, with its place, the one in force goes on, and a metric counts it.
#[test]
fn a_wrong_configuration_is_refused_whole_and_the_old_one_stays() {
    let upstream = Upstream::echo();
    let before = configuration(upstream.address, "");
    let gate = Locum::start(&before);
    let mut kept = KeptOpen::to(&gate);
    assert_eq!(kept.get("app.test", "/pub/x", ""), 200);

    let wrong = before.replace("path = \"/pub/*\"\npublic = true", "path = \"/open/*\"\npublik = true");
    write(&gate, &wrong);
    let refused = gate.cli(&["reload"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("locum.toml:13:1: ") && said.contains("did you mean `public`"), "{said}");
    signal(&gate, rustix::process::Signal::HUP);
    wait_until("it was counted", Duration::from_secs(10), || {
        metric(&gate, "locum_config_reloads_total{outcome=\"invalid\"}") > 1.5
    });
    assert!(gate.log().contains("the one in force stays"), "{}", gate.log());
    assert_eq!(kept.get("app.test", "/pub/x", ""), 200);
    assert_eq!(kept.get("app.test", "/open/x", ""), 401);

    std::fs::remove_file(gate.folder().join("locum.toml")).unwrap();
    assert_eq!(gate.cli(&["reload"]).status.code(), Some(78));
    assert_eq!(kept.get("app.test", "/pub/x", ""), 200);
    assert_eq!(gate.json_cli(&["history", "--type", "config_reloaded"]).as_array().unwrap().len(), 0);

    write(&gate, &wrong.replace("publik", "public"));
    gate.run_cli(&["reload"]);
    assert_eq!(kept.get("app.test", "/open/x", ""), 200);
}

/// G12: what cannot change while it runs refuses the whole, and names the key, its place and a way out.
#[test]
fn a_reload_that_needs_a_restart_is_refused_by_the_name_of_its_key() {
    let upstream = Upstream::echo();
    let before = configuration(upstream.address, "[log]\nlevel = \"info\"\n");
    let gate = Locum::start(&before);
    for (from, to, place) in [
        ("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1:1\"", "locum.toml:3:10: `server.listen`"),
        ("threads = 2", "threads = 3", "`server.threads`"),
        ("[log]", "[store]\nurl = \"sqlite:other.db\"\n[log]", "`store.url`"),
        ("[log]", "[redis]\nurl = \"redis://127.0.0.1:1\"\n[log]", "`redis.url`"),
        ("[log]", "[admin]\nsocket = \"other.sock\"\n[log]", "`admin.socket`"),
        ("[log]", "[pats]\nprefix = \"acme\"\n[log]", "`pats.prefix`"),
        ("[log]", "[secrets]\npepper_file = \"other\"\n[log]", "`secrets.pepper_file`"),
        #[cfg(feature = "otel")]
        ("[log]", "[tracing]\nendpoint = \"http://127.0.0.1:4318\"\n[log]", "`tracing.endpoint`"),
    ] {
        write(&gate, &before.replace(from, to).replace("public = true", "public = false"));
        let refused = gate.cli(&["reload", "--json"]);
        let problem: serde_json::Value = serde_json::from_slice(&refused.stderr).unwrap();
        assert_eq!((refused.status.code(), problem["code"].as_str()), (Some(1), Some("needs_restart")), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(place) && detail.contains("restart"), "{place}: {detail}");
        assert_eq!(gate.get("app.test", "/pub/x", "").status, 200, "the rest of it is not taken up either");
    }
    write(&gate, &before);
    gate.run_cli(&["reload"]);
}

/// G12: settings of the rooms change with it: the budget of failures, the lockout, the life of tokens, the log.
#[test]
fn a_reload_reaches_every_room() {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, "[log]\nlevel = \"info\"\n"));
    let user = gate.add_proxy_user_of("ann");
    assert_eq!(gate.get("app.test", "/quiet", &user.basic()).status, 200);
    let extra = "[log]\nlevel = \"info,locum::access=off\"\n[lockout]\nthreshold = 2\n[pats]\nlongest_life = \"2d\"\n[throttle]\nburst = 3\n";
    write(&gate, &configuration(upstream.address, extra));
    gate.run_cli(&["reload"]);

    assert_eq!(gate.get("app.test", "/unlogged", &user.basic()).status, 200);
    let refused = gate.cli(&["pat", "add", "ann-ci", "--service", "x", "--expires", "3d"]);
    assert!(!refused.status.success(), "three days are more than two");
    assert!(gate.cli(&["pat", "add", "ann-ci", "--service", "x", "--expires", "1d"]).status.success());

    for number in 0..2 {
        assert_eq!(gate.get("app.test", "/x", &crate::locum::basic("ann-ci", &user.guess(number))).status, 401);
    }
    wait_until("two failures were enough", Duration::from_secs(5), || gate.state_of("ann-ci") == "inactive");
    let strange = |number| gate.get("app.test", "/x", &crate::locum::basic(&format!("nobody-{number}"), "x")).status;
    assert!((0..5).any(|number| strange(number) == 429), "the budget of three");
    let log = gate.log();
    assert!(log.contains("/quiet") && !log.contains("/unlogged"), "{log}");
}

/// G12: twenty reloads, every other one with another set of routes, under requests on kept connections of both
/// versions: not one is refused, cut or left without an answer.
#[test]
fn reloads_under_load_fail_no_request() {
    let upstream = Upstream::echo();
    let one = configuration(upstream.address, "").replace("threads = 2", "threads = 2\nh2c = true");
    let other = one.replace("path = \"/admin/*\"", "path = \"/elsewhere/*\"");
    let gate = Locum::start(&one);
    let user = gate.add_proxy_user_of("ann");
    let (basic, done) = (user.basic(), std::sync::atomic::AtomicBool::new(false));
    let going_on = || !done.load(std::sync::atomic::Ordering::Relaxed);
    let served: usize = std::thread::scope(|scope| {
        let by_h1 = (0..4).map(|_| {
            scope.spawn(|| {
                let (mut kept, mut count) = (KeptOpen::to(&gate), 0);
                while going_on() {
                    assert_eq!(kept.get("app.test", "/x", &basic), 200);
                    count += 1;
                }
                count
            })
        });
        let by_h2 = (0..2).map(|_| {
            scope.spawn(|| {
                let (mut streams, mut count) = (Streams::to(&gate), 0);
                while going_on() {
                    assert_eq!(streams.get("app.test", "/x", value_of(&basic)), Outcome::Status(200));
                    count += 1;
                }
                count
            })
        });
        let clients: Vec<_> = by_h1.chain(by_h2).collect();
        for number in 0..20 {
            write(&gate, if number % 2 == 0 { &other } else { &one });
            gate.run_cli(&["reload"]);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(served > 200, "{served}");
    assert!(gate.state_of("ann-ci") == "active");
}
