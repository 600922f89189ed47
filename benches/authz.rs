//! What a role set costs: resolved from the store, worked out of what was read, and recalled.
//!
//! `cargo bench --bench authz`. The account is a proxy user with twenty roles of four permissions each,
//! all of which its owner holds too. A resolution goes from the data plane to the control side and
//! back, with one query to SQLite.

#[path = "../tests/authn/house.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "the tests' house, of which a bench needs one part")]
mod house;
#[path = "../tests/authn/steps.rs"]
#[expect(dead_code, reason = "a bench measures time, and leaves the counting of steps to the tests")]
mod steps;
#[path = "harness/threads.rs"]
mod threads;

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::{Arc, LazyLock};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use house::House;
use locum::authz::{InForce, Resolution};
use locum::directory::owner_cascade::Change;
use locum::directory::{AccountId, Holding, Permission, RoleName, RoleSet};
use locum::history::ActionType;
use threads::together;
use tokio::runtime::Runtime;

const ROLES: usize = 20;
const PERMISSIONS: usize = 4;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime can be built")
});

criterion_group!(benches, resolving);
criterion_main!(benches);

/// What each role contains.
fn definitions() -> BTreeMap<RoleName, BTreeSet<Permission>> {
    let permission =
        |role, number| Permission::parse(&format!("general:p{role}-{number}")).expect("letters and digits");
    let name = |role| RoleName::parse(&format!("role-{role}")).expect("letters and digits");
    (0..ROLES).map(|role| (name(role), (0..PERMISSIONS).map(|number| permission(role, number)).collect())).collect()
}

async fn house_with_roles() -> (House, AccountId) {
    let house = House::open().await;
    let ann = house.person("ann").await;
    let billing = house.proxy("billing", ann).await;
    for (role, contains) in definitions() {
        let name = role.clone();
        house
            .change(ActionType::RoleAdded, ann, move |writer| {
                Box::pin(async move { writer.insert_role(&name, &contains).await })
            })
            .await;
        let given = |account| Change::Given { account, holding: Holding::Role(role.clone()) };
        house.apply(ActionType::RolesChanged, vec![given(ann), given(billing)]).await;
    }
    (house, billing)
}

async fn resolve(house: &House, account: AccountId) -> Arc<InForce> {
    match house.authz.resolve(account).await {
        Resolution::InForce(in_force) => in_force,
        other => unreachable!("the account and its owner are active: {other:?}"),
    }
}

fn resolving(criterion: &mut Criterion) {
    let house = LazyCell::new(|| {
        let (house, account) = RUNTIME.block_on(house_with_roles());
        assert_eq!(RUNTIME.block_on(resolve(&house, account)).roles.roles().count(), ROLES, "all of them are in force");
        (house, account)
    });
    let mut group = criterion.benchmark_group("authz");

    group.bench_function("resolve from the store", |b| {
        let (house, account) = &*house;
        b.to_async(&*RUNTIME).iter(|| async {
            // The account changed, or what is kept would do.
            house.subjects.widen(*account);
            resolve(house, *account).await
        });
    });

    let definitions = definitions();
    let held: BTreeSet<_> = definitions.keys().cloned().map(Holding::Role).collect();
    group.bench_function("work out what is in force", |b| {
        b.iter(|| RoleSet::resolve(black_box(&held), Some(&held), &definitions));
    });

    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new("recall, threads", threads), |b| {
            let (house, account) = &*house;
            let learn = || drop(RUNTIME.block_on(resolve(house, *account)));
            let recall = |_| house.authz.recall(black_box(*account)).expect("this thread resolved it");
            b.iter_custom(|rounds| together(threads, rounds, learn, recall));
        });
    }
}
