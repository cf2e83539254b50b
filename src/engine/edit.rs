//! Edits: the changes of a call to a draft, with all external facts resolved. The journal stores them; applying
//! one again needs no files or network and gives the same draft and ids.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::args::Object;
use crate::draft::Draft;
use crate::draft::ids::{Id, Ids};
use crate::draft::keyframe::{Keyframe, KeyframeProperty};
use crate::draft::material::{Animation, MediaKind, MediaMaterial, MediaProperties, Phase};
use crate::draft::segment::{Segment, SegmentContent};
use crate::draft::text::{CAPTION_EFFECT, SpokenWord, TextContent};
use crate::draft::track::Track;
use crate::engine::subtitle;
use crate::engine::timeline::{self, Chosen, TrackChoice};
use crate::error::{Error, Result};
use crate::units::{Micros, Range};

/// What one call changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Edit {
    Place(Box<SegmentPlacement>),
    Captions(Box<Captions>),
    Keyframes(Points),
    /// Lengths and sizes that were unknown when the files were placed.
    Learn(Vec<Learnt>),
    /// The drafts folder for the paths of all files.
    Folder(String),
    /// The calls with these sequence numbers are skipped from now on, as if they had never been made.
    TakeBack(BTreeSet<u64>),
}

/// One segment on a track.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SegmentPlacement {
    pub track: TrackChoice,
    pub target: Range,
    pub content: SegmentContent,
    /// The file that it shows or plays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Used>,
}

/// A media file as given in a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Used {
    pub kind: MediaKind,
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    pub known: MediaProperties,
    /// Its length as given in the call.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given: Micros,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde requires"
)]
fn is_zero(time: &Micros) -> bool {
    *time == Micros::ZERO
}

/// Several texts with times.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Captions {
    pub track: TrackChoice,
    /// The look of cues without their own look: a text without words.
    pub look: TextContent,
    pub cues: Vec<Caption>,
    /// Captions that overlap earlier ones; one track per list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Vec<Caption>>,
}

/// One caption.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Caption {
    pub range: Range,
    pub text: String,
    /// The number in its file; 0 if it has none.
    #[serde(default, skip_serializing_if = "is_not_numbered")]
    pub number: u64,
    /// Its own look, without words; each of its styles covers a part of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Box<TextContent>>,
    /// When its words are spoken, counted from its start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<SpokenWord>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde requires"
)]
fn is_not_numbered(number: &u64) -> bool {
    *number == 0
}

/// The name of an additional track for captions of `track`; the second track has number 2.
fn further_track(track: &str, number: usize) -> String {
    format!("{track} {number}")
}

/// Whether track `name` may contain captions that were added to `track`.
pub(crate) fn is_track_of_captions(track: &str, name: &str) -> bool {
    name == track
        || name
            .strip_prefix(track)
            .and_then(|rest| rest.strip_prefix(' '))
            .is_some_and(|number| number.parse::<usize>().is_ok_and(|number| number >= 2))
}

/// Keyframes on the segments of a track.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Points {
    pub track: String,
    pub points: Vec<Point>,
}

/// One keyframe, at a time on the timeline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    pub property: KeyframeProperty,
    pub time: Micros,
    pub value: f64,
    /// How the value moves to the next keyframe; none is a straight line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub easing: Option<[f64; 4]>,
}

/// Facts about a file that were learned later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Learnt {
    pub kind: MediaKind,
    pub source: String,
    pub known: MediaProperties,
}

/// What an edit did, for the reply.
#[derive(Clone, Debug, Default)]
pub(crate) struct EditOutcome {
    /// The track's name.
    pub track: Option<String>,
    /// The first new segment.
    pub segment: Option<Id>,
    /// From the start of the first new segment to the end of the last.
    pub range: Option<Range>,
    /// The number of captions or keyframes.
    pub count: Option<u64>,
    pub notes: Vec<String>,
}

/// An edit that was checked, with its ids. [`Prepared::commit`] cannot fail.
pub(crate) struct Prepared {
    new_tracks: Vec<Track>,
    /// The track of the keyframes.
    track: usize,
    /// New segments by track index; indexes of `new_tracks` follow those of the draft.
    segments: Vec<(usize, Vec<Segment>)>,
    media: Option<MediaMaterial>,
    keyframes: Vec<(usize, KeyframeProperty, Keyframe, Id)>,
    learnt: Vec<(Id, MediaProperties)>,
    folder: Option<String>,
    pub outcome: EditOutcome,
}

