//! Speech of ElevenLabs, with the times of its characters.

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::answers::{
    bare, base64, check_speed, does_not_make, fault, json, merge, options_without, post, refusal,
    secret_header, segment, unreadable, without_words,
};
use super::shapes::words_of;
use crate::error::{Kind, Result};
use crate::providers::service::{
    AssetContent, CreatedAsset, CreationRefusal, RawAsset, ServiceAnswer, ServiceKind,
    ServiceRequest, ServiceSettings, TaskState, VoicedWord,
};
use crate::providers::wanted::Wanted;
use crate::secrets::Hidden;

const API_KEY: HeaderName = HeaderName::from_static("xi-api-key");
/// The range of `voice_settings.speed`.
const SPEEDS: (f64, f64) = (0.7, 1.2);
/// The form of the sound, if `options.output_format` does not say.
const FORMAT: &str = "mp3_44100_128";

pub(super) struct Elevenlabs;

pub(super) fn credentials(settings: &ServiceSettings) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let Some(Hidden(key)) = &settings.key else {
        return Ok(Vec::new());
    };
    let header = secret_header(settings, &settings.section.key_env, API_KEY, key.trim())?;
    Ok(vec![header])
}

/// The form of the sound, such as `mp3_44100_128` or `pcm_24000`.
fn format(settings: &ServiceSettings) -> &str {
    let option = settings.section.options.get("output_format");
    option.and_then(Value::as_str).unwrap_or(FORMAT)
}

impl ServiceKind for Elevenlabs {
    fn creation(&self, settings: &ServiceSettings, wanted: &Wanted) -> Result<ServiceRequest> {
        let Wanted::Speech { text, voice, speed } = wanted else {
            return Err(does_not_make(settings, wanted.makes()));
        };
        check_speed(settings, *speed, SPEEDS)?;
        if voice.trim().is_empty() {
            return Err(fault(Kind::InvalidArgument, settings, "no voice is named").hint(format!(
                "name a voice in the item, or set `voice` in `[providers.{}]`, by its id at the service",
                settings.name
            )));
        }
        let format = format(settings);
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !format.bytes().all(is_fit) {
            return Err(fault(
                Kind::InvalidArgument,
                settings,
                "`options.output_format` is not a format such as \"mp3_44100_128\"",
            ));
        }
        let mut body = json!({ "text": text });
        if !settings.section.model.is_empty() {
            body["model_id"] = json!(settings.section.model);
        }
        if *speed != 1.0 {
            body["voice_settings"] = json!({ "speed": speed });
        }
        merge(&mut body, &options_without(settings, &["output_format"]));
        let voice = segment(settings, voice.trim())?;
        let path = format!("/text-to-speech/{voice}/with-timestamps?output_format={format}");
        Ok(post(path, credentials(settings)?, body))
    }

    fn created(
        &self,
        settings: &ServiceSettings,
        wanted: &Wanted,
        answer: &ServiceAnswer,
    ) -> Result<CreatedAsset, CreationRefusal> {
        let value = json(settings, answer)?;
        let text = value["audio_base64"].as_str().unwrap_or_default();
        let Some(bytes) = base64(text) else {
            return Err(without_words(
                unreadable(settings, "its answer has no sound"),
                wanted,
            ));
        };
        let rate = format(settings)
            .strip_prefix("pcm_")
            .and_then(|rate| rate.parse().ok());
        let content = match rate {
            Some(rate) => AssetContent::Pcm { rate, bytes },
            None => AssetContent::Bytes(bytes),
        };
        // `normalized_alignment` has the words as they are spoken ("two thousand"), the other those of the text.
        let words = [&value["alignment"], &value["normalized_alignment"]]
            .into_iter()
            .map(words_in)
            .find(|words| !words.is_empty());
        Ok(CreatedAsset::Made(RawAsset {
            content,
            words: words.unwrap_or_default(),
        }))
    }

