//! The media files that a saved draft needs: whether they exist, and have the expected type and length.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use capcut_draft::field::material as field;
use capcut_draft::{Document, MaterialRef};
use futures::StreamExt;

use crate::backend::remote::Remote;
use crate::caller::Caller;
use crate::engine::documents::document_error;
use crate::error::{Kind, Result};
use crate::media::{Facts, Media};
use crate::units::Micros;

/// How many files are checked concurrently.
const CONCURRENT_CHECKS: usize = 8;

/// The lists of materials with a file.
const MEDIA_LISTS: [&str; 2] = ["videos", "audios"];

/// A media file that the draft needs.
#[derive(Debug, PartialEq)]
pub(super) struct Material {
    /// The folder below `assets`: `video`, `audio` or `image`.
    kind: &'static str,
    name: String,
    source: String,
    /// The length that the server measured at the source.
    duration: Micros,
    /// The latest position in the file that a segment uses.
    shown_to: Micros,
}

impl Material {
    fn shown(&self) -> String {
        format!("{} ({})", self.name, crate::media::shown(&self.source))
    }

    fn fits(&self, facts: &Facts) -> bool {
        match self.kind {
            "audio" => facts.has_audio,
            "image" => facts.has_picture(),
            _ => facts.has_video,
        }
    }

    /// How long the file lasts, if that is less than the part that was measured and is used.
    fn lacks(&self, facts: &Facts) -> Option<Micros> {
        let said = self.duration.min(self.shown_to);
        facts.lasts_less(said).filter(|_| self.kind != "image")
    }
}

impl Remote {
    /// Checks that each material's file exists and has the expected type; also returns the total size in bytes.
    pub(super) async fn look_at_files(
        &self,
        folder: &Path,
        materials: &[Material],
        media: &Media,
        notes: &mut Vec<String>,
    ) -> (Vec<String>, Option<u64>) {
        let looks: Vec<_> = materials
            .iter()
            .map(|material| self.look_at_file(folder, material, media))
            .collect();
        let looked: Vec<std::result::Result<Whole, String>> = futures::stream::iter(looks)
            .buffered(CONCURRENT_CHECKS)
            .collect()
            .await;
        let (mut faults, mut bytes) = (Vec::new(), 0);
        for looked in looked {
            match looked {
                Ok(whole) => {
                    bytes += whole.bytes;
                    notes.extend(whole.note);
                }
                Err(fault) => faults.push(fault),
            }
        }
        (faults, Some(bytes))
    }

    async fn look_at_file(
        &self,
        folder: &Path,
        material: &Material,
        media: &Media,
    ) -> std::result::Result<Whole, String> {
        let path = folder
            .join("assets")
            .join(material.kind)
            .join(&material.name);
        let shown = material.shown();
        let bytes = match tokio::fs::metadata(&path).await {
            Ok(meta) if meta.len() > 0 => meta.len(),
            Ok(_) => return Err(format!("{shown}: the file is empty")),
            Err(_) => return Err(format!("{shown}: the file is missing")),
        };
        // The file is in a folder that `tools.toml` names, so it is read with the user's rights for every caller.
        let ours = self.media.of(&Caller::user());
        let facts = match ours.whole(&path).await {
            Ok(facts) => facts,
            Err(error) => return Err(format!("{shown}: {}", error.message)),
        };
        if !material.fits(&facts) {
            return Err(format!("{shown}: the file has no {}", material.kind));
        }
        let Some(lasts) = material.lacks(&facts) else {
            return Ok(Whole { bytes, note: None });
        };
        // Not every format shows a truncated file, and not every server measures it: compare the size with the
        // source.
        let at_source = media.facts(&material.source).await;
        match at_source.ok().and_then(|facts| facts.bytes) {
            Some(all) if all > bytes => Err(format!(
                "{shown}: the file lasts {lasts}, because it has {bytes} of {all} bytes"
            )),
            _ => Ok(Whole {
                bytes,
                note: Some(format!(
                    "{shown} lasts {lasts}, but the draft uses it up to {}: the rest is empty",
                    material.shown_to
                )),
            }),
        }
    }
}

/// The problems of the sources, for saved files that this process cannot access.
pub(super) async fn look_at_sources(materials: &[Material], media: &Media) -> Vec<String> {
    let looks: Vec<_> = materials
        .iter()
        .map(|material| look_at_source(material, media))
        .collect();
    let looked: Vec<Option<String>> = futures::stream::iter(looks)
        .buffered(CONCURRENT_CHECKS)
        .collect()
        .await;
    looked.into_iter().flatten().collect()
}

/// Whether the server could read the material (if not, it records a length of 0), and whether this machine can read
/// the source.
async fn look_at_source(material: &Material, media: &Media) -> Option<String> {
    let shown = material.shown();
    if material.duration == Micros::ZERO {
        return Some(format!("{shown}: the server could not read it"));
    }
    if !material.source.starts_with("http://") && !material.source.starts_with("https://") {
        return None;
    }
    match media.facts(&material.source).await {
        Ok(facts) if material.fits(&facts) => None,
        Ok(_) => Some(format!("{shown}: it has no {}", material.kind)),
        // The server may reach sources that this machine cannot.
        Err(error)
            if matches!(
                error.kind,
                Kind::Media | Kind::NotFound | Kind::InvalidArgument
            ) =>
        {
            Some(format!("{shown}: {}", error.message))
        }
        Err(_) => None,
    }
}

