//! Adding calls: those of many tasks in one statement.
//!
//! A call that finds few statements in flight is sent at once. Otherwise it waits for one of them to end, which then takes
//! all that have arrived: so as many calls become durable with one commit as the database is slow. A batch has at most one
//! call per draft, and no two batches of a process have the same draft.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::oneshot;
use tokio_postgres::Row;
use uuid::Uuid;

use super::database::{DatabasePool, StatementWork, values};
use super::text::stored;
use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::journal::{Appended, CallPosition, NewDraftRow, NewRecord, beyond, taken_over};
use crate::sorting;

/// Statements in flight, at most. With 8, a process adds as many calls as with 64 connections of their own.
const IN_FLIGHT: usize = 8;
/// All calls that wait or are in flight are divided into this number of statements.
const PARTS: usize = 4;
/// Calls in a statement, at most.
const BATCH: usize = 128;
/// The bytes after which no other call is put into a statement.
const BATCH_BYTES: usize = 1 << 20;
/// How often a call is sent again because others changed its draft at the same time.
const TRIES: usize = 100;

/// What a statement answered about a call.
#[derive(Debug)]
pub(super) enum AppendOutcome {
    Added(Appended),
    /// The draft does not take calls.
    Refused,
}

/// A call that waits.
struct AppendEntry {
    who: TenantName,
    origin: String,
    draft: DraftId,
    record: NewRecord,
    at: CallPosition,
    tries: usize,
    answer: oneshot::Sender<Result<AppendOutcome>>,
}

impl AppendEntry {
    fn key(&self) -> DraftKey {
        DraftKey {
            who: self.who.clone(),
            origin: self.origin.clone(),
            draft: self.draft.clone(),
        }
    }

    fn bytes(&self) -> usize {
        let record = &self.record;
        let packed = record.document.as_ref().map_or(0, |own| own.packed.len());
        record.arguments.len()
            + record.reply.len()
            + record.found.as_ref().map_or(0, String::len)
            + packed
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct DraftKey {
    who: TenantName,
    origin: String,
    draft: DraftId,
}

#[derive(Default)]
struct WaitingAppend {
    entries: VecDeque<AppendEntry>,
    /// The drafts of the statements in flight.
    busy: HashSet<DraftKey>,
    in_flight: usize,
    /// The calls of these statements.
    sent: usize,
    /// A task is about to send what waits.
    is_scheduled: bool,
}

pub(super) struct Batcher {
    database: Arc<DatabasePool>,
    waiting: Arc<Mutex<WaitingAppend>>,
}

impl std::fmt::Debug for Batcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Batcher")
    }
}

impl Batcher {
    pub(super) fn new(database: Arc<DatabasePool>) -> Self {
        Self {
            database,
            waiting: Arc::default(),
        }
    }

    /// Adds a call; it is added even if its caller no longer waits.
    pub(super) async fn append(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: CallPosition,
    ) -> Result<AppendOutcome> {
        let (answer, answered) = oneshot::channel();
        let entry = AppendEntry {
            who: who.clone(),
            origin: origin.to_owned(),
            draft: draft.clone(),
            record: record.clone(),
            at,
            tries: 0,
            answer,
        };
        lock(&self.waiting).entries.push_back(entry);
        schedule(&self.database, &self.waiting);
        answered
            .await
            .unwrap_or_else(|_| Err(Error::internal("adding a call was interrupted")))
    }
}

fn lock(waiting: &Mutex<WaitingAppend>) -> std::sync::MutexGuard<'_, WaitingAppend> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends what waits after all tasks that are ready have run: of those whose calls were just answered, many add the next one,
/// which then is in the same statement. Without this, most statements have one call.
fn schedule(database: &Arc<DatabasePool>, waiting: &Arc<Mutex<WaitingAppend>>) {
    {
        let mut waiting = lock(waiting);
        if waiting.is_scheduled || waiting.in_flight >= IN_FLIGHT || waiting.entries.is_empty() {
            return;
        }
        waiting.is_scheduled = true;
    }
    let (database, waiting) = (Arc::clone(database), Arc::clone(waiting));
    tokio::spawn(async move {
        tokio::task::yield_now().await;
        lock(&waiting).is_scheduled = false;
        start(&database, &waiting);
    });
}

