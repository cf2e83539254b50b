//! A CapCut API with the reference server's race: a track that is missing is made in two steps, so that of two
//! calls that open it at once one loses its segment, acknowledged all the same. Latencies are random.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Asked, Delivery, Server};

#[derive(Clone, Debug)]
struct Track {
    name: String,
    kind: &'static str,
    /// Start and length in microseconds, and what it is.
    segments: Vec<(i64, i64, String)>,
}

type Drafts = Mutex<HashMap<String, Vec<Track>>>;

/// How the server behaves.
#[derive(Clone, Copy)]
pub(crate) struct Manners {
    /// The longest latency of a call.
    pub(crate) latency: Duration,
    /// Whether every call takes just that long.
    pub(crate) steady: bool,
}

pub(crate) struct Racy {
    pub(crate) server: Server,
    drafts: Arc<Drafts>,
    /// The most calls under way at once, by lane: audio, pictures.
    pub(crate) most: Arc<[AtomicUsize; 2]>,
    /// Refuses connections from now on, as a server that was stopped.
    pub(crate) down: Arc<AtomicBool>,
}

impl Racy {
    pub(crate) fn start(manners: Manners) -> Self {
        let drafts: Arc<Drafts> = Arc::default();
        let most: Arc<[AtomicUsize; 2]> = Arc::default();
        let now: Arc<[AtomicUsize; 2]> = Arc::default();
        let down = Arc::new(AtomicBool::new(false));
        let dice = AtomicU64::new(0x9e37_79b9);
        let counter = AtomicU64::new(0);
        let (kept, peak, stopped) = (drafts.clone(), most.clone(), down.clone());
        let server = Server::start(move |asked| {
            if stopped.load(Ordering::SeqCst) {
                return Answer::failure("").delivery(Delivery::Reset);
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
            let mixed = (roll ^ (roll >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33;
            let latency = if manners.steady {
                manners.latency
            } else {
                manners.latency.mul_f64((mixed % 1000) as f64 / 1000.0)
            };
            if lane.is_some() || asked.path == "/create_draft" {
                thread::sleep(latency);
            }
            let answer = answer(asked, &kept, &counter, manners);
            if let Some(lane) = lane {
                now[lane].fetch_sub(1, Ordering::SeqCst);
            }
            answer
        });
        Self {
            server,
            drafts,
            most,
            down,
        }
    }

    /// All drafts are forgotten, as by a restart.
    pub(crate) fn forget(&self) {
        self.drafts.lock().expect("not poisoned").clear();
    }

    /// What a draft holds: by track, sorted, without ids.
    pub(crate) fn draft(&self, id: &str) -> BTreeMap<String, Vec<(i64, i64, String)>> {
        let drafts = self.drafts.lock().expect("not poisoned");
        drafts[id]
            .iter()
            .filter(|track| !track.segments.is_empty())
            .map(|track| {
                let mut segments = track.segments.clone();
                segments.sort();
                (track.name.clone(), segments)
            })
            .collect()
    }

    pub(crate) fn drafts(&self) -> usize {
        self.drafts.lock().expect("not poisoned").len()
    }
}

fn answer(asked: &Asked, drafts: &Drafts, counter: &AtomicU64, manners: Manners) -> Answer {
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
            let id = format!(
                "dfd_cat_1767225600_{:08x}",
                counter.fetch_add(1, Ordering::SeqCst)
            );
            drafts
                .lock()
                .expect("not poisoned")
                .insert(id.clone(), Vec::new());
            return made(&id);
        }
        "/query_script" => {
            let drafts = drafts.lock().expect("not poisoned");
            return match drafts.get(&id) {
                Some(tracks) => Answer::success(&json!(script(tracks).to_string())),
                None => Answer::failure(&format!("Draft {id} does not exist in cache.")),
            };
        }
        "/save_draft" => return Answer::success(&json!({ "draft_url": "", "success": true })),
        "/query_draft_status" => {
            return Answer::success(&json!({
                "status": "completed", "message": "Draft creation completed", "progress": 100,
                "completed_files": 0, "total_files": 0, "draft_url": "",
            }));
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
        "/add_subtitle" => (track("subtitle"), "text", 0, 1_000_000, label("srt")),
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
    let missing = |name: &str| {
        let drafts = drafts.lock().expect("not poisoned");
        drafts
            .get(&id)
            .map(|tracks| tracks.iter().all(|track| track.name != name))
    };
    let Some(open) = missing(&name) else {
        // The reference makes another draft, silently.
        let other = format!(
            "dfd_cat_1767225601_{:08x}",
            counter.fetch_add(1, Ordering::SeqCst)
        );
        drafts
            .lock()
            .expect("not poisoned")
            .insert(other.clone(), Vec::new());
        return made(&other);
    };
    if kind == "video" {
        let mut drafts = drafts.lock().expect("not poisoned");
        let tracks = drafts.entry(id.clone()).or_default();
        match tracks.iter().filter(|track| track.kind == "video").count() {
            0 => tracks.push(Track {
                name: "video".to_owned(),
                kind,
                segments: Vec::new(),
            }),
            1 => return Answer::failure("Error occurred while processing video: ."),
            _ => {}
        }
    }
    if open {
        thread::sleep(pause);
        let mut drafts = drafts.lock().expect("not poisoned");
        let tracks = drafts.entry(id.clone()).or_default();
        // The second creation replaces the first track with everything already in it.
        tracks.retain(|track| track.name != name);
        tracks.push(Track {
            name: name.clone(),
            kind,
            segments: Vec::new(),
        });
    }
    thread::sleep(pause);
    let mut drafts = drafts.lock().expect("not poisoned");
    let tracks = drafts.entry(id.clone()).or_default();
    let Some(track) = tracks.iter_mut().find(|track| track.name == name) else {
        return Answer::failure("Error occurred: no track");
    };
    let overlaps = |(s, l, _): &(i64, i64, String)| !(s + l <= start || start + length <= *s);
    if track.segments.iter().any(overlaps) {
        return Answer::failure(
            "Error occurred: New segment overlaps with existing segment [start: 0, end: 0].",
        );
    }
    track.segments.push((start, length, what));
    made(&id)
}

fn script(tracks: &[Track]) -> Value {
    let tracks: Vec<Value> = tracks
        .iter()
        .map(|track| {
            let segments: Vec<Value> = track
                .segments
                .iter()
                .map(|(start, duration, _)| {
                    json!({ "target_timerange": { "start": start, "duration": duration }, "common_keyframes": [] })
                })
                .collect();
            json!({ "name": track.name, "type": track.kind, "segments": segments })
        })
        .collect();
    json!({ "tracks": tracks, "materials": {} })
}
