//! A JSON scanner over bytes. It checks syntax and finds spans, and builds no values.
//!
//! It accepts all valid JSON up to a nesting of 127 levels, the limit of `serde_json`; UTF-8 is checked by the caller.
//! Halves of surrogate pairs (`"\ud83d"`) and numbers beyond `f64` (`1e999`) are valid JSON, and `serde_json` refuses
//! them: the scanner notes that it met one.

use std::borrow::Cow;

/// The deepest nesting, as in `serde_json`.
pub(crate) const MAX_DEPTH: u32 = 127;

/// A syntax error and its byte offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub at: usize,
    pub what: &'static str,
}

pub(crate) type Scan<T> = Result<T, SyntaxError>;

/// A half-open range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start..self.end]
    }
}

#[derive(Clone)]
pub(crate) struct Scanner<'a> {
    pub text: &'a [u8],
    pub at: usize,
    /// Whether the last string had an escape.
    pub escaped: bool,
    /// Whether there was half of a surrogate pair, or a number beyond `f64`; the caller resets it.
    pub unusable: bool,
}

/// For each byte: 0 ends a run of plain characters in a string (`"`, `\`, control characters).
static PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        plain[byte] = false;
        byte += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether one of eight bytes is a quote, a backslash or a control character. May report a byte of a
