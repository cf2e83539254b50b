//! How a segment is shown: position, scale, rotation, flips and opacity.

use serde::{Deserialize, Serialize};

/// Position, scale, rotation, flips and opacity on the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Clip {
    pub alpha: f64,
    pub flip_horizontal: bool,
    pub flip_vertical: bool,
    /// Degrees, clockwise.
    pub rotation: f64,
    pub scale_x: f64,
    pub scale_y: f64,
    /// Offset of the centre in half canvas widths: -1 is the left edge, 1 the right.
    pub transform_x: f64,
    /// Offset of the centre in half canvas heights: -1 is the lower edge, 1 the upper.
    pub transform_y: f64,
    /// Both scales change together, until a keyframe sets one of them alone.
    #[serde(default = "yes")]
    pub uniform: bool,
}

fn yes() -> bool {
    true
}

impl Default for Clip {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            flip_horizontal: false,
            flip_vertical: false,
            rotation: 0.0,
            scale_x: 1.0,
            scale_y: 1.0,
            transform_x: 0.0,
            transform_y: 0.0,
            uniform: true,
        }
    }
}

impl Clip {
    /// Whether all values are the defaults.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}