/// Sends what waits, as long as there is a free place.
fn start(database: &Arc<DatabasePool>, waiting: &Arc<Mutex<WaitingAppend>>) {
    loop {
        let batch = {
            let mut waiting = lock(waiting);
            if waiting.in_flight >= IN_FLIGHT {
                return;
            }
            let batch = waiting.take();
            if batch.is_empty() {
                return;
            }
            waiting.in_flight += 1;
            batch
        };
        let (database, waiting) = (Arc::clone(database), Arc::clone(waiting));
        tokio::spawn(async move {
            let keys: Vec<_> = batch.iter().map(AppendEntry::key).collect();
            // Also if sending panics, the place is free again.
            let place = Place { waiting, keys };
            let later = send(&database, batch).await;
            {
                let mut waiting = lock(&place.waiting);
                for entry in later.into_iter().rev() {
                    waiting.entries.push_front(entry);
                }
            }
            let waiting = Arc::clone(&place.waiting);
            drop(place);
            schedule(&database, &waiting);
        });
    }
}

/// A statement in flight.
struct Place {
    waiting: Arc<Mutex<WaitingAppend>>,
    keys: Vec<DraftKey>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = lock(&self.waiting);
        waiting.in_flight -= 1;
        waiting.sent -= self.keys.len();
        for key in &self.keys {
            waiting.busy.remove(key);
        }
    }
}

impl WaitingAppend {
    /// The calls for the next statement, in the order of their arrival.
    fn take(&mut self) -> Vec<AppendEntry> {
        let mut taken: Vec<AppendEntry> = Vec::new();
        let mut left = VecDeque::new();
        let mut bytes = 0;
        // While the database writes one part to its disk, it works on the others.
        let most = (self.entries.len() + self.sent).div_ceil(PARTS).min(BATCH);
        while let Some(entry) = self.entries.pop_front() {
            let key = entry.key();
            let is_full = taken.len() >= most || bytes >= BATCH_BYTES;
            if is_full || self.busy.contains(&key) {
                left.push_back(entry);
                if is_full {
                    break;
                }
                continue;
            }
            bytes += entry.bytes();
            self.busy.insert(key);
            taken.push(entry);
        }
        left.append(&mut self.entries);
        self.entries = left;
        self.sent += taken.len();
        // All processes send them in the same order, so that no two statements wait for each other.
        sorting::sort_by_key(&mut taken, AppendEntry::key);
        taken
    }
}

/// Sends a batch and answers its calls; returns those that are to be sent again.
async fn send(database: &DatabasePool, mut batch: Vec<AppendEntry>) -> Vec<AppendEntry> {
    match add(database, &batch).await {
        Ok(outcomes) => {
            let mut later = Vec::new();
            for (mut entry, outcome) in batch.into_iter().zip(outcomes) {
                entry.tries += 1;
                match outcome {
                    Ok(None) if entry.tries < TRIES => later.push(entry),
                    Ok(None) => {
                        let error = contended(&entry.draft);
                        entry.answer(Err(error));
                    }
                    Ok(Some(outcome)) => entry.answer(Ok(outcome)),
                    Err(error) => entry.answer(Err(error)),
                }
            }
            later
        }
        Err(error) => {
            // What one call has must not fail the others. An error of the connection concerns all of them.
            let is_of_one = error.origin.is_none() && error.kind != Kind::Busy;
            if is_of_one && batch.len() > 1 {
                for entry in batch {
                    let outcome = add(database, std::slice::from_ref(&entry)).await;
                    let outcome = outcome.and_then(|mut outcomes| match outcomes.pop() {
                        Some(Ok(Some(outcome))) => Ok(outcome),
                        Some(Err(error)) => Err(error),
                        _ => Err(contended(&entry.draft)),
                    });
                    entry.answer(outcome);
                }
            } else {
                for entry in batch.drain(..) {
                    entry.answer(Err(error.again()));
                }
            }
            Vec::new()
        }
    }
}

impl AppendEntry {
    fn answer(self, outcome: Result<AppendOutcome>) {
        // A caller that was cancelled does not wait.
        let _ = self.answer.send(outcome);
    }
}

fn contended(draft: &DraftId) -> Error {
    Error::new(
        Kind::Busy,
        format!("draft {draft} is changed by too many others at the same time"),
    )
    .hint("send the call again")
}

