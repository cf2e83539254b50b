//! A draft folder as it lies on disk: its documents, its media, and which of them count.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use crate::error::{Error, Result};

/// What stands in paths of the timeline for the draft's own folder, in all versions of the app.
pub(crate) const TOKEN: &str = "##_draftpath_placeholder_0E685133-18CE-45ED-8CB8-2904A212EC80_##";

/// The root documents, in the order in which they count when equally new.
const ROOTS: &[&str] = &["draft_content.json", "draft_info.json"];
/// The mirror that CapCut since 8.7 is said to prefer.
const TEMPLATE: &str = "template-2.tmp";
pub(crate) const META: &str = "draft_meta_info.json";
const PROJECT: &str = "Timelines/project.json";

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// Files with the same bytes share one value.
    Json(Arc<Value>),
    Encrypted,
    Broken(String),
}

/// A draft folder that was read.
#[derive(Debug)]
pub(crate) struct Folder {
    pub path: PathBuf,
    /// The documents that are there, by their path in the folder.
    pub files: BTreeMap<String, State>,
    /// The document that counts: the newest that can be read.
    pub canonical: String,
    /// Where the nested main timeline should be and is not.
    pub missing_timeline: Option<String>,
}

impl Folder {
    pub fn read(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(
                Error::not_found(format!("there is no folder {}", path.display()))
                    .hint("name the draft's own folder, the one with `draft_content.json` or `draft_info.json`"),
            );
        }
        let path = path
            .canonicalize()
            .map(without_verbatim)
            .unwrap_or_else(|_| path.to_owned());
        let mut files = BTreeMap::new();
        let mut read: Vec<(Vec<u8>, State)> = Vec::new();
        let mut load = |files: &mut BTreeMap<String, State>, name: &str| {
            if let Ok(bytes) = fs::read(path.join(name)) {
                let known = read.iter().find(|(other, _)| *other == bytes);
                let state = known.map_or_else(|| state(&bytes), |(_, state)| state.clone());
                files.insert(name.to_owned(), state.clone());
                read.push((bytes, state));
            }
        };
        for name in ROOTS.iter().chain(&[TEMPLATE, META, PROJECT]) {
            load(&mut files, name);
        }
        let nested = files.get(PROJECT).and_then(|state| match state {
            State::Json(project) => project["main_timeline_id"].as_str().map(str::to_owned),
            _ => None,
        });
        let mut missing_timeline = None;
        if let Some(id) = nested.filter(|id| !id.is_empty() && !id.contains(['/', '\\'])) {
            let names = ROOTS
                .iter()
                .chain(&[TEMPLATE])
                .map(|root| format!("Timelines/{id}/{root}"));
            let there: Vec<_> = names.filter(|name| path.join(name).is_file()).collect();
            if there.is_empty() {
                missing_timeline = Some(format!("Timelines/{id}/draft_info.json"));
            }
            for name in &there {
                load(&mut files, name);
            }
        }
        if !files
            .keys()
            .any(|name| ROOTS.contains(&name.as_str()) || name.starts_with("Timelines/"))
        {
            return Err(Error::not_found(format!(
                "{} is no draft: it has neither `draft_content.json` nor `draft_info.json`",
                path.display()
            ))
            .hint("name the draft's own folder, not the folder of all drafts"));
        }
        let canonical = canonical(&path, &files);
        Ok(Self {
            path,
            files,
            canonical,
            missing_timeline,
        })
    }

    /// The document that counts, unless none can be read.
    pub fn document(&self) -> Option<&Value> {
        self.json(&self.canonical)
    }

    pub fn json(&self, name: &str) -> Option<&Value> {
        match self.files.get(name) {
            Some(State::Json(value)) => Some(value),
            _ => None,
        }
    }

    pub fn meta(&self) -> Option<&Value> {
        self.json(META)
    }

    /// The other files that must hold the same document.
    pub fn mirrors(&self) -> impl Iterator<Item = &str> {
        self.files
            .keys()
            .map(String::as_str)
            .filter(|name| ![META, PROJECT, self.canonical.as_str()].contains(name))
    }

    /// Where the drafts folder's list of drafts is, if it has one.
    pub fn registry(&self) -> Option<PathBuf> {
        let file = self.path.parent()?.join(super::super::registry::FILE);
        file.is_file().then_some(file)
    }

    /// The name of the folder.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The draft's folder as its own files call it: on the machine that it was written for.
    pub fn told(&self) -> Option<&str> {
        self.meta()?["draft_fold_path"]
            .as_str()
            .filter(|path| !path.is_empty())
    }

    /// The draft was written for a machine with another kind of paths, where alone they can be
    /// checked. A template's author's path in everybody's drafts ends in another name.
    pub fn is_for_another_system(&self) -> bool {
        let name = self.name();
        self.told().is_some_and(|told| {
            is_foreign(told)
                && told
                    .trim_end_matches(['/', '\\'])
                    .rsplit(['/', '\\'])
                    .next()
                    == Some(&*name)
        })
    }

    /// Where the file is that a document calls `path`.
    pub fn locate(&self, path: &str) -> Located {
        let plain = path.replace('\\', "/");
        for start in self.told().into_iter().chain([TOKEN, "."]) {
            let start = start.replace('\\', "/");
            let start = start.trim_end_matches('/');
            if let Some(rest) = plain
                .strip_prefix(start)
                .and_then(|rest| rest.strip_prefix('/'))
            {
                let file = self.path.join(rest);
                let rightly = start == TOKEN
                    || start == "."
                    || self.is_for_another_system()
                    || self.told().is_some_and(|told| same(told, &self.path));
                if file.is_file() {
                    return if rightly {
                        Located::Inside(file)
                    } else {
                        Located::Moved(file)
                    };
                }
            }
        }
        let here = Path::new(path);
        if !is_foreign(path) && here.is_absolute() && here.is_file() {
            return if here.starts_with(&self.path) {
                Located::Inside(here.to_owned())
            } else {
                Located::Outside(here.to_owned())
            };
        }
        let name = plain.rsplit('/').next().unwrap_or_default();
        for folder in [
            "assets/video",
            "assets/audio",
            "assets/image",
            "assets",
            "Resources",
            "materials",
            "",
        ] {
            let file = self.path.join(folder).join(name);
            if !name.is_empty() && file.is_file() {
                return Located::Moved(file);
            }
        }
        Located::Nowhere
    }
}