impl Edit {
    /// Checks the edit against the current draft, and creates everything that it adds.
    pub(crate) fn prepare(&self, draft: &Draft, ids: &mut Ids) -> Result<Prepared> {
        match self {
            Self::Place(place) => prepare_place(place, draft, ids),
            Self::Captions(captions) => prepare_captions(captions, draft, ids),
            Self::Keyframes(points) => prepare_keyframes(points, draft, ids),
            Self::Learn(learnt) => Ok(Prepared {
                learnt: learnt
                    .iter()
                    .map(|file| (Id::of_name(&file.kind.file_name(&file.source)), file.known))
                    .collect(),
                ..Prepared::nothing()
            }),
            Self::Folder(folder) => Ok(Prepared {
                folder: Some(folder.clone()),
                ..Prepared::nothing()
            }),
            // Its effect takes place when the draft is folded.
            Self::TakeBack(_) => Ok(Prepared::nothing()),
        }
    }
}

impl Prepared {
    fn nothing() -> Self {
        Self {
            new_tracks: Vec::new(),
            track: 0,
            segments: Vec::new(),
            media: None,
            keyframes: Vec::new(),
            learnt: Vec::new(),
            folder: None,
            outcome: EditOutcome::default(),
        }
    }

    /// Gives its segments the properties that the compact form does not have.
    pub(super) fn set_properties(&mut self, properties: &Object) {
        if properties.is_empty() {
            return;
        }
        let properties = Arc::new(properties.clone());
        for (_, segments) in &mut self.segments {
            for segment in segments {
                segment.properties = Some(Arc::clone(&properties));
            }
        }
    }

    pub(super) fn has_properties(&self) -> bool {
        let mut segments = self.segments.iter().flat_map(|(_, segments)| segments);
        segments.any(|segment| segment.properties.is_some())
    }

    /// A draft with only what it adds.
    pub(super) fn alone(&self, draft: &Draft) -> Draft {
        let mut tracks: Vec<Track> = Vec::new();
        for (index, segments) in &self.segments {
            let new = |index: usize| self.new_tracks.get(index - draft.tracks.len());
            let Some(known) = draft.tracks.get(*index).or_else(|| new(*index)) else {
                continue;
            };
            let mut track = Track::new(known.id, &known.name, known.kind, known.render_index);
            for segment in segments {
                track.push(segment.clone());
            }
            tracks.push(track);
        }
        let used = self.segments.iter().flat_map(|(_, segments)| segments);
        let used: HashSet<Id> = used.filter_map(|segment| segment.content.media()).collect();
        let media = draft.media.iter().chain(&self.media);
        Draft {
            id: draft.id.clone(),
            edition: draft.edition,
            name: None,
            note: None,
            width: draft.width,
            height: draft.height,
            settings: draft.settings.clone(),
            tracks,
            media: media
                .filter(|media| used.contains(&media.id))
                .cloned()
                .collect(),
            sequence: draft.sequence,
            made: draft.made,
        }
    }

    /// Applies the edit.
    pub(crate) fn commit(self, draft: &mut Draft) {
        draft.tracks.extend(self.new_tracks);
        draft.media.extend(self.media);
        for (track, segments) in self.segments {
            draft.made += segments.len() as u32;
            let track = &mut draft.tracks[track];
            for segment in segments {
                track.push(segment);
            }
        }
        for (place, property, keyframe, list) in self.keyframes {
            draft.tracks[self.track]
                .segment_mut(place)
                .set_keyframe(property, keyframe, list);
        }
        if !self.learnt.is_empty() {
            learn(draft, &self.learnt);
        }
        if let Some(folder) = &self.folder {
            for media in &mut draft.media {
                media.folder = Some(folder.as_str().into());
            }
        }
    }
}

/// The track for the call, and the new tracks that it requires.
fn open(choice: &TrackChoice, draft: &Draft, ids: &mut Ids) -> Result<(Vec<Track>, usize, String)> {
    let mut new = Vec::new();
    let chosen = timeline::choose(draft, choice)?;
    if timeline::lacks_first_video_track(draft, choice.kind) {
        let name = choice.kind.name();
        new.push(Track::new(
            ids.next_id(),
            name,
            choice.kind,
            choice.kind.base(),
        ));
        // This call uses the first video track itself.
        if matches!(&chosen, Chosen::New(track) if track == name) {
            return Ok((new, draft.tracks.len(), name.to_owned()));
        }
    }
    match chosen {
        Chosen::Existing(index) => Ok((new, index, draft.tracks[index].name.to_string())),
        Chosen::New(name) => {
            new.push(Track::new(
                ids.next_id(),
                &name,
                choice.kind,
                choice.render_index,
            ));
            let index = draft.tracks.len() + new.len() - 1;
            Ok((new, index, name))
        }
    }
}

