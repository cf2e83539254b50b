//! What a saved draft of a server is worth: it says success whatever happened, so the task is asked
//! after, and the files are looked at where they can be reached.

mod after;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use hyper::Method;
use serde_json::{Value, json};

use super::dialect::Server;
use super::remote::{Ask, Remote};
use super::{Failure, Reached};
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::envelope::Opened;
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

/// What a status says of the work.
#[derive(Debug)]
struct Status {
    state: String,
    message: String,
    progress: f64,
    total: Option<f64>,
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
            return self.save(ask, status_path, request, server, progress).await;
        };
        let name = journal.find(draft).await?.map(|row| row.name);
        let name = name.filter(|name| !name.is_empty());
        let after = After::new(self, server, request, name)?;
        let body = ask
            .body
            .map(|body| after::sent(body, &request.call().caller));
        let ask = Ask {
            method: ask.method.clone(),
            body: body.as_ref(),
            ..*ask
        };
        let saving = self.save(&ask, status_path, request, server, progress);
        let mut opened = saving.await?;
        if let Some(after) = after {
            let script = self
                .insist(ask.until, || self.script(draft, ask.until))
                .await?;
            after.carry_out(self, server, script, &mut opened).await?;
        }
        Ok(opened)
    }

    /// Saves, and gives the server's answer with what was found out beside it.
    pub(super) async fn save(
        &self,
        ask: &Ask<'_>,
        status_path: &str,
        request: &dyn Request,
        server: &Server,
        progress: Option<&Progress>,
    ) -> Result<Opened, Failure> {
        let Some(draft) = request.draft() else {
            let output = self.output(ask).await?;
            return Ok(Opened {
                output,
                beside: Object::new(),
            });
        };
        let every = manifest::seconds(self.manifest.limits.status_every_s);
        let posted = self.opened(ask);
        tokio::pin!(posted);
        let mut opened: Opened = loop {
            tokio::select! {
                opened = &mut posted => break opened?,
                () = tokio::time::sleep(every), if progress.is_some() => {
                    if let Ok(status) = self.status(status_path, draft.as_str(), ask.until).await {
                        report(progress, &status);
                    }
                }
            }
        };
        if server.dialect.is_truthful() {
            return Ok(opened);
        }
        let output = &opened.output;
        if output.get("success") == Some(&Value::Bool(false)) {
            let what = format!("{} did not save draft {draft}", self.base);
            return Err(Failure::refused(Error::new(Kind::Unavailable, what)));
        }
        let task = output["task_id"]
            .as_str()
            .unwrap_or(draft.as_str())
            .to_owned();
        let status = self
            .finished(status_path, &task, draft, ask.until, every, progress)
            .await?;

        let wanted = ask
            .body
            .and_then(|body| body.get("draft_folder"))
            .and_then(Value::as_str);
        let mut notes: Vec<String> = Vec::new();
        let zip = Path::new(&status.message);
        if zip.is_absolute() && zip.is_file() {
            notes.push(format!("saved as {}", zip.display()));
        }
        let script = self
            .insist(ask.until, || self.script(draft, ask.until))
            .await?;
        let materials = materials(&script);
        let media = self.media.of(&request.call().caller);
        let folder = self.folder(draft, wanted, server);
        let (faults, bytes) = if let Some(folder) = &folder {
            self.look_at_files(folder, &materials, &media, &mut notes)
                .await
        } else {
            if !materials.is_empty() {
                notes.push(format!(
                    "the files that {} wrote cannot be seen from here, so only their sources were checked; \
                     `api.drafts_folder` in `tools.toml` says where it keeps saved drafts",
                    self.base
                ));
            }
            (look_at_sources(&materials, &media).await, None)
        };
        if !faults.is_empty() {
            let more = faults.len().saturating_sub(NAMED);
            let mut list: Vec<String> = faults.into_iter().take(NAMED).collect();
            if more > 0 {
                list.push(format!("and {more} more"));
            }
            let list = list.join("\n- ");
            let what = format!(
                "{} says that draft {draft} was saved, but it is not whole:\n- {list}",
                self.base
            );
            return Err(Failure::refused(Error::media(what).hint(
                "mend these sources, then save again; or `recover_draft` with `to: \"embedded\"`",
            )));
        }
        let elsewhere = wanted.filter(|wanted| {
            let lies_there = |folder: &PathBuf| folder.starts_with(wanted);
            !folder.as_ref().is_some_and(lies_there)
        });
        if let Some(wanted) = elsewhere {
            notes.push(format!(
                "this server does not write into {wanted:?}: the folder {draft} has to be moved there from where the server keeps it"
            ));
        }
        if let Some(folder) = &folder {
            let stays = elsewhere.is_none();
            notes.extend(self.judge(folder.clone(), server.edition, stays).await);
        }
        let mut added = Object::new();
        added.insert("files".to_owned(), json!(materials.len()));
        if let Some(folder) = folder {
            added.insert("folder".to_owned(), json!(folder.display().to_string()));
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

    /// Waits until the server has ended the work, and tells how it ended.
    async fn finished(
        &self,
        path: &str,
        task: &str,
        draft: &DraftId,
        until: Instant,
        every: Duration,
        progress: Option<&Progress>,
    ) -> Result<Status, Failure> {
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
            let status = status.map_err(unclear)?;
            match status.state.as_str() {
                "completed" => return Ok(status),
                "failed" => {
                    let what = format!(
                        "{} failed to save draft {draft}: {}",
                        self.base, status.message
                    );
                    let error = Error::new(Kind::Unavailable, what)
                        .hint("the server's own log says more; save again");
                    return Err(self.known_loss(Some(draft), Failure::refused(error)));
                }
                _ if Instant::now() + every >= until => {
                    let what = format!(
                        "{} is still saving draft {draft}: {} ({} %)",
                        self.base, status.message, status.progress
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
        })
    }

    /// The folder that the server wrote, if it can be reached from here.
    fn folder(&self, draft: &DraftId, wanted: Option<&str>, server: &Server) -> Option<PathBuf> {
        let own =
            Some(self.manifest.api.drafts_folder.as_str()).filter(|folder| !folder.is_empty());
        let wanted = wanted.filter(|_| server.dialect.saves_into_draft_folder());
        [wanted, own]
            .into_iter()
            .flatten()
            .map(|folder| Path::new(folder).join(draft.as_str()))
            .find(|folder| folder.is_dir())
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
            message: status.message.clone(),
            bytes: None,
        });
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
