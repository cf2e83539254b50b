//! `add_subtitle`: add subtitles.

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

/// Adds captions from subtitles (SRT, WebVTT or ASS), one text per cue.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddSubtitle {
    /// Draft to add to; without it a new one is made.
    #[serde(default, deserialize_with = "args::draft_id", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DraftId>")]
    pub draft_id: Option<DraftId>,
    /// The subtitles themselves, their URL or path.
    pub srt: String,
    /// Seconds added to every time.
    #[serde(default)]
    pub time_offset: f64,
    /// Track; made if new. One type and no overlap per track.
    #[serde(default = "main_track", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub track_name: Option<String>,
    /// Font by name.
    #[serde(default = "usual_font", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub font: Option<String>,
    /// Size.
    #[serde(default = "five", deserialize_with = "args::loose_five")]
    #[schemars(with = "f64")]
    pub font_size: f64,
    /// Colour, #RRGGBB.
    #[serde(default = "white")]
    pub font_color: String,
    /// Opacity, 0 to 1.
    #[serde(default = "default::one", deserialize_with = "args::loose_one")]
    #[schemars(with = "f64")]
    pub alpha: f64,
    /// Bold letters.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub bold: bool,
    /// Slanted letters.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub italic: bool,
    /// Underlined letters.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub underline: bool,
    /// Written from top to bottom.
    #[serde(default, deserialize_with = "args::switch")]
    #[schemars(with = "bool")]
    pub vertical: bool,
    /// Outline, 0 to 100; 0 is none.
    #[serde(default)]
    pub border_width: f64,
    /// Outline colour.
    #[serde(default = "default::black")]
    pub border_color: String,
    /// Outline opacity, 0 to 1.
    #[serde(default = "default::one")]
    pub border_alpha: f64,
    /// Background opacity, 0 to 1; 0 is none.
    #[serde(default)]
    pub background_alpha: f64,
    /// Background colour.
    #[serde(default = "default::black")]
    pub background_color: String,
    /// Background shape: 0, 1 or 2.
    #[serde(default)]
    pub background_style: f64,
    /// Centre, half canvas widths: -1 left edge, 1 right.
    #[serde(default, deserialize_with = "args::loose_zero")]
    #[schemars(with = "f64")]
    pub transform_x: f64,
    /// Centre, half canvas heights: -1 bottom, 1 top.
    #[serde(default = "low", deserialize_with = "args::loose_low")]
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
    /// Rotation, degrees.
    #[serde(default, deserialize_with = "args::loose_zero")]
    #[schemars(with = "f64")]
    pub rotation: f64,
    /// Instead of transform: "center", "top", "bottom left", …
    #[serde(default, deserialize_with = "args::ignored", skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub position: Option<String>,
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

fn low() -> f64 {
    -0.8
}

fn white() -> String {
    "#FFFFFF".to_owned()
}

fn main_track() -> Option<String> {
    Some("subtitle".to_owned())
}

fn usual_font() -> Option<String> {
    Some("思源粗宋".to_owned())
}

impl Tool for AddSubtitle {
    const NAME: &'static str = "add_subtitle";
    const TITLE: &'static str = "Add subtitles";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const COMFORT: &'static [Comfort] = &[Comfort::Size, Comfort::Position, Comfort::Caption, Comfort::Alias("srt_path", "srt"), Comfort::Alias("srt_url", "srt"), Comfort::Alias("subtitle_path", "srt"), Comfort::Alias("subtitle_url", "srt"), Comfort::Alias("subtitle_file", "srt"), Comfort::Alias("srt_content", "srt"), Comfort::Alias("font_type", "font"), Comfort::Alias("text_color", "font_color"), Comfort::Alias("color", "font_color"), Comfort::Alias("size", "font_size")];
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
