//! Fixes what can be fixed safely: no visible or audible content is lost, the original of every changed file is
//! kept, and a second run changes nothing.

mod captions;
mod document;
mod meta;
mod timelines;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capcut_draft::{Document, Fields, RootRef, field};
use serde::Serialize;
use serde_json::Value;

use super::files::{ReadDocument, is_mirrored, truth};
use super::folder::{
    BACKUP, DocumentFile, FileContent, Folder, LOCKED, META, PROJECT, ROOTS, TEMPLATE,
};
use super::media::{self, FileMaterial};
use super::{LintContext, LintOptions, Problem, ProblemReport, markers, sniff};
use crate::engine::backup::{Backup, now};
use crate::engine::documents::document_error;
use crate::engine::draft_files::is_open_in_app;
use crate::engine::folder_change::{FolderChange, NewFile, name_before};
use crate::engine::marker::{self, Marker};
use crate::engine::paths::{is_windows, plain};
use crate::engine::profile::{AppOs, Profile};
use crate::engine::registry::{self, RegistryEntry};
use crate::engine::timelines::{Timeline, folder as timeline_folder};
use crate::error::{Error, Result};
use crate::units::{Edition, Micros};
use timelines::WrittenDocument;

/// Maximum number of rounds: a fix may reveal a problem that was hidden before.
const ROUNDS: usize = 4;

/// The problems for which documents are added.
const CODES_OF_DOCUMENTS: [&str; 4] = [
    "document-missing",
    "timelines-missing",
    "timeline-missing",
    "timeline-id",
];

/// The result of a fix.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fixed {
    /// The changed files, by their path in the draft's folder.
    pub changed: Vec<String>,
    /// The remaining problems.
    pub left: Vec<Problem>,
    /// Where the original files are, if any changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<PathBuf>,
    /// What could not be fixed, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A new id in the app's format.
fn new_id() -> String {
    uuid::Uuid::new_v4().to_string().to_uppercase()
}

/// Fixes the draft in `folder`.
pub(crate) fn fix(folder: &Path, options: &LintOptions) -> Result<Fixed> {
    let mut folder = Folder::open(folder)?;
    refuse(&folder)?;
    clear(&folder);
    let mut work = FixRun {
        backup: Backup::new(&folder.path, &options.backups),
        changed: Vec::new(),
        notes: Vec::new(),
        pending: PendingChange::default(),
    };
    for _ in 0..ROUNDS {
        let problems = super::look(&folder, options);
        let before = work.changed.len();
        if problems.iter().any(|problem| problem.fixable) {
            work.round(&folder, options, &problems)?;
        }
        if work.changed.len() == before {
            return Ok(work.done(problems));
        }
        folder = Folder::open(&folder.path)?;
    }
    let problems = super::look(&folder, options);
    Ok(work.done(problems))
}

fn refuse(folder: &Folder) -> Result<()> {
    let name = folder.path.display();
    if is_open_in_app(&folder.path) {
        return Err(Error::conflict(format!("{name} is open in the app (`{LOCKED}`)"))
            .hint("close the draft in the app; if the app is not running, it crashed: delete the file"));
    }
    let encrypted = folder.files.iter().find(|file| {
        file.content() == FileContent::Encrypted
            && ROOTS.iter().any(|root| file.name.ends_with(root))
    });
    if let Some(file) = encrypted {
        return Err(Error::conflict(format!("{name}: `{}` is encrypted", file.name)).hint(
            "JianYing 6.0 and newer versions encrypt the drafts that they save, and only the app can read them: continue in the app",
        ));
    }
    Ok(())
}

/// Removes temporary files of an earlier run that was killed while it wrote a file.
fn clear(folder: &Folder) {
    let own = [ROOTS[0], ROOTS[1], META, TEMPLATE, PROJECT, marker::FILE];
    let names = own
        .into_iter()
        .chain(folder.files.iter().map(|file| &*file.name));
    let by_place: HashSet<PathBuf> = names.map(|name| folder.path.join(name)).collect();
    for place in by_place {
        if let (Some(parent), Some(name)) = (place.parent(), place.file_name()) {
            registry::clear(parent, &[&name.to_string_lossy()]);
        }
    }
}

