//! JSON as the reference reads and writes it: any Unicode encoding and bare `NaN` come in, sorted keys and plain
//! ASCII go out.

use std::borrow::Cow;
use std::fmt::Write as _;

use axum::http::StatusCode;
use serde_json::Value;

use crate::args::Object;
use crate::error::Error;

/// Why a body is no request.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Told by a page of HTML.
    Page(StatusCode),
    /// Told in the envelope.
    Told(Error),
}

/// The object in a body. The last of equal keys counts.
pub(crate) fn read(body: &[u8]) -> Result<Object, Fault> {
    let text = decode(body).ok_or(Fault::Page(StatusCode::BAD_REQUEST))?;
    let value = match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(_) => {
            serde_json::from_str(&with_numbers_quoted(&text)).map_err(|error| fault(&error))?
        }
    };
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Fault::Page(StatusCode::INTERNAL_SERVER_ERROR)),
    }
}

fn fault(error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    if text.contains("recursion limit") {
        Fault::Page(StatusCode::INTERNAL_SERVER_ERROR)
    } else if text.contains("surrogate") || text.contains("end of hex escape") {
        Fault::Told(Error::invalid(format!(
            "a text holds half a character (a lone surrogate) at column {}",
            error.column()
        )))
    } else {
        Fault::Page(StatusCode::BAD_REQUEST)
    }
}

/// UTF-8, UTF-16 or UTF-32, told apart by the byte order mark or by where the zeros are.
fn decode(body: &[u8]) -> Option<Cow<'_, str>> {
    let wide = |unit: usize, big: bool| {
        let words = body.chunks(unit).map(|bytes| {
            let mut word = 0_u32;
            let mut add = |byte: &u8| word = word << 8 | u32::from(*byte);
            if big {
                bytes.iter().for_each(&mut add);
            } else {
                bytes.iter().rev().for_each(&mut add);
            }
            word
        });
        let text: Option<String> = if body.len() % unit != 0 {
            None
        } else if unit == 4 {
            words.map(char::from_u32).collect()
        } else {
            char::decode_utf16(words.map(|word| word as u16))
                .collect::<Result<_, _>>()
                .ok()
        };
        text.map(|text| Cow::Owned(text.trim_start_matches('\u{feff}').to_owned()))
    };
    match body {
        [0xff, 0xfe, 0, 0, ..] => wide(4, false),
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=255, ..] => wide(4, true),
        [0xff, 0xfe, ..] => wide(2, false),
        [0xfe, 0xff, ..] | [0, 1..=255, ..] => wide(2, true),
        [1..=255, 0, 0, 0, ..] => wide(4, false),
        [1..=255, 0, ..] => wide(2, false),
        [0xef, 0xbb, 0xbf, rest @ ..] => std::str::from_utf8(rest).ok().map(Cow::Borrowed),
        _ => std::str::from_utf8(body).ok().map(Cow::Borrowed),
    }
}

/// `NaN` and the infinities, which are no JSON, as text: no field takes them for a number then.
fn with_numbers_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(['"', 'N', 'I', '-']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('"') {
            let end = end_of_string(rest);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if let Some(name) = ["NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|name| rest.starts_with(name))
        {
            let _ = write!(out, "\"{name}\"");
            rest = &rest[name.len()..];
        } else {
            out.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// Behind the quote that closes the string at the start of `text`.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Without spaces, keys sorted, all but ASCII escaped.
pub(crate) fn write(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(out, name);
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

fn string(out: &mut String, text: &str) {
    out.reserve(text.len() + text.len() / 8 + 2);
    out.push('"');
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        if matches!(character, ' '..='~') && !matches!(character, '"' | '\\') {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + character.len_utf8();
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_are_read_in_every_unicode_encoding() {
        let text = "{\"text\":\"你😀\"}";
        let expected = json!({ "text": "你😀" });
        let check = |body: Vec<u8>| {
            assert_eq!(Value::Object(read(&body).unwrap()), expected, "{body:?}");
        };
        let wide = |text: &str, big: bool| -> Vec<u8> {
            text.encode_utf16()
                .flat_map(|unit| {
                    if big {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect()
        };
        let wider = |text: &str, big: bool| -> Vec<u8> {
            text.chars()
                .map(u32::from)
                .flat_map(|unit| {
                    if big {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect()
        };
        check(text.as_bytes().to_vec());
        check(format!("\u{feff}{text}").into_bytes());
        for big in [false, true] {
            check(wide(text, big));
            check(wide(&format!("\u{feff}{text}"), big));
            check(wider(text, big));
            check(wider(&format!("\u{feff}{text}"), big));
        }
    }

    #[test]
    fn what_is_no_object_is_refused_as_the_reference_does() {
        let check = |body: &[u8], status: u16| match read(body) {
            Err(Fault::Page(page)) => assert_eq!(page.as_u16(), status, "{body:?}"),
            other => panic!("{body:?}: {other:?}"),
        };
        check(b"", 400);
        check(b"{bad json", 400);
        check(b"{\"a\":\"\xff\"}", 400);
        check(b"null", 500);
        check(b"[]", 500);
        check(b"3", 500);
        check("[".repeat(100_000).as_bytes(), 500);
        assert!(matches!(read(br#"{"text":"\ud83d"}"#), Err(Fault::Told(_))));
        assert!(matches!(
            read(br#"{"text":"\ude00 x"}"#),
            Err(Fault::Told(_))
        ));
    }

    #[test]
    fn numbers_that_are_none_come_in_as_text() {
        let read = |text: &str| Value::Object(read(text.as_bytes()).unwrap());
        assert_eq!(
            read(r#"{"a":NaN,"b":[-Infinity,Infinity],"c":"NaN \" NaN","d":-1}"#),
            json!({"a": "NaN", "b": ["-Infinity", "Infinity"], "c": "NaN \" NaN", "d": -1})
        );
        assert_eq!(read(r#"{"a":1,"a":2}"#), json!({"a": 2}));
    }

    #[test]
    fn answers_are_sorted_and_ascii() {
        let mut out = String::new();
        write(
            &mut out,
            &json!({"b": 1.0, "a": ["é\u{1}😀\n\"\\"], "c": {"z": null, "y": true}}),
        );
        assert_eq!(
            out,
            r#"{"a":["\u00e9\u0001\ud83d\ude00\n\"\\"],"b":1.0,"c":{"y":true,"z":null}}"#
        );
    }
}
