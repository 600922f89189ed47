//! The table of L6, read as a table: every refusal, in both modes, with who is charged and who is told.

use super::super::presented::{Accepts, Fault, Presentation, present};
use super::*;
use crate::directory::pepper::{PepperVersion, TokenHash};
use crate::directory::{Actor, Networks, Pat, PatState, ReasonCode, Restrictions, State, Token, TokenKind, Username};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const PERSON: AccountId = AccountId::from_bytes([1; 16]);
const BILLING: AccountId = AccountId::from_bytes([2; 16]);
const REPORTS: AccountId = AccountId::from_bytes([3; 16]);

fn account(id: AccountId, username: &str) -> Account {
    let kind = if id == PERSON { Kind::Person } else { Kind::Proxy { owner: PERSON } };
    let username = Username::parse(username).unwrap();
    let (state, life, created_at) = (State::Active, Life(3), Timestamp::from_millis(0));
    Account { id, username, kind, state, life, networks: Networks::ANY, created_at }
}

fn inactive(mut account: Account) -> Account {
    account.state = State::Inactive { at: NOW, by: Actor::Locum, reason: ReasonCode::failed_attempts() };
    account
}

fn token() -> Token {
    Token::generate(TokenKind::PersonalAccess, "", |pool| pool.fill(9))
}

/// Billing's usable token.
fn kept() -> KeptPat {
    let pat = Pat {
        public_id: token().public_id(),
        account: BILLING,
        service: "nightly export".to_owned(),
        state: PatState::Confirmed { at: Timestamp::from_millis(1) },
        created_at: Timestamp::from_millis(0),
        created_by: Actor::Host("root".to_owned()),
        expires_at: NOW.plus(std::time::Duration::from_millis(1)),
        restrictions: Restrictions::default(),
        last_used: None,
        succession: None,
        retires_at: None,
    };
    let (hash, pepper) = (TokenHash::from_bytes([0; 32]), PepperVersion(1));
    KeptPat { pat, hash, pepper, account: account(BILLING, "billing"), owner: Some(account(PERSON, "ann")) }
}

fn presented(header: &str) -> Presented {
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, header.parse().unwrap());
    match present(&headers, &Accepts::default(), "") {
        Presentation::Claimed { presented, .. } => presented,
        other => panic!("{other:?}"),
    }
}

fn basic(username: &str, password: &str) -> Presented {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    presented(&format!("Basic {encoded}"))
}

fn bearer() -> Presented {
    presented(&format!("Bearer {}", token().expose()))
}

/// On a route that requires the username beside it.
fn bearer_without_its_username() -> Presented {
    bearer().lacking_its_username()
}

struct Row {
    what: &'static str,
    presented: Presented,
    found: LookUp,
    agrees: bool,
    reason: RefusalReason,
    every_failure: Charged,
    guesses: Charged,
    told: Option<Told>,
}

fn row(what: &'static str, presented: Presented, found: LookUp, agrees: bool, reason: RefusalReason) -> Row {
    let (every_failure, guesses) = (Charged::Source, Charged::Source);
    Row { what, presented, found, agrees, reason, every_failure, guesses, told: None }
}

impl Row {
    fn counted(mut self, account: AccountId) -> Self {
        self.every_failure = Charged::Account(account, Life(3));
        self
    }

    fn guessed(mut self, account: AccountId) -> Self {
        self.guesses = Charged::Account(account, Life(3));
        self.counted(account)
    }

    fn uncharged(mut self) -> Self {
        (self.every_failure, self.guesses) = (Charged::Nobody, Charged::Nobody);
        self
    }

    fn tells(mut self, told: Told) -> Self {
        self.told = Some(told);
        self
    }
}

fn found(named: Option<Account>, pat: Option<KeptPat>) -> LookUp {
    LookUp { named, pat }
}

#[expect(clippy::unnecessary_wraps, reason = "as a look-up has it")]
fn billing() -> Option<Account> {
    Some(account(BILLING, "billing"))
}

#[expect(clippy::unnecessary_wraps, reason = "as a look-up has it")]
fn kept_with(change: impl FnOnce(&mut KeptPat)) -> Option<KeptPat> {
    let mut kept = kept();
    change(&mut kept);
    Some(kept)
}

fn elsewhere_networks() -> Networks {
    Networks::from_iter(["198.51.100.0/24".parse().unwrap()])
}

/// An account that is used from elsewhere only.
fn away(mut account: Account) -> Account {
    account.networks = elsewhere_networks();
    account
}

