//! The contents of text materials: words, and styles for ranges of them.

use std::borrow::Cow;

use crate::document::Dialect;
use crate::flaws::large_number;
use crate::path::{PathPart, PathTarget, find};
use crate::scan::{Scanner, Span, number, unescape};
use crate::value::{JsonValue, RawJson, assignment};

/// How the content of a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// A JSON object with `text` and `styles`, in the documents of today.
    Json,
    /// Words in tags, in CapCut up to 2.2 and JianYing up to 3.4.
    Markup,
    /// Words only.
    Plain,
}

/// The content of a text material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextContent {
    form: TextForm,
    text: String,
}

/// A style of a range of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StyleRange {
    /// In the units of the dialect; `None` if the style has no range.
    pub start: Option<usize>,
    pub end: Option<usize>,
}

impl TextContent {
    /// Reads what `content` of a text material holds.
    pub fn read(content: &str) -> Self {
        let is_json = content.trim_start().starts_with('{')
            && matches!(
                Scanner::new(content.as_bytes(), content.len() - content.trim_start().len()).skip(0),
                Ok(span) if content[span.end..].trim().is_empty()
            );
        let form = if is_json {
            TextForm::Json
        } else if content.contains("</") {
            TextForm::Markup
        } else {
            TextForm::Plain
        };
        Self {
            form,
            text: content.to_owned(),
        }
    }

    pub fn form(&self) -> TextForm {
        self.form
    }

