//! Speech of Volcengine, version 3: one request, whose answer is JSON objects with pieces of the sound.

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Deserializer, Map, Value, json};

use super::answers::{
    ServiceFault, base64, check_speed, does_not_make, fault, instead, merge, options_without, post,
    refusal_with, retry_after, secret_header, unreadable, without_words,
};
use super::shapes::words_of;
use crate::error::{Kind, Origin, Result};
use crate::providers::service::{
    AssetContent, CreatedAsset, CreationRefusal, RawAsset, ServiceAnswer, ServiceKind,
    ServiceRequest, ServiceSettings, TaskState, VoicedWord,
};
use crate::providers::wanted::Wanted;
use crate::secrets::Hidden;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const APP_ID: HeaderName = HeaderName::from_static("x-api-app-id");
const ACCESS_KEY: HeaderName = HeaderName::from_static("x-api-access-key");
const RESOURCE: HeaderName = HeaderName::from_static("x-api-resource-id");

/// `speech_rate` is from -50 (half the pace) to 100 (twice).
const SPEEDS: (f64, f64) = (0.5, 2.0);
/// Without `sample_rate`.
const RATE: u32 = 24_000;

/// The code of the last object.
const END: i64 = 20_000_000;
/// Documented codes of a busy service, which did not accept the request.
const BUSY: [i64; 6] = [3003, 3005, 3030, 3031, 3032, 3040];
/// Documented codes of a request that the service refuses: version 1, then version 3.
const REFUSED: [i64; 7] = [3001, 3010, 3011, 3050, 40_402_003, 45_000_000, 45_000_030];

pub(super) struct VolcTts;

pub(super) fn credentials(settings: &ServiceSettings) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let section = &settings.section;
    let header =
        |variable: &str, name, value: &str| secret_header(settings, variable, name, value.trim());
    Ok(match (&settings.app_id, &settings.key) {
        (_, None) => Vec::new(),
        (None, Some(Hidden(key))) => vec![header(&section.key_env, API_KEY, key)?],
        (Some(Hidden(app)), Some(Hidden(key))) => vec![
            header(&section.app_id_env, APP_ID, app)?,
            header(&section.key_env, ACCESS_KEY, key)?,
        ],
    })
}

/// The resource that a voice belongs to: a request with another one is refused.
fn resource<'a>(settings: &'a ServiceSettings, voice: &str) -> &'a str {
    let option = settings.section.options.get("resource_id");
    if let Some(named) = option.and_then(Value::as_str) {
        return named;
    }
    if voice.contains("_uranus_") || voice.starts_with("saturn_") {
        "seed-tts-2.0"
    } else if voice.starts_with("S_") {
        "seed-icl-1.0"
    } else {
        "seed-tts-1.0"
    }
}

impl ServiceKind for VolcTts {
    fn creation(&self, settings: &ServiceSettings, wanted: &Wanted) -> Result<ServiceRequest> {
        let Wanted::Speech { text, voice, speed } = wanted else {
            return Err(does_not_make(settings, wanted.makes()));
        };
        check_speed(settings, *speed, SPEEDS)?;
        if voice.trim().is_empty() {
            return Err(fault(Kind::InvalidArgument, settings, "no voice is named").hint(format!(
                "name a voice in the item, or set `voice` in `[providers.{}]`, such as \"zh_male_dongfanghaoran_moon_bigtts\"",
                settings.name
            )));
        }
        let resource = resource(settings, voice);
        // The two generations have different names for the times of words.
        let times = if resource.ends_with("2.0") {
            "enable_subtitle"
        } else {
            "enable_timestamp"
        };
        let mut body = json!({
            "user": { "uid": "capcut-mcp" },
            "req_params": {
                "text": text,
                "speaker": voice,
                "audio_params": {
                    "format": "mp3",
                    "sample_rate": RATE,
                    "speech_rate": ((speed - 1.0) * 100.0).round() as i64,
                    times: true,
                },
            },
        });
        if !settings.section.model.is_empty() {
            body["req_params"]["model"] = json!(settings.section.model);
        }
        merge(&mut body, &options_without(settings, &["resource_id"]));
        // The service takes this object as text.
        if let Some(additions) = body["req_params"].get_mut("additions")
            && additions.is_object()
        {
            *additions = json!(additions.to_string());
        }
        if format(&body) == "wav" {
            return Err(fault(
                Kind::InvalidArgument,
                settings,
                "`options.req_params.audio_params.format` is \"wav\", of which the service sends several files in one",
            )
            .hint("use \"mp3\", \"ogg_opus\" or \"pcm\"")
            .lasting());
        }
        let mut headers = credentials(settings)?;
        let value = HeaderValue::from_str(resource).map_err(|_| {
            fault(
                Kind::InvalidArgument,
                settings,
                "`options.resource_id` has characters that a header cannot have",
            )
        })?;
        headers.push((RESOURCE, value));
        Ok(post("/tts/unidirectional", headers, body))
    }

