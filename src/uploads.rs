//! Files that clients sent to a server, by name, in the storage of their tenant. Calls name them as `files/NAME`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::caller::Caller;
use crate::error::{Error, Kind, Result};
use crate::media::MediaStore;
use crate::storage::{BlobStore, NewBlob, blocking};

/// How a call names a file.
const PREFIX: &str = "files/";
/// The most bytes of a name.
const LONGEST: usize = 200;
/// Files that are not media but are named in calls: subtitles, and tables and plans as text.
const TEXTS: [&str; 9] = [
    "ass", "csv", "json", "lrc", "srt", "ssa", "tsv", "vtt", "yaml",
];
/// How many files of a call are looked up at the same time.
const AT_ONCE: usize = 8;
/// Names that Windows reserves, without their ending.
const RESERVED: [&str; 4] = ["aux", "con", "nul", "prn"];

/// The uploaded files of one tenant.
#[derive(Clone)]
pub(crate) struct Uploads {
    store: Arc<dyn BlobStore>,
}

/// A file that has arrived.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct UploadedFile {
    /// How calls name it.
    pub name: String,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Seconds, for videos and sounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Whether the file is new; otherwise the same one was there.
    #[serde(skip)]
    pub is_new: bool,
}

/// A file that is arriving. It gets its name when it is complete; until then it is removed when this is dropped.
pub(crate) struct ArrivingFile {
    name: String,
    store: Arc<dyn BlobStore>,
    file: NamedTempFile,
    hash: Sha256,
    bytes: u64,
    /// The most bytes that it may have.
    most: u64,
}

impl Uploads {
    pub(crate) fn new(store: Arc<dyn BlobStore>) -> Self {
        Self { store }
    }

    /// Starts to receive a file of at most `most` bytes.
    ///
    /// # Errors
    /// For a name that cannot be one of a file, or of a type that no call takes.
    pub(crate) fn start(&self, name: &str, most: u64) -> Result<ArrivingFile> {
        checked(name)?;
        let file = NamedTempFile::new_in(self.store.scratch()?).map_err(unstored)?;
        Ok(ArrivingFile {
            name: name.to_owned(),
            store: Arc::clone(&self.store),
            file,
            hash: Sha256::new(),
            bytes: 0,
            most,
        })
    }

    /// The files by name.
    pub(crate) async fn list(&self) -> Result<Vec<UploadedFile>> {
        let all = self.store.list("", None).await?;
        let files = all.iter().filter(|file| checked(&file.key).is_ok());
        Ok(files
            .map(|file| UploadedFile::of(&file.key, file.bytes))
            .collect())
    }

    /// Removes a file.
    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        checked(name)?;
        if self.store.find(name).await?.is_none() {
            return Err(Error::not_found(format!(
                "there is no file {:?}",
                format!("{PREFIX}{name}")
            ))
            .hint("`GET /files` lists the files"));
        }
        self.store.delete(name).await
    }

    /// Replaces `files/NAME` by a path of that file on this machine, wherever the arguments of a call name a source. A name
    /// without a file stays, and the call reports it.
    ///
    /// # Errors
    /// If the storage does not answer.
    pub(crate) async fn resolve(
        &self,
        arguments: &mut serde_json::Map<String, Value>,
    ) -> Result<()> {
        let mut names = BTreeSet::new();
        each_source(arguments, &mut |text| {
            names.extend(named(text).map(str::to_owned));
        });
        if names.is_empty() {
            return Ok(());
        }
        let found: Vec<_> = names
            .into_iter()
            .map(|name| self.path_of(name).boxed())
            .collect();
        let paths: BTreeMap<String, PathBuf> = futures::stream::iter(found)
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|found| std::future::ready(Ok(found)))
            .try_collect()
            .await?;
        each_source(arguments, &mut |text| {
            if let Some(path) = named(text).and_then(|name| paths.get(name)) {
                *text = path.to_string_lossy().into_owned();
            }
        });
        Ok(())
    }

    /// A file and its path on this machine.
    async fn path_of(&self, name: String) -> Result<Option<(String, PathBuf)>> {
        let path = self.store.local(&name).await?;
        Ok(path.map(|path| (name, path)))
    }
}

/// Calls `work` with every text of the arguments that names a source.
fn each_source(arguments: &mut serde_json::Map<String, Value>, work: &mut dyn FnMut(&mut String)) {
    for (key, value) in arguments {
        each_source_in(is_source(key), value, work);
    }
}

