//! Paths in the text of a document, when the folder that they are in moves to another place.
//!
//! The text is changed at these strings only; everything else keeps its bytes.

use serde_json::Value;

/// A text in which the paths below `old` are below `new`, if `is_meant` accepts the part of the path below the folder.
/// Both folders are in the notation of documents, without a slash at the end.
pub(crate) fn moved(
    text: &str,
    old: &str,
    new: &str,
    is_meant: &mut dyn FnMut(&str) -> bool,
) -> String {
    let mut text = text.to_owned();
    let (old, new) = (spellings(old), spellings(new));
    for (index, (from, to)) in old.iter().zip(&new).enumerate() {
        // Two spellings of a path may be the same.
        if !old[..index].contains(from) && text.contains(from) {
            text = replaced(&text, from, to, is_meant);
        }
    }
    text
}

fn replaced(text: &str, from: &str, to: &str, is_meant: &mut dyn FnMut(&str) -> bool) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, path) = (&rest[..at], &rest[at + from.len()..]);
        let end = end_of_string(path);
        // A quote after a backslash is inside a string: a document in a document, which has no paths of media.
        let starts_string = before.ends_with('"') && !before.ends_with("\\\"");
        let is_replaced = starts_string
            && serde_json::from_str::<String>(&format!("\"{}\"", &path[..end]))
                .is_ok_and(|below| !below.is_empty() && is_meant(&below));
        result.push_str(before);
        result.push_str(if is_replaced { to } else { from });
        result.push_str(&path[..end]);
        rest = &path[end..];
    }
    result.push_str(rest);
    result
}

/// Where a string ends whose content begins here.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// A folder that paths begin with, as JSON writes it: plainly, in ASCII, and with escaped slashes.
fn spellings(folder: &str) -> [String; 3] {
    let path = format!("{folder}/");
    let quoted = Value::from(path.as_str()).to_string();
    let plain = quoted.trim_matches('"').to_owned();
    let mut ascii = String::new();
    let mut units = [0; 2];
    for c in plain.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    let escaped = plain.replace('/', "\\/");
    [plain, ascii, escaped]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_the_folder_move_in_every_spelling() {
        let text = r#"{"a": "/d/我/x.mp4", "b": "\/d\/我\/y.mp4", "c": "/d/\u6211/z.mp4", "e": "/d/我",
            "f": "see /d/我/x.mp4", "g": "{\"path\": \"/d/我/x.mp4\"}", "h": 1.10}"#;
        let mut seen = Vec::new();
        let after = moved(text, "/d/我", "C:/Ü \"q\"", &mut |below| {
            seen.push(below.to_owned());
            below != "y.mp4"
        });
        assert_eq!(
            after,
            r#"{"a": "C:/Ü \"q\"/x.mp4", "b": "\/d\/我\/y.mp4", "c": "C:/\u00dc \"q\"/z.mp4", "e": "/d/我",
            "f": "see /d/我/x.mp4", "g": "{\"path\": \"/d/我/x.mp4\"}", "h": 1.10}"#
        );
        seen.sort();
        assert_eq!(seen, ["x.mp4", "y.mp4", "z.mp4"]);
    }

    #[test]
    fn a_text_that_ends_inside_a_string_is_kept() {
        let text = r#"{"a": "/d/x"#;
        assert_eq!(moved(text, "/d", "/e", &mut |_| true), r#"{"a": "/e/x"#);
        assert_eq!(moved("\"/d/\\", "/d", "/e", &mut |_| true), "\"/d/\\");
    }
}
