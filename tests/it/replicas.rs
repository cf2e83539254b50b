//! Several processes that use one database: whichever of them is asked continues drafts, sessions and jobs.

use std::collections::HashMap;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::racy::{Manners, Racy};
use crate::support::postgres::{SOCKET_PORT, TestServer};
use crate::support::{
    Answer, Home, McpOverHttp, PATIENCE, Served, Server, media, media_server, until,
};

const VERSION: &str = "2025-11-25";
/// How long the lease of a job lasts in these tests, in seconds.
const LEASE_S: f64 = 2.0;

/// A team: a database, and a folder for each replica.
struct Team {
    address: String,
}

impl Team {
    /// `None`, with a message, if PostgreSQL is not installed.
    fn new() -> Option<Self> {
        let address = TestServer::shared()?.database();
        Some(Self { address })
    }

    /// The folder and the variables of one replica.
    fn home(&self) -> Home {
        let mut home = Home::embedded();
        let config = home.file(
            "team.toml",
            format!("[limits]\njob_lease_s = {LEASE_S:?}\n"),
        );
        home.set("CAPCUT_MCP_STORE", &self.address);
        home.set("CAPCUT_MCP_CONFIG", &config.to_string_lossy());
        home
    }
}

/// A process that is killed when it is dropped.
struct Worker(Child);

