//! What a cache may answer after a change, and what a reading that raced with one is worth (R2).

use std::sync::Arc;

use locum::authn::{RefusalReason, Verdict};
use locum::directory::owner_cascade::Change;
use locum::history::ActionType;

use super::accepted::{proven, reason};
use super::house::{House, bearer};

/// R2: after a revocation returns, the next request is refused, on every thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_refused_by_the_next_recall() {
    let house = Arc::new(House::open().await);
    let billing = house.proxy("billing", house.person("ann").await).await;
    let token = house.pat(billing).await;
    let header = bearer(&token);
    proven(house.ask(&header).await);
    assert!(house.recall(&header).is_some());
    let other_thread = {
        let (house, header) = (Arc::clone(&house), header.clone());
        move || std::thread::spawn(move || house.recall(&header).is_some()).join().unwrap()
    };
    assert!(other_thread.clone()());
    house.revoke(token.public_id()).await;
    assert!(house.recall(&header).is_none());
    assert!(!other_thread());
    assert_eq!(reason(&house.ask(&header).await), RefusalReason::Revoked);
}

/// R2, P10, P13: each change that narrows ends what was proven.
#[tokio::test]
async fn shutting_the_account_or_its_owner_ends_what_was_proven() {
    let house = House::open().await;
    let ann = house.person("ann").await;
    let billing = house.proxy("billing", ann).await;
    let header = bearer(&house.pat(billing).await);
    let bob = house.person("bob").await;
    let reports = house.proxy("reports", bob).await;
    let stranger = bearer(&house.pat(reports).await);
    proven(house.ask(&header).await);
    proven(house.ask(&stranger).await);
    house.apply(ActionType::UserMarkedInactive, vec![Change::Inactivated { account: ann }]).await;
    assert!(house.recall(&header).is_none());
    assert_eq!(reason(&house.ask(&header).await), RefusalReason::OwnerInactive);
    house.apply(ActionType::UserMarkedActive, vec![Change::Activated { account: ann }]).await;
    proven(house.ask(&header).await);
    house.apply(ActionType::ProxyUserMarkedInactive, vec![Change::Inactivated { account: billing }]).await;
    assert_eq!(reason(&house.ask(&header).await), RefusalReason::AccountInactive);
    assert!(house.recall(&stranger).is_some(), "one account's change empties no cache");
}

/// P11, CA: activating does not bring a warm cache's revoked tokens back.
#[tokio::test]
async fn a_revoked_token_stays_dead_through_inactive_and_active() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let header = bearer(&house.pat(billing).await);
    proven(house.ask(&header).await);
    house.apply(ActionType::ProxyUserMarkedInactive, vec![Change::Inactivated { account: billing }]).await;
    house.apply(ActionType::ProxyUserMarkedActive, vec![Change::Activated { account: billing }]).await;
    assert!(house.recall(&header).is_none());
    assert_eq!(reason(&house.ask(&header).await), RefusalReason::Revoked);
}

/// CC-003, R2: whatever races, nothing that was read before a revocation is used after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_that_raced_with_a_revocation_is_never_used() {
    let house = Arc::new(House::open().await);
    let billing = house.proxy("billing", house.person("ann").await).await;
    let (mut before, mut after) = (0, 0);
    for round in 0..100 {
        let token = house.pat(billing).await;
        let header = bearer(&token);
        let revoking = {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.revoke(token.public_id()).await })
        };
        while !revoking.is_finished() {
            // Something else about the account changes all the time, so that each question reads anew.
            house.subjects.widen(billing);
            match house.ask(&header).await {
                Verdict::Proven(_) => before += 1,
                Verdict::Refused(reason) => {
                    assert!(matches!(reason, RefusalReason::Revoked | RefusalReason::Locked), "{reason:?}");
                    after += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        revoking.await.unwrap();
        assert!(house.recall(&header).is_none(), "round {round}: a revoked token is recalled");
        if !house.is_active(billing).await {
            house.apply(ActionType::ProxyUserMarkedActive, vec![Change::Activated { account: billing }]).await;
        }
    }
    assert!(before > 0 && after > 0, "nothing raced: {before} before, {after} after");
}
