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
mod tests {
    use super::super::answers::testing::{answer, body, header, settings};
    use super::*;
    use crate::providers::service::Accepted;

    fn of(makes: &str, rest: &str) -> ServiceSettings {
        settings(&format!(
            "kind = \"openai\"\nmakes = \"{makes}\"\nkey_env = \"K\"\nmodel = \"m\"\n{rest}"
        ))
    }

    fn with_model(makes: &str, model: &str) -> ServiceSettings {
        let mut settings = of(makes, "");
        model.clone_into(&mut settings.section.model);
        settings
    }

    fn speech_of(text: &str, speed: f64) -> Wanted {
        Wanted::Speech {
            text: text.to_owned(),
            voice: "alloy".to_owned(),
            speed,
        }
    }

    fn picture_of(width: u32, height: u32, seed: Option<u64>) -> Wanted {
        Wanted::Picture {
            prompt: "a watch".to_owned(),
            width,
            height,
            seed,
            take: 0,
        }
    }

    fn film_of(seconds: f64) -> Wanted {
        Wanted::Film {
            prompt: "a watch".to_owned(),
            width: 1080,
            height: 1920,
            seconds,
            seed: None,
            take: 0,
        }
    }

    fn made(created: CreatedAsset) -> AssetContent {
        match created {
            CreatedAsset::Made(asset) => asset.content,
            CreatedAsset::Task(id) => panic!("a task: {id}"),
        }
    }

    #[test]
    fn speech_is_asked_for_as_documented() {
        let outgoing = Openai
            .creation(&of("speech", ""), &speech_of("Hello", 1.0))
            .unwrap();
        assert_eq!(
            (outgoing.method.as_str(), outgoing.path.as_str()),
            ("POST", "/audio/speech")
        );
        assert_eq!(
            header(&outgoing, "authorization"),
            Some("Bearer key-1234567890")
        );
        let plain =
            json!({ "model": "m", "input": "Hello", "voice": "alloy", "response_format": "mp3" });
        assert_eq!(*body(&outgoing), plain);
        let settings = of(
            "speech",
            "options = { response_format = \"wav\", instructions = \"calm\" }",
        );
        let outgoing = Openai
            .creation(&settings, &speech_of("Hello", 1.5))
            .unwrap();
        assert_eq!(body(&outgoing)["response_format"], "wav");
        assert_eq!(body(&outgoing)["instructions"], "calm");
        assert_eq!(body(&outgoing)["speed"], 1.5);
        let error = Openai
            .creation(&settings, &speech_of("Hello", 9.0))
            .unwrap_err();
        assert!(
            error.message.contains("0.25") && error.message.contains('9'),
            "{error}"
        );
        let error = Openai
            .creation(&with_model("speech", " "), &speech_of("Hello", 1.0))
            .unwrap_err();
        assert!(error.to_string().contains("`model`"), "{error}");
    }

    #[test]
    fn a_sound_is_told_from_other_answers() {
        let (settings, wanted) = (of("speech", ""), speech_of("Hello", 1.0));
        let content = made(
            Openai
                .created(&settings, &wanted, &answer(200, b"ID3\x04rest"))
                .unwrap(),
        );
        assert!(matches!(content, AssetContent::Bytes(bytes) if bytes == b"ID3\x04rest"));
        for odd in ["", "<!DOCTYPE html><p>", " \n<html>", "{\"error\":1}"] {
            let refusal = Openai
                .created(&settings, &wanted, &answer(200, odd))
                .unwrap_err();
            assert_eq!(refusal.accepted, Accepted::Maybe, "{odd:?}");
        }
        let mut page = answer(200, "<p>Log in</p>");
        page.headers
            .insert("content-type", "text/html; charset=utf-8".parse().unwrap());
        assert!(Openai.created(&settings, &wanted, &page).is_err());
        let settings = of("speech", "options = { response_format = \"pcm\" }");
        let content = made(
            Openai
                .created(&settings, &wanted, &answer(200, [1, 0, 2, 0]))
                .unwrap(),
        );
        assert!(
            matches!(content, AssetContent::Pcm { rate: 24_000, bytes } if bytes == [1, 0, 2, 0])
        );
        let content = made(
            Openai
                .created(&settings, &wanted, &answer(200, b"RIFFxxxx"))
                .unwrap(),
        );
        assert!(matches!(content, AssetContent::Bytes(_)));
    }

