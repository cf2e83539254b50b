//! A CapCut API server: sends calls to it and checks its answers.

mod preflight;
mod repair;
mod save;

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use capcut_draft::Document;
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::dialect::{self, Answers, Dialect, Server};
use super::envelope::{self, EnvelopeContent, EnvelopeText, ServerAnswer};
use super::expected::{ExpectedDraft, ExpectedDrafts};
use super::wire::{Message, Sender, Unanswered, Wire};
use super::{Failure, Reached};
use crate::draft::evidence::{Evidence, Leaves};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Origin, Result};
use crate::journal::Journal;
use crate::manifest::{self, Manifest, Route};
use crate::media::MediaStore;
use crate::progress::Progress;
use crate::tool::Request;
use crate::tools::Object;
use crate::units::Edition;
use preflight::{RecentDrafts, ServerNames};

/// One server at one address. Connections are opened on first use.
pub(crate) struct Remote {
    /// Its address, without a trailing slash: the origin of its drafts in the journal.
    pub base: String,
    /// The URL for requests: the address with the user, password and query that were configured.
    target: String,
    /// The edition that drafts must be for, if one was requested.
    asked: Option<Edition>,
    manifest: Arc<Manifest>,
    media: MediaStore,
    /// Where copies of files from before a fix are kept.
    data_dir: Option<PathBuf>,
    wire: Wire,
    connections: Semaphore,
    known: tokio::sync::Mutex<Option<ProbeResult>>,
    /// What calls in progress will leave in their drafts.
    pending: Mutex<Vec<(DraftId, Evidence)>>,
    accounts: ExpectedDrafts,
    /// Drafts that existed a moment ago.
    seen: RecentDrafts,
    /// The names that the server lists, by the tool that lists them.
    listed: ServerNames,
}

struct ProbeResult {
    at: Instant,
    server: Result<Arc<Server>, Error>,
}

/// The result of a call.
pub(crate) struct Answered {
    /// Our reply.
    pub reply: Value,
    /// The server's own `output`, for callers in its dialect.
    pub output: Option<Value>,
}

/// One request to the server.
pub(super) struct Ask<'a> {
    pub method: Method,
    pub path: &'a str,
    pub body: Option<&'a Object>,
    /// The body is in our own dialect.
    pub strict: bool,
    /// It changes nothing on the server, so it may be sent again after a lost answer.
    pub only_reads: bool,
    pub until: Instant,
}

impl Remote {
    pub(crate) fn new(
        base: String,
        target: &str,
        asked: Option<Edition>,
        manifest: Arc<Manifest>,
        media: MediaStore,
        data_dir: Option<PathBuf>,
        sender: Sender,
    ) -> Self {
        Self {
            base,
            target: target.to_owned(),
            asked,
            data_dir,
            connections: Semaphore::new(manifest.api.connections),
            manifest,
            media,
            wire: Wire::new(sender),
            known: tokio::sync::Mutex::default(),
            pending: Mutex::default(),
            accounts: ExpectedDrafts::default(),
            seen: RecentDrafts::default(),
            listed: ServerNames::default(),
        }
    }

    /// Which server it is; the answer is cached for `known_s`, a failure for `absent_s`.
    pub(crate) async fn server(&self, journal: &Arc<Journal>) -> Result<Arc<Server>> {
        let mut known = self.known.lock().await;
        let api = &self.manifest.api;
        let fresh = known.as_ref().filter(|known| {
            let keep = if known.server.is_ok() {
                api.known_s
            } else {
                api.absent_s
            };
            known.at.elapsed() < manifest::seconds(keep)
        });
        if let Some(known) = fresh {
            return known.server.as_ref().map(Arc::clone).map_err(Error::again);
        }
        let server = Box::pin(self.probe(journal)).await.map(Arc::new);
        *known = Some(ProbeResult {
            at: Instant::now(),
            server: server.as_ref().map(Arc::clone).map_err(Error::again),
        });
        server
    }

