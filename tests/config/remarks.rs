//! What `locum check` says about a configuration that has no problem.

use super::*;

/// One line a remark, warnings marked.
fn remarks(text: &str) -> Vec<String> {
    let mark = |warning| if warning { "! " } else { "" };
    config::remarks(&read(text)).iter().map(|remark| format!("{}{}", mark(remark.warning), remark.text)).collect()
}

/// L6: the mode of counting is told, with what it means.
#[test]
fn a_plain_configuration_is_told_in_sentences() {
    let text = format!("{APP}[[apps.wiki.routes]]\npath = \"/public/*\"\npublic = true");
    assert_eq!(
        remarks(&text),
        [
            "listens on `127.0.0.1:8080`",
            "keeps accounts and history in `/etc/locum/locum.db`",
            "counts failed attempts in the store",
            "`lockout.counts` is `every-failure`: 5 refused attempts in a row that name a proxy user make it inactive, \
             whoever made them",
            "app `wiki`: every host from `/` on, to `http://127.0.0.1:3000`, by 2 routes",
            "app `wiki`: `/public/*` is public, nobody has to prove who they are",
        ]
    );
}

/// L6, L7, TL-007: what is allowed but dangerous is a warning.
#[test]
fn dangerous_choices_are_warned_of() {
    let exposed = "[server]\nlisten = \"0.0.0.0:80\"\n[apps.wiki]\nhosts = [\"a.org\"]\n[[apps.wiki.routes]]\n\
                   path = \"/*\"\npublic = true\n";
    let warnings: Vec<String> = remarks(exposed).into_iter().filter(|remark| remark.starts_with('!')).collect();
    assert_eq!(
        warnings,
        [
            "! other machines can reach it, and it speaks plain HTTP: without TLS in front, tokens can be read on the way",
            "! `lockout.counts` is `every-failure`: 5 refused attempts in a row that name a proxy user make it inactive, \
             whoever made them; where strangers can reach this gateway, choose `guesses`",
            "! app `wiki`: `/*` is public, nobody has to prove who they are: that is the whole app",
        ]
    );
    let unguarded = remarks(&format!("{APP}[redis]\nurl = \"redis://cache\"\n[store]\nurl = \"postgres://u:p@db/x\""));
    let warnings: Vec<String> = unguarded.into_iter().filter(|remark| remark.starts_with('!')).collect();
    assert_eq!(
        warnings,
        [
            "! PostgreSQL is on another machine and nobody asks who answers: add `sslmode=verify-full` to its URL",
            "! Redis is on another machine and spoken to without TLS: failure counts can be read and changed on the way; \
             use `rediss://`",
        ]
    );
    let guesses = remarks(&format!(
        "{exposed}[lockout]\ncounts = \"guesses\"\n[redis]\nurl = \"redis://h\"\n\
                                    on_loss = \"closed\""
    ));
    assert!(guesses.contains(&"counts failed attempts in Redis, and refuses while Redis is away".to_owned()));
    assert!(guesses.iter().any(|remark| remark.starts_with("`lockout.counts` is `guesses`: 5 wrong secrets")));
}

/// G10: whose word about the client is taken is told.
#[test]
fn trusted_proxies_are_told_with_their_words() {
    let told = |keys: &str| remarks(&format!("{APP}[server]\ntrusted_proxies = [\"10.1.0.7\"]\n{keys}"))[1].clone();
    assert_eq!(told(""), "believes `10.1.0.7/32` about the client, by `x-forwarded-for`, `x-forwarded-proto`");
    assert_eq!(
        told("trusted_headers = [\"forwarded\"]\nproxy_protocol = true"),
        "believes `10.1.0.7/32` about the client, by `forwarded`, the PROXY protocol"
    );
    assert_eq!(told("trusted_headers = []"), "believes `10.1.0.7/32` about the client, in no header");
}
