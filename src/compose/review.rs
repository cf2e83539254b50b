//! Reviews a laid-out plan: conflicts on tracks, and notes about gaps and sounds that are too long.

use std::collections::HashMap;

use super::item::{Item, round};
use super::section::Section;
use crate::sorting;
use crate::units::Micros;

/// Tolerance for the overlap of consecutive items, in microseconds (rounding to the grid).
const ROUNDING: i64 = 1;
/// Shorter differences on the timeline get no note, in seconds.
const NOTED: f64 = 0.1;

/// Notes about unexpected layouts: gaps without a picture, and sounds that are longer than the pictures.
pub(crate) fn notes(items: &[Item]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut pictures: Vec<(f64, f64, &Item)> = Vec::new();
    for item in items.iter().filter(|item| item.section == Section::Visuals) {
        match item.span {
            Some((start, end)) => pictures.push((start, end, item)),
            None => return notes,
        }
    }
    sorting::sort_by(&mut pictures, |a, b| a.0.total_cmp(&b.0));
    let Some(end) = pictures.iter().map(|(_, end, _)| *end).reduce(f64::max) else {
        return notes;
    };
    let mut shown_until = 0.0;
    let mut before: Option<&Item> = None;
    for (start, end, item) in &pictures {
        if *start > shown_until + NOTED {
            let mut note = format!(
                "nothing is shown from {} s to {} s",
                round(shown_until),
                round(*start)
            );
            let misread = [before, Some(*item)].into_iter().flatten();
            for (video, start) in misread.filter_map(|item| Some((item, item.start_in_file()?))) {
                note += &start_is_of_file(video, start);
            }
            notes.push(format!("{}: {note}", item.path));
        } else if let Some(start) = item.start_in_file()
            && (start - item.span.map_or(0.0, |span| span.0)).abs() < NOTED
        {
            // It is equal to the time at which the item starts anyway, so it was meant for the timeline.
            notes.push(format!(
                "{}: {}",
                item.path,
                start_is_of_file(item, start).trim_start_matches("; ")
            ));
        }
        if *end > shown_until {
            shown_until = *end;
            before = Some(item);
        }
    }
    let sounds = items.iter().filter(|item| item.section == Section::Audio);
    let longest = sounds
        .filter_map(|item| Some((item, item.span?.1)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((sound, until)) = longest.filter(|(_, until)| *until > end + NOTED) {
        notes.push(format!(
            "{}: plays until {} s, {} s longer than the pictures, which end at {} s; `fit: \"video\"` ends it with the pictures",
            sound.plan_path(),
            round(until),
            round(until - end),
            round(end)
        ));
    }
    notes
}

fn start_is_of_file(video: &Item, start: f64) -> String {
    let at = video.span.map_or(0.0, |span| span.0);
    format!(
        "; `start` of {} ({start} s) is the start in its file, and the video is shown from {} s on: `at` sets the time \
         on the timeline",
        video.path,
        round(at)
    )
}

/// Problems of the layout: two items at the same time on one track, two kinds of items on one track.
pub(crate) fn conflicts<'a>(items: impl IntoIterator<Item = &'a Item> + Clone) -> Vec<String> {
    let mut faults = Vec::new();
    for item in items.clone().into_iter().filter(|item| item.is_whole()) {
        match item.span {
            Some((start, end)) if end <= start && start > 0.0 => faults.push(format!(
                "{}.duration: the whole video ends at {} s or before, when the item starts: give seconds, or an earlier start",
                item.path,
                round(start)
            )),
            Some((start, end)) if end <= start => faults.push(format!(
                "{}.duration: no picture or sound of the plan sets the length of the whole video: give seconds",
                item.path
            )),
            _ => {}
        }
    }
    let mut tracks: HashMap<&str, Vec<&Item>> = HashMap::new();
    for item in items
        .into_iter()
        .filter(|item| item.section.holds().is_some())
    {
        let on_track = tracks.entry(item.track()).or_default();
        if let Some(first) = on_track.first()
            && first.section.holds() != item.section.holds()
        {
            faults.push(format!(
                "{}.track_name: track `{}` already has {} ({}): give another name",
                item.path,
                item.track(),
                first.section.holds().unwrap_or_default(),
                first.path
            ));
        } else {
            on_track.push(item);
        }
    }
    let mut overlaps: Vec<(usize, String)> = Vec::new();
    for (track, on_track) in tracks {
        let mut spans: Vec<(Micros, Micros, &Item)> = on_track
            .into_iter()
            .filter_map(|item| {
                let (start, end) = item.span?;
                let (start, end) = (Micros::from_seconds(start), Micros::from_seconds(end));
                (start < end).then_some((start, end, item))
            })
            .collect();
        sorting::sort_by_key(&mut spans, |(start, end, _)| (*start, *end));
        let mut occupied: Option<(Micros, Micros, &Item)> = None;
        for span in spans {
            let (start, end, item) = span;
            if let Some((from, until, other)) = occupied
                && until.0 - start.0 > ROUNDING
            {
                let (later, earlier) = if item.place >= other.place {
                    ((item, start, end), (other, from, until))
                } else {
                    ((other, from, until), (item, start, end))
                };
                overlaps.push((
                    later.0.place,
                    format!(
                        "{}: {} to {} was requested, but track `{track}` is occupied by {} from {} to {}; give another time or `track_name`",
                        later.0.path, later.1, later.2, earlier.0.path, earlier.1, earlier.2
                    ),
                ));
            }
            if occupied.is_none_or(|(_, until, _)| until < end) {
                occupied = Some(span);
            }
        }
    }
    overlaps.sort();
    faults.extend(overlaps.into_iter().map(|(_, fault)| fault));
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::compose::layout::tests::laid_out;

    #[test]
    fn gaps_and_sounds_longer_than_the_pictures_are_noted() {
        let check = |plan: Value, expected: &[&str]| {
            let items = laid_out(plan);
            let found = notes(&items);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (note, part) in found.iter().zip(expected) {
                assert!(note.contains(part), "{part}: {note}");
            }
        };
        let clip =
            |start: f64, end: f64| json!({ "video_url": "/clip", "start": start, "end": end });
        let image = |start: f64| json!({ "image_url": "/a.png", "start": start, "duration": 1 });
        check(
            json!({ "visuals": [clip(0.0, 2.0), clip(1.0, 2.0), image(3.0)] }),
            &[],
        );
        check(
            json!({ "visuals": [image(0.0), clip(3.0, 4.0), image(4.0)] }),
            &[
                "visuals[2]: nothing is shown from 2 s to 4 s; `start` of visuals[1] (3 s) is the start in its file",
            ],
        );
        check(
            json!({ "visuals": [clip(0.0, 2.0), clip(2.0, 4.0)] }),
            &["visuals[1]: `start` of visuals[1] (2 s) is the start in its file"],
        );
        check(
            json!({ "visuals": [image(1.0)] }),
            &["visuals[0]: nothing is shown from 0 s to 1 s"],
        );
        check(
            json!({ "visuals": [image(0.0)], "audio": [{ "audio_url": "/music" }] }),
            &["audio[0]: plays until 10 s, 9 s longer than the pictures"],
        );
        check(
            json!({ "visuals": [image(0.0)], "audio": [{ "audio_url": "/music", "fit": "video" }] }),
            &[],
        );
        check(json!({ "audio": [{ "audio_url": "/music" }] }), &[]);
    }

    #[test]
    fn adjacent_items_do_not_overlap() {
        let third = 1.0 / 3.0;
        let check = |start: f64, faults: usize| {
            let items = laid_out(json!({ "texts": [
                { "text": "a", "start": 0, "end": third }, { "text": "b", "start": start, "end": 1 },
            ]}));
            assert_eq!(conflicts(&items).len(), faults, "{start}");
        };
        check(third, 0);
        check(0.333_333, 0);
        check(0.333, 1);
        check(0.0, 1);
    }
}
