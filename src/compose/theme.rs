//! A video from a theme: its scenes, the plan of what is made for them, and the plan of the video when the lengths of the
//! voices are known.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::generated::{MadeRow, spoken_length};
use super::item::Item;
use super::plan::Plan;
use super::source::Places;
use crate::draft::ids::DraftId;
use crate::error::{Error, Result, shortened};
use crate::providers::{Estimate, sentences};
use crate::styles::Styles;
use crate::units::Micros;

/// How much faster a speech is played at most so that it fits the wished length.
pub(crate) const FASTEST: f64 = 1.15;
/// The shortest time for which a scene is shown, in seconds.
const SHORTEST_SCENE: f64 = 1.0;
/// Quiet before the first word of a scene, in seconds.
const LEAD: f64 = 0.15;
/// How much a picture grows or shrinks while it is shown.
const ZOOM: f64 = 1.12;
/// The volume of music below a voice.
const MUSIC_VOLUME: f64 = 0.5;
/// The size of captions, with which a line of the longest kind fits into the canvas, and the width of their outline.
const CAPTION_SIZE: f64 = 8.0;
const CAPTION_BORDER: f64 = 40.0;
/// The most scenes of a video.
const MOST_SCENES: usize = 60;
/// Seconds that a scene lasts if nothing says how many there are.
const USUAL_SCENE: f64 = 6.0;

/// One scene.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scene {
    /// What is spoken; empty for a scene without words.
    #[serde(default)]
    pub say: String,
    /// What is seen.
    pub show: String,
    /// Its length in seconds, if the caller wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// Other names for the keys of a scene, as models and people write them.
const SAY: [&str; 10] = [
    "say",
    "narration",
    "voiceover",
    "text",
    "speech",
    "words",
    "script",
    "旁白",
    "文案",
    "台词",
];
const SHOW: [&str; 10] = [
    "show",
    "visual",
    "picture",
    "image",
    "prompt",
    "imagine",
    "description",
    "film",
    "画面",
    "镜头",
];
const SECONDS: [&str; 4] = ["seconds", "duration", "length", "时长"];

