//! The report of a run: one row per item, totals, and durations.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::generated::MadeReport;
use super::seen::DraftReview;
use crate::draft::ids::DraftId;
use crate::error::Error;
use crate::printable::counted;
use crate::providers::Estimate;

/// The result of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum ItemStatus {
    Ok,
    /// It is in the draft, but its media could not be read yet, and the draft was not saved.
    Unseen,
    Failed,
    Skipped,
}

/// One item of the plan.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ItemReport {
    /// Its path in the plan, such as `visuals[3]`.
    pub item: String,
    /// The tool that adds it.
    pub tool: String,
    /// Its content, for people: the name of its file, the words of a text, the name of an effect.
    #[serde(skip)]
    pub content: String,
    pub status: ItemStatus,
    /// What was wrong, or why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The segment, if the backend reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_id: Option<String>,
    /// The track's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<String>,
    /// Start on the timeline in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// End on the timeline in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// How often it was sent; 0 if it was not sent or was already in the draft.
    pub tries: u32,
    /// How long it took, in milliseconds.
    pub ms: f64,
    /// What was adjusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl ItemReport {
    pub(crate) fn new(item: &str, tool: &str, status: ItemStatus) -> Self {
        Self {
            item: item.to_owned(),
            tool: tool.to_owned(),
            content: String::new(),
            status,
            error: None,
            hint: None,
            segment_id: None,
            track: None,
            start: None,
            end: None,
            tries: 0,
            ms: 0.0,
            notes: Vec::new(),
        }
    }

    pub(crate) fn fail(&mut self, error: &Error) {
        self.status = ItemStatus::Failed;
        let text = error.to_string();
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        self.error = Some(message);
        self.hint = hint;
    }
}

/// The number of items by result, and of segments in the draft itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Totals {
    /// Items in the plan.
    pub asked: usize,
    /// Items that were acknowledged and then found in the draft.
    pub ok: usize,
    /// Items in the draft whose media could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unseen: usize,
    pub failed: usize,
    pub skipped: usize,
    /// Segments in the draft, counted in the draft itself.
    pub segments_in_draft: usize,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde requires a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The durations of the phases, in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Phases {
    pub probe_ms: f64,
    pub create_ms: f64,
    /// Audio and pictures, concurrently.
    pub fan_out_ms: f64,
    /// Texts, subtitles, stickers, effects, keyframes.
    pub rest_ms: f64,
    pub verify_ms: f64,
    pub save_ms: f64,
    /// The sum of all calls: their duration if run one after another.
    pub one_after_another_ms: f64,
    pub total_ms: f64,
}

/// The result of the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum RunOutcome {
    /// Every item is in the draft, and the draft is saved if the plan saves it.
    Complete,
    /// Some items failed; the draft holds the others.
    Partial,
    /// Stopped at a failure, because of `on_failure: abort`.
    Aborted,
    /// The client gave up.
    Cancelled,
    /// No item is in a draft, or the save failed.
    Failed,
}

/// The whole report.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RunReport {
    pub outcome: RunOutcome,
    /// The draft; pass it as `resume` to continue the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_id: Option<DraftId>,
    /// `embedded` or `remote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Whether it was saved.
    #[serde(default)]
    pub saved: bool,
    /// The folder that the draft was saved to, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The draft as a zip file, if `save` requests one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zip: Option<String>,
    /// A link to the saved draft as a zip file, from a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_url: Option<String>,
    /// Why the save failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save_error: Option<String>,
    pub totals: Totals,
    pub items: Vec<ItemReport>,
    /// The voices, pictures, films and transcripts that were made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<MadeReport>,
    /// With `dry_run`: what making them would cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    pub phases: Phases,
    /// What the user should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// With `look`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<DraftReview>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How much of a report a client requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Detail {
    /// The items that are not `ok`, and all notes.
    #[default]
    Failures,
    /// Every item.
    All,
}

/// How many items a combined note lists.
const NAMED: usize = 3;

/// Removes items that are `ok` from a report; equal notes of theirs are combined.
pub(crate) fn shorten(report: &mut Value) {
    let Some(Value::Array(items)) = report.get_mut("items") else {
        return;
    };
    let mut order: Vec<String> = Vec::new();
    let mut noted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    items.retain(|row| {
        let is_right = row["status"] == "ok";
        if is_right {
            let notes = row["notes"].as_array().into_iter().flatten();
            for note in notes.filter_map(Value::as_str) {
                let item = row["item"].as_str().unwrap_or_default().to_owned();
                let items = noted.entry(note.to_owned()).or_default();
                if items.is_empty() {
                    order.push(note.to_owned());
                }
                items.push(item);
            }
        }
        !is_right
    });
    let mut notes = match report["notes"].take() {
        Value::Array(notes) => notes,
        _ => Vec::new(),
    };
    for note in order {
        let items = &noted[&note];
        let named = items[..items.len().min(NAMED)].join(", ");
        let more = match items.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        notes.push(format!("{named}{more}: {note}").into());
    }
    if let Value::Object(report) = report {
        if notes.is_empty() {
            report.shift_remove("notes");
        } else {
            report.insert("notes".to_owned(), Value::Array(notes));
        }
    }
}

