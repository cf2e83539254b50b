//! `jump_cut` of a video or sound: its pauses are cut out, and all other items move along.

use std::collections::BTreeSet;

use capcut_draft::{
    Grid, JumpCut, PauseRule, TimeRange, kept_frames, merged_cuts, pauses_to_cut,
    without_short_pieces,
};
use capcut_sound::overlaps;
use serde_json::{Value, json};

use super::item::{Item, round};
use super::known::KnownMedia;
use super::section::Section;
use super::sound_keys::jump_cut;
use crate::args::input_rule::FURTHER;
use crate::engine::subtitle::HeardPart;
use crate::error::Error;
use crate::units::Micros;

/// The key in a plan.
const KEY: &str = "jump_cut";
/// How many cuts a note names.
const SHOWN: usize = 12;
/// Arguments of the start of a clip, which its later pieces do not have; and those of its end.
const AT_START: [&str; 3] = ["fade_in", "intro_animation", "intro_animation_duration"];
const AT_END: [&str; 5] = [
    "fade_out",
    "outro_animation",
    "outro_animation_duration",
    "transition",
    "transition_duration",
];

fn wish(item: &Item) -> Option<JumpCut> {
    jump_cut(item.extra(KEY)?).ok().flatten()
}

/// The sources in which pauses are looked for.
pub(super) fn voices(items: &[Item]) -> BTreeSet<String> {
    items
        .iter()
        .filter(|item| wish(item).is_some())
        .filter_map(|item| item.source().map(str::to_owned))
        .collect()
}

/// Cuts the pauses out of the items that ask for it. All items have their times.
pub(super) fn apply(items: Vec<Item>, known: &KnownMedia) -> Vec<Item> {
    let mut items = items;
    let grid = Grid::new(known.fps.unwrap_or(30.0));
    let mut all = Vec::new();
    let mut spoken = Vec::new();
    let mut wishing = Vec::new();
    for item in &mut items {
        match cuts_of(item, known, grid) {
            None => {}
            Some(Err(error)) => item.fail(KEY, &error),
            Some(Ok((cuts, frames))) => {
                spoken.extend(kept_frames(frames, &cuts));
                wishing.push(frames);
                all.extend(cuts);
            }
        }
    }
    // Where another of them speaks, nothing is cut.
    let spoken = merged_cuts(spoken);
    let mut cuts: Vec<(i64, i64)> = merged_cuts(all)
        .into_iter()
        .flat_map(|cut| kept_frames(cut, &spoken))
        .collect();
    // Nor where an item is shown or heard only in the pause.
    cuts.retain(|cut| {
        let (from, to) = (seconds(grid, cut.0), seconds(grid, cut.1));
        !items.iter().any(|item| {
            wish(item).is_none()
                && item
                    .span
                    .is_some_and(|(start, end)| end > start && start >= from && end <= to)
        })
    });
    let cuts = without_short_pieces(cuts, wishing, grid);
    if cuts.is_empty() {
        for item in items.iter_mut().filter(|item| wish(item).is_some()) {
            if item.fault.is_none() {
                item.notes
                    .push(format!("`{KEY}`: no pause was found that can be cut"));
            }
        }
        return items;
    }
    let cut = Cuts { cuts, grid };
    let mut out = Vec::with_capacity(items.len() + cut.cuts.len());
    for item in items {
        if wish(&item).is_some() && item.fault.is_none() {
            out.extend(cut.pieces(item));
        } else {
            out.push(cut.moved(item));
        }
    }
    out
}

