//! The keys of items that say what is made for them: `say`, `imagine`, `film` and `auto`.

use serde_json::{Value, json};

use super::sound_keys::whole;
use crate::error::shortened;
use crate::tools::Object;

/// The longest text or description, in characters.
const MOST_CHARACTERS: usize = 100_000;
const SPEEDS: std::ops::RangeInclusive<f64> = 0.5..=2.0;

/// `say` of a sound.
pub(super) struct Said {
    pub text: String,
    /// As the provider names it; empty: its own.
    pub voice: String,
    pub provider: Option<String>,
    pub voice_speed: f64,
}

/// `imagine` or `film` of a visual, with its neighbours.
pub(super) struct Described {
    pub key: &'static str,
    /// The description, with the style.
    pub prompt: String,
    pub seed: Option<u64>,
    pub provider: Option<String>,
}

fn words(key: &str, value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.trim(),
        other => {
            return Err(format!(
                "`{key}` is {}; it must be text",
                shortened(&other.to_string())
            ));
        }
    };
    if !text.chars().any(char::is_alphanumeric) {
        return Err(format!("`{key}` has no words"));
    }
    let count = text.chars().count();
    if count > MOST_CHARACTERS {
        return Err(format!(
            "`{key}` has {count} characters; at most {MOST_CHARACTERS} are sent"
        ));
    }
    Ok(text.to_owned())
}

fn only(members: &Object, known: &[&str]) -> Result<(), String> {
    match members.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(format!(
            "it has no key `{}`; its keys are {}",
            shortened(unknown),
            known.join(", ")
        )),
        None => Ok(()),
    }
}

/// Reads `say`: the words, or an object.
pub(super) fn read_say(value: &Value) -> Result<Value, String> {
    let Value::Object(members) = value else {
        return Ok(json!({ "text": words("say", value)? }));
    };
    only(members, &["text", "voice", "provider", "voice_speed"])?;
    let text = members
        .get("text")
        .ok_or("`text` is missing: the words that are spoken")?;
    let mut read = Object::new();
    read.insert("text".to_owned(), words("text", text)?.into());
    for key in ["voice", "provider"] {
        if let Some(name) = members.get(key) {
            read.insert(key.to_owned(), words(key, name)?.into());
        }
    }
    if let Some(speed) = members.get("voice_speed") {
        let number = speed
            .as_f64()
            .or_else(|| speed.as_str()?.trim().parse().ok());
        let number = number.filter(|number| SPEEDS.contains(number)).ok_or_else(|| {
            format!(
                "`voice_speed` is {}; it must be from 0.5 (slow) to 2 (fast), 1 is the voice's own pace",
                shortened(&speed.to_string())
            )
        })?;
        read.insert("voice_speed".to_owned(), json!(number));
    }
    Ok(Value::Object(read))
}

/// Reads `imagine` or `film`: the description, or an object.
pub(super) fn read_described(key: &str, value: &Value) -> Result<Value, String> {
    let Value::Object(members) = value else {
        return Ok(json!({ "prompt": words(key, value)? }));
    };
    only(members, &["prompt", "style", "seed", "provider"])?;
    let prompt = members
        .get("prompt")
        .ok_or("`prompt` is missing: the description")?;
    let mut read = Object::new();
    read.insert("prompt".to_owned(), words("prompt", prompt)?.into());
    for key in ["style", "provider"] {
        if let Some(name) = members.get(key) {
            read.insert(key.to_owned(), words(key, name)?.into());
        }
    }
    if let Some(seed) = members.get("seed") {
        read.insert("seed".to_owned(), read_seed(seed)?);
    }
    Ok(Value::Object(read))
}

/// Reads a seed.
pub(super) fn read_seed(value: &Value) -> Result<Value, String> {
    let number = whole(value).or_else(|| value.as_str()?.trim().parse().ok());
    match number.filter(|seed| u32::try_from(*seed).is_ok()) {
        Some(seed) => Ok(json!(seed)),
        None => Err(format!(
            "is {}; a seed is a whole number from 0 to {}: the same seed gives the same picture",
            shortened(&value.to_string()),
            u32::MAX
        )),
    }
}

/// Reads a word: a style or the name of a provider.
pub(super) fn read_word(key: &str, value: &Value) -> Result<Value, String> {
    words(key, value).map(Value::from)
}

/// Reads `auto`: the name of a provider, or true for the one that is used by default.
pub(super) fn read_auto(value: &Value) -> Result<Value, String> {
    match value {
        Value::Bool(true) => Ok(json!(true)),
        Value::String(name) if !name.trim().is_empty() => Ok(json!(name.trim())),
        other => Err(format!(
            "is {}; it must be the name of a provider of transcripts, or true",
            shortened(&other.to_string())
        )),
    }
}

/// The problem of keys that do not belong together.
pub(super) fn conflict(extras: &Object, arguments: &Object) -> Option<(&'static str, String)> {
    let made: Vec<&'static str> = ["say", "imagine", "film"]
        .into_iter()
        .filter(|key| extras.contains_key(*key))
        .collect();
    let file = [
        "audio_url",
        "image_url",
        "video_url",
        "image_path",
        "video_path",
        "url",
        "path",
    ]
    .into_iter()
    .find(|key| arguments.contains_key(*key));
    match (&made[..], file) {
        ([one, other, ..], _) => {
            return Some((other, format!("`{one}` is given as well: give one of them")));
        }
        ([one], Some(file)) => {
            return Some((
                one,
                format!("`{file}` is given as well: give a file, or what is made"),
            ));
        }
        _ => {}
    }
    if extras.contains_key("auto") && !extras.contains_key("align_to") {
        return Some((
            "auto",
            "`align_to` is missing: give the `id` of the sound whose words are wanted".to_owned(),
        ));
    }
    if extras.contains_key("language") && !extras.contains_key("auto") {
        return Some(("language", "belongs to `auto`, which is missing".to_owned()));
    }
    if made.is_empty() {
        let stray = ["style", "seed", "provider"]
            .into_iter()
            .find(|key| extras.contains_key(*key));
        return stray.map(|key| {
            (
                key,
                "belongs to `imagine` or `film`, which is missing".to_owned(),
            )
        });
    }
    None
}

/// `say` among the keys of an item.
pub(super) fn said(extras: &Object) -> Option<Said> {
    let said = extras.get("say")?;
    let text = |key: &str| said.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Said {
        text: text("text")?,
        voice: text("voice").unwrap_or_default(),
        provider: text("provider"),
        voice_speed: said
            .get("voice_speed")
            .and_then(Value::as_f64)
            .unwrap_or(1.0),
    })
}

/// `imagine` or `film` among the keys of an item.
pub(super) fn described(extras: &Object) -> Option<Described> {
    let key = ["imagine", "film"]
        .into_iter()
        .find(|key| extras.contains_key(*key))?;
    let own = extras.get(key)?;
    let value = |name: &str| own.get(name).or_else(|| extras.get(name));
    let text = |name: &str| value(name).and_then(Value::as_str).map(str::to_owned);
    let mut prompt = text("prompt")?;
    if let Some(style) = text("style") {
        // Services read a style as a part of the description.
        prompt = format!("{prompt}. {style}");
    }
    Some(Described {
        key,
        prompt,
        seed: value("seed").and_then(Value::as_u64),
        provider: text("provider"),
    })
}