    fn created(
        &self,
        settings: &ServiceSettings,
        wanted: &Wanted,
        answer: &ServiceAnswer,
    ) -> Result<CreatedAsset, CreationRefusal> {
        spoken(settings, answer)
            .map(CreatedAsset::Made)
            .map_err(|refusal| without_words(refusal, wanted))
    }

    fn refusal(&self, settings: &ServiceSettings, answer: &ServiceAnswer) -> CreationRefusal {
        let said = match serde_json::from_slice(&answer.body) {
            Ok(value) => ServiceFault::in_json(&value),
            Err(_) => ServiceFault::of(&answer.body),
        };
        by_code(settings, answer, &said).unwrap_or_else(|| refusal_with(settings, answer, &said))
    }

    fn task(&self, settings: &ServiceSettings, _: &str) -> Result<ServiceRequest> {
        Err(no_tasks(settings))
    }

    fn task_state(
        &self,
        settings: &ServiceSettings,
        _: &str,
        _: &ServiceAnswer,
    ) -> Result<TaskState> {
        Err(no_tasks(settings))
    }

    fn cancellation(&self, _: &ServiceSettings, _: &str) -> Option<ServiceRequest> {
        None
    }

    fn trial(&self, _: &ServiceSettings) -> Option<ServiceRequest> {
        None
    }
}

fn no_tasks(settings: &ServiceSettings) -> crate::error::Error {
    fault(
        Kind::Internal,
        settings,
        "this kind of service has no tasks",
    )
}

fn format(body: &Value) -> &str {
    body["req_params"]["audio_params"]["format"]
        .as_str()
        .unwrap_or("mp3")
}

/// What a code of the service means for a request of which nothing was answered yet.
fn by_code(
    settings: &ServiceSettings,
    answer: &ServiceAnswer,
    said: &ServiceFault,
) -> Option<CreationRefusal> {
    let code: i64 = said.code.parse().ok()?;
    let error = |kind| {
        fault(
            kind,
            settings,
            &format!(
                "the service answered with code {code}: {}",
                super::answers::brief(&said.message)
            ),
        )
    };
    let is_quota = said.mentions(&["quota exceeded", "concurrency"]);
    if BUSY.contains(&code) || (REFUSED.contains(&code) && is_quota) {
        return Some(CreationRefusal::busy(
            error(Kind::Busy),
            retry_after(&answer.headers),
        ));
    }
    if !REFUSED.contains(&code) {
        return None;
    }
    let is_denied = said.mentions(&["denied", "not granted", "invalid auth", "unauthorized"]);
    let mut error = error(Kind::InvalidArgument);
    if is_denied {
        error = error
            .hint(format!(
                "check the key in the environment variable `{}`, that its account has this voice, and `options.resource_id` in `[providers.{}]`: voices named \"…_moon_…\" and \"…_mars_…\" are in seed-tts-1.0, \"…_uranus_…\" in seed-tts-2.0",
                settings.section.key_env, settings.name
            ))
            .with_origin(Origin::Authentication)
            .lasting();
    }
    Some(CreationRefusal::refused(error))
}

