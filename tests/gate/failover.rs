//! A Redis fails over to a replica that has missed the last writes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::lockout::wait_until;
use crate::locum::{Locum, configuration};
use crate::redis::Redis;
use crate::upstream::Upstream;

/// The one address under which Redis is known, whoever serves there.
struct Service {
    address: SocketAddr,
    behind: Arc<Mutex<(u16, Vec<TcpStream>)>>,
}

impl Service {
    fn of(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let behind = Arc::new(Mutex::new((port_of(redis), Vec::new())));
        let known = Arc::clone(&behind);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut behind = known.lock().unwrap();
                let Ok(server) = TcpStream::connect(("127.0.0.1", behind.0)) else { continue };
                behind.1.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || carry(client, server));
                std::thread::spawn(move || carry(server_too, client_too));
            }
        });
        Self { address, behind }
    }

    /// From now on `redis` serves there; who was connected is not any more.
    fn move_to(&self, redis: &Redis) {
        let mut behind = self.behind.lock().unwrap();
        behind.0 = port_of(redis);
        for connection in behind.1.drain(..) {
            connection.shutdown(Shutdown::Both).ok();
        }
    }
}

/// From `redis://HOST:PORT/0`.
fn port_of(redis: &Redis) -> u16 {
    redis.url().rsplit([':', '/']).nth(1).and_then(|port| port.parse().ok()).unwrap()
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}

/// AU-043: of four failures the replica has two. It takes at most two more than it should to shut the
/// account; and an account whose trip the replica never heard of stays shut, also after a restart.
#[test]
fn a_failover_that_drops_the_last_writes_costs_two_counts_and_no_lock() {
    let (mut primary, replica) = (Redis::start(), Redis::start());
    replica.ask(&format!("REPLICAOF 127.0.0.1 {}", port_of(&primary)));
    let service = Service::of(&primary);
    let upstream = Upstream::echo();
    let redis = format!("[redis]\nurl = \"redis://{}\"\ntimeout = \"2s\"\n", service.address);
    let gate = Locum::start(&configuration(upstream.address, &redis));
    let (counted, shut) = (gate.add_proxy_user_of("ann"), gate.add_proxy_user_of("bob"));
    let fail = |user: &crate::locum::ProxyUser, number: u64| {
        let line = crate::locum::basic(&user.username, &user.guess(number));
        assert_eq!(gate.get("app.test", "/x", &line).status, 401, "{}", gate.log());
    };
    for number in 0..2 {
        fail(&counted, number);
    }
    for number in 0..3 {
        fail(&shut, number);
    }
    assert!(primary.ask("WAIT 1 10000").starts_with(":1"), "the replica has it all so far");
    assert!(replica.ask("KEYS locum:failures:*").starts_with("*2"), "{}", replica.ask("KEYS locum:failures:*"));

    replica.ask("REPLICAOF NO ONE");
    for number in 2..4 {
        fail(&counted, number);
    }
    for number in 3..5 {
        fail(&shut, number);
    }
    let limit = Duration::from_secs(5);
    wait_until("the trip is in the database", limit, || gate.state_of(&shut.username) == "inactive");
    primary.stop();
    service.move_to(&replica);

    assert_eq!(gate.get("app.test", "/x", &shut.basic()).status, 401, "it stays shut");
    for number in 4..7 {
        fail(&counted, number);
    }
    wait_until("not more than two counts were lost", limit, || gate.state_of(&counted.username) == "inactive");
    let gate = gate.restart();
    for user in [&counted, &shut] {
        assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 401);
        assert_eq!(gate.state_of(&user.username), "inactive");
    }
}
