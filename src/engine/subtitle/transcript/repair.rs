//! Makes the times of words usable: words without times are placed between their neighbours, and times that cannot be
//! right are replaced. Times that are right stay exactly as they are.

use super::script::spoken_weight;
use super::{HeardWord, TimedWord};
use crate::engine::subtitle::cue::Notes;
use crate::error::{Error, Result};
use crate::units::Micros;

/// The shortest time of a word.
const SHORTEST: Micros = Micros(20_000);
/// The time of a unit of [`spoken_weight`] if the transcript does not show how fast the voice is.
const USUAL_PACE: f64 = 65_000.0;
/// A first word that is longer than this, and than this many usual words of its length, began before the voice.
const TOO_LONG: Micros = Micros(1_200_000);
const TIMES_TOO_LONG: f64 = 4.0;
/// A pause before which recognisers pull the next word forwards.
const PAUSE: Micros = Micros(300_000);

/// The words with times in order.
pub(super) fn repaired(mut words: Vec<HeardWord>, notes: &mut Notes) -> Result<Vec<TimedWord>> {
    let name = |index: usize, word: &HeardWord| (index as u64 + 1, format!("\"{}\"", word.text));
    // A word with one of its times, and words whose times are those of their phrase.
    for word in &mut words {
        if word.start.is_none() {
            word.end = None;
        }
    }
    shared(&mut words, notes);
    for index in backwards(&words) {
        let (number, text) = name(index, &words[index]);
        notes.of_word(
            number,
            &text,
            "its time ran backwards; it was placed between its neighbours",
        );
        (words[index].start, words[index].end) = (None, None);
    }
    let pace = pace(&words);
    let mut missing = 0;
    for (index, word) in words.iter_mut().enumerate() {
        let (number, text) = name(index, word);
        if word
            .start
            .zip(word.end)
            .is_some_and(|(start, end)| end <= start)
        {
            let what = "had no length; it lasts as long as words of its length";
            notes.of_word(number, &text, what);
            word.end = None;
        }
        missing += usize::from(word.start.is_none());
    }
    if missing == words.len() && words.iter().all(|word| word.phrase.is_none()) {
        return Err(Error::invalid("no word of the transcript has a time")
            .hint("ask the recogniser for times of words, or give the text as `script`, which is placed on the voice"));
    }
    let mut timed = placed(&words, pace, notes);
    leading(&words, &mut timed, pace, notes);
    Ok(timed)
}

/// Words that all have the times of their phrase lose them.
fn shared(words: &mut [HeardWord], notes: &mut Notes) {
    let mut first = 0;
    while first < words.len() {
        let times = (words[first].start, words[first].end);
        let mut end = first + 1;
        while end < words.len() && times.0.is_some() && (words[end].start, words[end].end) == times
        {
            end += 1;
        }
        if end - first > 1
            && let (Some(from), Some(to)) = times
            && to > from
        {
            for (index, word) in words.iter_mut().enumerate().take(end).skip(first) {
                let text = format!("\"{}\"", word.text);
                notes.of_word(
                    index as u64 + 1,
                    &text,
                    "had the time of its whole phrase; it was placed within it",
                );
                (word.start, word.end, word.phrase) = (None, None, Some((from, to)));
            }
        }
        first = end;
    }
}

/// The words whose start is not in order: all but the longest run of starts that is.
fn backwards(words: &[HeardWord]) -> Vec<usize> {
    let starts: Vec<(usize, Micros)> = words
        .iter()
        .enumerate()
        .filter_map(|(index, word)| Some((index, word.start?)))
        .collect();
    // From the end: for each length, the latest start with which a run of that length begins.
    let mut latest: Vec<Micros> = Vec::new();
    let mut lengths = vec![0; starts.len()];
    for (position, (_, start)) in starts.iter().enumerate().rev() {
        let length = latest.partition_point(|other| *other > *start);
        match latest.get_mut(length) {
            Some(other) => *other = *start,
            None => latest.push(*start),
        }
        lengths[position] = length + 1;
    }
    // Of several longest runs, the one that keeps the first words.
    let mut wanted = latest.len();
    let mut at: Option<Micros> = None;
    let mut lost = Vec::new();
    for ((index, start), length) in starts.iter().zip(lengths) {
        if length == wanted && at.is_none_or(|at| *start > at) {
            (wanted, at) = (wanted - 1, Some(*start));
        } else {
            lost.push(*index);
        }
    }
    lost
}

/// Microseconds per unit of weight: the median of the words with times.
fn pace(words: &[HeardWord]) -> f64 {
    let mut paces: Vec<f64> = words
        .iter()
        .filter_map(|word| {
            let length = word.end? - word.start?;
            (length >= SHORTEST).then(|| length.0 as f64 / spoken_weight(&word.text))
        })
        .collect();
    if paces.len() < 3 {
        return USUAL_PACE;
    }
    paces.sort_by(f64::total_cmp);
    paces[paces.len() / 2]
}

