//! `add_image`: add image.

use capcut_draft::ClipKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::input_rule::{InputRule, NO_FILE_TIMES, ToolTimes};
use crate::args::lenient::{Checked, always, beside};
use crate::args::reply::Placed;
use crate::args::{self, default};
use crate::catalog;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::draft::material::{Animations, MediaKind, Phase};
use crate::draft::segment::{self, Picture};
use crate::draft::track::TrackKind;
use crate::engine::edit::{Edit, SegmentPlacement, Used};
use crate::engine::lengths;
use crate::engine::parts;
use crate::engine::timeline::TrackChoice;
use crate::engine::{self, Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::tool::{CatalogName, Group, Hints, Texts, Tool, Turn};
use crate::tools::look::PictureLook;
use crate::tools::{Call, Object};
use crate::units::{Edition, Micros, Range};

/// Shows an image on a video track, from `at` on.
///
/// Also: filter, motion ("ken_burns"), opacity, crop, fit, saturation and more; see `search_catalog` kind property.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddImage {
    /// Id or exact name.
    #[serde(
        default,
        deserialize_with = "args::draft_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    /// http(s) URL or absolute path.
    pub image_url: String,
    /// Start on the timeline: seconds or "1:30".
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub start: f64,
    /// End on the timeline, seconds; or `duration`. Default: 3 s later.
    #[serde(default = "three")]
    pub end: f64,
    /// Track; created if new.
    #[serde(default = "main_track", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub track_name: Option<String>,
    /// New track's layer; higher is in front.
    #[serde(default)]
    pub relative_index: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intro_animation: Option<String>,
    #[serde(default = "default::add_image::intro_animation_duration")]
    pub intro_animation_duration: Option<f64>,
    /// Older name of `intro_animation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("deprecated" = true))]
    pub animation: Option<String>,
    /// Older name of `intro_animation_duration`.
    #[serde(default = "default::add_image::animation_duration")]
    #[schemars(extend("deprecated" = true))]
    pub animation_duration: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outro_animation: Option<String>,
    #[serde(default = "default::outro_animation_duration")]
    pub outro_animation_duration: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combo_animation: Option<String>,
    #[serde(default = "default::combo_animation_duration")]
    pub combo_animation_duration: f64,
    #[serde(flatten)]
    pub look: PictureLook,
}

fn three() -> f64 {
    3.0
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde requires the type of the field"
)]
fn main_track() -> Option<String> {
    Some("image_main".to_owned())
}

impl AddImage {
    /// Entrance and exit animations, or one animation of the whole clip, which excludes them.
    fn animations(&self, edition: Edition, length: Micros) -> Result<Option<Animations>> {
        let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        let (intro, intro_argument) = match &self.intro_animation {
            Some(_) => (given(&self.intro_animation), "intro_animation"),
            None => (given(&self.animation), "animation"),
        };
        let (outro, combo) = (given(&self.outro_animation), given(&self.combo_animation));
        if let (Some(combo), true) = (&combo, intro.is_some() || outro.is_some()) {
            return Err(Error::invalid(format!(
                "`combo_animation`: \"{combo}\" animates the whole clip and excludes other animations"
            ))
            .hint("give either `combo_animation`, or `intro_animation` and `outro_animation`"));
        }
        let mut list = Vec::new();
        if let Some(name) = intro {
            let (mut animation, entry) = parts::animation(
                edition,
                intro_argument,
                catalog::NameKind::VideoIntro,
                Phase::In,
                &name,
            )?;
            let seconds = self.intro_animation_duration.or(self.animation_duration);
            animation.duration = lasting(
                "intro_animation_duration",
                seconds.unwrap_or(0.0),
                entry.duration.unwrap_or_default(),
            )?;
            list.push(animation);
        }
        if let Some(name) = outro {
            let (mut animation, entry) = parts::animation(
                edition,
                "outro_animation",
                catalog::NameKind::VideoOutro,
                Phase::Out,
                &name,
            )?;
            animation.duration = lasting(
                "outro_animation_duration",
                self.outro_animation_duration,
                entry.duration.unwrap_or_default(),
            )?;
            animation.start = length - animation.duration;
            list.push(animation);
        }
        if let Some(name) = combo {
            let (mut animation, _) = parts::animation(
                edition,
                "combo_animation",
                catalog::NameKind::VideoCombo,
                Phase::Group,
                &name,
            )?;
            animation.duration = lasting(
                "combo_animation_duration",
                self.combo_animation_duration,
                length,
            )?;
            list.push(animation);
        }
        Ok((!list.is_empty()).then(|| Animations {
            list,
            ..Animations::default()
        }))
    }
}

/// The length of an animation; 0 stands for its default length.
fn lasting(argument: &str, seconds: f64, own: Micros) -> Result<Micros> {
    let seconds = parts::seconds(argument, seconds)?;
    Ok(if seconds == 0.0 {
        own
    } else {
        Micros::from_seconds(seconds)
    })
}

