//! From the threads that serve to the one that sends: a bounded queue that nobody waits for.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, counter};
use tokio::sync::mpsc;

use super::span::{Span, SpanId, TraceId};

/// How many spans wait at most. At about 700 bytes each, that is three megabytes.
const PLACES: usize = 4096;

/// Where spans are put. A handle: clones share one queue, and tell their ids apart.
#[derive(Clone)]
pub struct Traces {
    queue: mpsc::Sender<Span>,
    dropped: Counter,
    /// A request is traced when its number of 64 bits, drawn evenly, is not above this.
    sampled_up_to: u64,
    seed: [u64; 4],
    /// Which range of numbers the next tracer draws its ids from.
    ranges: Arc<AtomicU64>,
}

/// The end of the queue at which spans are taken out.
pub type Queued = mpsc::Receiver<Span>;

impl Traces {
    /// One request in `one_in` is traced. `random` fills a buffer; two processes that shared it would share ids.
    pub fn new(one_in: NonZeroU32, random: impl FnOnce(&mut [u8])) -> (Self, Queued) {
        let (queue, queued) = mpsc::channel(PLACES);
        let mut bytes = [0; 32];
        random(&mut bytes);
        let mut seed = [0; 4];
        for (number, bytes) in seed.iter_mut().zip(bytes.chunks_exact(8)) {
            *number = u64::from_le_bytes(bytes.try_into().expect("each chunk has eight bytes"));
        }
        let traces = Self {
            queue,
            dropped: counter!("locum_trace_spans_total", "outcome" => "queue_full"),
            sampled_up_to: u64::MAX / u64::from(one_in.get()),
            seed,
            ranges: Arc::default(),
        };
        (traces, queued)
    }

    /// To be made once a core: it draws ids that no other draws.
    pub fn tracer(&self) -> Tracer {
        let first = self.ranges.fetch_add(1, Ordering::Relaxed) << 40;
        Tracer { traces: self.clone(), next: AtomicU64::new(first) }
    }

    /// Puts a span into the queue. What finds no place is dropped and counted.
    pub fn put(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped.increment(1);
        }
    }
}

/// Draws the ids of one core.
#[derive(Debug)]
pub struct Tracer {
    traces: Traces,
    next: AtomicU64,
}

/// What one request is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    pub trace: TraceId,
    /// Two steps: answering the request, and asking the app.
    pub spans: [SpanId; 2],
    /// Whether it is one of those that are traced.
    pub sampled: bool,
}

impl Tracer {
    pub const fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Ids that look random and are drawn without asking the system: each is one number of this core's range,
    /// stirred with the process's seed. Whether a request is traced is drawn apart from its ids, which a client may
    /// have chosen.
    pub fn draw(&self) -> Drawn {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let [first, second, third, fourth] = self.traces.seed;
        // Stirring is one to one, so that two numbers never give one id; zero is nobody's.
        let id = |number: u64, seed: u64| stirred(number.wrapping_add(seed)).max(1).to_be_bytes();
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&id(number, first));
        trace[8..].copy_from_slice(&id(number, second));
        Drawn {
            trace: TraceId(trace),
            spans: [SpanId(id(number << 1, third)), SpanId(id(number << 1 | 1, third))],
            sampled: stirred(number ^ fourth) <= self.traces.sampled_up_to,
        }
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014) over a Weyl sequence.
const fn stirred(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traces").field("waiting", &(PLACES - self.queue.capacity())).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::telemetry::trace::Kind;

    fn traces(one_in: u32) -> (Traces, Queued) {
        Traces::new(NonZeroU32::new(one_in).unwrap(), |bytes| bytes.fill(7))
    }

    #[test]
    fn no_two_requests_share_an_id_on_any_core() {
        let (traces, _queued) = traces(1);
        let drawn: Vec<_> = (0..4)
            .flat_map(|_| {
                let core = traces.tracer();
                (0..1000).map(move |_| core.draw()).collect::<Vec<_>>()
            })
            .collect();
        let ids: HashSet<_> = drawn.iter().map(|drawn| drawn.trace.0).collect();
        let spans: HashSet<_> = drawn.iter().flat_map(|drawn| drawn.spans.map(|span| span.0)).collect();
        assert_eq!((ids.len(), spans.len()), (4000, 8000));
    }

    /// G13: so many as were asked for, and all where that is one of one.
    #[test]
    fn one_request_in_so_many_is_traced() {
        for one_in in [1, 2, 100] {
            let (traces, _queued) = traces(one_in);
            let core = traces.tracer();
            let sampled = (0..100_000).filter(|_| core.draw().sampled).count();
            let expected = 100_000 / one_in as usize;
            assert!(sampled.abs_diff(expected) <= expected / 10, "{sampled} of {expected}");
        }
    }

    /// G13: a full queue costs spans and nobody's time.
    #[test]
    fn what_finds_no_place_is_dropped() {
        let (traces, mut queued) = traces(1);
        let drawn = traces.tracer().draw();
        let span = Span {
            trace: drawn.trace,
            id: drawn.spans[0],
            parent: None,
            kind: Kind::Server,
            name: String::new(),
            start: 0,
            end: 0,
            attributes: Vec::new(),
            failed: false,
        };
        for _ in 0..PLACES + 10 {
            traces.put(span.clone());
        }
        let mut taken = 0;
        while queued.try_recv().is_ok() {
            taken += 1;
        }
        assert_eq!(taken, PLACES);
    }
}
