//! Tokens: two steps, lives, restrictions, revocation, repeated requests (T1–T6).

use std::time::Duration;

use locum::directory::pat::PatRefusal;
use locum::directory::{AppName, Networks, ReasonCode, Restrictions, Token};
use locum::provision::pat::{self, Wish};
use locum::provision::{Refusal, reason};

use crate::world::{NOON, World, claims, refused};

const DAY: Duration = Duration::from_hours(24);

claims! {
    /// T3: pending until confirmed, and only once.
    async fn a_token_is_usable_once_it_is_confirmed(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let made = world.pending_pat("ann-ci").await;
        let token = made.token.unwrap();
        assert_eq!(Token::parse(token.expose(), "").unwrap().public_id(), made.pat.public_id);
        assert_eq!(world.standing(made.pat.public_id).await, "pending");
        pat::confirm(&world.provision, &world.host, made.pat.public_id).await.unwrap();
        assert_eq!(world.standing(made.pat.public_id).await, "usable");
        let again = refused(pat::confirm(&world.provision, &world.host, made.pat.public_id).await).unwrap_err();
        assert_eq!(again.code(), "pat_already_confirmed");
        world.demand_recorded_refusal("pat_already_confirmed").await;
    }

    /// T3: what is not confirmed within 15 minutes lapses, at that instant.
    async fn an_unconfirmed_token_lapses(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let early = world.pending_pat("ann-ci").await.pat.public_id;
        let late = world.pending_pat("ann-ci").await.pat.public_id;
        world.clock.set(NOON.plus(Duration::from_millis(15 * 60 * 1_000 - 1)));
        pat::confirm(&world.provision, &world.host, early).await.unwrap();
        world.clock.set(NOON.plus(Duration::from_mins(15)));
        let refusal = refused(pat::confirm(&world.provision, &world.host, late).await).unwrap_err();
        assert_eq!(refusal, Refusal::PatState { public_id: late, refusal: PatRefusal::Lapsed });
        world.demand_recorded_refusal("pat_lapsed").await;
        assert_eq!(world.standing(late).await, "lapsed");
    }

    /// T2: 365 × 24 hours and no longer; a shorter life can be asked for; invalid at the instant.
    async fn a_token_lives_at_most_365_days(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let ask = |life| pat::add(&world.provision, &world.host, Wish { life, ..World::wish("ann-ci") });
        assert_eq!(ask(None).await.unwrap().pat.expires_at, NOON.plus(365 * DAY));
        assert_eq!(ask(Some(90 * DAY)).await.unwrap().pat.expires_at, NOON.plus(90 * DAY));
        let longer = refused(ask(Some(365 * DAY + Duration::from_secs(1))).await).unwrap_err();
        assert_eq!(longer.code(), "life_too_long");
        assert_eq!(refused(ask(Some(Duration::ZERO)).await).unwrap_err().code(), "life_too_short");

        let short = ask(Some(DAY)).await.unwrap().pat.public_id;
        pat::confirm(&world.provision, &world.host, short).await.unwrap();
        world.clock.set(NOON.plus(Duration::from_millis(24 * 60 * 60 * 1_000 - 1)));
        assert_eq!(world.standing(short).await, "usable");
        world.clock.set(NOON.plus(DAY));
        assert_eq!(world.standing(short).await, "expired");
        let refusal = refused(pat::confirm(&world.provision, &world.host, short).await).unwrap_err();
        assert_eq!(refusal.code(), "pat_expired");
    }

    /// T1: a service is required; apps have to exist; restrictions are kept as they were asked for.
    async fn a_token_is_made_with_what_was_asked_for(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        for service in ["", "  ", &"x".repeat(201), "a\nb"] {
            let wish = Wish { service: service.to_owned(), ..World::wish("ann-ci") };
            let refusal = refused(pat::add(&world.provision, &world.host, wish).await).unwrap_err();
            assert_eq!(refusal.code(), "service_name", "{service:?}");
        }
        let restrictions = |app: &str| Restrictions {
            networks: Networks::from_iter(["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]),
            apps: vec![AppName::parse(app).unwrap()],
            read_only: true,
        };
        let wish = |app| Wish { restrictions: restrictions(app), ..World::wish("ann-ci") };
        let unknown = refused(pat::add(&world.provision, &world.host, wish("shop")).await).unwrap_err();
        assert_eq!(unknown.code(), "unknown_app");
        let made = pat::add(&world.provision, &world.host, wish("blog")).await.unwrap();
        let kept = world.store().read().await.unwrap().pat(made.pat.public_id).await.unwrap().unwrap();
        assert_eq!(kept.restrictions, restrictions("blog"));
        assert_eq!(refused(pat::add(&world.provision, &world.host, World::wish("ann")).await).unwrap_err().code(), "not_a_proxy_user");
    }

    /// T6: revoked with a reason of the table, once and for good; an added reason joins the table.
    async fn a_token_is_revoked_with_a_reason_of_the_table(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let token = world.pat("ann-ci").await;
        let code = |text: &str| ReasonCode::parse(text).unwrap();
        let revoke = |reason| pat::revoke(&world.provision, &world.host, token, reason);
        let refusal = refused(revoke(code("compromized")).await).unwrap_err();
        assert_eq!((refusal.code(), refusal.nearest()), ("unknown_reason", &["compromised".to_owned()][..]));
        assert_eq!(world.standing(token).await, "usable");

        reason::add(&world.provision, &world.host, code("moved_away"), "The service moved".into()).await.unwrap();
        revoke(code("moved_away")).await.unwrap();
        assert_eq!(world.standing(token).await, "revoked");
        let told = world.told_since(world.count().await - 1).await;
        assert_eq!(told, [format!(
            "pat_revoked by host:root to ann-ci of {token}, state usable > revoked, reason - > moved_away"
        )]);
        assert_eq!(refused(revoke(code("other")).await).unwrap_err().code(), "pat_revoked");
        assert_eq!(refused(pat::confirm(&world.provision, &world.host, token).await).unwrap_err().code(), "pat_revoked");
        let again = reason::add(&world.provision, &world.host, code("moved_away"), "x".into()).await;
        assert_eq!(refused(again).unwrap_err().code(), "reason_exists");
    }

    /// T6: revoking one leaves the others.
    async fn revoking_one_token_leaves_the_others(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let (one, other) = (world.pat("ann-ci").await, world.pat("ann-ci").await);
        world.revoke(one).await;
        assert_eq!((world.standing(one).await, world.standing(other).await), ("revoked", "usable"));
    }

    /// T3: the same request under the same key makes one token and shows its secret once; another request
    /// under that key is refused.
    async fn a_repeated_request_shows_no_secret(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let wish = || Wish { idempotency_key: Some("k-1".to_owned()), ..World::wish("ann-ci") };
        let first = pat::add(&world.provision, &world.host, wish()).await.unwrap();
        assert!(first.token.is_some());
        let count = world.count().await;
        world.clock.advance(Duration::from_secs(90));
        let second = pat::add(&world.provision, &world.host, wish()).await.unwrap();
        assert!(second.token.is_none());
        assert_eq!(second.pat.public_id, first.pat.public_id);
        assert_eq!(world.count().await, count);

        let other = Wish { service: "other".to_owned(), ..wish() };
        let refusal = refused(pat::add(&world.provision, &world.host, other).await).unwrap_err();
        assert_eq!(refusal, Refusal::KeyReused(first.pat.public_id));
        let elsewhere = Wish { idempotency_key: Some("k-2".to_owned()), ..wish() };
        let made = pat::add(&world.provision, &world.host, elsewhere).await.unwrap();
        assert!(made.token.is_some() && made.pat.public_id != first.pat.public_id);
    }

    /// T3: of the same request many times at once, one shows the secret.
    async fn of_parallel_repetitions_one_shows_the_secret(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let wish = || Wish { idempotency_key: Some("k-1".to_owned()), ..World::wish("ann-ci") };
        let all = (0..8).map(|_| pat::add(&world.provision, &world.host, wish()));
        let made = futures_util::future::join_all(all).await;
        assert_eq!(made.iter().filter(|made| made.as_ref().unwrap().token.is_some()).count(), 1);
        let id = world.id("ann-ci").await;
        assert_eq!(world.store().read().await.unwrap().pats(id).await.unwrap().len(), 1);
    }

    /// T4: nothing that is stored holds the secret.
    async fn no_action_holds_the_secret(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let made = world.pending_pat("ann-ci").await;
        let token = made.token.unwrap();
        let secret = &token.expose()[22..62];
        let links = world.store().read().await.unwrap().links(1, 1_000).await.unwrap();
        for link in links {
            assert!(!String::from_utf8_lossy(&link.canonical).contains(secret), "entry {}", link.sequence);
        }
        assert!(!format!("{:?}", world.pending_pat("ann-ci").await).contains(&token.expose()[..30]));
    }
}
