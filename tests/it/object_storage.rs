//! Saved drafts and uploaded files in a bucket, of scripted services that fail and of a real S3 server (`tests/s3-server`).

mod bucket;
mod failures;
mod media;
mod server;

use std::fs;

use serde_json::{Value, json};

use crate::support::{Answer, Home, Server, http, media};

const KEY_ID: &str = "AKIDTESTSTORAGE";
const SECRET: &str = "test-storage-secret-0123456789";

/// A home whose servers use the bucket at this endpoint; `more` is added to the section.
fn home(endpoint: &str, more: &str) -> Home {
    let mut home = Home::embedded();
    let config = format!(
        "[storage]\nkind = \"s3\"\nendpoint = \"{endpoint}\"\nbucket = \"drafts\"\nprefix = \"team\"\nallow_http = true\n{more}"
    );
    let config = home.file("tools.toml", config).display().to_string();
    home.set("CAPCUT_MCP_CONFIG", &config)
        .set("AWS_ACCESS_KEY_ID", KEY_ID)
        .set("AWS_SECRET_ACCESS_KEY", SECRET);
    home
}

/// Fails if a file below a home, or one of the texts, has a credential.
fn no_secrets(home: &Home, texts: &[String]) {
    let mut folders = vec![home.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(content) = fs::read(&path) {
                let content = String::from_utf8_lossy(&content).into_owned();
                // The id of the key is in presigned links, which are not stored.
                for part in [SECRET, KEY_ID] {
                    assert!(!content.contains(part), "{}", path.display());
                }
            }
        }
    }
    for text in texts {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn a_server_does_not_start_without_credentials() {
    let mut home = home("http://127.0.0.1:1", "");
    home.set("AWS_SECRET_ACCESS_KEY", " ");
    let ran = home.run(&["serve", "--http", "127.0.0.1:0"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("AWS_SECRET_ACCESS_KEY is not set"),
        "{ran:?}"
    );
    // What needs no storage works.
    let made = home.call("create_draft", &json!({}));
    assert!(made.is_ok(), "{made:?}");
}

#[test]
fn credentials_come_from_files_that_variables_name() {
    let server = Server::start(|_| Answer::new(403, "application/xml", "<Error/>"));
    let mut home = home(&server.url, "");
    let file = home.path().join("tools.toml").display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let secret = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (key_id, key) = (secret("id", &format!("{KEY_ID}\n")), secret("key", SECRET));
    home.set("AWS_ACCESS_KEY_ID_FILE", &key_id);
    let both = home.run(&["config", "check", &file]);
    assert_eq!(both.code, 2, "{both:?}");
    assert!(both.stderr.contains("are both set"), "{both:?}");
    assert_eq!(server.asked().len(), 0);

    home.set("AWS_ACCESS_KEY_ID", "")
        .set("AWS_SECRET_ACCESS_KEY", "")
        .set("AWS_SECRET_ACCESS_KEY_FILE", &key);
    home.run(&["config", "check", &file]);
    let asked = server.asked();
    let signed = asked.first().expect("a request").headers["authorization"].clone();
    assert!(
        signed.contains(&format!("Credential={KEY_ID}/")),
        "{signed}"
    );

    home.set("AWS_SECRET_ACCESS_KEY_FILE", "/nowhere/key");
    let missing = home.run(&["serve", "--http", "127.0.0.1:0"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(
        missing
            .stderr
            .contains("`AWS_SECRET_ACCESS_KEY_FILE`: /nowhere/key cannot be read"),
        "{missing:?}"
    );
}

#[test]
fn what_is_wrong_with_a_bucket_is_said_by_config_check_doctor_and_readiness() {
    for (status, code, expected) in [
        (403, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        (403, "RequestTimeTooSkewed", "clock"),
        (404, "NoSuchBucket", "no bucket named \\\"drafts\\\""),
        (
            403,
            "SecondLevelDomainForbidden",
            "virtual_hosted_style = true",
        ),
        (403, "AccessDenied", "rights"),
        (507, "XMinioStorageFull", "it is full"),
    ] {
        let server = Server::start(move |_| {
            Answer::new(
                status,
                "application/xml",
                format!(
                    "<Error><Code>{code}</Code><Message>no</Message><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>"
                ),
            )
        });
        let home = home(&server.url, "");
        let file = home.path().join("tools.toml").display().to_string();
        let checked = home.run(&["config", "check", &file]);
        let plain = expected.replace('\\', "");
        assert_ne!(checked.code, 0, "{code}: {checked:?}");
        assert!(checked.stderr.contains(&plain), "{code}: {checked:?}");
        let doctor = home.run(&["doctor"]);
        assert!(doctor.stdout.contains(&plain), "{code}: {doctor:?}");
        let served = home.serve_http(&[]);
        let (status, ready) = served.get("/ready");
        assert_eq!(status, 503, "{code}: {ready}");
        assert!(ready.contains(expected), "{code}: {ready}");
        let texts = [
            checked.stderr,
            doctor.stdout,
            ready,
            served.stderr(),
            home.run(&["config", "show"]).stdout,
        ];
        for text in &texts {
            assert!(!text.contains(KEY_ID), "{text}");
        }
        no_secrets(&home, &texts);
    }
}

#[test]
fn an_upload_to_a_storage_that_does_not_answer_fails_and_leaves_nothing() {
    let home = home("http://127.0.0.1:1", "");
    let served = home.serve_http(&[]);
    let content = fs::read(media("captions.srt")).expect("an example");
    let url = format!("{}/files/a.srt", served.url);
    let (status, answer) = http("PUT", &url, &[], &content);
    assert_eq!(status, 503, "{answer}");
    assert!(answer.contains("cannot be reached"), "{answer}");
    let entries = fs::read_dir(home.data().join("files"));
    assert_eq!(entries.expect("the folder").count(), 0);
    for (method, path) in [
        ("GET", "/files"),
        ("GET", "/drafts"),
        ("DELETE", "/files/a.srt"),
    ] {
        let (status, answer) = http(method, &format!("{}{path}", served.url), &[], b"");
        assert_eq!(status, 503, "{path}: {answer}");
    }
    let draft = served.output("/create_draft", &json!({})).expect("a draft");
    let added = json!({ "draft_id": draft["draft_id"], "srt": "files/a.srt" });
    let error = served.output("/add_subtitle", &added).expect_err("no file");
    assert!(error.contains("cannot be reached"), "{error}");
    // The draft itself is saved, and the reply says what is missing.
    let (status, saved) = served.post("/save_draft", &json!({ "draft_id": draft["draft_id"] }));
    let saved: Value = serde_json::from_str(&saved).expect("JSON");
    assert_eq!((status, &saved["success"]), (200, &json!(true)), "{saved}");
    assert_eq!(saved["download_url"], Value::Null, "{saved}");
    let mut client = crate::support::McpOverHttp::connected(&served.url, "2025-11-25");
    let saved = client.call("save_draft", &json!({ "draft_id": draft["draft_id"] }));
    assert_eq!(saved["download_url"], Value::Null, "{saved}");
    let notes = saved["notes"].to_string();
    assert!(notes.contains("cannot be downloaded"), "{saved}");
}
