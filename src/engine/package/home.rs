//! What the draft's folder is called in its own documents.
//!
//! Media are named by their whole path: the token for the draft's own folder stands in drafts of the
//! app too, but only for what the app itself put there, independent readers do not resolve it, and a
//! sticker with such a path was seen to show nothing. The token is for drafts whose place on the
//! other machine is not known, where it is the only path that can be right.

use super::{SaveRequest, Target, name};
use crate::engine::registry;
use crate::error::Result;
use crate::lint::paths::TOKEN;

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

    pub(super) fn anywhere() -> Self {
        Self {
            folder: String::new(),
            root: String::new(),
            media: TOKEN.to_owned(),
        }
    }
}
