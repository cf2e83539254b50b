//! The complete field sets of the objects in a draft, with neutral values.
//!
//! `shapes.json` lists the keys that CapCut 9.1 writes for each kind of object. Kinds without a known sample of
//! that version (transitions, stickers, effects, masks) have the keys of older versions. `since.json` lists the
//! scheme number (from `new_version`) since which the apps write a key, if that is newer than the oldest scheme
//! that drafts are written for; the numbers come from drafts that the apps saved.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Map, Value};

static NEWEST: LazyLock<HashMap<String, Map<String, Value>>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("shapes.json")).expect("a test parses this file")
});

/// By object path, such as `video.matting`: the scheme of each key that older schemes lack.
static SINCE: LazyLock<HashMap<String, HashMap<String, u32>>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("since.json")).expect("a test parses this file")
});

/// All kinds of objects as the apps of one scheme write them.
#[derive(Debug)]
pub(crate) struct Shapes(HashMap<String, ObjectShape>);

impl Shapes {
    /// The shapes for drafts whose `new_version` begins with this number.
    pub(crate) fn of_scheme(scheme: u32) -> &'static Self {
        static MADE: Mutex<BTreeMap<u32, &'static Shapes>> = Mutex::new(BTreeMap::new());
        let changes = SINCE.values().flat_map(HashMap::values).copied();
        let last_change = changes.filter(|since| *since <= scheme).max();
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        // At most one entry per number in `since.json`, so leaking them is fine.
        made.entry(last_change.unwrap_or_default())
            .or_insert_with(|| Box::leak(Box::new(Self::new(scheme))))
    }

    pub(crate) fn newest() -> &'static Self {
        static SHAPES: LazyLock<&Shapes> = LazyLock::new(|| Shapes::of_scheme(u32::MAX));
        *SHAPES
    }

    fn new(scheme: u32) -> Self {
        let shapes = NEWEST.iter().map(|(kind, newest)| {
            let shape = ObjectShape::new(as_of(scheme, kind, newest), newest);
            (kind.clone(), shape)
        });
        Self(shapes.collect())
    }

    fn of(&self, kind: &str) -> &ObjectShape {
        self.0
            .get(kind)
            .expect("callers only use kinds of `shapes.json`, and tests cover each")
    }

    /// The keys and neutral values of a kind of object.
    pub(crate) fn neutral(&self, kind: &str) -> &Map<String, Value> {
        &self.of(kind).neutral
    }

    /// `own`, completed with the neutral values of its kind.
    pub(crate) fn fill(&self, kind: &str, mut own: Map<String, Value>) -> Value {
        let mut all = self.neutral(kind).clone();
        all.append(&mut own);
        Value::Object(all)
    }
}

/// The object at `path` without the keys that are newer than `scheme`.
fn as_of(scheme: u32, path: &str, newest: &Map<String, Value>) -> Map<String, Value> {
    let since = SINCE.get(path);
    let is_known = |key: &String| {
        since
            .and_then(|since| since.get(key))
            .is_none_or(|since| *since <= scheme)
    };
    let known = newest.iter().filter(|(key, _)| is_known(key));
    known
        .map(|(key, value)| {
            let value = match value {
                Value::Object(inner) => as_of(scheme, &format!("{path}.{key}"), inner).into(),
                other => other.clone(),
            };
            (key.clone(), value)
        })
        .collect()
}

/// The keys of a kind of object, in order.
#[derive(Debug)]
struct ObjectShape {
    neutral: Map<String, Value>,
    /// The position of each key.
    positions: HashMap<String, usize>,
    /// The whole shape as `"key":value,"key":value,`, the start of each entry, and the end of the last.
    text: Vec<u8>,
    starts: Vec<usize>,
    /// Keys that only newer schemes have.
    newer: HashSet<&'static str>,
}

impl ObjectShape {
    fn new(neutral: Map<String, Value>, newest: &'static Map<String, Value>) -> Self {
        let mut text = Vec::new();
        let mut starts = vec![0];
        for (key, value) in &neutral {
            entry(&mut text, key, value);
            starts.push(text.len());
        }
        let keys = neutral.keys().cloned();
        let newer = newest.keys().filter(|key| !neutral.contains_key(*key));
        Self {
            newer: newer.map(String::as_str).collect(),
            positions: keys.zip(0..).collect(),
            neutral,
            text,
            starts,
        }
    }

