//! Mends what can be mended safely in a draft folder: registration, media links, markers, mirrors,
//! references that lead nowhere, the paths of whoever made the template.
//!
//! Nothing on the timeline is moved or removed. What is overwritten is kept in the draft's folder
//! first, fields that are not known stay, and doing it twice changes nothing more.

mod document;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::draft::finished::Content;
use crate::draft::finished::made_id;
use crate::engine::lint::bin::{TEMPLATE_DRAFT, all_media, bin_entries, in_draft};
use crate::engine::lint::document::{edition_of, end_of};
use crate::engine::lint::folder::{Folder, Located, META, State, same};
use crate::engine::lint::{Problem, lint};
use crate::engine::package::files::{self, Entry};
use crate::engine::package::{cover, now, unwritable};
use crate::engine::profile::{AppOs, Profile};
use crate::engine::registry;
use crate::error::{Error, Result};
use crate::units::{Edition, Micros};

/// Where what was overwritten is kept, in the draft's folder.
pub(crate) const BACKUPS: &str = ".capcut-mcp-backup";

/// What mending did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mended {
    /// The problems that are gone.
    pub fixed: Vec<Problem>,
    /// Those that are left.
    pub left: Vec<Problem>,
    /// Where the files are kept as they were; nothing if nothing was overwritten.
    pub backup: Option<PathBuf>,
}

/// Mends the draft in `path`. Markers that have to be written are those of the newest draft that the
/// app saved beside it, else those of a built-in profile for `edition` (the draft's own, if it says).
pub(crate) fn fix(path: &Path, edition: Option<Edition>) -> Result<Mended> {
    let before = lint(path)?;
    let folder = Folder::read(path)?;
    if folder
        .files
        .values()
        .any(|state| matches!(state, State::Encrypted))
    {
        return Err(Error::conflict(format!(
            "{} is encrypted and is left as it is",
            folder.path.display()
        ))
        .hint(
            "edit it in the app; a draft that was made here can be saved again under another name",
        ));
    }
    let mut backup = None;
    if let Some(document) = folder.document()
        && before.iter().any(|problem| problem.fixable)
    {
        let mut mending = Mending::new(&folder, document, edition);
        mending.mend()?;
        backup = mending.write()?;
        register(&folder.path)?;
    }
    let left = lint(path)?;
    let fixed = before
        .into_iter()
        .filter(|problem| {
            !left
                .iter()
                .any(|other| other.code == problem.code && other.path == problem.path)
        })
        .collect();
    Ok(Mended {
        fixed,
        left,
        backup,
    })
}

struct Mending<'a> {
    folder: &'a Folder,
    document: Value,
    meta: Value,
    profile: Profile,
    /// An id of the draft's own, for what has none.
    own_id: String,
}

impl<'a> Mending<'a> {
    fn new(folder: &'a Folder, document: &Value, edition: Option<Edition>) -> Self {
        let edition = edition.or(edition_of(document)).unwrap_or_default();
        let os = match document["platform"]["os"].as_str() {
            Some("mac") => AppOs::Macos,
            Some("windows") => AppOs::Windows,
            _ if cfg!(target_os = "macos") => AppOs::Macos,
            _ => AppOs::Windows,
        };
        let profile = folder
            .path
            .parent()
            .and_then(|drafts| Profile::learn(drafts, edition))
            .unwrap_or_else(|| Profile::built_in(edition, os));
        let meta = folder.meta().cloned().unwrap_or(Value::Null);
        // The same each time, and another for each draft.
        let own_id = made_id(&["mended", &folder.path.to_string_lossy()]);
        Self {
            folder,
            document: document.clone(),
            meta,
            profile,
            own_id,
        }
    }

    fn mend(&mut self) -> Result<()> {
        document::mend(&mut self.document, &self.profile, &self.own_id);
        self.media()?;
        self.identity();
        self.bin();
        Ok(())
    }

    /// Every local file lies in the draft, and its material says where.
    fn media(&mut self) -> Result<()> {
        let found: Vec<_> = all_media(&self.document)
            .iter()
            .map(|medium| (medium.list, medium.index, medium.locate(self.folder)))
            .collect();
        for (list, index, located) in found {
            let file = match located {
                Located::Moved(file) => file,
                Located::Outside(file) => self.bring_in(list, &file)?,
                Located::Inside(_) | Located::Nowhere => continue,
            };
            self.document["materials"][list][index]["path"] = json!(registry::app_path(&file));
        }
        Ok(())
    }

