//! What is told to whoever is refused, or asks when something is broken: a reason and an id, and nothing of the inside.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use crate::locum::{Answer, Locum, basic, configuration, connect_from, free_address, read_answer};
use crate::upstream::{Next, Upstream};

/// Stands wherever a secret can, on both sides of the gate.
const CANARY: &str = "c4n4ryc4n4ry";

/// What only the inside knows: places in the source, words of libraries and of the system, names of types.
const INSIDE: [&str; 14] = [
    ".rs",
    "panicked",
    "backtrace",
    "thread '",
    "os error",
    "locum::",
    "hyper",
    "rustls",
    "sqlx",
    "tokio",
    "refused (",
    "sqlite",
    "127.0.0.",
    "/tmp",
];

/// Answers nonsense on `/bad`, nothing on `/slow`, and everything else as it should.
fn app() -> Upstream {
    Upstream::start(
        |seen, stream| {
            match &*seen.target().replace(&format!("?t={CANARY}"), "") {
                "/bad" => {
                    stream.write_all(format!("HTTP/1.1 200 {CANARY}\r\nX: {CANARY}\nno\r\n\r\n").as_bytes()).unwrap();
                }
                "/slow" => std::thread::sleep(Duration::from_secs(2)),
                _ => return None,
            }
            Some(Next::Close)
        },
        |_, _| Next::Close,
    )
}

/// LG-004: whatever is refused or broken, the answer holds no secret that the client or the app said, no address or path of
/// the machine, no stack and no word of a library: not as a problem document, not as a page, and not for gRPC.
#[test]
fn what_is_refused_or_broken_is_told_without_the_inside() {
    let (upstream, away) = (app(), free_address());
    let more = format!(
        "[apps.away]\nhosts = [\"away.test\"]\nupstreams = [\"http://{away}\"]\n[[apps.away.routes]]\npath = \"/*\"\npublic = true\n\
         [throttle]\nburst = 400\n"
    );
    let file = configuration(upstream.address, &more)
        .replacen("access_by_default = true", "access_by_default = true\nresponse_timeout = \"300ms\"\nmax_body = \"10B\"", 1)
        .replace(
            "path = \"/pub/*\"\npublic = true",
            "path = \"/pub/*\"\npublic = true\nmethods = [\"GET\"]\nrate_limits = [{ per = \"source\", requests = 1, every = \"1h\" }]",
        );
    let gate = Locum::start(&file);
    let user = gate.add_proxy_user_of("ann");
    let (good, wrong) = (user.basic(), basic(CANARY, &format!("locum_pat_{CANARY}")));
    let head = |method: &str, path: &str, host: &str, lines: &str| {
        format!(
            "{method} {path}?t={CANARY} HTTP/1.1\r\nHost: {host}\r\nCookie: a={CANARY}\r\nX-Api-Key: {CANARY}\r\n{lines}"
        )
    };
    let long = "x".repeat(40_000);
    let longer = long.repeat(10);
    let requests = [
        (400, head("GET", "/x", "app.test", &format!("{good}X: {CANARY}\r\n Y: {CANARY}\r\n"))),
        (401, head("GET", "/x", "app.test", &wrong)),
        (403, head("GET", "/x", "ledger.test", &good)),
        (404, head("GET", "/x", &format!("{CANARY}.test"), &good)),
        (405, head("DELETE", "/pub/x", "app.test", &good)),
        (413, head("POST", "/x", "app.test", &format!("{good}Content-Length: {}\r\n", CANARY.len()))),
        (414, head("GET", &format!("/{CANARY}{long}"), "app.test", &good)),
        (417, head("POST", "/x", "app.test", &format!("{good}Expect: {CANARY}\r\nContent-Length: 0\r\n"))),
        (429, head("GET", "/pub/x", "app.test", &good)),
        (431, head("GET", "/x", "app.test", &format!("{good}X: {CANARY}{longer}\r\n"))),
        (502, head("GET", "/bad", "app.test", &good)),
        (504, head("GET", "/slow", "app.test", &good)),
        (502, head("GET", "/x", "away.test", "")),
        (503, head("GET", "/x", "away.test", "")),
    ];
    // The one request that may be made of a route that takes one an hour; how the app answers does not matter.
    gate.get("app.test", "/pub/x", "");
    let folder = gate.folder().display().to_string();
    let secrets =
        [CANARY, &user.pat[10..], value_of_basic(&good), &folder, &away.port().to_string()].map(str::to_owned);
    for (status, request) in &requests {
        for format in
            ["", "Accept: application/json\r\n", "Accept: text/html\r\n", "Content-Type: application/grpc\r\n"]
        {
            let grpc = format.starts_with("Content");
            let expected = if grpc && !matches!(status, 400 | 414 | 431) { 200 } else { *status };
            let answer = until(&gate, &format!("{request}{format}Connection: close\r\n\r\n"), expected);
            let told = format!("{}\n{}", answer.head, answer.body);
            assert!(grpc || !answer.body.is_empty(), "{told}");
            for never in INSIDE.into_iter().chain(secrets.iter().map(String::as_str)) {
                assert!(!told.contains(never), "`{never}` is told ({status}, {format}):\n{told}");
            }
            if answer.header("content-type") == Some("application/problem+json") {
                let problem = answer.json();
                let keys: BTreeSet<&str> = problem.as_object().unwrap().keys().map(String::as_str).collect();
                let known = ["code", "detail", "reason", "request_id", "status", "title", "type"];
                assert!(keys.iter().all(|key| known.contains(key)), "{problem}");
            }
        }
    }
}

fn value_of_basic(line: &str) -> &str {
    line.trim_end().rsplit(' ').next().unwrap()
}

/// The answer to a request, which is sent until it has this status: an app is away only after some that were tried.
fn until(gate: &Locum, request: &str, status: u16) -> Answer {
    let mut last = None;
    for _ in 0..20 {
        let mut stream = connect_from(gate.address().ip(), gate.address());
        stream.write_all(request.as_bytes()).ok();
        let answer = read_answer(&mut stream);
        if answer.status == status {
            return answer;
        }
        last = Some(answer);
    }
    panic!("never {status}, last {last:?} to\n{}", &request[..request.len().min(300)]);
}
