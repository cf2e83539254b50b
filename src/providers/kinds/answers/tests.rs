//! Tests of what answers say: errors, busy services and assets.

use super::testing::{answer, settings};
use super::*;
use crate::providers::service::Accepted;

fn openai() -> ServiceSettings {
    settings("kind = \"openai\"\nmakes = \"speech\"\nkey_env = \"SPEECH_KEY\"")
}

#[test]
fn only_answers_that_surely_refuse_allow_another_try() {
    let cases = [
        (302, Accepted::No, false),
        (400, Accepted::No, false),
        (401, Accepted::No, false),
        (402, Accepted::No, false),
        (404, Accepted::No, false),
        (408, Accepted::Maybe, false),
        (409, Accepted::Maybe, false),
        (422, Accepted::No, false),
        (425, Accepted::Maybe, false),
        (429, Accepted::No, true),
        (500, Accepted::Maybe, false),
        (502, Accepted::Maybe, false),
        (503, Accepted::Maybe, false),
        (504, Accepted::Maybe, false),
        (599, Accepted::Maybe, false),
    ];
    for (status, accepted, again) in cases {
        let refusal = refusal(&openai(), &answer(status, "{}"));
        assert_eq!(refusal.accepted, accepted, "{status}");
        assert_eq!(refusal.again.is_some(), again, "{status}");
        assert!(refusal.error.message.contains(&status.to_string()));
    }
}

#[test]
fn faults_of_services_are_read_in_their_shapes() {
    let cases = [
        (
            r#"{"error":{"message":"bad size","type":"invalid_request_error","code":"invalid_size","param":"size"}}"#,
            "invalid_size",
            "bad size",
        ),
        (
            r#"{"error":{"message":"no","type":"server_error","code":null}}"#,
            "server_error",
            "no",
        ),
        (r#"{"error":"model is loading"}"#, "", "model is loading"),
        (
            r#"{"detail":{"status":"quota_exceeded","message":"no credits"}}"#,
            "quota_exceeded",
            "no credits",
        ),
        (
            r#"{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}"#,
            "",
            "field required",
        ),
        (r#"{"code":3001,"message":"bad"}"#, "3001", "bad"),
        (
            r#"{"header":{"code":45000030,"message":"not granted"}}"#,
            "45000030",
            "not granted",
        ),
        ("upstream error", "", "upstream error"),
        (
            "<html><body>502</body></html>",
            "",
            "the answer is a web page",
        ),
        ("", "", ""),
        ("[1,2]", "", ""),
        ("null", "", ""),
    ];
    for (body, code, message) in cases {
        let said = ServiceFault::of(body.as_bytes());
        assert_eq!(
            (said.code.as_str(), said.message.as_str()),
            (code, message),
            "{body}"
        );
    }
}

#[test]
fn an_authentication_error_names_the_variable_and_not_the_key() {
    crate::secrets::know("key-1234567890");
    let body = r#"{"error":{"message":"Incorrect API key provided: key-1234567890","code":"invalid_api_key"}}"#;
    let refusal = refusal(&openai(), &answer(401, body));
    assert_eq!(refusal.error.origin, Some(Origin::Authentication));
    let text = refusal.error.to_string();
    assert!(
        text.contains("`SPEECH_KEY`") && text.contains("invalid_api_key"),
        "{text}"
    );
    assert!(!text.contains("key-1234567890"), "{text}");
}

#[test]
fn an_account_without_money_is_not_busy() {
    let body =
        r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}"#;
    let spent = refusal(&openai(), &answer(429, body));
    assert_eq!((spent.accepted, spent.again), (Accepted::No, None));
    let body =
        r#"{"error":{"code":"RateLimitExceeded.EndpointRPMExceeded","message":"slow down"}}"#;
    assert!(refusal(&openai(), &answer(429, body)).again.is_some());
    let body = r#"{"detail":{"status":"too_many_concurrent_requests","message":"concurrency quota_exceeded"}}"#;
    assert!(refusal(&openai(), &answer(429, body)).again.is_some());
}

#[test]
fn waits_are_read_as_seconds_and_as_dates() {
    let wait = |text: &str, date: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_str(text).unwrap());
        if let Some(date) = date {
            headers.insert("date", HeaderValue::from_str(date).unwrap());
        }
        retry_after(&headers)
    };
    assert_eq!(wait("3", None), Duration::from_secs(3));
    assert_eq!(wait("0.5", None), Duration::from_millis(500));
    assert_eq!(wait("0", None), LEAST_WAIT);
    assert_eq!(wait("86400", None), LONGEST_WAIT);
    assert_eq!(wait("1e300", None), LONGEST_WAIT);
    assert_eq!(wait("-5", None), WAIT);
    assert_eq!(wait("NaN", None), WAIT);
    assert_eq!(wait("soon", None), WAIT);
    let now = Some("Sat, 28 Nov 2026 10:00:00 GMT");
    assert_eq!(
        wait("Sat, 28 Nov 2026 10:00:07 GMT", now),
        Duration::from_secs(7)
    );
    assert_eq!(wait("Sat, 28 Nov 2026 09:00:00 GMT", now), LEAST_WAIT);
    assert_eq!(wait("Sat, 28 Nov 2015 10:00:07 GMT", None), LEAST_WAIT);
    assert_eq!(retry_after(&HeaderMap::new()), WAIT);
}

#[test]
fn options_are_merged_into_objects() {
    let mut body = json!({ "a": { "b": 1, "c": 2 }, "d": 3 });
    let options = json!({ "a": { "b": 9 }, "d": { "e": 1 }, "f": [1] });
    merge(&mut body, options.as_object().unwrap());
    assert_eq!(
        body,
        json!({ "a": { "b": 9, "c": 2 }, "d": { "e": 1 }, "f": [1] })
    );
}

#[test]
fn long_words_of_a_service_are_shortened() {
    let body = json!({ "error": { "message": "a secret plan ".repeat(400), "code": "c" } });
    let refusal = refusal(&openai(), &answer(400, body.to_string()));
    assert!(
        refusal.error.message.chars().count() < 320,
        "{}",
        refusal.error.message
    );
}

#[test]
fn ids_of_tasks_are_one_part_of_a_path() {
    let settings = openai();
    assert_eq!(
        segment(&settings, "cgt-2025~a.b:1").unwrap(),
        "cgt-2025~a.b:1"
    );
    assert_eq!(
        segment(&settings, "a/../b?c=ü").unwrap(),
        "a%2F..%2Fb%3Fc%3D%C3%BC"
    );
    for id in ["", ".", "..", "a\nb", &"x".repeat(600)] {
        assert!(segment(&settings, id).is_err(), "{id:?}");
    }
}

#[test]
fn base64_is_read_as_services_write_it() {
    for text in [
        "AAEC_-8=",
        "AAEC/+8=",
        "AAEC/+8",
        "data:audio/mp3;base64,AAEC/+8=",
        "AAEC\n/+8=",
    ] {
        assert_eq!(base64(text), Some(vec![0, 1, 2, 0xff, 0xef]), "{text}");
    }
    for text in ["", "a b!", "{}"] {
        assert_eq!(base64(text), None, "{text}");
    }
}
