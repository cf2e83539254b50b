//! `add_image`: add image.

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

/// Shows a picture from `start` to `end` on a video track.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddImage {
    /// Draft to add to; without it a new one is made.
    #[serde(default, deserialize_with = "args::draft_id", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DraftId>")]
    pub draft_id: Option<DraftId>,
    /// http(s) URL or absolute path.
    pub image_url: String,
    /// When it appears on the timeline, seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub start: f64,
    /// When it disappears, seconds.
    #[serde(default = "three")]
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
    /// Entrance animation by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intro_animation: Option<String>,
    /// Its length, seconds; 0: the animation's own.
    #[serde(default = "default::some_half")]
    pub intro_animation_duration: Option<f64>,
    /// Older name of `intro_animation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub animation: Option<String>,
    /// Older name of `intro_animation_duration`.
    #[serde(default = "default::some_half")]
    pub animation_duration: Option<f64>,
    /// Exit animation by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outro_animation: Option<String>,
    /// Its length, seconds; 0: the animation's own.
    #[serde(default = "default::half")]
    pub outro_animation_duration: f64,
    /// Animation of the whole clip, without the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combo_animation: Option<String>,
    /// Its length, seconds; 0: the whole clip.
    #[serde(default = "default::half")]
    pub combo_animation_duration: f64,
    /// Transition to the next clip, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<String>,
    /// Its length, seconds.
    #[serde(default = "default::some_half")]
    pub transition_duration: Option<f64>,
    /// Mask by name, e.g. "Circle".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_type: Option<String>,
    /// Mask centre from the canvas centre, pixels right.
    #[serde(default)]
    pub mask_center_x: f64,
    /// Mask centre from the canvas centre, pixels up.
    #[serde(default)]
    pub mask_center_y: f64,
    /// Mask height, fraction of the canvas height.
    #[serde(default = "default::half")]
    pub mask_size: f64,
    /// Mask rotation, degrees.
    #[serde(default)]
    pub mask_rotation: f64,
    /// Mask feather, 0 to 100.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub mask_feather: f64,
    /// Shows what is outside the mask.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub mask_invert: bool,
    /// Rectangle mask: width, fraction of the canvas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_rect_width: Option<f64>,
    /// Rectangle mask: rounding, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_round_corner: Option<f64>,
    /// Blurred background: 1, 2, 3 or 4.
    #[serde(default, deserialize_with = "args::level", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub background_blur: Option<f64>,
    /// Canvas width of a new draft, pixels.
    #[serde(default = "default::width", deserialize_with = "args::side")]
    #[schemars(with = "f64")]
    pub width: f64,
    /// Canvas height of a new draft, pixels.
    #[serde(default = "default::height", deserialize_with = "args::side")]
    #[schemars(with = "f64")]
    pub height: f64,
    /// The app's drafts folder, for the paths written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_folder: Option<String>,
}

fn three() -> f64 {
    3.0
}

fn main_track() -> Option<String> {
    Some("image_main".to_owned())
}

impl Tool for AddImage {
    const NAME: &'static str = "add_image";
    const TITLE: &'static str = "Add image";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const COMFORT: &'static [Comfort] = &[Comfort::Size, Comfort::Position, Comfort::Alias("image_path", "image_url"), Comfort::Alias("url", "image_url"), Comfort::Alias("path", "image_url"), Comfort::Alias("start_time", "start"), Comfort::Alias("end_time", "end"), Comfort::Alias("target_start", "start"), Comfort::Alias("output_path", "draft_folder"), Comfort::Alias("transition_type", "transition")];
    type Reply = Placed;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn turn(&self) -> Turn {
        Turn::Track {
            group: Group::Visual,
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
