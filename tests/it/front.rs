//! `capcut-mcp engine --backend remote`: a front for a CapCut API server, for scripts that use HTTP.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::away::report;
use crate::engine::{for_recordings, replay};
use crate::support::{Answer, Asked, Delivery, Home, NOWHERE, Served, Server, http, until};

const DRAFT: &str = "dfd_cat_1700000000_0badcafe";

/// A server with its own answer for every route; it forgets its drafts on request.
fn server() -> (Server, Arc<AtomicUsize>) {
    let restarts = Arc::new(AtomicUsize::new(0));
    let lives = Arc::clone(&restarts);
    let texts: Mutex<Vec<Value>> = Mutex::default();
    let made = AtomicUsize::new(0);
    let server = Server::start(move |asked: &Asked| {
        let life = lives.load(Ordering::SeqCst);
        let own = match life {
            0 => DRAFT.to_owned(),
            life => format!("dfd_cat_1700000000_0000000{life}"),
        };
        let body = asked.json();
        let known = body["draft_id"].is_null() || body["draft_id"] == json!(own);
        let link = |id: &str| format!("https://drafts.example/?id={id}&extra=1");
        match asked.path.as_str() {
            "/get_mask_types" => Answer::success(&json!([{ "name": "Linear" }, { "name": "Own" }])),
            "/get_font_types" => {
                let fonts = (0..250).map(|n| json!({ "name": format!("font{n}"), "more": n }));
                Answer::success(&Value::Array(fonts.collect()))
            }
            path if path.starts_with("/get_") => Answer::success(&json!([{ "name": path }])),
            "/query_script" if known => {
                let texts = texts.lock().unwrap().clone();
                let tracks = ["text_main", "effect_01"].map(|track| {
                    let on_it =
                        |text: &&Value| text["life"] == json!(life) && text["track"] == track;
                    let start = |text: &Value| (text["start"].as_f64().unwrap_or(0.0) * 1e6) as i64;
                    let segments: Vec<Value> = texts
                        .iter()
                        .filter(on_it)
                        .map(|text| {
                            json!({ "material_id": "t",
                            "target_timerange": { "start": start(text), "duration": 1 } })
                        })
                        .collect();
                    json!({ "name": track, "segments": segments })
                });
                let script = json!({ "mine": true, "materials": {}, "tracks": tracks });
                Answer::success(&json!(script.to_string()))
            }
            "/query_script" | "/save_draft" if !known => {
                let id = body["draft_id"].as_str().unwrap_or_default();
                Answer::failure(&format!("Draft {id} does not exist in cache."))
            }
            "/save_draft" => Answer::success(&json!({ "success": true, "draft_url": link(&own) })),
            "/query_draft_status"
                if body["task_id"] == json!(own) || body["task_id"] == "task-7" =>
            {
                Answer::success(
                    &json!({ "status": "completed", "message": "its own", "progress": 100,
                    "completed_files": 0, "total_files": 0, "draft_url": link(&own) }),
                )
            }
            "/query_draft_status" => {
                Answer::failure("Task with ID x not found. Please check if the task ID is correct.")
            }
            "/generate_draft_url" => Answer::success(&json!({ "draft_url": link("made") })),
            "/add_text" if body["text"] == "bad" => Answer::failure(
                "Error occurred while processing text: Unsupported font: x. You can click the link below for help: ",
            ),
            "/add_text" | "/add_effect" if known => {
                let mut text = body;
                text["life"] = json!(life);
                text["track"] = json!(if asked.path == "/add_text" {
                    "text_main"
                } else {
                    "effect_01"
                });
                texts.lock().unwrap().push(text);
                Answer::success(&json!({ "draft_id": own, "draft_url": link(&own) }))
            }
            "/add_video_keyframe" => Answer::success(
                &json!({ "draft_id": own, "draft_url": link(&own), "added_keyframes_count": 2 }),
            ),
            path if path.starts_with("/add_") && !known => {
                let other = format!("other{}", made.fetch_add(1, Ordering::SeqCst));
                Answer::success(&json!({ "draft_id": other, "draft_url": link(&other) }))
            }
            path if path == "/create_draft" || path.starts_with("/add_") => Answer::success(
                &json!({ "draft_id": own, "draft_url": link(&own), "its_own": [1] }),
            ),
            _ => Answer::new(404, "text/html", "<title>404 Not Found</title>"),
        }
    });
    (server, restarts)
}