fn prepare_place(place: &SegmentPlacement, draft: &Draft, ids: &mut Ids) -> Result<Prepared> {
    let (new_tracks, track, name) = open(&place.track, draft, ids)?;
    if let Some(track) = draft.tracks.get(track) {
        timeline::check_free(track, place.target)?;
    }
    let mut content = place.content.clone();
    content.assign(ids);
    let mut media = None;
    if let Some(used) = &place.media {
        let mut file =
            MediaMaterial::new(used.kind, &used.source, used.folder.as_deref(), used.known);
        file.given = used.given;
        match &mut content {
            SegmentContent::Picture(picture) => picture.media = file.id,
            SegmentContent::Sound(sound) => {
                sound.media = file.id;
                file.has_effect = sound.effect.is_some();
            }
            _ => {}
        }
        // The first use of a file defines its entry.
        media = draft.media(file.id).is_none().then_some(file);
    }
    let id = ids.next_id();
    Ok(Prepared {
        new_tracks,
        segments: vec![(
            track,
            vec![Segment {
                id,
                order: draft.made,
                target: place.target,
                content,
                keyframes: Vec::new(),
                apart_since: None,
                properties: None,
            }],
        )],
        media,
        outcome: EditOutcome {
            track: Some(name),
            segment: Some(id),
            range: Some(place.target),
            ..EditOutcome::default()
        },
        ..Prepared::nothing()
    })
}

fn prepare_captions(captions: &Captions, draft: &Draft, ids: &mut Ids) -> Result<Prepared> {
    let (new_tracks, track, name) = open(&captions.track, draft, ids)?;
    if let Some(track) = draft.tracks.get(track) {
        for (index, cue) in captions.cues.iter().enumerate() {
            timeline::check_free(track, cue.range).map_err(|error| in_cue(index, cue, error))?;
        }
    }
    let ranges: Vec<Range> = captions.cues.iter().map(|cue| cue.range).collect();
    if let Some((earlier, later)) = timeline::overlap_among(&ranges) {
        let (a, b) = (ranges[earlier], ranges[later]);
        return Err(Error::conflict(format!(
            "cue {} ({} to {}) starts before cue {} ({} to {}) ends",
            number(later, &captions.cues[later]), b.start, b.end(),
            number(earlier, &captions.cues[earlier]), a.start, a.end(),
        ))
        .hint("give the cues times that do not overlap, or add the overlapping cues with another `track_name`")
        .source(timeline::overlaps(b)));
    }
    let mut prepared = Prepared {
        new_tracks,
        ..Prepared::nothing()
    };
    let segments = texts(captions, &captions.cues, draft.made, ids);
    let mut made = segments.len();
    let first = segments.first().map(|segment| segment.id);
    prepared.segments.push((track, segments));
    let mut notes = Vec::new();
    for cues in &captions.further {
        let (track, name) = further(captions, cues, &name, draft, &mut prepared, ids);
        let segments = texts(captions, cues, draft.made + made as u32, ids);
        made += segments.len();
        prepared.segments.push((track, segments));
        let numbers = subtitle::numbered(cues.iter().map(|cue| cue.number));
        notes.push(format!(
            "{numbers}: on track `{name}`, because other cues are shown at the same time"
        ));
    }
    let all = || {
        captions
            .cues
            .iter()
            .chain(captions.further.iter().flatten())
    };
    let start = all().map(|cue| cue.range.start).min();
    let end = all().map(|cue| cue.range.end()).max();
    prepared.outcome = EditOutcome {
        track: Some(name),
        segment: first,
        range: start
            .zip(end)
            .map(|(start, end)| Range::new(start, end - start)),
        count: Some(made as u64),
        notes,
    };
    Ok(prepared)
}

/// The track for captions that overlap those on track `name`: the first numbered track that is free for them.
fn further(
    captions: &Captions,
    cues: &[Caption],
    name: &str,
    draft: &Draft,
    prepared: &mut Prepared,
    ids: &mut Ids,
) -> (usize, String) {
    let mut number = 2;
    loop {
        let name = further_track(name, number);
        number += 1;
        if prepared.new_tracks.iter().any(|track| *track.name == *name) {
            continue;
        }
        let Some(index) = draft.track(&name) else {
            prepared.new_tracks.push(Track::new(
                ids.next_id(),
                &name,
                captions.track.kind,
                captions.track.render_index,
            ));
            let index = draft.tracks.len() + prepared.new_tracks.len() - 1;
            return (index, name);
        };
        let track = &draft.tracks[index];
        let is_taken = prepared.segments.iter().any(|(taken, _)| *taken == index);
        let is_free = || cues.iter().all(|cue| track.in_the_way(cue.range).is_none());
        if track.kind == captions.track.kind && !is_taken && is_free() {
            return (index, name);
        }
    }
}

