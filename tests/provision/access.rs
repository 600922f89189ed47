//! What holds on this node when an operation returns: cached answers ended, running work cut (R2, R3).

use locum::cluster::{Guard, Stamp, Ticket};
use locum::directory::PublicId;
use locum::provision::{person, proxy_user, role};

use crate::world::{NOON, World, claims, name, permission_set, role_name};

/// A cached answer about an account and something that runs for it.
struct Watched {
    stamp: Stamp,
    guard: Guard,
}

impl Watched {
    async fn of(world: &World, username: &str, token: PublicId) -> Self {
        Self::from("192.0.2.7", world, username, token).await
    }

    async fn from(source: &str, world: &World, username: &str, token: PublicId) -> Self {
        let account = world.show(username).await.account;
        let owner = account.kind.owner();
        let stamp = Stamp::take(&world.subjects, account.id, owner);
        let ticket = Ticket {
            account: account.id,
            owner,
            pat: token,
            source: Some(source.parse().unwrap()),
            expires_at: NOON.plus(std::time::Duration::from_hours(1)),
        };
        Self { stamp, guard: world.in_flight.enter(ticket, || true).unwrap() }
    }

    fn is_ended(&self) -> bool {
        !self.stamp.holds() && self.guard.is_cancelled()
    }

    fn is_untouched(&self) -> bool {
        self.stamp.holds() && !self.guard.is_cancelled()
    }
}

async fn household(world: &World) -> (PublicId, PublicId) {
    world.role("reports", &["general:read", "general:write"]).await;
    world.person("ann").await;
    world.grant("ann", "reports").await;
    world.proxy("ann-ci", "ann").await;
    world.proxy("ann-2", "ann").await;
    (world.pat("ann-ci").await, world.pat("ann-2").await)
}

claims! {
    /// R2, R3: a revoked token is out, and what came in with it is cut, before the call returns; another
    /// token's work goes on.
    async fn a_revoked_token_is_out_when_the_call_returns(world: World) {
        let (token, other) = household(&world).await;
        let second = world.pat("ann-ci").await;
        let (revoked, same_account) =
            (Watched::of(&world, "ann-ci", token).await, Watched::of(&world, "ann-ci", second).await);
        let elsewhere = Watched::of(&world, "ann-2", other).await;
        world.revoke(token).await;
        assert!(revoked.is_ended());
        assert!(!same_account.guard.is_cancelled(), "work of another token goes on");
        assert!(elsewhere.is_untouched());
    }

    /// R2, P10: an inactivated proxy user is out; its sibling goes on.
    async fn an_inactivated_proxy_user_is_out(world: World) {
        let (token, other) = household(&world).await;
        let (out, stays) = (Watched::of(&world, "ann-ci", token).await, Watched::of(&world, "ann-2", other).await);
        proxy_user::inactivate(&world.provision, &world.host, name("ann-ci")).await.unwrap();
        assert!(out.is_ended() && stays.is_untouched());
    }

    /// L10, R2, R3: who is bound to networks is asked for anew at once. What came from elsewhere is cut, what
    /// came from inside would be let in again and runs on, and so does another's.
    async fn what_came_from_outside_is_cut_when_a_proxy_user_is_bound_to_networks(world: World) {
        let (token, other) = household(&world).await;
        let (inside, outside, sibling) = (
            Watched::from("10.1.2.3", &world, "ann-ci", token).await,
            Watched::of(&world, "ann-ci", token).await,
            Watched::of(&world, "ann-2", other).await,
        );
        world.confine("ann-ci", &["10.0.0.0/8"]).await;
        assert!(outside.is_ended());
        assert!(!inside.stamp.holds() && !inside.guard.is_cancelled());
        assert!(sibling.is_untouched());
        let inside = Watched::from("10.1.2.3", &world, "ann-ci", token).await;
        world.confine("ann-ci", &["10.0.0.0/8"]).await;
        assert!(inside.is_untouched(), "what is already so changes nothing");
        world.confine("ann-ci", &[]).await;
        assert!(!inside.stamp.holds() && !inside.guard.is_cancelled(), "and more networks cut nobody");
    }

    /// R2, P13: with an owner, all of its proxy users are out.
    async fn an_inactivated_or_deleted_owner_ends_everything_of_its_household(world: World) {
        let (token, other) = household(&world).await;
        let both = [Watched::of(&world, "ann-ci", token).await, Watched::of(&world, "ann-2", other).await];
        person::inactivate(&world.provision, &world.host, name("ann")).await.unwrap();
        assert!(both.iter().all(Watched::is_ended));
        let both = [Watched::of(&world, "ann-ci", token).await, Watched::of(&world, "ann-2", other).await];
        person::delete(&world.provision, &world.host, name("ann")).await.unwrap();
        assert!(both.iter().all(Watched::is_ended));
    }

    /// R2, P4, P7: a removed role ends what was cached with it, for whoever loses it.
    async fn a_removed_role_ends_what_was_cached_with_it(world: World) {
        let (token, other) = household(&world).await;
        let (narrowed, sibling) = (Watched::of(&world, "ann-ci", token).await, Watched::of(&world, "ann-2", other).await);
        world.remove("ann-ci", "reports").await;
        assert!(narrowed.is_ended() && sibling.is_untouched());
        world.remove("ann", "reports").await;
        assert!(sibling.is_ended());
    }

    /// R2, R6: reduced contents of a role hold at once for everyone who holds it; more contents cut nobody.
    async fn reduced_contents_of_a_role_hold_at_once(world: World) {
        let (token, _) = household(&world).await;
        let set = |permissions: &'static [&'static str]| {
            role::set_permissions(&world.provision, &world.host, role_name("reports"), permission_set(permissions))
        };
        let widened = Watched::of(&world, "ann-ci", token).await;
        set(&["general:read", "general:write", "general:list"]).await.unwrap();
        assert!(!widened.stamp.holds() && !widened.guard.is_cancelled());
        let reduced = Watched::of(&world, "ann-ci", token).await;
        set(&["general:list"]).await.unwrap();
        assert!(reduced.is_ended());
    }

    /// R2: what is gained is seen at once, and cuts nothing.
    async fn what_is_gained_is_seen_at_once(world: World) {
        let (token, _) = household(&world).await;
        let watched = Watched::of(&world, "ann-ci", token).await;
        world.grant("ann", "app:wiki").await;
        assert!(!watched.stamp.holds() && !watched.guard.is_cancelled());
    }

    /// R2: a refused operation touches nothing.
    async fn a_refused_operation_touches_nothing(world: World) {
        let (token, _) = household(&world).await;
        let watched = Watched::of(&world, "ann-ci", token).await;
        world.try_grant("ann-ci", "nothing").await.unwrap_err();
        world.try_grant("ann-ci", "app:wiki").await.unwrap_err();
        assert!(watched.is_untouched());
    }

    /// R2: a caller that goes away after the change was handed over leaves no cache behind that still
    /// holds what was taken.
    async fn a_caller_that_goes_away_leaves_no_stale_cache(world: World) {
        let (token, _) = household(&world).await;
        let watched = Watched::of(&world, "ann-ci", token).await;
        let mut operation =
            Box::pin(proxy_user::inactivate(&world.provision, &world.host, name("ann-ci")));
        assert!(futures_util::poll!(operation.as_mut()).is_pending());
        drop(operation);
        let patience = std::time::Duration::from_secs(20);
        tokio::time::timeout(patience, watched.guard.cancelled()).await.unwrap();
        assert!(watched.is_ended() && !world.is_active("ann-ci").await);
    }
}
