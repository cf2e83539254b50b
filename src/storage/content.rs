//! Files by the SHA-256 of their content in a store, with copies on this machine, and small notes about them.
//!
//! A file is put once. Content that was put some time ago is put again when another source has it, which makes it young: what
//! removes files spares young ones, so it never removes one that is about to be used.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;

use super::copies::Copies;
use super::folder::unusable;
use super::turns::KeyedTurns;
use super::{BlobStore, NewBlob, StoredFile, blocking, hex, is_sha256};
use crate::error::{Error, Kind, Result};

/// The start of the keys of files, and of notes.
const CONTENT: &str = "sha256";
const NOTES: &str = "notes";
/// The group of notes with what users need.
const NEEDS: &str = "needs";
/// How much of a file is copied at a time.
const PIECE: usize = 256 << 10;
/// Maximum size of a note.
const NOTE: u64 = 16 << 20;
/// Files and notes that were put more recently are not removed.
pub(crate) const YOUNG: Duration = Duration::from_hours(1);

/// Gives the name of what uses a store: servers with the same drafts have the same.
pub(crate) type UserName = Arc<dyn Fn() -> BoxFuture<'static, Result<String>> + Send + Sync>;

/// The files, and the folder with copies of them.
pub(crate) struct ContentStore {
    store: Arc<dyn BlobStore>,
    copies: Copies,
    user: UserName,
    /// Whether the user is known to all others.
    registered: OnceCell<()>,
    turns: KeyedTurns<PathBuf>,
}

impl ContentStore {
    /// Copies have at most `most` bytes, apart from those in use.
    pub(super) fn new(
        store: Arc<dyn BlobStore>,
        folder: PathBuf,
        most: u64,
        user: UserName,
    ) -> Self {
        Self {
            store,
            copies: Copies::new(folder, most),
            user,
            registered: OnceCell::new(),
            turns: KeyedTurns::default(),
        }
    }

    /// A folder in the place of a bucket.
    #[cfg(test)]
    pub(crate) fn in_folder(bucket: &Path, copies: PathBuf, most: u64) -> Self {
        let store = Arc::new(super::FolderStore::new(bucket.to_owned()));
        let user: UserName = Arc::new(|| Box::pin(async { Ok("drafts".to_owned()) }));
        Self::new(store, copies, most, user)
    }

    /// Makes known that this user needs files, before it uses any. What it needs is not known as long as its note is `null`.
    async fn register(&self) -> Result<()> {
        let register = async || {
            let key = note_key(NEEDS, &(self.user)().await?);
            if self.store.find(&key).await?.is_none() {
                let note = NewBlob::of(self.scratch()?, b"null".to_vec()).await?;
                self.store.put(&key, note).await?;
            }
            Ok(())
        };
        self.registered.get_or_try_init(register).await.copied()
    }

    /// Publishes what this user needs.
    pub(crate) async fn publish(&self, needs: Vec<u8>) -> Result<()> {
        self.put_note(NEEDS, &(self.user)().await?, needs).await
    }

    /// What all users have published.
    pub(crate) async fn published(&self) -> Result<Vec<Vec<u8>>> {
        let mut published = Vec::new();
        for note in self.notes(NEEDS).await? {
            published.extend(self.note(NEEDS, &note.name).await?);
        }
        Ok(published)
    }

    /// A folder of this machine for files that will be [kept](Self::keep).
    pub(crate) fn scratch(&self) -> Result<&Path> {
        self.copies.scratch()
    }

    /// Puts a file into the store, unless it is there, and returns the path of its copy on this machine.
    ///
    /// # Errors
    /// If the store does not answer: then there is no copy either.
    pub(crate) async fn keep(&self, blob: NewBlob, extension: Option<&str>) -> Result<PathBuf> {
        self.put(&blob).await?;
        let path = self.copies.path_of_content(&blob.sha256, extension);
        let (copies, to) = (self.copies.clone(), path.clone());
        blocking(move || copies.keep(blob.file, &to, None)).await?;
        Ok(path)
    }

    /// The same for a file that stays where it is.
    pub(crate) async fn keep_copy_of(
        &self,
        file: &Path,
        extension: Option<&str>,
    ) -> Result<PathBuf> {
        let from = file.to_owned();
        let blob = self.new_blob(move || fs::File::open(from)).await?;
        self.keep(blob, extension).await
    }