/// Reads scenes: a list of objects, of texts, or the object of a text provider with a list in it.
pub(crate) fn read_scenes(value: &Value) -> std::result::Result<Vec<Scene>, String> {
    let list = match value {
        Value::Array(list) => list,
        Value::Object(members) => members
            .values()
            .find_map(Value::as_array)
            .ok_or("has no list of scenes")?,
        other => {
            return Err(format!(
                "is {}; it must be a list",
                shortened(&other.to_string())
            ));
        }
    };
    if list.is_empty() {
        return Err("is an empty list".to_owned());
    }
    if list.len() > MOST_SCENES {
        return Err(format!(
            "has {} scenes; at most {MOST_SCENES} are made",
            list.len()
        ));
    }
    let mut scenes = Vec::with_capacity(list.len());
    for (index, scene) in list.iter().enumerate() {
        let fault = |what: String| format!("[{index}] {what}");
        if let Value::String(text) = scene {
            scenes.push(Scene {
                say: text.trim().to_owned(),
                show: text.trim().to_owned(),
                seconds: None,
            });
            continue;
        }
        let Value::Object(members) = scene else {
            return Err(fault(format!(
                "is {}; a scene is an object such as {{\"say\": words, \"show\": description of the picture}}",
                shortened(&scene.to_string())
            )));
        };
        let known = SAY.iter().chain(&SHOW).chain(&SECONDS);
        if let Some(unknown) = members
            .keys()
            .find(|key| !known.clone().any(|known| known == key))
        {
            return Err(fault(format!(
                "has no key {:?}; the keys of a scene are `say`, `show` and `seconds`",
                shortened(unknown)
            )));
        }
        let text = |names: &[&str]| {
            let value = names.iter().find_map(|name| members.get(*name))?;
            let text = value.as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let (say, show) = (text(&SAY), text(&SHOW));
        let seconds = SECONDS.iter().find_map(|name| members.get(*name));
        let seconds = match seconds {
            None | Some(Value::Null) => None,
            Some(value) => {
                let number = value
                    .as_f64()
                    .or_else(|| value.as_str()?.trim().parse().ok());
                let number = number.filter(|number| (0.5..=600.0).contains(number));
                Some(number.ok_or_else(|| {
                    fault(format!(
                        "has the length {}; it must be from 0.5 to 600 seconds",
                        shortened(&value.to_string())
                    ))
                })?)
            }
        };
        if say.is_none() && show.is_none() {
            return Err(fault("has neither `say` nor `show`".to_owned()));
        }
        scenes.push(Scene {
            show: show.or_else(|| say.clone()).unwrap_or_default(),
            say: say.unwrap_or_default(),
            seconds,
        });
    }
    Ok(scenes)
}

/// What a text provider is asked for.
pub(crate) fn instructions(wish: &VideoWish) -> String {
    let count = scene_count(wish.duration);
    let words = if wish.is_spoken {
        let (amount, unit) = if is_chinese(&wish.language) {
            ((wish.duration * 4.2) as u32, "characters")
        } else {
            ((wish.duration * 2.3) as u32, "words")
        };
        format!(
            "all \"say\" together have about {amount} {unit}, so that they are spoken in {} seconds",
            wish.duration
        )
    } else {
        "each \"say\" is one short line that is shown as a caption".to_owned()
    };
    format!(
        "You write short videos. Answer with one JSON object only, without any other text: \
         {{\"scenes\": [{{\"say\": \"what the speaker says\", \"show\": \"what is seen, in one sentence for an image generator, without text in the picture\"}}]}}. \
         About {count} scenes; {words}. The language of \"say\" is {}. The style of the pictures: {}. The format is {}.",
        wish.language,
        if wish.style.is_empty() {
            "your choice, the same for all"
        } else {
            &wish.style
        },
        wish.aspect_ratio
    )
}

/// About how many scenes a video of this length has.
pub(crate) fn scene_count(duration: f64) -> usize {
    ((duration / USUAL_SCENE).round() as usize).clamp(1, MOST_SCENES)
}

/// Reads the answer of a text provider, which may be within other text.
pub(crate) fn scenes_of_text(text: &str) -> Result<Vec<Scene>> {
    let start = text.find(['{', '[']);
    let end = text.rfind(['}', ']']);
    let json = start
        .zip(end)
        .and_then(|(start, end)| text.get(start..=end));
    let value = json.and_then(|json| serde_json::from_str::<Value>(json).ok());
    let scenes = match &value {
        Some(value) => read_scenes(value).map_err(|fault| format!("its list {fault}")),
        None => Err("it is not JSON".to_owned()),
    };
    scenes.map_err(|fault| {
        Error::media(format!("the scenes of the text provider cannot be used: {fault}"))
            .hint("write the scenes yourself and pass them as `scenes`: a list of {\"say\": words, \"show\": description of the picture}")
    })
}

/// A video that was made.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct GeneratedVideo {
    /// `success`, or `partial` if something is missing; `planned` with `dry_run`.
    pub status: String,
    pub draft_id: Option<DraftId>,
    /// Seconds.
    pub duration: f64,
    /// The preview MP4, with `render`; otherwise null.
    pub video_url: Option<String>,
    /// A link to the saved draft as a zip file, from a server.
    pub download_url: Option<String>,
    /// The folder that the draft was saved to, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Why something is null or missing, and what to know.
    pub message: String,
    /// What this run cost at most.
    pub cost: f64,
    pub currency: String,
    /// Providers without a price, whose cost is not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// What was made, by whom, at what cost.
    pub made: Vec<MadeRow>,
    pub scenes: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// With `dry_run`: what it would cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// The MP4 in the storage of a server, for its link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_file: Option<String>,
}

/// What the video should be like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VideoWish {
    pub theme: String,
    /// Seconds.
    pub duration: f64,
    pub aspect_ratio: String,
    pub is_film: bool,
    pub style: String,
    pub is_spoken: bool,
    pub voice: Option<String>,
    pub language: String,
    pub music: Option<String>,
    pub name: String,
    pub speech_provider: Option<String>,
    pub visual_provider: Option<String>,
}

fn is_portrait(aspect_ratio: &str) -> bool {
    let sides = aspect_ratio.split_once(':');
    let sides = sides.and_then(|(width, height)| {
        Some((
            width.trim().parse::<f64>().ok()?,
            height.trim().parse::<f64>().ok()?,
        ))
    });
    sides.is_some_and(|(width, height)| height > width)
}

fn is_chinese(language: &str) -> bool {
    let language = language.to_lowercase();
    language.starts_with("zh") || language.contains("中") || language.contains("chinese")
}

/// The sentences of a scene's words.
fn spoken(scene: &Scene) -> Vec<String> {
    sentences(&scene.say)
}

