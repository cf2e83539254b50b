//! `search_catalog`: finds names of effects, transitions, animations, fonts and so on.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::input_rule::InputRule;
use crate::catalog::{self, CatalogEntry, NameKind};
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::tool::Hints;
use crate::units::{Edition, Micros};

/// Finds names of transitions, effects, animations, masks, fonts and audio effects by words, in English or Chinese.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SearchCatalog {
    /// Words or part of a name. Default: the first names.
    #[serde(default)]
    pub query: String,
    /// Only this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [
        "transition", "mask", "video_intro", "video_outro", "video_combo", "text_intro", "text_outro",
        "scene_effect", "character_effect", "voice_filter", "voice_character", "audio_scene", "tone",
        "speech_to_song", "font"
    ]))]
    pub kind: Option<String>,
    /// The app. Default: that of new drafts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["capcut", "jianying"]))]
    pub edition: Option<String>,
    /// Names per page.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// Names to skip.
    #[serde(default)]
    pub offset: u32,
}

fn twenty() -> u32 {
    20
}

/// The matching names, best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CatalogMatches {
    /// The app that has these names.
    pub edition: &'static str,
    /// How many names match.
    pub total: usize,
    pub hits: Vec<CatalogMatch>,
    /// The `offset` of the next names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<usize>,
}

/// A name and its properties.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct CatalogMatch {
    /// The name for other tools.
    pub name: &'static str,
    /// What it names.
    pub kind: &'static str,
    /// The name in the app.
    pub display: &'static str,
    /// Its default length in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Whether the app requires a subscription.
    pub vip: bool,
    /// Its parameters in order, each from 0 to 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<&'static str>,
}

impl From<&'static CatalogEntry> for CatalogMatch {
    fn from(entry: &'static CatalogEntry) -> Self {
        Self {
            name: entry.key,
            kind: entry.kind.name(),
            display: entry.display,
            duration: entry
                .duration
                .filter(|length| length.0 > 0)
                .map(Micros::seconds),
            vip: entry.vip,
            params: entry.params.iter().map(|param| param.name).collect(),
        }
    }
}

impl LocalTool for SearchCatalog {
    const NAME: &'static str = "search_catalog";
    const TITLE: &'static str = "Search catalog";
    const HINTS: Hints = Hints::READ;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Alias("name", "query"),
        InputRule::Alias("keyword", "query"),
        InputRule::Alias("type", "kind"),
        InputRule::Alias("category", "kind"),
        InputRule::ValueAdvice(
            "kind",
            &["filter", "filters", "lut"],
            "no tool adds filters: set them in the app; `scene_effect` has video effects",
        ),
        InputRule::ValueAdvice(
            "kind",
            &["effect", "effects", "video_effect"],
            "did you mean \"scene_effect\" or \"character_effect\"?",
        ),
        InputRule::ValueAdvice(
            "kind",
            &["animation", "animations", "intro", "outro"],
            "did you mean \"video_intro\", \"video_outro\", \"text_intro\" or \"text_outro\"?",
        ),
        InputRule::ValueAdvice(
            "kind",
            &["audio", "sound", "audio_effect", "voice", "sound_effect"],
            "did you mean \"voice_filter\", \"voice_character\", \"audio_scene\" or \"tone\"?",
        ),
        InputRule::ValueAdvice(
            "kind",
            &["sticker", "stickers", "music"],
            "the catalog has no stickers and no music; `sticker_id` is a number from the app or another draft",
        ),
    ];
    type Reply = CatalogMatches;

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(Err(fault)) = self.kind.as_deref().map(str::parse::<NameKind>) {
            faults.push(format!("`kind`: {fault}"));
        }
        if let Err(fault) = edition(self.edition.as_deref(), Edition::Capcut) {
            faults.push(fault.message);
        }
        if !(1..=1000).contains(&self.limit) {
            faults.push(format!(
                "`limit` is {}; it must be from 1 to 1000",
                self.limit
            ));
        }
        faults
    }

    async fn run(&self, app: &Arc<App>, _context: &Context) -> Result<CatalogMatches> {
        let edition = match self.edition.as_deref() {
            None => app.edition().await,
            named => edition(named, app.settings.edition)?,
        };
        let kind = self
            .kind
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|fault: String| Error::invalid(format!("`kind`: {fault}")))?;
        let all = catalog::search(&self.query, kind, edition);
        let page = all.iter().skip(self.offset as usize);
        let hits: Vec<CatalogMatch> = page
            .take(self.limit as usize)
            .map(|hit| hit.entry.into())
            .collect();
        let end = self.offset as usize + hits.len();
        Ok(CatalogMatches {
            edition: edition.name(),
            total: all.len(),
            hits,
            next_offset: (end < all.len()).then_some(end),
        })
    }
}

/// The edition of that name, or `otherwise` if there is no name.
pub(super) fn edition(name: Option<&str>, otherwise: Edition) -> Result<Edition> {
    name.map_or(Ok(otherwise), |name| {
        name.parse()
            .map_err(|fault| Error::invalid(format!("`edition`: {fault}")))
    })
}
