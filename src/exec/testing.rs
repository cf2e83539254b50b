//! A CapCut API server for tests that behaves, and misbehaves, as the reference server does: it forgets drafts,
//! reports false results of saves, creates drafts for unknown ids, loses segments when two calls open one track,
//! and breaks connections before and after it has applied a call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{App, Context};
use crate::engine::{self, Engine};
use crate::error::Result;
use crate::journal::{self, Journal};
use crate::local::{self, DecodedCall};
use crate::manifest::Manifest;
use crate::media::MediaStore;
use crate::settings::{BackendChoice, Given, Os, Settings};
use crate::storage::Storage;
use crate::tools::Caller;

/// What goes wrong with one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// The connection is closed before anything is done.
    DropBefore,
    /// The call is applied, and the connection closed without an answer.
    DropAfter,
    /// The call is applied, and half of the answer is sent.
    Truncate,
    /// This is answered instead: status, a header line or nothing, body.
    Say(u16, &'static str, String),
    /// The call is applied and never answered.
    Silence,
    /// The server restarts, then applies the call.
    Restart,
}

type Faults = Box<dyn Fn(&str, usize) -> Fault + Send + Sync>;

pub(crate) struct TestApi {
    pub url: String,
    pub state: Arc<TestApiState>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
pub(crate) struct TestApiState {
    drafts: Mutex<HashMap<String, Value>>,
    /// The status that a save ends with, and its message.
    pub save_status: Mutex<Option<(&'static str, &'static str)>>,
    /// The paths of all requests.
    pub asked: Mutex<Vec<String>>,
    pub open: AtomicUsize,
    pub most: AtomicUsize,
    made: AtomicUsize,
    /// How long each call takes.
    pub delay_ms: AtomicUsize,
}

impl TestApi {
    pub(crate) async fn start(
        faults: impl Fn(&str, usize) -> Fault + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(TestApiState::default());
        let faults: Arc<Faults> = Arc::new(Box::new(faults));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, faults) = (Arc::clone(&shared), Arc::clone(&faults));
                tokio::spawn(async move {
                    serve(stream, &state, &faults).await;
                });
            }
        });
        Self { url, state, task }
    }

    pub(crate) async fn sound() -> Self {
        Self::start(|_, _| Fault::None).await
    }

    /// The number of requests to a path.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.state
            .asked
            .lock()
            .unwrap()
            .iter()
            .filter(|one| *one == path)
            .count()
    }

    pub(crate) fn restart(&self) {
        self.state.restart();
    }

    pub(crate) fn stop(&self) {
        self.task.abort();
    }

    /// The start times of the segments on a track, in seconds.
    pub(crate) fn starts(&self, draft: &str, track: &str) -> Vec<f64> {
        let drafts = self.state.drafts.lock().unwrap();
        let mut starts: Vec<f64> = drafts[draft]["tracks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["name"] == track)
            .flat_map(|one| one["segments"].as_array().unwrap().clone())
            .map(|segment| segment["target_timerange"]["start"].as_f64().unwrap() / 1e6)
            .collect();
        starts.sort_by(f64::total_cmp);
        starts
    }

    /// A process that is configured with this server, with short waits.
    pub(crate) fn app(&self, backend: BackendChoice) -> Arc<App> {
        app(Some(&self.url), backend, |_| {})
    }
}

impl Drop for TestApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn app(
    url: Option<&str>,
    backend: BackendChoice,
    tune: impl FnOnce(&mut Manifest),
) -> Arc<App> {
    let given = Given {
        api_url: url.map(Into::into),
        backend: Some(backend),
        ..Given::default()
    };
    app_with(given, tune)
}

pub(crate) fn app_with(given: Given, tune: impl FnOnce(&mut Manifest)) -> Arc<App> {
    app_on(journal::in_memory(), given, tune)
}

