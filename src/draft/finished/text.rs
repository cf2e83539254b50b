//! The content of a text: contiguous styles from 0 to the end, counted in UTF-16 units.

use serde_json::{Map, Value, json};

use super::shapes::Filled;

/// The units in which a document counts the characters of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Units {
    /// As the reference API and the Python libraries do: an emoji counts as one.
    CodePoints,
    /// As the app does: an emoji counts as two.
    Utf16,
}

/// The length of `text` as the app counts it.
pub(crate) fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The styles of `text` in UTF-16 units, contiguous from 0 to its end. Where two overlap, the later one
/// applies. A gap takes the style before it; a gap at the start takes the first. Values that are not objects
/// are ignored.
pub(crate) fn contiguous(text: &str, styles: &[Value], units: Units) -> Vec<Value> {
    let styles: Vec<&Map<String, Value>> = styles.iter().filter_map(Value::as_object).collect();
    let length = utf16_len(text);
    let boundary = |position: usize| match units {
        Units::Utf16 => position.min(length),
        Units::CodePoints => text.chars().take(position).map(char::len_utf16).sum(),
    };
    let ranges: Vec<(usize, usize)> = styles
        .iter()
        .map(|style| {
            let at = |index: usize| {
                let range = style.get("range").and_then(|range| range.get(index));
                range
                    .and_then(Value::as_f64)
                    .map_or(if index == 0 { 0 } else { length }, |number| {
                        boundary(number.max(0.0) as usize)
                    })
            };
            (at(0), at(1))
        })
        .collect();
    let mut edges: Vec<usize> = ranges
        .iter()
        .flat_map(|(start, end)| [*start, *end])
        .chain([0, length])
        .collect();
    edges.sort_unstable();
    edges.dedup();
    let mut parts: Vec<(usize, usize, usize)> = Vec::new();
    for edge in edges.windows(2) {
        let (start, end) = (edge[0], edge[1]);
        let covering = ranges
            .iter()
            .rposition(|(from, to)| *from <= start && end <= *to);
        let style = covering
            .or(parts.last().map(|part| part.2))
            .unwrap_or_default();
        match parts.last_mut() {
            Some(last) if last.2 == style => last.1 = end,
            _ => parts.push((start, end, style)),
        }
    }
    parts
        .into_iter()
        .filter_map(|(start, end, style)| {
            let mut style = Map::clone(styles.get(style)?);
            style.insert("range".to_owned(), json!([start, end]));
            Some(Value::Object(style))
        })
        .collect()
}

/// Whether the styles are already contiguous, as the app writes them.
pub(crate) fn is_contiguous(text: &str, styles: &[Value]) -> bool {
    let mut at = 0;
    for style in styles {
        let Some([start, end]) = style["range"].as_array().map(Vec::as_slice) else {
            return false;
        };
        if start.as_u64() != Some(at) || end.as_u64().is_none_or(|end| end < at) {
            return false;
        }
        at = end.as_u64().unwrap_or_default();
    }
    styles.is_empty() || at == utf16_len(text) as u64
}

/// The `bold_width` that the app writes for bold text.
const BOLD_WIDTH: f64 = 0.008;

/// Rewrites the content of a text material as the app writes it, and copies the values of the first style to
/// the keys next to it, where the app's panels read them.
pub(super) fn finish(own: &mut Filled<'_>) {
    for key in ["fixed_width", "fixed_height"] {
        if let Some(pixels) = own.get(key).as_f64() {
            own.set(key, pixels);
        }
    }
    let Some(mut content) = own
        .get("content")
        .as_str()
        .and_then(|content| serde_json::from_str::<Value>(content).ok())
    else {
        return;
    };
    let text = content["text"].as_str().unwrap_or_default().to_owned();
    let mut styles = content["styles"]
        .as_array()
        .map(|styles| contiguous(&text, styles, Units::CodePoints))
        .unwrap_or_default();
    opacity(own, &mut styles);
    for style in &mut styles {
        if let Some(style) = style.as_object_mut() {
            style.insert("useLetterColor".to_owned(), json!(true));
            for stroke in style
                .get_mut("strokes")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                solid(&mut stroke["content"]);
            }
            for shadow in style
                .get_mut("shadows")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                solid(&mut shadow["content"]);
            }
        }
    }
    own.set("is_rich_text", styles.len() > 1);
    if let Some(first) = styles.first() {
        mirror(own, first);
    }
    content["styles"] = Value::Array(styles);
    // Faster than `Display`.
    let content = serde_json::to_string(&content).expect("keys are strings");
    own.set("content", content);
}

