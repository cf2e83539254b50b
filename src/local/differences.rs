//! How two drafts differ, in words of the timeline.

use std::collections::HashMap;

use capcut_draft::{ClipRow, Document, InspectFilter, TrackRow};

use crate::engine::documents::document_error;
use crate::error::Result;
use crate::local::rows::seconds;

/// What one must do to the first draft to get the second; empty if they show the same.
pub(crate) fn differences(before: &Document, after: &Document) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let (old, new) = (before.summary(), after.summary());
    if (old.width, old.height) != (new.width, new.height) {
        found.push(format!(
            "canvas: {}×{} → {}×{}",
            old.width, old.height, new.width, new.height
        ));
    }
    if old.fps != new.fps {
        found.push(format!("frame rate: {} → {} fps", old.fps, new.fps));
    }
    if old.name != new.name {
        found.push(format!("name: {:?} → {:?}", old.name, new.name));
    }
    let all = InspectFilter::default();
    let old_tracks = before.inspect(&all).map_err(document_error)?;
    let new_tracks = after.inspect(&all).map_err(document_error)?;
    let old = Clips::of(&old_tracks);
    let new = Clips::of(&new_tracks);
    for (track, clip) in &new.all {
        match old.by_id.get(clip.full_id.as_str()) {
            Some(index) => {
                let (old_track, old_clip) = old.all[*index];
                compare((old_track, old_clip), (track, clip), &mut found);
            }
            None => found.push(format!("added: {}", described(track, clip))),
        }
    }
    for (track, clip) in &old.all {
        if !new.by_id.contains_key(clip.full_id.as_str()) {
            found.push(format!("removed: {}", described(track, clip)));
        }
    }
    compare_tracks(before, after, &old_tracks, &new_tracks, &mut found);
    Ok(found)
}

struct Clips<'a> {
    all: Vec<(&'a TrackRow, &'a ClipRow)>,
    by_id: HashMap<&'a str, usize>,
}

impl<'a> Clips<'a> {
    fn of(tracks: &'a [TrackRow]) -> Self {
        let all: Vec<_> = tracks
            .iter()
            .flat_map(|track| track.clips.iter().map(move |clip| (track, clip)))
            .collect();
        let ids = all.iter().enumerate();
        Self {
            by_id: ids.map(|(at, (_, clip))| (&*clip.full_id, at)).collect(),
            all,
        }
    }
}

fn label(clip: &ClipRow) -> String {
    let label = clip.words.as_ref().or(clip.media.as_ref());
    label.map_or(String::new(), |label| {
        let short: String = label.chars().take(24).collect();
        format!(" {short:?}")
    })
}

fn described(track: &TrackRow, clip: &ClipRow) -> String {
    format!(
        "{}{} on {} from {} to {} s",
        serde_json::json!(clip.kind).as_str().unwrap_or("clip"),
        label(clip),
        track_label(track),
        seconds(clip.start),
        seconds(clip.end)
    )
}

fn track_label(track: &TrackRow) -> String {
    if track.name.is_empty() {
        format!("the {} track {}", track.kind, track.id)
    } else {
        format!("track {:?}", track.name)
    }
}

fn compare(old: (&TrackRow, &ClipRow), new: (&TrackRow, &ClipRow), found: &mut Vec<String>) {
    let (old_track, old) = old;
    let (new_track, new) = new;
    let name = format!("{}{}", new.id, label(old));
    let mut note = |what: String| found.push(format!("{name}: {what}"));
    if track_label(old_track) != track_label(new_track) {
        note(format!(
            "moved from {} to {}",
            track_label(old_track),
            track_label(new_track)
        ));
    }
    let times = |clip: &ClipRow| (seconds(clip.start), seconds(clip.end));
    if times(old) != times(new) {
        let ((start, end), (new_start, new_end)) = (times(old), times(new));
        note(format!("{start}–{end} s → {new_start}–{new_end} s"));
    }
    if old.source != new.source {
        let part = |source: Option<[f64; 2]>| {
            source.map_or("none".to_owned(), |[from, to]| {
                format!("{}–{} s", seconds(from), seconds(to))
            })
        };
        note(format!(
            "part of the file: {} → {}",
            part(old.source),
            part(new.source)
        ));
    }
    for (what, old, new) in [
        ("words", &old.words, &new.words),
        ("file", &old.media, &new.media),
        ("group", &old.group, &new.group),
    ] {
        if old != new {
            note(format!(
                "{what}: {:?} → {:?}",
                old.as_deref().unwrap_or_default(),
                new.as_deref().unwrap_or_default()
            ));
        }
    }
    for (what, old, new) in [
        ("speed", old.speed, new.speed),
        ("volume", old.volume, new.volume),
    ] {
        if old != new {
            note(format!("{what}: {old} → {new}"));
        }
    }
    if old.transition != new.transition {
        let shown = |row: &ClipRow| {
            row.transition.as_ref().map_or("none".to_owned(), |row| {
                format!("{} {} s", row.name, seconds(row.duration))
            })
        };
        note(format!("transition: {} → {}", shown(old), shown(new)));
    }
    if old.effects != new.effects {
        note(format!(
            "effects: {:?} → {:?}",
            old.effects.join(", "),
            new.effects.join(", ")
        ));
    }
    if old.keyframes != new.keyframes {
        note("other keyframes".to_owned());
    }
    if old.hidden != new.hidden {
        note(if new.hidden { "hidden" } else { "shown" }.to_owned());
    }
}

fn compare_tracks(
    before: &Document,
    after: &Document,
    old: &[TrackRow],
    new: &[TrackRow],
    found: &mut Vec<String>,
) {
    let ids = |document: &Document| -> Vec<String> {
        let tracks = document.tracks().into_iter();
        tracks
            .map(|track| document.id(track).into_owned())
            .collect()
    };
    let (old_ids, new_ids) = (ids(before), ids(after));
    for (id, row) in new_ids.iter().zip(new) {
        let Some(at) = old_ids.iter().position(|old| old == id) else {
            found.push(format!("added: {}", track_label(row)));
            continue;
        };
        let was = &old[at];
        if was.name != row.name {
            found.push(format!("{}: name {:?} → {:?}", row.id, was.name, row.name));
        }
        for (what, was, is) in [
            ("muted", was.muted, row.muted),
            ("hidden", was.hidden, row.hidden),
            ("locked", was.locked, row.locked),
        ] {
            if was != is {
                let state = if is {
                    what.to_owned()
                } else {
                    format!("not {what}")
                };
                found.push(format!("{}: {state}", track_label(row)));
            }
        }
    }
    for (id, row) in old_ids.iter().zip(old) {
        if !new_ids.contains(id) {
            found.push(format!("removed: {}", track_label(row)));
        }
    }
    let kept = |ids: &[String], other: &[String]| -> Vec<String> {
        ids.iter()
            .filter(|id| other.contains(id))
            .cloned()
            .collect()
    };
    if kept(&old_ids, &new_ids) != kept(&new_ids, &old_ids) {
        found.push("the tracks have another order".to_owned());
    }
}
