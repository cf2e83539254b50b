//! Stubs of the services that make voices, pictures, films, transcripts and texts, which fail as real ones do, and know how many
//! creations they accepted.

pub(crate) mod made;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{Answer, Asked, Delivery, Server};
use made::Voice;

/// The key that all services accept.
pub(crate) const KEY: &str = "stub-key-3f9a1c77d2";

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    Speech,
    Picture,
    Film,
    Transcript,
    Text,
    ArkFilm,
    VolcSpeech,
    ElevenSpeech,
}

impl Route {
    fn of(asked: &Asked) -> Option<Self> {
        let path = asked.path.split('?').next().unwrap_or_default();
        if asked.method != "POST" {
            return None;
        }
        match path {
            "/v1/audio/speech" => Some(Self::Speech),
            "/v1/images/generations" => Some(Self::Picture),
            "/v1/videos" => Some(Self::Film),
            "/v1/audio/transcriptions" => Some(Self::Transcript),
            "/v1/chat/completions" => Some(Self::Text),
            "/ark/contents/generations/tasks" => Some(Self::ArkFilm),
            "/volc/tts/unidirectional" => Some(Self::VolcSpeech),
            path if path.starts_with("/eleven/text-to-speech/") => Some(Self::ElevenSpeech),
            _ => None,
        }
    }

    fn is_voice(self) -> bool {
        matches!(self, Self::Speech | Self::VolcSpeech | Self::ElevenSpeech)
    }
}

/// How a request to create something is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Good,
    /// The connection is closed after the request was read; nothing is created.
    ResetBefore,
    /// The connection is closed after the creation was accepted.
    ResetAfter,
    /// Accepted, and answered after this time.
    Slow(Duration),
    /// Accepted; the answer is cut off in the middle.
    Truncated,
    /// 500 or 503, after the creation was accepted.
    Failed(u16),
    /// 429 with `Retry-After` in milliseconds, as decimal seconds; nothing is created.
    Busy(u64),
    /// 429 without `Retry-After`, or for `volc-tts` code 3003 with HTTP 200; nothing is created.
    BusyByCode,
    /// 400: nothing is created.
    Refused,
    /// Accepted; a web page with HTTP 200.
    Page,
    /// Accepted; nothing with HTTP 200.
    Empty,
    /// A good voice as a WAV of unknown size.
    UnknownSize,
    /// A good voice as two MP3s in one file.
    TwoMp3s,
    /// A good result at an address instead of in the answer.
    ByUrl,
    /// A good result at an address that is valid once.
    ByUrlOnce,
}

impl Manner {
    fn is_accepted(self) -> bool {
        !matches!(
            self,
            Self::ResetBefore | Self::Busy(_) | Self::BusyByCode | Self::Refused
        )
    }
}

/// A request to create something.
pub(crate) struct CreationAsked<'a> {
    pub(crate) route: Route,
    /// The number of the request on its route, from 0.
    pub(crate) number: usize,
    /// The words or the description, and `#SEED` if there is one.
    pub(crate) text: &'a str,
}

