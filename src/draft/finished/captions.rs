//! Captions with words for app versions that do not have them: plain texts, one after another, in which the words that are
//! emphasised have their own style.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{list, made_id, range};
use crate::draft::text::KaraokeMode;
use crate::printable::counted;
use crate::units::{Micros, Range};

/// Changes of colour that follow each other faster are shown together: at 24 frames a second a frame is longer.
const SHORTEST: Micros = Micros(42_000);

/// Replaces the words of captions by plain texts. Returns notes about what the app will show.
pub(crate) fn without_words(working: &mut Value) -> Vec<String> {
    let materials = &working["materials"];
    let by_id = |name: &str| -> HashMap<String, Value> {
        let all = list(&materials[name]).iter();
        all.filter_map(|material| Some((material["id"].as_str()?.to_owned(), material.clone())))
            .collect()
    };
    let (texts, animations) = (by_id("texts"), by_id("material_animations"));
    if !texts.values().any(|text| text.get("words").is_some()) {
        return Vec::new();
    }
    let mut plain = PlainCaptions {
        texts,
        animations,
        new_texts: Vec::new(),
        new_animations: Vec::new(),
        divided: 0,
        animated: 0,
    };
    let mut tracks = working["tracks"].take();
    for track in tracks.as_array_mut().into_iter().flatten() {
        let segments = track["segments"].take();
        let segments = list(&segments)
            .iter()
            .flat_map(|segment| plain.segments(segment));
        track["segments"] = segments.collect();
    }
    working["tracks"] = tracks;
    let mut notes = Vec::new();
    if plain.divided > 0 {
        notes.push(format!(
            "{} with coloured words became several texts, because this version of the app has no words in captions \
             (CapCut has them from 8.9, JianYing from 10.9)",
            counted(plain.divided, "caption")
        ));
    }
    if plain.animated > 0 {
        notes.push(format!(
            "{} with keyframes lost the colour of words, because this version of the app has no words in captions: remove the \
             keyframes, or save for a newer version (`app_version`: CapCut from 8.9, JianYing from 10.9)",
            counted(plain.animated, "caption")
        ));
    }
    for (name, new) in [
        ("texts", plain.new_texts),
        ("material_animations", plain.new_animations),
    ] {
        if let Some(all) = working["materials"][name].as_array_mut() {
            // The first of several texts has the id of the whole.
            let ids: HashSet<Value> = new.iter().map(|material| material["id"].clone()).collect();
            all.retain(|material| !ids.contains(&material["id"]));
            all.extend(new);
            for material in all.iter_mut().filter_map(Value::as_object_mut) {
                strip(material);
            }
        }
    }
    notes
}

/// Removes words, their colour and the effect that follows them.
fn strip(material: &mut Map<String, Value>) {
    material.shift_remove("words");
    material.shift_remove("ktv_color");
    if let Some(animations) = material.get_mut("animations").and_then(Value::as_array_mut) {
        animations.retain(|animation| animation["type"] != "caption");
    }
}

struct PlainCaptions {
    texts: HashMap<String, Value>,
    animations: HashMap<String, Value>,
    new_texts: Vec<Value>,
    new_animations: Vec<Value>,
    /// The number of captions that became several texts.
    divided: usize,
    /// The number of captions whose words lost their colour, because they have keyframes.
    animated: usize,
}

/// Characters that have the colour from a time on, counted from the start of the caption.
struct Coloured {
    at: Micros,
    from: usize,
    to: usize,
}

impl PlainCaptions {
    /// The segments that show what a caption with words shows.
    fn segments(&mut self, segment: &Value) -> Vec<Value> {
        self.divided_segments(segment)
            .unwrap_or_else(|| vec![segment.clone()])
    }

