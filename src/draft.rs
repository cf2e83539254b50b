//! The draft as a plain value: tracks, segments, materials; no I/O, clock or randomness.
//!
//! It stores the content of the draft compactly. Two writers turn it into documents: [`working`] writes what
//! the reference API would return, `finished` what the app itself would save.

pub(crate) mod clip;
pub(crate) mod evidence;
pub(crate) mod finished;
pub(crate) mod ids;
pub(crate) mod keyframe;
pub(crate) mod material;
pub(crate) mod segment;
pub(crate) mod text;
pub(crate) mod track;
pub(crate) mod working;

use capcut_draft::Settings;

use crate::draft::ids::{DraftId, Id};
use crate::draft::material::MediaMaterial;
use crate::draft::segment::Segment;
use crate::draft::track::{Track, TrackKind};
use crate::sorting;
use crate::units::{Edition, Micros};

/// A draft with everything in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub id: DraftId,
    /// The app whose effect names and ids it uses.
    pub edition: Edition,
    /// The name shown in the app. Default: the id.
    pub name: Option<Box<str>>,
    /// A note kept with the draft.
    pub note: Option<Box<str>>,
    /// Canvas width in pixels.
    pub width: f64,
    /// Canvas height in pixels.
    pub height: f64,
    /// Frame rate, magnet, cover and markers, where they are not the usual ones.
    pub settings: Box<Settings>,
    /// In order of creation.
    pub tracks: Vec<Track>,
    /// Each media file once, in order of first use.
    pub media: Vec<MediaMaterial>,
    /// The sequence number of the next call.
    pub sequence: u64,
    /// Number of segments created so far; the next segment's [`Segment::order`].
    pub made: u32,
}

impl Draft {
    /// The end of the last segment.
    pub(crate) fn duration(&self) -> Micros {
        self.tracks
            .iter()
            .filter_map(Track::end)
            .max()
            .unwrap_or_default()
            .max(Micros::ZERO)
    }

    /// The index of the track with this name, of any kind.
    pub(crate) fn track(&self, name: &str) -> Option<usize> {
        self.tracks.iter().position(|track| &*track.name == name)
    }

    pub(crate) fn tracks_of(&self, kind: TrackKind) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(move |track| track.kind == kind)
    }

    /// The media file with this id.
    pub(crate) fn media(&self, id: Id) -> Option<&MediaMaterial> {
        self.media.iter().find(|media| media.id == id)
    }

    /// All segments in order of creation.
    pub(crate) fn segments(&self) -> Vec<(&Track, &Segment)> {
        let mut all: Vec<(&Track, &Segment)> = self
            .tracks
            .iter()
            .flat_map(|track| track.segments().iter().map(move |segment| (track, segment)))
            .collect();
        sorting::sort_by_key(&mut all, |(_, segment)| segment.order);
        all
    }

    /// The number of segments.
    pub(crate) fn len(&self) -> usize {
        self.tracks.iter().map(|track| track.segments().len()).sum()
    }

    /// The tracks from back to front; tracks at the same height in order of creation.
    pub(crate) fn stacked(&self) -> Vec<&Track> {
        let mut tracks: Vec<&Track> = self.tracks.iter().collect();
        sorting::sort_by(&mut tracks, |a, b| {
            a.render_index.total_cmp(&b.render_index)
        });
        tracks
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn empty() -> Draft {
        Draft {
            id: DraftId("dfd_cat_0_00000000".to_owned()),
            edition: Edition::Capcut,
            name: None,
            note: None,
            width: 1080.0,
            height: 1920.0,
            settings: Box::default(),
            tracks: Vec::new(),
            media: Vec::new(),
            sequence: 1,
            made: 0,
        }
    }
}