/// A function, because planning this takes longer than doing it: the server keeps the plan of a function in each of its
/// processes, also behind a pooler.
const APPEND: &str = "SELECT * FROM capcut_mcp.append_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
    $16, $17, $18)";

/// Adds calls of different drafts. `None`: the answer does not say why the call was not added, and it must be sent again.
async fn add(
    database: &DatabasePool,
    batch: &[AppendEntry],
) -> Result<Vec<Result<Option<AppendOutcome>>>> {
    let text = |part: fn(&AppendEntry) -> &str| -> Vec<_> {
        batch.iter().map(|entry| stored(part(entry))).collect()
    };
    let maybe = |part: fn(&AppendEntry) -> Option<&str>| -> Vec<_> {
        batch.iter().map(|entry| part(entry).map(stored)).collect()
    };
    let number = |part: fn(&AppendEntry) -> i64| -> Vec<i64> { batch.iter().map(part).collect() };
    let lower: Vec<Option<String>> = batch
        .iter()
        .map(|entry| entry.record.name.as_deref().map(lowered))
        .collect();
    let at: Vec<Option<i64>> = batch
        .iter()
        .map(|entry| match entry.at {
            CallPosition::Sequence(sequence) => Some(signed(sequence)),
            CallPosition::End => None,
        })
        .collect();
    let attempts: Vec<Option<i64>> = batch
        .iter()
        .map(|entry| {
            entry
                .record
                .fence
                .as_ref()
                .map(|fence| i64::from(fence.attempt))
        })
        .collect();
    let calls: Vec<Uuid> = batch.iter().map(|entry| entry.record.call).collect();
    let internal: Vec<bool> = batch.iter().map(|entry| entry.record.internal).collect();
    let packed: Vec<Option<&[u8]>> = batch
        .iter()
        .map(|entry| entry.record.document.as_ref().map(|own| &*own.packed))
        .collect();
    let answer = database
        .run(
            StatementWork::Write,
            APPEND,
            values![
                TEXT_ARRAY text(|entry| entry.who.as_str()),
                TEXT_ARRAY text(|entry| &entry.origin),
                TEXT_ARRAY text(|entry| entry.draft.as_str()),
                INT8_ARRAY at,
                UUID_ARRAY calls,
                TEXT_ARRAY maybe(|entry| entry.record.fence.as_ref().map(|fence| &*fence.job)),
                INT8_ARRAY attempts,
                INT8_ARRAY number(|entry| entry.record.at_ms),
                INT8_ARRAY number(|entry| i64::from(entry.record.engine_version)),
                TEXT_ARRAY text(|entry| &entry.record.tool),
                TEXT_ARRAY text(|entry| &entry.record.arguments),
                TEXT_ARRAY maybe(|entry| entry.record.found.as_deref()),
                TEXT_ARRAY text(|entry| &entry.record.reply),
                BOOL_ARRAY internal,
                TEXT_ARRAY maybe(|entry| entry.record.document.as_ref().map(|own| &*own.hash)),
                BYTEA_ARRAY packed,
                TEXT_ARRAY maybe(|entry| entry.record.name.as_deref()),
                TEXT_ARRAY lower,
            ],
        )
        .await?;
    if answer.rows.len() != batch.len() {
        return Err(Error::internal("the database answered about other calls"));
    }
    let outcomes = batch.iter().zip(&answer.rows);
    Ok(outcomes
        .map(|(entry, row)| outcome(database, entry, row))
        .collect())
}

fn outcome(
    database: &DatabasePool,
    entry: &AppendEntry,
    row: &Row,
) -> Result<Option<AppendOutcome>> {
    let number = |column| -> Result<Option<u64>> {
        let number: Option<i64> = database.get(row, column)?;
        Ok(number.map(i64::cast_unsigned))
    };
    if let Some(sequence) = number(0)? {
        return Ok(Some(AppendOutcome::Added(Appended::Done(sequence))));
    }
    if let Some(sequence) = number(1)? {
        return Ok(Some(AppendOutcome::Added(Appended::Already(sequence))));
    }
    let Some(last) = number(2)? else {
        return Ok(Some(AppendOutcome::Refused));
    };
    if database.get(row, 3)? {
        if let Some(fence) = &entry.record.fence
            && !database.get::<bool>(row, 4)?
        {
            return Err(taken_over(fence));
        }
        return match entry.at {
            CallPosition::Sequence(sequence) if sequence <= last => {
                Ok(Some(AppendOutcome::Added(Appended::Conflict)))
            }
            CallPosition::Sequence(sequence) if sequence > last + 1 => {
                Err(beyond(&entry.draft, sequence, last + 1))
            }
            _ => Ok(None),
        };
    }
    Ok(Some(AppendOutcome::Refused))
}

