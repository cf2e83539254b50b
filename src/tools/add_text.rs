//! `add_text`: add text.

use capcut_draft::{ClipKind, TextEffectKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::input_rule::{InputRule, NO_FILE_TIMES, Preset, ToolTimes};
use crate::args::lenient::{Checked, always, beside};
use crate::args::property;
use crate::args::reply::Placed;
use crate::args::{self, Content, Position, default, loose};
use crate::catalog;
use crate::draft::clip::Clip;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::draft::material::{Animations, Phase, TextEffect};
use crate::draft::segment;
use crate::draft::text::{Background, CharacterStyle, Font, Rgb, Shadow, Stroke, TextContent};
use crate::draft::track::TrackKind;
use crate::engine::edit::{Edit, SegmentPlacement};
use crate::engine::lengths;
use crate::engine::parts;
use crate::engine::timeline::TrackChoice;
use crate::engine::{self, CallTarget, Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::sorting;
use crate::tool::{CatalogName, Group, Hints, Texts, Tool, Turn, read_output};
use crate::tools::{Call, Object};
use crate::units::{Edition, Micros};

/// Shows a text on the canvas, from `at` on.
///
/// For two texts at the same time, use two `track_name`s.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddText {
    /// Id or exact name.
    #[serde(
        default,
        deserialize_with = "args::draft_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    pub text: String,
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
    /// Or {x, y, width, height} in pixels.
    #[serde(
        default,
        deserialize_with = "args::place",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Position>")]
    pub position: Option<Position>,
    // The default over MCP follows the edition.
    #[serde(
        default = "default::add_text::font",
        deserialize_with = "args::optional_text"
    )]
    #[schemars(with = "Option<String>", extend("default" = null))]
    pub font: Option<String>,
    #[serde(
        default,
        deserialize_with = "args::given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub font_color: Option<String>,
    /// Older name of `font_color`.
    #[serde(
        default,
        deserialize_with = "args::given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>", extend("deprecated" = true))]
    pub color: Option<String>,
    #[serde(
        default,
        deserialize_with = "args::loose",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>")]
    pub font_size: Option<f64>,
    /// Older name of `font_size`.
    #[serde(
        default,
        deserialize_with = "args::loose",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>", extend("deprecated" = true))]
    pub size: Option<f64>,
    #[serde(
        default,
        deserialize_with = "args::given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>")]
    pub font_alpha: Option<f64>,
    /// Older name of `font_alpha`.
    #[serde(
        default,
        deserialize_with = "args::given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>", extend("deprecated" = true))]
    pub alpha: Option<f64>,
    #[serde(default, deserialize_with = "args::switch")]
    #[schemars(with = "bool")]
    pub vertical: bool,
    #[serde(default = "default::border_width")]
    pub border_width: f64,
    #[serde(default = "default::border_color")]
    pub border_color: String,
    #[serde(default = "default::border_alpha")]
    pub border_alpha: f64,
    #[serde(default = "default::add_text::background_alpha")]
    pub background_alpha: f64,
    #[serde(default = "default::add_text::background_color")]
    pub background_color: String,
    #[serde(default)]
    #[schemars(extend("enum" = [0, 1, 2]))]
    pub background_style: f64,
    #[serde(
        default = "default::background_round_radius",
        deserialize_with = "loose::background_round_radius"
    )]
    #[schemars(with = "f64")]
    pub background_round_radius: f64,
    #[serde(default = "default::background_height")]
    pub background_height: f64,
    #[serde(default = "default::background_width")]
    pub background_width: f64,
    #[serde(default = "default::background_horizontal_offset")]
    pub background_horizontal_offset: f64,
    #[serde(default = "default::background_vertical_offset")]
    pub background_vertical_offset: f64,
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub shadow_enabled: bool,
    #[serde(default = "default::shadow_alpha")]
    pub shadow_alpha: f64,
    #[serde(default = "default::shadow_angle")]
    pub shadow_angle: f64,
    #[serde(default = "default::shadow_color")]
    pub shadow_color: String,
    #[serde(default = "default::shadow_distance")]
    pub shadow_distance: f64,
    #[serde(default = "default::shadow_smoothing")]
    pub shadow_smoothing: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intro_animation: Option<String>,
    #[serde(default = "default::add_text::intro_duration")]
    pub intro_duration: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outro_animation: Option<String>,
    #[serde(default = "default::add_text::outro_duration")]
    pub outro_duration: Option<f64>,
    #[serde(
        default,
        deserialize_with = "args::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub bubble_effect_id: Option<String>,
    #[serde(
        default,
        deserialize_with = "args::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub bubble_resource_id: Option<String>,
    #[serde(
        default,
        deserialize_with = "args::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub effect_effect_id: Option<String>,
    #[serde(default = "default::fixed_width")]
    pub fixed_width: f64,
    #[serde(default = "default::fixed_height")]
    pub fixed_height: f64,
    /// Styles of parts of the text.
    #[serde(
        default,
        deserialize_with = "args::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Vec<TextStyle>")]
    pub text_styles: Vec<TextStyle>,
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
    Some("text_main".to_owned())
}

