//! Measures whole videos against an API with a known latency: `compose OURS`. Exits with 1 when a bound is
//! missed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bench::{Api, Report, Server, Streams, median};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

const ROUNDS: usize = 5;
/// The API's latency for measuring the schedule.
const SLOW: Duration = Duration::from_millis(200);
/// The API's latency for measuring the work per call.
const QUICK: Duration = Duration::from_millis(1);
/// Create the draft, open the tracks of sounds and pictures in parallel, then add 11 pictures in a lane of 5.
const IDEAL_ROUNDS: f64 = 5.0;
const PLANS: usize = 100;
const QUEUED: usize = 1_000;
/// The number of drafts that the batch makes in parallel.
const SIDE_BY_SIDE: usize = 32;

/// A CapCut API that keeps the position of each segment and answers with a delay.
#[derive(Default)]
struct Drafts {
    latency_us: AtomicU64,
    drafts: Mutex<HashMap<String, Vec<(String, f64, f64)>>>,
    /// The current and the maximum number of concurrent calls: sounds, pictures.
    now: [AtomicUsize; 2],
    most: [AtomicUsize; 2],
    /// When the last item was answered.
    last_item: Mutex<Option<Instant>>,
}

impl Drafts {
    fn start() -> (Arc<Self>, Arc<Api>, String) {
        let drafts = Arc::new(Self::default());
        let served = Arc::clone(&drafts);
        let (api, url) = Api::start(move |path, body| served.answer(path, body));
        (drafts, api, url)
    }

    fn takes(&self, latency: Duration) {
        let latency = latency.as_micros() as u64;
        self.latency_us.store(latency, Ordering::SeqCst);
    }

    fn forget_most(&self) {
        for most in &self.most {
            most.store(0, Ordering::SeqCst);
        }
    }

    fn answer(&self, path: &str, body: &[u8]) -> Option<String> {
        let lane = match path {
            "/add_audio" => Some(0),
            "/add_video" | "/add_image" => Some(1),
            _ => None,
        };
        if let Some(lane) = lane {
            let now = self.now[lane].fetch_add(1, Ordering::SeqCst) + 1;
            self.most[lane].fetch_max(now, Ordering::SeqCst);
        }
        thread::sleep(Duration::from_micros(
            self.latency_us.load(Ordering::SeqCst),
        ));
        let answer = self.output(path, body);
        if let Some(lane) = lane {
            self.now[lane].fetch_sub(1, Ordering::SeqCst);
            *self.last_item.lock().expect("not poisoned") = Some(Instant::now());
        }
        answer.map(|output| output.to_string())
    }

    fn output(&self, path: &str, body: &[u8]) -> Option<Value> {
        if path == "/get_mask_types" {
            return Some(json!([{ "name": "Circle" }]));
        }
        let asked: Value = serde_json::from_slice(body).ok()?;
        let mut drafts = self.drafts.lock().expect("not poisoned");
        let made = |id: &str| json!({ "draft_id": id, "draft_url": "https://example.org" });
        if path == "/create_draft" {
            let id = format!("dfd_cat_1700000000_{:08x}", drafts.len());
            drafts.insert(id.clone(), Vec::new());
            return Some(made(&id));
        }
        let id = asked["draft_id"].as_str()?;
        let draft = drafts.get_mut(id)?;
        let at = |key: &str| asked[key].as_f64().unwrap_or(0.0);
        let (start, length) = match path {
            "/query_script" => return Some(json!(script(draft).to_string())),
            "/add_audio" | "/add_video" => (at("target_start"), at("end") - at("start")),
            "/add_image" | "/add_text" => (at("start"), at("end") - at("start")),
            _ => return None,
        };
        let track = asked["track_name"].as_str().unwrap_or("text_main");
        draft.push((track.to_owned(), start, length));
        Some(made(id))
    }
}

fn script(draft: &[(String, f64, f64)]) -> Value {
    let mut tracks: HashMap<&str, Vec<Value>> = HashMap::new();
    for (track, start, length) in draft {
        let micros = |seconds: &f64| (seconds * 1e6).round() as i64;
        tracks.entry(track).or_default().push(
            json!({ "target_timerange": { "start": micros(start), "duration": micros(length) } }),
        );
    }
    let tracks: Vec<Value> = tracks
        .into_iter()
        .map(|(name, segments)| json!({ "name": name, "type": "video", "segments": segments }))
        .collect();
    json!({ "materials": {}, "tracks": tracks })
}

