//! What is refused: one answer outside; inside, who is charged and what is written.

use locum::authn::{Fault, RefusalReason, Verdict};
use locum::directory::owner_cascade::Change;
use locum::directory::{AccountId, Networks, PatState, Token, TokenKind};
use locum::history::{ActionType, Value};

use super::accepted::{proven, reason};
use super::house::{DAY, House, Plan, START, basic, bearer, random};

/// One refused attempt: what is presented from where, and what it has to come to.
struct Row {
    header: String,
    reason: RefusalReason,
    /// The account on whose record a failure appears, in each mode.
    every_failure: Option<AccountId>,
    guesses: Option<AccountId>,
    /// The action about billing in the mode for strangers, beside counted failures.
    told: Option<ActionType>,
}

/// A house with one proxy user for each way to be refused.
async fn table(house: &House) -> Vec<Row> {
    let ann = house.person("ann").await;
    let mut rows = Vec::new();
    let mut row = |header: String, reason, every_failure, guesses, told| {
        rows.push(Row { header, reason, every_failure, guesses, told });
    };
    let end = START.plus(DAY);

    let nonsense = house.proxy("nonsense", ann).await;
    row(basic("nonsense", "x"), RefusalReason::Malformed(Fault::Shape), Some(nonsense), None, None);
    let long = house.proxy("long", ann).await;
    row(basic("long", &"x".repeat(10 * 1024)), RefusalReason::Malformed(Fault::TooLong), Some(long), None, None);
    let typo = house.proxy("typo", ann).await;
    let mut mistyped = house.pat(typo).await.expose().to_owned();
    mistyped.replace_range(30..31, if mistyped.as_bytes()[30] == b'x' { "y" } else { "x" });
    row(basic("typo", &mistyped), RefusalReason::Malformed(Fault::Checksum), Some(typo), None, None);
    let other = house.proxy("other", ann).await;
    let key = Token::generate(TokenKind::AdminApi, "", random);
    row(basic("other", key.expose()), RefusalReason::Malformed(Fault::Kind), Some(other), None, None);

    row(basic("nobody", "x"), RefusalReason::UnknownUser, None, None, None);
    row(basic("ann", "x"), RefusalReason::UnknownUser, None, None, None);
    let unknown = house.proxy("unknown", ann).await;
    let stranger = Token::generate(TokenKind::PersonalAccess, "", random);
    row(basic("unknown", stranger.expose()), RefusalReason::UnknownToken, Some(unknown), None, None);
    row(bearer(&stranger), RefusalReason::UnknownToken, None, None, None);

    let guessed = house.proxy("guessed", ann).await;
    let shown = Token::generate(TokenKind::PersonalAccess, "", random);
    house.keep(guessed, &shown, &stranger, house.peppers.newest(), |_| {}).await;
    row(basic("guessed", shown.expose()), RefusalReason::WrongSecret, Some(guessed), Some(guessed), None);

    let (lender, borrower) = (house.proxy("lender", ann).await, house.proxy("borrower", ann).await);
    let lent = house.pat(lender).await;
    row(basic("borrower", lent.expose()), RefusalReason::WrongUsername, Some(borrower), None, None);

    let away = house.proxy("away", ann).await;
    let networks = Networks::from_iter(["198.51.100.0/24".parse().unwrap()]);
    let token = house.pat_with(away, |pat| pat.restrictions.networks = networks).await;
    row(basic("away", token.expose()), RefusalReason::OutsideNetworks, None, None, Some(ActionType::OutsideNetworks));

    let (confined, named) = (house.proxy("confined", ann).await, house.proxy("named", ann).await);
    let token = house.pat(confined).await;
    for account in [confined, named] {
        let networks = Networks::from_iter(["198.51.100.0/24".parse().unwrap()]);
        house
            .change(ActionType::ProxyUserNetworksChanged, account, move |writer| {
                Box::pin(async move { writer.set_networks(account, &networks).await })
            })
            .await;
    }
    let told = Some(ActionType::OutsideNetworks);
    row(basic("confined", token.expose()), RefusalReason::OutsideNetworks, None, None, told);
    row(basic("named", "nonsense"), RefusalReason::OutsideNetworks, None, None, None);

    let revoked = house.proxy("revoked", ann).await;
    let token = house.pat(revoked).await;
    house.revoke(token.public_id()).await;
    let stale = Some(ActionType::StaleCredential);
    row(basic("revoked", token.expose()), RefusalReason::Revoked, Some(revoked), None, stale);
    let expired = house.proxy("expired", ann).await;
    let token = house.pat_with(expired, |pat| pat.expires_at = end).await;
    row(basic("expired", token.expose()), RefusalReason::Expired, Some(expired), None, stale);
    let lapsed = house.proxy("lapsed", ann).await;
    let token = house.pat_with(lapsed, |pat| pat.state = PatState::Pending { until: end }).await;
    row(basic("lapsed", token.expose()), RefusalReason::Lapsed, Some(lapsed), None, None);
    let pending = house.proxy("pending", ann).await;
    let until = end.plus(DAY);
    let token = house.pat_with(pending, |pat| pat.state = PatState::Pending { until }).await;
    row(basic("pending", token.expose()), RefusalReason::Pending, None, None, None);

    let inactive = house.proxy("inactive", ann).await;
    let token = house.pat(inactive).await;
    house.apply(ActionType::ProxyUserMarkedInactive, vec![Change::Inactivated { account: inactive }]).await;
    row(basic("inactive", token.expose()), RefusalReason::AccountInactive, None, None, stale);
    let bob = house.person("bob").await;
    let orphan = house.proxy("orphan", bob).await;
    let token = house.pat(orphan).await;
    // The cascade would shut the proxy user too (P13); it is checked again where it matters.
    house.apply(ActionType::UserMarkedInactive, vec![Change::Inactivated { account: bob }]).await;
    row(basic("orphan", token.expose()), RefusalReason::OwnerInactive, Some(orphan), None, None);
    house.clock.set(end);
    rows
}

