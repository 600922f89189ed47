//! Memory: what the gateway has to hold of a connection that asks for much and takes little.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use socket2::{Domain, Socket, Type};

use crate::alone;
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, WINDOW_UPDATE, block, frame, text,
};
use crate::h2_app::{H2App, write};
use crate::locum::{Locum, configuration};
use crate::upstream::{Next, Upstream};

/// How long a gateway may take to come to rest, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much memory the gate has in hand, in KiB.
fn resident(gate: &Locum) -> usize {
    let status = std::fs::read(format!("/proc/{}/status", gate.pid())).unwrap();
    let status = String::from_utf8(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What one attacker holds open, of which the gateway has to hold its part.
struct Hold {
    name: &'static str,
    connections: usize,
    /// How many connections to apps each of them takes.
    apps: usize,
    /// What each connection sends, and what it sends once the gateway has said something.
    bytes: Vec<u8>,
    later: Vec<u8>,
    /// How much each takes of what comes, before it takes nothing more.
    taken: usize,
    /// The most memory that one may cost, in KiB.
    most: usize,
}

/// Sends and takes at all connections at once, until all is sent and taken; they stay open as long as they are held.
fn hold(address: SocketAddr, hold: &Hold) -> Vec<TcpStream> {
    let mut lines: Vec<_> = (0..hold.connections)
        .map(|_| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nonblocking(true).unwrap();
            (stream, 0_usize, 0_usize)
        })
        .collect();
    let (mut scratch, began) = (vec![0; 256 * 1024], Instant::now());
    let all = hold.bytes.len() + hold.later.len();
    while lines.iter().any(|(_, sent, taken)| *sent < all || *taken < hold.taken) {
        assert!(began.elapsed() < PATIENCE, "{}: it takes and sends too slowly", hold.name);
        for (stream, sent, taken) in &mut lines {
            let rest = match sent.checked_sub(hold.bytes.len()) {
                None => &hold.bytes[*sent..],
                Some(_) if *taken == 0 && hold.taken > 0 => &[],
                Some(later) => &hold.later[later..],
            };
            match stream.write(rest) {
                Ok(written) => *sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{}: {error} after {sent} bytes", hold.name),
            }
            if *taken < hold.taken {
                match stream.read(&mut scratch) {
                    Ok(0) => panic!("{}: the gateway has ended it after {taken} bytes", hold.name),
                    Ok(read) => *taken += read,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => panic!("{}: {error} after {taken} bytes", hold.name),
                }
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    lines.into_iter().map(|(stream, _, _)| stream).collect()
}

/// The memory of a gateway that has as many descriptors open as it is made to hold, once no more comes to it.
fn at_rest(gate: &Locum, descriptors: usize) -> usize {
    let (began, mut last, mut same) = (Instant::now(), 0, 0);
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let (open, now) = (descriptors_of(gate), resident(gate));
        same = if open >= descriptors && now.abs_diff(last) <= now / 100 { same + 1 } else { 0 };
        last = now;
        if same == 5 {
            return now;
        }
        assert!(began.elapsed() < PATIENCE, "{open} of {descriptors} descriptors, {now} KiB");
    }
}

fn descriptors_of(gate: &Locum) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gate.pid())).unwrap().count()
}

/// Answers without end, as fast as they are taken.
fn endless() -> Upstream {
    Upstream::start(
        |_, stream| {
            let piece = vec![b'x'; 256 * 1024];
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
            while sent.is_ok() {
                sent = stream.write_all(&piece);
            }
            Some(Next::Close)
        },
        |_, _| Next::Close,
    )
}

/// The same by HTTP/2.
fn endless_http2() -> H2App {
    H2App::start(100, |_, mut respond| async move {
        let Ok(mut send) = respond.send_response(Response::new(()), false) else { return };
        let piece = Bytes::from(vec![b'x'; 256 * 1024]);
        while std::future::poll_fn(|cx| std::task::Poll::Ready(send.poll_reset(cx).is_pending())).await {
            write(&mut send, piece.clone()).await;
        }
    })
}

fn opening(window: u32) -> Vec<u8> {
    let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
    let more = 0x7fff_0000_u32.to_be_bytes();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    [preface, frame(SETTINGS, 0, 0, &settings), frame(WINDOW_UPDATE, 0, 0, &more)].concat()
}

/// A head that is all of its request, and one that is not.
const GET: u8 = END_HEADERS | END_STREAM;
const POST: u8 = END_HEADERS;

/// A hundred requests, of which all but the first are references to what was said before. `more` is behind each of those,
/// and may refer to a field of 3,000 bytes.
fn hundred(host: &str, flags: u8, more: &[u8]) -> Vec<u8> {
    let method = if flags == GET { 0x82 } else { 0x83 };
    let large = "y".repeat(3_000);
    let mut fields = vec![(":authority", host), (":path", "/pub/x")];
    let mut again = vec![method, 0x86, 0xbf, 0xbe];
    if !more.is_empty() {
        fields.push(("x-large", &large));
        again = [&[method, 0x86, 0xc0, 0xbf], more].concat();
    }
    let mut first = vec![method, 0x86];
    for (name, value) in fields {
        first.push(0x40);
        text(&mut first, name);
        text(&mut first, value);
    }
    (1..201).step_by(2).flat_map(|id| frame(HEADERS, flags, id, if id == 1 { &first } else { &again })).collect()
}

fn with_opening(window: u32, requests: &[u8]) -> Vec<u8> {
    [&opening(window), requests].concat()
}

