//! `add_text`: add text.

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

/// Shows a text from `start` to `end`.
///
/// Texts on one track cannot overlap: name another `track_name` for a second text at the same time.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddText {
    /// Draft to add to; without it a new one is made.
    #[serde(default, deserialize_with = "args::draft_id", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DraftId>")]
    pub draft_id: Option<DraftId>,
    /// The words; `\n` breaks the line.
    pub text: String,
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
    /// Centre, half canvas widths: -1 left edge, 1 right.
    #[serde(default, deserialize_with = "args::loose_zero")]
    #[schemars(with = "f64")]
    pub transform_x: f64,
    /// Centre, half canvas heights: -1 bottom, 1 top.
    #[serde(default, deserialize_with = "args::loose_zero")]
    #[schemars(with = "f64")]
    pub transform_y: f64,
    /// Instead of transform: "center", "top", "bottom left", …
    #[serde(default, deserialize_with = "args::ignored", skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub position: Option<String>,
    /// Font by name.
    #[serde(default = "usual_font", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub font: Option<String>,
    /// Colour, #RRGGBB; red without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub font_color: Option<String>,
    /// Older name of `font_color`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Size; 8 without.
    #[serde(default, deserialize_with = "args::loose", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub font_size: Option<f64>,
    /// Older name of `font_size`.
    #[serde(default, deserialize_with = "args::loose", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub size: Option<f64>,
    /// Opacity, 0 to 1; 1 without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub font_alpha: Option<f64>,
    /// Older name of `font_alpha`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
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
    #[schemars(range(min = 0, max = 1))]
    pub border_alpha: f64,
    /// Background opacity, 0 to 1; 0 is none.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub background_alpha: f64,
    /// Background colour.
    #[serde(default = "default::black")]
    pub background_color: String,
    /// Background shape: 0, 1 or 2.
    #[serde(default)]
    pub background_style: f64,
    /// Background rounding, 0 to 1.
    #[serde(default, deserialize_with = "args::loose_zero")]
    #[schemars(with = "f64")]
    pub background_round_radius: f64,
    /// Background height, fraction.
    #[serde(default = "box_side")]
    pub background_height: f64,
    /// Background width, fraction.
    #[serde(default = "box_side")]
    pub background_width: f64,
    /// 0 to 1; 0.5 is centred.
    #[serde(default = "default::half")]
    pub background_horizontal_offset: f64,
    /// 0 to 1; 0.5 is centred.
    #[serde(default = "default::half")]
    pub background_vertical_offset: f64,
    /// Throws a shadow.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub shadow_enabled: bool,
    /// Shadow opacity, 0 to 1.
    #[serde(default = "shadow_alpha")]
    pub shadow_alpha: f64,
    /// Shadow direction, degrees.
    #[serde(default = "shadow_angle")]
    pub shadow_angle: f64,
    /// Shadow colour, #RRGGBB.
    #[serde(default = "default::black")]
    pub shadow_color: String,
    /// Shadow distance.
    #[serde(default = "five")]
    pub shadow_distance: f64,
    /// Shadow blur, 0 to 1.
    #[serde(default = "shadow_smoothing")]
    pub shadow_smoothing: f64,
    /// Entrance animation by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intro_animation: Option<String>,
    /// Its length, seconds.
    #[serde(default = "default::some_half")]
    pub intro_duration: Option<f64>,
    /// Exit animation by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outro_animation: Option<String>,
    /// Its length, seconds.
    #[serde(default = "default::some_half")]
    pub outro_duration: Option<f64>,
    /// Speech bubble, with `bubble_resource_id`.
    #[serde(default, deserialize_with = "args::optional_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub bubble_effect_id: Option<String>,
    /// Speech bubble resource.
    #[serde(default, deserialize_with = "args::optional_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub bubble_resource_id: Option<String>,
    /// Text effect by id.
    #[serde(default, deserialize_with = "args::optional_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub effect_effect_id: Option<String>,
    /// Box width, fraction of the canvas; -1: as wide as it is.
    #[serde(default = "unset")]
    pub fixed_width: f64,
    /// Box height, fraction of the canvas; -1: as it is.
    #[serde(default = "unset")]
    pub fixed_height: f64,
    /// Styles of parts of the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text_styles: Vec<TextStyle>,
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
    Some("text_main".to_owned())
}

fn usual_font() -> Option<String> {
    Some("文轩体".to_owned())
}

fn box_side() -> f64 {
    0.14
}

fn shadow_alpha() -> f64 {
    0.9
}

fn shadow_angle() -> f64 {
    -45.0
}

fn shadow_smoothing() -> f64 {
    0.15
}

fn unset() -> f64 {
    -1.0
}

/// How a part of the text differs.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TextStyle {
    /// First character, from 0.
    #[serde(default)]
    pub start: i64,
    /// Character after the last.
    #[serde(default)]
    pub end: i64,
    /// Its letters.
    #[serde(default)]
    pub style: Letters,
    /// Its outline.
    #[serde(default)]
    pub border: Border,
    /// Font by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub font: Option<String>,
}

/// Letters of a part of a text.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Letters {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<f64>,
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub bold: bool,
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub italic: bool,
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub underline: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
}

/// The outline of a part of a text.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Border {
    #[serde(default)]
    pub width: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
}

impl Tool for AddText {
    const NAME: &'static str = "add_text";
    const TITLE: &'static str = "Add text";
    const HINTS: Hints = Hints::ADD;
    const COMFORT: &'static [Comfort] = &[Comfort::Size, Comfort::Position, Comfort::Alias("content", "text"), Comfort::Alias("start_time", "start"), Comfort::Alias("end_time", "end"), Comfort::Alias("font_type", "font"), Comfort::Alias("text_color", "font_color"), Comfort::Alias("x", "transform_x"), Comfort::Alias("y", "transform_y")];
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
