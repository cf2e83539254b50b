//! Servers that speak variants of the CapCut API with their own problems, and how the program reacts to them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{Answer, Asked, Delivery, Home, Server, media};

/// The length of every media file on these servers, once they have inspected it, in microseconds.
const LENGTH: i64 = 2_000_000;

/// How a server differs from the reference server.
#[derive(Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the differences are independent"
)]
struct Ways {
    /// An unknown draft is recreated, empty, under the id that was sent.
    recreates: bool,
    /// A draft that was saved once is not saved again, and its status remains that of the first save.
    saves_once: bool,
    /// The answer to `GET /`.
    root: Option<Value>,
    /// The answer to `GET /health`.
    health: Option<Value>,
    /// The answer to `GET /openapi.json`.
    openapi: Option<Value>,
    /// It has the preview endpoints of newer versions.
    previews: bool,
    /// It uses the names of JianYing.
    jianying: bool,
    /// Where it keeps saved drafts, unless it writes into the folder that the call names.
    own: PathBuf,
    into_named: bool,
    /// It answers a save with the path of the folder.
    tells_path: bool,
    /// Saves and statuses have no envelope.
    bare: bool,
}

#[derive(Clone)]
struct Segment {
    start: i64,
    length: Option<i64>,
    url: Option<String>,
    /// The times of keyframes on the timeline.
    keyframes: Vec<i64>,
}

#[derive(Default)]
struct Memory {
    /// Keyframes that wait until the draft is inspected next: draft, track, time.
    pending: Vec<(String, String, i64)>,
    drafts: HashMap<String, BTreeMap<String, Vec<Segment>>>,
    saved: Vec<String>,
    made: u32,
}

struct Relative {
    server: Server,
    memory: Arc<Mutex<Memory>>,
}

impl Relative {
    fn start(ways: Ways) -> Self {
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let shared = Arc::clone(&memory);
        let server = Server::start(move |asked| shared.lock().unwrap().answer(&ways, asked));
        Self { server, memory }
    }

    /// Forgets all drafts, as a restart does.
    fn restart(&self) {
        let mut memory = self.memory.lock().unwrap();
        memory.drafts.clear();
        memory.saved.clear();
    }

    fn segments(&self, draft: &str) -> usize {
        let memory = self.memory.lock().unwrap();
        memory.drafts[draft].values().map(Vec::len).sum()
    }
}

impl Memory {
    fn answer(&mut self, ways: &Ways, asked: &Asked) -> Answer {
        let body = asked.json();
        let text = |key: &str| body[key].as_str().map(str::to_owned);
        let seconds = |key: &str| body[key].as_f64().map(|seconds| (seconds * 1e6) as i64);
        let id = text("draft_id").unwrap_or_default();
        match asked.path.as_str() {
            "/get_mask_types" => {
                let names: &[&str] = if ways.jianying {
                    &["线性", "圆形"]
                } else {
                    &["Linear", "Circle"]
                };
                let names: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
                Answer::success(&json!(names))
            }
            "/" if ways.root.is_some() => Answer::json(ways.root.as_ref().unwrap()),
            "/health" if ways.health.is_some() => Answer::json(ways.health.as_ref().unwrap()),
            "/openapi.json" if ways.openapi.is_some() => {
                Answer::json(ways.openapi.as_ref().unwrap())
            }
            "/preview/media" if ways.previews => Answer::json(&json!({})),
            "/create_draft" => {
                let id = self.make();
                Answer::success(&json!({ "draft_id": id, "draft_url": "" }))
            }
            "/query_script" => {
                if body["force_update"] != false {
                    self.refresh(&id);
                }
                match self.drafts.get(&id) {
                    Some(tracks) => Answer::success(&json!(script(tracks).to_string())),
                    None => Answer::failure(&format!("Draft {id} does not exist in cache.")),
                }
            }
            "/save_draft" => self.save(ways, &id, text("draft_folder")),
            "/query_draft_status" => {
                let task = text("task_id").unwrap_or_default();
                if !self.saved.contains(&task) {
                    return Answer::failure(&format!("Task with ID {task} not found."));
                }
                let mut status =
                    json!({ "status": "completed", "progress": 100, "message": "done" });
                if ways.bare {
                    status["success"] = json!(true);
                    Answer::json(&status)
                } else {
                    status["draft_url"] = json!("");
                    Answer::success(&status)
                }
            }
            "/add_video_keyframe" => {
                let track = text("track_name").unwrap_or("video_main".into());
                let time = seconds("time").unwrap_or(0);
                self.pending.push((id.clone(), track, time));
                Answer::success(&json!({ "draft_id": id, "draft_url": "" }))
            }
            path if path.starts_with("/add_") => {
                let id = if self.drafts.contains_key(&id) {
                    id
                } else if ways.recreates {
                    self.drafts.insert(id.clone(), BTreeMap::new());
                    id
                } else {
                    self.make()
                };
                let url = ["video_url", "audio_url", "image_url"]
                    .iter()
                    .find_map(|key| text(key));
                let track = text("track_name").unwrap_or(
                    if url.is_some() {
                        "video_main"
                    } else {
                        "text_main"
                    }
                    .into(),
                );
                let start = seconds("target_start").filter(|_| url.is_some());
                let start = start
                    .or(seconds("start").filter(|_| url.is_none()))
                    .unwrap_or(0);
                let length = match &url {
                    Some(_) => seconds("end").map(|end| end - seconds("start").unwrap_or(0)),
                    None => Some(1_000_000),
                };
                let segments = self.drafts.get_mut(&id).unwrap().entry(track).or_default();
                let keyframes = Vec::new();
                segments.push(Segment {
                    start,
                    length,
                    url,
                    keyframes,
                });
                Answer::success(&json!({ "draft_id": id, "draft_url": "" }))
            }
            _ => Answer::new(
                404,
                "text/html",
                "<!doctype html><title>404 Not Found</title>",
            ),
        }
    }

