//! Large bodies through the gate, both ways, and how much memory it takes for them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Response;

use crate::h2_app::{H2App, write};
use crate::locum::{Locum, configuration};
use crate::upstream::{Next, Upstream};

const MEBIBYTE: usize = 1024 * 1024;
/// How much a gate may grow for one body each way, whatever their size: buffers, windows and what the allocator keeps.
const ROOM_KIB: usize = 24 * 1024;

/// How many mebibytes go each way: 200, and as many times more as `tests/long` says (10 GB at 50 times).
fn mebibytes() -> usize {
    let scale = std::env::var_os("LOCUM_TEST_SCALE").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1);
    200 * scale
}

/// One of the mebibytes, each told from the others by its first bytes.
fn piece(number: usize) -> Vec<u8> {
    static REST: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..MEBIBYTE).map(|at| (at.wrapping_mul(31) >> 3).to_be_bytes()[7]).collect());
    let mut piece = REST.clone();
    piece[..8].copy_from_slice(&number.to_be_bytes());
    piece
}

/// What the bytes of so many of them come to.
fn sum_of(count: usize) -> u64 {
    let rest = sum(&piece(0));
    (0..count).map(|number| rest - sum(&piece(0)[..8]) + sum(&number.to_be_bytes())).sum()
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

/// The most memory that the gate has had at once, in KiB.
pub(crate) fn peak(gate: &Locum) -> usize {
    let status = std::fs::read(format!("/proc/{}/status", gate.pid())).unwrap();
    let status = String::from_utf8(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends a body of `count` mebibytes, and reads as many back, with a pause in the middle: what they came to, and how
/// many bytes they were.
fn exchange(address: SocketAddr, credential: &str, count: usize) -> (u64, usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    // The answer comes when the app has read all of it.
    let more = u64::try_from(count / 10).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1) + Duration::from_secs(more))).unwrap();
    let length = count * MEBIBYTE;
    let head = format!(
        "POST /large HTTP/1.1\r\nHost: app.test\r\n{credential}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let mut upload = stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        upload.write_all(head.as_bytes()).unwrap();
        for number in 0..count {
            upload.write_all(&piece(number)).unwrap();
        }
    });
    let (mut chunk, mut head, mut in_body) = (vec![0; 256 * 1024], Vec::new(), false);
    let (mut received, mut bytes, mut waited) = (0, 0, false);
    loop {
        let read = stream.read(&mut chunk).unwrap();
        if read == 0 {
            break;
        }
        let mut part = &chunk[..read];
        if !in_body {
            head.extend_from_slice(part);
            let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head[..end]));
            in_body = true;
            part = &chunk[read - (head.len() - end - 4)..read];
        }
        received += sum(part);
        bytes += part.len();
        if !waited && bytes > length / 2 {
            // Meanwhile the app goes on as long as anybody takes something.
            std::thread::sleep(Duration::from_secs(1));
            waited = true;
        }
    }
    sending.join().unwrap();
    (received, bytes)
}

fn is_constant(gate: &Locum, app: &str, sent: impl Fn() -> u64) {
    let ann = gate.add_proxy_user_of("ann").basic();
    let all = sum_of(mebibytes());
    // The first bodies make the buffers that every later one has.
    exchange(gate.address(), &ann, 4);
    let before = peak(gate);
    let (downloaded, bytes) = exchange(gate.address(), &ann, mebibytes());
    // Linux adds up what its processors counted now and then only, so a peak may be said to be a little lower than before.
    let grown = peak(gate).saturating_sub(before);
    println!("{app}: {} MiB each way, from {before} KiB of memory at most {grown} KiB more", mebibytes());
    assert_eq!((sent(), downloaded, bytes), (all, all, mebibytes() * MEBIBYTE));
    assert!(grown < ROOM_KIB, "it grew by {grown} KiB");
}

/// G1, G8: bodies of any size go both ways through constant memory, byte for byte.
#[test]
fn large_bodies_take_no_memory() {
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body_length);
            let mut written = stream.write_all(head.as_bytes());
            for number in 0..seen.body_length / MEBIBYTE {
                written = written.and_then(|()| stream.write_all(&piece(number)));
            }
            if written.is_ok() { Next::Open } else { Next::Close }
        },
    );
    let gate = Locum::start(&configuration(upstream.address, ""));
    is_constant(&gate, "HTTP/1.1", || upstream.last().body_sum);
}

/// G1, G8: the same with an app of HTTP/2.
#[test]
fn large_bodies_take_no_memory_with_an_app_of_http2() {
    let sums = Arc::new(Mutex::new(0));
    let last = Arc::clone(&sums);
    let app = H2App::start(100, move |request, mut respond| {
        let last = Arc::clone(&last);
        async move {
            let (mut body, mut uploaded, mut length) = (request.into_body(), 0, 0);
            while let Some(Ok(data)) = body.data().await {
                body.flow_control().release_capacity(data.len()).unwrap();
                uploaded += sum(&data);
                length += data.len();
            }
            *last.lock().unwrap() = uploaded;
            let mut response = Response::new(());
            response.headers_mut().insert("content-length", length.into());
            let mut send = respond.send_response(response, false).unwrap();
            for number in 0..length / MEBIBYTE {
                write(&mut send, piece(number).into()).await;
            }
            send.send_data(Bytes::new(), true).unwrap();
        }
    });
    let configuration = configuration(app.address, "");
    let gate =
        Locum::start(&configuration.replacen("access_by_default = true", "access_by_default = true\nhttp2 = true", 1));
    is_constant(&gate, "HTTP/2", || *sums.lock().unwrap());
}
