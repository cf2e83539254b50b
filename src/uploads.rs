//! Files that clients sent to a server, by name, in the data folder of their tenant. Calls name them as `files/NAME`.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::caller::Caller;
use crate::error::{Error, Kind, Result};
use crate::media::MediaStore;
use crate::regular_file;

/// The folder in the data folder of a tenant.
pub(crate) const FOLDER: &str = "files";
/// How a call names a file.
const PREFIX: &str = "files/";
/// The most bytes of a name.
const LONGEST: usize = 200;
/// Files that are not media but are named in calls: subtitles, and tables and plans as text.
const TEXTS: [&str; 9] = [
    "ass", "csv", "json", "lrc", "srt", "ssa", "tsv", "vtt", "yaml",
];
/// Names that Windows reserves, without their ending.
const RESERVED: [&str; 4] = ["aux", "con", "nul", "prn"];

/// The uploaded files of one tenant.
#[derive(Clone, Debug)]
pub(crate) struct Uploads {
    folder: PathBuf,
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
#[derive(Debug)]
pub(crate) struct ArrivingFile {
    name: String,
    to: PathBuf,
    file: NamedTempFile,
    hash: Sha256,
    bytes: u64,
    /// The most bytes that it may have.
    most: u64,
}

impl Uploads {
    /// Those in this data folder.
    pub(crate) fn in_data(data: &Path) -> Self {
        Self {
            folder: data.join(FOLDER),
        }
    }

    /// Starts to receive a file of at most `most` bytes.
    ///
    /// # Errors
    /// For a name that cannot be one of a file, or of a type that no call takes.
    pub(crate) fn start(&self, name: &str, most: u64) -> Result<ArrivingFile> {
        checked(name)?;
        let made = regular_file::create_own_folder(&self.folder).and_then(|()| {
            tempfile::Builder::new()
                .prefix(".arriving")
                .tempfile_in(&self.folder)
        });
        let file = made.map_err(|error| self.unusable("written", error))?;
        Ok(ArrivingFile {
            name: name.to_owned(),
            to: self.folder.join(name),
            file,
            hash: Sha256::new(),
            bytes: 0,
            most,
        })
    }

    /// The files by name.
    pub(crate) fn list(&self) -> Result<Vec<UploadedFile>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.unusable("read", error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.unusable("read", error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = entry.metadata();
            if let Ok(metadata) = metadata
                && metadata.is_file()
                && checked(&name).is_ok()
            {
                files.push(UploadedFile::of(&name, metadata.len()));
            }
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        checked(name)?;
        fs::remove_file(self.folder.join(name)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::not_found(format!("there is no file {:?}", format!("{PREFIX}{name}")))
                    .hint("`GET /files` lists the files")
            }
            _ => self.unusable("removed", error),
        })
    }

    /// Replaces `files/NAME` by the path of that file, wherever the arguments of a call name a source. A name without a
    /// file stays, and the call reports it.
    pub(crate) fn resolve(&self, arguments: &mut serde_json::Map<String, Value>) {
        for (key, value) in arguments {
            self.resolve_value(is_source(key), value);
        }
    }

    fn resolve_value(&self, is_source: bool, value: &mut Value) {
        match value {
            Value::String(text) if is_source => {
                let name = text.trim().strip_prefix(PREFIX);
                if let Some(name) = name.filter(|name| checked(name).is_ok()) {
                    let path = self.folder.join(name);
                    if path.is_file() {
                        *text = path.to_string_lossy().into_owned();
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.resolve_value(is_source, item);
                }
            }
            Value::Object(members) => self.resolve(members),
            _ => {}
        }
    }

    fn unusable(&self, what: &str, error: io::Error) -> Error {
        let text = format!("the folder of uploaded files cannot be {what}");
        tracing::error!(folder = %self.folder.display(), "{text}: {error}");
        Error::new(Kind::Unavailable, text).source(error)
    }
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
        self.file.write_all(piece).map_err(|error| {
            Error::new(Kind::Unavailable, "the file cannot be stored").source(error)
        })
    }

    /// The file is complete: its content is checked, then it gets its name.
    ///
    /// # Errors
    /// If it is not what its name says, or another file has this name.
    pub(crate) async fn finish(self, media: &MediaStore) -> Result<UploadedFile> {
        let Self {
            name,
            to,
            file,
            hash,
            bytes,
            ..
        } = self;
        let mut uploaded = UploadedFile::of(&name, bytes);
        let hash = hash.finalize();
        uploaded.sha256 = Some(hash.iter().map(|byte| format!("{byte:02x}")).collect());
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
        let placed = tokio::task::spawn_blocking(move || place(file, &to, &hash)).await;
        let placed = placed.map_err(io::Error::other).flatten();
        uploaded.is_new = placed.map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                return Error::conflict(format!("another file is named {name:?}")).hint(
                    "drafts may use it: choose another name, or remove that file with `DELETE` first",
                );
            }
            Error::new(Kind::Unavailable, "the file cannot be stored").source(error)
        })?;
        Ok(uploaded)
    }
}

/// Gives a complete file its name. Returns false if the same file has it already.
fn place(file: NamedTempFile, to: &Path, hash: &[u8]) -> io::Result<bool> {
    file.as_file().sync_all()?;
    match file.persist_noclobber(to) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            if file_hash(to)?.as_slice() == hash {
                return Ok(false);
            }
            Err(io::ErrorKind::AlreadyExists.into())
        }
        Err(error) => Err(error.error),
    }
}

fn file_hash(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().to_vec()),
            count => hash.update(&piece[..count]),
        }
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
    use serde_json::json;

    use super::*;

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

    #[test]
    fn files_are_named_in_calls_and_plans() {
        let data = tempfile::tempdir().expect("a folder");
        let uploads = Uploads::in_data(data.path());
        fs::create_dir_all(&uploads.folder).expect("a folder");
        fs::write(uploads.folder.join("a.mp4"), "a").expect("written");
        let path = uploads.folder.join("a.mp4").display().to_string();
        let resolved = |mut arguments: Value| {
            let members = arguments.as_object_mut().expect("an object");
            uploads.resolve(members);
            arguments
        };
        assert_eq!(
            resolved(json!({ "video_url": "files/a.mp4", "text": "files/a.mp4" })),
            json!({ "video_url": path, "text": "files/a.mp4" })
        );
        assert_eq!(
            resolved(
                json!({ "plan": { "visuals": [{ "image_url": " files/a.mp4" }], "cover": "files/a.mp4" } })
            ),
            json!({ "plan": { "visuals": [{ "image_url": path }], "cover": path } })
        );
        assert_eq!(
            resolved(json!({ "media": ["files/a.mp4", "files/../a.mp4", "files/b.mp4"] })),
            json!({ "media": [path, "files/../a.mp4", "files/b.mp4"] })
        );
    }

    #[tokio::test]
    async fn a_file_keeps_its_name_and_is_not_replaced_by_another() {
        let data = tempfile::tempdir().expect("a folder");
        let uploads = Uploads::in_data(data.path());
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
        assert!(!fake.to_string().contains("arriving"), "{fake}");
        assert!(send("empty.srt", b"").await.is_err());
        let names: Vec<String> = uploads
            .list()
            .expect("a list")
            .into_iter()
            .map(|file| file.name)
            .collect();
        assert_eq!(names, ["files/a.srt"]);
        assert_eq!(fs::read_dir(&uploads.folder).expect("it exists").count(), 1);
        uploads.remove("a.srt").expect("removed");
        assert_eq!(
            uploads.remove("a.srt").expect_err("gone").kind,
            Kind::NotFound
        );
    }
}
