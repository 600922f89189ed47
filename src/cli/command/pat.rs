//! `locum pat …`: the one place where a secret is printed, once.

use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::admin::shape::{
    MadePat, NewPat, PatList, PatView, PresentedToken, RevokeAllPats, RevokePat, RevokedPats, RotatePat,
};
use crate::cli::arguments::{PatAddArguments, PatCommand, PatRotateArguments};
use crate::cli::client::{Client, path};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, fields, instant, list, minute, print, table};

pub(in crate::cli) async fn pat(client: &Client, command: PatCommand, output: Output) -> Result<(), Failure> {
    match command {
        PatCommand::Add(wish) => add(client, wish, output).await,
        PatCommand::Rotate(rotation) => rotate(client, rotation, output).await,
        PatCommand::List { proxy_user } => {
            let list: PatList = client.get(&path(&["proxy-users", &proxy_user, "pats"])).await?;
            output.answer(&list.pats, |pats| {
                let header = ["PUBLIC ID", "SERVICE", "STATE", "EXPIRES", "LAST USED"];
                table(&header, pats.iter().map(row))
            })
        }
        PatCommand::Show { public_id } => {
            let pat: PatView = client.get(&path(&["pats", &public_id])).await?;
            output.answer(&pat, in_words)
        }
        PatCommand::Revoke { public_id, reason } => {
            let revoked: PatView = client.post(&path(&["pats", &public_id, "revoke"]), &RevokePat { reason }).await?;
            output.answer(&revoked, |pat| format!("revoked `{}` of `{}`", pat.public_id, pat.account))
        }
        PatCommand::RevokeAll { reason } => {
            let all: RevokedPats =
                client.post_slowly(&path(&["pats", "revoke-all"]), &RevokeAllPats { reason }).await?;
            output.answer(&all, |all| format!("revoked {} tokens", all.revoked))
        }
        PatCommand::Confirm { public_id } => {
            let confirmed = confirm(client, &public_id).await?;
            output.answer(&confirmed, |pat| format!("`{}` is {}", pat.public_id, pat.state))
        }
        PatCommand::Check(check) => super::pat_check::check(client, &check, output).await,
    }
}

async fn add(client: &Client, wish: PatAddArguments, output: Output) -> Result<(), Failure> {
    let new = NewPat {
        service: wish.service,
        life_seconds: wish.expires.map(|life| life.as_secs()),
        networks: wish.networks.iter().map(ToString::to_string).collect(),
        apps: wish.apps,
        read_only: wish.read_only,
    };
    let made = client.post(&path(&["proxy-users", &wish.proxy_user, "pats"]), &new).await?;
    hand_over(client, made, wish.confirm, output).await
}

async fn rotate(client: &Client, rotation: PatRotateArguments, output: Output) -> Result<(), Failure> {
    let asked = RotatePat {
        overlap_seconds: rotation.overlap.as_secs(),
        silence_seconds: rotation.silence.map(|silence| silence.as_secs()),
        life_seconds: rotation.expires.map(|life| life.as_secs()),
    };
    let made = client.post(&path(&["pats", &rotation.public_id, "rotate"]), &asked).await?;
    hand_over(client, made, rotation.confirm, output).await
}

/// Shows a token that was just made, this once, and confirms it if the person says so.
async fn hand_over(client: &Client, made: MadePat, at_once: bool, output: Output) -> Result<(), Failure> {
    let MadePat { mut pat, token } = made;
    let token = token.ok_or_else(|| Failure::failed("the gateway made a token and did not show it"))?;
    if at_once {
        pat = confirm(client, &pat.public_id).await?;
    }
    if output.is_json() {
        return print_as_json(&pat, &token);
    }
    show_once(&pat, &token)?;
    if at_once {
        return output.say(&format!("\n`{}` is {}", pat.public_id, pat.state));
    }
    if output.is_conversation() && copied()? {
        let confirmed = confirm(client, &pat.public_id).await?;
        return output.say(&format!("`{}` is {}", confirmed.public_id, confirmed.state));
    }
    let until = pat.confirm_until.as_deref().map(instant).unwrap_or_default();
    output.say(&format!(
        "\nit is pending: once it is copied, run `locum pat confirm {}` before {until} UTC",
        pat.public_id
    ))
}

