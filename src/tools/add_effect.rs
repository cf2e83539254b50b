//! `add_effect`: add effect.

use capcut_draft::ClipKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::input_rule::{InputRule, NO_FILE_TIMES, ToolTimes};
use crate::args::lenient::{Checked, always};
use crate::args::reply::Placed;
use crate::args::{self, default};
use crate::catalog;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::draft::segment::SegmentContent;
use crate::draft::track::TrackKind;
use crate::engine::edit::{Edit, SegmentPlacement};
use crate::engine::lengths;
use crate::engine::parts;
use crate::engine::timeline::TrackChoice;
use crate::engine::{self, CallTarget, Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::tool::{CatalogName, Group, Hints, Texts, Tool, Turn};
use crate::tools::{Call, Object};
use crate::units::{Edition, Micros};

/// Adds a video effect or a filter over everything, from `at` on.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddEffect {
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
    pub effect_type: String,
    /// Character effects follow faces.
    #[serde(default = "scene")]
    #[schemars(extend("enum" = ["scene", "character", "filter"]))]
    pub effect_category: String,
    /// Start on the timeline: seconds or "1:30".
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub start: f64,
    /// End on the timeline, seconds; or `duration`. Default: 3 s later.
    #[serde(default = "three")]
    pub end: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Vec<Option<f64>>>,
    /// Its strength, 0 to 100; the API does not have this argument.
    #[serde(
        default,
        deserialize_with = "args::own_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(skip)]
    pub intensity: Option<f64>,
    /// Track; created if new.
    #[serde(default = "main_track", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub track_name: Option<String>,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::width", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub width: f64,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::height", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub height: f64,
}

fn scene() -> String {
    "scene".to_owned()
}

fn three() -> f64 {
    3.0
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde requires the type of the field"
)]
fn main_track() -> Option<String> {
    Some("effect_01".to_owned())
}

impl AddEffect {
    fn target(&self) -> CallTarget<'_> {
        CallTarget {
            draft: self.draft_id.as_ref(),
            width: self.width,
            height: self.height,
        }
    }

    /// Whether it is a filter, which the API does not have.
    fn is_filter(&self, strict: bool) -> bool {
        strict && self.effect_category == FILTER
    }

    /// What it shows, with notes.
    fn layer(&self, edition: Edition, strict: bool) -> Result<(SegmentContent, Vec<String>)> {
        if self.is_filter(strict) {
            let strength = self.intensity.or_else(|| *self.params.as_ref()?.first()?);
            let filter = parts::filter(edition, &self.effect_type, strength)?;
            return Ok((SegmentContent::Filter(Box::new(filter)), Vec::new()));
        }
        let (params, note) = self.params_with_strength(Some(edition), strict);
        let effect =
            parts::video_effect(edition, &self.effect_category, &self.effect_type, &params)?;
        Ok((
            SegmentContent::Effect(Box::new(effect)),
            note.into_iter().collect(),
        ))
    }

    /// The parameters with the strength in its place; a note if the effect has none.
    fn params_with_strength(
        &self,
        edition: Option<Edition>,
        strict: bool,
    ) -> (Vec<Option<f64>>, Option<String>) {
        let mut params = self.params.clone().unwrap_or_default();
        let Some(strength) = self.intensity.filter(|_| strict) else {
            return (params, None);
        };
        let kind = self.kind();
        let editions = Edition::ALL
            .into_iter()
            .filter(|own| edition.is_none_or(|edition| *own == edition));
        let mut found = editions
            .filter_map(|edition| catalog::find_in(edition, &[kind], &self.effect_type).ok());
        let Some(entry) = found.next() else {
            return (params, None);
        };
        let Some(index) = capcut_draft::strength_of(entry.params.iter().map(|param| param.name))
        else {
            let note = format!(
                "`intensity` has no effect: `{}` has no strength",
                self.effect_type
            );
            return (params, Some(note));
        };
        if params.len() <= index {
            params.resize(index + 1, None);
        }
        params[index] = Some(strength);
        (params, None)
    }

    fn kind(&self) -> catalog::NameKind {
        match self.effect_category.as_str() {
            "character" => catalog::NameKind::CharacterEffect,
            FILTER => catalog::NameKind::Filter,
            _ => catalog::NameKind::SceneEffect,
        }
    }
}

/// The category of filters.
const FILTER: &str = "filter";

