//! Places of a document that other readers of JSON refuse, or read in different ways.

use std::fmt::Write as _;

use crate::document::{ClipRef, Document, ElementRef, RootRef};
use crate::error::{Error, Result};
use crate::scan::{Scan, Scanner, number, unescape};

/// What is wrong with a value that is valid JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlawKind {
    /// A string, or a key, with half of a surrogate pair (`"\\ud83d"`): a character was cut. The half is read as U+FFFD.
    HalfCharacter,
    /// A number beyond the range of `f64` (`1e999`). It is not read as a number.
    LargeNumber,
    /// A key that its object has twice. The first is read.
    RepeatedKey,
}

/// A value that is valid JSON, but that other programs refuse or read in different ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub kind: FlawKind,
    /// The place of the value: `tracks[0].segments[3].speed`.
    pub place: String,
}

impl Flaw {
    /// The flaws of a JSON text, in its order; not more than `most`.
    ///
    /// ```
    /// use capcut_draft::{Flaw, FlawKind};
    /// let flaws = Flaw::find(br#"{"name": "cut \ud83d", "tracks": [{"flag": 1e999}]}"#, 10);
    /// assert_eq!((flaws[0].kind, &*flaws[0].place), (FlawKind::HalfCharacter, "name"));
    /// assert_eq!((flaws[1].kind, &*flaws[1].place), (FlawKind::LargeNumber, "tracks[0].flag"));
    /// ```
    pub fn find(json: &[u8], most: usize) -> Vec<Self> {
        let start = if json.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        let mut scanner = Scanner::new(json, start);
        scanner.blanks();
        let mut search = Search {
            most,
            place: Vec::new(),
            keys: Vec::new(),
            distinct: Vec::new(),
            flaws: Vec::new(),
        };
        // A text that is not valid has the flaws before its error.
        let _ = search.value(&mut scanner);
        search.flaws
    }
}

impl Document {
    /// Whether times of a clip can be computed.
    ///
    /// # Errors
    /// `ReadOnly` if one of its times, its speed, a keyframe or the frame rate is a number beyond `f64`.
    pub fn check_times(&self, clip: ClipRef) -> Result<()> {
        const TIMES: [&str; 4] = [
            "target_timerange",
            "source_timerange",
            "speed",
            "common_keyframes",
        ];
        if !self.may_be_unusable {
            return Ok(());
        }
        for (key, written) in TIMES.into_iter().zip(self.members(clip, TIMES)) {
            if let Some(place) = written.and_then(large_number) {
                let dot = if place.is_empty() || place.starts_with('[') {
                    ""
                } else {
                    "."
                };
                return Err(self.too_large(clip, &format!("{key}{dot}{place}")));
            }
        }
        self.usable_number(RootRef, &["fps"]).map(drop)
    }

    /// As [`number`](Self::number), for edits that compute with it.
    ///
    /// # Errors
    /// `ReadOnly` for a number beyond `f64`.
    pub(crate) fn usable_number(
        &self,
        element: impl ElementRef,
        path: &[&str],
    ) -> Result<Option<f64>> {
        let Some(written) = self.raw(element, path) else {
            return Ok(None);
        };
        let found = number(written);
        if found.is_none()
            && self.may_be_unusable
            && large_number(written).is_some_and(|place| place.is_empty())
        {
            return Err(self.too_large(element, &path.join(".")));
        }
        Ok(found)
    }

    fn too_large(&self, element: impl ElementRef, place: &str) -> Error {
        let path = self.path(element);
        let slash = if path.is_empty() { "" } else { "/" };
        Error::read_only(format!(
            "the number at {path}{slash}{} is too large to compute with",
            place.replace('.', "/")
        ))
        .hint("correct it in the document first")
    }
}

/// The first number beyond the range of `f64` in a value, as it is written; its place in there.
pub(crate) fn large_number(json: &[u8]) -> Option<String> {
    let mut scanner = Scanner::new(json, 0);
    if scanner.skip(0).is_err() || !scanner.unusable {
        return None;
    }
    let mut flaws = Flaw::find(json, usize::MAX).into_iter();
    flaws
        .find(|flaw| flaw.kind == FlawKind::LargeNumber)
        .map(|flaw| flaw.place)
}

/// A step from a value to one in it.
#[derive(Clone, Copy)]
enum Inside<'t> {
    Key(&'t [u8]),
    Index(usize),
}

struct Search<'t> {
    most: usize,
    /// The way to the current value.
    place: Vec<Inside<'t>>,
    /// The keys of all objects on the way.
    keys: Vec<&'t [u8]>,
    /// For each level, the keys of its last object that has none twice: the objects of a list usually have the same keys.
    distinct: Vec<Vec<&'t [u8]>>,
    flaws: Vec<Flaw>,
}

