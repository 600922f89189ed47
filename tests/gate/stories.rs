//! The main job, told through public doors: a program with a username and a PAT reaches an app.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::frames::{DATA, Frames, GOAWAY, HEADERS, status};
use crate::locum::{Locum, basic, binary, configuration, connect_from};
use crate::upstream::Upstream;

fn gate() -> (Upstream, Locum) {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, ""));
    (upstream, gate)
}

/// The main job; G6, G7: the app learns who asks and never sees the credential.
#[test]
fn a_proxy_user_with_a_pat_reaches_the_app_by_basic_and_by_bearer() {
    let (upstream, gate) = gate();
    let user = gate.add_proxy_user_of("ann");
    for line in [user.basic(), user.bearer()] {
        assert_eq!(gate.get("app.test", "/reports?year=2026", &line).status, 200);
        let seen = upstream.last();
        let head = seen.text().to_ascii_lowercase();
        assert!(seen.text().starts_with("GET /reports?year=2026 HTTP/1.1\r\n"), "{}", seen.text());
        assert!(head.contains("\r\nx-locum-user: ann-ci\r\n"), "{head}");
        assert!(head.contains("\r\nx-locum-owner: ann\r\n"), "{head}");
        assert!(head.contains("\r\nx-locum-kind: proxy\r\n"), "{head}");
        assert!(head.contains("\r\nx-locum-service: tests\r\n"), "{head}");
        assert!(!head.contains("authorization"), "{head}");
        assert!(!seen.text().contains(&user.pat), "{}", seen.text());
    }
    assert_eq!(gate.get("app.test", "/", "").status, 401);
    assert_eq!(gate.get("app.test", "/", &basic("ben", &user.pat)).status, 401, "under another's name");
    assert_eq!(gate.get("app.test", "/", &basic("ann", &user.pat)).status, 401, "under the owner's name");
}

