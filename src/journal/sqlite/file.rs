//! The journal's file: opening it, noticing that it was exchanged, and saying what is wrong with it.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{BUSY, schema};
use crate::error::{Error, Kind, Result};
use crate::journal::SyncMode;
use crate::{regular_file, settings};

/// Rows after which what is in the log is moved to the file: well before the log is so long that SQLite moves it itself.
const MOVED_AFTER: u64 = 1_000;

/// What SQLite's log begins with, and each page in it.
const LOG_HEAD: u64 = 32;
const FRAME_HEAD: u64 = 24;

/// Where the journal is, and what a commit waits for.
#[derive(Debug)]
pub(super) struct File {
    /// None: there is no folder for it.
    pub path: Option<PathBuf>,
    pub sync: SyncMode,
}

/// A connection, and which files it is to.
#[derive(Debug)]
pub(super) struct Open {
    pub connection: Connection,
    seen: Seen,
    /// Bytes of a page.
    page: u64,
    /// Rows that had been written when the log was last moved to the file.
    moved: u64,
}

/// What the paths led to when they were opened. A file that was deleted can still be written to, and would never be
/// read again.
#[derive(Debug)]
struct Seen {
    file: Option<Identity>,
    /// It never gets shorter.
    bytes: u64,
    log: Option<Identity>,
}

/// Device and inode.
#[derive(Debug, PartialEq, Eq)]
struct Identity(u64, u64);

/// What was done to the files while they were in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file was moved, deleted or replaced.
    Replaced,
    /// The file was shortened.
    Cut,
    /// The log was moved, deleted or replaced.
    LogReplaced,
    /// The log was shortened.
    LogCut,
}

impl File {
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

    pub(super) fn open(&self) -> Result<Open> {
        let Some(path) = &self.path else {
            return Err(settings::no_home());
        };
        if let Some(dir) = path.parent() {
            regular_file::create_own_folder(dir).map_err(|error| {
                Error::new(
                    Kind::Unavailable,
                    format!("the folder for drafts, {}, cannot be made", dir.display()),
                )
                .at_shell("name a folder that can be written to with `--data-dir`")
                .source(error)
                .lasting()
            })?;
        }
        close_to_others(path);
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
        Ok(Open {
            connection,
            seen: Seen {
                file: identity(path),
                bytes: length(path),
                log: identity(&beside(path, "-wal")),
            },
            page,
            moved: 0,
        })
    }

    /// The inode of the file, where the system has such: a copy of the file has another.
    pub(super) fn inode(&self) -> Option<u64> {
        self.path.as_deref().and_then(identity).map(|found| found.1)
    }

    /// Sets the connection up and gives the version the file has then; a newer file is left as it is.
    fn prepare(&self, connection: &mut Connection) -> rusqlite::Result<usize> {
        connection.busy_timeout(BUSY)?;
        let version = schema::version(connection)?;
        if version > schema::STEPS.len() {
            return Ok(version);
        }
        use_log(connection)?;
        connection.execute_batch(
            "PRAGMA fullfsync = ON;
             PRAGMA wal_autocheckpoint = 8000;
             PRAGMA journal_size_limit = 16777216;",
        )?;
        connection.pragma_update(None, "synchronous", self.synchronous())?;
        // What is in the log is as safe as what is in the file, and moving it takes time at the exit.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        schema::migrate(connection, schema::STEPS)?;
        schema::version(connection)
    }

    /// An error of SQLite's as our user can act on it.
    pub(super) fn explain(&self, error: rusqlite::Error) -> Error {
        let code = error.sqlite_error_code();
        let hint = match code {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                return damaged(self, "").source(error);
            }
            Some(ErrorCode::DiskFull) => {
                "the disk is full: make room, then send the call again; nothing of it was kept"
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                "make the file and its folder writable, or name another folder with `--data-dir`"
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another process holds it: send the call again, or end that process"
            }
            Some(ErrorCode::SystemIoFailure) => {
                "the disk reports an error or is full: look at it, then send the call again"
            }
            _ => {
                "nothing of the call was kept: send it again; `capcut-mcp doctor` looks the file over"
            }
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

impl std::fmt::Display for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.path {
            Some(path) => path.display().fmt(f),
            None => f.write_str("without a folder"),
        }
    }
}

pub(super) fn damaged(file: &File, what: &str) -> Error {
    let what = if what.is_empty() {
        String::new()
    } else {
        format!(" ({what})")
    };
    Error::new(
        Kind::Unavailable,
        format!("the journal {file} is damaged or is no journal{what}"),
    )
    .hint(
        "move it and the `-wal` and `-shm` files beside it away, and capcut-mcp starts a new one; \
         saved drafts do not need it",
    )
    .lasting()
}

