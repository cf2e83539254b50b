//! Calls that add to a draft of ours that became a document.
//!
//! The call is prepared as for the compact form, on a draft with the tracks of the document and with placeholders where
//! its clips are. What it adds is written by the writer of working documents, and inserted into the document.

use capcut_draft::field::track;
use capcut_draft::{
    AddKeyframes, Document, KeyframeValue, Operation, RootRef, Step, Time, TrackRef,
};

use super::{DraftState, document_error, properties};
use crate::draft::Draft;
use crate::draft::ids::{Id, Ids};
use crate::draft::segment::{Segment, SegmentContent};
use crate::draft::track::{Track, TrackKind};
use crate::draft::working;
use crate::engine::edit::{Edit, EditOutcome, Points, in_point};
use crate::engine::resources::CatalogResources;
use crate::engine::{RecordedEdit, timeline};
use crate::error::{Error, Result};
use crate::units::{Micros, Range};

/// The step that adds what a call adds. The document is not changed yet.
pub(in crate::engine) fn add(
    state: &mut DraftState,
    found: &RecordedEdit,
    edit: &Edit,
    tool: &str,
) -> Result<(Step, EditOutcome)> {
    state.refuse_additions(tool)?;
    let document = state
        .document
        .as_mut()
        .ok_or_else(|| Error::internal("the draft has no document"))?;
    let (taken, mut added) = with_tracks_of(document, &state.draft);
    if let Edit::Keyframes(points) = edit {
        return animate(document, points, &taken);
    }
    let ids = &mut Ids::new(&state.draft.id, state.draft.sequence);
    let mut prepared = found.prepare(edit, &taken, ids)?;
    properties::check(&taken, &mut prepared)?;
    let outcome = prepared.outcome.clone();
    prepared.commit(&mut added);
    let written = properties::written(&added, working::write(&added))?;
    let added = Document::parse(written.text).map_err(document_error)?;
    let step = insert(document, &added).map_err(document_error)?;
    Ok((step, outcome))
}

/// The step that adds keyframes, on frames as those of `edit_draft`.
fn animate(document: &mut Document, points: &Points, taken: &Draft) -> Result<(Step, EditOutcome)> {
    let track = &taken.tracks[timeline::known(taken, &points.track)?];
    let own = document
        .tracks()
        .into_iter()
        .find(|own| document.value(*own, &track::NAME) == *track.name);
    let own = own.ok_or_else(|| Error::internal("the track is not in the document"))?;
    let mut clips = Vec::with_capacity(points.points.len());
    for (index, point) in points.points.iter().enumerate() {
        let place = timeline::segment_at(track, point.time);
        let place = place.map_err(|error| in_point(points, index, error))?;
        let start = track.segments()[place].target.start.0;
        let clip = document
            .clips(own)
            .find(|clip| document.target(*clip).start == start);
        let clip = clip.ok_or_else(|| Error::internal("the clip is not in the document"))?;
        clips.push(document.id(clip).into_owned());
    }
    let operations = clips.iter().zip(&points.points).map(|(clip, point)| {
        Operation::AddKeyframes(AddKeyframes {
            clip: clip.as_str().into(),
            property: point.property.name().to_owned(),
            points: vec![KeyframeValue {
                time: Time::from_micros(point.time.0),
                value: point.value,
                easing: None,
            }],
            easing: point.easing.map(|easing| serde_json::json!(easing)),
        })
    });
    let operations: Vec<Operation> = operations.collect();
    let resources = CatalogResources::of(taken.edition, document);
    let (step, _) = document
        .plan_operations(&operations, &resources)
        .map_err(document_error)?;
    let first = clips
        .first()
        .and_then(|id| u128::from_str_radix(id, 16).ok());
    let outcome = EditOutcome {
        track: Some(points.track.clone()),
        segment: first.map(Id),
        count: Some(points.points.len() as u64),
        ..EditOutcome::default()
    };
    Ok((step, outcome))
}

/// Two drafts with the tracks of a document: one with placeholders for its clips, one without clips.
fn with_tracks_of(document: &Document, own: &Draft) -> (Draft, Draft) {
    let mut empty = Draft {
        tracks: Vec::new(),
        media: Vec::new(),
        ..own.clone()
    };
    empty.made = 0;
    let mut taken = empty.clone();
    let mut height = f64::MIN;
    for track in document.tracks() {
        let Some(mirrored) = mirrored(document, track, own, &mut height) else {
            continue;
        };
        let mut with_clips = mirrored.clone();
        for clip in document.clips(track) {
            let target = document.target(clip);
            with_clips.push(Segment {
                id: Id::default(),
                order: 0,
                target: Range::new(Micros(target.start), Micros(target.duration)),
                content: SegmentContent::Sticker(Box::default()),
                keyframes: Vec::new(),
                apart_since: None,
                properties: None,
            });
        }
        empty.tracks.push(mirrored);
        taken.tracks.push(with_clips);
    }
    (taken, empty)
}

/// A track of the document without its clips; `None` for kinds that this program does not add to.
fn mirrored(document: &Document, track: TrackRef, own: &Draft, height: &mut f64) -> Option<Track> {
    const KINDS: [TrackKind; 6] = [
        TrackKind::Video,
        TrackKind::Audio,
        TrackKind::Text,
        TrackKind::Sticker,
        TrackKind::Effect,
        TrackKind::Filter,
    ];
    let kind = document.value(track, &track::KIND);
    let kind = KINDS.into_iter().find(|own| own.name() == kind)?;
    let id = u128::from_str_radix(&document.id(track), 16).ok().map(Id)?;
    let known = own.tracks.iter().find(|own| own.id == id);
    // The order of the document counts: tracks may have been moved since they were made.
    *height = height.max(known.map_or(kind.base(), |known| known.render_index));
    Some(Track::new(
        id,
        &document.value(track, &track::NAME),
        kind,
        *height,
    ))
}

/// Inserts tracks, clips and materials that the document lacks.
fn insert(document: &mut Document, added: &Document) -> capcut_draft::Result<Step> {
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let mut edit = document.edit();
    for list in added.material_lists() {
        for material in added.materials(list) {
            if edit.material_in(list, &added.id(material)).is_none() {
                edit.add_material(list, &text(added.raw(material, &[])))?;
            }
        }
    }
    for (index, track) in added.tracks().into_iter().enumerate() {
        let id = added.id(track);
        let known = edit.tracks().into_iter().find(|own| edit.id(*own) == id);
        let own = match known {
            Some(own) => own,
            None => edit.add_track(index, &text(added.raw(track, &[])))?,
        };
        for clip in added.clips(track) {
            let start = added.target(clip).start;
            let earlier = edit
                .clips(own)
                .take_while(|own| edit.target(*own).start <= start);
            let place = earlier.count();
            edit.add_clip(own, place, &text(added.raw(clip, &[])))?;
        }
    }
    let end = edit.all_clips().map(|clip| edit.target(clip).end()).max();
    if let Some(end) = end {
        edit.set(RootRef, &["duration"], &end)?;
    }
    Ok(edit.step())
}