/// G3: what a program needs to know, and nothing about why.
#[test]
fn a_refusal_is_a_challenge_and_a_problem_document_that_tells_nothing() {
    let (_upstream, gate) = gate();
    let user = gate.add_proxy_user_of("ann");
    gate.run_cli(&["pat", "revoke", &user.public_id, "--reason", "compromised"]);
    let mut bodies = std::collections::BTreeSet::new();
    for line in [user.basic(), basic("nobody", "x"), basic("ann-ci", &user.guess(1))] {
        let answer = gate.get("app.test", "/", &line);
        assert_eq!(answer.status, 401);
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains("www-authenticate: basic realm=\"locum\", charset=\"utf-8\""), "{head}");
        assert!(head.contains("www-authenticate: bearer realm=\"locum\""), "{head}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let mut problem = answer.json();
        assert!(problem["request_id"].is_string(), "{problem}");
        problem.as_object_mut().unwrap().retain(|name, _| name != "request_id" && name != "instance");
        bodies.insert(problem.to_string());
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

/// G4, R1, R8: each app by its own roles; the app's role gives access to it, another's does not.
#[test]
fn two_apps_with_different_roles_let_in_different_accounts() {
    let (upstream, gate) = gate();
    gate.run_cli(&["role", "add", "ledger/clerk"]);
    gate.run_cli(&["role", "add", "admin"]);
    let ann = gate.add_proxy_user_of("ann");
    let ben = gate.add_proxy_user_of("ben");
    gate.run_cli(&["role", "grant", "ann", "ledger/clerk"]);
    gate.run_cli(&["role", "grant", "ben", "admin"]);

    assert_eq!(gate.get("ledger.test", "/", &ann.basic()).status, 200);
    let head = upstream.last().text().to_ascii_lowercase();
    assert!(head.contains("x-locum-roles: ledger/clerk\r\n"), "{head}");
    assert_eq!(gate.get("app.test", "/admin/x", &ben.basic()).status, 200);
    let head = upstream.last().text().to_ascii_lowercase();
    assert!(head.contains("x-locum-roles: admin\r\n"), "{head}");

    let before = upstream.count();
    for (host, path, user) in [("ledger.test", "/", &ben), ("app.test", "/admin/x", &ann)] {
        let answer = gate.get(host, path, &user.basic());
        assert_eq!(answer.status, 403, "{host}{path}");
        assert!(answer.json()["code"].is_string(), "{}", answer.body);
    }
    assert_eq!(gate.get("elsewhere.test", "/", &ann.basic()).status, 404, "no app, no way in (G4)");
    assert_eq!(upstream.count(), before);
}

/// P5, P6, P7: the cascade is felt at the gate, at once.
#[test]
fn what_the_owner_gains_and_loses_its_proxy_users_gain_and_lose_at_the_gate() {
    let (_upstream, gate) = gate();
    gate.run_cli(&["role", "add", "admin"]);
    let user = gate.add_proxy_user_of("ann");
    assert_eq!(gate.get("app.test", "/admin/x", &user.basic()).status, 403);
    gate.run_cli(&["role", "grant", "ann", "admin"]);
    assert_eq!(gate.get("app.test", "/admin/x", &user.basic()).status, 200);
    gate.run_cli(&["role", "remove", "ann", "admin"]);
    assert_eq!(gate.get("app.test", "/admin/x", &user.basic()).status, 403);
    let refused = gate.cli(&["role", "grant", "ann-ci", "admin"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("admin"), "{refused:?}");
}

/// T6, R2: revoked is gone before the command returns; the other token of the account stays (PT-004).
#[test]
fn a_revoked_pat_is_refused_by_the_next_request_and_its_sister_is_not() {
    let (_upstream, gate) = gate();
    let first = gate.add_proxy_user_of("ann");
    let second = gate.new_pat("ann-ci");
    for _ in 0..20 {
        assert_eq!(gate.get("app.test", "/", &first.basic()).status, 200);
        assert_eq!(gate.get("app.test", "/", &second.basic()).status, 200);
    }
    gate.run_cli(&["pat", "revoke", &first.public_id, "--reason", "no_longer_in_use"]);
    assert_eq!(gate.get("app.test", "/", &first.basic()).status, 401);
    assert_eq!(gate.get("app.test", "/", &second.basic()).status, 200);
}

/// P10, P11, P13: an owner takes its proxy users along, and they come back one by one, with new tokens.
#[test]
fn an_inactive_owner_takes_its_proxy_users_along() {
    let (_upstream, gate) = gate();
    let user = gate.add_proxy_user_of("ann");
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 200);
    gate.run_cli(&["person", "inactivate", "ann"]);
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 401);
    let refused = gate.cli(&["proxy-user", "activate", "ann-ci"]);
    assert_eq!(refused.status.code(), Some(1), "refused while the owner is inactive");
    gate.run_cli(&["person", "activate", "ann"]);
    assert_eq!(gate.state_of("ann-ci"), "inactive");
    gate.run_cli(&["proxy-user", "activate", "ann-ci"]);
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 401, "the old token stays revoked");
    let fresh = gate.new_pat("ann-ci");
    assert_eq!(gate.get("app.test", "/", &fresh.basic()).status, 200);
}

/// T3: pending is refused, never counted; confirmed is accepted.
#[test]
fn a_pending_pat_is_refused_without_counting_until_it_is_confirmed() {
    let (_upstream, gate) = gate();
    gate.add_proxy_user_of("ann");
    let made = gate.json_cli(&["pat", "add", "ann-ci", "--service", "later"]);
    assert_eq!(made["state"], "pending");
    let (id, token) = (made["public_id"].as_str().unwrap(), made["token"].as_str().unwrap());
    for _ in 0..8 {
        assert_eq!(gate.get("app.test", "/", &basic("ann-ci", token)).status, 401);
    }
    assert_eq!(gate.state_of("ann-ci"), "active");
    gate.run_cli(&["pat", "confirm", id]);
    assert_eq!(gate.get("app.test", "/", &basic("ann-ci", token)).status, 200);
}

