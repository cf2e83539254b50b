//! Long work: progress reports, jobs that continue without their client, immediate cancellation.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Client, Delivery, Home, PATIENCE, Server, media, until};

/// The length of the test sound in seconds.
const SECONDS: usize = 20;

/// A quiet sound of almost 2 MB.
fn wav() -> Vec<u8> {
    let (rate, bytes) = (48_000_u32, 48_000 * 2 * SECONDS as u32);
    let mut wav = Vec::with_capacity(bytes as usize + 44);
    wav.extend(b"RIFF");
    wav.extend((bytes + 36).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend(1_u16.to_le_bytes());
    wav.extend(1_u16.to_le_bytes());
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * 2).to_le_bytes());
    wav.extend(2_u16.to_le_bytes());
    wav.extend(16_u16.to_le_bytes());
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.resize(bytes as usize + 44, 0);
    wav
}

/// A clip with 2 MB of padding before the data that contains its length.
fn mp4() -> Vec<u8> {
    let clip = std::fs::read(media("clip.mp4")).expect("the clip");
    let first = u32::from_be_bytes(clip[..4].try_into().expect("four bytes")) as usize;
    let nothing = 2_000_000_u32;
    let mut mp4 = clip[..first].to_vec();
    mp4.extend(nothing.to_be_bytes());
    mp4.extend(b"free");
    mp4.resize(first + nothing as usize, 0);
    mp4.extend(&clip[first..]);
    mp4
}

/// A web server. `/quick.wav` supports ranges and answers them immediately, but sends the whole file slowly.
/// `/slow.wav` and `/slow.mp4` do not support ranges and send everything slowly. It reports when a client
/// disconnects during a response.
pub(crate) struct Slow {
    pub(crate) url: String,
    gone: Receiver<()>,
    pub(crate) begun: Receiver<()>,
    /// The pause between two pieces, in milliseconds.
    pause: Arc<AtomicU64>,
}

impl Slow {
    /// A server that stops after the first piece of each whole file until it is released.
    pub(crate) fn held() -> Self {
        Self::start(2 * PATIENCE)
    }

    pub(crate) fn release(&self) {
        self.pause.store(0, Ordering::SeqCst);
    }

    fn start(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (gone, when) = mpsc::channel();
        let (begins, begun) = mpsc::channel();
        let pause = Arc::new(AtomicU64::new(pause.as_millis() as u64));
        let shared = Arc::clone(&pause);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (gone, begins, pause) = (gone.clone(), begins.clone(), Arc::clone(&shared));
                thread::spawn(move || {
                    if serve(&stream, &pause, &begins).is_err() {
                        let _ = gone.send(());
                    }
                });
            }
        });
        Self {
            url,
            gone: when,
            begun,
            pause,
        }
    }
}