fn spoken(settings: &ServiceSettings, answer: &ServiceAnswer) -> Result<RawAsset, CreationRefusal> {
    let mut bytes = Vec::new();
    let mut words = Vec::new();
    let mut has_ended = false;
    for object in Deserializer::from_slice(&answer.body).into_iter::<Map<String, Value>>() {
        let object = object.map_err(|_| {
            unreadable(settings, &format!("{}, not a sound", instead(&answer.body)))
        })?;
        let object = Value::Object(object);
        let code = object["code"]
            .as_i64()
            .or(object["header"]["code"].as_i64());
        match code {
            Some(END) => has_ended = true,
            Some(0) => {}
            _ => {
                let said = ServiceFault::in_json(&object);
                // What was sent before counts as accepted.
                let known = by_code(settings, answer, &said).filter(|_| bytes.is_empty());
                return Err(known.unwrap_or_else(|| {
                    unreadable(
                        settings,
                        &format!("the service reports a failure{}", said.shown()),
                    )
                }));
            }
        }
        if let Some(text) = object["data"].as_str().filter(|text| !text.is_empty()) {
            let piece = base64(text)
                .ok_or_else(|| unreadable(settings, "a piece of the sound is not Base64"))?;
            bytes.extend_from_slice(&piece);
        }
        words.extend(words_in(&object["sentence"]));
    }
    if bytes.is_empty() {
        return Err(unreadable(settings, "its answer has no sound"));
    }
    if !has_ended {
        return Err(unreadable(
            settings,
            "the answer is cut off: its last part is missing",
        ));
    }
    let params = &settings.section.options.get("req_params");
    let params = params.map_or(&Value::Null, |params| &params["audio_params"]);
    let content = if params["format"] == "pcm" {
        let rate = params["sample_rate"].as_u64();
        AssetContent::Pcm {
            rate: rate
                .and_then(|rate| u32::try_from(rate).ok())
                .unwrap_or(RATE),
            bytes,
        }
    } else {
        AssetContent::Bytes(bytes)
    };
    Ok(RawAsset { content, words })
}

