//! Calls through the executor to a server that misbehaves.

use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::testing::{Fault, TestApi, app, app_on, app_with};
use super::*;
use crate::caller::{From, Manner};
use crate::journal::{self, ENGINE, SyncMode};
use crate::local;
use crate::settings::{Given, Recover};

const PAGE: &str = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>";

async fn create(app: &Arc<App>) -> String {
    let reply = app.test("create_draft", json!({})).await.unwrap();
    reply["draft_id"].as_str().unwrap().to_owned()
}

/// Two processes with one journal, each with its own connection and engine.
fn two(api: &TestApi, folder: &TempDir, recover: Recover) -> [Arc<App>; 2] {
    [(); 2].map(|()| {
        let given = Given {
            api_url: Some(api.url.clone()),
            recover: Some(recover),
            ..Given::default()
        };
        let journal = journal::at(folder.path(), SyncMode::Normal);
        app_on(journal, given, |manifest| manifest.breaker.failures = 1000)
    })
}

async fn starts_in_engine(app: &Arc<App>, draft: &DraftId) -> Vec<f64> {
    let script = app.test("query_script", json!({ "draft_id": draft })).await;
    let script = script.unwrap();
    let script: Value = serde_json::from_str(script["script"].as_str().unwrap()).unwrap();
    let tracks = script["tracks"].as_array().unwrap().iter();
    tracks
        .flat_map(|track| track["segments"].as_array().unwrap().clone())
        .map(|segment| segment["target_timerange"]["start"].as_f64().unwrap() / 1e6)
        .collect()
}

fn text(draft: &str, start: u32) -> Value {
    json!({ "draft_id": draft, "text": "hello", "start": start, "end": start + 1 })
}

#[tokio::test]
async fn a_draft_stays_on_the_backend_that_created_it() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Auto);
    let reply = app
        .test("create_draft", json!({ "name": "mine" }))
        .await
        .unwrap();
    assert_eq!(reply["backend"], "remote");
    assert!(
        reply["reason"]
            .as_str()
            .unwrap()
            .contains("CapCutAPI answers at http://127.0.0.1"),
        "{reply}"
    );
    assert!(
        reply.get("draft_url").is_none(),
        "a link to a page that does not exist: {reply}"
    );
    let draft = DraftId(reply["draft_id"].as_str().unwrap().into());
    app.test("add_text", text(draft.as_str(), 1)).await.unwrap();
    assert_eq!(api.starts(draft.as_str(), "text_main"), [1.0]);
    let row = app.journal.find(&draft).await.unwrap().unwrap();
    assert_eq!(
        (row.origin.as_str(), row.calls, row.name.as_str()),
        (api.url.as_str(), 2, "mine")
    );
}

#[tokio::test]
async fn a_call_is_one_request() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Auto);
    let draft = create(&app).await;
    let before = api.state.asked.lock().unwrap().len();
    for start in 0..5 {
        app.test("add_text", text(&draft, start)).await.unwrap();
        app.test("query_script", json!({ "draft_id": draft }))
            .await
            .unwrap();
    }
    assert_eq!(api.state.asked.lock().unwrap().len() - before, 10);
}

#[tokio::test]
async fn without_a_server_the_engine_creates_drafts_and_says_why() {
    let app = app(Some("http://127.0.0.1:1"), BackendChoice::Auto, |_| {});
    let reply = app.test("create_draft", json!({})).await.unwrap();
    assert_eq!(reply["backend"], "embedded");
    let reason = reply["reason"].as_str().unwrap();
    assert!(
        reason.contains("no answer from http://127.0.0.1:1") && reason.contains("refused"),
        "{reason}"
    );
    let id = DraftId(reply["draft_id"].as_str().unwrap().into());
    assert_eq!(app.journal.find(&id).await.unwrap().unwrap().origin, ENGINE);
}

#[tokio::test]
async fn backend_remote_never_uses_the_engine() {
    let app = app(Some("http://127.0.0.1:1"), BackendChoice::Remote, |_| {});
    let error = app.test("create_draft", json!({})).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsent, "{error}");
    assert!(error.to_string().contains("--backend embedded"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_a_capcut_api_is_described_in_the_error() {
    let api = TestApi::start(|_, _| Fault::Say(404, "", PAGE.into())).await;
    let reply = api
        .app(BackendChoice::Auto)
        .test("create_draft", json!({}))
        .await
        .unwrap();
    assert_eq!(reply["backend"], "embedded");
    assert!(
        reply["reason"]
            .as_str()
            .unwrap()
            .contains("not a CapCut API"),
        "{reply}"
    );
    let error = api
        .app(BackendChoice::Remote)
        .test("create_draft", json!({}))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("\"404 Not Found\""), "{error}");
}

#[tokio::test]
async fn new_drafts_go_to_the_engine_when_the_server_dies() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Auto);
    let draft = create(&app).await;
    api.stop();
    tokio::task::yield_now().await;
    let reply = app.test("create_draft", json!({})).await.unwrap();
    assert_eq!(reply["backend"], "embedded", "{reply}");
    let error = app.test("add_text", text(&draft, 0)).await.unwrap_err();
    assert_eq!(
        error.kind,
        Kind::Unsent,
        "existing drafts stay on the server: {error}"
    );
}

