//! The tokens that `token add` makes: the file `tokens.json` in the data folder, or a value with the same content in a store
//! that several servers use.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{TokenEntry, TokenHash, end_of, generate};
use crate::access::{Rights, TenantName, utc};
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links};

const FILE: &str = "tokens.json";
const LOCK: &str = "tokens.lock";
/// Thousands of tokens.
const MOST_BYTES: u64 = 4 << 20;
/// How long a command waits for another one that changes the file.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_LOOK: Duration = Duration::from_millis(20);
const VERSION: u32 = 1;

/// The content of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensDocument {
    version: u32,
    tokens: Vec<TokenEntry>,
}

/// The key of the tokens in a store that several servers use.
pub(crate) const TOKENS_KEY: &str = FILE;
/// How long the tokens that were read last from a store count while it does not answer.
const READ_LAST: Duration = Duration::from_secs(10);

/// The tokens in a store that several servers use, as they were read last.
#[derive(Debug, Default)]
pub(crate) struct SharedTokens(Mutex<Option<(Instant, Option<Vec<u8>>)>>);

impl SharedTokens {
    /// Sets what was just read; `None` if there is no list.
    pub(crate) fn put(&self, bytes: Option<Vec<u8>>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((Instant::now(), bytes));
    }

    fn bytes(&self) -> Result<Option<Vec<u8>>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((at, bytes)) if at.elapsed() < READ_LAST => Ok(bytes.clone()),
            _ => Err(Error::new(
                Kind::Unavailable,
                format!(
                    "the tokens have not been read from the database for {} s",
                    READ_LAST.as_secs()
                ),
            )
            .hint("no one is served before the database answers")),
        }
    }
}

/// Where the tokens are.
#[derive(Debug)]
pub(crate) enum TokenStore {
    /// In this data folder.
    Folder(PathBuf),
    /// In a store that several servers use.
    Shared(Arc<SharedTokens>),
}

/// A token that was just made. It is in no file: its user has to keep it.
#[derive(Debug)]
pub(crate) struct NewToken {
    pub token: String,
    pub entry: TokenEntry,
}

impl TokenStore {
    /// In this data folder, which need not exist.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self::Folder(data_dir.to_owned())
    }

    /// Where they are, for people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Folder(folder) => folder.join(FILE).display().to_string(),
            Self::Shared(_) => "the list of tokens in the database".to_owned(),
        }
    }

    /// All tokens; `None` if there is no file. A damaged file is an error, never an empty list.
    pub(crate) fn read(&self) -> Result<Option<Vec<TokenEntry>>> {
        self.bytes()?.map(|bytes| self.parse(&bytes)).transpose()
    }

    /// The list as it is stored, if there is one and it is not damaged.
    pub(crate) fn content(&self) -> Result<Option<Vec<u8>>> {
        let bytes = self.bytes()?;
        if let Some(bytes) = &bytes {
            self.parse(bytes)?;
        }
        Ok(bytes)
    }

    /// Writes a list of another store into the folder; false if there is one, unless it is replaced, or the same one.
    pub(crate) fn put_content(&self, bytes: &[u8], is_replaced: bool) -> Result<bool> {
        let entries = parsed(bytes, "the list of tokens of the other store")?;
        let there = self.bytes()?;
        if there.as_deref() == Some(bytes) || (there.is_some() && !is_replaced) {
            return Ok(false);
        }
        self.change(&|own| {
            own.clone_from(&entries);
            Ok(())
        })?;
        Ok(true)
    }

    pub(super) fn bytes(&self) -> Result<Option<Vec<u8>>> {
        let path = match self {
            Self::Folder(folder) => folder.join(FILE),
            Self::Shared(tokens) => return tokens.bytes(),
        };
        match regular_file::read(&path, MOST_BYTES, Links::Refuse) {
            Ok(bytes) => Ok(Some(bytes)),
            // Also if the data folder is a file: readiness reports that.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(Error::new(
                Kind::Unavailable,
                format!("the tokens in {} cannot be read", path.display()),
            )
            .hint("no one is served before the file can be read: check its permissions")
            .source(error)),
        }
    }

    pub(super) fn parse(&self, bytes: &[u8]) -> Result<Vec<TokenEntry>> {
        parsed(bytes, &self.place())
    }

    /// Changes the list in the folder while no other process does, and replaces the file in one step.
    pub(crate) fn change<T>(&self, change: &TokenChange<'_, T>) -> Result<T> {
        let Self::Folder(folder) = self else {
            return Err(Error::internal("tokens in a database are changed there"));
        };
        let cannot = |error: io::Error| {
            Error::new(
                Kind::Unavailable,
                format!("{} cannot be written", self.place()),
            )
            .hint("check the folder's permissions and the free space; nothing was changed")
            .source(error)
        };
        regular_file::create_own_folder(folder).map_err(cannot)?;
        let _lock = lock(folder)?;
        let (text, done) = changed(self.bytes()?.as_deref(), &self.place(), change)?;
        replace(folder, &text).map_err(cannot)?;
        Ok(done)
    }
}