/// The plan of everything that is made: a voice for each sentence, a picture or film for each scene.
pub(crate) fn made_plan(wish: &VideoWish, scenes: &[Scene]) -> Result<Plan> {
    let mut audio = Vec::new();
    let mut visuals = Vec::new();
    let lengths = estimated(wish, scenes);
    for (scene, length) in scenes.iter().zip(&lengths) {
        if wish.is_spoken {
            for text in spoken(scene) {
                let mut said = json!({ "text": text });
                put(&mut said, "voice", wish.voice.as_deref());
                put(&mut said, "provider", wish.speech_provider.as_deref());
                audio.push(json!({ "say": said }));
            }
        }
        let key = if wish.is_film { "film" } else { "imagine" };
        let mut visual = json!({ key: scene.show });
        put(
            &mut visual,
            "style",
            Some(wish.style.as_str()).filter(|style| !style.is_empty()),
        );
        put(&mut visual, "provider", wish.visual_provider.as_deref());
        if wish.is_film {
            visual["duration"] = json!(length);
        }
        visuals.push(visual);
    }
    plan(&json!({ "aspect_ratio": wish.aspect_ratio, "audio": audio, "visuals": visuals }))
}

fn plan(value: &Value) -> Result<Plan> {
    Plan::from_value(
        value,
        &Places::default(),
        &BTreeMap::new(),
        None,
        &Styles::default(),
    )
}

fn put(value: &mut Value, key: &str, text: Option<&str>) {
    if let Some(text) = text {
        value[key] = json!(text);
    }
}

/// About how long each scene will be, before its words were spoken: whole seconds that services make.
fn estimated(wish: &VideoWish, scenes: &[Scene]) -> Vec<f64> {
    let weights: Vec<f64> = scenes
        .iter()
        .map(|scene| {
            scene
                .seconds
                .unwrap_or_else(|| spoken_length(&scene.say).max(SHORTEST_SCENE))
        })
        .collect();
    let all: f64 = weights.iter().sum();
    let factor = if wish.is_spoken {
        (wish.duration / all).max(1.0 / FASTEST)
    } else {
        wish.duration / all
    };
    weights
        .iter()
        .map(|weight| (weight * factor).ceil().max(1.0))
        .collect()
}

/// The finished video: its plan, and what to say about its length.
pub(crate) struct TimedVideo {
    pub plan: Plan,
    /// Seconds.
    pub duration: f64,
    pub notes: Vec<String>,
}

/// What a file is: its length in seconds, and how much it must be enlarged to cover the canvas where it fits into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MadeFile {
    pub seconds: f64,
    pub cover: f64,
}

impl MadeFile {
    /// Pixels of the file and of the canvas; a sound has none.
    pub(crate) fn new(seconds: f64, (width, height): (u32, u32), canvas: (u32, u32)) -> Self {
        let sides = [
            f64::from(canvas.0) / f64::from(width.max(1)),
            f64::from(canvas.1) / f64::from(height.max(1)),
        ];
        let cover = if width == 0 || height == 0 {
            1.0
        } else {
            sides[0].max(sides[1]) / sides[0].min(sides[1])
        };
        Self {
            seconds,
            // Four digits are less than a pixel; rounded up, so that no line of the background is left.
            cover: (cover * 1e4).ceil() / 1e4,
        }
    }
}

