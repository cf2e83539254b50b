//! The draft's document from `query_script`; only the parts that are compared with a plan are read.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::item::Item;
use super::section::Section;
use crate::engine::edit::is_track_of_captions;
use crate::error::{Error, Result};
use crate::units::Micros;

/// The segments of a draft by track.
#[derive(Debug, Default)]
pub(crate) struct DraftSegments {
    /// Width and height in pixels.
    pub canvas: Option<(f64, f64)>,
    tracks: HashMap<String, Vec<DraftSegment>>,
}

#[derive(Debug)]
struct DraftSegment {
    start: i64,
    end: i64,
    /// The content, if it is a text.
    text: Option<String>,
    /// Property and time on the timeline.
    keyframes: Vec<(String, i64)>,
}

/// The position of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentPosition {
    /// Its index among the segments of its track.
    pub index: usize,
    /// In seconds.
    pub start: f64,
    /// In seconds.
    pub end: f64,
}

impl DraftSegments {
    /// Reads the reply of `query_script`.
    pub(crate) fn read(reply: &Value) -> Result<Self> {
        let unreadable = || Error::internal("`query_script` returned no readable document");
        let text = reply["script"].as_str().ok_or_else(unreadable)?;
        let script: Value = serde_json::from_str(text).map_err(|e| unreadable().source(e))?;
        let texts = texts(&script);
        let mut tracks: HashMap<String, Vec<DraftSegment>> = HashMap::new();
        for track in script["tracks"].as_array().into_iter().flatten() {
            let name = track["name"].as_str().unwrap_or_default().to_owned();
            let segments = track["segments"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|value| segment(value, &texts));
            tracks.entry(name).or_default().extend(segments);
        }
        let side = |name: &str| script["canvas_config"][name].as_f64();
        Ok(Self {
            canvas: side("width").zip(side("height")),
            tracks,
        })
    }

    /// The number of segments on each track.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let counts = self.tracks.iter();
        counts
            .map(|(name, segments)| (name.clone(), segments.len()))
            .collect()
    }

    pub(crate) fn segments(&self) -> usize {
        self.tracks.values().map(Vec::len).sum()
    }

    /// The tracks that may contain captions intended for this track.
    pub(crate) fn tracks_of_captions<'a>(&'a self, track: &str) -> Vec<&'a str> {
        let names = self.tracks.keys().map(String::as_str);
        names
            .filter(|name| is_track_of_captions(track, name))
            .collect()
    }

    /// The content of the text that starts at this time on the track.
    pub(crate) fn text_at(&self, track: &str, start: Micros) -> Option<&str> {
        let segments = self.tracks.get(track)?;
        segments
            .iter()
            .find(|segment| segment.start == start.0)?
            .text
            .as_deref()
    }

    /// Whether there is a segment at the item's position. (Its content is known from its call.)
    pub(crate) fn holds(&self, item: &Item) -> bool {
        if item.section == Section::Keyframes {
            return self.holds_keyframes(item);
        }
        !self.places_of(item).is_empty()
    }

    /// The segments at the item's position on its track.
    pub(crate) fn places_of(&self, item: &Item) -> Vec<SegmentPosition> {
        let segments = self.tracks.get(item.track());
        let segments = segments.into_iter().flatten().enumerate();
        let number = |key: &str| {
            item.arguments
                .get(key)
                .and_then(Value::as_f64)
                .unwrap_or(0.0)
        };
        let key = match item.section {
            // The times of captions are in their text, and they have their own track.
            Section::Subtitles => {
                let offset = Micros::from_seconds_truncated(number("time_offset")).0;
                let first = segments
                    .filter(|(_, segment)| segment.start >= offset)
                    .min_by_key(|(_, segment)| segment.start);
                return first.into_iter().map(placement).collect();
            }
            Section::Audio => "target_start",
            Section::Visuals if item.arguments.contains_key("video_url") => "target_start",
            _ => "start",
        };
        let start = Micros::from_seconds(number(key)).0;
        segments
            .filter(|(_, segment)| segment.start == start)
            .map(placement)
            .collect()
    }

    fn holds_keyframes(&self, item: &Item) -> bool {
        let Some(segments) = self.tracks.get(item.track()) else {
            return false;
        };
        let times = item.times();
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

fn placement((index, segment): (usize, &DraftSegment)) -> SegmentPosition {
    SegmentPosition {
        index,
        start: Micros(segment.start).seconds(),
        end: Micros(segment.end).seconds(),
    }
}

/// The content of all texts, by the id of their material.
fn texts(script: &Value) -> HashMap<&str, String> {
    let materials = script["materials"]["texts"]
        .as_array()
        .into_iter()
        .flatten();
    materials
        .filter_map(|material| {
            let content: Value = serde_json::from_str(material["content"].as_str()?).ok()?;
            let words = content["text"].as_str()?.to_owned();
            Some((material["id"].as_str()?, words))
        })
        .collect()
}

fn segment(value: &Value, texts: &HashMap<&str, String>) -> DraftSegment {
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
    DraftSegment {
        start,
        end: start + duration,
        text: value["material_id"]
            .as_str()
            .and_then(|id| texts.get(id).cloned()),
        keyframes,
    }
}
