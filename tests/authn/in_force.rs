//! Role sets in force: capped by the owner, fresh after every change (P5, R1, R2).

use std::sync::Arc;

use locum::authz::{InForce, Resolution, Withdrawn};
use locum::directory::owner_cascade::Change;
use locum::directory::{AccountId, Holding, Permission, RoleName};
use locum::history::ActionType;

use super::house::House;

fn in_force(resolution: Resolution) -> Arc<InForce> {
    match resolution {
        Resolution::InForce(in_force) => in_force,
        other => panic!("not in force: {other:?}"),
    }
}

fn reader() -> RoleName {
    RoleName::parse("reader").unwrap()
}

async fn give(house: &House, account: AccountId) {
    let given = Change::Given { account, holding: Holding::Role(reader()) };
    house.apply(ActionType::RolesChanged, vec![given]).await;
}

async fn take(house: &House, account: AccountId) {
    let taken = Change::Taken { account, holding: Holding::Role(reader()) };
    house.apply(ActionType::RolesChanged, vec![taken]).await;
}

/// R1: resolved on demand, then known beside the thread that asked.
#[tokio::test]
async fn a_role_set_is_resolved_once_and_recalled() {
    let house = House::open().await;
    let ann = house.person("ann").await;
    let billing = house.proxy("billing", ann).await;
    house.define(&reader(), &[]).await;
    give(&house, ann).await;
    give(&house, billing).await;
    assert!(house.authz.recall(billing).is_none());
    let first = in_force(house.authz.resolve(billing).await);
    assert!(first.roles.has_role(&reader()));
    assert_eq!(first.owner.as_ref().map(|owner| owner.id), Some(ann));
    assert!(Arc::ptr_eq(&first, &house.authz.recall(billing).unwrap()));
    assert!(Arc::ptr_eq(&first, &in_force(house.authz.resolve(billing).await)));
}

/// P5, P7, R2: what the owner loses, its proxy user has lost before the call returns.
#[tokio::test]
async fn a_role_that_the_owner_loses_is_not_in_force_for_its_proxy_user() {
    let house = House::open().await;
    let ann = house.person("ann").await;
    let billing = house.proxy("billing", ann).await;
    house.define(&reader(), &[]).await;
    give(&house, ann).await;
    give(&house, billing).await;
    assert!(in_force(house.authz.resolve(billing).await).roles.has_role(&reader()));
    // Only the owner's block is bumped here: the stamp covers the owner too.
    take(&house, ann).await;
    assert!(house.authz.recall(billing).is_none());
    assert!(!in_force(house.authz.resolve(billing).await).roles.has_role(&reader()));
}

/// R6: what a role contains is read when it is resolved.
#[tokio::test]
async fn a_role_that_contains_less_grants_less() {
    let house = House::open().await;
    let ann = house.person("ann").await;
    house.define(&reader(), &[]).await;
    give(&house, ann).await;
    let permission = Permission::parse("general:read").unwrap();
    let set = |permissions: std::collections::BTreeSet<Permission>| {
        house.change(ActionType::RoleAccessUpdated, ann, move |writer| {
            Box::pin(async move { writer.set_role_permissions(&reader(), &permissions).await })
        })
    };
    set([permission.clone()].into()).await;
    house.subjects.widen(ann);
    assert!(in_force(house.authz.resolve(ann).await).roles.has_permission(&permission));
    set([].into()).await;
    house.subjects.narrow(ann);
    assert!(house.authz.recall(ann).is_none());
    assert!(!in_force(house.authz.resolve(ann).await).roles.has_permission(&permission));
}

/// P10, P13: an inactive account has no role set, and neither has one whose owner is inactive.
#[tokio::test]
async fn an_inactive_account_or_owner_has_no_role_set() {
    let house = House::open().await;
    let ann = house.person("ann").await;
    let billing = house.proxy("billing", ann).await;
    in_force(house.authz.resolve(billing).await);
    house.apply(ActionType::UserMarkedInactive, vec![Change::Inactivated { account: ann }]).await;
    assert!(house.authz.recall(billing).is_none());
    assert!(matches!(house.authz.resolve(billing).await, Resolution::Withdrawn(Withdrawn::OwnerInactive)));
    assert!(matches!(house.authz.resolve(ann).await, Resolution::Withdrawn(Withdrawn::Inactive)));
    let nobody = AccountId::from_bytes([7; 16]);
    assert!(matches!(house.authz.resolve(nobody).await, Resolution::Withdrawn(Withdrawn::Gone)));
}

/// R2: without a store there is no answer, and certainly no old one.
#[tokio::test]
async fn without_a_store_nothing_new_is_resolved() {
    let house = House::open().await;
    let ann = house.person("ann").await;
    in_force(house.authz.resolve(ann).await);
    house.store.close().await;
    assert!(house.authz.recall(ann).is_some());
    house.subjects.narrow(ann);
    assert!(house.authz.recall(ann).is_none());
    assert!(matches!(house.authz.resolve(ann).await, Resolution::Unavailable));
}

/// CC-003, R2: whatever races, a role set that was read before a change is never used after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_set_that_raced_with_a_change_is_never_used() {
    let house = Arc::new(House::open().await);
    let ann = house.person("ann").await;
    house.define(&reader(), &[]).await;
    let (mut with, mut without) = (0, 0);
    for round in 0..150_u64 {
        give(&house, ann).await;
        let taking = {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_micros(round * 5)).await;
                take(&house, ann).await;
            })
        };
        let asking = async {
            while !taking.is_finished() {
                let asked = (0..4).map(|_| house.authz.resolve(ann));
                for resolution in futures_util::future::join_all(asked).await {
                    if in_force(resolution).roles.has_role(&reader()) { with += 1 } else { without += 1 }
                }
            }
        };
        asking.await;
        taking.await.unwrap();
        let now = match house.authz.recall(ann) {
            Some(known) => known,
            None => in_force(house.authz.resolve(ann).await),
        };
        assert!(!now.roles.has_role(&reader()), "round {round}: a role that was taken is in force");
    }
    assert!(with > 0 && without > 0, "nothing raced: {with} with, {without} without");
}
