//! Placement: chooses or creates a track, refuses overlaps, finds the segment at a time.

use std::ops::Not;

use serde::{Deserialize, Serialize};

use crate::draft::Draft;
use crate::draft::segment::{Segment, SegmentContent};
use crate::draft::track::{Track, TrackKind};
use crate::error::{ApiPhrase, Error, Result};
use crate::sorting;
use crate::units::{Micros, Range};

/// The track that a call requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TrackChoice {
    /// `None`: the only track of its kind.
    pub name: Option<String>,
    pub kind: TrackKind,
    /// The render index of the track if it is created.
    pub render_index: f64,
    /// If there is no name and no track of the kind, a track named after its kind is created.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub may_make_unnamed: bool,
}

/// The track for the call.
#[derive(Debug, PartialEq)]
pub(crate) enum Chosen {
    Existing(usize),
    New(String),
}

/// Finds the track, whose name is unique over all kinds.
pub(crate) fn choose(draft: &Draft, choice: &TrackChoice) -> Result<Chosen> {
    let Some(name) = &choice.name else {
        return choose_unnamed(draft, choice);
    };
    let Some(index) = draft.track(name) else {
        return Ok(Chosen::New(name.clone()));
    };
    let track = &draft.tracks[index];
    if track.kind == choice.kind {
        return Ok(Chosen::Existing(index));
    }
    Err(Error::conflict(format!(
        "New segment is not of the same type as the track: `{name}` holds {}, not {}",
        plural(track.kind),
        plural(choice.kind)
    ))
    .hint("give another `track_name`: a new name creates a new track"))
}

fn choose_unnamed(draft: &Draft, choice: &TrackChoice) -> Result<Chosen> {
    let of_kind: Vec<usize> = (0..draft.tracks.len())
        .filter(|&index| draft.tracks[index].kind == choice.kind)
        .collect();
    match (of_kind.as_slice(), choice.may_make_unnamed) {
        ([], true) if draft.track(choice.kind.name()).is_none() => {
            Ok(Chosen::New(choice.kind.name().to_owned()))
        }
        ([index], false) if choice.kind == TrackKind::Text => Ok(Chosen::Existing(*index)),
        _ => Err(Error::invalid(
            "`track_name` is null, and the track cannot be determined without it",
        )
        .hint(format!(
            "give a name, or omit `track_name`; {}",
            names(draft)
        ))),
    }
}

/// The API adds an empty first track to every draft with videos or pictures.
pub(crate) fn lacks_first_video_track(draft: &Draft, kind: TrackKind) -> bool {
    kind == TrackKind::Video
        && draft.tracks_of(kind).next().is_none()
        && draft.track(kind.name()).is_none()
}

/// The track of this name.
pub(crate) fn known(draft: &Draft, name: &str) -> Result<usize> {
    draft.track(name).ok_or_else(|| {
        Error::not_found(format!("`track_name`: there is no track {name:?}")).hint(names(draft))
    })
}

fn names(draft: &Draft) -> String {
    if draft.tracks.is_empty() {
        return "the draft has no tracks yet: add a clip first, with `add_video` or `add_image`"
            .to_owned();
    }
    let names: Vec<String> = draft
        .tracks
        .iter()
        .map(|track| format!("`{}` ({})", track.name, track.kind.name()))
        .collect();
    format!("the draft has {}", names.join(", "))
}

fn plural(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Video => "videos and images",
        TrackKind::Audio => "audio",
        TrackKind::Text => "texts",
        TrackKind::Sticker => "stickers",
        TrackKind::Effect => "effects",
        TrackKind::Filter => "filters",
    }
}

/// Refuses an occupied range; the error names both ranges and the next free start.
pub(crate) fn check_free(track: &Track, range: Range) -> Result<()> {
    let Some(taken) = track.in_the_way(range) else {
        return Ok(());
    };
    let (name, taken) = (&track.name, taken.target);
    Err(Error::conflict(format!(
        "{} to {} was requested, but track `{name}` is occupied from {} to {}",
        range.start,
        range.end(),
        taken.start,
        taken.end(),
    ))
    .hint(format!(
        "it fits at {} on this track, or at its own time on another `track_name`",
        track.free_after(range)
    ))
    .source(overlaps(range)))
}

/// How the API says that a place is taken, in its own microseconds.
pub(crate) fn overlaps(range: Range) -> ApiPhrase {
    ApiPhrase(format!(
        "New segment overlaps with existing segment [start: {}, end: {}]",
        range.start.0,
        range.end().0
    ))
}

