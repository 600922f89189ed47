//! Rights: every operation asks the table first, refuses without it, and leaves a trace (P1, P14, rights
//! table).

use std::collections::BTreeSet;

use locum::directory::administrator::Level;
use locum::directory::personal::PersonalChange;
use locum::directory::rights::{Caller, Grade, Right};
use locum::directory::{AppName, Holding, Networks, ReasonCode};
use locum::provision::reading::{self, Listing, Question};
use locum::provision::{
    Error, Refusal, Request, Wanted, holding, name as names, pat, person, proxy_user, reason, role,
};

use crate::world::{World, claims, name, permission_set, refused, role_name};

/// Every operation that changes something, tried by one caller on a household that exists.
async fn try_all(world: &World, request: &Request) -> Vec<(&'static str, Result<(), Refusal>)> {
    let (p, ann, ci) = (&world.provision, || name("ann"), || name("ann-ci"));
    let token = world.pending_pat("ann-ci").await.pat.public_id;
    let other = || ReasonCode::parse("other").unwrap();
    let reports = || Holding::Role(role_name("reports"));
    vec![
        ("person add", refused(person::add(p, request, name("new"), BTreeSet::new()).await)),
        ("person set", refused(person::set(p, request, ann(), PersonalChange::default()).await)),
        ("person inactivate", refused(person::inactivate(p, request, ann()).await)),
        ("person activate", refused(person::activate(p, request, ann()).await)),
        ("proxy add", refused(proxy_user::add(p, request, name("new-ci"), ann(), Networks::ANY).await)),
        ("proxy inactivate", refused(proxy_user::inactivate(p, request, ci()).await)),
        ("proxy networks", refused(proxy_user::set_networks(p, request, ci(), Networks::ANY).await)),
        ("proxy activate", refused(proxy_user::activate(p, request, ci()).await)),
        ("pat add", refused(pat::add(p, request, World::wish("ann-ci")).await).map(|_| ())),
        ("pat confirm", refused(pat::confirm(p, request, token).await)),
        ("pat revoke", refused(pat::revoke(p, request, token, other()).await)),
        ("role add", refused(role::add(p, request, role_name("new"), BTreeSet::new()).await)),
        ("role set", refused(role::set_permissions(p, request, role_name("reports"), BTreeSet::new()).await)),
        ("grant", refused(holding::grant(p, request, ann(), reports()).await)),
        ("remove", refused(holding::remove(p, request, ann(), reports()).await)),
        ("copy", refused(holding::copy_roles(p, request, name("bob"), ann()).await)),
        ("reason add", refused(reason::add(p, request, ReasonCode::parse("new").unwrap(), "New".into()).await)),
        ("name release", refused(names::release(p, request, name("gone")).await)),
        ("proxy delete", refused(proxy_user::delete(p, request, ci()).await)),
        ("person delete", refused(person::delete(p, request, ann()).await)),
    ]
}

async fn household(world: &World) {
    world.role("reports", &["general:read"]).await;
    world.person("ann").await;
    world.person("bob").await;
    world.proxy("ann-ci", "ann").await;
}

