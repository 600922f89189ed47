//! Lines of the log on their way out: many are written at once, by a thread of its own.
//!
//! A line that is written by whoever logs it costs a system call for each request, and stops the request
//! where the reader of the log stands still. So each thread appends to a buffer of its own, whose lock
//! nobody waits for, and one thread takes what has come together, some hundred times a second. While
//! nothing is logged, it sleeps. A channel would cost an allocation and, where the receiver has caught up, a
//! wake-up for each line.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use thread_local::ThreadLocal;
use tracing_subscriber::fmt::MakeWriter;

/// How long lines come together before they are written.
const TOGETHER: Duration = Duration::from_millis(5);
/// The most that waits in the buffer of one thread (those that serve and the few that control have one each).
/// What finds no place is lost, and counted.
const LARGEST_BYTES: usize = 4 << 20;
/// How long the end waits for a reader that stands still.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a buffer keeps of its memory after a burst.
const KEPT_BYTES: usize = 64 << 10;

/// Where lines are put. Clones put them into the same buffers.
#[derive(Debug, Clone)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// One for each thread that logs.
    waiting: ThreadLocal<Mutex<Vec<u8>>>,
    writer: OnceLock<Thread>,
    /// Whether the writer sleeps until it is woken.
    asleep: AtomicBool,
    ended: AtomicBool,
    lost: AtomicU64,
}

/// The thread that writes; when this is dropped, it writes what is left and ends.
#[derive(Debug)]
pub(super) struct Writing {
    shared: Arc<Shared>,
    done: Receiver<()>,
}

/// Starts the thread that writes to `out`.
///
/// # Errors
/// When the system refuses a thread.
pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Lines, Writing)> {
    let shared = Arc::new(Shared::default());
    let (at_the_end, done) = sync_channel(1);
    let writer = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        writer.write_to(out);
        // Whoever waited for it may have lost patience.
        let _nobody_waits = at_the_end.send(());
    })?;
    shared.writer.get_or_init(|| thread.thread().clone());
    Ok((Lines(Arc::clone(&shared)), Writing { shared, done }))
}

impl Lines {
    /// How many lines found no place, or could not be written, since the start.
    pub(super) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Appending<'a>;

    fn make_writer(&'a self) -> Appending<'a> {
        Appending(&self.0)
    }
}

/// Takes one line.
#[derive(Debug)]
pub(super) struct Appending<'a>(&'a Shared);

impl Write for Appending<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.wake();
        // A reader that stands still must not keep the program from ending; there is nobody left to tell.
        let _in_time = self.done.recv_timeout(PATIENCE);
    }
}

impl Shared {
    fn append(&self, line: &[u8]) {
        let mut waiting = lock(self.waiting.get_or_default());
        if waiting.len() + line.len() > LARGEST_BYTES {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.extend_from_slice(line);
        drop(waiting);
        if self.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    fn write_to(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        loop {
            // Asked before looking, so that what was put in before the end is seen.
            let ended = self.ended.load(Ordering::SeqCst);
            let mut found = false;
            for waiting in &self.waiting {
                std::mem::swap(&mut *lock(waiting), &mut batch);
                found |= !batch.is_empty();
                self.write_batch(&mut out, &mut batch);
            }
            if ended {
                return;
            }
            if found {
                std::thread::park_timeout(TOGETHER);
            } else {
                self.sleep();
            }
        }
    }

    fn write_batch(&self, out: &mut impl Write, batch: &mut Vec<u8>) {
        if !batch.is_empty() && out.write_all(batch).and_then(|()| out.flush()).is_err() {
            // There is no other place to say it than the metric.
            let lines = batch.split_inclusive(|byte| *byte == b'\n').count();
            self.lost.fetch_add(lines as u64, Ordering::Relaxed);
        }
        batch.clear();
        batch.shrink_to(KEPT_BYTES);
    }

    /// Sleeps until it is woken. A line that comes after the look into the buffers finds the mark, which
    /// was set before it.
    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        let empty = self.waiting.iter().all(|waiting| lock(waiting).is_empty());
        if empty && !self.ended.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

fn lock(waiting: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    // Whole lines are put in at once, so a panic elsewhere leaves no half one.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Instant;

    use super::*;

    /// Sends on what is written; stands still as long as the lock is held.
    struct Reader(Sender<Vec<u8>>, Arc<Mutex<()>>);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _free = self.1.lock().unwrap();
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn put(lines: &Lines, line: &str) {
        lines.make_writer().write_all(line.as_bytes()).unwrap();
    }

    /// G13: every line of every thread is written once, whole, and in the order of its thread.
    #[test]
    fn every_line_of_every_thread_is_written_before_the_end() {
        let (sender, written) = channel();
        let (lines, writing) = start(Reader(sender, Arc::default())).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let lines = lines.clone();
                scope.spawn(move || {
                    for number in 0..5_000 {
                        put(&lines, &format!("{thread} {number}\n"));
                        if number % 1_000 == 0 {
                            std::thread::sleep(2 * TOGETHER);
                        }
                    }
                });
            }
        });
        drop(writing);
        let all = String::from_utf8(written.try_iter().flatten().collect()).unwrap();
        for thread in 0..4 {
            let of_thread = all.lines().filter_map(|line| line.strip_prefix(&format!("{thread} ")));
            assert!(of_thread.map(|number| number.parse::<u32>().unwrap()).eq(0..5_000));
        }
        assert_eq!(lines.lost(), 0);
    }

    /// G13: a writer that slept is woken by the first line.
    #[test]
    fn a_single_line_is_written_at_once() {
        let (sender, written) = channel();
        let (lines, _writing) = start(Reader(sender, Arc::default())).unwrap();
        for _ in 0..20 {
            std::thread::sleep(3 * TOGETHER);
            put(&lines, "one\n");
            assert_eq!(written.recv_timeout(Duration::from_secs(5)).unwrap(), b"one\n");
        }
    }

    /// G13: whoever logs is never held up; what finds no place is counted.
    #[test]
    fn a_reader_that_stands_still_costs_lines_and_nobodys_time() {
        let (sender, _written) = channel();
        let still = Arc::new(Mutex::new(()));
        let held = still.lock().unwrap();
        let (lines, writing) = start(Reader(sender, Arc::clone(&still))).unwrap();
        let line = format!("{}\n", "x".repeat(1023));
        let room = 3 * LARGEST_BYTES / line.len();
        for _ in 0..room {
            put(&lines, &line);
        }
        assert!(lines.lost() > 0, "more than the buffer holds was put in");
        let start = Instant::now();
        drop(writing);
        assert!(start.elapsed() < 2 * PATIENCE, "the end does not wait for ever");
        drop(held);
    }
}