/// A complete file.
struct Whole {
    bytes: u64,
    /// A note on something unusual about it.
    note: Option<String>,
}

/// The materials with the lengths and uses of the saved document: the server measures them when it saves.
pub(super) fn measured(mut all: Vec<Material>, saved: &Document) -> Vec<Material> {
    let saved = materials(saved);
    for material in &mut all {
        let same = |other: &&Material| other.kind == material.kind && other.name == material.name;
        if let Some(other) = saved.iter().find(same) {
            material.duration = other.duration;
            material.shown_to = other.shown_to;
        }
    }
    all
}

/// The materials that segments use; the reference server never removes unused ones.
pub(super) fn materials(script: &Document) -> Vec<Material> {
    let mut used: HashMap<Cow<'_, str>, Micros> = HashMap::new();
    for clip in script.all_clips() {
        let end = script.source(clip).unwrap_or_default().end();
        let shown_to = used.entry(script.material_id(clip)).or_default();
        *shown_to = Micros(end).max(*shown_to);
    }
    let mut all = Vec::new();
    for list in MEDIA_LISTS {
        for material in script.materials(list) {
            let Some(shown_to) = used.get(&script.id(material)) else {
                continue;
            };
            let sources = [field::REMOTE_URL, field::PATH].into_iter();
            let mut sources = sources.filter_map(|source| script.get(material, &source));
            all.push(Material {
                kind: folder_of(script, material),
                name: script.material_name(material).unwrap_or_default(),
                source: sources
                    .find(|source| !source.is_empty())
                    .unwrap_or_default(),
                duration: Micros(script.value(material, &field::DURATION)),
                shown_to: *shown_to,
            });
        }
    }
    all
}

/// The folder below `assets` in which servers keep the file of a material.
fn folder_of(script: &Document, material: MaterialRef) -> &'static str {
    match script.list_name(material) {
        "audios" => "audio",
        _ if script.value(material, &field::KIND) == "photo" => "image",
        _ => "video",
    }
}

/// Points the materials of a server's document to the files that the server saved in `folder`, which will be at
/// `moved`.
pub(super) fn take_files(script: &mut Document, folder: &Path, moved: &Path) -> Result<()> {
    let mut edit = script.edit();
    for list in MEDIA_LISTS {
        let materials: Vec<MaterialRef> = edit.materials(list).collect();
        for material in materials {
            let kind = folder_of(&edit, material);
            let names = [field::MATERIAL_NAME, field::NAME].into_iter();
            let file = names
                .filter_map(|name| edit.get(material, &name))
                // Only plain file names: a path could point outside the folder.
                .filter(|name| {
                    Path::new(name)
                        .file_name()
                        .is_some_and(|file| file == &**name)
                })
                .map(|name| Path::new("assets").join(kind).join(name))
                .find(|file| folder.join(file).is_file());
            if let Some(file) = file {
                let url = moved.join(file);
                let url = &*url.to_string_lossy();
                let set = edit.set(material, field::REMOTE_URL.path, url);
                set.map_err(document_error)?;
            }
        }
    }
    edit.commit();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn materials_lists_only_those_that_segments_use() {
        let script = json!({
            "materials": {
                "videos": [
                    { "id": "1", "material_name": "video_a.mp4", "remote_url": "http://h/a?k=1", "type": "video", "duration": 5 },
                    { "id": "2", "material_name": "image_b.png", "remote_url": "http://h/b", "type": "photo", "duration": 9 },
                    { "id": "3", "material_name": "video_unused.mp4", "remote_url": "http://h/c", "type": "video" },
                ],
                "audios": [{ "id": "4", "name": "audio_d.mp3", "remote_url": "http://h/d", "duration": 0 }],
            },
            "tracks": [{ "segments": [
                { "material_id": "1", "source_timerange": { "start": 1, "duration": 3 } },
                { "material_id": "1", "source_timerange": { "start": 0, "duration": 2 } },
                { "material_id": "2" }, { "material_id": "4" },
            ] }],
        });
        let found = materials(&Document::parse(script.to_string()).unwrap());
        let names: Vec<_> = found
            .iter()
            .map(|m| (m.kind, m.name.as_str(), m.duration.0, m.shown_to.0))
            .collect();
        assert_eq!(
            names,
            [
                ("video", "video_a.mp4", 5, 4),
                ("image", "image_b.png", 9, 0),
                ("audio", "audio_d.mp3", 0, 0)
            ]
        );
        assert!(!found[0].shown().contains("k=1"), "{}", found[0].shown());
    }

    #[test]
    fn take_files_uses_only_files_inside_the_servers_folder() {
        let folder = tempfile::tempdir().unwrap();
        let assets = folder.path().join("assets/video");
        fs::create_dir_all(&assets).unwrap();
        fs::write(assets.join("a.mp4"), "a").unwrap();
        fs::write(folder.path().join("secret"), "s").unwrap();
        let script = json!({ "materials": { "videos": [
            { "material_name": "a.mp4", "remote_url": "http://h/a" },
            { "material_name": "../../secret", "remote_url": "http://h/b" },
        ], "audios": [] } });
        let mut script = Document::parse(script.to_string()).unwrap();
        take_files(&mut script, folder.path(), folder.path()).unwrap();
        let script: Value = serde_json::from_slice(&script.write()).unwrap();
        let videos = &script["materials"]["videos"];
        assert_eq!(videos[0]["remote_url"], json!(assets.join("a.mp4")));
        assert_eq!(videos[1]["remote_url"], "http://h/b");
    }
}
