//! Old entries are moved to the archive, and nothing of them is lost (H7).

use std::path::{Path, PathBuf};
use std::time::Duration;

use locum::clock::{Clock as _, Timestamp};
use locum::directory::rights::Grade;
use locum::history::checkpoint::SigningKey;
use locum::history::exported::{Exported, Held, Untrusted};
use locum::provision::retention::{self, Trimmed, Wish};
use locum::provision::{Error, Refusal, RetentionSettings, Settings, reading};
use tempfile::TempDir;

use crate::world::{NOON, World, claims, refused};

const DAY: Duration = Duration::from_hours(24);

/// Two people on each of three days, the day after the last; old entries go to `folder`, three to a file.
async fn three_days(world: &World, keep: Option<Duration>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let archive = Some(folder.path().join("archive"));
    let retention = RetentionSettings { keep, archive, part: 3 };
    world.provision.take_up(Settings { retention, ..Settings::default() });
    for day in ["mon", "tue", "wed"] {
        world.person(&format!("{day}-1")).await;
        world.person(&format!("{day}-2")).await;
        world.clock.advance(DAY);
    }
    folder
}

async fn trim(world: &World, before: Option<Timestamp>) -> Result<Trimmed, Error> {
    retention::trim(&world.provision, &world.host, Wish { before, dry_run: false }).await
}

/// What is wrong with the history as it is kept.
async fn broken(world: &World) -> Option<String> {
    reading::audit(&world.provision, &world.host, &[], None).await.unwrap().broken
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.join("archive")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|ending| ending == "jsonl")).collect();
    files.sort();
    files
}

/// Follows the archive and then what is kept, as somebody who has nothing but the files and the public key.
async fn whole(world: &World, folder: &Path) -> Result<Held, Untrusted> {
    let mut export = reading::export(&world.provision, &world.host, None).await.unwrap();
    let mut texts: Vec<_> = files_of(folder).iter().map(|file| std::fs::read(file).unwrap()).collect();
    while let Some(lines) = export.next().await.unwrap() {
        texts.push(lines.into_bytes());
    }
    let key = SigningKey::parse(&"ef".repeat(32)).unwrap().public_key();
    let mut exported = Exported::new(key, Vec::new());
    let all = String::from_utf8(texts.concat()).unwrap();
    all.lines().try_for_each(|line| exported.line(line))?;
    exported.end()
}

async fn last(world: &World) -> u64 {
    world.store().read().await.unwrap().head().await.unwrap().sequence
}

