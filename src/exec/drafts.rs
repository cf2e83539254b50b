//! Finds drafts by what people call them: an id, a folder, a document, or the exact name of a draft in an app's folder.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capcut_draft::{Dialect, Document};
use icu_normalizer::ComposingNormalizerBorrowed;
use serde_json::Value;

use crate::args::Object;
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::engine::documents::document_error;
use crate::engine::draft_files::META;
use crate::engine::registry;
use crate::error::{Error, Result, shortened};
use crate::exec::{App, Context};
use crate::journal::{self, ENGINE};
use crate::lint;
use crate::settings::{BackendChoice, Settings};
use crate::tools;
use crate::units::Edition;

/// Maximum size of the file with a draft's name, in bytes.
const META_BYTES: u64 = 64 << 20;

/// The most names that an error suggests.
const SUGGESTED: usize = 3;
/// How many drafts of the journal are compared with a name.
const COMPARED: usize = 1000;

/// A draft in an app's folder.
#[derive(Debug, PartialEq)]
pub(crate) struct AppDraft {
    /// As the app shows it.
    pub name: String,
    pub folder: PathBuf,
    /// The app whose folder it is in; `None` if both use it.
    pub edition: Option<Edition>,
    /// When its document last changed, in seconds since 1970.
    pub modified: u64,
}

/// The folder or document of a draft that a caller names.
pub(crate) async fn locate(app: &App, caller: &Caller, draft: &str) -> Result<PathBuf> {
    find(app, caller, draft, &[]).await
}

/// As [`locate`]; further names that the caller may have meant are suggested as well.
async fn find(app: &App, caller: &Caller, draft: &str, others: &[String]) -> Result<PathBuf> {
    let named = draft.trim();
    if named.is_empty() {
        return Err(Error::invalid("`draft` is empty")
            .hint("give the folder of a draft, its document, or the draft's exact name"));
    }
    let path = Path::new(named);
    if path.is_absolute() {
        caller.access.may_read(path, named).await?;
        return Ok(path.to_owned());
    }
    let drafts = in_apps(app, caller).await?;
    let hits = of_name(&drafts, named);
    match &hits[..] {
        [found] => Ok(found.folder.clone()),
        [] => {
            let error = Error::not_found(format!(
                "`draft`: there is no draft {:?} {}in the drafts folders of the apps",
                shortened(named),
                if others.is_empty() { "" } else { "here or " }
            ));
            let names = drafts.iter().flat_map(AppDraft::names);
            let near = nearest(named, names.chain(others.iter().cloned()), usize::MAX);
            Err(if near.is_empty() || !caller.sees_other_drafts() {
                error.hint(
                    "give the absolute path of the draft's folder; `list_drafts` shows the drafts",
                )
            } else {
                let near: Vec<String> = near.iter().map(|name| format!("{name:?}")).collect();
                error.hint(format!("did you mean {}?", near.join(", ")))
            })
        }
        several => {
            let folders: Vec<String> = several
                .iter()
                .map(|found| found.folder.display().to_string())
                .collect();
            Err(Error::conflict(format!(
                "{} drafts have the name {named:?}: {}",
                folders.len(),
                folders.join(", ")
            ))
            .hint("give the folder of the one that you mean"))
        }
    }
}

impl AppDraft {
    /// The name of its folder, and the name that the app shows.
    fn names(&self) -> impl Iterator<Item = String> {
        let folder = self.folder.file_name().unwrap_or_default();
        [folder.to_string_lossy().into_owned(), self.name.clone()].into_iter()
    }
}

/// The drafts in the apps' folders that a caller may read.
pub(crate) async fn in_apps(app: &App, caller: &Caller) -> Result<Vec<AppDraft>> {
    let roots = roots(&app.settings);
    let listed = tokio::task::spawn_blocking(move || {
        let folders = roots.iter().flat_map(|(root, edition)| {
            let drafts = fs::read_dir(root).into_iter().flatten().flatten();
            drafts.filter_map(|entry| app_draft(&entry.path(), *edition))
        });
        folders.collect::<Vec<_>>()
    });
    let listed = listed
        .await
        .map_err(|error| Error::internal("the drafts could not be listed").source(error))?;
    let mut readable = Vec::with_capacity(listed.len());
    for draft in listed {
        let shown = draft.folder.display().to_string();
        if caller.access.may_read(&draft.folder, &shown).await.is_ok() {
            readable.push(draft);
        }
    }
    Ok(readable)
}

/// The drafts with this name. The name of a folder counts before the name that the app shows.
fn of_name<'d>(drafts: &'d [AppDraft], name: &str) -> Vec<&'d AppDraft> {
    let wanted = normalized(name);
    let with = |name: fn(&AppDraft) -> String| {
        let hits = drafts
            .iter()
            .filter(|draft| normalized(&name(draft)) == wanted);
        hits.collect::<Vec<_>>()
    };
    let by_folder = with(|draft| draft.names().next().unwrap_or_default());
    if by_folder.is_empty() {
        with(|draft| draft.name.clone())
    } else {
        by_folder
    }
}