fn revoked() -> PatState {
    PatState::Revoked { at: NOW, by: Actor::Locum, reason: ReasonCode::account_inactivated() }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    use RefusalReason as Reason;
    let right = || basic("billing", token().expose());
    let elsewhere = |kept: &mut KeptPat| kept.pat.restrictions.networks = elsewhere_networks();
    let mut rows = vec![
        row(
            "nonsense for a proxy user",
            basic("billing", "nonsense"),
            found(billing(), None),
            false,
            Reason::Malformed(Fault::Shape),
        )
        .counted(BILLING),
        row("nonsense for nobody", basic("nobody", "nonsense"), found(None, None), false, Reason::UnknownUser),
        row(
            "nonsense for a person",
            basic("ann", "nonsense"),
            found(Some(account(PERSON, "ann")), None),
            false,
            Reason::UnknownUser,
        ),
        row(
            "nonsense for an inactive one",
            basic("billing", "nonsense"),
            found(billing().map(inactive), None),
            false,
            Reason::Malformed(Fault::Shape),
        ),
        row("an unknown token for a proxy user", right(), found(billing(), None), false, Reason::UnknownToken)
            .counted(BILLING),
        row("an unknown token alone", bearer(), found(None, None), false, Reason::UnknownToken),
        row("a wrong secret", right(), found(billing(), Some(kept())), false, Reason::WrongSecret).guessed(BILLING),
        row("a wrong secret alone", bearer(), found(None, Some(kept())), false, Reason::WrongSecret).guessed(BILLING),
        row(
            "a wrong secret under another name",
            basic("reports", token().expose()),
            found(Some(account(REPORTS, "reports")), Some(kept())),
            false,
            Reason::WrongSecret,
        )
        .counted(REPORTS),
        row(
            "a wrong secret under no known name",
            basic("nobody", token().expose()),
            found(None, Some(kept())),
            false,
            Reason::WrongSecret,
        )
        .guessed(BILLING),
        row(
            "a right token under another name",
            basic("reports", token().expose()),
            found(Some(account(REPORTS, "reports")), Some(kept())),
            true,
            Reason::WrongUsername,
        )
        .counted(REPORTS),
        row(
            "a right token under its owner's name",
            basic("ann", token().expose()),
            found(Some(account(PERSON, "ann")), Some(kept())),
            true,
            Reason::WrongUsername,
        )
        .counted(BILLING),
        row(
            "a right token under its name in capitals",
            basic("BILLING", token().expose()),
            found(None, Some(kept())),
            true,
            Reason::WrongUsername,
        )
        .counted(BILLING),
        row(
            "a right token without the username that the route requires",
            bearer_without_its_username(),
            found(None, Some(kept())),
            true,
            Reason::UsernameMissing,
        )
        .counted(BILLING),
        row("from outside", right(), found(billing(), kept_with(elsewhere)), true, Reason::OutsideNetworks)
            .tells(Told::OutsideNetworks(BILLING)),
        row(
            "a wrong secret from outside",
            right(),
            found(billing(), kept_with(elsewhere)),
            false,
            Reason::OutsideNetworks,
        ),
        row(
            "from outside of the account's networks",
            right(),
            found(billing().map(away), kept_with(|kept| kept.account = away(kept.account.clone()))),
            true,
            Reason::OutsideNetworks,
        )
        .tells(Told::OutsideNetworks(BILLING)),
        row(
            "a token alone, from outside of its account's networks",
            bearer(),
            found(None, kept_with(|kept| kept.account = away(kept.account.clone()))),
            true,
            Reason::OutsideNetworks,
        )
        .tells(Told::OutsideNetworks(BILLING)),
        row(
            "a wrong secret from outside of the account's networks",
            right(),
            found(billing().map(away), kept_with(|kept| kept.account = away(kept.account.clone()))),
            false,
            Reason::OutsideNetworks,
        ),
        row(
            "nonsense from outside of the account's networks",
            basic("billing", "nonsense"),
            found(billing().map(away), None),
            false,
            Reason::OutsideNetworks,
        ),
        row(
            "an unknown token from outside of the account's networks",
            right(),
            found(billing().map(away), None),
            false,
            Reason::OutsideNetworks,
        ),
        row(
            "another's right token under the name of one who is used from elsewhere",
            basic("reports", token().expose()),
            found(Some(away(account(REPORTS, "reports"))), Some(kept())),
            true,
            Reason::OutsideNetworks,
        ),
        row(
            "a right token of one who is used from elsewhere, under another name",
            basic("reports", token().expose()),
            found(Some(account(REPORTS, "reports")), kept_with(|kept| kept.account = away(kept.account.clone()))),
            true,
            Reason::WrongUsername,
        )
        .counted(REPORTS),
        row(
            "inactive",
            right(),
            found(billing().map(inactive), kept_with(|kept| kept.account = inactive(kept.account.clone()))),
            true,
            Reason::AccountInactive,
        ),
        row(
            "the owner inactive",
            right(),
            found(billing(), kept_with(|kept| kept.owner = kept.owner.take().map(inactive))),
            true,
            Reason::OwnerInactive,
        )
        .counted(BILLING),
        row(
            "the owner gone",
            right(),
            found(billing(), kept_with(|kept| kept.owner = None)),
            true,
            Reason::OwnerInactive,
        )
        .counted(BILLING),
        row("revoked", right(), found(billing(), kept_with(|kept| kept.pat.state = revoked())), true, Reason::Revoked)
            .counted(BILLING)
            .tells(Told::Stale(BILLING)),
        row("expired", right(), found(billing(), kept_with(|kept| kept.pat.expires_at = NOW)), true, Reason::Expired)
            .counted(BILLING)
            .tells(Told::Stale(BILLING)),
        row(
            "a wrong secret for an expired one",
            right(),
            found(billing(), kept_with(|kept| kept.pat.expires_at = NOW)),
            false,
            Reason::WrongSecret,
        )
        .guessed(BILLING),
        row(
            "never confirmed",
            right(),
            found(billing(), kept_with(|kept| kept.pat.state = PatState::Pending { until: NOW })),
            true,
            Reason::Lapsed,
        )
        .counted(BILLING),
        row(
            "a person's token",
            bearer(),
            found(None, kept_with(|kept| kept.account = account(PERSON, "ann"))),
            true,
            Reason::UnknownToken,
        ),
    ];
    let pending = || {
        kept_with(|kept| kept.pat.state = PatState::Pending { until: NOW.plus(std::time::Duration::from_millis(1)) })
    };
    rows.push(row("pending", right(), found(billing(), pending()), true, Reason::Pending).uncharged());
    rows.push(
        row(
            "pending, under another name",
            basic("nobody", token().expose()),
            found(None, pending()),
            true,
            Reason::Pending,
        )
        .uncharged(),
    );
    rows.push(
        row("a wrong secret for a pending one", right(), found(billing(), pending()), false, Reason::WrongSecret)
            .guessed(BILLING),
    );
    rows
}