/// The plan of the video from the items of [`made_plan`], which have their files now. Scenes stretch for their voices and, all alike, to the wished length.
pub(crate) fn timed_plan(
    wish: &VideoWish,
    scenes: &[Scene],
    made: &[Item],
    files: &dyn Fn(&str) -> Option<MadeFile>,
    save: Option<&Value>,
) -> Result<TimedVideo> {
    let mut voices = made
        .iter()
        .filter(|item| item.argument("audio_url").is_some());
    let visuals: Vec<&Item> = made
        .iter()
        .filter(|item| item.argument("audio_url").is_none())
        .collect();
    let mut notes = Vec::new();
    // The sentences of each scene: words, file and length.
    let mut said: Vec<Vec<(String, Option<&Item>, f64)>> = Vec::new();
    for scene in scenes {
        let mut own = Vec::new();
        for text in spoken(scene) {
            let voice = if wish.is_spoken { voices.next() } else { None };
            let voice = voice.filter(|voice| voice.fault.is_none());
            let length = voice.and_then(|voice| Some(files(voice.source()?)?.seconds));
            let length = length.unwrap_or_else(|| spoken_length(&text));
            own.push((text, voice, length));
        }
        said.push(own);
    }
    let speech: Vec<f64> = said
        .iter()
        .map(|own| own.iter().map(|(.., length)| length).sum())
        .collect();
    let leads = LEAD * scenes.len() as f64;
    let all: f64 = speech.iter().sum::<f64>() + leads;
    let speed = if wish.is_spoken {
        (all / wish.duration).clamp(1.0, FASTEST)
    } else {
        1.0
    };
    // As it is played: three digits, so that lengths and speeds agree.
    let speed = (speed * 1000.0).ceil() / 1000.0;
    let speed = if speed < 1.005 { 1.0 } else { speed };
    let least: Vec<f64> = speech
        .iter()
        .zip(scenes)
        .map(|(speech, scene)| {
            let spoken = LEAD + speech / speed;
            scene
                .seconds
                .unwrap_or(0.0)
                .max(if *speech > 0.0 { spoken } else { 0.0 })
                .max(SHORTEST_SCENE)
        })
        .collect();
    let needed: f64 = least.iter().sum();
    let free = (wish.duration - needed).max(0.0);
    // Longer scenes get more of the free time.
    let scene_lengths: Vec<f64> = least.iter().map(|own| own + free * own / needed).collect();
    let duration: f64 = scene_lengths.iter().sum();
    if speed > 1.0 {
        notes.push(format!(
            "the voice is played {speed} times as fast, so that it fits {} s",
            wish.duration
        ));
    }
    if duration > wish.duration + 0.5 {
        notes.push(format!(
            "the video is {} s long instead of {} s: a voice is never cut, and is sped up to {FASTEST} at most; for a shorter video, shorten the words of its scenes",
            round(duration),
            wish.duration
        ));
    }
    let mut audio = Vec::new();
    let mut subtitles = Vec::new();
    let mut texts = Vec::new();
    let mut shown = Vec::new();
    let mut keyframes = Vec::new();
    let mut start = 0.0;
    for (index, length) in scene_lengths.iter().copied().enumerate() {
        let end = if index + 1 == scene_lengths.len() {
            duration
        } else {
            start + length
        };
        let mut at = start + LEAD;
        for (place, (text, voice, own)) in said[index].iter().enumerate() {
            if let Some(voice) = voice {
                let id = format!("voice-{}-{}", index + 1, place + 1);
                let mut item = json!({
                    "id": id, "audio_url": voice.source(), "target_start": round(at),
                    "track_name": "voice",
                });
                if speed != 1.0 {
                    item["speed"] = json!(speed);
                }
                audio.push(item);
                let mut caption = match voice.extra_text("words") {
                    Some(words) => json!({ "align_to": id, "srt": words }),
                    None => json!({ "align_to": id, "script": text }),
                };
                // Readable on any picture.
                caption["font_size"] = json!(CAPTION_SIZE);
                caption["border_width"] = json!(CAPTION_BORDER);
                if is_portrait(&wish.aspect_ratio) {
                    // Above the buttons and titles that apps lay over the bottom of tall videos.
                    caption["transform_y"] = json!(-0.54);
                }
                subtitles.push(caption);
                // A microsecond between two voices, as their lengths are rounded.
                at = round(at + own / speed) + 2e-6;
            } else {
                let part = length / said[index].len() as f64;
                let from = start + part * place as f64;
                texts.push(json!({
                    "text": text, "start": round(from), "end": round(from + part),
                    "position": "bottom", "font_size": CAPTION_SIZE, "border_width": CAPTION_BORDER,
                    "track_name": "captions",
                }));
            }
        }
        if let Some(visual) = visuals.get(index).filter(|visual| visual.fault.is_none()) {
            show(
                visual,
                (start, end),
                index,
                files,
                (&mut shown, &mut keyframes),
            );
        }
        start = end;
    }
    if let Some(music) = &wish.music {
        let mut item = json!({
            "audio_url": music, "loop": true, "fit": "video", "volume": MUSIC_VOLUME,
            "fade_out": 1.5, "track_name": "music",
        });
        let ids: Vec<&Value> = audio.iter().filter_map(|item| item.get("id")).collect();
        if !ids.is_empty() {
            item["duck"] = json!({ "under": ids });
        }
        audio.push(item);
    }
    let mut value = json!({
        "name": wish.name, "aspect_ratio": wish.aspect_ratio, "visuals": shown, "audio": audio,
        "texts": texts, "subtitles": subtitles, "keyframes": keyframes,
    });
    if let Some(save) = save {
        value["save"] = save.clone();
    }
    Ok(TimedVideo {
        plan: plan(&value)?,
        duration: round(duration),
        notes,
    })
}

