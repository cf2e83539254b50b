//! `add_video`: add video.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::input_rule::{InputRule, KEYFRAME_ALPHA, KEYFRAME_ROTATION, ToolTimes};
use crate::args::lenient::{Checked, always, beside};
use crate::args::reply::Placed;
use crate::args::{self, Content, Position, default};
use crate::catalog;
use crate::draft::clip::Clip;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::draft::material::{Mask, MediaKind, Transition};
use crate::draft::segment::{self, Picture};
use crate::draft::track::TrackKind;
use crate::engine::edit::{Edit, SegmentPlacement, Used};
use crate::engine::lengths::{self, TargetOf, Wish};
use crate::engine::parts::{self, MaskWish};
use crate::engine::timeline::TrackChoice;
use crate::engine::{self, CallTarget, Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::tool::{CatalogName, Group, Hints, Texts, Tool, Turn};
use crate::tools::{Call, Object};
use crate::units::{Edition, Micros};

/// Places a video, whole or in part, on a video track.
///
/// Without an end it runs to the end of the file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddVideo {
    /// Id or exact name.
    #[serde(
        default,
        deserialize_with = "args::draft_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    /// http(s) URL or absolute path.
    pub video_url: String,
    /// A filter, an argument of newer sources of the API (HTTP only); refused.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(skip)]
    pub filter_type: Value,
    /// Start on the timeline: seconds or "1:30".
    #[serde(default, deserialize_with = "args::time")]
    #[schemars(with = "f64", range(min = 0))]
    pub target_start: f64,
    /// Start in the file, seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub start: f64,
    /// End in the file, seconds; 0: its end.
    #[serde(default = "unknown")]
    pub end: Option<f64>,
    /// Length taken from the file, seconds; `speed` divides it.
    #[serde(
        default,
        deserialize_with = "args::optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>")]
    pub duration: Option<f64>,
    /// Track; created if new.
    #[serde(default = "main_track", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub track_name: Option<String>,
    /// New track's layer; higher is in front.
    #[serde(default)]
    pub relative_index: f64,
    /// Playback speed factor, above 0 to 100.
    #[serde(default = "default::one")]
    pub speed: f64,
    /// Loudness factor, 0 to 10; 1 is unchanged.
    #[serde(default = "default::one", deserialize_with = "args::loose_one")]
    #[schemars(with = "f64")]
    pub volume: f64,
    /// Half canvases: -1 left edge, 1 right.
    #[serde(default, deserialize_with = "args::loose_zero")]
    #[schemars(with = "f64")]
    pub transform_x: f64,
    /// Half canvases: -1 bottom edge, 1 top.
    #[serde(default, deserialize_with = "args::loose_zero")]
    #[schemars(with = "f64")]
    pub transform_y: f64,
    /// Width factor; 1 fits the canvas.
    #[serde(default = "default::one", deserialize_with = "args::loose_one")]
    #[schemars(with = "f64")]
    pub scale_x: f64,
    /// Height factor.
    #[serde(default = "default::one", deserialize_with = "args::loose_one")]
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
    /// To the next clip; `search_catalog` kind transition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<String>,
    /// Seconds.
    #[serde(default = "default::half")]
    pub transition_duration: f64,
    /// Such as "Circle"; `search_catalog` kind mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_type: Option<String>,
    /// Centre, pixels to the right of the middle.
    #[serde(default = "default::half")]
    pub mask_center_x: f64,
    /// Centre, pixels above the middle.
    #[serde(default = "default::half")]
    pub mask_center_y: f64,
    /// Height, fraction of the canvas.
    #[serde(default = "default::one")]
    pub mask_size: f64,
    /// Degrees.
    #[serde(default)]
    pub mask_rotation: f64,
    /// Soft edge, 0 to 100.
    #[serde(default)]
    pub mask_feather: f64,
    /// Shows what is outside the mask.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub mask_invert: bool,
    /// Rectangle's width, fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_rect_width: Option<f64>,
    /// Corner rounding, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_round_corner: Option<f64>,
    /// Blurred background, weak to strong.
    #[serde(
        default,
        deserialize_with = "args::level",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>", extend("enum" = [1, 2, 3, 4]))]
    pub background_blur: Option<f64>,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::width", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub width: f64,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::height", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub height: f64,
    /// The app's drafts folder, for paths; use that of `save_draft`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("deprecated" = true))]
    pub draft_folder: Option<String>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde requires the type of the field"
)]
fn unknown() -> Option<f64> {
    Some(0.0)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde requires the type of the field"
)]
fn main_track() -> Option<String> {
    Some("video_main".to_owned())
}