impl Worker {
    fn start(home: &Home) -> Self {
        Self(home.command(&["worker"]).spawn().expect("a worker"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args([name, &id])
        .status();
    assert!(sent.expect("kill runs").success());
}

fn client(server: &Served) -> McpOverHttp {
    McpOverHttp::connected(&server.url, VERSION)
}

/// All clips of a draft.
fn clips(client: &mut McpOverHttp, draft: &str) -> Vec<Value> {
    let mut clips = Vec::new();
    loop {
        let arguments = json!({ "draft_id": draft, "offset": clips.len() });
        let shown = client.call("inspect_draft", &arguments);
        let tracks = shown["tracks"].as_array().cloned().unwrap_or_default();
        for track in tracks {
            clips.extend(track["clips"].as_array().cloned().unwrap_or_default());
        }
        if shown["next_offset"].is_null() {
            return clips;
        }
        assert_eq!(shown["next_offset"], clips.len(), "{shown}");
    }
}

fn texts(client: &mut McpOverHttp, draft: &str) -> Vec<String> {
    let clips = clips(client, draft);
    let words = |clip: &Value| clip["words"].as_str().map(str::to_owned);
    clips.iter().filter_map(words).collect()
}

/// A web server that sends pictures, each after this time.
fn slow_pictures(time: Duration) -> Server {
    let picture = std::fs::read(media("logo.png")).expect("a picture");
    Server::start(move |_| Answer::new(200, "image/png", picture.clone()).delay(time))
}

/// A plan with this many pictures, saved into this folder.
fn plan(pictures: &Server, count: usize, folder: &Path) -> Value {
    let visuals: Vec<Value> = (0..count)
        .map(|number| json!({ "image_url": format!("{}/{number}.png", pictures.url), "duration": 1 }))
        .collect();
    json!({ "name": "Pictures", "visuals": visuals, "save": { "draft_folder": folder } })
}

/// Waits until a job has ended; returns its last state.
fn ended(client: &mut McpOverHttp, job: &str) -> Value {
    let begun = Instant::now();
    loop {
        let state = client.call("job_status", &json!({ "job_id": job, "wait_s": 2 }));
        if !["running", "waiting"].contains(&state["status"].as_str().expect("a status")) {
            return state;
        }
        assert!(begun.elapsed() < PATIENCE, "{state}");
    }
}

#[test]
fn a_session_and_a_draft_of_one_replica_are_continued_by_another() {
    let Some(team) = Team::new() else { return };
    let homes = [team.home(), team.home()];
    let [one, two] = [0, 1].map(|index: usize| homes[index].serve_http(&[]));
    let mut first = client(&one);
    let draft = first.call("create_draft", &json!({ "name": "Team" }));
    let draft = draft["draft_id"].as_str().expect("an id").to_owned();
    let mut second = McpOverHttp::new(&two.url);
    second.take_session(first.session().expect("a session"));
    let add = |client: &mut McpOverHttp, text: &str, start: f64| {
        let arguments =
            json!({ "draft_id": draft, "text": text, "start": start, "end": start + 1.0 });
        client.call("add_text", &arguments);
    };
    add(&mut first, "one", 0.0);
    add(&mut second, "two", 1.0);
    add(&mut first, "three", 2.0);
    assert_eq!(texts(&mut second, &draft), ["one", "two", "three"]);
    assert_eq!(texts(&mut first, &draft), ["one", "two", "three"]);
    // A session that no server opened is unknown everywhere.
    let mut other = McpOverHttp::new(&two.url);
    other.take_session("4c6e9f44-0000-4000-8000-000000000000");
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(other.post(&request).0, 404);
    // A closed session is unknown to a replica that had not seen it.
    let third = team.home().serve_http(&[]);
    let session = first.session().expect("a session").to_owned();
    assert_eq!(second.close(), 204);
    let mut late = McpOverHttp::new(&third.url);
    late.take_session(&session);
    assert_eq!(late.post(&request).0, 404);
}

/// Which replica works on each draft of a server, and with how many calls.
#[derive(Default)]
struct Working(Mutex<HashMap<String, (String, usize)>>);

impl Working {
    /// A call begins; false if another replica works on the same draft.
    fn begin(&self, draft: &str, replica: &str) -> bool {
        let mut working = self.0.lock().expect("not poisoned");
        let (owner, calls) = working.entry(draft.to_owned()).or_default();
        if *calls > 0 && owner != replica {
            return false;
        }
        replica.clone_into(owner);
        *calls += 1;
        true
    }

    fn end(&self, draft: &str) {
        let mut working = self.0.lock().expect("not poisoned");
        if let Some((_, calls)) = working.get_mut(draft) {
            *calls -= 1;
        }
    }
}

#[test]
fn replicas_share_the_turns_of_a_draft_and_the_slots_of_a_server() {
    let Some(team) = Team::new() else { return };
    let working = Arc::<Working>::default();
    let collided = Arc::<AtomicUsize>::default();
    let (of_server, met) = (Arc::clone(&working), Arc::clone(&collided));
    let manners = Manners {
        latency: Duration::from_millis(5),
        steady: true,
    };
    let api = Racy::start_with(manners, None, move |_, asked, carry_out| {
        let replica = asked.headers.get("x-capcut-mcp-sender");
        let draft = asked.json()["draft_id"].as_str().map(str::to_owned);
        let (Some(replica), Some(draft), "/add_audio") = (replica, draft, asked.path.as_str())
        else {
            return carry_out(None);
        };
        if !of_server.begin(&draft, replica) {
            met.fetch_add(1, Ordering::SeqCst);
            return carry_out(None);
        }
        std::thread::sleep(Duration::from_millis(20));
        let answer = carry_out(None);
        of_server.end(&draft);
        answer
    });
    let home = || {
        let mut home = Home::remote(&api.server.url);
        let config = home.file("team.toml", "[lanes.audio]\nslots = 4\n");
        home.set("CAPCUT_MCP_STORE", &team.address);
        home.set("CAPCUT_MCP_CONFIG", &config.to_string_lossy());
        home
    };
    let homes = [home(), home(), home()];
    let servers = [0, 1, 2].map(|index: usize| homes[index].serve_http(&[]));
    let mut asker = client(&servers[0]);
    let drafts: Vec<String> = (0..2)
        .map(|_| {
            let draft = asker.call("create_draft", &json!({}));
            draft["draft_id"].as_str().expect("an id").to_owned()
        })
        .collect();
    let files = media_server();
    let sound = format!("{}/plain/voice.mp3", files.url);
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let (server, draft, sound) = (&servers[writer % 3], &drafts[writer % 2], &sound);
            scope.spawn(move || {
                let mut client = client(server);
                for number in 0..6 {
                    client.call(
                        "add_audio",
                        &json!({ "draft_id": draft, "audio_url": sound,
                        "start": 0, "end": 1, "target_start": number + 10 * writer,
                        "track_name": format!("track{number}") }),
                    );
                }
            });
        }
    });
    assert_eq!(
        collided.load(Ordering::SeqCst),
        0,
        "two replicas worked on one draft"
    );
    for draft in &drafts {
        let content = api.draft(draft);
        let count: usize = content.values().map(Vec::len).sum();
        assert_eq!(count, 18, "{content:?}");
    }
    let most = api.most[0].load(Ordering::SeqCst);
    assert!(most <= 4, "{most} calls at the same time");
}