    /// Copies a file into the draft, unless the same one is there.
    fn bring_in(&self, list: &str, file: &Path) -> Result<PathBuf> {
        let kind = if list == "audios" { "audio" } else { "video" };
        let place = self.folder.path.join("assets").join(kind);
        fs::create_dir_all(&place).map_err(|error| unwritable(&place, error))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let (stem, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
        let length = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).ok();
        for number in 1.. {
            let to = match (number, ending.is_empty()) {
                (1, _) => place.join(&*name),
                (_, true) => place.join(format!("{stem}-{number}")),
                (_, false) => place.join(format!("{stem}-{number}.{ending}")),
            };
            if to.exists() {
                if length(&to) == length(file) && fs::read(&to).ok() == fs::read(file).ok() {
                    return Ok(to);
                }
                continue;
            }
            let partial = to.with_extension("part");
            fs::copy(file, &partial)
                .and_then(|_| fs::rename(&partial, &to))
                .map_err(|error| unwritable(&to, error))?;
            return Ok(to);
        }
        Err(Error::internal("no name is free for a media file"))
    }

    /// The draft's own names, ids and paths.
    fn identity(&mut self) {
        let here = registry::app_path(&self.folder.path);
        let root = self.folder.path.parent().map(registry::app_path);
        let now = now();
        if !self.meta.is_object() {
            self.meta = files::meta(&files::Meta {
                id: &self.own_id,
                name: &self.folder.name(),
                folder: &here,
                root: root.as_deref().unwrap_or("/"),
                entries: &[],
                duration: end_of(&self.document),
                bytes: self.size(),
                now,
            });
        }
        let id = self.meta["draft_id"].as_str().unwrap_or_default();
        if id.is_empty() || id.eq_ignore_ascii_case(TEMPLATE_DRAFT) {
            self.meta["draft_id"] = json!(self.own_id);
        }
        if !self.folder.is_for_another_system() {
            if !same(
                self.meta["draft_fold_path"].as_str().unwrap_or_default(),
                &self.folder.path,
            ) {
                self.meta["draft_fold_path"] = json!(here);
            }
            let told = self.meta["draft_root_path"].as_str().unwrap_or_default();
            if let Some(parent) = self.folder.path.parent()
                && !same(told, parent)
            {
                self.meta["draft_root_path"] = json!(root);
            }
            self.meta["draft_name"] = json!(self.folder.name());
        }
        let end = end_of(&self.document);
        if (self.meta["tm_duration"].as_i64().unwrap_or_default() - end.0).abs() > 40_000 {
            self.meta["tm_duration"] = json!(end.0);
        }
    }

    /// Every local file is in the media bin, and its material leads there.
    fn bin(&mut self) {
        let mut by_path: HashMap<String, String> = HashMap::new();
        let mut ids = std::collections::HashSet::new();
        for entry in bin_entries(&self.meta) {
            if let (Some(id), Some(path)) = (entry["id"].as_str(), entry["file_Path"].as_str()) {
                by_path.insert(in_draft(self.folder, path), id.to_owned());
                ids.insert(id.to_owned());
            }
        }
        let mut links = Vec::new();
        let mut added = Vec::new();
        for medium in all_media(&self.document) {
            if medium.path().is_empty() || ids.contains(medium.link()) {
                continue;
            }
            let path = in_draft(self.folder, medium.path());
            let id = match by_path.get(&path) {
                Some(id) => id.clone(),
                None => {
                    let id = made_id(&[&self.own_id, &path, "bin"]).to_lowercase();
                    let number =
                        |key: &str| medium.material[key].as_f64().unwrap_or_default() as u32;
                    let entry = Entry {
                        id: id.clone(),
                        name: medium.name().to_owned(),
                        inside: String::new(),
                        content: match (medium.list, medium.material["type"].as_str()) {
                            ("audios", _) => Content::Sound,
                            (_, Some("photo")) => Content::Picture,
                            (_, Some("gif")) => Content::MovingPicture,
                            _ => Content::Video,
                        },
                        width: number("width"),
                        height: number("height"),
                        duration: Micros(medium.material["duration"].as_i64().unwrap_or_default()),
                    };
                    let mut entry = entry.value(now());
                    entry["file_Path"] = json!(path);
                    added.push(entry);
                    by_path.insert(path, id.clone());
                    id
                }
            };
            links.push((medium.list, medium.index, id));
        }
        for (list, index, id) in links {
            self.document["materials"][list][index]["local_material_id"] = json!(id);
        }
        if added.is_empty() {
            return;
        }
        if !self.meta["draft_materials"].is_array() {
            self.meta["draft_materials"] = json!([]);
        }
        let Some(groups) = self.meta["draft_materials"].as_array_mut() else {
            return;
        };
        match groups.iter_mut().find(|group| group["type"] == json!(0)) {
            Some(group) if group["value"].is_array() => {
                if let Some(values) = group["value"].as_array_mut() {
                    values.append(&mut added);
                }
            }
            Some(group) => group["value"] = Value::Array(added),
            None => groups.insert(0, json!({"type": 0, "value": added})),
        }
    }

