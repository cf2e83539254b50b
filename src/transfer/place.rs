//! The stores that are copied.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{AHEAD, TransferSource, TransferTarget};
use crate::access::TenantName;
use crate::access::tokens::{TOKENS_KEY, TokenStore};
use crate::error::{Error, Result};
use crate::journal::{
    self, Imported, MergeRule, PortableStore, PortableValue, StorePart, SyncMode,
};
use crate::regular_file;
use crate::settings::Settings;

/// An address of a database has at most this number of bytes.
const MOST_ADDRESS: u64 = 64 << 10;

/// A store with its tokens, which a folder has in a file.
#[derive(Clone)]
pub(crate) struct StorePlace {
    store: Arc<dyn PortableStore>,
    folder: Option<PathBuf>,
    /// For people, without a password.
    name: String,
}

impl StorePlace {
    fn in_folder(folder: PathBuf) -> Self {
        let store = journal::in_folder(Some(&folder), SyncMode::Normal);
        Self {
            name: store.name(),
            store,
            folder: Some(folder),
        }
    }

    fn in_database(address: &str) -> Result<Self> {
        let store = journal::in_postgres(address)?;
        Ok(Self {
            name: store.name(),
            store,
            folder: None,
        })
    }

    /// The store of these settings.
    pub(crate) fn of_settings(settings: &Settings) -> Result<Self> {
        match &settings.store {
            Some(address) => Self::in_database(&address.0),
            None => Ok(Self::in_folder(settings.data_dir()?.to_owned())),
        }
    }

    /// The store that an argument names: the address of a database, `@` with a file that contains it, or a data folder.
    pub(crate) fn named(place: &str) -> Result<Self> {
        let is_address =
            |text: &str| text.starts_with("postgres:") || text.starts_with("postgresql:");
        if is_address(place) {
            return Self::in_database(place);
        }
        if let Some(path) = place.strip_prefix('@') {
            let read = regular_file::read_named(path.as_ref(), MOST_ADDRESS);
            let text = read.map_err(|error| {
                Error::invalid(format!("{path}, which has to contain the address of a database, cannot be read"))
                    .hint("write the address into the file, or give a data folder or postgres://USER@HOST/DATABASE")
                    .source(error)
            })?;
            return Self::in_database(text.text.trim());
        }
        let folder = PathBuf::from(place);
        if folder.is_file() || place.contains("://") || place.trim().is_empty() {
            return Err(Error::invalid(format!("{place:?} is not a store"))
                .hint("name a data folder, which `capcut-mcp doctor` shows, or postgres://USER@HOST/DATABASE, or @FILE with that address; `store restore` reads backups"));
        }
        Ok(Self::in_folder(folder))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Fails if the folder has no journal: it is not the one that was meant.
    pub(crate) async fn has_content(&self) -> Result<()> {
        if self.folder.is_some() && self.store.tenants().await?.is_empty() {
            return Err(
                Error::not_found(format!("there are no drafts in the {}", self.name))
                    .hint("`capcut-mcp doctor` shows the data folder; it contains `journal.db`"),
            );
        }
        Ok(())
    }

    /// Fails if both are the same store.
    pub(crate) async fn is_other_than(&self, other: &Self) -> Result<()> {
        let local = TenantName::local();
        if self.store.id(&local).await? == other.store.id(&local).await? {
            return Err(Error::invalid(format!(
                "FROM and TO are the same store, the {}",
                self.name
            ))
            .hint("name two different stores"));
        }
        Ok(())
    }

    fn tokens(&self) -> Option<TokenStore> {
        self.folder.as_deref().map(TokenStore::new)
    }
}

#[async_trait]
impl TransferSource for StorePlace {
    async fn send(&self, to: mpsc::Sender<(TenantName, StorePart)>) -> Result<()> {
        if let Some(value) = self
            .tokens()
            .map(|tokens| tokens.content())
            .transpose()?
            .flatten()
        {
            let part = StorePart::Value(PortableValue {
                key: TOKENS_KEY.to_owned(),
                value,
                until_ms: None,
            });
            if to.send((TenantName::local(), part)).await.is_err() {
                return Ok(());
            }
        }
        for who in self.store.tenants().await? {
            self.store.check(&who).await?;
            let (sender, mut parts) = mpsc::channel(AHEAD);
            let forwarded = async {
                while let Some(part) = parts.recv().await {
                    if to.send((who.clone(), part)).await.is_err() {
                        break;
                    }
                }
                // What is sent now is received by no one, and so sending ends.
                drop(parts);
            };
            let (sent, ()) = tokio::join!(self.store.export(&who, sender), forwarded);
            sent?;
        }
        Ok(())
    }
}

#[async_trait]
impl TransferTarget for StorePlace {
    async fn put(
        &mut self,
        who: &TenantName,
        parts: Vec<StorePart>,
        existing: MergeRule,
    ) -> Result<Vec<Imported>> {
        let Some(tokens) = self.tokens().filter(|_| *who == TenantName::local()) else {
            return self.store.import(who, &parts, existing).await;
        };
        let is_tokens =
            |part: &StorePart| matches!(part, StorePart::Value(value) if value.key == TOKENS_KEY);
        let mut done = Vec::with_capacity(parts.len());
        for own in parts.chunk_by(|a, b| is_tokens(a) == is_tokens(b)) {
            match own.first() {
                Some(StorePart::Value(value)) if value.key == TOKENS_KEY => {
                    let written =
                        tokens.put_content(&value.value, existing == MergeRule::Replace)?;
                    done.push(Imported::Written(written.into()));
                }
                _ => done.extend(self.store.import(who, own, existing).await?),
            }
        }
        Ok(done)
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
