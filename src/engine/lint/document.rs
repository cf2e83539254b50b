//! What is wrong inside a draft's document.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::Problems;
use super::Severity::{Error, Info, Warning};
use crate::draft::finished::grid::Grid;
use crate::draft::finished::shapes::shape;
use crate::draft::finished::text::{is_contiguous, utf16_len};
use crate::draft::finished::{list, range};
use crate::engine::profile::{self, parts};
use crate::units::{Edition, Micros};

/// The document id that the reference server's template gives to everybody's drafts.
pub(crate) const TEMPLATE_DOCUMENT: &str = "91E08AC5-22FB-47E2-9AA0-7DC300FAEA2B";
/// The ids of its author's machine.
pub(crate) const TEMPLATE_DEVICE: &str = "c4ca4238a0b923820dcc509a6f75849b";
/// The least that an app of any version fills in for a picture; with less it ignores parts of it.
pub(crate) const LEAST_CHECK_FLAG: i64 = 63_487;

/// The kinds of object whose field sets are compared, by the list that holds them.
pub(crate) const KINDS: &[(&str, &str)] =
    &[("videos", "video"), ("audios", "audio"), ("texts", "text")];

/// What is wrong with `document`, which stands in `file`.
pub(crate) fn check(file: &str, document: &Value, problems: &mut Problems) {
    let mut check = Check {
        file,
        document,
        materials: HashMap::new(),
        grid: Grid::new(document["fps"].as_f64().unwrap_or(30.0)),
        problems,
    };
    check.markers();
    check.root();
    check.collect();
    check.fields();
    check.masks();
    check.texts();
    check.tracks();
}

struct Check<'a> {
    file: &'a str,
    document: &'a Value,
    /// The list and the value of each material, by its id.
    materials: HashMap<&'a str, (&'a str, &'a Value)>,
    grid: Grid,
    problems: &'a mut Problems,
}

impl<'a> Check<'a> {
    fn at(&self, place: impl std::fmt::Display) -> String {
        format!("{}: {place}", self.file)
    }

    fn markers(&mut self) {
        let missing = missing_markers(self.document);
        if !missing.is_empty() {
            self.problems.fixable(
                Error,
                "markers-missing",
                self.at(missing.join(", ")),
                "what the app knows its own drafts by is missing: it will speak of an unusual path, or refuse the draft",
                "writes the markers of the newest draft that the app saved here, else those of a built-in profile",
            );
        } else if let Some(why) = stale_markers(self.document) {
            self.problems.fixable(
                Warning,
                "markers-stale",
                self.at("new_version"),
                why,
                "writes the markers of the newest draft that the app saved here, else those of a built-in profile",
            );
        }
        if ["platform", "last_modified_platform"]
            .iter()
            .any(|key| self.document[*key]["device_id"] == TEMPLATE_DEVICE)
        {
            self.problems.fixable(
                Info,
                "template-device",
                self.at("platform.device_id"),
                "the ids of the template's machine stand in it, as in everybody's drafts of that server",
                "empties them",
            );
        }
        if self.document["id"]
            .as_str()
            .is_some_and(|id| id.eq_ignore_ascii_case(TEMPLATE_DOCUMENT))
        {
            self.problems.fixable(
                Warning,
                "template-id",
                self.at("id"),
                "every draft of that server has this same id",
                "gives the draft an id of its own",
            );
        }
    }

    fn root(&mut self) {
        let fps = self.document["fps"].as_f64().unwrap_or_default();
        if fps <= 0.0 {
            self.problems.add(
                Error,
                "fps",
                self.at("fps"),
                "there is no frame rate",
                "save the draft again; 30 is usual",
            );
        }
        let canvas = &self.document["canvas_config"];
        if ["width", "height"]
            .iter()
            .any(|side| canvas[*side].as_f64().unwrap_or_default() <= 0.0)
        {
            self.problems.add(
                Error,
                "canvas",
                self.at("canvas_config"),
                "the canvas has no size",
                "save the draft again with `width` and `height`",
            );
        }
        for (key, what) in [("tracks", "list"), ("materials", "object")] {
            let right = match what {
                "list" => self.document[key].is_array(),
                _ => self.document[key].is_object(),
            };
            if !right {
                self.problems.add(
                    Error,
                    "structure",
                    self.at(key),
                    format!("there is no {what} `{key}`"),
                    "restore the copy that the app keeps (`draft_content.json.bak`), or save the draft again",
                );
            }
        }
        let end = end_of(self.document);
        let told = Micros(self.document["duration"].as_i64().unwrap_or_default());
        if (end.0 - told.0).abs() > self.grid.time(1).0 {
            self.problems.fixable(
                Warning,
                "duration",
                self.at("duration"),
                format!("it says {told}, the last segment ends at {end}"),
                "writes the end of the last segment",
            );
        }
    }

