//! Apps of HTTP/2 that turn on the gateway: their connections end, they cost it little, and other apps do not notice.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::attacks::cpu_of_process;
use crate::bodies::peak;
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    block, frame, text,
};
use crate::locum::{Locum, configuration};
use crate::upstream::Upstream;

/// For how long an app floods one connection, if it is let.
const PATIENCE: Duration = Duration::from_secs(8);
/// How much memory a flood may take, in KiB, and how much time of the processor: a debug build on a busy machine.
const ROOM_KIB: usize = 16 * 1024;
const TIME: Duration = Duration::from_secs(2);

/// What an app does when it is asked: bytes that come first, and bytes that come again and again.
struct Flood {
    name: &'static str,
    first: Vec<u8>,
    again: Vec<u8>,
}

/// How the connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    ByTheGateway,
    /// The app has given up: it could have gone on.
    Never,
}

fn floods() -> Vec<Flood> {
    let ok = frame(HEADERS, END_HEADERS, 1, &[0x88]);
    let one = 1_u32.to_be_bytes();
    let mut bomb = vec![0x88, 0x40];
    text(&mut bomb, "x-large");
    text(&mut bomb, &"y".repeat(3_000));
    bomb.extend([0xbe; 8_000]);
    let mut pushed = 2_u32.to_be_bytes().to_vec();
    pushed.extend(block(&[(":method", "GET"), (":scheme", "http"), (":authority", "app.test"), (":path", "/x")]));
    let forever = |name, again: Vec<u8>| Flood { name, first: Vec::new(), again };
    let after = |name, first: Vec<u8>, again: Vec<u8>| Flood { name, first, again };
    vec![
        forever("PING", frame(PING, 0, 0, &[7; 8])),
        forever("SETTINGS", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1])),
        forever("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16])),
        forever("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &one)),
        forever("frames of no known kind", frame(0xbe, 0, 0, &[])),
        forever("steps on the way", frame(HEADERS, END_HEADERS, 1, &block(&[(":status", "103")]))),
        after("empty CONTINUATION", frame(HEADERS, 0, 1, &[0x88]), frame(CONTINUATION, 0, 1, &[])),
        after("a head without end", frame(HEADERS, 0, 1, &[0x88]), frame(CONTINUATION, 0, 1, &field_of(8_000))),
        after("a head of references", frame(HEADERS, END_HEADERS, 1, &bomb), frame(PING, 0, 0, &[7; 8])),
        forever("a pushed stream", frame(5, END_HEADERS, 1, &pushed)),
        after("resets", frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])),
        forever("resets of what was never begun", frame(RST_STREAM, 0, 77, &[0, 0, 0, 8])),
        forever("goodbyes", frame(GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])),
        after("empty DATA", ok.clone(), frame(DATA, 0, 1, &[])),
        after("heads behind the head", ok.clone(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x88])),
        after(
            "DATA behind its end",
            [ok, frame(DATA, END_STREAM, 1, b"x")].concat(),
            frame(DATA, 0, 1, &[b'x'; 16_000]),
        ),
    ]
}

fn field_of(length: usize) -> Vec<u8> {
    block(&[("x-long", &"y".repeat(length))])
}

/// An app that floods each connection as soon as it is asked something.
struct Hostile {
    address: SocketAddr,
    flood: Arc<Mutex<Arc<Flood>>>,
    ended: Arc<Mutex<Vec<Ended>>>,
}

impl Hostile {
    fn start(first: Flood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (flood, ended) = (Arc::new(Mutex::new(Arc::new(first))), Arc::new(Mutex::new(Vec::new())));
        let (now, ends) = (Arc::clone(&flood), Arc::clone(&ended));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (flood, ends) = (Arc::clone(&now.lock().unwrap()), Arc::clone(&ends));
                std::thread::spawn(move || {
                    if let Some(end) = attack(stream, &flood) {
                        ends.lock().unwrap().push(end);
                    }
                });
            }
        });
        Self { address, flood, ended }
    }
}

