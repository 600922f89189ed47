//! The files about the configuration that are checked in: the example, the schema, the reference.
//!
//! `LOCUM_BLESS=1 cargo test --test config files` writes the two that are made.

use std::fs;
use std::path::{Path, PathBuf};

use locum::config::{self, Purpose, Settings, Source};
use serde_json::Value as Json;

fn read(text: &str, purpose: Purpose) -> Settings {
    let read_secret = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    config::read(Source::new("locum.toml", text), Path::new("/etc/locum"), [], purpose, &read_secret)
        .map_err(|problems| problems.to_string())
        .unwrap()
}

fn in_package(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[expect(clippy::disallowed_methods, reason = "nothing else waits for this thread")]
fn assert_checked_in(path: &str, made: &str) {
    let file = in_package(path);
    if std::env::var_os("LOCUM_BLESS").is_some() {
        fs::write(&file, made).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == made, "`{path}` is not what the program makes: run LOCUM_BLESS=1 cargo test --test config files");
}

/// The example with every key live. `keep` says which of the lines that are commented out come to life.
fn uncommented(keep: impl Fn(&str) -> bool) -> String {
    let live = |line: &str| {
        let key = line.strip_prefix('#').filter(|key| key.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        key.filter(|key| keep(key)).map_or_else(|| line.to_owned(), str::to_owned)
    };
    config::TEMPLATE.lines().map(live).collect::<Vec<_>>().join("\n")
}

/// Every key of the schema below `schema`, as a path, with its default.
fn keys(schema: &Json, root: &Json, path: &str, found: &mut Vec<(String, Option<Json>)>) {
    if let Some(target) = schema["$ref"].as_str() {
        return keys(root.pointer(target.trim_start_matches('#')).unwrap(), root, path, found);
    }
    for inner in [&schema["additionalProperties"], &schema["items"]].into_iter().filter(|inner| inner.is_object()) {
        let inner_path =
            if inner["$ref"].as_str() == Some("#/$defs/AppTable") { format!("{path}.wiki") } else { path.to_owned() };
        keys(inner, root, &inner_path, found);
    }
    for (name, key) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let mut below = Vec::new();
        keys(key, root, &path, &mut below);
        if below.is_empty() {
            found.push((path, key.get("default").cloned()));
        }
        found.append(&mut below);
    }
}

fn value_at<'v>(mut value: &'v Json, path: &str) -> Option<&'v Json> {
    for name in path.trim_start_matches('.').split('.') {
        value = value.get(name)?;
        if value.get(0).is_some_and(Json::is_object) {
            value = value.get(0)?;
        }
    }
    Some(value)
}

/// C1: the example names every key that there is, and no other.
#[test]
fn the_example_has_every_key() {
    let schema: Json = serde_json::from_str(&config::schema::text()).unwrap();
    let mut all = Vec::new();
    keys(&schema, &schema, "", &mut all);
    assert!(all.len() > 35, "the schema was read: {all:?}");
    let example: Json = toml::from_str(&uncommented(|_| true)).unwrap();
    let missing: Vec<&String> =
        all.iter().map(|(path, _)| path).filter(|path| value_at(&example, path).is_none()).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

/// C1: what the example calls a default is the default.
#[test]
fn the_example_tells_the_real_defaults() {
    let schema: Json = serde_json::from_str(&config::schema::text()).unwrap();
    let mut all = Vec::new();
    keys(&schema, &schema, "", &mut all);
    let example: Json = toml::from_str(&uncommented(|_| true)).unwrap();
    let mut without = Vec::new();
    for (path, default) in &all {
        match default {
            Some(default) => assert_eq!(value_at(&example, path), Some(default), "{path}"),
            None => without.push(path.as_str()),
        }
    }
    assert_eq!(
        without,
        [
            ".server.client_ca_file",
            ".server.tls.certificate_file",
            ".server.tls.key_file",
            ".server.acme.ca_file",
            ".server.acme.eab_key_id",
            ".server.acme.eab_mac_key_file",
            ".admin.listen",
            ".admin.tls.certificate_file",
            ".admin.tls.key_file",
            ".monitoring.listen",
            ".store.url_file",
            ".redis.url",
            ".redis.url_file",
            ".redis.ca_file",
            ".secrets.master_key",
            ".history.keep",
            ".history.archive",
            ".tracing.endpoint",
            ".tracing.headers_file",
            ".tracing.ca_file",
            ".apps.wiki.tls.ca_file",
            ".apps.wiki.tls.server_name",
            ".apps.wiki.tls.certificate_file",
            ".apps.wiki.tls.key_file",
            ".apps.wiki.secret_header.name",
            ".apps.wiki.secret_header.file",
            ".apps.wiki.total_timeout",
            ".apps.wiki.health.path",
            ".apps.wiki.health.host",
            ".apps.wiki.max_body",
            ".apps.wiki.rate_limits.per",
            ".apps.wiki.rate_limits.requests",
            ".apps.wiki.rate_limits.burst",
            ".apps.wiki.routes.path",
            ".apps.wiki.routes.username_header",
            ".apps.wiki.routes.response_timeout",
            ".apps.wiki.routes.idle_timeout",
            ".apps.wiki.routes.total_timeout",
            ".apps.wiki.routes.max_body",
            ".apps.wiki.routes.rate_limits.per",
            ".apps.wiki.routes.rate_limits.requests",
            ".apps.wiki.routes.rate_limits.burst",
        ]
    );

    let tls = ["client_ca_file", "[[server.tls", "[[admin.tls", "certificate_file", "key_file"];
    let times = ["response_timeout", "idle_timeout", "total_timeout", "health"];
    let others = [
        "url_file",
        "ca_file",
        "eab_",
        "url = \"redis",
        "username_header",
        "tls = {",
        "secret_header",
        "keep =",
        "archive =",
        "endpoint",
        "headers_file",
        "listen = \"127.0.0.1:9090",
        "listen = \"127.0.0.1:8444",
        "max_body",
        "rate_limits",
        "{ per",
        "master_key = ",
    ];
    let no_default = [&tls[..], &times, &others].concat();
    let live = uncommented(|key| !no_default.iter().any(|start| key.starts_with(start)));
    let live = live.replace("on_loss = \"count\"", "").replace("timeout = \"100ms\"", "");
    let bare = "[apps.wiki]\nroutes = [{ path = \"/*\" }]";
    let shown = |text: &str| format!("{:#?}", read(text, Purpose::Serve));
    assert_eq!(shown(&live), shown(bare));
}

/// C1: the example is right as it stands, and with every key brought to life.
#[test]
fn the_example_has_no_problem() {
    assert!(read(config::TEMPLATE, Purpose::Administer).apps.is_empty());
    let of_files = ["url_file", "ca_file", "eab_", "tls = {", "secret_header", "headers_file"];
    let all = read(&uncommented(|key| !of_files.iter().any(|start| key.starts_with(start))), Purpose::Serve);
    assert!(all.redis.is_some());
    assert_eq!(all.apps.len(), 1);
}

/// C1: editors get the schema that the program checks by.
#[test]
fn the_schema_is_checked_in() {
    assert_checked_in("config/locum.schema.json", &config::schema::text());
    assert!(config::TEMPLATE.starts_with("#:schema locum.schema.json\n"));
}

/// C1: every key is documented, by the comment that stands in the source.
#[test]
fn the_reference_is_checked_in() {
    assert_checked_in("docs/configuration.md", &config::reference());
}
