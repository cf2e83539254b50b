//! Errors without the words that a provider was given: services and programs quote them, and logs show errors.

use crate::secrets::LEFT_OUT;

/// A whole text of at least this many bytes is left out; shorter ones are parts of ordinary words.
const WHOLE: usize = 6;
/// A part of a text is left out from this many bytes on.
const PART: usize = 24;
/// Longer messages are cut before they are searched.
const MESSAGE: usize = 4 << 10;

/// The message without these texts and without longer parts of them, however their spaces are written.
pub(super) fn unquoted<'a>(message: &str, texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut message = message[..message.floor_char_boundary(MESSAGE)].to_owned();
    for text in texts {
        let text = text.trim();
        if text.len() >= WHOLE {
            message = message.replace(text, LEFT_OUT);
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.len() >= PART {
            message = without_parts(&message, &text);
        }
    }
    message
}

fn without_parts(message: &str, text: &str) -> String {
    let mut kept = String::with_capacity(message.len());
    let mut at = 0;
    while at < message.len() {
        let rest = &message[at..];
        let mut end = rest.ceil_char_boundary(PART);
        if rest.len() >= PART && text.contains(&rest[..end]) {
            while end < rest.len() {
                let next = rest.ceil_char_boundary(end + 1);
                if !text.contains(&rest[..next]) {
                    break;
                }
                end = next;
            }
            kept.push_str(LEFT_OUT);
            at += end;
        } else {
            let next = rest.ceil_char_boundary(1);
            kept.push_str(&rest[..next]);
            at += next;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_their_longer_parts_are_left_out() {
        let text = "Introduce the watch\nthat we will sell from Monday on, and say what it costs.";
        for (message, without) in [
            (
                "bad input: 'Introduce the watch that we will sell from Monday on, and…'",
                "bad input: '…'",
            ),
            (
                "cannot say \"Introduce the watch\nthat we will sell from Monday on, and say what it costs.\"",
                "cannot say \"…\"",
            ),
            ("the watch is unknown", "the watch is unknown"),
            ("", ""),
        ] {
            let found = unquoted(message, [text]);
            assert_eq!(found.replace("……", "…"), without);
        }
        assert_eq!(
            unquoted(
                "敏感内容：介绍我们的新款智能手表",
                ["请介绍我们的新款智能手表，它很好看"]
            ),
            "敏感内容：…"
        );
        assert_eq!(unquoted("no voice 新手", ["新手"]), "no voice …");
        assert_eq!(unquoted("a b", ["a", "", " "]), "a b");
        assert!(unquoted(&"x".repeat(1 << 20), [&*"x".repeat(1 << 14)]).len() < 10);
    }
}
