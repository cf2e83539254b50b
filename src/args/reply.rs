//! The reply of the tools that add something to a draft.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::draft::ids::DraftId;

/// What was placed. A CapCut API only reports the draft.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Placed {
    /// The draft it is in.
    pub draft_id: DraftId,
    /// Whether a new draft was created for it (HTTP only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub created: Option<bool>,
    /// The track.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<String>,
    /// The new segment; for captions, the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_id: Option<String>,
    /// Where it starts, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// Where it ends, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// The number of captions or keyframes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The backend that keeps the draft: `embedded` or `remote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// What was adjusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Placed {
    /// The `output` of a CapCut API.
    pub(crate) fn to_api(&self, link: &dyn Fn(&DraftId) -> String) -> Value {
        json!({ "draft_id": self.draft_id, "draft_url": link(&self.draft_id) })
    }
}