/// How many texts each writer adds.
const EACH: usize = 15;

#[test]
fn two_replicas_edit_one_draft_at_the_same_time_and_lose_nothing() {
    let Some(team) = Team::new() else { return };
    let homes = [team.home(), team.home()];
    let servers = [0, 1].map(|index: usize| homes[index].serve_http(&[]));
    let mut asker = client(&servers[0]);
    let draft = asker.call("create_draft", &json!({}));
    let draft = draft["draft_id"].as_str().expect("an id").to_owned();
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let (server, draft) = (&servers[writer % 2], &draft);
            scope.spawn(move || {
                let mut client = client(server);
                for number in 0..EACH {
                    let text = format!("w{writer} n{number}");
                    let track = format!("track{writer}");
                    client.call(
                        "add_text",
                        &json!({ "draft_id": draft, "text": text,
                        "start": number, "end": number + 1, "track_name": track }),
                    );
                }
            });
        }
    });
    let mut found = texts(&mut asker, &draft);
    found.sort();
    let mut expected: Vec<String> = (0..6)
        .flat_map(|writer| (0..EACH).map(move |number| format!("w{writer} n{number}")))
        .collect();
    expected.sort();
    assert_eq!(found, expected);
    let mut other = client(&servers[1]);
    assert_eq!(texts(&mut other, &draft).len(), expected.len());
}

#[test]
fn a_worker_runs_the_jobs_that_servers_accept_and_a_key_makes_one_job() {
    let Some(team) = Team::new() else { return };
    let (home, worker_home) = (team.home(), team.home());
    let server = home.serve_http(&["--workers", "0"]);
    let pictures = slow_pictures(Duration::ZERO);
    let folder = tempfile::tempdir().expect("a folder");
    // A folder of the worker, since it saves the draft.
    let plan =
        json!({ "name": "Team film", "visuals": plan(&pictures, 3, folder.path())["visuals"] });
    let mut client = client(&server);
    let arguments = json!({ "plan": plan, "wait_s": 0, "idempotency_key": "k1" });
    let begun = client.call("compose_draft", &arguments);
    assert_eq!(begun["status"], "waiting", "{begun}");
    let job = begun["job_id"].as_str().expect("an id").to_owned();
    let again = client.call("compose_draft", &arguments);
    assert_eq!(again["job_id"], job.as_str(), "{again}");
    let other = json!({ "plan": { "name": "Other", "texts": [{ "text": "x", "duration": 1 }] },
        "idempotency_key": "k1" });
    let error = client.error("compose_draft", &other);
    assert!(
        error.contains("idempotency_key") && error.contains(&job),
        "{error}"
    );
    // One that waits is cancelled at once.
    let batch = json!({ "plans": [plan, plan], "idempotency_key": "k1" });
    let batch = client.call("compose_batch", &batch);
    let cancelled = client.call("cancel_job", &json!({ "job_id": batch["job_id"] }));
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");

    let _worker = Worker::start(&worker_home);
    let state = ended(&mut client, &job);
    assert_eq!(state["status"], "complete", "{state}");
    let draft = state["draft_id"].as_str().expect("a draft").to_owned();
    let again = client.call(
        "compose_draft",
        &json!({ "plan": plan, "idempotency_key": "k1" }),
    );
    assert_eq!(again["draft_id"], draft.as_str(), "{again}");
    let drafts = client.call("list_drafts", &json!({}));
    assert_eq!(
        drafts["drafts"].as_array().map(Vec::len),
        Some(1),
        "{drafts}"
    );
}

