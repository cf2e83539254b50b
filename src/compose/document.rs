//! The draft's document, as `query_script` gives it, read only as far as a plan can be compared with it.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::layout::Item;
use super::plan::Section;
use crate::error::{Error, Result};
use crate::units::Micros;

/// The segments of a draft by track.
#[derive(Debug, Default)]
pub(crate) struct Document {
    tracks: HashMap<String, Vec<Segment>>,
}

#[derive(Debug)]
struct Segment {
    start: i64,
    end: i64,
    /// Property and time on the timeline.
    keyframes: Vec<(String, i64)>,
}

impl Document {
    /// Reads the reply of `query_script`.
    pub(crate) fn read(reply: &Value) -> Result<Self> {
        let unreadable = || Error::internal("`query_script` gave no readable document");
        let text = reply["script"].as_str().ok_or_else(unreadable)?;
        let script: Value = serde_json::from_str(text).map_err(|e| unreadable().source(e))?;
        let mut tracks: HashMap<String, Vec<Segment>> = HashMap::new();
        for track in script["tracks"].as_array().into_iter().flatten() {
            let name = track["name"].as_str().unwrap_or_default().to_owned();
            let segments = track["segments"]
                .as_array()
                .into_iter()
                .flatten()
                .map(segment);
            tracks.entry(name).or_default().extend(segments);
        }
        Ok(Self { tracks })
    }

    /// How many segments each track has.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let counts = self.tracks.iter();
        counts
            .map(|(name, segments)| (name.clone(), segments.len()))
            .collect()
    }

    pub(crate) fn segments(&self) -> usize {
        self.tracks.values().map(Vec::len).sum()
    }

    /// Whether the item's call has surely been carried out.
    pub(crate) fn holds(&self, item: &Item) -> bool {
        if item.section == Section::Keyframes {
            return self.holds_keyframes(item);
        }
        self.place_of(item).is_some()
    }

    /// Start and end in seconds of what the item put on its track.
    pub(crate) fn place_of(&self, item: &Item) -> Option<(f64, f64)> {
        let segments = self.tracks.get(item.track())?;
        let number = |key: &str| {
            item.arguments
                .get(key)
                .and_then(Value::as_f64)
                .unwrap_or(0.0)
        };
        let found = match item.section {
            // Captions start where their text says; the track is theirs.
            Section::Subtitles => {
                let offset = Micros::from_seconds_truncated(number("time_offset")).0;
                segments
                    .iter()
                    .filter(|segment| segment.start >= offset)
                    .min_by_key(|s| s.start)
            }
            Section::Audio => at(segments, number("target_start")),
            Section::Visuals if item.arguments.contains_key("video_url") => {
                at(segments, number("target_start"))
            }
            _ => at(segments, number("start")),
        }?;
        Some((Micros(found.start).seconds(), Micros(found.end).seconds()))
    }

    fn holds_keyframes(&self, item: &Item) -> bool {
        let Some(segments) = self.tracks.get(item.track()) else {
            return false;
        };
        let times: Vec<f64> = match item.arguments.get("times").and_then(Value::as_array) {
            Some(times) => times.iter().filter_map(Value::as_f64).collect(),
            None => vec![
                item.arguments
                    .get("time")
                    .and_then(Value::as_f64)
                    .unwrap_or(0.0),
            ],
        };
        !times.is_empty()
            && times.iter().all(|time| {
                let time = Micros::from_seconds_truncated(*time).0;
                segments
                    .iter()
                    .flat_map(|s| &s.keyframes)
                    .any(|(_, at)| *at == time)
            })
    }
}

fn at(segments: &[Segment], start: f64) -> Option<&Segment> {
    let start = Micros::from_seconds(start).0;
    segments.iter().find(|segment| segment.start == start)
}

fn segment(value: &Value) -> Segment {
    let start = value["target_timerange"]["start"].as_i64().unwrap_or(0);
    let duration = value["target_timerange"]["duration"].as_i64().unwrap_or(0);
    let mut keyframes = Vec::new();
    for list in value["common_keyframes"].as_array().into_iter().flatten() {
        let property = list["property_type"].as_str().unwrap_or_default();
        for keyframe in list["keyframe_list"].as_array().into_iter().flatten() {
            let offset = keyframe["time_offset"].as_i64().unwrap_or(0);
            keyframes.push((property.to_owned(), start + offset));
        }
    }
    Segment {
        start,
        end: start + duration,
        keyframes,
    }
}