impl RunReport {
    /// The report of a run that only says what it would do.
    pub(crate) fn planned(items: Vec<ItemReport>, notes: Vec<String>) -> Self {
        let mut report = Self {
            outcome: RunOutcome::Complete,
            draft_id: None,
            backend: None,
            saved: false,
            folder: None,
            zip: None,
            download_url: None,
            save_error: None,
            totals: Totals::default(),
            items,
            made: None,
            estimate: None,
            phases: Phases::default(),
            notes,
            look: None,
            next: None,
        };
        report.count();
        report
    }

    /// Adds a note that neither the report nor one of its items has yet.
    pub(crate) fn note(&mut self, note: String) {
        let items = self.items.iter().flat_map(|row| &row.notes);
        if !self.notes.iter().chain(items).any(|known| *known == note) {
            self.notes.push(note);
        }
    }

    /// Counts the items, and sets the outcome from the counts.
    pub(crate) fn count(&mut self) {
        let count = |status| self.items.iter().filter(|row| row.status == status).count();
        self.totals = Totals {
            asked: self.items.len(),
            ok: count(ItemStatus::Ok),
            unseen: count(ItemStatus::Unseen),
            failed: count(ItemStatus::Failed),
            skipped: count(ItemStatus::Skipped),
            segments_in_draft: self.totals.segments_in_draft,
        };
        self.outcome = if self.totals.ok + self.totals.unseen == self.totals.asked {
            RunOutcome::Complete
        } else {
            RunOutcome::Partial
        };
    }

    /// Whether no requested item is in the draft.
    pub(crate) fn is_empty(&self) -> bool {
        self.totals.ok + self.totals.unseen == 0 && self.totals.asked > 0
    }

    /// Sets the next step where the save did not: what is missing comes first.
    pub(crate) fn set_next_step(&mut self) {
        let Some(draft) = &self.draft_id else {
            return;
        };
        if self.outcome != RunOutcome::Complete {
            self.next = Some(format!(
                "correct what failed and run the plan again with `resume`: \"{draft}\"; only what is missing is added"
            ));
        } else if !self.saved {
            self.next = Some(format!(
                "save the draft with `save_draft` and `draft_id`: \"{draft}\""
            ));
        }
    }

    /// One line for people.
    pub(crate) fn summary(&self) -> String {
        let Totals {
            asked,
            ok,
            unseen,
            failed,
            skipped,
            segments_in_draft,
        } = self.totals;
        let unseen = if unseen > 0 {
            format!("{unseen} with media that could not be read, ")
        } else {
            String::new()
        };
        let draft = self
            .draft_id
            .as_ref()
            .map_or_else(String::new, |id| format!(" in draft {id}"));
        format!(
            "{ok} of {}{draft} ({unseen}{failed} failed, {skipped} skipped; {})",
            counted(asked, "item"),
            counted(segments_in_draft, "segment")
        )
    }

    /// The result of the save in one line.
    pub(crate) fn save_summary(&self) -> String {
        match (&self.save_error, &self.folder, self.saved) {
            (Some(error), _, _) => format!("NOT SAVED: {}", error.replace("\nhint: ", ": ")),
            (None, Some(folder), _) => match &self.zip {
                Some(zip) => format!("saved to {folder}, and as a zip file to {zip}"),
                None => format!("saved to {folder}"),
            },
            (None, None, true) => {
                "saved by the server, which does not report the folder; set `api.drafts_folder` in `tools.toml` to its folder if this machine can read it".to_owned()
            }
            (None, None, false) => "not saved".to_owned(),
        }
    }

    /// The failed and skipped items, one per line.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.items
            .iter()
            .filter(|row| matches!(row.status, ItemStatus::Failed | ItemStatus::Skipped))
            .map(|row| {
                let hint = row
                    .hint
                    .as_ref()
                    .map_or_else(String::new, |hint| format!(" ({hint})"));
                format!(
                    "{}: {}{hint}",
                    row.item,
                    row.error.as_deref().unwrap_or("skipped")
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_short_report_has_failures_notes_and_totals() {
        let row = |item: &str, status: &str, notes: &[&str]| json!({ "item": item, "status": status, "notes": notes });
        let mut report = json!({
            "outcome": "partial",
            "totals": { "asked": 6 },
            "items": [
                row("texts[0]", "ok", &["cut"]), row("texts[1]", "failed", &["kept here"]),
                row("texts[2]", "ok", &["cut"]), row("texts[3]", "ok", &["cut", "other"]),
                row("texts[4]", "ok", &["cut"]), row("texts[5]", "unseen", &[]),
            ],
            "notes": ["first"],
        });
        shorten(&mut report);
        let items: Vec<&Value> = report["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| &row["item"])
            .collect();
        assert_eq!(items, ["texts[1]", "texts[5]"]);
        assert_eq!(
            report["notes"],
            json!([
                "first",
                "texts[0], texts[2], texts[3] and 1 more: cut",
                "texts[3]: other"
            ])
        );
        assert_eq!(report["totals"]["asked"], 6);
    }
}
