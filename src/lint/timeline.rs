//! Checks the timeline: tracks, segments and keyframes.

use std::collections::{HashMap, HashSet};

use super::Severity::{self, Error, Info, Warning};
use super::document::{ListedMaterial, RawSegment, RawTrack};
use super::loose::Number;
use super::markers::{frame, is_too_old, leaves_defaults_out, profile, saved_by_app};
use super::{LintContext, ProblemReport};
use crate::draft::finished::grid::Grid;
use crate::sorting;
use crate::units::{Micros, Range};

const KNOWN_TRACKS: &[&str] = &[
    "video", "audio", "text", "sticker", "effect", "filter", "adjust",
];

/// The position of a segment in the document; formatted only for problems.
#[derive(Clone, Copy)]
struct SegmentPath {
    track: usize,
    segment: usize,
}

impl SegmentPath {
    fn field(self, field: &str) -> String {
        format!("tracks[{}].segments[{}].{field}", self.track, self.segment)
    }
}

pub(super) fn check(context: &LintContext<'_>, report: &mut ProblemReport) {
    let document = &context.draft.document;
    let mut check = Check {
        materials: context.draft.by_id(),
        ids: HashSet::new(),
        grid: Grid::new(document.fps.value().unwrap_or(30.0)),
        frame: frame(document),
        saved_by_app: saved_by_app(document),
        leaves_defaults_out: leaves_defaults_out(document),
        is_old: is_too_old(document),
        dangling: match profile(document) {
            Some(profile) if profile.needs_references() => Error,
            _ => Warning,
        },
        off_grid: (0, 0),
        report,
    };
    let closes_gaps = document
        .config
        .get()
        .is_none_or(|config| config.maintrack_adsorb.get().copied().unwrap_or(true));
    let mut first_picture = true;
    for (index, track) in document.tracks.each() {
        check.track(index, track);
        let is_main = track.kind.str() == "video" && std::mem::take(&mut first_picture);
        check.order(index, track, is_main && closes_gaps);
    }
    let (off, all) = check.off_grid;
    if off > 0 {
        check.report.add(
            Info,
            "off-grid",
            "tracks",
            format!("{off} of {all} segments start or end between two frames"),
            "the app moves them to the nearest frame when it opens the draft",
        );
    }
}

struct Check<'a, 'r> {
    materials: HashMap<&'a str, ListedMaterial<'a>>,
    ids: HashSet<&'a str>,
    grid: Grid,
    frame: i64,
    saved_by_app: bool,
    leaves_defaults_out: bool,
    is_old: bool,
    /// The severity of a reference to a missing material.
    dangling: Severity,
    off_grid: (usize, usize),
    report: &'r mut ProblemReport,
}

