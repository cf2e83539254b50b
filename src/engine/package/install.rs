//! A zip file with a whole draft and a note on how to install it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::files::Documents;
use super::staging::{Claim, back_up, may_replace_zip};
use super::{existing, unwritable};
use crate::engine::marker::{Marker, Stamp};
use crate::engine::profile::{AppOs, Profile};
use crate::error::Result;
use crate::units::Edition;

/// Packs the draft in `folder` into a temporary file next to `to`: with `documents` instead of those in the
/// folder, and with its `media`. The file is renamed to `to` afterwards.
pub(super) fn pack(
    folder: &Path,
    name: &str,
    documents: &Documents,
    media: &BTreeSet<&str>,
    profile: &Profile,
    to: &Path,
) -> Result<Packed> {
    let root = to.parent().unwrap_or(Path::new("."));
    let claim = Claim::new(root)?;
    let attempt = || -> io::Result<()> {
        let file = fs::File::create_new(&claim.path)?;
        let mut failed = None;
        let output = CheckedWriter::new(io::BufWriter::new(&file), &mut failed);
        let packed = write(output, folder, name, documents, media, profile);
        if let Some(error) = failed {
            return Err(error);
        }
        packed?;
        file.sync_all()
    };
    attempt().map_err(|error| unwritable(to, error))?;
    Ok(Packed { claim })
}

fn write(
    output: CheckedWriter<'_, impl io::Write + io::Seek>,
    folder: &Path,
    name: &str,
    documents: &Documents,
    media: &BTreeSet<&str>,
    profile: &Profile,
) -> io::Result<()> {
    let mut zip = ZipWriter::new(output);
    // Pictures and sound are already compressed; documents are not.
    let stored = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file("INSTALL.txt", packed)?;
    zip.write_all(note(name, profile).as_bytes())?;
    for (file, bytes) in &documents.all() {
        zip.start_file(format!("{name}/{file}"), packed)?;
        zip.write_all(bytes)?;
    }
    let covers = existing::covers(folder);
    for inside in media
        .iter()
        .copied()
        .chain(covers.iter().map(|cover| &**cover))
    {
        zip.start_file(format!("{name}/{inside}"), stored)?;
        io::copy(&mut fs::File::open(folder.join(inside))?, &mut zip)?;
    }
    zip.finish()?.flush()
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

fn note(name: &str, profile: &Profile) -> String {
    let app = profile.edition.app();
    let folder = match profile.edition {
        Edition::Capcut => "CapCut",
        Edition::Jianying => "JianyingPro",
    };
    let (windows, macos) = (
        format!(r"%LOCALAPPDATA%\{folder}\User Data\Projects\com.lveditor.draft"),
        format!("~/Movies/{folder}/User Data/Projects/com.lveditor.draft"),
    );
    let written_for = match profile.os {
        AppOs::Windows => "Windows",
        AppOs::Macos => "macOS",
    };
    format!(
        "How to open \"{name}\" in {app} (written for {app} {version} on {written_for})

1. Quit {app}.
2. Unpack this file and put the folder \"{name}\" into {app}'s drafts folder:
     Windows: {windows}
     macOS:   {macos}
   If you moved it: {app}, Settings, Draft location.
3. Start {app}. The draft is on the home page.

All media are inside the folder. If {app} says that media are lost, choose \"Relink\" and
then the folder \"{name}/assets\".
",
        version = profile.app_version
    )
}
