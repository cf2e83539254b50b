//! Saved drafts that clients of a listener download: each save is packed, and its reply has a link.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::{App, settling};
use crate::delivery::links::LinkKey;
use crate::delivery::saved::SavedDrafts;
use crate::error::Result;
use crate::tool::Request;

impl App {
    /// From now on saved drafts are packed for clients that can be given a link.
    pub(crate) fn deliver_saves(&self, key: &Arc<LinkKey>) -> Result<()> {
        if self.saved.get().is_some() {
            return Ok(());
        }
        let saved = SavedDrafts::of(
            &self.storage,
            self.settings.data_dir()?,
            &self.tenant,
            Arc::clone(key),
            self.manifest.limits.delivery.limits(),
        )?;
        // Another request may have done the same.
        let _ = self.saved.set(saved);
        Ok(())
    }

    /// Packs the draft that a call saved, and adds the link to the reply. The draft is saved in any case: a failure is a note.
    pub(super) async fn deliver(&self, request: &dyn Request, reply: &mut Value) {
        let (Some(saved), Some(site)) = (self.saved.get(), &request.call().caller.site) else {
            return;
        };
        let folder = reply["folder"].as_str().map(Path::new);
        let folder = folder.filter(|folder| folder.is_dir());
        // A server of the API may not say where the folder is.
        let (Some(folder), Some(draft)) = (folder, request.draft()) else {
            return;
        };
        let added = saved
            .add(folder, draft.as_str(), self.engine.edition())
            .await;
        let linked = match added {
            Ok((version, notes)) => saved.link(site, &version).await.map(|link| (link, notes)),
            Err(error) => Err(error),
        };
        match linked {
            Ok((link, notes)) => {
                reply["download_url"] = link.as_str().into();
                reply["video_url"] = link.into();
                settling::note(reply, &notes);
            }
            Err(error) => {
                tracing::warn!("a saved draft cannot be downloaded: {}", error.cause());
                let error = error.for_client();
                let note = format!("the draft is saved, but it cannot be downloaded: {error}");
                settling::note(reply, &[note]);
            }
        }
    }

    /// Puts the link to the version that was saved last in the place of the configured site's link.
    pub(super) async fn link_saved(&self, request: &dyn Request, reply: &mut Value) {
        let (Some(saved), Some(site)) = (self.saved.get(), &request.call().caller.site) else {
            return;
        };
        let Some(draft) = request.draft() else {
            return;
        };
        let linked = match saved.latest(draft.as_str()).await {
            Ok(Some(version)) => saved.link(site, &version).await,
            Ok(None) => {
                let note = "the draft has not been saved on this server: after `save_draft` it can be downloaded";
                return settling::note(reply, &[note.to_owned()]);
            }
            Err(error) => Err(error),
        };
        match linked {
            Ok(link) => {
                reply["draft_url"] = link.into();
                let note = "the link is to the version that was saved last; it expires";
                reply["notes"] = [note].into();
            }
            Err(error) => {
                tracing::warn!("a saved draft cannot be linked: {}", error.cause());
                let note = format!("the link cannot be made: {}", error.for_client());
                settling::note(reply, &[note]);
            }
        }
    }
}