    /// Knows each material, and finds ids that two have.
    fn collect(&mut self) {
        let masks = |name: &str| matches!(name, "masks" | "common_mask" | "common_masks");
        let document = self.document;
        for (name, materials) in document["materials"].as_object().into_iter().flatten() {
            for (index, material) in list(materials).iter().enumerate() {
                let Some(id) = material["id"].as_str() else {
                    continue;
                };
                if let Some((other, _)) = self.materials.insert(id, (name, material))
                    && !(masks(other) && masks(name) && other != name)
                {
                    self.problems.add(
                        Error,
                        "duplicate-id",
                        self.at(format_args!("materials.{name}[{index}].id")),
                        format!("another material in `{other}` has the id {id} too"),
                        "save the draft again from the program that made it",
                    );
                }
            }
        }
    }

    /// Objects with far fewer fields than the app writes.
    fn fields(&mut self) {
        for (name, lacking, all, least, whole) in incomplete(self.document) {
            self.problems.fixable(
                Info,
                "fields-missing",
                self.at(&name),
                format!("{lacking} of {all} have not all of the {whole} fields that CapCut 9.1 writes (one has {least}); some versions fail on that"),
                "adds the missing ones with neutral values",
            );
        }
    }

    fn masks(&mut self) {
        for (from, to) in misplaced_masks(self.document) {
            self.problems.fixable(
                Warning,
                "mask-list",
                self.at(format_args!("materials.{from}")),
                format!(
                    "this version of the app looks for masks in `{to}` only: they will not be seen"
                ),
                &format!("puts them into `{to}` as well"),
            );
        }
        for (index, video) in list(&self.document["materials"]["videos"])
            .iter()
            .enumerate()
        {
            if let Some(flag) = video["check_flag"].as_i64()
                && flag < LEAST_CHECK_FLAG
            {
                self.problems.fixable(
                    Warning,
                    "check-flag",
                    self.at(format_args!("materials.videos[{index}].check_flag")),
                    format!(
                        "with {flag} the app ignores masks, blending and their like on this clip"
                    ),
                    "writes the value of the app",
                );
            }
        }
    }

    fn texts(&mut self) {
        for (index, text) in list(&self.document["materials"]["texts"])
            .iter()
            .enumerate()
        {
            let place = self.at(format_args!("materials.texts[{index}].content"));
            let content = text["content"].as_str().unwrap_or_default();
            let Ok(content) = serde_json::from_str::<Value>(content) else {
                if !content.trim_start().starts_with('<') {
                    self.problems.add(
                        Error,
                        "text-content",
                        place,
                        "the text's content is no JSON",
                        "write the text again in the app",
                    );
                }
                continue;
            };
            let words = content["text"].as_str().unwrap_or_default();
            let styles = list(&content["styles"]);
            if !is_contiguous(words, styles) {
                let end = styles
                    .last()
                    .and_then(|style| style["range"].get(1)?.as_u64());
                self.problems.fixable(
                    Warning,
                    "text-ranges",
                    place,
                    format!(
                        "the styles do not cover the text from 0 to {} in the app's units (UTF-16; they end at {})",
                        utf16_len(words),
                        end.map_or_else(|| "nothing".to_owned(), |end| end.to_string()),
                    ),
                    "counts them anew",
                );
            }
        }
    }

