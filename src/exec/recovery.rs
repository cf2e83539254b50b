//! Recreates drafts from their journal: because a server lost one, or to move one between a server and the
//! engine. With `--recover auto`, calls to a lost draft do this by themselves and continue in the new draft.

mod replay;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capcut_draft::Document;
use serde_json::{Value, json};

use super::leases::HeldLease;
use super::ledger::{Lookup, is_edit, note};
use super::routing::Home;
use super::{ADOPTED, App, Context};
use crate::backend::{Backend, Failure, Reached, Remote};
use crate::breaker::{Breaker, BreakerStatus};
use crate::draft::evidence::Contents;
use crate::draft::ids::DraftId;
use crate::engine::{edits_document, standing, takes_back};
use crate::error::{Error, Kind, Result};
use crate::journal::{self, DraftRow, ENGINE, Record};
use crate::manifest;
use crate::printable::counted;
use crate::settings::{BackendChoice, Recover};
use crate::tool::{Request, Turn};
use crate::units::Edition;
use replay::Replay;

/// A server may restart while a draft is recreated on it, and a draft may move while it is looked up.
const TRIES: usize = 3;
/// A limit against endless chains: a draft that was lost this often needs attention from a person.
const MOVES: usize = 100;
/// The first pause between two checks whether a server is back.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A recreated draft.
pub(crate) struct Recovered {
    pub draft: DraftId,
    /// The backend that keeps it: `embedded` or `remote`.
    pub backend: &'static str,
    /// How many calls were replayed.
    pub calls: usize,
    /// Segments on each track.
    pub segments: BTreeMap<String, usize>,
    pub notes: Vec<String>,
}

/// A call about a draft that was replaced by another one.
pub(super) struct Redirected {
    pub request: Box<dyn Request>,
    was: DraftId,
    to: DraftId,
    /// The note or error text about the change of drafts.
    told: String,
}

impl Redirected {
    /// Says in the reply, or in the error, that the call was about another draft.
    pub(super) fn tell(self, ended: Result<Value>) -> Result<Value> {
        match ended {
            Ok(mut reply) => {
                note(&mut reply, &self.told);
                Ok(reply)
            }
            Err(error) if self.was == self.to => Err(error),
            Err(error) => Err(Error {
                message: format!("{} (draft {} is now {})", error.message, self.was, self.to),
                ..error
            }),
        }
    }
}

/// How long the right to recreate a draft lasts if its process ends meanwhile.
const RECOVERY_LASTS: Duration = Duration::from_secs(10);

impl App {
    /// The draft that replaced this one, if `--recover` follows replacements or the draft moved here for an edit;
    /// otherwise the draft itself.
    pub(crate) async fn current(&self, draft: &DraftId) -> Result<DraftId> {
        let mut current = draft.clone();
        for _ in 0..MOVES {
            // The cache of homes contains only drafts that have not moved.
            if self.homes.knows(&current) {
                break;
            }
            let found = self.journal.find(&current).await?;
            let Some((origin, to)) = found.and_then(|row| row.moved_to) else {
                break;
            };
            if self.settings.recover == Recover::Ask && !self.is_edited_here(&origin, &to).await? {
                break;
            }
            current = to;
        }
        Ok(current)
    }

    /// Whether a draft has edits that servers cannot make. It moved here because the caller asked for such an edit.
    async fn is_edited_here(&self, origin: &str, draft: &DraftId) -> Result<bool> {
        if origin != ENGINE {
            return Ok(false);
        }
        let records = self.journal.records(ENGINE, draft, 0).await?;
        Ok(records.iter().any(edits_document))
    }

