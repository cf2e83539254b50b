//! Values as they are written in documents.

use std::fmt::Write as _;

use crate::path::{PathPart, PathTarget, find};
use crate::scan::{Span, has_half_character, number, unescape};

/// A value that can be written into a document.
pub trait JsonValue {
    /// Whether the written text already has this value, so that it must not be written again.
    fn is_written_as(&self, written: &[u8]) -> bool;

    /// Writes it in the style of the old value; `old` is empty for a new key.
    fn write_like(&self, old: &[u8], out: &mut Vec<u8>);

    /// Whether a missing key already means this value.
    fn is_default(&self) -> bool {
        false
    }
}

impl JsonValue for i64 {
    fn is_written_as(&self, written: &[u8]) -> bool {
        std::str::from_utf8(written).is_ok_and(|text| text.parse() == Ok(*self))
            || number(written).is_some_and(|old| old == *self as f64)
    }

    fn write_like(&self, _old: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
    }
}

impl JsonValue for f64 {
    fn is_written_as(&self, written: &[u8]) -> bool {
        number(written) == Some(*self)
    }

    fn write_like(&self, _old: &[u8], out: &mut Vec<u8>) {
        // With a fraction, as the apps write most numbers.
        out.extend_from_slice(format!("{self:?}").as_bytes());
    }
}

impl JsonValue for bool {
    fn is_written_as(&self, written: &[u8]) -> bool {
        written == self.to_string().as_bytes()
    }

    fn write_like(&self, _old: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
    }
}

impl JsonValue for str {
    fn is_written_as(&self, written: &[u8]) -> bool {
        let inside = written
            .strip_prefix(b"\"")
            .and_then(|text| text.strip_suffix(b"\""));
        inside.is_some_and(|inside| unescape(inside) == self)
    }

    fn write_like(&self, old: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(EscapeStyle::of(old).quote(self).as_bytes());
    }
}

impl JsonValue for String {
    fn is_written_as(&self, written: &[u8]) -> bool {
        self.as_str().is_written_as(written)
    }

    fn write_like(&self, old: &[u8], out: &mut Vec<u8>) {
        self.as_str().write_like(old, out);
    }
}

/// A value that is JSON already; it must be valid.
#[derive(Clone, Copy, Debug)]
pub struct RawJson<'a>(pub &'a str);

impl JsonValue for RawJson<'_> {
    fn is_written_as(&self, written: &[u8]) -> bool {
        written == self.0.as_bytes()
    }

    fn write_like(&self, _old: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

/// A value with the meaning of a missing key: writing it where the key is missing does nothing.
#[derive(Clone, Copy, Debug)]
pub struct WithDefault<V> {
    pub value: V,
    pub default: V,
}

impl<V: JsonValue + PartialEq> JsonValue for WithDefault<V> {
    fn is_written_as(&self, written: &[u8]) -> bool {
        self.value.is_written_as(written)
    }

    fn write_like(&self, old: &[u8], out: &mut Vec<u8>) {
        self.value.write_like(old, out);
    }

    fn is_default(&self) -> bool {
        self.value == self.default
    }
}

/// How a string escapes what need not be escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EscapeStyle {
    /// `\u00e9` for everything beyond ASCII.
    pub ascii: bool,
    /// `\/`.
    pub slash: bool,
}

impl EscapeStyle {
    /// The style that a written string shows.
    pub(crate) fn of(written: &[u8]) -> Self {
        let has = |part: &[u8]| written.windows(part.len()).any(|window| window == part);
        let inside = written
            .strip_prefix(b"\"")
            .and_then(|text| text.strip_suffix(b"\""));
        let is_wide = || inside.is_some_and(|inside| !unescape(inside).is_ascii());
        Self {
            ascii: written.is_ascii() && has(b"\\u") && is_wide(),
            slash: has(b"\\/"),
        }
    }

    pub(crate) fn quote(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 2);
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '/' if self.slash => out.push_str("\\/"),
                control if control < ' ' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(control));
                }
                wide if self.ascii && !wide.is_ascii() => {
                    for unit in wide.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                plain => out.push(plain),
            }
        }
        out.push('"');
        out
    }
}

/// A string in quotes.
pub(crate) fn quoted(text: &str) -> String {
    EscapeStyle::default().quote(text)
}

/// Why a value cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A key stands twice, or a value on the way is not an object.
    Unusual,
    /// The old text has half of a surrogate pair, and the new one what it is read as.
    HalfCharacter,
}

impl Refusal {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Unusual => "an unusual value or a duplicate key",
            Self::HalfCharacter => "a text with half of a surrogate pair, which would be lost,",
        }
    }
}

/// The splice that sets a value at a path of valid JSON; none if it has that value already.
pub(crate) fn assignment<V: JsonValue + ?Sized>(
    text: &[u8],
    path: &[PathPart<'_>],
    value: &V,
) -> Result<Option<(Span, Vec<u8>)>, Refusal> {
    let target = find(text, 0, path, true).map_err(|_| Refusal::Unusual)?;
    let mut json = Vec::new();
    match target {
        PathTarget::At(span) => {
            if value.is_written_as(span.of(text)) {
                return Ok(None);
            }
            let old = span.of(text);
            value.write_like(old, &mut json);
            if has_half_character(old) && unescape(&json).contains(char::REPLACEMENT_CHARACTER) {
                return Err(Refusal::HalfCharacter);
            }
            Ok(Some((span, json)))
        }
        PathTarget::Missing {
            depth,
            close,
            last,
            lead,
            is_spaced,
        } => {
            if value.is_default() {
                return Ok(None);
            }
            let colon: &[u8] = if is_spaced { b": " } else { b":" };
            if last.is_some() {
                json.push(b',');
            }
            json.extend_from_slice(lead.of(text));
            for (index, part) in path[depth..].iter().enumerate() {
                let PathPart::Key(key) = part else {
                    return Err(Refusal::Unusual);
                };
                if index > 0 {
                    json.push(b'{');
                }
                json.extend_from_slice(quoted(key).as_bytes());
                json.extend_from_slice(colon);
            }
            value.write_like(b"", &mut json);
            json.resize(json.len() + path.len() - depth - 1, b'}');
            let at = last.map_or(close, |last| last.end);
            Ok(Some((Span { start: at, end: at }, json)))
        }
        PathTarget::Duplicate(_) | PathTarget::Other(_) => Err(Refusal::Unusual),
    }
}