#[tokio::test]
async fn an_id_missing_from_the_journal_is_looked_up_on_the_server() {
    let api = TestApi::sound().await;
    let draft = create(&api.app(BackendChoice::Auto)).await;
    let app = api.app(BackendChoice::Auto);
    app.test("add_text", text(&draft, 0)).await.unwrap();
    assert_eq!(
        app.journal
            .find(&DraftId(draft.clone()))
            .await
            .unwrap()
            .unwrap()
            .calls,
        2
    );
    let error = app
        .test("add_text", text("dfd_cat_1_none", 0))
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert!(
        error.to_string().contains(&draft),
        "similar ids are suggested: {error}"
    );
    assert_eq!(api.count("/add_text"), 1);
}

#[tokio::test]
async fn a_reply_about_another_draft_is_an_error() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Auto);
    let draft = create(&app).await;
    api.restart();
    let error = app.test("add_text", text(&draft, 0)).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    let said = error.to_string();
    assert!(
        said.contains(&draft) && said.contains("dfd_cat_1700000000_00000001"),
        "{said}"
    );
    assert!(said.contains("recover_draft"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_with_lost_answers_are_applied_once() {
    const EDITS: u32 = 1000;
    let api = TestApi::start(|path, number| match (path, number % 7) {
        ("/add_text", 2) => Fault::DropAfter,
        ("/add_text", 4) => Fault::DropBefore,
        ("/add_text", 6) => Fault::Truncate,
        _ => Fault::None,
    })
    .await;
    let app = app(Some(&api.url), BackendChoice::Auto, |manifest| {
        manifest.retry.unsent.tries = 50;
        manifest.breaker.failures = 1000;
    });
    let draft = create(&app).await;
    let mut calls = tokio::task::JoinSet::new();
    for start in 0..EDITS {
        let (app, arguments) = (Arc::clone(&app), text(&draft, start));
        calls.spawn(async move { app.test("add_text", arguments).await });
    }
    while let Some(ended) = calls.join_next().await {
        ended.unwrap().unwrap();
    }
    let expected: Vec<f64> = (0..EDITS).map(f64::from).collect();
    assert_eq!(api.starts(&draft, "text_main"), expected);
    assert!(api.count("/query_script") > 100, "answers were lost");
    let row = app.journal.find(&DraftId(draft)).await.unwrap().unwrap();
    assert_eq!(row.calls, u64::from(EDITS) + 1);
}

#[tokio::test]
async fn an_unknown_outcome_is_reported_and_not_retried() {
    let api = TestApi::start(|path, _| match path {
        "/add_video_keyframe" => Fault::DropAfter,
        "/add_text" => Fault::Silence,
        _ => Fault::None,
    })
    .await;
    let app = app(Some(&api.url), BackendChoice::Auto, |manifest| {
        manifest.lanes.draft.timeout_s = 0.3;
    });
    let draft = create(&app).await;
    let sticker = json!({ "draft_id": draft, "sticker_id": "1", "track_name": "over" });
    app.test("add_sticker", sticker).await.unwrap();
    let keyframe = json!({
        "draft_id": draft, "track_name": "over", "property_type": "alpha", "time": 0, "value": "1.0",
    });
    let error = app.test("add_video_keyframe", keyframe).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not known whether `add_video_keyframe`"),
        "{error}"
    );
    assert_eq!(api.count("/add_video_keyframe"), 1);
    // The call was applied although no answer came, and its result is found in the draft.
    let reply = app.test("add_text", text(&draft, 3)).await.unwrap();
    assert!(
        reply["notes"][0].as_str().unwrap().contains("lost"),
        "{reply}"
    );
    assert_eq!(api.starts(&draft, "text_main"), [3.0]);
}

#[tokio::test]
async fn a_call_that_the_server_may_still_process_is_not_resent() {
    let api = TestApi::sound().await;
    let app = app(Some(&api.url), BackendChoice::Auto, |manifest| {
        manifest.lanes.draft.timeout_s = 0.2;
    });
    let draft = create(&app).await;
    api.state.delay_ms.store(2000, Ordering::SeqCst);
    let error = app.test("add_text", text(&draft, 0)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
    assert!(
        error.to_string().contains("may still be processing it"),
        "{error}"
    );
    assert_eq!(api.count("/add_text"), 1);
}

#[tokio::test]
async fn a_busy_server_is_retried_but_a_failing_one_is_not() {
    let api = TestApi::start(|path, number| match (path, number) {
        ("/add_text", 1) => Fault::Say(429, "Retry-After: 0\r\n", String::new()),
        ("/add_text", 2) => Fault::Say(503, "", PAGE.into()),
        ("/add_text", 4) | ("/query_script", 1 | 2) => Fault::Say(500, "", PAGE.into()),
        _ => Fault::None,
    })
    .await;
    let app = api.app(BackendChoice::Auto);
    let draft = create(&app).await;
    app.test("add_text", text(&draft, 0)).await.unwrap();
    assert_eq!(api.count("/add_text"), 3);
    let error = app.test("add_text", text(&draft, 1)).await.unwrap_err();
    assert_eq!(
        (error.kind, api.count("/add_text")),
        (Kind::Unavailable, 4),
        "{error}"
    );
    app.test("query_script", json!({ "draft_id": draft }))
        .await
        .unwrap();
    assert_eq!(
        api.count("/query_script"),
        3,
        "a call that only reads is retried"
    );
}

#[tokio::test]
async fn the_breaker_opens_and_new_drafts_go_to_the_engine() {
    let api = TestApi::start(|path, _| match path {
        "/create_draft" | "/add_text" => Fault::Say(500, "", PAGE.into()),
        _ => Fault::None,
    })
    .await;
    let app = app(Some(&api.url), BackendChoice::Auto, |manifest| {
        manifest.breaker.failures = 3;
    });
    for _ in 0..3 {
        let error = app.test("create_draft", json!({})).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
    }
    let reply = app.test("create_draft", json!({})).await.unwrap();
    assert_eq!(reply["backend"], "embedded");
    assert!(
        reply["reason"]
            .as_str()
            .unwrap()
            .contains("has failed repeatedly"),
        "{reply}"
    );
    let health = app.test("health_check", json!({})).await.unwrap();
    assert_eq!(health["servers"][0]["breaker"], "open", "{health}");
    assert_eq!(health["servers"][0]["server"], "CapCutAPI");
}

#[tokio::test]
async fn a_save_fails_if_its_status_says_so() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Auto);
    let draft = create(&app).await;
    let save = json!({ "draft_id": draft });
    app.test("save_draft", save.clone()).await.unwrap();
    *api.state.save_status.lock().unwrap() = Some(("failed", "Failed to save draft: disk full"));
    let error = app.test("save_draft", save.clone()).await.unwrap_err();
    assert!(error.to_string().contains("disk full"), "{error}");
    *api.state.save_status.lock().unwrap() = Some(("failed", "Draft d does not exist in cache"));
    let error = app.test("save_draft", save).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert!(error.to_string().contains("recover_draft"), "{error}");
}

