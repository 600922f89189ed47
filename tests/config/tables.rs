//! Values of the small tables, and the files beside the configuration.

use super::*;

/// T2: an operator can lower the ceiling of a token's life, never raise it.
#[test]
fn a_token_cannot_be_given_more_than_a_year() {
    let life = |text: &str| format!("{APP}[pats]\nlongest_life = \"{text}\"");
    assert_eq!(read(&life("90d")).pats.longest_life.as_secs(), 90 * 86_400);
    assert_eq!(wrong(&life("366d")), "locum.toml:5:16: `pats.longest_life` cannot be `366d`; give at most `365d`");
    assert_eq!(wrong(&life("0d")), "locum.toml:5:16: `pats.longest_life` cannot be `0d`; give more than nothing");
}

#[test]
fn the_small_tables_are_told_what_is_wrong_with_their_values() {
    for (table, problem) in [
        (
            "[server]\nlisten = \"localhost:80\"",
            "locum.toml:5:10: `server.listen` cannot be `localhost:80`; give an address and a port, such as \
             `127.0.0.1:8080` or `[::1]:8080`",
        ),
        ("[log]\nlevel = \"inof\"", "locum.toml:5:9: `log.level` cannot be `inof`, did you mean `info`?"),
        (
            "[log]\nlevel = \"info,locum::gateway=loud\"",
            "locum.toml:5:9: `log.level` cannot be `info,locum::gateway=loud`; give a level, or directives such as \
             `info,locum::gateway=debug`",
        ),
        (
            "[secrets]\npepper_file = \"\"",
            "locum.toml:5:15: `secrets.pepper_file` names no file; give a path; a relative one starts at this file",
        ),
        (
            "[secrets]\npepper_file = \"tombstone.key\"",
            "locum.toml:4:1: `secrets.tombstone_key_file` is the same file as `secrets.pepper_file`; give each key a file \
             of its own: the pepper is rotated, this key never is",
        ),
        (
            "[redis]\non_loss = \"closed\"",
            "locum.toml:5:1: `redis.on_loss` has no effect: there is no `redis.url`; give the URL, or leave this out",
        ),
        (
            "[redis]\nurl = \"cache:6379\"",
            "locum.toml:5:7: `redis.url` is not the URL of a Redis; give `redis://HOST:PORT`, or `rediss://HOST:PORT` for \
             TLS",
        ),
        (
            "[redis]\nurl = \"rediss://cache/#insecure\"",
            "locum.toml:5:7: `redis.url` has a `#`; leave it and the rest out: who answers for `rediss://` is always \
             verified (see `ca_file`)",
        ),
        (
            "[redis]\nurl = \"redis://cache\"\nca_file = \"ca.pem\"",
            "locum.toml:6:1: `redis.ca_file` has no effect: the URL of Redis is not `rediss://`; ask for TLS in the URL, \
             or leave this out",
        ),
        (
            "[redis]\nurl = \"rediss://cache\"\nca_file = \"redis.url\"",
            "locum.toml:6:11: `redis.ca_file`: `/etc/locum/redis.url` names no authority; it holds no certificate: give \
             the certificate of the authority as PEM (`-----BEGIN CERTIFICATE-----`)",
        ),
        (
            "[redis]\nurl = \"rediss://cache\"\nca_file = \"gone.pem\"",
            "locum.toml:6:11: `redis.ca_file`: `/etc/locum/gone.pem` cannot be read: entity not found; give a file that \
             Locum may read",
        ),
        (
            "[store]\nurl = \"sqlite::memory:\"",
            "locum.toml:5:7: `store.url` names no file; give `sqlite:FILE`, such as `sqlite:locum.db`; a relative path \
             starts at this file",
        ),
        (
            "[store]\nurl = \"sqlite:a\"\nurl_file = \"store.url\"",
            "locum.toml:6:1: `store.url` and `store.url_file` are both given; leave one of them out",
        ),
        (
            "[log]\naccess_slow = \"2s\"",
            "locum.toml:5:1: `log.access_slow` has no effect: every request is written anyway; give \
             `access_sample_one_in`, or leave this out",
        ),
    ] {
        assert_eq!(wrong_beside_an_app(table), problem);
    }
    let long = wrong_beside_an_app(&format!("[admin]\nsocket = \"{}\"", "s".repeat(100)));
    assert!(long.starts_with("locum.toml:5:10: `admin.socket` is a path of 111 bytes"), "{long}");
}

