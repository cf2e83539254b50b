//! The API of OpenAI, which many services have: speech, pictures, films, transcripts and texts.

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::answers::{
    ServiceFault, bare, base64, bearer, brief, check_speed, fault, has_type, instead, is_page,
    json, merge, model, options_without, post, refusal, segment, task_failed, task_id, task_json,
    unreadable, without_words,
};
use super::shapes::{PixelRange, length_of, nearest, whole_seconds, within};
use crate::error::{Kind, Result};
use crate::providers::service::{
    AssetContent, CreatedAsset, CreationRefusal, OutgoingBody, RawAsset, ServiceAnswer,
    ServiceKind, ServiceRequest, ServiceSettings, TaskState,
};
use crate::providers::wanted::Wanted;

/// The sampling rate of `response_format: "pcm"`.
const PCM_RATE: u32 = 24_000;
/// The range of `speed`.
const SPEEDS: (f64, f64) = (0.25, 4.0);

pub(super) struct Openai;

impl ServiceKind for Openai {
    fn film_seconds(&self, settings: &ServiceSettings, wanted: f64) -> f64 {
        f64::from(film_length(settings, wanted))
    }

    fn creation(&self, settings: &ServiceSettings, wanted: &Wanted) -> Result<ServiceRequest> {
        match wanted {
            Wanted::Speech { text, voice, speed } => speech(settings, text, voice, *speed),
            Wanted::Picture {
                prompt,
                width,
                height,
                seed,
                ..
            } => picture(settings, prompt, (*width, *height), *seed),
            Wanted::Film {
                prompt,
                width,
                height,
                seconds,
                seed,
                ..
            } => film(settings, prompt, (*width, *height), *seconds, *seed),
            Wanted::Transcript { file, language, .. } => transcript(settings, file, language),
            Wanted::Text {
                instructions,
                input,
            } => text(settings, instructions, input),
        }
    }

    fn created(
        &self,
        settings: &ServiceSettings,
        wanted: &Wanted,
        answer: &ServiceAnswer,
    ) -> Result<CreatedAsset, CreationRefusal> {
        let created = match wanted {
            Wanted::Speech { .. } => spoken(settings, answer),
            Wanted::Picture { .. } => drawn(settings, answer),
            Wanted::Film { .. } => {
                return json(settings, answer)
                    .and_then(|value| task_id(settings, &value))
                    .map(CreatedAsset::Task);
            }
            Wanted::Transcript { .. } => heard(settings, answer),
            Wanted::Text { .. } => written(settings, answer),
        };
        let made = |content| {
            CreatedAsset::Made(RawAsset {
                content,
                words: Vec::new(),
            })
        };
        created
            .map(made)
            .map_err(|refusal| without_words(refusal, wanted))
    }

    fn refusal(&self, settings: &ServiceSettings, answer: &ServiceAnswer) -> CreationRefusal {
        refusal(settings, answer)
    }

    fn task(&self, settings: &ServiceSettings, id: &str) -> Result<ServiceRequest> {
        let path = format!("/videos/{}", segment(settings, id)?);
        Ok(bare(Method::GET, path, bearer(settings)?))
    }

    fn task_state(
        &self,
        settings: &ServiceSettings,
        id: &str,
        answer: &ServiceAnswer,
    ) -> Result<TaskState> {
        let value = task_json(settings, answer)?;
        let status = value["status"].as_str().unwrap_or_default();
        Ok(match status {
            "completed" | "succeeded" => TaskState::Done(RawAsset {
                content: AssetContent::Own(format!("/videos/{}/content", segment(settings, id)?)),
                words: Vec::new(),
            }),
            "failed" | "error" | "cancelled" | "canceled" | "expired" | "rejected" => {
                TaskState::Failed(task_failed(settings, status, &value))
            }
            "" => {
                return Err(fault(
                    Kind::Unavailable,
                    settings,
                    "its answer about a task has no `status`",
                ));
            }
            _ => TaskState::Waiting(
                value["progress"]
                    .as_f64()
                    .map(|percent| (percent / 100.0).clamp(0.0, 1.0)),
            ),
        })
    }