impl Tool for AddImage {
    const NAME: &'static str = "add_image";
    const TITLE: &'static str = "Add image";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Properties(ClipKind::Image),
        InputRule::Rare("background_blur"),
        InputRule::Rare("mask_size"),
        InputRule::Size,
        InputRule::Position,
        InputRule::Alias("image_path", "image_url"),
        InputRule::Alias("url", "image_url"),
        InputRule::Alias("path", "image_url"),
        InputRule::Times(ToolTimes::Span { seconds: 3.0 }),
        InputRule::Shown("at", "start"),
        InputRule::Alias("from", "start"),
        InputRule::Alias("start_time", "start"),
        InputRule::Alias("target_start", "start"),
        InputRule::Alias("to", "end"),
        InputRule::Alias("end_time", "end"),
        InputRule::Advice("source_start", NO_FILE_TIMES),
        InputRule::Advice("source_end", NO_FILE_TIMES),
        InputRule::Alias("output_path", "draft_folder"),
        InputRule::Alias("transition_type", "transition"),
        InputRule::Advice("loop", "call it again at the end of the clip"),
    ];
    const CHECKED: &'static [Checked] = &[
        always("start"),
        always("end"),
        always("track_name"),
        always("relative_index"),
        always("background_blur"),
        beside("transition_duration", "transition"),
        beside("intro_animation_duration", "intro_animation"),
        beside("outro_animation_duration", "outro_animation"),
        beside("combo_animation_duration", "combo_animation"),
        beside("mask_center_x", "mask_type"),
        beside("mask_center_y", "mask_type"),
        beside("mask_size", "mask_type"),
        beside("mask_feather", "mask_type"),
        beside("mask_rect_width", "mask_type"),
        beside("mask_round_corner", "mask_type"),
    ];
    const TEXTS: Texts = Texts {
        required: &["image_url"],
        not_null: &[],
        missing: "Hi, the required parameters 'image_url' are missing.",
        before: "Error occurred while processing image: ",
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
        let intro = self.intro_animation.as_deref();
        // The older name is only used without the newer one.
        let older = self.animation.as_deref().filter(|_| intro.is_none());
        let (outro, combo) = (
            self.outro_animation.as_deref(),
            self.combo_animation.as_deref(),
        );
        [
            CatalogName::new("intro_animation", &[catalog::NameKind::VideoIntro], intro),
            CatalogName::new("animation", &[catalog::NameKind::VideoIntro], older),
            CatalogName::new("outro_animation", &[catalog::NameKind::VideoOutro], outro),
            CatalogName::new("combo_animation", &[catalog::NameKind::VideoCombo], combo),
        ]
        .into_iter()
        .flatten()
        .chain(self.look.names())
        .collect()
    }

    fn leaves(&self, _strict: bool) -> Leaves {
        Leaves::segment(
            self.track_name.as_deref(),
            Micros::from_seconds(self.start),
            Some(Micros::from_seconds(self.end)),
            Some(&self.image_url),
        )
    }

    fn faults_on(&self, canvas: Canvas) -> Faults {
        let mut faults = Faults::default();
        let target = faults
            .of(lengths::span(self.start, self.end))
            .unwrap_or_default();
        for (argument, kind, phase, name) in [
            (
                "intro_animation",
                catalog::NameKind::VideoIntro,
                Phase::In,
                &self.intro_animation,
            ),
            (
                "animation",
                catalog::NameKind::VideoIntro,
                Phase::In,
                &self.animation,
            ),
            (
                "outro_animation",
                catalog::NameKind::VideoOutro,
                Phase::Out,
                &self.outro_animation,
            ),
            (
                "combo_animation",
                catalog::NameKind::VideoCombo,
                Phase::Group,
                &self.combo_animation,
            ),
        ] {
            if let Some(name) = name.as_deref().filter(|name| !name.is_empty()) {
                faults.of(parts::animation(
                    canvas.edition,
                    argument,
                    kind,
                    phase,
                    name,
                ));
            }
        }
        faults.of(self.animations(canvas.edition, target.duration));
        self.look.faults_on(canvas, Self::NAME, &mut faults);
        faults
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Placed> {
        let canvas = engine
            .canvas(self.look.target(self.draft_id.as_ref()))
            .await?;
        let target = lengths::span(self.start, self.end)?;
        let animations = self.animations(canvas.edition, target.duration)?;
        let transition = self.look.transition(canvas.edition)?;
        let mask = self.look.mask(canvas, Self::NAME)?;
        let blur = self.look.blur()?;
        let folder = self.look.folder()?;
        let looked = engine
            .look(
                "image_url",
                &self.image_url,
                MediaKind::Photo,
                true,
                &call.caller,
            )
            .await?;
        let known = looked.known;
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
            target,
            content: segment::SegmentContent::Picture(Box::new(Picture {
                source: Range::new(Micros::ZERO, target.duration),
                speed: None,
                volume: 1.0,
                clip,
                animations,
                transition,
                mask,
                blur,
                ..Picture::default()
            })),
            media: Some(Used {
                kind: MediaKind::Photo,
                source: self.image_url.clone(),
                folder,
                known,
                given: Micros::ZERO,
            }),
        }));
        let mut placed = engine
            .edit(self.look.target(self.draft_id.as_ref()), call, edit)
            .await?;
        placed.notes.extend(looked.note);
        Ok(placed)
    }

    fn to_api(&self, arguments: &Object) -> Object {
        let mut arguments = arguments.clone();
        self.look.to_api(&mut arguments);
        arguments
    }

    fn reply_to_api(reply: Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        reply.to_api(link)
    }
}