/// multi-byte character wrongly; the caller looks again byte by byte.
fn has_special(chunk: u64) -> bool {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let quote = zero(chunk ^ (ONES * 0x22));
    let escape = zero(chunk ^ (ONES * 0x5c));
    let control = chunk.wrapping_sub(ONES * 0x20) & !chunk & HIGH;
    (quote | escape | control) != 0
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a [u8], at: usize) -> Self {
        Self {
            text,
            at,
            escaped: false,
            unusable: false,
        }
    }

    pub(crate) fn error<T>(&self, what: &'static str) -> Scan<T> {
        Err(SyntaxError { at: self.at, what })
    }

    /// The current byte; 0 at the end, which starts no value.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Scan<()> {
        if self.peek() == byte {
            self.at += 1;
            return Ok(());
        }
        self.error(what)
    }

    /// A string; returns the span between its quotes.
    #[inline]
    pub(crate) fn string(&mut self) -> Scan<Span> {
        self.expect(b'"', "expected a string")?;
        let start = self.at;
        self.escaped = false;
        loop {
            while let Some(chunk) = self.text[self.at..].first_chunk::<8>() {
                if has_special(u64::from_le_bytes(*chunk)) {
                    break;
                }
                self.at += 8;
            }
            while self.at < self.text.len() && PLAIN[self.text[self.at] as usize] {
                self.at += 1;
            }
            match self.peek() {
                b'"' => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Span { start, end });
                }
                b'\\' => {
                    self.escaped = true;
                    self.escape()?;
                }
                _ if self.at >= self.text.len() => return self.error("the text ends in a string"),
                _ => return self.error("a control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Scan<()> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Ok(())
            }
            b'u' => {
                self.at += 1;
                let code = self.hex()?;
                if (0xd800..=0xdbff).contains(&code) && low_half(&self.text[self.at..]) {
                    self.at += 6;
                } else if (0xd800..=0xdfff).contains(&code) {
                    self.unusable = true;
                }
                Ok(())
            }
            _ => self.error("an unknown escape"),
        }
    }

    fn hex(&mut self) -> Scan<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.peek()).to_digit(16) else {
                return self.error("an invalid \\u escape");
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn digits(&mut self) -> Scan<()> {
        if !self.peek().is_ascii_digit() {
            return self.error("an invalid number");
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Scan<()> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        if self.peek() == b'0' {
            self.at += 1;
            if self.peek().is_ascii_digit() {
                return self.error("a number with a leading zero");
            }
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        let mut is_wide = self.at - start > 300;
        if matches!(self.peek(), b'e' | b'E') {
            is_wide = true;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        if is_wide && number(&self.text[start..self.at]).is_none() {
            self.unusable = true;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Scan<()> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        self.error("expected a value")
    }

    /// Any value that is not an object or a list.
    #[inline]
    pub(crate) fn scalar(&mut self) -> Scan<()> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.error("expected a value"),
        }
    }

    /// One value of any kind, inside `depth` levels; returns its span.
    pub(crate) fn skip(&mut self, depth: u32) -> Scan<Span> {
        let start = self.at;
        // Bit 0 says whether the innermost open level is an object.
        let mut levels: u128 = 0;
        let mut open = 0;
        loop {
            match self.peek() {
                byte @ (b'{' | b'[') => {
                    if depth + open >= MAX_DEPTH {
                        return self.error("nested too deeply (more than 127 levels)");
                    }
                    self.at += 1;
                    self.blanks();
                    let is_object = byte == b'{';
                    // '{' and '[' are two below '}' and ']'.
                    if self.peek() == byte + 2 {
                        self.at += 1;
                    } else {
                        open += 1;
                        levels = levels << 1 | u128::from(is_object);
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            loop {
                if open == 0 {
                    let end = self.at;
                    return Ok(Span { start, end });
                }
                self.blanks();
                let is_object = levels & 1 == 1;
                match (self.peek(), is_object) {
                    (b',', _) => {
                        self.at += 1;
                        self.blanks();
                        if is_object {
                            self.key()?;
                        }
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        open -= 1;
                        levels >>= 1;
                    }
                    _ => return self.error("expected `,` or the end of a list or object"),
                }
            }
        }
    }

    /// A key with its colon and blanks; returns the span of the key between its quotes.
    #[inline]
    fn key(&mut self) -> Scan<Span> {
        let key = self.string()?;
        self.blanks();
        self.expect(b':', "expected `:`")?;
        self.blanks();
        Ok(key)
    }

    /// An object: calls `member` with each key, at the value, which it must read. Returns the span.
    pub(crate) fn object(
        &mut self,
        depth: u32,
        mut member: impl FnMut(&mut Self, Span) -> Scan<()>,
    ) -> Scan<Span> {
        let start = self.at;
        self.expect(b'{', "expected an object")?;
        if depth >= MAX_DEPTH {
            return self.error("nested too deeply (more than 127 levels)");
        }
        self.blanks();
        if self.peek() == b'}' {
            self.at += 1;
        } else {
            loop {
                let key = self.key()?;
                member(self, key)?;
                self.blanks();
                match self.peek() {
                    b',' => self.at += 1,
                    b'}' => {
                        self.at += 1;
                        break;
                    }
                    _ => return self.error("expected `,` or `}`"),
                }
                self.blanks();
            }
        }
        let end = self.at;
        Ok(Span { start, end })
    }

    /// A list: calls `item` at each item, which it must read. Returns the span.
    pub(crate) fn list(
        &mut self,
        depth: u32,
        mut item: impl FnMut(&mut Self) -> Scan<()>,
    ) -> Scan<Span> {
        let start = self.at;
        self.expect(b'[', "expected a list")?;
        if depth >= MAX_DEPTH {
            return self.error("nested too deeply (more than 127 levels)");
        }
        self.blanks();
        if self.peek() == b']' {
            self.at += 1;
        } else {
            loop {
                item(self)?;
                self.blanks();
                match self.peek() {
                    b',' => self.at += 1,
                    b']' => {
                        self.at += 1;
                        break;
                    }
                    _ => return self.error("expected `,` or `]`"),
                }
                self.blanks();
            }
        }
        let end = self.at;
        Ok(Span { start, end })
    }
}

/// Whether a text begins with the escape of the second half of a surrogate pair.
fn low_half(text: &[u8]) -> bool {
    matches!(
        text,
        [b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F', one, two, ..]
            if one.is_ascii_hexdigit() && two.is_ascii_hexdigit()
    )
}

/// Whether a value, as it is written, is a string with half of a surrogate pair.
pub(crate) fn has_half_character(written: &[u8]) -> bool {
    let mut scanner = Scanner::new(written, 0);
    scanner.string().is_ok() && scanner.unusable
}

/// Whether a key, as it is written between its quotes, is `name`.
pub(crate) fn is_key(written: &[u8], name: &str) -> bool {
    written == name.as_bytes() || written.contains(&b'\\') && unescape(written) == name
}

/// The text of a string, from what is between its quotes. Half of a surrogate pair is U+FFFD; what is not valid stays
/// as it is.
pub(crate) fn unescape(written: &[u8]) -> Cow<'_, str> {
    if !written.contains(&b'\\') {
        return plain(written);
    }
    decoded(written).map_or_else(|| String::from_utf8_lossy(written), Cow::Owned)
}

/// The text of a string with its escapes resolved; none if they are not valid.
fn decoded(written: &[u8]) -> Option<String> {
    let mut rest = std::str::from_utf8(written).ok()?;
    let mut text = String::with_capacity(written.len());
    let unit = |rest: &mut &str| {
        let (digits, after) = rest.split_at_checked(4)?;
        *rest = after;
        u16::from_str_radix(digits, 16).ok()
    };
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let mut after = escape.chars();
        let code = after.next()?;
        rest = after.as_str();
        text.push(match code {
            '"' | '\\' | '/' => code,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = unit(&mut rest)?;
                if (0xd800..=0xdbff).contains(&first) && low_half(rest.as_bytes()) {
                    rest = &rest[2..];
                    let pair = [first, unit(&mut rest)?];
                    char::decode_utf16(pair).next()?.ok()?
                } else {
                    char::from_u32(first.into()).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
            }
            _ => return None,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// The text of a string without escapes. The source is valid UTF-8, and checking it is fast.
pub(crate) fn plain(written: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(written).map_or_else(|_| String::from_utf8_lossy(written), Cow::Borrowed)
}

/// The number that a span holds; none beyond the range of `f64`.
pub(crate) fn number(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(text: &str) -> bool {
        let mut scanner = Scanner::new(text.as_bytes(), 0);
        scanner.blanks();
        if scanner.skip(0).is_err() {
            return false;
        }
        scanner.blanks();
        scanner.at == text.len()
    }

    #[test]
    fn half_of_a_surrogate_pair_is_the_replacement_character() {
        for (written, expected) in [
            ("\\ud83d", "\u{fffd}"),
            ("a\\uDE00b", "a\u{fffd}b"),
            ("\\ud83d\\ud83d\\ude00", "\u{fffd}\u{1f600}"),
            ("\\ud83d\\u0041", "\u{fffd}A"),
            ("\\ude00\\ud83d", "\u{fffd}\u{fffd}"),
            ("\\ud83d\\n", "\u{fffd}\n"),
        ] {
            let quoted = format!("\"{written}\"");
            assert_eq!(unescape(written.as_bytes()), expected, "{written}");
            assert!(accepts(&quoted) && has_half_character(quoted.as_bytes()));
        }
        for whole in [
            "\"\\ud83d\\ude00\"",
            "\"\u{fffd}\"",
            "\"\\ufffd\"",
            "1e999",
            "[]",
        ] {
            assert!(!has_half_character(whole.as_bytes()), "{whole}");
        }
    }

    #[test]
    fn a_number_beyond_the_range_is_no_number() {
        let long = "9".repeat(400);
        for written in ["1e999", "-1e999", "1E+400", &long] {
            let mut scanner = Scanner::new(written.as_bytes(), 0);
            assert!(scanner.skip(0).is_ok() && scanner.unusable, "{written}");
            assert_eq!(number(written.as_bytes()), None, "{written}");
        }
        for written in ["0e999", "1e-999", "1.7e308", "-0"] {
            let mut scanner = Scanner::new(written.as_bytes(), 0);
            assert!(scanner.skip(0).is_ok() && !scanner.unusable, "{written}");
            assert!(number(written.as_bytes()).is_some(), "{written}");
        }
    }

    #[test]
    fn escapes_are_resolved_as_by_serde_json() {
        for written in [
            "plain",
            "a\\nb\\t\\b\\f\\r",
            "\\\"\\\\\\/",
            "Gr\\u00f6\\u00DFe",
            "\\ud83d\\ude00!",
            "\\u0000",
            "\u{1f600}\\n",
            "\\\\u0041",
            "\\ud83d\\u12",
            "\\u12",
            "\\x",
            "\\",
        ] {
            let expected = serde_json::from_str::<String>(&format!("\"{written}\"")).ok();
            assert_eq!(decoded(written.as_bytes()), expected, "{written}");
        }
    }

    #[test]
    fn it_accepts_and_refuses_what_serde_json_skips() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let long = "9".repeat(400);
        let mut cases: Vec<String> = [
            "{}",
            "[]",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "01",
            "-",
            "-0",
            "1.",
            "1.e3",
            "1e",
            "1e5",
            "1e400",
            "-1e400",
            "0e999",
            "1e-999",
            ".5",
            "+1",
            "nul",
            "true",
            "tru",
            "falsee",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\t\"",
            "\"\u{7f}é\u{1f600}\"",
            "[1 2]",
            "{1:2}",
            "",
            " ",
            "[[]",
            "[1]]",
            "{\"a\":{\"b\":[1,{\"c\":null}]}} ",
            "\u{feff}{}",
            "{\"a\":1,\"a\":2}",
            "[\"\\/\"]",
            "{\"a\" : [ ] , \"b\" : { } }",
            "[}",
            "{]",
            "{\"a\":]",
        ]
        .map(str::to_owned)
        .to_vec();
        cases.extend([
            deep(127),
            deep(128),
            long.clone(),
            format!("-{long}.5"),
            format!("0.{long}"),
        ]);
        for case in cases {
            // Its skipping checks the syntax, but no depth.
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(&case).is_ok();
            assert_eq!(accepts(&case), expected && case != deep(128), "{case}");
        }
    }
}
