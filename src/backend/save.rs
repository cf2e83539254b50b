//! What a saved draft of a server is worth: it says success whatever happened, so the task is asked
//! after, and the files are looked at where they can be reached.

mod after;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use hyper::Method;
use serde_json::{Value, json};

use super::dialect::{Dialect, Server};
use super::remote::{Ask, Remote};
use super::{Failure, Reached};
use crate::args::is_truthy;
use crate::caller::{Caller, Manner};
use crate::draft::evidence::Contents;
use crate::draft::ids::DraftId;
use crate::envelope::{self, Opened};
use crate::error::{Error, Kind};
use crate::journal::Journal;
use crate::manifest;
use crate::media::{Facts, Media};
use crate::progress::{Progress, Step};
use crate::tools::{Object, Request};
use crate::units::Micros;
use after::After;

/// Files looked at side by side.
const AT_ONCE: usize = 8;
/// How many faults one error names.
const NAMED: usize = 20;
/// How often a saved draft is looked at until a server that saves in a queue has written it.
const SETTLES: usize = 20;

/// What a status says of the work.
#[derive(Debug)]
struct Status {
    state: String,
    message: String,
    progress: f64,
    total: Option<f64>,
    /// Where the draft is, on servers that say so.
    url: String,
}

/// A draft's document, and what it has.
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

