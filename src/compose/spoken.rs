//! The words of a voice with the times that its service gives.

use capcut_sound::Span;
use serde_json::json;

use super::script;
use crate::providers::VoicedWord;

/// The words of a text, with its punctuation, at the times of the spoken words, as a transcript. `None` without times.
///
/// Services count words differently ("it's", numbers, Chinese), so that letters are compared, not words. If the letters
/// differ (a service writes out numbers), its own words are used.
pub(super) fn on_words(text: &str, spoken: &[VoicedWord]) -> Option<String> {
    if spoken.is_empty() {
        return None;
    }
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.chars().any(char::is_alphanumeric))
        .collect();
    let words = script::words(&json!(lines));
    let mut letters: Vec<(char, f64, f64)> = Vec::new();
    for word in spoken {
        let own: Vec<char> = comparable(&word.word).collect();
        let step = (word.end - word.start) / own.len().max(1) as f64;
        for (at, letter) in own.into_iter().enumerate() {
            let start = word.start + step * at as f64;
            letters.push((letter, start, start + step));
        }
    }
    let wanted: Vec<char> = words.iter().flat_map(|word| comparable(word)).collect();
    if !wanted
        .iter()
        .copied()
        .eq(letters.iter().map(|(letter, ..)| *letter))
    {
        let spans: Vec<Span> = spoken
            .iter()
            .map(|word| Span::new(word.start, word.end))
            .collect();
        let words: Vec<String> = spoken
            .iter()
            .map(|word| format!(" {}", word.word.trim()))
            .collect();
        return Some(script::transcript(&words, &spans));
    }
    let mut at = 0;
    let mut last = 0.0;
    let spans: Vec<Span> = words
        .iter()
        .map(|word| {
            let count = comparable(word).count();
            let own = &letters[at..at + count];
            at += count;
            let start = own.first().map_or(last, |(_, start, _)| *start);
            last = own.last().map_or(start, |(.., end)| *end);
            Span::new(start, last)
        })
        .collect();
    Some(script::transcript(&words, &spans))
}

fn comparable(word: &str) -> impl Iterator<Item = char> {
    word.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn spoken(words: &[(&str, f64, f64)]) -> Vec<VoicedWord> {
        let words = words.iter().map(|(word, start, end)| VoicedWord {
            word: (*word).to_owned(),
            start: *start,
            end: *end,
        });
        words.collect()
    }

    fn read(text: &str, words: &[(&str, f64, f64)]) -> Vec<(String, f64, f64)> {
        let transcript = on_words(text, &spoken(words)).unwrap();
        let rows: Vec<Value> = serde_json::from_str(&transcript).unwrap();
        let row = |row: &Value| {
            let text = row["text"].as_str().unwrap().to_owned();
            (
                text,
                row["start"].as_f64().unwrap(),
                row["end"].as_f64().unwrap(),
            )
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn words_keep_their_punctuation_and_get_the_times_of_the_service() {
        let words = read(
            "It's new: look!",
            &[("its", 0.5, 0.8), ("new", 0.9, 1.2), ("look", 1.5, 2.0)],
        );
        let expected = [
            (" It's", 0.5, 0.8),
            (" new:", 0.9, 1.2),
            (" look!", 1.5, 2.0),
        ];
        assert_eq!(
            words,
            expected.map(|(word, start, end)| (word.to_owned(), start, end))
        );
        let chinese = read(
            "新手表。很轻",
            &[
                ("新", 0.0, 0.2),
                ("手", 0.2, 0.4),
                ("表", 0.4, 0.6),
                ("很", 1.0, 1.2),
                ("轻", 1.2, 1.4),
            ],
        );
        let joined: String = chinese.iter().map(|(word, ..)| word.trim()).collect();
        assert_eq!(joined, "新手表。很轻");
        assert_eq!(chinese.last().unwrap().2, 1.4);
    }

    #[test]
    fn other_words_of_the_service_are_used_as_they_are() {
        let words = read(
            "Only 5 left",
            &[("only", 0.0, 0.3), ("five", 0.3, 0.6), ("left", 0.6, 1.0)],
        );
        assert_eq!(words[1], (" five".to_owned(), 0.3, 0.6));
        assert_eq!(on_words("text", &[]), None);
    }
}
