//! Checks a server's saved draft: servers report success even if a save failed, so the status of the task is
//! polled, and the files are checked if this machine can reach them.

mod after;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use hyper::Method;
use serde_json::{Value, json};

use super::dialect::{Dialect, Server};
use super::envelope::{self, Opened};
use super::remote::{Ask, Remote};
use super::{Failure, Reached};
use crate::args::is_truthy;
use crate::caller::{Caller, Manner};
use crate::draft::evidence::Contents;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind};
use crate::journal::Journal;
use crate::manifest;
use crate::media::{Facts, Media};
use crate::progress::{Progress, Step};
use crate::tool::Request;
use crate::tools::Object;
use crate::units::Micros;
use after::After;

/// How many files are checked concurrently.
const CONCURRENT_CHECKS: usize = 8;
/// How many problems one error lists.
const NAMED: usize = 20;
/// How often a saved draft is read until a server with a save queue has written it.
const SETTLES: usize = 20;

/// What a server reports about a save task.
#[derive(Debug)]
struct Status {
    state: String,
    message: String,
    progress: f64,
    total: Option<f64>,
    /// Where the draft is, if the server says so.
    url: String,
}

/// A draft's document and its parsed contents.
struct Document {
    script: Value,
    contents: Contents,
}

impl Document {
    fn of(script: Value) -> Option<Self> {
        let contents = Contents::of(&script)?;
        Some(Self { script, contents })
    }
}

/// Where the server says that it saved.
#[derive(Default)]
struct Stated {
    folder: Option<PathBuf>,
    zip: Option<PathBuf>,
    /// A path of another machine, or one that this process cannot access.
    elsewhere: Option<String>,
}

impl Stated {
    fn of(output: &Value, status: &Status) -> Self {
        let mut stated = Self::default();
        let texts = ["draft_url", "folder", "draft_path"].map(|key| output[key].as_str());
        let of_status = [status.message.as_str(), status.url.as_str()];
        for text in texts.into_iter().flatten().chain(of_status) {
            let path = Path::new(text);
            let is_windows = text
                .as_bytes()
                .get(1..3)
                .is_some_and(|at| at == b":\\" || at == b":/");
            if !path.is_absolute() && !is_windows {
                continue;
            }
            if path.is_dir() {
                stated.folder.get_or_insert_with(|| path.to_owned());
            } else if path.is_file() && path.extension().is_some_and(|ending| ending == "zip") {
                // CapCutAPI 1.1.0 names the archive, which is next to the folder.
                let folder = path.with_extension("");
                if folder.is_dir() {
                    stated.folder.get_or_insert(folder);
                }
                stated.zip.get_or_insert_with(|| path.to_owned());
            } else {
                stated.elsewhere.get_or_insert_with(|| text.to_owned());
            }
        }
        stated
    }
}