struct FixRun {
    backup: Backup,
    changed: Vec<String>,
    notes: Vec<String>,
    pending: PendingChange,
}

/// What a round changes; all of it happens together.
#[derive(Default)]
struct PendingChange {
    /// Files and folders that get another name: from, to.
    renamed: Vec<(String, String)>,
    /// The new contents, by path.
    files: BTreeMap<String, Vec<u8>>,
    removes_backup: bool,
}

impl PendingChange {
    /// Whether there will be a file or folder at this path in the draft.
    fn has(&self, folder: &Folder, name: &str) -> bool {
        let before = folder.path.join(name_before(&self.renamed, name));
        self.files.contains_key(name) || before.exists()
    }
}

/// What is known about the draft to fix.
struct FixTarget<'a> {
    folder: &'a Folder,
    codes: HashSet<&'static str>,
    profile: Profile,
    media: Vec<FileMaterial>,
    /// Files of the draft that get another extension: from, to.
    renames: HashMap<PathBuf, PathBuf>,
    /// Microseconds since 1970.
    now: i64,
}

impl FixTarget<'_> {
    fn has(&self, code: &str) -> bool {
        self.codes.contains(code)
    }

    /// The new path of a file, relative to the draft's folder.
    fn inside(&self, file: &Path) -> String {
        let file = self.renames.get(file).map_or(file, PathBuf::as_path);
        self.folder.shown(file)
    }
}

impl FixRun {
    fn round(
        &mut self,
        folder: &Folder,
        options: &LintOptions,
        problems: &[Problem],
    ) -> Result<()> {
        let Some(truth) = truth(folder, |_, _| {}) else {
            return Ok(());
        };
        let end = truth.end();
        let ReadDocument {
            file, mut document, ..
        } = truth;
        let root = document.fields(RootRef);
        let context = LintContext {
            folder,
            document: &document,
            root: &root,
            end,
            options,
        };
        let media = media::check(&context, &mut ProblemReport::default());
        let mut patient = FixTarget {
            folder,
            codes: problems
                .iter()
                .filter_map(|problem| problem.fixable.then_some(problem.code))
                .collect(),
            profile: profile(folder, &document, &root, options),
            renames: HashMap::new(),
            media,
            now: now(),
        };
        let is_apps = markers::saved_by_app(&root);
        self.rename(&mut patient);
        let mut meta = folder.meta.clone().unwrap_or_else(meta::empty);
        let bin = meta::mend(&patient, &mut meta, end);
        let step = document::mend(&patient, &mut document, &bin, &mut self.notes);
        let is_mended = !step.map_err(document_error)?.is_empty();
        let mended = is_mended.then(|| document.write());
        let mended = mended.filter(|bytes| bytes != file.json());
        let meta_changed = folder.meta.as_ref() != Some(&meta);
        let written = WrittenDocument {
            timeline: Timeline::of(&document, patient.profile.scheme(), patient.now),
            bytes: mended.as_deref().unwrap_or(file.json()),
            both: !is_apps,
        };
        let is_changed = mended.is_some()
            || CODES_OF_DOCUMENTS.iter().any(|code| patient.has(code))
            || folder
                .mirrors(&file.name)
                .any(|mirror| !is_mirrored(file, mirror));
        if is_changed && patient.profile.restores_backup() {
            self.put_app_backup_away(folder)?;
        }
        self.rename_timeline(&patient, &written.timeline.id);
        self.write_documents(&patient, file, &written, mended.is_some());
        self.complete_timelines(&patient, &written)?;
        if meta_changed {
            self.write(META, meta.to_string().as_bytes());
        }
        self.commit(folder)?;
        let end = end.unwrap_or(Micros(document.value(RootRef, &field::root::DURATION)));
        self.register(&patient, &meta, meta_changed, end)
    }

