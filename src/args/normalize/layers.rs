//! Filters over everything, as arguments of the tool that adds effects.

use serde_json::Value;

use super::{ArgumentSource, Normalizer};
use crate::args::{Object, set_values};

/// The track for filters, because a track of effects has no filters.
const FILTER_TRACK: &str = "filter_01";

/// Other words for the category.
const FILTERS: [&str; 6] = [
    "filter",
    "filters",
    "color_filter",
    "colour_filter",
    "lut",
    "滤镜",
];

impl Normalizer<'_> {
    /// `filter: "NAME"` is an effect of the category of filters.
    pub(super) fn layers(&mut self, arguments: &mut Object) {
        if self.of == ArgumentSource::Record {
            return;
        }
        set_values::expand(arguments);
        if let Some(Value::String(category)) = arguments.get_mut("effect_category") {
            let plain = category.trim().to_lowercase().replace([' ', '-'], "_");
            if FILTERS.contains(&plain.as_str()) {
                "filter".clone_into(category);
            }
        }
        let given = arguments.keys().find(|name| {
            set_values::find(name).is_some_and(|(property, _)| property.name == "filter")
        });
        if let Some(name) = given.cloned()
            && !arguments.contains_key("effect_type")
            && let Some(filter) = arguments.shift_remove(&name)
        {
            arguments.insert("effect_type".to_owned(), filter);
            arguments.insert("effect_category".to_owned(), "filter".into());
        }
        let strength = arguments.keys().find(|name| {
            set_values::find(name).is_some_and(|(property, _)| property.name == "filter_intensity")
        });
        if let Some(name) = strength.cloned()
            && !arguments.contains_key("intensity")
            && let Some(strength) = arguments.shift_remove(&name)
        {
            arguments.insert("intensity".to_owned(), strength);
        }
        let is_filter = arguments
            .get("effect_category")
            .is_some_and(|own| own == "filter");
        if is_filter && !arguments.contains_key("track_name") {
            arguments.insert("track_name".to_owned(), FILTER_TRACK.into());
        }
    }
}
