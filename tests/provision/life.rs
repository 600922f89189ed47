//! The life of accounts: added, inactive, active again, deleted (P1, P3, P8, P10–P14).

use locum::directory::owner_cascade::CascadeRefusal;
use locum::provision::reading::{self, Audit, Listing};
use locum::provision::{Refusal, Wanted, pat, person, proxy_user};

use crate::world::{World, claims, name, refused};

claims! {
    /// P3: on creation a proxy user receives exactly what its owner holds, then.
    async fn a_new_proxy_user_holds_exactly_what_its_owner_holds(world: World) {
        world.role("reports", &["general:read"]).await;
        world.role("blog/editor", &[]).await;
        world.role("other", &[]).await;
        world.person("ann").await;
        world.person("bob").await;
        world.grant("ann", "reports").await;
        world.grant("ann", "blog/editor").await;
        world.grant("bob", "other").await;
        world.proxy("ann-ci", "ann").await;
        assert_eq!(world.holdings("ann-ci").await, ["app:blog", "role:blog/editor", "role:reports"]);
        assert_eq!(world.holdings("ann-ci").await, world.holdings("ann").await);
    }

    /// P8: one owner, many proxy users; each belongs to that one.
    async fn one_owner_has_many_proxy_users(world: World) {
        world.person("ann").await;
        world.person("bob").await;
        for username in ["ann-3", "ann-1", "ann-2"] {
            world.proxy(username, "ann").await;
        }
        world.proxy("bob-1", "bob").await;
        assert_eq!(world.show("ann").await.proxies, [name("ann-1"), name("ann-2"), name("ann-3")]);
        let listing =
            Listing { kind: Wanted::ProxyUser, owner: Some(name("bob")), prefix: None, email: None, after: None, limit: 10 };
        let listed = reading::accounts(&world.provision, &world.host, listing).await.unwrap();
        let (of_bob, names) = (listed.accounts, listed.names);
        assert_eq!(of_bob.iter().map(|account| account.username.as_str()).collect::<Vec<_>>(), ["bob-1"]);
        assert_eq!(names.of(of_bob[0].kind.owner().unwrap()), "bob");
    }

    /// P1: an inactive owner cannot get a proxy user.
    async fn an_inactive_owner_cannot_get_a_proxy_user(world: World) {
        world.person("ann").await;
        person::inactivate(&world.provision, &world.host, name("ann")).await.unwrap();
        let refusal = Refusal::Cascade(CascadeRefusal::OwnerInactive(name("ann")));
        assert_eq!(world.try_proxy("ann-ci", "ann").await, Err(refusal));
        assert!(!world.exists("ann-ci").await);
        world.demand_recorded_refusal("owner_inactive").await;
    }

    /// P14: a proxy user cannot own another; nor can one be treated as a person, or a person as one.
    async fn a_proxy_user_cannot_own_another(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        assert_eq!(world.try_proxy("x", "ann-ci").await, Err(Refusal::NotAPerson(name("ann-ci"))));
        let as_person = refused(person::inactivate(&world.provision, &world.host, name("ann-ci")).await);
        assert_eq!(as_person, Err(Refusal::NotAPerson(name("ann-ci"))));
        let as_proxy = refused(proxy_user::delete(&world.provision, &world.host, name("ann")).await);
        assert_eq!(as_proxy, Err(Refusal::NotAProxyUser(name("ann"))));
        assert!(world.is_active("ann-ci").await);
    }

    /// P10: marked inactive, the account is disabled and all of its tokens are revoked, pending ones too.
    async fn marking_inactive_revokes_every_token(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        world.proxy("ann-2", "ann").await;
        let (usable, other) = (world.pat("ann-ci").await, world.pat("ann-2").await);
        let pending = world.pending_pat("ann-ci").await.pat.public_id;
        proxy_user::inactivate(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        assert!(!world.is_active("ann-ci").await);
        assert_eq!(world.standing(usable).await, "revoked");
        assert_eq!(world.standing(pending).await, "revoked");
        assert_eq!(world.standing(other).await, "usable");
        assert!(world.is_active("ann").await && world.is_active("ann-2").await);
    }

    /// P11: active again, the old tokens stay revoked, new ones can be made, and a new life begins.
    async fn marking_active_leaves_the_revoked_tokens_revoked(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let old = world.pat("ann-ci").await;
        let life = world.show("ann-ci").await.account.life;
        proxy_user::inactivate(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        let refusal = refused(pat::add(&world.provision, &world.host, World::wish("ann-ci")).await).unwrap_err();
        assert_eq!(refusal, Refusal::AccountInactive(name("ann-ci")));
        proxy_user::activate(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        assert_eq!(world.standing(old).await, "revoked");
        let new = world.pat("ann-ci").await;
        assert_eq!(world.standing(new).await, "usable");
        assert_eq!(world.show("ann-ci").await.account.life, life.next());
    }

    /// P11, P13: an owner takes its proxy users along; they come back one by one, and not before it.
    async fn an_inactive_owner_takes_its_proxy_users_along(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        world.proxy("ann-2", "ann").await;
        let token = world.pat("ann-ci").await;
        person::inactivate(&world.provision, &world.host, name("ann")).await.unwrap();
        assert!(!world.is_active("ann-ci").await && !world.is_active("ann-2").await);
        assert_eq!(world.standing(token).await, "revoked");

        let early = refused(proxy_user::activate(&world.provision, &world.host, name("ann-ci")).await);
        assert_eq!(early, Err(Refusal::Cascade(CascadeRefusal::OwnerInactive(name("ann")))));
        person::activate(&world.provision, &world.host, name("ann")).await.unwrap();
        assert!(world.is_active("ann").await);
        assert!(!world.is_active("ann-ci").await && !world.is_active("ann-2").await);
        proxy_user::activate(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        assert!(world.is_active("ann-ci").await && !world.is_active("ann-2").await);
    }

    /// P12, P13, AG-005: deleted, an account is gone with its tokens, an owner with its proxy users; the history
    /// stays and still verifies.
    async fn deleting_an_owner_deletes_its_proxy_users_and_keeps_the_history(world: World) {
        world.person("ann").await;
        world.person("bob").await;
        world.proxy("ann-ci", "ann").await;
        let token = world.pat("ann-ci").await;
        let before = world.history().await;
        person::delete(&world.provision, &world.host, name("ann")).await.unwrap();
        assert!(!world.exists("ann").await && !world.exists("ann-ci").await && world.exists("bob").await);
        assert!(world.store().read().await.unwrap().pat(token).await.unwrap().is_none());
        let after = world.history().await;
        assert_eq!(after[..before.len()], before);
        let Audit { head, broken, .. } = reading::audit(&world.provision, &world.host, &[], None).await.unwrap();
        assert_eq!((head.sequence, broken), (after.len() as u64, None));
    }

    /// What is already so changes nothing and leaves no action.
    async fn doing_it_again_leaves_no_trace(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        person::inactivate(&world.provision, &world.host, name("ann")).await.unwrap();
        let count = world.count().await;
        person::inactivate(&world.provision, &world.host, name("ann")).await.unwrap();
        proxy_user::inactivate(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        assert_eq!(world.count().await, count);
    }
}
