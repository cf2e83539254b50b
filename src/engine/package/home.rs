//! The path of the draft's folder in its own documents.
//!
//! Media are referenced by their full paths. Drafts of the app also contain a token for the draft's own folder,
//! but only for files of the app itself; independent readers do not resolve it, and a sticker with such a path
//! is reported not to be shown. So the token is used only if the path on the target machine is unknown: then no other
//! path can be correct.

use super::{SaveRequest, TargetMachine, name};
use crate::engine::paths::TOKEN;
use crate::engine::profile::AppOs;
use crate::engine::registry;
use crate::error::Result;

/// The longest path that programs on Windows open by default: 260 characters including the NUL.
const MOST: usize = 259;
/// The assumed length of an unknown drafts folder: the usual one, for a user name of 20 characters.
const USUAL: usize =
    "C:/Users/12345678901234567890/AppData/Local/JianyingPro/User Data/Projects/com.lveditor.draft/".len();
/// The longest path of the draft's own files: below `Timelines`, in a folder named by an id.
const OWN: usize = "/Timelines/01234567-0123-0123-0123-0123456789AB/draft_content.json.bak".len();
/// Shorter names would not identify the file.
const SHORT: usize = 12;

/// The draft's folder as seen by the machine that will open the draft.
#[derive(Clone, Debug)]
pub(super) struct DraftLocation {
    pub folder: String,
    pub root: String,
    /// The prefix of `/assets/…` in the timeline.
    pub media: String,
}

impl DraftLocation {
    pub(super) fn new(request: &SaveRequest, name: &str) -> Result<Self> {
        match &request.target {
            None => {
                let drafts =
                    std::path::absolute(&request.drafts).unwrap_or_else(|_| request.drafts.clone());
                let root = registry::app_path(&drafts);
                let folder = registry::app_path(&drafts.join(name));
                Ok(Self {
                    media: folder.clone(),
                    folder,
                    root,
                })
            }
            Some(TargetMachine { folder: None, .. }) => Ok(Self::anywhere()),
            Some(TargetMachine {
                os,
                folder: Some(root),
            }) => {
                let root = name::target_folder(*os, root)?;
                let folder = format!("{}/{name}", root.trim_end_matches('/'));
                Ok(Self {
                    media: folder.clone(),
                    folder,
                    root,
                })
            }
        }
    }

    /// The maximum length of media names, in UTF-16 units, for which Windows can open their full paths; with a
    /// note if that is too short for a name, or for the draft's own files.
    pub(super) fn longest_name(
        &self,
        request: &SaveRequest,
        name: &str,
    ) -> (usize, Option<String>) {
        let is_windows = request
            .target
            .as_ref()
            .map_or(cfg!(windows), |target| target.os == AppOs::Windows);
        let folder = name::units(&self.folder).max(if self.folder.is_empty() || request.zip {
            USUAL + name::units(name)
        } else {
            0
        });
        if !is_windows {
            return (name::LONGEST, None);
        }
        let left = |below: usize| MOST.checked_sub(folder + below);
        let longest = left("/assets/video/.webp".len()).unwrap_or(0);
        let note = (longest < SHORT || left(OWN).is_none()).then(|| {
            format!(
                "paths in this draft have more than {MOST} characters on Windows, and the app may not open them: give the draft a shorter name or put it into a folder with a shorter path (this one has {folder} characters including the name of the draft)"
            )
        });
        (longest.clamp(SHORT, name::LONGEST), note)
    }

    pub(super) fn anywhere() -> Self {
        Self {
            folder: String::new(),
            root: String::new(),
            media: TOKEN.to_owned(),
        }
    }
}
