//! `recover_draft`: a draft made again from its journal, on a server or in the engine.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::Object;
use crate::backend::Backend;
use crate::backend::evidence::{Evidence, Found};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::exec::{ADOPTED, App, Context, Step};
use crate::journal::{DraftRow, ENGINE, Record};
use crate::local::{self, LocalTool};
use crate::tools::{Hints, Manner, Request};

/// Makes a lost draft again from the calls that were acknowledged, or moves one between server and engine.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RecoverDraft {
    /// The draft.
    pub draft_id: DraftId,
    /// `remote` or `embedded`; chosen without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The draft that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Recovered {
    /// The new draft.
    pub draft_id: DraftId,
    /// The draft that it replaces.
    pub was: DraftId,
    /// `embedded` or `remote`: who keeps the new draft.
    pub backend: &'static str,
    /// How many calls were carried out again.
    pub calls: usize,
    /// Segments on each track of the new draft.
    pub segments: BTreeMap<String, usize>,
    /// What to know of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LocalTool for RecoverDraft {
    const NAME: &'static str = "recover_draft";
    const TITLE: &'static str = "Recover draft";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: true,
    };
    type Reply = Recovered;

    fn draft(&self) -> Option<&DraftId> {
        Some(&self.draft_id)
    }

    fn faults(&self) -> Vec<String> {
        match self.to.as_deref() {
            None | Some("remote" | "embedded") => Vec::new(),
            Some(other) => vec![format!("`to` is {other:?}: `remote` or `embedded`")],
        }
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<Recovered> {
        let was = &self.draft_id;
        let row = app
            .journal
            .find(was)?
            .ok_or_else(|| app.journal.unknown(was))?;
        if let Some((_, to)) = &row.moved_to {
            return Err(
                Error::conflict(format!("draft {was} was recovered already, as {to}"))
                    .hint(format!("use `draft_id` {:?}", to.as_str())),
            );
        }
        let records = app.journal.records(&row.origin, was, 0)?;
        if records.first().is_none_or(|first| first.tool == ADOPTED) {
            return Err(Error::conflict(format!(
                "draft {was} cannot be made again: it was made elsewhere, and the journal lacks its beginning"
            )));
        }
        let backend = self.target(app).await?;
        let mut replay = Replay {
            app,
            backend,
            context,
            made: None,
        };
        let replayed = replay.all(&records).await;
        let Some(made) = replay.made.clone() else {
            return Err(replayed
                .err()
                .unwrap_or_else(|| Error::internal("no draft was made")));
        };
        let compared = match replayed {
            Ok(()) => replay.compare(&made, &records).await,
            Err(error) => Err(error),
        };
        let (segments, mut notes) = match compared {
            Ok(compared) => compared,
            Err(error) => return Err(replay.given_up(&made, error)),
        };
        let origin = match &replay.backend {
            Backend::Embedded(_) => ENGINE.to_owned(),
            Backend::Remote(remote) => remote.base.clone(),
        };
        if let Some(difference) = replay.differs_from(&row, &segments).await {
            notes.push(difference);
        }
        app.journal.set_moved(&row.origin, was, &origin, &made)?;
        app.forget(was);
        Ok(Recovered {
            draft_id: made,
            was: was.clone(),
            backend: replay.backend.name(),
            calls: records.len(),
            segments,
            notes,
        })
    }
}

impl RecoverDraft {
    async fn target(&self, app: &Arc<App>) -> Result<Backend> {
        Ok(match self.to.as_deref() {
            Some("embedded") => Backend::Embedded(Arc::clone(&app.engine)),
            Some(_) => Backend::Remote(app.servers.first(&app.journal).await?),
            None => app.choose().await?.backend,
        })
    }
}

/// Calls that are carried out again.
struct Replay<'a> {
    app: &'a Arc<App>,
    backend: Backend,
    context: &'a Context,
    made: Option<DraftId>,
}

