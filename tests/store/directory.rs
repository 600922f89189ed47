//! Accounts, holdings and the rules that the schema itself holds.

use std::collections::BTreeSet;

use locum::directory::owner_cascade::{Change, Household};
use locum::directory::tombstone::TombstoneKey;
use locum::directory::{Account, AppName, Holding, Kind, Life, Networks, PatState, ReasonCode, RoleName, State};
use locum::store::{AccountFilter, ChangeError, Conflict, KindFilter, Store, StoreError};

use crate::world::*;

async fn define(store: &Store, names: &'static [&'static str]) {
    let defining = write(store, move |writer| {
        Box::pin(async move {
            for name in names {
                let name = RoleName::parse(name).unwrap();
                if let Some(app) = name.app() {
                    writer.put_app(app, true).await?;
                }
                writer.insert_role(&name, &permissions(&["general:read"])).await?;
            }
            Ok(())
        })
    });
    defining.await.unwrap();
}

claims! {
    /// P2
    async fn a_username_that_differs_only_in_case_is_refused(backend: Backend) {
        let store = backend.open().await;
        let ann = person("Ann");
        add(&store, &[&ann]).await;
        let taken = try_add(&store, &person("Ann")).await.unwrap_err();
        assert_eq!(taken, ChangeError::Rule(StoreError::Conflict(Conflict::UsernameTaken(name("Ann")))));
        let alike = try_add(&store, &person("aNN")).await.unwrap_err();
        let expected = Conflict::LookAlike { wanted: name("aNN"), existing: name("Ann") };
        assert_eq!(alike, ChangeError::Rule(StoreError::Conflict(expected)));
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.account_by_username(&name("ann")).await.unwrap(), None, "exactly");
        assert_eq!(reader.account_by_folded(&name("ann")).await.unwrap(), Some(ann.clone()));
        assert_eq!(reader.account_by_username(&name("Ann")).await.unwrap(), Some(ann));
    }

    /// R6
    async fn the_holders_of_a_role_are_named_in_the_order_of_a_list(backend: Backend) {
        let store = backend.open().await;
        define(&store, &["reports", "other"]).await;
        let people = ["carl", "Bob", "ann", "dan"].map(person);
        add(&store, &people.each_ref()).await;
        for person in &people[..3] {
            let id = person.id;
            cascade(&store, id, move |_| vec![Change::Given { account: id, holding: role("reports") }]).await;
        }
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.names_of_holders(&role("reports")).await.unwrap(), ["ann", "Bob", "carl"].map(name));
        assert_eq!(reader.names_of_holders(&role("other")).await.unwrap(), []);
    }

    /// L10
    async fn an_account_keeps_the_networks_that_it_is_used_from(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Networks>();
        let confined = Account { networks: networks(&["192.0.2.0/24", "2001:db8::/32"]), ..proxy_of(&ann, "ann-ci") };
        add(&store, &[&ann, &confined]).await;
        let kept = async |networks: &Networks| {
            let mut reader = store.read().await.unwrap();
            let named = reader.look_up(Some("ann-ci"), None).await.unwrap().named.unwrap();
            assert_eq!(named, reader.account(confined.id).await.unwrap().unwrap());
            let proxies = AccountFilter { kind: Some(KindFilter::Proxies), ..AccountFilter::default() };
            assert_eq!(reader.accounts(&proxies).await.unwrap(), std::slice::from_ref(&named));
            assert_eq!(named.networks, *networks);
        };
        kept(&confined.networks).await;
        for other in [networks(&["10.0.0.0/8"]), Networks::ANY] {
            confine(&store, confined.id, &other).await.unwrap();
            kept(&other).await;
        }
        let nobody = confine(&store, new_id(), &Networks::ANY).await;
        assert!(matches!(nobody, Err(ChangeError::Rule(StoreError::Rule { .. }))), "{nobody:?}");
    }

    /// P14
    async fn a_proxy_user_cannot_own_another(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let bot = proxy_of(&ann, "bot");
        add(&store, &[&ann, &bot]).await;
        let answer = try_add(&store, &proxy_of(&bot, "bot-of-bot")).await;
        assert!(matches!(answer, Err(ChangeError::Rule(StoreError::Rule { .. }))), "{answer:?}");
        let answer = try_add(&store, &proxy_of(&person("nobody"), "stray")).await;
        assert!(matches!(answer, Err(ChangeError::Rule(StoreError::Rule { .. }))), "{answer:?}");
    }

    /// P9
    async fn lists_are_filtered_sorted_and_paged(backend: Backend) {
        let store = backend.open().await;
        let (ann, bob) = (person("ann"), person("Bob"));
        let (robot, build, other) = (proxy_of(&ann, "B_robot"), proxy_of(&ann, "build"), proxy_of(&bob, "b-other"));
        add(&store, &[&ann, &bob, &robot, &build, &other]).await;
        let mut reader = store.read().await.unwrap();
        let mut names = async |filter: AccountFilter| -> Vec<String> {
            let accounts = reader.accounts(&filter).await.unwrap();
            accounts.into_iter().map(|account| account.username.to_string()).collect()
        };
        let all = AccountFilter::default;
        assert_eq!(names(all()).await, ["ann", "b-other", "B_robot", "Bob", "build"]);
        assert_eq!(names(AccountFilter { kind: Some(KindFilter::People), ..all() }).await, ["ann", "Bob"]);
        assert_eq!(names(AccountFilter { owner: Some(ann.id), ..all() }).await, ["B_robot", "build"]);
        assert_eq!(names(AccountFilter { prefix: Some("b_".into()), ..all() }).await, ["B_robot"], "no wildcard");
        assert_eq!(names(AccountFilter { prefix: Some("B".into()), limit: 2, ..all() }).await, ["b-other", "B_robot"]);
        assert_eq!(names(AccountFilter { after: Some(name("b_robot")), ..all() }).await, ["Bob", "build"]);
    }

    /// P5: whatever a rule got wrong, the database does not keep it.
    async fn the_schema_refuses_a_proxy_user_what_its_owner_lacks(backend: Backend) {
        let store = backend.open().await;
        define(&store, &["reports"]).await;
        let ann = person("ann");
        let bot = proxy_of(&ann, "bot");
        add(&store, &[&ann, &bot]).await;
        let given = Change::Given { account: bot.id, holding: role("reports") };
        let answer = write(&store, move |writer| Box::pin(async move {
            writer.apply(&[given], &context()).await
        })).await;
        assert!(matches!(answer, Err(ChangeError::Rule(StoreError::Rule { .. }))), "{answer:?}");
        assert_eq!(store.read().await.unwrap().holdings(bot.id).await.unwrap(), BTreeSet::new());
    }

    /// P6, P7
    async fn what_an_owner_gains_and_loses_its_proxy_users_do_too(backend: Backend) {
        let store = backend.open().await;
        define(&store, &["reports", "wiki/editor"]).await;
        let ann = person("ann");
        let (bot, robot) = (proxy_of(&ann, "bot"), proxy_of(&ann, "robot"));
        add(&store, &[&ann, &bot, &robot]).await;
        cascade(&store, ann.id, |household| {
            household.owner_gains(&BTreeSet::from([role("reports"), role("wiki/editor")]))
        }).await;
        let wiki = Holding::App(AppName::parse("wiki").unwrap());
        let all = BTreeSet::from([role("reports"), role("wiki/editor"), wiki.clone()]);
        let mut reader = store.read().await.unwrap();
        let household = reader.household(ann.id).await.unwrap().unwrap();
        assert_eq!(household.owner.holdings, all);
        let proxies = household.proxies.iter().map(|proxy| (proxy.username.as_str(), &proxy.holdings));
        let proxies: Vec<_> = proxies.collect();
        assert_eq!(proxies, [("bot", &all), ("robot", &all)]);
        assert_eq!(reader.household(bot.id).await.unwrap(), None, "a proxy user has no household");
        let mut holders = vec![ann.id, bot.id, robot.id];
        holders.sort();
        assert_eq!(reader.holders(&role("reports")).await.unwrap(), holders);

        cascade(&store, ann.id, move |household| household.owner_loses(&wiki)).await;
        for account in [&ann, &bot, &robot] {
            assert_eq!(reader.holdings(account.id).await.unwrap(), BTreeSet::from([role("reports")]));
        }
    }

    /// P7: even when only the owner's loss is written.
    async fn the_schema_takes_a_proxy_users_grant_with_its_owners(backend: Backend) {
        let store = backend.open().await;
        define(&store, &["reports"]).await;
        let ann = person("ann");
        let bot = proxy_of(&ann, "bot");
        add(&store, &[&ann, &bot]).await;
        cascade(&store, ann.id, |household| household.owner_gains(&BTreeSet::from([role("reports")]))).await;
        let of_owner = Change::Taken { account: ann.id, holding: role("reports") };
        cascade(&store, ann.id, move |_| vec![of_owner]).await;
        for account in [&ann, &bot] {
            assert_eq!(store.read().await.unwrap().holdings(account.id).await.unwrap(), BTreeSet::new());
        }
    }

    /// P5, R6
    async fn a_principal_is_everything_a_role_set_depends_on(backend: Backend) {
        let store = backend.open().await;
        define(&store, &["reports", "wiki/editor", "unheld"]).await;
        let ann = person("ann");
        let bot = proxy_of(&ann, "bot");
        add(&store, &[&ann, &bot]).await;
        cascade(&store, ann.id, |household| {
            household.owner_gains(&BTreeSet::from([role("reports"), role("wiki/editor")]))
        }).await;
        let id = bot.id;
        cascade(&store, ann.id, move |household| household.proxy_loses(id, &role("reports"))).await;
        let mut reader = store.read().await.unwrap();
        let of_bot = reader.principal(bot.id).await.unwrap().unwrap();
        let wiki = Holding::App(AppName::parse("wiki").unwrap());
        assert_eq!((&of_bot.account, of_bot.owner.as_ref()), (&bot, Some(&ann)));
        assert_eq!(of_bot.own, BTreeSet::from([role("wiki/editor"), wiki.clone()]));
        assert_eq!(of_bot.owners, Some(BTreeSet::from([role("reports"), role("wiki/editor"), wiki])));
        let roles: Vec<_> = of_bot.definitions.keys().map(RoleName::as_str).collect();
        assert_eq!(roles, ["reports", "wiki/editor"]);
        assert_eq!(of_bot.definitions[&RoleName::parse("wiki/editor").unwrap()], permissions(&["general:read"]));
        let of_ann = reader.principal(ann.id).await.unwrap().unwrap();
        assert_eq!((of_ann.owner, of_ann.owners, of_ann.own.len()), (None, None, 3));
        assert_eq!(reader.principal(new_id()).await.unwrap(), None);
    }

    /// P10, P11, P13
    async fn an_inactive_account_has_no_token_and_a_new_life_gives_none_back(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let bot = proxy_of(&ann, "bot");
        add(&store, &[&ann, &bot]).await;
        add_pat(&store, &pat_of(bot.id, 1)).await.unwrap();
        add_pat(&store, &pat_of(bot.id, 2)).await.unwrap();
        let applied = cascade(&store, ann.id, Household::inactivate_owner).await;
        let revoked = BTreeSet::from_iter(applied.revoked_pats);
        assert_eq!(revoked, BTreeSet::from([(bot.id, public_id(1)), (bot.id, public_id(2))]));
        let mut reader = store.read().await.unwrap();
        let after = reader.account(bot.id).await.unwrap().unwrap();
        let expected = State::Inactive { at: context().now, by: root(), reason: ReasonCode::marked_inactive() };
        assert_eq!((after.state, after.life), (expected, Life::FIRST));

        cascade(&store, ann.id, Household::activate_owner).await;
        let id = bot.id;
        cascade(&store, ann.id, move |household| household.activate_proxy(id).unwrap()).await;
        let after = reader.account(bot.id).await.unwrap().unwrap();
        assert_eq!((after.state, after.life), (State::Active, Life(2)));
        for pat in reader.pats(bot.id).await.unwrap() {
            assert!(matches!(pat.state, PatState::Revoked { .. }), "{pat:?}");
        }
    }

    /// P12, P13
    async fn a_deleted_owner_takes_its_proxy_users_and_their_tokens_along(backend: Backend) {
        let store = backend.open().await;
        define(&store, &["reports"]).await;
        let ann = person("ann");
        let bot = proxy_of(&ann, "bot");
        add(&store, &[&ann, &bot]).await;
        add_pat(&store, &pat_of(bot.id, 1)).await.unwrap();
        cascade(&store, ann.id, |household| household.owner_gains(&BTreeSet::from([role("reports")]))).await;
        let applied = cascade(&store, ann.id, Household::delete_owner).await;
        assert_eq!(applied.revoked_pats, [(bot.id, public_id(1))]);
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.accounts(&AccountFilter::default()).await.unwrap(), []);
        assert_eq!(reader.pat(public_id(1)).await.unwrap(), None);
        assert_eq!(reader.holders(&role("reports")).await.unwrap(), []);
        assert_eq!(reader.audit().await.unwrap().sequence, 6, "the history stays");
    }

    /// P12
    async fn a_tombstone_is_remembered_until_it_is_released(backend: Backend) {
        let store = backend.open().await;
        let tombstone = TombstoneKey::parse(&"ab".repeat(32)).unwrap().tombstone_of(&name("Ann"));
        write(&store, move |writer| Box::pin(async move { writer.insert_tombstone(&tombstone).await })).await.unwrap();
        assert!(store.read().await.unwrap().has_tombstone(&tombstone).await.unwrap());
        let release = || write(&store, move |writer| Box::pin(async move {
            writer.remove_tombstone(&tombstone).await
        }));
        assert!(release().await.unwrap().value);
        assert!(!release().await.unwrap().value);
        assert!(!store.read().await.unwrap().has_tombstone(&tombstone).await.unwrap());
    }

    /// R6
    async fn what_a_role_contains_is_replaced_as_a_whole(backend: Backend) {
        let store = backend.open().await;
        define(&store, &["reports"]).await;
        let reports = RoleName::parse("reports").unwrap();
        let name = reports.clone();
        let again = write(&store, move |writer| Box::pin(async move {
            writer.insert_role(&name, &BTreeSet::new()).await
        })).await;
        let exists = StoreError::Conflict(Conflict::RoleExists(reports.clone()));
        assert_eq!(again.unwrap_err(), ChangeError::Rule(exists));
        let name = reports.clone();
        write(&store, move |writer| Box::pin(async move {
            writer.set_role_permissions(&name, &permissions(&["wiki:write", "global:all"])).await
        })).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let expected = permissions(&["wiki:write", "global:all"]);
        assert_eq!(reader.role(&reports).await.unwrap(), Some(expected.clone()));
        assert_eq!(reader.roles().await.unwrap()[&reports], expected);
        let unknown = RoleName::parse("unknown").unwrap();
        assert_eq!(reader.role(&unknown).await.unwrap(), None);
        let answer = write(&store, move |writer| Box::pin(async move {
            writer.set_role_permissions(&unknown, &BTreeSet::new()).await
        })).await;
        assert!(matches!(answer, Err(ChangeError::Rule(StoreError::Rule { .. }))));
    }

    async fn an_app_that_vanishes_is_disabled_and_stays(backend: Backend) {
        let store = backend.open().await;
        for enabled in [true, false] {
            let wiki = AppName::parse("wiki").unwrap();
            write(&store, move |writer| Box::pin(async move { writer.put_app(&wiki, enabled).await })).await.unwrap();
            let apps = store.read().await.unwrap().apps().await.unwrap();
            let apps: Vec<_> = apps.iter().map(|app| (app.name.as_str(), app.enabled)).collect();
            assert_eq!(apps, [("wiki", enabled)]);
        }
    }

    /// T6
    async fn a_new_reason_joins_the_seeded_ones(backend: Backend) {
        let store = backend.open().await;
        let code = ReasonCode::parse("contract_ended").unwrap();
        let insert = || {
            let code = code.clone();
            write(&store, move |writer| Box::pin(async move {
                writer.insert_reason(&code, "The contract ended").await
            }))
        };
        insert().await.unwrap();
        let exists = StoreError::Conflict(Conflict::ReasonExists(code.clone()));
        assert_eq!(insert().await.unwrap_err(), ChangeError::Rule(exists));
        let reasons = store.read().await.unwrap().reasons().await.unwrap();
        assert_eq!(reasons.len(), locum::directory::reason::SEEDED.len() + 1);
        assert!(reasons.contains(&(code, "The contract ended".into())));
    }

    async fn a_proxy_user_knows_its_owner_after_reading(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let bot = proxy_of(&ann, "bot");
        add(&store, &[&ann, &bot]).await;
        let read = store.read().await.unwrap().account(bot.id).await.unwrap().unwrap();
        assert_eq!(read.kind, Kind::Proxy { owner: ann.id });
        assert_eq!(read, bot);
    }
}
