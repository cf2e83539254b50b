//! The journal's file: opens it, detects that it was replaced, and explains its errors.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME, ErrorCode, OpenFlags};

use super::{BUSY, schema};
use crate::error::{Error, Kind, Result};
use crate::journal::SyncMode;
use crate::{regular_file, settings};

/// Number of written rows after which the log is moved to the file: well before the log reaches the length at which
/// SQLite moves it itself.
const MOVED_AFTER: u64 = 1_000;

/// The sizes in bytes of the header of SQLite's log and of the header of each page in it.
const LOG_HEAD: u64 = 32;
const FRAME_HEAD: u64 = 24;

/// The path of the journal, and its sync mode.
#[derive(Debug)]
pub(super) struct JournalFile {
    /// `None` if there is no folder for it.
    pub path: Option<PathBuf>,
    pub sync: SyncMode,
}

/// A connection, and the files to which it is connected.
#[derive(Debug)]
pub(super) struct OpenConnection {
    pub connection: Connection,
    seen: FileIdentities,
    log_path: PathBuf,
    /// The size of a page in bytes.
    page: u64,
    /// How many rows had been written when the log was last moved to the file.
    moved: u64,
}

/// The files behind the paths when they were opened. Without this check, calls could be written to a deleted file
/// and would never be read again.
#[derive(Debug)]
struct FileIdentities {
    file: Option<Identity>,
    /// The file never becomes shorter.
    bytes: u64,
    log: Option<Identity>,
}

impl FileIdentities {
    fn of(path: &Path) -> Self {
        let (file, bytes) = identity_and_length(path);
        let (log, _) = identity_and_length(&beside(path, "-wal"));
        Self { file, bytes, log }
    }
}

/// Device and inode.
#[derive(Debug, PartialEq, Eq)]
struct Identity(u64, u64);

/// A change of the files from outside while they were in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExternalChange {
    /// The file was moved, deleted or replaced.
    Replaced,
    /// The file was shortened.
    Cut,
    /// The log was moved, deleted or replaced.
    LogReplaced,
    /// The log was shortened.
    LogCut,
}

impl JournalFile {
    pub(super) fn new(path: Option<PathBuf>, sync: SyncMode) -> Self {
        Self { path, sync }
    }

    /// The value of SQLite's `synchronous` in this mode.
    pub(super) fn synchronous(&self) -> &'static str {
        match self.sync {
            SyncMode::Full => "FULL",
            SyncMode::Normal => "NORMAL",
        }
    }

    pub(super) fn open(&self) -> Result<OpenConnection> {
        let Some(path) = &self.path else {
            return Err(settings::no_home());
        };
        if let Some(dir) = path.parent() {
            regular_file::create_own_folder(dir).map_err(|error| {
                Error::new(
                    Kind::Unavailable,
                    format!(
                        "the folder for drafts, {}, cannot be created",
                        dir.display()
                    ),
                )
                .at_shell("name a writable folder with `--data-dir`")
                .source(error)
                .lasting()
            })?;
        }
        restrict_access(path);
        let mut connection = Connection::open(path).map_err(|error| self.explain(error))?;
        let version = self
            .prepare(&mut connection)
            .map_err(|error| self.explain(error))?;
        if version > schema::STEPS.len() {
            return Err(newer(path, version));
        }
        let page = connection
            .pragma_query_value(None, "page_size", |row| row.get(0).map(i64::cast_unsigned))
            .map_err(|error| self.explain(error))?;
        Ok(OpenConnection {
            connection,
            seen: FileIdentities::of(path),
            log_path: beside(path, "-wal"),
            page,
            moved: 0,
        })
    }

    /// The inode of the file, on systems that have inodes: a copy of the file has a different one.
    pub(super) fn inode(&self) -> Option<u64> {
        let (found, _) = identity_and_length(self.path.as_deref()?);
        found.map(|found| found.1)
    }

    /// Sets up the connection and returns the resulting version of the file; a newer file is not changed.
    fn prepare(&self, connection: &mut Connection) -> rusqlite::Result<usize> {
        connection.busy_timeout(BUSY)?;
        let version = schema::version(connection)?;
        if version > schema::STEPS.len() {
            return Ok(version);
        }
        use_log(connection)?;
        // `fullfsync`: on macOS, `fsync` alone does not flush the cache of the disk.
        connection.execute_batch(
            "PRAGMA fullfsync = ON;
             PRAGMA wal_autocheckpoint = 8000;
             PRAGMA journal_size_limit = 16777216;",
        )?;
        // All statements of the journal; compiling one takes longer than executing it.
        connection.set_prepared_statement_cache_capacity(64);
        // The plan of a statement never depends on its parameters: otherwise some are compiled again for each use.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "synchronous", self.synchronous())?;
        // The log is as durable as the file, and moving it when the connection closes would delay the exit.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        schema::migrate(connection, schema::STEPS)?;
        schema::version(connection)
    }

    /// An SQLite error with a hint for the user.
    pub(super) fn explain(&self, error: rusqlite::Error) -> Error {
        let code = error.sqlite_error_code();
        let hint = match code {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                return damaged(self, "").source(error);
            }
            Some(ErrorCode::DiskFull) => {
                "the disk is full: free some space, then send the call again; nothing was recorded"
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                "make the file and its folder writable, or name another folder with `--data-dir`"
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another process has locked the file: send the call again, or stop that process"
            }
            Some(ErrorCode::SystemIoFailure) => {
                "the disk reports an error or is full: check it, then send the call again"
            }
            _ => "the call was not recorded: send it again; `capcut-mcp doctor` checks the file",
        };
        let lasting = matches!(
            code,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
        );
        let what = format!("the journal {self} cannot be used");
        Error {
            lasting,
            ..Error::new(Kind::Unavailable, what).hint(hint).source(error)
        }
    }
}

