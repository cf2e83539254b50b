//! A CapCut API that behaves as the reference server does, including its race: a missing track is created in two
//! steps, so that of two calls that open it at the same time one loses its segment although both are
//! acknowledged. Drafts exist only in memory, and a save always says success. Latencies are random.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Asked, Delivery, Server, media};

#[derive(Clone, Debug)]
struct Track {
    name: String,
    kind: &'static str,
    /// Start and length in microseconds, and the content.
    segments: Vec<(i64, i64, String)>,
}

/// The content of a draft: sorted segments by track, without ids.
pub(crate) type Content = BTreeMap<String, Vec<(i64, i64, String)>>;

/// What goes wrong with a save, which says success in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadSave {
    /// The task's status says that it failed.
    Fails,
    /// A file was not downloaded.
    FileMissing,
    /// Only half of a file was written.
    FileCut,
    /// A file is a web page.
    FileWrong,
}

/// The latency of the server.
#[derive(Clone, Copy)]
pub(crate) struct Manners {
    /// The longest latency of a call.
    pub(crate) latency: Duration,
    /// Whether every call takes exactly `latency`.
    pub(crate) steady: bool,
}

/// The server's memory.
#[derive(Default)]
pub(crate) struct Model {
    drafts: Mutex<HashMap<String, Vec<Track>>>,
    statuses: Mutex<HashMap<String, (&'static str, String)>>,
    /// The content of each draft at its last save.
    saved: Mutex<HashMap<String, Content>>,
    /// Counts restarts: a call that is running during a restart dies with the server.
    life: AtomicUsize,
    made: AtomicU64,
    /// The drafts folder, if saves write files.
    folder: Option<PathBuf>,
}

pub(crate) struct Racy {
    pub(crate) server: Server,
    model: Arc<Model>,
    /// The maximum number of concurrent calls, by lane: audio, pictures.
    pub(crate) most: Arc<[AtomicUsize; 2]>,
    /// From now on, closes every connection before anything is done.
    pub(crate) down: Arc<AtomicBool>,
    /// Answers each call with HTTP 500.
    pub(crate) broken: Arc<AtomicBool>,
}

impl Racy {
    pub(crate) fn start(manners: Manners) -> Self {
        Self::start_with(manners, None, |_, _, carry_out| carry_out(None))
    }

    /// A server that keeps saved drafts in a folder and handles each call as `misbehave` says, which may or may
    /// not apply it.
    pub(crate) fn start_with(
        manners: Manners,
        folder: Option<&Path>,
        misbehave: impl Fn(&Model, &Asked, &dyn Fn(Option<BadSave>) -> Answer) -> Answer
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let model = Arc::new(Model {
            folder: folder.map(Path::to_owned),
            ..Model::default()
        });
        let most: Arc<[AtomicUsize; 2]> = Arc::default();
        let now: Arc<[AtomicUsize; 2]> = Arc::default();
        let down = Arc::new(AtomicBool::new(false));
        let broken = Arc::new(AtomicBool::new(false));
        let dice = AtomicU64::new(0x9e37_79b9);
        let (memory, peak, stopped) = (model.clone(), most.clone(), down.clone());
        let fails = Arc::clone(&broken);
        let server = Server::start(move |asked| {
            if stopped.load(Ordering::SeqCst) {
                return Answer::failure("").delivery(Delivery::Reset);
            }
            if fails.load(Ordering::SeqCst) {
                return Answer::new(500, "text/html", "<h1>Internal Server Error</h1>");
            }
            let lane = match asked.path.as_str() {
                "/add_audio" => Some(0),
                "/add_video" | "/add_image" => Some(1),
                _ => None,
            };
            if let Some(lane) = lane {
                let under_way = now[lane].fetch_add(1, Ordering::SeqCst) + 1;
                peak[lane].fetch_max(under_way, Ordering::SeqCst);
            }
            let roll = dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            let latency = if manners.steady {
                manners.latency
            } else {
                manners.latency.mul_f64((mix(roll) % 1000) as f64 / 1000.0)
            };
            if lane.is_some() || asked.path == "/create_draft" {
                thread::sleep(latency);
            }
            let answer = misbehave(&memory, asked, &|bad| memory.answer(asked, manners, bad));
            if let Some(lane) = lane {
                now[lane].fetch_sub(1, Ordering::SeqCst);
            }
            answer
        });
        Self {
            server,
            model,
            most,
            down,
            broken,
        }
    }