claims! {
    /// H7: 8 entries of three days (two are the apps), of which 6 are older than two days: they go, in files of three.
    async fn old_entries_are_moved_and_the_rest_verifies(world: World) {
        let folder = three_days(&world, Some(DAY * 2)).await;
        let before = world.count().await;
        let trimmed = trim(&world, None).await.unwrap();
        assert_eq!((trimmed.from, trimmed.entries), (1, 4), "{trimmed:?}");
        let archive = folder.path().join("archive");
        let files = ["history-000000000001-000000000003.jsonl", "history-000000000004-000000000004.jsonl"];
        assert_eq!(trimmed.files, files.map(|file| archive.join(file)));
        assert_eq!(files_of(folder.path()), trimmed.files);

        let told = world.told_since(before - 4).await;
        assert_eq!(told.len(), 2, "one for each file: {told:?}");
        assert!(told[0].starts_with(&format!("history_trimmed by host:root of {}, begins_after 0 > 3, hash", files[0])));
        assert!(told[1].contains("begins_after 3 > 4"), "{}", told[1]);
        assert_eq!(world.history().await[0].sequence, 5, "and what went is not listed");
        assert_eq!(broken(&world).await, None);
        let held = whole(&world, folder.path()).await.unwrap();
        assert_eq!((held.follows, held.through.sequence), (0, last(&world).await));

        let again = trim(&world, None).await.unwrap();
        assert_eq!((again.from, again.entries, again.files.len()), (5, 0, 0));
        world.clock.advance(DAY);
        let more = trim(&world, None).await.unwrap();
        assert_eq!((more.from, more.entries), (5, 2));
        assert_eq!(broken(&world).await, None);
        whole(&world, folder.path()).await.unwrap();
    }

    /// H7: by its age alone, with Locum as the one who did it; never without an age.
    async fn what_is_configured_is_moved_by_locum(world: World) {
        let _folder = three_days(&world, None).await;
        assert_eq!(retention::trim_by_age(&world.provision).await.unwrap(), None);
        let retention = RetentionSettings { keep: Some(DAY), ..world.provision.settings().retention.clone() };
        let retention = RetentionSettings { part: 100, ..retention };
        world.provision.take_up(Settings { retention, ..Settings::default() });
        let before = world.count().await;
        let trimmed = retention::trim_by_age(&world.provision).await.unwrap().unwrap();
        assert_eq!((trimmed.entries, trimmed.files.len()), (6, 1));
        let told = world.told_since(before - 6).await;
        assert!(told.len() == 1 && told[0].starts_with("history_trimmed by locum because H7"), "{told:?}");
    }

    /// H7: what would be moved is counted, and nothing is touched.
    async fn a_dry_run_only_counts(world: World) {
        let folder = three_days(&world, None).await;
        let before = last(&world).await;
        let wish = Wish { before: Some(NOON.plus(DAY)), dry_run: true };
        let trimmed = retention::trim(&world.provision, &world.host, wish).await.unwrap();
        assert_eq!((trimmed.from, trimmed.entries, trimmed.files.len()), (1, 4, 0));
        assert!(!folder.path().join("archive").exists());
        assert_eq!(last(&world).await, before);
    }

    /// H7: what is younger than the age stays whoever asks, and nothing goes without a place or an instant.
    async fn nothing_young_goes_and_nothing_without_a_place(world: World) {
        assert_eq!(refused(trim(&world, Some(NOON)).await), Err(Refusal::NoArchive));
        let _folder = three_days(&world, None).await;
        assert_eq!(refused(trim(&world, None).await), Err(Refusal::NoAge));
        let now = world.clock.now();
        assert_eq!(refused(trim(&world, Some(now.plus(DAY))).await), Err(Refusal::TooYoung { latest: now }));
        let retention = RetentionSettings { keep: Some(DAY * 2), ..world.provision.settings().retention.clone() };
        world.provision.take_up(Settings { retention, ..Settings::default() });
        let latest = now.minus(DAY * 2);
        assert_eq!(refused(trim(&world, Some(now)).await), Err(Refusal::TooYoung { latest }));
        // With what was refused before the first day.
        assert_eq!(trim(&world, Some(NOON.plus(DAY))).await.unwrap().entries, 5);
    }

    /// H7
    async fn only_who_runs_the_installation_moves_entries(world: World) {
        let _folder = three_days(&world, Some(DAY)).await;
        let plain = world.signed_in("mon-1", Grade::Administrator, &[]).await;
        let asked = retention::trim(&world.provision, &plain, Wish::default()).await;
        assert!(matches!(refused(asked), Err(Refusal::NotAllowed(_))));
        world.demand_recorded_refusal("not_allowed").await;
        let root = world.signed_in("mon-1", Grade::SuperAdministrator, &[]).await;
        assert_eq!(retention::trim(&world.provision, &root, Wish::default()).await.unwrap().entries, 6);
    }

    /// H7: a file that a run left behind is found, compared and gone on with; one of another history is not touched.
    async fn a_file_that_was_left_behind_is_taken_up(world: World) {
        let folder = three_days(&world, Some(DAY * 2)).await;
        let other = tempfile::tempdir().unwrap();
        // The same entries, archived by a run that ended before it could say so.
        let mut export = reading::export(&world.provision, &world.host, None).await.unwrap();
        let mut lines = Vec::new();
        while let Some(text) = export.next().await.unwrap() {
            lines.extend(text.lines().map(str::to_owned).collect::<Vec<_>>());
        }
        let archive = folder.path().join("archive");
        std::fs::create_dir(&archive).unwrap();
        let file = archive.join("history-000000000001-000000000008.jsonl");
        let all = lines.join("\n") + "\n";
        std::fs::write(&file, &all).unwrap();
        let trimmed = trim(&world, None).await.unwrap();
        assert_eq!(trimmed.entries, 4, "it holds entries that are too young: {trimmed:?}");
        world.clock.advance(DAY * 5);
        std::fs::rename(&file, other.path().join("kept.jsonl")).unwrap();

        let file = archive.join("history-000000000005-000000000008.jsonl");
        std::fs::write(&file, all.replacen("\"user_added\"", "\"user_deleted\"", 1)).unwrap();
        let refusal = refused(trim(&world, None).await).unwrap_err();
        assert_eq!((refusal.code(), refusal.rule()), ("archive", Some("H7")), "{refusal}");
        std::fs::write(&file, &all).unwrap();
        assert!(refused(trim(&world, None).await).unwrap_err().to_string().contains("a folder of its own"));
        assert_eq!(std::fs::read(&file).unwrap(), all.as_bytes());
    }

    /// H7: what does not hold is left as it is, for its broken part is the proof.
    async fn a_broken_history_is_left_as_it_is(world: World) {
        let folder = three_days(&world, Some(DAY)).await;
        world.tamper(
            "DROP TRIGGER history_is_not_changed; \
             UPDATE history SET canonical = (SELECT canonical FROM history WHERE sequence = 3) WHERE sequence = 4",
            "ALTER TABLE history DISABLE TRIGGER USER; \
             UPDATE history SET canonical = (SELECT canonical FROM history WHERE sequence = 3) WHERE sequence = 4",
        ).await;
        let refusal = refused(trim(&world, None).await).unwrap_err();
        assert_eq!(refusal.code(), "broken_history");
        assert!(refusal.to_string().contains("entry 4 was changed"), "{refusal}");
        assert!(broken(&world).await.unwrap().contains("entry 4 was changed"));
        let trimmed = files_of(folder.path());
        assert_eq!(trimmed.len(), 1, "the part before it was whole: {trimmed:?}");
        assert_eq!(world.store().read().await.unwrap().begins_after().await.unwrap().sequence, 3);
    }
}
