//! Finds the folder of a saved draft, if this process can access it, and compares its document with the server's.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use capcut_draft::Document;
use serde_json::Value;

use super::{SaveStatus, listed};
use crate::backend::Failure;
use crate::backend::dialect::Server;
use crate::backend::envelope;
use crate::backend::remote::Remote;
use crate::draft::evidence::Contents;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind};
use crate::sorting;

/// A draft's document and its contents.
pub(super) struct KnownDocument {
    pub(super) script: Document,
    pub(super) contents: Contents,
}

impl KnownDocument {
    pub(super) fn of(script: Document) -> Option<Self> {
        let contents = Contents::of(&script)?;
        Some(Self { script, contents })
    }
}

/// Where the server says that it saved.
#[derive(Default)]
pub(super) struct Stated {
    pub(super) folder: Option<PathBuf>,
    pub(super) zip: Option<PathBuf>,
    /// A path of another machine, or one that this process cannot access.
    pub(super) elsewhere: Option<String>,
}

impl Stated {
    pub(super) fn of(output: &Value, status: &SaveStatus) -> Self {
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

impl Remote {
    /// The saved draft: of all folders where it may be, one that was just written and is correct comes first.
    pub(super) async fn copy(
        &self,
        draft: &DraftId,
        wanted: Option<&str>,
        server: &Server,
        stated: &Stated,
        before: Option<&KnownDocument>,
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
        sorting::sort_by_key(&mut copies, |copy| {
            (!copy.differences.is_empty(), !copy.is_fresh)
        });
        copies.into_iter().next()
    }

    /// The error for a server that reported success although the files differ from its draft.
    pub(super) fn not_saved(&self, draft: &DraftId, copy: &SavedCopy) -> Failure {
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
    pub(super) fn not_seen(&self, stated: &Stated, no_media: bool) -> String {
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

    /// Whether this process can probably access the saved files.
    pub(super) fn may_be_seen(&self, wanted: Option<&str>, server: &Server) -> bool {
        let own = !self.manifest.api.drafts_folder.is_empty();
        match wanted {
            Some(wanted) if server.dialect.saves_into_draft_folder() => Path::new(wanted).is_dir(),
            _ => own,
        }
    }
}

/// A saved draft that this process can access.
pub(super) struct SavedCopy {
    pub(super) folder: PathBuf,
    pub(super) document: Option<KnownDocument>,
    /// It is where the server writes.
    pub(super) expected: bool,
    /// It was written since the save began.
    pub(super) is_fresh: bool,
    /// Differences from the server's draft.
    pub(super) differences: Vec<String>,
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
            KnownDocument::of(Document::parse_object(std::fs::read(path).ok()?).ok()?)
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
