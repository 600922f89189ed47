//! Those who run Locum: who may make whom what, and what ends with what (A1, A3–A5, R4, R5).

use std::collections::BTreeSet;

use locum::directory::administrator::Level;
use locum::directory::rights::{Caller, Grade, Right};
use locum::directory::{AppName, Holding, ReasonCode};
use locum::history::ActionType;
use locum::provision::{
    Error, Refusal, Request, administrator, caller, holding, pat, person, proxy_user, reading, role,
};

use crate::world::{World, claims, name, permission_set, refused, role_name};

fn app(text: &str) -> AppName {
    AppName::parse(text).unwrap()
}

impl World {
    /// Makes a person an administrator, adding it first.
    async fn administrator(&self, username: &str, level: Level) {
        administrator::add(&self.provision, &self.host, name(username), level, true).await.unwrap();
    }

    /// The person as it calls now.
    async fn calls(&self, username: &str) -> Request {
        let caller = caller::person(&self.provision, self.id(username).await).await.unwrap();
        Request { caller, address: Some([192, 0, 2, 9].into()), request_id: None }
    }

    async fn grade(&self, username: &str) -> Grade {
        match self.calls(username).await.caller {
            Caller::Person { grade, .. } => grade,
            other => panic!("{other:?}"),
        }
    }

    async fn last_told(&self) -> String {
        self.told_since(self.count().await - 1).await.remove(0)
    }
}

/// Each of the changes of a level, by one caller on one person.
async fn try_levels(world: &World, by: &Request, of: &str) -> Vec<Result<(), Refusal>> {
    let p = &world.provision;
    vec![
        refused(administrator::promote(p, by, name(of)).await),
        refused(administrator::downgrade(p, by, name(of), true).await),
        refused(administrator::deactivate(p, by, name(of), true).await),
        refused(administrator::reactivate(p, by, name(of)).await),
    ]
}

fn codes(results: &[Result<(), Refusal>]) -> Vec<&'static str> {
    results.iter().map(|result| result.as_ref().err().map_or("done", Refusal::code)).collect()
}