/// T1, L10: networks, apps and read-only; from outside is refused uniformly and is no attempt.
#[test]
fn a_narrowed_pat_is_held_to_its_networks_apps_and_methods() {
    let (_upstream, gate) = gate();
    gate.add_proxy_user_of("ann");
    gate.run_cli(&["role", "add", "ledger/clerk"]);
    gate.run_cli(&["role", "grant", "ann", "ledger/clerk"]);
    let narrow = |options: &[&str]| {
        let mut arguments = vec!["pat", "add", "ann-ci", "--service", "narrow", "--confirm"];
        arguments.extend(options);
        basic("ann-ci", gate.json_cli(&arguments)["token"].as_str().unwrap())
    };
    let inside = narrow(&["--network", "127.9.0.0/16"]);
    for _ in 0..8 {
        assert_eq!(gate.get("app.test", "/", &inside).status, 401);
    }
    assert_eq!(gate.get_from(Ipv4Addr::new(127, 9, 1, 1).into(), "app.test", "/", &inside).status, 200);
    assert_eq!(gate.get("app.test", "/", &inside).status, 401, "proven from inside is not proven from outside");

    let one_app = narrow(&["--app", "ledger"]);
    assert_eq!(gate.get("ledger.test", "/", &one_app).status, 200);
    assert_eq!(gate.get("app.test", "/", &one_app).status, 403);

    let reading = narrow(&["--read-only"]);
    assert_eq!(gate.get("app.test", "/", &reading).status, 200);
    let write =
        format!("POST / HTTP/1.1\r\nHost: app.test\r\n{reading}Content-Length: 2\r\nConnection: close\r\n\r\nhi");
    assert_eq!(gate.send(write.as_bytes()).status, 403);
}

/// L10, R2, T13: a proxy user that is bound to networks is used from there only, whatever its tokens say: at
/// once, and for what was running; an attempt from elsewhere is none on the account, and its history tells.
#[test]
fn a_proxy_user_is_held_to_its_networks() {
    let gate = Locum::start(&configuration(crate::running::endless_app(), ""));
    let user = gate.add_proxy_user_of("ann");
    let (inside, outside) = (Ipv4Addr::new(127, 9, 1, 1).into(), Ipv4Addr::LOCALHOST.into());
    let open = |source| {
        let mut stream = connect_from(source, gate.address());
        let request = format!("GET /events HTTP/1.1\r\nHost: app.test\r\n{}\r\n", user.basic());
        stream.write_all(request.as_bytes()).unwrap();
        let mut first = [0; 16];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(first, *b"HTTP/1.1 200 OK\r");
        stream
    };
    let (mut from_inside, mut from_outside) = (open(inside), open(outside));
    gate.run_cli(&["proxy-user", "networks", "ann-ci", "--network", "127.9.0.0/16"]);
    let narrowed = Instant::now();
    let mut rest = Vec::new();
    let ended = from_outside.read_to_end(&mut rest);
    assert!(narrowed.elapsed() < Duration::from_secs(2), "cut after {:?}", narrowed.elapsed());
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a cut is not a clean end ({ended:?})");
    let mut more = [0; 4096];
    for _ in 0..20 {
        assert!(from_inside.read(&mut more).unwrap() > 0, "what came from inside runs on");
    }

    let uniform = gate.get("app.test", "/", &basic("nobody", "nonsense"));
    for line in [user.basic(), user.bearer(), basic("ann-ci", &user.guess(1)), basic("ann-ci", "nonsense")] {
        for _ in 0..3 {
            let answer = gate.get_from(outside, "app.test", "/", &line);
            assert_eq!((answer.status, answer.body.len()), (401, uniform.body.len()));
        }
    }
    assert_eq!(gate.state_of("ann-ci"), "active", "twelve attempts from outside are none");
    drop(open(inside));
    assert!(gate.actions("ann-ci", "attempt_failed").is_empty());
    let deadline = Instant::now() + Duration::from_secs(5);
    while gate.actions("ann-ci", "outside_networks").is_empty() {
        assert!(Instant::now() < deadline, "the owner is told");
        std::thread::sleep(Duration::from_millis(50));
    }

    let checked = |from: &str| {
        let output = gate.cli_with_input(&["pat", "check", "--json", "--from", from], &user.pat);
        let checked: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (checked["state"].clone(), checked["accepted"].clone())
    };
    assert_eq!(checked("127.9.1.1"), ("usable".into(), true.into()));
    assert_eq!(checked("127.0.0.1"), ("outside_networks".into(), false.into()));
    gate.run_cli(&["proxy-user", "networks", "ann-ci", "--any"]);
    drop(open(outside));
}

