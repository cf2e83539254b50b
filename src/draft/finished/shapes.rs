//! The complete field sets of the objects in a draft, with neutral values.
//!
//! `shapes.json` holds which keys CapCut 9.1 writes for each kind of object. The kinds of which no
//! sample of that version is known (transitions, stickers, effects, masks) hold those of older ones.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use serde::Serialize;
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
    /// All of it as `"key":value,"key":value,`, and where each entry begins, and the last one ends.
    text: Vec<u8>,
    starts: Vec<usize>,
}

impl Shape {
    fn new(neutral: Map<String, Value>) -> Self {
        let mut text = Vec::new();
        let mut starts = vec![0];
        for (key, value) in &neutral {
            entry(&mut text, key, value);
            starts.push(text.len());
        }
        let keys = neutral.keys().cloned();
        Self {
            positions: keys.zip(0..).collect(),
            neutral,
            text,
            starts,
        }
    }

    fn of(kind: &str) -> &'static Self {
        SHAPES
            .get(kind)
            .expect("only kinds of `shapes.json` are asked for, and tests ask for each")
    }

    /// The neutral entries of these positions, each with a comma after it.
    fn entries(&self, positions: Range<usize>) -> &[u8] {
        &self.text[self.starts[positions.start]..self.starts[positions.end]]
    }
}

/// `value` as compact JSON.
pub(super) fn write_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("keys are text, and memory takes everything");
}

fn entry(out: &mut Vec<u8>, key: &str, value: &Value) {
    entry_with(out, key, &|out| write_json(out, value));
}

fn entry_with(out: &mut Vec<u8>, key: &str, write: &dyn Fn(&mut Vec<u8>)) {
    write_json(out, key);
    out.push(b':');
    write(out);
    out.push(b',');
}

/// Ends the list or object whose last entry may have a comma after it.
pub(super) fn close(out: &mut Vec<u8>, bracket: u8) {
    match out.last_mut() {
        Some(last) if *last == b',' => *last = bracket,
        _ => out.push(bracket),
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

/// An object of a kind: what the working document gives, the values that are set in place of those, and the
/// neutral ones for the rest. It is put together while it is written out: cloning a hundred values for each
/// text is what saving would wait for.
#[derive(Clone, Debug)]
pub(crate) struct Filled<'a> {
    shape: &'static Shape,
    given: Option<&'a Map<String, Value>>,
    /// A given key that is left out.
    without: &'static str,
    own: Vec<(&'static str, Value)>,
    /// Own values that are JSON already, which costs less than a tree of them.
    written: Vec<(&'static str, Vec<u8>)>,
}

/// What stands at a key that holds more objects of a shape.
pub(super) type Nested<'w> = (&'static str, &'w dyn Fn(&mut Vec<u8>));

enum Part<'w> {
    Value(&'w Value),
    Written(&'w [u8]),
    Nested(&'w dyn Fn(&mut Vec<u8>)),
}

impl<'a> Filled<'a> {
    pub(crate) fn new(kind: &str) -> Self {
        Self {
            shape: Shape::of(kind),
            given: None,
            without: "",
            own: Vec::new(),
            written: Vec::new(),
        }
    }

    /// What is `given`, filled up.
    pub(crate) fn of(kind: &str, given: Option<&'a Map<String, Value>>) -> Self {
        Self {
            given,
            ..Self::new(kind)
        }
    }

    pub(crate) fn without(self, key: &'static str) -> Self {
        Self {
            without: key,
            ..self
        }
    }

    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.own.iter_mut().find(|(own, _)| *own == key) {
            Some((_, own)) => *own = value,
            None => self.own.push((key, value)),
        }
    }

    /// As [`Filled::set`], with a key of the shape that is set once, and a value that nobody asks for.
    pub(super) fn set_written(&mut self, key: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        let mut json = Vec::new();
        write(&mut json);
        self.written.push((key, json));
    }

    /// The value that will be written.
    pub(crate) fn get(&self, key: &str) -> &Value {
        self.own
            .iter()
            .find_map(|(own, value)| (*own == key).then_some(value))
            .or_else(|| self.given.and_then(|given| given.get(key)))
            .or_else(|| self.shape.neutral.get(key))
            .unwrap_or(&Value::Null)
    }

    /// Writes it in the order of the app, then what the app's version does not know.
    pub(super) fn write(&self, out: &mut Vec<u8>, nested: &[Nested<'_>]) {
        // Looked up by the few own keys, not by the many of the shape, whose text is there already.
        let mut parts: Vec<Option<Part<'_>>> = Vec::new();
        parts.resize_with(self.shape.neutral.len(), || None);
        let mut others: Vec<(&str, &Value)> = Vec::new();
        let given = self.given.into_iter().flatten();
        let given = given.filter(|(key, _)| *key != self.without);
        let given = given.map(|(key, value)| (key.as_str(), value));
        let own = self.own.iter().map(|(key, value)| (*key, value));
        for (key, value) in given.chain(own) {
            if let Some(position) = self.shape.positions.get(key) {
                parts[*position] = Some(Part::Value(value));
            } else if let Some((_, other)) = others.iter_mut().find(|(other, _)| *other == key) {
                *other = value;
            } else {
                others.push((key, value));
            }
        }
        for (key, json) in &self.written {
            parts[self.shape.positions[*key]] = Some(Part::Written(json));
        }
        for (key, write) in nested {
            parts[self.shape.positions[*key]] = Some(Part::Nested(*write));
        }
        out.push(b'{');
        let mut neutral = 0;
        for ((position, part), key) in parts.iter().enumerate().zip(self.shape.neutral.keys()) {
            let Some(part) = part else { continue };
            out.extend_from_slice(self.shape.entries(neutral..position));
            neutral = position + 1;
            match part {
                Part::Value(value) => entry(out, key, value),
                Part::Written(json) => entry_with(out, key, &|out| out.extend_from_slice(json)),
                Part::Nested(write) => entry_with(out, key, write),
            }
        }
        out.extend_from_slice(self.shape.entries(neutral..parts.len()));
        for (key, value) in others {
            entry(out, key, value);
        }
        close(out, b'}');
    }
}

/// `own` filled up to its kind.
pub(crate) fn fill(kind: &str, mut own: Map<String, Value>) -> Value {
    let mut all = shape(kind).clone();
    all.append(&mut own);
    Value::Object(all)
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
        let given = json!({"id": "x", "speed": 2.0, "hidden": 3, "new_key": 1, "mode": 1});
        let mut filled = Filled::of("speed", given.as_object()).without("hidden");
        filled.set("mode", 0);
        filled.set("new_key", 2);
        let mut written = Vec::new();
        filled.write(&mut written, &[]);
        assert_eq!(
            String::from_utf8(written).unwrap(),
            r#"{"type":"speed","mode":0,"speed":2.0,"curve_speed":null,"id":"x","new_key":2}"#
        );
        assert_eq!(
            (filled.get("mode"), filled.get("id")),
            (&json!(0), &json!("x"))
        );
        assert_eq!(filled.get("curve_speed"), &Value::Null);
    }

    #[test]
    fn every_shape_alone_is_written_as_it_is() {
        for kind in SHAPES.keys() {
            let mut written = Vec::new();
            Filled::new(kind).write(&mut written, &[]);
            let written: Value = serde_json::from_slice(&written).unwrap();
            assert_eq!(&written, &Value::Object(shape(kind).clone()), "{kind}");
        }
    }
}