    fn divided_segments(&mut self, segment: &Value) -> Option<Vec<Value>> {
        let text = self.texts.get(segment["material_id"].as_str()?)?.clone();
        let animation = list(&segment["extra_material_refs"])
            .iter()
            .find_map(|id| self.animations.get(id.as_str()?))
            .cloned();
        let mode = list(&animation.as_ref()?["animations"])
            .iter()
            .find(|animation| animation["type"] == "caption")
            .and_then(|animation| {
                KaraokeMode::ALL
                    .into_iter()
                    .find(|mode| animation["name"] == mode.name())
            })?;
        // Keyframes are on the clock of the whole caption.
        if !list(&segment["common_keyframes"]).is_empty() {
            self.animated += 1;
            return None;
        }
        let content: Value = serde_json::from_str(text["content"].as_str()?).ok()?;
        let color = parts(text["ktv_color"].as_str()?)?;
        let target = range(&segment["target_timerange"]);
        let changes = changes(&text["words"], content["text"].as_str()?, mode, target);
        let id = segment["id"].as_str()?.to_owned();
        let mut made = Vec::with_capacity(changes.len());
        for (index, change) in changes.iter().enumerate() {
            let end = changes
                .get(index + 1)
                .map_or(target.duration, |next| next.at);
            let number = index.to_string();
            let own_id = |of: &Value| match index {
                0 => of.clone(),
                _ => json!(made_id(&[of.as_str().unwrap_or_default(), &number])),
            };
            let mut own = segment.clone();
            own["id"] = own_id(&json!(id));
            own["target_timerange"] =
                json!({ "start": (target.start + change.at).0, "duration": (end - change.at).0 });
            let mut own_text = text.clone();
            own_text["id"] = own_id(&text["id"]);
            own_text["content"] = coloured(&content, change, &color).to_string().into();
            own["material_id"] = own_text["id"].clone();
            self.new_texts.push(own_text);
            // The entrance belongs to the first text, the exit to the last.
            if let Some(animation) = &animation {
                let mut own_animation = animation.clone();
                own_animation["id"] = own_id(&animation["id"]);
                if let Some(kept) = own_animation["animations"].as_array_mut() {
                    kept.retain(|animation| match animation["type"].as_str() {
                        Some("in") => index == 0,
                        Some("out") => index + 1 == changes.len(),
                        _ => false,
                    });
                    let length = (end - change.at).0;
                    for animation in kept {
                        let lasts = animation["duration"]
                            .as_i64()
                            .unwrap_or_default()
                            .min(length);
                        animation["duration"] = lasts.into();
                        if animation["type"] == "out" {
                            animation["start"] = (length - lasts).into();
                        }
                    }
                }
                for reference in own["extra_material_refs"]
                    .as_array_mut()
                    .into_iter()
                    .flatten()
                {
                    if *reference == animation["id"] {
                        *reference = own_animation["id"].clone();
                    }
                }
                self.new_animations.push(own_animation);
            }
            made.push(own);
        }
        self.divided += usize::from(made.len() > 1);
        Some(made)
    }
}

/// When which characters have the colour, from the start of the caption.
fn changes(words: &Value, text: &str, mode: KaraokeMode, target: Range) -> Vec<Coloured> {
    let mut changes = vec![Coloured {
        at: Micros::ZERO,
        from: 0,
        to: 0,
    }];
    let letters: Vec<char> = text.chars().collect();
    let mut at = 0;
    for (index, word) in list(&words["text"]).iter().enumerate() {
        let word = word.as_str().unwrap_or_default();
        let from = at;
        at += word.chars().count();
        let start = words["start_time"][index].as_i64().unwrap_or_default();
        let start = Micros(start.saturating_mul(1000)).max(Micros::ZERO);
        if word.trim().is_empty() || start >= target.duration {
            continue;
        }
        let line_end = letters.iter().skip(from).position(|letter| *letter == '\n');
        let (from, to) = match mode {
            KaraokeMode::Words | KaraokeMode::Fill | KaraokeMode::Outline => (0, at),
            KaraokeMode::Word => (from, at),
            KaraokeMode::Lines => (0, line_end.map_or(letters.len(), |end| from + end)),
        };
        match changes.last_mut() {
            Some(last) if start - last.at < SHORTEST || (last.from, last.to) == (from, to) => {
                (last.from, last.to) = (from, to);
            }
            _ => changes.push(Coloured {
                at: start,
                from,
                to,
            }),
        }
    }
    // The last text must last for a frame, too.
    if changes.len() > 1
        && let Some(last) = changes.last()
        && target.duration - last.at < SHORTEST
    {
        changes.pop();
    }
    changes
}

/// The content with a colour for some of its characters: further styles, which apply where styles overlap.
fn coloured(content: &Value, change: &Coloured, color: &[f64; 3]) -> Value {
    let mut content = content.clone();
    let styles = list(&content["styles"]).to_vec();
    let mut further = Vec::new();
    for style in &styles {
        let edge = |index: usize| style["range"][index].as_u64().unwrap_or_default() as usize;
        let (from, to) = (edge(0).max(change.from), edge(1).min(change.to));
        if from < to {
            let mut style = style.clone();
            style["range"] = json!([from, to]);
            style["fill"]["content"]["solid"]["color"] = json!(color);
            further.push(style);
        }
    }
    if let Some(styles) = content["styles"].as_array_mut() {
        styles.extend(further);
    }
    content
}

