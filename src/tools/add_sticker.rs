//! `add_sticker`: add sticker.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::mend::Comfort;
use crate::args::reply::Placed;
use crate::args::{self, default};
use crate::draft::ids::DraftId;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::tools::{Call, Group, Hints, Tool, Turn};

/// Shows a sticker from `start` to `end`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddSticker {
    /// Draft to add to; without it a new one is made.
    #[serde(default, deserialize_with = "args::draft_id", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DraftId>")]
    pub draft_id: Option<DraftId>,
    /// The sticker's resource id.
    #[serde(deserialize_with = "args::text")]
    #[schemars(with = "String")]
    pub sticker_id: String,
    /// When it appears, seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub start: f64,
    /// When it disappears, seconds.
    #[serde(default = "five")]
    pub end: f64,
    /// Track; made if new. One type and no overlap per track.
    #[serde(default = "main_track", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub track_name: Option<String>,
    /// Stacking of a new track: higher is in front.
    #[serde(default)]
    pub relative_index: f64,
    /// Centre, half canvas widths: -1 left edge, 1 right.
    #[serde(default, deserialize_with = "args::loose_zero")]
    #[schemars(with = "f64")]
    pub transform_x: f64,
    /// Centre, half canvas heights: -1 bottom, 1 top.
    #[serde(default, deserialize_with = "args::loose_zero")]
    #[schemars(with = "f64")]
    pub transform_y: f64,
    /// Width factor.
    #[serde(default = "default::one", deserialize_with = "args::loose_one")]
    #[schemars(with = "f64")]
    pub scale_x: f64,
    /// Height factor.
    #[serde(default = "default::one", deserialize_with = "args::loose_one")]
    #[schemars(with = "f64")]
    pub scale_y: f64,
    /// Instead of transform: "center", "top", "bottom left", …
    #[serde(default, deserialize_with = "args::ignored", skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub position: Option<String>,
    /// Rotation, degrees.
    #[serde(default, deserialize_with = "args::loose_zero")]
    #[schemars(with = "f64")]
    pub rotation: f64,
    /// Opacity, 0 to 1.
    #[serde(default = "default::one", deserialize_with = "args::loose_one")]
    #[schemars(with = "f64")]
    pub alpha: f64,
    /// Mirrored left to right.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub flip_horizontal: bool,
    /// Mirrored top to bottom.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub flip_vertical: bool,
    /// Canvas width of a new draft, pixels.
    #[serde(default = "default::width", deserialize_with = "args::side")]
    #[schemars(with = "f64")]
    pub width: f64,
    /// Canvas height of a new draft, pixels.
    #[serde(default = "default::height", deserialize_with = "args::side")]
    #[schemars(with = "f64")]
    pub height: f64,
}

fn five() -> f64 {
    5.0
}

fn main_track() -> Option<String> {
    Some("sticker_main".to_owned())
}

impl Tool for AddSticker {
    const NAME: &'static str = "add_sticker";
    const TITLE: &'static str = "Add sticker";
    const HINTS: Hints = Hints::ADD;
    const COMFORT: &'static [Comfort] = &[Comfort::Size, Comfort::Position, Comfort::Alias("resource_id", "sticker_id"), Comfort::Alias("start_time", "start"), Comfort::Alias("end_time", "end")];
    type Reply = Placed;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn turn(&self) -> Turn {
        Turn::Track {
            group: Group::Other,
            track: self.track_name.clone().unwrap_or_default(),
            dependent: false,
        }
    }

    async fn run(&self, _engine: &Engine, _call: &Call) -> Result<Placed> {
        Err(Error::internal("the engine is not there yet"))
    }

    fn reply_to_api(reply: &Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        reply.to_api(link)
    }
}
