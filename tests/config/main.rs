//! What an operator sees of a wrong configuration: every problem, at its place, with what would be right.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have fails the test")]

mod admin;
mod apps;
mod arbitrary;
mod environment;
mod files;
mod limits;
mod remarks;
mod rooms;
mod secrets;
mod shape;
mod tables;
mod tracing;
mod transport;

use std::ffi::OsString;
use std::io;
use std::path::Path;

use locum::config::{self, LoadError, Problems, Purpose, Settings, Source};
use locum::gateway::HopWords;
use locum::store::Location;
use secrecy::ExposeSecret as _;

/// An app that is right, to put something wrong beside.
const APP: &str = "[apps.wiki]\n[[apps.wiki.routes]]\npath = \"/*\"\n";

fn secret_file(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some("/etc/locum/redis.url" | "/run/redis") => Ok("redis://:hunter2@cache:6379\n".to_owned()),
        Some("/etc/locum/store.url") => Ok("postgres://locum:hunter2@db/locum\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn read_with(text: &str, environment: &[(&str, &str)]) -> Result<Settings, Problems> {
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    config::read(Source::new("locum.toml", text), Path::new("/etc/locum"), environment, Purpose::Serve, &secret_file)
}

fn read(text: &str) -> Settings {
    read_with(text, &[]).unwrap()
}

/// One line a problem.
fn wrong(text: &str) -> String {
    read_with(text, &[]).unwrap_err().to_string()
}

fn wrong_with(text: &str, environment: &[(&str, &str)]) -> String {
    read_with(text, environment).unwrap_err().to_string()
}

/// Each line of `tables` comes after a right app, which ends in line 3: so its first line is line 4.
fn wrong_beside_an_app(tables: &str) -> String {
    wrong(&format!("{APP}{tables}"))
}

/// Each line of `keys` stands in the table of an app, from line 2 on; the app has a right route.
fn wrong_in_an_app(keys: &str) -> String {
    wrong(&format!("[apps.wiki]\n{keys}\n[[apps.wiki.routes]]\npath = \"/*\"\n"))
}

/// Each line of `keys` stands in a route with the path `/*`, from line 4 on.
fn wrong_in_a_route(keys: &str) -> String {
    wrong_beside_an_app(keys)
}
