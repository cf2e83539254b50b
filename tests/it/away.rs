//! Servers that are unreachable for a moment in the middle of a run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Asked, Delivery, Home, Ran, Server, until};

/// A server that keeps pictures in drafts, by id, and resets all connections while it is shutting down.
#[derive(Default)]
struct Keeper {
    drafts: Mutex<BTreeMap<String, Vec<Value>>>,
    made: AtomicUsize,
    going_down: AtomicBool,
}

impl Keeper {
    fn answer(&self, asked: &Asked) -> Answer {
        if self.going_down.load(Ordering::SeqCst) {
            return Answer::success(&json!({})).delivery(Delivery::Reset);
        }
        let body = asked.json();
        let id = body["draft_id"].as_str().unwrap_or_default().to_owned();
        let mut drafts = self.drafts.lock().expect("not poisoned");
        match asked.path.as_str() {
            "/get_mask_types" => Answer::success(&json!([{ "name": "Linear" }])),
            "/create_draft" => {
                let id = format!(
                    "dfd_cat_1700000000_{:08x}",
                    self.made.fetch_add(1, Ordering::SeqCst)
                );
                drafts.insert(id.clone(), Vec::new());
                Answer::success(&json!({ "draft_id": id, "draft_url": "" }))
            }
            "/add_image" => match drafts.get_mut(&id) {
                Some(pictures) => {
                    pictures.push(body);
                    Answer::success(&json!({ "draft_id": id, "draft_url": "" }))
                        .delay(Duration::from_millis(20))
                }
                None => Answer::success(
                    &json!({ "draft_id": "dfd_cat_1700000000_ffffffff", "draft_url": "" }),
                ),
            },
            "/query_script" => match drafts.get(&id) {
                Some(pictures) => Answer::success(&json!(document(pictures).to_string())),
                None => Answer::failure(&format!("Draft {id} does not exist in cache.")),
            },
            _ => Answer::new(404, "text/html", "<title>404 Not Found</title>"),
        }
    }

    fn pictures(&self, id: &str) -> Vec<u64> {
        let drafts = self.drafts.lock().expect("not poisoned");
        let mut starts: Vec<u64> = drafts[id]
            .iter()
            .map(|picture| picture["start"].as_f64().expect("a start") as u64)
            .collect();
        starts.sort_unstable();
        starts
    }
}

fn document(pictures: &[Value]) -> Value {
    let us = |picture: &Value, key: &str| (picture[key].as_f64().unwrap_or_default() * 1e6) as i64;
    let materials: Vec<Value> = pictures
        .iter()
        .enumerate()
        .map(|(n, picture)| json!({ "id": n.to_string(), "type": "photo", "remote_url": picture["image_url"] }))
        .collect();
    let segments: Vec<Value> = pictures
        .iter()
        .enumerate()
        .map(|(n, picture)| {
            let start = us(picture, "start");
            json!({ "id": n.to_string(), "material_id": n.to_string(),
                "target_timerange": { "start": start, "duration": us(picture, "end") - start } })
        })
        .collect();
    json!({ "materials": { "videos": materials }, "duration": 0,
        "tracks": [{ "name": "video_main", "type": "video", "segments": segments }] })
}

/// The server closes connections in the middle of a plan, refuses connections for a second and is back, with or
/// without its drafts.
#[test]
fn a_run_continues_after_its_server_was_briefly_unreachable() {
    const PICTURES: u64 = 30;
    for forgets in [true, false] {
        let keeper = Arc::new(Keeper::default());
        let answering = Arc::clone(&keeper);
        let server = Server::start(move |asked| answering.answer(asked));
        let home = Home::remote(&server.url);
        let pictures: Vec<Value> = (0..PICTURES)
            .map(|n| json!({ "image_url": format!("https://pictures.example/{n}.png"), "start": n, "end": n + 1 }))
            .collect();
        let plan = json!({ "visuals": pictures, "save": false });
        let plan = home.file("plan.json", plan.to_string());
        let ran = thread::scope(|scope| {
            let run = scope.spawn(|| {
                home.run(&[
                    "--recover",
                    "auto",
                    "compose",
                    &plan.to_string_lossy(),
                    "--json",
                ])
            });
            until("some pictures were added", || {
                server.count("/add_image") >= 8
            });
            keeper.going_down.store(true, Ordering::SeqCst);
            let asked = server.asked().len();
            until("the run notices that the server is down", || {
                server.asked().len() > asked + 3
            });
            server.refuse(true);
            thread::sleep(Duration::from_secs(1));
            if forgets {
                keeper.drafts.lock().expect("not poisoned").clear();
            }
            keeper.going_down.store(false, Ordering::SeqCst);
            server.refuse(false);
            run.join().expect("the run ends")
        });
        let report = report(&ran.success());
        assert_eq!(report["outcome"], "complete", "{forgets}: {report:#}");
        let draft = report["draft_id"].as_str().expect("a draft");
        let expected: Vec<u64> = (0..PICTURES).collect();
        assert_eq!(keeper.pictures(draft), expected, "{forgets}");
        let again = draft.ends_with("00000000");
        assert_eq!(again, !forgets, "{draft}");
    }
}

/// A home whose calls are tried only once, and whose breaker opens after two failures.
fn impatient(keeper: &Arc<Keeper>, server_wait_s: f64) -> (Home, Server) {
    let answering = Arc::clone(keeper);
    let server = Server::start(move |asked| answering.answer(asked));
    let mut home = Home::remote(&server.url);
    let unsent = "{ tries = 1, first_wait_s = 0.01 }";
    let config = format!(
        "[breaker]\nfailures = 2\n[retry]\nunsent = {unsent}\n[limits]\nserver_wait_s = {server_wait_s}\n"
    );
    let config = home.file("tools.toml", config);
    home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
    (home, server)
}

fn picture(draft: &Value, start: u32) -> Value {
    let url = format!("https://pictures.example/{start}.png");
    json!({ "draft_id": draft, "image_url": url, "start": start, "end": start + 1 })
}

/// With `--recover ask`, the default.
#[test]
fn paused_calls_continue_when_the_server_answers_again() {
    let keeper = Arc::new(Keeper::default());
    for server_wait_s in [20.0, 0.1] {
        let waits = server_wait_s > 1.0;
        let (home, server) = impatient(&keeper, server_wait_s);
        let mut client = home.connected();
        let draft = client.call("create_draft", json!({})).expect("a draft")["draft_id"].take();
        server.refuse(true);
        for start in 0..2 {
            let error = client.call("add_image", picture(&draft, start));
            error.expect_err("the server is down");
        }
        if !waits {
            let error = client.call("add_image", picture(&draft, 2)).unwrap_err();
            assert!(error.contains("calls are paused"), "{error}");
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                server.refuse(false);
            });
            if waits {
                let added = client.call("add_image", picture(&draft, 3));
                added.expect("the call waits for the server");
            } else {
                until("the server is called again", || {
                    client.call("add_image", picture(&draft, 3)).is_ok()
                });
            }
        });
        assert_eq!(keeper.pictures(draft.as_str().expect("an id")), [3]);
    }
}

/// The report at the end of the output of `compose --json`.
pub(crate) fn report(ran: &Ran) -> Value {
    let line = ran.stdout.lines().last().expect("a report");
    let mut told: Value = serde_json::from_str(line).expect("JSON");
    told["report"].take()
}