/// The words of a sentence; their times count from the start of the whole text.
fn words_in(sentence: &Value) -> Vec<VoicedWord> {
    let Some(words) = sentence["words"].as_array() else {
        return Vec::new();
    };
    let time = |word: &Value, key: &str| word[key].as_f64().filter(|time| time.is_finite());
    let words = words.iter().filter_map(|word| {
        let (start, end) = (time(word, "startTime")?, time(word, "endTime")?);
        Some((word["word"].as_str()?, start, end))
    });
    // An English word has a space before or after it, or none; each is a word by itself.
    words.flat_map(|word| words_of([word])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::answers::testing::{answer, body, header, settings};
    use super::*;
    use crate::providers::service::Accepted;

    fn of(rest: &str) -> ServiceSettings {
        settings(&format!(
            "kind = \"volc-tts\"\nkey_env = \"VOLC_KEY\"\n{rest}"
        ))
    }

    fn speech_of(voice: &str, speed: f64) -> Wanted {
        Wanted::Speech {
            text: "介绍我们的新款智能手表，它很好看。".to_owned(),
            voice: voice.to_owned(),
            speed,
        }
    }

    const MOON: &str = "zh_male_dongfanghaoran_moon_bigtts";

    fn spoken(text: &str) -> Result<RawAsset, CreationRefusal> {
        match VolcTts.created(&of(""), &speech_of(MOON, 1.0), &answer(200, text)) {
            Ok(CreatedAsset::Made(asset)) => Ok(asset),
            Ok(CreatedAsset::Task(id)) => panic!("a task: {id}"),
            Err(refusal) => Err(refusal),
        }
    }

    #[test]
    fn speech_is_asked_for_as_documented() {
        let outgoing = VolcTts.creation(&of(""), &speech_of(MOON, 1.0)).unwrap();
        assert_eq!(outgoing.path, "/tts/unidirectional");
        assert_eq!(header(&outgoing, "x-api-key"), Some("key-1234567890"));
        assert_eq!(header(&outgoing, "x-api-resource-id"), Some("seed-tts-1.0"));
        let plain = json!({
            "user": { "uid": "capcut-mcp" },
            "req_params": {
                "text": "介绍我们的新款智能手表，它很好看。",
                "speaker": MOON,
                "audio_params": { "format": "mp3", "sample_rate": 24000, "speech_rate": 0, "enable_timestamp": true },
            },
        });
        assert_eq!(*body(&outgoing), plain);
        let settings = of(
            "app_id_env = \"VOLC_APP\"\n[options.req_params]\naudio_params = { format = \"ogg_opus\" }\nadditions = { silence_duration = 200 }",
        );
        let outgoing = VolcTts
            .creation(
                &settings,
                &speech_of("zh_female_tianmei_uranus_bigtts", 1.25),
            )
            .unwrap();
        assert_eq!(header(&outgoing, "x-api-app-id"), Some("app-1"));
        assert_eq!(
            header(&outgoing, "x-api-access-key"),
            Some("key-1234567890")
        );
        assert_eq!(header(&outgoing, "x-api-key"), None);
        assert_eq!(header(&outgoing, "x-api-resource-id"), Some("seed-tts-2.0"));
        let params = &body(&outgoing)["req_params"];
        assert_eq!(
            params["audio_params"],
            json!({ "format": "ogg_opus", "sample_rate": 24000, "speech_rate": 25, "enable_subtitle": true })
        );
        assert_eq!(params["additions"], "{\"silence_duration\":200}");
    }

    #[test]
    fn the_resource_follows_the_voice_unless_it_is_set() {
        let of_voice = |rest: &str, voice: &str| {
            let outgoing = VolcTts.creation(&of(rest), &speech_of(voice, 1.0)).unwrap();
            assert!(body(&outgoing).get("resource_id").is_none());
            header(&outgoing, "x-api-resource-id").unwrap().to_owned()
        };
        assert_eq!(of_voice("", "en_male_adam_mars_bigtts"), "seed-tts-1.0");
        assert_eq!(of_voice("", "zh_male_m191_uranus_bigtts"), "seed-tts-2.0");
        let set = "options = { resource_id = \"seed-tts-1.0-concurr\" }";
        assert_eq!(
            of_voice(set, "zh_male_m191_uranus_bigtts"),
            "seed-tts-1.0-concurr"
        );
    }

    #[test]
    fn what_the_service_cannot_do_is_not_sent() {
        for (wanted, word) in [
            (speech_of(MOON, 2.5), "2.5"),
            (speech_of(" ", 1.0), "voice"),
        ] {
            let error = VolcTts.creation(&of(""), &wanted).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
        let settings = of("[options.req_params]\naudio_params = { format = \"wav\" }");
        assert!(VolcTts.creation(&settings, &speech_of(MOON, 1.0)).is_err());
    }

    const SENTENCE: &str = r#"{"code":0,"message":"","data":null,"sentence":{"text":"其他人。","words":[{"confidence":0.8,"endTime":0.315,"startTime":0.205,"word":"其"},{"confidence":0.9,"endTime":0.515,"startTime":0.315,"word":"他"},{"confidence":0.9,"endTime":0.815,"startTime":0.515,"word":"人。"}]}}"#;

    #[test]
    fn pieces_are_joined_whether_in_lines_or_run_together() {
        let parts = [
            r#"{"code":0,"message":"","data":"AAEC"}"#,
            SENTENCE,
            r#"{"code":0,"message":"","data":"Aw=="}"#,
            r#"{"code":20000000,"message":"ok","data":null,"usage":{"text_words":3}}"#,
        ];
        for joint in ["\n", "", "\r\n\r\n", " "] {
            let asset = spoken(&parts.join(joint)).unwrap();
            assert!(matches!(&asset.content, AssetContent::Bytes(bytes) if *bytes == [0, 1, 2, 3]));
            let words: Vec<_> = asset
                .words
                .iter()
                .map(|word| (word.word.as_str(), word.start, word.end))
                .collect();
            assert_eq!(
                words,
                [
                    ("其", 0.205, 0.315),
                    ("他", 0.315, 0.515),
                    ("人。", 0.515, 0.815)
                ]
            );
        }
    }

    #[test]
    fn samples_keep_their_rate() {
        let settings =
            of("[options.req_params]\naudio_params = { format = \"pcm\", sample_rate = 16000 }");
        let text = r#"{"code":0,"data":"AAEC"}{"code":20000000}"#;
        let created = VolcTts.created(&settings, &speech_of(MOON, 1.0), &answer(200, text));
        let Ok(CreatedAsset::Made(asset)) = created else {
            panic!("{created:?}");
        };
        assert!(matches!(
            asset.content,
            AssetContent::Pcm { rate: 16_000, .. }
        ));
    }

    #[test]
    fn busy_codes_are_surely_not_accepted() {
        for code in BUSY {
            let refusal = spoken(&format!(r#"{{"code":{code},"message":"busy"}}"#)).unwrap_err();
            assert_eq!(refusal.accepted, Accepted::No, "{code}");
            assert!(refusal.again.is_some(), "{code}");
        }
        let refusal =
            spoken(r#"{"code":45000000,"message":"quota exceeded for types: concurrency"}"#)
                .unwrap_err();
        assert!(refusal.again.is_some());
        let text = r#"{"header":{"code":3003,"message":"busy"}}"#;
        assert!(VolcTts.refusal(&of(""), &answer(500, text)).again.is_some());
    }

    #[test]
    fn a_failure_after_the_first_piece_may_have_been_billed() {
        for code in [3003, 45_000_000, 55_000_000] {
            let text = format!(r#"{{"code":0,"data":"AAEC"}}{{"code":{code},"message":"x"}}"#);
            let refusal = spoken(&text).unwrap_err();
            assert_eq!(
                (refusal.accepted, refusal.again),
                (Accepted::Maybe, None),
                "{code}"
            );
        }
    }

    #[test]
    fn refusals_name_the_cause() {
        let refusal = spoken(r#"{"code":45000000,"message":"speaker permission denied: get resource id: access denied"}"#).unwrap_err();
        assert_eq!((refusal.accepted, refusal.again), (Accepted::No, None));
        let text = refusal.error.to_string();
        assert!(
            text.contains("45000000")
                && text.contains("`VOLC_KEY`")
                && text.contains("resource_id"),
            "{text}"
        );
        assert_eq!(refusal.error.origin, Some(Origin::Authentication));
        let refusal =
            spoken(r#"{"code":40402003,"message":"TTSExceededTextLimit:exceed max limit"}"#)
                .unwrap_err();
        assert_eq!((refusal.accepted, refusal.again), (Accepted::No, None));
        let refusal = VolcTts.refusal(
            &of(""),
            &answer(
                401,
                r#"{"header":{"code":45000010,"message":"load grant: requested grant not found"}}"#,
            ),
        );
        assert_eq!(refusal.accepted, Accepted::No);
        assert!(refusal.error.to_string().contains("`VOLC_KEY`"));
    }

    #[test]
    fn incomplete_answers_may_have_been_billed() {
        for odd in [
            "",
            "<html>",
            "null",
            "[]",
            r#"{"code":20000000,"message":"ok"}"#,
            r#"{"code":0,"data":"AAEC"}"#,
            r#"{"code":0,"data":"AAEC"}{"code":0,"da"#,
            r#"{"code":0,"data":"not base64!"}{"code":20000000}"#,
            r#"{"code":55000000,"message":"internal"}"#,
            r#"{"code":3006,"message":"same id"}"#,
            r#"{"data":"AAEC"}"#,
        ] {
            let refusal = spoken(odd).unwrap_err();
            assert_eq!(
                (refusal.accepted, refusal.again),
                (Accepted::Maybe, None),
                "{odd}"
            );
        }
    }
}