/// Items with given lengths, so that no media have to be inspected.
fn plan(sounds: usize, pictures: usize, texts: usize) -> Value {
    json!({
        "audio": (0..sounds).map(|n| json!({ "audio_url": format!("http://127.0.0.1:9/{n}.mp3"), "end": 2 })).collect::<Vec<_>>(),
        "visuals": (0..pictures).map(|n| json!({ "image_url": format!("http://127.0.0.1:9/{n}.png"), "duration": 2 })).collect::<Vec<_>>(),
        "texts": (0..texts).map(|n| json!({ "text": "a", "start": n, "end": n + 1 })).collect::<Vec<_>>(),
        "save": false,
    })
}

fn call(server: &mut Server, tool: &str, arguments: &Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    result(&server.ask("tools/call", &params.to_string()))
}

fn result(line: &str) -> Value {
    let answer: Value = serde_json::from_str(line).expect("JSON");
    let result = &answer["result"]["structuredContent"];
    assert!(result.is_object(), "{line}");
    result.clone()
}

/// A server that has contacted the API already.
fn warm(ours: &Path, url: &str, home: &Path) -> Server {
    let arguments = ["serve", "--backend", "remote"];
    let mut server = Server::start(ours, &arguments, url, home, Streams::Pipes);
    server.ready();
    call(
        &mut server,
        "compose_draft",
        &json!({ "plan": plan(1, 1, 1) }),
    );
    server
}

/// The time in milliseconds until a call that needs no API is answered.
fn light(server: &mut Server) -> f64 {
    let start = Instant::now();
    call(server, "search_catalog", &json!({ "query": "fade" }));
    start.elapsed().as_secs_f64() * 1e3
}

fn schedule(report: &mut Report, ours: &Path, home: &Path) {
    println!("-- one plan, 3 sounds and 12 pictures, every call takes 200 ms");
    let (drafts, api, url) = Drafts::start();
    let mut server = warm(ours, &url, home);
    drafts.takes(SLOW);
    let (mut fan_outs, mut verified, mut alone, mut slowest) =
        (Vec::new(), Vec::new(), 0.0, 0.0_f64);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let arguments = json!({ "plan": plan(3, 12, 0), "wait_s": 0 });
        let job = call(&mut server, "compose_draft", &arguments);
        assert_eq!(job["status"], "running", "{job}");
        let wish = json!({ "job_id": job["job_id"] });
        let done = loop {
            slowest = slowest.max(light(&mut server));
            thread::sleep(Duration::from_millis(20));
            let told = call(&mut server, "job_status", &wish);
            if told["status"] != "running" {
                break told;
            }
        };
        assert_eq!(done["report"]["totals"]["ok"], 15, "{done}");
        let last = drafts
            .last_item
            .lock()
            .expect("not poisoned")
            .expect("items");
        fan_outs.push((last - start).as_secs_f64());
        let phases = &done["report"]["phases"];
        verified.push(phases["verify_ms"].as_f64().expect("a number"));
        alone = phases["one_after_another_ms"].as_f64().expect("a number");
    }
    let ideal = SLOW.as_secs_f64() * IDEAL_ROUNDS;
    report.bound(
        "to the end of the fan-out",
        "s",
        median(&mut fan_outs),
        ideal * 1.05,
    );
    println!(
        "       verification, a separate phase   {:>10.1} ms; all calls one after another {alone:.0} ms",
        median(&mut verified)
    );
    let most = |index: usize| drafts.most[index].load(Ordering::SeqCst) as f64;
    report.bound("concurrent sounds, seen by the API", "", most(0), 3.0);
    report.bound("concurrent pictures", "", most(1), 5.0);
    report.bound(
        "connections",
        "",
        api.most.load(Ordering::SeqCst) as f64,
        8.0,
    );
    report.bound("slowest light call meanwhile", "ms", slowest, 20.0);
    server.end();
}