#[tokio::test]
async fn a_save_with_missing_media_fails() {
    let api = TestApi::sound().await;
    let folder = tempfile::tempdir().unwrap();
    let app = app(Some(&api.url), BackendChoice::Auto, |manifest| {
        manifest.api.drafts_folder = folder.path().display().to_string();
    });
    let draft = create(&app).await;
    let video = json!({ "draft_id": draft, "video_url": format!("{}/gone.mp4?key=1", api.url), "start": 0, "end": 1 });
    let request = local::find("add_video")
        .unwrap()
        .decode(
            video.as_object().unwrap().clone(),
            &Caller::user().in_manner(Manner::Api),
        )
        .unwrap();
    app.run(request, Context::of(&Caller::user()))
        .await
        .unwrap();
    let save = json!({ "draft_id": draft });
    let error = app.test("save_draft", save.clone()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Media);
    let said = error.to_string();
    assert!(
        said.contains("/gone.mp4") && said.contains("404") && !said.contains("key=1"),
        "{said}"
    );
    std::fs::create_dir_all(folder.path().join(&draft).join("assets/video")).unwrap();
    let error = app.test("save_draft", save).await.unwrap_err();
    assert!(error.to_string().contains("the file is missing"), "{error}");
}

#[tokio::test]
async fn lists_are_cached_and_outdated_ones_used_if_the_server_is_gone() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Remote);
    for _ in 0..3 {
        let reply = app.test("get_transition_types", json!({})).await.unwrap();
        assert_eq!(reply["total"], 2, "{reply}");
    }
    assert_eq!(api.count("/get_transition_types"), 1);
    let brief = super::testing::app(Some(&api.url), BackendChoice::Remote, |manifest| {
        manifest
            .tools
            .get_mut("get_transition_types")
            .unwrap()
            .cache_s = Some(0.0);
    });
    brief.test("get_transition_types", json!({})).await.unwrap();
    api.stop();
    tokio::task::yield_now().await;
    let reply = brief.test("get_transition_types", json!({})).await.unwrap();
    assert!(
        reply["notes"][0].as_str().unwrap().contains("minutes old"),
        "{reply}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_segment_is_lost_to_the_race_of_the_server() {
    let api = TestApi::sound().await;
    api.state.delay_ms.store(3, Ordering::SeqCst);
    let app = api.app(BackendChoice::Auto);
    for _ in 0..5 {
        let draft = create(&app).await;
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..40u32 {
            let (app, draft) = (Arc::clone(&app), draft.clone());
            calls.spawn(async move {
                let mut arguments = text(&draft, number);
                arguments["track_name"] = json!(format!("track{}", number % 2));
                app.test("add_text", arguments).await
            });
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap().unwrap();
        }
        let kept = api.starts(&draft, "track0").len() + api.starts(&draft, "track1").len();
        assert_eq!(kept, 40);
    }
    assert!(
        api.state.most.load(Ordering::SeqCst) <= 8,
        "connections at the same time"
    );
}