    /// The neutral entries at these positions, each followed by a comma.
    fn entries(&self, positions: Range<usize>) -> &[u8] {
        &self.text[self.starts[positions.start]..self.starts[positions.end]]
    }
}

/// `value` as compact JSON.
pub(super) fn write_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value)
        .expect("keys are strings, and writing to memory does not fail");
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

/// Closes a list or object, replacing a trailing comma.
pub(super) fn close(out: &mut Vec<u8>, bracket: u8) {
    match out.last_mut() {
        Some(last) if *last == b',' => *last = bracket,
        _ => out.push(bracket),
    }
}

/// The keys and neutral values of a kind of object in the newest scheme.
pub(crate) fn shape(kind: &str) -> &'static Map<String, Value> {
    Shapes::newest().neutral(kind)
}

/// An object of a kind: the values of the working document, overridden by own values, with the neutral ones for
/// the rest. They are merged while the object is written: cloning a hundred values per text would dominate the
/// time of a save.
#[derive(Clone, Debug)]
pub(crate) struct Filled<'a> {
    shape: &'static ObjectShape,
    given: Option<&'a Map<String, Value>>,
    /// A given key that is omitted.
    without: &'static str,
    own: Vec<(&'static str, Value)>,
    /// Own values that are already JSON, which is cheaper than a tree.
    written: Vec<(&'static str, Vec<u8>)>,
}

/// A key that holds further objects of a shape, and the function that writes them.
pub(crate) type Nested<'w> = (&'static str, &'w dyn Fn(&mut Vec<u8>));

enum ValuePart<'w> {
    Value(&'w Value),
    Written(&'w [u8]),
    Nested(&'w dyn Fn(&mut Vec<u8>)),
}

impl<'a> Filled<'a> {
    pub(crate) fn new(shapes: &'static Shapes, kind: &str) -> Self {
        Self {
            shape: shapes.of(kind),
            given: None,
            without: "",
            own: Vec::new(),
            written: Vec::new(),
        }
    }

    /// The `given` object, completed.
    pub(crate) fn of(
        shapes: &'static Shapes,
        kind: &str,
        given: Option<&'a Map<String, Value>>,
    ) -> Self {
        Self {
            given,
            ..Self::new(shapes, kind)
        }
    }

    pub(crate) fn without(self, key: &'static str) -> Self {
        Self {
            without: key,
            ..self
        }
    }

    /// Sets a value; ignored if the object's scheme does not have the key yet.
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.shape.newer.contains(key) {
            return;
        }
        let value = value.into();
        match self.own.iter_mut().find(|(own, _)| *own == key) {
            Some((_, own)) => *own = value,
            None => self.own.push((key, value)),
        }
    }

    /// As [`Filled::set`], for a key of the shape that is set once and never read with [`Filled::get`].
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

    /// Writes the keys in the app's order, then those that the shape does not have.
    pub(crate) fn write(&self, out: &mut Vec<u8>, nested: &[Nested<'_>]) {
        // Iterates over the few own keys; the neutral entries are already serialized.
        let mut parts: Vec<Option<ValuePart<'_>>> = Vec::new();
        parts.resize_with(self.shape.neutral.len(), || None);
        let mut others: Vec<(&str, &Value)> = Vec::new();
        let given = self.given.into_iter().flatten();
        let given = given.filter(|(key, _)| *key != self.without);
        let given = given.map(|(key, value)| (key.as_str(), value));
        let own = self.own.iter().map(|(key, value)| (*key, value));
        for (key, value) in given.chain(own) {
            if let Some(position) = self.shape.positions.get(key) {
                parts[*position] = Some(ValuePart::Value(value));
            } else if let Some((_, other)) = others.iter_mut().find(|(other, _)| *other == key) {
                *other = value;
            } else {
                others.push((key, value));
            }
        }
        for (key, json) in &self.written {
            parts[self.shape.positions[*key]] = Some(ValuePart::Written(json));
        }
        for (key, write) in nested {
            parts[self.shape.positions[*key]] = Some(ValuePart::Nested(*write));
        }
        out.push(b'{');
        let mut neutral = 0;
        for ((position, part), key) in parts.iter().enumerate().zip(self.shape.neutral.keys()) {
            let Some(part) = part else { continue };
            out.extend_from_slice(self.shape.entries(neutral..position));
            neutral = position + 1;
            match part {
                ValuePart::Value(value) => entry(out, key, value),
                ValuePart::Written(json) => {
                    entry_with(out, key, &|out| out.extend_from_slice(json))
                }
                ValuePart::Nested(write) => entry_with(out, key, write),
            }
        }
        out.extend_from_slice(self.shape.entries(neutral..parts.len()));
        for (key, value) in others {
            entry(out, key, value);
        }
        close(out, b'}');
    }
}

/// `own`, completed with the neutral values of its kind in the newest scheme.
pub(crate) fn fill(kind: &str, own: Map<String, Value>) -> Value {
    Shapes::newest().fill(kind, own)
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
        eprintln!("SKIPPED: no {path}");
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
    fn an_object_is_written_whole_and_keeps_unknown_keys() {
        let given = json!({"id": "x", "speed": 2.0, "hidden": 3, "new_key": 1, "mode": 1});
        let mut filled = Filled::of(Shapes::newest(), "speed", given.as_object()).without("hidden");
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
    fn a_shape_without_own_values_is_written_unchanged() {
        for scheme in [0, 131, 167, 179] {
            let shapes = Shapes::of_scheme(scheme);
            for kind in NEWEST.keys() {
                let mut written = Vec::new();
                Filled::new(shapes, kind).write(&mut written, &[]);
                let written: Value = serde_json::from_slice(&written).unwrap();
                assert_eq!(
                    &written,
                    &Value::Object(shapes.neutral(kind).clone()),
                    "{kind}"
                );
            }
        }
    }

    #[test]
    fn a_scheme_has_no_key_of_a_newer_one() {
        for (path, since) in SINCE.iter() {
            let pointer = format!("/{}", path.replace('.', "/"));
            let at = |scheme| {
                let kind = path.split('.').next().unwrap();
                let whole = serde_json::json!({kind: Shapes::of_scheme(scheme).neutral(kind)});
                whole.pointer(&pointer).cloned()
            };
            for (key, since) in since {
                let has = |scheme| at(scheme).is_some_and(|object| object.get(key).is_some());
                assert!(has(*since) && has(u32::MAX), "{path}.{key}");
                assert!(!has(since - 1), "{path}.{key}");
            }
        }
        let mut filled = Filled::new(Shapes::of_scheme(110), "video_effect");
        filled.set("sub_type", 0);
        let mut written = Vec::new();
        filled.write(&mut written, &[]);
        assert!(!String::from_utf8(written).unwrap().contains("sub_type"));
    }

    /// Checks the drafts that the apps saved: no object has a key that is newer than its document's scheme.
    #[test]
    fn drafts_of_the_apps_match_their_scheme() {
        let Some(folders) = crate::golden::app_drafts() else {
            return;
        };
        let documents = folders.iter().flat_map(|folder| {
            let paths = ["draft_content.json", "draft_info.json"].map(|name| folder.join(name));
            paths.into_iter().filter(|path| path.is_file())
        });
        for path in documents {
            let name = path.display();
            let document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let number = document["new_version"].as_str().unwrap().split('.').next();
            let shapes = Shapes::of_scheme(number.unwrap().parse().unwrap());
            let check = |kind: &str, object: &Value| {
                for key in shapes.neutral(kind).keys() {
                    // After an app update, objects of the older version may remain.
                    let is_seen = object.get(key).is_some() || kind == "text" || kind == "audio";
                    let is_mask_list = kind == "root" && key == "materials";
                    assert!(is_seen || is_mask_list, "{name}: {kind}.{key}");
                }
                for key in object.as_object().unwrap().keys() {
                    assert!(
                        !shapes.of(kind).newer.contains(&**key),
                        "{name}: {kind}.{key}"
                    );
                }
            };
            check("root", &document);
            for track in document["tracks"].as_array().unwrap() {
                for segment in track["segments"].as_array().unwrap() {
                    check("segment", segment);
                }
            }
            let lists = [("videos", "video"), ("texts", "text"), ("audios", "audio")];
            for (list, kind) in lists {
                for material in document["materials"][list].as_array().unwrap() {
                    check(kind, material);
                }
            }
        }
    }
}