/// The app's opacity slider is `global_alpha`, which also fades borders and backgrounds. A text that has
/// neither, and one opacity throughout, has its opacity moved there.
fn opacity(own: &mut Filled<'_>, styles: &mut [Value]) {
    let alpha = |style: &Value| style["fill"]["content"]["solid"]["alpha"].as_f64();
    let Some(first) = styles.first().and_then(alpha) else {
        return;
    };
    let plain = own
        .get("check_flag")
        .as_i64()
        .is_none_or(|flag| flag & !7 == 0);
    if first >= 1.0 || !plain || styles.iter().any(|style| alpha(style) != Some(first)) {
        return;
    }
    own.set("global_alpha", first);
    for style in styles {
        style["fill"]["content"]["solid"]["alpha"] = json!(1.0);
    }
}

/// Adds the fill type of a stroke or shadow, as the app writes it.
fn solid(content: &mut Value) {
    if let Some(content) = content.as_object_mut()
        && content.contains_key("solid")
    {
        content
            .entry("render_type")
            .or_insert_with(|| json!("solid"));
    }
}

fn mirror(own: &mut Filled<'_>, style: &Value) {
    let mut set = |key: &'static str, value: Value| own.set(key, value);
    if let Some(size) = style["size"].as_f64() {
        set("font_size", json!(size));
    }
    if let Some(color) = hex(&style["fill"]["content"]["solid"]["color"]) {
        set("text_color", json!(color));
    }
    if let Some(alpha) = style["fill"]["content"]["solid"]["alpha"].as_f64() {
        set("text_alpha", json!(alpha));
    }
    if let Some(path) = style["font"]["path"].as_str() {
        set("font_path", json!(path));
    }
    if let Some(id) = style["font"]["id"].as_str() {
        set("font_resource_id", json!(id));
    }
    if let Some(stroke) = style["strokes"].get(0) {
        if let Some(color) = hex(&stroke["content"]["solid"]["color"]) {
            set("border_color", json!(color));
        }
        if let Some(alpha) = stroke["content"]["solid"]["alpha"].as_f64() {
            set("border_alpha", json!(alpha));
        }
        if let Some(width) = stroke["width"].as_f64() {
            set("border_width", json!(width));
        }
    }
    if style["bold"] == json!(true) {
        set("bold_width", json!(BOLD_WIDTH));
    }
    if style["underline"] == json!(true) {
        set("underline", json!(true));
    }
    if style["italic"] == json!(true) {
        set("italic_degree", json!(10));
    }
}

/// `#rrggbb` from three numbers from 0 to 1.
fn hex(color: &Value) -> Option<String> {
    let parts = color.as_array()?;
    let part = |index: usize| {
        let number = parts.get(index)?.as_f64()?;
        Some((number.clamp(0.0, 1.0) * 255.0).round() as u8)
    };
    Some(format!("#{:02x}{:02x}{:02x}", part(0)?, part(1)?, part(2)?))
}

#[cfg(test)]
mod tests {
    use super::super::shapes::Shapes;
    use super::*;

    fn ranges(text: &str, given: &[[usize; 2]], units: Units) -> Vec<(Value, i64)> {
        let styles: Vec<_> = given
            .iter()
            .enumerate()
            .map(|(index, range)| json!({"range": range, "size": index}))
            .collect();
        let styles = contiguous(text, &styles, units);
        assert!(is_contiguous(text, &styles), "{styles:?}");
        styles
            .iter()
            .map(|style| (style["range"].clone(), style["size"].as_i64().unwrap()))
            .collect()
    }

    #[test]
    fn an_emoji_counts_as_two_utf16_units() {
        let got = ranges("😀中😀", &[[0, 1], [1, 3]], Units::CodePoints);
        assert_eq!(got, [(json!([0, 2]), 0), (json!([2, 5]), 1)]);
        let got = ranges("😀中😀", &[[0, 2], [2, 5]], Units::Utf16);
        assert_eq!(got, [(json!([0, 2]), 0), (json!([2, 5]), 1)]);
    }