claims! {
    /// R5: through a role of its own app, an administrator of one app reaches into no other, nor into what belongs to all;
    /// and takes none of its like away.
    async fn an_administrator_of_one_app_reaches_no_further_by_its_roles(world: World) {
        world.person("eva").await;
        world.person("fay").await;
        let eva = world.signed_in("eva", Grade::OfApps([app("blog")].into()), &[]).await;
        let p = &world.provision;
        world.role("blog/editor", &["blog:write", "wiki:read"]).await;
        for foreign in ["wiki:write", "general:read"] {
            let added = role::add(p, &eva, role_name("blog/more"), permission_set(&["blog:write", foreign])).await;
            assert_eq!(refused(added).unwrap_err().code(), "not_allowed", "{foreign}");
            let set = permission_set(&["blog:write", "wiki:read", foreign]);
            let set = role::set_permissions(p, &eva, role_name("blog/editor"), set).await;
            assert_eq!(refused(set).unwrap_err().code(), "not_allowed", "{foreign}");
        }
        let without = role::set_permissions(p, &eva, role_name("blog/editor"), permission_set(&["blog:write"])).await;
        assert_eq!(refused(without).unwrap_err().code(), "not_allowed", "what another put in stays");
        let own = permission_set(&["blog:write", "blog:publish", "wiki:read"]);
        role::set_permissions(p, &eva, role_name("blog/editor"), own).await.unwrap();

        world.signed_in("fay", Grade::OfApps([app("blog")].into()), &[]).await;
        for other in ["fay", "eva"] {
            let taken = holding::remove(p, &eva, name(other), Holding::App(app("blog"))).await;
            assert_eq!(refused(taken).unwrap_err().code(), "not_allowed", "{other}");
        }
        holding::remove(p, &world.host, name("fay"), Holding::App(app("blog"))).await.unwrap();
        assert_eq!(world.grade("fay").await, Grade::None);
    }

    /// A1, decision 10: the first comes from the host shell; administrators make administrators, and only super
    /// administrators make super administrators.
    async fn administrators_are_made_by_those_who_may(world: World) {
        world.person("bob").await;
        let p = &world.provision;
        world.administrator("sue", Level::SuperAdministrator).await;
        assert_eq!(world.told_since(world.count().await - 2).await, [
            "user_added by host:root to sue",
            "admin_status_changed by host:root to sue, level - > super_administrator, state - > active",
        ]);
        let sue = world.calls("sue").await;
        administrator::add(p, &sue, name("ada"), Level::Administrator, true).await.unwrap();
        let ada = world.calls("ada").await;
        administrator::add(p, &ada, name("bob"), Level::Administrator, false).await.unwrap();
        assert_eq!(world.last_told().await, "admin_status_changed by ada to bob, level - > administrator, state - > active");
        let add = async |by: &Request, who: &str, level, new| refused(administrator::add(p, by, name(who), level, new).await);
        let raised = add(&ada, "cy", Level::SuperAdministrator, true).await;
        assert!(matches!(raised, Err(Refusal::NotAllowed(_))), "{raised:?}");
        world.demand_recorded_refusal("not_allowed").await;
        assert_eq!(add(&sue, "bob", Level::SuperAdministrator, false).await.unwrap_err().code(), "is_administrator");
        assert_eq!(add(&sue, "bob", Level::Administrator, true).await.unwrap_err().code(), "username_taken");
        assert_eq!(add(&sue, "nobody", Level::Administrator, false).await.unwrap_err().code(), "unknown_account");
        world.proxy("bob-ci", "bob").await;
        assert_eq!(add(&sue, "bob-ci", Level::Administrator, false).await.unwrap_err().code(), "not_a_person");
        world.person("dan").await;
        person::inactivate(p, &world.host, name("dan")).await.unwrap();
        assert_eq!(add(&sue, "dan", Level::Administrator, false).await.unwrap_err().code(), "account_inactive");
        assert!(matches!(add(&world.calls("bob").await, "bob", Level::Administrator, false).await, Err(Refusal::OwnAdministration)));
    }

    /// A4, A5, AD-007: who may promote, downgrade, deactivate and reactivate whom, by every grade.
    async fn levels_are_changed_by_those_who_may(world: World) {
        for (who, level) in [("sue", Level::SuperAdministrator), ("sam", Level::SuperAdministrator), ("ada", Level::Administrator), ("abe", Level::Administrator)] {
            world.administrator(who, level).await;
        }
        world.person("bob").await;
        let (host, sue, ada, bob) = (world.host.clone(), world.calls("sue").await, world.calls("ada").await, world.calls("bob").await);
        assert_eq!(codes(&try_levels(&world, &bob, "abe").await), ["not_allowed"; 4]);
        assert_eq!(codes(&try_levels(&world, &ada, "abe").await), ["not_allowed"; 4], "A1: but the deactivation of administrators");
        assert_eq!(codes(&try_levels(&world, &ada, "ada").await), ["not_allowed"; 4]);
        assert_eq!(codes(&try_levels(&world, &ada, "sam").await), ["not_allowed"; 4]);
        assert_eq!(codes(&try_levels(&world, &sue, "sue").await), ["own_administration"; 4]);
        assert_eq!(codes(&try_levels(&world, &sue, "sam").await), ["done", "not_allowed", "not_allowed", "not_allowed"]);
        let p = &world.provision;
        administrator::deactivate(p, &sue, name("abe"), false).await.unwrap();
        assert_eq!(world.last_told().await, "admin_status_changed by sue to abe, state active > inactive");
        assert_eq!(world.grade("abe").await, Grade::None);
        assert!(world.is_active("abe").await, "the account is left as it is");
        assert_eq!(codes(&[refused(administrator::promote(p, &sue, name("abe")).await)]), ["administration_inactive"]);
        administrator::reactivate(p, &sue, name("abe")).await.unwrap();
        administrator::promote(p, &sue, name("abe")).await.unwrap();
        assert_eq!(world.last_told().await, "admin_status_changed by sue to abe, level administrator > super_administrator");
        assert_eq!(world.grade("abe").await, Grade::SuperAdministrator);
        assert_eq!(codes(&try_levels(&world, &host, "abe").await), ["done", "done", "done", "done"]);
        assert_eq!(codes(&try_levels(&world, &host, "bob").await), ["not_an_administrator"; 4]);
        let count = world.count().await;
        administrator::reactivate(p, &host, name("abe")).await.unwrap();
        assert_eq!(world.count().await, count, "it was active already");
    }

    /// A4, AD-007: the last active super administrator stays, whatever way is tried, but for `--force` on the host.
    async fn the_last_super_administrator_stays(world: World) {
        world.administrator("sue", Level::SuperAdministrator).await;
        world.administrator("sam", Level::SuperAdministrator).await;
        let (p, host) = (&world.provision, &world.host);
        administrator::deactivate(p, host, name("sam"), false).await.unwrap();
        let tried = [
            refused(administrator::downgrade(p, host, name("sue"), false).await),
            refused(administrator::deactivate(p, host, name("sue"), false).await),
            refused(person::inactivate(p, host, name("sue")).await),
            refused(person::delete(p, host, name("sue")).await),
        ];
        assert_eq!(codes(&tried), ["last_super_administrator"; 4]);
        assert_eq!(world.grade("sue").await, Grade::SuperAdministrator);
        administrator::reactivate(p, host, name("sam")).await.unwrap();
        person::inactivate(p, host, name("sam")).await.unwrap();
        assert_eq!(codes(&[refused(administrator::downgrade(p, host, name("sue"), false).await)]), ["last_super_administrator"]);
        administrator::deactivate(p, host, name("sue"), true).await.unwrap();
        assert_eq!(world.grade("sue").await, Grade::None);
        person::delete(p, host, name("sue")).await.unwrap();
    }

    /// A1, A4, A5: the account of somebody who runs Locum is made inactive, active, or deleted by those who may end
    /// its administration, and its roles are nobody's below.
    async fn nobody_acts_on_an_account_of_a_higher_level(world: World) {
        for (who, level) in [("sue", Level::SuperAdministrator), ("sam", Level::SuperAdministrator), ("ada", Level::Administrator), ("abe", Level::Administrator)] {
            world.administrator(who, level).await;
        }
        world.role("blog/editor", &[]).await;
        world.grant("sam", "blog/editor").await;
        world.person("eva").await;
        world.proxy("sam-ci", "sam").await;
        let eva = world.signed_in("eva", Grade::OfApps([app("blog")].into()), &[]).await;
        let (sue, ada) = (world.calls("sue").await, world.calls("ada").await);
        let p = &world.provision;
        let on = async |by: &Request, who: &str| {
            let editor = || Holding::Role(role_name("blog/editor"));
            let mut all = vec![
                refused(holding::remove(p, by, name(who), editor()).await),
                refused(holding::grant(p, by, name(who), editor()).await),
                refused(person::activate(p, by, name(who)).await),
            ];
            if all.iter().any(Result::is_err) {
                all.push(refused(person::inactivate(p, by, name(who)).await));
                all.push(refused(person::delete(p, by, name(who)).await));
            }
            codes(&all)
        };
        assert_eq!(on(&eva, "sam").await, ["higher_level", "higher_level", "not_allowed", "not_allowed", "not_allowed"]);
        assert_eq!(on(&eva, "abe").await, ["higher_level", "higher_level", "not_allowed", "not_allowed", "not_allowed"]);
        assert_eq!(on(&ada, "sam").await, ["higher_level", "higher_level", "higher_level", "higher_level", "higher_level"]);
        assert_eq!(on(&ada, "abe").await, ["done", "done", "not_allowed", "not_allowed", "not_allowed"]);
        assert_eq!(on(&sue, "sam").await, ["done", "done", "not_allowed", "not_allowed", "not_allowed"]);
        assert_eq!(on(&sue, "abe").await, ["done", "done", "done"]);
        // Whoever sees a proxy user misused may stop it, whoever owns it; and no more than that.
        let token = world.pat("sam-ci").await;
        pat::revoke(p, &ada, token, ReasonCode::parse("compromised").unwrap()).await.unwrap();
        proxy_user::inactivate(p, &ada, name("sam-ci")).await.unwrap();
        let more = [
            refused(proxy_user::activate(p, &ada, name("sam-ci")).await),
            refused(proxy_user::set_networks(p, &ada, name("sam-ci"), "10.0.0.0/8".parse::<ipnet::IpNet>().into_iter().collect()).await),
            refused(proxy_user::delete(p, &ada, name("sam-ci")).await),
        ];
        assert_eq!(codes(&more), ["higher_level"; 3]);
    }

    /// A6, U6: an account that becomes inactive takes its administration along, and does not bring it back.
    async fn an_inactive_account_ends_its_administration(world: World) {
        world.administrator("ada", Level::Administrator).await;
        let p = &world.provision;
        administrator::set_app(p, &world.host, name("ada"), app("wiki"), true).await.unwrap();
        assert_eq!(world.last_told().await, "admin_status_changed by host:root to ada, admin:wiki - > held");
        let ada = world.calls("ada").await;
        let count = world.count().await;
        person::inactivate(p, &world.host, name("ada")).await.unwrap();
        assert_eq!(world.told_since(count).await, [
            "admin_status_changed by locum because U6 to ada, state active > inactive, admin:wiki held > -",
            "user_marked_inactive by host:root to ada, state active > inactive",
        ]);
        let late = refused(role::add(p, &ada, role_name("late"), BTreeSet::new()).await);
        assert!(matches!(late, Err(Refusal::CallerEnded)), "{late:?}");
        world.demand_recorded_refusal("caller_ended").await;
        assert!(matches!(caller::person(p, world.id("ada").await).await, Err(Error::Refused(Refusal::CallerEnded))));
        person::activate(p, &world.host, name("ada")).await.unwrap();
        assert_eq!(world.grade("ada").await, Grade::None);
        administrator::reactivate(p, &world.host, name("ada")).await.unwrap();
        assert_eq!(world.grade("ada").await, Grade::Administrator);
        let count = world.count().await;
        person::delete(p, &world.host, name("ada")).await.unwrap();
        let told = world.told_since(count).await;
        assert!(told[0].starts_with("admin_status_changed by locum because U7"), "{told:?}");
    }

    /// R2: what ended a caller's administration has ended it for the change that it has begun, too.
    async fn a_change_goes_by_the_grade_that_its_caller_has_now(world: World) {
        world.administrator("sue", Level::SuperAdministrator).await;
        world.administrator("ada", Level::Administrator).await;
        let p = &world.provision;
        let ada = world.calls("ada").await;
        administrator::deactivate(p, &world.calls("sue").await, name("ada"), false).await.unwrap();
        let late = refused(person::add(p, &ada, name("late"), BTreeSet::new()).await);
        assert!(matches!(late, Err(Refusal::NotAllowed(_))), "{late:?}");
        assert!(!world.exists("late").await);
    }

    /// R4, R5, A3: an administrator of one app sees and grants its roles, and *remove app access* takes the right along,
    /// in one action.
    async fn the_right_to_administer_an_app_goes_with_the_access_to_it(world: World) {
        world.person("eva").await;
        world.person("ann").await;
        for role in ["blog/editor", "wiki/editor", "reports"] {
            world.role(role, &[]).await;
            world.grant("ann", role).await;
        }
        world.proxy("ann-ci", "ann").await;
        let p = &world.provision;
        administrator::set_app(p, &world.host, name("eva"), app("blog"), true).await.unwrap();
        let eva = world.calls("eva").await;
        let shown = reading::show(p, &eva, &name("ann"), locum::provision::Wanted::Person).await.unwrap();
        let held: Vec<_> = shown.holdings.iter().map(ToString::to_string).collect();
        assert_eq!((held, shown.proxies.len()), (vec!["app:blog".to_owned(), "role:blog/editor".to_owned()], 0));
        let roles: Vec<_> = reading::roles(p, &eva).await.unwrap().into_keys().map(|role| role.to_string()).collect();
        assert_eq!(roles, ["blog/editor"]);
        assert_eq!(reading::role(p, &eva, &role_name("blog/editor")).await.unwrap().1.len(), 2);
        assert!(reading::role(p, &eva, &role_name("reports")).await.is_err());
        assert_eq!(reading::apps(p, &eva).await.unwrap().len(), 1);
        assert_eq!(reading::administrators(p, &eva, None, Some(app("blog")), None, 10).await.unwrap().len(), 1);
        role::set_permissions(p, &eva, role_name("blog/editor"), permission_set(&["blog:write"])).await.unwrap();

        holding::grant(p, &world.host, name("eva"), Holding::App(app("blog"))).await.unwrap();
        let count = world.count().await;
        holding::remove(p, &world.host, name("eva"), Holding::App(app("blog"))).await.unwrap();
        assert_eq!(world.told_since(count).await, [
            "roles_changed by host:root to eva, app:blog held > -, admin:blog held > -",
        ]);
        assert_eq!(world.grade("eva").await, Grade::None);
        let question = reading::Question { app: Some(app("blog")), kind: Some(ActionType::AdminStatusChanged), limit: 9, ..Default::default() };
        let (entries, _) = reading::history(p, &world.host, question).await.unwrap();
        assert_eq!(entries.len(), 1, "who administers an app belongs to its history");
    }

    /// The rights table, P1: a right is granted to a plain person, by administrators, and not to oneself.
    async fn rights_are_granted_to_plain_people(world: World) {
        world.administrator("ada", Level::Administrator).await;
        world.person("bob").await;
        let (p, ada) = (&world.provision, world.calls("ada").await);
        let add = async || {
            let bob = world.calls("bob").await;
            refused(proxy_user::add(p, &bob, name("bob-ci"), name("bob"), locum::directory::Networks::ANY).await)
        };
        assert!(matches!(add().await, Err(Refusal::NotAllowed(_))));
        administrator::set_right(p, &ada, name("bob"), Right::AddProxyUsers, true).await.unwrap();
        assert_eq!(world.last_told().await, "rights_changed by ada to bob, add_proxy_users - > held");
        add().await.unwrap();
        administrator::set_right(p, &ada, name("bob"), Right::AddProxyUsers, false).await.unwrap();
        assert!(matches!(add().await, Err(Refusal::NotAllowed(_))));
        let own = refused(administrator::set_right(p, &ada, name("ada"), Right::UpdateUsersAndPermissions, true).await);
        assert!(matches!(own, Err(Refusal::OwnAdministration)), "{own:?}");
        let plain = world.calls("bob").await;
        let other = refused(administrator::set_right(p, &plain, name("ada"), Right::AddProxyUsers, true).await);
        assert!(matches!(other, Err(Refusal::NotAllowed(_))), "{other:?}");
    }
}
