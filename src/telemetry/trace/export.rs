//! Sends what is in the queue to the collector, batch by batch, on the runtime that it was started on.
//!
//! A batch that nobody takes is tried again a few times and then dropped: meanwhile the queue fills, and what finds
//! no place there is dropped too. Both are counted; neither is anybody's who asks for something.

use std::time::Duration;

use bytes::Bytes;
use metrics::counter;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::collector::{Collector, Untaken};
use super::otlp;
use super::queue::{Queued, Traces};
use super::settings::Settings;
use super::span::Span;

/// The most spans in one batch.
const BATCH: usize = 512;
/// How long spans are gathered: so few batches leave, and whoever serves wakes nobody for each of them.
const GATHER: Duration = Duration::from_millis(250);
/// How long is waited before each further attempt.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// How long the end waits for the last batches.
const FLUSH: Duration = Duration::from_secs(2);

/// The sending of spans, as long as it runs.
#[derive(Debug)]
pub struct Exporting {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    traces: Traces,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Starts on the runtime of the caller; without settings there is nothing to send, and no traces. `random` fills
    /// a buffer.
    pub fn start(settings: Option<&Settings>, mut random: impl FnMut(&mut [u8])) -> Self {
        let running = settings.map(|settings| {
            let (traces, queued) = Traces::new(settings.sample_one_in, &mut random);
            let mut instance = [0; 8];
            random(&mut instance);
            let stop = CancellationToken::new();
            let sender = Sender {
                service_name: settings.service_name.clone(),
                instance: format!("{:016x}", u64::from_ne_bytes(instance)),
                endpoint: settings.endpoint.to_string(),
                collector: Collector::new(settings.clone()),
                stop: stop.clone(),
                failing: false,
            };
            Running { traces, stop, task: tokio::spawn(sender.run(queued)) }
        });
        Self { running }
    }

    /// Where spans are put; `None`: nobody wants any.
    pub fn traces(&self) -> Option<Traces> {
        self.running.as_ref().map(|running| running.traces.clone())
    }

    /// Sends what still waits, for two seconds at most.
    pub async fn end(self) {
        let Some(Running { traces, stop, mut task }) = self.running else { return };
        drop(traces);
        stop.cancel();
        if timeout(FLUSH, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the collector of traces did not take the last spans in time: they are dropped");
        }
    }
}

struct Sender {
    service_name: String,
    /// Tells this process from others of the same name.
    instance: String,
    endpoint: String,
    collector: Collector,
    stop: CancellationToken,
    failing: bool,
}

impl Sender {
    async fn run(mut self, mut queued: Queued) {
        let stop = self.stop.clone();
        let mut batch = Vec::with_capacity(BATCH);
        while !stop.is_cancelled() {
            let any = tokio::select! {
                count = queued.recv_many(&mut batch, BATCH) => count > 0,
                () = stop.cancelled() => false,
            };
            if any && batch.len() < BATCH {
                tokio::select! {
                    () = sleep(GATHER) => {}
                    () = stop.cancelled() => {}
                }
                fill(&mut batch, &mut queued);
            }
            self.deliver(&mut batch).await;
        }
        // What is put from now on finds the queue closed, and counts as dropped.
        queued.close();
        loop {
            fill(&mut batch, &mut queued);
            if batch.is_empty() {
                return;
            }
            // one attempt each: what fails stays in the batch, and is counted as dropped
            self.attempt(&mut batch).await.ok();
            if !batch.is_empty() {
                drop_all(&mut batch);
            }
        }
    }

    /// Sends a batch, or drops it after the last attempt; asked to stop in between, it leaves the batch.
    async fn deliver(&mut self, batch: &mut Vec<Span>) {
        for wait in WAITS.into_iter().map(Some).chain([None]) {
            if batch.is_empty() {
                return;
            }
            let Err(asked) = self.attempt(batch).await else { return };
            let Some(wait) = wait else { break };
            tokio::select! {
                () = sleep(wait.max(asked)) => {}
                () = self.stop.cancelled() => return,
            }
        }
        drop_all(batch);
    }

    /// One attempt, after which the batch is empty; or, with the wait that the collector asks for, still whole.
    async fn attempt(&mut self, batch: &mut Vec<Span>) -> Result<(), Duration> {
        let message = otlp::request(&self.service_name, &self.instance, batch);
        match self.collector.send(Bytes::from(message)).await {
            Ok(rejected) => {
                let all = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                let rejected = rejected.min(all);
                batch.clear();
                counter!("locum_trace_spans_total", "outcome" => "exported").increment(all - rejected);
                if rejected > 0 {
                    tracing::warn!(rejected, "the collector of traces threw spans away");
                    counter!("locum_trace_spans_total", "outcome" => "rejected").increment(rejected);
                }
                if std::mem::take(&mut self.failing) {
                    tracing::info!(endpoint = self.endpoint, "the collector of traces takes spans again");
                }
                Ok(())
            }
            Err(Untaken::Yet { why, wait }) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(endpoint = self.endpoint, why, "the collector of traces takes no spans");
                }
                Err(wait)
            }
            Err(Untaken::Ever(status)) => {
                if !std::mem::replace(&mut self.failing, true) {
                    let status = status.as_u16();
                    tracing::warn!(endpoint = self.endpoint, status, "the collector of traces refuses spans");
                }
                let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                batch.clear();
                counter!("locum_trace_spans_total", "outcome" => "rejected").increment(count);
                Ok(())
            }
        }
    }
}

fn fill(batch: &mut Vec<Span>, queued: &mut Queued) {
    while batch.len() < BATCH
        && let Ok(span) = queued.try_recv()
    {
        batch.push(span);
    }
}

fn drop_all(batch: &mut Vec<Span>) {
    let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
    batch.clear();
    counter!("locum_trace_spans_total", "outcome" => "undeliverable").increment(count);
}