/// Where a media file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Located {
    /// In the draft's folder, and the path leads there.
    Inside(PathBuf),
    /// In the draft's folder, but the path leads elsewhere.
    Moved(PathBuf),
    /// At its path, outside the draft's folder.
    Outside(PathBuf),
    Nowhere,
}

/// A path of another kind of system than this one.
pub(crate) fn is_foreign(path: &str) -> bool {
    let bytes = path.as_bytes();
    let drive = bytes.len() > 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && matches!(bytes[2], b'/' | b'\\');
    let windows = drive || path.starts_with("\\\\") || path.starts_with("//");
    if cfg!(windows) {
        path.starts_with('/') && !path.starts_with("//")
    } else {
        windows
            || (!cfg!(target_os = "macos")
                && (path.starts_with("/Users/") && !Path::new("/Users").exists()))
    }
}

/// Whether a path in a document means this path of this machine.
pub(crate) fn same(told: &str, path: &Path) -> bool {
    let plain = |text: &str| text.replace('\\', "/").trim_end_matches('/').to_owned();
    plain(told) == plain(&path.to_string_lossy())
}

/// Windows answers `\\?\C:\…` for a path without links; the app does not know that form.
pub(crate) fn without_verbatim(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|path| path.strip_prefix(r"\\?\")) {
        Some(plain) if plain.as_bytes().get(1) == Some(&b':') => PathBuf::from(plain),
        _ => path,
    }
}

pub(crate) fn state(bytes: &[u8]) -> State {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => State::Broken("it is empty".to_owned()),
        Some(b'{') => match serde_json::from_slice(bytes) {
            Ok(value) => State::Json(Arc::new(value)),
            Err(error) => State::Broken(error.to_string()),
        },
        Some(_)
            if bytes.len() > 16
                && bytes
                    .iter()
                    .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
                && !bytes.contains(&b'<')
                && !bytes.contains(&b'{') =>
        {
            State::Encrypted
        }
        Some(_) if std::str::from_utf8(bytes).is_err() => State::Encrypted,
        Some(_) => State::Broken("it does not begin with `{`".to_owned()),
    }
}

fn canonical(path: &Path, files: &BTreeMap<String, State>) -> String {
    let readable = |name: &&String| matches!(files[*name], State::Json(_));
    let rank = |name: &str| {
        ROOTS
            .iter()
            .position(|root| *root == name)
            .unwrap_or(ROOTS.len())
    };
    files
        .keys()
        .filter(readable)
        .filter(|name| {
            ![META, PROJECT, TEMPLATE].contains(&name.as_str()) && !name.ends_with(TEMPLATE)
        })
        .max_by_key(|name| {
            let time = fs::metadata(path.join(name))
                .and_then(|metadata| metadata.modified())
                .ok();
            // Files of one save differ by moments only.
            let seconds = time
                .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
                .map_or(0, |since| since.as_secs() / 2);
            (seconds, std::cmp::Reverse(rank(name)))
        })
        .cloned()
        .unwrap_or_else(|| ROOTS[0].to_owned())
}
