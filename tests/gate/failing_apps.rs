//! One app hangs behind the gate, and the other does not notice.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::locum::{Locum, configuration, read_answer};
use crate::upstream::Upstream;

/// Accepts, by its kernel, and never answers.
fn hanging() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(2048).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// DS-007: while five hundred requests wait for an app that accepts and never answers, every request to another is
/// answered; when its checks have found it, the hanging one is answered for at once.
#[test]
fn an_app_that_hangs_leaves_another_alone() {
    const WAITING: usize = 500;
    let upstream = Upstream::echo();
    let (_held, hung) = hanging();
    let extra = format!(
        r#"
[apps.hung]
hosts = ["hung.test"]
upstreams = ["http://{hung}"]
response_timeout = "6s"

[apps.hung.health]
path = "/healthz"
interval = "1s"
timeout = "1s"
unhealthy_after = 3

[[apps.hung.routes]]
path = "/*"
public = true
"#
    );
    let mut gate = Locum::start(&configuration(upstream.address, &extra));
    let ann = gate.add_proxy_user_of("ann");
    let started = Instant::now();
    let mut waiting: Vec<TcpStream> = (0..WAITING)
        .map(|_| {
            let mut client = TcpStream::connect(gate.address()).unwrap();
            client.write_all(b"GET /x HTTP/1.1\r\nHost: hung.test\r\nConnection: close\r\n\r\n").unwrap();
            client
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let mut asked = 0;
    while started.elapsed() < Duration::from_secs(5) {
        let asking = Instant::now();
        assert_eq!(gate.get("app.test", "/reports", &ann.basic()).status, 200);
        slowest = slowest.max(asking.elapsed());
        asked += 1;
    }
    assert!(asked > 50 && slowest < Duration::from_secs(2), "{asked} in five seconds, one took {slowest:?}");
    for client in &mut waiting {
        let answer = read_answer(client);
        assert!(matches!(answer.status, 503 | 504), "{}", answer.head);
    }
    let asking = Instant::now();
    let answer = gate.get("hung.test", "/x", "");
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.header("retry-after").is_some() && asking.elapsed() < Duration::from_secs(1));
    assert_eq!(gate.get("app.test", "/reports", &ann.basic()).status, 200);
    let said = gate.log().matches("an instance of an app is left alone").count();
    assert_eq!(said, 1, "said once, when it happens");
    assert!(gate.terminate());
}