/// `#ffd400` as three numbers from 0 to 1.
fn parts(color: &str) -> Option<[f64; 3]> {
    let part = |from: usize| {
        let byte = u8::from_str_radix(color.get(from..from + 2)?, 16).ok()?;
        Some(f64::from(byte) / 255.0)
    };
    Some([part(1)?, part(3)?, part(5)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn working(mode: &str) -> Value {
        let style = json!({ "range": [0, 9], "size": 8.0, "fill": { "content": { "solid": { "color": [1.0, 1.0, 1.0], "alpha": 1.0 } } } });
        json!({
            "tracks": [{ "type": "text", "segments": [{ "id": "s", "material_id": "t", "extra_material_refs": ["a"],
                "target_timerange": { "start": 1_000_000, "duration": 1_500_000 } }] }],
            "materials": {
                "texts": [{ "id": "t", "content": json!({ "text": "one\ntwo x", "styles": [style] }).to_string(), "ktv_color": "#ff0000",
                    "words": { "text": ["one", "\n", "two", " ", "x"], "start_time": [0, 500, 500, 1000, 1000], "end_time": [500, 500, 1000, 1000, 1500] } }],
                "material_animations": [{ "id": "a", "animations": [
                    { "type": "in", "start": 0, "duration": 900_000 }, { "type": "caption", "name": mode, "start": 0, "duration": 1_500_000 }] }],
            },
        })
    }

    /// The start of each text in milliseconds, and its coloured characters.
    fn shown(working: &Value) -> Vec<(i64, u64, u64)> {
        let texts = list(&working["materials"]["texts"]);
        let segments = list(&working["tracks"][0]["segments"]).iter();
        segments
            .map(|segment| {
                let text = texts
                    .iter()
                    .find(|text| text["id"] == segment["material_id"])
                    .unwrap();
                assert!(text.get("words").is_none() && text.get("ktv_color").is_none());
                let content: Value =
                    serde_json::from_str(text["content"].as_str().unwrap()).unwrap();
                let red = list(&content["styles"]).iter().find(|style| {
                    style["fill"]["content"]["solid"]["color"] == json!([1.0, 0.0, 0.0])
                });
                let edge =
                    |index: usize| red.map_or(0, |style| style["range"][index].as_u64().unwrap());
                (
                    segment["target_timerange"]["start"].as_i64().unwrap() / 1000,
                    edge(0),
                    edge(1),
                )
            })
            .collect()
    }

    #[test]
    fn words_become_texts_in_which_they_are_coloured() {
        for (mode, expected) in [
            ("Karaoke", vec![(1000, 0, 3), (1500, 0, 7), (2000, 0, 9)]),
            ("Highlight", vec![(1000, 0, 3), (1500, 4, 7), (2000, 8, 9)]),
            ("Karaoke by line", vec![(1000, 0, 3), (1500, 0, 9)]),
        ] {
            let mut document = working(mode);
            let notes = without_words(&mut document);
            assert!(notes[0].contains("8.9"), "{notes:?}");
            assert_eq!(shown(&document), expected, "{mode}");
            let segments = list(&document["tracks"][0]["segments"]);
            let mut end = 1_000_000;
            for segment in segments {
                let target = range(&segment["target_timerange"]);
                assert_eq!(target.start.0, end);
                end = target.end().0;
            }
            assert_eq!(end, 2_500_000);
            let ids: HashSet<&str> = segments
                .iter()
                .map(|segment| segment["id"].as_str().unwrap())
                .collect();
            assert_eq!(ids.len(), expected.len());
            let animations = list(&document["materials"]["material_animations"]);
            let kinds: Vec<usize> = animations
                .iter()
                .map(|own| list(&own["animations"]).len())
                .collect();
            assert_eq!(
                kinds.iter().sum::<usize>(),
                1,
                "only the first text enters: {animations:?}"
            );
            assert!(!document.to_string().contains("caption"));
        }
    }

    #[test]
    fn captions_with_keyframes_lose_their_colour_with_a_note() {
        let mut document = working("Karaoke");
        document["tracks"][0]["segments"][0]["common_keyframes"] =
            json!([{ "property_type": "KFTypeAlpha", "keyframe_list": [] }]);
        let notes = without_words(&mut document);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            notes[0].starts_with("1 caption with keyframes lost the colour of words"),
            "{notes:?}"
        );
        assert_eq!(shown(&document), [(1000, 0, 0)]);
    }

    #[test]
    fn captions_without_emphasis_lose_only_their_words() {
        let mut document = working("Karaoke");
        document["materials"]["material_animations"] = json!([]);
        assert_eq!(without_words(&mut document), [""; 0]);
        assert_eq!(shown(&document), [(1000, 0, 0)]);
        let mut plain = json!({ "tracks": [], "materials": { "texts": [{ "id": "t" }] } });
        let before = plain.clone();
        without_words(&mut plain);
        assert_eq!(plain, before);
    }
}