impl Replay<'_> {
    async fn all(&mut self, records: &[Record]) -> Result<()> {
        for (number, record) in records.iter().enumerate() {
            if let Some(progress) = &self.context.progress {
                progress(Step {
                    done: number as f64,
                    total: Some(records.len() as f64),
                    message: record.tool.clone(),
                    bytes: None,
                });
            }
            let reply = self.one(record).await.map_err(|error| Error {
                message: format!("call {number}, `{}`: {}", record.tool, error.message),
                ..error
            })?;
            if self.made.is_none() {
                self.made = reply["draft_id"].as_str().map(|id| DraftId(id.into()));
            }
        }
        Ok(())
    }

    async fn one(&self, record: &Record) -> Result<Value> {
        let mut arguments: Object = record.arguments.as_object().cloned().unwrap_or_default();
        match &self.made {
            Some(made) => arguments.insert("draft_id".into(), json!(made)),
            None => arguments.shift_remove("draft_id"),
        };
        self.call(&record.tool, arguments).await
    }

    async fn call(&self, tool: &str, arguments: Object) -> Result<Value> {
        let context = Context {
            cancel: self.context.cancel.clone(),
            ..Context::default()
        };
        let request = request(tool, arguments)?;
        self.app
            .run_on(self.backend.clone(), request, context)
            .await
    }

    async fn script(&self, draft: &DraftId) -> Result<Value> {
        let arguments = json!({ "draft_id": draft, "force_update": false });
        let reply = self
            .call(
                "query_script",
                arguments.as_object().cloned().unwrap_or_default(),
            )
            .await?;
        serde_json::from_str(reply["script"].as_str().unwrap_or_default()).map_err(|error| {
            Error::internal("the new draft's document cannot be read").source(error)
        })
    }

    /// Whether all that was acknowledged is in the new draft; and what it has on each track.
    async fn compare(
        &self,
        made: &DraftId,
        records: &[Record],
    ) -> Result<(BTreeMap<String, usize>, Vec<String>)> {
        let script = self.script(made).await?;
        let mut wanted: HashMap<Evidence, usize> = HashMap::new();
        let mut unseen = 0;
        for record in &records[1..] {
            match self.app.evidence_of(record) {
                Some(evidence) => *wanted.entry(evidence).or_default() += 1,
                None => unseen += 1,
            }
        }
        let missing = wanted
            .iter()
            .filter(|(evidence, times)| evidence.find(&script) != Found::Times(**times))
            .count();
        if missing > 0 {
            return Err(Error::new(
                Kind::Unavailable,
                format!(
                    "{missing} of {} acknowledged calls left nothing in the new draft",
                    records.len()
                ),
            ));
        }
        let mut notes = Vec::new();
        if unseen > 0 {
            notes.push(format!(
                "{unseen} calls were carried out again, but cannot be seen in the document: keyframes, subtitles from files"
            ));
        }
        Ok((segments(&script), notes))
    }

    /// How the new draft differs from the old one, if that can be read still.
    async fn differs_from(&self, row: &DraftRow, new: &BTreeMap<String, usize>) -> Option<String> {
        let old = if row.origin == ENGINE {
            Backend::Embedded(Arc::clone(&self.app.engine))
        } else {
            Backend::Remote(self.app.servers.at(&row.origin))
        };
        let replay = Replay {
            app: self.app,
            backend: old,
            context: self.context,
            made: None,
        };
        let old = segments(&replay.script(&row.id).await.ok()?);
        (old != *new).then(|| format!("the old draft has other segments on its tracks: {old:?}"))
    }

    /// Nothing half-made stays, where it can be helped.
    fn given_up(&self, made: &DraftId, error: Error) -> Error {
        match &self.backend {
            Backend::Embedded(_) => {
                if let Err(error) = self.app.journal.delete(made) {
                    tracing::warn!("{made} could not be deleted: {error}");
                }
                error
            }
            Backend::Remote(remote) => Error {
                message: format!(
                    "{}; the incomplete draft {made} is left at {}",
                    error.message, remote.base
                ),
                ..error
            },
        }
    }
}

/// As it was accepted once: by a strict caller, or else over HTTP.
fn request(tool: &str, arguments: Object) -> Result<Box<dyn Request>> {
    let spec = local::find(tool).ok_or_else(|| {
        Error::not_found(format!(
            "the journal has a call of `{tool}`, which is no tool"
        ))
    })?;
    spec.decode(arguments.clone(), Manner::Strict)
        .or_else(|_| spec.decode(arguments, Manner::Api))
}

/// How many segments each track has.
fn segments(script: &Value) -> BTreeMap<String, usize> {
    let tracks = script["tracks"].as_array().into_iter().flatten();
    tracks
        .filter_map(|track| {
            let count = track["segments"].as_array().map_or(0, Vec::len);
            (count > 0).then(|| (track["name"].as_str().unwrap_or_default().to_owned(), count))
        })
        .collect()
}