#[tokio::test]
async fn a_cancelled_call_ends_immediately_and_says_what_may_have_been_applied() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Auto);
    let draft = create(&app).await;
    api.state.delay_ms.store(10_000, Ordering::SeqCst);
    let context = Context::of(&Caller::user());
    let cancel = context.cancel.clone();
    let arguments = text(&draft, 0).as_object().unwrap().clone();
    let request = local::find("add_text")
        .unwrap()
        .decode(arguments, &Caller::user())
        .unwrap();
    let run = app.run(request, context);
    let (ended, took) = tokio::join!(run, async {
        while api.count("/add_text") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
        Instant::now()
    });
    // The server takes 10 s.
    assert!(took.elapsed() < Duration::from_secs(5));
    let error = ended.unwrap_err();
    assert_eq!(error.kind, Kind::Cancelled);
    assert!(
        error.to_string().contains("may have been applied"),
        "{error}"
    );
    // The next call on the draft can run.
    api.state.delay_ms.store(0, Ordering::SeqCst);
    app.test("add_text", text(&draft, 5)).await.unwrap();
}

#[tokio::test]
async fn a_deleted_draft_takes_no_calls_until_it_is_restored() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Auto);
    let draft = create(&app).await;
    let reply = app
        .test("delete_draft", json!({ "draft_id": draft }))
        .await
        .unwrap();
    assert_eq!(reply["deleted"], true);
    let error = app.test("add_text", text(&draft, 0)).await.unwrap_err();
    assert!(error.to_string().contains("trash"), "{error}");
    let drafts = app.test("list_drafts", json!({})).await.unwrap();
    assert_eq!(drafts["drafts"], json!([]));
    app.test(
        "delete_draft",
        json!({ "draft_id": draft, "restore": true }),
    )
    .await
    .unwrap();
    app.test("add_text", text(&draft, 0)).await.unwrap();
    let drafts = app.test("list_drafts", json!({})).await.unwrap();
    assert_eq!(drafts["drafts"][0]["backend"], "remote", "{drafts}");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let api = TestApi::start(|path, _| match path {
        "/query_script" => Fault::Say(200, "", "x".repeat(100_000)),
        _ => Fault::None,
    })
    .await;
    let app = app(Some(&api.url), BackendChoice::Auto, |manifest| {
        manifest.limits.response_bytes = 50_000;
    });
    let draft = create(&app).await;
    let error = app
        .test("query_script", json!({ "draft_id": draft }))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("limits.response_bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_lost_draft_is_recreated_on_the_server_or_the_engine() {
    for to in ["remote", "embedded"] {
        let api = TestApi::sound().await;
        let app = api.app(BackendChoice::Auto);
        let draft = create(&app).await;
        for start in 0..5 {
            app.test("add_text", text(&draft, start)).await.unwrap();
        }
        api.restart();
        let error = app.test("add_text", text(&draft, 9)).await.unwrap_err();
        assert!(error.to_string().contains("`recover_draft`"), "{error}");
        let reply = app
            .test("recover_draft", json!({ "draft_id": draft, "to": to }))
            .await
            .unwrap();
        assert_eq!(
            (&reply["backend"], &reply["calls"]),
            (&json!(to), &json!(6)),
            "{reply}"
        );
        assert_eq!(
            reply["segments"],
            json!([{ "track": "text_main", "count": 5 }])
        );
        let new = reply["draft_id"].as_str().unwrap();
        app.test("add_text", text(new, 9)).await.unwrap();
        let error = app.test("add_text", text(&draft, 9)).await.unwrap_err();
        assert!(
            error.to_string().contains(new),
            "the error names the new id: {error}"
        );
    }
}

/// A process with `--recover auto`.
fn auto(api: &TestApi, tune: impl FnOnce(&mut Manifest)) -> Arc<App> {
    app_with(
        Given {
            api_url: Some(api.url.clone()),
            recover: Some(Recover::Auto),
            ..Given::default()
        },
        tune,
    )
}