/// A part of the text.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TextStyle {
    /// First character, from 0.
    #[serde(default)]
    pub start: i64,
    /// Character after the last.
    #[serde(default)]
    pub end: i64,
    // Style of its letters.
    #[serde(default)]
    pub style: Letters,
    // Its border.
    #[serde(default)]
    pub border: Border,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub font: Option<String>,
}

/// The style of the letters of a part of a text.
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

impl AddText {
    fn target(&self) -> CallTarget<'_> {
        CallTarget {
            draft: self.draft_id.as_ref(),
            width: self.width,
            height: self.height,
        }
    }

    fn too_wide(&self, canvas: (f64, f64)) -> Option<String> {
        let size = self.size.or(self.font_size)?;
        let is_boxed = self.vertical || self.fixed_width > 0.0;
        (!is_boxed).then(|| property::too_wide(&self.text, size, canvas))?
    }

    fn text(
        &self,
        canvas: Canvas,
        clip: Clip,
        length: Micros,
        strict: bool,
    ) -> Result<TextContent> {
        let edition = canvas.edition;
        let count = self.text.chars().count() as u32;
        let alpha = parts::part(
            "alpha",
            self.alpha
                .or(self.font_alpha)
                .unwrap_or_else(default::font_alpha),
        )?;
        let border_alpha = parts::part("border_alpha", self.border_alpha)?;
        let background_alpha = parts::part("background_alpha", self.background_alpha)?;
        let font = match &self.font {
            Some(name) => Some(parts::font(edition, "font", name)?),
            None => None,
        };
        let color = match (&self.color, &self.font_color) {
            (Some(color), _) => parts::rgb("color", color)?,
            (None, Some(color)) => parts::rgb("font_color", color)?,
            (None, None) => Rgb(255, 0, 0),
        };
        let border_color = parts::rgb("border_color", &self.border_color)?;
        let has_border = parts::finite("border_width", self.border_width)? > 0.0;
        let whole = CharacterStyle {
            range: (0, count),
            size: parts::finite(
                "font_size",
                self.size
                    .or(self.font_size)
                    .unwrap_or_else(default::font_size),
            )?,
            color,
            alpha,
            bold: false,
            italic: false,
            underline: false,
            stroke: has_border.then_some(Stroke {
                alpha: border_alpha,
                color: border_color,
                width: self.border_width,
            }),
            font,
        };
        let (styles, part_fonts) = if self.text_styles.is_empty() {
            (vec![whole], None)
        } else {
            let (styles, fonts) = self.parts(edition, &whole, border_color, count)?;
            (styles, Some(fonts))
        };
        let shadow = if self.shadow_enabled {
            Some(Shadow {
                alpha: parts::finite("shadow_alpha", self.shadow_alpha)?,
                angle: parts::finite("shadow_angle", self.shadow_angle)?,
                color: self.shadow_color.as_str().into(),
                rgb: shadow_color(&self.shadow_color, strict)?,
                distance: parts::finite("shadow_distance", self.shadow_distance)?,
                smoothing: parts::finite("shadow_smoothing", self.shadow_smoothing)?,
            })
        } else {
            None
        };
        let given = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
        let bubble = given(&self.bubble_effect_id)
            .zip(given(&self.bubble_resource_id))
            .map(|(effect_id, resource_id)| TextEffect {
                effect_id: effect_id.into(),
                resource_id: resource_id.into(),
                ..TextEffect::default()
            });
        let effect = given(&self.effect_effect_id).map(|id| TextEffect {
            effect_id: id.as_str().into(),
            resource_id: id.into(),
            ..TextEffect::default()
        });
        Ok(TextContent {
            text: self.text.as_str().into(),
            styles,
            part_fonts,
            vertical: self.vertical,
            fixed_width: fixed("fixed_width", self.fixed_width, canvas.width)?,
            fixed_height: fixed("fixed_height", self.fixed_height, canvas.height)?,
            has_border,
            background: self.background(background_alpha)?,
            shadow,
            bubble,
            effect,
            animations: self.animations(edition, length)?,
            clip,
            ..TextContent::default()
        })
    }

    /// The styles of the parts and of the text between them, and the fonts of the parts.
    fn parts(
        &self,
        edition: Edition,
        whole: &CharacterStyle,
        border_color: Rgb,
        count: u32,
    ) -> Result<(Vec<CharacterStyle>, Vec<Font>)> {
        let mut wishes: Vec<(usize, &TextStyle)> = self.text_styles.iter().enumerate().collect();
        sorting::sort_by_key(&mut wishes, |(_, wish)| wish.start);
        let between = |from: u32, to: u32| CharacterStyle {
            range: (from, to),
            ..whole.clone()
        };
        let (mut styles, mut fonts, mut done) = (Vec::new(), Vec::new(), 0);
        for (index, wish) in wishes {
            let place = format!("text_styles[{index}]");
            if !(0 <= wish.start && wish.start < wish.end && wish.end <= i64::from(count)) {
                return Err(Error::invalid(format!(
                    "`{place}`: {} to {} is not a range of a text with {count} characters",
                    wish.start, wish.end
                ))
                .hint("`start` counts from 0, and `end` is one after the last character"));
            }
            let range = (wish.start as u32, wish.end as u32);
            if range.0 > done {
                styles.push(between(done, range.0));
            }
            let font = match &wish.font {
                Some(name) => Some(parts::font(edition, &format!("{place}.font"), name)?),
                None => whole.font.clone(),
            };
            fonts.extend(font.clone());
            let letters = &wish.style;
            let color = match &letters.color {
                Some(color) => parts::rgb(&format!("{place}.style.color"), color)?,
                None => whole.color,
            };
            let edge = match &wish.border.color {
                Some(color) => parts::rgb(&format!("{place}.border.color"), color)?,
                None => border_color,
            };
            styles.push(CharacterStyle {
                range,
                size: letters.size.unwrap_or(whole.size),
                color,
                alpha: letters.alpha.unwrap_or(whole.alpha),
                bold: letters.bold,
                italic: letters.italic,
                underline: letters.underline,
                stroke: (wish.border.width > 0.0).then_some(Stroke {
                    alpha: wish.border.alpha.unwrap_or(self.border_alpha),
                    color: edge,
                    width: wish.border.width,
                }),
                font,
            });
            done = range.1;
        }
        if done < count {
            styles.push(between(done, count));
        }
        Ok((styles, fonts))
    }

    fn background(&self, alpha: f64) -> Result<Option<Background>> {
        if alpha <= 0.0 {
            return Ok(None);
        }
        Ok(Some(Background {
            style: background_style(self.background_style)?,
            color: self.background_color.as_str().into(),
            alpha,
            round_radius: parts::finite("background_round_radius", self.background_round_radius)?,
            height: parts::finite("background_height", self.background_height)?,
            width: parts::finite("background_width", self.background_width)?,
            horizontal_offset: 2.0
                * parts::finite(
                    "background_horizontal_offset",
                    self.background_horizontal_offset,
                )?
                - 1.0,
            vertical_offset: 2.0
                * parts::finite(
                    "background_vertical_offset",
                    self.background_vertical_offset,
                )?
                - 1.0,
        }))
    }

    fn animations(&self, edition: Edition, length: Micros) -> Result<Option<Animations>> {
        let mut list = Vec::new();
        for (argument, name, lasting, seconds, kind, phase) in [
            (
                "intro_animation",
                &self.intro_animation,
                "intro_duration",
                self.intro_duration,
                catalog::NameKind::TextIntro,
                Phase::In,
            ),
            (
                "outro_animation",
                &self.outro_animation,
                "outro_duration",
                self.outro_duration,
                catalog::NameKind::TextOutro,
                Phase::Out,
            ),
        ] {
            let Some(name) = name.as_deref().filter(|name| !name.is_empty()) else {
                continue;
            };
            let (mut animation, _) = parts::animation(edition, argument, kind, phase, name)?;
            let seconds = parts::seconds(lasting, seconds.unwrap_or(0.5))?;
            animation.duration = Micros::from_seconds_truncated(seconds).min(length);
            if phase == Phase::Out {
                animation.start = length - animation.duration;
            }
            list.push(animation);
        }
        Ok((!list.is_empty()).then(|| Animations {
            list,
            ..Animations::default()
        }))
    }
}

