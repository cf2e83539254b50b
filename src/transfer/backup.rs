//! Backups: everything that a store has, in one compressed file.
//!
//! The file is a gzip stream of lines, each a JSON object: `backup` with the version of the format, then for each tenant
//! `tenant` and its parts (`part`), and `end` with the number of the lines before it and their SHA-256. The parts of a
//! tenant are as [`StorePart`] has them. The file is readable by its owner only: it contains the hashes of tokens.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::{TransferSource, TransferTarget};
use crate::access::TenantName;
use crate::error::{Error, Kind, Result};
use crate::journal::{Imported, MergeRule, StorePart, now_ms};
use crate::regular_file::{self, Links};

/// The version of the format.
const VERSION: u32 = 1;
/// The longest line, in bytes: a document of a draft has at most 64 MB, compressed and then as Base64.
const MOST_LINE: u64 = 512 << 20;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BackupLine {
    Backup(BackupHead),
    Tenant(TenantName),
    Part(StorePart),
    End(BackupEnd),
}

#[derive(Serialize, Deserialize)]
struct BackupHead {
    version: u32,
    /// The version of the program that wrote it.
    program: String,
    made_ms: i64,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct BackupEnd {
    lines: u64,
    /// In hexadecimal digits.
    sha256: String,
}

/// The number of the lines so far, and their hash.
#[derive(Clone, Default)]
struct LineCount {
    lines: u64,
    hash: Sha256,
}

impl LineCount {
    fn add(&mut self, line: &[u8]) {
        self.lines += 1;
        self.hash.update(line);
    }

    fn end(&self) -> BackupEnd {
        let hash = self.hash.clone().finalize();
        BackupEnd {
            lines: self.lines,
            sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// A backup that is written: a temporary file until it is complete.
pub(crate) struct BackupWriter {
    path: PathBuf,
    /// An existing file is replaced.
    replace: bool,
    /// `None` after the end.
    out: Option<GzEncoder<BufWriter<NamedTempFile>>>,
    count: LineCount,
    who: Option<TenantName>,
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("the backup {} cannot be written", path.display()),
    )
    .hint("check the folder's permissions and the free space, or name another file; an earlier backup there is unchanged")
    .source(error)
}

impl BackupWriter {
    /// # Errors
    /// If there is a file at `path` and it is not to be replaced, or the folder cannot be written.
    pub(crate) fn new(path: &Path, replace: bool) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::invalid(format!("{} is a folder", path.display()))
                .hint("name a file in it, such as drafts.backup"));
        }
        if !replace && path.exists() {
            return Err(Error::conflict(format!("{} exists", path.display())).hint(
                "name another file, or replace it with `--replace` once the new backup is complete",
            ));
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // Readable by its owner only.
        let file = tempfile::Builder::new()
            .prefix(".capcut-mcp-")
            .suffix(".part")
            .tempfile_in(folder)
            .map_err(|error| unwritable(path, error))?;
        let mut own = Self {
            path: path.to_owned(),
            replace,
            out: Some(GzEncoder::new(BufWriter::new(file), Compression::fast())),
            count: LineCount::default(),
            who: None,
        };
        own.line(&BackupLine::Backup(BackupHead {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made_ms: now_ms(),
        }))?;
        Ok(own)
    }

    fn line(&mut self, line: &BackupLine) -> Result<()> {
        let mut text = serde_json::to_vec(line).map_err(|error| {
            Error::internal("a line of the backup cannot be written as JSON").source(error)
        })?;
        text.push(b'\n');
        let Some(out) = &mut self.out else {
            return Err(Error::internal("the backup is complete already"));
        };
        out.write_all(&text)
            .map_err(|error| unwritable(&self.path, error))?;
        self.count.add(&text);
        Ok(())
    }