impl AddVideo {
    fn target(&self) -> CallTarget<'_> {
        CallTarget {
            draft: self.draft_id.as_ref(),
            width: self.width,
            height: self.height,
        }
    }

    /// The end of the clip in the file; `None` for the end of the file.
    fn end(&self, strict: bool) -> Option<f64> {
        match (self.end, self.duration) {
            // The API reads an absent `end` as 0, and uses `duration` only if `end` is null.
            (None, duration) if !strict => duration,
            (None | Some(0.0), Some(duration)) if strict => Some(self.start + duration),
            (end, _) => end.filter(|end| *end != 0.0),
        }
    }

    fn wish(&self, strict: bool) -> Wish {
        Wish {
            start: self.start,
            end: self.end(strict),
            target_start: self.target_start,
            speed: self.speed,
        }
    }

    fn transition(&self, edition: Edition) -> Result<Option<Transition>> {
        parts::transition(
            edition,
            self.transition.as_deref(),
            Some(self.transition_duration),
        )
    }

    fn mask(&self, canvas: Canvas) -> Result<Option<Mask>> {
        parts::mask(
            canvas,
            MaskWish {
                name: self.mask_type.as_deref(),
                center_x: self.mask_center_x,
                center_y: self.mask_center_y,
                size: self.mask_size,
                rotation: self.mask_rotation,
                feather: self.mask_feather,
                invert: self.mask_invert,
                rect_width: self.mask_rect_width,
                round_corner: self.mask_round_corner,
            },
        )
    }
}

