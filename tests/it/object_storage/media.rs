//! Media from the web and what providers make, as several servers with one bucket use them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::server::S3;
use super::{home, no_secrets};
use crate::access::{add, bearer};
use crate::generating::{completed, made, paid, saved_plan};
#[cfg(unix)]
use crate::save::limited;
use crate::support::services::{KEY, Route, Services};
use crate::support::{Answer, Home, Served, Server, http, media, media_server, until};

/// The keys below which the media of a tenant are.
const CONTENT: &str = "team/t/local/media/sha256";
const NOTES: &str = "team/t/local/media/notes/urls";

/// A draft with one clip at this address; returns its id.
fn draft_with(home: &Home, url: &str) -> Value {
    let draft = home.call("create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    add_clip(home, &draft, url).expect("a clip");
    draft
}

fn add_clip(home: &Home, draft: &Value, url: &str) -> Result<Value, (i32, String)> {
    let clip = json!({ "draft_id": draft, "video_url": url, "start": 0, "end": 1, "track_name": track_of(url) });
    home.call("add_video", &clip)
}

/// A track for each address.
fn track_of(url: &str) -> String {
    url.rsplit('/').take(2).collect::<Vec<_>>().join("-")
}

/// Saves a draft to a new folder; returns the bytes of its only clip.
fn saved_clip(home: &Home, draft: &Value, name: &str) -> Result<Vec<u8>, (i32, String)> {
    let folder = home.path().join(name);
    let saved = home.call(
        "save_draft",
        &json!({ "draft_id": draft, "draft_folder": folder }),
    )?;
    let folder = saved["folder"].as_str().expect("a folder").to_owned();
    let files = fs::read_dir(Path::new(&folder).join("assets/video")).expect("media");
    let files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    Ok(fs::read(&files[0]).expect("a clip"))
}

/// What another machine that shares the store of drafts has: only that.
fn forget_files(home: &Home) {
    for name in ["media", "assets", "files", "delivery", "drafts"] {
        let _ = fs::remove_dir_all(home.data().join(name));
    }
}

#[test]
fn media_of_the_web_are_fetched_once_for_all_servers_and_outlive_their_source() {
    let (s3, source) = (S3::start(), media_server());
    let (one, other) = (home(&s3.url, ""), home(&s3.url, ""));
    let url = format!("{}/range/clip.mp4?token=secret", source.url);
    let clip = fs::read(media("clip.mp4")).expect("an example");
    let draft = draft_with(&one, &url);
    assert_eq!(saved_clip(&one, &draft, "first").expect("saved"), clip);
    let objects = s3.objects(CONTENT);
    assert_eq!(objects.len(), 1, "{objects:?}");
    assert_eq!(fs::read(&objects[0]).expect("an object"), clip);
    assert_eq!(s3.objects(NOTES).len(), 1);
    for note in s3.objects(NOTES) {
        let text = fs::read_to_string(&note).expect("a note") + &note.display().to_string();
        assert!(
            !text.contains("secret") && !text.contains("clip.mp4"),
            "{text}"
        );
    }
    let asked = source.asked().len();
    // Nothing is asked by another server a moment later.
    let second = draft_with(&other, &url);
    assert_eq!(saved_clip(&other, &second, "second").expect("saved"), clip);
    assert_eq!(source.asked().len(), asked);
    assert_eq!(s3.objects(CONTENT).len(), 1);
    // Later, on a machine that has nothing but the drafts, and without the source.
    source.refuse(true);
    forget_files(&one);
    age_notes(&s3);
    assert_eq!(saved_clip(&one, &draft, "later").expect("saved"), clip);
    forget_files(&one);
    let folder = one.path().join("last");
    let saved = json!({ "draft_id": draft, "draft_folder": folder });
    let saved = one.call("save_draft", &saved).expect("saved");
    assert!(
        saved["notes"]
            .to_string()
            .contains("not available any more"),
        "{saved}"
    );
    let again = other.call("create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    add_clip(&other, &again, &url).expect("it is known");
    no_secrets(&one, &[]);
    // What no one has fetched is still missing.
    let unknown = draft_with(&one, &url.replace("secret", "other"));
    let error = saved_clip(&one, &unknown, "unknown").expect_err("it is gone");
    assert!(error.1.contains("no connection"), "{error:?}");
}

/// Makes the confirmations of all notes a day old.
fn age_notes(s3: &S3) {
    for note in s3.objects(NOTES) {
        let text = fs::read(&note).expect("a note");
        let mut text: Value = serde_json::from_slice(&text).expect("JSON");
        let seconds = text["confirmed"]["secs_since_epoch"]
            .as_u64()
            .expect("a time");
        text["confirmed"]["secs_since_epoch"] = json!(seconds - 86_400);
        fs::write(&note, text.to_string()).expect("written");
    }
}

#[test]
fn a_source_that_has_changed_is_fetched_again_and_one_that_has_not_is_only_asked() {
    let s3 = S3::start();
    let clip = fs::read(media("clip.mp4")).expect("an example");
    let source = Server::start({
        let clip = clip.clone();
        move |asked| {
            let tag = if asked.path.starts_with("/changed") {
                // Another tag each time.
                format!("\"{}\"", fastrand::u64(..))
            } else {
                "\"same\"".to_owned()
            };
            let mut answer = if asked.headers.get("if-none-match") == Some(&tag) {
                Answer::new(304, "video/mp4", "")
            } else {
                Answer::new(200, "video/mp4", clip.clone())
            };
            answer.headers.push(("ETag".to_owned(), tag));
            answer
        }
    });
    let (one, other) = (home(&s3.url, ""), home(&s3.url, ""));
    for (path, whole) in [("/same.mp4", 0), ("/changed.mp4", 1)] {
        let url = format!("{}{path}", source.url);
        let draft = draft_with(&one, &url);
        assert_eq!(saved_clip(&one, &draft, &path[1..]).expect("saved"), clip);
        age_notes(&s3);
        let before = source.asked().len();
        let second = draft_with(&other, &url);
        assert_eq!(
            saved_clip(&other, &second, &path[1..]).expect("saved"),
            clip
        );
        let asked = source.asked().split_off(before);
        let plain = asked
            .iter()
            .filter(|asked| !asked.headers.contains_key("if-none-match"));
        assert!(plain.count() >= whole, "{path}");
        if whole == 0 {
            assert!(!asked.is_empty(), "{path}");
            let conditional = asked
                .iter()
                .all(|asked| asked.headers.contains_key("if-none-match"));
            assert!(conditional, "{path}: {asked:?}");
        }
    }
    // The same content is there once.
    assert_eq!(s3.objects(CONTENT).len(), 1);
}

#[test]
fn media_that_are_damaged_or_removed_in_the_bucket_are_fetched_again() {
    let (s3, source) = (S3::start(), media_server());
    let one = home(&s3.url, "");
    let url = format!("{}/range/clip.mp4", source.url);
    let clip = fs::read(media("clip.mp4")).expect("an example");
    let draft = draft_with(&one, &url);
    let damage: [(&str, &dyn Fn(&Path)); 4] = [
        ("forged", &|path| {
            let mut bytes = fs::read(path).expect("an object");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).expect("written");
        }),
        ("cut", &|path| fs::write(path, b"short").expect("written")),
        ("removed", &|path| fs::remove_file(path).expect("removed")),
        ("notes", &|_| {
            for note in s3.objects(NOTES) {
                fs::write(note, b"{").expect("written");
            }
        }),
    ];
    assert_eq!(saved_clip(&one, &draft, "whole").expect("saved"), clip);
    for (name, damage) in damage {
        forget_files(&one);
        damage(&s3.objects(CONTENT)[0]);
        assert_eq!(
            saved_clip(&one, &draft, name).expect("saved"),
            clip,
            "{name}"
        );
        let objects = s3.objects(CONTENT);
        assert_eq!(objects.len(), 1, "{name}: {objects:?}");
        assert_eq!(fs::read(&objects[0]).expect("an object"), clip, "{name}");
    }
}

#[test]
fn drafts_are_saved_from_the_source_while_the_bucket_is_away() {
    let (s3, source) = (S3::start(), media_server());
    let one = home(&s3.url, "");
    let url = format!("{}/range/clip.mp4", source.url);
    let clip = fs::read(media("clip.mp4")).expect("an example");
    let draft = draft_with(&one, &url);
    s3.down();
    assert_eq!(saved_clip(&one, &draft, "down").expect("saved"), clip);
    source.refuse(true);
    let error = saved_clip(&one, &draft, "nothing").expect_err("both are away");
    assert!(error.1.contains("object storage"), "{error:?}");
    let folder = one.path().join("nothing");
    let left = fs::read_dir(folder).map_or(0, |entries| {
        let names = entries.flatten().map(|entry| entry.file_name());
        names
            .filter(|name| !name.to_string_lossy().starts_with('.'))
            .count()
    });
    assert_eq!(left, 0, "nothing is half there");
}

#[test]
fn tenants_do_not_share_media() {
    let (s3, source) = (S3::start(), media_server());
    let home = home(&s3.url, "");
    let (alice, bob) = (add(&home, &["alice"]), add(&home, &["bob"]));
    let served = home.serve_http(&["--allow-host", "127.0.0.1"]);
    let url = format!("{}/range/clip.mp4", source.url);
    let save = |token: &str| {
        let draft = ask(&served, token, "/create_draft", &json!({}))["draft_id"].clone();
        let clip = json!({ "draft_id": draft, "video_url": url, "start": 0, "end": 1 });
        ask(&served, token, "/add_video", &clip);
        ask(&served, token, "/save_draft", &json!({ "draft_id": draft }));
    };
    save(&alice);
    assert_eq!(s3.objects("team/t/alice/media/sha256").len(), 1);
    assert_eq!(s3.objects("team/t/bob/media").len(), 0);
    let asked = source.asked().len();
    save(&bob);
    assert!(source.asked().len() > asked, "bob has to fetch it");
    assert_eq!(s3.objects("team/t/bob/media/sha256").len(), 1);
}

fn ask(served: &Served, token: &str, path: &str, body: &Value) -> Value {
    let bearer = bearer(token);
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let url = format!("{}{path}", served.url);
    let (status, answer) = http("POST", &url, &headers, body.to_string().as_bytes());
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(
        (status, &answer["success"]),
        (200, &json!(true)),
        "{answer}"
    );
    answer["output"].clone()
}

/// A home with a bucket and a voice.
fn home_with_voice(s3: &S3, services: &Services) -> Home {
    let voice = services.section("voice", "openai", "speech", "");
    let mut home = home(&s3.url, &format!("{}{voice}", paid("")));
    home.set("STUB_KEY", KEY);
    home
}

#[test]
fn what_a_provider_made_is_used_by_another_machine_with_the_same_drafts() {
    let (s3, services) = (S3::start(), Services::start());
    let home = home_with_voice(&s3, &services);
    let plan = saved_plan(&home, &json!({ "audio": [{ "say": "One voice." }] }));
    let reply = completed(&mut home.connected(), &plan);
    assert!(!made(&reply)[0].2, "{reply}");
    let objects = s3.objects(CONTENT);
    assert_eq!(objects.len(), 1, "{objects:?}");
    let voice = fs::read(&objects[0]).expect("a voice");
    let draft = reply["draft_id"].clone();
    // Another machine: the draft names the path of a file that is not there.
    forget_files(&home);
    let elsewhere = home.path().join("elsewhere");
    let saved = home.call(
        "save_draft",
        &json!({ "draft_id": draft, "draft_folder": elsewhere }),
    );
    let folder = saved.expect("it is saved")["folder"].clone();
    let stored = Path::new(folder.as_str().expect("a folder")).join("assets/audio");
    let stored: Vec<_> = fs::read_dir(stored).expect("media").flatten().collect();
    assert_eq!(fs::read(stored[0].path()).expect("a voice"), voice);
    // It is not recreated.
    forget_files(&home);
    let reply = completed(&mut home.connected(), &plan);
    assert!(made(&reply)[0].2, "{reply}");
    assert_eq!(services.asked(Route::Speech), 1);
    // Without it the draft says so, and a new run recreates it.
    forget_files(&home);
    fs::remove_file(&s3.objects(CONTENT)[0]).expect("removed");
    let elsewhere = home.path().join("nowhere");
    let error = home
        .call(
            "save_draft",
            &json!({ "draft_id": draft, "draft_folder": elsewhere }),
        )
        .expect_err("it is gone");
    assert!(
        error.1.contains("not in object storage any more"),
        "{error:?}"
    );
    completed(&mut home.connected(), &plan);
    assert_eq!(services.asked(Route::Speech), 2);
    no_secrets(&home, &[]);
}

#[test]
fn what_was_paid_for_while_the_bucket_was_away_is_kept_and_put_there_later() {
    let (s3, services) = (S3::start(), Services::start());
    let home = home_with_voice(&s3, &services);
    let plan = saved_plan(&home, &json!({ "audio": [{ "say": "One voice." }] }));
    s3.down();
    let mut client = home.connected();
    let reply = crate::generating::compose(&mut client, &plan, &json!({}));
    let told = match reply {
        Ok(reply) => {
            assert_ne!(reply["status"], "complete", "{reply}");
            reply.to_string()
        }
        Err(error) => error,
    };
    assert!(told.contains("object storage"), "{told}");
    assert_eq!(services.asked(Route::Speech), 1);
    assert!(s3.objects(CONTENT).is_empty());
    s3.up();
    until("it is in the bucket", || {
        let reply = crate::generating::compose(&mut client, &plan, &json!({}));
        reply.is_ok_and(|reply| reply["status"] == "complete")
    });
    assert_eq!(s3.objects(CONTENT).len(), 1);
    assert_eq!(services.asked(Route::Speech), 1, "it was paid once");
}

/// What `doctor` says that it removed from the bucket.
fn pruned(home: &Home) -> String {
    let ran = home.run(&["doctor", "--prune"]);
    let line = ran
        .stdout
        .lines()
        .find(|line| line.contains("stored objects"));
    line.unwrap_or_else(|| panic!("{ran:?}")).to_owned()
}

#[test]
fn expired_media_are_removed_but_never_what_a_draft_needs() {
    let s3 = S3::start();
    let clip = fs::read(media("clip.mp4")).expect("an example");
    // Each address has content of its own: with a box at its end that is skipped.
    let source = Server::start(move |asked| {
        let number = asked.path.len() as u8;
        let more = [&[0, 0, 0, 9], &b"free"[..], &[number]].concat();
        Answer::new(200, "video/mp4", [clip.clone(), more].concat())
    });
    let (one, other) = (home(&s3.url, ""), home(&s3.url, ""));
    let address = |name: &str| format!("{}/{name}", source.url);
    let kept = draft_with(&one, &address("clip.mp4"));
    saved_clip(&one, &kept, "kept").expect("saved");
    let trashed = draft_with(&one, &address("other.clip.mp4"));
    saved_clip(&one, &trashed, "trashed").expect("saved");
    let young = |s3: &S3| s3.objects(CONTENT).len();
    assert_eq!(young(&s3), 2);
    one.call("delete_draft", &json!({ "draft_id": trashed }))
        .expect("in the trash");
    assert!(pruned(&one).contains("removed 0 media files"));
    s3.age(Duration::from_hours(3));
    // Another server with drafts of its own has used the bucket, and has not said what they need.
    let theirs = draft_with(&other, &address("clip.mp4"));
    saved_clip(&other, &theirs, "theirs").expect("saved");
    s3.age(Duration::from_hours(3));
    let told = pruned(&one);
    assert!(told.contains("media stay"), "{told}");
    assert_eq!(young(&s3), 2);
    pruned(&other);
    let told = pruned(&one);
    assert!(!told.contains("media stay"), "{told}");
    assert_eq!(young(&s3), 1, "{told}");
    assert_eq!(s3.objects(NOTES).len(), 1);
    // Their draft still needs what ours does not need any more.
    one.call("delete_draft", &json!({ "draft_id": kept }))
        .expect("in the trash");
    source.refuse(true);
    pruned(&one);
    assert_eq!(young(&s3), 1);
    forget_files(&other);
    saved_clip(&other, &theirs, "again").expect("it is still there");
    other
        .call("delete_draft", &json!({ "draft_id": theirs }))
        .expect("in the trash");
    s3.age(Duration::from_hours(3));
    pruned(&other);
    assert_eq!(young(&s3), 0);
    assert!(pruned(&other).contains("removed 0 media files"));
}

#[test]
fn the_parts_of_an_upload_that_was_killed_are_removed_later() {
    let s3 = S3::start();
    let home = home(&s3.url, "");
    let served = home.serve_http(&[]);
    let url = format!("{}/files/large.srt", served.url);
    let content = b"1\n00:00:00,000 --> 00:00:01,000\nline\n\n".repeat(2_000_000);
    let upload = std::thread::spawn(move || {
        std::panic::catch_unwind(|| http("PUT", &url, &[], &content)).is_ok()
    });
    until("parts arrive", || s3.parts() > 0);
    drop(served);
    let _ = upload.join();
    assert!(s3.objects("team/t/local/files").is_empty());
    assert_eq!(s3.objects("team/unfinished").len(), 1);
    assert!(s3.parts() > 0);
    // It may still be going on.
    assert!(pruned(&home).contains("0 unfinished uploads"));
    assert!(s3.parts() > 0);
    s3.age(Duration::from_hours(25));
    assert!(pruned(&home).contains("1 unfinished upload"));
    assert_eq!((s3.parts(), s3.objects("team/unfinished").len()), (0, 0));
    assert!(pruned(&home).contains("0 unfinished uploads"));
}

#[test]
fn servers_that_save_the_same_draft_at_the_same_time_give_links_that_work() {
    let s3 = S3::start();
    let one = home(&s3.url, "[limits.delivery]\nversions = 1\n");
    let servers = [one.serve_http(&[]), one.serve_http(&[])];
    let draft = servers[0]
        .output("/create_draft", &json!({}))
        .expect("a draft")["draft_id"]
        .clone();
    for round in 0..3 {
        let text = json!({ "draft_id": draft, "text": "text", "start": 0, "end": 1, "track_name": round.to_string() });
        servers[0].output("/add_text", &text).expect("a text");
        let save = |served: &Served| {
            // One of two saves to the same folder may have to wait for the other.
            let mut link = None;
            until("it is saved", || {
                let saved = served.output("/save_draft", &json!({ "draft_id": draft }));
                link = saved
                    .ok()
                    .and_then(|saved| Some(saved["draft_url"].as_str()?.to_owned()));
                link.is_some()
            });
            link.expect("a link")
        };
        let links: Vec<String> = std::thread::scope(|scope| {
            let saves: Vec<_> = servers
                .iter()
                .map(|served| scope.spawn(|| save(served)))
                .collect();
            saves
                .into_iter()
                .map(|save| save.join().expect("saved"))
                .collect()
        });
        for link in &links {
            assert_eq!(http("GET", link, &[], b"").0, 200, "{link}");
        }
    }
    // Two that were saved in the same moment stay until the next save.
    assert!((1..=2).contains(&s3.objects("team/t/local/index").len()));
}

#[cfg(unix)]
#[test]
fn a_disk_without_space_for_a_copy_leaves_nothing_and_the_bucket_whole() {
    let s3 = S3::start();
    let mut clip = fs::read(media("clip.mp4")).expect("an example");
    let length: u32 = 3 << 20;
    clip.extend(length.to_be_bytes());
    clip.extend(b"free");
    clip.resize(clip.len() + length as usize - 8, 7);
    let source = Server::start({
        let clip = clip.clone();
        move |_| Answer::new(200, "video/mp4", clip.clone())
    });
    let (one, other) = (home(&s3.url, ""), home(&s3.url, ""));
    let url = format!("{}/large.mp4", source.url);
    let draft = draft_with(&one, &url);
    saved_clip(&one, &draft, "saved").expect("saved");
    assert_eq!(s3.objects(CONTENT).len(), 1);
    let theirs = draft_with(&other, &url);
    source.refuse(true);
    let folder = other.path().join("full");
    let save = json!({ "draft_id": theirs, "draft_folder": folder }).to_string();
    // A third of the file, in blocks of 512 bytes.
    let blocks = u32::try_from(clip.len()).expect("few bytes") / 512 / 3;
    let ran = limited(&other, blocks, &["call", "save_draft", "--json", &save]);
    assert!(ran.code > 0, "{ran:?}");
    let copies = fs::read_dir(other.data().join("media/.copies"));
    assert_eq!(copies.map_or(0, Iterator::count), 0, "{ran:?}");
    let left = fs::read_dir(&folder).into_iter().flatten().flatten();
    let drafts = left.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(drafts.count(), 0);
    assert_eq!(saved_clip(&other, &theirs, "later").expect("saved"), clip);
}
