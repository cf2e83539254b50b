//! The styles of parts of a text.

use serde_json::{Map, Value, json};

use crate::content::{TextContent, text_length};
use crate::document::{ClipRef, Dialect};
use crate::error::{Error, Result, quoted_list};
use crate::field::material;
use crate::kinds::ClipKind;
use crate::ops::look::scaled;
use crate::ops::session::Session;
use crate::property::{Property, PropertyValue};
use crate::resource::ResourceKind;

/// What a part can have of its own, as the properties of a whole text.
const OF_PART: [&str; 10] = [
    "font",
    "font_size",
    "font_color",
    "opacity",
    "bold",
    "italic",
    "underline",
    "border_width",
    "border_color",
    "border_alpha",
];

/// A part of a text, and what it has of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TextPart {
    place: PartPlace,
    values: Vec<(&'static str, PropertyValue)>,
}

#[derive(Clone, Debug, PartialEq)]
enum PartPlace {
    /// The first character, and the one after the last.
    Range(usize, usize),
    /// Each place of these words.
    Words(String),
}

impl TextPart {
    /// Reads `{"start": 0, "end": 5, "font_color": "#FF0000"}` or `{"words": "new", "bold": true}`.
    pub(crate) fn read(value: &Value) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "{value} is not a part of a text: it has `start` and `end`, or `words`, and what is different there"
            ))
        };
        let members = value.as_object().ok_or_else(wrong)?;
        let number = |key: &str| members.get(key)?.as_u64().map(|number| number as usize);
        let place = match (members.get("words"), number("start"), number("end")) {
            (Some(Value::String(words)), ..) if !words.is_empty() => {
                PartPlace::Words(words.clone())
            }
            (None, Some(start), Some(end)) if start < end => PartPlace::Range(start, end),
            _ => return Err(wrong()),
        };
        let mut values = Vec::new();
        for (name, value) in members {
            if ["words", "start", "end"].contains(&name.as_str()) {
                continue;
            }
            let property = Property::named(name)
                .filter(|property| OF_PART.contains(&property.name))
                .ok_or_else(|| {
                    Error::invalid(format!("a part of a text has no `{name}` of its own"))
                        .hint(format!("it can be {}", quoted_list(&OF_PART)))
                })?;
            values.push((property.name, property.read(value)?));
        }
        if values.is_empty() {
            return Err(wrong());
        }
        Ok(Self { place, values })
    }

    /// Its places in a text, in characters.
    fn ranges(&self, words: &str) -> Result<Vec<(usize, usize)>> {
        let count = words.chars().count();
        match &self.place {
            PartPlace::Range(start, end) if *end <= count => Ok(vec![(*start, *end)]),
            PartPlace::Range(start, end) => Err(Error::invalid(format!(
                "{start} to {end} is not a range of a text with {count} characters"
            ))
            .hint("`start` counts from 0, and `end` is one after the last character")),
            PartPlace::Words(own) => {
                let length = own.chars().count();
                let found: Vec<(usize, usize)> = words
                    .match_indices(own)
                    .map(|(at, _)| {
                        let start = words[..at].chars().count();
                        (start, start + length)
                    })
                    .collect();
                if found.is_empty() {
                    return Err(Error::invalid(format!(
                        "the text does not contain \"{own}\""
                    )));
                }
                Ok(found)
            }
        }
    }
}

/// The value at a path of a style; objects on the way are made.
fn at<'s>(style: &'s mut Map<String, Value>, path: &[&str]) -> &'s mut Value {
    let (first, rest) = path.split_first().unwrap_or((&"", &[]));
    let mut value = style.entry((*first).to_owned()).or_insert(Value::Null);
    for key in rest {
        if !value.is_object() {
            *value = json!({});
        }
        value = &mut value[*key];
    }
    value
}

/// The first outline of a style, which is made if there is none.
fn stroke(style: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let strokes = style.entry("strokes").or_insert_with(|| json!([]));
    if strokes.get(0).is_none_or(|first| !first.is_object()) {
        // The width is 40 of 100.
        *strokes = json!([{
            "content": { "render_type": "solid", "solid": { "alpha": 1.0, "color": [0.0, 0.0, 0.0] } },
            "width": 0.08,
        }]);
    }
    match &mut strokes[0] {
        Value::Object(first) => first,
        _ => unreachable!("it was just made"),
    }
}

fn unit_color(color: [u8; 3]) -> Value {
    json!(color.map(|part| f64::from(part) / 255.0))
}

