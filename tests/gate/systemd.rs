//! systemd itself: sockets that it opens before the gate runs, and the units that are shipped.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::locum::{Answer, Locum, binary, configuration, free_address, read_answer};
use crate::reload::write;
use crate::upstream::Upstream;

const SERVICE: &str = "config/systemd/locum.service";
const SOCKET: &str = "config/systemd/locum.socket";

/// One request to whoever opens this socket, sooner or later.
fn ask(address: SocketAddr, path: &str) -> Answer {
    let started = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "nobody listens: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    read_answer(&mut stream)
}

/// G12, decision 7: systemd listens, and begins the gate when somebody comes; who came before it served is answered, as are
/// those after it, on one socket and on all three that the configuration names, whatever systemd calls them; and a
/// restart hands them over again.
#[test]
fn who_comes_before_the_gate_waits_in_the_sockets_of_systemd() {
    let upstream = Upstream::echo();
    let (address, monitoring) = (free_address(), free_address());
    let file = configuration(upstream.address, &format!("[monitoring]\nlisten = \"{monitoring}\"\n"));
    let file = file.replace("127.0.0.1:0", &address.to_string());
    let (clients, metrics) = (address.to_string(), monitoring.to_string());
    for (sockets, names) in
        [(&[&*clients][..], ""), (&[&*clients, &metrics, "locum.sock"], "--fdname=clients:metrics:admin")]
    {
        let gate = std::thread::scope(|scope| {
            let early: Vec<_> = (0..8).map(|_| scope.spawn(|| ask(address, "/pub/early"))).collect();
            let gate = Locum::start_by_systemd(&file, sockets, names);
            for client in early {
                let answer = client.join().unwrap();
                assert_eq!((answer.status, &*answer.body), (200, "/pub/early"), "{sockets:?}");
            }
            gate
        });
        assert_eq!(gate.address(), address);
        for _ in 0..2 {
            assert_eq!(ask(address, "/pub/later").status, 200, "{sockets:?}");
            assert_eq!(ask(monitoring, "/healthz").status, 200, "{sockets:?}");
            assert!(gate.json_cli(&["healthcheck"])["since"].is_string(), "{sockets:?}");
            gate.run_cli(&["restart"]);
        }
        assert!(!gate.log().contains("ERROR"), "{}", gate.log());
    }
}

fn shipped(unit: &str) -> String {
    let text = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(unit)).unwrap();
    String::from_utf8(text).unwrap()
}

/// G12: systemd has nothing to say about the units that are shipped, and calls what the service may do little.
#[test]
fn systemd_finds_no_fault_with_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let units = [SERVICE, SOCKET].map(|unit| {
        let file = folder.path().join(Path::new(unit).file_name().unwrap());
        std::fs::write(&file, shipped(unit).replace("/usr/bin/locum", binary())).unwrap();
        file
    });
    let analyze = |arguments: &[&str], units: &[std::path::PathBuf]| {
        let asked = Command::new("systemd-analyze").args(arguments).args(units).output().unwrap();
        (asked.status.success(), String::from_utf8_lossy(&asked.stderr).into_owned())
    };
    assert_eq!(analyze(&["verify", "--man=no", "--recursive-errors=no"], &units), (true, String::new()));
    // Of 100, where 0 is a service that may do nothing.
    let exposed = analyze(&["security", "--offline=true", "--no-pager", "--threshold=20"], &units[..1]);
    assert!(exposed.0, "{}", exposed.1);
}

/// G12, FT-003: `systemctl reload` of the shipped unit ends well when the configuration was taken up, and badly when it was
/// refused, whichever version of systemd runs it.
#[test]
fn the_unit_reloads_by_a_command_that_says_what_came_of_it() {
    let upstream = Upstream::echo();
    let before = configuration(upstream.address, "");
    let gate = Locum::start(&before);
    let service = shipped(SERVICE);
    let line = service.lines().find_map(|line| line.strip_prefix("ExecReload=")).unwrap();
    let file = gate.folder().join("locum.toml");
    let command = line.replace("/usr/bin/locum", binary()).replace("/etc/locum/locum.toml", file.to_str().unwrap());
    let reload = || {
        let mut words = command.split(' ');
        Command::new(words.next().unwrap()).args(words).output().unwrap()
    };
    write(&gate, &before.replace("path = \"/pub/*\"", "path = \"/open/*\""));
    let taken_up = reload();
    assert!(taken_up.status.success(), "{}", String::from_utf8_lossy(&taken_up.stderr));
    assert_eq!((ask(gate.address(), "/open/x").status, ask(gate.address(), "/pub/x").status), (200, 401));
    write(&gate, &before.replace("path = \"/pub/*\"", "pat = \"/pub/*\""));
    let refused = reload();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("did you mean `path`"), "{said}");
    assert_eq!(ask(gate.address(), "/open/x").status, 200, "the one in force stays");
}
