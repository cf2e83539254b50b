//! Video tasks of Volcengine Ark (and BytePlus), by the models Seedance. Its pictures have OpenAI's shape.

use reqwest::{Method, Url};
use serde_json::json;

use super::answers::{
    bare, bearer, does_not_make, fault, json, merge, model, post, refusal, segment, task_failed,
    task_id, task_json,
};
use super::shapes::{length_of, nearest_ratio, whole_seconds};
use crate::error::{Kind, Result};
use crate::providers::service::{
    AssetContent, CreatedAsset, CreationRefusal, RawAsset, ServiceAnswer, ServiceKind,
    ServiceRequest, ServiceSettings, TaskState,
};
use crate::providers::wanted::Wanted;

const TASKS: &str = "/contents/generations/tasks";
const RATIOS: [&str; 6] = ["21:9", "16:9", "4:3", "1:1", "3:4", "9:16"];
/// Ark documents seeds from -1 to this one.
const LARGEST_SEED: u64 = u32::MAX as u64;

pub(super) struct Ark;

/// The lengths that a model makes, in whole seconds.
fn lengths(model: &str) -> (u32, u32) {
    let model = model.to_ascii_lowercase().replace('.', "-");
    for (name, range) in [
        ("seedance-1-0", (2, 12)),
        ("seedance-1-5", (4, 12)),
        ("seedance-2-0", (4, 15)),
        ("seedance-2-5", (4, 30)),
    ] {
        if model.contains(name) {
            return range;
        }
    }
    // An endpoint does not say which model it has: these are in all ranges.
    (4, 12)
}

/// Whole seconds that are sent for a wanted length.
fn film_length(settings: &ServiceSettings, seconds: f64) -> u32 {
    let (least, most) = lengths(&settings.section.model);
    let listed = length_of(&settings.section.seconds, seconds);
    listed.unwrap_or_else(|| whole_seconds(seconds).clamp(least, most))
}

impl ServiceKind for Ark {
    fn film_seconds(&self, settings: &ServiceSettings, wanted: f64) -> f64 {
        f64::from(film_length(settings, wanted))
    }

    fn creation(&self, settings: &ServiceSettings, wanted: &Wanted) -> Result<ServiceRequest> {
        let Wanted::Film {
            prompt,
            width,
            height,
            seconds,
            seed,
            ..
        } = wanted
        else {
            return Err(does_not_make(settings, wanted.makes()));
        };
        let model = model(settings)?;
        let duration = film_length(settings, *seconds);
        let mut body = json!({
            "model": model,
            "content": [{ "type": "text", "text": prompt }],
            "ratio": nearest_ratio(&RATIOS, (*width, *height)),
            "duration": duration,
            "watermark": false,
        });
        if !model.contains("seedance-1-0") {
            // A film is seen below a voice; with sound it costs twice as much.
            body["generate_audio"] = json!(false);
        }
        if let Some(seed) = seed {
            if *seed > LARGEST_SEED {
                return Err(fault(
                    Kind::InvalidArgument,
                    settings,
                    &format!("`seed` is {seed}; it must be from 0 to {LARGEST_SEED}"),
                ));
            }
            body["seed"] = json!(seed);
        }
        merge(&mut body, &settings.section.options);
        Ok(post(TASKS, bearer(settings)?, body))
    }

    fn created(
        &self,
        settings: &ServiceSettings,
        _: &Wanted,
        answer: &ServiceAnswer,
    ) -> Result<CreatedAsset, CreationRefusal> {
        let value = json(settings, answer)?;
        task_id(settings, &value).map(CreatedAsset::Task)
    }

    fn refusal(&self, settings: &ServiceSettings, answer: &ServiceAnswer) -> CreationRefusal {
        refusal(settings, answer)
    }

    fn task(&self, settings: &ServiceSettings, id: &str) -> Result<ServiceRequest> {
        let path = format!("{TASKS}/{}", segment(settings, id)?);
        Ok(bare(Method::GET, path, bearer(settings)?))
    }

