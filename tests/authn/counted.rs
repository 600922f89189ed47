//! Failures in a row, good credentials between them, and many at once.

use std::sync::Arc;

use futures_util::FutureExt as _;
use locum::authn::{RefusalReason, Source, Verdict};
use locum::directory::owner_cascade::Change;
use locum::history::ActionType;

use super::accepted::{proven, reason};
use super::house::{House, Plan, address, basic, bearer};

/// L1, L2: the fifth shuts; nothing that starts afterwards is accepted, not from the cache either.
#[tokio::test]
async fn the_fifth_failure_shuts_the_account_for_whatever_starts_afterwards() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let good = basic("billing", house.pat(billing).await.expose());
    proven(house.ask(&good).await);
    for _ in 0..5 {
        house.ask(&basic("billing", "nonsense")).await;
    }
    assert!(house.recall(&good).is_none());
    let refused = reason(&house.ask(&good).await);
    assert!(matches!(refused, RefusalReason::Locked | RefusalReason::AccountInactive), "{refused:?}");
    house.actions_when(ActionType::AttemptsLocked, billing, 1).await;
    assert!(!house.is_active(billing).await);
    assert_eq!(house.actions_when(ActionType::AttemptFailed, billing, 5).await.len(), 5);
    assert_eq!(reason(&house.ask(&good).await), RefusalReason::AccountInactive);
}

/// L1, AU-003: failures in a row have no window: five over ninety days shut as five at once do.
#[tokio::test]
async fn five_failures_over_ninety_days_shut_the_account() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    for _ in 0..5 {
        assert!(house.is_active(billing).await);
        house.clock.advance(std::time::Duration::from_hours(18 * 24));
        house.ask(&basic("billing", "nonsense")).await;
    }
    house.actions_when(ActionType::AttemptsLocked, billing, 1).await;
    assert!(!house.is_active(billing).await);
}

/// L1, L3: a success in between starts the count again, and only then is the counter asked.
#[tokio::test]
async fn a_success_in_between_starts_the_count_again() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let good = basic("billing", house.pat(billing).await.expose());
    for _ in 0..4 {
        for _ in 0..4 {
            house.ask(&basic("billing", "nonsense")).await;
        }
        assert_eq!(house.on_record(billing).await, 4);
        assert!(house.recall(&good).is_none());
        proven(house.ask(&good).await);
        assert_eq!(house.on_record(billing).await, 0);
        assert!(house.recall(&good).is_some());
    }
    assert!(house.is_active(billing).await);
}

/// L3: no good credential asks the counter for anything while no failure is on record, and once when
/// there is one.
#[tokio::test]
async fn a_good_credential_asks_no_counter_while_nothing_is_on_record() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let good = basic("billing", house.pat(billing).await.expose());
    for _ in 0..10 {
        house.subjects.widen(billing);
        proven(house.ask(&good).await);
        proven(house.ask(&good).await);
    }
    assert_eq!(house.steps.taken(), 0);
    house.ask(&basic("billing", "nonsense")).await;
    assert_eq!(house.steps.taken(), 1);
    for _ in 0..10 {
        proven(house.ask(&good).await);
    }
    assert_eq!(house.steps.taken(), 2);
}

/// P11, AU-004: the next life begins with none, with its old tokens dead.
#[tokio::test]
async fn an_account_that_was_shut_and_made_active_counts_from_none() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let old = bearer(&house.pat(billing).await);
    for _ in 0..5 {
        house.ask(&basic("billing", "nonsense")).await;
    }
    house.actions_when(ActionType::AttemptsLocked, billing, 1).await;
    house.apply(ActionType::ProxyUserMarkedActive, vec![Change::Activated { account: billing }]).await;
    let new = bearer(&house.pat(billing).await);
    for _ in 0..4 {
        house.ask(&basic("billing", "nonsense")).await;
    }
    assert!(house.is_active(billing).await);
    proven(house.ask(&new).await);
    assert_eq!(reason(&house.ask(&old).await), RefusalReason::Revoked);
}

/// AU-031: good credentials in great number while failures are on record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_good_ones_at_once_pass_with_four_failures_on_record() {
    let house = Arc::new(House::open().await);
    let billing = house.proxy("billing", house.person("ann").await).await;
    let good = basic("billing", house.pat(billing).await.expose());
    for _ in 0..4 {
        house.ask(&basic("billing", "nonsense")).await;
    }
    let asked: Vec<_> = (0..1000)
        .map(|_| {
            let (house, good) = (Arc::clone(&house), good.clone());
            tokio::spawn(async move { house.ask(&good).await })
        })
        .collect();
    for verdict in asked {
        proven(verdict.await.unwrap());
    }
    assert_eq!(house.on_record(billing).await, 0);
}