    fn cancellation(&self, settings: &ServiceSettings, id: &str) -> Option<ServiceRequest> {
        let path = format!("/videos/{}", segment(settings, id).ok()?);
        Some(bare(Method::DELETE, path, bearer(settings).ok()?))
    }

    fn trial(&self, settings: &ServiceSettings) -> Option<ServiceRequest> {
        Some(bare(Method::GET, "/models", bearer(settings).ok()?))
    }
}

/// A request with a JSON body and the section's options.
fn ask(settings: &ServiceSettings, path: &str, mut body: Value) -> Result<ServiceRequest> {
    merge(&mut body, &settings.section.options);
    Ok(post(path, bearer(settings)?, body))
}

fn speech(
    settings: &ServiceSettings,
    text: &str,
    voice: &str,
    speed: f64,
) -> Result<ServiceRequest> {
    check_speed(settings, speed, SPEEDS)?;
    let mut body = json!({
        "model": model(settings)?,
        "input": text,
        "voice": voice,
        "response_format": "mp3",
    });
    if speed != 1.0 {
        body["speed"] = json!(speed);
    }
    ask(settings, "/audio/speech", body)
}

fn spoken(
    settings: &ServiceSettings,
    answer: &ServiceAnswer,
) -> Result<AssetContent, CreationRefusal> {
    let bytes = &answer.body;
    let is_text = has_type(answer, "json") || has_type(answer, "text/html");
    if bytes.is_empty() || is_page(bytes) || is_text || bytes.starts_with(b"{") {
        let problem = if is_text || bytes.starts_with(b"{") {
            "the answer is a text"
        } else {
            instead(bytes)
        };
        return Err(unreadable(settings, &format!("{problem}, not a sound")));
    }
    let option = |key: &str| settings.section.options.get(key);
    if option("response_format").and_then(Value::as_str) == Some("pcm") && !is_container(bytes) {
        let rate = option("sample_rate").and_then(Value::as_u64);
        return Ok(AssetContent::Pcm {
            rate: rate
                .and_then(|rate| u32::try_from(rate).ok())
                .unwrap_or(PCM_RATE),
            bytes: bytes.clone(),
        });
    }
    Ok(AssetContent::Bytes(bytes.clone()))
}

/// Whether a sound has a header: some servers send WAV when asked for samples.
fn is_container(bytes: &[u8]) -> bool {
    [&b"RIFF"[..], b"OggS", b"fLaC", b"ID3"]
        .iter()
        .any(|mark| bytes.starts_with(mark))
}

/// What is known of a family of picture models.
struct PictureModel {
    /// How its name begins, after the names of an owner.
    name: &'static str,
    sizes: ModelSizes,
    /// It accepts `response_format`; without it the answer may be an address that expires.
    takes_format: bool,
    takes_seed: bool,
    /// It draws a mark into the picture unless told otherwise.
    has_mark: bool,
}

enum ModelSizes {
    List(&'static [&'static str]),
    Range(PixelRange),
    /// That of the canvas.
    Any,
}

const PICTURE_MODELS: [PictureModel; 6] = [
    PictureModel {
        name: "gpt-image",
        sizes: ModelSizes::List(&["1024x1024", "1536x1024", "1024x1536"]),
        takes_format: false,
        takes_seed: false,
        has_mark: false,
    },
    PictureModel {
        name: "dall-e-3",
        sizes: ModelSizes::List(&["1024x1024", "1792x1024", "1024x1792"]),
        takes_format: true,
        takes_seed: false,
        has_mark: false,
    },
    PictureModel {
        name: "dall-e-2",
        sizes: ModelSizes::List(&["1024x1024"]),
        takes_format: true,
        takes_seed: false,
        has_mark: false,
    },
    PictureModel {
        name: "seedream-3",
        sizes: ModelSizes::Range(PixelRange {
            least: 512 * 512,
            most: 2048 * 2048,
            sides: (512, 2048),
        }),
        takes_format: true,
        takes_seed: true,
        has_mark: true,
    },
    PictureModel {
        name: "seedream-4-0",
        sizes: ModelSizes::Range(PixelRange {
            least: 1280 * 720,
            most: 4096 * 4096,
            sides: (240, 16_384),
        }),
        takes_format: true,
        takes_seed: false,
        has_mark: true,
    },
    // 4.5 and 5: smaller pictures are refused.
    PictureModel {
        name: "seedream-",
        sizes: ModelSizes::Range(PixelRange {
            least: 2560 * 1440,
            most: 4096 * 4096,
            sides: (480, 16_384),
        }),
        takes_format: true,
        takes_seed: false,
        has_mark: true,
    },
];

