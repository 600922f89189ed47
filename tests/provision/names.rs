//! Usernames: unique, no look-alikes, never given twice (P2, P12).

use locum::directory::Username;
use locum::provision::{Refusal, name as names, person, proxy_user};
use locum::store::AccountFilter;

use crate::world::{claims, name, refused};

claims! {
    /// P2: a username is compared exactly, and taken for every kind of account.
    async fn a_taken_username_is_refused_for_people_and_proxy_users(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        assert_eq!(world.try_person("ann").await, Err(Refusal::UsernameTaken(name("ann"))));
        world.demand_recorded_refusal("username_taken").await;
        assert_eq!(world.try_person("ann-ci").await, Err(Refusal::UsernameTaken(name("ann-ci"))));
        assert_eq!(world.try_proxy("ann", "ann").await, Err(Refusal::UsernameTaken(name("ann"))));
    }

    /// P2: two that differ only in case cannot both exist.
    async fn a_look_alike_username_is_refused(world: World) {
        world.person("Ann").await;
        let refusal = Refusal::UsernameLookAlike { wanted: name("ann"), existing: name("Ann") };
        assert_eq!(world.try_person("ann").await, Err(refusal.clone()));
        assert_eq!(world.try_proxy("ann", "Ann").await, Err(refusal));
        world.demand_recorded_refusal("username_look_alike").await;
        assert!(!world.exists("ann").await);
    }

    /// P12: a deleted account's username, in any case, is never given to another account; only the host
    /// shell frees it.
    async fn a_deleted_username_stays_taken_until_the_host_releases_it(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        proxy_user::delete(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        assert_eq!(world.try_person("ANN-CI").await, Err(Refusal::UsernameDeleted(name("ANN-CI"))));
        world.demand_recorded_refusal("username_deleted").await;
        assert_eq!(world.try_proxy("ann-ci", "ann").await, Err(Refusal::UsernameDeleted(name("ann-ci"))));

        names::release(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        assert_eq!(world.told_since(world.count().await - 1).await, ["name_released by host:root of ann-ci"]);
        world.proxy("ann-ci", "ann").await;
        let again = refused(names::release(&world.provision, &world.host, name("ann-ci")).await);
        assert_eq!(again, Err(Refusal::NameNotKept(name("ann-ci"))));
    }

    /// P12, P13: with an owner, the usernames of its proxy users are remembered too.
    async fn the_usernames_of_a_deleted_household_are_all_remembered(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        world.proxy("ann-backup", "ann").await;
        person::delete(&world.provision, &world.host, name("ann")).await.unwrap();
        for username in ["ann", "ann-ci", "ann-backup"] {
            assert_eq!(world.try_person(username).await, Err(Refusal::UsernameDeleted(name(username))));
        }
    }

    /// H3: nobody can act under the name that the history uses for Locum itself.
    async fn the_name_of_locum_itself_cannot_be_taken(world: World) {
        for username in ["locum", "Locum", "LOCUM"] {
            assert_eq!(world.try_person(username).await, Err(Refusal::UsernameReserved(name(username))));
        }
    }

    /// An unknown account is refused with the names that were perhaps meant.
    async fn an_unknown_account_is_refused_with_the_nearest_names(world: World) {
        for username in ["billing", "billing2", "reports"] {
            world.person(username).await;
        }
        let refusal = world.try_proxy("x", "biling").await.unwrap_err();
        assert_eq!(refusal.code(), "unknown_account");
        assert_eq!(refusal.nearest(), ["billing", "billing2"]);
        assert_eq!(
            refusal.to_string(),
            "there is no account `biling`: did you mean `billing` or `billing2`?"
        );
        world.demand_recorded_refusal("unknown_account").await;
        assert!(world.try_proxy("x", "BILLING").await.unwrap_err().nearest().contains(&"billing".to_owned()));
    }

    /// P2: of two who want one name at once, one gets it and the other is told.
    async fn of_many_who_want_a_name_at_once_exactly_one_gets_it(world: World) {
        let spellings = ["ann", "Ann", "aNN", "ANN", "ann", "anN", "AnN", "aNn"];
        let tries = spellings.iter().map(|spelling| world.try_person(spelling));
        let results = futures_util::future::join_all(tries).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        let codes = results.iter().filter_map(|result| result.as_ref().err()).map(Refusal::code);
        assert!(codes.into_iter().all(|code| code == "username_taken" || code == "username_look_alike"));
        let accounts = world.store().read().await.unwrap().accounts(&AccountFilter::default()).await.unwrap();
        assert_eq!(accounts.iter().map(|account| &account.username).map(Username::folded).collect::<Vec<_>>(), ["ann"]);
    }
}
