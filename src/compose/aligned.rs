//! Subtitles with `align_to`: on the clock of a sound or video, also if the plan trims, moves, repeats or speeds it up; and
//! `script`, whose words are placed on the speech in that file.

use std::collections::BTreeSet;

use capcut_draft::Clock;
use capcut_sound::{Span, align, overlaps, spoken_weight};
use serde_json::{Value, json};

use super::item::{Item, round};
use super::known::KnownMedia;
use super::script::{self, USUAL_PACE};
use super::section::Section;
use crate::args::suggest::nearest;
use crate::engine::subtitle::HeardPart;
use crate::error::{Error, Result};
use crate::media::shown;

/// The pieces of a speed curve between two of its points: with speeds from 0.5 to 4 in five seconds, the middle of a piece is
/// less than 10 ms off.
const PIECES: i64 = 16;

/// Edges of a file that differ less than this are the same, in seconds.
const SAME: f64 = 0.002;

/// The problems of `align_to` and `script`, each with its path.
pub(super) fn faults(items: &[Item]) -> Vec<String> {
    let ids: Vec<&str> = items
        .iter()
        .filter_map(|item| item.extra_text("id"))
        .collect();
    let mut faults = Vec::new();
    for item in items {
        let path = &item.path;
        let Some(id) = item.extra_text("align_to") else {
            if item.extra("script").is_some() {
                faults.push(format!(
                    "{path}.script: `align_to` is missing: give the `id` of the sound in which these words are spoken"
                ));
            }
            continue;
        };
        match items
            .iter()
            .find(|other| other.extra_text("id") == Some(id))
        {
            None => {
                let near = nearest(id, ids.iter().copied());
                let near = near.map_or_else(String::new, |near| format!("did you mean {near:?}? "));
                let known = if ids.is_empty() {
                    "none".to_owned()
                } else {
                    ids.join(", ")
                };
                faults.push(format!(
                    "{path}.align_to: no item has the id {id:?}; {near}the ids are: {known}"
                ));
            }
            Some(other) if item.extra("script").is_some() && !has_clock(other) => {
                faults.push(format!(
                    "{path}.align_to: {id:?} is {}, which has no sound: give the `id` of a sound or video",
                    other.path
                ));
            }
            Some(other) if item.has_no_words() => faults.push(format!(
                "{path}: has no words: give `srt` or `script`, `auto` to have {} transcribed, or `align_to` a sound with `say`",
                other.path
            )),
            Some(_) => {}
        }
    }
    faults
}

/// Whether an item plays a file with times.
fn has_clock(item: &Item) -> bool {
    item.arguments.contains_key("audio_url") || item.arguments.contains_key("video_url")
}

/// The sources on whose speech scripts are placed.
pub(super) fn voices(items: &[Item]) -> BTreeSet<String> {
    let scripts = items
        .iter()
        .filter(|item| item.extra("script").is_some())
        .filter_map(|item| item.extra_text("align_to"));
    let named: BTreeSet<&str> = scripts.collect();
    let is_named = |item: &&Item| {
        item.extra_text("id")
            .is_some_and(|id| named.contains(id) && has_clock(item))
    };
    items
        .iter()
        .filter(is_named)
        .filter_map(|item| item.source().map(str::to_owned))
        .collect()
}