/// `None` when it was never asked.
fn attack(mut stream: TcpStream, flood: &Flood) -> Option<Ended> {
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).ok()?;
    let mut came = vec![0; 64 * 1024];
    let mut all = Vec::new();
    // The preface, and frames as far as the head of a request.
    while !is_asked(&all) {
        let read = stream.read(&mut came).ok().filter(|read| *read > 0)?;
        all.extend_from_slice(&came[..read]);
    }
    stream.write_all(&frame(SETTINGS, 1, 0, &[])).ok()?;
    stream.set_nonblocking(true).ok()?;
    let many = flood.again.repeat(64 * 1024 / flood.again.len());
    let mut rest = [flood.first.clone(), many.clone()].concat();
    let began = Instant::now();
    loop {
        match stream.write(&rest) {
            Ok(written) => {
                rest.drain(..written);
                if rest.is_empty() {
                    rest.extend_from_slice(&many);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(1)),
            Err(_) => return Some(Ended::ByTheGateway),
        }
        match stream.read(&mut came) {
            Ok(0) => return Some(Ended::ByTheGateway),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Some(Ended::ByTheGateway),
        }
        if began.elapsed() > PATIENCE {
            return Some(Ended::Never);
        }
    }
}

fn is_asked(all: &[u8]) -> bool {
    let mut at = 24;
    while let Some([high, middle, low, kind, ..]) = all.get(at..at + 9) {
        if *kind == HEADERS {
            return true;
        }
        at += 9 + u32::from_be_bytes([0, *high, *middle, *low]) as usize;
    }
    false
}

/// G8, H2-023, H2-024, EX-007: whatever an app of HTTP/2 sends without end, its connection ends, the caller is answered,
/// memory and time have a bound, and the requests to another app are served meanwhile.
#[test]
fn an_app_that_floods_costs_little_and_other_apps_do_not_notice() {
    let upstream = Upstream::echo();
    let hostile = Hostile::start(floods().remove(0));
    let extra = format!(
        r#"
[apps.hostile]
hosts = ["hostile.test"]
upstreams = ["http://{}"]
http2 = true
response_timeout = "5s"

[apps.hostile.outlier]
failures = 1000

[[apps.hostile.routes]]
path = "/*"
public = true
"#,
        hostile.address
    );
    let mut gate = Locum::start(&configuration(upstream.address, &extra));
    let ann = gate.add_proxy_user_of("ann");
    for _ in 0..50 {
        assert_eq!(gate.get("app.test", "/before", &ann.basic()).status, 200);
    }
    let mut wrong = Vec::new();
    for flood in floods() {
        let name = flood.name;
        *hostile.flood.lock().unwrap() = Arc::new(flood);
        let (before, time_before, began) = (peak(&gate), cpu_of_process(gate.pid()), Instant::now());
        let mut slowest = Duration::ZERO;
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| gate.get("hostile.test", "/x", "").status)).collect();
            while callers.iter().any(|caller| !caller.is_finished()) || slowest == Duration::ZERO {
                let asked = Instant::now();
                assert_eq!(gate.get("app.test", "/meanwhile", &ann.basic()).status, 200, "{name}");
                slowest = slowest.max(asked.elapsed());
            }
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        // A connection may be flooded though whoever asked was answered.
        while hostile.ended.lock().unwrap().is_empty() && began.elapsed() < PATIENCE * 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = std::mem::take(&mut *hostile.ended.lock().unwrap());
        let grown = peak(&gate).saturating_sub(before);
        let time = cpu_of_process(gate.pid()).saturating_sub(time_before);
        println!(
            "{name}: {statuses:?} in {:?}, {grown} KiB more, {time:?} of time, others {slowest:?}",
            began.elapsed()
        );
        // An answer that breaks off at its beginning is none.
        let answered = statuses.iter().all(|status| matches!(status, 0 | 200 | 502 | 503 | 504));
        if !answered || ended.is_empty() || ended.contains(&Ended::Never) || grown > ROOM_KIB || time > TIME {
            wrong.push(format!("{name}: {statuses:?}, {ended:?}, {grown} KiB, {time:?}"));
        }
        assert!(slowest < Duration::from_secs(3), "{name}: another app's answer took {slowest:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(gate.terminate());
}
