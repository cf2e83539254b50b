//! Text for terminals: characters that would move the cursor, set colours or reverse text are shown as escapes.

use std::borrow::Cow;

/// The text with control characters as JSON escapes, so that JSON keeps its meaning. Line ends and tabs stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    // Nearly all text is ASCII without control characters, for which a check of the bytes is enough.
    let is_plain = text
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'));
    if is_plain || !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hostile(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// A count with its noun: `1 draft`, `2 drafts`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The text on one line: line ends and tabs are shown as escapes too.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    let text = printable(text);
    if text.contains(['\n', '\t']) {
        return Cow::Owned(text.replace('\n', "\\n").replace('\t', "\\t"));
    }
    text
}

fn is_hostile(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        // Overrides and isolates of the text direction, line separators, marks of interlinear notes, the byte
        // order mark, and invisible tags.
        '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => true,
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_other_text_stays() {
        for (text, expected) in [
            ("a\u{1b}[31mb\u{7}", r"a\u001b[31mb\u0007"),
            ("\u{9b}31m \u{7f}\r\0", r"\u009b31m \u007f\u000d\u0000"),
            ("a\u{202e}gpj.exe", r"a\u202egpj.exe"),
            ("\u{e0041}", r"\udb40\udc41"),
            (
                "two\nlines\tof 中文 \u{1f468}\u{200d}\u{1f469}\u{fe0f}",
                "two\nlines\tof 中文 \u{1f468}\u{200d}\u{1f469}\u{fe0f}",
            ),
        ] {
            assert_eq!(printable(text), expected);
        }
    }

    #[test]
    fn a_noun_agrees_with_its_count() {
        let counts = [0, 1, 2].map(|count| counted(count, "draft"));
        assert_eq!(counts, ["0 drafts", "1 draft", "2 drafts"]);
    }

    #[test]
    fn one_line_escapes_line_ends() {
        assert_eq!(one_line("a\r\nb\tc\u{2028}"), r"a\u000d\nb\tc\u2028");
        assert_eq!(one_line("a b"), "a b");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({ "a\u{9b}": "\u{1b}[0m\u{202e}\u{e0041}\u{85}\n" });
        for text in [value.to_string(), format!("{value:#}")] {
            let printed = printable(&text);
            assert!(
                !printed.contains(|c: char| c.is_control() && c != '\n'),
                "{printed}"
            );
            let read: serde_json::Value = serde_json::from_str(&printed).unwrap();
            assert_eq!(read, value);
        }
    }
}
