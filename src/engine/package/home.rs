//! What the draft's folder is called in its own documents.
//!
//! Media are named by their whole path: the token for the draft's own folder stands in drafts of the
//! app too, but only for what the app itself put there, independent readers do not resolve it, and a
//! sticker with such a path was seen to show nothing. The token is for drafts whose place on the
//! other machine is not known, where it is the only path that can be right.

use super::{SaveRequest, Target, name};
use crate::engine::profile::AppOs;
use crate::engine::registry;
use crate::error::Result;
use crate::lint::paths::TOKEN;

/// The longest path that programs on Windows open unless they ask for longer ones: 260 with the NUL at its end.
const MOST: usize = 259;
/// What is assumed for the folder of drafts where it is not known: the usual one, of a user with a name of 20 letters.
const USUAL: usize =
    "C:/Users/12345678901234567890/AppData/Local/JianyingPro/User Data/Projects/com.lveditor.draft/".len();
/// The draft's own files are below `Timelines`, in a folder that is named by an id.
const OWN: usize = "/Timelines/01234567-0123-0123-0123-0123456789AB/draft_content.json.bak".len();
/// Shorter names do not say what the file is.
const SHORT: usize = 12;

/// The folder as the machine knows it on which the draft will be opened.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub folder: String,
    pub root: String,
    /// What stands before `/assets/…` in the timeline.
    pub media: String,
}

impl Home {
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
            Some(Target { folder: None, .. }) => Ok(Self::anywhere()),
            Some(Target {
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

    /// How long the names of media in it may be, in UTF-16 units, so that Windows opens them by their whole path; with a
    /// note where that is too little for a name, or for the draft's own files.
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
                "paths in this draft have more than {MOST} letters on Windows, and the app may not open them: give the draft a shorter name or put it into a folder with a shorter path (this one has {folder} letters with the name of the draft)"
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
