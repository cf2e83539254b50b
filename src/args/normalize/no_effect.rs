//! Notes about arguments that have no effect in a call.

use super::{Normalizer, of_schema};
use crate::args::input_rule::InputRule;
use crate::args::{Object, is_truthy};

/// Arguments that have no effect unless one of the second list is given.
pub(super) const NEEDED: [(&[&str], &[&str]); 9] = [
    (&["transition_duration"], &["transition"]),
    (
        &[
            "mask_center_x",
            "mask_center_y",
            "mask_size",
            "mask_rotation",
            "mask_feather",
            "mask_invert",
            "mask_rect_width",
            "mask_round_corner",
        ],
        &["mask_type"],
    ),
    (
        &["intro_duration", "intro_animation_duration"],
        &["intro_animation", "animation"],
    ),
    (
        &["outro_duration", "outro_animation_duration"],
        &["outro_animation"],
    ),
    (&["combo_animation_duration"], &["combo_animation"]),
    (&["effect_params"], &["effect_type"]),
    (
        &[
            "shadow_alpha",
            "shadow_angle",
            "shadow_distance",
            "shadow_smoothing",
        ],
        &["shadow_enabled"],
    ),
    (
        &[
            "background_style",
            "background_round_radius",
            "background_height",
            "background_width",
            "background_horizontal_offset",
            "background_vertical_offset",
        ],
        &["background_color", "background_alpha"],
    ),
    (&["border_alpha"], &["border_width", "border_color"]),
];

impl Normalizer<'_> {
    /// Adds notes about arguments that have no effect in this call.
    pub(super) fn without_effect(&mut self, schema: &Object, arguments: &Object) {
        // Most calls have none of these arguments, and comparing names is cheaper than looking them up.
        let is_given = |names: &[&str]| arguments.keys().any(|name| names.contains(&name.as_str()));
        for (given, needed) in NEEDED {
            if !is_given(given) {
                continue;
            }
            let has = |name: &&&str| arguments.get(**name).is_some_and(is_truthy);
            let Some(first) = needed.iter().find(|name| of_schema(schema, name).is_some()) else {
                continue;
            };
            if needed.iter().any(|name| has(&name)) {
                continue;
            }
            for name in given.iter().filter(|name| arguments.contains_key(**name)) {
                let note = format!("`{name}` has no effect without `{first}`");
                self.normalized.notes.push(note);
            }
        }
        // The API creates a draft of this size when no draft is given.
        if self.rules.contains(&InputRule::Size)
            && is_given(&["width", "height"])
            && !is_given(&["position"])
            && of_schema(schema, "draft_id").is_some()
        {
            let instead = if of_schema(schema, "scale_x").is_some() {
                ": set the size of what is added with `scale_x` and `scale_y`, or `position` as {x, y, width, height}"
            } else if of_schema(schema, "font_size").is_some() {
                ": set the size of a text with `font_size`"
            } else {
                ""
            };
            self.normalized.notes.push(format!(
                "`width` and `height` have no effect here, because `create_draft` sets the canvas size{instead}"
            ));
        }
    }
}
