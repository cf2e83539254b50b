//! `add_video`: add video.

use capcut_draft::ClipKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::input_rule::{InputRule, ToolTimes};
use crate::args::lenient::{Checked, always, beside};
use crate::args::reply::Placed;
use crate::args::{self, default, loose};
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::draft::material::MediaKind;
use crate::draft::segment::{self, Picture};
use crate::draft::track::TrackKind;
use crate::engine::edit::{Edit, SegmentPlacement, Used};
use crate::engine::lengths::{self, TargetOf, Wish};
use crate::engine::parts;
use crate::engine::timeline::TrackChoice;
use crate::engine::{self, Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::tool::{CatalogName, Group, Hints, Texts, Tool, Turn};
use crate::tools::look::PictureLook;
use crate::tools::{Call, Object};
use crate::units::Micros;

/// Places a video, whole or in part, on a video track.
///
/// Also: filter, motion ("ken_burns"), opacity, crop, fit, saturation and more; see `search_catalog` kind property.
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
    /// A filter, an argument of newer sources of the API (HTTP only).
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(skip)]
    pub filter_type: Value,
    /// Its strength, 0 to 100 (HTTP only).
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(skip)]
    pub filter_intensity: Value,
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
    #[serde(default = "default::speed")]
    pub speed: f64,
    #[serde(default = "default::volume", deserialize_with = "loose::volume")]
    #[schemars(with = "f64")]
    pub volume: f64,
    #[serde(flatten)]
    pub look: PictureLook,
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

    /// The API needs the length of a transition of a video.
    fn has_length_of_transition(&self) -> Result<()> {
        let has_transition = self
            .look
            .transition
            .as_deref()
            .is_some_and(|name| !name.is_empty());
        if has_transition && self.look.transition_duration.is_none() {
            return Err(Error::invalid(
                "`transition_duration` is null, not a number of seconds",
            ));
        }
        Ok(())
    }
}

impl Tool for AddVideo {
    const NAME: &'static str = "add_video";
    const TITLE: &'static str = "Add video";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Properties(ClipKind::Video),
        InputRule::Rare("mask_size"),
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
        InputRule::Advice("mute", "give `volume`: 0"),
        InputRule::Advice("muted", "give `volume`: 0"),
        InputRule::Advice("loop", "call it again at the end of the clip"),
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
        self.look.names().collect()
    }

    fn api_properties(&self) -> Object {
        let mut properties = Object::new();
        if let Value::String(name) = &self.filter_type
            && !name.is_empty()
        {
            properties.insert("filter".to_owned(), name.as_str().into());
            let strength = self.filter_intensity.as_f64();
            let strength = strength.filter(|strength| (0.0..=100.0).contains(strength));
            let strength = strength.unwrap_or(default::filter_intensity());
            properties.insert("filter_intensity".to_owned(), strength.into());
        }
        properties
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
        self.look.faults_on(canvas, Self::NAME, &mut faults);
        faults.of(lengths::fit(self.wish(true), None, TargetOf::Video));
        faults
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Placed> {
        let strict = engine::is_strict(call);
        if args::is_truthy(&self.filter_type) && !self.filter_type.is_string() {
            return Err(Error::invalid(format!(
                "`filter_type` is {}, not the name of a filter",
                self.filter_type
            )));
        }
        let canvas = engine
            .canvas(self.look.target(self.draft_id.as_ref()))
            .await?;
        self.has_length_of_transition()?;
        let transition = self.look.transition(canvas.edition)?;
        let mask = self.look.mask(canvas, Self::NAME)?;
        let blur = self.look.blur()?;
        let folder = self.look.folder()?;
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
        let clip = self.look.clip(engine::is_strict(call), canvas, size)?;
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
        let mut placed = engine
            .edit(self.look.target(self.draft_id.as_ref()), call, edit)
            .await?;
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
        self.look.to_api(&mut arguments);
        arguments
    }

    fn reply_to_api(reply: Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        reply.to_api(link)
    }
}