type Manners = dyn Fn(&CreationAsked<'_>) -> Manner + Send + Sync;

struct Task {
    route: Route,
    made: Vec<u8>,
    created: Instant,
    is_cancelled: bool,
    /// The address of its result is valid once.
    is_once: bool,
}

#[derive(Default)]
struct State {
    /// Requests to create something on each route.
    asked: BTreeMap<Route, usize>,
    /// Creations that were accepted: those that cost something.
    accepted: BTreeMap<(Route, String), usize>,
    running: BTreeMap<Route, usize>,
    most_running: BTreeMap<Route, usize>,
    tasks: BTreeMap<String, Task>,
    /// Results by the end of their address; `true`: valid once.
    files: BTreeMap<String, (Vec<u8>, &'static str, bool)>,
    voices: Vec<Voice>,
    /// What was wrong with requests: keys where they do not belong, or wrong ones.
    complaints: BTreeSet<String>,
}

/// What the stubs do, apart from their faults.
#[derive(Clone)]
pub(crate) struct ServicesSettings {
    pub(crate) voice_delay: Duration,
    pub(crate) picture_delay: Duration,
    /// How long a film takes after its task was created.
    pub(crate) film_time: Duration,
    /// Voices of espeak-ng instead of tones.
    pub(crate) real_voices: bool,
    /// What the text service writes.
    pub(crate) text: String,
}

impl Default for ServicesSettings {
    fn default() -> Self {
        Self {
            voice_delay: Duration::ZERO,
            picture_delay: Duration::ZERO,
            film_time: Duration::from_millis(50),
            real_voices: false,
            text: "A text.".to_owned(),
        }
    }
}

/// A server with a stub of each kind of service.
pub(crate) struct Services {
    pub(crate) server: Server,
    state: Arc<Mutex<State>>,
}

impl Services {
    pub(crate) fn start() -> Self {
        Self::with(ServicesSettings::default(), |_| Manner::Good)
    }

    /// `manner` decides how each request to create something is treated.
    pub(crate) fn with(
        settings: ServicesSettings,
        manner: impl Fn(&CreationAsked<'_>) -> Manner + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let stub = Stub {
            state: Arc::clone(&state),
            settings,
            manner: Box::new(manner),
        };
        Self {
            server: Server::start(move |asked| stub.answer(asked)),
            state,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    /// `[providers.NAME]` for one of the stubs: `kind` and `makes` as in `tools.toml`, and further lines.
    pub(crate) fn section(&self, name: &str, kind: &str, makes: &str, more: &str) -> String {
        let place = match kind {
            "openai" => "v1",
            "ark" => "ark",
            "volc-tts" => "volc",
            "elevenlabs" => "eleven",
            other => panic!("no stub of kind {other}"),
        };
        format!(
            "[providers.{name}]\nkind = \"{kind}\"\nmakes = \"{makes}\"\nbase_url = \"{}/{place}\"\nkey_env = \"STUB_KEY\"\nmodel = \"stub-1\"\nvoice = \"alloy\"\npoll_s = 0.05\n{more}\n",
            self.server.url
        )
    }

    /// How many requests to create something came in on a route, accepted or not.
    pub(crate) fn asked(&self, route: Route) -> usize {
        self.state().asked.get(&route).copied().unwrap_or(0)
    }

    /// How many creations of each text were accepted, on all routes.
    pub(crate) fn accepted(&self) -> BTreeMap<(Route, String), usize> {
        self.state().accepted.clone()
    }

    /// How many creations were accepted.
    pub(crate) fn creations(&self) -> usize {
        self.state().accepted.values().sum()
    }

    /// The most requests of a route that were answered at the same time.
    pub(crate) fn most_at_once(&self, route: Route) -> usize {
        self.state().most_running.get(&route).copied().unwrap_or(0)
    }

    /// The tasks that were cancelled.
    pub(crate) fn cancelled(&self) -> usize {
        let state = self.state();
        state
            .tasks
            .values()
            .filter(|task| task.is_cancelled)
            .count()
    }

    /// What was wrong with requests: a key at the address of a result, or a wrong key.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.state().complaints.iter().cloned().collect()
    }
}

struct Stub {
    state: Arc<Mutex<State>>,
    settings: ServicesSettings,
    manner: Box<Manners>,
}

impl Stub {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let path = asked.path.split('?').next().unwrap_or_default();
        if let Some(name) = path.strip_prefix("/files/") {
            return self.file(asked, name);
        }
        if !has_key(asked, path) {
            let complaint = format!("{} {path} without the right key", asked.method);
            self.state().complaints.insert(complaint);
            let error = json!({ "error": { "code": "invalid_api_key", "message": "Incorrect API key provided" } });
            return with_status(401, &error);
        }
        if let Some(route) = Route::of(asked) {
            return self.create(route, asked);
        }
        match (asked.method.as_str(), path) {
            ("GET", "/v1/models" | "/eleven/models") => {
                Answer::json(&json!({ "data": [{ "id": "stub-1" }] }))
            }
            ("GET", "/ark/contents/generations/tasks") => {
                Answer::json(&json!({ "total": 0, "items": [] }))
            }
            (method, path) => self.task(asked, method, path),
        }
    }

    fn create(&self, route: Route, asked: &Asked) -> Answer {
        let text = text_of(route, asked);
        let number = {
            let mut state = self.state();
            let count = state.asked.entry(route).or_default();
            *count += 1;
            let number = *count - 1;
            let running = state.running.entry(route).or_default();
            *running += 1;
            let running = *running;
            let most = state.most_running.entry(route).or_default();
            *most = running.max(*most);
            number
        };
        let manner = (self.manner)(&CreationAsked {
            route,
            number,
            text: &text,
        });
        if manner.is_accepted() {
            *self
                .state()
                .accepted
                .entry((route, text.clone()))
                .or_default() += 1;
        }
        let answer = self.treated(route, asked, &text, number, manner);
        *self.state().running.entry(route).or_default() -= 1;
        answer
    }

    fn treated(
        &self,
        route: Route,
        asked: &Asked,
        text: &str,
        number: usize,
        manner: Manner,
    ) -> Answer {
        let busy =
            json!({ "error": { "code": "rate_limit_exceeded", "message": "too many requests" } });
        match manner {
            Manner::ResetBefore | Manner::ResetAfter => {
                return Answer::new(200, "", "").delivery(Delivery::Reset);
            }
            Manner::Busy(milliseconds) => {
                let mut answer = with_status(429, &busy);
                let seconds = (milliseconds as f64 / 1000.0).to_string();
                answer.headers.push(("Retry-After".to_owned(), seconds));
                return answer;
            }
            Manner::BusyByCode if route == Route::VolcSpeech => {
                return Answer::json(&json!({ "code": 3003, "message": "concurrency exceeded" }));
            }
            Manner::BusyByCode => return with_status(429, &busy),
            Manner::Refused => {
                let error = json!({ "error": { "code": "invalid_request", "message": format!("cannot make: {text}") } });
                return with_status(400, &error);
            }
            _ => {}
        }
        thread::sleep(match manner {
            Manner::Slow(time) => time,
            _ if route.is_voice() => self.settings.voice_delay,
            _ if route == Route::Picture => self.settings.picture_delay,
            _ => Duration::ZERO,
        });
        match manner {
            Manner::Failed(status) => {
                return with_status(
                    status,
                    &json!({ "error": { "code": "internal_error", "message": "try later" } }),
                );
            }
            Manner::Page => {
                return Answer::new(
                    200,
                    "text/html",
                    "<!DOCTYPE html><html><body>Please log in</body></html>",
                );
            }
            Manner::Empty => return Answer::new(200, "application/octet-stream", ""),
            _ => {}
        }
        let answer = self.made(route, asked, text, number, manner);
        if manner == Manner::Truncated {
            let half = answer.body.len() / 2;
            return answer.delivery(Delivery::CutAt(half));
        }
        answer
    }

    fn made(
        &self,
        route: Route,
        asked: &Asked,
        text: &str,
        number: usize,
        manner: Manner,
    ) -> Answer {
        let body = asked.json();
        match route {
            Route::Speech | Route::VolcSpeech | Route::ElevenSpeech => {
                let speed = match route {
                    Route::Speech => body["speed"].as_f64().unwrap_or(1.0),
                    Route::ElevenSpeech => body["voice_settings"]["speed"].as_f64().unwrap_or(1.0),
                    _ => {
                        1.0 + body["req_params"]["audio_params"]["speech_rate"]
                            .as_f64()
                            .unwrap_or(0.0)
                            / 100.0
                    }
                };
                let words = text.split(" #").next().unwrap_or(text);
                let voice = self.voice(words, speed);
                let bytes = match manner {
                    Manner::UnknownSize => made::of_unknown_size(voice.wave.clone()),
                    Manner::TwoMp3s => made::two_mp3s(),
                    _ => voice.wave.clone(),
                };
                match route {
                    Route::Speech => Answer::new(200, "audio/mpeg", bytes),
                    Route::VolcSpeech => in_pieces(&bytes, &voice, words, number),
                    _ => aligned(&bytes, &voice),
                }
            }
            Route::Picture => {
                let (width, height) = size_of(&body["size"]);
                let bytes = made::picture(text, width, height);
                let data = if matches!(manner, Manner::ByUrl | Manner::ByUrlOnce) {
                    let url = self.publish(asked, bytes, "png", manner == Manner::ByUrlOnce);
                    json!({ "url": url })
                } else {
                    json!({ "b64_json": BASE64_STANDARD.encode(bytes) })
                };
                Answer::json(
                    &json!({ "created": 1, "data": [data], "usage": { "total_tokens": 1 } }),
                )
            }
            Route::Film | Route::ArkFilm => {
                let (width, height) = match body["ratio"]
                    .as_str()
                    .and_then(|ratio| ratio.split_once(':'))
                {
                    Some((width, height)) => {
                        (width.parse().unwrap_or(9), height.parse().unwrap_or(16))
                    }
                    None => size_of(&body["size"]),
                };
                let seconds = body["seconds"].as_str().and_then(|text| text.parse().ok());
                let seconds = seconds.or(body["duration"].as_u64().map(|seconds| seconds as u32));
                let id = format!(
                    "{}-{number}-{:08x}",
                    if route == Route::Film { "video" } else { "cgt" },
                    fastrand::u32(..)
                );
                let task = Task {
                    route,
                    made: made::film(width, height, seconds.unwrap_or(4).min(30)),
                    created: Instant::now(),
                    is_cancelled: false,
                    is_once: manner == Manner::ByUrlOnce,
                };
                self.state().tasks.insert(id.clone(), task);
                Answer::json(&json!({ "id": id, "status": "queued" }))
            }
            Route::Transcript => {
                let state = self.state();
                let is_in = |voice: &&Voice| {
                    // Its samples: the header and the end may differ.
                    let (body, samples) = (&asked.body, &voice.wave[44..]);
                    body.len() >= samples.len()
                        && body.windows(samples.len()).any(|part| part == samples)
                };
                let known = state.voices.iter().find(is_in);
                let words =
                    known.map_or_else(|| vec![("sound".to_owned(), 0.1, 0.9)], Voice::words);
                let seconds = known.map_or(1.0, Voice::seconds);
                let all: Vec<&str> = words.iter().map(|(word, _, _)| word.as_str()).collect();
                let listed: Vec<Value> = words
                    .iter()
                    .map(|(word, start, end)| json!({ "word": word, "start": start, "end": end }))
                    .collect();
                Answer::json(
                    &json!({ "task": "transcribe", "language": "english", "duration": seconds, "text": all.join(" "), "words": listed }),
                )
            }
            Route::Text => Answer::json(&json!({
                "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": self.settings.text } }],
                "usage": { "total_tokens": 1 },
            })),
        }
    }

    fn voice(&self, text: &str, speed: f64) -> Voice {
        let spoken = self
            .settings
            .real_voices
            .then(|| Voice::spoken(text, speed))
            .flatten();
        let voice = spoken.unwrap_or_else(|| Voice::tones(text, speed));
        self.state().voices.push(voice.clone());
        voice
    }

    /// Puts a result at an address that needs no key, as services do.
    fn publish(
        &self,
        asked: &Asked,
        bytes: Vec<u8>,
        ending: &'static str,
        is_once: bool,
    ) -> String {
        let name = format!("{:016x}.{ending}", fastrand::u64(..));
        self.state()
            .files
            .insert(name.clone(), (bytes, ending, is_once));
        let host = asked.headers.get("host").expect("HTTP/1.1 names the host");
        format!("http://{host}/files/{name}?X-Signature=5f0e")
    }

    fn file(&self, asked: &Asked, name: &str) -> Answer {
        let keys = [
            "authorization",
            "xi-api-key",
            "x-api-key",
            "x-api-access-key",
        ];
        let mut state = self.state();
        if let Some(key) = keys.iter().find(|key| asked.headers.contains_key(**key)) {
            state
                .complaints
                .insert(format!("a result was asked for with `{key}`"));
        }
        let Some((bytes, ending, is_once)) = state.files.get(name).cloned() else {
            return Answer::new(
                403,
                "application/xml",
                "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
            );
        };
        if is_once {
            state.files.remove(name);
        }
        Answer::new(
            200,
            if ending == "png" {
                "image/png"
            } else {
                "video/mp4"
            },
            bytes,
        )
    }

    fn task(&self, asked: &Asked, method: &str, path: &str) -> Answer {
        let missing = || {
            with_status(
                404,
                &json!({ "error": { "code": "not_found", "message": "no such task" } }),
            )
        };
        let (route, rest) = if let Some(rest) = path.strip_prefix("/v1/videos/") {
            (Route::Film, rest)
        } else if let Some(rest) = path.strip_prefix("/ark/contents/generations/tasks/") {
            (Route::ArkFilm, rest)
        } else {
            self.state()
                .complaints
                .insert(format!("{} {} is no route", asked.method, asked.path));
            return missing();
        };
        let (id, part) = rest.split_once('/').unwrap_or((rest, ""));
        let (bytes, is_done, is_once) = {
            let mut state = self.state();
            let Some(task) = state.tasks.get_mut(id).filter(|task| task.route == route) else {
                return missing();
            };
            if method == "DELETE" {
                task.is_cancelled = true;
                return Answer::json(&json!({ "id": id, "deleted": true }));
            }
            if task.is_cancelled {
                return Answer::json(&json!({ "id": id, "status": "cancelled" }));
            }
            let is_done = task.created.elapsed() >= self.settings.film_time;
            (task.made.clone(), is_done, task.is_once)
        };
        match (route, part, is_done) {
            (Route::Film, "content", true) => Answer::new(200, "video/mp4", bytes),
            (Route::Film, "", true) => {
                Answer::json(&json!({ "id": id, "status": "completed", "progress": 100 }))
            }
            (Route::Film, "", false) => {
                Answer::json(&json!({ "id": id, "status": "in_progress", "progress": 40 }))
            }
            (_, "", true) => {
                let url = self.publish(asked, bytes, "mp4", is_once);
                Answer::json(
                    &json!({ "id": id, "status": "succeeded", "content": { "video_url": url }, "usage": { "completion_tokens": 9 } }),
                )
            }
            (_, "", false) => Answer::json(&json!({ "id": id, "status": "running" })),
            _ => missing(),
        }
    }
}