    fn tracks(&mut self) {
        let mut ids = HashSet::new();
        let mut off_grid = (0_usize, 0_usize);
        let mut first_picture = true;
        let document = self.document;
        for (index, track) in list(&document["tracks"]).iter().enumerate() {
            let place = format!("tracks[{index}]");
            let kind = track["type"].as_str().unwrap_or_default();
            if !KNOWN_TRACKS.contains(&kind) {
                self.problems.add(
                    Warning,
                    "track-type",
                    self.at(format_args!("{place}.type")),
                    format!("no track of type \"{kind}\" is known"),
                    format!("one of {}", KNOWN_TRACKS.join(", ")),
                );
            }
            if !track["name"].is_string() {
                self.problems.fixable(
                    Info,
                    "track-name",
                    self.at(format_args!("{place}.name")),
                    "the track has no name; some programs cannot read the draft",
                    "writes an empty one",
                );
            }
            self.unique(&mut ids, track, &place);
            let segments = list(&track["segments"]);
            for (number, segment) in segments.iter().enumerate() {
                let place = format!("{place}.segments[{number}]");
                self.unique(&mut ids, segment, &place);
                self.segment(kind, segment, &place);
                let target = range(&segment["target_timerange"]);
                off_grid.1 += 1;
                if !self.grid.is_on(target.start) || !self.grid.is_on(target.end()) {
                    off_grid.0 += 1;
                }
            }
            self.order(
                segments,
                &place,
                kind == "video" && std::mem::take(&mut first_picture),
            );
        }
        if off_grid.0 > 0 {
            self.problems.add(
                Info,
                "off-grid",
                self.at("tracks"),
                format!(
                    "{} of {} segments begin or end between two frames",
                    off_grid.0, off_grid.1
                ),
                "the app moves them to the nearest frame when it opens the draft",
            );
        }
    }

    fn unique(&mut self, ids: &mut HashSet<&'a str>, object: &'a Value, place: &str) {
        match object["id"].as_str() {
            Some(id) if !id.is_empty() => {
                if !ids.insert(id) {
                    self.problems.add(
                        Error,
                        "duplicate-id",
                        self.at(format_args!("{place}.id")),
                        format!("the id {id} is there twice"),
                        "save the draft again from the program that made it",
                    );
                }
            }
            _ => self.problems.add(
                Error,
                "id-missing",
                self.at(format_args!("{place}.id")),
                "there is no id",
                "save the draft again from the program that made it",
            ),
        }
    }

    /// Order, overlaps and gaps of a track.
    fn order(&mut self, segments: &[Value], place: &str, is_main: bool) {
        let ranges: Vec<_> = segments
            .iter()
            .map(|segment| range(&segment["target_timerange"]))
            .collect();
        if !ranges.is_sorted_by_key(|range| range.start) {
            self.problems.fixable(
                Warning,
                "unsorted",
                self.at(format_args!("{place}.segments")),
                "the segments are not in the order of their times; the app lays out its main track by this order",
                "sorts them",
            );
        }
        let mut by_start: Vec<usize> = (0..ranges.len()).collect();
        by_start.sort_by_key(|index| ranges[*index].start);
        for pair in by_start.windows(2) {
            let (left, right) = (ranges[pair[0]], ranges[pair[1]]);
            if left.end() > right.start {
                self.problems.add(
                    Error,
                    "overlap",
                    self.at(format_args!("{place}.segments[{}]", pair[1])),
                    format!(
                        "it starts at {}, before segment {} ends at {}",
                        right.start,
                        pair[0],
                        left.end()
                    ),
                    "put one of them on another track, or start it later",
                );
            } else if is_main && right.start.0 - left.end().0 > 1 {
                self.problems.add(
                    Warning,
                    "main-track-gap",
                    self.at(format_args!("{place}.segments[{}]", pair[1])),
                    format!("there is a gap before it, from {} to {}: the app closes gaps on its main track, and everything behind comes earlier", left.end(), right.start),
                    "put the clips on a track above an empty main track",
                );
            }
        }
        if is_main
            && let Some(first) = by_start.first()
            && ranges[*first].start.0 > 1
        {
            self.problems.add(
                Warning,
                "main-track-gap",
                self.at(format_args!("{place}.segments[{first}]")),
                format!(
                    "the main track begins at {}: the app moves it to 0",
                    ranges[*first].start
                ),
                "put the clips on a track above an empty main track",
            );
        }
    }

    fn segment(&mut self, kind: &str, segment: &Value, place: &str) {
        let target = range(&segment["target_timerange"]);
        if target.duration <= Micros::ZERO || target.start < Micros::ZERO {
            self.problems.add(
                Error,
                "time-range",
                self.at(format_args!("{place}.target_timerange")),
                format!(
                    "it starts at {} and lasts {}",
                    target.start, target.duration
                ),
                "remove the segment, or give it a length",
            );
        }
        let id = segment["material_id"].as_str().unwrap_or_default();
        let material = self.materials.get(id).copied();
        match material {
            None => self.problems.add(
                Error,
                "material-missing",
                self.at(format_args!("{place}.material_id")),
                format!("no material has the id {id:?}"),
                "remove the segment in the app, or save the draft again",
            ),
            Some((list, _)) if !holds(kind, list) => self.problems.add(
                Error,
                "material-kind",
                self.at(format_args!("{place}.material_id")),
                format!("a track of type {kind} cannot show a material of `{list}`"),
                "put the segment on a track of the right type",
            ),
            Some(_) => {}
        }
        for (number, reference) in list(&segment["extra_material_refs"]).iter().enumerate() {
            if reference
                .as_str()
                .is_none_or(|id| !self.materials.contains_key(id))
            {
                self.problems.fixable(
                    Warning,
                    "dangling-reference",
                    self.at(format_args!("{place}.extra_material_refs[{number}]")),
                    format!("no material has the id {reference}"),
                    "removes the reference",
                );
            }
        }
        self.speed(kind, segment, place, material.map(|(_, material)| material));
        self.keyframes(kind, segment, place);
    }