/// Gives every word a start and an end.
fn placed(words: &[HeardWord], pace: f64, notes: &mut Notes) -> Vec<TimedWord> {
    let usual = |word: &HeardWord| Micros((spoken_weight(&word.text) * pace) as i64).max(SHORTEST);
    let mut timed: Vec<TimedWord> = Vec::with_capacity(words.len());
    let mut index = 0;
    while index < words.len() {
        let word = &words[index];
        if let Some(start) = word.start {
            let next = words[index + 1..].iter().find_map(|word| word.start);
            let end = match word.end {
                Some(end) => end,
                None => {
                    let end = start + usual(word);
                    next.filter(|next| *next > start)
                        .map_or(end, |next| end.min(next))
                }
            };
            // Words that overlap are cut where the next one starts.
            let end = match next {
                Some(next) => end.min(next),
                None => end,
            };
            timed.push(timed_word(word, start, end.max(start + Micros(1))));
            index += 1;
            continue;
        }
        // A run of words without times that belong to one phrase.
        let mut end = index + 1;
        while end < words.len() && words[end].start.is_none() && words[end].phrase == word.phrase {
            end += 1;
        }
        let run = &words[index..end];
        let before = timed.last().map(|word| word.end);
        let after = words[end..]
            .iter()
            .find_map(|word| word.start.or(word.phrase.map(|phrase| phrase.0)));
        let length = run
            .iter()
            .map(usual)
            .fold(Micros::ZERO, |sum, length| sum + length);
        let is_whole_phrase = word.phrase.is_some()
            && (index == 0 || words[index - 1].phrase != word.phrase)
            && (end == words.len() || words[end].phrase != word.phrase);
        let (from, to) = match (word.phrase, before, after) {
            (Some((from, to)), ..) if is_whole_phrase => (from, to),
            (_, Some(before), Some(after)) => (before, after),
            (phrase, Some(before), None) => {
                let end = phrase.map(|phrase| phrase.1).filter(|end| *end > before);
                (before, end.unwrap_or(before + length))
            }
            (phrase, None, Some(after)) => {
                let start = phrase.map(|phrase| phrase.0).filter(|start| *start < after);
                (start.unwrap_or((after - length).max(Micros::ZERO)), after)
            }
            (Some((from, to)), None, None) => (from, to),
            (None, None, None) => (Micros::ZERO, length),
        };
        let count = i64::try_from(run.len()).unwrap_or(i64::MAX);
        let least = Micros(SHORTEST.0.saturating_mul(count));
        let mut from = before.map_or(from, |before| from.max(before));
        // Without room between its neighbours, it takes a part of the word before it.
        if to - from < least
            && let Some(last) = timed.last_mut()
        {
            let room = Micros((last.end - last.start).0 / 2);
            let cut = (least - (to - from).max(Micros::ZERO)).min(room);
            last.end = (last.end - cut).max(last.start + Micros(1));
            from = last.end;
        }
        let to = to.max(from + Micros(count));
        let total: f64 = run.iter().map(|word| spoken_weight(&word.text)).sum();
        let mut done = 0.0;
        for (offset, word) in run.iter().enumerate() {
            let at = |part: f64| from + Micros(((to - from).0 as f64 * part / total) as i64);
            let start = at(done);
            done += spoken_weight(&word.text);
            let text = format!("\"{}\"", word.text);
            let what = if is_whole_phrase {
                "estimated: it was placed within the time of its phrase"
            } else {
                "estimated: it has no time in the transcript and was placed between its neighbours"
            };
            notes.of_word((index + offset) as u64 + 1, &text, what);
            timed.push(timed_word(word, start, at(done).max(start + Micros(1))));
        }
        index = end;
    }
    // Rounding and words that had no room must not change the order.
    let mut at = Micros::ZERO;
    for word in &mut timed {
        word.start = word.start.max(at);
        word.end = word.end.max(word.start + Micros(1));
        at = word.start;
    }
    timed
}

fn timed_word(word: &HeardWord, start: Micros, end: Micros) -> TimedWord {
    TimedWord {
        text: word.text.clone(),
        start,
        end,
        is_joined: word.is_joined,
        ends_caption: word.ends_caption,
    }
}

/// The first word after a silence that was pulled into it keeps its end.
fn leading(heard: &[HeardWord], words: &mut [TimedWord], pace: f64, notes: &mut Notes) {
    for index in 0..words.len() {
        let is_first = match index.checked_sub(1) {
            None => true,
            Some(before) => words[index].start - words[before].end >= PAUSE,
        };
        let length = words[index].end - words[index].start;
        let usual = spoken_weight(&words[index].text) * pace;
        if is_first
            && heard[index].start.is_some()
            && heard[index].end.is_some()
            && words.len() > 1
            && length > TOO_LONG
            && length.0 as f64 > usual * TIMES_TOO_LONG
        {
            let text = format!("\"{}\"", words[index].text);
            let what = "began in the silence before the voice; it starts later";
            notes.of_word(index as u64 + 1, &text, what);
            words[index].start = words[index].end - Micros(usual as i64).max(SHORTEST);
        }
    }
}
