//! How a call is carried out: its turn on its draft, a slot in its lane, the breaker, the backend, again.

pub(crate) mod breaker;
pub(crate) mod lanes;
mod retry;
mod turns;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures::FutureExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::draft::ids::DraftId;
use crate::engine::{self, Engine};
use crate::error::{Error, Kind, Result};
use crate::journal::Journal;
use crate::local;
use crate::manifest::Manifest;
use crate::media::{Access, Media};
use crate::settings::Settings;
use crate::tools::Request;

/// How far a call is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub done: f64,
    pub total: Option<f64>,
    pub message: String,
}

pub(crate) type Progress = Arc<dyn Fn(Step) + Send + Sync>;

/// What a caller brings along besides the request.
#[derive(Clone, Default)]
pub(crate) struct Context {
    pub cancel: CancellationToken,
    pub progress: Option<Progress>,
    /// Counts how often the call was sent.
    pub tries: Option<Arc<AtomicUsize>>,
}

/// Everything that a running process needs; nothing is opened before it is used.
pub(crate) struct App {
    pub settings: Settings,
    pub manifest: Manifest,
    pub engine: Arc<Engine>,
    pub media: Arc<Media>,
    pub journal: Arc<Journal>,
    turns: turns::Turns,
    pub lanes: lanes::Lanes,
}

impl App {
    /// What runs as the user and for the user: everything that the user may read may be read.
    pub(crate) fn new(settings: Settings) -> Result<Arc<Self>> {
        Self::with_access(settings, Access::user(), Vec::new())
    }

    /// For callers who may read less than the user, and have drafts saved into some folders only.
    pub(crate) fn with_access(
        settings: Settings,
        access: Access,
        folders: Vec<PathBuf>,
    ) -> Result<Arc<Self>> {
        let manifest = Manifest::load(settings.config_file.as_ref())?;
        let journal = Arc::new(Journal::of(settings.data_dir().ok()));
        let media = Arc::new(Media::new(manifest.limits.media.clone(), access));
        Ok(Arc::new(Self {
            engine: Arc::new(Engine::new(
                settings.edition,
                media.clone(),
                journal.clone(),
                engine::Options::new(&settings, folders),
            )),
            settings,
            media,
            journal,
            turns: turns::Turns::default(),
            lanes: lanes::Lanes::new(&manifest),
            manifest,
        }))
    }

    /// Carries a call out and gives its reply.
    pub(crate) async fn run(
        self: &Arc<Self>,
        request: Box<dyn Request>,
        context: Context,
    ) -> Result<Value> {
        let cancel = context.cancel.clone();
        let work = AssertUnwindSafe(self.carry_out(request, context)).catch_unwind();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::new(Kind::Cancelled, "the call was cancelled")),
            ended = work => ended.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))),
        }
    }

    /// What is remembered of a draft holds no longer.
    pub(crate) fn forget(&self, draft: &DraftId) {
        self.turns.forget(draft);
    }

    async fn carry_out(
        self: &Arc<Self>,
        request: Box<dyn Request>,
        context: Context,
    ) -> Result<Value> {
        if !request.spec().routed {
            return local::run(self, request.as_ref(), &context).await;
        }
        request.run(&self.engine).await
    }
}

/// A bug of ours ends one call, not the process.
fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!("a call panicked: {text}");
    Error::internal(
        "a fault of capcut-mcp's own stopped this call; it may or may not have been carried out",
    )
    .hint(format!(
        "look at the draft before you call again, and report this: {text}"
    ))
}
