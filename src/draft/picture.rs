//! A picture of the timeline as SVG: tracks, clips with names and times, transitions, keyframes, captions.
//!
//! It is drawn from the document that `query_script` answers, so that a draft kept by a server is shown like one
//! of our own.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::Value;

const WIDTH: f64 = 1200.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 62.0;
const ROW: f64 = 46.0;
const CLIP: f64 = 38.0;
/// Fonts of the usual systems, Latin first; the renderer falls back to any font that has the character.
const FONTS: &str = "Inter, Helvetica, Arial, 'Noto Sans', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', \
                     'WenQuanYi Zen Hei', sans-serif";

/// A drawn timeline.
#[derive(Debug)]
pub(crate) struct Picture {
    pub svg: String,
    pub tracks: usize,
    pub clips: usize,
    /// The length of the draft in seconds.
    pub duration_s: f64,
}

/// Draws the document.
pub(crate) fn draw(title: &str, script: &Value) -> Picture {
    let names = Names::of(script);
    let tracks: Vec<&Value> = script["tracks"].as_array().into_iter().flatten().collect();
    let shown: Vec<&Value> = tracks
        .iter()
        .copied()
        .filter(|track| track["segments"].as_array().is_some_and(|s| !s.is_empty()))
        .collect();
    let duration_s = seconds(&script["duration"]).max(
        shown
            .iter()
            .flat_map(|track| track["segments"].as_array().into_iter().flatten())
            .map(|s| {
                seconds(&s["target_timerange"]["start"])
                    + seconds(&s["target_timerange"]["duration"])
            })
            .fold(0.0, f64::max),
    );
    let scale = (WIDTH - LEFT - RIGHT) / duration_s.max(0.001);
    let height = TOP + ROW * shown.len().max(1) as f64 + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"{FONTS}\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#16181d\"/>\n"
    );
    let canvas = &script["canvas_config"];
    let head = format!(
        "{title} · {}×{} · {}",
        canvas["width"],
        canvas["height"],
        clock(duration_s)
    );
    text(&mut svg, 14.0, 24.0, "#f2f4f8", 15.0, &head);
    ruler(&mut svg, duration_s, scale, height);
    let mut clips = 0;
    // The topmost track of the picture stands first, as in the app; sound below.
    let mut order = shown.clone();
    order.sort_by_key(|track| track["type"] == "audio");
    let sound = order
        .iter()
        .position(|track| track["type"] == "audio")
        .unwrap_or(order.len());
    order[..sound].reverse();
    for (row, track) in order.iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let kind = track["type"].as_str().unwrap_or("?");
        let name = track["name"]
            .as_str()
            .filter(|name| !name.is_empty())
            .unwrap_or(kind);
        text(
            &mut svg,
            14.0,
            y + 18.0,
            "#f2f4f8",
            12.0,
            &fit(name, LEFT - 24.0, 12.0),
        );
        text(&mut svg, 14.0, y + 33.0, "#8b93a3", 10.0, kind);
        let mut segments: Vec<&Value> =
            track["segments"].as_array().into_iter().flatten().collect();
        segments.sort_by_key(|s| s["target_timerange"]["start"].as_i64());
        for segment in segments {
            clips += 1;
            clip(&mut svg, kind, segment, &names, scale, y);
        }
    }
    if shown.is_empty() {
        text(
            &mut svg,
            LEFT,
            TOP + 26.0,
            "#8b93a3",
            13.0,
            "nothing on the timeline yet",
        );
    }
    svg.push_str("</svg>\n");
    Picture {
        svg,
        tracks: shown.len(),
        clips,
        duration_s,
    }
}

/// What materials are called, by id.
struct Names {
    labels: HashMap<String, String>,
    transitions: HashMap<String, (String, f64)>,
}