#[test]
fn a_job_of_a_killed_process_is_taken_over_and_done_once() {
    let Some(team) = Team::new() else { return };
    let homes = [team.home(), team.home(), team.home()];
    let server = homes[0].serve_http(&["--workers", "0"]);
    let pictures = slow_pictures(Duration::from_millis(400));
    let plans: Vec<Value> = (0..4)
        .map(|number| json!({ "name": format!("Film {number}"), "visuals":
            plan(&pictures, 4, Path::new("/"))["visuals"], "texts": [{ "text": format!("film {number}"), "duration": 1 }] }))
        .collect();
    let mut client = client(&server);
    let first = Worker::start(&homes[1]);
    let begun = client.call("compose_batch", &json!({ "plans": plans, "jobs": 1 }));
    let job = begun["job_id"].as_str().expect("an id").to_owned();
    until("a draft is begun", || {
        let drafts = client.call("list_drafts", &json!({}));
        drafts["drafts"]
            .as_array()
            .is_some_and(|drafts| !drafts.is_empty())
    });
    drop(first);
    let _second = Worker::start(&homes[2]);
    let state = ended(&mut client, &job);
    assert_eq!(state["status"], "complete", "{state}");
    let drafts = client.call("list_drafts", &json!({}));
    let drafts = drafts["drafts"].as_array().cloned().expect("drafts");
    assert_eq!(drafts.len(), 4, "{drafts:?}");
    for draft in drafts {
        let id = draft["draft_id"].as_str().expect("an id");
        let clips = clips(&mut client, id);
        assert_eq!(clips.len(), 5, "{clips:?}");
    }
}

/// Replicas that clients may use, as a proxy knows them: `None` while one is replaced.
type InService = [Mutex<Option<String>>; 2];

/// Adds numbered texts to a draft of its own and to a shared one, each at whichever replica is in service, until `stop`, and
/// now and then a picture that takes half a second. Returns its draft, and how many texts each has.
fn edit_in_turns(
    writer: usize,
    mut client: McpOverHttp,
    (shared, picture): (&str, &str),
    replicas: &InService,
    stop: &AtomicBool,
) -> (String, usize) {
    let mut turn = writer;
    let mut call = |tool: &str, arguments: &Value| loop {
        turn += 1;
        let url = replicas[turn % 2].lock().unwrap().clone();
        if let Some(url) = url {
            client.go_to(&url);
            return client.call(tool, arguments);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let own = call("create_draft", &json!({ "name": format!("Own {writer}") }));
    let own = own["draft_id"].as_str().expect("an id").to_owned();
    let mut count = 0;
    while count == 0 || !stop.load(Ordering::SeqCst) {
        for draft in [own.as_str(), shared] {
            let text = json!({ "draft_id": draft, "text": format!("w{writer} n{count}"), "start": count,
                "end": count + 1, "track_name": format!("w{writer}") });
            call("add_text", &text);
        }
        if count % 8 == writer {
            let url = format!("{picture}/{writer}-{count}.png");
            let image =
                json!({ "draft_id": own, "image_url": url, "start": count, "end": count + 1 });
            call("add_image", &image);
        }
        count += 1;
    }
    (own, count)
}

/// With `CAPCUT_TEST_EARLIER`, the path of an earlier version's executable, that version is replaced by this one; otherwise
/// this one by itself.
#[test]
fn a_new_version_takes_the_place_of_an_earlier_one_while_both_serve() {
    let Some(team) = Team::new() else { return };
    let earlier = |mut home: Home| {
        if let Some(path) = std::env::var_os("CAPCUT_TEST_EARLIER") {
            home.use_executable(path);
        }
        home
    };
    let olds = [earlier(team.home()), earlier(team.home())];
    let news = [team.home(), team.home()];
    let serve = |home: &Home| home.serve_http(&["--workers", "0"]);
    let mut served = olds.each_ref().map(|home| Some(serve(home)));
    let replicas: InService = served
        .each_ref()
        .map(|own| Mutex::new(own.as_ref().map(|own| own.url.clone())));
    let old_worker_home = earlier(team.home());
    let old_worker = Worker::start(&old_worker_home);
    let url = replicas[0].lock().unwrap().clone().expect("a replica");
    let mut asker = McpOverHttp::connected(&url, VERSION);
    let shared = asker.call("create_draft", &json!({ "name": "Shared" }));
    let shared = shared["draft_id"].as_str().expect("an id").to_owned();
    let pictures = slow_pictures(Duration::from_millis(500));
    let film = json!({ "name": "Film", "visuals": plan(&pictures, 6, Path::new("/"))["visuals"] });
    let begun = asker.call("compose_draft", &json!({ "plan": film, "wait_s": 0 }));
    let job = begun["job_id"].as_str().expect("an id").to_owned();
    until("the job runs", || {
        asker.call("job_status", &json!({ "job_id": job }))["status"] == "running"
    });

    let stop = AtomicBool::new(false);
    let edited: Vec<(String, usize)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let client = McpOverHttp::connected(&url, VERSION);
                let (replicas, stop) = (&replicas, &stop);
                let used = (shared.as_str(), pictures.url.as_str());
                scope.spawn(move || edit_in_turns(writer, client, used, replicas, stop))
            })
            .collect();
        // The job goes from a worker of the earlier version to one of the new version.
        let new_worker_home = team.home();
        let _new_worker = Worker::start(&new_worker_home);
        signal(&old_worker.0, "-TERM");
        for (number, home) in news.iter().enumerate() {
            *replicas[number].lock().unwrap() = None;
            // A proxy has the time to notice it. Calls that have begun get their answers.
            std::thread::sleep(Duration::from_millis(250));
            let mut old = served[number].take().expect("it serves");
            signal(&old.child, "-TERM");
            let ended = old.child.wait().expect("it ends");
            assert!(ended.success(), "{ended:?}: {}", old.stderr());
            let new = serve(home);
            *replicas[number].lock().unwrap() = Some(new.url.clone());
            served[number] = Some(new);
            // Both versions serve for a while.
            std::thread::sleep(Duration::from_secs(1));
        }
        let new = served[0].as_ref().expect("it serves");
        let mut asker = client(new);
        let state = ended(&mut asker, &job);
        assert_eq!(state["status"], "complete", "{state}");
        stop.store(true, Ordering::SeqCst);
        writers
            .into_iter()
            .map(|writer| writer.join().expect("a writer"))
            .collect()
    });
    let mut asker = client(served[1].as_ref().expect("it serves"));
    let mut all = Vec::new();
    for (writer, (own, count)) in edited.iter().enumerate() {
        let expected: Vec<String> = (0..*count).map(|n| format!("w{writer} n{n}")).collect();
        assert!(*count > 2, "writer {writer} wrote {count}");
        assert_eq!(texts(&mut asker, own), expected);
        all.extend(expected);
    }
    let mut found = texts(&mut asker, &shared);
    found.sort();
    all.sort();
    assert_eq!(found, all);
    let state = asker.call("job_status", &json!({ "job_id": job }));
    let draft = state["draft_id"].as_str().expect("a draft").to_owned();
    assert_eq!(clips(&mut asker, &draft).len(), 6);
    let drafts = asker.call("list_drafts", &json!({}));
    assert_eq!(drafts["drafts"].as_array().map(Vec::len), Some(4 + 2));
}

