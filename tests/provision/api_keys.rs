//! Keys of the admin API: made, presented, and ended with the status of their person (A6, H3, R2).

use std::time::Duration;

use locum::clock::Clock as _;
use locum::directory::administrator::Level;
use locum::directory::api_key::Scopes;
use locum::directory::rights::{Caller, Grade};
use locum::directory::{AppName, Holding, ReasonCode};
use locum::provision::api_key::{self, Made, Wish};
use locum::provision::{Refusal, Request, administrator, caller, holding, pat, person, reading, role};

use crate::world::{World, claims, name, permission_set, refused, role_name};

const DAY: Duration = Duration::from_hours(24);

fn wish(of: Option<&str>) -> Wish {
    Wish {
        person: of.map(name),
        name: "provisioning".to_owned(),
        scopes: Scopes::parse(["roles:write"]).unwrap(),
        life: DAY,
        idempotency_key: None,
    }
}

async fn add(world: &World, by: &Request, wish: Wish) -> Result<Made, Refusal> {
    refused(api_key::add(&world.provision, by, wish).await)
}

async fn administrators(world: &World) {
    for (who, level) in
        [("sue", Level::SuperAdministrator), ("sam", Level::SuperAdministrator), ("ada", Level::Administrator)]
    {
        administrator::add(&world.provision, &world.host, name(who), level, true).await.unwrap();
    }
}