fn front(home: &Home, server: &Server, options: &[&str]) -> Served {
    let mut line = vec!["--backend", "remote", "--api-url", &server.url];
    line.extend(options);
    home.engine(&line)
}

/// The whole answer of the front.
fn answer(front: &Served, method: &str, path: &str, body: &Value) -> Value {
    let (status, text) = match method {
        "GET" => front.get(path),
        _ => front.post(path, body),
    };
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn every_route_of_the_front_answers_as_the_server_does() {
    let (server, _) = server();
    let home = Home::new();
    let front = front(&home, &server, &[]);
    let direct = |method: &str, path: &str, body: &Value| -> Value {
        let text = crate::support::http(
            method,
            &format!("{}{path}", server.url),
            &[("Content-Type", "application/json")],
            body.to_string().as_bytes(),
        )
        .1;
        serde_json::from_str(&text).expect("JSON")
    };
    let posts = [
        ("/create_draft", json!({ "width": 720, "unknown": [1] })),
        (
            "/add_text",
            json!({ "draft_id": DRAFT, "text": "a", "start": 0, "end": 1 }),
        ),
        // This comes while the server's document contains everything, because a save is compared with the
        // journal.
        ("/save_draft", json!({ "draft_id": DRAFT })),
        (
            "/add_video",
            json!({ "draft_id": DRAFT, "video_url": "http://h.invalid/a.mp4", "end": 1 }),
        ),
        (
            "/add_audio",
            json!({ "draft_id": DRAFT, "audio_url": "http://h.invalid/a.mp3", "end": 1 }),
        ),
        (
            "/add_image",
            json!({ "draft_id": DRAFT, "image_url": "http://h.invalid/a.png" }),
        ),
        (
            "/add_subtitle",
            json!({ "draft_id": DRAFT, "srt": "1\n00:00:00,000 --> 00:00:01,000\na\n" }),
        ),
        (
            "/add_sticker",
            json!({ "draft_id": DRAFT, "sticker_id": "7" }),
        ),
        // The reference applies the last parameter first; scripts that rely on it get the same result.
        (
            "/add_effect",
            json!({ "draft_id": DRAFT, "effect_type": "Own", "params": [10, null, 30] }),
        ),
        (
            "/add_video_keyframe",
            json!({ "draft_id": DRAFT, "track_name": "text_main",
            "property_types": ["alpha", "alpha"], "times": [0, 1], "values": ["0.5", "1"] }),
        ),
        ("/query_script", json!({ "draft_id": DRAFT })),
        ("/query_draft_status", json!({ "task_id": DRAFT })),
        ("/query_draft_status", json!({ "task_id": "task-7" })),
        ("/generate_draft_url", json!({ "draft_id": DRAFT })),
        // Failures in the server's own words, and missing arguments.
        (
            "/add_text",
            json!({ "draft_id": DRAFT, "text": "bad", "start": 5, "end": 6 }),
        ),
        ("/query_draft_status", json!({ "task_id": "unknown" })),
    ];
    for (path, body) in posts {
        let through = answer(&front, "POST", path, &body);
        let told = direct("POST", path, &body);
        for key in ["output", "error", "success"] {
            assert_eq!(through[key], told[key], "{path} {body}: {through}");
        }
        let asked = server.asked();
        let mut sent = asked.iter().filter(|asked| asked.path == path);
        assert!(
            sent.any(|sent| sent.json() == body),
            "{path} {body}: forwarded unchanged"
        );
        assert_eq!(sent.next_back().map(Asked::json), Some(body), "{path}");
    }
    for path in [
        "/get_intro_animation_types",
        "/get_outro_animation_types",
        "/get_combo_animation_types",
        "/get_transition_types",
        "/get_mask_types",
        "/get_audio_effect_types",
        "/get_font_types",
        "/get_text_intro_types",
        "/get_text_outro_types",
        "/get_text_loop_anim_types",
        "/get_video_scene_effect_types",
        "/get_video_character_effect_types",
    ] {
        // The second answer comes from the cache.
        for _ in 0..2 {
            let through = answer(&front, "GET", path, &Value::Null);
            assert_eq!(
                through["output"],
                direct("GET", path, &Value::Null)["output"],
                "{path}"
            );
            assert!(
                through.get("names").is_none() && through.get("next_offset").is_none(),
                "{path}"
            );
        }
    }
}

#[test]
fn the_recorded_cases_pass_through_a_front() {
    let options = for_recordings();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let behind = Home::new();
    let engine = behind.engine(&options);
    let home = Home::new();
    let mut line = vec!["--backend", "remote", "--api-url", &engine.url];
    line.extend(options);
    replay(&home.engine(&line).url, "capcut");
}

#[test]
fn a_forgotten_draft_is_recreated_as_the_script_made_it() {
    let (server, restarts) = server();
    let home = Home::new();
    let front = front(&home, &server, &["--recover", "auto"]);
    front.output("/create_draft", &json!({})).expect("a draft");
    let effect = json!({ "draft_id": DRAFT, "effect_type": "Own", "params": [10, 20] });
    front.output("/add_effect", &effect).expect("an effect");
    let text =
        |start: i32| json!({ "draft_id": DRAFT, "text": "a", "start": start, "end": start + 1 });
    front.output("/add_text", &text(0)).expect("a text");
    restarts.store(1, Ordering::SeqCst);
    let (status, reply) = front.post("/add_text", &text(1));
    assert_eq!(status, 200, "{reply}");
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    assert_eq!(
        reply["output"]["draft_id"], "dfd_cat_1700000000_00000001",
        "{reply}"
    );
    assert!(
        reply["notes"].to_string().contains("recreated as"),
        "{reply}"
    );
    let effects: Vec<Value> = server
        .asked()
        .iter()
        .filter(|asked| asked.path == "/add_effect")
        .map(|asked| asked.json()["params"].clone())
        .collect();
    assert_eq!(
        effects,
        [json!([10, 20]), json!([10, 20])],
        "in the order of the script"
    );
    // The script continues with its own id.
    front.output("/add_text", &text(2)).expect("the same draft");
    front
        .output("/save_draft", &json!({ "draft_id": DRAFT }))
        .expect("a save");
}

#[test]
fn a_lost_draft_without_recovery_is_an_error() {
    let (server, restarts) = server();
    let home = Home::new();
    let front = front(&home, &server, &[]);
    front.output("/create_draft", &json!({})).expect("a draft");
    restarts.store(1, Ordering::SeqCst);
    let sticker = json!({ "draft_id": DRAFT, "sticker_id": "7" });
    let told = front
        .output("/add_sticker", &sticker)
        .expect_err("it is lost");
    assert!(
        told.contains("recover_draft") && told.contains(DRAFT),
        "{told}"
    );
}

#[test]
fn a_front_never_forwards_to_itself() {
    let home = Home::new();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").port().to_string()
    };
    for (host, url) in [
        ("127.0.0.1", format!("http://127.0.0.1:{port}")),
        ("127.0.0.1", format!("http://localhost:{port}/")),
        ("0.0.0.0", format!("http://127.0.0.1:{port}")),
    ] {
        for backend in ["remote", "auto"] {
            let line = [
                "engine",
                "--host",
                host,
                "--port",
                &port,
                "--backend",
                backend,
                "--api-url",
                &url,
            ];
            let ran = home.run(&line);
            assert_eq!(ran.code, 2, "{url}: {ran:?}");
            assert!(
                ran.stderr.contains("would loop") && ran.stderr.contains("--port"),
                "{ran:?}"
            );
        }
    }
    // The loop is detected even if the address does not reveal it, as behind a port that a container maps.
    let relay = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", relay.local_addr().expect("bound"));
    let front = home.engine(&["--backend", "remote", "--api-url", &url]);
    let to = front.port();
    std::thread::spawn(move || {
        for client in relay.incoming().flatten() {
            let server = std::net::TcpStream::connect(("127.0.0.1", to)).expect("the front");
            let (mut from, mut back) = (client.try_clone().unwrap(), client);
            let (mut into, mut out) = (server.try_clone().unwrap(), server);
            std::thread::spawn(move || std::io::copy(&mut from, &mut into));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut out, &mut back);
                let _ = back.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    let told = front
        .output("/create_draft", &json!({}))
        .expect_err("a loop");
    assert!(told.contains("this process itself"), "{told}");
}

#[test]
fn backend_auto_uses_the_server_while_it_answers_and_otherwise_the_engine() {
    let (server, _) = server();
    let home = Home::new();
    let front = home.engine(&["--backend", "auto", "--api-url", &server.url]);
    let draft = |front: &Served| {
        let reply = answer(front, "POST", "/create_draft", &json!({}));
        (
            reply["output"]["draft_id"].clone(),
            reply["backend"].clone(),
        )
    };
    assert_eq!(draft(&front), (json!(DRAFT), json!("remote")));
    server.refuse(true);
    let (id, backend) = draft(&front);
    assert_eq!(backend, "embedded");
    let text = json!({ "draft_id": id, "text": "a", "start": 0, "end": 1 });
    front.output("/add_text", &text).expect("on the engine");
}

#[test]
fn the_engine_command_uses_no_server_by_default() {
    let (server, _) = server();
    let mut home = Home::new();
    home.api(&server.url);
    let engine = home.engine(&[]);
    engine.output("/create_draft", &json!({})).expect("a draft");
    assert_eq!(server.asked().len(), 0, "no request goes to a server");
    // The environment variable works like the option.
    home.set("CAPCUT_MCP_BACKEND", "remote");
    let front = home.engine(&[]);
    let made = front.output("/create_draft", &json!({})).expect("a draft");
    assert_eq!(made["draft_id"], DRAFT);
    let line = [
        "engine",
        "--port",
        "0",
        "--draft-domain",
        "http://drafts.lan",
    ];
    let ran = home.run(&line);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("--draft-domain"), "{ran:?}");
}

#[test]
fn health_reports_the_server_behind_a_front_and_its_state() {
    let (server, _) = server();
    let home = Home::new();
    let front = front(&home, &server, &[]);
    let health = |front: &Served| -> (u16, Value) {
        let (status, text) = front.get("/health");
        (status, serde_json::from_str(&text).expect("JSON"))
    };
    let (status, told) = health(&front);
    let behind = &told["servers"][0];
    assert_eq!(
        (status, &told["status"], &told["backend"]),
        (200, &json!("ok"), &json!("remote"))
    );
    assert_eq!(
        (&behind["url"], &behind["server"], &behind["breaker"]),
        (&json!(server.url), &json!("CapCutAPI"), &json!("closed")),
        "{told}"
    );
    server.refuse(true);
    // Connections in the server's accept queue are reset.
    until("the server no longer listens", || {
        let (status, told) = health(&front);
        assert_eq!(
            (status, &told["status"]),
            (503, &json!("unavailable")),
            "{told}"
        );
        told["servers"][0]["error"]
            .to_string()
            .contains("no answer")
    });
    // An engine without servers does not list any.
    let mut alone = Home::new();
    alone.api(NOWHERE);
    let (status, told) = health(&alone.engine(&[]));
    assert_eq!((status, told.get("servers")), (200, None), "{told}");
}

#[test]
fn moving_a_draft_to_the_engine_keeps_the_effect_of_its_calls() {
    let (server, restarts) = server();
    let home = Home::new();
    let name = "Spectrum_Scan";
    {
        let front = front(&home, &server, &[]);
        front.output("/create_draft", &json!({})).expect("a draft");
        let effect = json!({ "draft_id": DRAFT, "effect_type": name, "params": [10, 90] });
        front.output("/add_effect", &effect).expect("an effect");
    }
    restarts.store(1, Ordering::SeqCst);
    let to = json!({ "draft_id": DRAFT, "to": "embedded" });
    let made = home
        .call("recover_draft", &to)
        .expect("a draft on the engine");
    let script = home
        .call("query_script", &json!({ "draft_id": made["draft_id"] }))
        .expect("its document");
    let script: Value = serde_json::from_str(script["script"].as_str().unwrap()).unwrap();
    let params = script["materials"]["video_effects"][0]["adjust_params"].clone();
    let values: Vec<f64> = params
        .as_array()
        .expect("parameters")
        .iter()
        .map(|param| param["value"].as_f64().unwrap())
        .collect();
    // The server applied the last parameter first.
    assert!(values[0] > values[1], "{params}");
}

/// An engine over HTTP and `compose` as separate processes, with one data folder and with two.
#[test]
fn a_plan_composed_through_an_engine_keeps_the_draft_name() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let plan = examples.join("first-draft.yaml");
    for (same, backend) in [
        (true, "auto"),
        (true, "remote"),
        (false, "auto"),
        (false, "remote"),
    ] {
        let place = format!("{same} {backend}");
        let mut home = Home::new();
        let other = Home::new();
        let served = if same { &home } else { &other };
        let engine = served.engine(&["--allow-dir", &examples.to_string_lossy()]);
        home.api(&engine.url).set("CAPCUT_MCP_BACKEND", backend);
        let ran = home
            .run(&["compose", &plan.to_string_lossy(), "--json"])
            .success();
        let report = report(&ran);
        assert_eq!(report["outcome"], "complete", "{place}: {report}");
        let folder = std::path::Path::new(report["folder"].as_str().expect("a folder"));
        assert_eq!(
            folder.file_name().expect("a name"),
            "First draft",
            "{place}: {report}"
        );
        assert!(folder.join("draft_content.json").is_file(), "{place}");
        let drafts = home.call("list_drafts", &json!({})).expect("the drafts");
        assert_eq!(
            drafts["drafts"].as_array().map(Vec::len),
            Some(1),
            "{place}: {drafts}"
        );
        assert_eq!(
            drafts["drafts"][0]["name"], "First draft",
            "{place}: {drafts}"
        );
    }
}