/// Gives subtitles the times at which their sound is heard. All other items have their times.
pub(super) fn apply(items: &mut [Item], known: &KnownMedia) {
    for index in 0..items.len() {
        let Some(id) = items[index].extra_text("align_to") else {
            continue;
        };
        let named = items.iter().find(|item| item.extra_text("id") == Some(id));
        let Some(voice) = named else { continue };
        // A repeated sound is an item for each repetition.
        let parts: Vec<HeardPart> = items
            .iter()
            .filter(|item| item.plan_path() == voice.plan_path())
            .flat_map(heard_parts)
            .collect();
        let script = items[index].extra("script");
        let placed = script.map(|script| place(script, voice, &parts, known));
        let is_provisional = matches!(placed, Some(Ok(None)));
        let start = voice
            .number("target_start")
            .or_else(|| voice.number("start"))
            .unwrap_or(0.0);
        let length = length(voice, known);
        let item = &mut items[index];
        match placed {
            Some(Err(error)) => {
                item.fail("script", &error);
                continue;
            }
            Some(Ok(Some((words, note)))) => {
                item.arguments.insert("srt".to_owned(), words.into());
                item.notes.push(note);
            }
            Some(Ok(None)) | None => {}
        }
        if parts.is_empty() || is_provisional || is_whole(&parts, length) {
            let offset = item.number("time_offset").unwrap_or(0.0);
            item.arguments
                .insert("time_offset".to_owned(), json!(offset + start));
        } else {
            item.arguments.insert("heard".to_owned(), json!(parts));
        }
    }
}

/// The length of the sound of an item's file.
fn length(item: &Item, known: &KnownMedia) -> Option<f64> {
    let (picture, sound) = known.get(item.source()?)?;
    Some(match item.section {
        Section::Audio => *sound,
        _ => picture.max(*sound),
    })
}

/// Whether a file is heard as it is, from its start to its end.
fn is_whole(parts: &[HeardPart], length: Option<f64>) -> bool {
    let [part] = parts else { return false };
    let is_to_end = match (part.to, length) {
        (Some(to), Some(length)) => to >= length - SAME,
        (to, _) => to.is_none(),
    };
    part.from == 0.0 && part.speed.is_none() && is_to_end
}

/// What an item plays of its file, and when. One with a speed curve has a part for each piece of the curve: within it, its
/// average speed is that of the curve within a frame.
fn heard_parts(item: &Item) -> Vec<HeardPart> {
    let Some(part) = part(item) else {
        return Vec::new();
    };
    match item.clock() {
        Some(clock) if !clock.curve.is_empty() => pieces(&clock),
        _ => vec![part],
    }
}

fn pieces(clock: &Clock) -> Vec<HeardPart> {
    let seconds = |micros: f64| round(micros / 1e6);
    let source = (clock.source.start as f64, clock.source.duration as f64);
    // Between two points of the curve, the speed changes in a straight line.
    let mut bounds: Vec<i64> = clock
        .curve
        .iter()
        .map(|point| clock.time_of(source.0 + point.at * source.1))
        .collect();
    bounds.extend([clock.target.start, clock.target.end()]);
    bounds.sort_unstable();
    bounds.dedup();
    let mut times: Vec<i64> = Vec::new();
    for pair in bounds.windows(2) {
        let length = pair[1] - pair[0];
        times.extend((0..PIECES).map(|piece| pair[0] + length * piece / PIECES));
    }
    times.extend(bounds.last());
    times.dedup();
    let pieces = times.windows(2).map(|pair| {
        let (from, to) = (clock.source_at(pair[0]), clock.source_at(pair[1]));
        HeardPart {
            from: seconds(from),
            to: Some(seconds(to)),
            at: seconds(pair[0] as f64),
            speed: Some((to - from) / (pair[1] - pair[0]) as f64),
        }
    });
    // A piece that plays nothing of the file has no words.
    pieces.filter(|piece| piece.to > Some(piece.from)).collect()
}

/// What an item plays of its file, and when.
fn part(item: &Item) -> Option<HeardPart> {
    if !has_clock(item) {
        return None;
    }
    let speed = item.number("speed").filter(|speed| *speed > 0.0);
    Some(HeardPart {
        from: round(item.number("start").unwrap_or(0.0)),
        to: item.number("end").filter(|end| *end > 0.0).map(round),
        at: round(item.number("target_start").unwrap_or(0.0)),
        speed: speed.filter(|speed| *speed != 1.0),
    })
}

