//! Checks a server's saved draft: servers report success even if a save failed, so the status of the task is
//! polled, and the files are checked if this machine can reach them.

mod after;
mod copy;
mod materials;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use hyper::Method;
use serde_json::{Value, json};

use super::{Ask, Remote};
use crate::args::is_truthy;
use crate::backend::dialect::{Dialect, Server};
use crate::backend::envelope::{self, EnvelopeContent};
use crate::backend::{Failure, Reached};
use crate::caller::Manner;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind};
use crate::journal::Journal;
use crate::manifest;
use crate::progress::{Progress, Step};
use crate::tool::Request;
use crate::tools::Object;
use after::After;
use copy::{KnownDocument, Stated};
use materials::{look_at_sources, materials, measured};

/// How many problems one error lists.
const NAMED: usize = 20;
/// How often a saved draft is read until a server with a save queue has written it.
const SETTLES: usize = 20;

/// What a server reports about a save task.
#[derive(Debug)]
struct SaveStatus {
    state: String,
    message: String,
    progress: f64,
    total: Option<f64>,
    /// Where the draft is, if the server says so.
    url: String,
}

impl SaveStatus {
    /// The status for a server that answers only after the save is complete and has no status for it.
    fn unknown() -> Self {
        Self {
            state: "completed".into(),
            message: String::new(),
            progress: 100.0,
            total: None,
            url: String::new(),
        }
    }
}

impl Remote {
    /// Saves, then applies the requested options that the server does not support.
    pub(super) async fn save_with_options(
        &self,
        ask: &Ask<'_>,
        status_path: &str,
        request: &dyn Request,
        server: &Server,
        journal: &Arc<Journal>,
        progress: Option<&Progress>,
    ) -> Result<EnvelopeContent, Failure> {
        let Some(draft) = request.draft().filter(|_| !ask.strict) else {
            let saving = self.save(ask, status_path, request, server, journal, true, progress);
            return saving.await;
        };
        let name = journal.find(draft).await?.map(|row| row.name);
        let name = name.filter(|name| !name.is_empty());
        let beyond = self
            .with_account(journal, draft, |account| account.beyond_api().clone())
            .await?;
        let after = After::new(self, server, request, name.clone(), beyond)?;
        let body = ask
            .body
            .map(|body| after::sent(body, &request.call().caller));
        let ask = Ask {
            method: ask.method.clone(),
            body: body.as_ref(),
            ..*ask
        };
        let is_all = after.is_none();
        let saving = self.save(
            &ask,
            status_path,
            request,
            server,
            journal,
            is_all,
            progress,
        );
        let mut opened = saving.await?;
        if let Some(after) = after {
            let script = self
                .retry_read(ask.until, || self.script(draft, ask.until))
                .await?;
            after.apply(self, server, script, &mut opened).await?;
        } else if let Some(name) = name
            && request.call().caller.manner.is_strict()
            && let Some(Value::Array(notes)) = opened.beside.get_mut("notes")
        {
            notes.push(json!(unnamed(server, draft, &name)));
        }
        Ok(opened)
    }

