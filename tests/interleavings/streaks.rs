//! Failures and successes of one account at once: the mark that spares a good credential the look at the
//! counts is never gone while a failure is on record.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use shuttle::sync::atomic::AtomicU64;
use shuttle::thread;

use crate::cluster::{Stamp, Subject, Subjects};
use crate::directory::Life;
use crate::{account, in_many_orders, said_in_some_order};

/// What went wrong where a failure loses its mark.
const LOST: &str = "a failure is on record, and no success will look";

/// Two failures and a success of one account, with counts as Redis keeps them: one step at a time. `fail`
/// counts by calling what it is given.
fn failures_meet_a_success(fail: fn(&Subjects, &Subject, &dyn Fn())) {
    let (subjects, count) = (Subjects::new(), Arc::new(AtomicU64::new(0)));
    let subject = subjects.subject(account(1));
    let failing: Vec<_> = (0..2)
        .map(|_| {
            let (subjects, subject, count) = (subjects.clone(), Arc::clone(&subject), Arc::clone(&count));
            thread::spawn(move || {
                fail(&subjects, &subject, &|| {
                    count.fetch_add(1, SeqCst);
                });
            })
        })
        .collect();
    let seen = subject.streak();
    if seen != 0 {
        count.store(0, SeqCst);
        subject.clear_mark(seen);
    }
    for failure in failing {
        failure.join().unwrap();
    }
    assert!(count.load(SeqCst) == 0 || subject.streak() != 0, "{LOST}");
}

/// CC-001, L1, L3: in each order that is tried in which failures and successes meet, a failure on record is marked,
/// so that the next success clears it.
#[test]
fn a_failure_on_record_is_marked_in_many_orders() {
    in_many_orders(|| {
        failures_meet_a_success(|subjects, subject, count| {
            let _marked = subjects.failing(subject);
            count();
        });
    });
}

/// CC-001: the search is worth something: a mark that is set only before counting is found to get lost.
#[test]
fn a_lost_mark_is_found() {
    let said = said_in_some_order(|| {
        failures_meet_a_success(|subjects, subject, count| {
            subjects.mark(subject);
            count();
        });
    });
    assert_eq!(said.as_deref(), Some(LOST));
}

/// CC-001, L2: once a trip has returned, no answer from before it is used, whoever was reading.
#[test]
fn a_trip_ends_every_answer_from_before_it() {
    in_many_orders(|| {
        let subjects = Subjects::new();
        let subject = subjects.subject(account(1));
        let tripping: Vec<_> = (0..2)
            .map(|_| {
                let (subjects, subject) = (subjects.clone(), Arc::clone(&subject));
                thread::spawn(move || subjects.trip(&subject, Life::FIRST))
            })
            .collect();
        let moment = subjects.moment();
        let shut = subject.tripped_in(Life::FIRST);
        let stamp = Stamp::since(&subjects, moment, account(1), None);
        let news: usize = tripping.into_iter().map(|trip| usize::from(trip.join().unwrap())).sum();
        assert_eq!(news, 1, "one of them is the first to know");
        let kept = stamp.is_some_and(|stamp| stamp.holds());
        assert!(!kept || shut, "an answer from before the trip is used after it");
        assert!(subject.tripped_in(Life::FIRST));
    });
}