impl std::fmt::Display for JournalFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.path {
            Some(path) => path.display().fmt(f),
            None => f.write_str("(no folder)"),
        }
    }
}

pub(super) fn damaged(file: &JournalFile, what: &str) -> Error {
    let what = if what.is_empty() {
        String::new()
    } else {
        format!(" ({what})")
    };
    Error::new(
        Kind::Unavailable,
        format!("the journal {file} is damaged or is not a journal{what}"),
    )
    .hint(
        "move it away, together with its `-wal` and `-shm` files: capcut-mcp then starts a new journal; \
        saved drafts do not need the old one",
    )
    .lasting()
}

/// The error for a change from outside, after which the file was opened again.
pub(super) fn tampered(file: &JournalFile, fault: ExternalChange) -> Error {
    let what = match fault {
        ExternalChange::Replaced => "was moved, deleted or replaced while it was in use",
        ExternalChange::Cut => {
            "was shortened while it was in use: acknowledged calls may be missing"
        }
        ExternalChange::LogReplaced => {
            "lost its `-wal` file while it was in use: acknowledged calls may be missing"
        }
        ExternalChange::LogCut => {
            "has a `-wal` file that was shortened while it was in use: acknowledged calls may be missing"
        }
    };
    let hint = match fault {
        ExternalChange::Replaced => {
            "restore the file, or send the call again to continue with the current file"
        }
        ExternalChange::Cut | ExternalChange::LogReplaced | ExternalChange::LogCut => {
            "restore the file from a backup, or check the draft and send the call again to continue with the current \
            file; if this error persists, stop every capcut-mcp process that uses the file"
        }
    };
    Error::new(Kind::Unavailable, format!("the journal {file} {what}")).hint(hint)
}

fn newer(path: &Path, version: usize) -> Error {
    Error::new(
        Kind::Unavailable,
        format!(
            "the journal {} has version {version}, but this capcut-mcp supports versions up to {}",
            path.display(),
            schema::STEPS.len()
        ),
    )
    .at_shell(
        "use the newer capcut-mcp that wrote the file, or name another folder with `--data-dir`",
    )
    .lasting()
}

impl OpenConnection {
    /// Checks the files before they are used.
    pub(super) fn fault(&mut self, file: &JournalFile) -> Option<ExternalChange> {
        // All processes know from the `-shm` file how long the log must be.
        let frames =
            checkpoint(&self.connection, CheckpointMode::NOOP).map_or(0, |state| state.frames);
        let log_bytes = match self.changed(file) {
            Ok(log_bytes) => log_bytes?,
            Err(change) => return Some(change),
        };
        let least = LOG_HEAD + frames * (FRAME_HEAD + self.page);
        (frames > 0 && log_bytes < least).then_some(ExternalChange::LogCut)
    }

    /// Checks the files after a write: if they had been replaced before it, the write would be lost.
    pub(super) fn fault_after(&mut self, file: &JournalFile) -> Option<ExternalChange> {
        self.changed(file).err()
    }

