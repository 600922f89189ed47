//! What is accepted, and for how long.

use std::sync::Arc;
use std::time::Duration;

use locum::authn::{Proven, RefusalReason, Verdict};
use locum::clock::Timestamp;
use locum::directory::{AppName, LastUse, Networks, PatState};

use super::house::{DAY, House, Plan, START, address, basic, bearer, pepper_line};

pub(crate) fn proven(verdict: Verdict) -> Arc<Proven> {
    match verdict {
        Verdict::Proven(proven) => proven,
        other => panic!("not proven: {other:?}"),
    }
}

pub(crate) fn reason(verdict: &Verdict) -> RefusalReason {
    match verdict {
        Verdict::Refused(reason) => *reason,
        other => panic!("not refused: {other:?}"),
    }
}

/// G2: a username with its token, and a token alone; what is proven says who and whose.
#[tokio::test]
async fn a_good_token_is_proven_and_then_recalled() {
    let house = House::open().await;
    let ann = house.person("ann").await;
    let billing = house.proxy("billing", ann).await;
    let token = house.pat(billing).await;
    for header in [basic("billing", token.expose()), bearer(&token)] {
        assert!(house.recall(&header).is_none());
        let first = proven(house.ask(&header).await);
        assert_eq!((first.account, first.username.as_str()), (billing, "billing"));
        assert_eq!(first.owner.as_ref().map(|(id, name)| (*id, name.as_str())), Some((ann, "ann")));
        assert_eq!((first.pat, first.service.as_str()), (token.public_id(), "nightly export"));
        assert!(Arc::ptr_eq(&first, &house.recall(&header).unwrap()));
    }
}

/// CA-003: every bit of what was presented is in what is remembered.
#[tokio::test]
async fn no_changed_bit_of_a_known_credential_is_recalled() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let token = house.pat(billing).await;
    proven(house.ask(&basic("billing", token.expose())).await);
    let text = format!("billing:{}", token.expose());
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
        let changed = String::from_utf8(bytes).unwrap();
        let (username, password) = changed.split_once(':').unwrap_or((&changed, ""));
        assert!(house.recall(&basic(username, password)).is_none(), "at {at}");
    }
}

/// L4, T5: what is known is known again after a restart, and the cache of the one before is not needed.
#[tokio::test]
async fn a_good_token_is_good_after_a_restart() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let header = bearer(&house.pat(billing).await);
    proven(house.ask(&header).await);
    let house = house.restarted(Plan::default()).await;
    assert!(house.recall(&header).is_none());
    proven(house.ask(&header).await);
}

/// T2, T10: invalid *at* the instant, in the cache too, and no process has to have run.
#[tokio::test]
async fn a_token_ends_at_its_instant() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let header = bearer(&house.pat_with(billing, |pat| pat.expires_at = START.plus(DAY)).await);
    proven(house.ask(&header).await);
    house.clock.set(Timestamp::from_millis(START.plus(DAY).as_millis() - 1));
    assert!(house.recall(&header).is_some());
    house.clock.set(START.plus(DAY));
    assert!(house.recall(&header).is_none());
    assert_eq!(reason(&house.ask(&header).await), RefusalReason::Expired);
}

/// T3: a right token that is pending is refused, is no failure, and is good once it is confirmed.
#[tokio::test]
async fn a_pending_token_is_refused_never_counted_and_good_when_confirmed() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let until = START.plus(Duration::from_mins(15));
    let token = house.pat_with(billing, |pat| pat.state = PatState::Pending { until }).await;
    let header = basic("billing", token.expose());
    for _ in 0..20 {
        assert_eq!(reason(&house.ask(&header).await), RefusalReason::Pending);
    }
    assert_eq!(house.on_record(billing).await, 0);
    assert!(house.is_active(billing).await);
    let mut pat = house.pat_state(token.public_id()).await;
    pat.confirm(house.now()).unwrap();
    house
        .change(locum::history::ActionType::PatConfirmed, billing, move |writer| {
            Box::pin(async move { writer.save_pat_state(&pat).await })
        })
        .await;
    house.subjects.widen(billing);
    proven(house.ask(&header).await);
}

