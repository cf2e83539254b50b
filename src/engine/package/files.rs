//! The files of a draft's folder other than its media.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::draft::finished::ContentType;
use crate::draft::finished::shapes::{fill, shape};
use crate::engine::profile::AppOs;
use crate::engine::timelines::{self, Timeline};
use crate::error::{Error, Result};
use crate::units::Micros;

use super::unwritable;

const META: &str = "draft_meta_info.json";
const COVER: &str = "draft_cover.jpg";
/// The folder of some companion files of a timeline.
const ATTACHMENTS: &str = "common_attachment";

/// The length that the media bin gives for a picture.
const PICTURE: Micros = Micros(5_000_000);

/// A file in the media bin.
#[derive(Clone, Debug)]
pub(crate) struct BinEntry {
    pub id: String,
    pub name: String,
    /// Its path in the draft's folder, such as `assets/video/clip.mp4`.
    pub inside: String,
    pub content: ContentType,
    pub width: u32,
    pub height: u32,
    pub duration: Micros,
}

impl BinEntry {
    /// Its entry in `draft_materials`.
    pub(crate) fn value(&self, now: i64) -> Value {
        let (kind, duration, roughcut) = match self.content {
            ContentType::Picture | ContentType::MovingPicture => {
                ("photo", PICTURE, json!({"start": -1, "duration": -1}))
            }
            ContentType::Video => (
                "video",
                self.duration,
                json!({"start": 0, "duration": self.duration.0}),
            ),
            ContentType::Sound => (
                "music",
                self.duration,
                json!({"start": 0, "duration": self.duration.0}),
            ),
        };
        let is_sound = self.content == ContentType::Sound;
        let own = json!({
            "id": self.id,
            "extra_info": self.name,
            "file_Path": format!("./{}", self.inside),
            "metetype": kind,
            "duration": duration.0,
            "roughcut_time_range": roughcut,
            "width": if is_sound { 0 } else { self.width },
            "height": if is_sound { 0 } else { self.height },
            "create_time": now / 1_000_000,
            "import_time": now / 1_000_000,
            // In microseconds, despite its name.
            "import_time_ms": now,
        });
        fill("bin_entry", own.as_object().cloned().unwrap_or_default())
    }
}

/// The data for `draft_meta_info.json`.
pub(crate) struct Meta<'a> {
    pub id: &'a str,
    pub name: &'a str,
    /// The draft's folder and the folder of all drafts, on the machine where it will be opened.
    pub folder: &'a str,
    pub root: &'a str,
    pub entries: &'a [BinEntry],
    pub duration: Micros,
    pub bytes: u64,
    /// Microseconds since 1970.
    pub now: i64,
}

/// `draft_meta_info.json`.
pub(crate) fn meta(meta: &Meta<'_>) -> Value {
    let mut value = Value::Object(shape("meta").clone());
    let entries: Vec<_> = meta
        .entries
        .iter()
        .map(|entry| entry.value(meta.now))
        .collect();
    value["draft_materials"][0]["value"] = Value::Array(entries);
    for (key, own) in [
        ("draft_id", json!(meta.id)),
        ("draft_name", json!(meta.name)),
        ("draft_fold_path", json!(meta.folder)),
        ("draft_root_path", json!(meta.root)),
        ("draft_timeline_materials_size_", json!(meta.bytes)),
        ("tm_duration", json!(meta.duration.0)),
        ("tm_draft_create", json!(meta.now)),
        ("tm_draft_modified", json!(meta.now)),
    ] {
        value[key] = own;
    }
    value
}

/// The documents of a draft, ready to be written.
#[derive(Debug)]
pub(crate) struct Documents {
    /// The timeline, in the same bytes for every file that holds it.
    pub timeline: Vec<u8>,
    pub meta: Value,
    pub os: AppOs,
    pub now: i64,
    pub duration: Micros,
    pub notes: Vec<String>,
    /// For app versions that store timelines in their own folder.
    pub timelines: Option<Timelines>,
    store: Value,
}

/// The contents of `Timelines` other than the document.
#[derive(Debug)]
pub(crate) struct Timelines {
    /// The folder of the only timeline within the draft's folder.
    pub folder: String,
    project: Value,
    layout: Value,
    companions: Vec<(&'static str, Vec<u8>)>,
}

impl Timelines {
    pub(crate) fn new(timeline: &Timeline<'_>) -> Self {
        Self {
            folder: timeline.folder(),
            project: timeline.project(),
            layout: timeline.layout(),
            companions: timeline.companions(),
        }
    }
}

impl Documents {
    pub(crate) fn new(timeline: Vec<u8>, entries: &[BinEntry]) -> Self {
        Self {
            timeline,
            meta: Value::Null,
            os: AppOs::Windows,
            now: 0,
            duration: Micros::ZERO,
            notes: Vec::new(),
            timelines: None,
            store: virtual_store(entries),
        }
    }

