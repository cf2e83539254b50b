//! A client's file: read unchanged, and replaced atomically with a backup of the previous content.

use std::fs::{self, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links};

/// Larger files are refused. Claude Code keeps project history in its file, which can reach some megabytes.
const MOST_BYTES: u64 = 64 << 20;

/// A byte order mark, which editors on Windows write.
const MARK: &str = "\u{feff}";

/// How many symbolic links are followed in a row.
const LINKS: usize = 32;

pub(super) struct ClientFile {
    /// The path, with links resolved.
    path: PathBuf,
    /// Its bytes; `None` if it does not exist.
    bytes: Option<Vec<u8>>,
    /// Its text without a byte order mark.
    pub text: String,
    has_mark: bool,
}

impl ClientFile {
    pub(super) fn read(named: &Path) -> Result<Self> {
        let cannot = |error: io::Error| {
            Error::new(
                Kind::Unavailable,
                format!("{} cannot be read", named.display()),
            )
            .source(error)
        };
        let path = target(named).map_err(cannot)?;
        let bytes = match regular_file::read(&path, MOST_BYTES, Links::Follow) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(cannot(error)),
        };
        let text = match &bytes {
            None => "",
            Some(bytes) => std::str::from_utf8(bytes).map_err(|error| {
                let at = error.valid_up_to();
                Error::invalid(format!(
                    "{} is not UTF-8 text: byte {} is invalid; the file was not changed",
                    path.display(),
                    at + 1
                ))
                .hint("save it as UTF-8 and run this again")
            })?,
        };
        let unmarked = text.strip_prefix(MARK);
        Ok(Self {
            has_mark: unmarked.is_some(),
            text: unmarked.unwrap_or(text).to_owned(),
            path,
            bytes,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn exists(&self) -> bool {
        self.bytes.is_some()
    }

    /// Replaces or creates the file, unless another program has written it since it was read. Returns the backup of
    /// the previous content.
    pub(super) fn write(&self, text: &str) -> Result<Option<PathBuf>> {
        let mark = if self.has_mark { MARK } else { "" };
        self.replace(&[mark.as_bytes(), text.as_bytes()].concat())
    }

    fn replace(&self, bytes: &[u8]) -> Result<Option<PathBuf>> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let cannot = |error: io::Error| self.not_written(error);
        if self.bytes.is_none() {
            fs::create_dir_all(folder).map_err(cannot)?;
        }
        let backup = self.back_up()?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".capcut-mcp-");
        // The umask applies to this mode, as for every new file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut new = builder.tempfile_in(folder).map_err(cannot)?;
        new.write_all(bytes).map_err(cannot)?;
        if let Some(before) = self.metadata()? {
            keep_owner(new.as_file(), &before).map_err(|error| {
                self.not_written(error)
                    .hint("the file belongs to another user or group: run this as its owner")
            })?;
            let permissions = before.permissions();
            new.as_file().set_permissions(permissions).map_err(cannot)?;
        }
        new.as_file().sync_all().map_err(cannot)?;
        self.unchanged()?;
        let written = match &self.bytes {
            Some(_) => new.persist(&self.path),
            None => new.persist_noclobber(&self.path),
        };
        written.map_err(|error| cannot(error.error))?;
        Ok(backup)
    }

    /// Deletes a file that `connect` created, after making a backup.
    pub(super) fn delete(&self) -> Result<Option<PathBuf>> {
        let backup = self.back_up()?;
        self.unchanged()?;
        fs::remove_file(&self.path).map_err(|error| self.not_written(error))?;
        Ok(backup)
    }

    /// The texts of the file's backups, newest first, without byte order mark.
    pub(super) fn backups(&self) -> Vec<String> {
        let count = (1..).take_while(|number| self.backup(*number).exists());
        let mut texts: Vec<String> = count
            .filter_map(|number| {
                let bytes = regular_file::read(&self.backup(number), MOST_BYTES, Links::Refuse);
                String::from_utf8(bytes.ok()?).ok()
            })
            // Only backups that agree with the file in whether they start with the mark.
            .filter(|text| text.starts_with(MARK) == self.has_mark)
            .map(|text| text.strip_prefix(MARK).unwrap_or(&text).to_owned())
            .collect();
        texts.reverse();
        texts
    }

