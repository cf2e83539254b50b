//! Fixes the document: markers, ids, references, order, keyframe times, and paths of media.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::meta::Bin;
use super::{FixTarget, captions, new_id};
use crate::draft::finished::shapes::{Shapes, shape};
use crate::draft::finished::text::{Units, contiguous, is_contiguous, utf16_len};
use crate::draft::finished::{list, list_mut, range};
use crate::engine::paths::{TOKEN, file_name};
use crate::engine::profile::is_template_machine;
use crate::engine::registry::app_path;
use crate::lint::folder::MediaLocation;
use crate::lint::markers::TEMPLATE_DOCUMENT;
use crate::lint::materials::{MASKS, lacks_flags, may_repeat};
use crate::lint::media::FileMaterial;
use crate::lint::timeline::on_segment_clock;
use crate::sorting;
use crate::units::Range;

/// Fixes `document`, and returns whether anything changed.
pub(super) fn mend(
    patient: &FixTarget<'_>,
    document: &mut Value,
    bin: &Bin,
    notes: &mut Vec<String>,
) -> bool {
    let mut mender = Mender {
        patient,
        changed: false,
    };
    mender.root(document);
    mender.masks(document);
    mender.media(document, bin);
    mender.materials(document);
    mender.tracks(document);
    if patient.has("overlap") && captions::untangle(document, notes) {
        mender.changed = true;
    }
    mender.duration(document);
    mender.changed
}

struct Mender<'a> {
    patient: &'a FixTarget<'a>,
    changed: bool,
}