/// The names most similar to a name, at most this many changes of letters away.
fn nearest(name: &str, names: impl Iterator<Item = String>, farthest: usize) -> Vec<String> {
    let wanted = normalized(name);
    let mut near: Vec<(usize, String)> = names
        .map(|name| (strsim::osa_distance(&wanted, &normalized(&name)), name))
        .filter(|(distance, _)| *distance <= farthest)
        .collect();
    near.sort();
    near.dedup();
    near.into_iter()
        .take(SUGGESTED)
        .map(|(_, name)| name)
        .collect()
}

/// What to do if a name that is no draft here is a draft of an app, or nearly one.
pub(super) async fn hint_of_apps(app: &App, caller: &Caller, named: &str) -> Option<String> {
    let named = named.trim();
    let drafts = in_apps(app, caller).await.ok()?;
    if let Some(found) = of_name(&drafts, named).first() {
        return Some(format!(
            "the app has a draft {:?}: open it with `open_draft`, and use the `draft_id` of the reply",
            found.name
        ));
    }
    let names = drafts.iter().flat_map(AppDraft::names);
    let near = nearest(named, names, 1 + named.chars().count() / 4);
    let near: Vec<String> = near.iter().map(|name| format!("{name:?}")).collect();
    (!near.is_empty()).then(|| {
        format!(
            "did you mean {}, which `open_draft` opens?",
            near.join(", ")
        )
    })
}

/// The folders in which the apps keep drafts.
fn roots(settings: &Settings) -> Vec<(PathBuf, Option<Edition>)> {
    let mut roots: Vec<(PathBuf, Option<Edition>)> = Vec::new();
    for edition in Edition::ALL {
        let Some(found) = registry::find(settings.drafts_dirs(edition)) else {
            continue;
        };
        match roots.iter_mut().find(|(root, _)| *root == found) {
            Some((_, edition)) => *edition = None,
            None => roots.push((found, Some(edition))),
        }
    }
    roots
}

fn app_draft(folder: &Path, edition: Option<Edition>) -> Option<AppDraft> {
    let entry = lint::entry(folder)?;
    Some(AppDraft {
        name: shown_name(folder).unwrap_or(entry.name),
        folder: entry.path,
        edition,
        modified: entry.modified,
    })
}

/// Composed characters, as macOS may decompose those of file names.
fn normalized(name: &str) -> String {
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    nfc.normalize(name.trim()).to_string()
}

/// The name that the app shows for a draft.
fn shown_name(folder: &Path) -> Option<String> {
    let path = folder.join(META);
    let bytes =
        crate::regular_file::read(&path, META_BYTES, crate::regular_file::Links::Refuse).ok()?;
    let meta: Value = serde_json::from_slice(&bytes).ok()?;
    let name = meta["draft_name"].as_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// A draft that the engine edits.
pub(crate) struct EditableDraft {
    pub id: DraftId,
    /// What the caller should know if the draft was moved for the edit.
    pub note: Option<String>,
}

/// The draft, in the engine of this process. A draft on a server is moved there, as servers cannot edit.
pub(crate) async fn editable(
    app: &Arc<App>,
    draft: &DraftId,
    tool: &str,
    context: &Context,
) -> Result<EditableDraft> {
    let draft = app.current(draft).await?;
    let Some(row) = app.journal.find(&draft).await? else {
        return Err(journal::unknown(&draft));
    };
    row.takes_calls()?;
    if app.settings.backend == BackendChoice::Remote {
        return Err(Error::conflict(format!(
            "`{tool}` runs on the embedded engine, and `--backend remote` allows only a server"
        ))
        .at_shell("use `--backend auto`"));
    }
    if row.origin == ENGINE {
        return Ok(EditableDraft {
            id: draft,
            note: None,
        });
    }
    let moved = app
        .recover(&draft, BackendChoice::Embedded, context)
        .await?;
    let note = format!(
        "the server at {} cannot do this: draft {draft} continues here as {}; other clients of the server keep the server's copy",
        row.origin, moved.draft
    );
    Ok(EditableDraft {
        id: moved.draft,
        note: Some(note),
    })
}

/// A draft that a caller names.
pub(crate) enum NamedDraft {
    /// In the journal.
    Known(DraftId),
    /// A folder or a document.
    OnDisk(PathBuf),
}

impl fmt::Display for NamedDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(id) => id.fmt(f),
            Self::OnDisk(path) => path.display().fmt(f),
        }
    }
}