    /// Gives files with a wrong extension the right one; the documents are updated in the same round.
    fn rename(&mut self, patient: &mut FixTarget<'_>) {
        if !patient.has("media-misnamed") {
            return;
        }
        for medium in &patient.media {
            let Some(file) = medium
                .place
                .file()
                .filter(|file| file.starts_with(&patient.folder.path))
            else {
                continue;
            };
            let shown = patient.folder.shown(file);
            let Some(format) = sniff::look(file, &shown).format() else {
                continue;
            };
            if patient.renames.contains_key(file) || format.is_extension_of(file) {
                continue;
            }
            let Some(better) = media::better_name(file, format) else {
                continue;
            };
            // Two files may have the same better name: the next round sees the first.
            if patient.renames.values().any(|other| *other == better) {
                continue;
            }
            self.rename_file(shown, patient.folder.shown(&better));
            patient.renames.insert(file.clone(), better);
        }
    }

    fn rename_file(&mut self, from: String, to: String) {
        self.note_change(&to);
        self.pending.renamed.push((from, to));
    }

    fn write_documents(
        &mut self,
        patient: &FixTarget<'_>,
        file: &DocumentFile,
        written: &WrittenDocument<'_>,
        is_mended: bool,
    ) {
        let folder = patient.folder;
        // The folder of the main timeline may have been renamed.
        let name_now = |name: &str| match &folder.main_timeline {
            Some(main) => name.replacen(&timeline_folder(main), &written.timeline.folder(), 1),
            None => name.to_owned(),
        };
        for mirror in folder.mirrors(&file.name) {
            if is_mended || !is_mirrored(file, mirror) {
                self.write(&name_now(&mirror.name), written.bytes);
            }
        }
        for root in ROOTS {
            let is_needed = written.both || root == patient.profile.primary_file();
            if folder.file(root).is_none() && is_needed && patient.has("document-missing") {
                self.write(root, written.bytes);
            }
        }
        if is_mended {
            self.write(&name_now(&file.name), written.bytes);
        }
    }

    /// Moves the earlier states that the app keeps into the backup folder: this version of the app would restore
    /// them when it detects that the draft was changed.
    fn put_app_backup_away(&mut self, folder: &Folder) -> Result<()> {
        let from = folder.path.join(BACKUP);
        if from.is_symlink() || !from.is_dir() {
            return Ok(());
        }
        let to = self.backup.keep_folder(&from, BACKUP)?;
        self.pending.removes_backup = true;
        self.note_change(BACKUP);
        self.notes.push(format!(
            "`{BACKUP}` was moved to {}: otherwise the app would restore the earlier state in it",
            to.display()
        ));
        Ok(())
    }

    fn register(
        &mut self,
        patient: &FixTarget<'_>,
        meta: &Value,
        meta_changed: bool,
        end: Micros,
    ) -> Result<()> {
        let folder = patient.folder;
        let is_listed = || registry::entry(&folder.path).is_ok_and(|entry| entry.is_some());
        let is_due = patient.has("unregistered")
            || patient.has("registered-wrongly")
            || (meta_changed && is_listed());
        if !is_due {
            return Ok(());
        }
        if let Some(name) = registry::running(patient.profile.edition) {
            self.notes.push(format!(
                "{name} is running and would overwrite its list of drafts: close it and run this again to add the draft to the list"
            ));
            return Ok(());
        }
        let there: Vec<_> = ROOTS
            .into_iter()
            .filter(|root| folder.path.join(root).is_file())
            .collect();
        let first = patient.profile.primary_file();
        let entry = RegistryEntry {
            name: &folder.name(),
            id: meta["draft_id"].as_str().unwrap_or_default(),
            folder: &folder.path,
            json_file: if there.contains(&first) {
                first
            } else {
                there.first().copied().unwrap_or(first)
            },
            duration: end,
            bytes: meta["draft_timeline_materials_size_"]
                .as_u64()
                .unwrap_or_default(),
            now: patient.now,
        };
        let list = folder.path.with_file_name(registry::FILE);
        self.backup.keep(&list, registry::FILE)?;
        match registry::register(&entry) {
            Ok(true) => self.note_change(&format!("../{}", registry::FILE)),
            Ok(false) => {}
            // The list belongs to the app, and the draft is usable without an entry.
            Err(error) => self.notes.push(error.to_string()),
        }
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) {
        self.note_change(name);
        self.pending.files.insert(name.to_owned(), bytes.to_owned());
    }

