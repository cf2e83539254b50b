//! `resolution` and `aspect_ratio`: the usual names for a canvas size, converted to `width` and `height`.

use serde_json::Value;

use crate::args::Object;
use crate::args::scalar::{number, shown};

/// The short side of a canvas when only its aspect ratio is known: what the apps use.
const SHORT_SIDE: f64 = 1080.0;

/// Replaces `resolution` and `aspect_ratio` by `width` and `height`; returns the problems.
pub(crate) fn normalize(arguments: &mut Object) -> Vec<String> {
    let mut faults = Vec::new();
    if !arguments.contains_key("aspect_ratio")
        && let Some(ratio) = arguments.shift_remove("ratio")
    {
        arguments.insert("aspect_ratio".to_owned(), ratio);
    }
    let resolution = arguments.shift_remove("resolution").and_then(|value| {
        let read = resolution(&value);
        if read.is_none() {
            faults.push(format!(
                "`resolution` is {}, which is not like \"1920x1080\" or \"1080p\"",
                shown(&value)
            ));
        }
        read
    });
    let ratio = arguments.shift_remove("aspect_ratio").and_then(|value| {
        let read = ratio(&value);
        if read.is_none() {
            faults.push(format!(
                "`aspect_ratio` is {}, which is not like \"9:16\", \"16:9\" or \"1:1\"",
                shown(&value)
            ));
        }
        read
    });
    let side = |name: &str| {
        arguments
            .get(name)
            .and_then(number)
            .and_then(|n| n.as_f64())
    };
    let (width, height) = (side("width"), side("height"));
    let size = match (resolution, ratio) {
        (Some(Resolution::Exact(w, h)), ratio) => {
            if let Some(ratio) = ratio
                && (w / h / ratio - 1.0).abs() > 0.01
            {
                faults.push(format!(
                    "`resolution` is {w}x{h}, which does not have the given `aspect_ratio`: give one of them"
                ));
            }
            Some((w, h, "resolution"))
        }
        (Some(Resolution::ShortSide(short)), ratio) => {
            let (w, h) = shape(ratio.unwrap_or(16.0 / 9.0), short);
            Some((w, h, "resolution"))
        }
        (None, Some(ratio)) => Some(match (width, height) {
            (Some(w), None) => (w, even(w / ratio), "aspect_ratio"),
            (None, Some(h)) => (even(h * ratio), h, "aspect_ratio"),
            (Some(w), Some(h)) if (w / h / ratio - 1.0).abs() <= 0.01 => (w, h, "aspect_ratio"),
            _ => {
                let (w, h) = shape(ratio, SHORT_SIDE);
                (w, h, "aspect_ratio")
            }
        }),
        (None, None) => None,
    };
    if let Some((w, h, name)) = size {
        for (side, given, wanted) in [("width", width, w), ("height", height, h)] {
            match given {
                Some(given) if given != wanted => faults.push(format!(
                    "`{name}` makes `{side}` {wanted}, but `{side}` is given as {given}: give one of them"
                )),
                Some(_) => {}
                None => {
                    arguments.insert(side.into(), (wanted as i64).into());
                }
            }
        }
    }
    faults
}

enum Resolution {
    Exact(f64, f64),
    /// "1080p": the short side.
    ShortSide(f64),
}

fn resolution(value: &Value) -> Option<Resolution> {
    let text = match value {
        Value::String(text) => text.trim().to_lowercase(),
        _ => return None,
    };
    let short = match text.as_str() {
        "hd" => Some(720.0),
        "full hd" | "fullhd" | "fhd" => Some(1080.0),
        "2k" | "qhd" => Some(1440.0),
        "4k" | "uhd" => Some(2160.0),
        "8k" => Some(4320.0),
        _ => text.strip_suffix('p').and_then(|p| p.parse().ok()),
    };
    if let Some(short) = short {
        return positive(short).map(Resolution::ShortSide);
    }
    let (width, height) = text.split_once(['x', '×', '*', '✕', ','])?;
    let side = |text: &str| {
        let text = text.trim().trim_end_matches("px").trim();
        text.parse().ok().and_then(positive)
    };
    Some(Resolution::Exact(side(width)?, side(height)?))
}

