//! `locum pat check`: what a token is, without using it (T13). The token comes on the standard input,
//! never as an argument: arguments can be seen by every user of the machine.

use std::io::{self, IsTerminal as _, Read as _};

use zeroize::Zeroizing;

use crate::admin::shape::CheckedPat;
use crate::cli::arguments::{Global, PatCheckArguments};
use crate::cli::client::{Client, path};
use crate::cli::exit::Failure;
use crate::cli::find;
use crate::cli::output::{Output, fields, instant, list, maybe};
use crate::directory::{Token, TokenKind};

/// The longest input that is read, in bytes.
const LONGEST_INPUT: u64 = 4 * 1024;

pub(in crate::cli) async fn check(client: &Client, asked: &PatCheckArguments, output: Output) -> Result<(), Failure> {
    let token = read_token()?;
    let mut body = Zeroizing::new(Vec::with_capacity(token.len() + 128));
    body.extend_from_slice(b"{\"token\":");
    serde_json::to_writer(&mut *body, token.as_str()).map_err(Failure::failed)?;
    if let Some(from) = asked.from {
        body.extend_from_slice(format!(",\"from\":\"{from}\"").as_bytes());
    }
    body.push(b'}');
    let checked: CheckedPat = client.post_secret(&path(&["pats", "check"]), body).await?;
    output.answer(&checked, in_words)?;
    if checked.accepted {
        Ok(())
    } else {
        Err(Failure::failed(format!("the token would be refused: {}", why(&checked))))
    }
}

/// Format and checksum only: asks nobody, and knows an installation's prefix only by its configuration.
pub(in crate::cli) fn offline(global: &Global, output: Output) -> Result<(), Failure> {
    let text = read_token()?;
    let prefix = match find::meant(global) {
        Ok(find::Meant::Configured(settings)) => settings.pats.prefix,
        Ok(find::Meant::Socket(_) | find::Meant::Server(_)) | Err(_) => prefix_of(&text),
    };
    let token = Token::parse(&text, &prefix).map_err(Failure::failed)?;
    let kind = match token.kind() {
        TokenKind::PersonalAccess => "personal access token",
        TokenKind::AdminApi => "key of the admin API",
        TokenKind::Scim => "SCIM token",
        TokenKind::Invitation => "invitation",
    };
    let answer = serde_json::json!({ "public_id": token.public_id().as_str(), "kind": kind, "well_formed": true });
    output.answer(&answer, |_| format!("a well-formed {kind} with the public id {}", token.public_id()))
}

/// Without a configuration any prefix will do: what stands before the marker, if it can be one.
fn prefix_of(text: &str) -> String {
    let before = text.split_once("_locum_").map_or("", |(before, _)| before);
    before.to_owned()
}

fn read_token() -> Result<Zeroizing<String>, Failure> {
    let mut input = io::stdin().lock();
    if io::stdin().is_terminal() {
        eprintln!("Paste the token, then Enter and Ctrl-D:");
    }
    let mut text = Zeroizing::new(String::with_capacity(256));
    let read = input.by_ref().take(LONGEST_INPUT).read_to_string(&mut text);
    read.map_err(|error| Failure::failed(format!("the token cannot be read from the standard input: {error}")))?;
    let token = Zeroizing::new(text.trim().to_owned());
    if token.is_empty() {
        return Err(Failure::Usage(
            "pass the token on the standard input, such as `locum pat check < token`".to_owned(),
        ));
    }
    Ok(token)
}

fn in_words(checked: &CheckedPat) -> String {
    if checked.state == "unknown" {
        return "state  unknown".to_owned();
    }
    let expires = checked.expires_at.as_deref().map(instant).unwrap_or_default();
    fields(&[
        ("state", checked.state.clone()),
        ("public id", maybe(checked.public_id.as_ref())),
        ("account", maybe(checked.account.as_ref())),
        ("owner", maybe(checked.owner.as_ref())),
        ("service", maybe(checked.service.as_ref())),
        ("expires", format!("{expires} UTC, {} days left", checked.days_left.unwrap_or(0))),
        ("apps", list(&checked.apps)),
        ("roles", list(&checked.roles)),
        ("methods", if checked.read_only { "safe ones only" } else { "all" }.to_owned()),
    ])
}

fn why(checked: &CheckedPat) -> &'static str {
    match checked.state.as_str() {
        "unknown" => "it is no token of this installation, or its secret is wrong",
        "pending" => "it was not confirmed yet, `locum pat confirm` does that",
        "lapsed" => "it was not confirmed in time, make a new one",
        "expired" => "it has expired, make a new one",
        "revoked" => "it was revoked, make a new one",
        "account_inactive" => "its proxy user is inactive, `locum proxy-user activate` changes that",
        "owner_inactive" => "the owner is inactive, `locum person activate` changes that",
        "outside_networks" => "it may not come from that address",
        _ => "its state is not one of those that are accepted",
    }
}
