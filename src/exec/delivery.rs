//! Saved drafts that clients of a listener download: each save is packed, and its reply has a link.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::{App, settling};
use crate::caller::Caller;
use crate::delivery::links::LinkKey;
use crate::delivery::saved::SavedDrafts;
use crate::draft::ids::DraftId;
use crate::error::Result;
use crate::tool::Request;

/// The keys of replies that have a link.
const LINKS: [&str; 2] = ["download_url", "video_url"];

/// The objects of a reply that have a link: where each is, and the id of its draft if it names one.
fn linked(reply: &Value) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    let mut next = vec![(String::new(), reply)];
    while let Some((place, value)) = next.pop() {
        match value {
            Value::Object(object) => {
                if LINKS.iter().any(|key| object.contains_key(*key)) {
                    let draft = object.get("draft_id").and_then(Value::as_str);
                    found.push((place.clone(), draft.map(str::to_owned)));
                }
                let inner = object.iter().filter(|(_, value)| is_nested(value));
                next.extend(inner.map(|(key, value)| {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    (format!("{place}/{key}"), value)
                }));
            }
            Value::Array(values) => {
                let inner = values.iter().enumerate();
                next.extend(inner.map(|(index, value)| (format!("{place}/{index}"), value)));
            }
            _ => {}
        }
    }
    found
}

fn is_nested(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

/// The reply without its links, which expire and may name a key of the storage; `None` if it has none. The keys stay, so
/// that [`App::link_again`] finds them.
pub(super) fn without_links(reply: &Value) -> Option<Value> {
    let places = linked(reply);
    if places.is_empty() {
        return None;
    }
    let mut reply = reply.clone();
    for (place, _) in places {
        set_links(&mut reply, &place, Some(""));
    }
    Some(reply)
}

/// Sets the links of the object at a place, or removes them.
fn set_links(reply: &mut Value, place: &str, link: Option<&str>) {
    let Some(Value::Object(object)) = reply.pointer_mut(place) else {
        return;
    };
    for key in LINKS {
        match link {
            Some(link) if object.contains_key(key) => {
                object.insert(key.to_owned(), link.into());
            }
            Some(_) => {}
            None => {
                object.shift_remove(key);
            }
        }
    }
}

impl App {
    /// Replaces the links in the result of a job by new ones for this caller: to the version of each draft that was saved last.
    /// `draft` is the job's, for replies that name none. Where there can be no link, there is none.
    pub(crate) async fn link_again(
        &self,
        reply: &mut Value,
        draft: Option<&DraftId>,
        caller: &Caller,
    ) {
        for (place, named) in linked(reply) {
            let named = named.or_else(|| draft.map(|draft| draft.as_str().to_owned()));
            let video = reply.pointer(&format!("{place}/video_file"));
            if let Some(key) = video.and_then(Value::as_str).map(str::to_owned) {
                self.link_video_again(reply, &place, &key, named.as_deref(), caller)
                    .await;
                continue;
            }
            let link = match (self.saved.get(), &caller.site, named) {
                (Some(saved), Some(site), Some(draft)) => match saved.latest(&draft).await {
                    Ok(Some(version)) => saved.link(site, &version).await.ok(),
                    _ => None,
                },
                _ => None,
            };
            set_links(reply, &place, link.as_deref());
        }
    }

    /// The same for an object with a video of its own.
    async fn link_video_again(
        &self,
        reply: &mut Value,
        place: &str,
        key: &str,
        draft: Option<&str>,
        caller: &Caller,
    ) {
        let (mut video, mut download) = (None, None);
        if let (Some(saved), Some(site)) = (self.saved.get(), &caller.site) {
            video = saved.link_video(site, key).await.ok();
            if let Some(draft) = draft
                && let Ok(Some(version)) = saved.latest(draft).await
            {
                download = saved.link(site, &version).await.ok();
            }
        }
        if let Some(Value::Object(object)) = reply.pointer_mut(place) {
            object.insert("video_url".to_owned(), video.into());
            object.insert("download_url".to_owned(), download.into());
        }
    }

    /// Keeps a video of a draft for a caller that is given links: the link, and the key by which it is linked again. `None`
    /// for callers on this machine, which read the file.
    pub(crate) async fn link_video(
        &self,
        file: &Path,
        draft: &str,
        caller: &Caller,
    ) -> Result<Option<(String, String)>> {
        let (Some(saved), Some(site)) = (self.saved.get(), &caller.site) else {
            return Ok(None);
        };
        let key = saved.add_video(file, draft).await?;
        let link = saved.link_video(site, &key).await?;
        Ok(Some((link, key)))
    }

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn links_are_not_kept_wherever_they_are() {
        let reply = json!({
            "lines": [{ "draft_id": "a", "download_url": "https://x/?X-Amz-Credential=KEY" }, { "draft_id": "b" }],
            "report": { "a/b": { "video_url": "https://x/KEY", "download_url": "https://x/KEY" } },
        });
        let kept = without_links(&reply).expect("it had links");
        assert!(!kept.to_string().contains("KEY"), "{kept}");
        let mut places = linked(&kept);
        places.sort();
        assert_eq!(
            places,
            [
                ("/lines/0".to_owned(), Some("a".to_owned())),
                ("/report/a~1b".to_owned(), None),
            ]
        );
        assert_eq!(
            without_links(&json!({ "draft_id": "a", "notes": ["download_url"] })),
            None
        );
    }
}
