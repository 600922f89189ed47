//! This test program once more, as another process that plays a part: it writes until it is killed, it
//! holds the lock, it fills a disk. It speaks in lines that begin with `> `.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

use locum::store::{Location, NodeLock};

use crate::world::*;

const PART: &str = "LOCUM_STORE_PART";
const PLACE: &str = "LOCUM_STORE_PLACE";

/// Another process.
pub struct Child {
    process: Process,
    lines: BufReader<ChildStdout>,
    _stdin: ChildStdin,
}

impl Child {
    /// Starts one that plays `part` on a database; behind `wrapper`, a command that runs its arguments.
    pub fn start(part: &str, location: &Location, wrapper: &[&OsStr]) -> Self {
        let program = std::env::current_exe().unwrap();
        let words: Vec<&OsStr> = wrapper.iter().copied().chain([program.as_os_str()]).collect();
        let mut process = Command::new(words[0])
            .args(&words[1..])
            .args(["--exact", "child::plays_its_part", "--nocapture", "--test-threads=1"])
            .env(PART, part)
            .env(PLACE, place(location))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines, _stdin: stdin }
    }

    /// The next thing it says; `None` when it has ended.
    pub fn says(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                return None;
            }
            // the test harness writes into the same line
            if let Some((_, said)) = line.split_once("> ") {
                return Some(said.trim_end().to_owned());
            }
        }
    }

    /// Everything that it says until its end.
    pub fn says_all(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.says()).collect()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            self.process.wait().unwrap();
        }
    }
}

fn place(location: &Location) -> String {
    use secrecy::ExposeSecret as _;
    match location {
        Location::Sqlite(path) => path.display().to_string(),
        Location::Postgres(url) => url.expose_secret().to_owned(),
    }
}

pub fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "> {text}").unwrap();
    out.flush().unwrap();
}

/// Not a test but the door through which the other process comes in: without a part there is nothing
/// to play.
#[test]
fn plays_its_part() {
    let (Some(part), Some(place)) = (std::env::var_os(PART), std::env::var_os(PLACE)) else { return };
    let place = place.into_string().unwrap();
    let backend = if place.starts_with("postgres:") { Backend::at_url(&place) } else { Backend::at_path(&place) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match part.to_str().unwrap() {
            "write" => crate::kills::write_for_ever(backend).await,
            "hold" => hold(backend).await,
            "open" => say(backend.try_open().await.map_or_else(|error| error.to_string(), |_| "opened".into())),
            "fill" => crate::full_disk::fill(backend).await,
            unknown => panic!("no part is called {unknown}"),
        }
    });
}

/// Holds the lock until its input ends.
async fn hold(backend: Backend) {
    let store = backend.open().await;
    let _lock = NodeLock::take(&store, "locum serve, process 4711 on gate-1").await.unwrap();
    say("held");
    let waiting = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()).unwrap());
    waiting.await.unwrap();
}