    fn make(&mut self) -> String {
        self.made += 1;
        let id = format!("dfd_cat_1700000000_{:08x}", self.made);
        self.drafts.insert(id.clone(), BTreeMap::new());
        id
    }

    /// Measures the files, and drops segments that now overlap earlier ones.
    fn refresh(&mut self, id: &str) {
        for segments in self
            .drafts
            .get_mut(id)
            .into_iter()
            .flat_map(BTreeMap::values_mut)
        {
            let mut end = i64::MIN;
            segments.sort_by_key(|segment| segment.start);
            segments.retain_mut(|segment| {
                let length = *segment.length.get_or_insert(LENGTH);
                let fits = segment.start >= end;
                if fits {
                    end = segment.start + length;
                }
                fits
            });
        }
        let (due, later) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(of, ..)| of == id);
        self.pending = later;
        for (_, track, time) in due {
            let tracks = self.drafts.get_mut(id);
            let segments = tracks.and_then(|tracks| tracks.get_mut(&track));
            let clip = segments.into_iter().flatten().find(|segment| {
                let end = segment.start + segment.length.unwrap_or(0);
                (segment.start..=end).contains(&time)
            });
            if let Some(clip) = clip {
                clip.keyframes.push(time);
            }
        }
    }

    fn save(&mut self, ways: &Ways, id: &str, named: Option<String>) -> Answer {
        let folder = named
            .filter(|_| ways.into_named)
            .map_or(ways.own.clone(), PathBuf::from)
            .join(id);
        let skips = ways.saves_once && self.saved.iter().any(|saved| saved == id);
        if !skips {
            if ways.recreates && !self.drafts.contains_key(id) {
                self.drafts.insert(id.to_owned(), BTreeMap::new());
            }
            self.refresh(id);
            let Some(tracks) = self.drafts.get(id) else {
                return Answer::failure(&format!("Draft {id} does not exist in cache."));
            };
            write(&folder, &script(tracks));
            self.saved.push(id.to_owned());
        }
        let url = if ways.tells_path {
            folder.display().to_string()
        } else {
            String::new()
        };
        if ways.bare {
            return Answer::json(&json!({ "success": true, "task_id": id, "message": "started" }));
        }
        let mut output = json!({ "success": true, "draft_url": url });
        if ways.saves_once {
            output["task_id"] = json!(id);
        }
        Answer::success(&output)
    }
}

