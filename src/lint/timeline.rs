//! Checks the timeline: tracks, segments and keyframes.

use std::borrow::Cow;
use std::collections::HashSet;

use capcut_draft::field::{clip, material, root, track};
use capcut_draft::{ClipRef, Document, FieldState, Fields, MaterialRef, TrackRef};

use super::Severity::{self, Error, Info, Warning};
use super::markers::{frame, is_too_old, leaves_defaults_out, profile, saved_by_app};
use super::{LintContext, ProblemReport, range};
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
    let (document, root) = (context.document, context.root);
    let mut check = Check {
        document,
        ids: HashSet::new(),
        grid: Grid::new(root.value(&root::FPS)),
        frame: frame(root),
        saved_by_app: saved_by_app(root),
        leaves_defaults_out: leaves_defaults_out(root),
        is_old: is_too_old(root),
        dangling: match profile(root) {
            Some(profile) if profile.needs_references() => Error,
            _ => Warning,
        },
        off_grid: (0, 0),
        report,
    };
    let closes_gaps = root.value(&root::MAGNET);
    let mut first_picture = true;
    let tracks = document.tracks().into_iter().enumerate();
    for (index, track) in tracks.filter(|(_, track)| document.is_object(*track)) {
        let kind = document.value(track, &track::KIND);
        check.track(index, track, &kind);
        let is_main = kind == "video" && std::mem::take(&mut first_picture);
        check.order(index, track, &kind, is_main && closes_gaps);
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
    document: &'a Document,
    ids: HashSet<Cow<'a, str>>,
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
    /// The clips of a track, with their index; those that are not objects are left out.
    fn clips(&self, track: TrackRef) -> impl Iterator<Item = (usize, ClipRef)> + use<'a> {
        let document = self.document;
        let clips = document.clips(track).enumerate();
        clips.filter(|(_, clip)| document.is_object(*clip))
    }

    fn track(&mut self, index: usize, track: TrackRef, kind: &str) {
        if !KNOWN_TRACKS.contains(&kind) {
            self.report.add(
                Warning,
                "track-type",
                format!("tracks[{index}].type"),
                format!("the track type \"{kind}\" is unknown"),
                format!("use one of {}", KNOWN_TRACKS.join(", ")),
            );
        }
        let has_name = match self.document.state(track, &track::NAME) {
            FieldState::Is(_) => true,
            FieldState::Missing => self.leaves_defaults_out,
            FieldState::Null | FieldState::Other => false,
        };
        if !has_name {
            self.report.fixable(
                Info,
                "track-name",
                format!("tracks[{index}].name"),
                "the track has no name; some programs cannot read the draft",
                "adds an empty name",
            );
        }
        self.unique(self.document.id(track), || format!("tracks[{index}].id"));
        for (number, segment) in self.clips(track) {
            let at = SegmentPath {
                track: index,
                segment: number,
            };
            self.unique(self.document.id(segment), || at.field("id"));
            self.segment(kind, segment, at);
        }
    }

    fn unique(&mut self, id: Cow<'a, str>, place: impl Fn() -> String) {
        if id.is_empty() {
            self.report.fixable(
                Error,
                "id-missing",
                place(),
                "the id is missing",
                "adds an id",
            );
        } else if !self.ids.insert(id.clone()) {
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
    fn order(&mut self, index: usize, track: TrackRef, kind: &str, closes_gaps: bool) {
        let ranges: Vec<(usize, Range)> = self
            .clips(track)
            .map(|(number, clip)| (number, range(self.document.target(clip))))
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
            } else if is_overlap && kind == "text" {
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
    fn overlaps_by_design(&self, track: TrackRef, clip: usize, overlap: Micros) -> bool {
        let clip = self.document.clips(track).nth(clip);
        let Some(clip) = clip.filter(|_| self.is_old) else {
            return false;
        };
        self.document.refs(clip).iter().any(|reference| {
            self.document.material(reference).is_some_and(|found| {
                let transition = self.document.fields(found);
                self.document.list_name(found) == "transitions"
                    && transition.value(&material::IS_OVERLAP)
                    && overlap.0 <= transition.value(&material::DURATION) + self.frame
            })
        })
    }

    fn segment(&mut self, kind: &str, segment: ClipRef, at: SegmentPath) {
        let document = self.document;
        let target = range(document.target(segment));
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
        let id = document.material_id(segment);
        let material = document.material(&id);
        match material.map(|found| document.list_name(found)) {
            None => self.report.add(
                Error,
                "material-missing",
                at.field("material_id"),
                format!("no material has the id {id:?}"),
                "remove the segment in the app, or save the draft again",
            ),
            Some(list) if !holds(kind, list) => self.report.add(
                Error,
                "material-kind",
                at.field("material_id"),
                format!("a track of type {kind} cannot show a material of `{list}`"),
                "put the segment on a track of the right type",
            ),
            Some(_) => {}
        }
        let refs: Vec<Cow<'_, str>> = document
            .ref_items(segment)
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect();
        for (number, id) in refs.iter().enumerate() {
            if document.material(id).is_none() {
                self.report.fixable(
                    self.dangling,
                    "dangling-reference",
                    at.field(&format!("extra_material_refs[{number}]")),
                    format!("no material has the id {id:?}"),
                    "removes the reference",
                );
            }
        }
        let fields = document.fields(segment);
        if kind == "audio" && fields.get(&clip::POSITION).is_some() {
            self.report.fixable(
                Warning,
                "audio-clip",
                at.field("clip"),
                "an audio segment has a picture position (`clip`); the app writes null here",
                "sets it to null",
            );
        }
        let segment = SegmentFields {
            fields,
            target,
            refs,
            material,
        };
        self.speed(kind, &segment, at);
        self.keyframes(kind, &segment, at);
    }

    fn speed(&mut self, kind: &str, segment: &SegmentFields<'_>, at: SegmentPath) {
        let document = self.document;
        let own = speed(&segment.fields.state(&clip::SPEED));
        let Some(speed) = own.filter(|speed| *speed > 0.0) else {
            let shown = own.map_or("missing".to_owned(), |speed| speed.to_string());
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
        for (number, reference) in segment.refs.iter().enumerate() {
            let found = document.material(reference);
            let Some(found) = found.filter(|found| document.list_name(*found) == "speeds") else {
                continue;
            };
            let is_curve = document.get(found, &material::CURVE_SPEED).is_some();
            curved |= is_curve;
            let own = self::speed(&document.state(found, &material::SPEED));
            if !is_curve && own.is_none_or(|own| (own - speed).abs() > 1e-6) {
                self.report.fixable(
                    Warning,
                    "speed-material",
                    at.field(&format!("extra_material_refs[{number}]")),
                    format!(
                        "materials.speeds[{}] has the speed {}, but the segment has {speed}",
                        document.index(found),
                        own.map_or("null".to_owned(), |own| own.to_string())
                    ),
                    "sets it to the segment's speed",
                );
            }
        }
        let Some(source) = segment.source(kind) else {
            return;
        };
        let target = segment.target;
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
        let is_file =
            |found: &MaterialRef| matches!(document.list_name(*found), "videos" | "audios");
        let Some(found) = segment.material.filter(is_file) else {
            return;
        };
        let length = document.value(found, &material::DURATION);
        let kind = document.value(found, &material::KIND);
        let is_endless = matches!(&*kind, "photo" | "gif");
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

    fn keyframes(&mut self, kind: &str, segment: &SegmentFields<'_>, at: SegmentPath) {
        let target = segment.target;
        let source = segment.source(kind);
        let mut times = Vec::new();
        let lists = segment.fields.value(&clip::COMMON_KEYFRAMES);
        for (number, list) in lists.into_iter().enumerate() {
            let points = list.points.iter().filter(|point| point.is_object);
            let own: Vec<i64> = points.map(|point| point.offset).collect();
            if !own.is_sorted() {
                self.report.fixable(
                    Warning,
                    "keyframe-order",
                    at.field(&format!("common_keyframes[{number}]")),
                    format!("the keyframes of {} are not sorted by time", list.property),
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

/// What the checks of a segment read from it.
struct SegmentFields<'a> {
    fields: Fields<'a, ClipRef>,
    target: Range,
    refs: Vec<Cow<'a, str>>,
    material: Option<MaterialRef>,
}

impl SegmentFields<'_> {
    /// The part of its file that it plays, on a track of this type.
    fn source(&self, kind: &str) -> Option<Range> {
        let source = self.fields.get(&clip::SOURCE);
        source
            .map(range)
            .filter(|_| matches!(kind, "video" | "audio"))
    }
}

/// The speed; a missing speed has its default, 1.
fn speed(speed: &FieldState<f64>) -> Option<f64> {
    match speed {
        FieldState::Missing => Some(1.0),
        FieldState::Is(speed) => Some(*speed),
        FieldState::Null | FieldState::Other => None,
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
