//! The rows of a draft for people and models: short lines, and the same as JSON.

use std::fmt::Write as _;
use std::path::Path;

use capcut_draft::{
    ClipRow, Cover, Document, InnerClipRow, InspectFilter, Summary, TrackRow, TransitionRow,
};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::engine::documents::document_error;
use crate::engine::paths::located;
use crate::error::Result;

/// Characters of words in a row.
const WORDS: usize = 20;
/// Characters of names in a row.
const NAME: usize = 24;
/// Maximum size of a page as JSON and as text, in bytes; a page of 40 clips fits.
const PAGE_JSON: usize = 7_400;
const PAGE_TEXT: usize = 3_700;
/// How many clips of a compound clip a row names.
const INNER: usize = 5;
/// A search that finds no more clips than this shows them in full.
const IN_FULL: usize = 3;

/// Properties that almost every clip of some drafts has; only clips that are shown in full have them.
const PLACING: [&str; 8] = [
    "position_x",
    "position_y",
    "scale",
    "scale_x",
    "scale_y",
    "rotation",
    "flip_horizontal",
    "flip_vertical",
];

/// A page of rows.
pub(crate) struct RowPage {
    pub tracks: Vec<Value>,
    /// How many clips follow.
    pub more: usize,
    pub shown: usize,
}

/// Seconds to milliseconds: shorter than the document's microseconds, and exact enough to point at a frame.
pub(crate) fn seconds(time: f64) -> f64 {
    (time * 1e3).round() / 1e3
}

/// App, size and length in one line.
pub(crate) fn summary_line(summary: &Summary) -> String {
    let mut line = String::new();
    let app = if summary.app.is_empty() {
        "unknown app"
    } else {
        summary.app
    };
    // Writing to a string cannot fail.
    let _ = write!(line, "{app} {}", summary.app_version);
    if !summary.system.is_empty() {
        let _ = write!(line, " ({})", summary.system);
    }
    let _ = write!(
        line,
        ", {}×{}, {} fps, {} s, {} tracks, {} clips",
        summary.width,
        summary.height,
        summary.fps,
        seconds(summary.duration),
        summary.tracks,
        summary.clips
    );
    if !summary.magnet {
        line.push_str(", magnet off");
    }
    match &summary.cover {
        Some(Cover::At(time)) => {
            let _ = write!(line, ", cover at {} s", seconds(time.micros as f64 / 1e6));
        }
        Some(Cover::File(file)) => {
            let _ = write!(line, ", cover {file}");
        }
        None => {}
    }
    if !summary.markers.is_empty() {
        let _ = write!(line, ", {} markers", summary.markers.len());
    }
    line.replace("  ", " ")
}

/// The schema of the markers.
pub(crate) fn marker_schema(_: &mut SchemaGenerator) -> Schema {
    let text = json!({ "type": "string" });
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": { "at": { "type": "number" }, "title": text, "color": text },
            "required": ["at"],
        },
    })
}

/// The markers on the timeline, as values.
pub(crate) fn marker_values(summary: &Summary) -> Vec<Value> {
    let markers = summary.markers.iter();
    markers.map(|marker| json!(marker)).collect()
}

/// The markers as lines.
pub(crate) fn marker_text(markers: &[Value]) -> String {
    let mut text = String::new();
    for marker in markers {
        let _ = write!(text, "marker {}", marker["at"]);
        for key in ["title", "color"] {
            match marker[key].as_str() {
                Some(value) if key == "title" && !value.is_empty() => {
                    let _ = write!(text, " {value:?}");
                }
                Some(value) if key == "color" => {
                    let _ = write!(text, " {value}");
                }
                _ => {}
            }
        }
        text.push('\n');
    }
    text
}