/// A change of the list of tokens, which may be tried several times.
pub(crate) type TokenChange<'a, T> = dyn Fn(&mut Vec<TokenEntry>) -> Result<T> + Sync + 'a;

/// A content of the list after a change.
pub(crate) fn changed<T>(
    bytes: Option<&[u8]>,
    place: &str,
    change: &TokenChange<'_, T>,
) -> Result<(Vec<u8>, T)> {
    let mut entries = match bytes {
        Some(bytes) => parsed(bytes, place)?,
        None => Vec::new(),
    };
    let done = change(&mut entries)?;
    let document = TokensDocument {
        version: VERSION,
        tokens: entries,
    };
    let mut text = serde_json::to_vec_pretty(&document)
        .map_err(|error| Error::internal("the tokens cannot be written").source(error))?;
    text.push(b'\n');
    Ok((text, done))
}

/// Reads the content of a list. One that is damaged is an error, never an empty list.
pub(crate) fn parsed(bytes: &[u8], place: &str) -> Result<Vec<TokenEntry>> {
    let damaged = |what: String| {
        Error::new(Kind::Unavailable, format!("{place} is damaged: {what}"))
            .hint("no one is served before it is repaired: restore the file from a backup, or delete it and make new tokens with `capcut-mcp token add NAME`")
    };
    let document: TokensDocument =
        serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if document.version != VERSION {
        return Err(damaged(format!(
            "its version is {}, and this program reads version {VERSION}",
            document.version
        )));
    }
    Ok(document.tokens)
}

/// Makes a token. `lifetime_s` is in seconds; `None`: it does not expire.
pub(crate) fn add(
    entries: &mut Vec<TokenEntry>,
    name: &TenantName,
    rights: Rights,
    lifetime_s: Option<u64>,
) -> Result<NewToken> {
    let new = new_token(name.clone(), rights, lifetime_s)?;
    entries.push(new.entry.clone());
    Ok(new)
}

/// Removes a token by its id, or all tokens of a name. Returns what was removed.
pub(crate) fn revoke(entries: &mut Vec<TokenEntry>, which: &str) -> Result<Vec<TokenEntry>> {
    let (revoked, kept) = std::mem::take(entries)
        .into_iter()
        .partition(|entry| is_named(entry, which));
    *entries = kept;
    let revoked: Vec<TokenEntry> = revoked;
    if revoked.is_empty() {
        return Err(unknown(which, entries));
    }
    Ok(revoked)
}

/// Replaces a token by a new one of the same name, rights and lifetime. Returns it with the entry that it replaces.
pub(crate) fn rotate(entries: &mut Vec<TokenEntry>, which: &str) -> Result<(NewToken, TokenEntry)> {
    let mut named = entries.iter().filter(|entry| is_named(entry, which));
    let Some(old) = named.next().cloned() else {
        return Err(unknown(which, entries));
    };
    if named.next().is_some() {
        let ids = entries.iter().filter(|entry| is_named(entry, which));
        let ids: Vec<_> = ids.map(|entry| format!("`{}`", entry.id)).collect();
        return Err(Error::conflict(format!("{which} has {} tokens", ids.len()))
            .hint(format!("name one by its id: {}", ids.join(", "))));
    }
    let lifetime_s = old
        .expires_s
        .map(|expires_s| expires_s.saturating_sub(old.created_s));
    let new = new_token(old.name.clone(), old.rights(), lifetime_s)?;
    entries.retain(|entry| entry.id != old.id);
    entries.push(new.entry.clone());
    Ok((new, old))
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let cannot = |error: io::Error| {
        Error::new(
            Kind::Unavailable,
            format!("{} cannot be locked", path.display()),
        )
        .source(error)
    };
    let file = regular_file::open_own(&path).map_err(cannot)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_WAIT => {
                thread::sleep(LOCK_LOOK);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                        Kind::Busy,
                        format!("another process has been changing {} for {} s", folder.join(FILE).display(), LOCK_WAIT.as_secs()),
                    )
                    .hint("wait until the other `capcut-mcp token` command has ended, then run this again"));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
    }
}

/// A temporary file is readable by its owner only, and stays so under its new name.
fn replace(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = tempfile::Builder::new()
        .prefix(".tokens-")
        .tempfile_in(folder)?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(folder.join(FILE))?;
    // A token that was revoked does not come back after a power failure.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn new_token(name: TenantName, rights: Rights, lifetime_s: Option<u64>) -> Result<NewToken> {
    let (token, id) = generate()?;
    let now_s = utc::now_s();
    let entry = TokenEntry {
        id,
        name,
        read_only: rights.read_only,
        admin: rights.admin,
        created_s: now_s,
        expires_s: lifetime_s.map(|lifetime_s| now_s.saturating_add(lifetime_s)),
        ends_with: end_of(&token),
        sha256: TokenHash::of(&token),
    };
    Ok(NewToken { token, entry })
}

