//! Carrying out a trip: once, by Locum, with the addresses (L1, L2, L9).

use locum::directory::Life;
use locum::directory::lockout::{Attempt, AttemptId};
use locum::provision::{lockout, person, proxy_user};

use crate::world::{NOON, claims, name};

fn five() -> Vec<Attempt> {
    let attempt =
        |index: u8| Attempt { id: AttemptId(u128::from(index)), address: Some([192, 0, 2, index].into()), at: NOON };
    (1..=5).map(attempt).collect()
}

claims! {
    /// L1: inactive by Locum, with every token revoked and the five addresses in the history.
    async fn a_trip_shuts_the_account_with_its_addresses(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let token = world.pat("ann-ci").await;
        let (id, count) = (world.id("ann-ci").await, world.count().await);
        assert!(lockout::carry_out(&world.provision, id, Life::FIRST, five()).await.unwrap());
        let attempts: Vec<_> =
            (1..=5).map(|index| format!("attempt_{index} - > 192.0.2.{index} at {NOON}")).collect();
        assert_eq!(world.told_since(count).await, [
            format!("attempts_locked by locum because L1 to ann-ci, {}", attempts.join(", ")),
            "proxy_user_marked_inactive by locum because L1 to ann-ci, state active > inactive".to_owned(),
            format!("pat_revoked by locum because L1 to ann-ci of {token}, reason - > account_inactivated"),
        ]);
        assert_eq!(world.standing(token).await, "revoked");
        assert!(!world.is_active("ann-ci").await && world.is_active("ann").await);
    }

    /// L2: however often and from however many sides a trip is carried out, one action is recorded.
    async fn a_trip_is_carried_out_once(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let id = world.id("ann-ci").await;
        let tries = (0..8).map(|_| lockout::carry_out(&world.provision, id, Life::FIRST, five()));
        let done = futures_util::future::join_all(tries).await;
        assert_eq!(done.iter().filter(|done| *done.as_ref().unwrap()).count(), 1);
        let locked = world.history().await;
        let locked = locked.iter().filter(|entry| entry.action.kind.slug() == "attempts_locked").count();
        assert_eq!(locked, 1);
    }

    /// P11, L2: a trip of an earlier life does nothing to the next one.
    async fn a_trip_of_an_earlier_life_does_nothing(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let id = world.id("ann-ci").await;
        proxy_user::inactivate(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        proxy_user::activate(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        assert!(!lockout::carry_out(&world.provision, id, Life::FIRST, five()).await.unwrap());
        assert!(world.is_active("ann-ci").await);
        proxy_user::delete(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        assert!(!lockout::carry_out(&world.provision, id, Life::FIRST.next(), five()).await.unwrap());
    }

    /// L9: a person is never made inactive by failures.
    async fn a_person_is_never_shut_by_failures(world: World) {
        world.person("ann").await;
        let id = world.id("ann").await;
        assert!(!lockout::carry_out(&world.provision, id, Life::FIRST, five()).await.unwrap());
        assert!(world.is_active("ann").await);
        person::inactivate(&world.provision, &world.host, name("ann")).await.unwrap();
    }
}
