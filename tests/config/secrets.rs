//! What a configuration holds in secret, and where it is not said.

use super::*;

const CANARY: &str = "c4n4ryc4n4ryc4n4ry";

fn read_all(text: &str) -> Result<Settings, Problems> {
    let read_file = |path: &Path| match path.file_name().and_then(|name| name.to_str()) {
        Some("redis.url") => Ok(format!("redis://:{CANARY}@cache:6379")),
        Some("store.url") => Ok(format!("postgres://locum:{CANARY}@db/locum")),
        Some("headers") => Ok(format!("Authorization: Bearer {CANARY}")),
        Some("secret") => Ok(CANARY.to_owned()),
        Some("wrong.url") => Ok(format!("http://:{CANARY}@cache")),
        Some("wrong.headers") => Ok(format!("Authorization {CANARY}")),
        Some("wrong.secret") => Ok(format!("{CANARY}\u{1}")),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    config::read(Source::new("locum.toml", text), Path::new("/etc/locum"), [], Purpose::Serve, &read_file)
}

/// LG-004: secrets, given in the file or by the name of another, are in no `Debug` of the settings and in no remark.
#[test]
fn no_secret_is_in_what_a_configuration_says_of_itself() {
    let app =
        "[apps.wiki]\nsecret_header = { name = \"X-Gate\", file = \"secret\" }\n[[apps.wiki.routes]]\npath = \"/*\"\n";
    for tables in [
        "[redis]\nurl_file = \"redis.url\"\n[store]\nurl_file = \"store.url\"\n".to_owned(),
        format!(
            "[redis]\nurl = \"redis://:{CANARY}@cache:6379\"\n[store]\nurl = \"postgres://locum:{CANARY}@db/locum\"\n"
        ),
    ] {
        let tracing = "[tracing]\nendpoint = \"http://127.0.0.1:4318\"\nheaders_file = \"headers\"\n";
        let settings = read_all(&format!("{app}{tables}{tracing}")).unwrap();
        let said = format!("{settings:?}\n{settings:#?}\n{:?}", config::remarks(&settings));
        assert!(said.contains("wiki") && !said.contains(CANARY), "{said}");
    }
}

/// LG-004: a secret that is wrong, or stands where it does not belong, is not in the words about it.
#[test]
fn no_secret_is_in_what_is_said_of_a_wrong_configuration() {
    for (table, key) in [
        (format!("[redis]\nurl = \"rediss://:{CANARY}@cache#insecure\""), "redis.url"),
        (format!("[redis]\nurl = \"http://:{CANARY}@cache\""), "redis.url"),
        ("[redis]\nurl_file = \"wrong.url\"".to_owned(), "redis.url"),
        (format!("[store]\nurl = \"mysql://locum:{CANARY}@db/locum\""), "store.url"),
        (format!("[tracing]\nendpoint = \"http://locum:{CANARY}@127.0.0.1:4318\""), "tracing.endpoint"),
        (
            "[tracing]\nendpoint = \"http://127.0.0.1:4318\"\nheaders_file = \"wrong.headers\"".to_owned(),
            "headers_file",
        ),
        (
            "[apps.docs]\nhosts = [\"docs\"]\nsecret_header = { name = \"X-Gate\", file = \"wrong.secret\" }\n\
             [[apps.docs.routes]]\npath = \"/*\""
                .to_owned(),
            "secret_header",
        ),
        (
            format!(
                "[apps.docs]\nhosts = [\"docs\"]\nupstreams = [\"http://u:{CANARY}@docs\"]\n[[apps.docs.routes]]\npath = \"/*\""
            ),
            "apps.docs.upstreams",
        ),
    ] {
        let Err(problems) = read_all(&format!("{APP}{table}\n")) else { panic!("it is right: {table}") };
        let said = format!("{problems}\n{problems:?}");
        assert!(said.contains(key) && !said.contains(CANARY), "{table}\n{said}");
    }
}