    /// Forgets all drafts, as a restart does.
    pub(crate) fn forget(&self) {
        self.model.restart();
    }

    /// The content of a draft.
    pub(crate) fn draft(&self, id: &str) -> Content {
        content(&self.model.drafts()[id])
    }

    /// The content of a draft at its last save.
    pub(crate) fn saved(&self, id: &str) -> Option<Content> {
        self.model
            .saved
            .lock()
            .expect("not poisoned")
            .get(id)
            .cloned()
    }

    pub(crate) fn drafts(&self) -> usize {
        self.model.drafts().len()
    }
}

/// Mixes the bits of a number (a hash).
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn content(tracks: &[Track]) -> Content {
    tracks
        .iter()
        .filter(|track| !track.segments.is_empty())
        .map(|track| {
            let mut segments = track.segments.clone();
            segments.sort();
            (track.name.clone(), segments)
        })
        .collect()
}

/// The answer of a call that was running when the server restarted.
fn died() -> Answer {
    Answer::failure("").delivery(Delivery::Reset)
}

impl Model {
    fn drafts(&self) -> MutexGuard<'_, HashMap<String, Vec<Track>>> {
        self.drafts.lock().expect("not poisoned")
    }

    pub(crate) fn restart(&self) {
        let mut drafts = self.drafts();
        self.life.fetch_add(1, Ordering::SeqCst);
        drafts.clear();
        self.statuses.lock().expect("not poisoned").clear();
    }

    /// Forgets one draft, as if memory ran out.
    pub(crate) fn evict(&self, roll: u64) {
        let mut drafts = self.drafts();
        let mut ids: Vec<String> = drafts.keys().cloned().collect();
        ids.sort();
        if !ids.is_empty() {
            drafts.remove(&ids[roll as usize % ids.len()]);
        }
    }

    fn make(&self) -> String {
        let id = format!(
            "dfd_cat_1767225600_{:08x}",
            self.made.fetch_add(1, Ordering::SeqCst)
        );
        self.drafts().insert(id.clone(), Vec::new());
        id
    }

    /// Changes the tracks of a draft; `None` if the server was restarted since `life`. A change to a draft that
    /// was evicted meanwhile has no effect.
    fn with<T>(
        &self,
        life: usize,
        id: &str,
        change: impl FnOnce(&mut Vec<Track>) -> T,
    ) -> Option<T> {
        let mut drafts = self.drafts();
        if self.life.load(Ordering::SeqCst) != life {
            return None;
        }
        Some(match drafts.get_mut(id) {
            Some(tracks) => change(tracks),
            None => change(&mut evicted_draft()),
        })
    }