    #[test]
    fn gaps_overlaps_and_excess_ranges_become_contiguous_styles() {
        let check = |given: &[[usize; 2]], expected: &[(Value, i64)]| {
            assert_eq!(ranges("abcdef", given, Units::CodePoints), expected);
        };
        check(&[[0, 4], [2, 6]], &[(json!([0, 2]), 0), (json!([2, 6]), 1)]);
        check(&[[2, 3], [4, 9]], &[(json!([0, 4]), 0), (json!([4, 6]), 1)]);
        check(&[[0, 12]], &[(json!([0, 6]), 0)]);
        check(
            &[[0, 6], [2, 3]],
            &[(json!([0, 2]), 0), (json!([2, 3]), 1), (json!([3, 6]), 0)],
        );
    }

    fn text(alpha: f64, flag: i64) -> Value {
        let content = json!({"text": "Hi😀", "styles": [{
            "range": [0, 3], "size": 8.0, "italic": true,
            "fill": {"alpha": 1.0, "content": {"render_type": "solid", "solid": {"alpha": alpha, "color": [1.0, 0.0, 0.5]}}},
            "font": {"id": "77", "path": "C:/a.ttf"},
            "strokes": [{"width": 0.04, "content": {"solid": {"alpha": 1.0, "color": [0.0, 0.0, 0.0]}}}]
        }]});
        json!({"id": "t", "check_flag": flag, "content": content.to_string()})
    }

    fn done(text: &Value) -> Filled<'_> {
        let mut own = Filled::of(Shapes::newest(), "text", text.as_object());
        finish(&mut own);
        own
    }

    #[test]
    fn the_first_style_is_copied_next_to_the_content() {
        let given = text(1.0, 15);
        let done = done(&given);
        assert_eq!(done.get("text_color"), "#ff0080");
        assert_eq!(done.get("font_size"), 8.0);
        assert_eq!(done.get("font_resource_id"), "77");
        assert_eq!(done.get("border_color"), "#000000");
        let content: Value = serde_json::from_str(done.get("content").as_str().unwrap()).unwrap();
        assert_eq!(content["styles"][0]["range"], json!([0, 4]));
        assert_eq!(
            content["styles"][0]["strokes"][0]["content"]["render_type"],
            "solid"
        );
    }

    #[test]
    fn the_opacity_of_a_plain_text_becomes_global_alpha() {
        let alpha = |done: &Filled<'_>| {
            let content: Value =
                serde_json::from_str(done.get("content").as_str().unwrap()).unwrap();
            content["styles"][0]["fill"]["content"]["solid"]["alpha"].clone()
        };
        let given = text(0.4, 7);
        let plain = done(&given);
        assert_eq!(
            (plain.get("global_alpha"), alpha(&plain)),
            (&json!(0.4), json!(1.0))
        );
        let given = text(0.4, 15);
        let bordered = done(&given);
        assert_eq!(bordered.get("global_alpha"), &json!(1.0));
        assert_eq!(alpha(&bordered), json!(0.4), "its border stays opaque");
    }

    #[test]
    fn text_flags_follow_from_its_styles() {
        let style =
            |range: [u32; 2], bold: bool| json!({"range": range, "size": 8.0, "bold": bold});
        let check = |styles: Value, bold_width: f64, is_rich: bool| {
            let content = json!({"text": "words", "styles": styles});
            let given =
                json!({"content": content.to_string(), "fixed_width": 700, "fixed_height": -1});
            let done = done(&given);
            let got = ["bold_width", "is_rich_text", "fixed_width", "fixed_height"]
                .map(|key| done.get(key).to_string());
            assert_eq!(
                got,
                [
                    format!("{bold_width:?}"),
                    is_rich.to_string(),
                    "700.0".to_owned(),
                    "-1.0".to_owned()
                ]
            );
            assert_eq!(
                (done.get("text_curve"), done.get("shadow_color")),
                (&Value::Null, &json!(""))
            );
        };
        check(json!([style([0, 5], false)]), 0.0, false);
        check(json!([style([0, 5], true)]), 0.008, false);
        check(
            json!([style([0, 2], true), style([2, 5], false)]),
            0.008,
            true,
        );
        check(
            json!([style([0, 2], false), style([2, 5], true)]),
            0.0,
            true,
        );
    }
}
