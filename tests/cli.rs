//! The command line as people and programs meet it, without a running gateway: every command, its JSON,
//! its tables, its exit codes, and everything that can be typed wrong.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(unreachable_pub, reason = "the harness is shared by several tests, each a crate of its own")]

#[path = "cli/accounts.rs"]
mod accounts;
#[path = "cli/administrators.rs"]
mod administrators;
#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/database.rs"]
mod database;
#[path = "cli/found.rs"]
mod found;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/jobs.rs"]
mod jobs;
#[path = "cli/personal.rs"]
mod personal;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs one kind of server")]
#[path = "harness/postgres.rs"]
mod postgres;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/shown.rs"]
mod shown;
#[path = "cli/tokens.rs"]
mod tokens;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// Two apps, of which everybody has access to the first.
const APPS: &str = r#"
[apps.blog]
hosts = ["blog.test"]
upstreams = ["http://127.0.0.1:3000"]
access_by_default = true

[[apps.blog.routes]]
path = "/*"

[apps.wiki]
hosts = ["wiki.test"]
upstreams = ["http://127.0.0.1:3001"]

[[apps.wiki.routes]]
path = "/*"
"#;

/// A folder with a configuration, its key files, and a store once a command has made it.
struct Installation {
    folder: TempDir,
}

/// What a command came to.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The problem document on the error output.
    fn problem(&self) -> Value {
        assert_eq!(self.code, 1, "{self:?}");
        assert_eq!(self.out, "", "nothing is answered beside a problem");
        serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Installation {
    fn new() -> Self {
        Self::with(APPS)
    }

    fn with(apps: &str) -> Self {
        let installation = Self { folder: tempfile::tempdir().unwrap() };
        let ran = installation.run(&["init"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let file = installation.configuration();
        let template = std::fs::read(&file).unwrap();
        std::fs::write(&file, [&template, apps.as_bytes()].concat()).unwrap();
        installation
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn configuration(&self) -> PathBuf {
        self.path().join("locum.toml")
    }

    /// Runs a command on this installation.
    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut all = arguments.to_vec();
        let file = self.configuration();
        all.extend(["--config", file.to_str().unwrap()]);
        locum(&all, input, self.path())
    }

    /// Runs a command that has to succeed, in words.
    fn say(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}: {ran:?}");
        ran.out
    }

    /// Runs a command with `--json` that has to succeed.
    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }

    /// Runs a command with `--json` that has to be refused, and looks that it left a trace.
    fn refused(&self, arguments: &[&str]) -> Value {
        let problem = self.run(&[arguments, &["--json"]].concat()).problem();
        let last = &self.json(&["history", "--limit", "1"])[0];
        assert_eq!(last["type"], "operation_refused", "{arguments:?}: {last}");
        assert_eq!(last["changed"], false);
        let details = last["details"].to_string();
        assert!(details.contains(&problem["code"].to_string()), "{details} does not name {}", problem["code"]);
        problem
    }

    /// Ann with the proxy user ann-ci.
    fn with_household() -> Self {
        let installation = Self::new();
        installation.say(&["person", "add", "ann"]);
        installation.say(&["proxy-user", "add", "ann-ci", "--owner", "ann"]);
        installation
    }
}

/// Runs the binary in `folder`, with no variable of Locum's in its environment.
fn locum(arguments: &[&str], input: &str, folder: &Path) -> Ran {
    command(arguments, folder).write_stdin(input).output().map(into_ran).unwrap()
}

fn command(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locum"));
    command.args(arguments).current_dir(folder).env_remove("LOCUM_ADMIN_SOCKET").env("COLUMNS", "80");
    command
}

/// Runs a line at a terminal of its own (`script` of util-linux), typing `typed` once it asks.
fn at_a_terminal(line: &str, typed: &str, folder: &Path) -> String {
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;
    let mut child = std::process::Command::new("script")
        .args(["--quiet", "--return", "--command", line, "/dev/null"])
        .current_dir(folder)
        .env_remove("LOCUM_ADMIN_SOCKET")
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = Vec::new();
    let mut byte = [0];
    while stdout.read(&mut byte).unwrap() == 1 {
        said.push(byte[0]);
        if said.ends_with(b"Have you copied") {
            stdin.write_all(typed.as_bytes()).unwrap();
        }
    }
    child.wait().unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

fn into_ran(output: std::process::Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A text with what differs from run to run in one form: instants, ids, tokens.
fn settled(text: &str) -> String {
    let words = text.split_inclusive(|c: char| c.is_whitespace() || ",()`\"".contains(c));
    words.map(settled_word).collect()
}

fn settled_word(word: &str) -> String {
    let end = word.len() - word.chars().last().map_or(0, |c| if c.is_alphanumeric() { 0 } else { c.len_utf8() });
    let (body, tail) = word.split_at(end);
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || "-:.TZ".contains(c));
    let shown = if body.len() == 10 && digits(body) && body.matches('-').count() == 2 {
        "2026-01-01"
    } else if body.len() == 5 && digits(body) && body.contains(':') {
        "00:00"
    } else if body.len() == 8 && digits(body) && body.matches(':').count() == 2 {
        "00:00:00"
    } else if body.len() == 24 && digits(body) {
        "2026-01-01T00:00:00.000Z"
    } else if body.len() == 36 && body.matches('-').count() == 4 {
        "ID"
    } else if body.starts_with("locum_pat_") {
        "locum_pat_..."
    } else {
        body
    };
    format!("{shown}{tail}")
}
