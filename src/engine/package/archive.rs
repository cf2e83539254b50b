//! A zip file with a whole draft, a note on how to install it, and a list of its files with their hashes.
//!
//! The documents in it have no paths of a machine: those of media begin with a token, which the computer that the draft
//! is put on replaces with the draft's folder there. The same draft gives the same bytes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::staging::{Claim, back_up, may_replace_zip};
use super::unwritable;
use crate::engine::marker::{Marker, Stamp, hex};
use crate::engine::profile::AppOs;
use crate::error::Result;
use crate::regular_file::{self, Links};
use crate::units::Edition;

/// The list of files, in the root of the zip file.
pub(crate) const MANIFEST: &str = "MANIFEST.json";
/// The note for people, in the root of the zip file.
pub(crate) const NOTE: &str = "INSTALL.txt";
/// The version of the list that this program writes and reads.
pub(crate) const FORMAT: u32 = 1;
/// How much of a file is read at a time.
const PIECE: usize = 128 << 10;

/// The list of the files in a zip file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArchiveManifest {
    pub format: u32,
    /// The id of the draft.
    pub draft: String,
    /// The name of the draft in the app, and of its folder in the zip file.
    pub name: String,
    pub edition: Edition,
    /// The files to which the documents refer with a path that begins with the token, by their paths in the folder.
    pub media: BTreeSet<String>,
    /// Every file in the draft's folder.
    pub files: Vec<ArchivedFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArchivedFile {
    /// Its path in the draft's folder, with `/`.
    pub path: String,
    pub bytes: u64,
    /// In hexadecimal digits.
    pub sha256: String,
}

/// What is packed.
#[derive(Debug)]
pub(crate) struct ArchiveSource<'a> {
    pub draft: &'a str,
    pub name: &'a str,
    pub edition: Edition,
    /// The app's version and system that the draft is written for, if known.
    pub written_for: Option<(String, AppOs)>,
    pub folder: &'a Path,
    /// Files with their contents, instead of those in the folder.
    pub documents: Vec<(String, Cow<'a, [u8]>)>,
    /// Files that are packed as they are in the folder.
    pub files: BTreeSet<String>,
    /// Those to which the documents refer with the token.
    pub media: BTreeSet<String>,
}

impl ArchiveSource<'_> {
    /// Writes the zip file.
    pub(crate) fn write(&self, output: impl io::Write + io::Seek) -> io::Result<ArchiveManifest> {
        let mut failed = None;
        let written = self.write_checked(CheckedWriter::new(output, &mut failed));
        match failed {
            Some(error) => Err(error),
            None => written,
        }
    }

    fn write_checked(
        &self,
        output: CheckedWriter<'_, impl io::Write + io::Seek>,
    ) -> io::Result<ArchiveManifest> {
        let mut zip = ZipWriter::new(output);
        // Pictures and sound are already compressed; documents are not.
        let stored = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true);
        let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file(NOTE, packed)?;
        zip.write_all(self.note().as_bytes())?;
        let mut files = Vec::new();
        for (file, bytes) in &self.documents {
            zip.start_file(format!("{}/{file}", self.name), packed)?;
            zip.write_all(bytes)?;
            files.push(ArchivedFile {
                path: file.clone(),
                bytes: bytes.len() as u64,
                sha256: hex(&Sha256::digest(bytes)),
            });
        }
        for inside in &self.files {
            zip.start_file(format!("{}/{inside}", self.name), stored)?;
            let mut source = regular_file::open(&self.folder.join(inside), Links::Refuse)?;
            let (bytes, sha256) = copied(&mut source, &mut zip)?;
            files.push(ArchivedFile {
                path: inside.clone(),
                bytes,
                sha256,
            });
        }
        let manifest = ArchiveManifest {
            format: FORMAT,
            draft: self.draft.to_owned(),
            name: self.name.to_owned(),
            edition: self.edition,
            media: self.media.clone(),
            files,
        };
        zip.start_file(MANIFEST, packed)?;
        serde_json::to_writer_pretty(&mut zip, &manifest)?;
        zip.finish()?.flush()?;
        Ok(manifest)
    }

    fn note(&self) -> String {
        let (name, app) = (self.name, self.edition.app());
        let folder = match self.edition {
            Edition::Capcut => "CapCut",
            Edition::Jianying => "JianyingPro",
        };
        let (windows, macos) = (
            format!(r"%LOCALAPPDATA%\{folder}\User Data\Projects\com.lveditor.draft"),
            format!("~/Movies/{folder}/User Data/Projects/com.lveditor.draft"),
        );
        let written_for = self.written_for.as_ref().map(|(version, os)| {
            let os = match os {
                AppOs::Windows => "Windows",
                AppOs::Macos => "macOS",
            };
            format!(" (written for {app} {version} on {os})")
        });
        format!(
            "How to open \"{name}\" in {app}{}

`capcut-mcp pull` does all of this. By hand:

1. Quit {app}.
2. Unpack this file and put the folder \"{name}\" into {app}'s drafts folder:
     Windows: {windows}
     macOS:   {macos}
   If you moved it: {app}, Settings, Draft location.
3. Start {app}. The draft is on the home page.

All media are inside the folder. If {app} says that media are lost, choose \"Relink\" and
then the folder \"{name}/assets\".
",
            written_for.unwrap_or_default()
        )
    }
}