/// A fraction of the canvas in whole pixels; `None` if the fraction is not above 0.
fn fixed(argument: &str, part: f64, canvas: f64) -> Result<Option<i64>> {
    let part = parts::finite(argument, part)?;
    Ok((part > 0.0).then_some((part * canvas) as i64))
}

/// The number in the document for a background style of the API, where values below 1 count from the end.
pub(crate) fn background_style(style: f64) -> Result<u8> {
    if style == 1.0 || style == -1.0 {
        Ok(0)
    } else if style == 0.0 || style == 2.0 {
        Ok(2)
    } else {
        Err(Error::invalid(format!(
            "`background_style`: {style} is not 0, 1 or 2"
        )))
    }
}

/// The API reads the colour of a shadow at fixed positions after the first character, whether that is `#` or not.
fn shadow_color(color: &str, strict: bool) -> Result<Rgb> {
    if strict {
        return parts::rgb("shadow_color", color);
    }
    let channel = |from: usize| {
        let part = color.get(from..(from + 2).min(color.len()))?;
        u8::from_str_radix(part, 16).ok()
    };
    match (channel(1), channel(3), channel(5)) {
        (Some(red), Some(green), Some(blue)) => Ok(Rgb(red, green, blue)),
        _ => Err(Error::invalid(format!(
            "`shadow_color`: {color:?} is not a colour of the form #RRGGBB"
        ))),
    }
}