    /// The backend of a call. If its draft was replaced: also the call on the replacement.
    pub(super) async fn placed(&self, request: &dyn Request) -> Result<(Option<Redirected>, Home)> {
        let mut looks = 0;
        loop {
            looks += 1;
            let redirected = self.redirected(request).await?;
            let about = redirected
                .as_ref()
                .map_or(request, |redirected| redirected.request.as_ref());
            match self.home(about).await {
                Ok(home) => return Ok((redirected, home)),
                // The draft moved between the two lookups.
                Err(_) if looks < TRIES && self.has_moved(about).await? => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) async fn has_moved(&self, request: &dyn Request) -> Result<bool> {
        match request.draft() {
            Some(draft) => Ok(self.current(draft).await? != *draft),
            None => Ok(false),
        }
    }

    async fn redirected(&self, request: &dyn Request) -> Result<Option<Redirected>> {
        let Some(was) = request.draft() else {
            return Ok(None);
        };
        // A draft that the engine has in memory did not move: no look-up for each of its calls.
        let only_here = self.settings.backend == BackendChoice::Embedded;
        if only_here && self.settings.recover == Recover::Ask && self.engine.holds(was) {
            return Ok(None);
        }
        let to = self.current(was).await?;
        if to == *was {
            return Ok(None);
        }
        let told = format!("draft {was} continues as {to}: use that id from now on");
        redirect(request, was, to, told).map(Some)
    }

    /// Recreates the draft of a call if it is lost and `--recover auto` allows it, and returns the call on the
    /// new draft. Waits for a server that was only away for a moment.
    pub(super) async fn recovered(
        self: &Arc<Self>,
        request: &dyn Request,
        remote: &Remote,
        failure: Failure,
        context: &Context,
    ) -> Result<Next, Failure> {
        let Some(was) = request.draft() else {
            return Err(failure);
        };
        let wanted = self.settings.recover == Recover::Auto && request.turn() != Turn::Free;
        if !wanted {
            return Err(with_recovery_hint(was, failure));
        }
        // Another call recreated the draft while this one waited or looked; what was not acknowledged is not in
        // the new draft.
        let moved = self.current(was).await?;
        if moved != *was {
            let told = format!("draft {was} continues as {moved}: use that id from now on");
            return Ok(Next::Call(redirect(request, was, moved, told)?));
        }
        let paused = self.is_paused(remote, &failure);
        match self.seen(remote, was, &failure, paused).await {
            DraftPresence::Gone => {}
            DraftPresence::Back => {
                let surely_not = paused || failure.reached == Reached::Never;
                if !surely_not && is_edit(request.spec()) {
                    let leaves = request.leaves();
                    match Box::pin(self.look_up(remote, request, &leaves, &failure)).await? {
                        Lookup::Applied(reply) => return Ok(Next::Done(reply)),
                        Lookup::NotApplied => {}
                        Lookup::NoDraft => return Err(failure),
                    }
                }
                let told = format!(
                    "{} was unreachable for a moment and still has the draft: the call was sent again",
                    remote.base
                );
                return Ok(Next::Call(redirect(request, was, was.clone(), told)?));
            }
            DraftPresence::Unclear => return Err(with_recovery_hint(was, failure)),
        }
        // Another process may have recreated it already.
        self.forget(was);
        tracing::warn!(
            draft = was.as_str(),
            "recreating a lost draft: {}",
            failure.error.message
        );
        let limit = manifest::seconds(self.manifest.limits.recover_timeout_s);
        let made = match tokio::time::timeout(limit, self.replacement(was, context)).await {
            Ok(made) => made,
            Err(_) => Err(Error::new(
                Kind::Timeout,
                format!(
                    "timed out after {} s (`limits.recover_timeout_s`)",
                    limit.as_secs_f64()
                ),
            )),
        };
        let (to, told) = made.map_err(|why| Failure {
            error: Error {
                message: format!(
                    "{}; the draft could not be recreated: {}",
                    failure.error.message, why.message
                ),
                ..failure.error
            },
            ..failure
        })?;
        Ok(Next::Call(redirect(request, was, to, told)?))
    }

    /// The state of the draft on its server: gone (the server forgot it or is unreachable), back, or unclear.
    async fn seen(
        &self,
        remote: &Remote,
        draft: &DraftId,
        failure: &Failure,
        paused: bool,
    ) -> DraftPresence {
        if failure.reached == Reached::Forgotten {
            return DraftPresence::Gone;
        }
        if !paused && !matches!(failure.reached, Reached::Never | Reached::Lost) {
            return DraftPresence::Unclear;
        }
        match self.answers_again(remote, failure, paused).await {
            Ok(()) => {}
            Err(error) if error.kind == Kind::Unsent => return DraftPresence::Gone,
            Err(_) => return DraftPresence::Unclear,
        }
        match remote.script(draft, self.look_until()).await {
            Ok(_) => DraftPresence::Back,
            Err(failure) if failure.reached == Reached::Forgotten => DraftPresence::Gone,
            Err(_) => DraftPresence::Unclear,
        }
    }

    /// Whether the breaker held the call back, so that it was not sent.
    fn is_paused(&self, remote: &Remote, failure: &Failure) -> bool {
        let by_us = failure.error.kind == Kind::Busy && !failure.by_server;
        by_us && self.position(remote) != BreakerStatus::Closed
    }

    /// Waits, within limits, until the server answers; then calls may be sent immediately, regardless of earlier
    /// failures.
    async fn answers_again(&self, remote: &Remote, failure: &Failure, paused: bool) -> Result<()> {
        // A call that used up its retries has waited already, and so has one that the breaker held back. A call
        // whose server closed the connection is not retried, so it waits here.
        let has_waited = paused || failure.error.kind == Kind::Unsent;
        let limit = if has_waited {
            0.0
        } else {
            self.manifest.limits.server_wait_s
        };
        let until = Instant::now() + manifest::seconds(limit);
        let mut pause = FIRST_PAUSE;
        loop {
            remote.doubt().await;
            match remote.server(&self.journal).await {
                Ok(_) => {
                    self.with_breaker(remote, Breaker::came_back);
                    return Ok(());
                }
                // A server that is stopping or starting may accept a connection and close it.
                Err(error) if may_pass(error.kind) && Instant::now() + pause < until => {
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether a server that was unreachable when its breaker opened answers again. Waits up to
    /// `limits.server_wait_s` from that moment.
    pub(super) async fn is_back(&self, remote: &Remote, until: Instant) -> bool {
        let Some(since) = self.with_breaker(remote, |breaker| breaker.away_since()) else {
            return false;
        };
        let until = until.min(since + manifest::seconds(self.manifest.limits.server_wait_s));
        while remote.answers(&self.journal, LONGEST_PAUSE).await.is_err() {
            if Instant::now() + LONGEST_PAUSE >= until {
                return false;
            }
            tokio::time::sleep(LONGEST_PAUSE).await;
        }
        self.with_breaker(remote, Breaker::came_back);
        true
    }

    /// The draft that replaces a lost one, recreated by the first call that gets here, and the note for the
    /// reply.
    async fn replacement(
        self: &Arc<Self>,
        was: &DraftId,
        context: &Context,
    ) -> Result<(DraftId, String)> {
        let mut tries = 0;
        loop {
            tries += 1;
            let moved = self.current(was).await?;
            if moved != *was {
                let told = format!("draft {was} continues as {moved}: use that id from now on");
                return Ok((moved, told));
            }
            match self.recover(was, BackendChoice::Auto, context).await {
                Ok(made) => {
                    let segments: usize = made.segments.values().sum();
                    let mut told = format!(
                        "draft {was} was lost by its server and recreated as {} ({}) from {}, \
                         with {}; nothing is missing: use the new id from now on",
                        made.draft,
                        made.backend,
                        counted(made.calls, "acknowledged call"),
                        counted(segments, "segment")
                    );
                    for note in made.notes {
                        told = format!("{told}; {note}");
                    }
                    return Ok((made.draft, told));
                }
                // Another call was first.
                Err(_) if self.current(was).await? != *was => {}
                Err(error) if tries == TRIES || !may_pass(error.kind) => return Err(error),
                Err(error) => tracing::warn!(draft = was.as_str(), "retrying: {error}"),
            }
        }
    }

    /// Recreates a draft from its journal, compares it with the acknowledged calls, and records in the journal
    /// that the new draft replaces the old one.
    pub(crate) async fn recover(
        self: &Arc<Self>,
        was: &DraftId,
        to: BackendChoice,
        context: &Context,
    ) -> Result<Recovered> {
        // The turn makes sure that running calls are in the journal before it is read, and that later ones see
        // the move.
        let turn = self.turns.take(was, Turn::Alone);
        let _turn = self.queued(turn, "its turn on the draft").await?;
        let key = format!("recover {was}");
        let (store, tenant) = (self.journal.store(), self.journal.tenant());
        // The draft may have been recreated while this waited.
        let lease = HeldLease::take(store, tenant, &[key], RECOVERY_LASTS).await?;
        let made = self.recreate(was, to, context).await;
        lease.release().await;
        made
    }

    async fn recreate(
        self: &Arc<Self>,
        was: &DraftId,
        to: BackendChoice,
        context: &Context,
    ) -> Result<Recovered> {
        let Some(row) = self.journal.find(was).await? else {
            return Err(journal::unknown(was));
        };
        refuse_moved(&row)?;
        let all = self.journal.records(&row.origin, was, 0).await?;
        let last = all.last().map_or(0, |record| record.sequence);
        let mut records = standing(all);
        if records.first().is_none_or(|first| first.tool == ADOPTED) {
            return Err(Error::conflict(format!(
                "draft {was} cannot be recreated: it was created elsewhere, and the journal lacks its first calls"
            )));
        }
        if records.iter().any(edits_document) {
            return Err(Error::conflict(format!(
                "draft {was} cannot be recreated: it was opened or edited here, which its calls do not show"
            ))
            .hint("it stays in the embedded engine: use it there, or undo the edits with `undo_draft` first"));
        }
        // The names and ids in its calls are those of the draft's own edition, not of the edition of this
        // process.
        let edition = self.edition_of(&row).await;
        let backend = match to {
            BackendChoice::Embedded => Backend::Embedded(self.engine.for_edition(edition)),
            BackendChoice::Remote => {
                let first = self.servers.first_for(Some(edition), &self.journal);
                Backend::Remote(first.await?)
            }
            BackendChoice::Auto => self.choose_for(Some(edition)).await?.backend,
        };
        let mut replay = Replay {
            app: self,
            backend,
            context,
            made: None,
            notes: Vec::new(),
        };
        let replayed = replay.all(&records).await;
        let Some(made) = replay.made.clone() else {
            return Err(replayed
                .err()
                .unwrap_or_else(|| Error::internal("the replay created no draft")));
        };
        let ended = match replayed {
            Ok(()) => {
                self.settled(&mut replay, &row, &made, &mut records, last)
                    .await
            }
            Err(error) => Err(error),
        };
        let (segments, mut notes) = match ended {
            Ok(compared) => compared,
            Err(error) => return Err(replay.given_up(&made, error).await),
        };
        notes.append(&mut replay.notes);
        if let Some(difference) = self.differs(&row, &segments).await {
            notes.push(difference);
        }
        self.forget(was);
        Ok(Recovered {
            draft: made,
            backend: replay.backend.name(),
            calls: records.len(),
            segments,
            notes,
        })
    }

    /// The edition of a draft; if none is recorded for a draft on a server, the server's edition.
    async fn edition_of(&self, row: &DraftRow) -> Edition {
        if let Ok(edition) = row.edition.parse() {
            return edition;
        }
        let server = match row.origin.as_str() {
            ENGINE => None,
            origin => self.servers.at(origin).server(&self.journal).await.ok(),
        };
        server.map_or(self.settings.edition, |server| server.edition)
    }

    /// Compares the new draft with the acknowledged calls and moves the old draft to it. Calls that another
    /// process recorded meanwhile are replayed too, so that every acknowledged call is in exactly one draft.
    async fn settled(
        &self,
        replay: &mut Replay<'_>,
        row: &DraftRow,
        made: &DraftId,
        records: &mut Vec<Record>,
        mut last: u64,
    ) -> Result<(BTreeMap<String, usize>, Vec<String>)> {
        let origin = match &replay.backend {
            Backend::Embedded(_) => ENGINE.to_owned(),
            Backend::Remote(remote) => remote.base.clone(),
        };
        loop {
            let compared = replay.compare(made, records).await?;
            let (from, to) = ((row.origin.as_str(), &row.id), (origin.as_str(), made));
            if self.journal.set_moved(from, last, to).await? {
                return Ok(compared);
            }
            if let Some(now) = self.journal.find_at(&row.origin, &row.id).await? {
                refuse_moved(&now)?;
            }
            let more = self.journal.records(&row.origin, &row.id, last + 1).await?;
            let Some(newest) = more.last() else {
                return Err(journal::unknown(&row.id));
            };
            last = newest.sequence;
            if more.iter().any(takes_back) {
                return Err(Error::new(
                    Kind::Busy,
                    format!(
                        "calls of draft {} were undone while it was recreated",
                        row.id
                    ),
                )
                .hint("try again"));
            }
            let more = standing(more);
            replay.all(&more).await?;
            records.extend(more);
        }
    }

    /// How the new draft differs from the old one, if the old one can still be read. Does not retry.
    async fn differs(&self, row: &DraftRow, new: &BTreeMap<String, usize>) -> Option<String> {
        let script = if row.origin == ENGINE {
            Document::parse_object(self.engine.script(&row.id, false, true).await.ok()?).ok()?
        } else {
            let remote = self.servers.at(&row.origin);
            remote.script(&row.id, self.look_until()).await.ok()?
        };
        let old = Contents::of(&script)?.counts();
        (old != *new).then(|| {
            format!("the old draft has different numbers of segments on its tracks: {old:?}")
        })
    }
}

/// The server of the draft is unreachable. A server that was stopped has lost its drafts, so this adds how to
/// recover.
fn with_recovery_hint(draft: &DraftId, failure: Failure) -> Failure {
    if failure.reached != Reached::Never {
        return failure;
    }
    let hint = format!(
        "a server that was stopped has lost draft {draft}: `recover_draft` recreates it from the journal, \
         with `to: \"embedded\"` on the engine of this process; `--recover auto` does this automatically"
    );
    Failure {
        error: failure.error.hint(hint),
        ..failure
    }
}

/// The state of a draft after a call to it failed.
enum DraftPresence {
    /// The server does not have it, or is unreachable.
    Gone,
    /// The server answers and has it.
    Back,
    Unclear,
}

/// How a failed call continues after its draft was checked.
pub(super) enum Next {
    Call(Redirected),
    /// The call had been applied, and only its answer was lost.
    Done(Value),
}

/// Whether the failure may disappear on a later try.
fn may_pass(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::NotFound | Kind::Unsent | Kind::Unavailable | Kind::Timeout | Kind::Busy
    )
}

fn redirect(request: &dyn Request, was: &DraftId, to: DraftId, told: String) -> Result<Redirected> {
    let mut arguments = request.call().arguments.clone();
    for value in arguments.values_mut() {
        if value == was.as_str() {
            *value = json!(to);
        }
    }
    Ok(Redirected {
        request: request.spec().read(arguments, &request.call().caller)?,
        was: was.clone(),
        to,
        told,
    })
}

fn refuse_moved(row: &DraftRow) -> Result<()> {
    match &row.moved_to {
        Some((_, to)) => Err(Error::conflict(format!(
            "draft {} was already recovered as {to}",
            row.id
        ))
        .hint(format!("use `draft_id` {:?}", to.as_str()))),
        None => Ok(()),
    }
}
