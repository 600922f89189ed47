//! More than the gate can do: attempts that nobody has proven, and clients that take nothing of what they ask for.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::lockout::wait_until;
use crate::locum::{self, Locum, ProxyUser, basic, configuration, connect_from, read_answer};
use crate::reload::{asked, metric, write};
use crate::upstream::{Upstream, respond};

/// How much memory the gate has in hand, in KiB.
#[expect(clippy::disallowed_methods, reason = "nothing else runs on this thread")]
fn resident(gate: &Locum) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The slowest but one in a hundred of so many requests on one connection.
fn ninety_ninth(gate: &Locum, who: &ProxyUser, requests: usize) -> Duration {
    let mut stream = TcpStream::connect(gate.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!("GET /good HTTP/1.1\r\nHost: app.test\r\n{}\r\n", who.basic());
    let mut took = Vec::with_capacity(requests);
    for _ in 0..requests {
        let started = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"/good") {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..read]);
        }
        took.push(started.elapsed());
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    }
    took.sort_unstable();
    took[requests * 99 / 100]
}

/// A token of which nobody has heard, whose checksum is right. One with a public id that exists would be an attempt on its
/// account, and the fifth would shut it.
fn foreign(number: u16) -> String {
    let body = format!("locum_pat_{number:012}{number:040}");
    format!("{body}{}", locum::checksum(&body))
}

/// DS-001, G12: five hundred attempts a second with bad tokens, from many sources, are refused or told to come again,
/// and a caller who is known is served as before. How quickly is measured elsewhere; here only that nothing waits.
#[test]
fn a_known_caller_is_served_while_others_guess() {
    const A_SECOND: usize = 500;
    const GUESSERS: usize = 10;
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, ""));
    let ann = gate.add_proxy_user_of("ann");
    ninety_ninth(&gate, &ann, 200);
    let quiet = ninety_ninth(&gate, &ann, 2_000);
    let before = resident(&gate);

    let (over, guessed, shed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let loud = std::thread::scope(|scope| {
        for guesser in 0..GUESSERS {
            let (gate, over, guessed, shed) = (&gate, &over, &guessed, &shed);
            scope.spawn(move || {
                let every =
                    Duration::from_secs(1) * u32::try_from(GUESSERS).unwrap() / u32::try_from(A_SECOND).unwrap();
                let mut next = Instant::now();
                for number in 0_u16.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let [_, low] = number.to_be_bytes();
                    let source = IpAddr::from(Ipv4Addr::new(127, 1, u8::try_from(guesser).unwrap(), low % 20 + 1));
                    let wrong = basic(&format!("ghost-{guesser}-{number}"), &foreign(number));
                    let mut stream = connect_from(source, gate.address());
                    let request = format!("GET /x HTTP/1.1\r\nHost: app.test\r\n{wrong}Connection: close\r\n\r\n");
                    stream.write_all(request.as_bytes()).unwrap();
                    let answer = read_answer(&mut stream);
                    match answer.status {
                        401 => guessed.fetch_add(1, Ordering::Relaxed),
                        429 | 503 => {
                            assert!(answer.header("retry-after").is_some(), "{}", answer.head);
                            shed.fetch_add(1, Ordering::Relaxed)
                        }
                        status => panic!("{status}: {}", answer.head),
                    };
                    next += every;
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            });
        }
        std::thread::sleep(Duration::from_secs(1));
        let started = Instant::now();
        let mut loud = Duration::ZERO;
        while started.elapsed() < Duration::from_secs(3) {
            loud = loud.max(ninety_ninth(&gate, &ann, 500));
        }
        over.store(true, Ordering::Relaxed);
        loud
    });
    let (guessed, shed) = (guessed.into_inner(), shed.into_inner());
    let grown = resident(&gate).saturating_sub(before) / 1024;
    println!("p99 {quiet:?} quiet, {loud:?} loud; {guessed} refused, {shed} told to come again; {grown} MiB more");
    assert!(guessed + shed > A_SECOND, "they were not many: {guessed} and {shed}");
    // A machine that does other things beside has pauses of its own.
    assert!(loud < quiet * 2 + Duration::from_millis(25), "{quiet:?} before, {loud:?} meanwhile");
    assert!(grown < 64, "{grown} MiB more");
    assert_eq!(gate.state_of("ann-ci"), "active");
}