/// Where a save went, as far as the server says so.
#[derive(Default)]
struct Stated {
    folder: Option<PathBuf>,
    zip: Option<PathBuf>,
    /// A path that is not one of this machine, or cannot be seen from here.
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
                // CapCutAPI 1.1.0 names the archive, which lies beside the folder.
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
    /// Of a server that answers when it is done, and says no more.
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
    /// Saves, and does afterwards what the server does not do.
    pub(super) async fn save_as_wanted(
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
                .insist(ask.until, || self.script(draft, ask.until))
                .await?;
            after.carry_out(self, server, script, &mut opened).await?;
        } else if let Some(name) = name
            && request.call().caller.manner.is_strict()
            && let Some(Value::Array(notes)) = opened.beside.get_mut("notes")
        {
            notes.push(json!(unnamed(server, draft, &name)));
        }
        Ok(opened)
    }

    /// Saves, and gives the server's answer with what was found out beside it. The draft is compared twice: before,
    /// the server's document with the journal; afterwards the saved document with the server's. Unless it `is_all`,
    /// the draft is saved once more from what the server wrote, and only that save is mended and reported.
    #[expect(
        clippy::too_many_arguments,
        reason = "all that a call has, and whether more follows"
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

        // A server that saves in a queue may still tell of the save before this one.
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
        // Acknowledged in the API's dialect, in which a server drops them where no clip is.
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
                    "{folder} has no document that can be read, so what is on its tracks was not checked"
                ));
            }
            (None, _) => {}
        }
        let folder = copy.map(|copy| copy.folder);
        if !faults.is_empty() {
            let list = listed(faults);
            let what = format!(
                "{} says that draft {draft} was saved, but it is not whole:\n- {list}",
                self.base
            );
            return Err(Failure::refused(Error::media(what).hint(
                "mend these sources, then save again; or `recover_draft` with `to: \"embedded\"`",
            )));
        }
        if !dropped.is_empty() {
            notes.push(format!(
                "the server dropped keyframes, as it does where no clip is:\n- {}",
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
                "`auto_deploy` was not carried out: {} does not know it",
                server.dialect.name()
            ));
        }
        let elsewhere = wanted.filter(|wanted| {
            let lies_there = |folder: &PathBuf| folder.starts_with(wanted);
            !folder.as_ref().is_some_and(lies_there)
        });
        if let Some(wanted) = elsewhere
            && is_all
            && !server.dialect.saves_into_draft_folder()
        {
            notes.push(format!(
                "this server does not write into {wanted:?}: the folder {draft} has to be moved there from where the server keeps it"
            ));
        }
        if let Some(folder) = folder.as_ref().filter(|_| is_all) {
            let stays = elsewhere.is_none();
            notes.extend(self.judge(folder.clone(), server.edition, stays).await);
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

    /// Sends the save, and reports meanwhile how far the server is.
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

    /// Whether the saved files are likely to be seen from here.
    fn may_be_seen(&self, wanted: Option<&str>, server: &Server) -> bool {
        let own = !self.manifest.api.drafts_folder.is_empty();
        match wanted {
            Some(wanted) if server.dialect.saves_into_draft_folder() => Path::new(wanted).is_dir(),
            _ => own,
        }
    }

    /// The one question before a save: whether the server still has all that was acknowledged. Where the saved
    /// files will not be seen, or lengths are unknown, the server is made to look at its media first, because
    /// only then does its document show what it cannot read and what it crowds out.
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
        // Of a draft that is not in the journal it is not known.
        let (media, open_ends) = known.await.unwrap_or((true, false));
        let refreshed = media && (open_ends || !may_be_seen);
        let asked = match self.document(draft, refreshed, until).await {
            Err(failure) if failure.reached == Reached::Never => return Err(failure),
            Err(failure) if failure.reached != Reached::Forgotten => {
                self.insist(until, || self.document(draft, refreshed, until))
                    .await
            }
            ended => ended,
        };
        let script = match asked {
            Ok(script) => script,
            Err(failure) if failure.reached == Reached::Forgotten => return Err(failure),
            Err(failure) => {
                notes.push(format!(
                    "what the server has was not checked before the save: {}",
                    failure.error.message
                ));
                return Ok(None);
            }
        };
        let Some(document) = Document::of(script) else {
            notes.push(
                "what the server has was not checked before the save: its document has no tracks"
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
                "what the server has was not checked against the journal: {}",
                error.message
            )),
        }
        Ok(Some(document))
    }

    /// The saved draft, of all places where it may be the one that was just written and is as it should be.
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
        // What lies in the server's own folder is an old save if this one went elsewhere.
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
        // One that was not written now may be of an earlier save into another folder.
        copies.retain(|copy| {
            copy.is_fresh || (copy.expected && wanted.is_none()) || (copy.expected && into_wanted)
        });
        copies.retain(|copy| copy.expected || copy.differences.is_empty());
        copies.sort_by_key(|copy| (!copy.differences.is_empty(), !copy.is_fresh));
        copies.into_iter().next()
    }

    /// The server said success, and what it wrote is not what it had.
    fn not_saved(&self, draft: &DraftId, copy: &SavedCopy) -> Failure {
        let folder = copy.folder.display();
        let list = listed(copy.differences.clone());
        let (what, hint) = if copy.is_fresh {
            (
                format!(
                    "{} says that draft {draft} was saved, but {folder} lacks what the server had:\n- {list}",
                    self.base
                ),
                "clips whose length was not given are dropped where they overlap: give each its `end` in a new draft; \
                 or save again",
            )
        } else {
            (
                format!(
                    "{} says that draft {draft} was saved, but nothing was written: {folder} still holds an earlier \
                     save, which differs:\n- {list}",
                    self.base
                ),
                "a server with a save queue may skip a draft that it saved before: save again after a restart of the \
                 server, or use `recover_draft` with `to: \"embedded\"`",
            )
        };
        Failure::refused(Error::new(Kind::Unavailable, what).hint(hint))
    }

    /// What is said where the saved files cannot be seen.
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
            "; only the sources of its media were"
        };
        format!(
            "what {} wrote cannot be seen from here, so the saved draft was not checked{said}{sources}; \
             `api.drafts_folder` in `tools.toml` says where the server keeps saved drafts",
            self.base
        )
    }

    /// Waits until the server has ended the work, and tells how it ended.
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
                    "{} took the save of draft {draft}, but does not say what came of it",
                    self.base
                ),
            )
            .hint("call `query_draft_status` later, or save again")
            .source(failure.error),
            ..failure
        };
        loop {
            let status = self.insist(until, || self.status(path, task, until)).await;
            let status = match status {
                // The save was answered when it was done, and there is nothing to ask after.
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
                        .hint("the server's own log says more; save again");
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

    /// Asks again, as the policy for what broke off says, when there was no answer or none of use: reading
    /// twice does no harm, and the save is done.
    async fn insist<T, F: Future<Output = Result<T, Failure>>>(
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
                    tracing::info!("asking again: {}", failure.error.message);
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

    /// Whether each material's file is there and is what it claims to be; and how large they are.
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
            .buffered(AT_ONCE)
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
        // The server wrote it where `tools.toml` says; this is read for every caller.
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
        // Not every format tells its end, and not every server measures it: the source knows.
        let at_source = media.facts(&material.source).await;
        match at_source.ok().and_then(|facts| facts.bytes) {
            Some(all) if all > bytes => Err(format!(
                "{shown}: the file lasts {lasts}, for it has {bytes} of {all} bytes"
            )),
            _ => Ok(Whole {
                bytes,
                note: Some(format!(
                    "{shown} lasts {lasts}, and the draft shows it to {}: the rest is empty",
                    material.shown_to
                )),
            }),
        }
    }
}

/// What is said of a draft that has a name, where it could not be given to the saved folder.
fn unnamed(server: &Server, draft: &DraftId, name: &str) -> String {
    format!(
        "the saved folder is named {draft} and not {name:?}: {} names it so, and it cannot be reached from here to be named \
         otherwise; `api.drafts_folder` in `tools.toml` says where the server keeps saved drafts",
        server.dialect.name()
    )
}

/// What is wrong with the sources, where the files cannot be seen.
async fn look_at_sources(materials: &[Material], media: &Media) -> Vec<String> {
    let looks: Vec<_> = materials
        .iter()
        .map(|material| look_at_source(material, media))
        .collect();
    let looked: Vec<Option<String>> = futures::stream::iter(looks)
        .buffered(AT_ONCE)
        .collect()
        .await;
    looked.into_iter().flatten().collect()
}

/// Whether the server could read the material (it notes a length of 0 where it could not), and
/// whether its source can be read from here.
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
        // What this machine cannot reach the server may.
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

/// A saved draft that is seen from here.
struct SavedCopy {
    folder: PathBuf,
    document: Option<Document>,
    /// It lies where the server writes.
    expected: bool,
    /// It was written since the save began.
    is_fresh: bool,
    /// From what the server had.
    differences: Vec<String>,
}

impl SavedCopy {
    /// The names of a draft's main document, by the app and its version.
    const DOCUMENTS: [&str; 2] = ["draft_info.json", "draft_content.json"];
    /// File systems round times, some to two seconds.
    const ROUNDING: Duration = Duration::from_secs(2);

    /// A draft's folder with its newest document, of `limit` bytes at most.
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

/// A file that is there to its end.
struct Whole {
    bytes: u64,
    /// What is odd about it all the same.
    note: Option<String>,
}

/// A media file that the draft needs.
#[derive(Debug, PartialEq)]
struct Material {
    /// The folder below `assets`: `video`, `audio` or `image`.
    kind: &'static str,
    name: String,
    source: String,
    /// As the server measured it at its source.
    duration: Micros,
    /// How far into it segments go.
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

    /// How long the file lasts, if that is less than was measured and is shown.
    fn lacks(&self, facts: &Facts) -> Option<Micros> {
        let said = self.duration.min(self.shown_to);
        facts.lasts_less(said).filter(|_| self.kind != "image")
    }
}

/// The materials with their lengths and uses as a saved document has them: the server learned them for it.
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

/// The materials that segments use; the reference server never removes one that none uses.
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
    fn the_materials_that_are_used_are_looked_at() {
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