async fn who(house: &House, header: &str) -> AccountId {
    use base64::Engine as _;
    let Some(encoded) = header.strip_prefix("Basic ") else { return AccountId::from_bytes([0; 16]) };
    let text = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
    let text = String::from_utf8(text).unwrap();
    let username = text.split(':').next().unwrap();
    let found = house.store.read().await.unwrap().look_up(Some(username), None).await.unwrap();
    found.named.map_or(AccountId::from_bytes([0; 16]), |account| account.id)
}

async fn every_row(plan: Plan, charged: fn(&Row) -> Option<AccountId>, tells: bool) {
    let house = House::with(plan.clone()).await;
    let mut asked = Vec::new();
    for row in table(&house).await {
        let what = row.reason.slug();
        let before = house.steps.taken();
        let verdict = house.ask(&row.header).await;
        assert_eq!(reason(&verdict), row.reason);
        assert_eq!(house.steps.taken() - before, 1, "{what}: one step of the counter, whatever it is");
        let named = who(&house, &row.header).await;
        let counted = charged(&row);
        assert_eq!(house.on_record(named).await, u32::from(counted == Some(named)), "{what}");
        let told = row.told.filter(|told| tells || *told == ActionType::OutsideNetworks);
        if told.is_some() {
            // A worker that goes on presenting it is told of once an hour, not once a request.
            house.ask(&row.header).await;
        }
        asked.push((what, named, counted, told));
    }
    let house = house.restarted(plan).await;
    for (what, named, counted, told) in asked {
        for kind in [ActionType::StaleCredential, ActionType::OutsideNetworks] {
            let expected = usize::from(told == Some(kind));
            assert_eq!(house.actions(kind, named).await.len(), expected, "{what}: {}", kind.slug());
        }
        let entries = house.actions(ActionType::AttemptFailed, named).await;
        assert_eq!(entries.len(), usize::from(counted == Some(named)), "{what}");
        for entry in entries {
            assert!(!entry.changed);
            assert_eq!(entry.action.address, super::house::address(super::house::HOME));
            let written = |field: &str| {
                entry.action.details.iter().find(|detail| detail.field == field).and_then(|detail| detail.after.clone())
            };
            assert_eq!(written("reason"), Some(Value::Clear(what.to_owned())));
            assert_eq!(written("failures"), Some(Value::Clear("1".to_owned())));
        }
    }
}