#[tokio::test]
async fn recover_auto_recreates_a_forgotten_draft() {
    let api = TestApi::sound().await;
    let app = auto(&api, |_| {});
    let draft = create(&app).await;
    for start in 0..5 {
        app.test("add_text", text(&draft, start)).await.unwrap();
    }
    api.restart();
    let reply = app.test("add_text", text(&draft, 9)).await.unwrap();
    let new = reply["draft_id"].as_str().unwrap().to_owned();
    let told = reply["notes"][0].as_str().unwrap();
    for part in [draft.as_str(), &new, "6 acknowledged calls", "5 segments"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let expected = [0.0, 1.0, 2.0, 3.0, 4.0, 9.0];
    assert_eq!(api.starts(&new, "text_main"), expected);
    // The old id leads to the new draft, for all tools and however often the draft is lost.
    let reply = app.test("add_text", text(&draft, 10)).await.unwrap();
    assert_eq!(reply["draft_id"], json!(new));
    assert!(
        reply["notes"][0].as_str().unwrap().contains("continues as"),
        "{reply}"
    );
    api.restart();
    for (tool, arguments) in [
        ("query_script", json!({ "draft_id": draft })),
        ("save_draft", json!({ "draft_id": draft })),
    ] {
        let reply = app.test(tool, arguments).await.unwrap();
        assert!(
            reply["notes"].to_string().contains("continues as"),
            "{reply}"
        );
    }
    let last = app.current(&DraftId(draft)).await.unwrap();
    assert_eq!(api.starts(last.as_str(), "text_main").len(), 7);
}

#[tokio::test]
async fn a_draft_recreated_by_another_process_is_continued() {
    let api = TestApi::sound().await;
    let folder = tempfile::tempdir().unwrap();
    let [app, other] = two(&api, &folder, Recover::Auto);
    let draft = create(&app).await;
    other.test("add_text", text(&draft, 0)).await.unwrap();
    api.restart();
    app.test("add_text", text(&draft, 1)).await.unwrap();
    let reply = other.test("add_text", text(&draft, 2)).await.unwrap();
    let new = app.current(&DraftId(draft)).await.unwrap();
    assert_eq!(reply["draft_id"], json!(new));
    assert_eq!(api.starts(new.as_str(), "text_main"), [0.0, 1.0, 2.0]);
}

/// Whatever the processes do at the same time: one draft is recreated, and it contains everything acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_recreate_a_lost_draft_once() {
    for round in 0..5 {
        let api = TestApi::start(|path, number| match (path, number) {
            ("/add_text", 8) => Fault::Restart,
            _ => Fault::None,
        });
        let api = api.await;
        let folder = tempfile::tempdir().unwrap();
        let apps = two(&api, &folder, Recover::Auto);
        let draft = create(&apps[0]).await;
        let mut calls = tokio::task::JoinSet::new();
        for start in 0..20 {
            let app = Arc::clone(&apps[start as usize % 2]);
            let arguments = text(&draft, start);
            calls.spawn(async move { app.test("add_text", arguments).await });
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap().unwrap();
        }
        let new = apps[0].current(&DraftId(draft)).await.unwrap();
        let expected: Vec<f64> = (0..20).map(f64::from).collect();
        let starts = api.starts(new.as_str(), "text_main");
        assert_eq!(starts, expected, "round {round}");
        let drafts = apps[1].journal.list(true, 10, None).await.unwrap();
        assert_eq!(drafts.len(), 2, "{drafts:#?}");
    }
}

#[tokio::test]
async fn a_saved_engine_draft_is_recreated_from_the_calls_of_its_user() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Embedded);
    let folder = tempfile::tempdir().unwrap();
    let draft = create(&app).await;
    for start in 0..3 {
        app.test("add_text", text(&draft, start)).await.unwrap();
    }
    let save = json!({ "draft_id": draft, "draft_folder": folder.path() });
    app.test("save_draft", save).await.unwrap();
    let query = json!({ "draft_id": draft, "force_update": true });
    app.test("query_script", query).await.unwrap();
    let id = DraftId(draft.clone());
    let records = app.journal.records(ENGINE, &id, 0).await.unwrap();
    assert!(records.iter().any(|record| record.internal));
    let row = app.journal.find(&id).await.unwrap().unwrap();
    assert_eq!(
        row.calls, 4,
        "a save is not one of the calls that make up the draft"
    );
    let recover = json!({ "draft_id": draft, "to": "embedded" });
    let reply = app.test("recover_draft", recover).await.unwrap();
    let new = DraftId(reply["draft_id"].as_str().unwrap().into());
    assert_eq!(starts_in_engine(&app, &new).await, [0.0, 1.0, 2.0]);
    let row = app.journal.find(&new).await.unwrap().unwrap();
    assert_eq!(row.calls, 4);
}

