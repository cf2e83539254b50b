//! Tests of the requests to services with the API of OpenAI, and of their answers.

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
    assert!(matches!(content, AssetContent::Pcm { rate: 24_000, bytes } if bytes == [1, 0, 2, 0]));
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
        read(r#"{"data":[{"b64_json":null,"url":"https://cdn.example/a.png?sig=1"}]}"#).unwrap(),
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
        read(r#"{"choices":[{"message":{"content":"Cut"},"finish_reason":"length"}]}"#).is_err()
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