    /// A copy of what is read, as a new file that is not in the store yet.
    pub(crate) async fn new_blob<R: io::Read>(
        &self,
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> Result<NewBlob> {
        let folder = self.scratch()?.to_owned();
        blocking(move || {
            let copied = open().and_then(|from| hashed(from, &folder));
            copied.map_err(|error| unusable(&folder, error))
        })
        .await
    }

    /// Makes sure that a file is in the store, and stays there for [`YOUNG`].
    async fn put(&self, blob: &NewBlob) -> Result<()> {
        self.register().await?;
        let key = key_of(&blob.sha256)?;
        match self.store.find(&key).await? {
            None => {
                self.store.put(&key, linked(blob).await?).await?;
            }
            Some(there) if there.bytes == blob.bytes && there.age() < YOUNG / 2 => {}
            // It may be about to be removed, or it was damaged.
            Some(_) => self.store.replace(&key, linked(blob).await?).await?,
        }
        Ok(())
    }

    /// Whether a file is in the store, with this size.
    pub(crate) async fn has(&self, sha256: &str, bytes: u64) -> Result<bool> {
        self.register().await?;
        let found = self.store.find(&key_of(sha256)?).await?;
        Ok(found.is_some_and(|found| found.bytes == bytes))
    }

    /// The path of a copy on this machine; `None` if the file is not in the store, or is damaged there.
    pub(crate) async fn local(
        &self,
        sha256: &str,
        extension: Option<&str>,
        bytes: u64,
    ) -> Result<Option<PathBuf>> {
        let key = key_of(sha256)?;
        let path = self.copies.path_of_content(sha256, extension);
        let turn = self.turns.of(&path);
        let _turn = turn.lock().await;
        let there = path.clone();
        if blocking(move || Ok(Copies::is_there(&there, bytes))).await? {
            return Ok(Some(path));
        }
        let Some(found) = self.store.find(&key).await? else {
            return Ok(None);
        };
        Ok(self.fetch(&found, sha256, &path).await?.then_some(path))
    }

    /// The SHA-256 of a path that a copy has or had, if it is one.
    pub(crate) fn content_of<'a>(&self, path: &'a Path) -> Option<&'a str> {
        self.copies.content_of(path)
    }

    /// Makes sure that the path of a copy has its file. Nothing happens for other paths.
    ///
    /// # Errors
    /// If the file is not in the store any more.
    pub(crate) async fn restore(&self, path: &Path) -> Result<()> {
        let Some(sha256) = self.copies.content_of(path) else {
            return Ok(());
        };
        let turn = self.turns.of(path);
        let _turn = turn.lock().await;
        if path.is_file() {
            return Ok(());
        }
        if let Some(found) = self.store.find(&key_of(sha256)?).await?
            && self.fetch(&found, sha256, path).await?
        {
            return Ok(());
        }
        Err(
            Error::media("a file that was made for the draft is not in object storage any more")
                .hint("make it again, and replace it in the draft"),
        )
    }

    /// Makes a copy at `path`; returns whether there is one. Damaged content is removed from the store.
    async fn fetch(&self, found: &StoredFile, sha256: &str, path: &Path) -> Result<bool> {
        let (temporary, hash) = self.download(found).await?;
        if hash != sha256 {
            tracing::warn!("the content of {:?} in the storage was damaged", found.key);
            self.store.delete(&found.key).await?;
            return Ok(false);
        }
        let (copies, to) = (self.copies.clone(), path.to_owned());
        blocking(move || copies.keep(temporary, &to, None)).await?;
        Ok(true)
    }

    async fn download(&self, found: &StoredFile) -> Result<(TempPath, String)> {
        let copies = self.copies.clone();
        let file = blocking(move || {
            let folder = copies.scratch()?;
            tempfile::NamedTempFile::new_in(folder).map_err(|error| unusable(folder, error))
        })
        .await?;
        let (file, temporary) = file.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let mut hash = Sha256::new();
        let on_disk = |error| unusable(&temporary, error);
        let mut pieces = self.store.read(&found.key, 0..found.bytes).await?;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| {
                let text = format!(
                    "{:?} in the storage could not be read to its end",
                    found.key
                );
                Error::new(Kind::Unavailable, text)
                    .hint("try again")
                    .source(error)
            })?;
            hash.update(&piece);
            file.write_all(&piece).await.map_err(on_disk)?;
        }
        file.sync_all().await.map_err(on_disk)?;
        Ok((temporary, hex(&hash.finalize())))
    }

    /// A note; `None` if there is none. `group` and `name` are parts of keys.
    pub(crate) async fn note(&self, group: &str, name: &str) -> Result<Option<Vec<u8>>> {
        self.store.bytes(&note_key(group, name), NOTE).await
    }

    /// Writes a note. Of several at the same time one stays.
    pub(crate) async fn put_note(&self, group: &str, name: &str, content: Vec<u8>) -> Result<()> {
        let blob = NewBlob::of(self.scratch()?, content).await?;
        self.store.replace(&note_key(group, name), blob).await
    }

    /// The notes of a group and of the groups in it.
    pub(crate) async fn notes(&self, group: &str) -> Result<Vec<NoteFile>> {
        let prefix = format!("{NOTES}/{group}/");
        let files = self.store.list(&prefix, None).await?;
        let notes = files.into_iter().filter_map(|file| {
            let rest = file.key.strip_prefix(&prefix)?.strip_suffix(".json")?;
            let (group, name) = rest.rsplit_once('/').unwrap_or(("", rest));
            Some(NoteFile {
                group: group.to_owned(),
                name: name.to_owned(),
                age: file.age(),
            })
        });
        Ok(notes.collect())
    }

    /// The hash, the size and the age of each file.
    pub(crate) async fn files(&self) -> Result<Vec<(String, u64, Duration)>> {
        let prefix = format!("{CONTENT}/");
        let files = self.store.list(&prefix, None).await?;
        let files = files.into_iter().filter_map(|file| {
            let sha256 = file.key.strip_prefix(&prefix)?;
            is_sha256(sha256).then(|| (sha256.to_owned(), file.bytes, file.age()))
        });
        Ok(files.collect())
    }

    /// Removes a file that is not young; returns whether it was there.
    pub(crate) async fn remove(&self, sha256: &str) -> Result<bool> {
        let key = key_of(sha256)?;
        // It may have been put again in the meantime.
        let found = self.store.find(&key).await?;
        if found.is_none_or(|found| found.age() < YOUNG) {
            return Ok(false);
        }
        self.store.delete(&key).await?;
        Ok(true)
    }

    pub(crate) async fn remove_note(&self, group: &str, name: &str) -> Result<()> {
        self.store.delete(&note_key(group, name)).await
    }
}

