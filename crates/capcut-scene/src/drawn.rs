//! How each property of clips is drawn.

/// How close a picture of a property is to the app's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closeness {
    /// Within a pixel, and within 2 of 255 away from edges; sounds as they are mixed.
    Exact,
    Approximate,
    /// A form of our own that has the same idea, such as that of a transition.
    OwnForm,
    NotDrawn,
}

impl Closeness {
    /// In a word or two.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Approximate => "approximate",
            Self::OwnForm => "own form",
            Self::NotDrawn => "not drawn",
        }
    }
}

/// How a property is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawnProperty {
    /// As in [`capcut_draft::PROPERTIES`].
    pub name: &'static str,
    pub closeness: Closeness,
    /// What else a reader should know; may be empty.
    pub remark: &'static str,
}

use Closeness::{Approximate, Exact, NotDrawn, OwnForm};

const fn row(name: &'static str, closeness: Closeness, remark: &'static str) -> DrawnProperty {
    DrawnProperty {
        name,
        closeness,
        remark,
    }
}

/// How each property of [`capcut_draft::PROPERTIES`] is drawn, in its order.
#[rustfmt::skip]
pub static DRAWN: &[DrawnProperty] = &[
    row("volume", Exact, ""),
    row("volume_curve", Exact, ""),
    row("mute", Exact, ""),
    row("speed", Exact, ""),
    row("keep_pitch", Approximate, "with ffmpeg's method"),
    row("speed_curve", Approximate, "the sound follows it in steps"),
    row("reverse", NotDrawn, "plays forwards"),
    row("stabilize", NotDrawn, ""),
    row("remove_background", NotDrawn, ""),
    row("freeze_frame", Exact, ""),
    row("background_image", Approximate, "covers the canvas"),
    row("visible", Exact, ""),
    row("opacity", Exact, ""),
    row("scale", Exact, ""),
    row("scale_x", Exact, ""),
    row("scale_y", Exact, ""),
    row("position_x", Exact, ""),
    row("position_y", Exact, ""),
    row("rotation", Exact, ""),
    row("flip_horizontal", Exact, ""),
    row("flip_vertical", Exact, ""),
    row("crop", Exact, ""),
    row("fit", Exact, ""),
    row("box", Exact, ""),
    row("motion", Exact, ""),
    row("motion_strength", Exact, ""),
    row("blend_mode", Exact, "multiply, screen and add; others with the usual formula"),
    row("filter", NotDrawn, "those without colours are drawn so"),
    row("filter_intensity", NotDrawn, ""),
    row("brightness", Approximate, ""),
    row("contrast", Approximate, ""),
    row("saturation", Approximate, ""),
    row("temperature", Approximate, ""),
    row("tint", Approximate, ""),
    row("highlights", Approximate, ""),
    row("shadows", Approximate, ""),
    row("whites", Approximate, ""),
    row("blacks", Approximate, ""),
    row("exposure", Approximate, ""),
    row("sharpen", NotDrawn, ""),
    row("clarity", NotDrawn, ""),
    row("grain", OwnForm, ""),
    row("faded", Approximate, ""),
    row("vignette", Approximate, ""),
    row("chroma_key", Approximate, ""),
    row("chroma_strength", Approximate, ""),
    row("chroma_shadow", Approximate, ""),
    row("chroma_edge", Approximate, ""),
    row("chroma_spill", Approximate, ""),
    row("fade_in", Exact, ""),
    row("fade_out", Exact, ""),
    row("transition", OwnForm, "the nearest of 25 forms"),
    row("transition_duration", Exact, ""),
    row("background_blur", Approximate, ""),
    row("intro_animation", OwnForm, "the nearest of 23 forms"),
    row("intro_duration", Exact, ""),
    row("outro_animation", OwnForm, "the nearest of 23 forms"),
    row("outro_duration", Exact, ""),
    row("combo_animation", OwnForm, "the nearest of 23 forms"),
    row("combo_duration", Exact, ""),
    row("loop_animation", OwnForm, "the nearest of 23 forms"),
    row("effect_type", NotDrawn, ""),
    row("effect_params", NotDrawn, ""),
    row("effect_keyframes", NotDrawn, ""),
    row("effect_category", NotDrawn, ""),
    row("sticker_id", NotDrawn, ""),
    row("strength", NotDrawn, ""),
    row("mask_type", Approximate, "those of text, brush and pen are not drawn"),
    row("mask_center_x", Approximate, ""),
    row("mask_center_y", Approximate, ""),
    row("mask_width", Approximate, ""),
    row("mask_height", Approximate, ""),
    row("mask_rotation", Approximate, ""),
    row("mask_feather", Approximate, ""),
    row("mask_round_corner", Approximate, ""),
    row("mask_expansion", NotDrawn, ""),
    row("mask_invert", Exact, ""),
    row("text", Approximate, "lines may break elsewhere"),
    row("font", Approximate, "if it is installed; else another"),
    row("font_size", Approximate, "within 10 %"),
    row("font_color", Exact, ""),
    row("bold", Approximate, ""),
    row("italic", Approximate, ""),
    row("underline", Approximate, ""),
    row("alignment", Approximate, ""),
    row("vertical", Approximate, ""),
    row("letter_spacing", Approximate, ""),
    row("line_spacing", Approximate, ""),
    row("border_width", Approximate, ""),
    row("border_color", Exact, ""),
    row("border_alpha", Exact, ""),
    row("background_color", Exact, ""),
    row("background_alpha", Exact, ""),
    row("background_style", NotDrawn, "a box behind the whole text"),
    row("background_round_radius", Approximate, ""),
    row("background_width", Approximate, ""),
    row("background_height", Approximate, ""),
    row("background_horizontal_offset", Approximate, ""),
    row("background_vertical_offset", Approximate, ""),
    row("fixed_width", Approximate, ""),
    row("fixed_height", NotDrawn, "except of vertical text"),
    row("bubble_effect_id", NotDrawn, ""),
    row("bubble_resource_id", NotDrawn, ""),
    row("effect_effect_id", NotDrawn, ""),
    row("text_styles", Approximate, ""),
    row("gradient", NotDrawn, ""),
    row("shadow_enabled", Approximate, ""),
    row("shadow_color", Exact, ""),
    row("shadow_alpha", Exact, ""),
    row("shadow_angle", Approximate, ""),
    row("shadow_distance", Approximate, ""),
    row("shadow_smoothing", Approximate, ""),
    row("position", Exact, ""),
    row("group", Exact, "is not seen"),
    row("start", Exact, ""),
    row("duration", Exact, ""),
    row("source_start", Exact, ""),
    row("media", Exact, ""),
    row("track_name", Exact, "is not seen"),
    row("relative_index", Exact, ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_property_says_how_it_is_drawn() {
        let own: Vec<&str> = DRAWN.iter().map(|row| row.name).collect();
        let all: Vec<&str> = capcut_draft::PROPERTIES
            .iter()
            .map(|property| property.name)
            .collect();
        assert_eq!(own, all);
    }
}
