//! The instances of one app: the less loaded of two is asked, and one that could not be reached is
//! left alone for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::connect::{TransportSettings, Way};

/// How long an instance that could not be reached is asked last.
const PAUSE: Duration = Duration::from_secs(2);

/// One place where an app runs.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Its place among all instances of all apps, for whoever keeps connections.
    pub(super) number: usize,
    /// `HOST:PORT`
    authority: Arc<str>,
    way: Way,
    running: AtomicUsize,
    /// Milliseconds since `born` until which it is asked last.
    paused_until: AtomicU64,
    born: Instant,
}

impl Instance {
    fn new(number: usize, authority: &str, way: Way) -> Self {
        Self {
            number,
            authority: authority.into(),
            way,
            running: AtomicUsize::new(0),
            paused_until: AtomicU64::new(0),
            born: Instant::now(),
        }
    }

    pub(crate) const fn authority(&self) -> &Arc<str> {
        &self.authority
    }

    pub(super) const fn way(&self) -> &Way {
        &self.way
    }

    /// Takes note that it could not be reached.
    pub(crate) fn pause(&self) {
        self.paused_until.store(millis(self.born.elapsed() + PAUSE), Ordering::Relaxed);
    }

    fn is_paused(&self) -> bool {
        let until = self.paused_until.load(Ordering::Relaxed);
        until != 0 && millis(self.born.elapsed()) < until
    }

    /// Counts what runs there until the answer is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One exchange that runs at an instance.
#[derive(Debug)]
pub(super) struct Running(Arc<Instance>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All instances of one app, as one core sees them.
#[derive(Debug)]
pub(crate) struct Instances {
    all: Vec<Arc<Instance>>,
    turn: AtomicUsize,
}

impl Instances {
    /// `numbers` hands out the places among all instances of all apps.
    pub(crate) fn new(
        authorities: &[String],
        transport: &TransportSettings,
        numbers: &mut impl Iterator<Item = usize>,
    ) -> Self {
        let all = authorities.iter().zip(transport.ways(authorities)).zip(numbers);
        let all = all.map(|((authority, way), number)| Arc::new(Instance::new(number, authority, way)));
        Self { all: all.collect(), turn: AtomicUsize::new(0) }
    }

    /// The instances in the order in which one request should try them: the less loaded of two first
    /// (two in turn, so that all are compared), then the others, and those that could not be reached last.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Arc<Instance>> {
        let count = self.all.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let start = match count {
            0 | 1 => 0,
            _ => {
                let (a, b) = (turn % count, (turn + 1 + (turn / count) % (count - 1)) % count);
                let load = |at: usize| (self.all[at].is_paused(), self.all[at].running.load(Ordering::Relaxed));
                if load(b) < load(a) { b } else { a }
            }
        };
        let around = move || (0..count).map(move |step| &self.all[(start + step) % count]);
        around().filter(|instance| !instance.is_paused()).chain(around().filter(|instance| instance.is_paused()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances(count: usize) -> Instances {
        let places: Vec<_> = (0..count).map(|n| format!("a:{n}")).collect();
        Instances::new(&places, &TransportSettings::default(), &mut (0..))
    }

    fn first(instances: &Instances) -> Arc<Instance> {
        Arc::clone(instances.in_order().next().unwrap())
    }

    /// G8
    #[tokio::test]
    async fn all_instances_take_their_turn_and_each_is_tried_once() {
        for count in 1..5 {
            let instances = instances(count);
            let mut asked: Vec<_> = (0..count * 4).map(|_| first(&instances).number).collect();
            asked.sort_unstable();
            asked.dedup();
            assert_eq!(asked.len(), count);
            assert_eq!(instances.in_order().count(), count);
        }
    }

    /// G8
    #[tokio::test]
    async fn the_less_loaded_of_two_is_asked() {
        let instances = instances(2);
        let busy = instances.all[0].enter();
        assert!((0..4).all(|_| first(&instances).number == 1));
        drop(busy);
        assert!((0..4).any(|_| first(&instances).number == 0));
    }

    /// G8
    #[tokio::test]
    async fn what_could_not_be_reached_is_asked_last_for_a_while() {
        let instances = instances(3);
        instances.all[1].pause();
        for _ in 0..6 {
            assert_eq!(instances.in_order().last().unwrap().number, 1);
        }
        instances.all[1].paused_until.store(0, Ordering::Relaxed);
        assert!((0..6).any(|_| first(&instances).number == 1));
    }
}