    /// Makes the changes of a round, after a backup.
    fn commit(&mut self, folder: &Folder) -> Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        if pending.files.is_empty() && pending.renamed.is_empty() && !pending.removes_backup {
            return Ok(());
        }
        let before = |pending: &PendingChange, name: &str| {
            let now = name_before(&pending.renamed, name);
            let known = folder.file(&now).map(|file| Arc::clone(&file.bytes));
            known.or_else(|| marker::read(&folder.path.join(now)).ok().map(Arc::new))
        };
        let seen = |pending: &PendingChange, name: &str| {
            let file = folder.file(&name_before(&pending.renamed, name))?;
            Some(file.state)
        };
        // Record our own changes, so that the next save may still replace the files.
        if let Some(mut marker) = Marker::read(&folder.path) {
            let mut is_changed = false;
            for (name, bytes) in &pending.files {
                let before = before(&pending, name).unwrap_or_default();
                is_changed |= marker.note_rewritten(name, &before, bytes);
            }
            if is_changed {
                let bytes = marker.bytes()?;
                pending.files.insert(marker::FILE.to_owned(), bytes);
            }
        }
        let mut change = FolderChange::begin(&folder.path)?;
        for (from, to) in &pending.renamed {
            self.backup.renamed(from.clone(), to.clone())?;
            change.rename(from, to);
        }
        let names: Vec<String> = pending
            .files
            .keys()
            .map(|name| name_before(&pending.renamed, name))
            .collect();
        self.backup
            .keep_all(names.iter().map(String::as_str), &BTreeMap::new())?;
        let files = pending.files.iter().map(|(name, bytes)| NewFile {
            name,
            bytes,
            hash: marker::hash(bytes),
            before: before(&pending, name).map(|bytes| marker::hash(&bytes)),
            seen: seen(&pending, name),
        });
        change.write(files.collect())?;
        if pending.removes_backup {
            change.remove(BACKUP);
        }
        change.commit()
    }

    fn note_change(&mut self, name: &str) {
        self.changed.push(name.to_owned());
    }

    fn done(self, left: Vec<Problem>) -> Fixed {
        let mut seen = HashSet::new();
        let mut changed = self.changed;
        changed.retain(|name| seen.insert(name.clone()));
        let mut notes = self.notes;
        notes.dedup();
        Fixed {
            backup: self.backup.made(),
            changed,
            left,
            notes,
        }
    }
}

/// The profile for the fixed draft: that of its own markers if they are current, otherwise that of the drafts that
/// the app saves here, otherwise a built-in one.
fn profile(
    folder: &Folder,
    document: &Document,
    root: &Fields<'_, RootRef>,
    options: &LintOptions,
) -> Profile {
    let written = markers::saved_with(root).and_then(|platform| platform.edition());
    let edition: Edition = options
        .edition
        .or_else(|| markers::edition_of_folder(folder))
        .or(written)
        .unwrap_or_default();
    let own = markers::profile(root).filter(|own| own.edition == edition);
    if let Some(own) = own.filter(|_| !markers::are_stale(root)) {
        return own;
    }
    folder
        .path
        .parent()
        .filter(|root| registry::is_drafts_folder(root))
        .and_then(|root| Profile::learn(root, edition))
        .map_or_else(
            || Profile::built_in(edition, system(folder, document, root)),
            Profile::portable,
        )
}

/// The operating system of the draft: this one, if the app exists for it; otherwise it is derived from the paths.
fn system(folder: &Folder, document: &Document, root: &Fields<'_, RootRef>) -> AppOs {
    if cfg!(windows) {
        return AppOs::Windows;
    }
    if cfg!(target_os = "macos") {
        return AppOs::Macos;
    }
    let paths = ["videos", "audios"]
        .into_iter()
        .flat_map(|list| document.materials(list))
        .map(|material| document.value(material, &field::material::PATH));
    let told = Some(folder.stated_path()).filter(|_| !folder.is_template());
    for path in paths.chain(told.map(str::to_owned)) {
        if is_windows(&path) {
            return AppOs::Windows;
        }
        if plain(&path).starts_with("/Users/") {
            return AppOs::Macos;
        }
    }
    markers::os(root).unwrap_or(AppOs::Windows)
}