#[test]
fn a_process_that_was_suspended_beyond_its_lease_writes_nothing() {
    let Some(team) = Team::new() else { return };
    let homes = [team.home(), team.home(), team.home()];
    let server = homes[0].serve_http(&["--workers", "0"]);
    let pictures = slow_pictures(Duration::from_millis(700));
    let mut client = client(&server);
    let suspended = Worker::start(&homes[1]);
    let film = json!({ "name": "Film", "visuals": plan(&pictures, 4, Path::new("/"))["visuals"],
        "texts": [{ "text": "a", "duration": 1 }, { "text": "b", "duration": 1 }] });
    let begun = client.call("compose_draft", &json!({ "plan": film, "wait_s": 0 }));
    let job = begun["job_id"].as_str().expect("an id").to_owned();
    until("the job runs", || {
        client.call("job_status", &json!({ "job_id": job }))["status"] == "running"
    });
    signal(&suspended.0, "-STOP");
    let _other = Worker::start(&homes[2]);
    let state = ended(&mut client, &job);
    assert_eq!(state["status"], "complete", "{state}");
    let draft = state["draft_id"].as_str().expect("a draft").to_owned();
    let before = clips(&mut client, &draft);
    assert_eq!(before.len(), 6, "{before:?}");
    signal(&suspended.0, "-CONT");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(clips(&mut client, &draft), before);
    let again = client.call("job_status", &json!({ "job_id": job }));
    assert_eq!(again["status"], "complete");
    let drafts = client.call("list_drafts", &json!({}));
    assert_eq!(
        drafts["drafts"].as_array().map(Vec::len),
        Some(1),
        "{drafts}"
    );
}

