//! Drafts made again from their journal: because a server lost one, or to move one between a server and
//! the engine. With `--recover auto` calls to a lost draft do this by themselves and go on in the new one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::breaker::{Breaker, Position};
use super::ledger::{Lookup, is_edit, note};
use super::routing::Home;
use super::{ADOPTED, App, Context};
use crate::backend::{self, Backend, Failure, Reached, Remote, again, manner};
use crate::draft::evidence::{Contents, Evidence, Found, Leaves};
use crate::draft::ids::DraftId;
use crate::engine::{standing, takes_back};
use crate::error::{Error, Kind, Result};
use crate::journal::{self, DraftRow, ENGINE, Record};
use crate::manifest;
use crate::printable::counted;
use crate::progress::Step;
use crate::settings::{BackendChoice, Recover};
use crate::tools::{self, Manner, Object, Request, Turn};
use crate::units::Edition;

/// A server may be restarted again while a draft is made again on it, and a draft may move while it is looked for.
const TRIES: usize = 3;
/// A draft that was lost so often is better looked at by somebody.
const MOVES: usize = 100;
/// Between two looks whether a server is back.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A draft that was made again.
pub(crate) struct Recovered {
    pub draft: DraftId,
    /// `embedded` or `remote`: who keeps it.
    pub backend: &'static str,
    /// How many calls were carried out again.
    pub calls: usize,
    /// Segments on each track.
    pub segments: BTreeMap<String, usize>,
    pub notes: Vec<String>,
}

/// A call that is about a draft which lives on elsewhere.
pub(super) struct Redirected {
    pub request: Box<dyn Request>,
    was: DraftId,
    to: DraftId,
    /// What was done to get there.
    told: String,
}

impl Redirected {
    /// Says in the reply, or in the error, that another draft was meant.
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

impl App {
    /// The draft that a draft lives on as, where that is followed.
    pub(crate) async fn current(&self, draft: &DraftId) -> Result<DraftId> {
        let mut current = draft.clone();
        if self.settings.recover == Recover::Ask {
            return Ok(current);
        }
        for _ in 0..MOVES {
            // Who keeps it is known only of drafts that have not moved.
            if self.homes.knows(&current) {
                break;
            }
            match self
                .journal
                .find(&current)
                .await?
                .and_then(|row| row.moved_to)
            {
                Some((_, to)) => current = to,
                None => break,
            }
        }
        Ok(current)
    }

    /// Where the call goes, and the call on the draft that its draft lives on as, if that is another.
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
                // It moved between the two looks.
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
        let to = self.current(was).await?;
        if to == *was {
            return Ok(None);
        }
        let told = format!("draft {was} lives on as {to}: use that from now on");
        redirect(request, was, to, told).map(Some)
    }