/// A process that uses this journal.
pub(crate) fn app_on(
    journal: Arc<Journal>,
    given: Given,
    tune: impl FnOnce(&mut Manifest),
) -> Arc<App> {
    let settings = Settings::new(Os::Linux, &|_| None, given).unwrap();
    let mut manifest = Manifest::built_in();
    for policy in [
        &mut manifest.retry.unsent,
        &mut manifest.retry.busy,
        &mut manifest.retry.transient,
    ] {
        policy.first_wait_s = 0.01;
        policy.longest_wait_s = 0.02;
    }
    manifest.limits.status_every_s = 0.01;
    manifest.limits.server_wait_s = 0.1;
    manifest.limits.media.tries = 1;
    manifest.api.absent_s = 0.0;
    tune(&mut manifest);
    let media = MediaStore::new(manifest.limits.media.clone(), None);
    let engine = Engine::new(
        settings.edition,
        media.clone(),
        Arc::clone(&journal),
        engine::EngineOptions::new(&settings),
    );
    let storage = Arc::new(Storage::folder());
    Arc::new(App::of(
        settings,
        Arc::new(manifest),
        Arc::new(engine),
        media,
        journal,
        storage,
    ))
}

impl App {
    pub(crate) async fn test(self: &Arc<Self>, tool: &str, arguments: Value) -> Result<Value> {
        let arguments = arguments.as_object().unwrap().clone();
        let caller = Caller::user();
        match local::decode(local::find(tool).unwrap(), arguments, &caller)? {
            DecodedCall::Routed(request) => self.run(request, Context::of(&caller)).await,
            local @ DecodedCall::Local(_) => local.answer(self, Context::of(&caller)).await,
        }
    }
}

/// A connection as the server counts it: until the end of its answer has been sent.
struct Place<'a>(&'a TestApiState);