fn serve(
    mut stream: &TcpStream,
    pause: &AtomicU64,
    begins: &mpsc::Sender<()>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let ranged = line.contains("/quick.wav");
    let body = if line.contains("mp4") { mp4() } else { wav() };
    let mut range = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim_end().to_ascii_lowercase();
        if let Some(of) = header.strip_prefix("range: bytes=") {
            range = of.split_once('-').and_then(|(from, to)| {
                Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?))
            });
        }
        if header.is_empty() {
            break;
        }
    }
    if let Some((from, to)) = range.filter(|_| ranged) {
        let to = to.min(body.len() - 1);
        write!(
            stream,
            "HTTP/1.1 206 Part\r\nConnection: close\r\nContent-Range: bytes {from}-{to}/{}\r\nContent-Length: {}\r\n\r\n",
            body.len(),
            to + 1 - from
        )?;
        return stream.write_all(&body[from..=to]);
    }
    write!(
        stream,
        "HTTP/1.1 200 All\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    let _ = begins.send(());
    for piece in body.chunks(body.len() / 20 + 1) {
        stream.write_all(piece)?;
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(pause.load(Ordering::SeqCst)) {
            // A client that disconnects is noticed immediately.
            stream.set_read_timeout(Some(Duration::from_millis(10)))?;
            match stream.read(&mut [0; 16]) {
                Ok(_) => return Err(std::io::ErrorKind::ConnectionReset.into()),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// A draft that contains the sound and is not saved yet.
fn draft_with_sound(client: &mut Client, url: &str) -> Value {
    let draft = client.call("create_draft", json!({})).expect("a draft")["draft_id"].clone();
    let sound = json!({ "draft_id": draft, "audio_url": format!("{url}/quick.wav") });
    client.call("add_audio", sound).expect("placed");
    draft
}

fn is_saved(report: &Value) {
    let folder = report["folder"].as_str().expect("a folder");
    let assets = Path::new(folder).join("assets/audio");
    let files: Vec<_> = std::fs::read_dir(&assets).expect("assets").collect();
    assert_eq!(files.len(), 1, "{report}");
}

#[test]
fn a_long_save_continues_as_a_job() {
    let slow = Slow::start(Duration::from_millis(60));
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = draft_with_sound(&mut client, &slow.url);
    let running = client
        .call("save_draft", json!({ "draft_id": draft, "wait_s": 0.2 }))
        .expect("running");
    assert_eq!(running["status"], "running", "{running}");
    let job = running["job_id"].clone();
    let told = client
        .call("job_status", json!({ "job_id": job }))
        .expect("a status");
    assert_eq!(told["status"], "running", "{told}");
    assert_eq!(told["draft_id"], draft);
    let done = client
        .call("job_status", json!({ "job_id": job, "wait_s": 30 }))
        .expect("done");
    assert_eq!(done["status"], "done", "{done}");
    is_saved(&done["report"]);
    // A save that finishes in time is answered directly.
    let saved = client
        .call(
            "save_draft",
            json!({ "draft_id": draft, "overwrite": true }),
        )
        .expect("saved");
    assert!(
        saved["job_id"].is_null() && saved["status"].is_null(),
        "{saved}"
    );
    is_saved(&saved);
}

#[test]
fn a_save_continues_after_its_client_disconnects_and_is_found_again() {
    let slow = Slow::start(Duration::from_millis(60));
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = draft_with_sound(&mut client, &slow.url);
    let wish = json!({ "draft_id": draft, "wait_s": 0 });
    let running = client.call("save_draft", wish.clone()).expect("running");
    assert_eq!(running["status"], "running", "{running}");
    assert_eq!(client.end(), 0);
    let mut client = home.connected();
    let job = json!({ "job_id": running["job_id"] });
    let done = client.call("job_status", job).expect("remembered");
    assert_eq!(done["status"], "done", "{done}");
    is_saved(&done["report"]);
    // A job whose process was killed reports that, and how to resume it.
    let running = client.call("save_draft", wish).expect("running");
    client.child.kill().expect("killed");
    client.wait();
    let mut client = home.connected();
    let job = json!({ "job_id": running["job_id"] });
    let told = client.call("job_status", job.clone()).expect("remembered");
    assert_eq!(told["status"], "interrupted", "{told}");
    assert!(
        told["message"]
            .as_str()
            .expect("text")
            .contains("`save_draft`"),
        "{told}"
    );
    let error = client
        .call("compose_draft", json!({ "resume": job["job_id"] }))
        .expect_err("a save is not a plan");
    assert!(error.contains("`save_draft`"), "{error}");
}

#[test]
fn a_shell_receives_the_job_id_and_can_wait_for_the_job() {
    let slow = Slow::start(Duration::from_millis(40));
    let home = Home::embedded();
    let draft = home.call("create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    let sound = json!({ "draft_id": draft, "audio_url": format!("{}/quick.wav", slow.url) });
    home.call("add_audio", &sound).expect("placed");
    let running = home
        .call("save_draft", &json!({ "draft_id": draft, "wait_s": 0 }))
        .expect("running");
    assert_eq!(running["status"], "running", "{running}");
    let done = home
        .call("job_status", &json!({ "job_id": running["job_id"] }))
        .expect("a status");
    assert_eq!(done["status"], "done", "{done}");
    is_saved(&done["report"]);
}

#[test]
fn a_failed_save_keeps_its_kind_and_its_hint() {
    let home = Home::embedded();
    let (code, stderr) = home
        .call("save_draft", &json!({ "draft_id": "dfd_cat_1_00000000" }))
        .expect_err("there is no such draft");
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("dfd_cat_1_00000000"), "{stderr}");
}

/// Calls with a progress token; returns the answer and the progress reports before it: done, total, message.
fn call_with_progress(
    client: &mut Client,
    tool: &str,
    arguments: &Value,
) -> (Value, Vec<(f64, f64, String)>) {
    let id = client.ask(
        "tools/call",
        json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": "t" } }),
    );
    let mut steps = Vec::new();
    loop {
        let message = client.message().expect("an answer");
        if message["method"] == "notifications/progress" {
            let told = &message["params"];
            steps.push((
                told["progress"].as_f64().expect("a number"),
                told["total"].as_f64().unwrap_or(f64::NAN),
                told["message"].as_str().unwrap_or_default().to_owned(),
            ));
        } else if message["id"] == json!(id) {
            return (message["result"]["structuredContent"].clone(), steps);
        }
    }
}

fn rises(steps: &[(f64, f64, String)]) {
    assert!(
        steps.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "{steps:?}"
    );
    assert!(steps.iter().all(|step| step.0 <= step.1), "{steps:?}");
}

#[test]
fn progress_in_bytes_is_reported_during_a_save() {
    let slow = Slow::start(Duration::from_millis(60));
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = draft_with_sound(&mut client, &slow.url);
    let (saved, steps) =
        call_with_progress(&mut client, "save_draft", &json!({ "draft_id": draft }));
    is_saved(&saved);
    rises(&steps);
    let bytes: Vec<_> = steps
        .iter()
        .filter(|step| step.2.contains(" of 1.9 MB"))
        .collect();
    assert!(bytes.len() >= 3, "{steps:?}");
    assert!(
        bytes.iter().all(|step| (10.0..=70.0).contains(&step.0)),
        "{steps:?}"
    );
}

#[test]
fn progress_in_bytes_is_reported_while_a_plan_runs() {
    let slow = Slow::start(Duration::from_millis(60));
    let home = Home::embedded();
    let plan =
        json!({ "name": "Bytes", "audio": [{ "audio_url": format!("{}/slow.wav", slow.url) }] });
    let mut client = home.connected();
    let (reply, steps) = call_with_progress(&mut client, "compose_draft", &json!({ "plan": plan }));
    assert_eq!(reply["status"], "complete", "{reply}");
    rises(&steps);
    assert!(
        steps.iter().all(|step| (step.1 - 2.0).abs() < f64::EPSILON),
        "an item and the save: {steps:?}"
    );
    assert!(
        steps
            .iter()
            .any(|step| step.2.starts_with("save: ") && step.2.contains("MB")),
        "{steps:?}"
    );
    let mut plan = plan;
    plan["name"] = json!("More bytes");
    let file = home.file("plan.json", plan.to_string());
    let ran = home
        .run(&["compose", &file.to_string_lossy(), "--json"])
        .success();
    let events: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|event: &Value| event["event"] == "step")
        .collect();
    let with_bytes: Vec<&Value> = events
        .iter()
        .filter(|event| event["bytes"].is_u64())
        .collect();
    assert!(with_bytes.len() >= 2, "{events:?}");
    assert!(
        with_bytes
            .iter()
            .any(|event| event["total_bytes"] == json!(wav().len())),
        "{events:?}"
    );
}

/// Progress is also reported while a source without range support is read to inspect it.
#[test]
fn progress_in_bytes_is_reported_while_media_are_inspected() {
    let slow = Slow::start(Duration::from_millis(60));
    let home = Home::embedded();
    let plan =
        json!({ "visuals": [{ "video_url": format!("{}/slow.mp4", slow.url) }], "save": false });
    let file = home.file("plan.json", plan.to_string());
    let ran = home
        .run(&["compose", &file.to_string_lossy(), "--json"])
        .success();
    let looked: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.contains("probed 0 of 1 media files ("))
        .collect();
    assert!(looked.len() >= 2, "{}\n{}", ran.stdout, ran.stderr);
}

/// A CapCut API whose save blocks until its status was queried `left` times; the status reports progress.
fn blocking_api(left: &Arc<AtomicUsize>) -> Server {
    let left = Arc::clone(left);
    let told = AtomicU64::new(0);
    let made = AtomicU64::new(0);
    Server::start(move |asked| {
        let id = match asked.json()["draft_id"].as_str() {
            Some(id) => id.to_owned(),
            None => format!(
                "dfd_cat_1767225600_{:08x}",
                made.fetch_add(1, Ordering::SeqCst)
            ),
        };
        let draft = json!({ "draft_id": id, "draft_url": "" });
        match asked.path.as_str() {
            "/create_draft" | "/add_text" => Answer::success(&draft),
            "/get_mask_types" => {
                Answer::success(&json!([{ "name": "Circle" }, { "name": "Heart" }]))
            }
            "/query_script" => {
                let script = json!({ "materials": {}, "tracks": [{ "name": "text_main", "type": "text", "segments": [
                    { "target_timerange": { "start": 0, "duration": 1_000_000 } },
                ] }] });
                Answer::success(&json!(script.to_string()))
            }
            "/save_draft" => {
                until("the save is done", || left.load(Ordering::SeqCst) == 0);
                told.store(0, Ordering::SeqCst);
                Answer::success(&json!({ "draft_url": "", "success": true }))
            }
            "/query_draft_status" => {
                let one_less = |left: usize| left.checked_sub(1);
                let is_done = left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                    .is_err();
                let progress = if is_done {
                    100
                } else {
                    (10 + told.fetch_add(1, Ordering::SeqCst)).min(90)
                };
                Answer::success(&json!({
                    "status": if is_done { "completed" } else { "processing" },
                    "message": if is_done { "Draft creation completed" } else { "Downloaded 1/2 files" },
                    "progress": progress, "completed_files": 1, "total_files": 2, "draft_url": "",
                }))
            }
            _ => Answer::new(
                404,
                "text/html",
                "<!doctype html><title>404 Not Found</title>",
            ),
        }
    })
}

#[test]
fn the_progress_of_a_blocking_server_save_is_polled_and_relayed() {
    let left = Arc::new(AtomicUsize::new(4));
    let api = blocking_api(&left);
    let home = Home::remote(&api.url);
    let mut client = home.connected();
    let made = client.call("create_draft", json!({})).expect("made");
    let wish = json!({ "draft_id": made["draft_id"] });
    let (saved, steps) = call_with_progress(&mut client, "save_draft", &wish);
    assert_eq!(saved["backend"], "remote", "{saved}");
    rises(&steps);
    let relayed = |steps: &[(f64, f64, String)]| {
        steps
            .iter()
            .filter(|step| step.2.contains("Downloaded 1/2 files"))
            .count()
    };
    assert!(relayed(&steps) >= 3, "{steps:?}");

    left.store(usize::MAX, Ordering::SeqCst);
    let mut wish = wish;
    wish["wait_s"] = json!(0.3);
    let running = client.call("save_draft", wish).expect("running");
    assert_eq!(running["status"], "running", "{running}");
    let job = running["job_id"].clone();
    until("the progress of the server is reported", || {
        let told = client
            .call("job_status", json!({ "job_id": job }))
            .expect("a status");
        assert_eq!(told["status"], "running", "{told}");
        let message = told["message"].as_str().expect("text");
        message.contains("Downloaded 1/2 files") && told["total"] == json!(100.0)
    });
    left.store(0, Ordering::SeqCst);
    let done = client
        .call("job_status", json!({ "job_id": job, "wait_s": 30 }))
        .expect("done");
    assert_eq!(done["status"], "done", "{done}");

    left.store(4, Ordering::SeqCst);
    let plan = json!({ "texts": [{ "text": "a", "start": 0, "end": 1 }] });
    let (reply, steps) = call_with_progress(&mut client, "compose_draft", &json!({ "plan": plan }));
    assert_eq!(reply["status"], "complete", "{reply}");
    rises(&steps);
    assert!(relayed(&steps) >= 3, "{steps:?}");
    let sent = api
        .asked()
        .into_iter()
        .filter(|asked| asked.path == "/save_draft");
    assert!(
        sent.into_iter()
            .all(|asked| asked.json()["wait_s"].is_null()),
        "`wait_s` is not sent to the server"
    );
}

/// Checks that a running download stops when the call is cancelled: the server, which sends nothing more, sees
/// the client disconnect although the process keeps running and no time limit is reached.
fn cancel_stops_download(
    tool: &str,
    arguments: impl Fn(&mut Client, &str) -> Value,
) -> (Client, Value) {
    let mut home = Home::embedded();
    let config = home.file(
        "own.toml",
        "[limits.media]\nprobe_timeout_s = 600\nmin_speed_window_s = 600\n",
    );
    home.set("CAPCUT_MCP_CONFIG", &config.to_string_lossy());
    let slow = Slow::held();
    let mut client = home.connected();
    let arguments = arguments(&mut client, &slow.url);
    let call = json!({ "name": tool, "arguments": arguments });
    let id = client.ask("tools/call", call);
    slow.begun
        .recv_timeout(PATIENCE)
        .expect("the download begins");
    assert!(slow.gone.try_recv().is_err(), "the download continues");
    client.notify("notifications/cancelled", json!({ "requestId": id }));
    slow.gone
        .recv_timeout(PATIENCE / 2)
        .expect("the download is stopped");
    client
        .call("list_drafts", json!({}))
        .expect("it still answers");
    (client, arguments)
}

#[test]
fn a_download_stops_when_its_call_is_cancelled() {
    let save =
        |client: &mut Client, url: &str| json!({ "draft_id": draft_with_sound(client, url) });
    let (mut client, wish) = cancel_stops_download("save_draft", save);
    // The save has ended and is no longer reported as running.
    let asked = json!({ "task_id": wish["draft_id"] });
    let status = client.call("query_draft_status", asked).expect("a status");
    assert_eq!(status["status"], "failed", "{status}");
    assert!(
        status["message"].to_string().contains("cancelled"),
        "{status}"
    );
    assert_eq!(client.end(), 0);
    // A look listens to the sound.
    let look = |client: &mut Client, url: &str| json!({ "draft_id": draft_with_sound(client, url), "look": true });
    assert_eq!(cancel_stops_download("validate_draft", look).0.end(), 0);
    let plan = |_: &mut Client, url: &str| json!({ "plan": { "audio": [{ "audio_url": format!("{url}/quick.wav") }] } });
    assert_eq!(cancel_stops_download("compose_draft", plan).0.end(), 0);
    let video = |client: &mut Client, url: &str| {
        let made = client.call("create_draft", json!({})).expect("a draft");
        json!({ "draft_id": made["draft_id"], "video_url": format!("{url}/slow.mp4") })
    };
    assert_eq!(cancel_stops_download("add_video", video).0.end(), 0);
}

/// A host that is slow to fail is asked once, not by each call that needs it.
#[test]
fn a_host_that_does_not_answer_is_asked_only_once() {
    let mut home = Home::embedded();
    let config = home.file("own.toml", "[limits.media]\nprobe_timeout_s = 1\n");
    home.set("CAPCUT_MCP_CONFIG", &config.to_string_lossy());
    let silent = Server::start(|_| Answer::new(200, "audio/mpeg", "").delivery(Delivery::Silence));
    let mut client = home.connected();
    let sound = |name: &str, start: u32| {
        let url = format!("{}/{name}.mp3", silent.url);
        json!({ "audio_url": url, "end": 1, "target_start": start })
    };
    let mut first = sound("a", 0);
    let placed = client.call("create_draft", json!({})).expect("a draft");
    first["draft_id"] = placed["draft_id"].clone();
    client
        .call("add_audio", first.clone())
        .expect("its length is given");
    let mut second = sound("b", 1);
    second["draft_id"] = placed["draft_id"].clone();
    let placed = client
        .call("add_audio", second)
        .expect("its length is given");
    let notes = placed["notes"].to_string();
    assert!(notes.contains("(tried "), "{notes}");
    assert_eq!(silent.asked().len(), 1, "asked once");
    // The save does not wait for the host again either.
    let error = client
        .call("save_draft", json!({ "draft_id": first["draft_id"] }))
        .expect_err("two media are missing");
    assert!(error.contains("2 of 2 media files"), "{error}");
    assert_eq!(silent.asked().len(), 1);
}