/// Copies the rest of a file; returns its size and SHA-256.
pub(crate) fn copied(
    from: &mut impl io::Read,
    to: &mut impl io::Write,
) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok((bytes, hex(&hash.finalize()))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(&piece[..read]);
        to.write_all(&piece[..read])?;
        bytes += read as u64;
    }
}

/// Packs a draft into a temporary file next to `to`, which is renamed to `to` afterwards.
pub(super) fn pack(source: &ArchiveSource<'_>, to: &Path) -> Result<Packed> {
    let root = to.parent().unwrap_or(Path::new("."));
    let claim = Claim::new(root)?;
    let attempt = || -> io::Result<()> {
        let file = fs::File::create_new(&claim.path)?;
        source.write(io::BufWriter::new(&file))?;
        file.sync_all()
    };
    attempt().map_err(|error| unwritable(to, error))?;
    Ok(Packed { claim })
}

/// A zip file that still has a temporary name.
pub(super) struct Packed {
    claim: Claim,
}

impl Packed {
    pub(super) fn stamp(&self) -> Result<Stamp> {
        Stamp::of(&self.claim.path).map_err(|error| unwritable(&self.claim.path, error))
    }

    /// Renames it to its final path. An existing file is replaced if it is the zip file of the previous save;
    /// otherwise it is moved to the backups if `overwrite` allows it. Returns the path of the backup.
    pub(super) fn place(
        self,
        to: &Path,
        before: Option<&Marker>,
        overwrite: bool,
    ) -> Result<Option<PathBuf>> {
        may_replace_zip(to, before, overwrite)?;
        if before.is_some_and(|before| before.wrote_zip(to)) {
            fs::rename(&self.claim.path, to).map_err(|error| unwritable(to, error))?;
            return Ok(None);
        }
        let kept = match fs::symlink_metadata(to) {
            Ok(_) => Some(back_up(to)?),
            Err(_) => None,
        };
        tempfile::TempPath::try_from_path(&self.claim.path)
            .and_then(|path| path.persist_noclobber(to).map_err(|error| error.error))
            .map_err(|error| unwritable(to, error))?;
        Ok(kept)
    }
}

/// A file that records the first failed write and then only pretends to continue: `ZipWriter` completes its
/// file when it is dropped, and would print an error.
pub(super) struct CheckedWriter<'a, W> {
    file: W,
    failed: &'a mut Option<io::Error>,
    at: u64,
    end: u64,
}

impl<'a, W> CheckedWriter<'a, W> {
    pub(super) fn new(file: W, failed: &'a mut Option<io::Error>) -> Self {
        Self {
            file,
            failed,
            at: 0,
            end: 0,
        }
    }

    /// Records the error and passes it on, so that the work stops.
    fn noted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| {
            let kind = error.kind();
            *self.failed = Some(error);
            kind.into()
        })
    }
}

impl<W: io::Write> io::Write for CheckedWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = if self.failed.is_some() {
            bytes.len()
        } else {
            let done = self.file.write(bytes);
            self.noted(done)?
        };
        self.at += written as u64;
        self.end = self.end.max(self.at);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failed.is_some() {
            return Ok(());
        }
        let done = self.file.flush();
        self.noted(done)
    }
}

impl<W: io::Seek> io::Seek for CheckedWriter<'_, W> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        if self.failed.is_none() {
            let done = self.file.seek(to);
            self.noted(done)?;
        }
        self.at = match to {
            io::SeekFrom::Start(at) => at,
            io::SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            io::SeekFrom::End(by) => self.end.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}
