//! What the history tells of each operation: one action for each account touched, with who did it, by
//! which rule, and what was before and after (H1, H3, H4).

use locum::directory::Networks;
use locum::directory::rights::Grade;
use locum::provision::reading::{self, Question};
use locum::provision::{Refusal, person, proxy_user};

use crate::world::{claims, name, refused};

claims! {
    /// H1, H3: adding and giving.
    async fn adding_and_giving_are_told_account_by_account(world: World) {
        world.role("blog/editor", &["blog:write"]).await;
        let count = world.count().await;
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        world.grant("ann", "blog/editor").await;
        assert_eq!(world.told_since(count).await, [
            "user_added by host:root to ann",
            "proxy_user_added by host:root to ann-ci, owner - > ann",
            "roles_changed by host:root to ann, app:blog - > held, role:blog/editor - > held",
            "roles_changed by locum because P6 to ann-ci, app:blog - > held, role:blog/editor - > held",
        ]);
    }

    /// L10, H3: where a proxy user may be used from is told network by network, from the first on.
    async fn networks_that_come_and_go_are_told(world: World) {
        world.person("ann").await;
        let count = world.count().await;
        let networks = Networks::from_iter(["10.0.0.0/8".parse().unwrap(), "192.0.2.7/24".parse().unwrap()]);
        proxy_user::add(&world.provision, &world.host, name("ann-ci"), name("ann"), networks).await.unwrap();
        world.confine("ann-ci", &["10.0.0.0/8", "2001:db8::/32"]).await;
        world.confine("ann-ci", &["2001:db8::1/32", "10.0.0.0/8"]).await;
        world.confine("ann-ci", &[]).await;
        assert_eq!(world.told_since(count).await, [
            "proxy_user_added by host:root to ann-ci, owner - > ann, network - > 10.0.0.0/8, network - > 192.0.2.0/24",
            "proxy_user_networks_changed by host:root to ann-ci, network 192.0.2.0/24 > -, network - > 2001:db8::/32",
            "proxy_user_networks_changed by host:root to ann-ci, network 10.0.0.0/8 > -, network 2001:db8::/32 > -",
        ]);
        let of_a_person = proxy_user::set_networks(&world.provision, &world.host, name("ann"), Networks::ANY).await;
        assert!(matches!(refused(of_a_person), Err(Refusal::NotAProxyUser(_))));
    }

    /// P3, H3: a proxy user that inherits at once is told with what it got.
    async fn what_a_new_proxy_user_inherits_is_told(world: World) {
        world.person("ann").await;
        world.grant("ann", "app:wiki").await;
        let count = world.count().await;
        world.proxy("ann-ci", "ann").await;
        assert_eq!(world.told_since(count).await, [
            "proxy_user_added by host:root to ann-ci, owner - > ann",
            "roles_changed by host:root to ann-ci, app:wiki - > held",
        ]);
    }

    /// P7, H4: what an owner loses is told of its proxy users as Locum's doing, by the rule.
    async fn what_goes_with_the_owners_role_is_told_with_its_rule(world: World) {
        world.role("reports", &[]).await;
        world.person("ann").await;
        world.grant("ann", "reports").await;
        world.proxy("ann-ci", "ann").await;
        let count = world.count().await;
        world.remove("ann", "reports").await;
        assert_eq!(world.told_since(count).await, [
            "roles_changed by locum because P7 to ann-ci, role:reports held > -",
            "roles_changed by host:root to ann, role:reports held > -",
        ]);
    }

    /// P10, P13, H4: inactive, with the tokens that went.
    async fn an_inactivated_household_is_told_with_its_tokens(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let token = world.pat("ann-ci").await;
        let count = world.count().await;
        person::inactivate(&world.provision, &world.host, name("ann")).await.unwrap();
        assert_eq!(world.told_since(count).await, [
            "user_marked_inactive by host:root to ann, state active > inactive".to_owned(),
            "proxy_user_marked_inactive by locum because P13 to ann-ci, state active > inactive".to_owned(),
            format!("pat_revoked by locum because P13 to ann-ci of {token}, reason - > account_inactivated"),
        ]);
        let shown = world.show("ann-ci").await;
        assert_eq!(format!("{:?}", shown.account.state), format!(
            "Inactive {{ at: {}, by: Locum, reason: \"owner_inactivated\" }}", crate::world::NOON
        ));
    }

    /// P10, P11, H4: one by itself.
    async fn a_proxy_user_by_itself_is_told_as_the_callers_doing(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let token = world.pat("ann-ci").await;
        let count = world.count().await;
        proxy_user::inactivate(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        proxy_user::activate(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        assert_eq!(world.told_since(count).await, [
            "proxy_user_marked_inactive by host:root to ann-ci, state active > inactive".to_owned(),
            format!("pat_revoked by locum because P10 to ann-ci of {token}, reason - > account_inactivated"),
            "proxy_user_marked_active by host:root to ann-ci, state inactive > active".to_owned(),
        ]);
    }

    /// H4: a deletion is done by Locum, caused by whoever asked.
    async fn a_deletion_is_done_by_locum_because_of_who_asked(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let (ann, ci) = (world.id("ann").await, world.id("ann-ci").await);
        let count = world.count().await;
        person::delete(&world.provision, &world.host, name("ann")).await.unwrap();
        assert_eq!(world.told_since(count).await, [
            format!("proxy_user_deleted by locum because P13 host:root to {ci}"),
            format!("user_deleted by locum because host:root to {ann}"),
        ]);
    }

    /// H2, H4: two views of one person: what was done to it, and what it initiated, deletions that it asked for too.
    async fn what_was_done_to_a_person_and_by_it_are_two_views(world: World) {
        world.person("ann").await;
        world.person("ada").await;
        world.person("bob").await;
        let ada = world.signed_in("ada", Grade::Administrator, &[]).await;
        world.grant("ann", "app:wiki").await;
        person::inactivate(&world.provision, &ada, name("ann")).await.unwrap();
        person::delete(&world.provision, &ada, name("bob")).await.unwrap();
        let view = async |question: Question| -> Vec<String> {
            let question = Question { limit: 100, ..question };
            let (entries, _) = reading::history(&world.provision, &world.host, question).await.unwrap();
            entries.iter().map(|entry| entry.action.kind.slug().to_owned()).collect()
        };
        let of = |name: &str| Some(name.to_owned());
        let changes = Question { account: of("ann"), ..Question::default() };
        assert_eq!(view(changes).await, ["user_marked_inactive", "roles_changed", "user_added"]);
        let initiated = Question { by: of("ada"), ..Question::default() };
        assert_eq!(view(initiated).await, ["user_deleted", "user_marked_inactive"]);
        assert!(view(Question { by: of("ann"), ..Question::default() }).await.is_empty());
    }

    /// H4: the type of every action that was written allows its actor.
    async fn every_action_has_an_actor_that_its_type_allows(world: World) {
        world.role("reports", &[]).await;
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        world.grant("ann", "reports").await;
        world.pat("ann-ci").await;
        world.try_person("ann").await.unwrap_err();
        person::inactivate(&world.provision, &world.host, name("ann")).await.unwrap();
        person::delete(&world.provision, &world.host, name("ann")).await.unwrap();
        for entry in world.history().await {
            assert!(entry.action.kind.allows(&entry.action.actor), "{entry:?}");
        }
    }
}
