//! The sections of a plan: their keys, tracks and tools, and the keys of their items.

use crate::args::suggest::nearest;
use crate::tools;

/// A section of the plan: its key, its default track, and its tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Section {
    Audio,
    Visuals,
    Texts,
    Subtitles,
    Stickers,
    Effects,
    Keyframes,
}

impl Section {
    /// All sections, in the order in which their items run.
    pub(crate) const ALL: [Self; 7] = [
        Self::Audio,
        Self::Visuals,
        Self::Texts,
        Self::Subtitles,
        Self::Stickers,
        Self::Effects,
        Self::Keyframes,
    ];

    /// The key in the plan.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Visuals => "visuals",
            Self::Texts => "texts",
            Self::Subtitles => "subtitles",
            Self::Stickers => "stickers",
            Self::Effects => "effects",
            Self::Keyframes => "keyframes",
        }
    }

    /// The default track of its items.
    pub(crate) fn track(self) -> &'static str {
        match self {
            Self::Audio => "audio_main",
            // The same for images and videos, so that they follow each other.
            Self::Visuals | Self::Keyframes => "video_main",
            Self::Texts => "text_main",
            Self::Subtitles => "subtitle",
            Self::Stickers => "sticker_main",
            Self::Effects => "effect_01",
        }
    }

    /// What its tracks contain, for people; `None` for keyframes, which are on tracks of other sections.
    pub(crate) fn holds(self) -> Option<&'static str> {
        match self {
            Self::Audio => Some("audio"),
            Self::Visuals => Some("pictures"),
            Self::Texts | Self::Subtitles => Some("texts"),
            Self::Stickers => Some("stickers"),
            Self::Effects => Some("effects"),
            Self::Keyframes => None,
        }
    }

    /// The tools for its items.
    pub(crate) fn tools(self) -> &'static [&'static str] {
        match self {
            Self::Audio => &["add_audio"],
            Self::Visuals => &["add_video", "add_image"],
            Self::Texts => &["add_text"],
            Self::Subtitles => &["add_subtitle"],
            Self::Stickers => &["add_sticker"],
            Self::Effects => &["add_effect"],
            Self::Keyframes => &["add_video_keyframe"],
        }
    }

    /// The section of a tool.
    pub(crate) fn of_tool(tool: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|section| section.tools().contains(&tool))
    }

    /// The keys of a plan's item in addition to the tool's own arguments.
    pub(crate) fn rules(self) -> &'static [&'static str] {
        match self {
            Self::Audio => &[
                "id",
                "fit",
                "loop",
                "duck",
                "loudness_lufs",
                "jump_cut",
                "say",
            ],
            Self::Visuals => &[
                "id",
                "type",
                "duration",
                "loudness_lufs",
                "cut_on",
                "jump_cut",
                "imagine",
                "film",
                "style",
                "seed",
                "provider",
            ],
            Self::Texts | Self::Stickers | Self::Effects => &["id", "duration"],
            Self::Subtitles => &["id", "align_to", "script", "auto", "language"],
            Self::Keyframes => &["id"],
        }
    }
    pub(super) fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.key() == key)
    }

    /// Whether its items accept this key.
    pub(super) fn takes(self, key: &str) -> bool {
        self.rules().contains(&key)
            || self
                .tools()
                .iter()
                .filter_map(|tool| tools::routed(tool))
                .any(|spec| key != "draft_id" && spec.takes(key))
    }

    /// The key of its items that is most similar to an unknown one.
    pub(super) fn near(self, key: &str) -> Option<String> {
        let tools = self.tools().iter().filter_map(|tool| tools::routed(tool));
        let names = tools.filter_map(|spec| spec.input().get("properties")?.as_object());
        let names = names.flat_map(|properties| properties.keys().map(String::as_str));
        nearest(key, names.chain(self.rules().iter().copied())).map(str::to_owned)
    }

    /// The key with the content of its items.
    pub(super) fn content(self) -> &'static str {
        match self {
            Self::Audio => "audio_url",
            Self::Visuals => "image_url",
            Self::Texts => "text",
            Self::Subtitles => "srt",
            Self::Stickers => "sticker_id",
            Self::Effects => "effect_type",
            Self::Keyframes => "property_type",
        }
    }
}
