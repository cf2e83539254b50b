//! The words of captions, and when they are spoken, in the three forms that apps store.

use serde_json::Value;

use crate::content::TextContent;
use crate::document::{ClipRef, Document};
use crate::field::material;

/// A part of a caption's text and when it is spoken, in microseconds from the start of the clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionWord {
    /// Characters of the text, the end exclusive.
    pub from: usize,
    pub to: usize,
    pub start: i64,
    pub end: i64,
}

impl Document {
    /// The words of a caption in the order of its text; empty if it has none that belong to its text.
    ///
    /// CapCut 8.9 and newer count their times from the start of the clip. CapCut 3.8 counts them on the clock of the sound
    /// that was recognised, and a caption that was split keeps the words of all its parts: only those of its own text are
    /// returned, on its own clock.
    pub fn caption_words(&self, clip: ClipRef) -> Vec<CaptionWord> {
        let Some(main) = self.main_material(clip) else {
            return Vec::new();
        };
        let content = TextContent::read(&self.value(main, &material::CONTENT));
        let text: Vec<char> = content.words().chars().collect();
        let stored = self.raw(main, &["words"]);
        let stored: Value = stored
            .and_then(|words| serde_json::from_slice(words).ok())
            .unwrap_or_default();
        let mut words: Vec<(Vec<char>, i64, i64)> = Vec::new();
        for (index, word) in stored["text"].as_array().into_iter().flatten().enumerate() {
            let time = |key: &str| {
                let time = stored[key][index].as_f64()?;
                Some((time.clamp(-1e12, 1e12) * 1000.0).round() as i64)
            };
            let word = word.as_str().unwrap_or_default().trim();
            let (Some(start), Some(end)) = (time("start_time"), time("end_time")) else {
                continue;
            };
            // Blanks are entries of their own in some versions.
            if !word.is_empty() {
                words.push((word.chars().collect(), start, end.max(start)));
            }
        }
        let (placed, is_part) = placed(&text, &words);
        let target = self.target(clip);
        let (Some(first), Some(last)) = (placed.first(), placed.last()) else {
            return placed;
        };
        let fits = |offset: i64| {
            first.start - offset >= -TOLERANCE && last.end - offset <= target.duration + TOLERANCE
        };
        let source = self.source(clip).map(|source| source.start);
        let offsets = [Some(0), source, Some(target.start)];
        let offset = if is_part {
            // A part of a split caption: its first word starts with it, unless its place in the sound says otherwise.
            source.filter(|start| fits(*start)).unwrap_or(first.start)
        } else {
            let known = offsets.into_iter().flatten().find(|offset| fits(*offset));
            known.unwrap_or(if first.start > target.duration {
                first.start
            } else {
                0
            })
        };
        let inside = |time: i64| (time - offset).clamp(0, target.duration.max(0));
        let words = placed.into_iter().map(|word| CaptionWord {
            start: inside(word.start),
            end: inside(word.end),
            ..word
        });
        words.collect()
    }
}

/// Times of words differ from those of their clip by rounding to frames.
const TOLERANCE: i64 = 100_000;

/// The words that are in the text, in order, and whether the text has only a part of them.
fn placed(text: &[char], words: &[(Vec<char>, i64, i64)]) -> (Vec<CaptionWord>, bool) {
    // The part of a split caption begins at any of the words: the one with which most words follow.
    let run = |first: usize| {
        let mut at = 0;
        let mut found = Vec::new();
        for (word, start, end) in &words[first..] {
            while text.get(at).is_some_and(|letter| letter.is_whitespace()) {
                at += 1;
            }
            if !text[at..].starts_with(word) {
                break;
            }
            found.push(CaptionWord {
                from: at,
                to: at + word.len(),
                start: *start,
                end: *end,
            });
            at += word.len();
        }
        found
    };
    let mut best: Vec<CaptionWord> = Vec::new();
    let is_start = |word: &[char]| {
        let from = text.iter().position(|letter| !letter.is_whitespace());
        from.is_some_and(|from| text[from..].starts_with(word))
    };
    let starts = (0..words.len())
        .filter(|first| is_start(&words[*first].0))
        .take(STARTS);
    for first in starts {
        let found = run(first);
        if found.len() > best.len() {
            best = found;
        }
    }
    let is_part = best.len() < words.len();
    (best, is_part)
}

/// Repeated words may begin a text; more of them do not occur in a caption.
const STARTS: usize = 64;