/// R6: what a role contains is felt by everyone who holds it.
#[test]
fn a_permission_put_into_a_role_opens_the_route_for_its_holders() {
    let upstream = Upstream::echo();
    let extra = "[apps.files]\nhosts = [\"files.test\"]\nupstreams = [\"http://UP\"]\n\
                 [[apps.files.routes]]\npath = \"/*\"\npermissions_all = [\"files:read\"]\n";
    let extra = extra.replace("UP", &upstream.address.to_string());
    let gate = Locum::start(&configuration(upstream.address, &extra));
    let user = gate.add_proxy_user_of("ann");
    gate.run_cli(&["role", "add", "files/guest"]);
    gate.run_cli(&["role", "grant", "ann", "files/guest"]);
    assert_eq!(gate.get("files.test", "/", &user.basic()).status, 403);
    gate.run_cli(&["role", "set", "files/guest", "--permission", "files:read"]);
    assert_eq!(gate.get("files.test", "/", &user.basic()).status, 200);
    gate.run_cli(&["role", "set", "files/guest", "--permission", "files:list"]);
    assert_eq!(gate.get("files.test", "/", &user.basic()).status, 403);
    gate.run_cli(&["role", "set", "files/guest", "--empty"]);
    let role = gate.json_cli(&["role", "show", "files/guest"]);
    assert_eq!(role["permissions"], serde_json::json!([]), "emptied on purpose");
}

/// P12: the name of a deleted account is nobody's again, until the host shell releases it.
#[test]
fn a_deleted_name_is_not_given_again() {
    let (_upstream, gate) = gate();
    let user = gate.add_proxy_user_of("ann");
    gate.run_cli(&["proxy-user", "delete", "ann-ci"]);
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 401);
    for name in ["ann-ci", "Ann-CI"] {
        let refused = gate.cli(&["person", "add", name]);
        assert_eq!(refused.status.code(), Some(1), "{name}");
    }
    gate.run_cli(&["name", "release", "ann-ci"]);
    gate.run_cli(&["proxy-user", "add", "ann-ci", "--owner", "ann"]);
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 401, "the name is back, the token is not");
}

/// L9, P14: a person is not a proxy user: no PAT, no count, no inactivation.
#[test]
fn a_person_is_never_inactivated_by_failures() {
    let (_upstream, gate) = gate();
    gate.add_proxy_user_of("ann");
    for number in 0..12 {
        assert_eq!(gate.get("app.test", "/", &basic("ann", &format!("guess-{number}"))).status, 401);
    }
    let shown = gate.json_cli(&["person", "show", "ann"]);
    assert_eq!(shown["state"], "active");
    assert_eq!(gate.cli(&["pat", "add", "ann", "--service", "x", "--confirm"]).status.code(), Some(1));
}

/// G2: an `Authorization` that is no credential of Locum's belongs to the app; on a public route an
/// invalid credential of Locum's is refused all the same.
#[test]
fn a_foreign_authorization_passes_and_an_invalid_one_of_ours_does_not() {
    let (upstream, gate) = gate();
    let user = gate.add_proxy_user_of("ann");
    let foreign = "Authorization: Bearer ey.app.token\r\n";
    assert_eq!(gate.get("app.test", "/pub/x", foreign).status, 200);
    assert!(upstream.last().text().contains("ey.app.token"));
    assert_eq!(gate.get("app.test", "/pub/x", "").status, 200);
    let wrong = format!("Authorization: Bearer {}\r\n", user.guess(5));
    assert_eq!(gate.get("app.test", "/pub/x", &wrong).status, 401);
    assert_eq!(gate.get("app.test", "/x", foreign).status, 401, "a foreign one opens nothing");
}

/// Every file in a folder and the folders in it. Sockets are none: nothing stays in them.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        } else {
            assert!(kind.is_socket(), "{} is neither file, folder nor socket", entry.path().display());
        }
    }
    files
}