fn each_source_in(is_source: bool, value: &mut Value, work: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) if is_source => work(text),
        Value::Array(items) => {
            for item in items {
                each_source_in(is_source, item, work);
            }
        }
        Value::Object(members) => each_source(members, work),
        _ => {}
    }
}

/// The name of an uploaded file in a call.
fn named(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix(PREFIX)?;
    checked(name).is_ok().then_some(name)
}

fn unstored(error: std::io::Error) -> Error {
    Error::new(Kind::Unavailable, "the file cannot be stored").source(error)
}

impl UploadedFile {
    fn of(name: &str, bytes: u64) -> Self {
        Self {
            name: format!("{PREFIX}{name}"),
            bytes,
            sha256: None,
            duration: None,
            width: None,
            height: None,
            is_new: false,
        }
    }
}

impl ArrivingFile {
    /// Adds a piece.
    ///
    /// # Errors
    /// If the file becomes too large, or the disk is full.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.most {
            return Err(Error::new(
                Kind::InvalidArgument,
                format!(
                    "the file is larger than {} bytes (`limits.upload_bytes`, or what is left of `limits.tenant_bytes`)",
                    self.most
                ),
            ));
        }
        self.hash.update(piece);
        self.file.write_all(piece).map_err(unstored)
    }

    /// The file is complete: its content is checked, then it gets its name.
    ///
    /// # Errors
    /// If it is not what its name says, or another file has this name.
    pub(crate) async fn finish(self, media: &MediaStore) -> Result<UploadedFile> {
        let Self {
            name,
            store,
            file,
            hash,
            bytes,
            ..
        } = self;
        let mut uploaded = UploadedFile::of(&name, bytes);
        let hash = hash.finalize();
        let sha256: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        uploaded.sha256 = Some(sha256.clone());
        if bytes == 0 {
            return Err(Error::invalid(format!("{name:?} is empty")));
        }
        if !is_text(&name) {
            let facts = media.of(&Caller::user()).whole(file.path()).await;
            let facts = facts.map_err(|mut error| {
                // The path is one of this server.
                let path = file.path().display().to_string();
                error.message = error.message.replace(&path, &name);
                error
            })?;
            if !facts.format.is_extension_of(Path::new(&name)) {
                let mut error = Error::new(
                    Kind::Media,
                    format!("{name:?} is a {} file", facts.format.extension()),
                );
                error = error.hint(format!(
                    "name it with the ending .{}",
                    facts.format.extension()
                ));
                return Err(error);
            }
            let seconds = facts.duration.max(facts.audio_duration.unwrap_or_default());
            uploaded.duration = (seconds.0 > 0).then_some(seconds.0 as f64 / 1e6);
            uploaded.width = (facts.width > 0).then_some(facts.width);
            uploaded.height = (facts.height > 0).then_some(facts.height);
        }
        let file = blocking(move || {
            file.as_file().sync_all().map_err(unstored)?;
            Ok(file.into_temp_path())
        })
        .await?;
        let blob = NewBlob {
            file,
            bytes,
            sha256: sha256.clone(),
        };
        uploaded.is_new = store.put(&name, blob).await?;
        if !uploaded.is_new && store.sha256(&name).await?.as_ref() != Some(&sha256) {
            return Err(
                Error::conflict(format!("another file is named {name:?}")).hint(
                    "drafts may use it: choose another name, or remove that file with `DELETE` first",
                ),
            );
        }
        Ok(uploaded)
    }
}

/// Whether an argument names a source of media or text.
fn is_source(key: &str) -> bool {
    ["_url", "_path", "_file"]
        .iter()
        .any(|end| key.ends_with(end))
        || matches!(
            key,
            "url" | "path" | "file" | "srt" | "cover" | "media" | "image" | "video" | "audio"
        )
}

fn ending(name: &str) -> String {
    let ending = Path::new(name).extension().unwrap_or_default();
    ending.to_string_lossy().to_ascii_lowercase()
}

fn is_text(name: &str) -> bool {
    TEXTS.contains(&ending(name).as_str())
}