/// The clips in a compound clip, as one line: kind, times and name of each.
fn inner_text(rows: &[InnerClipRow]) -> String {
    let one = |row: &InnerClipRow| {
        let name = if row.name.is_empty() {
            String::new()
        } else {
            format!(" {:?}", shortened(&row.name, NAME))
        };
        let inside = match row.contains {
            0 => String::new(),
            count => format!(" with {count} clips"),
        };
        let kind = json!(row.kind);
        format!(
            "{} {}-{}{name}{inside}",
            word(&kind),
            seconds(row.start),
            seconds(row.end)
        )
    };
    let shown: Vec<String> = rows.iter().take(INNER).map(one).collect();
    let more = match rows.len().saturating_sub(INNER) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

/// The whole draft as lines: its summary, what cannot be edited, and all rows.
pub(crate) fn whole_text(document: &Document, folder: Option<&Path>) -> Result<String> {
    let rows = document.inspect(&InspectFilter::default());
    let rows = rows.map_err(document_error)?;
    let mut tracks = Vec::new();
    let mut offset = 0;
    loop {
        let page = page(&rows, offset, false, folder);
        tracks.extend(page.tracks);
        offset += page.shown;
        if page.more == 0 || page.shown == 0 {
            break;
        }
    }
    let summary = document.summary();
    let mut text = summary_line(&summary);
    text.push('\n');
    if let Some(reason) = &summary.read_only {
        let _ = writeln!(text, "cannot be edited: {reason}");
    }
    for clip in &summary.read_only_clips {
        let _ = writeln!(text, "{} is {}", clip.id, clip.reason);
    }
    text.push_str(&page_text(&tracks));
    Ok(text)
}

/// The rows from the clip `offset` on, as many as fit on a page. `folder` is where media of the draft are looked for.
pub(crate) fn page(
    rows: &[TrackRow],
    offset: usize,
    in_full: bool,
    folder: Option<&Path>,
) -> RowPage {
    let count: usize = rows.iter().map(|track| track.clips.len()).sum();
    let in_full = in_full && count <= IN_FULL;
    let mut page = RowPage {
        tracks: Vec::new(),
        more: 0,
        shown: 0,
    };
    let (mut bytes, mut text, mut at) = (0, 0, 0);
    let mut is_full = false;
    for row in rows {
        let mut track = track_value(row, offset == 0);
        bytes += track.to_string().len() + 16;
        text += track_text(&track).len();
        let mut clips = Vec::new();
        for clip in &row.clips {
            at += 1;
            if at <= offset {
                continue;
            }
            let value = if in_full {
                full_value(clip, folder)
            } else {
                clip_value(clip, folder)
            };
            bytes += value.to_string().len() + 1;
            text += clip_text(&value).len();
            is_full |= !in_full && page.shown > 0 && (bytes > PAGE_JSON || text > PAGE_TEXT);
            if is_full {
                page.more += 1;
                continue;
            }
            page.shown += 1;
            clips.push(value);
        }
        // A track of which nothing is on this page is on another one.
        if !clips.is_empty() || (row.clips.is_empty() && offset == 0 && !is_full) {
            track["clips"] = Value::Array(clips);
            page.tracks.push(track);
        }
    }
    page
}

fn shortened(text: &str, characters: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(characters) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn track_value(row: &TrackRow, with_gaps: bool) -> Value {
    let mut track = json!({ "id": row.id, "kind": row.kind });
    if !row.name.is_empty() {
        track["name"] = shortened(&row.name, NAME).into();
    }
    for (name, is_set) in [
        ("main", row.main),
        ("muted", row.muted),
        ("hidden", row.hidden),
        ("locked", row.locked),
    ] {
        if is_set {
            track[name] = true.into();
        }
    }
    if with_gaps && !row.gaps.is_empty() {
        let gaps = row.gaps.iter().take(10);
        track["gaps"] = gaps
            .map(|gap| json!([seconds(gap.start), seconds(gap.end)]))
            .collect();
    }
    if with_gaps && !row.overlaps.is_empty() {
        let overlaps = row.overlaps.iter().take(10);
        track["overlaps"] = overlaps
            .map(|overlap| json!([overlap.first, overlap.second]))
            .collect();
    }
    track
}

fn clip_value(row: &ClipRow, folder: Option<&Path>) -> Value {
    let mut clip = Map::new();
    let mut put = |name: &str, value: Value| {
        clip.insert(name.to_owned(), value);
    };
    put("id", row.id.as_str().into());
    put("kind", json!(row.kind));
    put("start", seconds(row.start).into());
    put("end", seconds(row.end).into());
    match (&row.words, &row.media) {
        (Some(words), _) => put("words", shortened(words, WORDS).into()),
        (None, Some(media)) => put("media", shortened(media, NAME).into()),
        (None, None) => {}
    }
    if let Some([from, to]) = row.source {
        put("source", json!([seconds(from), seconds(to)]));
    }
    if row.speed != 1.0 {
        put("speed", seconds(row.speed).into());
    }
    if row.volume != 1.0 {
        put("volume", seconds(row.volume).into());
    }
    if let Some(transition) = &row.transition {
        let name = shortened(&transition.name, NAME);
        put("transition", transition_text(transition, &name).into());
    }
    if !row.effects.is_empty() {
        let names = row.effects.iter().take(3);
        put("effects", names.map(|name| shortened(name, NAME)).collect());
    }
    let look = row.look.iter().filter(|(name, _)| !PLACING.contains(name));
    let look: Map<String, Value> = look
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    if !look.is_empty() {
        put("look", look.into());
    }
    if !row.keyframes.is_empty() {
        let counts = row
            .keyframes
            .iter()
            .map(|(property, points)| (property.clone(), Value::from(points.len())));
        put("keyframes", Value::Object(counts.collect()));
    }
    if let Some(group) = &row.group {
        put("group", shortened(group, 8).into());
    }
    if !row.contains.is_empty() {
        put("contains", inner_text(&row.contains).into());
    }
    if row.hidden {
        put("hidden", true.into());
    }
    if !row.missing.is_empty() || is_missing(row, folder) {
        put("missing", true.into());
    }
    Value::Object(clip)
}

fn transition_text(transition: &TransitionRow, name: &str) -> String {
    format!("{name} {} s", seconds(transition.duration))
}

/// The schema of the rows, in both forms.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "number" });
    let switch = json!({ "type": "boolean" });
    let texts = json!({ "type": "array", "items": text });
    let pair = json!({ "type": "array", "items": number });
    // By property: how many there are, or the time in seconds and the value of each. A listed schema has one type per
    // value, so the values are left open.
    let keyframes = json!({ "type": "object" });
    // By property, as `set` takes them.
    let look = json!({ "type": "object" });
    let clip = json!({
        "type": "object",
        "properties": {
            "id": text, "full_id": text, "kind": text, "start": number, "end": number,
            "words": text, "media": text, "path": text, "source": pair, "speed": number,
            "volume": number, "transition": text, "effects": texts,
            "look": look, "keyframes": keyframes, "group": text, "contains": text,
            "hidden": switch,
            "missing": switch, "missing_materials": texts, "missing_file": switch,
        },
        "required": ["id", "kind", "start", "end"],
    });
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "id": text, "kind": text, "name": text, "main": switch, "muted": switch,
                "hidden": switch, "locked": switch,
                "gaps": { "type": "array", "items": pair },
                "overlaps": { "type": "array", "items": texts },
                "clips": { "type": "array", "items": clip },
            },
            "required": ["id", "kind"],
        },
    })
}

