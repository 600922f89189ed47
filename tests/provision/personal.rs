//! What is known of people: set, found, told, and gone with the person (U1, U2, U7, E1).

use std::collections::BTreeSet;

use locum::directory::personal::PersonalChange;
use locum::directory::rights::Grade;
use locum::directory::{DisplayName, Email, Personal, PersonalField, Phone};
use locum::history::Value;
use locum::provision::reading::{self, Listing};
use locum::provision::{Refusal, Request, Wanted, person, sealing};
use locum::seal::{KeyId, Keyring};

use crate::world::{World, claims, name, refused};

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn ann() -> Personal {
    Personal {
        name: Some(DisplayName::parse("Ann Ångström").unwrap()),
        email: Some(email("Ann@Example.org")),
        phone: Some(Phone::parse("+41 44 123 45 67").unwrap()),
    }
}

impl World {
    async fn known(&self, username: &str, personal: Personal) {
        person::add_known(&self.provision, &self.host, name(username), BTreeSet::new(), personal).await.unwrap();
    }

    async fn set(&self, request: &Request, username: &str, change: PersonalChange) -> Result<(), Refusal> {
        refused(person::set(&self.provision, request, name(username), change).await)
    }

    async fn found_by(&self, address: &str) -> Vec<String> {
        let listing = Listing {
            kind: Wanted::Person,
            owner: None,
            prefix: None,
            email: Some(email(address)),
            after: None,
            limit: 10,
        };
        let listed = reading::accounts(&self.provision, &self.host, listing).await.unwrap();
        listed.accounts.iter().map(|account| account.username.to_string()).collect()
    }
}

