//! Texts of one track that overlap: the app shows only one of them, or refuses the track.

use serde_json::{Value, json};

use super::new_id;
use crate::draft::finished::grid::Grid;
use crate::draft::finished::{list, list_mut, range};
use crate::units::{Micros, Range};

/// Ends each text where the next one starts; of texts that start together, the later in the track moves to another
/// track. Returns whether anything changed. The segments of the tracks are sorted by time.
pub(super) fn untangle(document: &mut Value, notes: &mut Vec<String>) -> bool {
    let grid = Grid::new(document["fps"].as_f64().unwrap_or(30.0));
    let Some(tracks) = list_mut(document, "tracks") else {
        return false;
    };
    let mut changed = false;
    let mut index = 0;
    while index < tracks.len() {
        if tracks[index]["type"] == "text" {
            let moved = shorten(&mut tracks[index], grid, notes, &mut changed);
            for segment in moved {
                changed = true;
                let time = range(&segment["target_timerange"]);
                let to = room(tracks, index, segment);
                notes.push(format!(
                    "tracks[{index}]: the text from {} to {} is on tracks[{to}] now: it started with another one",
                    time.start,
                    time.end()
                ));
            }
        }
        index += 1;
    }
    changed
}

/// Ends the texts of a track where the next one starts, and takes out those that start with the one before.
fn shorten(
    track: &mut Value,
    grid: Grid,
    notes: &mut Vec<String>,
    changed: &mut bool,
) -> Vec<Value> {
    let Some(segments) = list_mut(track, "segments") else {
        return Vec::new();
    };
    let mut kept: Vec<Value> = Vec::new();
    let mut moved = Vec::new();
    for segment in segments.drain(..) {
        let next = range(&segment["target_timerange"]);
        let Some(before) = kept.last_mut().filter(|_| next.duration > Micros::ZERO) else {
            kept.push(segment);
            continue;
        };
        let own = range(&before["target_timerange"]);
        if own.end() <= next.start {
            kept.push(segment);
            continue;
        }
        let end = grid.time(grid.frame_before(next.start));
        // At least one frame is left of the earlier text; rounded times may be 1 µs apart.
        if (end - own.start).0 + 1 >= grid.time(1).0 {
            before["target_timerange"]["duration"] = json!((end - own.start).0);
            notes.push(format!(
                "the text from {} to {} ends at {end} now, where the next one starts",
                own.start,
                own.end()
            ));
            *changed = true;
            kept.push(segment);
        } else {
            moved.push(segment);
        }
    }
    *segments = kept;
    moved
}

/// Puts a text on the next text track with room above a track, or on a new track directly above it; returns its
/// index.
fn room(tracks: &mut Vec<Value>, from: usize, segment: Value) -> usize {
    let wanted = range(&segment["target_timerange"]);
    let is_free = |track: &Value| {
        let is_text = track["type"] == "text" && track["segments"].is_array();
        is_text
            && list(&track["segments"])
                .iter()
                .all(|other| !overlap(range(&other["target_timerange"]), wanted))
    };
    let other = (from + 1..tracks.len()).find(|index| is_free(&tracks[*index]));
    let to = other.unwrap_or_else(|| {
        let mut track = tracks[from].clone();
        track["id"] = json!(new_id());
        track["segments"] = json!([]);
        tracks.insert(from + 1, track);
        from + 1
    });
    if let Some(segments) = list_mut(&mut tracks[to], "segments") {
        let start = |segment: &Value| range(&segment["target_timerange"]).start;
        let at = segments.partition_point(|other| start(other) <= wanted.start);
        segments.insert(at, segment);
    }
    to
}

fn overlap(one: Range, other: Range) -> bool {
    one.start < other.end() && other.start < one.end()
}