/// Width divided by height.
fn ratio(value: &Value) -> Option<f64> {
    let text = match value {
        Value::Number(number) => return number.as_f64().and_then(positive),
        Value::String(text) => text.trim().to_lowercase(),
        _ => return None,
    };
    match text.as_str() {
        "portrait" | "vertical" | "竖屏" | "竖版" => return Some(9.0 / 16.0),
        "landscape" | "horizontal" | "widescreen" | "横屏" | "横版" => return Some(16.0 / 9.0),
        "square" | "方形" => return Some(1.0),
        _ => {}
    }
    let part = |text: &str| text.trim().parse().ok().and_then(positive);
    let text = text.replace(" by ", ":");
    match text.split_once([':', '：', '/', 'x', '×', '*', '-', '_']) {
        Some((width, height)) => positive(part(width)? / part(height)?),
        None => part(&text),
    }
}

fn positive(number: f64) -> Option<f64> {
    (number.is_finite() && number > 0.0).then_some(number)
}

fn shape(ratio: f64, short: f64) -> (f64, f64) {
    if ratio >= 1.0 {
        (even(short * ratio), short)
    } else {
        (short, even(short / ratio))
    }
}

/// Video codecs require even sides.
fn even(side: f64) -> f64 {
    (side / 2.0).round() * 2.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn normalized(arguments: Value) -> (Value, Vec<String>) {
        let Value::Object(mut arguments) = arguments else {
            panic!("an object");
        };
        let faults = normalize(&mut arguments);
        (Value::Object(arguments), faults)
    }

    #[test]
    fn sizes_are_read_in_many_notations() {
        for (said, width, height) in [
            (json!({ "resolution": "1920x1080" }), 1920, 1080),
            (json!({ "resolution": "1920×1080" }), 1920, 1080),
            (json!({ "resolution": " 1080 X 1920 px" }), 1080, 1920),
            (json!({ "resolution": "720p" }), 1280, 720),
            (
                json!({ "resolution": "1080P", "aspect_ratio": "9:16" }),
                1080,
                1920,
            ),
            (json!({ "resolution": "4K" }), 3840, 2160),
            (json!({ "aspect_ratio": "9:16" }), 1080, 1920),
            (json!({ "aspect_ratio": "16：9" }), 1920, 1080),
            (json!({ "aspect_ratio": "1:1" }), 1080, 1080),
            (json!({ "aspect_ratio": "4:3" }), 1440, 1080),
            (json!({ "aspect_ratio": "3/4" }), 1080, 1440),
            (json!({ "aspect_ratio": "2.35:1" }), 2538, 1080),
            (json!({ "aspect_ratio": 0.5625 }), 1080, 1920),
            (json!({ "aspect_ratio": "竖屏" }), 1080, 1920),
            (json!({ "ratio": "square" }), 1080, 1080),
            (json!({ "ratio": "4:5" }), 1080, 1350),
            (json!({ "aspect_ratio": "9:16", "width": 720 }), 720, 1280),
            (
                json!({ "aspect_ratio": "16:9", "height": "720" }),
                1280,
                720,
            ),
            (
                json!({ "resolution": "1280x720", "aspect_ratio": "16:9", "width": 1280 }),
                1280,
                720,
            ),
        ] {
            let (arguments, faults) = normalized(said.clone());
            assert_eq!(faults, Vec::<String>::new(), "{said}");
            assert_eq!(number(&arguments["width"]), Some(width.into()), "{said}");
            assert_eq!(number(&arguments["height"]), Some(height.into()), "{said}");
            assert!(
                arguments.get("resolution").is_none() && arguments.get("aspect_ratio").is_none()
            );
        }
    }

    #[test]
    fn invalid_and_contradicting_sizes_are_reported() {
        for (said, fault) in [
            (json!({ "resolution": "wide" }), "`resolution` is \"wide\""),
            (json!({ "resolution": "0x10" }), "`resolution` is \"0x10\""),
            (
                json!({ "aspect_ratio": "9:0" }),
                "`aspect_ratio` is \"9:0\"",
            ),
            (
                json!({ "aspect_ratio": "original" }),
                "`aspect_ratio` is \"original\"",
            ),
            (
                json!({ "resolution": "1920x1080", "aspect_ratio": "9:16" }),
                "does not have the given",
            ),
            (
                json!({ "resolution": "1920x1080", "width": 1080 }),
                "`resolution` makes `width` 1920",
            ),
            (
                json!({ "aspect_ratio": "9:16", "width": 500, "height": 500 }),
                "`aspect_ratio` makes `width` 1080",
            ),
        ] {
            let (_, faults) = normalized(said.clone());
            assert!(
                faults.iter().any(|f| f.contains(fault)),
                "{said}: {faults:?}"
            );
        }
    }
}