/// One that sends all of it at once, and takes nothing.
fn held(name: &'static str, (connections, apps): (usize, usize), most: usize, bytes: Vec<u8>) -> Hold {
    Hold { name, connections, apps, bytes, later: Vec::new(), taken: 0, most }
}

fn of_http1() -> Vec<Hold> {
    let fields = (0..88).map(|number| format!("x-{number}: {}\r\n", "y".repeat(660))).collect::<Vec<_>>().concat();
    let endless = format!("GET /x HTTP/1.1\r\nHost: app.test\r\n{fields}").into_bytes();
    let get = |host: &str| format!("GET /pub/x HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    vec![
        held("HTTP/1, silent", (200, 0), 40, Vec::new()),
        held("HTTP/1, a head of 60 KiB without its end", (100, 0), 200, endless),
        held("HTTP/1, waiting for an app", (200, 1), 120, get("hung.test")),
        Hold { taken: 8 << 20, ..held("HTTP/1, taking nothing after much", (50, 1), 300, get("app.test")) },
    ]
}

fn of_http2() -> Vec<Hold> {
    let endless = [
        frame(HEADERS, END_STREAM, 1, &block(&[(":method", "GET"), ("x-a", &"y".repeat(15_000))])),
        frame(CONTINUATION, 0, 1, &block(&[("x-b", &"y".repeat(15_000))])),
    ];
    let get = |more: &[u8]| with_opening(0, &hundred("hung.test", GET, more));
    let post = with_opening(0, &hundred("hung.test", POST, &[]));
    let bodies = (1..201).step_by(2).flat_map(|id| frame(DATA, 0, id, &[b'x'; 10_000])).collect();
    vec![
        held("HTTP/2, silent", (200, 0), 80, opening(0)),
        held("HTTP/2, a head of 30 KiB without its end", (100, 0), 200, with_opening(0, &endless.concat())),
        held("HTTP/2, 100 waiting for an app", (5, 100), 8_000, get(&[])),
        held("HTTP/2, 100 heads of 30 KiB by reference", (5, 100), 14_000, get(&[0xbe; 9])),
        // The bodies as soon as there is room for them, of which the first words of the gateway tell.
        Hold { later: bodies, taken: 1, ..held("HTTP/2, 100 bodies that no app takes", (5, 100), 12_000, post) },
    ]
}

fn not_taken() -> Vec<Hold> {
    const WINDOW: u32 = 128 * 1024;
    let taken = 100 * WINDOW as usize;
    let get = |window, host| with_opening(window, &hundred(host, GET, &[]));
    vec![
        held("HTTP/2, taking nothing of 100 answers", (5, 100), 8_000, get(0, "app.test")),
        Hold { taken, ..held("HTTP/2, the same after much", (5, 100), 16_000, get(WINDOW, "app.test")) },
        Hold { taken, ..held("HTTP/2, the same with an app of HTTP/2", (5, 1), 20_000, get(WINDOW, "new.test")) },
    ]
}

/// Before one that answers without end, by HTTP/1.1 and by HTTP/2, and one that never answers.
fn what_is_held(holds: &[Hold]) {
    let _alone = alone();
    let (upstream, new) = (endless(), endless_http2());
    let hung = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    hung.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    hung.listen(2048).unwrap();
    let app = |name: &str, address: SocketAddr, more: &str| {
        format!(
            "\n[apps.{name}]\nhosts = [\"{name}.test\"]\nupstreams = [\"http://{address}\"]\n{more}\n\n\
             [[apps.{name}.routes]]\npath = \"/*\"\npublic = true\n"
        )
    };
    let (hung_app, new_app) =
        (app("hung", hung.local_addr().unwrap().as_socket().unwrap(), ""), app("new", new.address, "http2 = true"));
    let configuration =
        configuration(upstream.address, &(hung_app + &new_app)).replace("threads = 2", "threads = 2\nh2c = true");
    let mut wrong = Vec::new();
    for held in holds {
        // Each time a new one: what one of them has given back, another would get for nothing.
        let gate = Locum::start(&configuration);
        for _ in 0..20 {
            assert_eq!(gate.get("app.test", "/", "").status, 401);
        }
        let (before, descriptors) = (at_rest(&gate, 0), descriptors_of(&gate));
        let lines = hold(gate.address(), held);
        let all = at_rest(&gate, descriptors + held.connections * (1 + held.apps));
        let each = all.saturating_sub(before) / held.connections;
        let sent = (held.bytes.len() + held.later.len()) * 10 / 1024;
        println!("| {} | {each} | {}.{} |", held.name, sent / 10, sent % 10);
        if each > held.most {
            wrong.push(format!("{}: {each} KiB each, more than {}", held.name, held.most));
        }
        assert_eq!(gate.get("app.test", "/", "").status, 401, "{}: others are answered", held.name);
        drop(lines);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// G12, DS-004, DS-006: what a connection of HTTP/1 can make the gateway hold has a ceiling.
#[test]
fn what_a_connection_can_make_us_hold_has_a_ceiling() {
    what_is_held(&of_http1());
}

/// G12, H2-021, H2-022: so has what one of HTTP/2 can, whatever it asks for in how few bytes.
#[test]
fn what_a_connection_of_http2_can_make_us_hold_has_a_ceiling() {
    what_is_held(&of_http2());
}

/// G12, H2-022: and whatever it asks for and does not take.
#[test]
fn what_is_asked_for_and_not_taken_has_a_ceiling() {
    what_is_held(&not_taken());
}