fn apply(style: &mut Map<String, Value>, name: &str, value: &PropertyValue) {
    let solid = ["fill", "content", "solid"];
    match (name, value) {
        ("font_color", PropertyValue::Color(color)) => {
            *at(style, &[solid[0], solid[1], solid[2], "color"]) = unit_color(*color);
        }
        ("opacity", PropertyValue::Number(alpha)) => {
            *at(style, &[solid[0], solid[1], solid[2], "alpha"]) = json!(alpha);
        }
        ("font_size", PropertyValue::Number(size)) => *at(style, &["size"]) = json!(size),
        ("border_width", PropertyValue::Number(0.0)) => *at(style, &["strokes"]) = json!([]),
        ("border_width", PropertyValue::Number(width)) => {
            *at(stroke(style), &["width"]) = json!(scaled(*width, 0.002));
        }
        ("border_color", PropertyValue::Color(color)) => {
            *at(stroke(style), &["content", "solid", "color"]) = unit_color(*color);
        }
        ("border_alpha", PropertyValue::Number(alpha)) => {
            *at(stroke(style), &["content", "solid", "alpha"]) = json!(alpha);
        }
        (name, PropertyValue::Switch(on)) => *at(style, &[name]) = json!(on),
        _ => {}
    }
}

impl Session<'_> {
    /// Gives parts of a text their own styles; the other parts keep theirs.
    pub(super) fn set_parts(&mut self, own: ClipRef, parts: &[TextPart]) -> Result<()> {
        let main = self.own_main(own)?;
        let dialect = self.edit.dialect();
        let mut content = TextContent::read(&self.edit.value(main, &material::CONTENT));
        let unreadable = |session: &Self| {
            Error::read_only(format!(
                "the styles of {} are written in a form that cannot be edited",
                session.edit.describe(own)
            ))
            .hint("its words can be replaced")
        };
        let read: std::result::Result<Vec<Map<String, Value>>, _> =
            serde_json::from_str(content.styles());
        let mut styles = match read {
            Ok(styles) if !styles.is_empty() => styles,
            _ => return Err(unreadable(self)),
        };
        let words = content.words().into_owned();
        let unit = |count: usize| {
            let part: String = words.chars().take(count).collect();
            text_length(&part, dialect)
        };
        let whole = text_length(&words, dialect);
        let mut has_outline = false;
        for part in parts {
            let mut values = part.values.clone();
            let font = values.iter().position(|(name, _)| *name == "font");
            let font = match font.map(|index| values.swap_remove(index)) {
                Some((_, PropertyValue::Words(name))) => Some(self.resources.find(
                    ResourceKind::Font,
                    ClipKind::Text,
                    &name,
                )?),
                _ => None,
            };
            has_outline |= values.iter().any(|(name, _)| name.starts_with("border_"));
            for (start, end) in part.ranges(&words)? {
                let (start, end) = (unit(start), unit(end));
                let mut cut = Vec::with_capacity(styles.len() + 2);
                for style in styles {
                    let edge = |index: usize| style.get("range")?.get(index)?.as_u64();
                    let first = edge(0).map_or(0, |edge| edge as usize);
                    let last = edge(1).map_or(whole, |edge| edge as usize);
                    for (from, to, is_inside) in [
                        (first, last.min(start), false),
                        (first.max(start), last.min(end), true),
                        (first.max(end), last, false),
                    ] {
                        if from >= to {
                            continue;
                        }
                        let mut piece = style.clone();
                        piece.insert("range".to_owned(), json!([from, to]));
                        if is_inside {
                            for (name, value) in &values {
                                apply(&mut piece, name, value);
                            }
                            if let Some(font) = &font {
                                let path = format!("C:/{}.ttf", font.name);
                                piece.insert(
                                    "font".to_owned(),
                                    json!({ "id": font.resource_id, "path": path }),
                                );
                            }
                        }
                        cut.push(piece);
                    }
                }
                styles = cut;
            }
        }
        let count = styles.len();
        if !content.set_styles(&json!(styles).to_string()) {
            return Err(unreadable(self));
        }
        self.edit
            .set(main, material::CONTENT.path, content.as_str())?;
        if has_outline {
            self.set_flag(main, 8, true)?;
        }
        if dialect == Dialect::App && self.edit.raw(main, &["is_rich_text"]).is_some() {
            self.edit.set(main, &["is_rich_text"], &(count > 1))?;
        }
        Ok(())
    }
}
