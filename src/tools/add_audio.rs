//! `add_audio`: add audio.

use capcut_draft::ClipKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::input_rule::{InputRule, ToolTimes};
use crate::args::lenient::{Checked, always};
use crate::args::reply::Placed;
use crate::args::{self, default, loose};
use crate::catalog;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::draft::material::{AudioEffect, Fade, MediaKind};
use crate::draft::segment::{SegmentContent, Sound};
use crate::draft::track::TrackKind;
use crate::engine::edit::{Edit, SegmentPlacement, Used};
use crate::engine::lengths::{self, TargetOf, Wish};
use crate::engine::parts;
use crate::engine::timeline::TrackChoice;
use crate::engine::{self, CallTarget, Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::tool::{BeyondApi, CatalogName, Group, Hints, Texts, Tool, Turn};
use crate::tools::{Call, Object};
use crate::units::{Edition, Micros};

/// Places music, speech or a sound on an audio track.
///
/// Without an end it runs to the end of the file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddAudio {
    /// Id or exact name.
    #[serde(
        default,
        deserialize_with = "args::draft_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    /// http(s) URL or absolute path.
    pub audio_url: String,
    /// Start on the timeline: seconds or "1:30".
    #[serde(default, deserialize_with = "args::time")]
    #[schemars(with = "f64", range(min = 0))]
    pub target_start: f64,
    /// Start in the file, seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub start: f64,
    /// End in the file, seconds. Default: its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    #[serde(default = "normal")]
    pub speed: Option<f64>,
    #[serde(default = "default::volume", deserialize_with = "loose::volume")]
    #[schemars(with = "f64")]
    pub volume: f64,
    #[serde(default, deserialize_with = "args::own_number")]
    #[schemars(with = "f64")]
    pub fade_in: f64,
    #[serde(default, deserialize_with = "args::own_number")]
    #[schemars(with = "f64")]
    pub fade_out: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_params: Option<Vec<Option<f64>>>,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::width", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub width: f64,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::height", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub height: f64,
    /// The app's drafts folder, for paths; `save_draft` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("deprecated" = true))]
    pub draft_folder: Option<String>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde requires the type of the field"
)]
fn main_track() -> Option<String> {
    Some("audio_main".to_owned())
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde requires the type of the field"
)]
fn normal() -> Option<f64> {
    Some(default::speed())
}

impl AddAudio {
    fn target(&self) -> CallTarget<'_> {
        CallTarget {
            draft: self.draft_id.as_ref(),
            width: self.width,
            height: self.height,
        }
    }

    /// The end of the sound in the file; `None` for the end of the file.
    fn end(&self, strict: bool) -> Option<f64> {
        match (self.end, self.duration) {
            (None, Some(duration)) if strict => Some(self.start + duration),
            (None, duration) => duration,
            (end, _) => end,
        }
        .filter(|end| *end != 0.0)
    }

    fn wish(&self, strict: bool) -> Wish {
        Wish {
            start: self.start,
            end: self.end(strict),
            target_start: self.target_start,
            speed: self.speed.unwrap_or_else(default::speed),
        }
    }

    fn effect(&self, edition: Edition) -> Result<Option<AudioEffect>> {
        parts::audio_effect(
            edition,
            self.effect_type.as_deref(),
            self.effect_params.as_deref().unwrap_or_default(),
        )
    }

    /// The fades of a sound of this length (zero: unknown), and a note if they were shortened.
    fn fade(&self, length: Micros) -> (Option<Fade>, Option<String>) {
        let asked = Fade {
            fade_in: Micros::from_seconds(self.fade_in),
            fade_out: Micros::from_seconds(self.fade_out),
            ..Fade::default()
        };
        let fade = if length > Micros::ZERO {
            asked.within(length)
        } else {
            asked
        };
        let note = (fade != asked).then(|| fade.shortened(length));
        ((fade != Fade::default()).then_some(fade), note)
    }
}