/// G10, HD-022: nobody is trusted unless named; nobody can name everybody, or speak of proxies without naming them.
#[test]
fn trusted_proxies_are_named_or_nothing_is_said_of_them() {
    let settings = read(APP);
    assert!(settings.server.hops.trusted.is_empty());
    let text =
        format!("{APP}[server]\ntrusted_proxies = [\"10.1.0.7\", \"::ffff:10.2.0.0/112\"]\nproxy_protocol = true");
    let server = read(&text).server;
    assert!(server.proxy_protocol);
    assert_eq!(server.hops.words, HopWords::XForwarded { scheme: true, host: false });
    for (address, trusted) in [("10.1.0.7", true), ("::ffff:10.1.0.7", true), ("10.2.9.9", true), ("10.1.0.8", false)] {
        assert_eq!(server.hops.trusted.contains(address.parse().unwrap()), trusted, "{address}");
    }
    for (keys, problem) in [
        (
            "trusted_proxies = [\"10.0.0.1\", \"0.0.0.0/0\"]",
            "locum.toml:5:32: `server.trusted_proxies` cannot be `0.0.0.0/0`; everybody could then name any address: \
             give the networks of the proxies",
        ),
        (
            "trusted_proxies = [\"10.0.0.1/8\"]",
            "locum.toml:5:20: `server.trusted_proxies` cannot be `10.0.0.1/8`; this is an address within a network: \
             give the network's first address, or the address alone",
        ),
        (
            "proxy_protocol = true",
            "locum.toml:5:1: `server.proxy_protocol` has no effect: there are no `server.trusted_proxies`; name the \
             proxies in front, or leave this out",
        ),
        (
            "trusted_headers = [\"forwarded\"]",
            "locum.toml:5:1: `server.trusted_headers` has no effect: there are no `server.trusted_proxies`; name the \
             proxies in front, or leave this out",
        ),
        (
            "trusted_proxies = [\"10.0.0.1\"]\ntrusted_headers = [\"forwarded\", \"x-forwarded-for\"]",
            "locum.toml:6:19: `server.trusted_headers`: it names both `forwarded` and others: name the kind that the \
             proxies set, and no other",
        ),
        (
            "trusted_proxies = [\"10.0.0.1\"]\ntrusted_headers = [\"x-forwarded-proto\"]",
            "locum.toml:6:19: `server.trusted_headers`: without `x-forwarded-for` every client would have the address of \
             the proxy: add it, or name none",
        ),
    ] {
        assert_eq!(wrong_beside_an_app(&format!("[server]\n{keys}")), problem);
    }
}

/// G11: with a certificate the gateway speaks TLS, and what would then be ignored is a problem.
#[test]
fn certificates_are_named_with_their_keys() {
    let tls = "[[server.tls]]\ncertificate_file = \"a.pem\"\nkey_file = \"/run/a.key\"";
    let settings = read(&format!("{APP}{tls}")).server.tls.unwrap();
    let files = &settings.certificates[0];
    assert_eq!((files.certificate.to_str(), files.key.to_str()), (Some("/etc/locum/a.pem"), Some("/run/a.key")));
    assert!(settings.clients.is_none() && settings.acme.is_none() && read(APP).server.tls.is_none());
    assert_eq!(
        wrong_beside_an_app(&format!("[server]\nh2c = true\n{tls}")),
        "locum.toml:5:1: `server.h2c` has no effect: clients have to speak TLS here; leave it out: HTTP/2 is spoken over \
         TLS anyway"
    );
    assert_eq!(
        wrong_beside_an_app("[server]\nclient_ca_file = \"ca.pem\""),
        "locum.toml:5:1: `server.client_ca_file` has no effect: there is no `server.tls`; name a certificate, or leave \
         this out"
    );
}

/// TL-005: lists of revoked certificates say nothing where no certificate is asked for.
#[test]
fn lists_of_revoked_certificates_belong_to_authorities() {
    let tls = "[[server.tls]]\ncertificate_file = \"a.pem\"\nkey_file = \"a.key\"";
    let lists = "client_crl_files = [\"crl.pem\"]";
    let settings = read(&format!("{APP}[server]\nclient_ca_file = \"ca.pem\"\n{lists}\n{tls}"));
    let clients = settings.server.tls.unwrap().clients.unwrap();
    assert_eq!(clients.authorities.to_str(), Some("/etc/locum/ca.pem"));
    assert_eq!(clients.revoked[0].to_str(), Some("/etc/locum/crl.pem"));
    assert_eq!(
        wrong_beside_an_app(&format!("[server]\n{lists}\n{tls}")),
        "locum.toml:5:1: `server.client_crl_files` has no effect: there is no `server.client_ca_file`; name the authorities \
         of which clients have to show a certificate, or leave this out"
    );
}