impl Tool for AddText {
    const NAME: &'static str = "add_text";
    const TITLE: &'static str = "Add text";
    const HINTS: Hints = Hints::ADD;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Properties(ClipKind::Text),
        InputRule::Rare("text_styles.border"),
        InputRule::Rare("text_styles.font"),
        InputRule::Size,
        InputRule::Position,
        InputRule::Alias("content", "text"),
        InputRule::Times(ToolTimes::Span { seconds: 5.0 }),
        InputRule::Shown("at", "start"),
        InputRule::Alias("from", "start"),
        InputRule::Alias("start_time", "start"),
        InputRule::Alias("target_start", "start"),
        InputRule::Alias("to", "end"),
        InputRule::Alias("end_time", "end"),
        InputRule::Advice("source_start", NO_FILE_TIMES),
        InputRule::Advice("source_end", NO_FILE_TIMES),
        InputRule::Letters,
        InputRule::Default("font_color", "color", Preset::Listed),
        InputRule::With("background_color", "background_alpha", Preset::Number(1.0)),
        InputRule::With("border_color", "border_width", Preset::Number(40.0)),
        InputRule::With("shadow_color", "shadow_enabled", Preset::On),
        InputRule::Alias("font_type", "font"),
        InputRule::Alias("text_color", "font_color"),
        InputRule::Alias("opacity", "font_alpha"),
        InputRule::Alias("x", "transform_x"),
        InputRule::Alias("y", "transform_y"),
    ];
    const CHECKED: &'static [Checked] = &[
        always("start"),
        always("end"),
        always("color"),
        always("font_color"),
        always("alpha"),
        always("font_alpha"),
        always("border_alpha"),
        always("border_color"),
        always("border_width"),
        always("background_alpha"),
        always("fixed_width"),
        always("fixed_height"),
        always("vertical"),
        always("text_styles"),
        beside("background_style", "background_alpha"),
        beside("background_horizontal_offset", "background_alpha"),
        beside("background_vertical_offset", "background_alpha"),
        beside("shadow_color", "shadow_enabled"),
        beside("shadow_smoothing", "shadow_enabled"),
    ];
    const TEXTS: Texts = Texts {
        required: &["text"],
        not_null: &["start", "end"],
        missing: "Hi, the required parameters 'text', 'start' or 'end' are missing. ",
        before: "Error occurred while processing text: ",
        after: ". You can click the link below for help: ",
        unknown: "",
    };
    const USUAL_FONT: Option<fn(Edition) -> &'static str> = Some(catalog::usual_font);
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
        let styles = self.text_styles.iter().enumerate();
        let fonts = styles.filter_map(|(index, style)| {
            let argument = format!("text_styles[{index}].font");
            CatalogName::new(argument, &[catalog::NameKind::Font], style.font.as_deref())
        });
        [
            CatalogName::new("font", &[catalog::NameKind::Font], self.font.as_deref()),
            CatalogName::new(
                "intro_animation",
                &[catalog::NameKind::TextIntro],
                self.intro_animation.as_deref(),
            ),
            CatalogName::new(
                "outro_animation",
                &[catalog::NameKind::TextOutro],
                self.outro_animation.as_deref(),
            ),
        ]
        .into_iter()
        .flatten()
        .chain(fonts)
        .collect()
    }

    fn leaves(&self, _strict: bool) -> Leaves {
        Leaves::segment(
            self.track_name.as_deref(),
            Micros::from_seconds(self.start),
            Some(Micros::from_seconds(self.end)),
            None,
        )
    }

    fn faults(&self) -> Vec<String> {
        let ids = [
            (
                "bubble_effect_id",
                TextEffectKind::Bubble,
                &self.bubble_effect_id,
            ),
            (
                "bubble_resource_id",
                TextEffectKind::Bubble,
                &self.bubble_resource_id,
            ),
            (
                "effect_effect_id",
                TextEffectKind::Letters,
                &self.effect_effect_id,
            ),
        ];
        let faults = ids.into_iter().filter_map(|(argument, kind, id)| {
            let error = kind.check_id(id.as_deref()?).err()?;
            Some(format!("`{argument}`: {error}"))
        });
        faults.collect()
    }

    fn faults_on(&self, canvas: Canvas) -> Faults {
        let mut faults = Faults::default();
        let target = faults
            .of(lengths::span(self.start, self.end))
            .unwrap_or_default();
        let styles = self.text_styles.iter().enumerate();
        let fonts = styles.filter_map(|(index, style)| {
            Some((format!("text_styles[{index}].font"), style.font.as_deref()?))
        });
        let own = self.font.as_deref().map(|name| ("font".to_owned(), name));
        for (argument, name) in own.into_iter().chain(fonts) {
            faults.of(parts::font(canvas.edition, &argument, name));
        }
        for (argument, kind, phase, name) in [
            (
                "intro_animation",
                catalog::NameKind::TextIntro,
                Phase::In,
                &self.intro_animation,
            ),
            (
                "outro_animation",
                catalog::NameKind::TextOutro,
                Phase::Out,
                &self.outro_animation,
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
        faults.of(self.text(canvas, Clip::default(), target.duration, true));
        faults
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Placed> {
        let canvas = engine.canvas(self.target()).await?;
        let target = lengths::span(self.start, self.end)?;
        let clip = args::clip(
            engine::is_strict(call),
            self.position,
            (canvas.width, canvas.height),
            Content::Text,
            Clip {
                transform_x: parts::finite("transform_x", self.transform_x)?,
                transform_y: parts::finite("transform_y", self.transform_y)?,
                ..Clip::default()
            },
        );
        let text = self.text(canvas, clip, target.duration, engine::is_strict(call))?;
        let edit = Edit::Place(Box::new(SegmentPlacement {
            track: TrackChoice {
                name: self.track_name.clone(),
                kind: TrackKind::Text,
                render_index: TrackKind::Text.base(),
                may_make_unnamed: false,
            },
            target,
            content: segment::SegmentContent::Text(Box::new(text)),
            media: None,
        }));
        let mut placed = engine.edit(self.target(), call, edit).await?;
        placed
            .notes
            .extend(self.too_wide((canvas.width, canvas.height)));
        Ok(placed)
    }

    fn reply_from_api(&self, output: &RawValue) -> Result<Placed> {
        let mut placed: Placed = read_output(output)?;
        placed
            .notes
            .extend(self.too_wide((self.width, self.height)));
        Ok(placed)
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
