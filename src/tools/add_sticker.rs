//! `add_sticker`: add sticker.

use capcut_draft::ClipKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::input_rule::{InputRule, NO_FILE_TIMES, ToolTimes};
use crate::args::lenient::{Checked, always};
use crate::args::reply::Placed;
use crate::args::{self, Content, Position, default, loose};
use crate::draft::clip::Clip;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::draft::material::StickerMaterial;
use crate::draft::segment::{self, Sticker};
use crate::draft::track::TrackKind;
use crate::engine::edit::{Edit, SegmentPlacement};
use crate::engine::lengths;
use crate::engine::parts;
use crate::engine::timeline::TrackChoice;
use crate::engine::{self, CallTarget, Canvas, Engine};
use crate::error::{Faults, Result};
use crate::tool::{Group, Hints, Texts, Tool, Turn};
use crate::tools::{Call, Object};
use crate::units::Micros;

/// Shows a sticker, from `at` on.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddSticker {
    /// Id or exact name.
    #[serde(
        default,
        deserialize_with = "args::draft_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    #[serde(deserialize_with = "args::text")]
    #[schemars(with = "String")]
    pub sticker_id: String,
    /// Start on the timeline: seconds or "1:30".
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub start: f64,
    /// End on the timeline, seconds; or `duration`. Default: 5 s later.
    #[serde(default = "five")]
    pub end: f64,
    /// Track; created if new.
    #[serde(default = "main_track", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub track_name: Option<String>,
    /// New track's layer; higher is in front.
    #[serde(default)]
    pub relative_index: f64,
    #[serde(
        default = "default::transform_x",
        deserialize_with = "loose::transform_x"
    )]
    #[schemars(with = "f64")]
    pub transform_x: f64,
    #[serde(
        default = "default::transform_y",
        deserialize_with = "loose::transform_y"
    )]
    #[schemars(with = "f64")]
    pub transform_y: f64,
    #[serde(default = "default::scale_x", deserialize_with = "loose::scale_x")]
    #[schemars(with = "f64")]
    pub scale_x: f64,
    #[serde(default = "default::scale_y", deserialize_with = "loose::scale_y")]
    #[schemars(with = "f64")]
    pub scale_y: f64,
    /// Or {x, y, width, height} in pixels.
    #[serde(
        default,
        deserialize_with = "args::place",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Position>")]
    pub position: Option<Position>,
    #[serde(default = "default::rotation", deserialize_with = "loose::rotation")]
    #[schemars(with = "f64")]
    pub rotation: f64,
    #[serde(default = "default::alpha", deserialize_with = "loose::alpha")]
    #[schemars(with = "f64")]
    pub alpha: f64,
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub flip_horizontal: bool,
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub flip_vertical: bool,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::width", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub width: f64,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::height", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub height: f64,
}

fn five() -> f64 {
    5.0
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde requires the type of the field"
)]
fn main_track() -> Option<String> {
    Some("sticker_main".to_owned())
}

impl AddSticker {
    fn target(&self) -> CallTarget<'_> {
        CallTarget {
            draft: self.draft_id.as_ref(),
            width: self.width,
            height: self.height,
        }
    }
}

impl Tool for AddSticker {
    const NAME: &'static str = "add_sticker";
    const TITLE: &'static str = "Add sticker";
    const HINTS: Hints = Hints::ADD;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Properties(ClipKind::Sticker),
        InputRule::Rare("relative_index"),
        InputRule::Size,
        InputRule::Position,
        InputRule::Alias("resource_id", "sticker_id"),
        InputRule::Alias("opacity", "alpha"),
        InputRule::Times(ToolTimes::Span { seconds: 5.0 }),
        InputRule::Shown("at", "start"),
        InputRule::Alias("from", "start"),
        InputRule::Alias("start_time", "start"),
        InputRule::Alias("target_start", "start"),
        InputRule::Alias("to", "end"),
        InputRule::Alias("end_time", "end"),
        InputRule::Advice("source_start", NO_FILE_TIMES),
        InputRule::Advice("source_end", NO_FILE_TIMES),
    ];
    const CHECKED: &'static [Checked] = &[always("start"), always("end"), always("relative_index")];
    const TEXTS: Texts = Texts {
        required: &["sticker_id"],
        not_null: &[],
        missing: "Hi, the required parameter 'sticker_id' is missing. Please add it and try again. ",
        before: "Error occurred while adding sticker: ",
        after: ". ",
        unknown: "",
    };
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

    fn leaves(&self, _strict: bool) -> Leaves {
        Leaves::segment(
            self.track_name.as_deref(),
            Micros::from_seconds(self.start),
            Some(Micros::from_seconds(self.end)),
            None,
        )
    }

    fn faults_on(&self, _canvas: Canvas) -> Faults {
        let mut faults = Faults::default();
        faults.of(lengths::span(self.start, self.end));
        faults
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Placed> {
        let canvas = engine.canvas(self.target()).await?;
        let clip = args::clip(
            engine::is_strict(call),
            self.position,
            (canvas.width, canvas.height),
            Content::Text,
            Clip {
                transform_x: parts::finite("transform_x", self.transform_x)?,
                transform_y: parts::finite("transform_y", self.transform_y)?,
                scale_x: parts::finite("scale_x", self.scale_x)?,
                scale_y: parts::finite("scale_y", self.scale_y)?,
                rotation: parts::finite("rotation", self.rotation)?,
                alpha: parts::finite("alpha", self.alpha)?,
                flip_horizontal: self.flip_horizontal,
                flip_vertical: self.flip_vertical,
                uniform: true,
            },
        );
        let edit = Edit::Place(Box::new(SegmentPlacement {
            track: TrackChoice {
                name: self.track_name.clone(),
                kind: TrackKind::Sticker,
                render_index: TrackKind::Sticker.base()
                    + parts::finite("relative_index", self.relative_index)?,
                may_make_unnamed: true,
            },
            target: lengths::span(self.start, self.end)?,
            content: segment::SegmentContent::Sticker(Box::new(Sticker {
                material: StickerMaterial {
                    resource_id: self.sticker_id.as_str().into(),
                    ..StickerMaterial::default()
                },
                clip,
            })),
            media: None,
        }));
        engine.edit(self.target(), call, edit).await
    }

    fn to_api(&self, arguments: &Object) -> Object {
        let mut arguments = arguments.clone();
        args::api_position(
            &mut arguments,
            self.position,
            (self.width, self.height),
            Content::Text,
        );
        arguments
    }

    fn reply_to_api(reply: Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        reply.to_api(link)
    }
}