fn with_status(status: u16, body: &Value) -> Answer {
    Answer::new(status, "application/json", body.to_string())
}

/// Whether the request has the key where its kind of service expects it.
fn has_key(asked: &Asked, path: &str) -> bool {
    let has = |name: &str, value: &str| asked.headers.get(name).is_some_and(|own| own == value);
    if path.starts_with("/volc/") {
        has("x-api-key", KEY)
            || (has("x-api-access-key", KEY) && asked.headers.contains_key("x-api-app-id"))
    } else if path.starts_with("/eleven/") {
        has("xi-api-key", KEY)
    } else {
        has("authorization", &format!("Bearer {KEY}"))
    }
}

/// The words or the description of a request, and its seed.
fn text_of(route: Route, asked: &Asked) -> String {
    let body = asked.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words = match route {
        Route::Speech => text(&body["input"]),
        Route::Picture | Route::Film => text(&body["prompt"]),
        Route::ArkFilm => text(&body["content"][0]["text"]),
        Route::VolcSpeech => text(&body["req_params"]["text"]),
        Route::ElevenSpeech => text(&body["text"]),
        Route::Text => text(&body["messages"][1]["content"]),
        Route::Transcript => format!("{} bytes", asked.body.len()),
    };
    match body["seed"].as_u64() {
        Some(seed) => format!("{words} #{seed}"),
        None => words,
    }
}

