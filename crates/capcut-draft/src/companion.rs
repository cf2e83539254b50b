//! The other JSON files of a draft, such as `draft_meta_info.json`.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};
use crate::path::{PathPart, PathTarget, find};
use crate::scan::{Scanner, Span, unescape};
use crate::value::{JsonValue, Refusal, assignment};

/// A JSON object next to a document, such as `draft_meta_info.json`. What is not set keeps its bytes.
///
/// ```
/// use capcut_draft::{CompanionFile, PathPart};
/// let mut meta = CompanionFile::parse(r#"{ "draft_name": "Trip", "tm_duration": 1.0, "list": [] }"#)?;
/// meta.set(&[PathPart::Key("draft_name")], "New")?;
/// meta.push(&[PathPart::Key("list")], "{}")?;
/// let text = br#"{ "draft_name": "New", "tm_duration": 1.0, "list": [{}] }"#;
/// assert_eq!(meta.write(), text);
/// # Ok::<(), capcut_draft::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CompanionFile {
    text: Vec<u8>,
    /// What is before the object: blanks, or a byte order mark.
    head: Vec<u8>,
}

impl CompanionFile {
    /// Reads a file.
    ///
    /// # Errors
    /// `Syntax` if it is not a JSON object, as are files that the app encrypted.
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self> {
        let mut head = text.into();
        let invalid = |what: &str| Error::new(ErrorKind::Syntax, format!("invalid JSON: {what}"));
        if std::str::from_utf8(&head).is_err() {
            return Err(invalid("the text is not UTF-8"));
        }
        let start = if head.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        let mut scanner = Scanner::new(&head, start);
        scanner.blanks();
        let span = scanner.object(0, |scanner, _| scanner.skip(1).map(drop))?;
        scanner.blanks();
        if scanner.at < head.len() {
            return Err(invalid("text follows the object"));
        }
        let text = head.split_off(span.start);
        Ok(Self { text, head })
    }

    /// The JSON text of a value; none if it is missing.
    pub fn raw(&self, path: &[PathPart<'_>]) -> Option<&[u8]> {
        match find(&self.text, 0, path, false) {
            Ok(PathTarget::At(span)) => Some(span.of(&self.text)),
            _ => None,
        }
    }

    /// A text.
    pub fn text(&self, path: &[PathPart<'_>]) -> Option<Cow<'_, str>> {
        let raw = self.raw(path)?;
        Some(unescape(raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?))
    }

    /// Sets a value. An equal value stays written as it is.
    ///
    /// # Errors
    /// `ReadOnly` where a key stands twice, a value on the way is not an object, or half of a surrogate pair would be
    /// lost.
    pub fn set<V: JsonValue + ?Sized>(&mut self, path: &[PathPart<'_>], value: &V) -> Result<()> {
        match assignment(&self.text, path, value) {
            Ok(Some((span, json))) => {
                self.text.splice(span.start..span.end, json);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(refusal) => Err(refused(path, refusal)),
        }
    }

    /// Adds an item to a list. `json` must be valid.
    ///
    /// # Errors
    /// `ReadOnly` if there is no such list.
    pub fn push(&mut self, list: &[PathPart<'_>], json: &str) -> Result<()> {
        let Some((span, items)) = self.items(list) else {
            return Err(refused(list, Refusal::Unusual));
        };
        let (at, mut new) = match (items.first(), items.last()) {
            (Some(first), Some(last)) => {
                let lead = &self.text[span.start + 1..first.start];
                (last.end, [b",", lead].concat())
            }
            _ => (span.start + 1, Vec::new()),
        };
        new.extend_from_slice(json.as_bytes());
        self.text.splice(at..at, new);
        Ok(())
    }

    fn items(&self, list: &[PathPart<'_>]) -> Option<(Span, Vec<Span>)> {
        let Ok(PathTarget::At(span)) = find(&self.text, 0, list, true) else {
            return None;
        };
        let mut items = Vec::new();
        let mut scanner = Scanner::new(&self.text, span.start);
        let read = scanner.list(0, |scanner| {
            items.push(scanner.skip(0)?);
            Ok(())
        });
        read.is_ok().then_some((span, items))
    }

    /// The file as text.
    pub fn write(mut self) -> Vec<u8> {
        self.head.append(&mut self.text);
        self.head
    }
}

fn refused(path: &[PathPart<'_>], refusal: Refusal) -> Error {
    let keys: Vec<String> = path
        .iter()
        .map(|part| match part {
            PathPart::Key(key) => (*key).to_owned(),
            PathPart::Index(index) => index.to_string(),
        })
        .collect();
    Error::read_only(format!(
        "the file has {} at {}, so it cannot be edited there",
        refusal.reason(),
        keys.join("/")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_keeps_its_bytes() {
        let text = "\u{feff}\n{\n  \"a\": 1.50,\n  \"l\": [\n    {\"x\": 1}\n  ]\n}\n";
        let mut file = CompanionFile::parse(text).unwrap();
        file.set(&[PathPart::Key("a")], &1.5).unwrap();
        let list = [PathPart::Key("l")];
        file.push(&list, "{\"x\": 2}").unwrap();
        file.set(
            &[PathPart::Key("l"), PathPart::Index(0), PathPart::Key("x")],
            &7_i64,
        )
        .unwrap();
        let new =
            "\u{feff}\n{\n  \"a\": 1.50,\n  \"l\": [\n    {\"x\": 7},\n    {\"x\": 2}\n  ]\n}\n";
        assert_eq!(file.write(), new.as_bytes());
    }

    #[test]
    fn encrypted_and_damaged_files_are_errors() {
        for text in [
            "r3fKa8Zt0hRkQ==",
            "",
            "[]",
            "{",
            "{} x",
            "{\"a\": 1, \"a\": 2",
        ] {
            assert!(CompanionFile::parse(text).is_err(), "{text}");
        }
        let mut twice = CompanionFile::parse("{\"a\": 1, \"a\": 2}").unwrap();
        assert!(twice.set(&[PathPart::Key("a")], &3_i64).is_err());
        assert!(twice.push(&[PathPart::Key("b")], "1").is_err());
    }
}