    /// Makes the draft of a call again, if it is lost and that is wanted, and gives the call on the new one. A server
    /// that was only away is waited for.
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
            return Err(with_way_out(was, failure));
        }
        // Another call had it made again while this one waited or looked: what was not acknowledged is not in the new one.
        let moved = self.current(was).await?;
        if moved != *was {
            let told = format!("draft {was} lives on as {moved}: use that from now on");
            return Ok(Next::Call(redirect(request, was, moved, told)?));
        }
        let paused = self.is_paused(remote, &failure);
        match self.seen(remote, was, &failure, paused).await {
            Seen::Gone => {}
            Seen::Back => {
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
                    "{} had been away and the draft is still there: the call was sent again",
                    remote.base
                );
                return Ok(Next::Call(redirect(request, was, was.clone(), told)?));
            }
            Seen::Unclear => return Err(with_way_out(was, failure)),
        }
        // Another process may have made it again already.
        self.forget(was);
        tracing::warn!(
            draft = was.as_str(),
            "made again: {}",
            failure.error.message
        );
        let limit = manifest::seconds(self.manifest.limits.recover_timeout_s);
        let made = match tokio::time::timeout(limit, self.made_again(was, context)).await {
            Ok(made) => made,
            Err(_) => Err(Error::new(
                Kind::Timeout,
                format!(
                    "it was not done within {} s (`limits.recover_timeout_s`)",
                    limit.as_secs_f64()
                ),
            )),
        };
        let (to, told) = made.map_err(|why| Failure {
            error: Error {
                message: format!(
                    "{}; it could not be made again: {}",
                    failure.error.message, why.message
                ),
                ..failure.error
            },
            ..failure
        })?;
        Ok(Next::Call(redirect(request, was, to, told)?))
    }

    /// The state of the draft on its server: forgotten (or the server is unreachable), back, or unknown.
    async fn seen(
        &self,
        remote: &Remote,
        draft: &DraftId,
        failure: &Failure,
        paused: bool,
    ) -> Seen {
        if failure.reached == Reached::Forgotten {
            return Seen::Gone;
        }
        if !paused && !matches!(failure.reached, Reached::Never | Reached::Lost) {
            return Seen::Unclear;
        }
        match self.answers_again(remote, failure, paused).await {
            Ok(()) => {}
            Err(error) if error.kind == Kind::Unsent => return Seen::Gone,
            Err(_) => return Seen::Unclear,
        }
        match remote.script(draft, self.look_until()).await {
            Ok(_) => Seen::Back,
            Err(failure) if failure.reached == Reached::Forgotten => Seen::Gone,
            Err(_) => Seen::Unclear,
        }
    }

    /// Whether the breaker held the call back, so that it was not sent.
    fn is_paused(&self, remote: &Remote, failure: &Failure) -> bool {
        let by_us = failure.error.kind == Kind::Busy && !failure.by_server;
        by_us && self.position(remote) != Position::Closed
    }

    /// Waits, within limits, until the server answers; then calls may go there at once, whatever failed before.
    async fn answers_again(&self, remote: &Remote, failure: &Failure, paused: bool) -> Result<()> {
        // A call that was tried for as long as its retry rule says has waited already, and so has one that was held back.
        // One whose server closed the connection is not tried again by that rule.
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
                // A server that is going down, or coming up, may take a connection and close it.
                Err(error) if may_pass(error.kind) && Instant::now() + pause < until => {
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether a server answers again that was away when its breaker opened. It is waited for as long as that was lately.
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

    /// The draft that takes the place of a lost one, made by the first call that gets here; and the note for the reply.
    async fn made_again(
        self: &Arc<Self>,
        was: &DraftId,
        context: &Context,
    ) -> Result<(DraftId, String)> {
        let mut tries = 0;
        loop {
            tries += 1;
            let moved = self.current(was).await?;
            if moved != *was {
                let told = format!("draft {was} lives on as {moved}: use that from now on");
                return Ok((moved, told));
            }
            match self.recover(was, BackendChoice::Auto, context).await {
                Ok(made) => {
                    let segments: usize = made.segments.values().sum();
                    let mut told = format!(
                        "draft {was} was lost by its server and made again as {} ({}), of {}, \
                         {}, nothing of them missing: use the new id from now on",
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
                Err(error) => tracing::warn!(draft = was.as_str(), "once more: {error}"),
            }
        }
    }

    /// Makes a draft again from its journal, compares it with what was acknowledged, and remembers that the
    /// old one lives on there.
    pub(crate) async fn recover(
        self: &Arc<Self>,
        was: &DraftId,
        to: BackendChoice,
        context: &Context,
    ) -> Result<Recovered> {
        // Calls under way are in the journal before it is read, and later ones see where the draft went.
        let turn = self.turns.take(was, Turn::Alone);
        let _turn = self.queued(turn, "its turn on the draft").await?;
        let lease = Lease::of(was);
        lease.take(self).await?;
        let made = lease.kept(self, self.made_anew(was, to, context)).await;
        lease.release(self).await;
        made
    }

    async fn made_anew(
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
                "draft {was} cannot be made again: it was made elsewhere, and the journal lacks its beginning"
            )));
        }
        // Its names and ids are those of its own edition, whatever this process makes otherwise.
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
                .unwrap_or_else(|| Error::internal("no draft was made")));
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

    /// The edition of a draft; of a server's draft of which that was not written down, the server's.
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

    /// Compares the new draft with what was acknowledged and moves the old one to it. Calls that another process
    /// entered meanwhile are carried out too: what is acknowledged is in one draft, never in two.
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
                        "calls of draft {} were taken back while it was made again",
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

    /// How the new draft differs from the old one, if that can be read still. This never tries twice.
    async fn differs(&self, row: &DraftRow, new: &BTreeMap<String, usize>) -> Option<String> {
        let script = if row.origin == ENGINE {
            serde_json::from_str(&self.engine.script(&row.id, false, true).await.ok()?).ok()?
        } else {
            let remote = self.servers.at(&row.origin);
            remote.script(&row.id, self.look_until()).await.ok()?
        };
        let old = Contents::of(&script)?.counts();
        (old != *new).then(|| format!("the old draft has other segments on its tracks: {old:?}"))
    }
}

