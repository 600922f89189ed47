//! Warnings before tokens expire (T11).

use std::time::Duration;

use locum::directory::PublicId;
use locum::provision::{expiry, pat};

use crate::world::{World, claims};

const DAY: Duration = Duration::from_hours(24);

async fn token(world: &World, days: u32) -> PublicId {
    let wish = pat::Wish { life: Some(DAY * days), ..World::wish("ann-ci") };
    let made = pat::add(&world.provision, &world.host, wish).await.unwrap().pat.public_id;
    pat::confirm(&world.provision, &world.host, made).await.unwrap();
    made
}

async fn warned(world: &World) -> usize {
    expiry::warn(&world.provision).await.unwrap()
}

claims! {
    /// T11: at 30, 7 and 1 days, each once, also when two look at once; a token of less than that is not warned of at once.
    async fn each_warning_is_given_once(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let (long, short) = (token(&world, 60).await, token(&world, 10).await);
        assert_eq!(warned(&world).await, 0);
        world.clock.advance(DAY * 3);
        let count = world.count().await;
        let (one, other) = tokio::join!(expiry::warn(&world.provision), expiry::warn(&world.provision));
        assert_eq!(one.unwrap() + other.unwrap(), 1);
        let told = world.told_since(count).await;
        let expires_at = "2026-11-28T11:06:40.000Z";
        assert_eq!(told, [format!("pat_expiring by locum because T11 to ann-ci of {short}, days - > 7, expires_at - > {expires_at}")]);
        world.clock.advance(DAY * 26 + Duration::from_millis(24 * 60 * 60 * 1_000 - 1));
        assert_eq!(warned(&world).await, 0, "the short one is over, the long one has 30 days and a moment");
        world.clock.advance(Duration::from_millis(1));
        let count = world.count().await;
        for (days, passed) in [(30, 23), (7, 6), (1, 1)] {
            assert_eq!((warned(&world).await, warned(&world).await), (1, 0), "{days}");
            let told = world.told_since(count).await.pop().unwrap();
            assert!(told.contains(&format!("of {long}, days - > {days},")), "{told}");
            world.clock.advance(DAY * passed);
        }
        assert_eq!(warned(&world).await, 0, "it has expired");
    }

    /// T11: nobody is warned of what is revoked, or of what another token takes the place of; of several warnings that were
    /// missed the last is given.
    async fn only_what_still_counts_is_warned_of(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let (revoked, replaced, missed) = (token(&world, 90).await, token(&world, 90).await, token(&world, 90).await);
        let pending = world.pending_pat("ann-ci").await.pat.public_id;
        world.revoke(revoked).await;
        world.clock.advance(DAY * 80);
        let rotation = pat::Rotation { of: replaced, overlap: DAY * 5, silence: None, life: None, idempotency_key: None };
        let next = pat::rotate(&world.provision, &world.host, rotation).await.unwrap().pat.public_id;
        pat::confirm(&world.provision, &world.host, next).await.unwrap();
        world.clock.advance(DAY * 4);
        let count = world.count().await;
        assert_eq!(warned(&world).await, 1);
        let told = world.told_since(count).await;
        assert!(told[0].contains(&format!("of {missed}, days - > 7,")), "{told:?}, {pending}");
    }
}