/// The cuts of an item and its frames; `None` if it has none, or before its sound was heard.
#[expect(
    clippy::type_complexity,
    reason = "an error, or cuts with the frames that they are cut from"
)]
fn cuts_of(
    item: &Item,
    known: &KnownMedia,
    grid: Grid,
) -> Option<Result<(Vec<(i64, i64)>, (i64, i64)), Error>> {
    let rule = PauseRule::of(&wish(item)?).unwrap_or_default();
    let speech = match known.speech.get(item.source()?)? {
        Ok(speech) => speech,
        Err(error) => return Some(Err(error.again())),
    };
    let Some((start, end)) = item.span else {
        return Some(Err(Error::media(
            "its place follows from an item whose length is unknown",
        )
        .hint("set its `at`, or an `end` for the items before it")));
    };
    let curves = curves(item);
    if curves.contains("speed_curve") {
        return Some(Err(Error::invalid("it has a speed curve").hint(
            "give it a constant `speed`, or cut its pauses in another way",
        )));
    }
    if !curves.is_empty() {
        return Some(Err(Error::invalid(
            "it has values over time, which cannot be divided among the pieces",
        )
        .hint(
            "cut it after the draft is made: the operation `jump_cut` of `edit_draft` divides them",
        )));
    }
    let speed = speed(item);
    let from = item.number("start").unwrap_or(0.0);
    let micros = |time: f64| Micros::from_seconds(time).0;
    let shown = |time: f64| micros(start + (time - from) / speed);
    let heard = overlaps(speech, from, from + (end - start) * speed);
    if heard.is_empty() {
        return Some(Err(Error::media(
            "the part of its file that is used has no speech",
        )
        .hint("leave out `jump_cut`, or use another part")));
    }
    let spans: Vec<TimeRange> = heard
        .iter()
        .map(|span| TimeRange::between(shown(span.start), shown(span.end)))
        .collect();
    // A file may end within a frame: nothing of that frame stays behind a cut. A sum may be 2 µs beside its frame.
    let frames = (
        grid.frame(micros(start) + 2),
        grid.frame_from(micros(end) - 2),
    );
    let clip = TimeRange::between(micros(start), grid.time(frames.1));
    Some(Ok((pauses_to_cut(clip, &spans, rule, grid), frames)))
}

/// The values over time of an item.
fn curves(item: &Item) -> BTreeSet<&str> {
    let properties = item.arguments.get(FURTHER).and_then(Value::as_object);
    let given = properties.into_iter().flatten();
    given
        .filter(|(key, value)| key.ends_with("_curve") && !value.is_null())
        .map(|(key, _)| key.as_str())
        .collect()
}

fn speed(item: &Item) -> f64 {
    item.number("speed")
        .filter(|speed| *speed > 0.0)
        .unwrap_or(1.0)
}

fn seconds(grid: Grid, frame: i64) -> f64 {
    grid.time(frame) as f64 / 1e6
}

/// Frames that are cut out of the timeline, in order.
struct Cuts {
    cuts: Vec<(i64, i64)>,
    grid: Grid,
}

impl Cuts {
    /// When something is shown after the cuts, in seconds.
    fn after(&self, time: f64) -> f64 {
        let mut frames = 0;
        for (first, last) in &self.cuts {
            let (from, to) = (seconds(self.grid, *first), seconds(self.grid, *last));
            if time >= to {
                frames += last - first;
            } else if time > from {
                return round(from - seconds(self.grid, frames));
            } else {
                break;
            }
        }
        round(time - seconds(self.grid, frames))
    }

