//! The thread for writes that cannot run immediately. Calls that arrive while it writes are added together in the
//! next transaction: a transaction costs more than the rows that it writes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::{BUSY, SharedConnections, is_busy, rows};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::journal::{Appended, CallPosition, NewDraftRow, NewRecord};

/// Calls of one client are further apart than this, in µs: a call takes longer.
const TOGETHER_WITHIN_US: u64 = 250;

/// Maximum number of calls in one transaction, so that the first does not wait long.
const TOGETHER: usize = 512;

/// The handle of the thread, which is started on first use.
#[derive(Debug)]
pub(super) struct JournalWriter {
    shared: Arc<SharedConnections>,
    started: Instant,
    /// When the last call arrived, in µs since `started`.
    asked_us: AtomicU64,
    crowded: Arc<AtomicBool>,
    thread: Mutex<Option<Thread>>,
}

#[derive(Debug)]
struct Thread {
    queue: mpsc::Sender<WriterWork>,
    ends: JoinHandle<()>,
}

enum WriterWork {
    Enter(Box<WaitingEntry>),
    Other(Box<dyn FnOnce(&SharedConnections) + Send>),
}

struct WaitingEntry {
    entry: JournalEntry,
    since: Instant,
    answer: oneshot::Sender<Result<Option<Appended>>>,
}

/// What to add to the journal. It is added even if the caller no longer waits, because the call was executed.
pub(super) enum JournalEntry {
    Draft(NewDraftRow, NewRecord),
    Call(String, DraftId, NewRecord, CallPosition),
}

impl JournalEntry {
    /// `None` if it was not accepted.
    fn enter(&self, connection: &Connection) -> rusqlite::Result<Option<Appended>> {
        match self {
            Self::Draft(draft, record) => rows::create(connection, draft, record),
            Self::Call(origin, draft, record, at) => {
                rows::insert(connection, origin, draft, record, *at)
            }
        }
    }
}

impl JournalWriter {
    pub(super) fn new(shared: Arc<SharedConnections>) -> Self {
        Self {
            shared,
            started: Instant::now(),
            asked_us: AtomicU64::new(0),
            crowded: Arc::default(),
            thread: Mutex::default(),
        }
    }

    /// Whether a call that arrives now should use this thread: the last calls arrived together, or the one before it
    /// just now.
    pub(super) fn is_crowded(&self) -> bool {
        let now_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let before_us = self.asked_us.swap(now_us, Ordering::Relaxed);
        self.crowded.load(Ordering::Relaxed)
            || now_us.saturating_sub(before_us) < TOGETHER_WITHIN_US
    }

    /// Adds an entry, together with those of other callers; `None` if it was not accepted.
    pub(super) async fn enter(&self, entry: JournalEntry) -> Result<Option<Appended>> {
        let (answer, answered) = oneshot::channel();
        let since = Instant::now();
        self.send(WriterWork::Enter(Box::new(WaitingEntry {
            entry,
            since,
            answer,
        })))?;
        answered.await.unwrap_or_else(|_| Err(broken_off()))
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let since = Instant::now();
        self.send(WriterWork::Other(Box::new(move |shared| {
            let patience = BUSY.saturating_sub(since.elapsed());
            let done = shared
                .attempt(&shared.writing, patience, work)
                .and_then(|done| done.map_err(|error| shared.file.explain(error)));
            // If the caller no longer waits, the outcome is in the journal.
            let _ = answer.send(done);
        })))?;
        answered.await.unwrap_or_else(|_| Err(broken_off()))
    }

    fn send(&self, work: WriterWork) -> Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let work = match &*thread {
            // The thread ends only by a panic; then a new one is needed.
            Some(running) => match running.queue.send(work) {
                Ok(()) => return Ok(()),
                Err(mpsc::SendError(work)) => work,
            },
            None => work,
        };
        let (queue, received) = mpsc::channel();
        let (shared, crowded) = (Arc::clone(&self.shared), Arc::clone(&self.crowded));
        let ends = thread::Builder::new()
            .name("journal".into())
            .spawn(move || write_all(&shared, &crowded, &received))
            .map_err(|error| {
                Error::new(
                    Kind::Unavailable,
                    "no thread could be started to write the journal",
                )
                .hint("stop other programs or raise the process limit, then send the call again")
                .source(error)
            })?;
        let running = thread.insert(Thread { queue, ends });
        running
            .queue
            .send(work)
            .map_err(|_| Error::internal("the journal's thread ended immediately"))
    }

    /// Waits until everything is written.
    pub(super) fn end(&mut self) {
        let thread = self.thread.get_mut();
        let thread = thread.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Thread { queue, ends }) = thread {
            drop(queue);
            // An error means that the thread panicked, so it has ended as well.
            let _ = ends.join();
        }
    }
}

fn broken_off() -> Error {
    Error::internal("writing the journal was interrupted")
        .hint("check the draft before you call again")
}

fn write_all(shared: &SharedConnections, crowded: &AtomicBool, queue: &mpsc::Receiver<WriterWork>) {
    while let Ok(mut work) = queue.recv() {
        loop {
            let mut next = None;
            match work {
                WriterWork::Other(other) => other(shared),
                WriterWork::Enter(first) => {
                    let mut together = vec![*first];
                    while together.len() < TOGETHER {
                        match queue.try_recv() {
                            Ok(WriterWork::Enter(waiting)) => together.push(*waiting),
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    crowded.store(together.len() > 1, Ordering::Relaxed);
                    enter(shared, together);
                }
            }
            match next {
                Some(next) => work = next,
                None => break,
            }
        }
    }
}

/// Adds all of them or none. While another process locks the file, each call waits up to [`BUSY`] from its own
/// start.
fn enter(shared: &SharedConnections, mut waiting: Vec<WaitingEntry>) {
    while !waiting.is_empty() {
        let oldest = waiting.iter().map(|waiting| waiting.since.elapsed()).max();
        let patience = BUSY.saturating_sub(oldest.unwrap_or_default());
        let entered = shared.attempt(&shared.writing, patience, |connection| {
            if let [alone] = &waiting[..] {
                if let JournalEntry::Draft(draft, record) = &alone.entry {
                    return Ok(vec![rows::create_alone(connection, draft, record)?]);
                }
                return Ok(vec![alone.entry.enter(connection)?]);
            }
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let entered = waiting
                .iter()
                .map(|waiting| waiting.entry.enter(&transaction))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            transaction.commit()?;
            Ok(entered)
        });
        let (error, is_held) = match entered {
            Ok(Ok(entered)) => {
                for (waiting, entered) in waiting.into_iter().zip(entered) {
                    let _ = waiting.answer.send(Ok(entered));
                }
                return;
            }
            Ok(Err(error)) => {
                let is_held = is_busy(&error);
                (shared.file.explain(error), is_held)
            }
            Err(error) => (error, false),
        };
        let (over, left): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|waiting| !is_held || waiting.since.elapsed() >= BUSY);
        for waiting in over {
            let _ = waiting.answer.send(Err(error.again()));
        }
        waiting = left;
    }
}
