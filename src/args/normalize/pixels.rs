//! `transform_x: "100px"` and `x: "100px"`: positions in pixels.

use serde_json::{Value, json};

use super::Normalizer;
use crate::args::Object;
use crate::args::property::decimal;

impl Normalizer<'_> {
    /// Positions in pixels become a `position`: `x` and `y` from the upper left corner, `transform_x` and
    /// `transform_y` from the centre, to the right and up, as the app shows them.
    pub(super) fn pixels(&mut self, arguments: &mut Object) {
        let of = |name: &str| {
            let text = arguments.get(name)?.as_str()?.trim().to_lowercase();
            decimal(text.strip_suffix("px")?)
        };
        let (x, y) = (of("transform_x"), of("transform_y"));
        if x.is_none() && y.is_none() {
            return;
        }
        for (name, pixels) in [("transform_x", x), ("transform_y", y)] {
            if pixels.is_none() && arguments.contains_key(name) {
                self.problems.push(format!(
                    "`{}` is not in pixels and the other one is: give both in one unit",
                    self.sent_as(name, "")
                ));
                return;
            }
        }
        if arguments.contains_key("position") {
            // The check of `position` reports this.
            return;
        }
        let from_corner =
            self.sent_as("transform_x", "") == "x" || self.sent_as("transform_y", "") == "y";
        let position = match (from_corner, x, y) {
            (true, Some(x), Some(y)) => json!({ "x": x, "y": y }),
            (true, ..) => {
                self.problems.push(
                    "`x` and `y` in pixels are measured from the upper left corner: give both"
                        .to_owned(),
                );
                return;
            }
            (false, ..) => Value::Object(
                [("right", x), ("up", y)]
                    .into_iter()
                    .filter_map(|(name, pixels)| Some((name.to_owned(), pixels?.into())))
                    .collect(),
            ),
        };
        arguments.shift_remove("transform_x");
        arguments.shift_remove("transform_y");
        arguments.insert("position".to_owned(), position);
    }
}
