//! What several calls enter at the same time, entered together: a transaction costs more than what is written in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Appended, IMMEDIATE, Journal, NewDraft, Record};
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};

/// As long as calls come alone, one of so many looks whether another comes with it.
const LOOKS: u32 = 16;

/// What waits to be entered.
#[derive(Debug, Default)]
pub(super) struct Batch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Somebody is at it, and takes what comes meanwhile.
    writing: bool,
    /// The last ones that were entered were several.
    crowded: bool,
    /// How many were entered alone.
    alone: u32,
}

#[derive(Debug)]
struct Waiting {
    entry: Arc<Entry>,
    tell: oneshot::Sender<Result<Option<u64>>>,
}

#[derive(Debug)]
enum Entry {
    Draft(NewDraft, Record<String>),
    Call(&'static str, DraftId, Record<String>),
    Next(String, DraftId, Record<String>),
}

impl Entry {
    /// The sequence that it got, if there was a place for it.
    fn enter(&self, connection: &Connection) -> rusqlite::Result<Option<u64>> {
        let (entered, record) = match self {
            Self::Draft(row, record) => (super::insert_draft(connection, row, record)?, record),
            Self::Call(origin, draft, record) => {
                (super::insert(connection, origin, draft, record)?, record)
            }
            Self::Next(origin, draft, record) => {
                return super::insert_next(connection, origin, draft, record);
            }
        };
        Ok(entered.then_some(record.sequence))
    }
}

impl Batch {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a call need not wait for others.
    fn goes_alone(&mut self) -> bool {
        if self.crowded || self.writing {
            return false;
        }
        self.alone = self.alone.wrapping_add(1);
        !self.alone.is_multiple_of(LOOKS)
    }
}

impl Journal {
    /// As [`Journal::create`], together with what others enter.
    pub(crate) async fn create_with_others(
        self: &Arc<Self>,
        row: NewDraft,
        record: Record<String>,
    ) -> Result<()> {
        if self.batch.lock().goes_alone() {
            return self.create(&row, &record);
        }
        let (origin, id) = (row.origin.clone(), row.id.clone());
        super::check_first(&id, &record)?;
        if self
            .enter(&Arc::new(Entry::Draft(row, record)))
            .await?
            .is_some()
        {
            return Ok(());
        }
        Err(super::there_already(&origin, &id))
    }

    /// As [`Journal::append`], together with what others enter.
    pub(crate) async fn append_with_others(
        self: &Arc<Self>,
        origin: &'static str,
        draft: &DraftId,
        record: Record<String>,
    ) -> Result<Appended> {
        if self.batch.lock().goes_alone() {
            return self.append(origin, draft, &record);
        }
        let sequence = record.sequence;
        let entry = Arc::new(Entry::Call(origin, draft.clone(), record));
        if self.enter(&entry).await?.is_some() {
            return Ok(Appended::Done);
        }
        self.not_appended(origin, draft, sequence)
    }

    /// As [`Journal::append_next`], together with what others enter. It is entered although nobody waits for it any
    /// more: what it tells of has happened.
    pub(crate) async fn append_next_with_others(
        self: &Arc<Self>,
        origin: &str,
        draft: &DraftId,
        record: Record<String>,
    ) -> Result<u64> {
        if self.batch.lock().goes_alone() {
            return self.append_next(origin, draft, &record);
        }
        let entry = Arc::new(Entry::Next(origin.to_owned(), draft.clone(), record));
        loop {
            if let Some(sequence) = self.enter(&entry).await? {
                return Ok(sequence);
            }
            // Why there is no such draft is asked now; one that was put back meanwhile is there again.
            self.live(origin, draft)?;
        }
    }

    async fn enter(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<Option<u64>> {
        let entry = Arc::clone(entry);
        let (tell, told) = oneshot::channel();
        let is_first = {
            let mut batch = self.batch.lock();
            batch.waiting.push(Waiting { entry, tell });
            !std::mem::replace(&mut batch.writing, true)
        };
        if is_first {
            tokio::spawn(Writer(Some(Arc::clone(self))).enter_all());
        }
        told.await.unwrap_or_else(|_| {
            Err(Error::internal("the journal was not written to the end")
                .hint("look at the draft before you call again"))
        })
    }

    /// Enters all of them or nothing.
    fn enter_together(&self, waiting: Vec<Waiting>) {
        let entered = self.with(|connection| {
            let transaction = connection.transaction_with_behavior(IMMEDIATE)?;
            let entered: Vec<_> = waiting
                .iter()
                .map(|waiting| waiting.entry.enter(&transaction))
                .collect::<rusqlite::Result<_>>()?;
            transaction.commit()?;
            Ok(entered)
        });
        // Whoever no longer listens finds in the journal what became of it.
        match entered {
            Ok(entered) => {
                for (waiting, entered) in waiting.into_iter().zip(entered) {
                    let _ = waiting.tell.send(Ok(entered));
                }
            }
            Err(error) => {
                for waiting in waiting {
                    let _ = waiting.tell.send(Err(error.again()));
                }
            }
        }
    }
}

/// Who enters what waits, until nothing does. Where it is given up, it leaves nothing behind.
struct Writer(Option<Arc<Journal>>);

impl Writer {
    async fn enter_all(mut self) {
        while let Some(journal) = self.0.clone() {
            // Calls that are about to come are let in.
            tokio::task::yield_now().await;
            let waiting = {
                let mut batch = journal.batch.lock();
                if batch.waiting.is_empty() {
                    batch.writing = false;
                    self.0 = None;
                    return;
                }
                batch.crowded = batch.waiting.len() > 1;
                std::mem::take(&mut batch.waiting)
            };
            journal.enter_together(waiting);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let Some(journal) = self.0.take() else { return };
        let left = {
            let mut batch = journal.batch.lock();
            batch.writing = false;
            std::mem::take(&mut batch.waiting)
        };
        if !left.is_empty() && !std::thread::panicking() {
            journal.enter_together(left);
        }
    }
}
