//! What people would not like about the picture and the sound of a draft, in the form of replies.

use capcut_scene::{Finding, Review};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::printable::counted;

/// What people would not like about picture and sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DraftReview {
    /// By time; the first ones of each kind.
    pub findings: Vec<ReviewFinding>,
    /// What was not checked, and how many findings are not listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The schema of a review in listed tools. A model reads the finding itself, so that what is in it is left open.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "object" })
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ReviewFinding {
    pub code: String,
    /// Seconds.
    pub start: f64,
    /// Seconds.
    pub end: f64,
    /// Ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clips: Vec<String>,
    pub what: String,
    /// Measured.
    pub value: f64,
    pub limit: f64,
    pub unit: String,
    /// For `edit_draft`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Map<String, Value>>,
}

impl DraftReview {
    pub(crate) fn new(review: Review) -> Self {
        let mut notes = review.notes;
        for (kind, count) in review.left_out {
            notes.push(format!(
                "{} of kind `{}` not listed: fix the listed ones and look again",
                counted(count, "further finding"),
                kind.name()
            ));
        }
        Self {
            findings: review.findings.into_iter().map(finding).collect(),
            notes,
        }
    }
}

fn finding(own: Finding) -> ReviewFinding {
    let objects = own.operations.into_iter();
    ReviewFinding {
        code: own.kind.name().to_owned(),
        start: own.range.start as f64 / 1e6,
        end: own.range.end() as f64 / 1e6,
        clips: own.clips.iter().map(ToString::to_string).collect(),
        what: own.what,
        value: own.value,
        limit: own.limit,
        unit: own.unit.to_owned(),
        operations: objects
            .filter_map(|operation| match operation {
                Value::Object(members) => Some(members),
                _ => None,
            })
            .collect(),
    }
}
