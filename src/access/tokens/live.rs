//! The tokens of a running listener, which notices changes of the files.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{TokenEntry, TokenStore, TokenTable, given};
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links};

/// How old the list may be: a token that was revoked is refused after this time.
const FRESH: Duration = Duration::from_millis(500);
/// Thousands of tokens.
const MOST_BYTES: u64 = 4 << 20;

/// Where a listener's tokens come from, besides `tokens.json`.
#[derive(Clone, Default)]
pub(crate) struct TokenSources {
    /// `CAPCUT_MCP_TOKENS`.
    pub text: Option<String>,
    /// `CAPCUT_MCP_TOKENS_FILE`.
    pub file: Option<PathBuf>,
}

/// The tokens of all sources.
pub(crate) struct LiveTokens {
    store: TokenStore,
    /// The tokens of the variable.
    fixed: Vec<TokenEntry>,
    file: Option<PathBuf>,
    read: Mutex<ReadTokens>,
}

/// What was read last.
struct ReadTokens {
    at: Instant,
    /// The content of `tokens.json`. Both files are so small that comparing them is as cheap as comparing times, which
    /// may be equal for two writes.
    own: Option<Vec<u8>>,
    file: Option<Vec<u8>>,
    table: Arc<TokenTable>,
}

impl LiveTokens {
    pub(crate) fn open(store: TokenStore, sources: TokenSources) -> Result<Self> {
        let fixed = match &sources.text {
            Some(text) => given::read(text, "`CAPCUT_MCP_TOKENS`")?,
            None => Vec::new(),
        };
        let mut live = Self {
            store,
            fixed,
            file: sources.file,
            read: Mutex::new(ReadTokens {
                at: Instant::now(),
                own: None,
                file: None,
                table: Arc::default(),
            }),
        };
        let (own, file) = (live.store.bytes()?, live.file_bytes()?);
        let table = live.table(own.as_deref(), file.as_deref())?;
        live.read = Mutex::new(ReadTokens {
            at: Instant::now(),
            own,
            file,
            table: Arc::new(table),
        });
        Ok(live)
    }

    /// The tokens, at most [`FRESH`] old. While a file cannot be read, there are none and no one may be served.
    pub(crate) fn current(&self) -> Result<Arc<TokenTable>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.at.elapsed() < FRESH {
            return Ok(Arc::clone(&read.table));
        }
        let (own, file) = (self.store.bytes()?, self.file_bytes()?);
        if own.is_none() && read.own.is_some() {
            return Err(Error::new(
                Kind::Unavailable,
                format!("{} has disappeared", self.store.place()),
            )
            .hint("no one is served before it is restored; restart the server if its tokens were deleted on purpose"));
        }
        if own != read.own || file != read.file {
            read.table = Arc::new(self.table(own.as_deref(), file.as_deref())?);
            (read.own, read.file) = (own, file);
        }
        // Only a success counts: an error is found again by the next call.
        read.at = Instant::now();
        Ok(Arc::clone(&read.table))
    }

    fn table(&self, own: Option<&[u8]>, file: Option<&[u8]>) -> Result<TokenTable> {
        let mut entries = match own {
            Some(bytes) => self.store.parse(bytes)?,
            None => Vec::new(),
        };
        entries.extend(self.fixed.iter().cloned());
        if let Some(bytes) = file {
            let place = "the file of `CAPCUT_MCP_TOKENS_FILE`";
            let text = std::str::from_utf8(bytes)
                .map_err(|_| Error::invalid(format!("{place} is not UTF-8 text")))?;
            entries.extend(given::read(text, place)?);
        }
        TokenTable::new(entries)
    }

    /// Links are followed: orchestrators mount secrets as links.
    fn file_bytes(&self) -> Result<Option<Vec<u8>>> {
        let Some(path) = &self.file else {
            return Ok(None);
        };
        let bytes = regular_file::read(path, MOST_BYTES, Links::Follow);
        bytes.map(Some).map_err(|error| {
            Error::new(
                Kind::Unavailable,
                format!(
                    "`CAPCUT_MCP_TOKENS_FILE`: {} cannot be read",
                    path.display()
                ),
            )
            .hint("no one is served before the file can be read: check its path and permissions")
            .source(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tokens::{LookedUp, add, revoke};
    use crate::access::{Rights, utc};

    const GIVEN: &str = "0123456789abcdef0123456789abcdef";

    fn outdated(live: &LiveTokens) -> Result<Arc<TokenTable>> {
        live.read.lock().unwrap().at = Instant::now().checked_sub(FRESH).expect("uptime");
        live.current()
    }

    fn is_valid(table: &TokenTable, token: &str) -> bool {
        matches!(table.look_up(token, utc::now_s()), LookedUp::Valid(_))
    }

    #[test]
    fn changes_of_all_files_are_noticed_and_damage_stops_access() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let file = folder.path().join("tokens.txt");
        std::fs::write(&file, format!("ci {GIVEN}A")).expect("written");
        let sources = TokenSources {
            text: Some(format!("env {GIVEN}B")),
            file: Some(file.clone()),
        };
        let live = LiveTokens::open(TokenStore::new(&data), sources).expect("tokens");
        let table = live.current().expect("tokens");
        assert!(is_valid(&table, &format!("{GIVEN}A")) && is_valid(&table, &format!("{GIVEN}B")));

        let store = TokenStore::new(&data);
        let name = "alice".parse().expect("a name");
        let new = store
            .change(&|all| add(all, &name, Rights::default(), None))
            .expect("added");
        assert!(is_valid(&outdated(&live).expect("tokens"), &new.token));
        let list = std::fs::read(data.join("tokens.json")).expect("the file");
        store.change(&|all| revoke(all, "alice")).expect("revoked");
        assert!(!is_valid(&outdated(&live).expect("tokens"), &new.token));
        std::fs::write(&file, format!("ci {GIVEN}C")).expect("written");
        let table = outdated(&live).expect("tokens");
        assert!(!is_valid(&table, &format!("{GIVEN}A")) && is_valid(&table, &format!("{GIVEN}C")));

        std::fs::write(data.join("tokens.json"), &list[..list.len() / 2]).expect("written");
        assert!(outdated(&live).is_err());
        assert!(
            live.current().is_err(),
            "an error is not cached as a success"
        );
        std::fs::remove_file(data.join("tokens.json")).expect("removed");
        assert!(
            outdated(&live)
                .expect_err("gone")
                .message
                .contains("disappeared")
        );
        std::fs::write(data.join("tokens.json"), &list).expect("restored");
        assert!(is_valid(&outdated(&live).expect("tokens"), &new.token));
        std::fs::remove_file(&file).expect("removed");
        assert!(outdated(&live).is_err());
    }
}