impl<'a> Check<'a, '_> {
    fn track(&mut self, index: usize, track: &'a RawTrack<'a>) {
        let kind = track.kind.str();
        if !KNOWN_TRACKS.contains(&kind) {
            self.report.add(
                Warning,
                "track-type",
                format!("tracks[{index}].type"),
                format!("the track type \"{kind}\" is unknown"),
                format!("use one of {}", KNOWN_TRACKS.join(", ")),
            );
        }
        if track.name.get().is_none() && !(self.leaves_defaults_out && track.name.is_missing()) {
            self.report.fixable(
                Info,
                "track-name",
                format!("tracks[{index}].name"),
                "the track has no name; some programs cannot read the draft",
                "adds an empty name",
            );
        }
        self.unique(track.id.str(), || format!("tracks[{index}].id"));
        for (number, segment) in track.segments.each() {
            let at = SegmentPath {
                track: index,
                segment: number,
            };
            self.unique(segment.id.str(), || at.field("id"));
            self.segment(kind, segment, at);
        }
    }

    fn unique(&mut self, id: &'a str, place: impl Fn() -> String) {
        if id.is_empty() {
            self.report.fixable(
                Error,
                "id-missing",
                place(),
                "the id is missing",
                "adds an id",
            );
        } else if !self.ids.insert(id) {
            self.report.fixable(
                Error,
                "duplicate-id",
                place(),
                format!("the id {id} is used twice"),
                "gives the second one a new id",
            );
        }
    }

    /// Checks the order, overlaps and gaps of a track.
    fn order(&mut self, index: usize, track: &RawTrack<'_>, closes_gaps: bool) {
        let ranges: Vec<(usize, Range)> = track
            .segments
            .each()
            .map(|(number, segment)| (number, segment.target()))
            .collect();
        let mut sorted = ranges.clone();
        sorting::sort_by_key(&mut sorted, |(_, range)| range.start);
        if sorted != ranges {
            self.report.fixable(
                Warning,
                "unsorted",
                format!("tracks[{index}].segments"),
                "the segments are not sorted by time; the app lays out its main track in this order",
                "sorts them",
            );
        }
        let place = |number: usize| format!("tracks[{index}].segments[{number}]");
        // A long segment may overlap more than the next one.
        let mut last: Option<(usize, Micros)> = None;
        for (number, range) in sorted {
            let (before, end) = last.unwrap_or((number, Micros::ZERO));
            let is_overlap = last.is_some() && end > range.start;
            if is_overlap && self.overlaps_by_design(track, before, end - range.start) {
                // The transition shows both clips at once.
            } else if is_overlap && track.kind.str() == "text" {
                self.report.fixable(
                    Error,
                    "overlap",
                    place(number),
                    format!(
                        "it starts at {}, before text {before} of the same track ends at {end}",
                        range.start
                    ),
                    "ends the earlier text where this one starts, or moves one to another track if they start together",
                );
            } else if is_overlap {
                self.report.add(
                    Error,
                    "overlap",
                    place(number),
                    format!(
                        "it starts at {}, before segment {before} ends at {end}",
                        range.start
                    ),
                    "put one of them on another track, or start it later",
                );
            } else if closes_gaps && (range.start - end).0 > 1 {
                self.report.add(
                    Warning,
                    "main-track-gap",
                    place(number),
                    format!("there is a gap before it from {end} to {}: the app closes gaps on its main track, and all later clips move forward", range.start),
                    "put the clips on a track above an empty main track, or turn off the main track's magnet (`config.maintrack_adsorb`)",
                );
            }
            if last.is_none_or(|(_, end)| range.end() > end) {
                last = Some((number, range.end()));
            }
        }
    }

    /// Whether a clip overlaps the next one because of its transition: in old versions, such as CapCut 1.5, the
    /// clips of such a transition share its time.
    fn overlaps_by_design(&self, track: &RawTrack<'_>, clip: usize, overlap: Micros) -> bool {
        let clip = track.segments.get().and_then(|all| all.get(clip)?.get());
        let Some(clip) = clip.filter(|_| self.is_old) else {
            return false;
        };
        clip.extra_material_refs.each().any(|(_, reference)| {
            self.materials.get(&**reference).is_some_and(|found| {
                found.list == "transitions"
                    && found.material.is_overlap.get() == Some(&true)
                    && overlap.0 <= found.material.duration.whole() + self.frame
            })
        })
    }

    fn segment(&mut self, kind: &str, segment: &RawSegment<'_>, at: SegmentPath) {
        let target = segment.target();
        if target.duration <= Micros::ZERO || target.start < Micros::ZERO {
            self.report.add(
                Error,
                "time-range",
                at.field("target_timerange"),
                format!(
                    "it starts at {} and lasts {}",
                    target.start, target.duration
                ),
                "remove the segment, or give it a length",
            );
        }
        self.off_grid.1 += 1;
        if !self.grid.is_on(target.start) || !self.grid.is_on(target.end()) {
            self.off_grid.0 += 1;
        }
        let id = segment.material_id.str();
        let material = self.materials.get(id).copied();
        match material {
            None => self.report.add(
                Error,
                "material-missing",
                at.field("material_id"),
                format!("no material has the id {id:?}"),
                "remove the segment in the app, or save the draft again",
            ),
            Some(found) if !holds(kind, found.list) => self.report.add(
                Error,
                "material-kind",
                at.field("material_id"),
                format!(
                    "a track of type {kind} cannot show a material of `{}`",
                    found.list
                ),
                "put the segment on a track of the right type",
            ),
            Some(_) => {}
        }
        for (number, reference) in segment
            .extra_material_refs
            .get()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let id = reference.get().map_or("", AsRef::as_ref);
            if !self.materials.contains_key(id) {
                self.report.fixable(
                    self.dangling,
                    "dangling-reference",
                    at.field(&format!("extra_material_refs[{number}]")),
                    format!("no material has the id {id:?}"),
                    "removes the reference",
                );
            }
        }
        if kind == "audio" && segment.clip.says_something() {
            self.report.fixable(
                Warning,
                "audio-clip",
                at.field("clip"),
                "an audio segment has a picture position (`clip`); the app writes null here",
                "sets it to null",
            );
        }
        self.speed(kind, segment, material, at);
        self.keyframes(kind, segment, at);
    }

    fn speed(
        &mut self,
        kind: &str,
        segment: &RawSegment<'_>,
        material: Option<ListedMaterial<'_>>,
        at: SegmentPath,
    ) {
        let Some(speed) = speed(&segment.speed).filter(|speed| *speed > 0.0) else {
            let speed = segment.speed.value();
            let shown = speed.map_or("missing".to_owned(), |speed| speed.to_string());
            self.report.fixable(
                Warning,
                "speed",
                at.field("speed"),
                format!("the speed is {shown}"),
                "sets the speed that follows from the times",
            );
            return;
        };
        let mut curved = false;
        for (number, reference) in segment.extra_material_refs.each() {
            let Some(found) = self
                .materials
                .get(&**reference)
                .filter(|found| found.list == "speeds")
            else {
                continue;
            };
            curved |= found.material.curve_speed.says_something();
            let own = self::speed(&found.material.speed);
            if !found.material.curve_speed.says_something()
                && own.is_none_or(|own| (own - speed).abs() > 1e-6)
            {
                self.report.fixable(
                    Warning,
                    "speed-material",
                    at.field(&format!("extra_material_refs[{number}]")),
                    format!(
                        "materials.speeds[{}] has the speed {}, but the segment has {speed}",
                        found.index,
                        own.map_or("null".to_owned(), |own| own.to_string())
                    ),
                    "sets it to the segment's speed",
                );
            }
        }
        let Some(source) = segment
            .source()
            .filter(|_| matches!(kind, "video" | "audio"))
        else {
            return;
        };
        let target = segment.target();
        let implied = target.duration.0 as f64 * speed;
        let allowed = (self.frame as f64 * speed).max(2.0);
        if !curved && (source.duration.0 as f64 - implied).abs() > allowed {
            self.report.add(
                Warning,
                "speed-times",
                at.field("source_timerange"),
                format!(
                    "{} of material in {} does not match the speed {speed}",
                    source.duration, target.duration
                ),
                "set the speed again in the app",
            );
        }
        let Some(found) = material.filter(|found| matches!(found.list, "videos" | "audios")) else {
            return;
        };
        let length = found.material.duration.whole();
        let is_endless = matches!(found.material.kind.str(), "photo" | "gif");
        if source.start < Micros::ZERO {
            self.report.add(
                Error,
                "beyond-media",
                at.field("source_timerange"),
                format!(
                    "it plays from {}, before the start of its file",
                    source.start
                ),
                "shorten the segment",
            );
        } else if !is_endless && length > 0 && source.end().0 > length + self.frame {
            self.report.add(
                Error,
                "beyond-media",
                at.field("source_timerange"),
                format!("it plays to {}, but its file ends at {}: the app then plays from the start of the file", source.end(), Micros(length)),
                "shorten the segment, or start it earlier in the file",
            );
        }
    }

    fn keyframes(&mut self, kind: &str, segment: &RawSegment<'_>, at: SegmentPath) {
        let target = segment.target();
        let source = segment
            .source()
            .filter(|_| matches!(kind, "video" | "audio"));
        let mut times = Vec::new();
        for (number, list) in segment.common_keyframes.each() {
            let own: Vec<i64> = list
                .keyframe_list
                .each()
                .map(|(_, keyframe)| keyframe.time_offset.whole())
                .collect();
            if !own.is_sorted() {
                self.report.fixable(
                    Warning,
                    "keyframe-order",
                    at.field(&format!("common_keyframes[{number}]")),
                    format!(
                        "the keyframes of {} are not sorted by time",
                        list.property_type.str()
                    ),
                    "sorts them",
                );
            }
            times.extend(own);
        }
        let (Some(first), Some(last)) = (times.iter().min().copied(), times.iter().max().copied())
        else {
            return;
        };
        let clock = source.unwrap_or(Range::new(Micros::ZERO, target.duration));
        if first >= clock.start.0 - self.frame && last <= clock.end().0 + self.frame {
            return;
        }
        let what = format!(
            "the keyframes are at {} to {}, but the clip uses its material from {} to {}",
            Micros(first),
            Micros(last),
            clock.start,
            clock.end()
        );
        let place = at.field("common_keyframes");
        if !self.saved_by_app && on_segment_clock(source, target, first, last) {
            self.report.fixable(
                Warning,
                "keyframe-clock",
                place,
                format!("{what}: their times are relative to the start of the clip, but the app expects times relative to the start of the file, so the motion is not visible"),
                "makes them relative to the start of the file",
            );
        } else {
            self.report.add(
                Info,
                "keyframe-outside",
                place,
                format!("{what}: those outside are not visible"),
                "the app keeps such keyframes when a clip is cut; move them in the app if you need them",
            );
        }
    }
}

/// The speed; a missing speed has its default, 1.
fn speed(speed: &Number) -> Option<f64> {
    if speed.is_missing() {
        Some(1.0)
    } else {
        speed.value()
    }
}

/// Whether keyframe times are relative to the start of the segment: all of them are within its length, and some are
/// before the part of the file that it uses.
pub(super) fn on_segment_clock(
    source: Option<Range>,
    target: Range,
    first: i64,
    last: i64,
) -> bool {
    source.is_some_and(|source| {
        first >= 0 && first + 1 < source.start.0 && last <= target.duration.0 + 1
    })
}

/// Whether a track of this type can show materials of this list.
fn holds(kind: &str, list: &str) -> bool {
    match kind {
        "video" => matches!(list, "videos" | "drafts" | "tail_leaders"),
        "audio" => matches!(list, "audios" | "videos" | "drafts"),
        "text" => matches!(list, "texts" | "text_templates"),
        _ => true,
    }
}
