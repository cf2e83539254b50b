//! The materials of segments: media files, transitions, masks, animations, effects.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::draft::ids::Id;
use crate::units::Micros;

/// A media file; each file is listed once per draft.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MediaMaterial {
    /// Derived from the source: the same file has the same id in every draft.
    pub id: Id,
    pub kind: MediaKind,
    /// URL or path, as given.
    pub source: Box<str>,
    /// The file's name in a draft: a digest of the source, with an extension for the kind.
    pub name: Box<str>,
    /// The app's drafts folder that the call gave, for the path in the working document.
    pub folder: Option<Box<str>>,
    /// What is known about the file.
    pub known: MediaProperties,
    /// Its length as given in the call; zero if it gave none.
    pub given: Micros,
    /// Whether the first segment that used it has an audio effect.
    pub has_effect: bool,
}

/// What a media file is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MediaKind {
    Video,
    Photo,
    Audio,
}

/// The size and length of a media file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MediaProperties {
    /// Pixels; for a file that could not be read, the values that the API assumes.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Zero when it is not known.
    pub duration: Micros,
    /// Whether the file was read; if not, the rest is assumed.
    pub read: bool,
}

/// The length that documents give for a picture, which has none of its own.
pub(crate) const PHOTO_DURATION: Micros = Micros(10_800_000_000);

impl MediaKind {
    /// The folder below `assets`, and the first part of the file's name.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Photo => "image",
            Self::Audio => "audio",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Video => "mp4",
            Self::Photo => "png",
            Self::Audio => "mp3",
        }
    }

    /// The file's name in the working document. Its extension follows from the kind, not the format.
    pub(crate) fn file_name(self, source: &str) -> String {
        use std::fmt::Write as _;
        let mut name = format!("{}_", self.folder());
        for byte in &Sha256::digest(source.as_bytes())[..8] {
            let _ = write!(name, "{byte:02x}");
        }
        name.push('.');
        name.push_str(self.ending());
        name
    }
}

impl MediaMaterial {
    pub(crate) fn new(
        kind: MediaKind,
        source: &str,
        folder: Option<&str>,
        known: MediaProperties,
    ) -> Self {
        let name = kind.file_name(source);
        Self {
            id: Id::of_name(&name),
            kind,
            source: source.into(),
            name: name.into(),
            folder: folder.map(Into::into),
            known,
            given: Micros::ZERO,
            has_effect: false,
        }
    }
}

/// A transition from one segment of a track to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Transition {
    #[serde(skip)]
    pub id: Id,
    /// The display name.
    pub name: Box<str>,
    pub effect_id: Box<str>,
    pub resource_id: Box<str>,
    /// Both segments are visible during the transition.
    pub is_overlap: bool,
    pub duration: Micros,
}

/// Shows only a part of a picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mask {
    #[serde(skip)]
    pub id: Id,
    /// The display name.
    pub name: Box<str>,
    pub resource_id: Box<str>,
    /// The shape.
    pub resource_type: Box<str>,
    pub aspect_ratio: f64,
    /// Offset of the centre in half canvas widths.
    pub center_x: f64,
    /// Offset of the centre in half canvas heights.
    pub center_y: f64,
    /// From 0 to 1.
    pub feather: f64,
    /// As a fraction of the canvas height.
    pub height: f64,
    /// As a fraction of the canvas width.
    pub width: f64,
    pub invert: bool,
    /// Degrees.
    pub rotation: f64,
    /// From 0 to 1.
    pub round_corner: f64,
}

/// Fills the canvas behind a picture with a blurred copy of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Blur {
    #[serde(skip)]
    pub id: Id,
    /// From 0 to 1.
    pub strength: f64,
}

/// The animations of a segment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Animations {
    #[serde(skip)]
    pub id: Id,
    pub list: Vec<Animation>,
}

/// One animation of a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Animation {
    pub phase: Phase,
    /// The display name.
    pub name: Box<str>,
    pub effect_id: Box<str>,
    pub resource_id: Box<str>,
    /// Counted from the start of the segment.
    pub start: Micros,
    pub duration: Micros,
}

/// The part of a segment during which an animation plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    In,
    Out,
    /// The whole segment.
    Group,
    /// Texts only: repeats between entrance and exit.
    Loop,
    /// Texts with words only: follows the words.
    Caption,
}

impl Phase {
    /// The name in documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Group => "group",
            Self::Loop => "loop",
            Self::Caption => "caption",
        }
    }
}

/// A setting of an effect, in the draft's units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub name: Box<str>,
    pub default: f64,
    pub min: f64,
    pub max: f64,
    pub value: f64,
}

/// An effect on a voice or sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AudioEffect {
    #[serde(skip)]
    pub id: Id,
    /// The display name.
    pub name: Box<str>,
    pub resource_id: Box<str>,
    pub category_id: Box<str>,
    pub category_name: Box<str>,
    pub settings: Vec<Setting>,
}

/// Fades a sound in at its start and out at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fade {
    #[serde(skip)]
    pub id: Id,
    pub fade_in: Micros,
    pub fade_out: Micros,
}

impl Fade {
    /// The fades of a sound of this length: the fade-in first, and the fade-out in the rest.
    pub(crate) fn within(self, length: Micros) -> Self {
        let fade_in = self.fade_in.min(length);
        Self {
            fade_in,
            fade_out: self.fade_out.min(length - fade_in),
            ..self
        }
    }

    /// Why a sound of this length has other fades than requested.
    pub(crate) fn shortened(self, length: Micros) -> String {
        format!(
            "the sound is {length} long: `fade_in` and `fade_out` were shortened to {} and {}",
            self.fade_in, self.fade_out
        )
    }
}

/// An effect on everything below it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct VideoEffect {
    #[serde(skip)]
    pub id: Id,
    /// The display name.
    pub name: Box<str>,
    pub effect_id: Box<str>,
    pub resource_id: Box<str>,
    /// Applies to faces.
    pub is_character: bool,
    pub settings: Vec<Setting>,
}

/// A filter over everything below it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FilterLayer {
    #[serde(skip)]
    pub id: Id,
    /// The display name.
    pub name: Box<str>,
    pub effect_id: Box<str>,
    pub resource_id: Box<str>,
    /// From 0 to 1.
    pub strength: f64,
}

/// A sticker of the app's library.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StickerMaterial {
    #[serde(skip)]
    pub id: Id,
    pub resource_id: Box<str>,
}

/// A bubble or an effect of a text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TextEffect {
    #[serde(skip)]
    pub id: Id,
    pub effect_id: Box<str>,
    pub resource_id: Box<str>,
}
