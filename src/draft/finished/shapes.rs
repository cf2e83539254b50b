//! The complete field sets of the objects in a draft, with neutral values.
//!
//! `shapes.json` holds which keys CapCut 9.1 writes for each kind of object. The kinds of which no
//! sample of that version is known (transitions, stickers, effects, masks) hold those of older ones.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

static SHAPES: LazyLock<HashMap<String, Shape>> = LazyLock::new(|| {
    let shapes: HashMap<String, Map<String, Value>> =
        serde_json::from_str(include_str!("shapes.json")).expect("a test parses this very file");
    let shapes = shapes.into_iter();
    shapes
        .map(|(kind, neutral)| (kind, Shape::new(neutral)))
        .collect()
});

/// The keys of a kind of object in their order.
#[derive(Debug)]
struct Shape {
    neutral: Map<String, Value>,
    /// Where each key stands.
    positions: HashMap<String, usize>,
}

impl Shape {
    fn new(neutral: Map<String, Value>) -> Self {
        let keys = neutral.keys().cloned();
        Self {
            positions: keys.zip(0..).collect(),
            neutral,
        }
    }

    fn of(kind: &str) -> &'static Self {
        SHAPES
            .get(kind)
            .expect("only kinds of `shapes.json` are asked for, and tests ask for each")
    }
}

/// The keys and neutral values of a kind of object.
pub(crate) fn shape(kind: &str) -> &'static Map<String, Value> {
    &Shape::of(kind).neutral
}

/// The keys of the root document.
pub(crate) fn root_keys() -> &'static Map<String, Value> {
    shape("root")
}

/// An object of a kind: its own values, and the neutral ones for the rest. It is filled up while it
/// is written out, since cloning a hundred neutral values for each text is what saving would wait for.
#[derive(Clone, Debug)]
pub(crate) struct Filled {
    shape: &'static Shape,
    pub own: Map<String, Value>,
}

impl Filled {
    pub(crate) fn new(kind: &str, own: Map<String, Value>) -> Self {
        Self {
            shape: Shape::of(kind),
            own,
        }
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.own.insert(key.to_owned(), value.into());
    }

    /// The value that will be written.
    pub(crate) fn get(&self, key: &str) -> &Value {
        self.own
            .get(key)
            .or_else(|| self.shape.neutral.get(key))
            .unwrap_or(&Value::Null)
    }

    pub(crate) fn into_value(mut self) -> Value {
        let mut all = self.shape.neutral.clone();
        all.append(&mut self.own);
        Value::Object(all)
    }
}

/// In the order of the app, then what the app's version does not know.
impl Serialize for Filled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Looked up by the few own keys, not by the many of the shape: it is done for every object of a draft.
        let neutral = &self.shape.neutral;
        let mut values: Vec<&Value> = neutral.values().collect();
        let mut others = Vec::new();
        for (key, value) in &self.own {
            match self.shape.positions.get(key) {
                Some(position) => values[*position] = value,
                None => others.push((key, value)),
            }
        }
        serializer.collect_map(neutral.keys().zip(values).chain(others))
    }
}

/// `own` filled up to its kind.
pub(crate) fn fill(kind: &str, own: Map<String, Value>) -> Value {
    Filled::new(kind, own).into_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reference(name: &str) -> Option<Value> {
        let shared = std::env::var("CAPCUT_SHARED")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
        let path = format!("{shared}/reference-draft/{name}");
        if let Ok(bytes) = std::fs::read(&path) {
            return Some(serde_json::from_slice(&bytes).unwrap());
        }
        eprintln!("skipped: no {path}");
        None
    }

    fn keys(value: &Value) -> Vec<&str> {
        let mut keys: Vec<_> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        keys
    }

    fn check(kind: &str, sample: &Value) {
        let ours = Value::Object(shape(kind).clone());
        assert_eq!(keys(&ours), keys(sample), "{kind}");
        for (key, value) in sample.as_object().unwrap() {
            if value.is_object() && ours[key].is_object() && key != "materials" {
                assert_eq!(keys(&ours[key]), keys(value), "{kind}.{key}");
            }
        }
    }

    #[test]
    fn every_kind_of_object_has_the_keys_of_the_reference_draft() {
        let Some(draft) = reference("draft_content.json") else {
            return;
        };
        check("root", &draft);
        check("track", &draft["tracks"][0]);
        for track in draft["tracks"].as_array().unwrap() {
            check("segment", &track["segments"][0]);
        }
        let materials = &draft["materials"];
        assert_eq!(keys(&shape("root")["materials"]), keys(materials));
        for (list, kind) in [
            ("videos", "video"),
            ("audios", "audio"),
            ("texts", "text"),
            ("canvases", "canvas"),
            ("beats", "beats"),
            ("material_animations", "material_animation"),
            ("placeholder_infos", "placeholder_info"),
            ("speeds", "speed"),
            ("sound_channel_mappings", "sound_channel_mapping"),
            ("material_colors", "material_color"),
            ("vocal_separations", "vocal_separation"),
        ] {
            check(kind, &materials[list][0]);
        }
        let meta = reference("draft_meta_info.json").unwrap();
        check("meta", &meta);
        check("bin_entry", &meta["draft_materials"][0]["value"][0]);
    }

    #[test]
    fn the_field_sets_have_the_known_sizes() {
        for (kind, count) in [
            ("root", 36),
            ("segment", 51),
            ("video", 68),
            ("audio", 62),
            ("text", 126),
        ] {
            assert_eq!(shape(kind).len(), count, "{kind}");
        }
        assert_eq!(shape("root")["config"].as_object().unwrap().len(), 26);
        assert_eq!(shape("root")["materials"].as_object().unwrap().len(), 55);
    }

    #[test]
    fn an_object_is_written_whole_and_keeps_what_the_shape_does_not_know() {
        let own = json!({"id": "x", "speed": 2.0, "new_key": 1});
        let filled = Filled::new("speed", own.as_object().cloned().unwrap());
        let written: Value = serde_json::to_value(&filled).unwrap();
        assert_eq!(
            written,
            json!({"type": "speed", "mode": 0, "speed": 2.0, "curve_speed": null, "id": "x", "new_key": 1})
        );
        assert_eq!(written, filled.into_value());
    }
}
