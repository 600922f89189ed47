//! A crowd before the gate: connections that say nothing, more of them than the process has descriptors.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::locum::{Locum, configuration};
use crate::upstream::Upstream;

/// DS-005: a crowd without a credential takes neither the admin socket nor the apps from those who are in.
#[test]
fn a_crowd_takes_neither_the_operators_socket_nor_the_apps_away() {
    let upstream = Upstream::echo();
    let mut gate = Locum::start_with_descriptors(&configuration(upstream.address, ""), 128);
    let ann = gate.add_proxy_user_of("ann");
    let spare = gate.new_pat("ann-ci");
    let request =
        |target: &str, more: &str| format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{}{more}\r\n", ann.basic());
    let mut known = TcpStream::connect(gate.address()).unwrap();
    known.write_all(request("/before", "").as_bytes()).unwrap();
    let mut before = Vec::new();
    while !before.ends_with(b"/before") {
        let mut piece = [0; 4096];
        let read = known.read(&mut piece).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&before));
        before.extend_from_slice(&piece[..read]);
    }
    let crowd: Vec<_> = (0..400).map_while(|_| TcpStream::connect(gate.address()).ok()).collect();
    assert!(crowd.len() > 128, "the crowd is too small: {}", crowd.len());

    gate.run_cli(&["pat", "revoke", &spare.public_id, "--reason", "compromised"]);
    assert_eq!(gate.state_of("ann-ci"), "active");
    known.write_all(request("/during", "Connection: close\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    known.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    drop(crowd);
    assert_eq!(gate.get("app.test", "/reports", &ann.basic()).status, 200);
    assert!(!gate.log().contains("could not be accepted"), "{}", gate.log());
    assert!(gate.terminate());
}