    fn speed(&mut self, kind: &str, segment: &Value, place: &str, material: Option<&Value>) {
        let speed = segment["speed"].as_f64();
        if speed.is_none_or(|speed| speed <= 0.0) {
            self.problems.fixable(
                Warning,
                "speed",
                self.at(format_args!("{place}.speed")),
                format!("the speed is {}", segment["speed"]),
                "writes the speed that the times imply",
            );
            return;
        }
        if !matches!(kind, "video" | "audio") || !segment["source_timerange"].is_object() {
            return;
        }
        let speed = speed.unwrap_or(1.0);
        let (target, source) = (
            range(&segment["target_timerange"]),
            range(&segment["source_timerange"]),
        );
        let frame = self.grid.time(1).0;
        let implied = target.duration.0 as f64 * speed;
        if (source.duration.0 as f64 - implied).abs() > (implied * 0.01).max(frame as f64 * speed) {
            self.problems.add(
                Warning,
                "speed-times",
                self.at(format_args!("{place}.source_timerange")),
                format!(
                    "{} of material in {} is not speed {speed}",
                    source.duration, target.duration
                ),
                "set the speed again in the app",
            );
        }
        if mismatched_speed(segment, &self.materials) {
            self.problems.fixable(
                Warning,
                "speed-material",
                self.at(format_args!("{place}.extra_material_refs")),
                format!("its speed material has another speed than the segment ({speed})"),
                "writes the segment's speed into it",
            );
        }
        if let Some(material) = material {
            let length = material["duration"].as_i64().unwrap_or_default();
            let endless = matches!(material["type"].as_str(), Some("photo" | "gif"));
            if !endless && length > 0 && source.end().0 > length + frame {
                self.problems.add(
                    Warning,
                    "beyond-media",
                    self.at(format_args!("{place}.source_timerange")),
                    format!("it reads to {}, its material ends at {}: the app then plays from the start of the file", source.end(), Micros(length)),
                    "shorten the segment",
                );
            }
        }
    }

    fn keyframes(&mut self, kind: &str, segment: &Value, place: &str) {
        if !matches!(kind, "video" | "audio") || !segment["source_timerange"].is_object() {
            return;
        }
        let source = range(&segment["source_timerange"]);
        let target = range(&segment["target_timerange"]);
        let times: Vec<i64> = list(&segment["common_keyframes"])
            .iter()
            .flat_map(|all| list(&all["keyframe_list"]))
            .filter_map(|keyframe| keyframe["time_offset"].as_i64())
            .collect();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return;
        };
        let frame = self.grid.time(1).0;
        let on_source = *first >= source.start.0 - frame && *last <= source.end().0 + frame;
        if !on_source && *first >= 0 && *last <= target.duration.0 + frame {
            self.problems.add(
                Warning,
                "keyframe-clock",
                self.at(format_args!("{place}.common_keyframes")),
                format!("the keyframes lie from {} to {}, which the clip's own part of the file ({} to {}) does not have: the motion will not be seen",
                    Micros(*first), Micros(*last), source.start, source.end()),
                "keyframes count from the start of the file; set them again in the app, or save the draft from here",
            );
        }
    }
}

const KNOWN_TRACKS: &[&str] = &[
    "video", "audio", "text", "sticker", "effect", "filter", "adjust",
];

/// Whether a track of this type can show materials of this list.
fn holds(kind: &str, list: &str) -> bool {
    match kind {
        "video" => matches!(list, "videos" | "drafts" | "tail_leaders"),
        "audio" => matches!(list, "audios" | "videos" | "drafts"),
        "text" => matches!(list, "texts" | "text_templates"),
        _ => true,
    }
}