/// A note without its content.
pub(crate) struct NoteFile {
    /// The group in the group that was asked for; empty for that group itself.
    pub group: String,
    pub name: String,
    /// How long ago it was written.
    pub age: Duration,
}

impl NoteFile {
    /// Its whole group.
    pub(crate) fn full_group(&self, asked: &str) -> String {
        match &*self.group {
            "" => asked.to_owned(),
            group => format!("{asked}/{group}"),
        }
    }
}

/// Removes copies in a folder that were not used for some time; returns how many there were, and their size.
pub(crate) fn remove_copies(folder: PathBuf, age: Duration) -> (u64, u64) {
    Copies::new(folder, 0).remove_older(age)
}

fn key_of(sha256: &str) -> Result<String> {
    if !is_sha256(sha256) {
        return Err(super::invalid_key());
    }
    Ok(format!("{CONTENT}/{sha256}"))
}

fn note_key(group: &str, name: &str) -> String {
    format!("{NOTES}/{group}/{name}.json")
}

/// A copy of a file in a folder, with its hash.
fn hashed(mut from: impl io::Read, folder: &Path) -> io::Result<NewBlob> {
    let mut to = tempfile::NamedTempFile::new_in(folder)?;
    let mut hash = Sha256::new();
    let (mut bytes, mut piece) = (0, vec![0; PIECE]);
    loop {
        match from.read(&mut piece)? {
            0 => break,
            count => {
                hash.update(&piece[..count]);
                to.write_all(&piece[..count])?;
                bytes += count as u64;
            }
        }
    }
    // Complete before it is sent.
    to.as_file().sync_all()?;
    Ok(NewBlob {
        file: to.into_temp_path(),
        bytes,
        sha256: hex(&hash.finalize()),
    })
}

/// The same file under a second name, which a store may move; a copy where the file system has no links.
async fn linked(blob: &NewBlob) -> Result<NewBlob> {
    let from = blob.file.to_path_buf();
    let file = blocking(move || {
        let folder = from.parent().unwrap_or(Path::new("."));
        let temporary = tempfile::NamedTempFile::new_in(folder)
            .map_err(|error| unusable(folder, error))?
            .into_temp_path();
        let link = fs::remove_file(&temporary).and_then(|()| fs::hard_link(&from, &temporary));
        if link.is_err() {
            fs::copy(&from, &temporary).map_err(|error| unusable(&temporary, error))?;
        }
        Ok(temporary)
    })
    .await?;
    Ok(NewBlob {
        file,
        bytes: blob.bytes,
        sha256: blob.sha256.clone(),
    })
}