#[tokio::test]
async fn a_draft_that_another_process_deleted_takes_no_calls() {
    for backend in ["remote", "embedded"] {
        let api = TestApi::sound().await;
        let folder = tempfile::tempdir().unwrap();
        let [app, other] = two(&api, &folder, Recover::Ask);
        let draft = if backend == "remote" {
            create(&app).await
        } else {
            let here = Backend::Embedded(Arc::clone(&app.engine));
            let request = local::find("create_draft").unwrap();
            let request = request.decode(crate::args::Object::new(), &Caller::user());
            let context = Context::of(&Caller::user());
            let reply = app.run_on(here, request.unwrap(), context).await.unwrap();
            reply["draft_id"].as_str().unwrap().to_owned()
        };
        app.test("add_text", text(&draft, 0)).await.unwrap();
        let delete = json!({ "draft_id": draft });
        other.test("delete_draft", delete).await.unwrap();
        let error = app.test("add_text", text(&draft, 1)).await.unwrap_err();
        assert!(error.to_string().contains("trash"), "{backend}: {error}");
        let query = app.test("query_script", json!({ "draft_id": draft })).await;
        assert!(
            query.unwrap_err().to_string().contains("trash"),
            "{backend}"
        );
        let restore = json!({ "draft_id": draft, "restore": true });
        other.test("delete_draft", restore).await.unwrap();
        app.test("add_text", text(&draft, 1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_long_chain_of_moves_is_followed_up_to_a_limit() {
    let api = TestApi::sound().await;
    let app = auto(&api, |_| {});
    let mut drafts = Vec::new();
    for _ in 0..110 {
        drafts.push(DraftId(create(&app).await));
    }
    for two in drafts.windows(2) {
        let (from, to) = ((&*api.url, &two[0]), (&*api.url, &two[1]));
        assert!(app.journal.set_moved(from, 0, to).await.unwrap());
        app.forget(&two[0]);
    }
    let error = app.test("add_text", text(drafts[0].as_str(), 0)).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("continues as"), "{error}");
    app.test("add_text", text(drafts[50].as_str(), 0))
        .await
        .unwrap();
}

#[tokio::test]
async fn recover_auto_moves_a_draft_to_the_engine_when_its_server_dies() {
    for failures in [100, 2] {
        let api = TestApi::sound().await;
        let app = auto(&api, |manifest| manifest.breaker.failures = failures);
        let draft = create(&app).await;
        app.test("add_text", text(&draft, 0)).await.unwrap();
        api.stop();
        tokio::task::yield_now().await;
        let reply = app.test("add_text", text(&draft, 1)).await.unwrap();
        let new = DraftId(reply["draft_id"].as_str().unwrap().into());
        assert_eq!(app.backend_of(&new).await.unwrap(), "embedded", "{reply}");
        assert_eq!(starts_in_engine(&app, &DraftId(draft)).await, [0.0, 1.0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_calls_to_a_lost_draft_recreate_it_once_and_lose_nothing() {
    for round in 0..10 {
        let api = TestApi::start(|path, number| match (path, number) {
            ("/add_text", 10) => Fault::Restart,
            _ => Fault::None,
        });
        let api = api.await;
        let app = auto(&api, |manifest| manifest.breaker.failures = 1000);
        let draft = create(&app).await;
        app.test("add_text", text(&draft, 0)).await.unwrap();
        let mut calls = tokio::task::JoinSet::new();
        for start in 1..=40 {
            let (app, arguments) = (Arc::clone(&app), text(&draft, start));
            calls.spawn(async move { app.test("add_text", arguments).await });
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap().unwrap();
        }
        let new = app.current(&DraftId(draft)).await.unwrap();
        let expected: Vec<f64> = (0..=40).map(f64::from).collect();
        assert_eq!(
            api.starts(new.as_str(), "text_main"),
            expected,
            "round {round}"
        );
        let drafts = app.journal.list(true, 10, None).await.unwrap();
        assert_eq!(drafts.len(), 2, "{drafts:#?}");
    }
}

#[tokio::test]
async fn a_draft_that_cannot_be_recreated_is_reported_with_both_reasons() {
    let api = TestApi::sound().await;
    let draft = create(&api.app(BackendChoice::Auto)).await;
    let app = auto(&api, |_| {});
    app.test("add_text", text(&draft, 0)).await.unwrap();
    api.restart();
    let error = app.test("add_text", text(&draft, 1)).await.unwrap_err();
    let said = error.to_string();
    assert_eq!(error.kind, Kind::NotFound, "{said}");
    for part in [
        "is unknown to",
        "could not be recreated",
        "lacks its first calls",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_moved_draft_refuses_edits_under_its_old_id() {
    let api = TestApi::sound().await;
    let folder = tempfile::tempdir().unwrap();
    let [app, other] = two(&api, &folder, Recover::Ask);
    let draft = create(&app).await;
    app.test("add_text", text(&draft, 0)).await.unwrap();
    // This process has cached where the draft was.
    other.test("add_text", text(&draft, 1)).await.unwrap();
    let moved = json!({ "draft_id": draft, "to": "embedded" });
    let reply = app.test("recover_draft", moved).await.unwrap();
    let error = other.test("add_text", text(&draft, 2)).await.unwrap_err();
    let new = reply["draft_id"].as_str().unwrap();
    assert!(
        error.to_string().contains(&format!("continues as {new}")),
        "{error}"
    );
    let error = app.test("add_text", text(&draft, 2)).await.unwrap_err();
    assert!(error.to_string().contains("continues as"), "{error}");
}

#[tokio::test]
async fn a_missing_track_on_a_forgotten_draft_is_reported_as_a_lost_draft() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Auto);
    let draft = create(&app).await;
    app.test("add_text", text(&draft, 0)).await.unwrap();
    api.restart();
    let keyframe = json!({ "draft_id": draft, "property_type": "alpha", "time": 0, "value": "1.0", "track_name": "text_main" });
    let error = app.test("add_video_keyframe", keyframe).await.unwrap_err();
    assert!(
        error.to_string().contains("is lost") && error.to_string().contains("--recover auto"),
        "{error}"
    );
}

#[tokio::test]
async fn a_draft_moves_from_the_engine_to_a_server() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Auto);
    let here = Backend::Embedded(Arc::clone(&app.engine));
    let request = local::find("create_draft").unwrap();
    let request = request
        .decode(crate::args::Object::new(), &Caller::user())
        .unwrap();
    let reply = app
        .run_on(here, request, Context::of(&Caller::user()))
        .await
        .unwrap();
    let draft = reply["draft_id"].as_str().unwrap();
    app.test("add_text", text(draft, 2)).await.unwrap();
    let reply = app
        .test(
            "recover_draft",
            json!({ "draft_id": draft, "to": "remote" }),
        )
        .await
        .unwrap();
    assert_eq!(reply["backend"], "remote", "{reply}");
    assert_eq!(
        api.starts(reply["draft_id"].as_str().unwrap(), "text_main"),
        [2.0]
    );
}

#[tokio::test]
async fn a_failed_recovery_leaves_no_draft_on_the_engine() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Auto);
    let draft = create(&app).await;
    // The test server accepts any font, the engine does not.
    let mut arguments = text(&draft, 0);
    arguments["font"] = json!("No Such Font");
    let request = local::find("add_text").unwrap();
    let request = request
        .decode(
            arguments.as_object().unwrap().clone(),
            &Caller::user().in_manner(Manner::Api),
        )
        .unwrap();
    app.run(request, Context::of(&Caller::user()))
        .await
        .unwrap();
    let error = app
        .test(
            "recover_draft",
            json!({ "draft_id": draft, "to": "embedded" }),
        )
        .await
        .unwrap_err();
    assert!(error.to_string().contains("call 1, `add_text`"), "{error}");
    let drafts = app.test("list_drafts", json!({})).await.unwrap();
    assert_eq!(drafts["drafts"].as_array().unwrap().len(), 1, "{drafts}");
}

/// Calls with the results that every backend must return.
async fn contract(app: &Arc<App>) -> Vec<Value> {
    let mut seen = Vec::new();
    let created = app
        .test("create_draft", json!({ "width": 720, "height": 1280 }))
        .await
        .unwrap();
    let draft = created["draft_id"].as_str().unwrap().to_owned();
    let mut call = async |tool: &str, mut arguments: Value| {
        arguments["draft_id"] = json!(draft);
        let mut seen_now = match app.test(tool, arguments).await {
            Ok(reply) => reply,
            Err(error) => json!({ "kind": error.kind.name() }),
        };
        if let Some(reply) = seen_now.as_object_mut() {
            for key in ["draft_id", "backend", "segment_id"] {
                reply.shift_remove(key);
            }
            if let Some(script) = reply.remove("script") {
                let script: Value = serde_json::from_str(script.as_str().unwrap()).unwrap();
                let ranges: Vec<Value> = script["tracks"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .flat_map(|track| track["segments"].as_array().unwrap())
                    .map(|segment| segment["target_timerange"].clone())
                    .collect();
                reply.insert("ranges".into(), json!(ranges));
                reply.insert("canvas".into(), script["canvas_config"].clone());
            }
        }
        seen.push(seen_now);
    };
    call("add_text", json!({ "text": "one", "start": 0, "end": 2 })).await;
    call("add_text", json!({ "text": "two", "start": 2, "end": 4 })).await;
    call("add_text", json!({ "text": "over", "start": 1, "end": 3 })).await;
    let srt = "1\n00:00:00,000 --> 00:00:01,000\na\n\n2\n00:00:01,000 --> 00:00:02,000\nb\n";
    call("add_subtitle", json!({ "srt": srt })).await;
    call(
        "add_sticker",
        json!({ "sticker_id": "1", "start": 0, "end": 1 }),
    )
    .await;
    call(
        "add_video_keyframe",
        json!({ "track_name": "text_main", "property_type": "alpha", "time": 1, "value": "0.5" }),
    )
    .await;
    call(
        "add_video_keyframe",
        json!({ "track_name": "nowhere", "property_type": "alpha", "time": 1, "value": "0.5" }),
    )
    .await;
    call("query_script", json!({})).await;
    let lists = app.test("get_mask_types", json!({})).await.unwrap();
    seen.push(lists);
    let unknown = app
        .test("query_script", json!({ "draft_id": "dfd_cat_1_nothing" }))
        .await
        .unwrap_err();
    seen.push(json!(unknown.kind.name()));
    seen
}

#[tokio::test]
async fn both_backends_return_the_same_results() {
    let embedded = app(None, BackendChoice::Embedded, |_| {});
    let other = app(None, BackendChoice::Embedded, |_| {});
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(crate::http::serve(
        listener,
        Arc::new(
            crate::http::HttpServer::of(
                &other,
                crate::http::ServerOptions::default(),
                crate::http::Admission::new(None, &[], &[]),
            )
            .await
            .unwrap(),
        ),
        None,
        std::future::pending(),
    ));
    let remote = app(Some(&url), BackendChoice::Remote, |_| {});
    let here = contract(&embedded).await;
    let there = contract(&remote).await;
    for (number, (here, there)) in here.iter().zip(&there).enumerate() {
        assert_eq!(here, there, "step {number}");
    }
    assert_eq!(here.len(), 10);
    assert_eq!(here[2], json!({ "kind": "conflict" }));
    let health = remote.test("health_check", json!({})).await.unwrap();
    assert_eq!(
        health["servers"][0]["server"], "capcut-mcp engine",
        "{health}"
    );
    server.abort();
}

#[tokio::test]
async fn similar_ids_are_suggested_to_the_user_but_not_to_clients() {
    let app = app(None, BackendChoice::Embedded, |_| {});
    let draft = create(&app).await;
    let typo = format!("{draft}0");
    for (tool, arguments) in [
        ("query_script", json!({ "draft_id": typo })),
        ("add_text", text(&typo, 0)),
        ("save_draft", json!({ "draft_id": typo })),
    ] {
        let user = app.test(tool, arguments.clone()).await.unwrap_err();
        assert!(user.to_string().contains(&draft), "{tool}: {user}");
        for from in [From::Here, From::Network] {
            let client = Caller::client(Manner::Api, from, &Arc::default());
            let request = local::find(tool).unwrap();
            let request = request.decode(arguments.as_object().unwrap().clone(), &client);
            let context = Context::of(&client);
            let error = app.run(request.unwrap(), context).await.unwrap_err();
            let told = error.to_string().replace(&typo, "");
            assert!(!told.contains(&draft), "{tool}: {error}");
        }
    }
}

#[tokio::test]
async fn a_server_fetches_no_media_that_its_client_may_not_read() {
    let api = TestApi::sound().await;
    let app = api.app(BackendChoice::Remote);
    let draft = create(&app).await;
    for (tool, argument, source) in [
        ("add_video", "video_url", "http://127.0.0.1:9/a.mp4"),
        ("add_image", "image_url", "http://localhost:9/a.png"),
        ("add_audio", "audio_url", "/etc/passwd"),
        ("add_subtitle", "srt", "http://10.0.0.1/a.srt"),
    ] {
        let client = Caller::client(Manner::Api, From::Network, &Arc::default());
        let mut arguments = crate::tools::Object::new();
        arguments.insert("draft_id".into(), json!(draft));
        arguments.insert(argument.into(), json!(source));
        let request = local::find(tool).unwrap().decode(arguments, &client);
        let context = Context::of(&client);
        let error = app.run(request.unwrap(), context).await.unwrap_err();
        assert_eq!(error.kind, Kind::InvalidArgument, "{tool}: {error}");
        assert!(error.to_string().contains("--allow-"), "{tool}: {error}");
        assert_eq!(api.count(&format!("/{tool}")), 0, "{tool}");
    }
}

#[test]
fn duplicate_notes_are_removed() {
    let mut reply = json!({ "notes": ["a", "b", "a", "b", "c"] });
    super::each_note_once(&mut reply);
    assert_eq!(reply, json!({ "notes": ["a", "b", "c"] }));
}