claims! {
    /// U1, E1: what is known is shown, listed, found by the exact address whatever its case, and told by the history.
    async fn what_is_known_of_a_person_is_shown_found_and_told(world: World) {
        let count = world.count().await;
        world.known("ann", ann()).await;
        world.person("bob").await;
        assert!(world.show("ann").await.personal == ann());
        assert!(world.show("bob").await.personal.is_empty());
        assert_eq!(world.found_by("aNN@eXAMPLE.org").await, ["ann"]);
        assert!(world.found_by("ann@example.com").await.is_empty());

        let change = PersonalChange {
            name: Some(Some(DisplayName::parse("Ann Smith").unwrap())),
            email: Some(None),
            phone: None,
        };
        world.set(&world.host, "ann", change.clone()).await.unwrap();
        world.set(&world.host, "ann", change).await.unwrap();
        let personal = world.show("ann").await.personal;
        assert_eq!(
            PersonalField::ALL.map(|field| personal.text(field)),
            [Some("Ann Smith"), None, Some("+41 44 123 45 67")]
        );
        assert!(world.found_by("ann@example.org").await.is_empty());
        assert_eq!(world.told_since(count).await, [
            "user_added by host:root to ann, name - > Ann Ångström, email - > Ann@Example.org, phone - > +41 44 123 45 67",
            "user_added by host:root to bob",
            "personal_data_changed by host:root to ann, name Ann Ångström > Ann Smith, email Ann@Example.org > -",
        ]);
    }

    /// U1: an address belongs to one person, and to nobody once that one is gone.
    async fn an_address_belongs_to_one_person(world: World) {
        world.known("ann", ann()).await;
        let same = || Personal { email: Some(email("ann@EXAMPLE.org")), ..Personal::default() };
        let add = person::add_known(&world.provision, &world.host, name("bob"), BTreeSet::new(), same()).await;
        assert_eq!(refused(add), Err(Refusal::EmailTaken));
        world.demand_recorded_refusal("email_taken").await;
        assert!(!world.exists("bob").await);
        world.person("bob").await;
        let change = || PersonalChange { email: Some(same().email), ..PersonalChange::default() };
        assert_eq!(world.set(&world.host, "bob", change()).await, Err(Refusal::EmailTaken));
        world.set(&world.host, "ann", change()).await.unwrap();
        person::delete(&world.provision, &world.host, name("ann")).await.unwrap();
        world.set(&world.host, "bob", change()).await.unwrap();
        assert_eq!(world.found_by("ann@example.org").await, ["bob"]);
    }

    /// U1: of two who take one address at once, one has it and the other is told.
    async fn of_two_who_take_an_address_at_once_one_has_it(world: World) {
        for username in ["ann", "bob"] {
            world.person(username).await;
        }
        let change = || PersonalChange { email: Some(Some(email("x@example.org"))), ..PersonalChange::default() };
        let (one, other) =
            tokio::join!(world.set(&world.host, "ann", change()), world.set(&world.host, "bob", change()));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert_eq!(one.and(other), Err(Refusal::EmailTaken));
    }

    /// AG-005, U7, E1: with a person its key goes; its history stays, holds, and does not say any more what it was
    /// called. Its address is in no list.
    async fn with_a_person_its_key_goes_and_its_history_stays(world: World) {
        world.known("ann", ann()).await;
        world.proxy("ann-ci", "ann").await;
        let id = world.id("ann").await;
        let key = KeyId::of_person(id);
        assert!(world.store().read().await.unwrap().data_key(key).await.unwrap().is_some());
        person::delete(&world.provision, &world.host, name("ann")).await.unwrap();

        let mut reader = world.store().read().await.unwrap();
        assert!(reader.data_key(key).await.unwrap().is_none());
        assert!(reader.personal(id).await.unwrap().is_none());
        drop(reader);
        let told = world.told_since(0).await;
        assert!(told.contains(&format!(
            "user_added by host:root to {id}, name - > (sealed), email - > (sealed), phone - > (sealed)"
        )), "{told:?}");
        let audit = reading::audit(&world.provision, &world.host, &[], None).await.unwrap();
        assert_eq!(audit.broken, None);
        // A person of the same name begins with nothing.
        locum::provision::name::release(&world.provision, &world.host, name("ann")).await.unwrap();
        world.person("ann").await;
        assert!(world.show("ann").await.personal.is_empty());
    }

    /// E1, H5: the history holds it sealed, bound to whom and what it is about.
    async fn the_history_holds_it_sealed(world: World) {
        world.known("ann", ann()).await;
        let id = world.id("ann").await;
        let entries = world.history().await;
        let added = entries.iter().find(|entry| entry.action.target == Some(id)).unwrap();
        let fields: Vec<_> = added.action.details.iter().map(|detail| detail.field.as_str()).collect();
        assert_eq!(fields, ["name", "email", "phone"]);
        for detail in &added.action.details {
            let Some(Value::Sealed { key, bytes }) = &detail.after else { panic!("{detail:?}") };
            assert_eq!(*key, id.to_string());
            assert!(!String::from_utf8_lossy(bytes).to_ascii_lowercase().contains("ann"));
        }
    }

    /// U2: a person changes what is known of itself; an administrator of whatever grade does not.
    async fn a_person_changes_its_own_and_nobody_elses(world: World) {
        for username in ["ann", "bob"] {
            world.person(username).await;
        }
        let change =
            || PersonalChange { name: Some(Some(DisplayName::parse("Me").unwrap())), ..PersonalChange::default() };
        let own = world.signed_in("ann", Grade::None, &[]).await;
        world.set(&own, "ann", change()).await.unwrap();
        assert!(matches!(world.set(&own, "bob", change()).await, Err(Refusal::NotAllowed(_))));
        let above = world.signed_in("bob", Grade::SuperAdministrator, &[]).await;
        assert!(matches!(world.set(&above, "ann", change()).await, Err(Refusal::NotAllowed(_))));
        assert!(matches!(world.set(&world.host, "nobody", change()).await, Err(Refusal::UnknownAccount { .. })));
    }

    /// E1: a store in which something is sealed is not served with another master key, or with none.
    async fn another_master_key_serves_no_sealed_store(world: World) {
        let other = Keyring::parse(&format!("1 {}", "13".repeat(32))).unwrap();
        let later = Keyring::parse(&format!("2 {}", "12".repeat(32))).unwrap();
        let right = Keyring::parse(&format!("1 {0}\n2 {0}", "12".repeat(32))).unwrap();
        for keyring in [&other, &later, &Keyring::empty()] {
            assert!(sealing::demand_readable(world.store(), keyring).await.is_ok(), "nothing is sealed yet");
        }
        world.known("ann", ann()).await;
        let said = async |keyring: &Keyring| match sealing::demand_readable(world.store(), keyring).await {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said(&right).await, "");
        assert!(said(&other).await.contains("is another key"), "{}", said(&other).await);
        assert!(said(&later).await.contains("has no such version"));
        assert!(said(&Keyring::empty()).await.contains("there is no master key"));
    }
}