fn texts(captions: &Captions, cues: &[Caption], made: u32, ids: &mut Ids) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(cues.len());
    for cue in cues {
        let mut text = match &cue.look {
            Some(look) => TextContent::clone(look),
            None => {
                let mut text = captions.look.clone();
                for style in &mut text.styles {
                    style.range = (0, cue.text.chars().count() as u32);
                }
                text
            }
        };
        text.text = cue.text.as_str().into();
        text.words.clone_from(&cue.words);
        animate(&mut text, cue.range.duration);
        text.assign(ids);
        segments.push(Segment {
            id: ids.next_id(),
            order: made + segments.len() as u32,
            target: cue.range,
            content: SegmentContent::Text(Box::new(text)),
            keyframes: Vec::new(),
            apart_since: None,
            properties: None,
        });
    }
    segments
}

/// Fits the animations of a caption's look to its length, and adds the one that follows its words.
fn animate(text: &mut TextContent, length: Micros) {
    for animation in text.animations.iter_mut().flat_map(|own| &mut own.list) {
        animation.duration = animation.duration.min(length);
    }
    if text.words.is_empty() {
        text.karaoke = None;
    }
    if let Some(karaoke) = text.karaoke {
        text.animations
            .get_or_insert_default()
            .list
            .push(Animation {
                phase: Phase::Caption,
                name: karaoke.mode.name().into(),
                effect_id: CAPTION_EFFECT.into(),
                resource_id: CAPTION_EFFECT.into(),
                start: Micros::ZERO,
                duration: length,
            });
    }
}

fn in_cue(index: usize, cue: &Caption, mut error: Error) -> Error {
    error.message = format!("cue {}: {}", number(index, cue), error.message);
    error
}

fn number(index: usize, cue: &Caption) -> u64 {
    match cue.number {
        0 => index as u64 + 1,
        number => number,
    }
}

/// The error of one of several keyframes.
pub(super) fn in_point(points: &Points, index: usize, mut error: Error) -> Error {
    if points.points.len() > 1 {
        error.message = format!("keyframe {}: {}", index + 1, error.message);
    }
    error
}

fn prepare_keyframes(points: &Points, draft: &Draft, ids: &mut Ids) -> Result<Prepared> {
    let index = timeline::known(draft, &points.track)?;
    let track = &draft.tracks[index];
    let mut keyframes = Vec::with_capacity(points.points.len());
    let mut notes = Vec::new();
    let mut apart: HashSet<usize> = HashSet::new();
    for (number, point) in points.points.iter().enumerate() {
        let place = timeline::segment_at(track, point.time);
        let place = place.map_err(|error| in_point(points, number, error))?;
        let segment = &track.segments()[place];
        if !segment.can_move(point.property) {
            return Err(Error::invalid(format!(
                "`property_type`: \"{}\" cannot be animated on track `{}`, which is {} {} track",
                point.property.name(),
                track.name,
                article(track.kind.name()),
                track.kind.name(),
            ))
            .hint("audio tracks can animate `volume` only; video, text and sticker tracks can animate all properties"));
        }
        let is_apart =
            apart.contains(&place) || segment.content.clip().is_some_and(|clip| !clip.uniform);
        match point.property {
            KeyframeProperty::ScaleX | KeyframeProperty::ScaleY => {
                apart.insert(place);
            }
            KeyframeProperty::UniformScale if is_apart => notes.push(format!(
                "`uniform_scale` at {} was ignored: the segment already has keyframes on `scale_x` or `scale_y`",
                point.time
            )),
            _ => {}
        }
        let keyframe = Keyframe {
            id: ids.next_id(),
            offset: point.time - segment.target.start,
            value: point.value,
            easing: point.easing,
            call: draft.sequence,
        };
        keyframes.push((place, point.property, keyframe, ids.next_id()));
    }
    let first = keyframes
        .first()
        .map(|(place, ..)| &track.segments()[*place]);
    Ok(Prepared {
        track: index,
        outcome: EditOutcome {
            track: Some(track.name.to_string()),
            segment: first.map(|segment| segment.id),
            range: None,
            count: Some(keyframes.len() as u64),
            notes,
        },
        keyframes,
        ..Prepared::nothing()
    })
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e']) {
        "an"
    } else {
        "a"
    }
}

/// Sets the real sizes of files, and the resulting lengths of their segments.
fn learn(draft: &mut Draft, learnt: &[(Id, MediaProperties)]) {
    let find = |id: Id| {
        learnt
            .iter()
            .find(|(other, _)| *other == id)
            .map(|(_, known)| *known)
    };
    for media in &mut draft.media {
        if let Some(known) = find(media.id) {
            media.known = known;
        }
    }
    for track in &mut draft.tracks {
        let concerned = track
            .segments()
            .iter()
            .any(|segment| segment.content.media().and_then(find).is_some());
        if concerned {
            track.fit(|segment| {
                if let Some(known) = segment.content.media().and_then(find) {
                    timeline::fit(segment, known.duration);
                }
            });
        }
    }
}