/// The end of the last segment.
pub(crate) fn end_of(document: &Value) -> Micros {
    list(&document["tracks"])
        .iter()
        .flat_map(|track| list(&track["segments"]))
        .map(|segment| range(&segment["target_timerange"]).end())
        .max()
        .unwrap_or_default()
}

/// The markers without which no version opens a draft.
pub(crate) fn missing_markers(document: &Value) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if document["version"].as_i64().is_none() {
        missing.push("version");
    }
    if document["new_version"].as_str().is_none_or(str::is_empty) {
        missing.push("new_version");
    }
    for key in ["platform", "last_modified_platform"] {
        let text = |field: &str| document[key][field].as_str().unwrap_or_default();
        if profile::edition_of(text("app_source")).is_none() || text("app_version").is_empty() {
            missing.push(key);
        }
    }
    missing
}

/// Why the markers look older than the app that they name.
pub(crate) fn stale_markers(document: &Value) -> Option<String> {
    let platform = &document["last_modified_platform"];
    let edition = profile::edition_of(platform["app_source"].as_str()?)?;
    let version = platform["app_version"].as_str()?;
    let scheme = document["new_version"].as_str()?;
    let os = profile::AppOs::Windows;
    let expected = profile::Profile::for_version(edition, os, version)
        .ok()?
        .new_version;
    let number = |text: &str| parts(text).and_then(|parts| parts.first().copied());
    (number(scheme)? + 4 < number(&expected)?).then(|| {
        format!(
            "{} {version} writes {expected} here, not {scheme}: newer versions take the draft for a foreign one",
            edition.app()
        )
    })
}

/// The edition that a document says it is of.
pub(crate) fn edition_of(document: &Value) -> Option<Edition> {
    ["last_modified_platform", "platform"]
        .into_iter()
        .find_map(|key| profile::edition_of(document[key]["app_source"].as_str()?))
}

/// Kinds of object that lack more than a quarter of their fields: place, how many do, of how many,
/// the fewest fields, and how many there should be.
pub(crate) fn incomplete(document: &Value) -> Vec<(String, usize, usize, usize, usize)> {
    let mut found = Vec::new();
    let mut look = |name: String, kind: &str, objects: &mut dyn Iterator<Item = &Value>| {
        let whole = shape(kind).len();
        let (mut lacking, mut all, mut least) = (0, 0, whole);
        for fields in objects.filter_map(|object| Some(object.as_object()?.len())) {
            all += 1;
            if fields * 4 < whole * 3 {
                lacking += 1;
                least = least.min(fields);
            }
        }
        if lacking > 0 {
            found.push((name, lacking, all, least, whole));
        }
    };
    look(
        "the document".to_owned(),
        "root",
        &mut std::iter::once(document),
    );
    let mut segments = list(&document["tracks"])
        .iter()
        .flat_map(|track| list(&track["segments"]));
    look("tracks[].segments".to_owned(), "segment", &mut segments);
    for (name, kind) in KINDS {
        let materials = &document["materials"][*name];
        look(
            format!("materials.{name}"),
            kind,
            &mut list(materials).iter(),
        );
    }
    found
}

/// Lists of masks whose masks the app looks for in another: from, to.
pub(crate) fn misplaced_masks(document: &Value) -> Vec<(&'static str, &'static str)> {
    let Some(edition) = edition_of(document) else {
        return Vec::new();
    };
    let version = document["last_modified_platform"]["app_version"]
        .as_str()
        .unwrap_or_default();
    let Ok(profile) = profile::Profile::for_version(edition, profile::AppOs::Windows, version)
    else {
        return Vec::new();
    };
    let ids = |name: &str| -> HashSet<&str> {
        list(&document["materials"][name])
            .iter()
            .filter_map(|mask| mask["id"].as_str())
            .collect()
    };
    let mut misplaced = Vec::new();
    for to in profile.masks().names() {
        for from in ["masks", "common_mask"] {
            if from != *to && !ids(from).is_subset(&ids(to)) {
                misplaced.push((from, *to));
            }
        }
    }
    misplaced
}

/// Whether a segment's speed material disagrees with it.
fn mismatched_speed(segment: &Value, materials: &HashMap<&str, (&str, &Value)>) -> bool {
    let Some(speed) = segment["speed"].as_f64() else {
        return false;
    };
    list(&segment["extra_material_refs"])
        .iter()
        .filter_map(|id| materials.get(id.as_str()?))
        .filter(|(list, material)| *list == "speeds" && material["curve_speed"].is_null())
        .filter_map(|(_, material)| material["speed"].as_f64())
        .any(|other| (other - speed).abs() > 1e-6)
}
