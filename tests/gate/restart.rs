//! A new process in the place of the old one, under clients that keep asking; and sockets that somebody else opened.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::load::under_load;
use crate::lockout::wait_until;
use crate::locum::{Locum, configuration};
use crate::reload::{KeptOpen, metric, signal, write};
use crate::upstream::Upstream;
use crate::websockets;

/// How many restarts and reloads there are: 200 at the scale of `tests/long`.
fn rounds() -> usize {
    let scale = std::env::var_os("LOCUM_TEST_SCALE").and_then(|text| text.to_str()?.parse::<usize>().ok());
    scale.map_or(20, |scale| 10 * scale)
}

/// FT-001, R3, G12: restarts and reloads in turn under clients of HTTP/1.1, HTTP/2 and WebSockets over both: every request
/// is answered, those that come while nobody accepts by the next process; every WebSocket is told to come back by a restart
/// and kept by a reload, none breaks off, and the next one is taken at once.
#[test]
fn restarts_under_load_fail_no_request_and_break_no_websocket() {
    let upstream = websockets::app();
    let file = configuration(upstream.address, "[log]\nlevel = \"info,locum::access=off\"\n");
    let gate = Locum::start(&file.replace("threads = 2", "threads = 2\nh2c = true"));
    let user = gate.add_proxy_user_of("ann");
    let started = Instant::now();
    let seen = under_load(&gate, &user.basic(), || {
        for _ in 0..rounds() {
            gate.run_cli(&["restart"]);
            gate.run_cli(&["reload"]);
        }
    });
    println!(
        "{} restarts and reloads in {:?}: {} answers, {} connections opened anew, {} messages on WebSockets, of which {} \
         were told to come back, the longest wait {:?}, {} failures",
        rounds(),
        started.elapsed(),
        seen.answers,
        seen.reopened,
        seen.messages,
        seen.told,
        seen.longest,
        seen.failures.len()
    );
    assert!(seen.failures.is_empty(), "{:?}\n{}", &seen.failures[..seen.failures.len().min(20)], gate.log());
    assert!(seen.answers > 10 * rounds(), "{}", seen.answers);
    // Eight are open at a time. A restart may find a few of them on their way back from the one before, but not many.
    assert!(seen.told >= 6 * rounds(), "{} were told", seen.told);
    // Who comes while the old process still accepts is told twice; a reload tells nobody.
    assert!(seen.told <= 12 * rounds(), "{} were told", seen.told);
    assert!(seen.messages > 10 * rounds(), "{}", seen.messages);
    assert_eq!(gate.state_of("ann-ci"), "active");
    assert_eq!(gate.log().matches("\"serving\"").count(), rounds() + 1, "{}", gate.log());
}

/// G12: what the new process could not start with refuses the restart, and the old one goes on.
#[test]
fn a_restart_that_could_not_begin_is_refused_and_the_old_process_goes_on() {
    let upstream = Upstream::echo();
    let before = configuration(upstream.address, "");
    let gate = Locum::start(&before);
    let mut kept = KeptOpen::to(&gate);
    assert_eq!(kept.get("app.test", "/pub/x", ""), 200);
    write(&gate, &before.replace("path = \"/pub/*\"", "pat = \"/pub/*\""));
    let refused = gate.cli(&["restart"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("locum.toml:12:1: ") && said.contains("did you mean `path`"), "{said}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("listen = \"{}\"", taken.local_addr().unwrap());
    write(&gate, &before.replace("listen = \"127.0.0.1:0\"", &elsewhere));
    let refused = gate.cli(&["restart"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("already listens"), "{said}");

    let pepper = std::fs::read(gate.folder().join("pepper")).unwrap();
    std::fs::remove_file(gate.folder().join("pepper")).unwrap();
    write(&gate, &before);
    signal(&gate, Signal::USR2);
    wait_until("it was refused", Duration::from_secs(20), || metric(&gate, "locum_restarts_refused_total") > 2.5);
    assert_eq!(kept.get("app.test", "/pub/x", ""), 200, "the same connection all the while");
    std::fs::write(gate.folder().join("pepper"), pepper).unwrap();
    assert_eq!(gate.log().matches("\"serving\"").count(), 1);
}

/// FT-001, G12: a restart finishes what runs, keeps who comes meanwhile, and may change what a reload may not.
#[test]
fn a_restart_finishes_what_runs_and_takes_up_everything() {
    let upstream = Upstream::answering(|seen| {
        if seen.target() == "/pub/slow" {
            std::thread::sleep(Duration::from_secs(3));
        }
        seen.target().into_bytes()
    });
    let before = configuration(upstream.address, "");
    let gate = Locum::start(&before);
    let pid = gate.pid();
    write(&gate, &before.replace("threads = 2", "threads = 3").replace("path = \"/pub/*\"", "path = \"/pub/{x}\""));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| gate.get("app.test", "/pub/slow", ""));
        wait_until("it runs", Duration::from_secs(10), || upstream.count() == 1);
        signal(&gate, Signal::USR2);
        wait_until("it drains", Duration::from_secs(20), || gate.log().contains("who comes waits for the new one"));
        std::thread::sleep(Duration::from_secs(1));
        let asked = Instant::now();
        assert_eq!(gate.get("app.test", "/pub/quick", "").status, 200, "by the new process");
        assert!(asked.elapsed() > Duration::from_millis(500), "it waited: {:?}", asked.elapsed());
        let slow = slow.join().unwrap();
        assert_eq!((slow.status, slow.body.as_str()), (200, "/pub/slow"));
    });
    assert_eq!(gate.get("app.test", "/pub/a/b", "").status, 401, "the new configuration");
    assert_eq!(gate.pid(), pid);
    wait_until("three threads serve", Duration::from_secs(10), || gate.log().contains("\"threads\":3"));
    assert!(gate.json_cli(&["healthcheck"])["since"].is_string(), "the admin socket is the new one's");
}

/// G12, decision 7: one socket that was open before is shared by all threads; one that the configuration does not name
/// is refused in words.
#[test]
fn a_socket_that_was_open_before_is_served_by_all_threads() {
    let upstream = Upstream::echo();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // A client that came before anybody served.
    let mut early = TcpStream::connect(address).unwrap();
    let listen = |address: SocketAddr| configuration(upstream.address, "").replace("127.0.0.1:0", &address.to_string());
    let gate = Locum::start_on(&listen(address), &socket);
    assert_eq!(gate.address(), address);
    std::io::Write::write_all(&mut early, b"GET /pub/x HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert_eq!(crate::locum::read_answer(&mut early).status, 200);
    for _ in 0..20 {
        assert_eq!(gate.get("app.test", "/pub/x", "").status, 200);
    }
    gate.run_cli(&["restart"]);
    assert_eq!(gate.get("app.test", "/pub/x", "").status, 200, "and handed over again");
    drop(gate);

    let said = Locum::refused_on(&listen(crate::locum::free_address()), &socket);
    assert!(said.contains(&address.to_string()) && said.contains("ListenStream="), "{said}");
}