fn script(tracks: &BTreeMap<String, Vec<Segment>>) -> Value {
    let (mut videos, mut texts, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for (name, segments) in tracks {
        let mut list = Vec::new();
        for (number, segment) in segments.iter().enumerate() {
            let id = format!("{name}{number}");
            let range = json!({ "start": segment.start, "duration": segment.length.unwrap_or(0) });
            let source = json!({ "start": 0, "duration": segment.length.unwrap_or(0) });
            match &segment.url {
                Some(url) => videos.push(json!({
                    "id": id, "type": "video", "material_name": "video_1.mp4", "remote_url": url, "path": "",
                    "duration": segment.length.unwrap_or(0), "width": 64, "height": 64,
                })),
                None => texts.push(json!({ "id": id, "content": "{\"text\":\"a\",\"styles\":[]}" })),
            }
            let keyframes: Vec<Value> = segment
                .keyframes
                .iter()
                .map(|time| json!({ "time_offset": time - segment.start, "values": [0.5] }))
                .collect();
            let keyframes = json!([{ "property_type": "KFTypeAlpha", "keyframe_list": keyframes }]);
            list.push(json!({ "id": format!("s{id}"), "material_id": id, "common_keyframes": keyframes, "target_timerange": range, "source_timerange": source }));
        }
        let kind = if name.starts_with("text") {
            "text"
        } else {
            "video"
        };
        all.push(json!({ "id": format!("t{name}"), "name": name, "type": kind, "segments": list }));
    }
    json!({
        "id": "91E08AC5-22FB-47E2-9AA0-7DC300FAEA2B", "fps": 30.0, "duration": LENGTH,
        "canvas_config": { "width": 1080, "height": 1920, "ratio": "original" },
        "materials": { "videos": videos, "audios": [], "texts": texts }, "tracks": all,
    })
}

fn write(folder: &Path, script: &Value) {
    let _ = std::fs::remove_dir_all(folder);
    let assets = folder.join("assets/video");
    std::fs::create_dir_all(&assets).unwrap();
    if script["materials"]["videos"] != json!([]) {
        std::fs::copy(media("clip.mp4"), assets.join("video_1.mp4")).unwrap();
    }
    std::fs::write(folder.join("draft_info.json"), script.to_string()).unwrap();
}

/// A home that is configured with the server's drafts folder, if it can see that folder; and a draft on the
/// server.
fn with_draft(relative: &Relative, sees: Option<&Path>) -> (Home, String) {
    let mut home = Home::new();
    home.api(&relative.server.url);
    let seen = sees
        .map(|own| own.display().to_string())
        .unwrap_or_default();
    let config = format!(
        "[api]\ndrafts_folder = '{seen}'\nmend_saves = false\n[limits]\nstatus_every_s = 0.02\n"
    );
    let config = home.file("tools.toml", config);
    home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
    let draft = home.call("create_draft", &json!({})).unwrap()["draft_id"].clone();
    let draft = draft.as_str().unwrap().to_owned();
    (home, draft)
}

fn text(draft: &str, start: f64) -> Value {
    json!({ "draft_id": draft, "text": "a", "start": start, "end": start + 1.0 })
}

fn save(draft: &str) -> Value {
    json!({ "draft_id": draft })
}

#[test]
fn clips_that_a_server_drops_after_measuring_them_are_failures() {
    for sees in [true, false] {
        let own = tempfile::tempdir().unwrap();
        let relative = Relative::start(Ways {
            own: own.path().into(),
            ..Ways::default()
        });
        let (home, draft) = with_draft(&relative, sees.then_some(own.path()));
        for start in 0..3 {
            let video =
                json!({ "draft_id": draft, "video_url": media("clip.mp4"), "target_start": start });
            home.call("add_video", &video).unwrap();
        }
        let (code, said) = home.call("save_draft", &save(&draft)).unwrap_err();
        assert_eq!(code, 2, "{said}");
        assert!(
            said.contains("dropped 1 of 3") && said.contains("at 1 s") && said.contains("`end`"),
            "{said}"
        );
        assert_eq!(
            relative.server.count("/save_draft"),
            0,
            "nothing was saved: {said}"
        );
        assert_eq!(relative.server.count("/query_script"), 1);
    }
}

/// Given lengths may differ from those that the server keeps.
#[test]
fn a_saved_draft_that_lacks_segments_is_a_failure() {
    let own = tempfile::tempdir().unwrap();
    let folder = own.path().to_owned();
    let relative = Relative::start(Ways {
        own: own.path().into(),
        ..Ways::default()
    });
    let (home, draft) = with_draft(&relative, Some(own.path()));
    home.call("add_text", &text(&draft, 0.0)).unwrap();
    home.call("add_text", &text(&draft, 1.0)).unwrap();
    let reply = home.call("save_draft", &save(&draft)).unwrap();
    assert_eq!(
        reply["folder"],
        folder.join(&draft).display().to_string(),
        "{reply}"
    );
    assert_eq!(
        relative.server.count("/query_script"),
        1,
        "one query per save"
    );
}

#[test]
fn a_skipped_second_save_is_a_failure() {
    let own = tempfile::tempdir().unwrap();
    let relative = Relative::start(Ways {
        own: own.path().into(),
        saves_once: true,
        ..Ways::default()
    });
    let (home, draft) = with_draft(&relative, Some(own.path()));
    home.call("add_text", &text(&draft, 0.0)).unwrap();
    home.call("save_draft", &save(&draft)).unwrap();
    home.call("save_draft", &save(&draft)).unwrap();
    home.call("add_text", &text(&draft, 1.0)).unwrap();
    let (_, said) = home.call("save_draft", &save(&draft)).unwrap_err();
    assert!(said.contains("1 of 2 segments"), "{said}");
}

#[test]
fn an_unreachable_save_is_reported_as_unchecked() {
    let own = tempfile::tempdir().unwrap();
    let relative = Relative::start(Ways {
        own: own.path().into(),
        ..Ways::default()
    });
    let (home, draft) = with_draft(&relative, None);
    home.call("add_text", &text(&draft, 0.0)).unwrap();
    let reply = home.call("save_draft", &save(&draft)).unwrap();
    assert!(
        reply["notes"].to_string().contains("not checked"),
        "{reply}"
    );
    assert_eq!(reply["folder"], Value::Null, "{reply}");
}

/// An earlier save in the server's own folder is not mistaken for the one that went to another folder.
#[test]
fn the_folder_in_the_reply_is_the_one_that_was_written() {
    let (own, named) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (previews, tells_path) in [(true, true), (true, false), (false, false)] {
        let ways = Ways {
            own: own.path().into(),
            into_named: true,
            previews,
            tells_path,
            ..Ways::default()
        };
        let relative = Relative::start(ways);
        let (home, draft) = with_draft(&relative, Some(own.path()));
        home.call("add_text", &text(&draft, 0.0)).unwrap();
        let first = home.call("save_draft", &save(&draft)).unwrap();
        assert_eq!(
            first["folder"],
            own.path().join(&draft).display().to_string(),
            "{first}"
        );
        home.call("add_text", &text(&draft, 1.0)).unwrap();
        let wish = json!({ "draft_id": draft, "draft_folder": named.path() });
        let second = home.call("save_draft", &wish).unwrap();
        assert_eq!(
            second["folder"],
            named.path().join(&draft).display().to_string(),
            "{second}"
        );
    }
}

#[test]
fn a_draft_that_a_server_recreated_empty_is_recovered_or_refused() {
    let own = tempfile::tempdir().unwrap();
    let fork = Some(
        json!({ "success": true, "output": { "message": "CapCutAPI", "version": "1.1.0" }, "error": "" }),
    );
    // With a server that is known to recreate drafts, and with one that is not.
    for root in [fork, None] {
        for recover in ["ask", "auto"] {
            let bare = root.is_some();
            let ways = Ways {
                own: own.path().into(),
                recreates: true,
                root: root.clone(),
                bare,
                ..Ways::default()
            };
            let relative = Relative::start(ways);
            let (home, draft) = with_draft(&relative, Some(own.path()));
            for start in 0..3 {
                home.call("add_text", &text(&draft, f64::from(start)))
                    .unwrap();
            }
            relative.restart();
            let options = ["--recover", recover];
            let added = home.call_with(&options, "add_text", &text(&draft, 9.0));
            let saved = home.call_with(&options, "save_draft", &save(&draft));
            if recover == "ask" {
                let (code, said) = saved.unwrap_err();
                assert!(code == 2 && said.contains("recover_draft"), "{said}");
                assert!(
                    added.is_ok() != bare,
                    "detected at the first call to a server that is known for it"
                );
                continue;
            }
            added.unwrap();
            let saved = saved.unwrap();
            let folder = saved["folder"]
                .as_str()
                .unwrap_or_else(|| panic!("{saved}"));
            let new = Path::new(folder).file_name().unwrap().to_str().unwrap();
            assert_ne!(new, draft);
            assert_eq!(relative.segments(new), 4, "{saved}");
        }
    }
}

#[test]
fn the_edition_of_the_server_is_used_unless_one_is_requested() {
    let relative = Relative::start(Ways {
        jianying: true,
        ..Ways::default()
    });
    let (home, draft) = with_draft(&relative, None);
    let found = home
        .call("search_catalog", &json!({ "query": "fade" }))
        .unwrap();
    assert_eq!(found["edition"], "jianying", "{found}");
    // A name of CapCut is sent in this server's spelling; a name that this server lacks is refused.
    let image = |intro: &str| json!({ "draft_id": draft, "image_url": media("logo.png"), "intro_animation": intro });
    let (code, said) = home
        .call("add_image", &image("No Such Animation"))
        .unwrap_err();
    assert!(
        code == 2 && said.contains("JianYing has no intro animation"),
        "{said}"
    );
    let text = json!({ "draft_id": draft, "text": "a", "intro_animation": "Nothing Like It", "font": "Nor This" });
    let (_, said) = home.call("add_text", &text).unwrap_err();
    assert!(
        said.contains("`intro_animation`") && said.contains("`font`"),
        "{said}"
    );
    assert_eq!(relative.server.count("/add_"), 0, "nothing was sent");
    home.call("add_image", &image("Fade_In")).unwrap();
    let asked = relative.server.asked();
    let sent = asked
        .iter()
        .find(|asked| asked.path == "/add_image")
        .unwrap()
        .json();
    assert_eq!(sent["intro_animation"], "渐显", "{sent}");

    let options = ["--edition", "capcut"];
    for (tool, arguments) in [("create_draft", json!({})), ("add_image", image("Fade_In"))] {
        let (code, said) = home.call_with(&options, tool, &arguments).unwrap_err();
        assert!(
            code == 2 && said.contains("for JianYing") && said.contains("--edition capcut"),
            "{said}"
        );
    }
    let doctor = home.run(&["--edition", "capcut", "doctor"]);
    assert!(
        doctor.stdout.contains("makes drafts for JianYing"),
        "{doctor:#?}"
    );
}

#[test]
fn keyframes_that_a_server_would_drop_are_refused() {
    let fork = json!({ "message": "CapCutAPI", "version": "1.1.0" });
    for root in [Some(fork), None] {
        let relative = Relative::start(Ways {
            root: root.clone(),
            ..Ways::default()
        });
        let (home, draft) = with_draft(&relative, None);
        let video = json!({ "draft_id": draft, "video_url": media("clip.mp4"), "end": 1 });
        home.call("add_video", &video).unwrap();
        let at = |time: f64| json!({ "draft_id": draft, "time": time, "value": "0.5" });
        let (code, said) = home.call("add_video_keyframe", &at(5.0)).unwrap_err();
        let reason = if root.is_some() {
            "does not keep them"
        } else {
            "0 to 1 s"
        };
        assert!(code == 2 && said.contains(reason), "{said}");
        assert_eq!(relative.server.count("/add_video_keyframe"), 0, "{said}");
        if root.is_none() {
            home.call("add_video_keyframe", &at(0.5)).unwrap();
        }
    }
}

#[test]
fn subtitles_are_sent_to_servers_as_srt_with_a_font() {
    let relative = Relative::start(Ways::default());
    let (home, draft) = with_draft(&relative, None);
    let vtt = "WEBVTT\n\n00:01.000 --> 00:02.500\nhello\n";
    let file = home.file("captions.vtt", vtt);
    for srt in [vtt.to_owned(), file.display().to_string()] {
        home.call("add_subtitle", &json!({ "draft_id": draft, "srt": srt }))
            .unwrap();
    }
    let asked = relative.server.asked();
    let sent = asked.iter().filter(|asked| asked.path == "/add_subtitle");
    for body in sent.map(Asked::json) {
        assert_eq!(
            body["srt"], "1\n00:00:01,000 --> 00:00:02,500\nhello\n\n",
            "{body}"
        );
        assert!(body["font"].is_string(), "{body}");
    }
}

#[test]
fn an_id_that_is_not_a_plain_name_is_refused_and_not_stored() {
    for id in ["../../../../tmp/evil", "a\u{1b}[31m", "a\0b"] {
        let server = Server::start(move |asked| match asked.path.as_str() {
            "/get_mask_types" => Answer::success(&json!([{ "name": "Linear" }])),
            "/create_draft" => Answer::success(&json!({ "draft_id": id, "draft_url": "" })),
            _ => Answer::new(404, "text/html", ""),
        });
        let home = Home::remote(&server.url);
        let (_, said) = home.call("create_draft", &json!({})).unwrap_err();
        assert!(
            said.contains("not a plain name") && !said.contains('\u{1b}'),
            "{said}"
        );
        let drafts = home.call("list_drafts", &json!({})).unwrap();
        assert_eq!(drafts["drafts"], json!([]), "{drafts}");
    }
}

#[test]
fn the_status_of_a_save_is_read_in_each_form() {
    let own = tempfile::tempdir().unwrap();
    for bare in [true, false] {
        let relative = Relative::start(Ways {
            own: own.path().into(),
            bare,
            ..Ways::default()
        });
        let (home, draft) = with_draft(&relative, Some(own.path()));
        home.call("add_text", &text(&draft, 0.0)).unwrap();
        home.call("save_draft", &save(&draft)).unwrap();
        let status = home
            .call("query_draft_status", &json!({ "task_id": draft }))
            .unwrap();
        assert_eq!(status["status"], "completed", "{status}");
    }
}

/// The error for a call that only reads never says that it may have been applied: by MCP, on the command line,
/// through a front.
#[test]
fn a_failed_read_only_call_may_be_repeated_immediately() {
    let is_broken = Arc::new(Mutex::new(None));
    let shared: Arc<Mutex<Option<Answer>>> = Arc::clone(&is_broken);
    let memory: Mutex<Memory> = Mutex::default();
    let server = Server::start(move |asked| {
        let broken = shared.lock().unwrap().clone();
        broken.unwrap_or_else(|| memory.lock().unwrap().answer(&Ways::default(), asked))
    });
    let mut home = Home::remote(&server.url);
    let config = "[breaker]\nfailures = 10000\n[retry]\ntransient = { tries = 1 }\n[api]\nprobe_timeout_s = 0.5\n\
        [lanes]\nquery = { timeout_s = 0.5 }\n[tools]\nquery_script = { timeout_s = 0.5 }\n";
    let config = home.file("tools.toml", config);
    home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
    let mut client = home.connected();
    let front = home.engine(&[]);
    let draft = client.call("create_draft", json!({})).unwrap()["draft_id"].take();
    let known = front.post("/query_script", &json!({ "draft_id": draft }));
    assert_eq!(known.0, 200, "{known:?}");
    let lists = ["mask", "font", "transition", "audio_effect", "text_intro"];
    let lists = lists.map(|kind| format!("get_{kind}_types"));
    let calls = [
        ("query_script", json!({ "draft_id": draft })),
        ("query_draft_status", json!({ "task_id": draft })),
        ("generate_draft_url", json!({ "draft_id": draft })),
    ];
    let posts = calls.iter().cloned();
    let calls: Vec<_> = posts
        .chain(lists.iter().map(|list| (list.as_str(), json!({}))))
        .collect();
    for broken in [
        Answer::success(&json!({})).delivery(Delivery::Reset),
        Answer::success(&json!({})).delivery(Delivery::Silence),
        Answer::success(&json!("long enough")).delivery(Delivery::CutAt(12)),
        Answer::new(200, "application/json", ""),
        Answer::new(504, "text/html", ""),
    ] {
        *is_broken.lock().unwrap() = Some(broken.clone());
        for (tool, arguments) in &calls {
            let path = format!("/{tool}");
            let over_http = if path.starts_with("/get_") {
                front.get(&path).1
            } else {
                front.post(&path, arguments).1
            };
            let said = [
                client.call(tool, arguments.clone()).unwrap_err(),
                home.call(tool, arguments).unwrap_err().1,
                over_http,
            ];
            for said in said {
                let misleads = ["may have been", "look at the draft", "check the draft"];
                assert!(
                    !misleads.iter().any(|words| said.contains(words)),
                    "{tool}, {broken:?}: {said}"
                );
            }
        }
    }
}

#[test]
fn the_edition_chooses_between_two_servers() {
    let capcut = Relative::start(Ways::default());
    let jianying = Relative::start(Ways {
        jianying: true,
        ..Ways::default()
    });
    let (capcut, jianying) = (&capcut.server.url, &jianying.server.url);
    let home = |urls: &[&String]| {
        let mut home = Home::new();
        let config = home.file(
            "tools.toml",
            format!("[api]\nbase_urls = {}\n", json!(urls)),
        );
        home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
        home.set("CAPCUT_API_URL", "");
        home
    };
    for order in [[capcut, jianying], [jianying, capcut]] {
        let home = home(&order);
        let none = [order[0].as_str()];
        let asked = [("capcut", capcut), ("jianying", jianying)];
        for (edition, url) in asked
            .map(|(edition, url)| (Some(edition), url.as_str()))
            .into_iter()
            .chain(none.map(|url| (None, url)))
        {
            for backend in ["auto", "remote"] {
                let mut options = vec!["--backend", backend];
                options.extend(edition.iter().flat_map(|edition| ["--edition", *edition]));
                let made = home.call_with(&options, "create_draft", &json!({}));
                let listed = home.call("list_drafts", &json!({})).unwrap();
                let reply = made.unwrap();
                assert_eq!(reply["backend"], "remote", "{reply}");
                let drafts = listed["drafts"].as_array().unwrap();
                let of = |id: &Value| drafts.iter().find(|draft| draft["draft_id"] == *id);
                let draft = of(&reply["draft_id"]).unwrap_or_else(|| panic!("{listed}"));
                let text = draft.to_string();
                assert!(text.contains(url), "{options:?}: {text}");
            }
        }
    }
    let home = home(&[capcut]);
    let options = ["--edition", "jianying", "--backend", "remote"];
    let refused = home.call_with(&options, "create_draft", &json!({}));
    let (code, said) = refused.unwrap_err();
    assert!(
        code == 2 && said.contains("makes drafts for CapCut"),
        "{said}"
    );
    let doctor = home.run(&["--edition", "jianying", "doctor"]);
    assert!(
        doctor.stdout.contains("makes drafts for CapCut"),
        "{doctor:#?}"
    );
}

#[test]
fn a_draft_of_a_jianying_server_stays_jianying_on_the_engine() {
    let relative = Relative::start(Ways {
        jianying: true,
        ..Ways::default()
    });
    let (home, draft) = with_draft(&relative, None);
    let image =
        json!({ "draft_id": draft, "image_url": media("logo.png"), "intro_animation": "渐显" });
    home.call("add_image", &image).unwrap();
    let moved = home.call(
        "recover_draft",
        &json!({ "draft_id": draft, "to": "embedded" }),
    );
    let moved = moved.unwrap()["draft_id"].clone();
    let listed = home.call("list_drafts", &json!({})).unwrap();
    let drafts = listed["drafts"].as_array().unwrap();
    let row = drafts.iter().find(|row| row["draft_id"] == moved).unwrap();
    assert_eq!(row["edition"], "jianying", "{row}");
    let save = json!({ "draft_id": moved, "draft_folder": home.path().join("drafts") });
    let saved = home.call("save_draft", &save).unwrap();
    let folder = Path::new(saved["folder"].as_str().unwrap());
    let content = std::fs::read_to_string(folder.join("draft_content.json"));
    assert!(content.unwrap().contains("渐显"), "{saved}");
    // In the other direction, only a server of that app can take the draft.
    let other = Relative::start(Ways::default());
    let options = ["--api-url", other.server.url.as_str()];
    let back = json!({ "draft_id": moved, "to": "remote" });
    let (code, said) = home
        .call_with(&options, "recover_draft", &back)
        .unwrap_err();
    assert!(
        code == 2 && said.contains("the draft is for JianYing"),
        "{said}"
    );
}

/// In the API's dialect a keyframe may come before its clip. A keyframe that gets no clip is dropped, and the
/// save says so.
#[test]
fn keyframes_of_scripts_wait_for_their_clips_and_unused_ones_are_reported() {
    let own = tempfile::tempdir().unwrap();
    let relative = Relative::start(Ways {
        own: own.path().into(),
        ..Ways::default()
    });
    let (home, _) = with_draft(&relative, Some(own.path()));
    let clip = media("clip.mp4");
    let folder = clip.parent().unwrap().display().to_string();
    let front = home.engine(&["--backend", "remote", "--allow-dir", &folder]);
    let draft = front.output("/create_draft", &json!({})).unwrap()["draft_id"].take();
    let video = |start: u32| json!({ "draft_id": draft, "video_url": clip, "end": 1, "target_start": start });
    let keyframe = |time: f64| json!({ "draft_id": draft, "time": time, "property_type": "alpha", "value": "0.5" });
    front.output("/add_video", &video(0)).unwrap();
    for time in [4.5, 50.0, 0.5] {
        front
            .output("/add_video_keyframe", &keyframe(time))
            .unwrap();
    }
    front.output("/add_video", &video(4)).unwrap();
    let (_, saved) = front.post(
        "/save_draft",
        &json!({ "draft_id": draft, "auto_deploy": true }),
    );
    let saved: Value = serde_json::from_str(&saved).unwrap();
    assert_eq!(saved["success"], true, "{saved}");
    let notes = saved["notes"].to_string();
    assert!(
        notes.contains("dropped keyframes") && notes.contains("at 50 s") && !notes.contains("4.5"),
        "{saved}"
    );
    assert!(notes.contains("`auto_deploy` was ignored"), "{saved}");
    // The engine treats these keyframes as the server did.
    let moved = home
        .call(
            "recover_draft",
            &json!({ "draft_id": draft, "to": "embedded" }),
        )
        .unwrap();
    assert!(moved["notes"].to_string().contains("left out"), "{moved}");
    let script = home.call("query_script", &json!({ "draft_id": moved["draft_id"] }));
    let script = script.unwrap()["script"].take();
    let count = script.as_str().unwrap().matches("time_offset").count();
    assert_eq!(count, 2, "{script}");

    // On a server that keeps no keyframes, each call would be a false success.
    let fork = Relative::start(Ways {
        root: Some(json!({ "message": "CapCutAPI", "version": "1.1.0" })),
        ..Ways::default()
    });
    let (home, _) = with_draft(&fork, None);
    let front = home.engine(&["--backend", "remote"]);
    let draft = front.output("/create_draft", &json!({})).unwrap()["draft_id"].take();
    let keyframe =
        json!({ "draft_id": draft, "time": 0.5, "property_type": "alpha", "value": "0.5" });
    let said = front.output("/add_video_keyframe", &keyframe).unwrap_err();
    assert!(said.contains("does not keep them"), "{said}");
}

/// CapCutAPI-Docker answers `/health`, saves in a queue and skips a draft that it saved recently.
#[test]
fn the_docker_variant_is_recognised_by_its_health() {
    let own = tempfile::tempdir().unwrap();
    let health = json!({
        "status": "healthy", "message": "CapCutAPI is running normally", "timestamp": "now", "version": "1.0.0",
    });
    let relative = Relative::start(Ways {
        own: own.path().into(),
        saves_once: true,
        health: Some(health),
        ..Ways::default()
    });
    let (home, draft) = with_draft(&relative, Some(own.path()));
    let told = home.call("health_check", &json!({})).unwrap();
    let server = &told["servers"][0];
    assert_eq!(server["server"], "CapCutAPI-Docker", "{told}");
    assert!(server["caveats"].to_string().contains("/debug"), "{told}");
    home.call("add_text", &text(&draft, 0.0)).unwrap();
    let saved = home.call("save_draft", &save(&draft)).unwrap();
    assert_eq!(
        saved["folder"],
        own.path().join(&draft).display().to_string()
    );
    home.call("add_text", &text(&draft, 1.0)).unwrap();
    let (_, said) = home.call("save_draft", &save(&draft)).unwrap_err();
    assert!(said.contains("1 of 2 segments"), "{said}");
}