impl Tool for AddAudio {
    const NAME: &'static str = "add_audio";
    const TITLE: &'static str = "Add audio";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Properties(ClipKind::Audio),
        InputRule::Rare("effect_params"),
        InputRule::Size,
        InputRule::Alias("audio_path", "audio_url"),
        InputRule::Alias("url", "audio_url"),
        InputRule::Alias("path", "audio_url"),
        InputRule::Times(ToolTimes::File),
        InputRule::Shown("at", "target_start"),
        InputRule::Shown("source_start", "start"),
        InputRule::Shown("source_end", "end"),
        InputRule::Alias("from", "target_start"),
        InputRule::Alias("start_time", "target_start"),
        InputRule::Alias("output_path", "draft_folder"),
        InputRule::Alias("audio_effect", "effect_type"),
        InputRule::Advice(
            "loop",
            "call it again at the end of the sound; in a plan of `compose_draft`, `loop` repeats an audio item until the pictures end",
        ),
        InputRule::Advice(
            "repeat",
            "call it again at the end of the sound; in a plan of `compose_draft`, `loop` repeats an audio item until the pictures end",
        ),
        InputRule::Advice("mute", "give `volume`: 0"),
        InputRule::Advice("muted", "give `volume`: 0"),
    ];
    const CHECKED: &'static [Checked] = &[
        always("start"),
        always("end"),
        always("duration"),
        always("speed"),
        always("target_start"),
        always("effect_params"),
    ];
    const TEXTS: Texts = Texts {
        required: &["audio_url"],
        not_null: &[],
        missing: "Hi, the required parameters 'audio_url' are missing.",
        before: "Error occurred while processing audio: ",
        after: ".",
        unknown: "",
    };
    type Reply = Placed;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn turn(&self) -> Turn {
        Turn::Track {
            group: Group::Audio,
            track: self.track_name.clone().unwrap_or_default(),
            dependent: false,
        }
    }

    fn names(&self) -> Vec<CatalogName<'_>> {
        let kinds = &[
            catalog::NameKind::VoiceFilter,
            catalog::NameKind::VoiceCharacter,
            catalog::NameKind::AudioScene,
            catalog::NameKind::Tone,
            catalog::NameKind::SpeechToSong,
        ];
        let effect = CatalogName::new("effect_type", kinds, self.effect_type.as_deref());
        effect.into_iter().collect()
    }

    fn leaves(&self, strict: bool) -> Leaves {
        let start = Micros::from_seconds(self.target_start);
        let length = self
            .end(strict)
            .map(|end| (end - self.start) / self.speed.unwrap_or_else(default::speed));
        Leaves::segment(
            self.track_name.as_deref(),
            start,
            length.map(|length| start + Micros::from_seconds(length)),
            Some(&self.audio_url),
        )
    }

    fn faults_on(&self, canvas: Canvas) -> Faults {
        let mut faults = Faults::default();
        faults.of(self.effect(canvas.edition));
        faults.of(args::folder(self.draft_folder.as_deref()));
        faults.of(lengths::fit(self.wish(true), None, TargetOf::Audio));
        faults
    }

    fn beyond_api(&self) -> BeyondApi {
        let fades = [("fade_in", self.fade_in), ("fade_out", self.fade_out)];
        let fades = fades.into_iter().filter(|(_, seconds)| *seconds > 0.0);
        BeyondApi {
            clips: fades
                .map(|(name, seconds)| (name.to_owned(), json!(seconds)))
                .collect(),
            ..BeyondApi::default()
        }
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Placed> {
        let strict = engine::is_strict(call);
        let canvas = engine.canvas(self.target()).await?;
        let effect = self.effect(canvas.edition)?;
        let folder = args::folder(self.draft_folder.as_deref())?;
        args::no_text_for_length(call, self.end.is_none())?;
        let end = self.end(strict);
        if let (None, None, false) = (self.speed, end, strict) {
            return Err(Error::invalid(
                "`speed` is null, and without `end` or `duration` it cannot be computed",
            ));
        }
        let wish = self.wish(strict);
        lengths::fit(wish, None, TargetOf::Audio)?;
        let looked = engine
            .look(
                "audio_url",
                &self.audio_url,
                MediaKind::Audio,
                end.is_some(),
                &call.caller,
            )
            .await?;
        let fitted = lengths::fit(wish, looked.length, TargetOf::Audio)?;
        // The API has no fades: over HTTP, it ignores these fields as unknown.
        let (fade, cut) = if strict {
            self.fade(fitted.target.duration)
        } else {
            (None, None)
        };
        let given = Micros::from_seconds_truncated(self.duration.unwrap_or(0.0));
        let mut known = looked.known;
        if !known.read {
            known.duration = given;
        }
        let edit = Edit::Place(Box::new(SegmentPlacement {
            track: TrackChoice {
                name: self.track_name.clone(),
                kind: TrackKind::Audio,
                render_index: TrackKind::Audio.base(),
                may_make_unnamed: true,
            },
            target: fitted.target,
            content: SegmentContent::Sound(Box::new(Sound {
                source: fitted.source,
                asked: fitted.asked,
                speed: wish.speed,
                volume: parts::finite("volume", self.volume)?,
                effect,
                fade,
                ..Sound::default()
            })),
            media: Some(Used {
                kind: MediaKind::Audio,
                source: self.audio_url.clone(),
                folder,
                known,
                given,
            }),
        }));
        let mut placed = engine.edit(self.target(), call, edit).await?;
        placed
            .notes
            .extend(fitted.note.into_iter().chain(looked.note).chain(cut));
        Ok(placed)
    }

    fn to_api(&self, arguments: &Object) -> Object {
        let mut arguments = arguments.clone();
        if let Some(end) = self.end(true) {
            arguments.insert("end".to_owned(), end.into());
        }
        arguments
    }

    fn reply_to_api(reply: Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        reply.to_api(link)
    }
}
