//! How apps are spoken to: TLS, what belongs to it, and the header that only the gateway and the app know.

use std::collections::HashMap;

use super::*;

/// Reads with these files beside the configuration, in the table of an app.
fn read_beside(files: &[(&str, String)], keys: &str) -> Result<Settings, String> {
    let files: HashMap<_, _> = files.iter().map(|(name, text)| (Path::new("/etc/locum").join(name), text)).collect();
    let text = format!("[apps.wiki]\n{keys}\n[[apps.wiki.routes]]\npath = \"/*\"\n");
    let read_file = |path: &Path| files.get(path).map(ToString::to_string).ok_or(io::ErrorKind::NotFound.into());
    let source = Source::new("locum.toml", text);
    config::read(source, Path::new("/etc/locum"), [], Purpose::Serve, &read_file).map_err(|wrong| wrong.to_string())
}

/// A certificate and its key, in PEM.
fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["gate".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// G8: TLS to an app is asked for by its upstreams, and everything else about it may be left out.
#[test]
fn an_app_behind_tls_is_one_whose_upstreams_say_https() {
    let (certificate, key) = certificate();
    let files = [("ca.pem", certificate.clone()), ("gate.pem", certificate), ("gate.key", key)];
    let https = "upstreams = [\"https://wiki\", \"https://10.0.0.1:8443\"]\n";
    let tls = |keys: &str| read_beside(&files, &format!("{https}{keys}"));
    for keys in [
        "tls.ca_file = \"ca.pem\"",
        "tls = { ca_file = \"ca.pem\", certificate_file = \"gate.pem\", key_file = \"gate.key\", server_name = \"wiki\" }",
    ] {
        let settings = tls(keys).unwrap();
        assert!(settings.apps[0].transport.tls.is_some(), "{keys}");
    }
    assert!(read_beside(&[], "").unwrap().apps[0].transport.tls.is_none());
    for (keys, wrong) in [
        (
            "tls.ca_file = \"no.pem\"",
            "locum.toml:3:15: `apps.wiki.tls.ca_file`: `/etc/locum/no.pem` cannot be read: entity not found; give a file that Locum may read",
        ),
        (
            "tls.ca_file = \"gate.key\"",
            "locum.toml:3:15: `apps.wiki.tls.ca_file`: `/etc/locum/gate.key` cannot be used; it holds no certificate: give the certificate of the authority in PEM (`-----BEGIN CERTIFICATE-----`)",
        ),
        (
            "tls = { ca_file = \"ca.pem\", key_file = \"gate.key\" }",
            "locum.toml:3:29: `apps.wiki.tls.key_file` stands alone; give `certificate_file` too",
        ),
        (
            "tls = { ca_file = \"ca.pem\", certificate_file = \"gate.key\", key_file = \"gate.key\" }",
            "locum.toml:3:48: `apps.wiki.tls.certificate_file`: `/etc/locum/gate.key` cannot be used; it holds no certificate: give it in PEM, the gateway's own first",
        ),
        (
            "tls = { ca_file = \"ca.pem\", certificate_file = \"gate.pem\", key_file = \"gate.pem\" }",
            "locum.toml:3:48: `apps.wiki.tls.certificate_file`: `/etc/locum/gate.pem` cannot be used; it holds no private key in PEM",
        ),
        (
            "tls = { ca_file = \"ca.pem\", server_name = \"wiki:443\" }",
            "locum.toml:3:43: `apps.wiki.tls.server_name` cannot be `wiki:443`; give a host name or an address, without port",
        ),
    ] {
        assert_eq!(tls(keys).unwrap_err(), wrong, "{keys}");
    }
}

/// What is said about TLS where none is spoken is not passed over in silence.
#[test]
fn tls_is_spoken_to_all_of_an_app_or_to_none() {
    assert_eq!(
        read_beside(&[], "upstreams = [\"https://a\", \"http://b\"]").unwrap_err(),
        "locum.toml:2:13: `apps.wiki.upstreams` has some with TLS and some without; give all as `https://…`, or all as `http://…`"
    );
    assert_eq!(
        read_beside(&[], "tls.ca_file = \"ca.pem\"").unwrap_err(),
        "locum.toml:2:5: `apps.wiki.tls.ca_file` has no effect: no upstream of the app begins with `https://`; give the upstreams as `https://…`, or leave this out"
    );
}

/// G6: the secret comes from a file, and is in nothing that is shown.
#[test]
fn a_secret_header_has_a_name_and_a_file() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let files = [("gate.secret", format!("{SECRET}\n")), ("short", "short".to_owned())];
    let secret = |keys: &str| read_beside(&files, &format!("secret_header = {{ {keys} }}"));
    let settings = secret("name = \"X-Gate-Secret\", file = \"gate.secret\"").unwrap();
    assert_eq!(settings.apps[0].secret_header.as_ref().unwrap().name(), "x-gate-secret");
    assert!(!format!("{settings:?}").contains(SECRET));
    for (keys, wrong) in [
        ("name = \"X-Gate-Secret\"", "stands alone; give `file` too"),
        ("file = \"gate.secret\"", "stands alone; give `name` too"),
        ("name = \"X-Gate-Secret\", file = \"no\"", "`/etc/locum/no` cannot be read"),
        ("name = \"X-Gate-Secret\", file = \"short\"", "`/etc/locum/short` holds no secret; put 16 to 256 printable"),
        ("name = \"Cookie\", file = \"gate.secret\"", "the header `Cookie` belongs to HTTP and to the app"),
        ("name = \"X-Locum-User\", file = \"gate.secret\"", "the header `X-Locum-User` has a meaning of its own"),
        ("name = \"X-Forwarded-For\", file = \"gate.secret\"", "the header `X-Forwarded-For` has a meaning of its own"),
    ] {
        let found = secret(keys).unwrap_err();
        assert!(found.contains(wrong) && !found.contains("short;"), "{keys}: {found}");
    }
    let twice =
        "set_headers = { x_gate_secret = \"a\" }\nsecret_header = { name = \"X-Gate-Secret\", file = \"gate.secret\" }";
    assert!(read_beside(&files, twice).unwrap_err().contains("is in `set_headers` too"));
}

/// A key or a secret that others can read is refused.
#[test]
fn a_secret_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (config, secret) = (folder.path().join("locum.toml"), folder.path().join("gate.secret"));
    std::fs::write(&secret, "0123456789abcdef").unwrap();
    let keys = "[apps.wiki]\nsecret_header = { name = \"X-Gate-Secret\", file = \"gate.secret\" }\n";
    std::fs::write(&config, format!("{keys}[[apps.wiki.routes]]\npath = \"/*\"\n")).unwrap();
    let load = || config::load(&config, [], Purpose::Serve);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let wrong = load().unwrap_err().to_string();
    assert!(wrong.contains("can be read by others (mode 644); run `chmod 600` on it"), "{wrong}");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(load().is_ok());
}
