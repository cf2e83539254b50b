//! Drafts and files in a bucket, as users of servers see them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::server::S3;
use super::{home, no_secrets};
use crate::access::{add, bearer};
use crate::pull::Computer;
use crate::support::{Home, McpOverHttp, Served, http, media, until};

fn upload(served: &Served, name: &str, content: &[u8]) -> (u16, String) {
    http("PUT", &format!("{}/files/{name}", served.url), &[], content)
}

/// A draft with a clip, saved at a server; returns its id and its link.
fn saved(served: &Served) -> (String, String) {
    let size = json!({ "width": 640, "height": 360 });
    let draft = served.output("/create_draft", &size).expect("a draft")["draft_id"].clone();
    let clip = fs::read(media("clip.mp4")).expect("an example");
    let (status, answer) = upload(served, "clip.mp4", &clip);
    assert!(status == 200 || status == 201, "{answer}");
    let clip = json!({ "draft_id": draft, "video_url": "files/clip.mp4", "start": 0, "end": 1 });
    served.output("/add_video", &clip).expect("a clip");
    let link = link_of(served, &draft);
    (draft.as_str().expect("an id").to_owned(), link)
}

fn link_of(served: &Served, draft: &Value) -> String {
    let saved = served.output("/save_draft", &json!({ "draft_id": draft }));
    let link = saved.expect("it is saved")["draft_url"].clone();
    link.as_str().expect("a link").to_owned()
}

fn status(link: &str) -> u16 {
    http("GET", link, &[], b"").0
}

