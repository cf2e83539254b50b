//! Finds drafts by what people call them: an id, a folder, a document, or the exact name of a draft in an app's folder.

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
use crate::engine::registry;
use crate::error::{Error, Result, shortened};
use crate::exec::{App, Context};
use crate::journal::{self, ENGINE};
use crate::lint;
use crate::settings::{BackendChoice, Settings};
use crate::tools;
use crate::units::Edition;

/// The file in which the app keeps a draft's name.
const META: &str = "draft_meta_info.json";
/// Maximum size of that file in bytes.
const META_BYTES: u64 = 64 << 20;

/// The folder or document of a draft that a caller names.
pub(crate) async fn locate(app: &App, caller: &Caller, draft: &str) -> Result<PathBuf> {
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
    let roots = roots(&app.settings);
    let own = named.to_owned();
    let (hits, near) = tokio::task::spawn_blocking(move || find(&roots, &own))
        .await
        .map_err(|error| Error::internal("the drafts could not be listed").source(error))?;
    let mut readable = Vec::new();
    for hit in hits {
        let shown = hit.display().to_string();
        if caller.access.may_read(&hit, &shown).await.is_ok() {
            readable.push(hit);
        }
    }
    match &readable[..] {
        [found] => Ok(found.clone()),
        [] => {
            let error = Error::not_found(format!(
                "`draft`: there is no draft {:?} in the drafts folders of the apps",
                shortened(named)
            ));
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
                .map(|folder| folder.display().to_string())
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

/// The folders in which the apps keep drafts.
fn roots(settings: &Settings) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = Vec::new();
    for edition in Edition::ALL {
        let found = registry::find(settings.drafts_dirs(edition));
        roots.extend(found.filter(|found| !roots.contains(found)));
    }
    roots
}

/// The folders of drafts with this name, and the names most similar to it. The name of a folder counts before the
/// name that the app shows.
fn find(roots: &[PathBuf], name: &str) -> (Vec<PathBuf>, Vec<String>) {
    let wanted = normalized(name);
    let mut by_folder = Vec::new();
    let mut by_name = Vec::new();
    let mut names = Vec::new();
    for folder in roots.iter().flat_map(|root| folders(root)) {
        let own = folder.file_name().unwrap_or_default().to_string_lossy();
        let shown = shown_name(&folder);
        if normalized(&own) == wanted {
            by_folder.push(folder.clone());
        } else if shown.as_deref().map(normalized).as_ref() == Some(&wanted) {
            by_name.push(folder.clone());
        }
        names.push(own.into_owned());
        names.extend(shown);
    }
    let hits = if by_folder.is_empty() {
        by_name
    } else {
        by_folder
    };
    let mut near: Vec<(usize, String)> = names
        .into_iter()
        .map(|name| (strsim::osa_distance(&wanted, &normalized(&name)), name))
        .collect();
    near.sort();
    near.dedup();
    let near = near.into_iter().take(3).map(|(_, name)| name).collect();
    (hits, near)
}

/// The draft folders in a drafts folder.
fn folders(root: &Path) -> Vec<PathBuf> {
    let is_draft = |folder: &PathBuf| lint::entry(folder).is_some();
    fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(is_draft)
        .collect()
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
    match locate(app, caller, draft).await {
        Ok(found) => Ok(NamedDraft::OnDisk(found)),
        Err(error) if id.looks_made() => Err(journal::unknown(&id).source(error)),
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
) -> Result<(Document, Option<PathBuf>)> {
    match draft {
        NamedDraft::Known(id) => {
            let id = app.current(id).await?;
            let row = app.journal.find(&id).await?;
            if row.is_some_and(|row| row.origin != ENGINE) {
                let context = Context::of(&Caller::user());
                let script = script(app, id.as_str(), &context).await?;
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
