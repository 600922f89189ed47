//! How many requests run at once in the whole process, and who still gets in when there are many (G12).
//!
//! A request takes a slot before it can wait for anything: for a judgement, for the roles of its caller, for an app,
//! for its client. It has the slot until the last byte of its answer, a tunnel until its end, over HTTP/1 and HTTP/2
//! alike. The last slots are for callers whose credential this node has proven: strangers find none left while there
//! are some for those.
//!
//! One count for all cores. Who finds no slot only reads it, so a crowd that is turned away slows down nobody.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::refusal::Refusal;
use super::upstream::Entered;

/// The most that run unless something else is said: of WebSockets that are silent, 340 MiB.
const MOST: usize = 16 * 1024;

/// How many requests may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotSettings {
    /// At once; `None`: as many as there may be connections to apps, and not more than 16,384.
    pub requests: Option<NonZeroUsize>,
    /// How many of a hundred of them strangers cannot have; at most 90.
    pub reserved_percent: u8,
}

impl Default for SlotSettings {
    fn default() -> Self {
        Self { requests: None, reserved_percent: 20 }
    }
}

/// Who asks for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Caller {
    /// Its credential was proven on this node, and nothing has taken that back.
    Known,
    /// Nobody, or somebody who is still to be judged.
    Stranger,
    /// Without a credential where one is needed: refused at once for want of it, so that it waits for nothing. Many
    /// clients, git among them, send theirs only when they were asked for it.
    ToBeAsked,
}

/// The count, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Count(AtomicUsize);

/// The slots of the process. Clones count together; bounds are each one's own.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    running: Arc<Count>,
    most: usize,
    for_strangers: usize,
}

/// What a request has while it runs; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<Slots>);

/// What a request gives up with its last byte: its slot, and its place at the app.
pub(super) type Held = (Slot, Entered);

/// What of a number strangers cannot have.
pub(super) fn reserved(number: usize, percent: u8) -> usize {
    number.saturating_mul(percent.min(90).into()) / 100
}

impl Slots {
    /// `connections`: how many there may be to apps.
    pub(super) fn new(settings: SlotSettings, connections: usize) -> Self {
        let most = settings.requests.map_or(connections.clamp(1, MOST), NonZeroUsize::get);
        Self { running: Arc::default(), most, for_strangers: most - reserved(most, settings.reserved_percent) }
    }

    /// The same bounds, for what runs by the others too.
    pub(super) fn counting_with(self, others: &Self) -> Self {
        Self { running: Arc::clone(&others.running), ..self }
    }

    /// Takes a slot.
    ///
    /// # Errors
    /// When there is none left for this caller.
    pub(super) fn take(self: &Arc<Self>, caller: Caller) -> Result<Slot, Refusal> {
        let (most, refusal) = match caller {
            Caller::Known => (self.most, Refusal::Shed("requests_full")),
            Caller::Stranger => (self.for_strangers, Refusal::Shed("requests_reserved")),
            Caller::ToBeAsked => (usize::MAX, Refusal::Shed("requests_full")),
        };
        let one_more = |running| (running < most).then(|| running + 1);
        match self.running.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Slot(Arc::clone(self))),
            Err(_) => Err(refusal),
        }
    }

    /// How many there are.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.running.0.load(Ordering::Relaxed)
    }

    /// That callers are turned away, in words for an operator.
    pub(super) fn note(&self) -> Option<String> {
        let (running, most) = (self.running(), self.most);
        let who = if running >= most {
            "everybody is"
        } else if running >= self.for_strangers {
            "callers that are not known are"
        } else {
            return None;
        };
        Some(format!("{running} of {most} requests run: {who} turned away (`[limits] requests`)"))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.running.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(requests: usize, reserved_percent: u8) -> Arc<Slots> {
        Arc::new(Slots::new(SlotSettings { requests: NonZeroUsize::new(requests), reserved_percent }, 1))
    }

    fn all_for(slots: &Arc<Slots>, caller: Caller) -> Vec<Slot> {
        std::iter::from_fn(|| slots.take(caller).ok()).take(100_000).collect()
    }

    /// DS-001, G12
    #[test]
    fn strangers_leave_the_reserve_to_the_known() {
        for (requests, percent, strangers) in
            [(10, 20, 8), (10, 0, 10), (10, 90, 1), (1, 90, 1), (7, 50, 4), (usize::MAX, 0, 100_000)]
        {
            let slots = slots(requests, percent);
            let held = all_for(&slots, Caller::Stranger);
            assert_eq!(held.len(), strangers, "{percent}% of {requests}");
            let known = all_for(&slots, Caller::Known);
            assert_eq!(known.len(), (requests - strangers).min(100_000));
            assert!(slots.take(Caller::ToBeAsked).is_ok(), "who is asked for a credential holds nothing");
            drop((held, known));
            assert_eq!(slots.running(), 0);
        }
    }

    /// G12: however the cores come together, nobody passes a bound, and nothing stays counted.
    #[test]
    fn no_bound_is_passed_from_several_threads() {
        let slots = slots(8, 50);
        std::thread::scope(|scope| {
            for caller in [Caller::Known, Caller::Stranger, Caller::Stranger, Caller::Known] {
                let slots = &slots;
                scope.spawn(move || {
                    for _ in 0..2_000 {
                        let held = all_for(slots, caller);
                        assert!(held.len() <= if caller == Caller::Known { 8 } else { 4 }, "{}", held.len());
                        assert!(slots.running() <= 8);
                    }
                });
            }
        });
        assert_eq!(slots.running(), 0);
    }

    /// G12
    #[test]
    fn without_a_number_there_are_as_many_as_connections_to_apps_up_to_a_bound() {
        for (connections, most) in [(384, 384), (1 << 20, MOST), (0, 1)] {
            assert_eq!(Slots::new(SlotSettings::default(), connections).most, most);
        }
    }

    /// G12: what runs before a reload counts after it.
    #[test]
    fn other_bounds_count_what_runs_already() {
        let before = slots(4, 0);
        let held = all_for(&before, Caller::Stranger);
        let after = Arc::new(slots(5, 0).as_ref().clone().counting_with(&before));
        assert_eq!(all_for(&after, Caller::Known).len(), 1);
        drop(held);
        assert_eq!((before.running(), after.running()), (0, 0));
    }
}
