//! The journal's file: opening it, noticing that it was exchanged, and saying what is wrong with it.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{BUSY, schema};
use crate::error::{Error, Kind, Result};
use crate::journal::SyncMode;
use crate::settings;

/// Rows after which what is in the log is moved to the file: well before the log is so long that SQLite moves it itself.
const MOVED_AFTER: u64 = 1_000;

/// Where the journal is, and what a commit waits for.
#[derive(Debug)]
pub(super) struct File {
    /// None: there is no folder for it.
    pub path: Option<PathBuf>,
    pub sync: SyncMode,
}

/// A connection, and which file it is to.
#[derive(Debug)]
pub(super) struct Open {
    pub connection: Connection,
    identity: Option<Identity>,
    /// Rows that had been written when the log was last moved to the file.
    moved: u64,
}

/// Device and inode: a file that was deleted can still be written to, and would never be read again.
#[derive(Debug, PartialEq, Eq)]
struct Identity(u64, u64);

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
            std::fs::create_dir_all(dir).map_err(|error| {
                Error::new(
                    Kind::Unavailable,
                    format!("the folder for drafts, {}, cannot be made", dir.display()),
                )
                .hint("name a folder that can be written to with `--data-dir`")
                .source(error)
            })?;
        }
        let mut connection = Connection::open(path).map_err(|error| self.explain(error))?;
        let version = self
            .prepare(&mut connection)
            .map_err(|error| self.explain(error))?;
        if version > schema::STEPS.len() {
            return Err(newer(path, version));
        }
        Ok(Open {
            connection,
            identity: identity(path),
            moved: 0,
        })
    }

    /// Whether the path still leads to the file that was opened.
    pub(super) fn still_is(&self, open: &Open) -> bool {
        match (&self.path, &open.identity) {
            (Some(path), Some(opened)) => identity(path).as_ref() == Some(opened),
            _ => true,
        }
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
        let hint = match error.sqlite_error_code() {
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
        Error::new(
            Kind::Unavailable,
            format!("the journal {self} cannot be used"),
        )
        .hint(hint)
        .source(error)
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
}

pub(super) fn replaced(file: &File) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("the journal {file} was moved, deleted or replaced while it was in use"),
    )
    .hint("put it back, or send the call again to go on with what is there now")
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
    .hint("use the newer capcut-mcp that wrote it, or name another folder with `--data-dir`")
}

impl Open {
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
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
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