/// A size such as "1080x1920", at most 4096 pixels a side.
fn size_of(size: &Value) -> (u32, u32) {
    let sides = size.as_str().and_then(|text| text.split_once('x'));
    let side = |text: &str| text.parse().unwrap_or(1024u32).clamp(16, 4096);
    sides.map_or((1024, 1024), |(width, height)| (side(width), side(height)))
}

/// The answer of `volc-tts`: JSON objects, in lines or run together.
fn in_pieces(bytes: &[u8], voice: &Voice, text: &str, number: usize) -> Answer {
    let mut objects: Vec<Value> = bytes
        .chunks(bytes.len().div_ceil(3))
        .map(|piece| json!({ "code": 0, "message": "", "data": BASE64_STANDARD.encode(piece) }))
        .collect();
    let words: Vec<Value> = voice
        .words()
        .into_iter()
        .map(|(word, start, end)| json!({ "word": word, "startTime": start, "endTime": end, "confidence": 0.9 }))
        .collect();
    objects.push(json!({ "code": 0, "message": "", "data": null, "sentence": { "text": text, "words": words } }));
    objects.push(json!({ "code": 20_000_000, "message": "ok", "data": null }));
    let objects: Vec<String> = objects.iter().map(Value::to_string).collect();
    let joint = if number.is_multiple_of(2) { "\n" } else { "" };
    Answer::new(200, "application/json", objects.join(joint))
}

/// The answer of `elevenlabs`.
fn aligned(bytes: &[u8], voice: &Voice) -> Answer {
    let of = |value: fn(&(String, f64, f64)) -> Value| -> Vec<Value> {
        voice.characters.iter().map(value).collect()
    };
    let alignment = json!({
        "characters": of(|(letter, _, _)| json!(letter)),
        "character_start_times_seconds": of(|(_, start, _)| json!(start)),
        "character_end_times_seconds": of(|(_, _, end)| json!(end)),
    });
    Answer::json(
        &json!({ "audio_base64": BASE64_STANDARD.encode(bytes), "alignment": alignment, "normalized_alignment": null }),
    )
}