const OTHER_MODEL: PictureModel = PictureModel {
    name: "",
    sizes: ModelSizes::Any,
    takes_format: false,
    takes_seed: true,
    has_mark: false,
};

fn picture_model(model: &str) -> &'static PictureModel {
    let model = model.to_ascii_lowercase();
    let known = PICTURE_MODELS
        .iter()
        .find(|known| model.contains(known.name));
    known.unwrap_or(&OTHER_MODEL)
}

fn picture(
    settings: &ServiceSettings,
    prompt: &str,
    canvas: (u32, u32),
    seed: Option<u64>,
) -> Result<ServiceRequest> {
    let model = model(settings)?;
    let known = picture_model(model);
    let size = match (nearest(&settings.section.sizes, canvas), &known.sizes) {
        (Some(size), _) => size.to_owned(),
        (None, ModelSizes::List(sizes)) => nearest(sizes, canvas).unwrap_or_default().to_owned(),
        (None, ModelSizes::Range(range)) => sized(within(canvas, *range)),
        (None, ModelSizes::Any) => sized(canvas),
    };
    let mut body = json!({ "model": model, "prompt": prompt, "n": 1, "size": size });
    if known.takes_format {
        body["response_format"] = json!("b64_json");
    }
    if known.has_mark {
        body["watermark"] = json!(false);
    }
    if let Some(seed) = seed.filter(|_| known.takes_seed) {
        body["seed"] = json!(seed);
    }
    ask(settings, "/images/generations", body)
}