impl Status {
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
    ) -> Result<Opened, Failure> {
        let Some(draft) = request.draft().filter(|_| !ask.strict) else {
            let saving = self.save(ask, status_path, request, server, journal, true, progress);
            return saving.await;
        };
        let name = journal.find(draft).await?.map(|row| row.name);
        let name = name.filter(|name| !name.is_empty());
        let after = After::new(self, server, request, name.clone())?;
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
    ) -> Result<Opened, Failure> {
        let Some(draft) = request.draft() else {
            let output = self.output(ask).await?;
            return Ok(Opened {
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
    ) -> Result<Opened, Failure> {
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

    /// Whether this process can probably access the saved files.
    fn may_be_seen(&self, wanted: Option<&str>, server: &Server) -> bool {
        let own = !self.manifest.api.drafts_folder.is_empty();
        match wanted {
            Some(wanted) if server.dialect.saves_into_draft_folder() => Path::new(wanted).is_dir(),
            _ => own,
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
    ) -> Result<Option<Document>, Failure> {
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
        let Some(document) = Document::of(script) else {
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

    /// The saved draft: of all folders where it may be, one that was just written and is correct comes first.
    async fn copy(
        &self,
        draft: &DraftId,
        wanted: Option<&str>,
        server: &Server,
        stated: &Stated,
        before: Option<&Document>,
        began: SystemTime,
    ) -> Option<SavedCopy> {
        let own = self.manifest.api.drafts_folder.as_str();
        let below = |folder: &str| Path::new(folder).join(draft.as_str());
        let into_wanted = server.dialect.saves_into_draft_folder();
        let mut places: Vec<(PathBuf, bool)> = Vec::new();
        places.extend(stated.folder.clone().map(|folder| (folder, true)));
        places.extend(wanted.map(|wanted| (below(wanted), into_wanted)));
        // If this save was written elsewhere, the server's own folder contains an older one.
        let went_elsewhere = wanted.is_some() && into_wanted;
        if !own.is_empty() && !went_elsewhere {
            places.push((below(own), true));
        }
        let limit = self.manifest.limits.response_bytes;
        let read = tokio::task::spawn_blocking(move || {
            let read = |(folder, expected)| SavedCopy::read(folder, expected, began, limit);
            places.into_iter().filter_map(read).collect::<Vec<_>>()
        });
        let mut copies = read.await.unwrap_or_default();
        if let Some(before) = before {
            for copy in &mut copies {
                if let Some(saved) = &copy.document {
                    copy.differences = before.contents.differences(&saved.contents);
                }
            }
        }
        // A copy that was not just written may be from an earlier save into another folder.
        copies.retain(|copy| {
            copy.is_fresh || (copy.expected && wanted.is_none()) || (copy.expected && into_wanted)
        });
        copies.retain(|copy| copy.expected || copy.differences.is_empty());
        copies.sort_by_key(|copy| (!copy.differences.is_empty(), !copy.is_fresh));
        copies.into_iter().next()
    }

    /// The error for a server that reported success although the files differ from its draft.
    fn not_saved(&self, draft: &DraftId, copy: &SavedCopy) -> Failure {
        let folder = copy.folder.display();
        let list = listed(copy.differences.clone());
        let (what, hint) = if copy.is_fresh {
            (
                format!(
                    "{} reports that draft {draft} was saved, but {folder} lacks parts of the server's draft:\n- {list}",
                    self.base
                ),
                "the server drops clips that overlap if their length was not given: give each clip its `end` in a new \
                draft; or save again",
            )
        } else {
            (
                format!(
                    "{} reports that draft {draft} was saved, but nothing was written: {folder} still contains an earlier \
                    save, which differs:\n- {list}",
                    self.base
                ),
                "a server with a save queue may skip a draft that it saved before: restart the server and save again, \
                or use `recover_draft` with `to: \"embedded\"`",
            )
        };
        Failure::refused(Error::new(Kind::Unavailable, what).hint(hint))
    }

    /// The note for saved files that this process cannot access.
    fn not_seen(&self, stated: &Stated, no_media: bool) -> String {
        let said = stated.elsewhere.as_ref().map_or_else(String::new, |path| {
            format!(
                " (the server says that the draft is at {})",
                envelope::shown(path)
            )
        });
        let sources = if no_media {
            ""
        } else {
            "; only the sources of its media were checked"
        };
        format!(
            "this machine cannot access the files that {} wrote, so the saved draft was not checked{said}{sources}; \
            set `api.drafts_folder` in `tools.toml` to the folder where the server keeps saved drafts",
            self.base
        )
    }

    /// Waits until the server has finished the save, and returns the final status.
    async fn finished(
        &self,
        path: &str,
        named_task: Option<&str>,
        draft: &DraftId,
        until: Instant,
        progress: Option<&Progress>,
    ) -> Result<Status, Failure> {
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
                    return Ok(Status::unknown());
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

    async fn status(&self, path: &str, task: &str, until: Instant) -> Result<Status, Failure> {
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
        Ok(Status {
            state: text("status"),
            message: text("message"),
            progress: number("progress").unwrap_or_default(),
            total: number("progress").map(|_| 100.0),
            url: text("draft_url"),
        })
    }

    /// Checks that each material's file exists and has the expected type; also returns the total size in bytes.
    async fn look_at_files(
        &self,
        folder: &Path,
        materials: &[Material],
        media: &Media,
        notes: &mut Vec<String>,
    ) -> (Vec<String>, Option<u64>) {
        let looks: Vec<_> = materials
            .iter()
            .map(|material| self.look_at_file(folder, material, media))
            .collect();
        let looked: Vec<Result<Whole, String>> = futures::stream::iter(looks)
            .buffered(CONCURRENT_CHECKS)
            .collect()
            .await;
        let (mut faults, mut bytes) = (Vec::new(), 0);
        for looked in looked {
            match looked {
                Ok(whole) => {
                    bytes += whole.bytes;
                    notes.extend(whole.note);
                }
                Err(fault) => faults.push(fault),
            }
        }
        (faults, Some(bytes))
    }

    async fn look_at_file(
        &self,
        folder: &Path,
        material: &Material,
        media: &Media,
    ) -> Result<Whole, String> {
        let path = folder
            .join("assets")
            .join(material.kind)
            .join(&material.name);
        let shown = material.shown();
        let bytes = match tokio::fs::metadata(&path).await {
            Ok(meta) if meta.len() > 0 => meta.len(),
            Ok(_) => return Err(format!("{shown}: the file is empty")),
            Err(_) => return Err(format!("{shown}: the file is missing")),
        };
        // The file is in a folder that `tools.toml` names, so it is read with the user's rights for every caller.
        let ours = self.media.of(&Caller::user());
        let facts = match ours.whole(&path).await {
            Ok(facts) => facts,
            Err(error) => return Err(format!("{shown}: {}", error.message)),
        };
        if !material.fits(&facts) {
            return Err(format!("{shown}: the file has no {}", material.kind));
        }
        let Some(lasts) = material.lacks(&facts) else {
            return Ok(Whole { bytes, note: None });
        };
        // Not every format shows a truncated file, and not every server measures it: compare the size with the
        // source.
        let at_source = media.facts(&material.source).await;
        match at_source.ok().and_then(|facts| facts.bytes) {
            Some(all) if all > bytes => Err(format!(
                "{shown}: the file lasts {lasts}, because it has {bytes} of {all} bytes"
            )),
            _ => Ok(Whole {
                bytes,
                note: Some(format!(
                    "{shown} lasts {lasts}, but the draft uses it up to {}: the rest is empty",
                    material.shown_to
                )),
            }),
        }
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

/// The problems of the sources, for saved files that this process cannot access.
async fn look_at_sources(materials: &[Material], media: &Media) -> Vec<String> {
    let looks: Vec<_> = materials
        .iter()
        .map(|material| look_at_source(material, media))
        .collect();
    let looked: Vec<Option<String>> = futures::stream::iter(looks)
        .buffered(CONCURRENT_CHECKS)
        .collect()
        .await;
    looked.into_iter().flatten().collect()
}

/// Whether the server could read the material (if not, it records a length of 0), and whether this machine can read
/// the source.
async fn look_at_source(material: &Material, media: &Media) -> Option<String> {
    let shown = material.shown();
    if material.duration == Micros::ZERO {
        return Some(format!("{shown}: the server could not read it"));
    }
    if !material.source.starts_with("http://") && !material.source.starts_with("https://") {
        return None;
    }
    match media.facts(&material.source).await {
        Ok(facts) if material.fits(&facts) => None,
        Ok(_) => Some(format!("{shown}: it has no {}", material.kind)),
        // The server may reach sources that this machine cannot.
        Err(error)
            if matches!(
                error.kind,
                Kind::Media | Kind::NotFound | Kind::InvalidArgument
            ) =>
        {
            Some(format!("{shown}: {}", error.message))
        }
        Err(_) => None,
    }
}

fn report(progress: Option<&Progress>, status: &Status) {
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

/// A saved draft that this process can access.
struct SavedCopy {
    folder: PathBuf,
    document: Option<Document>,
    /// It is where the server writes.
    expected: bool,
    /// It was written since the save began.
    is_fresh: bool,
    /// Differences from the server's draft.
    differences: Vec<String>,
}

impl SavedCopy {
    /// The names of a draft's main document, by the app and its version.
    const DOCUMENTS: [&str; 2] = ["draft_info.json", "draft_content.json"];
    /// File systems round times, some to two seconds.
    const ROUNDING: Duration = Duration::from_secs(2);

    /// A draft's folder with its newest document of at most `limit` bytes.
    fn read(folder: PathBuf, expected: bool, began: SystemTime, limit: u64) -> Option<Self> {
        if !folder.is_dir() {
            return None;
        }
        let dated = |name: &&str| {
            let path = folder.join(name);
            let meta = path.metadata().ok()?;
            let fits = meta.is_file() && meta.len() <= limit;
            fits.then(|| (meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), path))
        };
        let newest = Self::DOCUMENTS.iter().filter_map(dated).max();
        let modified = newest.as_ref().map(|(modified, _)| *modified);
        let document = newest.and_then(|(_, path)| {
            let script: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
            Document::of(script)
        });
        Some(Self {
            folder,
            document,
            expected,
            is_fresh: modified.is_some_and(|modified| modified + Self::ROUNDING >= began),
            differences: Vec::new(),
        })
    }
}

/// A complete file.
struct Whole {
    bytes: u64,
    /// A note on something unusual about it.
    note: Option<String>,
}

/// A media file that the draft needs.
#[derive(Debug, PartialEq)]
struct Material {
    /// The folder below `assets`: `video`, `audio` or `image`.
    kind: &'static str,
    name: String,
    source: String,
    /// The length that the server measured at the source.
    duration: Micros,
    /// The latest position in the file that a segment uses.
    shown_to: Micros,
}

impl Material {
    fn shown(&self) -> String {
        format!("{} ({})", self.name, crate::media::shown(&self.source))
    }

    fn fits(&self, facts: &Facts) -> bool {
        match self.kind {
            "audio" => facts.has_audio,
            "image" => facts.has_picture(),
            _ => facts.has_video,
        }
    }

    /// How long the file lasts, if that is less than the part that was measured and is used.
    fn lacks(&self, facts: &Facts) -> Option<Micros> {
        let said = self.duration.min(self.shown_to);
        facts.lasts_less(said).filter(|_| self.kind != "image")
    }
}

/// The materials with the lengths and uses of the saved document: the server measures them when it saves.
fn measured(mut all: Vec<Material>, saved: &Value) -> Vec<Material> {
    let saved = materials(saved);
    for material in &mut all {
        let same = |other: &&Material| other.kind == material.kind && other.name == material.name;
        if let Some(other) = saved.iter().find(same) {
            material.duration = other.duration;
            material.shown_to = other.shown_to;
        }
    }
    all
}

/// The materials that segments use; the reference server never removes unused ones.
fn materials(script: &Value) -> Vec<Material> {
    let list = |name: &str| {
        script["materials"][name]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let mut used: HashMap<&str, Micros> = HashMap::new();
    let tracks = script["tracks"].as_array().into_iter().flatten();
    for segment in tracks.flat_map(|track| track["segments"].as_array().into_iter().flatten()) {
        let Some(id) = segment["material_id"].as_str() else {
            continue;
        };
        let range = &segment["source_timerange"];
        let number = |key: &str| range[key].as_f64().unwrap_or_default() as i64;
        let end = Micros(number("start").saturating_add(number("duration")));
        let shown_to = used.entry(id).or_default();
        *shown_to = end.max(*shown_to);
    }
    let text = |material: &Value, keys: &[&str]| {
        keys.iter()
            .filter_map(|key| material[*key].as_str())
            .find(|text| !text.is_empty())
            .unwrap_or_default()
            .to_owned()
    };
    let mut all = Vec::new();
    for (name, kind) in [("videos", "video"), ("audios", "audio")] {
        for material in list(name) {
            let Some(shown_to) = material["id"].as_str().and_then(|id| used.get(id)) else {
                continue;
            };
            let kind = if material["type"] == "photo" {
                "image"
            } else {
                kind
            };
            all.push(Material {
                kind,
                name: text(&material, &["material_name", "name"]),
                source: text(&material, &["remote_url", "path"]),
                duration: Micros(material["duration"].as_f64().unwrap_or_default() as i64),
                shown_to: *shown_to,
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn materials_lists_only_those_that_segments_use() {
        let script = json!({
            "materials": {
                "videos": [
                    { "id": "1", "material_name": "video_a.mp4", "remote_url": "http://h/a?k=1", "type": "video", "duration": 5 },
                    { "id": "2", "material_name": "image_b.png", "remote_url": "http://h/b", "type": "photo", "duration": 9 },
                    { "id": "3", "material_name": "video_unused.mp4", "remote_url": "http://h/c", "type": "video" },
                ],
                "audios": [{ "id": "4", "name": "audio_d.mp3", "remote_url": "http://h/d", "duration": 0 }],
            },
            "tracks": [{ "segments": [
                { "material_id": "1", "source_timerange": { "start": 1, "duration": 3 } },
                { "material_id": "1", "source_timerange": { "start": 0, "duration": 2 } },
                { "material_id": "2" }, { "material_id": "4" },
            ] }],
        });
        let found = materials(&script);
        let names: Vec<_> = found
            .iter()
            .map(|m| (m.kind, m.name.as_str(), m.duration.0, m.shown_to.0))
            .collect();
        assert_eq!(
            names,
            [
                ("video", "video_a.mp4", 5, 4),
                ("image", "image_b.png", 9, 0),
                ("audio", "audio_d.mp3", 0, 0)
            ]
        );
        assert!(!found[0].shown().contains("k=1"), "{}", found[0].shown());
    }
}
