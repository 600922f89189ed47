//! Who enters the register while access is withdrawn, and who waits for the word.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};

use shuttle::sync::atomic::AtomicU64;
use shuttle::thread;

use crate::clock::Timestamp;
use crate::cluster::{Cut, InFlight, Stamp, Subjects, Ticket};
use crate::directory::PublicId;
use crate::{account, in_many_orders, said_in_some_order};

fn ticket(number: u8) -> Ticket {
    Ticket {
        account: account(number),
        owner: Some(account(9)),
        pat: PublicId::parse("aaaaaaaaaaaa").unwrap(),
        source: Some("192.0.2.7".parse().unwrap()),
        expires_at: Timestamp::from_millis(1_000),
    }
}

/// What went wrong where a request and a change leave a window.
const RUNS_ON: &str = "it runs on after the change returned";

/// One request that was judged good a moment ago, and a change that withdraws its access in two steps.
fn a_request_meets_a_change(first: fn(&Subjects, &InFlight), second: fn(&Subjects, &InFlight)) {
    let (subjects, in_flight) = (Subjects::new(), InFlight::new());
    let stamp = Stamp::take(&subjects, account(1), Some(account(9)));
    let entering = {
        let in_flight = in_flight.clone();
        thread::spawn(move || in_flight.enter(ticket(1), || stamp.holds()))
    };
    first(&subjects, &in_flight);
    second(&subjects, &in_flight);
    let entered = entering.join().unwrap();
    assert!(entered.is_none_or(|guard| guard.is_cancelled()), "{RUNS_ON}");
}

fn bump(subjects: &Subjects, _: &InFlight) {
    subjects.narrow(account(1));
}

fn bump_owner(subjects: &Subjects, _: &InFlight) {
    subjects.narrow(account(9));
}

fn cut(_: &Subjects, in_flight: &InFlight) {
    in_flight.cut(Cut::Account(account(1)));
}

fn cut_owner(_: &Subjects, in_flight: &InFlight) {
    in_flight.cut(Cut::Account(account(9)));
}

/// CC-001, R2: in each order that is tried in which a change and an entry meet, the entry is refused or cut.
#[test]
fn revoking_and_entering_leave_no_window_in_many_orders() {
    in_many_orders(|| a_request_meets_a_change(bump, cut));
    in_many_orders(|| a_request_meets_a_change(bump_owner, cut_owner));
}

/// CC-001: the search is worth something. With the two steps the other way round there is a window, and it
/// is found.
#[test]
fn a_window_is_found_where_there_is_one() {
    let said = said_in_some_order(|| a_request_meets_a_change(cut, bump));
    assert_eq!(said.as_deref(), Some(RUNS_ON));
}

struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// CC-001, R3: whoever waits while it is cut is woken, or sees it at once.
#[test]
fn nobody_sleeps_through_a_cut() {
    in_many_orders(|| {
        let in_flight = InFlight::new();
        let guard = Arc::new(in_flight.enter(ticket(1), || true).unwrap());
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let guard = Arc::clone(&guard);
                thread::spawn(move || {
                    let bell = Arc::new(Bell(AtomicU32::new(0)));
                    let waker = Waker::from(Arc::clone(&bell));
                    (guard.poll_cancelled(&mut Context::from_waker(&waker)).is_pending(), bell)
                })
            })
            .collect();
        in_flight.cut_all();
        for waits in waiting {
            let (asleep, bell) = waits.join().unwrap();
            assert!(!asleep || bell.0.load(SeqCst) > 0, "nobody woke it");
        }
    });
}

/// CC-001: two that cut at once count each entry once, and what leaves meanwhile is gone.
#[test]
fn each_entry_is_cut_once_and_leaves_nothing_behind() {
    in_many_orders(|| {
        let in_flight = InFlight::new();
        let guard = in_flight.enter(ticket(1), || true).unwrap();
        let stays = in_flight.enter(ticket(1), || true).unwrap();
        let leaving = thread::spawn(move || drop(guard));
        let cutting = {
            let in_flight = in_flight.clone();
            thread::spawn(move || in_flight.cut(Cut::Account(account(1))))
        };
        let here = in_flight.cut_expired(Timestamp::from_millis(1_000));
        let there = cutting.join().unwrap();
        leaving.join().unwrap();
        assert!((1..=2).contains(&(here + there)), "{here} and {there}");
        assert!(stays.is_cancelled());
        drop(stays);
        assert!(in_flight.is_empty());
        assert_eq!(in_flight.cut_all(), 0);
    });
}

/// CC-001, R2: an answer that was read while it changed is never kept as fresh, also when the block that the
/// change touched was dropped and made anew in between.
#[test]
fn no_old_answer_is_stamped_as_fresh() {
    in_many_orders(|| {
        let subjects = Subjects::new();
        // the database: 0 before the change, 1 after it
        let database = Arc::new(AtomicU64::new(0));
        // a shard so full that the next blocks make it drop what nobody holds
        for number in 2..63 {
            let mut bytes = [0; 16];
            bytes[0] = number;
            drop(subjects.subject(crate::directory::AccountId::from_bytes(bytes)));
        }
        let changed = crate::directory::AccountId::from_bytes([0; 16]);
        let changing = {
            let (subjects, database) = (subjects.clone(), Arc::clone(&database));
            thread::spawn(move || {
                database.store(1, SeqCst);
                subjects.narrow(changed);
            })
        };
        let crowding = {
            let subjects = subjects.clone();
            thread::spawn(move || {
                for number in 100..103 {
                    let mut bytes = [0; 16];
                    bytes[0] = number;
                    drop(subjects.subject(crate::directory::AccountId::from_bytes(bytes)));
                }
            })
        };
        let moment = subjects.moment();
        let read = database.load(SeqCst);
        let stamp = Stamp::since(&subjects, moment, changed, None);
        changing.join().unwrap();
        crowding.join().unwrap();
        let kept = stamp.is_some_and(|stamp| stamp.holds());
        assert!(!kept || read == 1, "an old answer counts as fresh after the change returned");
    });
}