#[test]
fn a_large_batch_lets_the_job_of_another_tenant_go_first() {
    let Some(team) = Team::new() else { return };
    let homes = [team.home(), team.home()];
    let token = |name: &str| {
        let ran = homes[0].run(&["token", "add", name]).success();
        ran.stdout.trim().to_owned()
    };
    let (busy, other) = (token("busy"), token("other"));
    let server = homes[0].serve_http(&["--workers", "0"]);
    let pictures = slow_pictures(Duration::from_millis(300));
    let client = |token: &str| {
        let mut client = McpOverHttp::new(&server.url);
        client
            .headers
            .push(("Authorization".to_owned(), format!("Bearer {token}")));
        client.connect(VERSION)
    };
    let (mut busy, mut other) = (client(&busy), client(&other));
    // Each film has pictures of its own, which are fetched slowly.
    let film = |name: String| {
        let picture = format!("{}/{}.png", pictures.url, name.replace(' ', "-"));
        json!({ "name": name, "visuals": [{ "image_url": picture, "duration": 1 }], "save": false })
    };
    let plans: Vec<Value> = (0..40)
        .map(|number| film(format!("Film {number}")))
        .collect();
    let batch = busy.call("compose_batch", &json!({ "plans": plans, "jobs": 1 }));
    let batch = batch["job_id"].as_str().expect("an id").to_owned();
    let mut command = homes[1].command(&["worker", "--workers", "1", "--allow-host", "127.0.0.1"]);
    let _worker = Worker(command.spawn().expect("a worker"));
    until("the batch runs", || {
        busy.call("job_status", &json!({ "job_id": batch }))["status"] == "running"
    });
    let single = other.call(
        "compose_draft",
        &json!({ "plan": film("Single".to_owned()), "wait_s": 0 }),
    );
    let single = single["job_id"].as_str().expect("an id").to_owned();
    let state = ended(&mut other, &single);
    assert_eq!(state["status"], "complete", "{state}");
    let state = busy.call("job_status", &json!({ "job_id": batch }));
    let status = state["status"].as_str().expect("a status");
    assert!(["running", "waiting"].contains(&status), "{state}");
    // What belongs to the other tenant is unknown.
    let error = other.error("job_status", &json!({ "job_id": batch }));
    assert!(error.contains("no job"), "{error}");
    busy.call("cancel_job", &json!({ "job_id": batch }));
}

#[test]
fn tokens_are_those_of_all_replicas_and_revoked_for_all() {
    let Some(team) = Team::new() else { return };
    let homes = [team.home(), team.home()];
    let add = |name: &str| {
        let ran = homes[0].run(&["token", "add", name]).success();
        ran.stdout.trim().to_owned()
    };
    // Without any token, programs on this machine are served.
    let (token, bob) = (add("alice"), add("bob"));
    let servers = [0, 1].map(|index: usize| homes[index].serve_http(&[]));
    let status = |server: &Served, token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        crate::support::http(
            "POST",
            &format!("{}/create_draft", server.url),
            &headers,
            b"{}",
        )
        .0
    };
    for server in &servers {
        assert_eq!(status(server, &token), 200);
        assert_eq!(status(server, "wrong"), 401);
    }
    let listed = homes[1].run(&["token", "list"]).success();
    assert!(listed.stdout.contains("alice"), "{}", listed.stdout);
    homes[1].run(&["token", "revoke", "alice"]).success();
    for server in &servers {
        until("the token is refused", || status(server, &token) == 401);
        assert_eq!(status(server, &bob), 200);
    }
}

#[test]
fn while_the_database_is_away_calls_fail_clearly_and_then_continue() {
    let Some(database) = TestServer::start(SOCKET_PORT, "") else {
        return;
    };
    let team = Team {
        address: database.database(),
    };
    let home = team.home();
    let server = home.serve_http(&[]);
    let mut client = client(&server);
    let draft = client.call("create_draft", &json!({}));
    let draft = draft["draft_id"].as_str().expect("an id").to_owned();
    let add = |text: &str| json!({ "draft_id": draft, "text": text, "start": 0, "end": 1, "track_name": text });
    client.call("add_text", &add("before"));
    assert_eq!(server.get("/ready").0, 200);
    database.crash();
    let error = client.error("add_text", &add("meanwhile"));
    assert!(error.contains("database"), "{error}");
    let (status, ready) = server.get("/ready");
    assert_eq!(status, 503, "{ready}");
    assert!(ready.contains("journal"), "{ready}");
    database.run();
    until("the server is ready", || server.get("/ready").0 == 200);
    client.call("add_text", &add("after"));
    let found = texts(&mut client, &draft);
    assert!(
        found.contains(&"before".to_owned()) && found.contains(&"after".to_owned()),
        "{found:?}"
    );
}