impl<'a> Place<'a> {
    fn take(state: &'a TestApiState) -> Self {
        let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
        state.most.fetch_max(open, Ordering::SeqCst);
        Self(state)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(mut stream: TcpStream, state: &TestApiState, faults: &Faults) {
    let place = Place::take(state);
    let Some((path, body)) = read(&mut stream).await else {
        return;
    };
    let number = {
        let mut asked = state.asked.lock().unwrap();
        asked.push(path.clone());
        asked.iter().filter(|one| **one == path).count()
    };
    let fault = faults(&path, number);
    match fault {
        Fault::DropBefore => return,
        Fault::Restart => state.restart(),
        _ => {}
    }
    if let Fault::Say(status, header, body) = &fault {
        let head = format!(
            "HTTP/1.1 {status} X\r\n{header}Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(head.as_bytes()).await;
        drop(place);
        let _ = stream.write_all(body.as_bytes()).await;
        return;
    }
    let (status, answer) = answer(state, &path, &body).await;
    match fault {
        Fault::DropAfter => return,
        _ if status == DIED.0 => return,
        Fault::Silence => {
            let _ = stream.read(&mut [0; 16]).await;
            return;
        }
        _ => {}
    }
    let text = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    let end = if fault == Fault::Truncate {
        text.len() / 2
    } else {
        text.len()
    };
    let _ = stream.write_all(head.as_bytes()).await;
    drop(place);
    let _ = stream.write_all(&text.as_bytes()[..end]).await;
}

async fn read(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |length| length.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let path = head.split_whitespace().nth(1)?.to_owned();
                let body = serde_json::from_slice(&bytes[end + 4..]).unwrap_or(Value::Null);
                return Some((path, body));
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

/// The answer of a server that restarted meanwhile: nothing.
const DIED: (u16, Value) = (0, Value::Null);

fn success(output: &Value) -> (u16, Value) {
    (
        200,
        json!({ "success": true, "error": "", "output": output }),
    )
}

fn failure(text: &str) -> (u16, Value) {
    (
        200,
        json!({ "success": false, "error": text, "output": "" }),
    )
}

async fn answer(state: &TestApiState, path: &str, body: &Value) -> (u16, Value) {
    let id = body["draft_id"]
        .as_str()
        .or(body["task_id"].as_str())
        .unwrap_or_default()
        .to_owned();
    match path {
        "/get_mask_types" => success(&json!([{ "name": "Linear" }])),
        "/get_transition_types" => {
            success(&json!([{ "name": "Dissolve" }, { "name": "Black_Fade" }]))
        }
        "/create_draft" => {
            success(&json!({ "draft_id": state.make(), "draft_url": "https://nowhere" }))
        }
        "/query_script" => match state.drafts.lock().unwrap().get(&id) {
            Some(draft) => success(&json!(draft.to_string())),
            None => failure(&format!("Draft {id} does not exist in cache.")),
        },
        "/save_draft" => success(&json!({ "success": true, "draft_url": "" })),
        "/query_draft_status" => {
            let (status, message) = state
                .save_status
                .lock()
                .unwrap()
                .unwrap_or(("completed", "Draft creation completed"));
            success(
                &json!({ "status": status, "message": message, "progress": 100, "draft_url": "" }),
            )
        }
        "/add_video_keyframe" => state.keyframe(id, body),
        path if path.starts_with("/add_") => state.add(path, id, body).await,
        _ => (404, json!("<!doctype html><title>404 Not Found</title>")),
    }
}

impl TestApiState {
    fn restart(&self) {
        self.drafts.lock().unwrap().clear();
    }

    fn make(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let id = format!("dfd_cat_1700000000_{number:08x}");
        let empty = json!({ "tracks": [], "materials": { "videos": [], "audios": [] } });
        self.drafts.lock().unwrap().insert(id.clone(), empty);
        id
    }

    /// Looks for the track, in a new draft if the id is not known, as the reference server does.
    fn keyframe(&self, id: String, body: &Value) -> (u16, Value) {
        let known = self.drafts.lock().unwrap().contains_key(&id);
        let id = if known { id } else { self.make() };
        let track = body["track_name"].as_str().unwrap_or("video_main");
        let drafts = self.drafts.lock().unwrap();
        let mut tracks = drafts[&id]["tracks"].as_array().unwrap().iter();
        if tracks.any(|one| one["name"] == track) {
            return success(&json!({ "draft_id": id, "draft_url": "" }));
        }
        failure(&format!("Error: Track named {track} does not exist"))
    }

    /// Adds a segment, with the reference server's race: a track that is missing when the call begins is created,
    /// and replaces one that was created meanwhile.
    async fn add(&self, path: &str, id: String, body: &Value) -> (u16, Value) {
        let known = self.drafts.lock().unwrap().contains_key(&id);
        let id = if known { id } else { self.make() };
        let default = match path {
            "/add_video" => "video_main",
            "/add_audio" => "audio_main",
            "/add_image" => "image_main",
            _ => "text_main",
        };
        let name = body["track_name"].as_str().unwrap_or(default).to_owned();
        let has = |draft: &Value| {
            draft["tracks"]
                .as_array()
                .unwrap()
                .iter()
                .any(|track| track["name"] == name.as_str())
        };
        let Some(missing) = self
            .drafts
            .lock()
            .unwrap()
            .get(&id)
            .map(|draft| !has(draft))
        else {
            return DIED;
        };
        let delay = self.delay_ms.load(Ordering::SeqCst) as u64;
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        } else {
            tokio::task::yield_now().await;
        }
        let mut drafts = self.drafts.lock().unwrap();
        let Some(draft) = drafts.get_mut(&id) else {
            return DIED;
        };
        let start = body["target_start"]
            .as_f64()
            .or(body["start"].as_f64())
            .unwrap_or(0.0);
        let start = (start * 1e6).round() as i64;
        let url = ["video_url", "audio_url", "image_url"]
            .iter()
            .find_map(|key| body[*key].as_str());
        let material = format!("m{}", url.unwrap_or_default());
        if let Some(url) = url {
            let list = if path == "/add_audio" {
                "audios"
            } else {
                "videos"
            };
            let name = url
                .rsplit('/')
                .next()
                .and_then(|name| name.split('?').next());
            draft["materials"][list].as_array_mut().unwrap().push(json!({
                "id": material, "material_name": name, "name": name, "remote_url": url, "duration": 1,
            }));
        }
        let tracks = draft["tracks"].as_array_mut().unwrap();
        if missing {
            tracks.retain(|track| track["name"] != name.as_str());
            tracks.push(json!({ "name": name, "segments": [] }));
        }
        let track = tracks
            .iter_mut()
            .find(|track| track["name"] == name.as_str())
            .unwrap();
        let segments = track["segments"].as_array_mut().unwrap();
        if segments
            .iter()
            .any(|segment| segment["target_timerange"]["start"] == start)
        {
            return failure(
                "Error occurred while processing: New segment overlaps with existing segment [start: 0, end: 1].",
            );
        }
        segments.push(json!({ "material_id": material, "target_timerange": { "start": start, "duration": 1 } }));
        success(&json!({ "draft_id": id, "draft_url": "https://nowhere" }))
    }
}
