//! The register of what runs, by its public door.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake, Waker};

use locum::clock::Timestamp;
use locum::cluster::{Cut, Guard, InFlight, Stamp, Subjects, Ticket};
use locum::directory::{AccountId, PublicId};

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

fn ticket(number: u8, owner: u8, pat: &str) -> Ticket {
    Ticket {
        account: account(number),
        owner: Some(account(owner)),
        pat: PublicId::parse(pat).unwrap(),
        source: Some("192.0.2.7".parse().unwrap()),
        expires_at: Timestamp::from_millis(1_000),
    }
}

#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// R3: a change ends what runs for its account, its proxy users or its token, and nothing else.
#[test]
fn a_cut_reaches_its_account_its_proxy_users_and_its_token_only() {
    let in_flight = InFlight::new();
    let tickets = [ticket(1, 9, "aaaaaaaaaaaa"), ticket(1, 9, "bbbbbbbbbbbb"), ticket(2, 9, "cccccccccccc")];
    let stranger = in_flight.enter(ticket(3, 8, "dddddddddddd"), || true).unwrap();
    let cancelled = |cut| {
        let guards = tickets.map(|ticket| in_flight.enter(ticket, || true).unwrap());
        let count = in_flight.cut(cut);
        let cancelled = guards.each_ref().map(Guard::is_cancelled);
        assert_eq!(count, cancelled.iter().filter(|cut| **cut).count());
        cancelled
    };
    assert_eq!(cancelled(Cut::Pat(tickets[1].pat)), [false, true, false]);
    assert_eq!(cancelled(Cut::Account(account(1))), [true, true, false]);
    assert_eq!(cancelled(Cut::Account(account(9))), [true, true, true]);
    assert!(!stranger.is_cancelled());
}

/// T2, R3: at the instant, not after it.
#[test]
fn what_has_expired_is_cut_at_the_instant() {
    let in_flight = InFlight::new();
    let guard = in_flight.enter(ticket(1, 9, "aaaaaaaaaaaa"), || true).unwrap();
    assert_eq!(in_flight.cut_expired(Timestamp::from_millis(999)), 0);
    assert_eq!(in_flight.cut_expired(Timestamp::from_millis(1_000)), 1);
    assert_eq!(in_flight.cut_expired(Timestamp::from_millis(1_001)), 0, "cut once");
    assert!(guard.is_cancelled());
}

#[test]
fn leaving_frees_the_place() {
    let in_flight = InFlight::new();
    let guard = in_flight.enter(ticket(1, 9, "aaaaaaaaaaaa"), || true);
    assert_eq!(in_flight.len(), 1);
    drop(guard);
    assert!(in_flight.is_empty());
    assert_eq!(in_flight.cut_all(), 0);
    assert!(in_flight.enter(ticket(1, 9, "aaaaaaaaaaaa"), || false).is_none());
    assert!(in_flight.is_empty(), "what was not let in left something behind");
}

#[test]
fn every_task_that_waits_is_woken() {
    let in_flight = InFlight::new();
    let guard = in_flight.enter(ticket(1, 9, "aaaaaaaaaaaa"), || true).unwrap();
    let bells: Vec<_> = (0..20).map(|_| Arc::new(Bell::default())).collect();
    for bell in &bells {
        let waker = Waker::from(Arc::clone(bell));
        for _again in 0..2 {
            assert!(guard.poll_cancelled(&mut Context::from_waker(&waker)).is_pending());
        }
    }
    in_flight.cut_all();
    for bell in &bells {
        assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    }
    let waker = Waker::noop();
    assert!(pin!(guard.cancelled()).poll(&mut Context::from_waker(waker)).is_ready());
}

/// R2: however a change and an entry meet, the entry is refused or cut.
#[test]
fn nothing_slips_between_a_change_and_an_entry() {
    for _round in 0..500 {
        let (subjects, in_flight) = (Subjects::new(), InFlight::new());
        let ticket = ticket(1, 9, "aaaaaaaaaaaa");
        let stamp = Stamp::take(&subjects, ticket.account, ticket.owner);
        let entered = std::thread::scope(|scope| {
            let entering = scope.spawn(|| in_flight.enter(ticket, || stamp.holds()));
            subjects.narrow(ticket.account);
            in_flight.cut(Cut::Account(ticket.account));
            entering.join().unwrap()
        });
        assert!(entered.is_none_or(|guard| guard.is_cancelled()));
    }
}