impl Names {
    fn of(script: &Value) -> Self {
        let mut labels = HashMap::new();
        let mut transitions = HashMap::new();
        let materials = &script["materials"];
        let list = |key: &str| materials[key].as_array().into_iter().flatten();
        for material in list("videos") {
            put(
                &mut labels,
                material,
                &["remote_url", "material_name", "path"],
            );
        }
        for material in list("audios") {
            put(&mut labels, material, &["remote_url", "name", "path"]);
        }
        for material in list("video_effects").chain(list("effects")) {
            put(&mut labels, material, &["name"]);
        }
        for material in list("stickers") {
            put(
                &mut labels,
                material,
                &["name", "sticker_id", "resource_id"],
            );
        }
        for material in list("texts") {
            let content = material["content"].as_str().unwrap_or_default();
            let words = serde_json::from_str::<Value>(content)
                .ok()
                .and_then(|content| content["text"].as_str().map(str::to_owned))
                .unwrap_or_else(|| content.to_owned());
            if let Some(id) = material["id"].as_str() {
                labels.insert(
                    id.to_owned(),
                    words.split_whitespace().collect::<Vec<_>>().join(" "),
                );
            }
        }
        for material in list("transitions") {
            if let Some(id) = material["id"].as_str() {
                let name = material["name"].as_str().unwrap_or("transition").to_owned();
                transitions.insert(id.to_owned(), (name, seconds(&material["duration"])));
            }
        }
        Self {
            labels,
            transitions,
        }
    }
}

fn put(labels: &mut HashMap<String, String>, material: &Value, keys: &[&str]) {
    let label = keys
        .iter()
        .filter_map(|key| material[*key].as_str())
        .find(|label| !label.is_empty())
        .map(|label| {
            let label = label.split(['?', '#']).next().unwrap_or(label);
            label.rsplit(['/', '\\']).next().unwrap_or(label).to_owned()
        });
    if let (Some(id), Some(label)) = (material["id"].as_str(), label) {
        labels.insert(id.to_owned(), label);
    }
}

fn clip(svg: &mut String, kind: &str, segment: &Value, names: &Names, scale: f64, y: f64) {
    let start = seconds(&segment["target_timerange"]["start"]);
    let length = seconds(&segment["target_timerange"]["duration"]);
    let x = LEFT + start * scale;
    let width = (length * scale).max(2.0);
    let label = segment["material_id"]
        .as_str()
        .and_then(|id| names.labels.get(id));
    let label = label.map_or("?", String::as_str);
    let told = format!("{label} · {} – {}", clock(start), clock(start + length));
    let _ = write!(
        svg,
        "<g><title>{}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{CLIP}\" rx=\"5\" \
         fill=\"{}\" stroke=\"#0c0d10\"/>",
        escape(&told),
        colour(kind),
    );
    if width > 22.0 {
        text(
            svg,
            x + 6.0,
            y + 16.0,
            "#ffffff",
            12.0,
            &fit(label, width - 10.0, 12.0),
        );
    }
    let times = format!("{} – {}", clock(start), clock(start + length));
    if width > 80.0 {
        text(
            svg,
            x + 6.0,
            y + 31.0,
            "#dfe5ee",
            10.0,
            &fit(&times, width - 10.0, 10.0),
        );
    }
    for list in segment["common_keyframes"].as_array().into_iter().flatten() {
        for keyframe in list["keyframe_list"].as_array().into_iter().flatten() {
            let at = x + (seconds(&keyframe["time_offset"]) * scale).clamp(0.0, width);
            let _ = write!(
                svg,
                "<path d=\"M{at:.1} {:.1}l4 4l-4 4l-4 -4z\" fill=\"#ffd166\"/>",
                y + CLIP - 9.0
            );
        }
    }
    for reference in segment["extra_material_refs"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if let Some((name, length)) = reference.as_str().and_then(|id| names.transitions.get(id)) {
            let end = x + width;
            let half = (length * scale / 2.0).max(5.0);
            let _ = write!(
                svg,
                "<path d=\"M{:.1} {y:.1}L{:.1} {:.1}L{:.1} {y:.1}L{:.1} {:.1}z\" fill=\"#ffffff\" fill-opacity=\"0.55\">\
                 <title>{}</title></path>",
                end - half,
                end + half,
                y + CLIP,
                end + half,
                end - half,
                y + CLIP,
                escape(&format!("{name}, {length} s")),
            );
        }
    }
    svg.push_str("</g>\n");
}