/// Over HTTP, a script in the API's dialect cannot name a draft or save it in any folder; this program's own
/// dialect does not allow more folders either.
#[test]
fn the_strict_dialect_over_http_opens_no_folder() {
    let home = Home::new();
    let engine = home.engine(&[]);
    let post = |path: &str, body: &Value| -> Value {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Capcut-Mcp-Manner", "strict"),
        ];
        let url = format!("{}{path}", engine.url);
        let (_, text) = crate::support::http("POST", &url, &headers, body.to_string().as_bytes());
        serde_json::from_str(&text).expect("JSON")
    };
    let made = post("/create_draft", &json!({ "name": "Named" }));
    let draft = &made["output"]["draft_id"];
    let elsewhere = home.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a folder");
    post(
        "/save_draft",
        &json!({ "draft_id": draft, "draft_folder": elsewhere }),
    );
    assert_eq!(
        std::fs::read_dir(&elsewhere).expect("the folder").count(),
        0
    );
    let told = post("/add_text", &json!({ "draft_id": draft, "txt": "a" }));
    let error = told["error"].as_str().expect("an error");
    assert!(
        error.contains("txt") && !error.starts_with("Error occurred"),
        "{told}"
    );
}

/// The engine records its calls in the journal that the caller also reads, including the call whose answer was
/// lost.
#[test]
fn a_lost_answer_of_an_engine_with_the_same_journal_is_recovered() {
    let mut home = Home::new();
    let engine = home.engine(&[]);
    let url = engine.url.clone();
    // What is lost (`true`: the answer, `false`: the request), and how many times.
    let faults = Arc::new(Mutex::new((true, 0)));
    let shared = Arc::clone(&faults);
    let between = Server::start(move |asked| {
        let is_text = asked.path == "/add_text";
        let mut faults = shared.lock().expect("not poisoned");
        let lost = is_text && faults.1 > 0;
        if lost {
            faults.1 -= 1;
        }
        let arrives = faults.0;
        drop(faults);
        if lost && !arrives {
            return Answer::success(&json!({})).delivery(Delivery::Reset);
        }
        let strict = asked.headers.get("x-capcut-mcp-manner");
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(strict.map(|strict| ("X-Capcut-Mcp-Manner", strict.as_str())));
        let (status, body) = http(
            &asked.method,
            &format!("{url}{}", asked.path),
            &headers,
            &asked.body,
        );
        let answer = Answer::new(status, "application/json", body);
        answer.delivery(if lost {
            Delivery::Reset
        } else {
            Delivery::Whole
        })
    });
    home.api(&between.url).set("CAPCUT_MCP_BACKEND", "remote");
    let draft = home.call("create_draft", &json!({})).expect("a draft")["draft_id"].take();
    let text =
        |start: u32| json!({ "draft_id": draft, "text": "a", "start": start, "end": start + 1 });
    for (start, arrives) in [(0, true), (1, false)] {
        *faults.lock().expect("not poisoned") = (arrives, 1);
        let before = between.count("/add_text");
        let added = home
            .call("add_text", &text(start))
            .expect("the lost call was found");
        let is_found = added["notes"]
            .to_string()
            .contains("the server's answer was lost");
        assert_eq!(is_found, arrives, "{added}");
        let sent = between.count("/add_text") - before;
        assert_eq!(sent, if arrives { 1 } else { 2 }, "{added}");
    }
    // An existing segment is not mistaken for a call that was refused.
    *faults.lock().expect("not poisoned") = (true, 1);
    let (_, said) = home
        .call("add_text", &text(0))
        .expect_err("the position is taken");
    assert!(said.contains("overlaps"), "{said}");
    let script = home
        .call("query_script", &json!({ "draft_id": draft }))
        .expect("a script");
    let script: Value =
        serde_json::from_str(script["script"].as_str().expect("text")).expect("JSON");
    let tracks = script["tracks"].as_array().expect("tracks");
    let segments: usize = tracks
        .iter()
        .map(|track| track["segments"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(segments, 2);
}
