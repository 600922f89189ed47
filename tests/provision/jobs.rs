//! Jobs: done once, by whoever claimed them, to their end, whatever becomes of who began (T9, T12, AD-008).

use std::time::Duration;

use locum::clock::{Clock as _, Timestamp};
use locum::directory::rights::Grade;
use locum::directory::{Actor, LastUse, PublicId};
use locum::history::{Action, ActionType};
use locum::jobs::{Jobs, Process, Schedule};
use locum::provision::job::{self, LEASE, NewJob};
use locum::provision::manage_pats::ManagePats;
use locum::provision::{Refusal, pat, proxy_user};
use locum::store::RunRecord;

use crate::world::{NOON, World, claims, name, refused};

const DAY: Duration = Duration::from_hours(24);

fn jobs(world: &World, node: &str) -> Jobs {
    Jobs::new(world.provision.clone(), node)
}

/// Saves a job that nobody does yet.
async fn saved(world: &World, options: ManagePats) -> u64 {
    saved_for(world, options, None).await
}

async fn saved_for(world: &World, options: ManagePats, schedule: Option<(&str, Timestamp)>) -> u64 {
    let new = NewJob {
        name: "nightly".to_owned(),
        process: "manage_pats",
        options: Process::ManagePats(options).options(),
        schedule: schedule.map(|(text, next)| (text.to_owned(), next)),
        zone: "UTC".to_owned(),
    };
    job::save(&world.provision, &world.host, new).await.unwrap()
}

async fn run(world: &World, id: u64) -> RunRecord {
    world.store().read().await.unwrap().job_run(id).await.unwrap().unwrap()
}

/// A run that was asked for by hand, done.
async fn done(world: &World, dry_run: bool) -> RunRecord {
    let id = job::start(&world.provision, &world.host, "nightly".to_owned(), dry_run).await.unwrap();
    assert_eq!(jobs(world, "node").work().await.unwrap(), 1);
    run(world, id).await
}

/// Ann with ann-ci and one token of it, which expires after so many days.
async fn token(world: &World, days: u32) -> PublicId {
    if !world.exists("ann").await {
        world.person("ann").await;
        world.proxy("ann-ci", "ann").await;
    }
    let wish = pat::Wish { life: Some(DAY * days), ..World::wish("ann-ci") };
    let made = pat::add(&world.provision, &world.host, wish).await.unwrap().pat.public_id;
    pat::confirm(&world.provision, &world.host, made).await.unwrap();
    made
}

async fn used(world: &World, public_id: PublicId) {
    world.store().bookkeeping().used(vec![(public_id, LastUse::at(world.clock.now()))]).await.unwrap();
}

