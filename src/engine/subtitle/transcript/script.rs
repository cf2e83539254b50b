//! Facts about scripts: which letters are full width, where words may be joined, and how long words are spoken.

/// Whether a character takes the width of two Latin letters: Chinese, Japanese and Korean letters and punctuation.
pub(super) fn is_full_width(character: char) -> bool {
    matches!(character as u32,
        0x1100..=0x115F | 0x2E80..=0x303E | 0x3041..=0x33FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xA000..=0xA4CF
        | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x20000..=0x3FFFD)
}

/// Whether words of its script follow each other without a blank: Chinese and Japanese.
pub(super) fn is_unspaced(character: char) -> bool {
    is_full_width(character) && !matches!(character as u32, 0x1100..=0x115F | 0xAC00..=0xD7A3)
}

/// Whether a text has only punctuation.
pub(super) fn is_punctuation(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_alphanumeric)
}

/// Whether a caption should end after a word.
pub(super) fn ends_sentence(word: &str) -> bool {
    let word = word.trim_end_matches(['"', '\'', '”', '’', '»', ')', '」', '』', '）']);
    if word.ends_with(['?', '!', '。', '？', '！', '…', '؟', '।']) {
        return true;
    }
    let Some(stem) = word.strip_suffix('.') else {
        return false;
    };
    // "Mr.", "e.g.", "J." and similar do not end a sentence.
    let is_short = matches!(
        stem.to_ascii_lowercase().as_str(),
        "mr" | "mrs"
            | "ms"
            | "dr"
            | "st"
            | "vs"
            | "etc"
            | "prof"
            | "e.g"
            | "i.e"
            | "z.b"
            | "bzw"
            | "no"
    );
    let is_initial = stem.chars().count() == 1 && stem.chars().all(char::is_uppercase);
    !is_short && !is_initial
}

/// Whether a caption may end well after a word.
pub(super) fn ends_clause(word: &str) -> bool {
    word.ends_with([',', ';', ':', '，', '、', '；', '：', '،', '—', '–'])
}

/// How long a word is spoken in comparison with others: letters of an alphabet count one, letters that are syllables
/// two.
pub(in crate::engine::subtitle) fn spoken_weight(text: &str) -> f64 {
    let weight: f64 = text
        .chars()
        .filter(|character| character.is_alphanumeric())
        .map(|character| if is_full_width(character) { 2.0 } else { 1.0 })
        .sum();
    // A word has an onset, and punctuation takes almost no time.
    if weight > 0.0 { weight + 1.0 } else { 0.2 }
}

/// The words of a text, each with whether it follows the one before it without a blank: between blanks, and in Chinese
/// and Japanese every letter with the punctuation after it.
pub(crate) fn tokens(text: &str) -> Vec<(String, bool)> {
    let mut tokens: Vec<(String, bool)> = Vec::new();
    for run in text.split_whitespace() {
        let mut is_first = true;
        let mut last = None;
        for character in run.chars() {
            let starts = match last {
                None => true,
                Some(last) => {
                    character.is_alphanumeric() && (is_unspaced(character) || is_unspaced(last))
                }
            };
            match tokens.last_mut() {
                Some((token, _)) if !starts => token.push(character),
                _ => {
                    tokens.push((character.to_string(), !is_first));
                    is_first = false;
                }
            }
            last = Some(character);
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_with_and_without_blanks() {
        let read = |text: &str| -> String {
            let tokens = tokens(text).into_iter();
            let shown =
                tokens.map(|(token, joined)| if joined { format!("+{token}") } else { token });
            shown.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read("Hello,  big world"), "Hello, big world");
        assert_eq!(read("你好，世界。"), "你 +好， +世 +界。");
        assert_eq!(read("用AI做 视频"), "用 +AI +做 视 +频");
        assert_eq!(read("안녕 세상"), "안녕 세상");
        assert_eq!(read(" \n"), "");
    }

    #[test]
    fn short_forms_do_not_end_a_sentence() {
        for word in ["end.", "what?\"", "好。", "no!", "wait…"] {
            assert!(ends_sentence(word), "{word}");
        }
        for word in ["Mr.", "e.g.", "J.", "and,", "plain"] {
            assert!(!ends_sentence(word), "{word}");
        }
    }
}