/// Two ranges that overlap, the earlier first.
pub(crate) fn overlap_among(ranges: &[Range]) -> Option<(usize, usize)> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    sorting::sort_by_key(&mut order, |&index| {
        (ranges[index].start, ranges[index].end())
    });
    let mut last: Option<usize> = None;
    for index in order {
        if let Some(earlier) = last {
            if ranges[earlier].overlaps(ranges[index]) {
                return Some((earlier, index));
            }
            if ranges[earlier].end() > ranges[index].end() {
                continue;
            }
        }
        last = Some(index);
    }
    None
}

/// The index in the track of the segment that covers a time; the first added if there are several.
pub(crate) fn segment_at(track: &Track, time: Micros) -> Result<usize> {
    track.covering(time).ok_or_else(|| {
        let mut taken: Vec<String> = track
            .in_time()
            .take(5)
            .map(|segment| format!("{} to {}", segment.target.start, segment.target.end()))
            .collect();
        if track.segments().len() > taken.len() {
            taken.push("…".to_owned());
        }
        let error = Error::invalid(format!(
            "`time`: there is no segment on track `{}` at {time}",
            track.name
        ));
        if taken.is_empty() {
            error.hint("No segments in track: add one first")
        } else {
            error.hint(format!("its segments are at {}", taken.join(", ")))
        }
    })
}

/// Updates the length of a segment now that the length of its file is known: to the end of the file if the
/// length was unknown or exceeded it. A start beyond the end of the file is kept.
pub(crate) fn fit(segment: &mut Segment, duration: Micros) {
    let (source, speed) = match &mut segment.content {
        SegmentContent::Picture(picture) if picture.speed.is_some() => {
            (&mut picture.source, picture.speed.unwrap_or(1.0))
        }
        SegmentContent::Sound(sound) => (&mut sound.source, sound.speed),
        _ => return,
    };
    if duration <= Micros::ZERO || source.start >= duration {
        return;
    }
    if source.end() > duration || source.duration <= Micros::ZERO {
        source.duration = duration - source.start;
        segment.target.duration = Micros((source.duration.0 as f64 / speed) as i64);
        if let SegmentContent::Sound(sound) = &mut segment.content {
            sound.fade = sound.fade.map(|fade| fade.within(segment.target.duration));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::clip::Clip;
    use crate::draft::ids::Id;
    use crate::draft::material::StickerMaterial;
    use crate::draft::segment::Sticker;

    fn range(start: i64, end: i64) -> Range {
        Range::new(Micros(start), Micros(end - start))
    }

    fn track(taken: &[(i64, i64)]) -> Track {
        let mut track = Track::new(Id(1), "t", TrackKind::Sticker, 0.0);
        for &(start, end) in taken {
            track.push(Segment {
                id: Id(2),
                order: 0,
                target: range(start, end),
                content: SegmentContent::Sticker(Box::new(Sticker {
                    material: StickerMaterial::default(),
                    clip: Clip::default(),
                })),
                keyframes: Vec::new(),
                apart_since: None,
                properties: None,
            });
        }
        track
    }

    #[test]
    fn a_range_is_free_if_nothing_overlaps_it() {
        let check = |taken: &[(i64, i64)], (start, end): (i64, i64), free: bool| {
            let track = track(taken);
            let wanted = range(start, end);
            assert_eq!(
                track.in_the_way(wanted).is_none(),
                free,
                "{taken:?} {start} {end}"
            );
            // The same result by comparing with each segment.
            let plain = taken.iter().all(|&(a, b)| !range(a, b).overlaps(wanted));
            assert_eq!(plain, free, "{taken:?} {start} {end}");
        };
        check(&[(5, 8), (0, 3)], (3, 5), true);
        check(&[(5, 8), (0, 3)], (2, 5), false);
        check(&[(5, 8), (0, 3)], (3, 6), false);
        check(&[(5, 8), (0, 3)], (8, 9), true);
        check(&[(5, 8)], (0, 20), false);
        check(&[(0, 0), (0, 0)], (0, 4), true);
        check(&[(2, 2)], (0, 4), false);
        check(&[(0, 4), (4, 4)], (4, 6), true);
        check(&[(0, 4)], (2, 2), false);
        check(&[], (0, 1), true);
    }

    #[test]
    fn an_overlap_error_names_the_next_free_start() {
        let error = check_free(
            &track(&[(0, 3_000_000), (4_000_000, 6_000_000)]),
            range(2_000_000, 5_000_000),
        )
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("2 s to 5 s was requested, but track `t` is occupied from 4 s to 6 s"),
            "{error}"
        );
        assert!(error.contains("it fits at 6 s"), "{error}");
        assert!(!error.contains("000000"), "{error}");
    }

    #[test]
    fn overlaps_are_found_in_any_order() {
        assert_eq!(overlap_among(&[range(4, 6), range(0, 5)]), Some((1, 0)));
        assert_eq!(overlap_among(&[range(4, 6), range(0, 4)]), None);
        assert_eq!(overlap_among(&[]), None);
    }
}