/// T4, LG-001: the secret is in no file that Locum writes and in no line that it logs.
#[test]
fn no_secret_reaches_the_store_or_the_log() {
    let upstream = Upstream::echo();
    let gate = Locum::start_with(&configuration(upstream.address, ""), &[("LOCUM__LOG__LEVEL", "trace")]);
    let user = gate.add_proxy_user_of("ann");
    let canary = user.guess(77);
    assert_eq!(gate.get("app.test", &format!("/x?{}", "q=1"), &user.basic()).status, 200);
    assert_eq!(gate.get("app.test", "/x", &user.bearer()).status, 200);
    assert_eq!(gate.get("app.test", "/x", &basic("ann-ci", &canary)).status, 401);
    assert_eq!(gate.get("app.test", "/x", &basic(&canary, "x")).status, 401);
    gate.cli_with_input(&["pat", "check"], &user.pat);
    let history = gate.run_cli(&["history", "--json"]);
    assert_eq!(gate.get("app.test", "/last", &format!("Authorization: Bearer {}x\r\n", user.pat)).status, 401);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !gate.log().contains("/last") {
        assert!(Instant::now() < deadline, "the last request is not in the log");
        std::thread::sleep(Duration::from_millis(10));
    }
    let log = gate.log();
    assert!(log.contains(r#""level":"TRACE""#), "nothing of the level that was asked for");
    let files = files_below(gate.folder());
    assert!(files.contains(&gate.folder().join("locum.db")), "{files:?}");
    for secret in [&user.pat[22..62], &canary[22..62]] {
        assert!(!log.contains(secret), "in the log");
        assert!(!history.contains(secret), "in the history");
        for path in &files {
            let bytes = std::fs::read(path).unwrap();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "in {}", path.display());
        }
    }
}

/// T13: checking a token changes nothing.
#[test]
fn checking_a_pat_says_what_it_is_and_counts_nothing() {
    let (_upstream, gate) = gate();
    let user = gate.add_proxy_user_of("ann");
    let checked = gate.cli_with_input(&["pat", "check", "--json"], &user.pat);
    let checked: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(checked["account"], "ann-ci", "{checked}");
    assert_eq!(checked["state"], "usable", "{checked}");
    assert_eq!(checked["days_left"], 364, "{checked}");
    for number in 0..8 {
        assert!(!gate.cli_with_input(&["pat", "check"], &user.guess(number)).status.success());
    }
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 200);
    assert!(gate.actions("ann-ci", "attempt_failed").is_empty());
}

/// Decision 20: one node a store, and the second one is told who holds it.
#[test]
fn a_second_gateway_on_one_store_is_refused() {
    let (_upstream, gate) = gate();
    let second = Command::new(binary())
        .args(["serve", "--config"])
        .arg(gate.folder().join("locum.toml"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&gate.pid().to_string()), "{said}");
}

/// G12: what is being answered when the end is asked for is answered.
#[test]
fn a_request_in_flight_survives_sigterm() {
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = slow.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = slow.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        std::thread::sleep(Duration::from_millis(700));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate").unwrap();
    });
    let mut gate = Locum::start(&configuration(address, ""));
    let user = gate.add_proxy_user_of("ann");
    let mut stream = connect_from(Ipv4Addr::LOCALHOST.into(), gate.address());
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: app.test\r\n{}\r\n", user.basic()).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(gate.terminate(), "an orderly end");
    let answer = crate::locum::read_answer(&mut stream);
    assert_eq!((answer.status, answer.body.as_str()), (200, "late"));
}

/// G12: over HTTP/2 a request in flight is answered after SIGTERM, and a client that does not say goodbye is not
/// waited for.
#[test]
fn a_stream_in_flight_survives_sigterm() {
    let upstream = Upstream::start(
        |_, stream| {
            std::thread::sleep(Duration::from_millis(700));
            Some(crate::upstream::respond(stream, "200 OK", &[], b"late"))
        },
        |_, _| crate::upstream::Next::Close,
    );
    let h2c = configuration(upstream.address, "").replace("threads = 2", "threads = 2\nh2c = true");
    let mut gate = Locum::start(&h2c);
    let user = gate.add_proxy_user_of("ann");
    let authorization = user.basic();
    let authorization = authorization.trim_start_matches("Authorization: ").trim_end();
    let silent = Frames::connect(gate.address());
    let mut client = Frames::connect(gate.address());
    client.request(
        1,
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "app.test"),
            (":path", "/"),
            ("authorization", authorization),
        ],
    );
    std::thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    let ending = std::thread::spawn(move || (gate.terminate(), started.elapsed()));
    let (mut goodbyes, mut body) = (0, Vec::new());
    while let Some(frame) = client.next() {
        match frame.kind {
            GOAWAY => {
                assert_eq!(frame.payload[4..8], [0; 4], "an orderly end");
                goodbyes += 1;
            }
            DATA => body.extend(frame.payload),
            HEADERS => assert_eq!(status(&frame.payload), 200),
            _ => {}
        }
    }
    assert_eq!((body.as_slice(), goodbyes > 0), (&b"late"[..], true));
    let (orderly, took) = ending.join().unwrap();
    assert!(orderly && took < Duration::from_secs(10), "{orderly}, {took:?}");
    drop(silent);
}