claims! {
    /// A6: a super administrator makes keys that act as itself, the host shell names any administrator; the secret is
    /// shown once, and what it may not do is refused in words.
    async fn keys_are_made_by_super_administrators(world: World) {
        administrators(&world).await;
        world.person("bob").await;
        let sue = world.signed_in("sue", Grade::SuperAdministrator, &[]).await;
        let made = add(&world, &sue, wish(None)).await.unwrap();
        let token = made.token.as_ref().unwrap();
        assert!(token.expose().starts_with("locum_key_") && token.expose().len() == 68);
        assert_eq!(made.key.life(), DAY);
        let told = world.told_since(world.count().await - 1).await.remove(0);
        let expected = format!(
            "api_key_created by sue to sue of {}, name - > provisioning, expires_at - > {}, scope - > roles:write",
            made.key.public_id, made.key.expires_at
        );
        assert_eq!(told, expected);
        assert!(!told.contains(&token.expose()[22..62]));
        let codes = async |by: &Request, wish| add(&world, by, wish).await.err().map_or("made", |refusal| refusal.code());
        assert_eq!(codes(&sue, wish(Some("sam"))).await, "not_allowed", "nobody mints in another's name");
        let ada = world.signed_in("ada", Grade::Administrator, &[]).await;
        assert_eq!(codes(&ada, wish(None)).await, "not_allowed");
        assert_eq!(codes(&world.host, wish(Some("ada"))).await, "made");
        assert_eq!(codes(&world.host, wish(None)).await, "key_of_nobody");
        assert_eq!(codes(&world.host, wish(Some("bob"))).await, "not_an_administrator");
        let key = world.by_key("sam", Level::SuperAdministrator).await;
        assert_eq!(codes(&key, wish(Some("sam"))).await, "not_allowed", "a key makes no keys");
        assert_eq!(codes(&sue, Wish { life: 366 * DAY, ..wish(None) }).await, "life_too_long");
        assert_eq!(codes(&sue, Wish { life: Duration::ZERO, ..wish(None) }).await, "life_too_short");
        assert_eq!(codes(&sue, Wish { name: " ".to_owned(), ..wish(None) }).await, "service_name");
    }

    /// A6, T3: the same wish under the same idempotency key makes one key and shows one secret.
    async fn a_repeated_wish_makes_one_key(world: World) {
        administrators(&world).await;
        let again = || Wish { idempotency_key: Some("k-1".to_owned()), ..wish(Some("sue")) };
        let first = add(&world, &world.host, again()).await.unwrap();
        let second = add(&world, &world.host, again()).await.unwrap();
        assert_eq!((first.key.public_id, second.token.is_none()), (second.key.public_id, true));
        let other = add(&world, &world.host, Wish { name: "other".to_owned(), ..again() }).await;
        assert_eq!(other.unwrap_err().code(), "idempotency_key_reused");
    }

    /// A6, H3: a key acts as its person with the grade that this has now, and what is done with it names both.
    async fn what_is_done_with_a_key_names_the_person_and_the_key(world: World) {
        administrators(&world).await;
        let made = world.key("ada", &["all:write"]).await;
        let by = world.presents(&made).await.unwrap();
        role::add(&world.provision, &by, role_name("reports"), permission_set(&["general:read"])).await.unwrap();
        world.person("bob").await;
        world.proxy("bob-ci", "bob").await;
        let count = world.count().await;
        person::inactivate(&world.provision, &by, name("bob")).await.unwrap();
        let key = format!("api_key - > {}", made.key.public_id);
        let told = world.told_since(count).await;
        assert_eq!(told, [
            format!("user_marked_inactive by ada to bob, {key}, state active > inactive"),
            format!("proxy_user_marked_inactive by locum because P13 to bob-ci, {key}, state active > inactive"),
        ]);
        let denied = refused(pat::add(&world.provision, &by, World::wish("bob-ci")).await);
        assert!(matches!(denied, Err(Refusal::NotAllowed(_))), "{denied:?}");
        assert!(world.told_since(world.count().await - 1).await[0].contains(&key), "a refusal names it too");
        administrator::promote(&world.provision, &world.host, name("ada")).await.unwrap();
        let grade = match world.presents(&made).await.unwrap().caller {
            Caller::ApiKey { grade, .. } => grade,
            other => panic!("{other:?}"),
        };
        assert_eq!(grade, Grade::SuperAdministrator);
    }

    /// A6, R2: a key dies at once and for good with the administration of its person, whichever way that ends.
    async fn a_key_dies_with_the_status_of_its_person(world: World) {
        administrators(&world).await;
        world.person("eva").await;
        let (p, host) = (&world.provision, &world.host);
        let blog = || AppName::parse("blog").unwrap();
        let told = async |made: &Made, cause: &str, reason: &str| {
            assert!(world.presents(made).await.is_none());
            let all = world.told_since(0).await;
            let id = made.key.public_id;
            let revoked = all.iter().find(|told| told.starts_with("api_key_revoked") && told.contains(id.as_str())).unwrap().clone();
            assert!(revoked.contains(&format!("because {cause} ")) && revoked.ends_with(reason), "{revoked}");
        };
        let key = async |who| world.key(who, &["all:read"]).await;

        let made = key("sam").await;
        administrator::downgrade(p, host, name("sam"), false).await.unwrap();
        told(&made, "A6", "administration_ended").await;
        let made = key("sam").await;
        administrator::deactivate(p, host, name("sam"), false).await.unwrap();
        told(&made, "A6", "administration_ended").await;
        administrator::reactivate(p, host, name("sam")).await.unwrap();
        assert!(world.presents(&made).await.is_none(), "revoked for good");
        let made = key("sam").await;
        person::inactivate(p, host, name("sam")).await.unwrap();
        told(&made, "U6", "account_inactivated").await;
        let made = key("ada").await;
        person::delete(p, host, name("ada")).await.unwrap();
        told(&made, "U7", "account_inactivated").await;

        administrator::set_app(p, host, name("eva"), blog(), true).await.unwrap();
        let made = key("eva").await;
        administrator::set_app(p, host, name("eva"), blog(), false).await.unwrap();
        told(&made, "A6", "administration_ended").await;
        administrator::set_app(p, host, name("eva"), blog(), true).await.unwrap();
        let made = key("eva").await;
        holding::remove(p, host, name("eva"), Holding::App(blog())).await.unwrap();
        told(&made, "A6", "administration_ended").await;
    }

    /// A6, T10: a key is refused at its instant, once it is revoked, with another secret, and whatever else is
    /// presented in its place; and a change that began before ends with it.
    async fn a_key_that_is_not_in_force_is_nobody(world: World) {
        administrators(&world).await;
        let made = world.key("sue", &["all:write"]).await;
        let other = world.key("sue", &["all:write"]).await;
        let by = world.presents(&made).await.unwrap();
        let reason = ReasonCode::parse("compromised").unwrap();
        api_key::revoke(&world.provision, &world.host, made.key.public_id, reason.clone()).await.unwrap();
        assert!(world.presents(&made).await.is_none());
        let late = refused(role::add(&world.provision, &by, role_name("late"), permission_set(&[])).await);
        assert!(matches!(late, Err(Refusal::CallerEnded)), "{late:?}");
        let again = refused(api_key::revoke(&world.provision, &world.host, made.key.public_id, reason).await);
        assert_eq!(again.unwrap_err().code(), "api_key_revoked");

        assert!(world.presents(&other).await.is_some());
        let secret = other.token.as_ref().unwrap().expose().to_owned();
        world.person("bob").await;
        world.proxy("bob-ci", "bob").await;
        let token = world.pending_pat("bob-ci").await.token.unwrap();
        for presented in ["", "locum_key_", &secret[..67], token.expose()] {
            assert!(caller::api_key(&world.provision, presented).await.unwrap().is_none(), "{presented}");
        }
        world.clock.advance(DAY);
        assert!(world.presents(&other).await.is_none(), "invalid at its instant");
        let (keys, _) = reading::api_keys(&world.provision, &world.host, Some(name("sue")), None, 10).await.unwrap();
        let mut standings: Vec<_> = keys.iter().map(|key| key.standing(world.clock.now()).slug()).collect();
        standings.sort_unstable();
        assert_eq!(standings, ["expired", "revoked"]);
    }

    /// A6: when a key was last used is noted, once a minute at most.
    async fn the_last_use_of_a_key_is_noted(world: World) {
        administrators(&world).await;
        let made = world.key("sue", &["all:read"]).await;
        let last = async || reading::api_key(&world.provision, &world.host, made.key.public_id).await.unwrap().0.last_used_at;
        assert_eq!(last().await, None);
        world.presents(&made).await.unwrap();
        let first = last().await.unwrap();
        world.clock.advance(Duration::from_secs(59));
        world.presents(&made).await.unwrap();
        assert_eq!(last().await, Some(first));
        world.clock.advance(Duration::from_secs(1));
        world.presents(&made).await.unwrap();
        assert_eq!(last().await, Some(first.plus(Duration::from_mins(1))));
    }
}
