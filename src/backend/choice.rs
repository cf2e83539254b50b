//! Which backend makes a new draft, and the servers by address.

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

/// The reason that replies give when no server answers.
const BUILT_IN: &str = "made by the built-in engine";

/// The backend that handles a call, and the reason for the choice.
#[derive(Clone)]
pub(crate) struct Choice {
    pub backend: Backend,
    pub reason: String,
}

/// The servers that calls may go to.
pub(crate) struct Servers {
    /// The addresses at which to look for a server, in this order.
    pub addresses: Vec<String>,
    /// The full URL of each address, with its user, password and query if it has them: only requests use these.
    given: HashMap<String, String>,
    /// Marks the requests of this process.
    pub sender: Sender,
    named: bool,
    /// The edition that drafts must be for, if one was requested.
    asked: Option<Edition>,
    manifest: Arc<Manifest>,
    media: MediaStore,
    /// Where copies of files from before a fix are kept.
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

    /// The server at an address; the same object each time.
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

    /// The first address at which a CapCut API of the requested edition answers; otherwise an error that lists
    /// what was found at each address.
    pub(crate) async fn first(&self, journal: &Arc<Journal>) -> Result<Arc<Remote>> {
        self.first_for(None, journal).await
    }

    /// The same for a draft that already has an edition.
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

    /// The backend for the next draft, for this edition if the draft already has one. Each address is tried once.
    pub(crate) async fn choose(
        &self,
        wanted: BackendChoice,
        edition: Option<Edition>,
        engine: &Arc<Engine>,
        journal: &Arc<Journal>,
        // Whether calls to a server are allowed now; the error says how long they are paused.
        admits: &(dyn Fn(&Remote) -> Result<()> + Send + Sync),
    ) -> Result<Choice> {
        let embedded = |reason: String| Choice {
            backend: Backend::Embedded(Arc::clone(engine)),
            reason,
        };
        if wanted == BackendChoice::Embedded {
            return Ok(embedded(
                "made by the built-in engine, as `--backend embedded` says".into(),
            ));
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
                        "the engine at {} keeps its drafts in the same data folder, so this process makes them itself",
                        remote.base
                    )));
                }
                let reason = match (wanted, self.named) {
                    (BackendChoice::Remote, _) => {
                        "made by the server, as `--backend remote` says".to_owned()
                    }
                    _ => format!("{} answers at {}", server.dialect.name(), remote.base),
                };
                Ok(Choice {
                    backend: Backend::Remote(remote),
                    reason,
                })
            }
            Err(error) if wanted == BackendChoice::Remote => Err(error),
            // The user named both the server and the edition, and they contradict each other.
            Err(error) if self.named && edition.is_none() && error.kind == Kind::Conflict => {
                Err(error)
            }
            // If no server was named, it is normal that none answers.
            Err(error) if !self.named && error.kind == Kind::Unsent => {
                Ok(embedded(BUILT_IN.into()))
            }
            Err(error) => Ok(embedded(format!("{BUILT_IN}: {}", error.message))),
        }
    }
}
