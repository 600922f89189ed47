//! Overrides from the environment.

use super::*;

/// C1: the environment overrides single values, typed as the file would have them.
#[test]
fn the_environment_overrides_the_file() {
    let text = format!("{APP}[server]\nlisten = \"127.0.0.1:1\"\n[apps.my-notes]\nroutes = [{{ path = \"/*\" }}]");
    let settings = read_with(
        &text,
        &[
            ("LOCUM__SERVER__LISTEN", "127.0.0.1:2"),
            ("LOCUM__LOCKOUT__THRESHOLD", "7"),
            ("LOCUM__REDIS__URL_FILE", "/run/redis"),
            ("LOCUM__REDIS__ON_LOSS", "closed"),
            ("LOCUM__APPS__MY_NOTES__PATH_PREFIX", "/notes"),
            ("LOCUM__APPS__MY_NOTES__ACCESS_BY_DEFAULT", "true"),
            ("LOCUM_ADMIN_SOCKET", "not an override"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(settings.server.listen.port(), 2);
    assert_eq!(settings.lockout.threshold, 7);
    assert_eq!(settings.redis.map(|redis| redis.url.expose_secret().len()), Some("redis://:hunter2@cache:6379".len()));
    assert_eq!(settings.apps[0].routing.path_prefix.to_string(), "/notes");
    assert!(settings.apps[0].access_by_default);
}

/// C1: what is wrong in the environment is told by the name of the variable.
#[test]
fn a_wrong_override_is_told_by_its_name() {
    for (name, value, problem) in [
        ("LOCUM__SERVER__LISTN", "x", "unknown override, did you mean `LOCUM__SERVER__LISTEN`?"),
        ("LOCUM__server__listen", "x", "unknown override, did you mean `LOCUM__SERVER__LISTEN`?"),
        ("LOCUM__APPS__WKI__HEADERS", "none", "unknown override, did you mean `LOCUM__APPS__WIKI__HEADERS`?"),
        (
            "LOCUM__COLOUR",
            "x",
            "unknown override; overrides are named `LOCUM__TABLE__KEY`, and apps must be in the file",
        ),
        ("LOCUM__APPS__WIKI__HOSTS", "a", "`apps.wiki.hosts` holds more than one value; set it in the file"),
        (
            "LOCUM__LOCKOUT__THRESHOLD",
            "five",
            "`lockout.threshold` cannot be `five`; give a whole number from 1 to 100",
        ),
        ("LOCUM__LOCKOUT__THRESHOLD", "500", "`lockout.threshold` cannot be `500`; give a whole number from 1 to 100"),
        ("LOCUM__APPS__WIKI__HEADERS", "gita", "`apps.wiki.headers` cannot be `gita`, did you mean `gitea`?"),
        (
            "LOCUM__SERVER__LISTEN",
            "here",
            "`server.listen` cannot be `here`; give an address and a port, such as `127.0.0.1:8080` or `[::1]:8080`",
        ),
        (
            "LOCUM__STORE__URL",
            "mysql://me:hunter2@db",
            "`store.url` is not the URL of a store; give `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`",
        ),
    ] {
        assert_eq!(wrong_with(APP, &[(name, value)]), format!("{name}: {problem}"));
    }
}

#[cfg(unix)]
#[test]
fn an_override_that_is_not_text_is_a_problem() {
    use std::os::unix::ffi::OsStringExt as _;
    let variable = (OsString::from("LOCUM__SERVER__LISTEN"), OsString::from_vec(vec![0xff]));
    let source = Source::new("locum.toml", APP);
    let problems = config::read(source, Path::new("/"), [variable], Purpose::Serve, &secret_file).unwrap_err();
    assert_eq!(problems.to_string(), "LOCUM__SERVER__LISTEN: the value is not UTF-8");
}