    fn backup(&self, number: usize) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".capcut-mcp-backup");
        if number > 1 {
            name.push(format!("-{number}"));
        }
        self.path.with_file_name(name)
    }

    /// Copies the file to a backup next to it, unless a backup with the same content exists.
    fn back_up(&self) -> Result<Option<PathBuf>> {
        let Some(bytes) = &self.bytes else {
            return Ok(None);
        };
        let Some(there) = self.metadata()? else {
            return Err(self.changed());
        };
        if there.permissions().readonly() {
            return Err(Error::new(
                Kind::Unavailable,
                format!("{} is read-only; it was not changed", self.path.display()),
            )
            .hint("make it writable (`chmod u+w` on Linux and macOS) and run this again"));
        }
        let cannot = |error: io::Error| {
            Error::new(
                Kind::Unavailable,
                format!(
                    "cannot make a backup of {}; the file was not changed",
                    self.path.display()
                ),
            )
            .source(error)
        };
        for number in 1.. {
            let path = self.backup(number);
            match regular_file::read(&path, MOST_BYTES, Links::Refuse) {
                Ok(kept) if kept == *bytes => return Ok(Some(path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => continue,
            }
            let folder = path.parent().unwrap_or(Path::new("."));
            // Readable only by its owner until it gets the mode of the file, because it may contain keys.
            let mut backup = tempfile::Builder::new()
                .prefix(".capcut-mcp-")
                .tempfile_in(folder)
                .map_err(cannot)?;
            backup.write_all(bytes).map_err(cannot)?;
            let file = backup.as_file();
            // A backup that only its creator can read is better than none.
            let _ = keep_owner(file, &there);
            file.set_permissions(there.permissions()).map_err(cannot)?;
            file.sync_all().map_err(cannot)?;
            match backup.persist_noclobber(&path) {
                Ok(_) => return Ok(Some(path)),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot(error.error)),
            }
        }
        Ok(None)
    }

    fn metadata(&self) -> Result<Option<Metadata>> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.not_written(error)),
        }
    }

    /// Fails if another program changed the file. Clients write their files too: Claude Code does after every prompt.
    fn unchanged(&self) -> Result<()> {
        let now = match regular_file::read(&self.path, MOST_BYTES, Links::Follow) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.not_written(error)),
        };
        if now == self.bytes {
            Ok(())
        } else {
            Err(self.changed())
        }
    }

    fn changed(&self) -> Error {
        let path = self.path.display();
        Error::conflict(format!(
            "another program changed {path} at the same time; its change is kept, and nothing else was written"
        ))
        .hint("close the client, then run this again")
    }

    fn not_written(&self, error: io::Error) -> Error {
        let path = self.path.display();
        Error::new(
            Kind::Unavailable,
            format!("{path} cannot be written; it was not changed"),
        )
        .source(error)
    }
}

/// The path after following links. The file need not exist.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_symlink() => {
                let to = fs::read_link(&path)?;
                path = path.parent().unwrap_or(Path::new("")).join(to);
            }
            _ => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

#[cfg(unix)]
fn keep_owner(file: &fs::File, before: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    fchown(file, Some(before.uid()), Some(before.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_file: &fs::File, _before: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_by_another_program_is_kept_and_reported() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mcp.json");
        fs::write(&path, "{}").expect("the file");
        let file = ClientFile::read(&path).expect("the file");
        fs::write(&path, "{\"theirs\": 1}").expect("the file");
        for edited in [file.write("{\"ours\": 1}"), file.delete()] {
            let error = edited.expect_err("changed by another program");
            assert_eq!(error.kind, Kind::Conflict, "{error}");
        }
        let left = fs::read_to_string(&path).expect("there");
        assert_eq!(left, "{\"theirs\": 1}");
        let file = ClientFile::read(&path).expect("the file");
        fs::remove_file(&path).expect("the file");
        assert!(file.write("{}").is_err());
        assert!(!path.exists());
        // A file that did not exist when it was read.
        let file = ClientFile::read(&path).expect("no file");
        fs::write(&path, "theirs").expect("the file");
        assert!(file.write("ours").is_err());
        assert_eq!(fs::read_to_string(&path).expect("there"), "theirs");
        let left = fs::read_dir(folder.path()).expect("the folder").flatten();
        let temporary = left.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
        assert_eq!(temporary.count(), 0);
    }
}
