//! Splits a text at its sentences, for services that take short texts only.

/// Marks after which a sentence has ended, and marks after which a part of one has.
const ENDS: &str = ".!?…。！？\n";
const PAUSES: &str = ",;:，；：、—";
/// A sentence with fewer letters is not spoken on its own.
const SHORT: usize = 4;

/// The text in pieces of at most `most` bytes: between sentences where possible, else between their parts, between words, or
/// between characters. The pieces contain all words.
pub(super) fn pieces(text: &str, most: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while rest.len() > most {
        let end = rest.floor_char_boundary(most.max(4));
        let head = &rest[..end];
        let at = after_last(head, |mark| ENDS.contains(mark), rest)
            .or_else(|| after_last(head, |mark| PAUSES.contains(mark), rest))
            .or_else(|| head.rfind(char::is_whitespace).filter(|at| *at > 0))
            .unwrap_or(end);
        let piece = rest[..at].trim();
        if !piece.is_empty() {
            pieces.push(piece.to_owned());
        }
        rest = rest[at..].trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces
}

/// The sentences of a text; lines end sentences, and a very short sentence is kept with the one before it.
pub(crate) fn sentences(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut start = 0;
        let mut is_first = true;
        let mut take = |piece: &str| {
            let piece = piece.trim();
            if piece.is_empty() {
                return;
            }
            let is_short = piece
                .chars()
                .filter(|letter| letter.is_alphanumeric())
                .count()
                < SHORT;
            match found.last_mut().filter(|_| is_short && !is_first) {
                Some(last) => {
                    if piece.is_ascii() {
                        last.push(' ');
                    }
                    last.push_str(piece);
                }
                None => found.push(piece.to_owned()),
            }
            is_first = false;
        };
        for (at, mark) in line.char_indices() {
            let end = at + mark.len_utf8();
            let next = line[end..].chars().next();
            let is_end = ENDS.contains(mark)
                && next.is_none_or(|next| {
                    // Closing marks belong to the sentence; a point within a number does not end it.
                    !ENDS.contains(next)
                        && !"”’\"'）)」』".contains(next)
                        && (!mark.is_ascii() || next.is_whitespace())
                });
            if is_end {
                take(&line[start..end]);
                start = end;
            }
        }
        take(&line[start..]);
    }
    found
}

/// The end of the last mark in `head` after which a piece may end. A point within a number or an abbreviation is followed by
/// a letter or digit.
fn after_last(head: &str, is_mark: impl Fn(char) -> bool, all: &str) -> Option<usize> {
    head.char_indices()
        .rev()
        .filter(|(_, mark)| is_mark(*mark))
        .map(|(at, mark)| (at + mark.len_utf8(), mark))
        .find(|(end, mark)| {
            let next = all[*end..].chars().next();
            !mark.is_ascii() || next.is_none_or(char::is_whitespace) || *mark == '\n'
        })
        .map(|(end, _)| end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_at_marks_and_lines() {
        assert_eq!(
            sentences("Meet it. It costs 9.99 dollars!  Really?\nYes. \"Fine,\" she said."),
            [
                "Meet it.",
                "It costs 9.99 dollars!",
                "Really?",
                "Yes.",
                "\"Fine,\" she said."
            ]
        );
        assert_eq!(
            sentences("我们的新手表。它很轻，也很亮！好。"),
            ["我们的新手表。", "它很轻，也很亮！好。"]
        );
        assert!(sentences(" \n ").is_empty());
    }

    #[test]
    fn texts_are_split_at_sentences_and_lose_no_words() {
        let text = "One is 1.5 long. Two follows, and ends! Three? Four.";
        assert_eq!(
            pieces(text, 20),
            [
                "One is 1.5 long.",
                "Two follows,",
                "and ends! Three?",
                "Four."
            ]
        );
        assert_eq!(
            pieces("我们的新手表。它很轻，也很亮！", 24),
            ["我们的新手表。", "它很轻，也很亮！"]
        );
        assert_eq!(pieces("short", 100), ["short"]);
        assert!(pieces("  ", 100).is_empty());
        for most in [32, 33, 50, 100] {
            for text in [
                text,
                "无标点的长文字".repeat(20).as_str(),
                &"abc ".repeat(80),
            ] {
                let parts = pieces(text, most);
                assert!(
                    parts
                        .iter()
                        .all(|part| part.len() <= most && !part.is_empty())
                );
                let joined: String = parts.concat().split_whitespace().collect();
                let all: String = text.split_whitespace().collect();
                assert_eq!(joined, all);
            }
        }
    }
}