fn judged(row: &Row, counts: Counts) -> Refusal {
    let address = Some("192.0.2.7".parse().unwrap());
    let case = Case { presented: &row.presented, found: &row.found, secret_agrees: row.agrees, address, now: NOW };
    match case.judge(counts) {
        Judgement::Bad(refusal) => refusal,
        Judgement::Good(_) => panic!("{}: accepted", row.what),
    }
}

/// L6, L9, L10, T3, T10, G2: who is charged and who is told, for every refusal, in both modes.
#[test]
fn every_refusal_charges_whom_the_mode_says() {
    for row in rows() {
        let (literal, guesses) = (judged(&row, Counts::EveryFailure), judged(&row, Counts::Guesses));
        assert_eq!((literal.reason, guesses.reason), (row.reason, row.reason), "{}", row.what);
        assert_eq!((literal.charged, guesses.charged), (row.every_failure, row.guesses), "{}", row.what);
        assert_eq!(guesses.told, row.told, "{}", row.what);
        // In the literal mode a stale token is a counted failure, which is an action by itself.
        let always = row.told.filter(|told| matches!(told, Told::OutsideNetworks(_)));
        assert_eq!(literal.told, always, "{}", row.what);
    }
}

/// T2, T10, G2: right, and until the last millisecond.
#[test]
fn a_right_token_is_good_with_its_own_username_or_without_one() {
    let found = found(billing(), Some(kept()));
    for presented in [basic("billing", token().expose()), bearer()] {
        let case = Case { presented: &presented, found: &found, secret_agrees: true, address: None, now: NOW };
        assert!(matches!(case.judge(Counts::EveryFailure), Judgement::Good(kept) if kept.account.id == BILLING));
        let later = Case { now: NOW.plus(std::time::Duration::from_millis(1)), ..case };
        assert!(
            matches!(later.judge(Counts::EveryFailure), Judgement::Bad(refusal) if refusal.reason == RefusalReason::Expired)
        );
    }
}

/// L6: in the mode for strangers, nothing but a wrong secret for a public id of the account counts.
#[test]
fn strangers_can_charge_an_account_only_by_guessing_its_secret() {
    for row in rows() {
        if let Charged::Account(..) = judged(&row, Counts::Guesses).charged {
            assert_eq!(row.reason, RefusalReason::WrongSecret, "{}", row.what);
        }
    }
}