/// All that is known of a clip.
fn full_value(row: &ClipRow, folder: Option<&Path>) -> Value {
    let mut clip = json!(row);
    if let Some(transition) = &row.transition {
        clip["transition"] = transition_text(transition, &transition.name).into();
    }
    if !row.missing.is_empty() {
        clip["missing_materials"] = json!(row.missing);
        clip["missing"] = true.into();
    }
    if !row.contains.is_empty() {
        clip["contains"] = inner_text(&row.contains).into();
    }
    for name in ["start", "end"] {
        let time = clip[name].as_f64().unwrap_or_default();
        clip[name] = seconds(time).into();
    }
    if is_missing(row, folder) {
        clip["missing_file"] = true.into();
    }
    clip
}

/// Whether the file of a clip should be on this machine and is not.
fn is_missing(row: &ClipRow, folder: Option<&Path>) -> bool {
    let path = row.path.as_deref().filter(|path| !path.is_empty());
    let file = path.and_then(|path| located(path, folder));
    file.is_some_and(|file| !file.exists())
}

/// The rows of a page as lines.
pub(crate) fn page_text(tracks: &[Value]) -> String {
    let mut text = String::new();
    for track in tracks {
        text.push_str(&track_text(track));
        for clip in track["clips"].as_array().into_iter().flatten() {
            text.push_str(&clip_text(clip));
        }
    }
    text
}

fn track_text(track: &Value) -> String {
    let mut line = format!("{} {}", word(&track["id"]), word(&track["kind"]));
    if let Some(name) = track["name"].as_str() {
        let _ = write!(line, " {name:?}");
    }
    for name in ["main", "muted", "hidden", "locked"] {
        if track[name] == true {
            let _ = write!(line, " {name}");
        }
    }
    for gap in track["gaps"].as_array().into_iter().flatten() {
        let _ = write!(line, " gap {}-{}", gap[0], gap[1]);
    }
    for overlap in track["overlaps"].as_array().into_iter().flatten() {
        let _ = write!(line, " overlap {}/{}", word(&overlap[0]), word(&overlap[1]));
    }
    line.push('\n');
    line
}

fn clip_text(clip: &Value) -> String {
    let mut line = format!(
        "  {} {} {}-{}",
        word(&clip["id"]),
        word(&clip["kind"]),
        clip["start"],
        clip["end"]
    );
    for name in ["words", "media"] {
        if let Some(text) = clip[name].as_str() {
            let _ = write!(line, " {text:?}");
        }
    }
    if let Some([from, to]) = clip["source"].as_array().map(Vec::as_slice)
        && (from.as_f64() != Some(0.0) || to != &clip["end"])
    {
        let _ = write!(line, " src {from}-{to}");
    }
    for name in ["speed", "volume", "path", "full_id"] {
        match &clip[name] {
            Value::Null => {}
            Value::String(text) => {
                let _ = write!(line, " {name} {text}");
            }
            other => {
                let _ = write!(line, " {name} {other}");
            }
        }
    }
    if let Some(transition) = clip["transition"].as_str() {
        let _ = write!(line, " then {transition}");
    }
    for effect in clip["effects"].as_array().into_iter().flatten() {
        let _ = write!(line, " +{}", word(effect));
    }
    for (property, value) in clip["look"].as_object().into_iter().flatten() {
        let _ = write!(line, " {property}={value}");
    }
    for (property, points) in clip["keyframes"].as_object().into_iter().flatten() {
        let _ = write!(line, " ◆{property} {points}");
    }
    for name in ["group", "contains"] {
        if let Some(text) = clip[name].as_str() {
            let _ = write!(line, " {name} {text}");
        }
    }
    if clip["hidden"] == true {
        line.push_str(" hidden");
    }
    if clip["missing"] == true || clip["missing_file"] == true {
        line.push_str(" MISSING");
    }
    line.push('\n');
    line
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