/// The server of the draft is unreachable: a server that was stopped has lost its drafts.
fn with_way_out(draft: &DraftId, failure: Failure) -> Failure {
    if failure.reached != Reached::Never {
        return failure;
    }
    let hint = format!(
        "a server that was stopped has lost draft {draft}: `recover_draft` makes it again from the journal, \
         with `to: \"embedded\"` here; `--recover auto` does so by itself"
    );
    Failure {
        error: failure.error.hint(hint),
        ..failure
    }
}

/// What was seen of a draft after a call to it failed.
enum Seen {
    /// The server does not have it, or is not there.
    Gone,
    /// The server answers and has it.
    Back,
    Unclear,
}

/// How a call goes on whose draft was looked after.
pub(super) enum Next {
    Call(Redirected),
    /// It had been carried out, and only its answer was lost.
    Done(Value),
}

/// What may go better the next time.
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

/// Calls that are carried out again.
struct Replay<'a> {
    app: &'a Arc<App>,
    backend: Backend,
    context: &'a Context,
    made: Option<DraftId>,
    notes: Vec<String>,
}

impl Replay<'_> {
    async fn all(&mut self, records: &[Record]) -> Result<()> {
        let on_engine = matches!(self.backend, Backend::Embedded(_));
        // In the API's dialect keyframes wait for their clips until the draft is saved.
        let waits = |record: &Record| {
            on_engine
                && manner(record) == Manner::Api
                && matches!(backend::leaves(record), Some(Leaves::Keyframes(_)))
        };
        for (number, record) in records.iter().enumerate() {
            if waits(record) {
                continue;
            }
            if let Some(progress) = &self.context.progress {
                progress(Step {
                    done: number as f64,
                    total: Some(records.len() as f64),
                    message: record.tool.clone(),
                    bytes: None,
                });
            }
            let reply = self.one(record).await.map_err(|error| Error {
                message: format!("call {number}, `{}`: {}", record.tool, error.message),
                ..error
            })?;
            if self.made.is_none() {
                self.made = reply["draft_id"].as_str().map(|id| DraftId(id.into()));
            }
        }
        for keyframe in records.iter().filter(|one| waits(one)).flat_map(singles) {
            match self.one(&keyframe).await {
                Ok(_) => {}
                Err(error) if matches!(error.kind, Kind::InvalidArgument | Kind::NotFound) => {
                    let note = format!("a keyframe was left out, as servers do: {}", error.message);
                    self.notes.push(note);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn one(&self, record: &Record) -> Result<Value> {
        let mut arguments: Object = record.arguments.as_object().cloned().unwrap_or_default();
        match &self.made {
            Some(made) => arguments.insert("draft_id".into(), json!(made)),
            None => arguments.shift_remove("draft_id"),
        };
        let on_server = matches!(self.backend, Backend::Remote(_));
        self.call(again(record, arguments, &self.context.caller, on_server)?)
            .await
    }

    async fn call(&self, request: Box<dyn Request>) -> Result<Value> {
        let context = Context {
            cancel: self.context.cancel.clone(),
            ..Context::of(&self.context.caller)
        };
        self.app
            .run_on(self.backend.clone(), request, context)
            .await
    }

    async fn script(&self, draft: &DraftId) -> Result<Value> {
        let spec = tools::routed("query_script")
            .ok_or_else(|| Error::internal("there is no tool that reads a draft"))?;
        let arguments = Object::from_iter([
            ("draft_id".to_owned(), json!(draft)),
            ("force_update".to_owned(), json!(false)),
        ]);
        let reply = self
            .call(spec.decode(arguments, &self.context.caller.in_manner(Manner::Strict))?)
            .await?;
        serde_json::from_str(reply["script"].as_str().unwrap_or_default()).map_err(|error| {
            Error::internal("the new draft's document cannot be read").source(error)
        })
    }

    /// Whether all that was acknowledged is in the new draft; and what it has on each track.
    async fn compare(
        &self,
        made: &DraftId,
        records: &[Record],
    ) -> Result<(BTreeMap<String, usize>, Vec<String>)> {
        let contents = Contents::of(&self.script(made).await?).unwrap_or_default();
        let mut wanted: HashMap<Evidence, usize> = HashMap::new();
        let mut unseen = 0;
        for (number, record) in records.iter().enumerate() {
            match backend::leaves(record) {
                Some(Leaves::Segments(placed)) => *wanted.entry(placed.evidence).or_default() += 1,
                // The first call may only have made the draft.
                _ => unseen += usize::from(number > 0),
            }
        }
        let missing = wanted
            .iter()
            .filter(|(evidence, times)| contents.find(evidence) != Found::Times(**times))
            .count();
        if missing > 0 {
            return Err(Error::new(
                Kind::Unavailable,
                format!(
                    "{missing} of {} acknowledged calls left nothing in the new draft",
                    records.len()
                ),
            ));
        }
        let mut notes = Vec::new();
        if unseen > 0 {
            notes.push(format!(
                "{unseen} calls were carried out again, but cannot be seen in the document: keyframes, subtitles from files"
            ));
        }
        Ok((contents.counts(), notes))
    }

    /// Nothing half-made stays, where it can be helped.
    async fn given_up(&self, made: &DraftId, error: Error) -> Error {
        if let Err(error) = self.app.journal.delete(made).await {
            tracing::warn!("{made} could not be deleted: {error}");
        }
        match &self.backend {
            Backend::Embedded(_) => error,
            Backend::Remote(remote) => Error {
                message: format!(
                    "{}; the incomplete draft {made} is left at {}",
                    error.message, remote.base
                ),
                ..error
            },
        }
    }
}

/// The keyframes of a call as calls of their own.
fn singles(record: &Record) -> Vec<Record> {
    const LISTS: [(&str, &str); 3] = [
        ("property_types", "property_type"),
        ("times", "time"),
        ("values", "value"),
    ];
    let count = record.arguments[LISTS[0].0].as_array().map(Vec::len);
    let Some(count) = count else {
        return vec![record.clone()];
    };
    let single = |index: usize| {
        let mut single = record.clone();
        if let Some(arguments) = single.arguments.as_object_mut() {
            for (list, one) in LISTS {
                let list = arguments.shift_remove(list).unwrap_or_default();
                arguments.insert(one.to_owned(), list[index].clone());
            }
        }
        single
    };
    (0..count).map(single).collect()
}

fn refuse_moved(row: &DraftRow) -> Result<()> {
    match &row.moved_to {
        Some((_, to)) => Err(Error::conflict(format!(
            "draft {} was recovered already, as {to}",
            row.id
        ))
        .hint(format!("use `draft_id` {:?}", to.as_str()))),
        None => Ok(()),
    }
}

/// The right to make a draft again, which one process has at a time.
struct Lease {
    key: String,
    holder: Uuid,
}

impl Lease {
    /// How long it lasts after the process that has it has ended without giving it up.
    const LASTS: Duration = Duration::from_secs(10);
    /// How often others look whether it is free.
    const LOOK_EVERY: Duration = Duration::from_millis(100);

    fn of(draft: &DraftId) -> Self {
        Self {
            key: format!("recover {draft}"),
            holder: Uuid::new_v4(),
        }
    }

    /// Waits until the lease is free. Whether the draft was made again meanwhile is for the caller to look.
    async fn take(&self, app: &App) -> Result<()> {
        while !app
            .journal
            .lease(&self.key, self.holder, Self::LASTS)
            .await?
        {
            tokio::time::sleep(Self::LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Does `work` and keeps the lease meanwhile.
    async fn kept<T>(&self, app: &App, work: impl Future<Output = Result<T>>) -> Result<T> {
        let keep = async {
            loop {
                tokio::time::sleep(Self::LASTS / 4).await;
                // Where it cannot be kept now it is tried again; `set_moved` lets only one end.
                if let Err(error) = app.journal.lease(&self.key, self.holder, Self::LASTS).await {
                    tracing::debug!("{}: the lease was not kept: {error}", self.key);
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = keep => Err(Error::internal("a lease is kept without end")),
        }
    }

    async fn release(&self, app: &App) {
        if let Err(error) = app.journal.release(&self.key, self.holder).await {
            tracing::debug!("{}: the lease was not given up: {error}", self.key);
        }
    }
}