    /// Refuses a server whose edition is not the requested one: its names and ids are those of the other app.
    pub(crate) fn of_asked_edition(&self, server: &Server) -> Result<()> {
        match self.asked.filter(|asked| *asked != server.edition) {
            None => Ok(()),
            Some(asked) => Err(Error::conflict(format!(
                "{} makes drafts for {}, but `--edition {}` was requested",
                self.base,
                server.edition.app(),
                asked.name()
            ))
            .at_shell(format!(
                "omit `--edition` to use the server's edition, or give the address of a server for {}, or use \
                `--backend embedded`",
                asked.app()
            ))),
        }
    }

    /// Refuses a server that does not have the names and ids of this edition.
    pub(super) fn of_edition(&self, server: &Server, edition: Edition) -> Result<()> {
        if server.edition == edition {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "{} makes drafts for {}, but the draft is for {}",
            self.base,
            server.edition.app(),
            edition.app()
        ))
        .hint("give the address of a server for that app, or use `to: \"embedded\"`"))
    }

    /// Whether it answers now; probes again if the last probe is older than `age`.
    pub(crate) async fn answers(&self, journal: &Arc<Journal>, age: Duration) -> Result<()> {
        let known = self.known.lock().await;
        let is_old = known.as_ref().is_none_or(|known| known.at.elapsed() >= age);
        drop(known);
        if is_old {
            self.doubt().await;
        }
        self.server(journal).await.map(|_| ())
    }

    /// Discards what is known about the server, because a call did not reach it.
    pub(crate) async fn doubt(&self) {
        *self.known.lock().await = None;
        self.seen.forget();
    }

    async fn probe(&self, journal: &Arc<Journal>) -> Result<Server> {
        let until = Instant::now() + manifest::seconds(self.manifest.api.probe_timeout_s);
        let ask = async |method: Method, path: &str| {
            let answer = self
                .ask(&Ask {
                    method,
                    path,
                    body: None,
                    strict: false,
                    only_reads: true,
                    until,
                })
                .await;
            answer.map(|answer| (answer.status, answer.body))
        };
        let started = Instant::now();
        let masks = match ask(Method::GET, "/get_mask_types").await {
            Ok((508, _)) => {
                return Err(Error::invalid(format!(
                    "{} is the address of this process itself: calls would be forwarded in a loop",
                    self.base
                ))
                .at_shell("give the address of the CapCut API server with `--api-url`"));
            }
            Ok((status @ (401 | 403), body)) => {
                let what = format!(
                    "{} requires a key: `GET /get_mask_types` was answered {status} with {}",
                    self.base,
                    envelope::looks_like(&body)
                );
                return Err(Error::invalid(what)
                    .hint(envelope::WANTS_A_KEY)
                    .with_origin(Origin::Authentication));
            }
            Ok(answer) => answer,
            Err(failure) => {
                let mut error = failure.error;
                // If no server listens there, the requested path does not help the reader.
                if error.kind == Kind::Unsent {
                    error.message = error.message.replacen("/get_mask_types", "", 1);
                }
                return Err(error);
            }
        };
        let latency = started.elapsed();
        let (health, root, preview, projects, openapi) = futures::join!(
            ask(Method::GET, "/health"),
            ask(Method::GET, "/"),
            ask(Method::OPTIONS, "/preview/media"),
            ask(Method::OPTIONS, "/read_project"),
            ask(Method::GET, "/openapi.json"),
        );
        let answers = Answers {
            masks: Some(masks),
            health: health.ok(),
            root: root.ok(),
            preview: preview.ok(),
            projects: projects.ok(),
            openapi: openapi.ok(),
        };
        let journal = if dialect::names_journal(&answers) {
            journal.id().await.ok()
        } else {
            None
        };
        dialect::recognise(&answers, latency, journal.as_deref()).map_err(|looks| {
            Error::new(
                Kind::Unavailable,
                format!(
                    "{} is not a CapCut API: `GET /get_mask_types` was answered {looks}",
                    self.base
                ),
            )
            .at_shell("give the address of one with `--api-url`, or use `--backend embedded`")
        })
    }

    /// Runs a call on the server, unless it is known to have no effect there. `leaves` is what the request would
    /// add to the draft.
    pub(crate) async fn call(
        &self,
        request: &dyn Request,
        leaves: &Leaves,
        route: &Route,
        journal: &Arc<Journal>,
        until: Instant,
        progress: Option<&Progress>,
    ) -> Result<Answered, Failure> {
        let Some(path) = route.path() else {
            let name = request.spec().name;
            return Err(Error::internal(format!("`{name}` has no route in `tools.toml`")).into());
        };
        let server = self.server(journal).await.map_err(Failure::unsent)?;
        let strict = server.takes_strict && request.call().caller.manner.is_strict();
        if !strict {
            request.only_here()?;
            self.refuse_beyond_api(request, leaves, &server)?;
        }
        if matches!(leaves, Leaves::Keyframes(_)) {
            Box::pin(self.refuse_dropped_keyframes(request, leaves, &server, journal)).await?;
        }
        // Uncommon paths are boxed, here and below, so that they do not enlarge the future of every call.
        if !request.names().is_empty() {
            Box::pin(self.refuse_unknown_names(request, &server, until)).await?;
        }
        let is_edit = *leaves != Leaves::Nothing;
        if is_edit {
            self.of_asked_edition(&server)?;
        }
        if let Some(draft) = request.draft()
            && is_edit
            && server.dialect.recreates_drafts()
            && !self.seen.is_recent(draft)
        {
            Box::pin(self.refuse_lost(draft, journal, until)).await?;
        }
        let mut body = if strict {
            request.call().arguments.clone()
        } else {
            request.to_api(server.edition)
        };
        // In our own dialect the server reads subtitle files itself.
        let mut notes = Vec::new();
        if !strict && let Some(file) = request.text_file() {
            let converted = Box::pin(self.converted(&file, &request.call().caller)).await?;
            if let Some(text) = converted.text {
                body.insert(file.argument.to_owned(), text.into());
            }
            notes = converted.notes;
        }
        let ask = if route.post.is_some() {
            Ask {
                method: Method::POST,
                path,
                body: Some(&body),
                strict,
                only_reads: request.spec().hints.read_only,
                until,
            }
        } else {
            Ask {
                method: Method::GET,
                path,
                body: None,
                strict: false,
                only_reads: true,
                until,
            }
        };
        let is_passed_on = !request.call().caller.manner.is_strict();
        let (output, reply) = if let Some(status) = &route.status {
            let saving = self.save_with_options(&ask, status, request, &server, journal, progress);
            let mut opened = Box::pin(saving).await?;
            let output = is_passed_on.then(|| opened.output.clone());
            if !server.dialect.is_truthful()
                && let Some(output) = opened.output.as_object_mut()
            {
                // The folders that the server named were checked; the ones that exist are next to the output.
                output.retain(|name, _| name != "folder" && name != "zip");
            }
            dialect::join(&mut opened);
            (output, request.reply_from_value(&opened.output))
        } else {
            let opened = self
                .opened_text(&ask)
                .await
                .map_err(|failure| self.known_loss(request.draft(), failure))?;
            self.same_draft(request.draft(), opened.draft_id(), path)?;
            if is_edit
                && server.dialect.recreates_drafts()
                && let Some(draft) = request.draft()
            {
                self.seen.now(draft);
            }
            if server.dialect == Dialect::Engine && !opened.beside.is_empty() {
                let opened = opened.content();
                let mut opened = opened.map_err(|error| self.unreadable(&ask, error))?;
                let output = is_passed_on.then(|| opened.output.clone());
                dialect::join(&mut opened);
                (output, request.reply_from_value(&opened.output))
            } else {
                let output = is_passed_on.then(|| opened.value()).transpose();
                let output = output.map_err(|error| self.unreadable(&ask, error))?;
                (output, request.reply_from_api(&opened.output))
            }
        };
        let mut reply = reply.map_err(|error| self.unreadable(&ask, error))?;
        add_notes(&mut reply, notes);
        Ok(Answered { reply, output })
    }

    /// The `output` of a list tool, given its route.
    pub(crate) async fn list(&self, path: &str, until: Instant) -> Result<Value, Failure> {
        self.output(&Ask {
            method: Method::GET,
            path,
            body: None,
            strict: false,
            only_reads: true,
            until,
        })
        .await
    }

    /// The draft's document as the server has it, which may have no tracks; does not make the server read media
    /// again.
    pub(crate) async fn script(
        &self,
        draft: &DraftId,
        until: Instant,
    ) -> Result<Document, Failure> {
        self.document(draft, false, until).await
    }

    /// As [`script`](Self::script). With `refreshed` the server reads the draft's media first, which takes as long
    /// as a save.
    pub(super) async fn document(
        &self,
        draft: &DraftId,
        refreshed: bool,
        until: Instant,
    ) -> Result<Document, Failure> {
        let body = json!({ "draft_id": draft, "force_update": refreshed });
        let body = body.as_object().cloned().unwrap_or_default();
        let path = "/query_script";
        let ask = Ask {
            method: Method::POST,
            path,
            body: Some(&body),
            strict: false,
            only_reads: true,
            until,
        };
        let opened = self.opened_text(&ask).await;
        let output = opened.map_err(|failure| self.known_loss(Some(draft), failure))?;
        document_of(output.output.get()).map_err(|error| {
            let what = format!(
                "{} returned a document that cannot be read",
                self.place(path)
            );
            Failure::refused(Error::new(Kind::Unavailable, what).source(error))
        })
    }

    pub(super) async fn output(&self, ask: &Ask<'_>) -> Result<Value, Failure> {
        Ok(self.opened(ask).await?.output)
    }

    pub(super) async fn opened(&self, ask: &Ask<'_>) -> Result<EnvelopeContent, Failure> {
        let opened = self.opened_text(ask).await?;
        opened
            .content()
            .map_err(|error| self.unreadable(ask, error))
    }

    async fn opened_text(&self, ask: &Ask<'_>) -> Result<EnvelopeText, Failure> {
        let answer = self.ask(ask).await?;
        let opened = envelope::open(&answer, || self.place(ask.path));
        opened.map_err(|failure| with_next_step(ask, failure))
    }

    /// The failure of a call whose answer is not what the API answers.
    fn unreadable(
        &self,
        ask: &Ask<'_>,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Failure {
        let what = format!(
            "the answer from {} has an unknown format",
            self.place(ask.path)
        );
        let lost = Failure::lost(Error::new(Kind::Unavailable, what).source(error));
        with_next_step(ask, lost)
    }

    /// Checks the draft id in an answer. An unknown draft is not an error for the server: it makes another draft
    /// and only the new id shows it. Ids from the server are validated here, before any other code uses them.
    fn same_draft(
        &self,
        sent: Option<&DraftId>,
        got: Option<String>,
        path: &str,
    ) -> Result<(), Failure> {
        let Some(got) = got else {
            return Ok(());
        };
        if sent.is_some_and(|sent| sent.as_str() == got) {
            return Ok(());
        }
        if DraftId::of_server(&got).is_none() {
            let error = Error::new(
                Kind::Unavailable,
                format!(
                    "{} returned a draft id that is not a plain name: {:?}",
                    self.place(path),
                    envelope::excerpt(&got)
                ),
            );
            return Err(Failure::refused(error.hint(
                "draft ids may contain letters, digits, `_`, `-` and `.`; nothing was recorded in the journal",
            )));
        }
        let Some(sent) = sent else {
            return Ok(());
        };
        let error = Error::not_found(format!(
            "draft {sent} is unknown to {}: the server restarted or lost the draft; \
            it applied this call to a new, empty draft, {got}",
            self.place(path)
        ));
        Err(Failure::draft_lost(error))
    }

    /// The failure of a call to a draft that the server says it does not have.
    pub(super) fn known_loss(&self, draft: Option<&DraftId>, failure: Failure) -> Failure {
        match draft {
            Some(draft) if says_unknown(&failure, draft) => self.loss(draft),
            _ => failure,
        }
    }

    /// A draft that the server no longer has.
    pub(crate) fn loss(&self, draft: &DraftId) -> Failure {
        let error = Error::not_found(format!(
            "draft {draft} is lost: {} restarted or lost the draft",
            self.base
        ));
        Failure::draft_lost(error)
    }

    /// Sends one request and reads the whole answer, within the limits.
    async fn ask(&self, ask: &Ask<'_>) -> Result<ServerAnswer, Failure> {
        let _connection = self.connections.acquire().await.map_err(|error| {
            Error::internal("the connections to the API were closed").source(error)
        })?;
        let body = ask.body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| {
            Error::internal("the request cannot be written as JSON").source(error)
        })?;
        let api = &self.manifest.api;
        let limit = self.manifest.limits.response_bytes;
        let message = Message {
            method: ask.method.clone(),
            path: ask.path,
            body,
            strict: ask.strict,
        };
        let work = async {
            let sent = self.wire.send(&self.target, api, message, limit).await;
            let reply = sent.map_err(|why| not_answered(&self.place(ask.path), why, limit))?;
            let headers = &reply.headers;
            let retry_after = headers
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                .map(Duration::from_secs);
            let kind = headers
                .get(envelope::KIND_HEADER)
                .and_then(|name| Kind::ALL.into_iter().find(|kind| kind.name() == name));
            Ok(ServerAnswer {
                status: reply.status.as_u16(),
                retry_after,
                kind,
                body: reply.body,
            })
        };
        let left = ask.until.saturating_duration_since(Instant::now());
        let answer = tokio::time::timeout(left, work).await;
        let answer = answer.unwrap_or_else(|_| {
            let what = format!("{} did not answer in time", self.place(ask.path));
            Err(Failure::lost(Error::new(Kind::Timeout, what)))
        });
        // A separate task returns the connection to the pool. Let it run first, so that the next call reuses the
        // connection instead of opening another one.
        behind_others().await;
        answer.map_err(|failure| with_next_step(ask, failure))
    }

    /// Calls `act` with the draft's account; only new journal records are read.
    pub(crate) async fn with_account<T>(
        &self,
        journal: &Arc<Journal>,
        draft: &DraftId,
        act: impl FnOnce(&ExpectedDraft) -> T,
    ) -> Result<T> {
        // An engine that uses the same journal records the calls under its own origin.
        let origin = journal.find(draft).await?.map(|row| row.origin);
        let origin = origin.as_deref().unwrap_or(&self.base);
        let mut account = self.accounts.take(draft);
        for record in journal.records(origin, draft, account.next).await? {
            account.enter(&record);
        }
        let result = act(&account);
        self.accounts.put(draft, account);
        Ok(result)
    }

    pub(super) fn place(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Announces what a call will leave in its draft. The announcement ends when the guard is dropped.
    pub(crate) fn announce(self: &Arc<Self>, draft: &DraftId, evidence: Evidence) -> Announced {
        let mark = (draft.clone(), evidence);
        self.pending().push(mark.clone());
        Announced {
            remote: Arc::clone(self),
            mark,
        }
    }

    /// How many calls in progress will leave the same in the draft.
    pub(crate) fn announced(&self, draft: &DraftId, evidence: &Evidence) -> usize {
        let pending = self.pending();
        pending
            .iter()
            .filter(|(of, one)| of == draft && one == evidence)
            .count()
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Vec<(DraftId, Evidence)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets other ready tasks run. `tokio::task::yield_now` also polls all sockets, which is a system call.
async fn behind_others() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The error texts for unknown ids of CapCutAPI and of CapCutAPI 1.1.0.
const NO_SUCH_DRAFT: [&str; 2] = ["does not exist in cache", "在缓存中不存在"];

/// Adds notes to a reply about what was changed before the call was sent.
/// The document in the output of `query_script`: an object, or its text.
fn document_of(output: &str) -> capcut_draft::Result<Document> {
    let text = match serde_json::from_str::<String>(output) {
        Ok(text) => text,
        Err(_) => output.to_owned(),
    };
    Document::parse_object(text)
}

fn add_notes(reply: &mut Value, notes: Vec<String>) {
    if notes.is_empty() {
        return;
    }
    if let Some(reply) = reply.as_object_mut() {
        let known = reply.entry("notes").or_insert_with(|| json!([]));
        if let Some(known) = known.as_array_mut() {
            known.extend(notes.into_iter().map(Value::from));
        }
    }
}

fn says_unknown(failure: &Failure, draft: &DraftId) -> bool {
    let said = &failure.error.message;
    // The FastAPI variant of VectCutAPI answers with the id and nothing else.
    let only_the_id = || said.ends_with(&format!(": {draft}"));
    failure.reached == Reached::Answered
        && (NO_SUCH_DRAFT.iter().any(|text| said.contains(text)) || only_the_id())
}

/// Adds a hint for a lost answer, unless the error has one.
fn with_next_step(ask: &Ask<'_>, mut failure: Failure) -> Failure {
    if failure.reached == Reached::Lost && failure.error.hint.is_none() {
        failure.error = failure.error.hint(if ask.only_reads {
            "nothing was changed: call again; `health_check` reports the server's state"
        } else {
            "check the draft before you call again: the call may have been applied"
        });
    }
    failure
}

/// See [`Remote::announce`].
pub(crate) struct Announced {
    remote: Arc<Remote>,
    mark: (DraftId, Evidence),
}

impl Drop for Announced {
    fn drop(&mut self) {
        let mut pending = self.remote.pending();
        if let Some(at) = pending.iter().position(|one| *one == self.mark) {
            pending.swap_remove(at);
        }
    }
}

/// What to do if no server answers.
pub(super) const START_ONE: &str =
    "start the API server, or start `capcut-mcp engine` instead, or use `--backend embedded`";

/// The failure for a missing answer; it says whether the request was sent.
fn not_answered(place: &str, why: Unanswered, limit: u64) -> Failure {
    match why {
        Unanswered::NotReached(cause) => Failure::unsent(
            Error::new(Kind::Unsent, format!("no answer from {place} ({cause})"))
                .at_shell(START_ONE)
                .with_origin(Origin::Connection),
        ),
        Unanswered::Ours(error) => Failure::unsent(error),
        Unanswered::Broken(cause) => Failure::lost(
            Error::new(
                Kind::Unavailable,
                format!("{place} closed the connection before it answered ({cause})"),
            )
            .with_origin(Origin::Connection),
        ),
        Unanswered::Halfway(bytes, cause) => {
            let what = format!("the answer from {place} broke off after {bytes} bytes");
            let error = Error::new(Kind::Unavailable, what).source(cause);
            Failure::lost(error.with_origin(Origin::Connection))
        }
        Unanswered::TooLong => {
            let what = format!("{place} answered with more than {limit} bytes");
            Failure::lost(
                Error::new(Kind::Unavailable, what)
                    .hint("`limits.response_bytes` in `tools.toml` sets the limit")
                    .with_origin(Origin::Api),
            )
        }
    }
}
