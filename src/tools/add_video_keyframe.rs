//! `add_video_keyframe`: add keyframes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::mend::Comfort;
use crate::args::reply::Placed;
use crate::args;
use crate::draft::ids::DraftId;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::tools::{Call, Hints, Tool, Turn};

/// Moves a property of a clip over time: one keyframe, or several with the three lists.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddVideoKeyframe {
    /// The draft.
    #[serde(default, deserialize_with = "args::draft_id", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DraftId>")]
    pub draft_id: Option<DraftId>,
    /// The track with the clip.
    #[serde(default = "main_track", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub track_name: Option<String>,
    /// position_x, position_y, rotation, scale_x, scale_y, uniform_scale, alpha, volume, saturation, contrast or brightness.
    #[serde(default = "alpha")]
    pub property_type: String,
    /// When on the timeline, seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub time: f64,
    /// The value as text: "0.5", "50%", "45deg", "+0.2".
    #[serde(default = "full")]
    #[schemars(with = "String")]
    pub value: Value,
    /// Several keyframes: their properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property_types: Option<Vec<String>>,
    /// Their times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Vec<f64>>,
    /// Their values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    pub values: Option<Vec<Value>>,
}

fn main_track() -> Option<String> {
    Some("video_main".to_owned())
}

fn alpha() -> String {
    "alpha".to_owned()
}

fn full() -> Value {
    Value::from("1.0")
}

impl Tool for AddVideoKeyframe {
    const NAME: &'static str = "add_video_keyframe";
    const TITLE: &'static str = "Add keyframes";
    const HINTS: Hints = Hints::ADD;
    const COMFORT: &'static [Comfort] = &[Comfort::Alias("property", "property_type"), Comfort::Alias("start_time", "time")];
    type Reply = Placed;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn turn(&self) -> Turn {
        Turn::Alone
    }

    async fn run(&self, _engine: &Engine, _call: &Call) -> Result<Placed> {
        Err(Error::internal("the engine is not there yet"))
    }

    fn reply_to_api(reply: &Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        reply.to_api(link)
    }
}
