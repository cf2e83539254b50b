//! Reads request bodies as the reference API does: any Unicode encoding, the last of duplicate keys, `NaN` and
//! `Infinity`, halves of surrogate pairs.
//!
//! Values that standard JSON does not have are kept out of the arguments and noted as a [`ReplacedValue`]. The call is
//! then refused with the name of the field, while a field that no tool reads does no harm.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::args::Object;
use crate::error::{Error, Result};

/// The API fails on deeper nesting.
const MAX_DEPTH: usize = 950;
/// No argument is nested more deeply, and deeper values could not be read back from the journal.
const KEPT_DEPTH: usize = 64;
/// No call needs more values; in memory each takes many times the size of its text.
pub(super) const MAX_VALUES: usize = 200_000;
/// The API does not read longer integers.
const MAX_INTEGER_DIGITS: usize = 4300;

/// A body that is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is not JSON.
    Malformed,
    /// It is JSON, but not an object.
    NotAnObject,
    TooDeep,
}

/// The arguments, and the values in them that could not be kept.
#[derive(Debug)]
pub(super) struct Body {
    arguments: Object,
    faults: Vec<ReplacedValue>,
}

/// A value that is null or replaced in the arguments, because no draft can contain it.
#[derive(Debug)]
struct ReplacedValue {
    /// From the innermost key or index to the name of the field.
    path: Vec<PathStep>,
    what: What,
}

#[derive(Debug)]
enum PathStep {
    Key(String),
    Index(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Number(&'static str),
    HugeNumber,
    Surrogate,
    Deep,
}

impl Body {
    /// Reads the bytes of a body.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        // Nearly every body is standard JSON, which `serde_json` reads faster; the lenient reader gets the rest.
        if let Ok(arguments) = serde_json::from_slice::<Object>(bytes)
            && arguments
                .values()
                .all(|value| within(value, KEPT_DEPTH - 1))
        {
            return Ok(Self {
                arguments,
                faults: Vec::new(),
            });
        }
        let text = decode(bytes).ok_or(Unreadable::Malformed)?;
        let mut reader = Reader {
            bytes: &text,
            at: 0,
            faults: Vec::new(),
        };
        let value = reader.document()?;
        let Value::Object(arguments) = value else {
            return Err(Unreadable::NotAnObject);
        };
        Ok(Self {
            arguments,
            faults: reader.faults,
        })
    }

    /// The arguments, or the problems with arguments that the tool knows.
    pub(super) fn arguments(mut self, known: impl Fn(&str) -> bool) -> Result<Object> {
        let mut told = Vec::new();
        for fault in &self.faults {
            match fault.path.last() {
                Some(PathStep::Key(name)) if !known(name) => {
                    self.arguments.shift_remove(name);
                }
                _ => told.push(fault.to_string()),
            }
        }
        if told.is_empty() {
            Ok(self.arguments)
        } else {
            Err(Error::invalid(told.join("; ")))
        }
    }
}

impl fmt::Display for ReplacedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        for (number, place) in self.path.iter().rev().enumerate() {
            match place {
                PathStep::Key(key) if number == 0 => f.write_str(key)?,
                PathStep::Key(key) => write!(f, ".{key}")?,
                PathStep::Index(index) => write!(f, "[{index}]")?,
            }
        }
        match self.what {
            What::Number(name) => write!(f, "` is {name}, where a finite number is expected"),
            What::HugeNumber => f.write_str("` is a number that is too large"),
            What::Surrogate => {
                f.write_str("` contains half of a surrogate pair, which is not a character")
            }
            What::Deep => write!(f, "` is nested more than {KEPT_DEPTH} levels deep"),
        }
    }
}

fn within(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth > 0 && items.iter().all(|item| within(item, depth - 1)),
        Value::Object(fields) => depth > 0 && fields.values().all(|item| within(item, depth - 1)),
        _ => true,
    }
}