fn not_allowed(results: &[(&'static str, Result<(), Refusal>)]) -> Vec<&'static str> {
    let denied = |result: &Result<(), Refusal>| matches!(result, Err(Refusal::NotAllowed(_)));
    results.iter().filter(|(_, result)| denied(result)).map(|(operation, _)| *operation).collect()
}

claims! {
    /// P14: a proxy user has no right over Locum, nor has who stands in for another.
    async fn proxy_users_and_stand_ins_may_do_nothing(world: World) {
        household(&world).await;
        let (ann, ci) = (world.id("ann").await, world.id("ann-ci").await);
        let before = world.history().await;
        for caller in [Caller::ProxyUser { account: ci }, Caller::StandIn { holder: ci, target: ann }] {
            let request = Request { caller, address: None, request_id: None };
            let results = try_all(&world, &request).await;
            assert_eq!(not_allowed(&results).len(), results.len(), "{results:?}");
        }
        // each try left its trace, and beside them only the two tokens that the host made for the tries
        let after = world.history().await;
        let refusals = after.iter().filter(|entry| entry.action.kind.slug() == "operation_refused").count();
        assert_eq!((refusals, after.len() - before.len()), (40, 42));
        assert!(after.iter().filter(|entry| entry.action.kind.slug() == "operation_refused").all(|entry| !entry.changed));
    }

    /// The rights table: what a plain person may do is with what is its own.
    async fn a_plain_person_may_do_only_what_is_its_own(world: World) {
        household(&world).await;
        let request = world.signed_in("ann", Grade::None, &[]).await;
        let results = try_all(&world, &request).await;
        assert_eq!(not_allowed(&results), [
            "person add", "person inactivate", "person activate", "proxy add", "proxy networks", "proxy activate",
            "role add", "role set", "grant", "remove", "copy", "reason add", "name release", "proxy delete", "person delete",
        ]);
    }

    /// The rights table: an administrator makes no tokens of others, adds no proxy users for others, and
    /// releases no names.
    async fn an_administrator_may_not_make_credentials_for_others(world: World) {
        household(&world).await;
        world.person("ada").await;
        for grade in [Grade::Administrator, Grade::SuperAdministrator] {
            let request = world.signed_in("ada", grade, &[]).await;
            let request = Request { request_id: None, ..request };
            let p = &world.provision;
            let tried = [
                refused(proxy_user::add(p, &request, name("x"), name("ann"), Networks::ANY).await),
                refused(pat::add(p, &request, World::wish("ann-ci")).await).map(|_| ()),
                refused(names::release(p, &request, name("gone")).await),
            ];
            assert!(tried.iter().all(|result| matches!(result, Err(Refusal::NotAllowed(_)))), "{tried:?}");
            proxy_user::inactivate(p, &request, name("ann-ci")).await.unwrap();
            proxy_user::activate(p, &request, name("ann-ci")).await.unwrap();
        }
    }

    /// P1: over the network one is the owner of what one adds, given the right; not with an API key.
    async fn a_person_adds_proxy_users_only_as_their_owner(world: World) {
        household(&world).await;
        let request = world.signed_in("bob", Grade::None, &[Right::AddProxyUsers]).await;
        proxy_user::add(&world.provision, &request, name("bob-ci"), name("bob"), Networks::ANY).await.unwrap();
        let for_ann = refused(proxy_user::add(&world.provision, &request, name("x"), name("ann"), Networks::ANY).await);
        assert!(matches!(for_ann, Err(Refusal::NotAllowed(_))), "{for_ann:?}");
        let request = world.by_key("bob", Level::SuperAdministrator).await;
        let by_key = refused(proxy_user::add(&world.provision, &request, name("y"), name("bob"), Networks::ANY).await);
        assert!(matches!(by_key, Err(Refusal::NotAllowed(_))), "{by_key:?}");
    }

    /// R5, H2: who administers one app reads what concerns it, and of such an entry nothing about other apps.
    async fn an_administrator_of_an_app_reads_its_history_only(world: World) {
        household(&world).await;
        world.role("blog/editor", &["blog:write"]).await;
        world.role("wiki/author", &["blog:read", "wiki:write"]).await;
        world.grant("ann", "app:wiki").await;
        world.grant("ann", "blog/editor").await;
        world.person("ada").await;
        let apps = BTreeSet::from([AppName::parse("blog").unwrap()]);
        let request = world.signed_in("ada", Grade::OfApps(apps), &[]).await;
        let ask = async |app: Option<&str>| {
            let app = app.map(|app| AppName::parse(app).unwrap());
            let question = Question { app, limit: 100, ..Question::default() };
            refused(reading::history(&world.provision, &request, question).await.map(|(entries, _)| entries))
        };
        for other in [None, Some("wiki")] {
            assert!(matches!(ask(other).await, Err(Refusal::NotAllowed(_))), "{other:?}");
        }
        holding::remove(&world.provision, &world.host, name("ann"), Holding::App(AppName::parse("wiki").unwrap()))
            .await
            .unwrap();
        let of_blog = ask(Some("blog")).await.unwrap();
        assert!(of_blog.len() >= 4, "{of_blog:?}");
        assert!(!format!("{of_blog:?}").contains("wiki"), "{of_blog:?}");
        let copied = Question { app: Some(AppName::parse("nope").unwrap()), limit: 1, ..Question::default() };
        let unknown = refused(reading::history(&world.provision, &world.host, copied).await);
        assert!(matches!(unknown, Err(Refusal::UnknownApp { .. })), "{unknown:?}");
    }

    /// The rights table, H5: the history is handed out, and signed, by super administrators and the host shell only.
    async fn only_a_super_administrator_hands_out_the_history(world: World) {
        household(&world).await;
        world.person("ada").await;
        for (grade, may) in [(Grade::None, false), (Grade::Administrator, false), (Grade::SuperAdministrator, true)] {
            let request = world.signed_in("ada", grade, &[]).await;
            let tried = [
                refused(reading::export(&world.provision, &request, Some(1)).await.map(|_| ())),
                refused(reading::checkpoint(&world.provision, &request).await.map(|_| ())),
            ];
            for result in &tried {
                assert_eq!(!matches!(result, Err(Refusal::NotAllowed(_))), may, "{tried:?}");
                assert_eq!(result.is_ok(), may, "{tried:?}");
            }
            if !may {
                world.demand_recorded_refusal("not_allowed").await;
            }
        }
    }

    /// A caller without the right learns nothing of who exists: an unknown name is refused in the same words.
    async fn a_stranger_does_not_learn_who_exists(world: World) {
        household(&world).await;
        let request = world.signed_in("bob", Grade::None, &[]).await;
        let known = refused(proxy_user::inactivate(&world.provision, &request, name("ann-ci")).await);
        let unknown = refused(proxy_user::inactivate(&world.provision, &request, name("nobody")).await);
        assert_eq!(known, unknown);
        let seen = refused(reading::show(&world.provision, &request, &name("ann"), Wanted::Either).await);
        let unseen = refused(reading::show(&world.provision, &request, &name("nobody"), Wanted::Either).await);
        assert_eq!(seen.unwrap_err(), unseen.unwrap_err());
    }

    /// Reading asks the table too; who may not look leaves a trace.
    async fn reading_is_refused_without_the_right(world: World) {
        household(&world).await;
        let request = world.signed_in("bob", Grade::None, &[]).await;
        let p = &world.provision;
        let everybody = Listing { kind: Wanted::Either, owner: None, prefix: None, email: None, after: None, limit: 10 };
        let question = Question { limit: 1, ..Question::default() };
        let denied = |error: Error| matches!(error, Error::Refused(Refusal::NotAllowed(_)));
        let count = world.count().await;
        assert!(denied(reading::accounts(p, &request, everybody).await.unwrap_err()));
        assert!(denied(reading::roles(p, &request).await.unwrap_err()));
        assert!(denied(reading::reasons(p, &request).await.unwrap_err()));
        assert!(denied(reading::apps(p, &request).await.unwrap_err()));
        assert!(denied(reading::history(p, &request, question).await.unwrap_err()));
        assert!(denied(reading::audit(p, &request, &[], None).await.unwrap_err()));
        assert!(denied(reading::pats(p, &request, &name("ann-ci")).await.unwrap_err()));
        assert_eq!(world.count().await, count + 7);
        let own = reading::show(p, &request, &name("bob"), Wanted::Person).await.unwrap();
        assert_eq!(own.account.username, name("bob"));
    }

    /// R6, R5: an administrator of one app defines and grants that app's roles only.
    async fn an_administrator_of_one_app_stays_in_it(world: World) {
        household(&world).await;
        world.role("wiki/editor", &[]).await;
        world.person("eva").await;
        let of_blog = Grade::OfApps([locum::directory::AppName::parse("blog").unwrap()].into());
        let request = world.signed_in("eva", of_blog, &[]).await;
        let p = &world.provision;
        role::add(p, &request, role_name("blog/editor"), permission_set(&["blog:write"])).await.unwrap();
        holding::grant(p, &request, name("ann"), Holding::Role(role_name("blog/editor"))).await.unwrap();
        for role in ["wiki/editor", "reports"] {
            let denied = refused(holding::grant(p, &request, name("ann"), Holding::Role(role_name(role))).await);
            assert!(matches!(denied, Err(Refusal::NotAllowed(_))), "{role}: {denied:?}");
        }
        assert_eq!(world.holdings("ann").await, ["app:blog", "role:blog/editor"]);
    }

    /// H3: what a signed-in person does is told with its name, address and request.
    async fn an_action_names_the_person_the_address_and_the_request(world: World) {
        household(&world).await;
        let request = world.signed_in("ann", Grade::None, &[]).await;
        proxy_user::inactivate(&world.provision, &request, name("ann-ci")).await.unwrap();
        let last = world.history().await.pop().unwrap().action;
        assert_eq!(last.address, Some([192, 0, 2, 7].into()));
        assert_eq!(last.request_id.as_deref(), Some("r-1"));
        assert_eq!(world.told_since(world.count().await - 1).await, [
            "proxy_user_marked_inactive by ann to ann-ci, state active > inactive"
        ]);
    }
}
