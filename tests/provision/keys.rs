//! New versions of the master key and of the pepper, while all goes on (E2).

use std::collections::BTreeSet;
use std::time::Duration;

use locum::directory::pepper::PepperVersion;
use locum::directory::rights::Grade;
use locum::directory::{DisplayName, Personal};
use locum::history::ActionType;
use locum::provision::keys::{self, Progress, VersionedKey};
use locum::provision::{Refusal, person, sealing};
use locum::seal::{Keyring, MasterVersion};

use crate::world::{World, claims, name, refused};

impl World {
    async fn named(&self, username: &str) {
        let personal = Personal { name: Some(DisplayName::parse(username).unwrap()), ..Personal::default() };
        person::add_known(&self.provision, &self.host, name(username), BTreeSet::new(), personal).await.unwrap();
    }

    async fn rotate(&self, keys: &[VersionedKey]) -> Result<(), Refusal> {
        refused(keys::rotate(&self.provision, &self.host, keys).await)
    }

    async fn progress(&self) -> Progress {
        keys::progress(&self.provision, &self.host).await.unwrap()
    }

    /// Waits until every data key is under the version in force and that is on record, which is what comes last.
    async fn moved(&self) {
        for _moment in 0..1_000 {
            let completed = self.history().await.pop().unwrap().action.kind == ActionType::KeyRotationCompleted;
            if completed {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the data keys do not move: {:?}", self.progress().await);
    }
}

claims! {
    /// E2: with a new version every data key is moved, also those that are made meanwhile, all stays readable, and the
    /// old version is needed no more; who did it, and when nothing was left, is on record.
    async fn a_new_master_key_takes_over_every_data_key(world: World) {
        let people: Vec<String> = (0..40).map(|number| format!("person-{number}")).collect();
        for username in &people {
            world.named(username).await;
        }
        let count = world.count().await;
        world.rotate(&[VersionedKey::Master]).await.unwrap();
        world.named("late").await;
        world.moved().await;
        let progress = world.progress().await;
        assert_eq!(progress.master, Some(MasterVersion(2)));
        assert_eq!(progress.data_keys.iter().map(|used| (used.version.0, used.keys)).collect::<Vec<_>>(), [(2, 41)]);
        for username in people.iter().map(String::as_str).chain(["late"]) {
            assert_eq!(world.show(username).await.personal.name.unwrap().as_str(), username);
        }
        let told = world.told_since(count).await;
        assert_eq!(told[0], "key_rotated by host:root of master, version 1 > 2");
        assert_eq!(told.last().unwrap(), "key_rotation_completed by locum because E2 of master, version - > 2");
        let second = world.master_key.text().lines().nth(1).unwrap().to_owned();
        sealing::demand_readable(world.store(), &Keyring::parse(&second).unwrap()).await.unwrap();
    }

    /// E2: a version that an operator has put there is taken up as it is; one that is still needed has to be there.
    async fn a_version_that_is_there_already_is_taken_up(world: World) {
        world.named("ann").await;
        let put = format!("{}7 {}\n", world.master_key.text(), "77".repeat(32));
        world.master_key.put(&put);
        world.rotate(&[VersionedKey::Master]).await.unwrap();
        world.moved().await;
        assert_eq!((world.progress().await.master, world.master_key.text()), (Some(MasterVersion(7)), put));

        for bad in [format!("8 {}\n", "88".repeat(32)), format!("7 {0}\n8 {0}\n", "88".repeat(32)), "short".to_owned()] {
            world.master_key.put(&bad);
            assert!(matches!(world.rotate(&[VersionedKey::Master]).await, Err(Refusal::KeyStorage(_))), "{bad}");
            world.demand_recorded_refusal("key_storage").await;
        }
        assert_eq!(world.progress().await.master, Some(MasterVersion(7)));
        assert_eq!(world.show("ann").await.personal.name.unwrap().as_str(), "ann");
    }

    /// PT-003, T5: tokens that are made after it are under the new pepper, those from before are good under the old one,
    /// which therefore has to stay in its file.
    async fn a_new_pepper_hashes_new_tokens_and_the_old_one_stays(world: World) {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
        world.pat("ann-ci").await;
        world.rotate(&[VersionedKey::Pepper]).await.unwrap();
        world.pat("ann-ci").await;
        let progress = world.progress().await;
        assert_eq!(progress.pepper, PepperVersion(2));
        assert_eq!(progress.tokens.iter().map(|used| (used.version.0, used.tokens)).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
        world.pepper.put(&format!("2 {0}\n3 {0}\n", "4a".repeat(32)));
        let Err(Refusal::KeyStorage(why)) = world.rotate(&[VersionedKey::Pepper]).await else { panic!("it was taken up") };
        assert!(why.contains("no version 1, and 1 tokens"), "{why}");
        assert_eq!(world.progress().await.pepper, PepperVersion(2));
    }

    /// E2, the rights table: super administrators and the host shell rotate and see keys, nobody else; two at once make
    /// two versions.
    async fn only_a_super_administrator_rotates_keys(world: World) {
        world.person("ada").await;
        for (grade, may) in [(Grade::Administrator, false), (Grade::SuperAdministrator, true)] {
            let request = world.signed_in("ada", grade, &[]).await;
            let rotated = refused(keys::rotate(&world.provision, &request, &VersionedKey::ALL).await);
            let seen = refused(keys::progress(&world.provision, &request).await.map(|_| ()));
            assert_eq!((rotated.is_ok(), seen.is_ok()), (may, may), "{rotated:?} {seen:?}");
        }
        let (one, other) = tokio::join!(world.rotate(&VersionedKey::ALL), world.rotate(&VersionedKey::ALL));
        one.and(other).unwrap();
        let progress = world.progress().await;
        assert_eq!((progress.master, progress.pepper), (Some(MasterVersion(4)), PepperVersion(4)));
        for keys in [&[][..], &[VersionedKey::Master; 2]] {
            assert!(matches!(world.rotate(keys).await, Err(Refusal::KeyStorage(_))));
        }
    }
}
