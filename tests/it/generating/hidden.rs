//! Keys and words stay where they belong.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde_json::{Value, json};

use super::{compose, home_with, paid, saved_plan};
use crate::support::services::{KEY, Manner, Services, ServicesSettings};
use crate::support::{Answer, Home, Server, http, until};

/// A key with characters that have another form in addresses.
const OTHER_KEY: &str = "k+y/with=special&chars%91~x";

/// A key, its form in addresses, and the Base64 of texts that contain it.
fn forms(key: &str) -> Vec<String> {
    let percent = |is_kept: fn(u8) -> bool| -> String {
        key.bytes()
            .map(|byte| {
                if is_kept(byte) {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect()
    };
    let mut forms = vec![
        key.to_owned(),
        percent(|byte| byte.is_ascii_alphanumeric()),
        percent(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
    ];
    for before in ["", "x", "xy"] {
        let text = format!("{before}{key}");
        for encoded in [BASE64_STANDARD.encode(&text), BASE64_URL_SAFE.encode(&text)] {
            // The first and the last letters depend on what is around the key.
            let start = (before.len() * 8).div_ceil(6);
            forms.push(encoded[start..text.len() * 8 / 6].to_owned());
        }
    }
    forms
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(bytes) = fs::read(&path) {
            found.push((path.display().to_string(), bytes));
        }
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// A service that repeats everything in its error: the credentials as they came, in Base64 and in an address.
fn telltale() -> Server {
    Server::start(|asked| {
        let all: Vec<&str> = asked.headers.values().map(String::as_str).collect();
        let all = all.join(" ");
        let key = all
            .split("Bearer ")
            .nth(1)
            .unwrap_or_default()
            .split(' ')
            .next()
            .unwrap_or_default();
        let url: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let message = format!(
            "no: {key} {} {} https://x.example/?key={url} {}",
            BASE64_STANDARD.encode(format!("user:{key}")),
            BASE64_URL_SAFE.encode(key),
            String::from_utf8_lossy(&asked.body),
        );
        let mut answer = Answer::json(&json!({ "error": { "code": key, "message": message } }));
        answer.status = if asked.path.contains("models") {
            401
        } else {
            400
        };
        answer
    })
}

const SECRET_WORDS: &str = "Zephyrine whispers about quixotic lanterns.";

fn sections(services: &Services, telltale: &Server) -> Vec<String> {
    vec![
        paid(""),
        services.section("voice", "openai", "speech", "price = 1\ndefault = true"),
        services.section("timed", "elevenlabs", "speech", "price = 1"),
        services.section("volc", "volc-tts", "speech", "price = 1"),
        services.section("draw", "openai", "picture", "price = 1\ndefault = true"),
        services.section("move", "ark", "film", "price = 1\ndefault = true"),
        services.section("clip", "openai", "film", "price = 1"),
        services.section("hear", "openai", "transcript", "price = 1"),
        services.section("write", "openai", "text", "price = 1"),
        format!(
            "[providers.tell]\nkind = \"openai\"\nmakes = \"picture\"\nbase_url = \"{}/v1\"\nkey_env = \"OTHER_KEY\"\nmodel = \"m\"\nprice = 1\n",
            telltale.url
        ),
    ]
}

/// Everything that providers do; returns what was answered.
fn everything(home: &Home, level: &str, format: &str, log: &Path) -> String {
    let log = log.to_str().expect("a path");
    let mut said = Vec::new();
    let mut client = home.serve_with(&[
        "serve",
        "--metrics",
        "0",
        "--log",
        level,
        "--log-format",
        format,
        "--log-file",
        log,
    ]);
    client.initialize("2025-11-25");
    let speech = |provider: &str| json!({ "say": { "text": SECRET_WORDS, "provider": provider } });
    let visual = |key: &str, provider: &str| json!({ key: { "prompt": SECRET_WORDS, "provider": provider }, "duration": 1 });
    let mut voice = speech("voice");
    voice["id"] = json!("v");
    let plan = saved_plan(
        home,
        &json!({
            "audio": [voice, speech("timed"), speech("volc")],
            "visuals": [visual("imagine", "draw"), visual("film", "move"), visual("film", "clip"), visual("imagine", "tell")],
            "subtitles": [{ "align_to": "v", "auto": true }],
        }),
    );
    let reply = compose(&mut client, &plan, &json!({}));
    said.push(reply.map_or_else(|error| error, |reply| reply.to_string()));
    let theme = json!({ "theme": SECRET_WORDS, "tts": false, "wait_s": 60, "draft_folder": home.path().join("drafts") });
    let reply = client.call("generate_video", theme);
    said.push(reply.map_or_else(|error| error, |reply| reply.to_string()));
    let mut address = None;
    until("the metrics address is printed", || {
        address = client.said.address("metrics are served at ");
        address.is_some()
    });
    let url = format!("http://{}/metrics", address.expect("an address"));
    said.push(http("GET", &url, &[], b"").1);
    said.push(client.stderr());
    assert_eq!(client.end(), 0);
    let file = home.file("plan.json", plan.to_string());
    let file = file.to_str().expect("a path");
    for line in [
        &["providers"][..],
        &["providers", "test", "--json"],
        &["doctor"],
        &["compose", file, "--json"],
        &["compose", file, "--dry-run"],
    ] {
        let ran = home.run(
            &[
                line,
                &["--log", level, "--log-format", format, "--log-file", log],
            ]
            .concat(),
        );
        said.push(format!("{}\n{}", ran.stdout, ran.stderr));
    }
    said.join("\n")
}

fn stubs() -> (Services, Server) {
    let settings = ServicesSettings {
        text: r#"[{"say": "", "show": "a lantern"}]"#.to_owned(),
        ..ServicesSettings::default()
    };
    let services = Services::with(settings, |asked| match asked.number {
        0 => Manner::ByUrl,
        _ => Manner::Good,
    });
    (services, telltale())
}

#[test]
fn keys_are_nowhere() {
    for (level, format) in [("debug", "json"), ("trace", "plain")] {
        let (services, telltale) = stubs();
        let mut home = home_with(&sections(&services, &telltale));
        home.set("OTHER_KEY", OTHER_KEY);
        let log = home.path().join("a.log");
        let said = everything(&home, level, format, &log);
        assert!(services.creations() >= 7, "{said}");
        assert!(telltale.count("/v1/images") >= 1 && telltale.count("/v1/models") >= 1);
        assert!(said.contains("HTTP 400"), "{said}");
        assert_eq!(
            services.complaints(),
            [""; 0],
            "results are fetched without a key"
        );
        let mut found = vec![("what was said".to_owned(), said.into_bytes())];
        files(home.path(), &mut found);
        assert!(found.iter().any(|(name, _)| name.ends_with("journal.db")));
        assert!(
            found
                .iter()
                .any(|(name, bytes)| name.ends_with("a.log") && !bytes.is_empty())
        );
        assert!(found.iter().any(|(name, _)| name.contains("drafts")));
        for key in [KEY, OTHER_KEY] {
            for form in forms(key) {
                for (name, bytes) in &found {
                    assert!(!holds(bytes, &form), "{form:?} is in {name}, {level}");
                }
            }
        }
    }
}

#[test]
fn words_are_in_no_log_above_debug() {
    let (services, telltale) = stubs();
    let mut home = home_with(&sections(&services, &telltale));
    home.set("OTHER_KEY", OTHER_KEY);
    let log = home.path().join("a.log");
    let said = everything(&home, "info", "json", &log);
    let text = fs::read_to_string(&log).expect("a log");
    assert!(!text.is_empty());
    for part in ["Zephyrine", "quixotic", "lanterns", "a lantern"] {
        assert!(!text.contains(part), "{part}: {text}\n{said}");
    }
}

#[test]
fn a_redirected_result_gets_no_key() {
    // The address of a result leads to another one on the same machine.
    let png = crate::support::services::made::picture("a watch", 64, 64);
    let files = Server::start(move |asked| {
        if asked.path.starts_with("/first") {
            let mut answer = Answer::new(302, "text/plain", "");
            answer
                .headers
                .push(("Location".to_owned(), "/second.png".to_owned()));
            return answer;
        }
        Answer::new(200, "image/png", png.clone())
    });
    let url = format!("{}/first.png?signature=5f", files.url);
    let service = Server::start(move |_| Answer::json(&json!({ "data": [{ "url": url }] })));
    let mut home = home_with(&[
        paid(""),
        format!(
            "[providers.draw]\nkind = \"openai\"\nmakes = \"picture\"\nbase_url = \"{}/v1\"\nkey_env = \"OTHER_KEY\"\nmodel = \"m\"\nprice = 1\n",
            service.url
        ),
    ]);
    home.set("OTHER_KEY", OTHER_KEY);
    let plan = saved_plan(
        &home,
        &json!({ "visuals": [{ "imagine": "a watch", "duration": 1 }] }),
    );
    super::completed(&mut home.connected(), &plan);
    let asked = files.asked();
    assert_eq!(asked.len(), 2);
    for one in asked {
        let all: Vec<(&String, &String)> = one.headers.iter().collect();
        assert!(!one.headers.contains_key("authorization"), "{all:?}");
        assert!(
            all.iter().all(|(_, value)| !value.contains(OTHER_KEY)),
            "{all:?}"
        );
    }
    assert_eq!(service.asked().len(), 1);
    assert_eq!(
        service.asked()[0]
            .headers
            .get("authorization")
            .map(String::as_str),
        Some(format!("Bearer {OTHER_KEY}").as_str())
    );
}

#[test]
fn plain_http_goes_only_to_this_machine() {
    for (url, is_good) in [
        ("http://127.0.0.1:9/v1", true),
        ("http://localhost:9/v1", true),
        ("http://10.0.0.1/v1", false),
        ("http://example.com/v1", false),
        ("http://127.0.0.1.example.com/v1", false),
        ("https://user:pass@example.com/v1", false),
    ] {
        let home = home_with(&[format!(
            "[providers.draw]\nkind = \"openai\"\nmakes = \"picture\"\nbase_url = \"{url}\"\nmodel = \"m\"\n"
        )]);
        let ran = home.run(&["providers", "--json"]);
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code == 0, is_good, "{url}: {text}");
        assert!(is_good || text.contains("base_url"), "{url}: {text}");
        let listed: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        assert_eq!(listed["ok"] == true, is_good, "{url}: {text}");
    }
}