    fn task_state(
        &self,
        settings: &ServiceSettings,
        _: &str,
        answer: &ServiceAnswer,
    ) -> Result<TaskState> {
        let value = task_json(settings, answer)?;
        let status = value["status"].as_str().unwrap_or_default();
        let wrong = |problem: &str| fault(Kind::Unavailable, settings, problem);
        match status {
            "succeeded" => {
                let text = value["content"]["video_url"].as_str().unwrap_or_default();
                let url = Url::parse(text)
                    .map_err(|_| wrong("it finished the task without the address of a film"))?;
                Ok(TaskState::Done(RawAsset {
                    content: AssetContent::Url(url),
                    words: Vec::new(),
                }))
            }
            "failed" | "expired" | "cancelled" => {
                Ok(TaskState::Failed(task_failed(settings, status, &value)))
            }
            "" => Err(wrong("its answer about a task has no `status`")),
            _ => Ok(TaskState::Waiting(None)),
        }
    }

    fn cancellation(&self, settings: &ServiceSettings, id: &str) -> Option<ServiceRequest> {
        let path = format!("{TASKS}/{}", segment(settings, id).ok()?);
        Some(bare(Method::DELETE, path, bearer(settings).ok()?))
    }

    fn trial(&self, settings: &ServiceSettings) -> Option<ServiceRequest> {
        let path = format!("{TASKS}?page_num=1&page_size=1");
        Some(bare(Method::GET, path, bearer(settings).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::answers::testing::{answer, body, header, settings};
    use super::*;
    use crate::providers::service::Accepted;

    fn of(model: &str, rest: &str) -> ServiceSettings {
        settings(&format!(
            "kind = \"ark\"\nkey_env = \"ARK_KEY\"\nmodel = \"{model}\"\n{rest}"
        ))
    }

    fn film_of(seconds: f64, seed: Option<u64>) -> Wanted {
        Wanted::Film {
            prompt: "手表特写".to_owned(),
            width: 1080,
            height: 1920,
            seconds,
            seed,
            take: 0,
        }
    }

    #[test]
    fn a_task_is_created_as_documented() {
        let settings = of(
            "doubao-seedance-1-0-pro-250528",
            "options = { resolution = \"1080p\" }",
        );
        let outgoing = Ark.creation(&settings, &film_of(4.3, Some(7))).unwrap();
        assert_eq!(
            (outgoing.method.as_str(), outgoing.path.as_str()),
            ("POST", TASKS)
        );
        assert_eq!(
            header(&outgoing, "authorization"),
            Some("Bearer key-1234567890")
        );
        let plain = json!({
            "model": "doubao-seedance-1-0-pro-250528",
            "content": [{ "type": "text", "text": "手表特写" }],
            "ratio": "9:16",
            "duration": 5,
            "watermark": false,
            "seed": 7,
            "resolution": "1080p",
        });
        assert_eq!(*body(&outgoing), plain);
        let settings = of("doubao-seedance-1-5-pro-251215", "");
        let outgoing = Ark.creation(&settings, &film_of(4.3, None)).unwrap();
        assert_eq!(body(&outgoing)["generate_audio"], false);
        let error = Ark
            .creation(&settings, &film_of(4.3, Some(u64::MAX)))
            .unwrap_err();
        assert!(error.message.contains("4294967295"), "{error}");
    }

    #[test]
    fn the_duration_is_within_the_range_of_the_model() {
        let duration = |model: &str, rest: &str, seconds| {
            let outgoing = Ark
                .creation(&of(model, rest), &film_of(seconds, None))
                .unwrap();
            body(&outgoing)["duration"].as_u64().unwrap()
        };
        assert_eq!(duration("doubao-seedance-1-0-lite-t2v-250428", "", 0.5), 2);
        assert_eq!(duration("doubao-seedance-1-5-pro-251215", "", 0.5), 4);
        assert_eq!(duration("doubao-seedance-2-0-260128", "", 60.0), 15);
        assert_eq!(duration("dreamina-seedance-2.5", "", 60.0), 30);
        assert_eq!(duration("ep-2025", "", 60.0), 12);
        assert_eq!(duration("ep-2025", "seconds = [5, 10]", 5.01), 10);
    }

    #[test]
    fn the_states_of_a_task_are_read() {
        let settings = of("m", "");
        let state = |text: &str| Ark.task_state(&settings, "cgt-1", &answer(200, text));
        for waiting in ["queued", "running", "preprocessing"] {
            let text = format!(r#"{{"id":"cgt-1","status":"{waiting}"}}"#);
            assert!(
                matches!(state(&text), Ok(TaskState::Waiting(None))),
                "{waiting}"
            );
        }
        match state(
            r#"{"status":"succeeded","content":{"video_url":"https://tos.example/v.mp4?X-Tos-Signature=1"},"usage":{"completion_tokens":9}}"#,
        ) {
            Ok(TaskState::Done(RawAsset {
                content: AssetContent::Url(url),
                ..
            })) => {
                assert_eq!(url.path(), "/v.mp4");
            }
            other => panic!("{other:?}"),
        }
        for failed in ["failed", "expired", "cancelled"] {
            let text = format!(
                r#"{{"status":"{failed}","error":{{"code":"OutputVideoSensitiveContentDetected","message":"no"}}}}"#
            );
            match state(&text) {
                Ok(TaskState::Failed(error)) => {
                    assert!(
                        error.message.contains(failed) && error.message.contains("OutputVideo"),
                        "{error}"
                    );
                    assert!(error.hint.is_some());
                }
                other => panic!("{other:?}"),
            }
        }
        for odd in [
            "",
            "{}",
            "<html>",
            r#"{"status":"succeeded"}"#,
            r#"{"status":"succeeded","content":{"video_url":"x"}}"#,
        ] {
            assert!(state(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn tasks_are_asked_for_and_cancelled_by_their_id() {
        let settings = of("m", "");
        let created = Ark.created(
            &settings,
            &film_of(5.0, None),
            &answer(200, r#"{"id":"cgt-2025-a"}"#),
        );
        assert!(matches!(created, Ok(CreatedAsset::Task(id)) if id == "cgt-2025-a"));
        let refusal = Ark
            .created(&settings, &film_of(5.0, None), &answer(200, "{}"))
            .unwrap_err();
        assert_eq!(refusal.accepted, Accepted::Maybe);
        assert_eq!(
            Ark.task(&settings, "cgt-1").unwrap().path,
            format!("{TASKS}/cgt-1")
        );
        let outgoing = Ark.cancellation(&settings, "cgt-1").unwrap();
        assert_eq!(
            (outgoing.method.as_str(), outgoing.path),
            ("DELETE", format!("{TASKS}/cgt-1"))
        );
        assert_eq!(Ark.trial(&settings).unwrap().method, Method::GET);
    }

    #[test]
    fn codes_of_ark_have_hints() {
        let settings = of("m", "");
        let hint = |status, code: &str| {
            let text = format!(r#"{{"error":{{"code":"{code}","message":"x","type":"y"}}}}"#);
            let refusal = Ark.refusal(&settings, &answer(status, text));
            assert_eq!(refusal.accepted, Accepted::No, "{code}");
            refusal.error.hint.unwrap_or_default()
        };
        assert!(hint(400, "InputTextRiskDetection").contains("words"));
        assert!(hint(401, "AuthenticationError").contains("`ARK_KEY`"));
        assert!(hint(403, "AccountOverdueError").contains("balance"));
        assert!(hint(404, "ModelNotOpen").contains("activate"));
        assert_eq!(hint(400, "InvalidParameter"), "");
    }

    #[test]
    fn it_makes_only_films() {
        let wanted = Wanted::Picture {
            prompt: String::new(),
            width: 1,
            height: 1,
            seed: None,
            take: 0,
        };
        let error = Ark.creation(&of("m", ""), &wanted).unwrap_err();
        assert!(error.message.contains("picture"), "{error}");
    }
}
