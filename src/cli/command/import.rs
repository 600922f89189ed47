//! `locum import …`: accounts from elsewhere, each line by itself (C6).
//!
//! What one line asks for is done whole or not at all, and every line that is not is reported with what would be right; so a
//! table that was corrected can be given again, and of the lines that were done it is only said that they were.

use std::fmt::Display;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::admin::shape::{AccountView, NewPerson, NewProxyUser};
use crate::cli::arguments::ImportCommand;
use crate::cli::client::{Client, path};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, table};

/// The longest file that is read.
const LARGEST: u64 = 64 * 1024 * 1024;

pub(in crate::cli) async fn import(client: &Client, command: ImportCommand, output: Output) -> Result<(), Failure> {
    let (lines, hint) = match command {
        ImportCommand::Csv { file } => (of_table(&read(&file)?)?, ""),
        ImportCommand::Htpasswd { file, owner } => {
            let hint = "; their passwords did not come along: `locum pat add` makes a token for each";
            (of_password_file(&read(&file)?, &owner), hint)
        }
    };
    let mut report = Report::default();
    let mut broken = None;
    for line in lines {
        match add(client, line.account).await {
            Ok(()) => report.added += 1,
            Err(Failure::Problem(problem)) => report.refused.push(Refused {
                line: line.number,
                username: line.username,
                code: problem.code.to_string(),
                why: problem.detail.to_string(),
            }),
            Err(Failure::Usage(why)) => report.refused.push(Refused {
                line: line.number,
                username: line.username,
                code: "invalid_line".to_owned(),
                why,
            }),
            // Whoever does not answer now will not answer to the next line.
            Err(failure) => {
                broken = Some(Failure::failed(format!("line {}: {failure}", line.number)));
                break;
            }
        }
    }
    output.answer(&report, |report| in_words(report, hint))?;
    match (broken, report.refused.len()) {
        (Some(failure), _) => Err(failure),
        (None, 0) => Ok(()),
        (None, refused) => Err(Failure::failed(format!("{refused} lines were refused"))),
    }
}

/// What became of all lines.
#[derive(Debug, Default, Serialize)]
struct Report {
    added: u64,
    refused: Vec<Refused>,
}

#[derive(Debug, Serialize)]
struct Refused {
    /// Where it begins in the file, from 1.
    line: u64,
    username: String,
    code: String,
    why: String,
}

fn in_words(report: &Report, hint: &str) -> String {
    let added = format!("added {} accounts{}", report.added, if report.added > 0 { hint } else { "" });
    if report.refused.is_empty() {
        return added;
    }
    let rows = report.refused.iter().map(|line| vec![line.line.to_string(), line.username.clone(), line.why.clone()]);
    format!("{}\n{added}", table(&["LINE", "USERNAME", "WHY IT WAS REFUSED"], rows))
}

/// One line, as far as it can be read.
struct Line {
    number: u64,
    username: String,
    /// The error says what would be right.
    account: Result<New, String>,
}

enum New {
    Person(NewPerson),
    ProxyUser(NewProxyUser),
}

async fn add(client: &Client, account: Result<New, String>) -> Result<(), Failure> {
    let added: Result<AccountView, Failure> = match account.map_err(Failure::Usage)? {
        New::Person(person) => client.post(&path(&["people"]), &person).await,
        New::ProxyUser(proxy_user) => client.post(&path(&["proxy-users"]), &proxy_user).await,
    };
    added.map(|_| ())
}

fn read(file: &Path) -> Result<String, Failure> {
    let unreadable = |why: &dyn Display| Failure::failed(format!("`{}` cannot be read: {why}", file.display()));
    let open = std::fs::File::open(file).map_err(|error| unreadable(&error))?;
    let mut text = String::new();
    open.take(LARGEST + 1).read_to_string(&mut text).map_err(|error: io::Error| unreadable(&error))?;
    if text.len() as u64 > LARGEST {
        return Err(unreadable(&format!("it has more than {} MiB: give it in parts", LARGEST / 1024 / 1024)));
    }
    Ok(text)
}

/// A line of a table, by the names of its columns.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    username: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    roles: String,
    #[serde(default)]
    networks: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    phone: String,
}

fn of_table(text: &str) -> Result<Vec<Line>, Failure> {
    // With both, a record would be said to begin a line too early.
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| Failure::failed(format!("the table cannot be read: {error}")))?;
    let headers = headers.clone();
    if !headers.iter().any(|name| name == "username") {
        let words = "the first line has to name the columns, and one of them has to be `username`";
        return Err(Failure::failed(words));
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        lines.push(match record {
            Ok(record) => {
                let number = record.position().map_or(0, csv::Position::line);
                let at = headers.iter().position(|name| name == "username");
                let username = at.and_then(|at| record.get(at)).unwrap_or_default().to_owned();
                let row = record.deserialize::<Row>(Some(&headers)).map_err(|error| error.to_string());
                Line { number, username, account: row.and_then(account) }
            }
            Err(error) => {
                let number = error.position().map_or(0, csv::Position::line);
                Line { number, username: String::new(), account: Err(error.to_string()) }
            }
        });
    }
    Ok(lines)
}

fn account(row: Row) -> Result<New, String> {
    let given = |text: String| (!text.is_empty()).then_some(text);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    match row.kind.as_str() {
        "" | "person" => {
            if !row.owner.is_empty() || !row.networks.is_empty() {
                return Err("`owner` and `networks` are a proxy user's: write `proxy` under `kind`".to_owned());
            }
            Ok(New::Person(NewPerson {
                username: row.username,
                roles: words(&row.roles),
                name: given(row.name),
                email: given(row.email),
                phone: given(row.phone),
            }))
        }
        "proxy" => {
            if [&row.roles, &row.name, &row.email, &row.phone].into_iter().any(|text| !text.is_empty()) {
                return Err("a proxy user has the roles of its owner, and neither name, `email` nor `phone`".to_owned());
            }
            Ok(New::ProxyUser(NewProxyUser {
                username: row.username,
                owner: row.owner,
                networks: words(&row.networks),
            }))
        }
        kind => Err(format!("`{kind}` is no kind of account: write `person` or `proxy`")),
    }
}

/// `name:hash` a line; empty lines and comments are passed over (htpasswd(1)).
fn of_password_file(text: &str, owner: &str) -> Vec<Line> {
    let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
    let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(line, number)| {
            let account = |username: &str| {
                New::ProxyUser(NewProxyUser {
                    username: username.to_owned(),
                    owner: owner.to_owned(),
                    networks: Vec::new(),
                })
            };
            match line.split_once(':') {
                Some((username, _hash)) => {
                    Line { number, username: username.to_owned(), account: Ok(account(username)) }
                }
                // It may be anything, a password too, so nothing of it is repeated.
                None => Line {
                    number,
                    username: String::new(),
                    account: Err("it has no `:` between a name and a hash".to_owned()),
                },
            }
        })
        .collect()
}