    /// The size of all media.
    fn size(&self) -> u64 {
        all_media(&self.document)
            .iter()
            .filter_map(|medium| match medium.locate(self.folder) {
                Located::Inside(file) | Located::Moved(file) | Located::Outside(file) => {
                    fs::metadata(file).ok()
                }
                Located::Nowhere => None,
            })
            .map(|metadata| metadata.len())
            .sum()
    }

    /// Writes what changed, after what was there is kept.
    fn write(self) -> Result<Option<PathBuf>> {
        let mut changed: Vec<(String, Vec<u8>)> = Vec::new();
        let timeline = self.document.to_string().into_bytes();
        let mut mirrors: Vec<String> = self.folder.mirrors().map(str::to_owned).collect();
        for root in [
            "draft_content.json",
            "draft_info.json",
            &self.folder.canonical,
        ] {
            if !mirrors.iter().any(|name| name == root) {
                mirrors.push(root.to_owned());
            }
        }
        for name in mirrors {
            if self.folder.json(&name) != Some(&self.document) {
                changed.push((name, timeline.clone()));
            }
        }
        if self.folder.meta() != Some(&self.meta) {
            changed.push((META.to_owned(), self.meta.to_string().into_bytes()));
        }
        let cover = self.folder.path.join(cover::FILE);
        if !cover.is_file() {
            let canvas = &self.document["canvas_config"];
            let side = |key: &str| canvas[key].as_f64().unwrap_or_default();
            if let Some(bytes) = cover::plain(side("width"), side("height")) {
                registry::write(&cover, &bytes)?;
            }
        }
        if changed.is_empty() {
            return Ok(None);
        }
        let backup = self.keep(&changed)?;
        // The documents that the app reads first come last: till then it sees the draft as it was.
        for (name, bytes) in changed.iter().rev() {
            registry::write(&self.folder.path.join(name), bytes)?;
        }
        Ok(backup)
    }

    /// Copies the files that will be overwritten.
    fn keep(&self, changed: &[(String, Vec<u8>)]) -> Result<Option<PathBuf>> {
        let backup = self.folder.path.join(BACKUPS).join(now().to_string());
        let mut any = false;
        for (name, _) in changed {
            let from = self.folder.path.join(name);
            if from.is_file() {
                let to = backup.join(name);
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent).map_err(|error| unwritable(parent, error))?;
                }
                fs::copy(&from, &to).map_err(|error| unwritable(&to, error))?;
                any = true;
            }
        }
        Ok(any.then_some(backup))
    }
}

/// Puts the draft into the app's list, where there is one and it can be read.
fn register(path: &Path) -> Result<()> {
    let folder = Folder::read(path)?;
    if folder.registry().is_none()
        || folder.is_for_another_system()
        || !matches!(registry::entry(&folder.path), Ok(None))
    {
        return Ok(());
    }
    let (Some(meta), Some(document)) = (folder.meta(), folder.document()) else {
        return Ok(());
    };
    let profile = edition_of(document).map(|edition| {
        let os = match document["platform"]["os"].as_str() {
            Some("mac") => AppOs::Macos,
            _ => AppOs::Windows,
        };
        let version = document["platform"]["app_version"]
            .as_str()
            .unwrap_or_default();
        Profile::for_version(edition, os, version)
            .unwrap_or_else(|_| Profile::built_in(edition, os))
    });
    registry::register(&registry::Entry {
        name: &folder.name(),
        id: meta["draft_id"].as_str().unwrap_or_default(),
        folder: &folder.path,
        json_file: profile
            .as_ref()
            .map_or("draft_content.json", Profile::primary_file),
        duration: end_of(document),
        bytes: meta["draft_timeline_materials_size_"]
            .as_u64()
            .unwrap_or_default(),
        now: now(),
    })
    .map(|_| ())
}

#[cfg(test)]
mod tests;
