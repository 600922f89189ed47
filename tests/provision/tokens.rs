//! Tokens: two steps, lives, restrictions, revocation, repeated requests (T1–T6).

use std::time::Duration;

use locum::clock::Clock as _;
use locum::cluster::Ticket;
use locum::directory::pat::PatRefusal;
use locum::directory::{AppName, LastUse, Networks, PublicId, ReasonCode, Restrictions, Token};
use locum::provision::pat::{self, Rotation, Wish};
use locum::provision::{Refusal, reason};

use crate::world::{NOON, World, claims, refused};

const DAY: Duration = Duration::from_hours(24);

fn rotation(of: PublicId) -> Rotation {
    Rotation { of, overlap: 7 * DAY, silence: None, life: None, idempotency_key: None }
}

/// A usable token of `ann-ci`.
async fn usable(world: &World) -> PublicId {
    world.person("ann").await;
    world.proxy("ann-ci", "ann").await;
    world.pat("ann-ci").await
}

/// A token of `ann-ci` and its confirmed successor.
async fn rotated(world: &World, wanted: impl FnOnce(PublicId) -> Rotation) -> (PublicId, PublicId) {
    let old = usable(world).await;
    let new = pat::rotate(&world.provision, &world.host, wanted(old)).await.unwrap().pat.public_id;
    pat::confirm(&world.provision, &world.host, new).await.unwrap();
    (old, new)
}

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

    /// T7: from its confirmation on the successor ends the token before, after the overlap, at that instant and in the
    /// history; until then both are valid.
    async fn a_rotated_token_ends_after_its_overlap(world: World) {
        let (old, new) = rotated(&world, |of| Rotation { overlap: 2 * DAY, ..rotation(of) }).await;
        let told = world.told_since(world.count().await - 2).await;
        let ends = |days| NOON.plus(days * DAY);
        assert_eq!(told, [
            format!("pat_confirmed by host:root to ann-ci of {new}, state pending > usable"),
            format!("pat_rotated by host:root to ann-ci of {old}, replaced_by - > {new}, ends_at {} > {}", ends(365), ends(2)),
        ]);
        world.clock.set(NOON.plus(DAY + Duration::from_millis(24 * 60 * 60 * 1_000 - 1)));
        assert_eq!(pat::end_retired(&world.provision).await.unwrap(), 0);
        assert_eq!((world.standing(old).await, world.standing(new).await), ("usable", "usable"));

        world.clock.set(NOON.plus(2 * DAY));
        assert_eq!(world.standing(old).await, "revoked", "whether or not anybody has looked");
        assert_eq!(pat::end_retired(&world.provision).await.unwrap(), 1);
        assert_eq!(pat::end_retired(&world.provision).await.unwrap(), 0);
        let told = world.told_since(world.count().await - 1).await;
        assert_eq!(told, [format!(
            "pat_revoked by locum because T7 to ann-ci of {old}, state revoked > revoked, reason - > rotated"
        )]);
        assert_eq!((world.standing(old).await, world.standing(new).await), ("revoked", "usable"));
    }

    /// T7: a successor that nobody confirmed takes nothing away.
    async fn an_unconfirmed_successor_ends_nothing(world: World) {
        let old = usable(&world).await;
        let new = pat::rotate(&world.provision, &world.host, rotation(old)).await.unwrap().pat.public_id;
        world.clock.advance(30 * DAY);
        assert_eq!(pat::end_retired(&world.provision).await.unwrap(), 0);
        assert_eq!((world.standing(old).await, world.standing(new).await), ("usable", "lapsed"));
        // and the way is free for another
        let again = pat::rotate(&world.provision, &world.host, rotation(old)).await.unwrap();
        assert!(again.token.is_some());
    }

    /// T7: earlier than the overlap, once the new one is in use and the old one has been silent for as long as was chosen.
    async fn a_rotated_token_ends_once_its_successor_is_in_use_and_it_is_silent(world: World) {
        let silence = Some(Duration::from_hours(6));
        let (old, new) = rotated(&world, |of| Rotation { overlap: 7 * DAY, silence, ..rotation(of) }).await;
        let books = world.store().bookkeeping();
        let ended = async || pat::end_retired(&world.provision).await.unwrap();
        // the new one is not in use
        world.clock.set(NOON.plus(DAY));
        assert_eq!(ended().await, 0);
        // a forgotten worker uses the old one
        let last = LastUse::at(NOON.plus(DAY));
        books.used(vec![(new, last.clone()), (old, last)]).await.unwrap();
        world.clock.set(NOON.plus(DAY + Duration::from_millis(6 * 60 * 60 * 1_000 - 1)));
        assert_eq!(ended().await, 0);
        assert_eq!(world.standing(old).await, "usable");
        world.clock.set(NOON.plus(DAY + Duration::from_hours(6)));
        assert_eq!(ended().await, 1);
        let told = world.told_since(world.count().await - 1).await;
        assert_eq!(told, [format!(
            "pat_revoked by locum because T7 to ann-ci of {old}, state usable > revoked, reason - > rotated"
        )]);
        assert_eq!((world.standing(old).await, world.standing(new).await), ("revoked", "usable"));
    }

    /// T7: a token that was never used is silent since its successor was confirmed.
    async fn silence_begins_with_the_rotation(world: World) {
        let old = usable(&world).await;
        world.clock.advance(30 * DAY);
        let silence = Some(Duration::from_hours(1));
        let wanted = Rotation { overlap: 7 * DAY, silence, ..rotation(old) };
        let new = pat::rotate(&world.provision, &world.host, wanted).await.unwrap().pat.public_id;
        pat::confirm(&world.provision, &world.host, new).await.unwrap();
        world.store().bookkeeping().used(vec![(new, LastUse::at(NOON.plus(30 * DAY)))]).await.unwrap();
        world.clock.advance(Duration::from_mins(59));
        assert_eq!(pat::end_retired(&world.provision).await.unwrap(), 0);
        world.clock.advance(Duration::from_mins(1));
        assert_eq!(pat::end_retired(&world.provision).await.unwrap(), 1);
    }

    /// T7: a successor that was revoked meanwhile is not in use.
    async fn a_revoked_successor_ends_nothing_early(world: World) {
        let silence = Some(Duration::from_hours(1));
        let (old, new) = rotated(&world, |of| Rotation { overlap: 7 * DAY, silence, ..rotation(of) }).await;
        world.store().bookkeeping().used(vec![(new, LastUse::at(NOON))]).await.unwrap();
        world.revoke(new).await;
        world.clock.advance(DAY);
        assert_eq!(pat::end_retired(&world.provision).await.unwrap(), 0);
        assert_eq!(world.standing(old).await, "usable");
        world.clock.advance(6 * DAY);
        assert_eq!(pat::end_retired(&world.provision).await.unwrap(), 1);
    }

    /// T7, R3: what runs with the old token when the new one is confirmed ends when that does: at its instant by itself,
    /// and without an overlap before the confirmation returns.
    async fn what_runs_with_a_rotated_token_ends_when_it_does(world: World) {
        for overlap in [Duration::ZERO, DAY] {
            let name = format!("ann-{}", overlap.as_secs());
            world.person(&name).await;
            let proxy = format!("{name}-ci");
            world.proxy(&proxy, &name).await;
            let old = world.pat(&proxy).await;
            let expires_at = world.clock.now().plus(365 * DAY);
            let account = world.id(&proxy).await;
            let runs = |pat| Ticket { account, owner: None, pat, source: None, expires_at };
            let wanted = Rotation { overlap, ..rotation(old) };
            let new = pat::rotate(&world.provision, &world.host, wanted).await.unwrap().pat.public_id;
            let guard = world.in_flight.enter(runs(old), || true).unwrap();
            let other = world.in_flight.enter(runs(new), || true).unwrap();
            pat::confirm(&world.provision, &world.host, new).await.unwrap();
            assert_eq!(guard.is_cancelled(), overlap.is_zero());
            world.clock.advance(DAY);
            world.in_flight.cut_expired(world.clock.now());
            assert!(guard.is_cancelled() && !other.is_cancelled());
        }
    }

    /// T7: a successor that has expired is not in use.
    async fn an_expired_successor_ends_nothing_early(world: World) {
        let silence = Some(Duration::from_hours(1));
        let life = Some(Duration::from_mins(30));
        let (old, new) = rotated(&world, |of| Rotation { overlap: 7 * DAY, silence, life, ..rotation(of) }).await;
        world.store().bookkeeping().used(vec![(new, LastUse::at(NOON))]).await.unwrap();
        world.clock.advance(DAY);
        assert_eq!(pat::end_retired(&world.provision).await.unwrap(), 0);
        assert_eq!((world.standing(old).await, world.standing(new).await), ("usable", "expired"));
    }

    /// T7: without an overlap the old one ends with the confirmation.
    async fn a_rotation_without_overlap_ends_the_old_one_at_once(world: World) {
        let (old, new) = rotated(&world, |of| Rotation { overlap: Duration::ZERO, ..rotation(of) }).await;
        assert_eq!((world.standing(old).await, world.standing(new).await), ("revoked", "usable"));
        assert_eq!(pat::end_retired(&world.provision).await.unwrap(), 1);
    }

    /// T7: an overlap never makes a token live longer.
    async fn an_overlap_lengthens_no_life(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let wish = Wish { life: Some(DAY), ..World::wish("ann-ci") };
        let old = pat::add(&world.provision, &world.host, wish).await.unwrap().pat.public_id;
        pat::confirm(&world.provision, &world.host, old).await.unwrap();
        let new = pat::rotate(&world.provision, &world.host, rotation(old)).await.unwrap().pat.public_id;
        pat::confirm(&world.provision, &world.host, new).await.unwrap();
        world.clock.set(NOON.plus(DAY));
        assert_eq!((world.standing(old).await, world.standing(new).await), ("expired", "usable"));
    }

    /// T7: for the same service with the same restrictions; only what can be used is rotated, once; the terms have to
    /// make sense.
    async fn a_rotation_is_for_the_same_service_and_once(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        let restrictions = Restrictions { read_only: true, ..Restrictions::default() };
        let wish = Wish { restrictions: restrictions.clone(), service: "backup".to_owned(), ..World::wish("ann-ci") };
        let old = pat::add(&world.provision, &world.host, wish).await.unwrap().pat.public_id;
        let ask = |wanted| pat::rotate(&world.provision, &world.host, wanted);
        assert_eq!(refused(ask(rotation(old)).await).unwrap_err().code(), "pat_not_usable");
        pat::confirm(&world.provision, &world.host, old).await.unwrap();

        let (too_long, minute) = (366 * DAY, Some(Duration::from_mins(1)));
        for (wanted, code) in [
            (Rotation { overlap: too_long, ..rotation(old) }, "overlap_too_long"),
            (Rotation { silence: minute, ..rotation(old) }, "silence"),
            (Rotation { silence: Some(7 * DAY), ..rotation(old) }, "silence"),
            (Rotation { life: Some(too_long), ..rotation(old) }, "life_too_long"),
        ] {
            assert_eq!(refused(ask(wanted).await).unwrap_err().code(), code);
            world.demand_recorded_refusal(code).await;
        }
        let new = ask(rotation(old)).await.unwrap().pat;
        assert_eq!((new.service.as_str(), &new.restrictions), ("backup", &restrictions));
        pat::confirm(&world.provision, &world.host, new.public_id).await.unwrap();
        assert_eq!(refused(ask(rotation(old)).await).unwrap_err().code(), "pat_already_rotated");
        world.revoke(new.public_id).await;
        assert_eq!(refused(ask(rotation(new.public_id)).await).unwrap_err().code(), "pat_not_usable");
    }

    /// T3, T7: the same rotation under the same key makes one token and shows its secret once.
    async fn a_repeated_rotation_shows_no_secret(world: World) {
        let old = usable(&world).await;
        let wanted = || Rotation { idempotency_key: Some("k-1".to_owned()), ..rotation(old) };
        let first = pat::rotate(&world.provision, &world.host, wanted()).await.unwrap();
        assert!(first.token.is_some());
        let second = pat::rotate(&world.provision, &world.host, wanted()).await.unwrap();
        assert!(second.token.is_none() && second.pat == first.pat);
        let other = Rotation { overlap: DAY, ..wanted() };
        let refusal = refused(pat::rotate(&world.provision, &world.host, other).await).unwrap_err();
        assert_eq!(refusal, Refusal::KeyReused(first.pat.public_id));
        let plain = Wish { idempotency_key: Some("k-1".to_owned()), ..World::wish("ann-ci") };
        let refusal = refused(pat::add(&world.provision, &world.host, plain).await).unwrap_err();
        assert_eq!(refusal, Refusal::KeyReused(first.pat.public_id));
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
