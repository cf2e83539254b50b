//! Texts of one track that overlap: the app shows only one of them, or refuses the track.

use capcut_draft::{ClipRef, Edit, Result, TimeRange, TrackRef, field};

use super::new_id;
use crate::draft::finished::grid::Grid;
use crate::units::Micros;

/// Ends each text where the next one starts; of texts that start together, the later in the track moves to another
/// track. The clips of the tracks are sorted by time.
pub(super) fn untangle(edit: &mut Edit<'_>, notes: &mut Vec<String>) -> Result<()> {
    let mut index = 0;
    // A track may be added directly above the current one.
    while let Some(track) = edit.tracks().get(index).copied() {
        if edit.value(track, &field::track::KIND) == "text" {
            for clip in shorten(edit, track, notes)? {
                let time = edit.target(clip);
                let to = move_up(edit, index, clip)?;
                notes.push(format!(
                    "tracks[{index}]: the text from {} to {} is on tracks[{to}] now: it started with another one",
                    Micros(time.start),
                    Micros(time.end())
                ));
            }
        }
        index += 1;
    }
    Ok(())
}

/// Ends the texts of a track where the next one starts, and returns those that start with the one before.
fn shorten(edit: &mut Edit<'_>, track: TrackRef, notes: &mut Vec<String>) -> Result<Vec<ClipRef>> {
    let grid = Grid::new(edit.grid().fps());
    let clips: Vec<ClipRef> = edit.clips(track).collect();
    if clips.iter().any(|clip| edit.check_times(*clip).is_err()) {
        return Ok(Vec::new());
    }
    let mut kept: Option<ClipRef> = None;
    let mut moved = Vec::new();
    for clip in clips {
        let next = edit.target(clip);
        let before = kept.filter(|_| next.duration > 0);
        let Some((before, own)) = before
            .map(|before| (before, edit.target(before)))
            .filter(|(_, own)| own.end() > next.start)
        else {
            kept = Some(clip);
            continue;
        };
        let end = grid.time(grid.frame_before(Micros(next.start)));
        let length = end.0 - own.start;
        // At least one frame is left of the earlier text; rounded times may be 1 µs apart.
        if length + 1 >= grid.time(1).0 {
            edit.set(before, field::clip::TARGET_DURATION.path, &length)?;
            notes.push(format!(
                "the text from {} to {} ends at {end} now, where the next one starts",
                Micros(own.start),
                Micros(own.end())
            ));
            kept = Some(clip);
        } else {
            moved.push(clip);
        }
    }
    Ok(moved)
}

/// Moves a text to the next text track with room above a track, or to a new track directly above it; returns the
/// index of the track.
fn move_up(edit: &mut Edit<'_>, from: usize, clip: ClipRef) -> Result<usize> {
    let wanted = edit.target(clip);
    let tracks = edit.tracks();
    let is_free = |track: TrackRef| {
        edit.value(track, &field::track::KIND) == "text"
            && edit
                .clips(track)
                .all(|other| !overlap(edit.target(other), wanted))
    };
    let other = (from + 1..tracks.len()).find(|index| is_free(tracks[*index]));
    let (to, track) = match other {
        Some(to) => (to, tracks[to]),
        None => {
            let empty = edit.json(tracks[from]).into_owned();
            let track = edit.add_track(from + 1, &empty)?;
            edit.set(track, field::ID, &new_id())?;
            (from + 1, track)
        }
    };
    let clips: Vec<ClipRef> = edit.clips(track).collect();
    let at = clips.partition_point(|other| edit.target(*other).start <= wanted.start);
    edit.move_clip(clip, track, at)?;
    Ok(to)
}

fn overlap(one: TimeRange, other: TimeRange) -> bool {
    one.start < other.end() && other.start < one.end()
}