/// L2: of many at once the fifth shuts, once; identical bad ones are attempts of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_bad_ones_at_once_five_count_and_one_shuts() {
    let house = Arc::new(House::open().await);
    let billing = house.proxy("billing", house.person("ann").await).await;
    let other = house.pat(house.proxy("other", house.person("bob").await).await).await;
    let asked: Vec<_> = (0..300)
        .map(|_| {
            let (house, bad) = (Arc::clone(&house), basic("billing", other.expose()));
            tokio::spawn(async move { house.ask(&bad).await })
        })
        .collect();
    for verdict in asked {
        reason(&verdict.await.unwrap());
    }
    house.actions_when(ActionType::AttemptsLocked, billing, 1).await;
    let house = Arc::into_inner(house).expect("everybody was answered").restarted(Plan::default()).await;
    assert_eq!(house.actions(ActionType::AttemptFailed, billing).await.len(), 5);
    assert_eq!(house.actions(ActionType::AttemptsLocked, billing).await.len(), 1);
    assert!(!house.is_active(billing).await);
}

/// L2: hanging up before the answer does not undo the failure.
#[tokio::test]
async fn an_attempt_whose_caller_hangs_up_is_counted() {
    let house = House::open().await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    for _ in 0..4 {
        let presented = house.presented(&basic("billing", "nonsense"));
        let judging = house.authn.judge(presented, Source { address: None }, house.now());
        assert!(judging.now_or_never().is_none(), "it is answered before it could be judged");
    }
    house.actions_when(ActionType::AttemptFailed, billing, 4).await;
    assert_eq!(house.on_record(billing).await, 4);
}

/// L8: what is throttled is not judged and not counted; what is proven here passes.
#[tokio::test]
async fn a_throttled_source_passes_only_with_what_is_proven_here() {
    let house = House::with(Plan { burst: 20, ..Plan::default() }).await;
    let ann = house.person("ann").await;
    let (billing, reports) = (house.proxy("billing", ann).await, house.proxy("reports", ann).await);
    let known = basic("billing", house.pat(billing).await.expose());
    let unknown = basic("reports", house.pat(reports).await.expose());
    let bad = basic("billing", "nonsense");
    proven(house.ask(&known).await);
    for attempt in 0..20 {
        let bad = if attempt < 2 { bad.clone() } else { basic("nobody", "nonsense") };
        reason(&house.ask(&bad).await);
    }
    for header in [&bad, &unknown, &"Bearer locum_pat_junk".to_owned()] {
        let Verdict::Throttled(wait) = house.ask(header).await else { panic!("{header} was judged") };
        assert!(wait.as_secs() <= 1);
        assert!(house.authn.throttled(&house.presented(header), address(super::house::HOME), house.now()).is_some());
    }
    assert_eq!(house.on_record(billing).await, 2);
    // Two failures are on record, so it is judged again, from the throttled source too.
    assert!(house.recall(&known).is_none());
    proven(house.ask(&known).await);
    assert!(house.recall(&known).is_some());
    proven(house.ask_from(&unknown, "192.0.2.8").await);
}

/// L8: only failures are charged.
#[tokio::test]
async fn good_credentials_charge_no_source() {
    let house = House::with(Plan { burst: 3, ..Plan::default() }).await;
    let ann = house.person("ann").await;
    for index in 0..20 {
        let account = house.proxy(&format!("worker-{index}"), ann).await;
        proven(house.ask(&bearer(&house.pat(account).await)).await);
    }
}

/// L4: every class of refusal waits for the grid, counted from its start.
#[tokio::test]
async fn no_refusal_leaves_before_its_tick() {
    let quantum = std::time::Duration::from_millis(40);
    let house = House::with(Plan { quantum, ..Plan::default() }).await;
    let billing = house.proxy("billing", house.person("ann").await).await;
    let token = house.pat(billing).await;
    house.revoke(token.public_id()).await;
    for header in [basic("billing", "x"), basic("nobody", "x"), basic("billing", token.expose()), bearer(&token)] {
        let started = std::time::Instant::now();
        reason(&house.ask(&header).await);
        assert!(started.elapsed() >= quantum, "{header} left early");
    }
}