/// G11: what would be asked of an ACME server in vain is a problem, and so is what would never be asked.
#[test]
fn certificates_are_obtained_for_names_of_hosts() {
    let acme = |keys: &str| format!("[server.acme]\n{keys}");
    let settings = read(&format!("{APP}{}", acme("domains = [\"Wiki.example.org\"]\ncontact = \"ops@example.org\"")));
    let acme_settings = settings.server.tls.unwrap().acme.unwrap();
    assert_eq!(acme_settings.names, ["wiki.example.org"]);
    assert_eq!(acme_settings.contact.as_deref(), Some("mailto:ops@example.org"));
    assert_eq!(acme_settings.directory, "https://acme-v02.api.letsencrypt.org/directory");
    assert_eq!(acme_settings.folder.to_str(), Some("/etc/locum/acme"));
    assert!(read(APP).server.tls.is_none() && acme_settings.binding.is_none());
    let bound = "domains = [\"a.test\"]\neab_key_id = \"kid-1\"\neab_mac_key_file = \"acme-mac.key\"";
    let binding = read(&format!("{APP}{}", acme(bound))).server.tls.unwrap().acme.unwrap().binding.unwrap();
    assert_eq!((&*binding.key_id, binding.mac_key.to_str()), ("kid-1", Some("/etc/locum/acme-mac.key")));
    for (keys, problem) in [
        (
            "domains = [\"a.test\"]\neab_key_id = \"kid-1\"",
            "6:1: `server.acme.eab_key_id` has no effect: there is no `server.acme.eab_mac_key_file`; name the file with the \
             key that the authority gave with it",
        ),
        (
            "domains = [\"a.test\"]\neab_mac_key_file = \"acme-mac.key\"",
            "6:1: `server.acme.eab_mac_key_file` has no effect: there is no `server.acme.eab_key_id`; give the identifier \
             that the authority gave with the key",
        ),
        (
            "domains = [\"a.test\"]\neab_key_id = \"\"\neab_mac_key_file = \"acme-mac.key\"",
            "6:14: `server.acme.eab_key_id` cannot be ``; give it as the authority does, without spaces",
        ),
        (
            "domains = [\"*.example.org\"]",
            "5:12: `server.acme.domains` cannot be `*.example.org`; a name with `*` takes a proof by DNS: name each \
             host, or give its certificate as a file",
        ),
        (
            "domains = [\"a.test\", \"A.test\"]",
            "5:22: `server.acme.domains` cannot be `A.test`; it stands here already",
        ),
        (
            "domains = [\"192.0.2.1\"]",
            "5:12: `server.acme.domains` cannot be `192.0.2.1`; give the name of a host, such as `wiki.example.org`",
        ),
        (
            "domains = [\"a.test\"]\ndirectory = \"http://ca.test/\"",
            "6:13: `server.acme.directory` cannot be `http://ca.test/`; give a URL that begins with `https://`",
        ),
        (
            "domains = [\"a.test\"]\ncontact = \"ops\"",
            "6:11: `server.acme.contact` cannot be `ops`; give an e-mail address, or nothing",
        ),
        (
            "folder = \"certificates\"",
            "5:1: `server.acme.folder` has no effect: there are no `server.acme.domains`; name the hosts, or leave this out",
        ),
    ] {
        assert_eq!(wrong_beside_an_app(&acme(keys)), format!("locum.toml:{problem}"));
    }
}

/// C1: secrets come from files of their own, relative to the configuration's folder.
#[test]
fn a_url_is_read_from_its_file() {
    let settings = read(&format!("{APP}[redis]\nurl_file = \"redis.url\"\n[store]\nurl_file = \"store.url\""));
    let redis = settings.redis.as_ref().map(|redis| redis.url.expose_secret());
    assert_eq!(redis, Some("redis://:hunter2@cache:6379"));
    assert!(matches!(&settings.store, Location::Postgres(url) if url.expose_secret().ends_with("@db/locum")));
    assert!(!format!("{settings:?}").contains("hunter2"), "secrets have no content in `Debug`");

    assert_eq!(
        wrong_beside_an_app("[redis]\nurl_file = \"gone\""),
        "locum.toml:5:12: `redis.url_file`: `/etc/locum/gone` cannot be read: entity not found; give a file that Locum \
         may read"
    );
}

/// C1: the file itself may be away, or not be text.
#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("locum.toml");
    let missing = config::load(&path, [], Purpose::Serve).unwrap_err();
    assert!(missing.to_string().ends_with("locum.toml`; `locum init --config FILE` makes one"), "{missing}");

    let unreadable = config::load(folder.path(), [], Purpose::Serve).unwrap_err();
    assert!(matches!(unreadable, LoadError::Unreadable { .. }), "a folder is no file: {unreadable}");

    std::fs::write(&path, b"[server]\nlisten = \"\xff\"").unwrap();
    let broken = config::load(&path, [], Purpose::Serve).unwrap_err().to_string();
    assert!(broken.ends_with("locum.toml:2:11: the file is not UTF-8 from here on; save it as UTF-8"), "{broken}");

    std::fs::write(&path, APP).unwrap();
    let settings = config::load(&path, [], Purpose::Serve).unwrap();
    assert_eq!(settings.secrets.pepper_file, folder.path().join("pepper"));
}