    /// The names and contents of all documents.
    pub(crate) fn all(&self) -> Vec<(String, Cow<'_, [u8]>)> {
        let platform = match self.os {
            AppOs::Windows => "windows",
            AppOs::Macos => "mac",
        };
        let seconds = self.now / 1_000_000;
        let settings = format!(
            "[General]\ncloud_last_modify_platform={platform}\ndraft_create_time={seconds}\ndraft_last_edit_time={seconds}\nreal_edit_keys=1\nreal_edit_seconds=1\n"
        );
        let agency = json!({
            "is_auto_agency_enabled": false, "is_auto_agency_popup": false,
            "is_single_agency_mode": false, "marterials": null, "use_converter": false,
            "video_resolution": 720,
        });
        let mut all = vec![
            (
                "draft_content.json".to_owned(),
                Cow::Borrowed(&*self.timeline),
            ),
            ("draft_info.json".to_owned(), Cow::Borrowed(&*self.timeline)),
            ("draft_meta_info.json".to_owned(), written(&self.meta)),
            ("draft_virtual_store.json".to_owned(), written(&self.store)),
            ("draft_agency_config.json".to_owned(), written(&agency)),
            (
                "draft_settings".to_owned(),
                Cow::Owned(settings.into_bytes()),
            ),
        ];
        if let Some(timelines) = &self.timelines {
            let folder = &timelines.folder;
            // Older versions do not write `template-2.tmp` here, but an outdated one would be read instead.
            all.push((
                timelines::DOCUMENTS[2].to_owned(),
                Cow::Borrowed(&*self.timeline),
            ));
            for name in timelines::DOCUMENTS {
                all.push((format!("{folder}/{name}"), Cow::Borrowed(&*self.timeline)));
            }
            all.push((timelines::PROJECT.to_owned(), written(&timelines.project)));
            all.push((timelines::LAYOUT.to_owned(), written(&timelines.layout)));
            for (name, bytes) in &timelines.companions {
                all.push(((*name).to_owned(), Cow::Borrowed(&**bytes)));
                all.push((format!("{folder}/{name}"), Cow::Borrowed(&**bytes)));
            }
        }
        all
    }

    /// Copies the cover, which is created separately, to the folder of the timeline.
    pub(crate) fn write_cover(&self, draft: &Path) -> Result<()> {
        let cover = draft.join(COVER);
        match &self.timelines {
            Some(timelines) if cover.is_file() => {
                let to = draft.join(&timelines.folder).join(COVER);
                fs::copy(&cover, &to).map_err(|error| unwritable(&to, error))?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes the documents; the essential ones are synced to the disk.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let is_needed = |name: &str| {
            let file = name.rsplit('/').next().unwrap_or(name);
            timelines::DOCUMENTS.contains(&file) || [META, timelines::PROJECT].contains(&name)
        };
        let (needed, others): (Vec<_>, Vec<_>) = self
            .all()
            .into_iter()
            .partition(|(name, _)| is_needed(name));
        if let Some(timelines) = &self.timelines {
            let attachments = folder.join(&timelines.folder).join(ATTACHMENTS);
            for path in [attachments, folder.join(ATTACHMENTS)] {
                fs::create_dir_all(&path).map_err(|error| unwritable(&path, error))?;
            }
        }
        let write = |name: &str, bytes: &[u8], is_needed: bool| {
            let path = folder.join(name);
            let attempt = || -> std::io::Result<()> {
                let mut file = File::create(&path)?;
                file.write_all(bytes)?;
                if is_needed {
                    file.sync_all()?;
                }
                Ok(())
            };
            attempt().map_err(|error| unwritable(&path, error))
        };
        let write = &write;
        std::thread::scope(|scope| {
            let all: Vec<_> = needed
                .iter()
                .map(|(name, bytes)| scope.spawn(move || write(name, bytes, true)))
                .collect();
            for (name, bytes) in &others {
                write(name, bytes, false)?;
            }
            all.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::internal("a file could not be written")))
            })
        })
    }
}

fn written(value: &Value) -> Cow<'static, [u8]> {
    Cow::Owned(value.to_string().into_bytes())
}

/// The folders of the media bin: all files are at the top level.
fn virtual_store(entries: &[BinEntry]) -> Value {
    let children: Vec<_> = entries
        .iter()
        .map(|entry| json!({"child_id": entry.id, "parent_id": ""}))
        .collect();
    let mut top = Map::new();
    for key in [
        "creation_time",
        "filter_type",
        "import_time",
        "import_time_us",
        "sort_sub_type",
        "sort_type",
        "subdraft_filter_type",
    ] {
        top.insert(key.to_owned(), json!(0));
    }
    top.insert("display_name".to_owned(), json!(""));
    top.insert("id".to_owned(), json!(""));
    json!({
        "draft_materials": [],
        "draft_virtual_store": [
            {"type": 0, "value": [top]},
            {"type": 1, "value": children},
            {"type": 2, "value": []},
        ],
    })
}