claims! {
    /// T9: saving a job runs it once; expired tokens get their action, unused ones are revoked, others stay.
    async fn saving_a_job_runs_it_once(world: World) {
        let (expired, unused, fresh) = (token(&world, 10).await, token(&world, 300).await, token(&world, 300).await);
        world.clock.advance(DAY * 40);
        used(&world, fresh).await;
        let count = world.count().await;
        let process = Process::ManagePats(ManagePats { unused_days: Some(30), ..ManagePats::default() });
        let id = jobs(&world, "node").save(&world.host, "nightly".to_owned(), &process, None).await.unwrap();
        let mut ended = run(&world, id).await;
        for _moment in 0..2_000 {
            if ended.outcome.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            ended = run(&world, id).await;
        }
        assert_eq!(ended.outcome.as_deref(), Some("done"));
        assert_eq!((ended.progress.processed, ended.progress.changed), (3, 2));
        for (public_id, standing) in [(expired, "revoked"), (unused, "revoked"), (fresh, "usable")] {
            assert_eq!(world.standing(public_id).await, standing);
        }
        let told = world.told_since(count).await;
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].starts_with("job_saved by host:root of nightly, process - > manage_pats"), "{}", told[0]);
        let revoked = |kind: &str, id: PublicId, state: &str, reason: &str| {
            format!("{kind} by locum because job:nightly host:root to ann-ci of {id}, state {state} > revoked, reason - > {reason}")
        };
        assert!(told.contains(&revoked("pat_expired", expired, "expired", "expired")), "{told:?}");
        assert!(told.contains(&revoked("pat_revoked", unused, "usable", "no_longer_in_use")), "{told:?}");
        let ran = "job_run by locum because job:nightly host:root of nightly, outcome - > done, processed - > 3, changed - > 2";
        assert_eq!(told[3], ran);
        assert_eq!(jobs(&world, "node").work().await.unwrap(), 0, "once");
        let again = done(&world, false).await;
        assert_eq!((again.progress.processed, again.progress.changed), (1, 0));
    }

    /// T9: a dry run says what would be done and does nothing; one run of a job is open at a time.
    async fn a_dry_run_of_a_job_only_says(world: World) {
        let expired = token(&world, 1).await;
        saved(&world, ManagePats::default()).await;
        let busy = refused(job::start(&world.provision, &world.host, "nightly".to_owned(), true).await).unwrap_err();
        assert_eq!(busy.code(), "job_running");
        jobs(&world, "node").work().await.unwrap();
        world.clock.advance(DAY * 2);
        let count = world.count().await;
        let dry = done(&world, true).await;
        assert_eq!((dry.progress.processed, dry.progress.changed), (1, 1));
        assert_eq!(dry.progress.report, format!("expired {expired} {}\n", world.id("ann-ci").await));
        assert_eq!(world.standing(expired).await, "expired");
        let told = world.told_since(count).await;
        assert!(told.len() == 2 && told[1].ends_with("dry_run - > true"), "{told:?}");
        assert_eq!(done(&world, false).await.progress.changed, 1);
        assert_eq!(world.standing(expired).await, "revoked");

        saved(&world, ManagePats::default()).await;
        job::remove(&world.provision, &world.host, "nightly".to_owned()).await.unwrap();
        assert_eq!(jobs(&world, "node").work().await.unwrap(), 0, "its runs went with it");
    }

    /// T9, L6: what is still being presented is listed, each once.
    async fn stale_credentials_are_reported(world: World) {
        let gone = token(&world, 100).await;
        world.revoke(gone).await;
        let account = world.id("ann-ci").await;
        let stale = || Action::new(ActionType::StaleCredential, Actor::Locum).to(account).because("L6").object(gone.as_str());
        world.store().record(vec![stale(), stale()]).await.unwrap();
        let id = saved(&world, ManagePats::default()).await;
        jobs(&world, "node").work().await.unwrap();
        assert_eq!(run(&world, id).await.progress.report, format!("stale {gone} {account}\n"));
        world.clock.advance(DAY * 8);
        assert_eq!(done(&world, false).await.progress.report, "");
    }

    /// T12: whoever did not authenticate for a year is reported, and made inactive where that is asked for; who is new,
    /// was made active again, or has a new token is not.
    async fn idle_proxy_users_are_reported_and_made_inactive(world: World) {
        let old = token(&world, 365).await;
        world.proxy("ann-old", "ann").await;
        world.proxy("ann-back", "ann").await;
        world.clock.advance(DAY * 200);
        used(&world, old).await;
        proxy_user::inactivate(&world.provision, &world.host, name("ann-back")).await.unwrap();
        proxy_user::activate(&world.provision, &world.host, name("ann-back")).await.unwrap();
        world.proxy("ann-new", "ann").await;
        world.clock.advance(DAY * 166);
        let id = saved(&world, ManagePats::default()).await;
        jobs(&world, "node").work().await.unwrap();
        let reported = run(&world, id).await.progress;
        assert_eq!(reported.report.lines().last(), Some(&*format!("idle - {}", world.id("ann-old").await)), "{reported:?}");
        assert_eq!(reported.report.matches("idle").count(), 1, "{reported:?}");
        assert!(world.is_active("ann-old").await);

        saved(&world, ManagePats { inactivate_idle: true, ..ManagePats::default() }).await;
        let count = world.count().await;
        jobs(&world, "node").work().await.unwrap();
        assert!(!world.is_active("ann-old").await);
        for active in ["ann-ci", "ann-back", "ann-new"] {
            assert!(world.is_active(active).await, "{active}");
        }
        let told = world.told_since(count).await;
        assert_eq!(told[0], "proxy_user_marked_inactive by locum because T12 to ann-old, state active > inactive");
        assert!(told.len() == 2 && told[1].contains("changed - > 1"), "{told:?}");
    }

    /// T9: a schedule that is due is done once, however many nodes look; what was missed meanwhile is not done again.
    async fn a_schedule_is_done_once_per_cluster(world: World) {
        let next = Schedule::parse("0 3 * * *", "UTC", NOON).unwrap().next(NOON).unwrap();
        saved_for(&world, ManagePats::default(), Some(("0 3 * * *", next))).await;
        jobs(&world, "first").work().await.unwrap();
        world.clock.advance(DAY * 3);
        let (first, second) = (jobs(&world, "first"), jobs(&world, "second"));
        let (one, other) = tokio::join!(first.work(), second.work());
        assert_eq!(one.unwrap() + other.unwrap(), 1);
        let mut reader = world.store().read().await.unwrap();
        let runs = reader.job_runs("nightly", 10).await.unwrap();
        assert_eq!(runs.len(), 2);
        assert!(runs.iter().all(|run| run.outcome.as_deref() == Some("done") && run.fence == 1), "{runs:?}");
        assert_eq!((&runs[0].asked_by, &runs[1].asked_by), (&Actor::Locum, &Actor::Host("root".into())));
        let due = reader.job("nightly").await.unwrap().unwrap().next_at.unwrap();
        assert!(due > world.clock.now() && due < world.clock.now().plus(DAY));
    }

    /// AD-008, T9: a run whose process died is finished by the next one, which does nothing twice; the one that was
    /// thought dead changes nothing any more; nothing waits for longer than its claim.
    async fn a_run_that_died_is_finished_by_the_next(world: World) {
        let (first, second) = (token(&world, 1).await, token(&world, 1).await);
        world.clock.advance(DAY * 2);
        let id = saved(&world, ManagePats::default()).await;
        let bookkeeping = world.store().bookkeeping();
        let now = world.clock.now();
        let dead = bookkeeping.claim_run("dead", now.plus(LEASE), now).await.unwrap().unwrap();
        assert_eq!((dead.id, dead.fence), (id, 1));
        assert!(bookkeeping.claim_run("other", now.plus(LEASE), now).await.unwrap().is_none(), "one has it");
        assert_eq!(jobs(&world, "other").work().await.unwrap(), 0);
        // It got past the first token of the two.
        let mut progress = dead.progress.clone();
        let smaller = first.as_str().min(second.as_str()).to_owned();
        progress.reached = format!("token {smaller}");
        progress.processed = 1;
        assert!(bookkeeping.step_run(dead.claim(), &progress, now.plus(LEASE)).await.unwrap());
        let refused = refused(job::start(&world.provision, &world.host, "nightly".to_owned(), false).await).unwrap_err();
        assert_eq!(refused, Refusal::JobRunning { job: "nightly".to_owned(), run: id });

        world.clock.advance(LEASE);
        assert_eq!(jobs(&world, "other").work().await.unwrap(), 1);
        let ended = run(&world, id).await;
        assert_eq!((ended.fence, ended.holder.as_deref(), ended.outcome.as_deref()), (2, Some("other"), Some("done")));
        assert_eq!((ended.progress.processed, ended.progress.changed), (2, 1), "it went on, and did not begin anew");
        assert!(!bookkeeping.step_run(dead.claim(), &progress, now.plus(LEASE * 9)).await.unwrap());
        assert!(!bookkeeping.renew_claim(dead.claim(), now.plus(LEASE * 9)).await.unwrap());
        assert_eq!(run(&world, id).await, ended, "the dead one changes nothing");
    }

    /// AD-008: a run that nobody survives is given up, and holds nobody up.
    async fn a_run_that_nobody_survives_is_given_up(world: World) {
        let id = saved(&world, ManagePats::default()).await;
        for fence in 1..=5 {
            let now = world.clock.now();
            let claimed = world.store().bookkeeping().claim_run("dies", now.plus(LEASE), now).await.unwrap().unwrap();
            assert_eq!(claimed.fence, fence);
            world.clock.advance(LEASE);
        }
        assert_eq!(jobs(&world, "node").work().await.unwrap(), 1);
        assert_eq!(run(&world, id).await.outcome.as_deref(), Some("failed"));
        let told = world.told_since(world.count().await - 1).await;
        assert!(told[0].contains("outcome - > failed") && told[0].contains("given up"), "{told:?}");
        assert_eq!(done(&world, false).await.outcome.as_deref(), Some("done"));
    }

    /// T9: who may manage jobs does, and nobody else; a job has a name and exists.
    async fn only_administrators_manage_jobs(world: World) {
        world.person("ann").await;
        let plain = world.signed_in("ann", Grade::None, &[]).await;
        let start = |request| job::start(&world.provision, request, "nightly".to_owned(), false);
        assert!(matches!(refused(start(&plain).await), Err(Refusal::NotAllowed(_))));
        world.demand_recorded_refusal("not_allowed").await;
        assert_eq!(refused(start(&world.host).await), Err(Refusal::UnknownJob("nightly".to_owned())));
        let administrator = world.signed_in("ann", Grade::Administrator, &[]).await;
        saved(&world, ManagePats::default()).await;
        jobs(&world, "node").work().await.unwrap();
        start(&administrator).await.unwrap();
        let new = NewJob {
            name: "Not a name".to_owned(),
            process: "manage_pats",
            options: "{}".to_owned(),
            schedule: None,
            zone: "UTC".to_owned(),
        };
        assert_eq!(refused(job::save(&world.provision, &administrator, new).await).unwrap_err().code(), "job_name");
    }
}