/// Finds a draft by its id, its name, its folder or its document; relative paths start in the working directory.
pub(crate) async fn named(app: &App, caller: &Caller, draft: &str) -> Result<NamedDraft> {
    let path = Path::new(draft);
    let is_known = known(app, caller, draft).await?.is_some();
    if !is_known
        && path.exists()
        && let Ok(path) = std::path::absolute(path)
    {
        return Ok(NamedDraft::OnDisk(path));
    }
    any(app, caller, draft).await
}

/// Finds a draft by its id, its name, or what `open_draft` takes.
pub(crate) async fn any(app: &App, caller: &Caller, draft: &str) -> Result<NamedDraft> {
    if let Some(id) = known(app, caller, draft).await? {
        return Ok(NamedDraft::Known(id));
    }
    let id = DraftId(draft.trim().to_owned());
    let mut others = Vec::new();
    if caller.sees_other_drafts() {
        let rows = app.journal.list(false, COMPARED, None).await?;
        others.extend(rows.into_iter().map(|row| row.name));
        others.retain(|name| !name.is_empty());
    }
    match find(app, caller, draft, &others).await {
        Ok(found) => Ok(NamedDraft::OnDisk(found)),
        Err(_) if id.looks_made() => {
            let error = journal::unknown(&id);
            Err(app.with_nearest(error, Some(&id), caller).await)
        }
        Err(error) => Err(error),
    }
}

/// The draft of the journal with this id or name.
async fn known(app: &App, caller: &Caller, draft: &str) -> Result<Option<DraftId>> {
    let id = app.named_draft(draft.trim(), caller).await?;
    Ok(app.journal.find(&id).await?.map(|_| id))
}

/// The document of a draft, and the draft's folder if it is on disk.
pub(crate) async fn document_of(
    app: &Arc<App>,
    draft: &NamedDraft,
    context: &Context,
) -> Result<(Document, Option<PathBuf>)> {
    match draft {
        NamedDraft::Known(id) => {
            let id = app.current(id).await?;
            let row = app.journal.find(&id).await?;
            if row.is_some_and(|row| row.origin != ENGINE) {
                let script = script(app, id.as_str(), context).await?;
                let mut document = Document::parse(script.into_bytes()).map_err(document_error)?;
                document.set_dialect(Dialect::Api);
                return Ok((document, None));
            }
            let opened = app.engine.opened(&id).await?;
            let document = app.engine.inspect(&id, Document::clone).await?;
            Ok((document, opened.and_then(|opened| opened.folder.clone())))
        }
        NamedDraft::OnDisk(path) => {
            let opened = lint::open(path)?;
            let document = Document::parse(opened.text).map_err(document_error)?;
            Ok((document, opened.folder))
        }
    }
}

/// The working document of a draft as text, from any backend.
pub(crate) async fn script(app: &Arc<App>, draft: &str, context: &Context) -> Result<String> {
    let spec =
        tools::routed("query_script").ok_or_else(|| Error::internal("no tool reads a draft"))?;
    let mut arguments = Object::new();
    arguments.insert("draft_id".into(), draft.into());
    let context = Context {
        cancel: context.cancel.clone(),
        ..Context::of(&context.caller)
    };
    let request = spec.decode(arguments, &context.caller)?;
    match app.run(request, context).await?.get_mut("script") {
        Some(Value::String(script)) => Ok(std::mem::take(script)),
        _ => Err(Error::internal("the reply has no document")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Allowed, From, Manner};
    use crate::exec::testing::app_with;
    use crate::settings::Given;

    #[tokio::test]
    async fn callers_see_only_drafts_in_folders_that_they_may_read() {
        let root = tempfile::tempdir().unwrap();
        let trip = root.path().join("Trip");
        fs::create_dir(&trip).unwrap();
        fs::write(trip.join("draft_info.json"), "{}").unwrap();
        let given = Given {
            drafts_dir: Some(root.path().to_owned()),
            ..Given::default()
        };
        let app = app_with(given, |_| {});
        let seen = async |caller: &Caller| -> Vec<String> {
            let drafts = in_apps(&app, caller).await.unwrap();
            drafts.into_iter().map(|draft| draft.name).collect()
        };
        assert_eq!(seen(&Caller::user()).await, ["Trip"]);
        let client = |folders: Vec<PathBuf>| {
            let allowed = Arc::new(Allowed::new([], folders));
            Caller::client(Manner::Strict, From::Here, &allowed)
        };
        assert!(seen(&client(Vec::new())).await.is_empty());
        assert_eq!(seen(&client(vec![root.path().to_owned()])).await, ["Trip"]);
        // Names are for callers that see all drafts.
        let error = any(&app, &client(Vec::new()), "Trip").await.err().unwrap();
        assert!(!error.to_string().contains("did you mean"), "{error}");
    }
}
