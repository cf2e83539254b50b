//! Repeats the calls of a draft on a new draft, and checks that it contains what they added.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use capcut_draft::Document;
use serde_json::{Value, json};

use crate::backend::{self, Backend, again, manner};
use crate::draft::evidence::{Contents, Evidence, EvidenceMatch, Leaves};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context};
use crate::journal::Record;
use crate::printable::counted;
use crate::progress::Step;
use crate::tool::Request;
use crate::tools::{self, Manner, Object};

/// Replays calls on a new draft.
pub(super) struct Replay<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) backend: Backend,
    pub(super) context: &'a Context,
    pub(super) made: Option<DraftId>,
    pub(super) notes: Vec<String>,
}

impl Replay<'_> {
    pub(super) async fn all(&mut self, records: &[Record]) -> Result<()> {
        let on_engine = matches!(self.backend, Backend::Embedded(_));
        // In the API's dialect, keyframes wait for their clips until the draft is saved, so they are replayed
        // last.
        let waits = |record: &Record| {
            on_engine
                && manner(record) == Manner::Api
                && matches!(backend::leaves(record), Some(Leaves::Keyframes(_)))
        };
        for (number, record) in records.iter().enumerate() {
            if waits(record) {
                continue;
            }
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
        for keyframe in records.iter().filter(|one| waits(one)).flat_map(singles) {
            match self.one(&keyframe).await {
                Ok(_) => {}
                Err(error) if matches!(error.kind, Kind::InvalidArgument | Kind::NotFound) => {
                    let note = format!(
                        "a keyframe was left out, as API servers do: {}",
                        error.message
                    );
                    self.notes.push(note);
                }
                Err(error) => return Err(error),
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
        let on_server = matches!(self.backend, Backend::Remote(_));
        self.call(again(record, arguments, &self.context.caller, on_server)?)
            .await
    }

    async fn call(&self, request: Box<dyn Request>) -> Result<Value> {
        let context = Context {
            cancel: self.context.cancel.clone(),
            ..Context::of(&self.context.caller)
        };
        self.app
            .run_on(self.backend.clone(), request, context)
            .await
    }

    async fn script(&self, draft: &DraftId) -> Result<Document> {
        let spec = tools::routed("query_script")
            .ok_or_else(|| Error::internal("there is no tool that reads a draft"))?;
        let arguments = Object::from_iter([
            ("draft_id".to_owned(), json!(draft)),
            ("force_update".to_owned(), json!(false)),
        ]);
        let mut reply = self
            .call(spec.decode(arguments, &self.context.caller.in_manner(Manner::Strict))?)
            .await?;
        let text = match reply.get_mut("script") {
            Some(Value::String(text)) => std::mem::take(text),
            _ => String::new(),
        };
        Document::parse_object(text).map_err(|error| {
            Error::internal("the new draft's document cannot be read").source(error)
        })
    }

    /// Checks that everything acknowledged is in the new draft, and returns the number of segments on each track.
    pub(super) async fn compare(
        &self,
        made: &DraftId,
        records: &[Record],
    ) -> Result<(BTreeMap<String, usize>, Vec<String>)> {
        let contents = Contents::of(&self.script(made).await?).unwrap_or_default();
        let mut wanted: HashMap<Evidence, usize> = HashMap::new();
        let mut unseen = 0;
        for (number, record) in records.iter().enumerate() {
            match backend::leaves(record) {
                Some(Leaves::Segments(placed)) => *wanted.entry(placed.evidence).or_default() += 1,
                // The first call may only have created the draft.
                _ => unseen += usize::from(number > 0),
            }
        }
        let missing = wanted
            .iter()
            .filter(|(evidence, times)| contents.find(evidence) != EvidenceMatch::Times(**times))
            .count();
        if missing > 0 {
            return Err(Error::new(
                Kind::Unavailable,
                format!(
                    "{missing} of {} acknowledged calls are not in the new draft",
                    records.len()
                ),
            ));
        }
        let mut notes = Vec::new();
        if unseen > 0 {
            notes.push(format!(
                "the effect of {} cannot be checked in the document (keyframes, subtitles from files)",
                counted(unseen, "replayed call")
            ));
        }
        Ok((contents.counts(), notes))
    }

    /// Deletes an incomplete draft, if possible.
    pub(super) async fn given_up(&self, made: &DraftId, error: Error) -> Error {
        if let Err(error) = self.app.journal.delete(made).await {
            tracing::warn!("{made} could not be deleted: {error}");
        }
        match &self.backend {
            Backend::Embedded(_) => error,
            Backend::Remote(remote) => Error {
                message: format!(
                    "{}; the incomplete draft {made} remains at {}",
                    error.message, remote.base
                ),
                ..error
            },
        }
    }
}

/// The keyframes of a call as one call each.
fn singles(record: &Record) -> Vec<Record> {
    const LISTS: [(&str, &str); 3] = [
        ("property_types", "property_type"),
        ("times", "time"),
        ("values", "value"),
    ];
    let count = record.arguments[LISTS[0].0].as_array().map(Vec::len);
    let Some(count) = count else {
        return vec![record.clone()];
    };
    let single = |index: usize| {
        let mut single = record.clone();
        if let Some(arguments) = single.arguments.as_object_mut() {
            for (list, one) in LISTS {
                let list = arguments.shift_remove(list).unwrap_or_default();
                arguments.insert(one.to_owned(), list[index].clone());
            }
        }
        single
    };
    (0..count).map(single).collect()
}
