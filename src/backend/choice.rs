//! Which backend a new draft goes to, and the servers by their addresses.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Backend, Remote};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::journal::Journal;
use crate::manifest::Manifest;
use crate::media::MediaStore;
use crate::secrets;
use crate::settings::{BackendChoice, Settings};

/// Who carries a call out, and why that one.
#[derive(Clone)]
pub(crate) struct Choice {
    pub backend: Backend,
    pub reason: String,
}

/// The servers that calls may go to.
pub(crate) struct Servers {
    /// Where a server is looked for, in this order.
    pub addresses: Vec<String>,
    /// The addresses with the users and queries that some were given with: only requests carry these.
    given: HashMap<String, String>,
    named: bool,
    manifest: Arc<Manifest>,
    media: MediaStore,
    /// Where files are kept as they were before they were mended.
    data_dir: Option<PathBuf>,
    by_address: Mutex<HashMap<String, Arc<Remote>>>,
}

impl Servers {
    pub(crate) fn new(settings: &Settings, manifest: &Arc<Manifest>, media: &MediaStore) -> Self {
        let urls = match &settings.api_url {
            Some(url) => std::slice::from_ref(url),
            None => &manifest.api.base_urls,
        };
        let named_by = |url: &str| secrets::address(url).trim_end_matches('/').to_owned();
        for url in urls.iter().filter_map(|url| reqwest::Url::parse(url).ok()) {
            secrets::know(url.password().unwrap_or_default());
            for (_, value) in url.query_pairs() {
                secrets::know(&value);
            }
        }
        Self {
            addresses: urls.iter().map(|url| named_by(url)).collect(),
            given: urls
                .iter()
                .map(|url| (named_by(url), url.clone()))
                .collect(),
            named: settings.api_url.is_some(),
            manifest: Arc::clone(manifest),
            media: media.clone(),
            data_dir: settings.data_dir().ok().map(Path::to_owned),
            by_address: Mutex::default(),
        }
    }

    /// The server at that address; the same one each time.
    pub(crate) fn at(&self, address: &str) -> Arc<Remote> {
        let mut by_address = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = by_address.get(address) {
            return Arc::clone(remote);
        }
        let (manifest, media) = (Arc::clone(&self.manifest), self.media.clone());
        let data_dir = self.data_dir.clone();
        let given = self.given.get(address).map_or(address, String::as_str);
        let remote = Remote::new(address.to_owned(), given, manifest, media, data_dir);
        let remote = Arc::new(remote);
        by_address.insert(address.to_owned(), Arc::clone(&remote));
        remote
    }

    /// The first address at which a CapCut API answers; otherwise what was found instead, each.
    pub(crate) async fn first(&self, journal: &Arc<Journal>) -> Result<Arc<Remote>> {
        let mut faults: Vec<Error> = Vec::new();
        for address in &self.addresses {
            let remote = self.at(address);
            match remote.server(journal).await {
                Ok(_) => return Ok(remote),
                Err(error) => faults.push(error),
            }
        }
        let kind = faults
            .iter()
            .map(|fault| fault.kind)
            .find(|kind| *kind != Kind::Unsent);
        let texts: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
        Err(
            Error::new(kind.unwrap_or(Kind::Unsent), texts.join("; ")).hint(
                "start the API, or `capcut-mcp engine` in its place, or use `--backend embedded`",
            ),
        )
    }

    /// Where the next draft goes. This never tries twice.
    pub(crate) async fn choose(
        &self,
        wanted: BackendChoice,
        engine: &Arc<Engine>,
        journal: &Arc<Journal>,
        // Whether calls may go to a server just now, or for how long not.
        admits: &(dyn Fn(&Remote) -> Result<()> + Send + Sync),
    ) -> Result<Choice> {
        let embedded = |reason: String| Choice {
            backend: Backend::Embedded(Arc::clone(engine)),
            reason,
        };
        if wanted == BackendChoice::Embedded {
            return Ok(embedded("`--backend embedded`".into()));
        }
        let found = match self.first(journal).await {
            Ok(remote) => admits(&remote).map(|()| remote),
            Err(error) => Err(error),
        };
        match found {
            Ok(remote) => {
                let server = remote.server(journal).await?;
                let reason = match (wanted, self.named) {
                    (BackendChoice::Remote, _) => "`--backend remote`".to_owned(),
                    _ => format!("{} answers at {}", server.dialect.name(), remote.base),
                };
                Ok(Choice {
                    backend: Backend::Remote(remote),
                    reason,
                })
            }
            Err(error) if wanted == BackendChoice::Remote => Err(error),
            Err(error) => Ok(embedded(error.message)),
        }
    }
}