impl Mender<'_> {
    fn set(&mut self, object: &mut Value, key: &str, value: Value) {
        if object.get(key) != Some(&value) {
            object[key] = value;
            self.changed = true;
        }
    }

    /// Whether the markers are replaced, and with them the app version that the draft is for.
    fn replaces_markers(&self) -> bool {
        ["markers-missing", "markers-stale", "markers-of-other-app"]
            .iter()
            .any(|code| self.patient.has(code))
    }

    fn root(&mut self, document: &mut Value) {
        let profile = &self.patient.profile;
        if self.replaces_markers() {
            let platform = Value::Object(profile.platform.clone());
            self.set(document, "version", json!(profile.version));
            self.set(document, "new_version", json!(profile.new_version));
            self.set(document, "platform", platform.clone());
            self.set(document, "last_modified_platform", platform);
        }
        if self.replaces_markers() || self.patient.has("parts-missing") {
            let shapes = Shapes::of_scheme(profile.scheme());
            let wanted = shapes.neutral("root").iter().chain(&profile.root_extra);
            for (key, neutral) in wanted {
                if document.get(key).is_none() && !["id", "tracks"].contains(&key.as_str()) {
                    self.set(document, key, neutral.clone());
                }
            }
        }
        for key in ["platform", "last_modified_platform"] {
            let platform = &document[key];
            if is_template_machine(|id| platform[id].as_str().unwrap_or_default()) {
                for id in ["device_id", "hard_disk_id", "mac_address"] {
                    self.set(&mut document[key], id, json!(""));
                }
            }
        }
        let id = document["id"].as_str().unwrap_or_default();
        let is_shared = |id: &str| id.eq_ignore_ascii_case(TEMPLATE_DOCUMENT);
        let main = &self.patient.folder.main_timeline;
        let main = main.as_ref().filter(|main| !is_shared(main));
        let is_replaced = id.is_empty() || (is_shared(id) && self.patient.has("shared-id"));
        if is_replaced || (self.patient.has("timeline-id") && main.is_some()) {
            let id = main.cloned().unwrap_or_else(new_id);
            self.set(document, "id", json!(id));
        }
        let fps = document.get("fps");
        if fps.is_some_and(|fps| fps.as_f64().is_none_or(|fps| fps <= 0.0)) {
            self.set(document, "fps", json!(30.0));
        }
    }

    fn masks(&mut self, document: &mut Value) {
        if !self.replaces_markers() && !self.patient.has("mask-list") {
            return;
        }
        for to in self.patient.profile.masks().names() {
            for from in MASKS {
                let materials = &document["materials"];
                if from == *to || list(&materials[from]).is_empty() {
                    continue;
                }
                let there: HashSet<&str> = list(&materials[*to])
                    .iter()
                    .filter_map(|mask| mask["id"].as_str())
                    .collect();
                let missing: Vec<Value> = list(&materials[from])
                    .iter()
                    .filter(|mask| mask["id"].as_str().is_some_and(|id| !there.contains(id)))
                    .cloned()
                    .collect();
                if missing.is_empty() {
                    continue;
                }
                let materials = &mut document["materials"];
                if !materials[*to].is_array() {
                    materials[*to] = json!([]);
                }
                if let Some(masks) = materials[*to].as_array_mut() {
                    masks.extend(missing);
                    self.changed = true;
                }
            }
        }
    }

    /// Corrects the paths of media files and the links to the list of media.
    fn media(&mut self, document: &mut Value, bin: &Bin) {
        for medium in &self.patient.media {
            let mut part = &mut *document;
            for index in &medium.within {
                part = &mut part["materials"]["drafts"][*index]["draft"];
            }
            let material = &mut part["materials"][medium.list][medium.index];
            if !material.is_object() {
                continue;
            }
            self.path(medium, material);
            if medium.is_linked
                && let Some(id) = bin.get(&(medium.list, medium.index))
                && *id != medium.link
            {
                self.set(material, "local_material_id", json!(id));
            }
        }
    }

    fn path(&mut self, medium: &FileMaterial, material: &mut Value) {
        if let MediaLocation::Found(file) = &medium.place {
            self.set(material, "path", json!(app_path(file)));
            return;
        }
        let (MediaLocation::Inside(file) | MediaLocation::Moved(file)) = &medium.place else {
            return;
        };
        let is_renamed = self.patient.renames.contains_key(file);
        if !is_renamed && matches!(medium.place, MediaLocation::Inside(_)) {
            return;
        }
        let inside = self.patient.inside(file);
        self.set(material, "path", json!(format!("{TOKEN}/{inside}")));
        let key = if medium.list == "videos" {
            "material_name"
        } else {
            "name"
        };
        let old = file.file_name().unwrap_or_default().to_string_lossy();
        if is_renamed && material[key].as_str() == Some(&*old) {
            self.set(material, key, json!(file_name(&inside)));
        }
    }

    fn materials(&mut self, document: &mut Value) {
        let lists = document["materials"].as_object_mut();
        for (name, materials) in lists.into_iter().flatten() {
            let Some(materials) = materials.as_array_mut() else {
                continue;
            };
            let mut seen: HashMap<String, Value> = HashMap::new();
            let before = materials.len();
            if self.patient.has("duplicate-id") {
                materials.retain(|material| {
                    let id = material["id"].as_str().unwrap_or_default();
                    let kind = material["type"].as_str().unwrap_or_default();
                    if may_repeat(name, kind) {
                        return true;
                    }
                    if let Some(first) = seen.get(id) {
                        return first != material;
                    }
                    if !id.is_empty() {
                        seen.insert(id.to_owned(), material.clone());
                    }
                    true
                });
            }
            self.changed |= materials.len() != before;
            for material in materials {
                match name.as_str() {
                    "texts" => self.text(material),
                    "videos" if self.patient.has("check-flag") => {
                        let flag = material["check_flag"].as_i64();
                        if let Some(flag) = flag.filter(|flag| lacks_flags(*flag)) {
                            let all = flag | self.patient.profile.video_check_flag();
                            self.set(material, "check_flag", json!(all));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn text(&mut self, text: &mut Value) {
        let Some(mut content) = text["content"]
            .as_str()
            .and_then(|content| serde_json::from_str::<Value>(content).ok())
        else {
            return;
        };
        let words = content["text"].as_str().unwrap_or_default().to_owned();
        let styles = list(&content["styles"]);
        if styles.is_empty() || is_contiguous(&words, styles) {
            return;
        }
        let end = styles
            .last()
            .and_then(|style| style["range"].get(1)?.as_u64());
        let characters = words.chars().count();
        let units = if end == Some(characters as u64) && characters != utf16_len(&words) {
            Units::CodePoints
        } else {
            Units::Utf16
        };
        content["styles"] = Value::Array(contiguous(&words, styles, units));
        self.set(text, "content", json!(content.to_string()));
    }

    fn tracks(&mut self, document: &mut Value) {
        let speeds: HashMap<String, usize> = list(&document["materials"]["speeds"])
            .iter()
            .enumerate()
            .filter_map(|(index, speed)| Some((speed["id"].as_str()?.to_owned(), index)))
            .collect();
        let known: HashSet<String> = document["materials"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(_, materials)| list(materials))
            .filter_map(|material| Some(material["id"].as_str()?.to_owned()))
            .collect();
        let mut ids = HashSet::new();
        // Taken out of the document, so that its speeds can be changed in the loop.
        let mut tracks = document["tracks"].take();
        for track in tracks.as_array_mut().into_iter().flatten() {
            if !track.is_object() {
                continue;
            }
            self.unique(track, &mut ids);
            if !track["name"].is_string() && self.patient.has("track-name") {
                for (key, neutral) in shape("track") {
                    if track.get(key).is_none_or(Value::is_null) {
                        self.set(track, key, neutral.clone());
                    }
                }
            }
            let kind = track["type"].as_str().unwrap_or_default().to_owned();
            let Some(segments) = list_mut(track, "segments") else {
                continue;
            };
            for segment in segments.iter_mut().filter(|segment| segment.is_object()) {
                self.unique(segment, &mut ids);
                self.references(segment, &known);
                self.speed(&kind, segment, &speeds, document);
                self.keyframes(&kind, segment);
                if kind == "audio" && !segment["clip"].is_null() {
                    self.set(segment, "clip", Value::Null);
                }
            }
            let start = |segment: &Value| range(&segment["target_timerange"]).start;
            if !segments.is_sorted_by_key(start) {
                sorting::sort_by_key(segments, start);
                self.changed = true;
            }
        }
        document["tracks"] = tracks;
    }

    fn unique(&mut self, object: &mut Value, ids: &mut HashSet<String>) {
        let id = object["id"].as_str().unwrap_or_default().to_owned();
        if id.is_empty() || !ids.insert(id) {
            let id = new_id();
            ids.insert(id.clone());
            self.set(object, "id", json!(id));
        }
    }

    fn references(&mut self, segment: &mut Value, known: &HashSet<String>) {
        if let Some(references) = list_mut(segment, "extra_material_refs") {
            let before = references.len();
            references.retain(|id| id.as_str().is_some_and(|id| known.contains(id)));
            self.changed |= references.len() != before;
        }
    }

    fn speed(
        &mut self,
        kind: &str,
        segment: &mut Value,
        speeds: &HashMap<String, usize>,
        document: &mut Value,
    ) {
        // A missing speed has its default value, 1.
        let is_right = |speed: Option<&Value>| {
            speed.is_none_or(|speed| speed.as_f64().is_some_and(|speed| speed > 0.0))
        };
        if !is_right(segment.get("speed")) {
            let (target, source) = (
                range(&segment["target_timerange"]),
                range(&segment["source_timerange"]),
            );
            let implied = source.duration.0 as f64 / target.duration.0 as f64;
            let is_usual = (implied - 1.0).abs() < 1e-3 || !implied.is_normal() || implied < 0.0;
            let speed = if !matches!(kind, "video" | "audio") || is_usual {
                1.0
            } else {
                implied
            };
            self.set(segment, "speed", json!(speed));
        }
        let speed_of = |object: &Value| object.get("speed").map_or(Some(1.0), Value::as_f64);
        let speed = speed_of(segment);
        for reference in list(&segment["extra_material_refs"]) {
            let index = reference.as_str().and_then(|id| speeds.get(id));
            let material = index.and_then(|index| document["materials"]["speeds"].get_mut(*index));
            if let Some(material) = material
                && material["curve_speed"].is_null()
                && speed_of(material) != speed
            {
                self.set(material, "speed", json!(speed));
            }
        }
    }

    fn keyframes(&mut self, kind: &str, segment: &mut Value) {
        let target = range(&segment["target_timerange"]);
        let source: Option<Range> = (matches!(kind, "video" | "audio")
            && segment["source_timerange"].is_object())
        .then(|| range(&segment["source_timerange"]));
        let speed = segment["speed"].as_f64().unwrap_or(1.0);
        let Some(lists) = list_mut(segment, "common_keyframes") else {
            return;
        };
        let time = |keyframe: &Value| keyframe["time_offset"].as_f64().unwrap_or_default() as i64;
        let times = || {
            lists
                .iter()
                .flat_map(|all| list(&all["keyframe_list"]))
                .map(time)
        };
        let shift = match (times().min(), times().max()) {
            (Some(first), Some(last)) if on_segment_clock(source, target, first, last) => {
                source.filter(|_| self.patient.has("keyframe-clock"))
            }
            _ => None,
        };
        for all in lists {
            let Some(keyframes) = list_mut(all, "keyframe_list") else {
                continue;
            };
            if let Some(source) = shift {
                for keyframe in keyframes.iter_mut().filter(|keyframe| keyframe.is_object()) {
                    let on_source = source.start.0 + (time(keyframe) as f64 * speed).round() as i64;
                    self.set(keyframe, "time_offset", json!(on_source));
                }
            }
            if !keyframes.is_sorted_by_key(time) {
                sorting::sort_by_key(keyframes, time);
                self.changed = true;
            }
        }
    }

    fn duration(&mut self, document: &mut Value) {
        if !self.patient.has("duration") {
            return;
        }
        let end = list(&document["tracks"])
            .iter()
            .flat_map(|track| list(&track["segments"]))
            .map(|segment| range(&segment["target_timerange"]).end())
            .max()
            .unwrap_or_default();
        self.set(document, "duration", json!(end.0));
    }
}