    /// The content as it is stored.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn start(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    fn value(&self, path: &[PathPart<'_>]) -> Option<Span> {
        match find(self.text.as_bytes(), self.start(), path, false) {
            Ok(PathTarget::At(span)) => Some(span),
            _ => None,
        }
    }

    /// The words.
    pub fn words(&self) -> Cow<'_, str> {
        match self.form {
            TextForm::Plain => Cow::Borrowed(&self.text),
            TextForm::Markup => {
                let mut words = String::new();
                let mut rest = self.text.as_str();
                while let Some((before, tag)) = rest.split_once('<') {
                    words.push_str(before);
                    rest = tag.split_once('>').map_or("", |(_, after)| after);
                }
                words.push_str(rest);
                let inner = words.trim().strip_prefix('[');
                let inner = inner.and_then(|inner| inner.strip_suffix(']'));
                Cow::Owned(inner.unwrap_or(&words).to_owned())
            }
            TextForm::Json => {
                let Some(span) = self.value(&[PathPart::Key("text")]) else {
                    return Cow::Borrowed("");
                };
                let written = &self.text[span.start..span.end];
                let inside = written
                    .strip_prefix('"')
                    .and_then(|text| text.strip_suffix('"'));
                inside.map_or(Cow::Borrowed(""), |inside| unescape(inside.as_bytes()))
            }
        }
    }

    /// The list of styles as JSON; an empty list if there is none.
    pub fn styles(&self) -> &str {
        let span = match self.form {
            TextForm::Json => self.value(&[PathPart::Key("styles")]),
            _ => None,
        };
        span.map_or("[]", |span| &self.text[span.start..span.end])
    }

    /// Replaces the list of styles. `json` must be valid; returns whether the content has it now.
    #[must_use]
    pub fn set_styles(&mut self, json: &str) -> bool {
        self.set(&[PathPart::Key("styles")], &RawJson(json))
    }

    /// The number of styles; 0 for contents without JSON.
    pub fn style_count(&self) -> usize {
        let mut count = 0;
        if self.form == TextForm::Json
            && let Some(span) = self.value(&[PathPart::Key("styles")])
        {
            let _ = Scanner::new(self.text.as_bytes(), span.start).list(0, |scanner| {
                count += 1;
                scanner.skip(0).map(drop)
            });
        }
        count
    }

    /// The ranges of the styles.
    pub fn ranges(&self) -> Vec<StyleRange> {
        let edge = |index, edge| {
            let span = self.value(&[
                PathPart::Key("styles"),
                PathPart::Index(index),
                PathPart::Key("range"),
                PathPart::Index(edge),
            ])?;
            number(span.of(self.text.as_bytes())).map(|edge| edge.max(0.0) as usize)
        };
        (0..self.style_count())
            .map(|index| StyleRange {
                start: edge(index, 0),
                end: edge(index, 1),
            })
            .collect()
    }

    /// A value of a style; none if it is missing.
    pub fn style_value(&self, style: usize, path: &[PathPart<'_>]) -> Option<&str> {
        let mut whole = vec![PathPart::Key("styles"), PathPart::Index(style)];
        whole.extend_from_slice(path);
        self.value(&whole)
            .map(|span| &self.text[span.start..span.end])
    }

    /// Sets a value of every style; returns whether all have it now.
    #[must_use]
    pub fn set_in_styles<V: JsonValue + ?Sized>(
        &mut self,
        path: &[PathPart<'_>],
        value: &V,
    ) -> bool {
        (0..self.style_count()).all(|style| self.set_in_style(style, path, value))
    }

    /// Sets a value of one style; returns whether it has it now.
    #[must_use]
    pub fn set_in_style<V: JsonValue + ?Sized>(
        &mut self,
        style: usize,
        path: &[PathPart<'_>],
        value: &V,
    ) -> bool {
        let mut whole = vec![PathPart::Key("styles"), PathPart::Index(style)];
        whole.extend_from_slice(path);
        self.set(&whole, value)
    }

    fn set<V: JsonValue + ?Sized>(&mut self, path: &[PathPart<'_>], value: &V) -> bool {
        if self.form != TextForm::Json {
            return false;
        }
        let start = self.start();
        match assignment(&self.text.as_bytes()[start..], path, value) {
            Ok(Some((span, json))) => {
                let json = String::from_utf8_lossy(&json);
                self.text
                    .replace_range(start + span.start..start + span.end, &json);
                true
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Replaces the words. Where old and new words agree at both ends, styles keep their characters; between, the
    /// ranges are stretched. A style that has no characters left is removed, except the last one.
    ///
    /// Returns false for a content whose parts cannot be found, which is then unchanged.
    #[must_use]
    pub fn set_words(&mut self, words: &str, dialect: Dialect) -> bool {
        match self.form {
            TextForm::Plain => {
                words.clone_into(&mut self.text);
                true
            }
            TextForm::Markup => self.set_marked_words(words),
            TextForm::Json => {
                let before = self.clone();
                let done = self.set_json_words(words, dialect);
                if !done {
                    *self = before;
                }
                done
            }
        }
    }

    fn set_marked_words(&mut self, words: &str) -> bool {
        let old = self.words().into_owned();
        let hits: Vec<usize> = self.text.match_indices(&old).map(|(at, _)| at).collect();
        // Words that are split by tags, or that also stand in a tag, cannot be replaced safely.
        let [at] = hits[..] else {
            return false;
        };
        if old.is_empty() || words.contains(['<', '>']) {
            return false;
        }
        self.text.replace_range(at..at + old.len(), words);
        true
    }

    fn set_json_words(&mut self, words: &str, dialect: Dialect) -> bool {
        let old = units(&self.words(), dialect);
        let new = units(words, dialect);
        if old == new {
            return true;
        }
        let map = RangeMap::between(&old, &new);
        let ranges = self.ranges();
        if large_number(self.styles().as_bytes()).is_some_and(|place| place.contains("range")) {
            return false;
        }
        let mut empty = Vec::new();
        let count = ranges.len();
        for (index, range) in ranges.iter().enumerate() {
            let (Some(start), Some(end)) = (range.start, range.end) else {
                continue;
            };
            let (start, end) = (map.edge(start), map.edge(end));
            // An insertion at the border of two styles belongs to the left one.
            let start = if index == 0 && range.start == Some(0) {
                0
            } else {
                start
            };
            if start >= end {
                empty.push(index);
            }
            let path = [
                PathPart::Key("styles"),
                PathPart::Index(index),
                PathPart::Key("range"),
            ];
            for (edge, value) in [(0, start), (1, end.max(start))] {
                let mut path = path.to_vec();
                path.push(PathPart::Index(edge));
                if !self.set(&path, &count_value(value)) {
                    return false;
                }
            }
        }
        if empty.len() == count {
            empty.retain(|index| *index != 0);
        }
        for index in empty.into_iter().rev() {
            if !self.remove_style(index) {
                return false;
            }
        }
        self.set(&[PathPart::Key("text")], words)
    }

    fn remove_style(&mut self, index: usize) -> bool {
        let Some(span) = self.value(&[PathPart::Key("styles")]) else {
            return false;
        };
        let text = self.text.as_bytes();
        let mut styles = Vec::new();
        let read = Scanner::new(text, span.start).list(0, |scanner| {
            let style = scanner.skip(0)?;
            styles.push(self.text[style.start..style.end].to_owned());
            Ok(())
        });
        if read.is_err() || index >= styles.len() {
            return false;
        }
        styles.remove(index);
        self.set_styles(&format!("[{}]", styles.join(",")))
    }
}

/// The length of words in the units of a dialect.
pub fn text_length(words: &str, dialect: Dialect) -> usize {
    match dialect {
        Dialect::App => words.encode_utf16().count(),
        Dialect::Api => words.chars().count(),
    }
}

fn count_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The units of a text: UTF-16, or code points.
fn units(words: &str, dialect: Dialect) -> Vec<u32> {
    match dialect {
        Dialect::App => words.encode_utf16().map(u32::from).collect(),
        Dialect::Api => words.chars().map(u32::from).collect(),
    }
}

/// How the edges of ranges move when words change.
struct RangeMap {
    prefix: usize,
    suffix: usize,
    old: usize,
    new: Vec<u32>,
}

impl RangeMap {
    fn between(old: &[u32], new: &[u32]) -> Self {
        let mut prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        if splits_a_pair(new, prefix) || splits_a_pair(old, prefix) {
            prefix -= 1;
        }
        let rest = old[prefix..].iter().rev().zip(new[prefix..].iter().rev());
        let mut suffix = rest.take_while(|(a, b)| a == b).count();
        if splits_a_pair(new, new.len() - suffix) || splits_a_pair(old, old.len() - suffix) {
            suffix -= 1;
        }
        Self {
            prefix,
            suffix,
            old: old.len(),
            new: new.to_vec(),
        }
    }

    fn edge(&self, edge: usize) -> usize {
        let edge = edge.min(self.old);
        let old_middle = self.old - self.prefix - self.suffix;
        let new_middle = self.new.len() - self.prefix - self.suffix;
        let moved = if edge >= self.old - self.suffix {
            edge + self.new.len() - self.old
        } else if edge <= self.prefix {
            edge
        } else {
            let part = (edge - self.prefix) as f64 / old_middle as f64;
            self.prefix + (part * new_middle as f64).round() as usize
        };
        if splits_a_pair(&self.new, moved) {
            moved - 1
        } else {
            moved
        }
    }
}

/// Whether a position is between the two units of one character.
fn splits_a_pair(units: &[u32], at: usize) -> bool {
    at > 0
        && units
            .get(at)
            .is_some_and(|unit| (0xdc00..=0xdfff).contains(unit))
        && (0xd800..=0xdbff).contains(&units[at - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLED: &str =
        r#"{"styles":[{"size":8,"range":[0,5]},{"size":9,"range":[5,11]}],"text":"Hello world"}"#;

    fn edges(content: &TextContent) -> Vec<(usize, usize)> {
        let edge = |edge: Option<usize>| edge.unwrap_or(usize::MAX);
        content
            .ranges()
            .iter()
            .map(|range| (edge(range.start), edge(range.end)))
            .collect()
    }

    #[test]
    fn styles_keep_their_characters_when_words_change() {
        let check = |words: &str, expected: &[(usize, usize)]| {
            let mut content = TextContent::read(STYLED);
            assert!(content.set_words(words, Dialect::App));
            assert_eq!(content.words(), words);
            assert_eq!(edges(&content), expected, "{words}");
        };
        check("Hello big world", &[(0, 5), (5, 15)]);
        check("Hi world", &[(0, 2), (2, 8)]);
        check("Hello", &[(0, 5)]);
        check("", &[(0, 0)]);
        check("\u{1f600}\u{1f600}", &[(0, 2), (2, 4)]);
        check("\u{1f600}", &[(0, 2)]);
    }

    #[test]
    fn ranges_count_utf16_units_in_app_documents_and_code_points_in_the_apis() {
        let one = r#"{"text":"ab","styles":[{"range":[0,2]}]}"#;
        let mut content = TextContent::read(one);
        assert!(content.set_words("a\u{1f600}b", Dialect::App));
        assert_eq!(edges(&content), [(0, 4)]);
        let mut content = TextContent::read(one);
        assert!(content.set_words("a\u{1f600}b", Dialect::Api));
        assert_eq!(edges(&content), [(0, 3)]);
    }

    #[test]
    fn plain_and_marked_texts_are_read_and_replaced() {
        let mut content = TextContent::read("just words");
        assert_eq!(
            (content.form(), &*content.words()),
            (TextForm::Plain, "just words")
        );
        assert!(content.set_words("others", Dialect::App));
        assert_eq!(content.as_str(), "others");
        let mut content =
            TextContent::read("<font id=\"\" path=\"x.ttf\"><size=8>[old]</size></font>");
        assert_eq!(
            (content.form(), &*content.words()),
            (TextForm::Markup, "old")
        );
        assert!(content.set_words("new", Dialect::App));
        assert_eq!(
            content.as_str(),
            "<font id=\"\" path=\"x.ttf\"><size=8>[new]</size></font>"
        );
    }
}