    fn answer(&self, asked: &Asked, manners: Manners, bad: Option<BadSave>) -> Answer {
        let life = self.life.load(Ordering::SeqCst);
        let body = asked.json();
        let made = |id: &str| {
            Answer::success(
                &json!({ "draft_id": id, "draft_url": format!("https://example.invalid/?draft_id={id}") }),
            )
        };
        let id = body["draft_id"].as_str().unwrap_or_default().to_owned();
        let micros = |key: &str, default: f64| {
            (body[key].as_f64().unwrap_or(default) * 1e6).round_ties_even() as i64
        };
        let track = |default: &str| body["track_name"].as_str().unwrap_or(default).to_owned();
        let label = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let speed = body["speed"].as_f64().unwrap_or(1.0);
        let (name, kind, start, length, what) = match asked.path.as_str() {
            "/create_draft" => {
                return made(&self.make());
            }
            "/query_script" => {
                return match self.drafts().get(&id) {
                    Some(tracks) => Answer::success(&json!(script(tracks).to_string())),
                    None => Answer::failure(&format!("Draft {id} does not exist in cache.")),
                };
            }
            "/save_draft" => return self.save(&id, bad),
            "/query_draft_status" => {
                let task = body["task_id"].as_str().unwrap_or_default();
                let statuses = self.statuses.lock().expect("not poisoned");
                return match statuses.get(task) {
                    Some((status, message)) => Answer::success(&json!({
                        "status": status, "message": message, "progress": 100,
                        "completed_files": 0, "total_files": 0, "draft_url": "",
                    })),
                    None => Answer::failure(&format!("Task with ID {task} not found")),
                };
            }
            "/get_mask_types" => {
                return Answer::success(&json!([{ "name": "Circle" }, { "name": "Heart" }]));
            }
            "/add_video" => {
                let length = ((micros("end", 0.0) - micros("start", 0.0)) as f64 / speed) as i64;
                (
                    track("video_main"),
                    "video",
                    micros("target_start", 0.0),
                    length,
                    label("video_url"),
                )
            }
            "/add_image" => {
                let start = micros("start", 0.0);
                (
                    track("image_main"),
                    "video",
                    start,
                    micros("end", 3.0) - start,
                    label("image_url"),
                )
            }
            "/add_audio" => {
                let length = micros("end", 0.0) - micros("start", 0.0);
                (
                    track("audio_main"),
                    "audio",
                    micros("target_start", 0.0),
                    length,
                    label("audio_url"),
                )
            }
            "/add_text" => {
                let start = micros("start", 0.0);
                (
                    track("text_main"),
                    "text",
                    start,
                    micros("end", 5.0) - start,
                    label("text"),
                )
            }
            "/add_subtitle" => {
                return match self.captions(life, &id, &track("subtitle"), &label("srt")) {
                    Some(id) => made(&id),
                    None => died(),
                };
            }
            "/add_sticker" => {
                let start = micros("start", 0.0);
                (
                    track("sticker_main"),
                    "sticker",
                    start,
                    micros("end", 5.0) - start,
                    label("sticker_id"),
                )
            }
            "/add_effect" => {
                let start = micros("start", 0.0);
                (
                    track("effect_01"),
                    "effect",
                    start,
                    micros("end", 3.0) - start,
                    label("effect_type"),
                )
            }
            "/add_video_keyframe" => return made(&id),
            _ => {
                return Answer::new(
                    404,
                    "text/html",
                    "<!doctype html><title>404 Not Found</title>",
                );
            }
        };
        let pause = if manners.steady {
            Duration::ZERO
        } else {
            Duration::from_micros(300)
        };
        let Some(open) = self
            .drafts()
            .get(&id)
            .map(|tracks| tracks.iter().all(|track| track.name != name))
        else {
            // The reference silently creates another draft and adds the segment there.
            let other = self.make();
            let segment = (start, length, what);
            let placed = self.with(life, &other, |tracks| {
                tracks.push(Track {
                    name,
                    kind,
                    segments: vec![segment],
                });
            });
            return if placed.is_some() {
                made(&other)
            } else {
                died()
            };
        };
        if kind == "video" {
            let pictures = self.with(life, &id, |tracks| {
                let count = tracks.iter().filter(|track| track.kind == "video").count();
                if count == 0 {
                    tracks.push(Track {
                        name: "video".to_owned(),
                        kind,
                        segments: Vec::new(),
                    });
                }
                count
            });
            match pictures {
                None => return died(),
                Some(1) => return Answer::failure("Error occurred while processing video: ."),
                Some(_) => {}
            }
        }
        if open {
            thread::sleep(pause);
            let opened = self.with(life, &id, |tracks| {
                // The second creation replaces the first track, including its segments.
                tracks.retain(|track| track.name != name);
                tracks.push(Track {
                    name: name.clone(),
                    kind,
                    segments: Vec::new(),
                });
            });
            if opened.is_none() {
                return died();
            }
        }
        thread::sleep(pause);
        let placed = self.with(life, &id, |tracks| {
            let Some(track) = tracks.iter_mut().find(|track| track.name == name) else {
                // An evicted draft accepts the segment too.
                return true;
            };
            let overlaps =
                |(s, l, _): &(i64, i64, String)| !(s + l <= start || start + length <= *s);
            if track.segments.iter().any(overlaps) {
                return false;
            }
            track.segments.push((start, length, what));
            true
        });
        match placed {
            None => died(),
            Some(true) => made(&id),
            Some(false) => Answer::failure(
                "Error occurred: New segment overlaps with existing segment [start: 0, end: 0].",
            ),
        }
    }

    /// One text per cue, one second long.
    fn captions(&self, life: usize, id: &str, name: &str, srt: &str) -> Option<String> {
        let id = if self.drafts().contains_key(id) {
            id.to_owned()
        } else {
            self.make()
        };
        let cues: Vec<(i64, i64, String)> = srt
            .lines()
            .filter_map(|line| {
                line.split_once(" --> ")?
                    .0
                    .rsplit(':')
                    .next()?
                    .split_once(',')
            })
            .filter_map(|(seconds, _)| seconds.parse::<i64>().ok())
            .map(|seconds| (seconds * 1_000_000, 1_000_000, format!("cue at {seconds}")))
            .collect();
        self.with(life, &id, |tracks| {
            let at = tracks
                .iter()
                .position(|track| track.name == name)
                .unwrap_or_else(|| {
                    tracks.push(Track {
                        name: name.to_owned(),
                        kind: "text",
                        segments: Vec::new(),
                    });
                    tracks.len() - 1
                });
            tracks[at].segments.extend(cues);
        })?;
        Some(id)
    }

