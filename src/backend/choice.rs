//! Which backend a new draft goes to, and the servers by their addresses.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::remote::START_ONE;
use super::wire::Sender;
use super::{Backend, Remote};
use crate::engine::Engine;
use crate::error::{Error, Kind, Origin, Result};
use crate::journal::Journal;
use crate::manifest::Manifest;
use crate::media::MediaStore;
use crate::secrets;
use crate::settings::{BackendChoice, Settings};
use crate::units::Edition;

/// Why drafts are the engine's where no server answers.
const BUILT_IN: &str = "made by the built-in engine";

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
    /// Who asks them.
    pub sender: Sender,
    named: bool,
    /// The edition that drafts must be for, if one was asked for.
    asked: Option<Edition>,
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
            sender: Sender::new(),
            named: settings.api_url.is_some(),
            asked: settings.asked_edition,
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
        let sender = self.sender.clone();
        let remote = Remote::new(
            address.to_owned(),
            given,
            self.asked,
            manifest,
            media,
            data_dir,
            sender,
        );
        let remote = Arc::new(remote);
        by_address.insert(address.to_owned(), Arc::clone(&remote));
        remote
    }

    /// The first address at which a CapCut API of the edition that was asked for answers; otherwise what was found
    /// instead, each.
    pub(crate) async fn first(&self, journal: &Arc<Journal>) -> Result<Arc<Remote>> {
        self.first_for(None, journal).await
    }

    /// The same for drafts of one edition, where there is such a draft already.
    pub(crate) async fn first_for(
        &self,
        edition: Option<Edition>,
        journal: &Arc<Journal>,
    ) -> Result<Arc<Remote>> {
        let mut faults: Vec<Error> = Vec::new();
        for address in &self.addresses {
            let remote = self.at(address);
            let server = remote.server(journal).await;
            let fits = server.and_then(|server| {
                remote.of_asked_edition(&server)?;
                edition.map_or(Ok(()), |edition| remote.of_edition(&server, edition))
            });
            match fits {
                Ok(()) => return Ok(remote),
                Err(error) => faults.push(error),
            }
        }
        // A server of the wrong edition is reported first, then any other answer, and a missing server last.
        let of_kind = |is: fn(Kind) -> bool| faults.iter().position(|fault| is(fault.kind));
        let told =
            of_kind(|kind| kind == Kind::Conflict).or_else(|| of_kind(|kind| kind != Kind::Unsent));
        let (kind, origin, hint, at_shell) = match told.map(|index| &mut faults[index]) {
            Some(fault) => (
                fault.kind,
                fault.origin,
                fault.hint.take(),
                fault.at_shell.take(),
            ),
            None => (Kind::Unsent, Some(Origin::Connection), None, None),
        };
        let at_shell = match hint {
            None => at_shell.or_else(|| Some(START_ONE.into())),
            Some(_) => at_shell,
        };
        let texts: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
        Err(Error {
            hint,
            at_shell,
            origin,
            ..Error::new(kind, texts.join("; "))
        })
    }

    /// Where the next draft goes, of this edition if it has one already. This never tries twice.
    pub(crate) async fn choose(
        &self,
        wanted: BackendChoice,
        edition: Option<Edition>,
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
        let found = match self.first_for(edition, journal).await {
            Ok(remote) => admits(&remote).map(|()| remote),
            Err(error) => Err(error),
        };
        match found {
            Ok(remote) => {
                let server = remote.server(journal).await?;
                if wanted == BackendChoice::Auto && server.same_journal && !server.is_front {
                    return Ok(embedded(format!(
                        "the engine at {} keeps its drafts in the same data folder: this process makes them too",
                        remote.base
                    )));
                }
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
            // A server that was named is meant, and the edition as well: one of the two is a mistake.
            Err(error) if self.named && edition.is_none() && error.kind == Kind::Conflict => {
                Err(error)
            }
            // Without a server that was named, it is as expected that none answers.
            Err(error) if !self.named && error.kind == Kind::Unsent => {
                Ok(embedded(BUILT_IN.into()))
            }
            Err(error) => Ok(embedded(format!("{BUILT_IN}: {}", error.message))),
        }
    }
}
