//! Checking a token without side effects (T13).

use std::time::Duration;

use locum::authn::{Checked, check};
use locum::directory::owner_cascade::Change;
use locum::directory::pat::Standing;
use locum::directory::{AppName, Holding, Networks, PatState, RoleName, Token, TokenKind};
use locum::history::ActionType;

use super::house::{DAY, House, START, address, random};

async fn checked(house: &House, token: &str, from: &str) -> Checked {
    check(&house.store, &house.peppers, "", token, address(from), house.now()).await.unwrap()
}

/// T13: what is not proven to the bit gets one answer.
#[tokio::test]
async fn whatever_does_not_prove_the_secret_gets_one_answer() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let (shown, hashed) = (generate(), generate());
    house.keep(billing, &shown, &hashed, house.peppers.newest(), |_| {}).await;
    let key = Token::generate(TokenKind::AdminApi, "", random);
    for token in [shown.expose(), generate().expose(), key.expose(), "nonsense", ""] {
        assert_eq!(checked(&house, token, "192.0.2.7").await, Checked::Unknown);
    }
    assert_eq!(house.on_record(billing).await, 0);
}

fn generate() -> Token {
    Token::generate(TokenKind::PersonalAccess, "", random)
}

/// T13: state, days left, account, and what it reaches from a source; no use is recorded, nothing counted.
#[tokio::test]
async fn a_check_tells_state_days_left_and_reach_without_side_effects() {
    let house = House::open().await;
    let ann = house.person("ann").await;
    let billing = house.proxy("billing", ann).await;
    let (wiki, shop) = (AppName::parse("wiki").unwrap(), AppName::parse("shop").unwrap());
    let role = RoleName::parse("wiki/reader").unwrap();
    house.define(&role, &[&wiki, &shop]).await;
    let held = [Holding::App(wiki.clone()), Holding::App(shop), Holding::Role(role.clone())];
    for account in [ann, billing] {
        let given = held.iter().map(|holding| Change::Given { account, holding: holding.clone() }).collect();
        house.apply(ActionType::RolesChanged, given).await;
    }
    let token = house
        .pat_with(billing, |pat| {
            pat.expires_at = START.plus(3 * DAY).plus(Duration::from_secs(1));
            pat.restrictions.apps = vec![wiki.clone()];
            pat.restrictions.networks = Networks::from_iter(["192.0.2.0/24".parse().unwrap()]);
        })
        .await;
    let written = house.store.statistics().operations + 1;
    let Checked::Known(report) = checked(&house, &format!("{}\n", token.expose()), "192.0.2.7").await else { panic!() };
    assert_eq!((report.standing, report.days_left, report.usable), (Standing::Usable, 3, true));
    assert_eq!((report.account.as_str(), report.owner.as_ref().unwrap().as_str()), ("billing", "ann"));
    assert_eq!((report.apps.as_slice(), report.roles.as_slice()), ([wiki].as_slice(), [role].as_slice()));

    let Checked::Known(outside) = checked(&house, token.expose(), "198.51.100.1").await else { panic!() };
    assert_eq!((outside.source_allowed, outside.usable, outside.apps.len()), (false, false, 0));
    let networks = Networks::from_iter(["203.0.113.0/24".parse().unwrap()]);
    house
        .change(ActionType::ProxyUserNetworksChanged, billing, move |writer| {
            Box::pin(async move { writer.set_networks(billing, &networks).await })
        })
        .await;
    let Checked::Known(confined) = checked(&house, token.expose(), "192.0.2.7").await else { panic!() };
    assert_eq!((confined.source_allowed, confined.usable), (false, false), "the account's networks hold too");
    house.clock.set(START.plus(4 * DAY));
    let Checked::Known(expired) = checked(&house, token.expose(), "192.0.2.7").await else { panic!() };
    assert_eq!((expired.standing, expired.days_left, expired.usable), (Standing::Expired, 0, false));

    assert_eq!(house.store.statistics().operations, written);
    assert_eq!(house.pat_state(token.public_id()).await.last_used, None);
    assert_eq!(house.on_record(billing).await, 0);
}

/// T13, T3
#[tokio::test]
async fn a_pending_token_is_checked_as_pending() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let until = START.plus(DAY);
    let token = house.pat_with(billing, |pat| pat.state = PatState::Pending { until }).await;
    let Checked::Known(report) = checked(&house, token.expose(), "192.0.2.7").await else { panic!() };
    assert_eq!((report.standing, report.usable), (Standing::Pending, false));
}
