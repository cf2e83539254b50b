//! `inspect_draft`: tracks and clips of any draft as rows.

use std::sync::Arc;

use capcut_draft::{Dialect, Document, InspectFilter, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::input_rule::InputRule;
use crate::draft::ids::DraftId;
use crate::engine::documents::document_error;
use crate::error::{Error, Result};
use crate::exec::drafts::script;
use crate::exec::{App, Context};
use crate::journal::ENGINE;
use crate::local::LocalTool;
use crate::local::rows::{RowPage, marker_text, marker_values, page, page_text, summary_line};
use crate::tool::{Hints, ReplyForm};

/// Lists the tracks and clips of a draft, with the ids for `edit_draft`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct InspectDraft {
    /// The draft.
    pub draft_id: DraftId,
    /// Only this track: id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<String>,
    /// Clips after this second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// Clips before this second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// Id, or part of words or file name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Clips to skip.
    #[serde(default)]
    pub offset: usize,
}

/// The rows.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Inspected {
    pub draft_id: DraftId,
    pub summary: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::local::rows::marker_schema")]
    pub markers: Vec<Value>,
    /// From the lowest layer up.
    #[schemars(schema_with = "crate::local::rows::schema")]
    pub tracks: Vec<Value>,
    /// `offset` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LocalTool for InspectDraft {
    const NAME: &'static str = "inspect_draft";
    const TITLE: &'static str = "Inspect draft";
    const HINTS: Hints = Hints::READ;
    const INPUT_RULES: &'static [InputRule] = &[InputRule::Slots("query")];
    const REPLY_FORM: ReplyForm = ReplyForm {
        lines: Some(lines),
        ..ReplyForm::JSON
    };
    type Reply = Inspected;

    fn draft(&self) -> Option<&DraftId> {
        Some(&self.draft_id)
    }

    fn faults(&self) -> Vec<String> {
        let times = [("from", self.from), ("to", self.to)];
        let wrong = times.into_iter().filter_map(|(name, time)| {
            let time = time.filter(|time| !(0.0..=86_400.0).contains(time))?;
            Some(format!("`{name}` is {time} s; it must be from 0 to 86400"))
        });
        wrong.collect()
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<Inspected> {
        let id = app.current(&self.draft_id).await?;
        let row = app.journal.find(&id).await?;
        if row.is_none_or(|row| row.origin == ENGINE) {
            let opened = app.engine.opened(&id).await?;
            let folder = opened.and_then(|opened| opened.folder.clone());
            return app
                .engine
                .inspect(&id, |document| self.rows(&id, document, folder.as_deref()))
                .await?;
        }
        // A server's draft is read as it is there.
        let script = script(app, id.as_str(), context).await?;
        let mut document = Document::parse(script.into_bytes()).map_err(document_error)?;
        document.set_dialect(Dialect::Api);
        self.rows(&id, &document, None)
    }
}

impl InspectDraft {
    fn rows(
        &self,
        id: &DraftId,
        document: &Document,
        folder: Option<&std::path::Path>,
    ) -> Result<Inspected> {
        let filter = InspectFilter {
            track: self.track.clone(),
            from: self.from.map(time),
            to: self.to.map(time),
            query: self.query.clone(),
        };
        let rows = document.inspect(&filter).map_err(document_error)?;
        let count: usize = rows.iter().map(|track| track.clips.len()).sum();
        if let Some(query) = self.query.as_deref().filter(|_| count == 0) {
            return Err(self.nothing(document, query));
        }
        let RowPage {
            tracks,
            more,
            shown,
        } = page(&rows, self.offset, self.query.is_some(), folder);
        let next_offset = (more > 0).then_some(self.offset + shown);
        let mut notes = Vec::new();
        if shown == 0 && self.offset > 0 {
            notes.push(format!(
                "`offset` is {}, but there are {count} clips",
                self.offset
            ));
        }
        if more > 0 {
            notes.push(format!(
                "{more} more clips: continue with `offset` {}",
                self.offset + shown
            ));
        }
        let summary = document.summary();
        Ok(Inspected {
            draft_id: id.clone(),
            markers: marker_values(&summary),
            summary: summary_line(&summary),
            tracks,
            next_offset,
            notes,
        })
    }

    /// The error for a search without hits: it names the nearest clips.
    fn nothing(&self, document: &Document, query: &str) -> Error {
        let found = document.select(&query.into());
        match found {
            Ok(clip) => Error::not_found(format!(
                "no clip in this part of the draft matches {query:?}"
            ))
            .hint(format!("{} does", document.describe(clip))),
            Err(error) => document_error(error),
        }
    }
}

fn time(seconds: f64) -> Time {
    Time::from_micros((seconds * 1e6).round() as i64)
}

/// The reply as lines: a third of its size as JSON.
fn lines(reply: &Value) -> String {
    let mut text = format!(
        "{}: {}\n",
        reply["draft_id"].as_str().unwrap_or_default(),
        reply["summary"].as_str().unwrap_or_default()
    );
    if let Some(markers) = reply["markers"].as_array() {
        text.push_str(&marker_text(markers));
    }
    if let Some(tracks) = reply["tracks"].as_array() {
        text.push_str(&page_text(tracks));
    }
    for note in reply["notes"].as_array().into_iter().flatten() {
        text.push_str(note.as_str().unwrap_or_default());
        text.push('\n');
    }
    text
}