    /// What stays of an item from which pauses are cut.
    fn pieces(&self, item: Item) -> Vec<Item> {
        let Some((start, end)) = item.span else {
            return vec![item];
        };
        let speed = speed(&item);
        let from = item.number("start").unwrap_or(0.0);
        let mut kept: Vec<(f64, f64)> = Vec::new();
        let mut at = start;
        let mut cut = Vec::new();
        for (first, last) in &self.cuts {
            let (first, last) = (
                seconds(self.grid, *first).max(start),
                seconds(self.grid, *last).min(end),
            );
            if last <= first {
                continue;
            }
            cut.push((first, last));
            if first > at {
                kept.push((at, first));
            }
            at = last;
        }
        if end > at {
            kept.push((at, end));
        }
        let count = kept.len();
        let mut pieces = Vec::with_capacity(count);
        // Sums, not frames: times of frames are rounded, and pieces must not overlap by a microsecond.
        let mut shown = self.after(kept.first().map_or(start, |(first, _)| *first));
        for (index, (first, last)) in kept.into_iter().enumerate() {
            let mut piece = item.clone();
            let arguments = &mut piece.arguments;
            arguments.insert("target_start".to_owned(), json!(shown));
            arguments.insert(
                "start".to_owned(),
                json!(round(from + (first - start) * speed)),
            );
            arguments.insert(
                "end".to_owned(),
                json!(round(from + (last - start) * speed)),
            );
            arguments.shift_remove("duration");
            if index > 0 {
                for key in AT_START {
                    arguments.shift_remove(key);
                }
                piece.notes.clear();
            }
            if index + 1 < count {
                for key in AT_END {
                    arguments.shift_remove(key);
                }
            }
            if count > 1 {
                piece.path = format!("{}#{}", item.path, index + 1);
            }
            let begin = shown;
            shown = round(shown + last - first);
            piece.span = Some((begin, shown));
            pieces.push(piece);
        }
        if let Some(first) = pieces.first_mut() {
            first.notes.push(report(&cut));
        }
        pieces
    }

    /// Another item: it moves along, and becomes shorter at its end by what is cut while it is shown.
    fn moved(&self, mut item: Item) -> Item {
        let keep = |item: &mut Item, key: &str| {
            if let Some(time) = item.number(key) {
                item.arguments
                    .insert(key.to_owned(), json!(self.after(time)));
            }
        };
        let is_of_file =
            item.arguments.contains_key("audio_url") || item.arguments.contains_key("video_url");
        match item.section {
            Section::Audio | Section::Visuals if is_of_file => {
                if let Some((start, end)) = item.span {
                    let length = self.after(end) - self.after(start);
                    let from = item.number("start").unwrap_or(0.0);
                    let end = round(from + length * speed(&item));
                    item.arguments.insert("end".to_owned(), json!(end));
                    item.arguments.shift_remove("duration");
                }
                keep(&mut item, "target_start");
            }
            Section::Subtitles => {
                if item.extra("align_to").is_none() {
                    item.arguments
                        .insert("heard".to_owned(), json!(self.heard()));
                }
            }
            Section::Keyframes => {
                keep(&mut item, "time");
                let times = item
                    .arguments
                    .get_mut("times")
                    .and_then(Value::as_array_mut);
                for time in times.into_iter().flatten() {
                    if let Some(at) = time.as_f64() {
                        *time = json!(self.after(at));
                    }
                }
            }
            _ => {
                keep(&mut item, "start");
                keep(&mut item, "end");
            }
        }
        item.span = item
            .span
            .map(|(start, end)| (self.after(start), self.after(end)));
        item
    }

    /// The timeline without the cuts, for subtitles that count on it.
    fn heard(&self) -> Vec<HeardPart> {
        let mut parts = Vec::with_capacity(self.cuts.len() + 1);
        let mut from = 0.0;
        for (first, last) in &self.cuts {
            let to = seconds(self.grid, *first);
            if to > from {
                parts.push(HeardPart {
                    from,
                    to: Some(to),
                    at: self.after(from),
                    speed: None,
                });
            }
            from = seconds(self.grid, *last);
        }
        parts.push(HeardPart {
            from,
            to: None,
            at: self.after(from),
            speed: None,
        });
        parts
    }
}

/// What was cut.
fn report(cuts: &[(f64, f64)]) -> String {
    let hundredths = |time: f64| (time * 100.0).round() / 100.0;
    let shown: Vec<String> = cuts
        .iter()
        .take(SHOWN)
        .map(|(first, last)| format!("{}–{} s", hundredths(*first), hundredths(*last)))
        .collect();
    let more = match cuts.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let saved: f64 = cuts.iter().map(|(first, last)| last - first).sum();
    format!(
        "`{KEY}`: {} {} cut, {} s in total (times before the cut): {}{more}",
        cuts.len(),
        if cuts.len() == 1 {
            "pause is"
        } else {
            "pauses are"
        },
        hundredths(saved),
        shown.join(", ")
    )
}