    /// Saves, and returns the server's answer together with what was found. The draft is compared twice: before
    /// the save, the server's document with the journal; after it, the saved document with the server's. Unless
    /// `is_all`, the draft is saved a second time from the server's files, and only that save is fixed and
    /// reported.
    #[expect(
        clippy::too_many_arguments,
        reason = "all parts of a call, and whether a second save follows"
    )]
    pub(super) async fn save(
        &self,
        ask: &Ask<'_>,
        status_path: &str,
        request: &dyn Request,
        server: &Server,
        journal: &Arc<Journal>,
        is_all: bool,
        progress: Option<&Progress>,
    ) -> Result<EnvelopeContent, Failure> {
        let Some(draft) = request.draft() else {
            let output = self.output(ask).await?;
            return Ok(EnvelopeContent {
                output,
                beside: Object::new(),
            });
        };
        if server.dialect.is_truthful() {
            return self.posted(ask, status_path, draft, progress).await;
        }
        let wanted = ask
            .body
            .and_then(|body| body.get("draft_folder"))
            .and_then(Value::as_str);
        let mut notes: Vec<String> = Vec::new();
        let may_be_seen = self.may_be_seen(wanted, server);
        let before = self
            .before(draft, may_be_seen, journal, ask.until, &mut notes)
            .await?;

        let began = SystemTime::now();
        let mut opened = self.posted(ask, status_path, draft, progress).await?;
        let output = &opened.output;
        if output.get("success") == Some(&Value::Bool(false)) {
            let what = format!("{} did not save draft {draft}", self.base);
            let said = ["error", "message"].map(|key| output[key].as_str());
            let said = said.into_iter().flatten().find(|text| !text.is_empty());
            let what = said.map_or(what.clone(), |said| {
                format!("{what}: {}", envelope::shown(said))
            });
            return Err(Failure::refused(Error::new(Kind::Unavailable, what)));
        }
        let task = output["task_id"].as_str().map(str::to_owned);
        let every = manifest::seconds(self.manifest.limits.status_every_s);
        let status = self
            .finished(status_path, task.as_deref(), draft, ask.until, progress)
            .await?;
        let stated = Stated::of(output, &status);

        // A server with a save queue may still report the previous save.
        let is_queued = task.is_some();
        let mut looks = 0;
        let copy = loop {
            looks += 1;
            let copy = self
                .copy(draft, wanted, server, &stated, before.as_ref(), began)
                .await;
            let differs = copy
                .as_ref()
                .is_some_and(|copy| !copy.differences.is_empty());
            let time_left = Instant::now() + every < ask.until;
            if !differs || !is_queued || looks == SETTLES || !time_left {
                break copy;
            }
            tokio::time::sleep(every).await;
            self.finished(status_path, task.as_deref(), draft, ask.until, progress)
                .await?;
        };
        if let Some(copy) = copy.as_ref().filter(|copy| !copy.differences.is_empty()) {
            return Err(self.not_saved(draft, copy));
        }
        let saved = copy.as_ref().and_then(|copy| copy.document.as_ref());
        let materials = match (&before, saved) {
            (Some(before), Some(saved)) => measured(materials(&before.script), &saved.script),
            (Some(one), None) | (None, Some(one)) => materials(&one.script),
            (None, None) => Vec::new(),
        };
        let media = self.media.of(&request.call().caller);
        let (mut faults, bytes) = if let Some(copy) = &copy {
            self.look_at_files(&copy.folder, &materials, &media, &mut notes)
                .await
        } else {
            notes.push(self.not_seen(&stated, materials.is_empty()));
            (look_at_sources(&materials, &media).await, None)
        };
        // Keyframes that were acknowledged in the API's dialect: servers drop those at a time without a clip.
        let mut dropped = Vec::new();
        match (&copy, saved) {
            (Some(_), Some(saved)) => {
                let missing = self.with_account(journal, draft, |account| {
                    account.missing_keyframes(&saved.contents)
                });
                let missing = missing.await.unwrap_or_default();
                for (what, manner) in missing {
                    match manner {
                        Manner::Strict => faults.push(what),
                        Manner::Api => dropped.push(what),
                    }
                }
            }
            (Some(copy), None) => {
                let folder = copy.folder.display();
                notes.push(format!(
                    "{folder} does not have a readable document, so its tracks were not checked"
                ));
            }
            (None, _) => {}
        }
        let folder = copy.map(|copy| copy.folder);
        if !faults.is_empty() {
            let list = listed(faults);
            let what = format!(
                "{} reports that draft {draft} was saved, but it is incomplete:\n- {list}",
                self.base
            );
            return Err(Failure::refused(Error::media(what).hint(
                "fix these sources, then save again; or use `recover_draft` with `to: \"embedded\"`",
            )));
        }
        if !dropped.is_empty() {
            notes.push(format!(
                "the server dropped keyframes at times without a clip:\n- {}",
                listed(dropped)
            ));
        }
        if request
            .call()
            .arguments
            .get("auto_deploy")
            .is_some_and(is_truthy)
            && server.dialect != Dialect::VectCut
        {
            notes.push(format!(
                "`auto_deploy` was ignored: {} does not support it",
                server.dialect.name()
            ));
        }
        let elsewhere = wanted.filter(|wanted| {
            let is_there = |folder: &PathBuf| folder.starts_with(wanted);
            !folder.as_ref().is_some_and(is_there)
        });
        if let Some(wanted) = elsewhere
            && is_all
            && !server.dialect.saves_into_draft_folder()
        {
            notes.push(format!(
                "this server does not write into {wanted:?}: move the folder {draft} there from where the server keeps it"
            ));
        }
        if let Some(folder) = folder.as_ref().filter(|_| is_all) {
            let stays = elsewhere.is_none();
            notes.extend(
                self.check_saved(folder.clone(), server.edition, stays)
                    .await,
            );
        }
        let mut added = Object::new();
        if before.is_some() || folder.is_some() {
            added.insert("files".to_owned(), json!(materials.len()));
        }
        if let Some(folder) = folder {
            added.insert("folder".to_owned(), json!(folder.display().to_string()));
        }
        if let Some(zip) = stated.zip.filter(|_| is_all) {
            notes.push(format!("saved as {}", zip.display()));
            added.insert("zip".to_owned(), json!(zip.display().to_string()));
        }
        if let Some(bytes) = bytes {
            added.insert("bytes".to_owned(), json!(bytes));
        }
        added.insert("notes".to_owned(), json!(notes));
        if !opened.output.is_object() {
            opened.output = json!({});
        }
        opened.beside = added;
        Ok(opened)
    }

    /// Sends the save, and reports the server's progress until it answers.
    async fn posted(
        &self,
        ask: &Ask<'_>,
        status_path: &str,
        draft: &DraftId,
        progress: Option<&Progress>,
    ) -> Result<EnvelopeContent, Failure> {
        let every = manifest::seconds(self.manifest.limits.status_every_s);
        let posted = self.opened(ask);
        tokio::pin!(posted);
        loop {
            tokio::select! {
                opened = &mut posted => {
                    return opened.map_err(|failure| self.known_loss(Some(draft), failure));
                }
                () = tokio::time::sleep(every), if progress.is_some() => {
                    if let Ok(status) = self.status(status_path, draft.as_str(), ask.until).await {
                        report(progress, &status);
                    }
                }
            }
        }
    }

    /// Checks before a save that the server still has everything that was acknowledged. If the saved files will
    /// not be accessible, or if lengths are unknown, the server must read its media first: only then does its
    /// document show which files it cannot read and which overlapping segments it drops.
    async fn before(
        &self,
        draft: &DraftId,
        may_be_seen: bool,
        journal: &Arc<Journal>,
        until: Instant,
        notes: &mut Vec<String>,
    ) -> Result<Option<KnownDocument>, Failure> {
        let known = self.with_account(journal, draft, |account| {
            (account.has_media(), account.has_open_ends())
        });
        // For a draft that is not in the journal this is not known.
        let (media, open_ends) = known.await.unwrap_or((true, false));
        let refreshed = media && (open_ends || !may_be_seen);
        let asked = match self.document(draft, refreshed, until).await {
            Err(failure) if failure.reached == Reached::Never => return Err(failure),
            Err(failure) if failure.reached != Reached::Forgotten => {
                self.retry_read(until, || self.document(draft, refreshed, until))
                    .await
            }
            ended => ended,
        };
        let script = match asked {
            Ok(script) => script,
            Err(failure) if failure.reached == Reached::Forgotten => return Err(failure),
            Err(failure) => {
                notes.push(format!(
                    "the server's draft was not checked before the save: {}",
                    failure.error.message
                ));
                return Ok(None);
            }
        };
        let Some(document) = KnownDocument::of(script) else {
            notes.push(
                "the server's draft was not checked before the save: its document has no tracks"
                    .into(),
            );
            return Ok(None);
        };
        let compared = self.with_account(journal, draft, |account| {
            notes.extend(account.not_compared());
            account.refuse_if_short(&self.base, draft, &document.contents)
        });
        match compared.await {
            Ok(compared) => compared?,
            Err(error) => notes.push(format!(
                "the server's draft was not compared with the journal: {}",
                error.message
            )),
        }
        Ok(Some(document))
    }

    /// Waits until the server has finished the save, and returns the final status.
    async fn finished(
        &self,
        path: &str,
        named_task: Option<&str>,
        draft: &DraftId,
        until: Instant,
        progress: Option<&Progress>,
    ) -> Result<SaveStatus, Failure> {
        let task = named_task.unwrap_or(draft.as_str());
        let every = manifest::seconds(self.manifest.limits.status_every_s);
        let unclear = |failure: Failure| Failure {
            reached: Reached::Answered,
            error: Error::new(
                failure.error.kind,
                format!(
                    "{} accepted the save of draft {draft}, but its result is unknown",
                    self.base
                ),
            )
            .hint("call `query_draft_status` later, or save again")
            .source(failure.error),
            ..failure
        };
        loop {
            let status = self
                .retry_read(until, || self.status(path, task, until))
                .await;
            let status = match status {
                // The server answered after the save was complete and has no status for it.
                Err(failure) if failure.error.kind == Kind::NotFound && named_task.is_none() => {
                    return Ok(SaveStatus::unknown());
                }
                status => status.map_err(unclear)?,
            };
            match status.state.as_str() {
                "completed" => return Ok(status),
                "failed" => {
                    let what = format!(
                        "{} failed to save draft {draft}: {}",
                        self.base,
                        envelope::shown(&status.message)
                    );
                    let error = Error::new(Kind::Unavailable, what)
                        .hint("see the server's log for details, then save again");
                    return Err(self.known_loss(Some(draft), Failure::refused(error)));
                }
                _ if Instant::now() + every >= until => {
                    let what = format!(
                        "{} is still saving draft {draft}: {} ({} %)",
                        self.base,
                        envelope::shown(&status.message),
                        status.progress
                    );
                    let error = Error::new(Kind::Timeout, what);
                    return Err(Failure::refused(
                        error.hint("call `query_draft_status` later"),
                    ));
                }
                _ => {
                    report(progress, &status);
                    tokio::time::sleep(every).await;
                }
            }
        }
    }

    /// Repeats a request, according to the `transient` retry policy, if it got no usable answer. This is safe: the
    /// request only reads, and the save is complete.
    async fn retry_read<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        until: Instant,
        ask: impl Fn() -> F,
    ) -> Result<T, Failure> {
        let policy = &self.manifest.retry.transient;
        let pause = manifest::seconds(policy.first_wait_s);
        let mut tries = 0;
        loop {
            tries += 1;
            match ask().await {
                Err(failure)
                    if matches!(
                        failure.error.kind,
                        Kind::Unsent | Kind::Unavailable | Kind::Timeout | Kind::Busy
                    ) && tries < policy.tries
                        && Instant::now() + pause < until =>
                {
                    tracing::info!("retrying: {}", failure.error.message);
                    tokio::time::sleep(pause).await;
                }
                ended => return ended,
            }
        }
    }

    async fn status(&self, path: &str, task: &str, until: Instant) -> Result<SaveStatus, Failure> {
        let body = json!({ "task_id": task })
            .as_object()
            .cloned()
            .unwrap_or_default();
        let ask = Ask {
            method: Method::POST,
            path,
            body: Some(&body),
            strict: false,
            only_reads: true,
            until,
        };
        let output = self.output(&ask).await?;
        let number = |key: &str| output.get(key).and_then(Value::as_f64);
        let text = |key: &str| {
            output
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Ok(SaveStatus {
            state: text("status"),
            message: text("message"),
            progress: number("progress").unwrap_or_default(),
            total: number("progress").map(|_| 100.0),
            url: text("draft_url"),
        })
    }
}

/// The note for a named draft whose saved folder could not be given the name.
fn unnamed(server: &Server, draft: &DraftId, name: &str) -> String {
    format!(
        "the saved folder is named {draft}, not {name:?}: {} names folders by draft id, and this machine cannot access the \
        folder to rename it; set `api.drafts_folder` in `tools.toml` to the folder where the server keeps saved drafts",
        server.dialect.name()
    )
}

fn report(progress: Option<&Progress>, status: &SaveStatus) {
    if let Some(progress) = progress {
        progress(Step {
            done: status.progress,
            total: status.total,
            message: envelope::shown(&status.message),
            bytes: None,
        });
    }
}

fn listed(faults: Vec<String>) -> String {
    let more = faults.len().saturating_sub(NAMED);
    let mut list: Vec<String> = faults.into_iter().take(NAMED).collect();
    if more > 0 {
        list.push(format!("and {more} more"));
    }
    list.join("\n- ")
}