impl Tool for AddVideo {
    const NAME: &'static str = "add_video";
    const TITLE: &'static str = "Add video";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Size,
        InputRule::Position,
        InputRule::Alias("video_path", "video_url"),
        InputRule::Alias("url", "video_url"),
        InputRule::Alias("path", "video_url"),
        InputRule::Times(ToolTimes::File),
        InputRule::Shown("at", "target_start"),
        InputRule::Shown("source_start", "start"),
        InputRule::Shown("source_end", "end"),
        InputRule::Alias("from", "target_start"),
        InputRule::Alias("start_time", "target_start"),
        InputRule::Alias("output_path", "draft_folder"),
        InputRule::Alias("transition_type", "transition"),
        InputRule::Advice("opacity", KEYFRAME_ALPHA),
        InputRule::Advice("alpha", KEYFRAME_ALPHA),
        InputRule::Advice("rotation", KEYFRAME_ROTATION),
        InputRule::Advice("rotate", KEYFRAME_ROTATION),
        InputRule::Advice(
            "filter",
            "no tool adds filters: set them in the app; `add_effect` adds video effects",
        ),
        InputRule::Advice(
            "effect_type",
            "call `add_effect`, which adds an effect over everything",
        ),
        InputRule::Advice("mute", "give `volume`: 0"),
        InputRule::Advice("muted", "give `volume`: 0"),
        InputRule::Advice(
            "fade_in",
            "set it with `add_video_keyframe`: `property_type` \"alpha\" or \"volume\"",
        ),
        InputRule::Advice(
            "fade_out",
            "set it with `add_video_keyframe`: `property_type` \"alpha\" or \"volume\"",
        ),
        InputRule::Advice(
            "intro_animation",
            "animations are for images (`add_image`) and texts (`add_text`)",
        ),
        InputRule::Advice("loop", "call it again at the end of the clip"),
        InputRule::Advice(
            "fit",
            "with `scale_x` and `scale_y` at 1 the clip fits into the canvas; larger values fill the canvas and crop the clip",
        ),
    ];
    const CHECKED: &'static [Checked] = &[
        always("start"),
        always("end"),
        always("speed"),
        always("target_start"),
        always("track_name"),
        always("relative_index"),
        always("background_blur"),
        beside("transition_duration", "transition"),
        beside("mask_center_x", "mask_type"),
        beside("mask_center_y", "mask_type"),
        beside("mask_size", "mask_type"),
        beside("mask_feather", "mask_type"),
        beside("mask_rect_width", "mask_type"),
        beside("mask_round_corner", "mask_type"),
    ];
    const TEXTS: Texts = Texts {
        required: &["video_url"],
        not_null: &[],
        missing: "Hi, the required parameters 'video_url' are missing.",
        before: "Error occurred while processing video: ",
        after: ".",
        unknown: "",
    };
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

    fn names(&self) -> Vec<CatalogName<'_>> {
        [
            CatalogName::new(
                "transition",
                &[catalog::NameKind::Transition],
                self.transition.as_deref(),
            ),
            CatalogName::new(
                "mask_type",
                &[catalog::NameKind::Mask],
                self.mask_type.as_deref(),
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn leaves(&self, strict: bool) -> Leaves {
        let start = Micros::from_seconds(self.target_start);
        let length = self.end(strict).map(|end| (end - self.start) / self.speed);
        Leaves::segment(
            self.track_name.as_deref(),
            start,
            length.map(|length| start + Micros::from_seconds(length)),
            Some(&self.video_url),
        )
    }

    fn faults_on(&self, canvas: Canvas) -> Faults {
        let mut faults = Faults::default();
        faults.of(self.transition(canvas.edition));
        faults.of(self.mask(canvas));
        faults.of(parts::blur(self.background_blur));
        faults.of(args::folder(self.draft_folder.as_deref()));
        faults.of(lengths::fit(self.wish(true), None, TargetOf::Video));
        faults
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Placed> {
        let strict = engine::is_strict(call);
        if args::is_truthy(&self.filter_type) {
            return Err(Error::invalid(format!(
                "`filter_type` is {}, but this server does not support filters on clips",
                self.filter_type
            ))
            .hint("remove `filter_type` and `filter_intensity`"));
        }
        let canvas = engine.canvas(self.target()).await?;
        let transition = self.transition(canvas.edition)?;
        let mask = self.mask(canvas)?;
        let blur = parts::blur(self.background_blur)?;
        let folder = args::folder(self.draft_folder.as_deref())?;
        args::no_text_for_length(call, self.end.is_none())?;
        let wish = self.wish(strict);
        // Invalid times are reported before the file is fetched.
        lengths::fit(wish, None, TargetOf::Video)?;
        let looked = engine
            .look(
                "video_url",
                &self.video_url,
                MediaKind::Video,
                wish.end.is_some(),
                &call.caller,
            )
            .await?;
        let fitted = lengths::fit(wish, looked.length, TargetOf::Video)?;
        let given = Micros::from_seconds_truncated(self.duration.unwrap_or(0.0));
        let mut known = looked.known;
        if !known.read {
            known.duration = given;
        }
        let size = (known.read && known.width > 0)
            .then_some((f64::from(known.width), f64::from(known.height)));
        let clip = args::clip(
            engine::is_strict(call),
            self.position,
            (canvas.width, canvas.height),
            Content::Picture {
                size,
                scale: (self.scale_x, self.scale_y),
            },
            Clip {
                transform_x: parts::finite("transform_x", self.transform_x)?,
                transform_y: parts::finite("transform_y", self.transform_y)?,
                scale_x: parts::finite("scale_x", self.scale_x)?,
                scale_y: parts::finite("scale_y", self.scale_y)?,
                ..Clip::default()
            },
        );
        let edit = Edit::Place(Box::new(SegmentPlacement {
            track: TrackChoice {
                name: self.track_name.clone(),
                kind: TrackKind::Video,
                render_index: parts::finite("relative_index", self.relative_index)?,
                may_make_unnamed: false,
            },
            target: fitted.target,
            content: segment::SegmentContent::Picture(Box::new(Picture {
                source: fitted.source,
                asked: fitted.asked,
                speed: Some(self.speed),
                volume: parts::finite("volume", self.volume)?,
                clip,
                transition,
                mask,
                blur,
                ..Picture::default()
            })),
            media: Some(Used {
                kind: MediaKind::Video,
                source: self.video_url.clone(),
                folder,
                known,
                given,
            }),
        }));
        let mut placed = engine.edit(self.target(), call, edit).await?;
        placed
            .notes
            .extend(fitted.note.into_iter().chain(looked.note));
        Ok(placed)
    }

    fn to_api(&self, arguments: &Object) -> Object {
        let mut arguments = arguments.clone();
        // The API reads an absent `end` as the end of the file and ignores `duration`.
        if let Some(end) = self.end(true) {
            arguments.insert("end".to_owned(), end.into());
        }
        args::api_position(
            &mut arguments,
            self.position,
            (self.width, self.height),
            Content::Picture {
                size: None,
                scale: (self.scale_x, self.scale_y),
            },
        );
        arguments
    }

    fn reply_to_api(reply: Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        reply.to_api(link)
    }
}
