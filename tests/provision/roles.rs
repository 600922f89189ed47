//! Roles and apps: the cap by the owner, the cascades, copying, what roles contain (P4–P7, R4, R6, R8).

use locum::directory::Holding;
use locum::directory::owner_cascade::CascadeRefusal;
use locum::provision::{Refusal, role};

use crate::world::{claims, name, permission_set, refused, role_name};

claims! {
    /// P4: a proxy user is narrowed without touching its owner.
    async fn a_role_is_removed_from_a_proxy_user_alone(world: World) {
        world.role("reports", &[]).await;
        world.person("ann").await;
        world.grant("ann", "reports").await;
        world.proxy("ann-ci", "ann").await;
        world.remove("ann-ci", "reports").await;
        assert_eq!(world.holdings("ann-ci").await, [] as [&str; 0]);
        assert_eq!(world.holdings("ann").await, ["role:reports"]);
    }

    /// P5: a proxy user gets only what its owner holds.
    async fn a_proxy_user_cannot_get_what_its_owner_lacks(world: World) {
        world.role("reports", &[]).await;
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let refusal = world.try_grant("ann-ci", "reports").await.unwrap_err();
        let missing = vec![Holding::Role(role_name("reports"))];
        assert_eq!(refusal, Refusal::Cascade(CascadeRefusal::NotHeldByOwner { owner: name("ann"), missing }));
        world.demand_recorded_refusal("not_held_by_owner").await;
        assert_eq!(world.try_grant("ann-ci", "app:blog").await.unwrap_err().code(), "not_held_by_owner");
        assert_eq!(world.holdings("ann-ci").await, [] as [&str; 0]);
    }

    /// P6: what an owner newly gains goes to all of its proxy users, inactive and narrowed ones too; what
    /// it already holds widens nobody.
    async fn only_a_newly_gained_role_reaches_the_proxy_users(world: World) {
        world.role("reports", &[]).await;
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        world.proxy("ann-asleep", "ann").await;
        locum::provision::proxy_user::inactivate(&world.provision, &world.host, name("ann-asleep")).await.unwrap();
        world.grant("ann", "reports").await;
        assert_eq!(world.holdings("ann-ci").await, ["role:reports"]);
        assert_eq!(world.holdings("ann-asleep").await, ["role:reports"]);

        world.remove("ann-ci", "reports").await;
        let count = world.count().await;
        world.grant("ann", "reports").await;
        assert_eq!(world.holdings("ann-ci").await, [] as [&str; 0], "the owner held it already");
        assert_eq!(world.count().await, count);

        world.remove("ann", "reports").await;
        world.grant("ann", "reports").await;
        assert_eq!(world.holdings("ann-ci").await, ["role:reports"], "newly gained again");
    }

    /// P7: what an owner loses, all of its proxy users lose.
    async fn a_role_removed_from_an_owner_is_removed_from_its_proxy_users(world: World) {
        world.role("reports", &[]).await;
        world.person("ann").await;
        world.grant("ann", "reports").await;
        world.proxy("ann-ci", "ann").await;
        world.proxy("ann-2", "ann").await;
        world.remove("ann", "reports").await;
        for username in ["ann", "ann-ci", "ann-2"] {
            assert_eq!(world.holdings(username).await, [] as [&str; 0], "{username}");
        }
    }

    /// P6: copying to a person reaches its proxy users.
    async fn copied_roles_reach_the_proxy_users_of_a_person(world: World) {
        world.role("reports", &[]).await;
        world.role("blog/editor", &[]).await;
        world.person("ann").await;
        world.person("bob").await;
        world.grant("ann", "reports").await;
        world.grant("ann", "blog/editor").await;
        world.proxy("bob-ci", "bob").await;
        world.try_copy("ann", "bob").await.unwrap();
        for username in ["bob", "bob-ci"] {
            let held = world.holdings(username).await;
            assert_eq!(held, ["app:blog", "role:blog/editor", "role:reports"], "{username}");
        }
    }

    /// P5, P6: copying is all or nothing, and the refusal lists every role that stands in the way.
    async fn copying_lists_every_role_in_the_way_and_copies_none(world: World) {
        for role in ["reports", "ledger", "audit"] {
            world.role(role, &[]).await;
        }
        world.person("ann").await;
        world.person("bob").await;
        for role in ["reports", "ledger", "audit"] {
            world.grant("ann", role).await;
        }
        world.grant("bob", "audit").await;
        world.proxy("bob-ci", "bob").await;
        world.remove("bob-ci", "audit").await;
        let refusal = world.try_copy("ann", "bob-ci").await.unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the owner `bob` does not hold `role:ledger`, `role:reports`: give it to the owner first"
        );
        assert_eq!(world.holdings("bob-ci").await, [] as [&str; 0]);
        world.demand_recorded_refusal("not_held_by_owner").await;
        assert_eq!(world.try_copy("ann", "ann").await, Err(Refusal::SameAccount(name("ann"))));
    }

    /// R8: access comes with the first role in an app. R4: it goes together with all of them.
    async fn access_to_an_app_comes_with_its_first_role_and_takes_all_of_them_along(world: World) {
        world.role("blog/editor", &[]).await;
        world.role("blog/author", &[]).await;
        world.role("reports", &[]).await;
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        for role in ["blog/editor", "blog/author", "reports"] {
            world.grant("ann", role).await;
        }
        let all = ["app:blog", "role:blog/author", "role:blog/editor", "role:reports"];
        assert_eq!(world.holdings("ann-ci").await, all);
        world.remove("ann-ci", "app:blog").await;
        assert_eq!(world.holdings("ann-ci").await, ["role:reports"]);
        assert_eq!(world.holdings("ann").await, all);
        world.remove("ann", "app:blog").await;
        assert_eq!(world.holdings("ann").await, ["role:reports"]);
    }

    /// R6: a missing role, app or namespace is refused with what would be right.
    async fn what_does_not_exist_cannot_be_given(world: World) {
        world.role("reports", &[]).await;
        world.person("ann").await;
        let refusal = world.try_grant("ann", "report").await.unwrap_err();
        assert_eq!((refusal.code(), refusal.nearest()), ("unknown_role", &["reports".to_owned()][..]));
        world.demand_recorded_refusal("unknown_role").await;
        assert_eq!(world.try_grant("ann", "app:blg").await.unwrap_err().nearest(), ["blog"]);
        let add = |name: &'static str, permission: &'static str| {
            role::add(&world.provision, &world.host, role_name(name), permission_set(&[permission]))
        };
        assert_eq!(refused(add("x", "nowhere:read").await).unwrap_err().code(), "unknown_namespace");
        assert_eq!(refused(add("shop/x", "general:read").await).unwrap_err().code(), "unknown_app");
        assert_eq!(refused(add("reports", "general:read").await).unwrap_err().code(), "role_exists");
        assert_eq!(refused(add("y", "wiki:read").await), Ok(()));
    }

    /// R6: a change of what a role contains is *role access updated* for everyone who holds it.
    async fn a_changed_role_is_told_for_everyone_who_holds_it(world: World) {
        world.role("reports", &["general:read", "general:list"]).await;
        world.person("ann").await;
        world.person("bob").await;
        world.grant("ann", "reports").await;
        world.proxy("ann-ci", "ann").await;
        let count = world.count().await;
        let now = permission_set(&["general:read", "general:write"]);
        role::set_permissions(&world.provision, &world.host, role_name("reports"), now.clone()).await.unwrap();
        let details = "of role:reports, general:list contained > -, general:write - > contained";
        let mut told = world.told_since(count).await;
        told.sort();
        assert_eq!(told, [
            format!("role_access_updated by host:root {details}"),
            format!("role_access_updated by host:root to ann {details}"),
            format!("role_access_updated by host:root to ann-ci {details}"),
        ]);
        let count = world.count().await;
        role::set_permissions(&world.provision, &world.host, role_name("reports"), now).await.unwrap();
        assert_eq!(world.count().await, count, "the same contents are no change");
    }
}
