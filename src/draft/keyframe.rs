//! Keyframes, and the properties that they animate.

use serde::{Deserialize, Serialize};

use crate::draft::ids::Id;
use crate::units::Micros;

/// The property that a keyframe animates, by its name in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyframeProperty {
    PositionX,
    PositionY,
    Rotation,
    ScaleX,
    ScaleY,
    UniformScale,
    Alpha,
    Volume,
    Saturation,
    Contrast,
    Brightness,
    Temperature,
    Tint,
    Highlights,
    Shadows,
    Sharpen,
    Vignette,
    Grain,
}

impl KeyframeProperty {
    /// Those that the API has.
    pub(crate) const OF_API: [Self; 11] = [
        Self::PositionX,
        Self::PositionY,
        Self::Rotation,
        Self::ScaleX,
        Self::ScaleY,
        Self::UniformScale,
        Self::Alpha,
        Self::Volume,
        Self::Saturation,
        Self::Contrast,
        Self::Brightness,
    ];

    const FURTHER: [Self; 7] = [
        Self::Temperature,
        Self::Tint,
        Self::Highlights,
        Self::Shadows,
        Self::Sharpen,
        Self::Vignette,
        Self::Grain,
    ];

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::OF_API.into_iter().chain(Self::FURTHER)
    }

    /// The name in requests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PositionX => "position_x",
            Self::PositionY => "position_y",
            Self::Rotation => "rotation",
            Self::ScaleX => "scale_x",
            Self::ScaleY => "scale_y",
            Self::UniformScale => "uniform_scale",
            Self::Alpha => "alpha",
            Self::Volume => "volume",
            Self::Saturation => "saturation",
            Self::Contrast => "contrast",
            Self::Brightness => "brightness",
            Self::Temperature => "temperature",
            Self::Tint => "tint",
            Self::Highlights => "highlights",
            Self::Shadows => "shadows",
            Self::Sharpen => "sharpen",
            Self::Vignette => "vignette",
            Self::Grain => "grain",
        }
    }

    /// The name in documents. A uniform scale is written as the horizontal scale.
    pub(crate) fn document_name(self) -> &'static str {
        match self {
            Self::PositionX => "KFTypePositionX",
            Self::PositionY => "KFTypePositionY",
            Self::Rotation => "KFTypeRotation",
            Self::ScaleX | Self::UniformScale => "KFTypeScaleX",
            Self::ScaleY => "KFTypeScaleY",
            Self::Alpha => "KFTypeAlpha",
            Self::Volume => "KFTypeVolume",
            Self::Saturation => "KFTypeSaturation",
            Self::Contrast => "KFTypeContrast",
            Self::Brightness => "KFTypeBrightness",
            Self::Temperature => "KFTypeTemperature",
            Self::Tint => "KFTypeTone",
            // As the app spells it.
            Self::Highlights => "KFTypeHightLight",
            Self::Shadows => "KFTypeShadow",
            Self::Sharpen => "KFTypeSharpen",
            Self::Vignette => "KFTypeVignetting",
            Self::Grain => "KFTypeParticle",
        }
    }
}

/// The keyframes of one property, sorted by time, then by order of addition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Keyframes {
    pub id: Id,
    pub property: KeyframeProperty,
    pub points: Vec<Keyframe>,
}

/// A value at a time relative to the start of the segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Keyframe {
    pub id: Id,
    pub offset: Micros,
    pub value: f64,
    /// How the value moves to the next keyframe; none is a straight line.
    pub easing: Option<[f64; 4]>,
    /// The sequence number of the call that set it.
    pub call: u64,
}

impl Keyframes {
    pub(crate) fn push(&mut self, keyframe: Keyframe) {
        let at = self
            .points
            .partition_point(|point| point.offset <= keyframe.offset);
        self.points.insert(at, keyframe);
    }
}