/// An app that answers what ends in `slow` only when the gate of it is opened.
fn gated() -> (Upstream, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::start(
        |_, _| None,
        move |seen, stream| {
            while seen.target().ends_with("slow") && !opened.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            respond(stream, "200 OK", &[], seen.target().as_bytes())
        },
    );
    (upstream, gate)
}

/// So many strangers whom the app of this host does not answer yet.
fn waiting(gate: &Locum, upstream: &Upstream, host: &str, count: usize) -> Vec<TcpStream> {
    let before = upstream.count();
    let open = || {
        let mut stream = TcpStream::connect(gate.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = format!("GET /pub/slow HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let streams = (0..count).map(|_| open()).collect();
    // The known caller's own requests arrive beside these.
    upstream.wait_for(|seen| seen[before..].iter().filter(|seen| seen.target() == "/pub/slow").count() == count);
    streams
}

/// DS-001, G12, G13: while strangers have all that they can have, the known caller, the operator and the monitoring are
/// served as before, and both see why others are not. A reload that moves the bounds goes on with the count.
#[test]
fn strangers_who_fill_the_gate_keep_out_neither_the_known_nor_the_operator() {
    let (upstream, opened) = gated();
    let monitoring = locum::free_address();
    let bounds = |requests: usize| {
        let extra = format!(
            "[limits]\nrequests = {requests}\nreserved_percent = 50\n[monitoring]\nlisten = \"{monitoring}\"\n\
             [apps.more]\nhosts = [\"more.test\"]\nupstreams = [\"http://{}\"]\n\
             [[apps.more.routes]]\npath = \"/*\"\npublic = true\n",
            upstream.address
        );
        configuration(upstream.address, &extra)
    };
    let gate = Locum::start(&bounds(10));
    let (ann, bob) = (gate.add_proxy_user_of("ann"), gate.add_proxy_user_of("bob"));
    assert_eq!(gate.get("app.test", "/x", &ann.basic()).status, 200);
    // One app leaves the last of them to others.
    let mut running = waiting(&gate, &upstream, "app.test", 4);
    running.extend(waiting(&gate, &upstream, "more.test", 1));

    for lines in [String::new(), bob.basic(), basic("ghost", &foreign(1))] {
        let refused = gate.get("app.test", "/pub/x", &lines);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.head);
    }
    for _ in 0..20 {
        assert_eq!(gate.get("app.test", "/x", &ann.basic()).status, 200);
    }
    let mut stream = TcpStream::connect(monitoring).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).status, 200, "who is known is to be sent here");
    assert_eq!(gate.state_of("ann-ci"), "active");
    let health = asked(&gate, "/v1/health");
    assert!(health.contains("5 of 10 requests run: callers that are not known are turned away"), "{health}");
    let shed = "locum_decisions_total{app=\"app\",decision=\"shed\",reason=\"requests_reserved\"}";
    assert!(metric(&gate, shed) > 2.5);
    wait_until("it is said how many run", Duration::from_secs(10), || {
        (metric(&gate, "locum_requests_running") - 5.0).abs() < 0.5
    });

    write(&gate, &bounds(20));
    gate.run_cli(&["reload"]);
    running.extend(waiting(&gate, &upstream, "app.test", 4));
    running.extend(waiting(&gate, &upstream, "more.test", 1));
    assert_eq!(gate.get("app.test", "/pub/x", "").status, 503, "those from before the reload count");
    write(&gate, &bounds(8));
    gate.run_cli(&["reload"]);
    let refused = gate.get("app.test", "/x", &ann.basic());
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "ten run, and eight may");
    assert!(asked(&gate, "/v1/health").contains("10 of 8 requests run: everybody is turned away"));

    opened.store(true, Ordering::SeqCst);
    for mut running in running {
        assert_eq!(read_answer(&mut running).status, 200, "no bound cuts what runs");
    }
    for lines in [String::new(), ann.basic(), bob.basic()] {
        wait_until("there is room again", Duration::from_secs(5), || {
            gate.get("app.test", "/pub/x", &lines).status == 200
        });
    }
    assert!(gate.log().contains("\"reason\":\"requests_full\""), "{}", gate.log());
}