/// The time in seconds for the same requests by a client that does nothing else.
fn bare(url: &str) -> f64 {
    let plan = plan(6, 10, 4);
    let items = [
        ("audio", "/add_audio"),
        ("visuals", "/add_image"),
        ("texts", "/add_text"),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let client: Client<HttpConnector, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let send = async |path: &str, body: &Value| {
            let request = Request::post(format!("{url}{path}"))
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body.to_string())));
            let answer = client
                .request(request.expect("a request"))
                .await
                .expect("an answer");
            let body = answer
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes();
            serde_json::from_slice::<Value>(&body).expect("JSON")["output"].take()
        };
        let start = Instant::now();
        let left = std::cell::Cell::new(PLANS);
        // Eight at a time, one per connection: each worker sends the calls of one plan in sequence.
        let workers = (0..8).map(|_| async {
            while left.get() > 0 {
                left.set(left.get() - 1);
                let draft = send("/create_draft", &json!({})).await["draft_id"].take();
                for (section, path) in items {
                    for item in plan[section].as_array().expect("items") {
                        let mut item = item.clone();
                        item["draft_id"] = draft.clone();
                        send(path, &item).await;
                    }
                }
                send("/query_script", &json!({ "draft_id": draft })).await;
            }
        });
        futures_util::future::join_all(workers).await;
        start.elapsed().as_secs_f64()
    })
}

fn batch(report: &mut Report, ours: &Path, home: &Path) {
    println!("-- {PLANS} plans of 20 items, every call takes 1 ms");
    let (drafts, api, url) = Drafts::start();
    let mut server = warm(ours, &url, home);
    drafts.takes(QUICK);
    let (mut alone, mut composed, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    let plans = vec![plan(6, 10, 4); PLANS];
    for _ in 0..2 * ROUNDS {
        let count = || api.requests.load(Ordering::SeqCst);
        let before = count();
        alone.push(bare(&url) * 1e3);
        let between = count();
        // The maximum so far is that of the bare client.
        drafts.forget_most();
        let cpu_before = server.cpu();
        let start = Instant::now();
        let wish = json!({ "plans": plans, "jobs": SIDE_BY_SIDE });
        let job = call(&mut server, "compose_batch", &wish);
        let wish = json!({ "job_id": job["job_id"], "wait_s": 120 });
        let done = call(&mut server, "job_status", &wish);
        composed.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(done["status"], "complete", "{done}");
        assert_eq!(count() - between, between - before, "the same requests");
        cpu.push((server.cpu() - cpu_before) as f64 / 1e3 / (between - before) as f64);
    }
    // The fastest of each: other programs on the machine only add time.
    let least = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    let (alone, composed) = (least(&alone), least(&composed));
    report.line(
        composed <= alone * 1.2,
        &format!(
            "{:<34} bare requests {alone:>7.1} ms, ours {composed:>7.1} ms, ratio {:>5.2} (<= 1.2)",
            "all plans",
            composed / alone
        ),
    );
    println!(
        "       CPU per request                     {:>9.1} us",
        median(&mut cpu)
    );
    let most = |index: usize| drafts.most[index].load(Ordering::SeqCst) as f64;
    report.bound("concurrent sounds, seen by the API", "", most(0), 3.0);
    report.bound("concurrent pictures", "", most(1), 5.0);
    server.end();
}

fn queue(report: &mut Report, ours: &Path, home: &Path) {
    println!("-- {QUEUED} plans of 20 items are queued, every call takes 200 ms");
    let (drafts, _, url) = Drafts::start();
    let mut server = warm(ours, &url, home);
    drafts.takes(SLOW);
    let before = server.peak() as f64 / 1e6;
    let wish = json!({ "plans": vec![plan(6, 10, 4); QUEUED], "jobs": SIDE_BY_SIDE });
    let start = Instant::now();
    let job = call(&mut server, "compose_batch", &wish);
    println!(
        "       checked and queued in              {:>10.1} ms; {before:.1} MB before",
        start.elapsed().as_secs_f64() * 1e3
    );
    let mut slowest = 0.0_f64;
    for _ in 0..50 {
        slowest = slowest.max(light(&mut server));
        thread::sleep(Duration::from_millis(20));
    }
    report.bound("peak memory", "MB", server.peak() as f64 / 1e6, 200.0);
    report.bound("slowest light call meanwhile", "ms", slowest, 20.0);
    let stopped = call(
        &mut server,
        "cancel_job",
        &json!({ "job_id": job["job_id"] }),
    );
    assert_ne!(stopped["status"], "running", "{stopped}");
    server.end();
}

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [ours] = arguments.as_slice() else {
        eprintln!("usage: compose OURS");
        std::process::exit(2);
    };
    let home = std::env::temp_dir().join(format!("capcut-mcp-compose-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a folder");
    let mut report = Report::default();
    schedule(&mut report, ours, &home);
    batch(&mut report, ours, &home);
    queue(&mut report, ours, &home);
    let _ = std::fs::remove_dir_all(&home);
    report.exit();
}