fn is_named(entry: &TokenEntry, which: &str) -> bool {
    entry.id == which || entry.name.as_str() == which
}

fn unknown(which: &str, entries: &[TokenEntry]) -> Error {
    let mut names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let hint = if names.is_empty() {
        "there are no tokens; `capcut-mcp token add NAME` makes one".to_owned()
    } else {
        format!(
            "there are tokens for {}; `capcut-mcp token list` shows their ids",
            names.join(", ")
        )
    };
    Error::not_found(format!("there is no token with the name or id {which:?}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tokens::{LookedUp, TokenTable};

    fn store() -> (tempfile::TempDir, TokenStore) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = TokenStore::new(&folder.path().join("data"));
        (folder, store)
    }

    /// As the commands change the file.
    impl TokenStore {
        fn add(
            &self,
            name: &TenantName,
            rights: Rights,
            lifetime_s: Option<u64>,
        ) -> Result<NewToken> {
            self.change(&|entries| add(entries, name, rights, lifetime_s))
        }

        fn revoke(&self, which: &str) -> Result<Vec<TokenEntry>> {
            self.change(&|entries| revoke(entries, which))
        }

        fn rotate(&self, which: &str) -> Result<(NewToken, TokenEntry)> {
            self.change(&|entries| rotate(entries, which))
        }

        fn path(&self) -> PathBuf {
            PathBuf::from(self.place())
        }
    }

    fn name(text: &str) -> TenantName {
        text.parse().expect("a name")
    }

    fn is_valid(store: &TokenStore, token: &str) -> bool {
        let table = TokenTable::new(store.read().expect("it reads").unwrap_or_default());
        let table = table.expect("a table");
        matches!(table.look_up(token, utc::now_s()), LookedUp::Valid(_))
    }

    #[test]
    fn tokens_are_added_rotated_and_revoked_and_the_file_has_no_token() {
        let (_folder, store) = store();
        assert!(store.read().expect("no file").is_none());
        let alice = store
            .add(&name("alice"), Rights::default(), Some(60))
            .expect("added");
        let rights = Rights {
            read_only: true,
            admin: false,
        };
        let bob = store.add(&name("bob"), rights, None).expect("added");
        assert!(is_valid(&store, &alice.token) && is_valid(&store, &bob.token));

        let (new, old) = store.rotate("bob").expect("rotated");
        assert_eq!(old, bob.entry);
        assert_eq!(new.entry.rights(), rights);
        assert!(!is_valid(&store, &bob.token) && is_valid(&store, &new.token));
        let (newer, _) = store.rotate(&alice.entry.id).expect("by its id");
        assert_eq!(newer.entry.expires_s, Some(newer.entry.created_s + 60));

        let text = std::fs::read_to_string(store.path()).expect("the file");
        for token in [&alice.token, &bob.token, &new.token, &newer.token] {
            assert!(!text.contains(token.as_str()), "{text}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(store.path())
                .expect("the file")
                .permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
        assert_eq!(store.revoke("alice").expect("revoked").len(), 1);
        assert!(!is_valid(&store, &newer.token) && is_valid(&store, &new.token));
        let error = store.revoke("alice").expect_err("gone").to_string();
        assert!(error.contains("there are tokens for bob"), "{error}");
    }

    #[test]
    fn a_name_can_have_several_tokens_which_are_rotated_by_id() {
        let (_folder, store) = store();
        let one = store
            .add(&name("team"), Rights::default(), None)
            .expect("added");
        store
            .add(&name("team"), Rights::default(), None)
            .expect("added");
        let error = store.rotate("team").expect_err("two tokens").to_string();
        assert!(error.contains(&one.entry.id), "{error}");
        store.rotate(&one.entry.id).expect("by its id");
        assert_eq!(store.revoke("team").expect("all of them").len(), 2);
        assert!(
            store
                .read()
                .expect("an empty list")
                .expect("a file")
                .is_empty()
        );
    }

    #[test]
    fn a_damaged_file_is_an_error_and_is_not_overwritten() {
        let (_folder, store) = store();
        std::fs::create_dir(store.path().parent().expect("a folder")).expect("the folder");
        for text in [
            "",
            "{}",
            "[]",
            "{\"version\":1,\"tokens\":[{}]}",
            "{\"version\":2,\"tokens\":[]}",
            "{\"version\":1,\"tokens\":[]}x",
            "\0\0\0",
        ] {
            std::fs::write(store.path(), text).expect("written");
            assert!(store.read().is_err(), "{text:?}");
            assert!(store.add(&name("a"), Rights::default(), None).is_err());
            assert_eq!(std::fs::read_to_string(store.path()).expect("kept"), text);
        }
    }

    #[test]
    fn concurrent_changes_are_all_kept() {
        let (_folder, store) = store();
        thread::scope(|scope| {
            for number in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    let name = name(&format!("user{number}"));
                    store.add(&name, Rights::default(), None).expect("added");
                });
            }
        });
        assert_eq!(store.read().expect("it reads").expect("a file").len(), 8);
    }
}
