//! `cut_on` of pictures and clips: they end on beats of a piece of music.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::item::Item;
use super::known::KnownMedia;
use super::section::Section;
use super::sound_keys::BeatWish;
use crate::args::suggest::nearest;
use crate::error::Error;

/// The least time that a picture is shown, in seconds.
const SHORTEST: f64 = 0.2;
/// More beats of a repeated sound are not computed.
const MOST_BEATS: usize = 100_000;
fn wish(item: &Item) -> Option<BeatWish> {
    BeatWish::of(item.extra("cut_on")?)
}

/// The problems of `cut_on`, each with its path.
pub(super) fn faults(items: &[Item]) -> Vec<String> {
    let sounds = || items.iter().filter(|item| item.section == Section::Audio);
    let ids: Vec<&str> = sounds().filter_map(|item| item.extra_text("id")).collect();
    let mut faults = Vec::new();
    for item in items {
        let Some(wish) = wish(item) else {
            continue;
        };
        let music = &wish.music;
        let path = &item.path;
        if item.is_whole() {
            faults.push(format!(
                "{path}.cut_on: the item is shown for the whole video: leave out `cut_on`, or give another `duration`"
            ));
        }
        if ids.contains(&music.as_str()) {
            continue;
        }
        let other = items
            .iter()
            .find(|other| other.extra_text("id") == Some(music));
        faults.push(match other {
            Some(other) => format!(
                "{path}.cut_on: {music:?} is {}: give the `id` of an item of `audio`",
                other.path
            ),
            None => {
                let near = nearest(music, ids.iter().copied());
                let near = near.map_or_else(String::new, |near| format!("did you mean {near:?}? "));
                let known = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
                format!("{path}.cut_on: no sound has the id {music:?}; {near}the ids of sounds are: {known}")
            }
        });
    }
    faults
}

/// The sources whose beats are needed.
pub(super) fn music(items: &[Item]) -> BTreeSet<String> {
    let named: BTreeSet<String> = items
        .iter()
        .filter_map(|item| Some(wish(item)?.music))
        .collect();
    items
        .iter()
        .filter(|item| {
            item.section == Section::Audio
                && item.extra_text("id").is_some_and(|id| named.contains(id))
        })
        .filter_map(|item| item.source().map(str::to_owned))
        .collect()
}

/// A sound, as the plan plays it: when it begins on the timeline, which part of its file it plays, and how often.
#[derive(Clone, Copy)]
pub(super) struct PlayedSound {
    pub at: f64,
    pub from: f64,
    pub to: Option<f64>,
    pub speed: f64,
    pub turns: usize,
}

/// The beats of the music that items name, on the timeline.
pub(super) struct BeatClock(HashMap<String, Result<Vec<f64>, Arc<Error>>>);

impl BeatClock {
    /// `played` says how a sound is played; `None` if its start is not known.
    pub(super) fn new(
        items: &[Item],
        known: &KnownMedia,
        played: impl Fn(&Item) -> Option<PlayedSound>,
    ) -> Self {
        let mut clocks = HashMap::new();
        for wish in items.iter().filter_map(wish) {
            if clocks.contains_key(&wish.music) {
                continue;
            }
            let music = items.iter().find(|item| {
                item.section == Section::Audio && item.extra_text("id") == Some(&wish.music)
            });
            let Some(music) = music else { continue };
            let Some(found) = music.source().and_then(|source| known.beats.get(source)) else {
                continue;
            };
            let beats = match (found, played(music)) {
                (Err(error), _) => Err(error.clone()),
                (Ok(_), None) => Err(Arc::new(
                    Error::media(format!(
                        "the start of {} is not known, as the length of a sound before it is unknown",
                        music.path
                    ))
                    .hint("set its `at`, in seconds"),
                )),
                (Ok(beats), Some(played)) => Ok(on_timeline(beats, played)),
            };
            clocks.insert(wish.music, beats);
        }
        Self(clocks)
    }

    /// The end of an item that begins at `at`: on a beat. `usual` is its end without beats, if it has one; it was asked for
    /// if `is_asked`, and then the nearest beat counts, else the next one. `last` is the end of its file.
    pub(super) fn end(
        &self,
        item: &mut Item,
        at: f64,
        (usual, is_asked): (Option<f64>, bool),
        last: Option<f64>,
    ) -> Option<f64> {
        let wish = wish(item)?;
        let all = match self.0.get(&wish.music)? {
            Ok(beats) => beats,
            Err(error) => {
                item.fail("cut_on", error);
                return None;
            }
        };
        let beats = all.iter().copied().skip(wish.offset).step_by(wish.every);
        let mut beats = beats.filter(|beat| *beat >= at + SHORTEST).peekable();
        if beats.peek().is_none() {
            item.notes.push(format!(
                "`cut_on`: {} has no more beats after {} s, so this end is not on a beat",
                wish.music,
                rounded(at)
            ));
            return None;
        }
        let fits = |beat: &f64| last.is_none_or(|last| *beat <= last + 1e-6);
        let found = match usual.filter(|_| is_asked) {
            Some(usual) => beats
                .filter(fits)
                .min_by(|a, b| (a - usual).abs().total_cmp(&(b - usual).abs())),
            None => beats.find(fits),
        };
        match found {
            Some(beat) => {
                item.notes.push(format!(
                    "`cut_on`: ends on the beat of {} at {} s",
                    wish.music,
                    rounded(beat)
                ));
                Some(beat)
            }
            None => {
                let error = Error::media(format!(
                    "its file ends at {} s on the timeline, before the next beat of {}",
                    rounded(last.unwrap_or(at)),
                    wish.music
                ))
                .hint("give a longer clip, a smaller `every`, or leave out `cut_on`");
                item.fail("cut_on", &error);
                None
            }
        }
    }
}

fn on_timeline(beats: &[f64], played: PlayedSound) -> Vec<f64> {
    let to = played.to.unwrap_or(f64::INFINITY);
    let inside = |beat: &&f64| **beat >= played.from - 1e-6 && **beat <= to;
    let once: Vec<f64> = beats
        .iter()
        .filter(inside)
        .map(|beat| (beat - played.from) / played.speed)
        .collect();
    let length = (to - played.from) / played.speed;
    let turns = played.turns.min(MOST_BEATS / once.len().max(1) + 1);
    (0..turns)
        .flat_map(|turn| {
            // The first turn has no length to add, which may be unknown.
            let start = if turn == 0 { 0.0 } else { turn as f64 * length };
            once.iter().map(move |beat| played.at + start + beat)
        })
        .collect()
}

/// To milliseconds.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_follow_the_trim_the_place_the_speed_and_the_repetitions() {
        let beats = [0.5, 1.0, 1.5, 2.0, 2.5];
        let played = PlayedSound {
            at: 10.0,
            from: 1.0,
            to: Some(2.0),
            speed: 2.0,
            turns: 2,
        };
        assert_eq!(
            on_timeline(&beats, played),
            [10.0, 10.25, 10.5, 10.5, 10.75, 11.0]
        );
    }
}