    fn refusal(&self, settings: &ServiceSettings, answer: &ServiceAnswer) -> CreationRefusal {
        refusal(settings, answer)
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

    fn trial(&self, settings: &ServiceSettings) -> Option<ServiceRequest> {
        Some(bare(Method::GET, "/models", credentials(settings).ok()?))
    }
}

fn no_tasks(settings: &ServiceSettings) -> crate::error::Error {
    fault(
        Kind::Internal,
        settings,
        "this kind of service has no tasks",
    )
}

/// The words of an alignment; none if its lists have different lengths.
fn words_in(alignment: &Value) -> Vec<VoicedWord> {
    let list = |key: &str| alignment[key].as_array().map_or(&[][..], Vec::as_slice);
    let characters = list("characters");
    let starts = list("character_start_times_seconds");
    let ends = list("character_end_times_seconds");
    if starts.len() != characters.len() || ends.len() != characters.len() {
        return Vec::new();
    }
    let timed = characters.iter().zip(starts.iter().zip(ends));
    words_of(
        timed.filter_map(|(text, (start, end))| {
            Some((text.as_str()?, start.as_f64()?, end.as_f64()?))
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::super::answers::testing::{answer, body, header, settings};
    use super::*;
    use crate::providers::service::Accepted;

    fn of(rest: &str) -> ServiceSettings {
        settings(&format!(
            "kind = \"elevenlabs\"\nkey_env = \"XI_KEY\"\n{rest}"
        ))
    }

    fn speech_of(voice: &str, speed: f64) -> Wanted {
        Wanted::Speech {
            text: "Our new watch".to_owned(),
            voice: voice.to_owned(),
            speed,
        }
    }

    fn created(settings: &ServiceSettings, text: &str) -> Result<RawAsset, CreationRefusal> {
        match Elevenlabs.created(settings, &speech_of("v", 1.0), &answer(200, text)) {
            Ok(CreatedAsset::Made(asset)) => Ok(asset),
            Ok(CreatedAsset::Task(id)) => panic!("a task: {id}"),
            Err(refusal) => Err(refusal),
        }
    }

    #[test]
    fn speech_is_asked_for_as_documented() {
        let outgoing = Elevenlabs
            .creation(&of(""), &speech_of("21m00Tcm4TlvDq8ikWAM", 1.0))
            .unwrap();
        assert_eq!(
            outgoing.path,
            "/text-to-speech/21m00Tcm4TlvDq8ikWAM/with-timestamps?output_format=mp3_44100_128"
        );
        assert_eq!(header(&outgoing, "xi-api-key"), Some("key-1234567890"));
        assert_eq!(*body(&outgoing), json!({ "text": "Our new watch" }));
        let settings = of(
            "model = \"eleven_multilingual_v2\"\noptions = { output_format = \"pcm_24000\", voice_settings = { stability = 0.4 } }",
        );
        let outgoing = Elevenlabs
            .creation(&settings, &speech_of("a/b?c", 1.1))
            .unwrap();
        assert_eq!(
            outgoing.path,
            "/text-to-speech/a%2Fb%3Fc/with-timestamps?output_format=pcm_24000"
        );
        assert_eq!(
            *body(&outgoing),
            json!({ "text": "Our new watch", "model_id": "eleven_multilingual_v2", "voice_settings": { "speed": 1.1, "stability": 0.4 } })
        );
        for (wanted, word) in [(speech_of("v", 1.5), "1.2"), (speech_of("", 1.0), "voice")] {
            let error = Elevenlabs.creation(&of(""), &wanted).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
        let settings = of("options = { output_format = \"mp3&x=1\" }");
        assert!(
            Elevenlabs
                .creation(&settings, &speech_of("v", 1.0))
                .is_err()
        );
    }

    #[test]
    fn characters_are_joined_to_words() {
        let text = r#"{"audio_base64":"AAEC","alignment":{"characters":["H","i"," ","你","好","。"],"character_start_times_seconds":[0,0.1,0.2,0.3,0.5,0.7],"character_end_times_seconds":[0.1,0.2,0.3,0.5,0.7,1.0]},"normalized_alignment":null}"#;
        let asset = created(&of(""), text).unwrap();
        assert!(matches!(&asset.content, AssetContent::Bytes(bytes) if *bytes == [0, 1, 2]));
        let words: Vec<_> = asset
            .words
            .iter()
            .map(|word| (word.word.as_str(), word.start, word.end))
            .collect();
        assert_eq!(
            words,
            [("Hi", 0.0, 0.2), ("你", 0.3, 0.5), ("好。", 0.5, 0.7)]
        );
    }

    #[test]
    fn a_sound_without_usable_times_is_still_a_sound() {
        for alignment in [
            "null",
            "{}",
            r#"{"characters":["a"],"character_start_times_seconds":[],"character_end_times_seconds":[1]}"#,
        ] {
            let text = format!(r#"{{"audio_base64":"AAEC","alignment":{alignment}}}"#);
            assert!(
                created(&of(""), &text).unwrap().words.is_empty(),
                "{alignment}"
            );
        }
        let settings = of("options = { output_format = \"pcm_16000\" }");
        let asset = created(&settings, r#"{"audio_base64":"AAEC"}"#).unwrap();
        assert!(matches!(
            asset.content,
            AssetContent::Pcm { rate: 16_000, .. }
        ));
    }

    #[test]
    fn answers_without_a_sound_may_have_been_billed() {
        for odd in [
            "",
            "{",
            "{}",
            "<html>",
            r#"{"audio_base64":""}"#,
            r#"{"audio_base64":"?"}"#,
            r#"{"audio_base64":"AAE"#,
        ] {
            assert_eq!(
                created(&of(""), odd).unwrap_err().accepted,
                Accepted::Maybe,
                "{odd}"
            );
        }
    }

    #[test]
    fn refusals_name_the_cause() {
        let refuse = |status, text: &str| Elevenlabs.refusal(&of(""), &answer(status, text));
        let refusal = refuse(
            401,
            r#"{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}"#,
        );
        assert!(
            refusal.error.to_string().contains("`XI_KEY`"),
            "{}",
            refusal.error
        );
        let refusal = refuse(
            401,
            r#"{"detail":{"status":"quota_exceeded","message":"You have 0 credits"}}"#,
        );
        assert!(
            refusal.error.to_string().contains("balance"),
            "{}",
            refusal.error
        );
        let refusal = refuse(
            429,
            r#"{"detail":{"status":"system_busy","message":"busy"}}"#,
        );
        assert!(refusal.again.is_some());
        let refusal = refuse(
            422,
            r#"{"detail":[{"loc":["body","text"],"msg":"field required","type":"missing"}]}"#,
        );
        assert!(
            refusal.error.message.contains("field required"),
            "{}",
            refusal.error
        );
    }
}