/// T1, L10: a token that names networks holds in them only, in the cache too.
#[tokio::test]
async fn a_token_holds_inside_its_networks_only() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let networks = Networks::from_iter(["198.51.100.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
    let token = house.pat_with(billing, |pat| pat.restrictions.networks = networks).await;
    let header = basic("billing", token.expose());
    for inside in ["198.51.100.9", "2001:db8::1", "::ffff:198.51.100.9"] {
        proven(house.ask_from(&header, inside).await);
    }
    let presented = house.presented(&header);
    for outside in ["192.0.2.7", "2001:db9::1"] {
        assert!(house.authn.recall(&presented, address(outside), house.now()).is_none());
        assert_eq!(reason(&house.ask_from(&header, outside).await), RefusalReason::OutsideNetworks);
    }
    assert!(house.authn.recall(&presented, None, house.now()).is_none());
    assert_eq!(house.on_record(billing).await, 0);
}

/// L10, R2: an account that is bound to networks is let in from there only, at once, whatever was proven
/// before; an attempt from elsewhere is none on the account, be it a good one, a guess or nonsense.
#[tokio::test]
async fn an_account_holds_inside_its_networks_only() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let narrow = Networks::from_iter(["198.51.100.0/25".parse().unwrap()]);
    let token = house.pat(billing).await;
    let narrowed = house.pat_with(billing, |pat| pat.restrictions.networks = narrow).await;
    let (header, narrowed) = (basic("billing", token.expose()), basic("billing", narrowed.expose()));
    proven(house.ask_from(&header, "192.0.2.7").await);

    let networks = Networks::from_iter(["198.51.100.0/24".parse().unwrap()]);
    house
        .change(locum::history::ActionType::ProxyUserNetworksChanged, billing, move |writer| {
            Box::pin(async move { writer.set_networks(billing, &networks).await })
        })
        .await;
    house.subjects.narrow(billing);
    let presented = house.presented(&header);
    assert!(house.authn.recall(&presented, address("192.0.2.7"), house.now()).is_none());
    for _ in 0..6 {
        for outside in [&header, &narrowed, &basic("billing", "nonsense"), &bearer(&token)] {
            assert_eq!(reason(&house.ask_from(outside, "192.0.2.7").await), RefusalReason::OutsideNetworks);
        }
    }
    assert_eq!(house.on_record(billing).await, 0);
    proven(house.ask_from(&header, "198.51.100.200").await);
    proven(house.ask_from(&narrowed, "198.51.100.9").await);
    assert_eq!(reason(&house.ask_from(&narrowed, "198.51.100.200").await), RefusalReason::OutsideNetworks);
    assert!(house.authn.recall(&presented, address("192.0.2.7"), house.now()).is_none(), "proven from inside only");
    assert_eq!(reason(&house.ask_from(&basic("billing", "nonsense"), "198.51.100.9").await), MALFORMED);
    assert_eq!(house.on_record(billing).await, 1, "from inside it is an attempt like any other");
}

const MALFORMED: RefusalReason = RefusalReason::Malformed(locum::authn::Fault::Shape);

/// T5: new tokens use the newest pepper; where an old one is missing, that is no attempt of the client's.
#[tokio::test]
async fn a_missing_pepper_is_nobodys_attempt() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let old = bearer(&house.pat(billing).await);
    let both = Plan { peppers: pepper_line(1) + &pepper_line(2), ..Plan::default() };
    let house = house.restarted(both).await;
    let new = bearer(&house.pat(billing).await);
    proven(house.ask(&new).await);
    let house = house.restarted(Plan { peppers: pepper_line(2), ..Plan::default() }).await;
    proven(house.ask(&new).await);
    for _ in 0..6 {
        assert!(matches!(house.ask(&old).await, Verdict::Unavailable));
    }
    assert_eq!(house.on_record(billing).await, 0);
    assert!(house.is_active(billing).await);
}

/// T5, PT-003: a token that is used moves to the newest pepper, and needs the old one no more.
#[tokio::test]
async fn a_used_token_moves_to_the_newest_pepper() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let header = basic("billing", house.pat(billing).await.expose());
    let house = house.restarted(Plan { peppers: pepper_line(1) + &pepper_line(2), ..Plan::default() }).await;
    proven(house.ask(&header).await);
    let house = house.restarted(Plan { peppers: pepper_line(2), ..Plan::default() }).await;
    proven(house.ask(&header).await);
}

/// PT-004
#[tokio::test]
async fn revoking_one_of_two_tokens_leaves_the_other() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let (one, two) = (house.pat(billing).await, house.pat(billing).await);
    proven(house.ask(&bearer(&one)).await);
    proven(house.ask(&bearer(&two)).await);
    house.revoke(one.public_id()).await;
    assert_eq!(reason(&house.ask(&bearer(&one)).await), RefusalReason::Revoked);
    proven(house.ask(&bearer(&two)).await);
}

/// T8: the last use of a recalled credential is written down, in batches.
#[tokio::test]
async fn the_last_use_of_a_token_is_written_off_the_path() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let token = house.pat(billing).await;
    proven(house.ask(&bearer(&token)).await);
    house.clock.advance(Duration::from_mins(1));
    let address = Some("192.0.2.9".parse().unwrap());
    let (app, other) = (AppName::parse("blog").unwrap(), AppName::parse("wiki").unwrap());
    let known = house.recall(&bearer(&token)).unwrap();
    known.is_used(address, &app);
    // Within the same half minute: what is noted is one use, not a mixture of two.
    known.is_used(None, &other);
    drop(known);
    let house = house.restarted(Plan::default()).await;
    let used = house.pat_state(token.public_id()).await.last_used;
    assert_eq!(used, Some(LastUse { at: START.plus(Duration::from_mins(1)), address, app: Some(app) }));
}
