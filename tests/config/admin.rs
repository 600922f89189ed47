//! Where the admin API is served over the network, and that no app leads back to the gateway.

use super::*;

fn with(admin: &str) -> String {
    format!("[admin]\n{admin}\n{APP}upstreams = [\"http://127.0.0.1:3000\"]\n").replace(
        "[[apps.wiki.routes]]\npath = \"/*\"\nupstreams = [\"http://127.0.0.1:3000\"]\n",
        "upstreams = [\"http://127.0.0.1:3000\"]\n[[apps.wiki.routes]]\npath = \"/*\"\n",
    )
}

/// C4: nowhere unless it is said; in plain text only to this machine; everywhere else over TLS.
#[test]
fn the_admin_api_is_served_over_the_network_where_that_is_safe() {
    assert!(read(&with("")).admin.network.is_none());
    let here = read(&with("listen = \"127.0.0.1:8444\"")).admin.network.unwrap();
    assert!(here.tls.is_none() && here.hosts.is_empty());
    let tls = "\ntls = [{ certificate_file = \"a.pem\", key_file = \"a.key\" }]";
    let there = read(&with(&format!("listen = \"0.0.0.0:8444\"\nhosts = [\"Locum.example.org\"]{tls}")));
    let there = there.admin.network.unwrap();
    assert_eq!((there.hosts, there.tls.unwrap().certificates.len()), (vec!["locum.example.org".to_owned()], 1));
    for (admin, problem) in [
        (
            "listen = \"0.0.0.0:8444\"\nhosts = [\"locum.example.org\"]".to_owned(),
            "locum.toml:2:10: `admin.listen` is reached from other machines, and keys would be sent in plain text; name a \
             certificate in `[[admin.tls]]`, or listen on `127.0.0.1`",
        ),
        (
            format!("listen = \"[::]:8444\"{tls}"),
            "locum.toml:2:10: `admin.listen` is on every address, and no name is known by which it is reached; name the \
             hosts in `admin.hosts`",
        ),
        (
            "listen = \"127.0.0.1:8080\"".to_owned(),
            "locum.toml:2:10: `admin.listen` cannot be `127.0.0.1:8080`; give another address than that of \
             `server.listen`: this one is for those who administer",
        ),
        (
            "listen = \"here\"".to_owned(),
            "locum.toml:2:10: `admin.listen` cannot be `here`; give an address and a port, such as `127.0.0.1:8444` or \
             `[::1]:8444`",
        ),
        (
            "hosts = [\"a\"]".to_owned(),
            "locum.toml:2:1: `admin.hosts` has no effect: there is no `admin.listen`; say where to listen, or leave this \
             out",
        ),
        (
            "listen = \"127.0.0.1:8444\"\nhosts = [\"a:8444\"]".to_owned(),
            "locum.toml:3:10: `admin.hosts` cannot be `a:8444`; give the name of a host, without port, such as \
             `locum.example.org`",
        ),
    ] {
        assert_eq!(read_with(&with(&admin), &[]).unwrap_err().to_string(), problem, "{admin}");
    }
}

/// AD-002: an app whose upstream is one of the gateway's own listeners would let everybody in there.
#[test]
fn no_app_leads_to_a_listener_of_the_gateway() {
    let leads = |listeners: &str, upstream: &str| {
        let text =
            format!("{listeners}\n[apps.wiki]\nupstreams = [\"{upstream}\"]\n[[apps.wiki.routes]]\npath = \"/*\"\n");
        let wrong = read_with(&text, &[]).err().map(|wrong| wrong.to_string()).unwrap_or_default();
        assert!(wrong.is_empty() || wrong.contains("requests would run in a circle"), "{wrong}");
        !wrong.is_empty()
    };
    let admin = "[admin]\nlisten = \"127.0.0.1:8444\"";
    for upstream in [
        "http://127.0.0.1:8444",
        "http://localhost:8444",
        "http://LOCALHOST:8444",
        "http://0.0.0.0:8444",
        "https://127.0.0.1:8444",
        "http://[::ffff:127.0.0.1]:8444",
    ] {
        assert!(leads(admin, upstream), "{upstream}");
    }
    for upstream in ["http://127.0.0.1:8445", "http://10.0.0.1:8444", "http://wiki:8444"] {
        assert!(!leads(admin, upstream), "{upstream}");
    }
    let everywhere = "[server]\nlisten = \"0.0.0.0:8080\"";
    for upstream in ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080"] {
        assert!(leads(everywhere, upstream), "{upstream}");
    }
    assert!(leads("[monitoring]\nlisten = \"127.0.0.1:9090\"", "http://localhost:9090"));
}