/// The words of a script on the clock of the file, and what to say about it; `None` before the voice was heard.
fn place(
    script: &Value,
    voice: &Item,
    parts: &[HeardPart],
    known: &KnownMedia,
) -> Result<Option<(String, String)>> {
    let source = voice.source().unwrap_or_default();
    let name = shown(source);
    let spans = match known.speech.get(source) {
        None => return Ok(None),
        Some(Err(error)) => return Err(error.again()),
        Some(Ok(spans)) => spans,
    };
    let mut used: Vec<Span> = Vec::new();
    for part in parts {
        // Repetitions have the same words.
        if used.last().is_some_and(|last| last.end > part.from) {
            break;
        }
        used.extend(overlaps(spans, part.from, part.to.unwrap_or(f64::INFINITY)));
    }
    let seconds = |spans: &[Span]| spans.iter().map(Span::duration).sum::<f64>();
    let (all, of_parts) = (seconds(spans), seconds(&used));
    if of_parts <= 0.0 {
        return Err(
            Error::media(format!("the part of {name} that is heard has no speech"))
                .hint("`analyze_audio` shows where the file has speech"),
        );
    }
    let words = script::words(script);
    let weight: f64 = words.iter().map(|word| spoken_weight(word)).sum();
    // A script may be that of the file, or of the part that is heard: the one that is spoken at a usual pace.
    let unusual = |seconds: f64| (seconds / weight / USUAL_PACE).ln().abs();
    let is_of_part = of_parts < all * 0.98 && unusual(of_parts) < unusual(all);
    let spans = if is_of_part { &used } else { spans };
    let trimmed: Vec<&str> = words.iter().map(|word| word.trim()).collect();
    let times = align(&trimmed, spans);
    let what = match (is_of_part, of_parts < all * 0.98) {
        (true, _) => "the part that is heard",
        (false, true) => "the whole file, a part of which is heard",
        (false, false) => "the whole file",
    };
    let pace = weight / seconds(spans);
    let doubt = if (2.0..=12.0).contains(&pace) {
        ""
    } else {
        "; they do not fit its length: check that these are the words that are spoken there"
    };
    Ok(Some((
        script::transcript(&words, &times),
        format!(
            "`script`: the times of its {} words are estimated, from the speech in {name} ({what}){doubt}",
            words.len()
        ),
    )))
}

#[cfg(test)]
mod tests {
    use capcut_draft::{SpeedPoint, TimeRange};

    use super::*;

    #[test]
    fn the_pieces_of_a_speed_curve_are_heard_when_the_curve_says() {
        let point = |at, speed| SpeedPoint { at, speed };
        for curve in [
            vec![point(0.0, 0.5), point(0.4, 4.0), point(1.0, 1.0)],
            vec![point(0.0, 1.0), point(1.0, 1.0)],
            vec![
                point(0.0, 4.0),
                point(0.5, 0.5),
                point(0.6, 0.5),
                point(1.0, 4.0),
            ],
        ] {
            let range = |start, end| TimeRange::between(start, end);
            let clock = Clock::new(
                range(3_000_000, 11_000_000),
                range(1_000_000, 13_000_000),
                1.5,
                curve,
            );
            let parts = pieces(&clock);
            HeardPart::check(&parts).unwrap();
            assert!(parts.len() <= 64 && parts[0].from == 1.0, "{parts:?}");
            for pair in parts.windows(2) {
                assert_eq!(pair[0].to, Some(pair[1].from));
            }
            for source in (1_000..13_000).map(|ms| f64::from(ms) * 1e3) {
                let time = clock.time_of(source) as f64 / 1e6;
                let part = parts
                    .iter()
                    .rfind(|part| part.from <= source / 1e6)
                    .unwrap();
                let heard = part.at + (source / 1e6 - part.from) / part.speed.unwrap();
                assert!((heard - time).abs() < 0.012, "{source}: {heard} {time}");
            }
        }
    }
}
