//! What people are called in apps: linked, changed, taken away, one person a name (U5).

use locum::directory::rights::Grade;
use locum::directory::{AppName, LegacyName};
use locum::provision::legacy_name::{self, Imported};
use locum::provision::{Refusal, Request, person};

use crate::world::{World, claims, name, refused};

fn app(text: &str) -> AppName {
    AppName::parse(text).unwrap()
}

fn legacy(text: &str) -> LegacyName {
    LegacyName::parse(text).unwrap()
}

impl World {
    async fn link(&self, person: &str, of: &str, called: &str) -> Result<(), Refusal> {
        self.link_by(&self.host, person, of, called).await
    }

    async fn link_by(&self, request: &Request, person: &str, of: &str, called: &str) -> Result<(), Refusal> {
        refused(legacy_name::link(&self.provision, request, name(person), app(of), legacy(called)).await)
    }

    async fn unlink(&self, person: &str, of: &str) {
        legacy_name::remove(&self.provision, &self.host, name(person), app(of)).await.unwrap();
    }

    async fn import(&self, of: &str, names: &[&str]) -> Imported {
        let names = names.iter().map(|text| legacy(text)).collect();
        legacy_name::import(&self.provision, &self.host, app(of), names).await.unwrap()
    }

    async fn free(&self, of: &str, called: &str) -> (bool, u64) {
        legacy_name::find(&self.provision, &self.host, &app(of), Some(&legacy(called))).await.unwrap()
    }

    async fn called(&self, person: &str) -> Vec<(String, String)> {
        let names = self.show(person).await.legacy_names;
        names.into_iter().map(|(app, name)| (app.to_string(), name)).collect()
    }
}

claims! {
    /// U5, H4: linked, changed and removed, each told with what was before and after, app by app.
    async fn a_person_is_linked_to_its_name_in_an_app(world: World) {
        world.person("ann").await;
        let count = world.count().await;
        world.link("ann", "blog", "asmith").await.unwrap();
        world.link("ann", "wiki", "asmith").await.unwrap();
        world.link("ann", "blog", "Smith, Ann").await.unwrap();
        world.link("ann", "blog", "Smith, Ann").await.unwrap();
        let pair = |app: &str, name: &str| (app.to_owned(), name.to_owned());
        assert_eq!(world.called("ann").await, [pair("blog", "Smith, Ann"), pair("wiki", "asmith")]);
        world.unlink("ann", "wiki").await;
        world.unlink("ann", "wiki").await;
        assert_eq!(world.called("ann").await, [pair("blog", "Smith, Ann")]);
        assert_eq!(world.told_since(count).await, [
            "legacy_name_linked by host:root to ann of app:blog, legacy_name - > asmith",
            "legacy_name_linked by host:root to ann of app:wiki, legacy_name - > asmith",
            "legacy_name_changed by host:root to ann of app:blog, legacy_name asmith > Smith, Ann",
            "legacy_name_removed by host:root to ann of app:wiki, legacy_name asmith > -",
        ]);
        assert!(matches!(world.link("ann", "nope", "x").await, Err(Refusal::UnknownApp { .. })));
    }

    /// U5: a name of an app is one person's; of two who are linked at once one has it, and the other is told.
    async fn a_name_in_an_app_is_one_persons(world: World) {
        for person in ["ann", "bob"] {
            world.person(person).await;
        }
        let (one, other) = tokio::join!(world.link("ann", "blog", "asmith"), world.link("bob", "blog", "asmith"));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert_eq!(one.and(other), Err(Refusal::LegacyNameTaken(app("blog"))));
        world.demand_recorded_refusal("legacy_name_taken").await;
        let (holder, loser) = if world.called("ann").await.is_empty() { ("bob", "ann") } else { ("ann", "bob") };
        world.link(loser, "wiki", "asmith").await.unwrap();
        world.link(loser, "blog", "ASMITH").await.unwrap();
        person::delete(&world.provision, &world.host, name(holder)).await.unwrap();
        world.link(loser, "blog", "asmith").await.unwrap();
    }

    /// U5, E1: a name of the list is found as a whole, not while it is somebody's; free again it is back, unless it went
    /// with its person.
    async fn names_of_the_list_are_found_while_they_belong_to_nobody(world: World) {
        for person in ["ann", "bob"] {
            world.person(person).await;
        }
        world.link("bob", "blog", "bjones").await.unwrap();
        assert_eq!(world.import("blog", &["asmith", "bjones", "asmith", "cyd"]).await, Imported { added: 2, known: 2 });
        assert_eq!(world.free("blog", "asmith").await, (true, 2));
        assert_eq!((world.free("blog", "bjones").await, world.free("blog", "asmit").await), ((false, 2), (false, 2)));
        assert_eq!(world.free("wiki", "asmith").await, (false, 0));
        world.link("ann", "blog", "asmith").await.unwrap();
        assert_eq!(world.free("blog", "asmith").await, (false, 1));
        world.link("ann", "blog", "other").await.unwrap();
        assert_eq!(world.free("blog", "asmith").await, (true, 2));
        world.link("ann", "blog", "asmith").await.unwrap();
        assert_eq!(world.free("blog", "other").await, (false, 1), "what was typed does not join the list");
        person::delete(&world.provision, &world.host, name("ann")).await.unwrap();
        assert_eq!(world.free("blog", "asmith").await, (false, 1));
    }

    /// U5, R5: an administrator of an app links names of that app and no other; a plain person none.
    async fn an_administrator_of_an_app_links_its_names(world: World) {
        for person in ["ann", "eva"] {
            world.person(person).await;
        }
        let of_blog = world.signed_in("eva", Grade::OfApps([app("blog")].into()), &[]).await;
        world.link_by(&of_blog, "ann", "blog", "asmith").await.unwrap();
        assert!(matches!(world.link_by(&of_blog, "ann", "wiki", "asmith").await, Err(Refusal::NotAllowed(_))));
        let plain = world.signed_in("ann", Grade::None, &[]).await;
        assert!(matches!(world.link_by(&plain, "ann", "blog", "other").await, Err(Refusal::NotAllowed(_))));
        let found = legacy_name::find(&world.provision, &plain, &app("blog"), None).await;
        assert!(matches!(refused(found), Err(Refusal::NotAllowed(_))));
    }
}
