//! What clips are, and how they are called in messages.

use std::borrow::Cow;

use serde::Serialize;

use crate::content::TextContent;
use crate::document::{ClipRef, Dialect, Document, MaterialRef, TrackRef};
use crate::field::{material, track};
use crate::grid::Seconds;

/// What a clip shows or plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipKind {
    Video,
    Image,
    Audio,
    Text,
    Sticker,
    Effect,
    Filter,
    Adjust,
    /// A draft within the draft; its inside cannot be edited.
    Compound,
    /// Its inside cannot be edited.
    TextTemplate,
    /// Of a material that this version does not know, or of none.
    Unknown,
}

impl ClipKind {
    /// The word for it in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Text => "text",
            Self::Sticker => "sticker",
            Self::Effect => "effect",
            Self::Filter => "filter",
            Self::Adjust => "adjustment",
            Self::Compound => "compound clip",
            Self::TextTemplate => "text template",
            Self::Unknown => "clip of unknown kind",
        }
    }

    /// Why the inside of such a clip cannot be edited.
    pub fn read_only(self) -> Option<&'static str> {
        match self {
            Self::Compound => {
                Some("a compound clip: the draft inside it can only be edited in the app")
            }
            Self::TextTemplate => {
                Some("a text template: its words and look can only be edited in the app")
            }
            Self::Unknown => Some("of a kind that this version does not know"),
            _ => None,
        }
    }

    /// The kind of a clip with a material of this list and type.
    pub(crate) fn of(list: &str, kind: &str, is_compound: bool) -> Self {
        match (list, kind) {
            ("videos", _) if is_compound => Self::Compound,
            ("videos", "photo" | "gif") => Self::Image,
            ("videos", _) => Self::Video,
            ("audios", _) => Self::Audio,
            ("texts", _) => Self::Text,
            ("stickers", _) => Self::Sticker,
            ("video_effects", _) => Self::Effect,
            ("effects", "filter") => Self::Filter,
            ("effects", "adjust") | ("placeholders", _) => Self::Adjust,
            ("text_templates", _) => Self::TextTemplate,
            ("drafts", _) => Self::Compound,
            _ => Self::Unknown,
        }
    }

    /// Whether its material has a clock, so that it has a part of a file.
    pub(crate) fn has_source(self) -> bool {
        matches!(self, Self::Video | Self::Audio | Self::Compound)
    }
}

impl Document {
    /// What a clip shows or plays.
    pub fn clip_kind(&self, clip: ClipRef) -> ClipKind {
        let Some(main) = self.main_material(clip) else {
            return ClipKind::Unknown;
        };
        let kind = self.value(main, &material::KIND);
        let list = self.list_name(main);
        let is_compound = list == "videos" && self.companion(clip, &["drafts"]).is_some();
        ClipKind::of(list, &kind, is_compound)
    }

    /// The words of a text clip.
    pub fn words(&self, clip: ClipRef) -> Option<String> {
        let main = self.main_material(clip)?;
        (self.list_name(main) == "texts").then(|| {
            TextContent::read(&self.value(main, &material::CONTENT))
                .words()
                .into_owned()
        })
    }

    /// The name of what a clip shows or plays: a file, an effect, a sticker.
    pub fn media_name(&self, clip: ClipRef) -> Option<String> {
        let main = self.main_material(clip)?;
        // Working documents name files by a hash; people know the file that was added.
        if self.dialect() == Dialect::Api
            && let Some(url) = self.get(main, &material::REMOTE_URL)
            && let Some(name) = name_in_url(&url)
        {
            return Some(name.to_owned());
        }
        self.material_name(main).or_else(|| {
            let path = self.value(main, &material::PATH);
            let name = path
                .rsplit(['/', '\\'])
                .next()
                .unwrap_or_default()
                .to_owned();
            (!name.is_empty()).then_some(name)
        })
    }

    /// The name that a material states: that of its file, effect or sticker; none if it is missing or empty.
    pub fn material_name(&self, material: MaterialRef) -> Option<String> {
        let names = [material::MATERIAL_NAME, material::NAME].into_iter();
        names
            .filter_map(|name| self.get(material, &name))
            .find(|name| !name.is_empty())
    }

    /// Kind, name or words, track and time of a clip, for messages.
    pub fn describe(&self, clip: ClipRef) -> String {
        let label = self.words(clip).or_else(|| self.media_name(clip));
        let label = label.map_or(String::new(), |label| {
            format!(" \"{}\"", shortened(&label, 24))
        });
        format!(
            "{} ({}{label} on {} at {})",
            self.short_id(clip),
            self.clip_kind(clip).word(),
            self.short_track_id(self.track_of(clip)),
            Seconds(self.target(clip).start)
        )
    }

    /// Id and name of a track, for messages.
    pub(crate) fn describe_track(&self, track: TrackRef) -> String {
        let name = self.value(track, &track::NAME);
        let id = self.short_track_id(track);
        if name.is_empty() {
            format!("{id} ({})", self.value(track, &track::KIND))
        } else {
            format!("{id} \"{name}\"")
        }
    }

    /// Whether edits of a track's clips are refused, as in the app.
    pub fn is_locked(&self, track: TrackRef) -> bool {
        self.value(track, &track::ATTRIBUTE) & 4 != 0
    }
}

/// The file's name in a path or URL.
pub(crate) fn name_in_url(url: &str) -> Option<&str> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split(['?', '#']).next().unwrap_or(rest),
        None => url,
    };
    let name = path.rsplit(['/', '\\']).next()?;
    (!name.is_empty()).then_some(name)
}

/// At most `length` characters.
pub(crate) fn shortened(text: &str, length: usize) -> Cow<'_, str> {
    match text.char_indices().nth(length) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
    }
}
