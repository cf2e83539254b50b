//! The draft's document from `query_script`; only the parts that are compared with a plan are read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use capcut_draft::{ClipRef, Document, RootRef, Settings, field};
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
    /// What the draft is as a whole besides its canvas.
    pub settings: Settings,
    /// The name that an edit gave it.
    pub name: Option<String>,
    tracks: HashMap<String, Vec<DraftSegment>>,
    /// How much earlier a keyframe may be than its time in a call: an edited draft has keyframes on frames.
    before_frame: i64,
}

#[derive(Debug)]
pub(crate) struct DraftSegment {
    pub id: String,
    /// In microseconds.
    pub start: i64,
    /// In microseconds.
    pub end: i64,
    /// The content, if it is a text.
    pub text: Option<String>,
    /// Times on the timeline.
    keyframes: Vec<i64>,
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
    /// Reads the document that `query_script` returns.
    pub(crate) fn read(script: String) -> Result<Self> {
        let document = Document::parse_object(script).map_err(|error| {
            Error::internal("`query_script` returned no readable document").source(error)
        })?;
        let mut tracks: HashMap<String, Vec<DraftSegment>> = HashMap::new();
        for track in document.tracks() {
            let name = document.value(track, &field::track::NAME);
            let clips = document.clips(track);
            let segments = clips.map(|clip| segment(&document, clip));
            tracks.entry(name).or_default().extend(segments);
        }
        let side = |side| document.get(RootRef, side).map(|pixels| pixels as f64);
        let width = side(&field::root::CANVAS_WIDTH);
        Ok(Self {
            canvas: width.zip(side(&field::root::CANVAS_HEIGHT)),
            settings: Settings {
                fps: Some(document.value(RootRef, &field::root::FPS)),
                magnet: Some(document.value(RootRef, &field::root::MAGNET)),
                cover: document.cover(),
                markers: Some(document.markers()),
                ..Settings::default()
            },
            name: document
                .get(RootRef, &field::root::NAME)
                .filter(|name| !name.is_empty()),
            tracks,
            // The time and its distance from the clip are rounded down.
            before_frame: document.grid().time(2),
        })
    }

    /// The number of segments on each track.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.counts_without(&BTreeSet::new())
    }

    /// The number of segments on each track that are not among these.
    pub(crate) fn counts_without(&self, removed: &BTreeSet<&str>) -> BTreeMap<String, usize> {
        let stays = |segment: &&DraftSegment| !removed.contains(segment.id.as_str());
        let counts = self.tracks.iter();
        counts
            .map(|(name, segments)| (name.clone(), segments.iter().filter(stays).count()))
            .collect()
    }

    /// The segments of all tracks.
    pub(crate) fn all(&self) -> impl Iterator<Item = &DraftSegment> {
        self.tracks.values().flatten()
    }

    /// The ids of the segments of a track with a keyframe at this time.
    pub(crate) fn animated_at(&self, track: &str, time: f64) -> impl Iterator<Item = &str> {
        let time = Micros::from_seconds_truncated(time).0;
        let segments = self.tracks.get(track).into_iter().flatten();
        segments
            .filter(move |segment| self.has_keyframe(segment, time))
            .map(|segment| segment.id.as_str())
    }

    fn has_keyframe(&self, segment: &DraftSegment, time: i64) -> bool {
        let mut keyframes = segment.keyframes.iter();
        keyframes.any(|at| (0..=self.before_frame).contains(&(time - at)))
    }

    pub(crate) fn segments(&self) -> usize {
        self.tracks.values().map(Vec::len).sum()
    }

    /// The segments of the tracks that may contain captions intended for this track.
    pub(crate) fn captions_on(&self, track: &str) -> Vec<&DraftSegment> {
        let tracks = self.tracks.iter();
        let tracks = tracks.filter(|(name, _)| is_track_of_captions(track, name));
        tracks.flat_map(|(_, segments)| segments).collect()
    }

    /// Whether the segment of this id is in the draft.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.all().any(|segment| segment.id == id)
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
                let mut segments = segments.iter();
                segments.any(|segment| self.has_keyframe(segment, time))
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

fn segment(document: &Document, clip: ClipRef) -> DraftSegment {
    let target = document.target(clip);
    let lists = document.keyframes(clip);
    let points = lists.iter().flat_map(|list| &list.points);
    DraftSegment {
        id: document.id(clip).into_owned(),
        start: target.start,
        end: target.end(),
        text: document.words(clip),
        keyframes: points.map(|point| target.start + point.offset).collect(),
    }
}
