//! The admin API over the network: the real program at both ends.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::authority::Authority;
use crate::locum::{Answer, Locum, binary, configuration, free_address, read_answer};
use crate::upstream::Upstream;

/// Makes a super administrator and a key of it, in a file that only we can read.
fn key_file(gate: &Locum) -> std::path::PathBuf {
    gate.run_cli(&["admin", "add", "sue", "--super", "--new"]);
    let made = gate.json_cli(&["api-key", "add", "tests", "--for", "sue", "--scope", "all:write", "--expires", "1d"]);
    let file = gate.folder().join("api.key");
    std::fs::write(&file, made["token"].as_str().unwrap()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

fn over_network(url: &str, key: &std::path::Path, arguments: &[&str]) -> Output {
    let command =
        Command::new(binary()).args(arguments).args(["--server", url]).env("LOCUM_API_KEY_FILE", key).output();
    command.unwrap()
}

fn ask(address: SocketAddr, head: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    read_answer(&mut stream)
}

/// C4, AD-001, AD-002: over TLS with a key the command line does what it does on the host, before and after a restart and
/// a reload; without a key, by another name, or through the data plane there is nothing.
#[test]
fn the_command_line_administers_over_the_network_with_a_key() {
    let (upstream, authority, address) = (Upstream::echo(), Authority::new(), free_address());
    let identity = authority.vouch_for("localhost");
    let admin = format!(
        "[admin]\nlisten = \"{address}\"\nhosts = [\"admin.test\"]\n[[admin.tls]]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
        identity.certificate().display(),
        identity.key().display()
    );
    let gate = Locum::start(&configuration(upstream.address, &admin));
    let key = key_file(&gate);
    let (url, ca) = (format!("https://localhost:{}", address.port()), authority.certificate());
    let run = |arguments: &[&str]| {
        let all = [arguments, &["--ca-file", ca.to_str().unwrap()]].concat();
        over_network(&url, &key, &all)
    };
    let done = |arguments: &[&str]| -> Value {
        let output = run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}\n{}", gate.log());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    done(&["person", "add", "ann"]);
    assert_eq!(done(&["history", "--type", "user_added", "--limit", "1"])[0]["actor"], "sue");
    assert_eq!(done(&["audit", "verify"])["whole"], true);
    done(&["healthcheck"]);
    done(&["reload"]);
    let refused = run(&["proxy-user", "add", "ann-ci", "--owner", "ann"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("may not add proxy users"), "P1: {refused:?}");
    gate.run_cli(&["restart"]);
    assert_eq!(done(&["person", "show", "ann"])["state"], "active");

    let unproven = over_network(&url, &key, &["person", "list"]);
    assert!(String::from_utf8_lossy(&unproven.stderr).contains("cannot be reached"), "nobody vouches: {unproven:?}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(String::from_utf8_lossy(&run(&["person", "list"]).stderr).contains("chmod 600"));
    let plain = over_network(&format!("http://10.0.0.1:{}", address.port()), &key, &["person", "list"]);
    assert_eq!(plain.status.code(), Some(2), "{plain:?}");
    for host in ["admin.test", "localhost", "127.0.0.1"] {
        for path in ["/v1/people", "/v1/health", "/v1/openapi.json"] {
            assert_eq!(gate.get(host, path, "").status, 404, "{host}{path}");
        }
    }
}

/// AD-001, AD-002, AD-006, L8: on the listener itself, byte by byte.
#[test]
fn the_admin_listener_answers_nobody_without_a_key_and_no_other_name() {
    let (upstream, address) = (Upstream::echo(), free_address());
    let gate = Locum::start(&configuration(upstream.address, &format!("[admin]\nlisten = \"{address}\"\n")));
    let key = String::from_utf8(std::fs::read(key_file(&gate)).unwrap()).unwrap();
    let pat = gate.add_proxy_user_of("ann");
    let get = |path: &str, host: &str, more: &str| {
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"))
    };
    let with_key = format!("Authorization: Bearer {key}\r\n");
    let own = address.to_string();
    for path in ["/metrics", "/v1/health", "/v1/people", "/", "/v1/openapi.json"] {
        let answer = get(path, &own, "");
        assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("key_needed")), "{path}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(get(path, &own, &format!("Authorization: {}\r\n", pat.bearer())).status, 401, "{path}");
        assert_eq!(get(path, &own, &format!("Authorization: {}\r\n", pat.basic())).status, 401, "{path}");
        assert_eq!(get(path, "app.test", &with_key).status, 421, "{path}: a page elsewhere that resolves to us");
    }
    for path in ["/metrics", "/v1/health", "/v1/people", "/v1/openapi.json"] {
        assert_eq!(get(path, &own, &format!("{with_key}Connection: close\r\n")).status, 200, "{path}");
    }
    assert_eq!(gate.state_of("ann-ci"), "active", "a token is no guess here");
    let long = get("/v1/people", &own, &format!("{with_key}X: {}\r\n", "x".repeat(20_000)));
    assert_eq!(long.status, 431);
    let listed = gate.json_cli(&["api-key", "list"]);
    assert!(listed[0]["last_used_at"].is_string(), "{listed}");
}