const CREATE: &str = "
WITH held AS MATERIALIZED (
    SELECT 1 FROM capcut_mcp.jobs WHERE tenant = $1 AND id = $8 AND attempt = $9 AND phase = 1 FOR SHARE
), made AS (
    INSERT INTO capcut_mcp.drafts (tenant, origin, id, name, lower_name, edition, reason, created_ms, changed_ms, last_ms,
        last_sequence, internal_calls)
    SELECT $1, $2, $3, $4, $5, $6, $7, $10, $10, $10, 0, $16::bool::int
    WHERE $8::text IS NULL OR EXISTS (SELECT 1 FROM held)
    ON CONFLICT (tenant, id, origin) DO NOTHING RETURNING key
), kept AS (
    INSERT INTO capcut_mcp.documents AS documents (tenant, hash, packed)
    SELECT $1, $17, $18 FROM made WHERE $17::text IS NOT NULL
    ON CONFLICT (tenant, hash) DO UPDATE SET uses = documents.uses + 1
), added AS (
    INSERT INTO capcut_mcp.calls (draft, sequence, call, at_ms, engine_version, tool, arguments, found, reply, internal, document)
    SELECT key, 0, $19, $10, $11, $12, $13, $14, $15, $16, $17 FROM made
)
SELECT EXISTS (SELECT 1 FROM made), first.key IS NOT NULL, first.call, $8::text IS NULL OR EXISTS (SELECT 1 FROM held),
    (SELECT CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END)
FROM (SELECT) AS one
LEFT JOIN (
    SELECT drafts.key, calls.call FROM capcut_mcp.drafts
    LEFT JOIN capcut_mcp.calls ON calls.draft = drafts.key AND calls.sequence = 0
    WHERE tenant = $1 AND id = $3 AND origin = $2
) AS first ON true";

/// Adds a draft with its first call; false if there is another one with its id.
pub(super) async fn create(
    database: &DatabasePool,
    who: &TenantName,
    draft: &NewDraftRow,
    record: &NewRecord,
) -> Result<bool> {
    let name = record.name.as_deref().unwrap_or(&draft.name);
    let fence = record.fence.as_ref();
    let document = record.document.as_ref();
    for _ in 0..TRIES {
        let answer = database
            .run(
                StatementWork::Write,
                CREATE,
                values![
                    TEXT who.as_str(),
                    TEXT stored(&draft.origin),
                    TEXT stored(draft.id.as_str()),
                    TEXT stored(name),
                    TEXT lowered(name),
                    TEXT stored(&draft.edition),
                    TEXT stored(&draft.reason),
                    TEXT fence.map(|fence| stored(&fence.job)),
                    INT8 fence.map(|fence| i64::from(fence.attempt)),
                    INT8 record.at_ms,
                    INT8 i64::from(record.engine_version),
                    TEXT stored(&record.tool),
                    TEXT stored(&record.arguments),
                    TEXT record.found.as_deref().map(stored),
                    TEXT stored(&record.reply),
                    BOOL record.internal,
                    TEXT document.map(|own| &own.hash),
                    BYTEA document.map(|own| &*own.packed),
                    UUID record.call,
                ],
            )
            .await?;
        let Some(row) = answer.rows.first() else {
            return Err(Error::internal("the database did not answer about a draft"));
        };
        if database.get(row, 0)? {
            return Ok(true);
        }
        if database.get(row, 1)? {
            return Ok(database.get::<Option<Uuid>>(row, 2)? == Some(record.call));
        }
        if let Some(fence) = fence
            && !database.get::<bool>(row, 3)?
        {
            return Err(taken_over(fence));
        }
        // Another one made it at the same time: the next look sees it.
    }
    Err(contended(&draft.id))
}

/// A name as it is searched.
pub(super) fn lowered(name: &str) -> String {
    stored(&name.to_lowercase()).into_owned()
}

/// PostgreSQL's integers are signed; no draft has that many calls.
pub(super) fn signed(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