    #[test]
    fn the_size_of_a_picture_is_one_that_the_model_makes() {
        let size = |model: &str, width, height| {
            let outgoing = Openai
                .creation(
                    &with_model("picture", model),
                    &picture_of(width, height, None),
                )
                .unwrap();
            body(&outgoing)["size"].as_str().unwrap().to_owned()
        };
        assert_eq!(size("gpt-image-1", 1080, 1920), "1024x1536");
        assert_eq!(size("dall-e-3", 1080, 1920), "1024x1792");
        assert_eq!(size("dall-e-2", 1080, 1920), "1024x1024");
        assert_eq!(size("sdxl", 1080, 1920), "1080x1920");
        assert_eq!(size("doubao-seedream-4-0-250828", 1080, 1920), "1080x1920");
        assert_eq!(size("doubao-seedream-4-0-250828", 540, 960), "720x1280");
        assert_eq!(size("doubao-seedream-4-5-251128", 1080, 1920), "1440x2560");
        assert_eq!(size("doubao-seedream-5-0-260128", 1024, 1024), "1920x1920");
        let settings = of("picture", "sizes = [\"768x1344\", \"1024x1024\"]");
        let outgoing = Openai
            .creation(&settings, &picture_of(1080, 1920, Some(7)))
            .unwrap();
        assert_eq!(body(&outgoing)["size"], "768x1344");
        assert_eq!(body(&outgoing)["seed"], 7);
    }

    #[test]
    fn a_picture_request_has_only_keys_that_the_model_knows() {
        let keys = |model: &str| {
            let outgoing = Openai
                .creation(
                    &with_model("picture", model),
                    &picture_of(1080, 1920, Some(7)),
                )
                .unwrap();
            let keys: Vec<String> = body(&outgoing)
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect();
            keys.join(" ")
        };
        assert_eq!(keys("gpt-image-1"), "model prompt n size");
        assert_eq!(keys("dall-e-3"), "model prompt n size response_format");
        assert_eq!(
            keys("doubao-seedream-4-5-251128"),
            "model prompt n size response_format watermark"
        );
        assert_eq!(keys("flux"), "model prompt n size seed");
    }