fn ruler(svg: &mut String, duration_s: f64, scale: f64, height: f64) {
    let step = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
    ]
    .into_iter()
    .find(|step| step * scale >= 70.0)
    .unwrap_or(7200.0);
    let marks = (duration_s / step).floor().min(200.0) as usize;
    for mark in 0..=marks {
        let at = mark as f64 * step;
        let x = LEFT + at * scale;
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} 50V{:.1}\" stroke=\"#2b2f38\" stroke-width=\"1\"/>",
            height - 8.0
        );
        text(svg, x + 3.0, 48.0, "#8b93a3", 10.0, &clock(at));
    }
}

fn colour(kind: &str) -> &'static str {
    match kind {
        "video" => "#2f6fed",
        "audio" => "#1f9d6b",
        "text" => "#b4572f",
        "sticker" => "#8a4fd0",
        "effect" => "#b03a7c",
        "filter" | "adjust" => "#6b7280",
        _ => "#4b5563",
    }
}

fn text(svg: &mut String, x: f64, y: f64, fill: &str, size: f64, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{fill}\" font-size=\"{size}\">{}</text>",
        escape(words)
    );
}

/// As much of the words as fits into `width` pixels; wide scripts take a whole em a character.
fn fit(words: &str, width: f64, size: f64) -> String {
    let mut used = 0.0;
    let mut out = String::new();
    for character in words.chars() {
        used += if (character as u32) < 0x1100 {
            size * 0.56
        } else {
            size
        };
        if used > width {
            out.push('…');
            break;
        }
        out.push(character);
    }
    out
}

fn escape(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for character in words.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Control characters are not allowed in XML.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn seconds(micros: &Value) -> f64 {
    micros.as_f64().unwrap_or(0.0) / 1e6
}

/// `0:03.5`, `1:02:00`.
fn clock(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round() as i64;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    let mut out = if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes}:{rest:02}")
    };
    if tenth > 0 {
        let _ = write!(out, ".{tenth}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_clip_is_drawn_with_its_name_and_times() {
        let script = json!({
        "canvas_config": {"width": 1080, "height": 1920}, "duration": 6_000_000,
        "materials": {
            "videos": [{"id": "m", "remote_url": "https://x/a%20b.mp4?token=1"}],
            "texts": [{"id": "t", "content": "{\"text\": \"你好 <世界> & more\"}"}],
            "transitions": [{"id": "x", "name": "Dissolve", "duration": 500_000}],
        },
        "tracks": [
            {"type": "video", "name": "video", "segments": []},
            {"type": "video", "name": "video_main", "segments": [
                {"material_id": "m", "target_timerange": {"start": 0, "duration": 6_000_000},
                 "extra_material_refs": ["x"],
                 "common_keyframes": [{"keyframe_list": [{"time_offset": 1_000_000}]}]}]},
            {"type": "text", "name": "text_main", "segments": [
                {"material_id": "t", "target_timerange": {"start": 1_500_000, "duration": 2_000_000}}]},
        ]});
        let picture = draw("Test", &script);
        assert_eq!(
            (picture.tracks, picture.clips, picture.duration_s),
            (2, 2, 6.0)
        );
        for part in [
            "a%20b.mp4",
            "你好 &lt;世界&gt; &amp; more",
            "0:01.5 – 0:03.5",
            "Dissolve, 0.5 s",
            "#ffd166",
        ] {
            assert!(picture.svg.contains(part), "{part} in {}", picture.svg);
        }
        assert!(!picture.svg.contains("token"));
    }

    #[test]
    fn an_empty_draft_and_odd_values_are_drawn_too() {
        assert!(
            draw("x", &json!({}))
                .svg
                .contains("nothing on the timeline")
        );
        let odd = json!({"tracks": [{"segments": [{"target_timerange": {"start": "a"}}]}]});
        assert_eq!(draw("x", &odd).clips, 1);
    }
}