    /// Always says success; the actual result is in the status and the files.
    fn save(&self, id: &str, bad: Option<BadSave>) -> Answer {
        let mut statuses = self.statuses.lock().expect("not poisoned");
        let Some(tracks) = self.drafts().get(id).cloned() else {
            let message = format!("Draft {id} does not exist in cache.");
            statuses.insert(id.to_owned(), ("failed", message));
            return Answer::success(&json!({ "draft_url": null, "success": true }));
        };
        let status = if bad == Some(BadSave::Fails) {
            ("failed", "Failed to save draft: no space left".to_owned())
        } else {
            self.saved
                .lock()
                .expect("not poisoned")
                .insert(id.to_owned(), content(&tracks));
            if let Some(folder) = &self.folder {
                write_files(&folder.join(id), &tracks, bad);
            }
            ("completed", "Draft creation completed".to_owned())
        };
        statuses.insert(id.to_owned(), status);
        Answer::success(&json!({ "draft_url": "", "success": true }))
    }
}

/// The media file for an address such as `http://host/range/clip.mp4?n=1`.
fn source(address: &str) -> &str {
    let path = address.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// The file name of a material, and its folder below `assets`.
fn file_of(kind: &str, what: &str) -> (&'static str, String) {
    let number = what.bytes().fold(0, |sum, byte| mix(sum ^ u64::from(byte)));
    match kind {
        "audio" => ("audio", format!("audio_{number:016x}.mp3")),
        _ if source(what).ends_with("mp4") => ("video", format!("video_{number:016x}.mp4")),
        _ => ("image", format!("image_{number:016x}.png")),
    }
}

fn write_files(folder: &Path, tracks: &[Track], bad: Option<BadSave>) {
    let mut bad = bad;
    for track in tracks
        .iter()
        .filter(|track| matches!(track.kind, "video" | "audio"))
    {
        for (_, _, what) in &track.segments {
            let (below, name) = file_of(track.kind, what);
            let below = folder.join("assets").join(below);
            std::fs::create_dir_all(&below).expect("a folder for the draft");
            let mut bytes = std::fs::read(media(source(what))).expect("a media file");
            match bad.take() {
                Some(BadSave::FileMissing) => {
                    let _ = std::fs::remove_file(below.join(name));
                    continue;
                }
                Some(BadSave::FileCut) => bytes.truncate(bytes.len() / 2),
                Some(BadSave::FileWrong) => bytes = b"<html>Please log in</html>".to_vec(),
                Some(BadSave::Fails) | None => {}
            }
            std::fs::write(below.join(name), bytes).expect("a file of the draft");
        }
    }
}

fn evicted_draft() -> Vec<Track> {
    Vec::new()
}

fn script(tracks: &[Track]) -> Value {
    let (mut videos, mut audios) = (BTreeMap::new(), BTreeMap::new());
    let tracks: Vec<Value> = tracks
        .iter()
        .map(|track| {
            let segments: Vec<Value> = track
                .segments
                .iter()
                .map(|(start, duration, what)| {
                    let (kind, name) = file_of(track.kind, what);
                    let material = json!({
                        "id": name, "material_name": name, "name": name, "remote_url": what, "duration": 4_000_000,
                        "type": if kind == "image" { "photo" } else { kind },
                    });
                    match track.kind {
                        "video" => drop(videos.insert(name.clone(), material)),
                        "audio" => drop(audios.insert(name.clone(), material)),
                        _ => {}
                    }
                    json!({
                        "material_id": name, "common_keyframes": [],
                        "target_timerange": { "start": start, "duration": duration },
                    })
                })
                .collect();
            json!({ "name": track.name, "type": track.kind, "segments": segments })
        })
        .collect();
    let (videos, audios): (Vec<Value>, Vec<Value>) = (
        videos.into_values().collect(),
        audios.into_values().collect(),
    );
    json!({ "tracks": tracks, "materials": { "videos": videos, "audios": audios } })
}