#[test]
fn saved_drafts_are_downloaded_from_the_bucket() {
    let s3 = S3::start();
    let (home, computer) = (home(&s3.url, ""), Computer::new());
    let served = home.serve_http(&[]);
    let (draft, link) = saved(&served);
    assert!(
        link.starts_with(&format!("{}/drafts/team/t/local/drafts/", s3.url)),
        "{link}"
    );
    let objects = s3.objects("team/t/local/drafts");
    assert_eq!(objects.len(), 1, "{objects:?}");
    assert_eq!(s3.objects("team/t/local/index").len(), 1);
    // A link leads to a private address only if the user allows that.
    let refused = computer.pull(&[&link]);
    assert!(
        refused.stderr.contains("--allow-host 127.0.0.1"),
        "{refused:?}"
    );
    computer
        .pull(&[&link, "--allow-host", "127.0.0.1"])
        .success();
    computer.check(&draft);
    let listed = served.get("/drafts").1;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let row = &listed["drafts"][0];
    assert_eq!(
        row["bytes"],
        fs::metadata(&objects[0]).expect("an object").len()
    );
    let other = Computer::new();
    let pulled = [
        "--server",
        &served.url,
        "--allow-host",
        "127.0.0.1",
        "--all",
    ];
    other.pull(&pulled).success();
    other.check(&draft);
    let again = other.pull(&pulled).success();
    assert_eq!(other.names(), [draft.as_str()], "{again:?}");
    // Only the link as it was made is valid.
    assert_eq!(status(&link), 200);
    let (status_of_part, part) = http("GET", &link, &[("Range", "bytes=0-3")], b"");
    assert_eq!((status_of_part, part.len()), (206, 4));
    for (from, to) in [
        ("/local/", "/other/"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=9600"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        (".zip?", ".zip?x=1&"),
    ] {
        let changed = link.replacen(from, to, 1);
        assert_ne!(changed, link);
        assert!([400, 403].contains(&status(&changed)), "{changed}");
    }
    let (bare, _) = link.split_once('?').expect("a query");
    assert_eq!(status(bare), 403);
    // A later version does not change an earlier one.
    assert_eq!(status(&link_of(&served, &json!(draft))), 200);
    assert_eq!(status(&link), 200);
    no_secrets(&home, &[link, listed.to_string(), served.stderr()]);
}

#[test]
fn links_expire() {
    let s3 = S3::start();
    let home = home(&s3.url, "[limits.delivery]\nlink_s = 1\nversions = 2\n");
    let served = home.serve_http(&[]);
    let (draft, link) = saved(&served);
    until("the link expires", || status(&link) == 403);
    // Old versions are removed from the bucket, too.
    for text in ["1", "2", "3"] {
        let text =
            json!({ "draft_id": draft, "text": text, "start": 0, "end": 1, "track_name": text });
        served.output("/add_text", &text).expect("a text");
        assert_eq!(status(&link_of(&served, &json!(draft))), 200);
    }
    assert_eq!(s3.objects("team/t/local/index").len(), 2);
    // The zip files stay as long as someone may be downloading them.
    s3.age(std::time::Duration::from_secs(2));
    let text = json!({ "draft_id": draft, "text": "4", "start": 0, "end": 1, "track_name": "4" });
    served.output("/add_text", &text).expect("a text");
    link_of(&served, &json!(draft));
    assert_eq!(s3.objects("team/t/local/index").len(), 2);
    assert_eq!(
        s3.objects("team/t/local/drafts").len(),
        3,
        "one has just been taken out of the list"
    );
}

#[test]
fn an_uploaded_file_is_used_by_another_server_and_after_its_copy_is_gone() {
    let s3 = S3::start();
    let (one, other) = (home(&s3.url, ""), home(&s3.url, ""));
    let (first, second) = (one.serve_http(&[]), other.serve_http(&[]));
    let clip = fs::read(media("clip.mp4")).expect("an example");
    let (status, answer) = upload(&first, "%E7%89%87.mp4", &clip);
    assert_eq!(status, 201, "{answer}");
    assert_eq!(upload(&second, "%E7%89%87.mp4", &clip).0, 200);
    let (status, answer) = upload(
        &second,
        "captions.srt",
        &fs::read(media("captions.srt")).unwrap(),
    );
    assert_eq!(status, 201, "{answer}");
    assert_eq!(
        upload(
            &first,
            "captions.srt",
            b"1\n00:00:00,000 --> 00:00:01,000\nx\n"
        )
        .0,
        409
    );
    let listed = second.get("/files").1;
    let rows: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(
        rows["files"],
        json!([
            { "name": "files/captions.srt", "bytes": fs::metadata(media("captions.srt")).unwrap().len() },
            { "name": "files/片.mp4", "bytes": clip.len() },
        ])
    );
    assert!(!other.data().join("files/.copies").join("片.mp4").exists());
    let mut client = McpOverHttp::connected(&second.url, "2025-11-25");
    let draft = client.call("create_draft", &json!({}))["draft_id"].clone();
    client.call(
        "add_video",
        &json!({ "draft_id": draft, "video_url": "files/片.mp4" }),
    );
    client.call(
        "add_subtitle",
        &json!({ "draft_id": draft, "srt": "files/captions.srt" }),
    );
    let copies = other.data().join("files/.copies");
    assert_eq!(copied(&copies), ["captions.srt", "片.mp4"]);
    // The copy is removed, and another process saves the draft.
    fs::remove_dir_all(&copies).expect("removed");
    drop(second);
    let saved = other.call("save_draft", &json!({ "draft_id": draft }));
    let folder = saved.expect("it is saved")["folder"].clone();
    let stored = Path::new(folder.as_str().expect("a folder")).join("assets/video");
    let stored: Vec<_> = fs::read_dir(stored).expect("media").flatten().collect();
    assert_eq!(fs::read(stored[0].path()).expect("a clip"), clip);
    // A file that a draft uses is never another one of the same name.
    let url = format!("{}/files/%E7%89%87.mp4", first.url);
    assert_eq!(http("DELETE", &url, &[], b"").0, 200);
    assert_eq!(http("DELETE", &url, &[], b"").0, 404);
    fs::remove_dir_all(&copies).expect("removed");
    let picture =
        json!({ "draft_id": draft, "text": "more", "start": 0, "end": 1, "track_name": "t" });
    other.call("add_text", &picture).expect("a text");
    let elsewhere = other.path().join("elsewhere");
    let again = json!({ "draft_id": draft, "draft_folder": elsewhere });
    let error = other
        .call("save_draft", &again)
        .expect_err("the file is gone");
    assert!(
        error.1.contains("files/片.mp4") && error.1.contains("has been removed"),
        "{error:?}"
    );
    no_secrets(&other, &[listed]);
}

/// The names of all copies, in order.
fn copied(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for id in fs::read_dir(folder).expect("a folder").flatten() {
        for copy in fs::read_dir(id.path()).expect("a folder").flatten() {
            names.push(copy.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}

#[test]
fn tenants_have_their_own_keys_and_limits() {
    let s3 = S3::start();
    let home = home(&s3.url, "[limits]\ntenant_bytes = 300000\n");
    let (alice, bob) = (add(&home, &["alice"]), add(&home, &["bob"]));
    let served = home.serve_http(&[]);
    let ask = |token: &str, method: &str, path: &str, body: &[u8]| {
        let bearer = bearer(token);
        let headers = [("Authorization", bearer.as_str())];
        http(method, &format!("{}{path}", served.url), &headers, body)
    };
    let srt = fs::read(media("captions.srt")).expect("an example");
    assert_eq!(ask(&alice, "PUT", "/files/a.srt", &srt).0, 201);
    assert_eq!(s3.objects("team/t/alice/files").len(), 1);
    assert!(ask(&alice, "GET", "/files", b"").1.contains("files/a.srt"));
    assert!(!ask(&bob, "GET", "/files", b"").1.contains("files/a.srt"));
    assert_eq!(ask(&bob, "DELETE", "/files/a.srt", b"").0, 404);
    assert_eq!(
        ask(&bob, "DELETE", "/files/..%2Falice%2Ffiles%2Fa.srt", b"").0,
        400
    );
    // What is in the bucket counts, and its copies on this machine do not count twice.
    let large = vec![b'x'; 299_000 - srt.len()];
    let text = |content: &[u8]| [b"1\n00:00:00,000 --> 00:00:01,000\n", content].concat();
    assert_eq!(
        ask(&alice, "PUT", "/files/b.srt", &text(&large[..200_000])).0,
        201
    );
    let (status, answer) = ask(&alice, "PUT", "/files/c.srt", &text(&large[..150_000]));
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("tenant_bytes"), "{answer}");
    assert_eq!(
        ask(&bob, "PUT", "/files/c.srt", &text(&large[..150_000])).0,
        201
    );
    assert_eq!(ask(&alice, "DELETE", "/files/b.srt", b"").0, 200);
    assert_eq!(
        ask(&alice, "PUT", "/files/c.srt", &text(&large[..150_000])).0,
        201
    );
}

#[test]
fn links_of_the_server_work_before_and_after_the_bucket_is_set_up() {
    let s3 = S3::start();
    let mut home = Home::embedded();
    let served = home.serve_http(&[]);
    let port = served.port();
    let (_, earlier) = saved(&served);
    assert!(earlier.starts_with(&served.url), "{earlier}");
    drop(served);
    let bucket = super::home(&s3.url, "links = \"server\"\n");
    let config = bucket.path().join("tools.toml").display().to_string();
    home.set("CAPCUT_MCP_CONFIG", &config)
        .set("AWS_ACCESS_KEY_ID", super::KEY_ID)
        .set("AWS_SECRET_ACCESS_KEY", super::SECRET);
    let served = home.serve_http_at(port, &[]);
    assert_eq!(status(&earlier), 200, "a link to the data folder");
    let (draft, link) = saved(&served);
    assert!(link.starts_with(&served.url), "{link}");
    assert_eq!(status(&link), 200);
    assert_eq!(s3.objects("team/t/local/drafts").len(), 1);
    let computer = Computer::new();
    computer.pull(&[&link, "--server", &served.url]).success();
    computer.check(&draft);
    let (status, part) = http("GET", &link, &[("Range", "bytes=2-5")], b"");
    assert_eq!((status, part.len()), (206, 4));
    assert_eq!(
        http("GET", &link.replace("signature=", "signature=0"), &[], b"").0,
        404
    );
}

#[test]
fn results_of_jobs_are_stored_without_links_and_given_with_new_ones() {
    let s3 = S3::start();
    let home = home(&s3.url, "");
    let served = home.serve_http(&[]);
    let mut client = McpOverHttp::connected(&served.url, "2025-11-25");
    let (status, answer) = upload(
        &served,
        "picture.jpg",
        &fs::read(media("picture.jpg")).expect("an example"),
    );
    assert_eq!(status, 201, "{answer}");
    let image = json!({ "image_url": "files/picture.jpg", "start": 0, "end": 1 });
    let report = client.call("compose_draft", &json!({ "plan": { "visuals": [image] } }));
    let composed = report.to_string();
    assert!(composed.contains("X-Amz-Signature"), "{composed}");
    let batch = client.call(
        "compose_batch",
        &json!({ "plans": [{ "visuals": [image] }] }),
    );
    let ask = json!({ "job_id": batch["job_id"], "wait_s": 60 });
    let told = client.call("job_status", &ask).to_string();
    assert!(told.contains("X-Amz-Signature"), "{told}");
    no_secrets(&home, &[]);
    let job = report["job_id"].clone();
    drop(served);
    let again = home.serve_http(&[]);
    let mut client = McpOverHttp::connected(&again.url, "2025-11-25");
    let told = client.call("job_status", &json!({ "job_id": job }));
    let link = told.pointer("/report/download_url").and_then(Value::as_str);
    let link = link.unwrap_or_else(|| panic!("no link: {told}"));
    assert_eq!(self::status(link), 200, "{link}");
    // Without a server there is no link.
    let told = home
        .call("job_status", &json!({ "job_id": job }))
        .expect("a state");
    assert!(!told.to_string().contains("download_url"), "{told}");
    no_secrets(&home, &[]);
}