/// What the user has to know of a fault after which the file was opened again.
pub(super) fn tampered(file: &File, fault: Fault) -> Error {
    let what = match fault {
        Fault::Replaced => "was moved, deleted or replaced while it was in use",
        Fault::Cut => {
            "was shortened while it was in use: calls that were acknowledged may be missing"
        }
        Fault::LogReplaced => {
            "lost its `-wal` file while it was in use: calls that were acknowledged may be missing"
        }
        Fault::LogCut => {
            "had its `-wal` file shortened while it was in use: calls that were acknowledged may be missing"
        }
    };
    let hint = match fault {
        Fault::Replaced => "put it back, or send the call again to go on with what is there now",
        Fault::Cut | Fault::LogReplaced | Fault::LogCut => {
            "put back what is missing from a copy, or look at the draft and send the call again to go on with what is \
             there; if this stays, end every capcut-mcp that uses the file"
        }
    };
    Error::new(Kind::Unavailable, format!("the journal {file} {what}")).hint(hint)
}

fn newer(path: &Path, version: usize) -> Error {
    Error::new(
        Kind::Unavailable,
        format!(
            "the journal {} is of version {version}, and this capcut-mcp knows up to {}",
            path.display(),
            schema::STEPS.len()
        ),
    )
    .at_shell("use the newer capcut-mcp that wrote it, or name another folder with `--data-dir`")
    .lasting()
}

impl Open {
    /// What is wrong with the files, looked for before they are used: what is in them then is there to stay.
    pub(super) fn fault(&mut self, file: &File) -> Option<Fault> {
        let fault = self.fault_after(file);
        let Some(path) = file.path.as_deref().filter(|_| fault.is_none()) else {
            return fault;
        };
        // How long the log has to be is known to all processes by way of the `-shm` file.
        let frames = checkpoint(&self.connection, "NOOP").ok()?.frames;
        let least = LOG_HEAD + frames * (FRAME_HEAD + self.page);
        (frames > 0 && length(&beside(path, "-wal")) < least).then_some(Fault::LogCut)
    }

    /// What is wrong with the files, looked for after something was written: had they been exchanged before, it would
    /// be lost.
    pub(super) fn fault_after(&mut self, file: &File) -> Option<Fault> {
        let path = file.path.as_deref()?;
        let bytes = length(path);
        if identity(path) != self.seen.file {
            return Some(Fault::Replaced);
        }
        if bytes < self.seen.bytes {
            return Some(Fault::Cut);
        }
        self.seen.bytes = bytes;
        (identity(&beside(path, "-wal")) != self.seen.log).then_some(Fault::LogReplaced)
    }

    /// Undoes the fault, if nothing is lost by it: a log that was deleted is still open here, and can be moved to the
    /// file.
    pub(super) fn heal(&self, fault: Fault) -> bool {
        let moved = || checkpoint(&self.connection, "TRUNCATE").is_ok_and(|done| !done.busy);
        fault == Fault::LogReplaced && moved()
    }

    /// Moves the log to the file, so that a copy of the file alone is whole.
    pub(super) fn finish(&mut self, file: &File) {
        if self.fault(file).is_some() {
            return;
        }
        let moved = match checkpoint(&self.connection, "NOOP") {
            Ok(state) if state.frames == state.moved => return,
            _ => checkpoint(&self.connection, "PASSIVE"),
        };
        if let Err(error) = moved {
            tracing::debug!("the journal's log was not moved to its file: {error}");
        }
    }

    /// Has what many calls left in the log moved to the file by a thread of its own: the call that fills the log
    /// would have to wait for the disk.
    pub(super) fn relieve(&mut self, file: &File) {
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
            tracing::debug!("no thread moves the journal's log to its file: {error}");
        }
    }
}

/// Moves what nobody needs in the log any more. Where that fails, SQLite does it when the log is full.
fn move_log(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "fullfsync", true)?;
    checkpoint(&connection, "PASSIVE").map(drop)
}

/// The log as a checkpoint found it.
struct Log {
    /// Another process kept it from being carried out.
    busy: bool,
    /// Pages in the log.
    frames: u64,
    /// How many of them are in the file.
    moved: u64,
}

/// Moves pages from the log to the file: all that nobody needs in the log (`PASSIVE`), all (`TRUNCATE`), none (`NOOP`).
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<Log> {
    connection
        .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
        .query_row([], |row| {
            // -1 where there is no log.
            let pages = |column| -> rusqlite::Result<u64> {
                Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default())
            };
            Ok(Log {
                busy: row.get(0)?,
                frames: pages(1)?,
                moved: pages(2)?,
            })
        })
}

/// Switches the file to write-ahead logging. While another process is at the same switch SQLite
/// refuses at once, without its busy timeout.
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

/// The file that SQLite keeps beside the journal.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes the file for its owner only, and takes from others what earlier versions left open. SQLite makes the files
/// beside it as it finds this one.
fn close_to_others(path: &Path) {
    // It is never opened if it is there: closing it would take the locks of other connections of this process away.
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

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some(Identity(metadata.dev(), metadata.ino()))
}

/// Windows does not let anybody delete or replace a file that is open.
#[cfg(not(unix))]
fn identity(_path: &Path) -> Option<Identity> {
    None
}