/// An upper bound for the number of values in a body: each value in a list or object ends at a comma or bracket.
pub(super) fn values(bytes: &[u8]) -> usize {
    let Some(text) = decode(bytes) else { return 0 };
    let (mut count, mut in_string, mut escaped) = (1, false, false);
    for byte in text.iter() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// The text as UTF-8 in which halves of surrogate pairs are three bytes each; `None` if it is not text.
fn decode(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let zero = |at: usize| bytes.get(at) == Some(&0);
    match bytes {
        [0, 0, 0xFE, 0xFF, rest @ ..] => utf_32(rest, u32::from_be_bytes),
        [0xFF, 0xFE, 0, 0, rest @ ..] => utf_32(rest, u32::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        [0xFF, 0xFE, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf_8(rest),
        // Without a byte order mark, the zero bytes around the first characters (ASCII in JSON) show the
        // encoding.
        [0, 0, _, _, ..] => utf_32(bytes, u32::from_be_bytes),
        [0, _, _, _, ..] | [0, _] => utf_16(bytes, u16::from_be_bytes),
        [_, 0, _, _, ..] if zero(2) && zero(3) => utf_32(bytes, u32::from_le_bytes),
        [_, 0, _, _, ..] | [_, 0] => utf_16(bytes, u16::from_le_bytes),
        _ => utf_8(bytes),
    }
}

fn utf_8(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut rest = bytes;
    while let Err(error) = std::str::from_utf8(rest) {
        match &rest[error.valid_up_to()..] {
            [0xED, 0xA0..=0xBF, 0x80..=0xBF, after @ ..] => rest = after,
            _ => return None,
        }
    }
    Some(Cow::Borrowed(bytes))
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Cow<'static, [u8]>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let mut text = Vec::with_capacity(bytes.len());
    for unit in char::decode_utf16(pairs.iter().map(|&pair| unit(pair))) {
        match unit {
            Ok(char) => push(&mut text, char),
            Err(half) => push_surrogate(&mut text, u32::from(half.unpaired_surrogate())),
        }
    }
    Some(Cow::Owned(text))
}

fn utf_32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<Cow<'static, [u8]>> {
    let (units, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let mut text = Vec::with_capacity(bytes.len());
    for &bytes in units {
        let code = unit(bytes);
        match char::from_u32(code) {
            Some(char) => push(&mut text, char),
            None if (0xD800..0xE000).contains(&code) => push_surrogate(&mut text, code),
            None => return None,
        }
    }
    Some(Cow::Owned(text))
}

fn push(text: &mut Vec<u8>, char: char) {
    text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

fn push_surrogate(text: &mut Vec<u8>, code: u32) {
    text.extend_from_slice(&[
        0xED,
        0x80 | (code >> 6 & 0x3F) as u8,
        0x80 | (code & 0x3F) as u8,
    ]);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    faults: Vec<ReplacedValue>,
}

type ParseResult<T> = std::result::Result<T, Unreadable>;

impl Reader<'_> {
    fn document(&mut self) -> ParseResult<Value> {
        let value = self.value(0)?;
        self.space();
        if self.at == self.bytes.len() {
            Ok(value)
        } else {
            Err(Unreadable::Malformed)
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Consumes this text if it comes next.
    fn take(&mut self, text: &str) -> bool {
        let next = self.bytes[self.at..].starts_with(text.as_bytes());
        if next {
            self.at += text.len();
        }
        next
    }

    fn fault(&mut self, what: What) -> Value {
        self.faults.push(ReplacedValue {
            path: Vec::new(),
            what,
        });
        Value::Null
    }

    fn value(&mut self, depth: usize) -> ParseResult<Value> {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') if depth >= KEPT_DEPTH => {
                self.skip(depth)?;
                Ok(self.fault(What::Deep))
            }
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> ParseResult<Value> {
        match self.peek().ok_or(Unreadable::Malformed)? {
            b'"' => {
                let (text, whole) = self.string()?;
                if !whole {
                    self.fault(What::Surrogate);
                }
                Ok(Value::String(text))
            }
            b'-' | b'0'..=b'9' if !self.bytes[self.at..].starts_with(b"-I") => self.number(),
            _ => {
                let literals = [
                    ("null", Value::Null),
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                ];
                for (name, value) in literals {
                    if self.take(name) {
                        return Ok(value);
                    }
                }
                for name in ["NaN", "Infinity", "-Infinity"] {
                    if self.take(name) {
                        return Ok(self.fault(What::Number(name)));
                    }
                }
                Err(Unreadable::Malformed)
            }
        }
    }

    /// Consumes a list or object that is too deep to be kept, without recursion.
    fn skip(&mut self, depth: usize) -> ParseResult<()> {
        let before = self.faults.len();
        let mut open = Vec::new();
        loop {
            self.space();
            if let Some(bracket @ (b'{' | b'[')) = self.peek() {
                if depth + open.len() >= MAX_DEPTH {
                    return Err(Unreadable::TooDeep);
                }
                self.at += 1;
                self.space();
                let close = if bracket == b'{' { "}" } else { "]" };
                if !self.take(close) {
                    open.push(close);
                    if bracket == b'{' {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.scalar()?;
            }
            loop {
                let Some(&close) = open.last() else {
                    self.faults.truncate(before);
                    return Ok(());
                };
                self.space();
                if self.take(",") {
                    if close == "}" {
                        self.key()?;
                    }
                    break;
                }
                if !self.take(close) {
                    return Err(Unreadable::Malformed);
                }
                open.pop();
            }
        }
    }

    /// Reads the name of a field and its colon; `false` if the name contains half of a surrogate pair.
    fn key(&mut self) -> ParseResult<(String, bool)> {
        self.space();
        let key = self.string()?;
        self.space();
        if self.take(":") {
            Ok(key)
        } else {
            Err(Unreadable::Malformed)
        }
    }

    fn array(&mut self, depth: usize) -> ParseResult<Value> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.take("]") {
            return Ok(Value::Array(items));
        }
        loop {
            let before = self.faults.len();
            items.push(self.value(depth)?);
            for fault in &mut self.faults[before..] {
                fault.path.push(PathStep::Index(items.len() - 1));
            }
            self.space();
            if self.take("]") {
                return Ok(Value::Array(items));
            }
            if !self.take(",") {
                return Err(Unreadable::Malformed);
            }
        }
    }

    fn object(&mut self, depth: usize) -> ParseResult<Value> {
        let mut fields = Object::new();
        let all_before = self.faults.len();
        self.at += 1;
        self.space();
        if self.take("}") {
            return Ok(Value::Object(fields));
        }
        loop {
            let (key, whole) = self.key()?;
            let before = self.faults.len();
            let value = self.value(depth)?;
            if !whole {
                self.fault(What::Surrogate);
            }
            for fault in &mut self.faults[before..] {
                fault.path.push(PathStep::Key(key.clone()));
            }
            if fields.contains_key(&key) {
                // The last value of a duplicate key counts, so only its problems are kept.
                let mut number = 0;
                self.faults.retain(|fault| {
                    number += 1;
                    let earlier = (all_before..before).contains(&(number - 1));
                    !(earlier
                        && matches!(fault.path.last(), Some(PathStep::Key(other)) if *other == key))
                });
            }
            fields.insert(key, value);
            self.space();
            if self.take("}") {
                return Ok(Value::Object(fields));
            }
            if !self.take(",") {
                return Err(Unreadable::Malformed);
            }
        }
    }

    /// Reads a text in quotes; `false` if it contains half of a surrogate pair.
    fn string(&mut self) -> ParseResult<(String, bool)> {
        if !self.take("\"") {
            return Err(Unreadable::Malformed);
        }
        let mut text = Vec::new();
        loop {
            let rest = &self.bytes[self.at..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
                .ok_or(Unreadable::Malformed)?;
            text.extend_from_slice(&rest[..plain]);
            self.at += plain + 1;
            match rest[plain] {
                b'"' => break,
                b'\\' => self.escape(&mut text)?,
                _ => return Err(Unreadable::Malformed),
            }
        }
        Ok(match String::from_utf8(text) {
            Ok(text) => (text, true),
            Err(error) => (
                String::from_utf8_lossy(error.as_bytes()).into_owned(),
                false,
            ),
        })
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> ParseResult<()> {
        let kind = self.peek().ok_or(Unreadable::Malformed)?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' => text.push(kind),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'u' => {
                let code = self.hex()?;
                let after = self.at;
                if (0xD800..0xDC00).contains(&code) && self.take("\\u") {
                    let low = self.hex()?;
                    if (0xDC00..0xE000).contains(&low) {
                        let code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                        push(text, char::from_u32(code).ok_or(Unreadable::Malformed)?);
                        return Ok(());
                    }
                    // The second escape does not complete the pair; it is read separately.
                    self.at = after;
                }
                match char::from_u32(code) {
                    Some(char) => push(text, char),
                    None => push_surrogate(text, code),
                }
            }
            _ => return Err(Unreadable::Malformed),
        }
        Ok(())
    }

    fn hex(&mut self) -> ParseResult<u32> {
        let digits = self
            .bytes
            .get(self.at..self.at + 4)
            .ok_or(Unreadable::Malformed)?;
        self.at += 4;
        digits.iter().try_fold(0, |code, &digit| {
            let digit = char::from(digit)
                .to_digit(16)
                .ok_or(Unreadable::Malformed)?;
            Ok(code * 16 + digit)
        })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> ParseResult<Value> {
        let start = self.at;
        self.take("-");
        let first = self.peek();
        let whole = self.digits();
        if whole == 0 || (whole > 1 && first == Some(b'0')) {
            return Err(Unreadable::Malformed);
        }
        let mut integer = true;
        if self.take(".") {
            integer = false;
            if self.digits() == 0 {
                return Err(Unreadable::Malformed);
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(Unreadable::Malformed);
            }
        }
        if integer && whole > MAX_INTEGER_DIGITS {
            return Err(Unreadable::Malformed);
        }
        let text =
            std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| Unreadable::Malformed)?;
        if integer {
            if let Ok(number) = text.parse::<i64>() {
                return Ok(Value::from(number));
            }
            if let Ok(number) = text.parse::<u64>() {
                return Ok(Value::from(number));
            }
        }
        let number: f64 = text.parse().map_err(|_| Unreadable::Malformed)?;
        Ok(if number.is_finite() {
            Value::from(number)
        } else {
            self.fault(What::HugeNumber)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(_: &str) -> bool {
        true
    }

    fn read(bytes: &[u8]) -> Value {
        let body = Body::read(bytes).unwrap_or_else(|e| panic!("{bytes:?}: {e:?}"));
        Value::Object(body.arguments(known).expect("nothing is wrong"))
    }

    fn refused(text: &str) -> String {
        let body = Body::read(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        body.arguments(known).expect_err(text).message
    }

    /// The result of the lenient reader alone, without the `serde_json` path.
    fn lenient(text: &str) -> ParseResult<Value> {
        let mut reader = Reader {
            bytes: text.as_bytes(),
            at: 0,
            faults: Vec::new(),
        };
        reader.document()
    }

    #[test]
    fn every_unicode_encoding_is_read_with_and_without_a_byte_order_mark() {
        let text = "{\"text\":\"你好 😀\"}";
        let wanted = json!({"text": "你好 😀"});
        let wide =
            |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<_>>();
        let wider = |unit: fn(u32) -> [u8; 4]| {
            text.chars()
                .flat_map(|c| unit(u32::from(c)))
                .collect::<Vec<_>>()
        };
        let bodies = [
            (text.as_bytes().to_vec(), &[0xEF, 0xBB, 0xBF][..]),
            (wide(u16::to_le_bytes), &[0xFF, 0xFE]),
            (wide(u16::to_be_bytes), &[0xFE, 0xFF]),
            (wider(u32::to_le_bytes), &[0xFF, 0xFE, 0, 0]),
            (wider(u32::to_be_bytes), &[0, 0, 0xFE, 0xFF]),
        ];
        for (body, mark) in bodies {
            assert_eq!(read(&body), wanted, "{body:?}");
            assert_eq!(read(&[mark, &body].concat()), wanted, "{mark:?} {body:?}");
        }
        assert_eq!(read(&[b'{', 0, b'}', 0]), json!({}));
    }

    #[test]
    fn malformed_json_is_refused() {
        let bodies: &[&[u8]] = &[
            b"",
            b" ",
            b"{",
            b"{bad json",
            b"{\"a\":1,}",
            b"{\"a\" 1}",
            b"{\"a\":}",
            b"{a:1}",
            b"[1,]",
            b"[1 2]",
            b"{} {}",
            b"{\"a\":01}",
            b"{\"a\":1.}",
            b"{\"a\":.5}",
            b"{\"a\":+1}",
            b"{\"a\":-}",
            b"{\"a\":-NaN}",
            b"{\"a\":1e}",
            b"{\"a\":nul}",
            b"{\"a\":\"\n\"}",
            b"{\"a\":\"\\x\"}",
            b"{\"a\":\"\\u12\"}",
            b"{\"a\":\"\\u12g4\"}",
            b"{\"a\":\"\\ud800\\u\"}",
            b"{\"a\":\"",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\xc3\"}",
            b"\xFF\xFE{\0}",
            b"\0\0\0{\0\0\0",
            b"\0\0\0{\0\xFF\xFF\xFF",
            b"\0\0\0\0",
        ];
        for body in bodies {
            let got = Body::read(body).expect_err("malformed");
            assert_eq!(
                got,
                Unreadable::Malformed,
                "{:?}",
                String::from_utf8_lossy(body)
            );
        }
        let digits = |count| format!("{{\"unused\":{}}}", "7".repeat(count));
        assert_eq!(
            Body::read(digits(4301).as_bytes()).expect_err("too long"),
            Unreadable::Malformed
        );
        let body = Body::read(digits(4300).as_bytes()).expect("the API reads it");
        let arguments = body
            .arguments(|name| name != "unused")
            .expect("no tool reads it");
        assert!(arguments.is_empty());
    }

    #[test]
    fn json_other_than_an_object_is_distinguished_from_malformed_json() {
        for body in [
            "null",
            "[]",
            "\"text\"",
            "3",
            "NaN",
            "[{\"a\":NaN}]",
            "true",
        ] {
            let got = Body::read(body.as_bytes()).expect_err(body);
            assert_eq!(got, Unreadable::NotAnObject, "{body}");
        }
    }

    #[test]
    fn depth_is_limited_and_arguments_that_are_too_deep_are_refused_by_name() {
        let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(KEPT_DEPTH - 1).as_bytes()).is_object());
        for depth in [KEPT_DEPTH, 126, 127, 128, 129, MAX_DEPTH - 1] {
            let error = refused(&nested(depth));
            assert!(error.starts_with("`a["), "{error}");
            assert!(
                error.ends_with("is nested more than 64 levels deep"),
                "{error}"
            );
            let body = Body::read(nested(depth).as_bytes()).expect("JSON");
            assert!(
                body.arguments(|_| false)
                    .expect("no tool reads it")
                    .is_empty()
            );
        }
        for depth in [MAX_DEPTH, 100_000] {
            let got = Body::read(nested(depth).as_bytes()).expect_err("too deep");
            assert_eq!(got, Unreadable::TooDeep);
            let open = "{\"a\":".repeat(depth + 1);
            assert_eq!(
                Body::read(open.as_bytes()).expect_err("too deep"),
                Unreadable::TooDeep
            );
        }
    }

    #[test]
    fn non_finite_and_huge_numbers_are_refused_by_name() {
        let check = |text: &str, message: &str| assert_eq!(refused(text), message, "{text}");
        check(
            r#"{"text":"x","start":NaN}"#,
            "`start` is NaN, where a finite number is expected",
        );
        check(
            r#"{"a":{"b":[1,-Infinity]}}"#,
            "`a.b[1]` is -Infinity, where a finite number is expected",
        );
        check(
            r#"{"a":Infinity,"b":1e400}"#,
            "`a` is Infinity, where a finite number is expected; `b` is a number that is too large",
        );
    }

    #[test]
    fn halves_of_surrogate_pairs_are_refused_by_name() {
        let check = |text: &str, place: &str| {
            let error = refused(text);
            let wanted =
                format!("`{place}` contains half of a surrogate pair, which is not a character");
            assert_eq!(error, wanted, "{text}");
        };
        check(r#"{"text":"\ud800"}"#, "text");
        check(r#"{"text":"\udc00\ud800"}"#, "text");
        check(r#"{"text":"\ud800\n"}"#, "text");
        check(r#"{"text":"\ud800\ud800x"}"#, "text");
        check(r#"{"a":{"\udfff":1}}"#, "a.\u{FFFD}\u{FFFD}\u{FFFD}");
        let raw = Body::read(b"{\"text\":\"\xED\xA0\x80\"}").expect("the API reads it");
        assert!(raw.arguments(known).is_err());
        let utf_16: Vec<u8> = "{\"text\":\"x\"}"
            .encode_utf16()
            .map(|unit| {
                if unit == u16::from(b'x') {
                    0xD800
                } else {
                    unit
                }
            })
            .flat_map(u16::to_le_bytes)
            .collect();
        let raw = Body::read(&utf_16).expect("the API reads it");
        assert!(raw.arguments(known).is_err());
    }

    #[test]
    fn complete_surrogate_pairs_are_characters() {
        // The NaN makes the lenient reader read this body.
        let body = Body::read(br#"{"text":"\ud83d\ude00 \u4f60\/\b\f\n\r\t\"\\","x":NaN}"#);
        let arguments = body
            .expect("JSON")
            .arguments(|name| name == "text")
            .expect("text is fine");
        assert_eq!(
            Value::Object(arguments),
            json!({"text": "😀 你/\u{8}\u{c}\n\r\t\"\\"})
        );
    }

    #[test]
    fn the_last_duplicate_key_counts_and_so_do_its_problems() {
        assert_eq!(read(br#"{"width":1,"width":2}"#), json!({"width": 2}));
        assert_eq!(
            read(br#"{"a":NaN,"b":{"a":1},"a":2}"#),
            json!({"a": 2, "b": {"a": 1}})
        );
        assert!(refused(r#"{"b":{"a":NaN},"a":NaN,"a":2}"#).starts_with("`b.a` is NaN"));
        assert!(refused(r#"{"a":2,"a":NaN}"#).starts_with("`a` is NaN"));
    }

    #[test]
    fn invalid_values_in_unknown_fields_are_ignored() {
        let body = Body::read(br#"{"text":"x","note":NaN,"\ud800":1,"deep":{"a":"\udfff"}}"#);
        let arguments = body
            .expect("JSON")
            .arguments(|name| name == "text")
            .expect("text is fine");
        assert_eq!(Value::Object(arguments), json!({"text": "x"}));
    }

    #[test]
    fn both_readers_agree_on_plain_json() {
        for text in [
            r#"{"a":[1,-2,0.5,1e3,1E-7,18446744073709551615,-9223372036854775808,true,false,null]}"#,
            "\t{ \"a\" : [ ] , \"b\" : { } ,\r\n \"c\" : \"\u{7f}ä\" } ",
            r#"{"big":123456789012345678901234567890,"small":-0.0,"":{"":[[]]}}"#,
        ] {
            let strict: Value = serde_json::from_str(text).expect(text);
            assert_eq!(lenient(text), Ok(strict), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_cause_no_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
            let _ = Body::read(&bytes).map(|body| body.arguments(known));
        }

        #[test]
        fn almost_valid_json_causes_no_panic(text in r#"\{("[a-z]{0,2}(\\\\u[d][8-f]00)?":[\[\{\]\}0-9eE.,:NaInfity"-]{0,12},?){0,3}\}?"#) {
            let strict = serde_json::from_str::<Object>(&text).ok();
            let lenient = lenient(&text).ok();
            if let Some(strict) = strict {
                proptest::prop_assert_eq!(lenient, Some(Value::Object(strict)));
            }
        }
    }
}
