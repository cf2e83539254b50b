//! What a tool accepts beside its schema: other names, notations and defaults. Each tool has a list of these rules.

use capcut_draft::ClipKind;
use serde_json::Value;

use super::property;

/// A name, a notation or a default that callers expect of a tool's arguments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum InputRule {
    /// Another name for an argument: `(alias, argument)`.
    Alias(&'static str, &'static str),
    /// The name by which schemas show an argument: `(name, argument)`.
    Shown(&'static str, &'static str),
    /// An argument that the list of tools does not name, or a member of a list's items: `list.member`.
    Rare(&'static str),
    /// `resolution: "1920x1080"` and `aspect_ratio: "9:16"` for `width` and `height`.
    Size,
    /// `fps` with its unit, such as "60 fps".
    FrameRate,
    /// `position`: "center", "bottom", … or `{x, y, width, height}` in pixels, for `transform_*` and `scale_*`.
    Position,
    /// `subtitle_text` with its times: one caption as `srt`.
    Caption,
    /// `at`, `duration`, `from` and `to` for the tool's own times.
    Times(ToolTimes),
    /// `bold`, `italic` and `underline` of a whole text, as one of `text_styles`.
    Letters,
    /// `intensity` from 0 to 1 or in percent, as the strength of the effect.
    Intensity,
    /// Arguments that the tool reads but its schema does not list.
    Unlisted(&'static [&'static str]),
    /// `filter` in place of `effect_type`, for a filter over everything.
    Layers,
    /// The value of an argument that is not given: `(argument, not if this one is given, value)`.
    Default(&'static str, &'static str, Preset),
    /// The value of a second argument that an argument needs: `(argument, needs, value)`.
    With(&'static str, &'static str, Preset),
    /// All properties of this kind of clip, also those that the schema does not list, and several of them in one object
    /// `properties`.
    Properties(ClipKind),
    /// An argument whose texts may contain slots of a template, such as `{{title}}`.
    Slots(&'static str),
    /// What to do instead of giving an argument that the tool does not have: `(name, advice)`.
    Advice(&'static str, &'static str),
    /// What to do instead of giving one of these values: `(argument, values, advice)`.
    ValueAdvice(&'static str, &'static [&'static str], &'static str),
}

/// A value that normalisation gives an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Preset {
    /// The default of the list of properties.
    Listed,
    Number(f64),
    On,
}

impl Preset {
    pub(super) fn value(self, argument: &str) -> Value {
        match self {
            Self::Listed => property::default_in(argument, "").unwrap_or_default(),
            Self::Number(number) => property::json(number),
            Self::On => true.into(),
        }
    }
}

/// Which times a tool has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ToolTimes {
    /// `start`, `end` and `duration` in a file, `target_start` on the timeline.
    File,
    /// `start` and `end` on the timeline, and the default length.
    Span { seconds: f64 },
}

impl InputRule {
    /// The names that it adds to those of the schema.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Size => &["resolution", "aspect_ratio", "ratio"],
            Self::Caption => &["subtitle_text"],
            Self::Times(ToolTimes::File) => &["to"],
            Self::Times(ToolTimes::Span { .. }) => &["duration"],
            Self::Letters => &["bold", "italic", "underline"],
            Self::Intensity => &["intensity"],
            Self::Layers => &[
                "filter",
                "filter_type",
                "filter_name",
                "filter_intensity",
                "filter_strength",
            ],
            Self::Unlisted(names) => names,
            Self::Properties(ClipKind::Text) => &[FURTHER, "style"],
            Self::Properties(_) => &GROUPS,
            Self::Alias(..)
            | Self::Shown(..)
            | Self::Rare(_)
            | Self::FrameRate
            | Self::Position
            | Self::Default(..)
            | Self::With(..)
            | Self::Slots(..)
            | Self::Advice(..)
            | Self::ValueAdvice(..) => &[],
        }
    }

    /// The other name and its argument.
    pub(crate) fn other_name(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Alias(alias, argument) | Self::Shown(alias, argument) => Some((alias, argument)),
            _ => None,
        }
    }
}

/// Objects around properties that people and models send.
pub(crate) const GROUPS: [&str; 5] = ["properties", "look", "adjustments", "adjust", "adjustment"];

/// The argument with the properties that a tool accepts without listing them: an object with their own names.
pub(crate) const FURTHER: &str = "properties";

/// Advice for times in a file when there is no file, or one without times.
pub(crate) const NO_FILE_TIMES: &str =
    "it has no times of its own: `at` and `duration` say when it is shown";