impl<'t> Search<'t> {
    fn value(&mut self, scanner: &mut Scanner<'t>) -> Scan<()> {
        let text = scanner.text;
        let depth = self.place.len() as u32;
        match scanner.peek() {
            b'{' => {
                let first = self.keys.len();
                let mut has_escapes = false;
                scanner.object(depth, |scanner, key| {
                    has_escapes |= scanner.escaped;
                    self.keys.push(key.of(text));
                    self.place.push(Inside::Key(key.of(text)));
                    if std::mem::take(&mut scanner.unusable) {
                        self.add(FlawKind::HalfCharacter);
                    }
                    self.value(scanner)?;
                    self.place.pop();
                    Ok(())
                })?;
                self.repeated(first, has_escapes);
                self.keys.truncate(first);
            }
            b'[' => {
                let mut index = 0;
                scanner.list(depth, |scanner| {
                    self.place.push(Inside::Index(index));
                    index += 1;
                    self.value(scanner)?;
                    self.place.pop();
                    Ok(())
                })?;
            }
            first => {
                scanner.scalar()?;
                if std::mem::take(&mut scanner.unusable) {
                    self.add(if first == b'"' {
                        FlawKind::HalfCharacter
                    } else {
                        FlawKind::LargeNumber
                    });
                }
            }
        }
        Ok(())
    }

    /// Looks for a key that stands twice among those of an object.
    fn repeated(&mut self, first: usize, has_escapes: bool) {
        let keys = &mut self.keys[first..];
        if has_escapes {
            let mut decoded: Vec<_> = keys.iter().copied().map(unescape).collect();
            decoded.sort_unstable();
            if let Some(pair) = decoded.windows(2).find(|pair| pair[0] == pair[1]) {
                let key = pair[0].clone().into_owned();
                self.add_at(FlawKind::RepeatedKey, Some(Inside::Key(key.as_bytes())));
            }
            return;
        }
        // Most programs write sorted keys.
        if keys.is_sorted_by(|a, b| a < b) {
            return;
        }
        let level = self.place.len();
        self.distinct
            .resize_with(self.distinct.len().max(level + 1), Vec::new);
        if self.distinct[level] == *keys {
            return;
        }
        let written = keys.to_vec();
        keys.sort_unstable();
        let pair = keys.windows(2).find(|pair| pair[0] == pair[1]);
        match pair.map(|pair| pair[0]) {
            Some(key) => self.add_at(FlawKind::RepeatedKey, Some(Inside::Key(key))),
            None => self.distinct[level] = written,
        }
    }

    fn add(&mut self, kind: FlawKind) {
        self.add_at(kind, None);
    }

    /// Notes a flaw of the current value, or of a value in it.
    fn add_at(&mut self, kind: FlawKind, inside: Option<Inside<'_>>) {
        if self.flaws.len() >= self.most {
            return;
        }
        let mut place = String::new();
        for part in self.place.iter().copied().chain(inside) {
            match part {
                Inside::Key(key) => {
                    let dot = if place.is_empty() { "" } else { "." };
                    let _ = write!(place, "{dot}{}", unescape(key));
                }
                Inside::Index(index) => {
                    let _ = write!(place, "[{index}]");
                }
            }
        }
        self.flaws.push(Flaw { kind, place });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str) -> Vec<(FlawKind, String)> {
        let flaws = Flaw::find(json.as_bytes(), 100);
        flaws
            .into_iter()
            .map(|flaw| (flaw.kind, flaw.place))
            .collect()
    }

    #[test]
    fn flaws_are_found_at_every_depth_with_their_place() {
        let json = r#" {"b": [{"x": "\ud83d\ude00", "y": "\ude00"}, 1e999], "a": {"k": 1, "a": 2, "k": 3},
            "z\ud83d": -1e400, "a": {"\u006b": 1, "k": 2}, "n": [0e999, 1.5]}"#;
        let expected = [
            (FlawKind::HalfCharacter, "b[0].y"),
            (FlawKind::LargeNumber, "b[1]"),
            (FlawKind::RepeatedKey, "a.k"),
            (FlawKind::HalfCharacter, "z\u{fffd}"),
            (FlawKind::LargeNumber, "z\u{fffd}"),
            (FlawKind::RepeatedKey, "a.k"),
            (FlawKind::RepeatedKey, "a"),
        ]
        .map(|(kind, place)| (kind, place.to_owned()));
        assert_eq!(found(json), expected);
        assert_eq!(Flaw::find(json.as_bytes(), 2).len(), 2);
    }

    #[test]
    fn a_usual_document_has_none() {
        let json = include_str!("../tests/data/small.json");
        assert_eq!(found(json), []);
        assert_eq!(found(r#"{"b": 1, "a": [{"b": 1}, {"b": "\ufffd"}]}"#), []);
        assert_eq!(large_number(b"[1e999]").as_deref(), Some("[0]"));
        assert_eq!(large_number(br#"["\ud83d", 1]"#), None);
    }
}
