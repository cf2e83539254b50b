//! The times of the words of a caption: between marks of a file, or estimated from their lengths.

use super::cue::{CueWord, TimeMark};
use super::transcript::{spoken_weight, tokens};
use crate::units::{Micros, Range};

/// A hundredth of a second.
const HUNDREDTH: i64 = 10_000;

/// The words between marks. A word between two blanks has its part of the time between its marks.
pub(super) fn marked_words(text: &str, marks: &[(u32, TimeMark)], range: Range) -> Vec<CueWord> {
    let letters: Vec<char> = text.chars().collect();
    let mut spans: Vec<(usize, Micros, Option<Micros>)> = Vec::new();
    let mut at = range.start;
    for (place, mark) in marks {
        let place = (*place as usize).min(letters.len());
        match mark {
            TimeMark::Lasts(length, _) => {
                spans.push((place, at, Some(at + *length)));
                at = at + *length;
            }
            TimeMark::After(time) => at = range.start + *time,
            TimeMark::At(time) => {
                if spans.is_empty() && place > 0 {
                    spans.push((0, range.start, None));
                }
                spans.push((place, *time, None));
            }
        }
    }
    let mut words: Vec<CueWord> = Vec::new();
    for (index, (from, start, end)) in spans.iter().enumerate() {
        let next = spans.get(index + 1);
        let to = next.map_or(letters.len(), |next| next.0);
        let end = end.or(next.map(|next| next.1)).unwrap_or(range.end());
        if to <= *from || end <= *start {
            continue;
        }
        let part: String = letters[*from..to].iter().collect();
        let own = estimated(&part, Range::new(*start, end - *start));
        // Scripts count in hundredths of a second. Where words are too short for that, their times stay apart.
        let shortest = own.iter().map(|word| word.end - word.start).min();
        let is_fine = shortest.is_none_or(|shortest| shortest < Micros(2 * HUNDREDTH));
        let at = |time: Micros| {
            if time == end || is_fine {
                time
            } else {
                let hundredths = ((time - *start).0 + HUNDREDTH / 2) / HUNDREDTH;
                *start + Micros(hundredths * HUNDREDTH)
            }
        };
        words.extend(own.into_iter().map(|word| CueWord {
            from: word.from + *from as u32,
            to: word.to + *from as u32,
            start: at(word.start),
            end: at(word.end),
        }));
    }
    // Times that run backwards would leave words without a time.
    let mut done = range.start;
    words.retain(|word| {
        let is_later = word.start >= done;
        if is_later {
            done = word.start;
        }
        is_later
    });
    words
}

/// Words of a caption that has times only as a whole: they share them by their length.
pub(super) fn estimated(text: &str, range: Range) -> Vec<CueWord> {
    let mut spans: Vec<(u32, u32, f64)> = Vec::new();
    let mut count = 0_u32;
    for line in text.split('\n') {
        let letters: Vec<char> = line.chars().collect();
        let mut at = 0;
        for (token, _) in tokens(line) {
            while letters.get(at).is_some_and(|letter| letter.is_whitespace()) {
                at += 1;
            }
            let length = token.chars().count();
            let from = count + at as u32;
            spans.push((from, from + length as u32, spoken_weight(&token)));
            at += length;
        }
        count += letters.len() as u32 + 1;
    }
    let total: f64 = spans.iter().map(|span| span.2).sum();
    let mut done = 0.0;
    let words = spans.into_iter().map(|(from, to, weight)| {
        let at = |part: f64| range.start + Micros((range.duration.0 as f64 * part / total) as i64);
        let start = at(done);
        done += weight;
        CueWord {
            from,
            to,
            start,
            end: at(done),
        }
    });
    words.collect()
}
