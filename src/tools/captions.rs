//! The arguments of `add_subtitle` that concern words: karaoke, presets and limits for captions of transcripts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::NameKind;
use crate::draft::material::{Animations, Phase};
use crate::draft::text::{self, KaraokeMode};
use crate::engine::parts;
use crate::error::Result;
use crate::units::{Edition, Micros};

/// The colour of emphasised words if the call gives none.
const COLOR: &str = "#FFD400";
/// How long a word takes to appear.
const POP: Micros = Micros(200_000);

/// Colours words while they are spoken.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct KaraokeWish {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// What is coloured at once. Default: word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<KaraokePart>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KaraokePart {
    Word,
    Line,
}

/// A way to show words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CaptionPreset {
    /// One word at a time, which pops up.
    WordPop,
    /// The word that is spoken has another colour.
    Highlight,
}

/// The emphasis of a call; none for plain captions.
pub(crate) fn karaoke(
    given: Option<&KaraokeWish>,
    preset: Option<CaptionPreset>,
) -> Result<Option<text::Karaoke>> {
    let is_highlight = preset == Some(CaptionPreset::Highlight);
    if given.is_none() && !is_highlight {
        return Ok(None);
    }
    let color = given
        .and_then(|given| given.color.as_deref())
        .unwrap_or(COLOR);
    let mode = match given.and_then(|given| given.per) {
        Some(KaraokePart::Line) => KaraokeMode::Lines,
        _ if is_highlight => KaraokeMode::Word,
        _ => KaraokeMode::Words,
    };
    Ok(Some(text::Karaoke {
        color: parts::rgb("karaoke.color", color)?,
        mode,
    }))
}

/// The entrance of single words.
pub(crate) fn pop(edition: Edition) -> Result<Animations> {
    let name = match edition {
        Edition::Capcut => "Pop_Up",
        Edition::Jianying => "弹入",
    };
    let (mut animation, _) =
        parts::animation(edition, "preset", NameKind::TextIntro, Phase::In, name)?;
    animation.duration = POP;
    Ok(Animations {
        list: vec![animation],
        ..Animations::default()
    })
}