async fn confirm(client: &Client, public_id: &str) -> Result<PatView, Failure> {
    client.post(&path(&["pats", public_id, "confirm"]), &json!({})).await
}

/// Asks the person at the terminal (T3).
fn copied() -> Result<bool, Failure> {
    let asked =
        inquire::Confirm::new("Have you copied the token? It becomes usable then.").with_default(false).prompt();
    match asked {
        Ok(copied) => Ok(copied),
        Err(inquire::InquireError::OperationCanceled | inquire::InquireError::OperationInterrupted) => Ok(false),
        Err(error) => Err(Failure::failed(format!("the question could not be asked: {error}"))),
    }
}

fn show_once(pat: &PatView, token: &PresentedToken) -> Result<(), Failure> {
    let restrictions = restrictions_in_words(pat);
    let about = fields(&[
        ("public id", pat.public_id.clone()),
        ("proxy user", pat.account.clone()),
        ("service", pat.service.clone()),
        ("expires", format!("{} UTC", instant(&pat.expires_at))),
        ("restricted to", restrictions),
    ]);
    print(&about)?;
    let secret = Zeroizing::new(format!("\nThe token, shown this once:\n\n  {}", token.expose()));
    print(&secret)
}

fn restrictions_in_words(pat: &PatView) -> String {
    let mut parts = pat.restrictions.networks.clone();
    parts.extend(pat.restrictions.apps.iter().map(|app| format!("app {app}")));
    if pat.restrictions.read_only {
        parts.push("safe methods".to_owned());
    }
    list(&parts)
}

/// The document of the token with its secret; written by hand, since a secret has no `Serialize`.
pub(super) fn print_as_json(pat: &impl Serialize, token: &PresentedToken) -> Result<(), Failure> {
    let document = Zeroizing::new(serde_json::to_string_pretty(pat).map_err(Failure::failed)?);
    let Some(open) = document.strip_suffix("\n}") else {
        return Err(Failure::failed("the token cannot be printed"));
    };
    // A token is ASCII letters, digits and `_`: nothing in it has to be escaped.
    let whole = Zeroizing::new(format!("{open},\n  \"token\": \"{}\"\n}}", token.expose()));
    print(&whole)
}

fn in_words(pat: &PatView) -> String {
    let state = match (&pat.revoked, &pat.retires_at) {
        (Some(why), _) => format!("{} since {} by {} ({})", pat.state, instant(&why.at), why.by, why.reason),
        (None, Some(at)) => format!("{}, another took its place: ends {}", pat.state, instant(at)),
        (None, None) => pat.state.clone(),
    };
    fields(&[
        ("public id", pat.public_id.clone()),
        ("proxy user", pat.account.clone()),
        ("service", pat.service.clone()),
        ("state", state),
        ("made", format!("{} by {}", instant(&pat.created_at), pat.created_by)),
        ("expires", instant(&pat.expires_at)),
        ("last used", last_used(pat)),
        ("restricted to", restrictions_in_words(pat)),
    ])
}

fn last_used(pat: &PatView) -> String {
    let mut words = pat.last_used_at.as_deref().map_or_else(|| "-".to_owned(), instant);
    if let Some(address) = &pat.last_used_from {
        words.push_str(" from ");
        words.push_str(address);
    }
    if let Some(app) = &pat.last_used_app {
        words.push_str(" for ");
        words.push_str(app);
    }
    words
}

fn row(pat: &PatView) -> Vec<String> {
    let state = match &pat.revoked {
        Some(revoked) => format!("{} ({})", pat.state, revoked.reason),
        None => pat.state.clone(),
    };
    let last_used = pat.last_used_at.as_deref().map_or_else(|| "-".to_owned(), minute);
    vec![pat.public_id.clone(), pat.service.clone(), state, minute(&pat.expires_at), last_used]
}
