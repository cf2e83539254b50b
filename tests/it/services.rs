//! The stubs of services themselves.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::http;
use crate::support::services::made::{self, Voice};
use crate::support::services::{KEY, Manner, Route, Services, ServicesSettings};

/// Sends JSON to a stub, with the key.
fn post(services: &Services, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}{path}", services.server.url);
    let bearer = format!("Bearer {KEY}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("x-api-key", KEY),
        ("xi-api-key", KEY),
    ];
    let (status, text) = http("POST", &url, &headers, body.to_string().as_bytes());
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

#[test]
fn creations_are_counted_only_if_they_were_accepted() {
    let services = Services::with(ServicesSettings::default(), |asked| match asked.number {
        0 => Manner::Busy(250),
        1 => Manner::Refused,
        2 => Manner::Failed(503),
        _ => Manner::Good,
    });
    let body = json!({ "model": "stub-1", "prompt": "a watch", "size": "64x32", "seed": 7 });
    for status in [429, 400, 503, 200] {
        assert_eq!(post(&services, "/v1/images/generations", &body).0, status);
    }
    assert_eq!(services.asked(Route::Picture), 4);
    let accepted: Vec<_> = services.accepted().into_iter().collect();
    assert_eq!(accepted, [((Route::Picture, "a watch #7".to_owned()), 2)]);
    assert_eq!(
        (services.creations(), services.most_at_once(Route::Picture)),
        (2, 1)
    );
    assert!(services.complaints().is_empty());
}

#[test]
fn an_address_may_be_valid_once_and_wants_no_key() {
    let services = Services::with(ServicesSettings::default(), |_| Manner::ByUrlOnce);
    let (_, answer) = post(
        &services,
        "/v1/images/generations",
        &json!({ "prompt": "a watch", "size": "64x32" }),
    );
    let url = answer["data"][0]["url"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert_eq!(http("GET", &url, &[], b"").0, 200);
    assert_eq!(
        http("GET", &url, &[("Authorization", "Bearer x")], b"").0,
        403
    );
    assert_eq!(
        services.complaints(),
        ["a result was asked for with `authorization`"]
    );
}

#[test]
fn tasks_end_and_can_be_cancelled() {
    let services = Services::start();
    let bearer = format!("Bearer {KEY}");
    for (path, body) in [
        (
            "/v1/videos",
            json!({ "prompt": "a watch", "seconds": "1", "size": "90x160" }),
        ),
        (
            "/ark/contents/generations/tasks",
            json!({ "content": [{ "type": "text", "text": "a watch" }], "ratio": "9:16", "duration": 1 }),
        ),
    ] {
        let (_, created) = post(&services, path, &body);
        let url = format!(
            "{}{path}/{}",
            services.server.url,
            created["id"].as_str().expect("an id")
        );
        let mut state = Value::Null;
        crate::support::until("the task has ended", || {
            let (_, text) = http("GET", &url, &[("Authorization", &bearer)], b"");
            state = serde_json::from_str(&text).expect("JSON");
            ["completed", "succeeded"].contains(&state["status"].as_str().unwrap_or_default())
        });
        let film = match state["content"]["video_url"].as_str() {
            Some(url) => http("GET", url, &[], b"").1,
            None => {
                http(
                    "GET",
                    &format!("{url}/content"),
                    &[("Authorization", &bearer)],
                    b"",
                )
                .1
            }
        };
        assert!(film[..16].contains("ftyp"), "{path}");
        assert_eq!(
            http("DELETE", &url, &[("Authorization", &bearer)], b"").0,
            200
        );
    }
    assert_eq!(services.cancelled(), 2);
    assert!(services.complaints().is_empty());
}

#[test]
fn voices_have_the_times_of_their_words() {
    let voice = Voice::tones("Our new watch. 新手表", 1.0);
    let words: Vec<String> = voice.words().into_iter().map(|(word, _, _)| word).collect();
    assert_eq!(words, ["Our", "new", "watch.", "新", "手", "表"]);
    let last = voice.words().pop().expect("words").2;
    assert!(
        voice.seconds() > last && voice.seconds() < last + 0.3,
        "{last}"
    );
    // Where espeak-ng is installed.
    if let Some(spoken) = Voice::spoken("这是我们的新手表", 1.0) {
        assert!(spoken.wave.starts_with(b"RIFF") && spoken.seconds() > 0.5);
    }
    let services = Services::start();
    let (_, answer) = post(
        &services,
        "/eleven/text-to-speech/v/with-timestamps",
        &json!({ "text": "Our watch" }),
    );
    assert_eq!(
        answer["alignment"]["characters"].as_array().map(Vec::len),
        Some(9)
    );
    let (_, answer) = post(
        &services,
        "/volc/tts/unidirectional",
        &json!({ "req_params": { "text": "手表" } }),
    );
    let text = answer.as_str().expect("several objects");
    assert!(
        text.contains("\"startTime\"") && text.ends_with("\"data\":null}"),
        "{text}"
    );
    assert_eq!(made::of_unknown_size(voice.wave)[40..44], [0xff; 4]);
}

#[test]
fn pictures_are_pictures() {
    let picture = tiny_skia::Pixmap::decode_png(&made::picture("a watch", 90, 160)).expect("a PNG");
    assert_eq!((picture.width(), picture.height()), (90, 160));
    assert_ne!(picture.pixel(5, 5), picture.pixel(5, 70));
}

#[test]
fn wrong_keys_and_resets_are_noticed() {
    let services = Services::start();
    let url = format!("{}/v1/models", services.server.url);
    assert_eq!(
        http("GET", &url, &[("Authorization", "Bearer wrong")], b"").0,
        401
    );
    assert_eq!(
        services.complaints(),
        ["GET /v1/models without the right key"]
    );
    services.server.reset_unread(1);
    let mut stream =
        TcpStream::connect(("127.0.0.1", services.server.port())).expect("a connection");
    stream
        .write_all(b"GET /v1/models HTTP/1.1\r\n\r\n")
        .expect("sent");
    let mut answer = Vec::new();
    // The end, or an error: a reset.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty());
    assert_eq!(services.server.count("/v1/models"), 1);
}