    /// The length of the log in bytes, if both files are still the ones that were opened. (`None` without a path.)
    fn changed(&mut self, file: &JournalFile) -> Result<Option<u64>, ExternalChange> {
        let Some(path) = file.path.as_deref() else {
            return Ok(None);
        };
        let (found, bytes) = identity_and_length(path);
        if found != self.seen.file {
            return Err(ExternalChange::Replaced);
        }
        if bytes < self.seen.bytes {
            return Err(ExternalChange::Cut);
        }
        self.seen.bytes = bytes;
        let (log, log_bytes) = identity_and_length(&self.log_path);
        if log != self.seen.log {
            return Err(ExternalChange::LogReplaced);
        }
        Ok(Some(log_bytes))
    }

    /// Repairs the fault if this is possible without loss: a deleted log is still open in this process and can be
    /// moved to the file.
    pub(super) fn repair(&self, fault: ExternalChange) -> bool {
        let moved = || checkpoint(&self.connection, CheckpointMode::TRUNCATE).is_ok();
        fault == ExternalChange::LogReplaced && moved()
    }

    /// Moves the log to the file, so that a copy of the file alone is complete.
    pub(super) fn finish(&mut self, file: &JournalFile) {
        if self.fault(file).is_some() {
            return;
        }
        let moved = match checkpoint(&self.connection, CheckpointMode::NOOP) {
            Ok(state) if state.frames == state.moved => return,
            _ => checkpoint(&self.connection, CheckpointMode::PASSIVE),
        };
        if let Err(error) = moved {
            tracing::debug!("the journal's log was not moved to its file: {error}");
        }
    }

    /// After many writes, moves the log to the file on a separate thread: otherwise the call that fills the log
    /// would have to wait for the disk.
    pub(super) fn move_log_if_long(&mut self, file: &JournalFile) {
        let Some(path) = &file.path else { return };
        let written = self.connection.total_changes();
        if written - self.moved < MOVED_AFTER {
            return;
        }
        self.moved = written;
        let path = path.clone();
        let moving = thread::Builder::new().spawn(move || {
            if let Err(error) = move_log(&path) {
                tracing::debug!("the journal's log was not moved to its file: {error}");
            }
        });
        if let Err(error) = moving {
            tracing::debug!(
                "no thread could be started to move the journal's log to its file: {error}"
            );
        }
    }
}

/// Moves the pages that no reader needs in the log any more. If this fails, SQLite does it when the log is full.
fn move_log(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "fullfsync", true)?;
    checkpoint(&connection, CheckpointMode::PASSIVE).map(drop)
}

/// The state of the log according to a checkpoint.
struct WalState {
    /// Pages in the log.
    frames: u64,
    /// How many of them have been moved to the file.
    moved: u64,
}

/// Moves pages from the log to the file: those that no reader needs in the log (`PASSIVE`), all (`TRUNCATE`), or
/// none (`NOOP`). An error if another process prevents it.
fn checkpoint(connection: &Connection, mode: CheckpointMode) -> rusqlite::Result<WalState> {
    let (frames, moved) = connection.wal_checkpoint_v2(DEFAULT_NAME, mode)?;
    // -1 if there is no log.
    let pages = |count| u64::try_from(count).unwrap_or_default();
    Ok(WalState {
        frames: pages(frames),
        moved: pages(moved),
    })
}

/// Switches the file to write-ahead logging. While another process does the same, SQLite fails immediately and
/// ignores its busy timeout, so this retries.
fn use_log(connection: &Connection) -> rusqlite::Result<()> {
    let start = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && start.elapsed() < BUSY =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            other => return other,
        }
    }
}

/// The path of a file that SQLite keeps next to the journal.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Creates the file with access for the owner only, and restricts files that earlier versions left readable. SQLite
/// gives its other files the permissions of this one.
fn restrict_access(path: &Path) {
    // An existing file is not opened here: closing it would release the locks of this process's other connections.
    let mut options = std::fs::File::options();
    let made = regular_file::owner_only(options.write(true).create_new(true)).open(path);
    if let Some(folder) = path.parent() {
        regular_file::tighten(folder);
    }
    if made.is_ok() {
        return;
    }
    for file in [path, &beside(path, "-wal"), &beside(path, "-shm")] {
        regular_file::tighten(file);
    }
}

/// The identity of a file and its length in bytes; none and 0 if it cannot be found.
#[cfg(unix)]
fn identity_and_length(path: &Path) -> (Option<Identity>, u64) {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(path) {
        Ok(found) => (Some(Identity(found.dev(), found.ino())), found.len()),
        Err(_) => (None, 0),
    }
}

/// Windows does not allow an open file to be deleted or replaced, so the length suffices there.
#[cfg(not(unix))]
fn identity_and_length(path: &Path) -> (Option<Identity>, u64) {
    (None, std::fs::metadata(path).map_or(0, |found| found.len()))
}