impl Tool for AddEffect {
    const NAME: &'static str = "add_effect";
    const TITLE: &'static str = "Add effect";
    const HINTS: Hints = Hints::ADD;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Properties(ClipKind::Effect),
        InputRule::Size,
        InputRule::Alias("effect_name", "effect_type"),
        InputRule::Times(ToolTimes::Span { seconds: 3.0 }),
        InputRule::Shown("at", "start"),
        InputRule::Alias("from", "start"),
        InputRule::Alias("start_time", "start"),
        InputRule::Alias("target_start", "start"),
        InputRule::Alias("to", "end"),
        InputRule::Alias("end_time", "end"),
        InputRule::Advice("source_start", NO_FILE_TIMES),
        InputRule::Advice("source_end", NO_FILE_TIMES),
        InputRule::Intensity,
        InputRule::Layers,
        InputRule::Alias("category", "effect_category"),
        InputRule::ValueAdvice(
            "effect_category",
            &["video", "picture", "screen"],
            "did you mean \"scene\", for effects on the whole picture?",
        ),
        InputRule::ValueAdvice(
            "effect_category",
            &["adjust", "adjustment", "adjustments"],
            "no saved draft with an adjustment layer is known: give each clip its own `brightness`, `contrast` and others, or set them for all clips of a track with `edit_draft`",
        ),
        InputRule::Alias("effect_params", "params"),
    ];
    const CHECKED: &'static [Checked] = &[
        always("start"),
        always("end"),
        always("effect_type"),
        always("effect_category"),
        always("params"),
        always("track_name"),
    ];
    const TEXTS: Texts = Texts {
        required: &["effect_type"],
        not_null: &[],
        missing: "Hi, the required parameters 'effect_type' are missing. Please add them and try again.",
        before: "Error occurred while adding effect: ",
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

    fn names(&self) -> Vec<CatalogName<'_>> {
        let kinds: &[catalog::NameKind] = match self.kind() {
            catalog::NameKind::CharacterEffect => &[catalog::NameKind::CharacterEffect],
            catalog::NameKind::Filter => &[catalog::NameKind::Filter],
            _ => &[catalog::NameKind::SceneEffect],
        };
        let effect = CatalogName::new("effect_type", kinds, Some(&self.effect_type));
        effect.into_iter().collect()
    }

    fn leaves(&self, _strict: bool) -> Leaves {
        Leaves::segment(
            self.track_name.as_deref(),
            Micros::from_seconds(self.start),
            Some(Micros::from_seconds(self.end)),
            None,
        )
    }

    fn faults_on(&self, canvas: Canvas) -> Faults {
        let mut faults = Faults::default();
        faults.of(self.layer(canvas.edition, true));
        faults.of(lengths::span(self.start, self.end));
        faults
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Placed> {
        let canvas = engine.canvas(self.target()).await?;
        let (content, notes) = self.layer(canvas.edition, engine::is_strict(call))?;
        let kind = match content {
            SegmentContent::Filter(_) => TrackKind::Filter,
            _ => TrackKind::Effect,
        };
        let edit = Edit::Place(Box::new(SegmentPlacement {
            track: TrackChoice {
                name: self.track_name.clone(),
                kind,
                render_index: kind.base(),
                may_make_unnamed: false,
            },
            target: lengths::span(self.start, self.end)?,
            content,
            media: None,
        }));
        let mut placed = engine.edit(self.target(), call, edit).await?;
        placed.notes.extend(notes);
        Ok(placed)
    }

    fn only_here(&self, strict: bool) -> Result<()> {
        if self.is_filter(strict) {
            return Err(Error::invalid(
                "a CapCut API server has no filters over everything (`effect_category` \"filter\")",
            )
            .hint("make the draft with `--backend embedded`, or give each video its `filter`"));
        }
        Ok(())
    }

    fn to_api(&self, arguments: &Object) -> Object {
        let mut arguments = arguments.clone();
        // The API fails without `params`, and applies them in reverse order.
        let (mut params, _) = self.params_with_strength(None, true);
        params.reverse();
        arguments.shift_remove("intensity");
        arguments.insert("params".to_owned(), params.into());
        arguments
    }

    fn as_meant(arguments: &mut Object) {
        if let Some(Value::Array(params)) = arguments.get_mut("params") {
            params.reverse();
        }
    }

    fn reply_to_api(reply: Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        reply.to_api(link)
    }
}