/// Checks the name of a file: one that every system can store, which is no path.
fn checked(name: &str) -> Result<()> {
    let stem = name.split('.').next().unwrap_or_default();
    let is_allowed = |c: char| !c.is_control() && !"/\\:*?\"<>|".contains(c);
    let fault = if name.is_empty() || name.len() > LONGEST {
        "it must have 1 to 200 bytes"
    } else if !name.chars().all(is_allowed) {
        "it must not contain control characters or any of / \\ : * ? \" < > |"
    } else if name.starts_with(['.', ' ']) || name.ends_with(['.', ' ']) {
        "it must not begin or end with a dot or a space"
    } else if RESERVED.contains(&stem.to_ascii_lowercase().as_str()) {
        "Windows reserves it"
    } else if ending(name).is_empty() {
        "it needs an ending, such as .mp4 or .srt"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(100).collect();
    Err(Error::invalid(format!(
        "{shown:?} cannot be the name of a file: {fault}"
    )))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::storage::FolderStore;

    fn uploads(folder: &Path) -> Uploads {
        Uploads::new(Arc::new(FolderStore::new(folder.to_owned())))
    }

    #[test]
    fn names_of_files_are_no_paths() {
        for name in ["a.mp4", "我的 视频.mov", "a-b_c.1.png", "a..b.srt"] {
            assert!(checked(name).is_ok(), "{name}");
        }
        let long = format!("{}.mp4", "a".repeat(LONGEST));
        for name in [
            "",
            ".",
            "..",
            ".a.mp4",
            "a",
            "a.mp4 ",
            "a.mp4.",
            "a/b.mp4",
            "..\\a.mp4",
            "c:a.mp4",
            "con.mp4",
            "NUL.png",
            "a\0.mp4",
            "a\n.mp4",
            "a?.mp4",
            &long,
        ] {
            assert!(checked(name).is_err(), "{name:?}");
        }
    }

    #[tokio::test]
    async fn files_are_named_in_calls_and_plans() {
        let folder = tempfile::tempdir().expect("a folder");
        let uploads = uploads(folder.path());
        fs::write(folder.path().join("a.mp4"), "a").expect("written");
        let path = folder.path().join("a.mp4").display().to_string();
        let resolved = async |mut arguments: Value| {
            let members = arguments.as_object_mut().expect("an object");
            uploads.resolve(members).await.expect("resolved");
            arguments
        };
        assert_eq!(
            resolved(json!({ "video_url": "files/a.mp4", "text": "files/a.mp4" })).await,
            json!({ "video_url": path, "text": "files/a.mp4" })
        );
        assert_eq!(
            resolved(
                json!({ "plan": { "visuals": [{ "image_url": " files/a.mp4" }], "cover": "files/a.mp4" } })
            )
            .await,
            json!({ "plan": { "visuals": [{ "image_url": path }], "cover": path } })
        );
        assert_eq!(
            resolved(json!({ "media": ["files/a.mp4", "files/../a.mp4", "files/b.mp4"] })).await,
            json!({ "media": [path, "files/../a.mp4", "files/b.mp4"] })
        );
    }

    #[tokio::test]
    async fn a_file_keeps_its_name_and_is_not_replaced_by_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let uploads = uploads(folder.path());
        let media = MediaStore::new(
            crate::manifest::Manifest::built_in().limits.media.clone(),
            None,
        );
        let send = async |name: &str, bytes: &[u8]| {
            let mut file = uploads.start(name, 100)?;
            file.write(bytes)?;
            file.finish(&media).await
        };
        assert!(send("a.srt", b"1").await.expect("a file").is_new);
        assert!(!send("a.srt", b"1").await.expect("the same file").is_new);
        let other = send("a.srt", b"2").await.expect_err("another file");
        assert_eq!(other.kind, Kind::Conflict);
        let large = send("b.srt", &[b'x'; 101]).await.expect_err("too large");
        assert_eq!(large.kind, Kind::InvalidArgument);
        let fake = send("a.mp4", b"not a video")
            .await
            .expect_err("not a video");
        assert_eq!(fake.kind, Kind::Media);
        assert!(!fake.to_string().contains(".tmp"), "{fake}");
        assert!(send("empty.srt", b"").await.is_err());
        let names: Vec<String> = uploads
            .list()
            .await
            .expect("a list")
            .into_iter()
            .map(|file| file.name)
            .collect();
        assert_eq!(names, ["files/a.srt"]);
        assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 1);
        uploads.remove("a.srt").await.expect("removed");
        assert_eq!(
            uploads.remove("a.srt").await.expect_err("gone").kind,
            Kind::NotFound
        );
    }
}