    fn keep(&self, out: GzEncoder<BufWriter<NamedTempFile>>) -> io::Result<()> {
        let file = out.finish()?.into_inner()?;
        file.as_file().sync_all()?;
        if self.replace {
            file.persist(&self.path)?;
        } else {
            file.persist_noclobber(&self.path)?;
        }
        // The name is on the disk too; folders cannot be opened everywhere.
        if let Some(folder) = self.path.parent()
            && let Ok(folder) = File::open(folder)
        {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

#[async_trait]
impl TransferTarget for BackupWriter {
    async fn put(
        &mut self,
        who: &TenantName,
        parts: Vec<StorePart>,
        _existing: MergeRule,
    ) -> Result<Vec<Imported>> {
        if self.who.as_ref() != Some(who) {
            self.line(&BackupLine::Tenant(who.clone()))?;
            self.who = Some(who.clone());
        }
        let mut done = Vec::with_capacity(parts.len());
        for part in parts {
            done.push(Imported::Written(match &part {
                StorePart::Draft(part) => part.calls.len() as u64,
                _ => 1,
            }));
            self.line(&BackupLine::Part(part))?;
        }
        Ok(done)
    }

    async fn finish(&mut self) -> Result<()> {
        self.line(&BackupLine::End(self.count.end()))?;
        let Some(out) = self.out.take() else {
            return Err(Error::internal("the backup is complete already"));
        };
        self.keep(out)
            .map_err(|error| unwritable(&self.path, error))
    }
}

/// A backup that is read.
#[derive(Clone, Debug)]
pub(crate) struct BackupFile(PathBuf);

impl BackupFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Reads all of it, and returns when it was made, in milliseconds since 1970.
    ///
    /// # Errors
    /// If it is not a backup, is not complete or is damaged.
    pub(crate) fn check(&self) -> Result<i64> {
        self.each(|_, _| true)
    }

    fn damaged(&self, what: &str) -> Error {
        Error::invalid(format!(
            "the backup {} is damaged: {what}",
            self.0.display()
        ))
        .hint("nothing was restored from it; use another backup")
    }

    /// Gives all parts to `send` until it returns false.
    fn each(&self, mut send: impl FnMut(&TenantName, StorePart) -> bool) -> Result<i64> {
        let file = regular_file::open(&self.0, Links::Follow).map_err(|error| {
            Error::not_found(format!("the backup {} cannot be read", self.0.display()))
                .hint("name a file that `capcut-mcp store backup` has written")
                .source(error)
        })?;
        let mut lines = BufReader::new(GzDecoder::new(BufReader::new(file)));
        let mut count = LineCount::default();
        let (mut head, mut who) = (None, None);
        let mut text = Vec::new();
        loop {
            text.clear();
            let before = count.end();
            let read = (&mut lines).take(MOST_LINE).read_until(b'\n', &mut text);
            match read {
                Ok(0) => return Err(self.damaged("its end is missing")),
                Ok(_) if text.last() == Some(&b'\n') => {}
                Ok(_) => return Err(self.damaged("its last line is not complete")),
                Err(error) if head.is_none() && error.kind() == io::ErrorKind::InvalidInput => {
                    return Err(Error::invalid(format!(
                        "{} is not a backup of a store",
                        self.0.display()
                    ))
                    .hint("name a file that `capcut-mcp store backup` has written")
                    .source(error));
                }
                Err(error) => {
                    return Err(self.damaged("it cannot be unpacked").source(error));
                }
            }
            let line = serde_json::from_slice(&text).map_err(|error| {
                self.damaged(&format!("line {} is not one of a backup", count.lines + 1))
                    .source(error)
            })?;
            count.add(&text);
            match (line, head, &who) {
                (BackupLine::Backup(found), None, _) => {
                    if found.version > VERSION {
                        return Err(Error::invalid(format!(
                            "the backup {} has format {}, and this version of capcut-mcp reads format {VERSION}",
                            self.0.display(),
                            found.version
                        ))
                        .hint(format!("use capcut-mcp {} or later", found.program)));
                    }
                    head = Some(found.made_ms);
                }
                (BackupLine::Tenant(name), Some(_), _) => who = Some(name),
                (BackupLine::Part(part), Some(made_ms), Some(who)) => {
                    if !send(who, part) {
                        return Ok(made_ms);
                    }
                }
                (BackupLine::End(end), Some(made_ms), _) => {
                    if end != before {
                        return Err(self.damaged("lines were changed or removed"));
                    }
                    return Ok(made_ms);
                }
                _ => {
                    return Err(
                        self.damaged(&format!("line {} is not expected there", count.lines))
                    );
                }
            }
        }
    }
}

#[async_trait]
impl TransferSource for BackupFile {
    async fn send(&self, to: mpsc::Sender<(TenantName, StorePart)>) -> Result<()> {
        let own = self.clone();
        let work = move || {
            own.each(|who, part| to.blocking_send((who.clone(), part)).is_ok())
                .map(drop)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(Error::internal("reading the backup was interrupted").source(error)),
        }
    }
}
