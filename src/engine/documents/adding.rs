//! Calls that add to a draft of ours that became a document.
//!
//! The call is prepared as for the compact form, on a draft with the tracks of the document and with placeholders where
//! its clips are. What it adds is written by the writer of working documents, and inserted into the document.

use capcut_draft::field::track;
use capcut_draft::{Document, RootRef, Step, TrackRef};

use super::{DraftState, document_error};
use crate::draft::Draft;
use crate::draft::ids::{Id, Ids};
use crate::draft::segment::{Segment, SegmentContent};
use crate::draft::track::{Track, TrackKind};
use crate::draft::working;
use crate::engine::edit::{Edit, EditOutcome};
use crate::error::{Error, Result};
use crate::units::{Micros, Range};

/// The step that adds what a call adds. The document is not changed yet.
pub(in crate::engine) fn add(
    state: &mut DraftState,
    edit: &Edit,
    tool: &str,
) -> Result<(Step, EditOutcome)> {
    state.refuse_additions(tool)?;
    if matches!(edit, Edit::Keyframes(_)) {
        return Err(Error::conflict(format!(
            "`{tool}` cannot be used for draft {}, as it was edited with `edit_draft`",
            state.draft.id
        ))
        .hint("use `edit_draft` with `{\"op\": \"add_keyframes\", \"clip\": …, \"property\": …, \"points\": […]}`"));
    }
    let document = state
        .document
        .as_mut()
        .ok_or_else(|| Error::internal("the draft has no document"))?;
    let (taken, mut added) = with_tracks_of(document, &state.draft);
    let ids = &mut Ids::new(&state.draft.id, state.draft.sequence);
    let prepared = edit.prepare(&taken, ids)?;
    let outcome = prepared.outcome.clone();
    prepared.commit(&mut added);
    let added = Document::parse(working::write(&added)).map_err(document_error)?;
    let step = insert(document, &added).map_err(document_error)?;
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
            });
        }
        empty.tracks.push(mirrored);
        taken.tracks.push(with_clips);
    }
    (taken, empty)
}

/// A track of the document without its clips; `None` for kinds that this program does not add to.
fn mirrored(document: &Document, track: TrackRef, own: &Draft, height: &mut f64) -> Option<Track> {
    const KINDS: [TrackKind; 5] = [
        TrackKind::Video,
        TrackKind::Audio,
        TrackKind::Text,
        TrackKind::Sticker,
        TrackKind::Effect,
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
        let clips: Vec<String> = added
            .clips(track)
            .map(|clip| text(added.raw(clip, &[])))
            .collect();
        for clip in clips {
            let count = edit.clips(own).len();
            edit.add_clip(own, count, &clip)?;
        }
    }
    let end = edit.all_clips().map(|clip| edit.target(clip).end()).max();
    if let Some(end) = end {
        edit.set(RootRef, &["duration"], &end)?;
    }
    Ok(edit.step())
}