/// A picture moves slowly in or out while it is shown; a film is slowed down or repeated where it is too short. Both cover the canvas:
/// services offer only some shapes.
fn show(
    visual: &Item,
    (start, end): (f64, f64),
    index: usize,
    files: &dyn Fn(&str) -> Option<MadeFile>,
    (shown, keyframes): (&mut Vec<Value>, &mut Vec<Value>),
) {
    let Some(source) = visual.source() else {
        return;
    };
    let length = end - start;
    let file = files(source).unwrap_or(MadeFile {
        seconds: length,
        cover: 1.0,
    });
    if visual.argument("image_url").is_some() {
        shown.push(json!({ "image_url": source, "start": round(start), "end": round(end), "scale_x": file.cover, "scale_y": file.cover }));
        let (from, to) = if index.is_multiple_of(2) {
            (1.0, ZOOM)
        } else {
            (ZOOM, 1.0)
        };
        // Within the clip, also when its edges are moved to frames.
        let first = if start > 0.0 {
            round((start + 0.034).min(end))
        } else {
            0.0
        };
        let last = round((end - 0.068).max(first));
        keyframes.push(json!({
            "property_types": ["uniform_scale", "uniform_scale"],
            "times": [first, last],
            "values": [(from * file.cover).to_string(), (to * file.cover).to_string()],
        }));
        return;
    }
    let own = file.seconds.max(0.1);
    // Rounded up, and its end down, so that no clip reaches into the next one.
    let speed = ((own / length).clamp(0.5, 1.0) * 1e4).ceil() / 1e4;
    let mut at = start;
    while at < end - 0.05 {
        let part = (own / speed).min(end - at);
        let mut item = json!({
            "video_url": source, "target_start": round(at), "start": 0, "end": (part * speed * 1e6).floor() / 1e6, "volume": 0,
            "scale_x": file.cover, "scale_y": file.cover,
        });
        if speed < 1.0 {
            item["speed"] = json!(speed);
        }
        shown.push(item);
        at += part;
    }
}

/// To microseconds, so that what follows a voice does not begin before its end.
fn round(seconds: f64) -> f64 {
    Micros::from_seconds(seconds).seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_are_read_in_the_words_of_people_and_models() {
        let scenes = read_scenes(&json!([
            { "narration": "Hello.", "visual": "a watch", "duration": "4" },
            { "文案": "你好。", "画面": "手表" },
            "Just words",
            { "show": "only a picture" },
        ]))
        .unwrap();
        assert_eq!(scenes[0].seconds, Some(4.0));
        assert_eq!(
            (scenes[1].say.as_str(), scenes[1].show.as_str()),
            ("你好。", "手表")
        );
        assert_eq!(scenes[2].show, "Just words");
        assert_eq!(scenes[3].say, "");
        for (value, expected) in [
            (json!([]), "empty list"),
            (json!([{ "saay": "x" }]), "has no key"),
            (json!([{ "seconds": 3 }]), "neither `say` nor `show`"),
            (json!([{ "say": "x", "seconds": 0 }]), "from 0.5 to 600"),
            (json!("x"), "must be a list"),
        ] {
            let fault = read_scenes(&value).unwrap_err();
            assert!(fault.contains(expected), "{value}: {fault}");
        }
    }

    #[test]
    fn files_of_other_shapes_cover_the_canvas() {
        let canvas = (1080, 1920);
        for (size, expected) in [
            ((1080, 1920), 1.0),
            ((720, 1280), 1.0),
            ((1024, 1536), 1.1852),
            ((1024, 1024), 1.7778),
            ((1920, 1080), 3.1606),
            ((0, 0), 1.0),
        ] {
            let file = MadeFile::new(2.0, size, canvas);
            assert!(
                (file.cover - expected).abs() < 2e-4,
                "{size:?}: {}",
                file.cover
            );
        }
    }

    #[test]
    fn the_answer_of_a_text_provider_may_be_within_other_text() {
        let text = "Sure!\n```json\n{\"title\": \"x\", \"scenes\": [{\"say\": \"a b c d\", \"show\": \"b\"}]}\n```";
        assert_eq!(scenes_of_text(text).unwrap().len(), 1);
        let error = scenes_of_text("I cannot do that.").unwrap_err().to_string();
        assert!(error.contains("`scenes`"), "{error}");
    }
}