    #[test]
    fn pictures_come_as_base64_or_as_an_address() {
        let (settings, wanted) = (of("picture", ""), picture_of(1, 1, None));
        let read = |text: &str| Openai.created(&settings, &wanted, &answer(200, text));
        let content = made(read(r#"{"data":[{"b64_json":"iVBORw0KGgo="}],"usage":{}}"#).unwrap());
        assert!(matches!(content, AssetContent::Bytes(bytes) if bytes.starts_with(b"\x89PNG")));
        let content = made(
            read(r#"{"data":[{"b64_json":null,"url":"https://cdn.example/a.png?sig=1"}]}"#)
                .unwrap(),
        );
        assert!(matches!(content, AssetContent::Url(url) if url.host_str() == Some("cdn.example")));
        for odd in [
            "",
            "{",
            r#"{"data":[]}"#,
            r#"{"data":[{"b64_json":"!!"}]}"#,
            r#"{"data":[{"url":"not a url"}]}"#,
            r#"{"data":[{"error":{"code":"OutputImageSensitiveContentDetected","message":"x"}}]}"#,
            "<html>",
            r#"{"data":[{"b64_json":"iVBORw0K"#,
            "null",
            r#"{"error":{"code":"x","message":"y"}}"#,
        ] {
            let refusal = read(odd).unwrap_err();
            assert_eq!(refusal.accepted, Accepted::Maybe, "{odd:?}");
        }
    }

    #[test]
    fn films_are_tasks() {
        let settings = with_model("film", "sora-2");
        let outgoing = Openai.creation(&settings, &film_of(5.2)).unwrap();
        let plain =
            json!({ "model": "sora-2", "prompt": "a watch", "seconds": "8", "size": "720x1280" });
        assert_eq!(
            (outgoing.path.as_str(), body(&outgoing)),
            ("/videos", &plain)
        );
        let created = Openai.created(
            &settings,
            &film_of(5.2),
            &answer(200, r#"{"id":"video_1","status":"queued"}"#),
        );
        assert!(matches!(created, Ok(CreatedAsset::Task(id)) if id == "video_1"));
        for odd in [r#"{"status":"queued"}"#, r#"{"id":""}"#, "", "<html>"] {
            let refusal = Openai
                .created(&settings, &film_of(5.2), &answer(200, odd))
                .unwrap_err();
            assert_eq!(refusal.accepted, Accepted::Maybe, "{odd}");
        }
        let outgoing = Openai.task(&settings, "video_1").unwrap();
        assert_eq!(
            (outgoing.method.as_str(), outgoing.path.as_str()),
            ("GET", "/videos/video_1")
        );
        let state = |text: &str| Openai.task_state(&settings, "video_1", &answer(200, text));
        assert!(matches!(
            state(r#"{"status":"in_progress","progress":40}"#),
            Ok(TaskState::Waiting(Some(0.4)))
        ));
        assert!(matches!(
            state(r#"{"status":"queued"}"#),
            Ok(TaskState::Waiting(None))
        ));
        match state(r#"{"status":"completed"}"#) {
            Ok(TaskState::Done(RawAsset {
                content: AssetContent::Own(path),
                ..
            })) => {
                assert_eq!(path, "/videos/video_1/content");
            }
            other => panic!("{other:?}"),
        }
        match state(r#"{"status":"failed","error":{"code":"moderation_blocked","message":"no"}}"#) {
            Ok(TaskState::Failed(error)) => {
                assert!(error.message.contains("moderation_blocked"), "{error}");
                assert!(error.hint.is_some());
            }
            other => panic!("{other:?}"),
        }
        assert!(state("{}").is_err() && state("").is_err());
        let outgoing = Openai.cancellation(&settings, "video_1").unwrap();
        assert_eq!(
            (outgoing.method.as_str(), outgoing.path.as_str()),
            ("DELETE", "/videos/video_1")
        );
    }

    #[test]
    fn the_length_of_a_film_is_one_that_is_configured() {
        let settings = of("film", "seconds = [5, 10]");
        for (wanted, seconds) in [(2.0, "5"), (5.0, "5"), (5.5, "10"), (30.0, "10")] {
            let outgoing = Openai.creation(&settings, &film_of(wanted)).unwrap();
            assert_eq!(body(&outgoing)["seconds"], seconds, "{wanted}");
        }
        let outgoing = Openai.creation(&of("film", ""), &film_of(5.5)).unwrap();
        assert_eq!(body(&outgoing)["seconds"], "6");
    }

    #[test]
    fn a_transcript_is_a_form_and_its_answer_is_kept() {
        let settings = of(
            "transcript",
            "options = { temperature = 0, timestamp_granularities = [\"word\"] }",
        );
        let wanted = Wanted::Transcript {
            sha256: String::new(),
            file: "/x/voice.mp3".into(),
            seconds: 3.0,
            language: "en".to_owned(),
        };
        let outgoing = Openai.creation(&settings, &wanted).unwrap();
        let OutgoingBody::Form { fields, file } = &outgoing.body else {
            panic!("{outgoing:?}");
        };
        let fields: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            fields,
            [
                "model=m",
                "response_format=verbose_json",
                "language=en",
                "temperature=0",
                "timestamp_granularities[]=word"
            ]
        );
        assert!(file.ends_with("voice.mp3"));
        let text = r#"{"text":"Hi","words":[{"word":"Hi","start":0.1,"end":0.4}]}"#;
        let content = made(
            Openai
                .created(&settings, &wanted, &answer(200, text))
                .unwrap(),
        );
        assert!(matches!(content, AssetContent::Text(own) if own == text));
        for odd in ["", "{}", "<html>", r#"{"text":"Hi","words":[{"#] {
            assert_eq!(
                Openai
                    .created(&settings, &wanted, &answer(200, odd))
                    .unwrap_err()
                    .accepted,
                Accepted::Maybe
            );
        }
    }

    #[test]
    fn a_text_is_the_first_choice() {
        let settings = of("text", "options = { temperature = 0.2 }");
        let wanted = Wanted::Text {
            instructions: "Write scenes.".to_owned(),
            input: "Introduce the watch that we sell".to_owned(),
        };
        let outgoing = Openai.creation(&settings, &wanted).unwrap();
        assert_eq!(outgoing.path, "/chat/completions");
        assert_eq!(
            body(&outgoing)["messages"][0],
            json!({ "role": "system", "content": "Write scenes." })
        );
        assert_eq!(body(&outgoing)["temperature"], 0.2);
        let read = |text: &str| Openai.created(&settings, &wanted, &answer(200, text));
        let content = made(
            read(r#"{"choices":[{"message":{"content":"One."},"finish_reason":"stop"}]}"#).unwrap(),
        );
        assert!(matches!(content, AssetContent::Text(text) if text == "One."));
        let content = made(read(r#"{"choices":[{"message":{"content":[{"type":"text","text":"A"},{"type":"text","text":"B"}]}}]}"#).unwrap());
        assert!(matches!(content, AssetContent::Text(text) if text == "AB"));
        let refused = read(
            r#"{"choices":[{"message":{"content":null,"refusal":"not: Introduce the watch that we sell"}}]}"#,
        );
        let refused = refused.unwrap_err();
        assert_eq!(refused.accepted, Accepted::Maybe);
        assert!(
            refused.error.message.ends_with("not: …"),
            "{}",
            refused.error.message
        );
        assert!(
            read(r#"{"choices":[{"message":{"content":"Cut"},"finish_reason":"length"}]}"#)
                .is_err()
        );
        assert!(read(r#"{"choices":[]}"#).is_err());
    }

    #[test]
    fn a_trial_costs_nothing_and_needs_no_key() {
        let outgoing = Openai
            .trial(&settings("kind = \"openai\"\nmakes = \"text\""))
            .unwrap();
        assert_eq!(
            (outgoing.method.as_str(), outgoing.path.as_str()),
            ("GET", "/models")
        );
        assert!(outgoing.headers.is_empty());
    }
}