/// L4, L6, L9, L10, T3, T10, P10, P13: each refusal by its reason in the literal mode; the answer is the
/// same variant, what is written differs.
#[tokio::test]
async fn every_refusal_counts_by_the_letter() {
    every_row(Plan::default(), |row| row.every_failure, false).await;
}

/// L6: the same attempts in the mode for gateways that strangers can reach.
#[tokio::test]
async fn strangers_count_only_by_guessing_and_owners_are_told_of_stale_tokens() {
    every_row(Plan::guesses(), |row| row.guesses, true).await;
}

/// G2, L6: the same names without a token, and what names nobody.
#[tokio::test]
async fn what_names_nobody_is_refused_and_charged_to_no_account() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    house.pat(billing).await;
    for header in ["Basic", "Basic !!!", "Basic YmlsbGluZw==", "Bearer locum_pat_short"] {
        for _ in 0..6 {
            assert!(matches!(reason(&house.ask(header).await), RefusalReason::Malformed(_)), "{header}");
        }
    }
    assert_eq!(house.steps.taken(), 0, "what names nobody ends at its checksum");
    assert_eq!(house.on_record(billing).await, 0);
}

/// AU-010, AU-011, AU-012: no other spelling reaches the account, its count or its lock.
#[tokio::test]
async fn other_spellings_of_a_username_are_somebody_who_does_not_exist() {
    let house = House::open().await;
    let billing = house.proxy("Billing", house.person("ann").await).await;
    let token = house.pat(billing).await;
    let spellings = [
        "billing",
        "BILLING",
        " Billing",
        "Billing ",
        "Billing\t",
        "Billing\0",
        "Bill\u{200d}ing",
        "Ｂilling",
        "Billing@corp",
        "\u{feff}Billing",
        "",
    ];
    for spelling in spellings.into_iter().chain([&*"Billing".repeat(43), &*"u".repeat(300)]) {
        for _ in 0..6 {
            let reason = reason(&house.ask(&basic(spelling, "nonsense")).await);
            let nobody = [RefusalReason::UnknownUser, RefusalReason::Malformed(Fault::TooLong)];
            assert!(nobody.contains(&reason), "{spelling:?}: {reason:?}");
        }
    }
    assert_eq!(house.on_record(billing).await, 0);
    proven(house.ask(&basic("Billing", token.expose())).await);
}

/// L9: a person's username is as good as unknown, and no number of attempts shuts a person.
#[tokio::test]
async fn a_person_is_never_counted_and_never_shut() {
    let house = House::open().await;
    let ann = house.person("ann").await;
    for _ in 0..20 {
        assert_eq!(reason(&house.ask(&basic("ann", "nonsense")).await), RefusalReason::UnknownUser);
    }
    assert_eq!(house.on_record(ann).await, 0);
    assert!(house.is_active(ann).await);
    assert!(house.actions(ActionType::AttemptFailed, ann).await.is_empty());
}

/// L4: nobody can judge without a store; that is nobody's failure.
#[tokio::test]
async fn without_a_store_the_answer_is_unavailable() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let known = bearer(&house.pat(billing).await);
    let unknown = bearer(&house.pat(billing).await);
    proven(house.ask(&known).await);
    house.store.close().await;
    assert!(house.recall(&known).is_some());
    assert!(matches!(house.ask(&unknown).await, Verdict::Unavailable));
    assert!(matches!(house.ask(&basic("billing", "x")).await, Verdict::Unavailable));
}