fn sized((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}

fn drawn(
    settings: &ServiceSettings,
    answer: &ServiceAnswer,
) -> Result<AssetContent, CreationRefusal> {
    let value = json(settings, answer)?;
    let first = &value["data"][0];
    if let Some(text) = first["b64_json"].as_str().filter(|text| !text.is_empty()) {
        let bytes = base64(text);
        let bytes =
            bytes.ok_or_else(|| unreadable(settings, "the picture in its answer is not Base64"))?;
        return Ok(AssetContent::Bytes(bytes));
    }
    if let Some(text) = first["url"].as_str().filter(|text| !text.is_empty()) {
        if text.starts_with("data:") {
            let bytes = base64(text)
                .ok_or_else(|| unreadable(settings, "the picture in its answer is not Base64"))?;
            return Ok(AssetContent::Bytes(bytes));
        }
        let url = Url::parse(text)
            .map_err(|_| unreadable(settings, "the address of the picture is not a URL"))?;
        return Ok(AssetContent::Url(url));
    }
    // Ark describes the failure of one picture in its place.
    let fault = if first.is_null() { &value } else { first };
    Err(lacks(settings, "picture", fault))
}

/// The error for a successful answer without what was asked for; some servers send faults with HTTP 200.
fn lacks(settings: &ServiceSettings, what: &str, answer: &Value) -> CreationRefusal {
    let said = ServiceFault::in_json(&json!({ "error": answer["error"] }));
    unreadable(
        settings,
        &format!("its answer has no {what}{}", said.shown()),
    )
}

/// Whole seconds that are sent for a wanted length.
fn film_length(settings: &ServiceSettings, seconds: f64) -> u32 {
    let is_sora = settings.section.model.to_ascii_lowercase().contains("sora");
    let lengths: &[u32] = match settings.section.seconds.as_slice() {
        [] if is_sora => &[4, 8, 12],
        list => list,
    };
    length_of(lengths, seconds).unwrap_or_else(|| whole_seconds(seconds))
}

fn film(
    settings: &ServiceSettings,
    prompt: &str,
    canvas: (u32, u32),
    seconds: f64,
    seed: Option<u64>,
) -> Result<ServiceRequest> {
    let model = model(settings)?;
    let is_sora = model.to_ascii_lowercase().contains("sora");
    let sizes: &[&str] = if model.to_ascii_lowercase().contains("sora-2-pro") {
        &["720x1280", "1280x720", "1024x1792", "1792x1024"]
    } else if is_sora {
        &["720x1280", "1280x720"]
    } else {
        &[]
    };
    let size = nearest(&settings.section.sizes, canvas).or_else(|| nearest(sizes, canvas));
    let length = film_length(settings, seconds);
    let mut body = json!({
        "model": model,
        "prompt": prompt,
        // A text, as OpenAI documents it.
        "seconds": length.to_string(),
        "size": size.map_or_else(|| sized(canvas), str::to_owned),
    });
    if let Some(seed) = seed.filter(|_| !is_sora) {
        body["seed"] = json!(seed);
    }
    ask(settings, "/videos", body)
}

fn transcript(
    settings: &ServiceSettings,
    file: &std::path::Path,
    language: &str,
) -> Result<ServiceRequest> {
    let mut fields = vec![
        ("model".to_owned(), model(settings)?.to_owned()),
        ("response_format".to_owned(), "verbose_json".to_owned()),
        ("timestamp_granularities[]".to_owned(), "word".to_owned()),
        ("timestamp_granularities[]".to_owned(), "segment".to_owned()),
    ];
    if !language.is_empty() {
        fields.push(("language".to_owned(), language.to_owned()));
    }
    for (key, value) in options_without(settings, &[]) {
        let name = key.trim_end_matches("[]").to_owned();
        fields.retain(|(own, _)| own.trim_end_matches("[]") != name);
        match &value {
            Value::Array(values) => {
                let values = values
                    .iter()
                    .map(|value| (format!("{name}[]"), field(value)));
                fields.extend(values);
            }
            value => fields.push((key, field(value))),
        }
    }
    Ok(ServiceRequest {
        method: Method::POST,
        path: "/audio/transcriptions".to_owned(),
        headers: bearer(settings)?,
        body: OutgoingBody::Form {
            fields,
            file: file.to_owned(),
        },
    })
}

/// A value of the options as a field of a form.
fn field(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn heard(
    settings: &ServiceSettings,
    answer: &ServiceAnswer,
) -> Result<AssetContent, CreationRefusal> {
    let value = json(settings, answer)?;
    let has_words = ["words", "segments", "text", "utterances"]
        .iter()
        .any(|key| !value[*key].is_null());
    match String::from_utf8(answer.body.clone()) {
        Ok(text) if has_words => Ok(AssetContent::Text(text)),
        _ => Err(lacks(settings, "transcript", &value)),
    }
}

fn text(settings: &ServiceSettings, instructions: &str, input: &str) -> Result<ServiceRequest> {
    let body = json!({
        "model": model(settings)?,
        "messages": [
            { "role": "system", "content": instructions },
            { "role": "user", "content": input },
        ],
    });
    ask(settings, "/chat/completions", body)
}

fn written(
    settings: &ServiceSettings,
    answer: &ServiceAnswer,
) -> Result<AssetContent, CreationRefusal> {
    let value = json(settings, answer)?;
    let choice = &value["choices"][0];
    let message = &choice["message"];
    let text = match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        _ => String::new(),
    };
    if choice["finish_reason"] == "length" {
        let problem = "the text was cut off at the model's limit";
        let mut refusal = unreadable(settings, problem);
        refusal.error = refusal.error.hint(format!(
            "set `options.max_tokens` in `[providers.{}]` to a larger number, as the service names it",
            settings.name
        ));
        return Err(refusal);
    }
    if text.trim().is_empty() {
        return Err(match message["refusal"].as_str() {
            Some(why) => unreadable(settings, &format!("its answer has no text: {}", brief(why))),
            None => lacks(settings, "text", &value),
        });
    }
    Ok(AssetContent::Text(text))
}

#[cfg(test)]
mod tests;
