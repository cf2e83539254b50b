//! Drafts of a server: the links in its replies, their files, and `pull --server`.

use std::fs;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::Computer;
use crate::access::{add, bearer};
use crate::support::{Home, McpOverHttp, Said, Served, http, http_with_head, media, until};

fn folder_of_media() -> String {
    media("clip.mp4")
        .parent()
        .expect("a folder")
        .display()
        .to_string()
}

fn serve(home: &Home, port: u16) -> Served {
    home.serve_http_at(port, &["--allow-dir", &folder_of_media()])
}

/// A draft with a clip at a server.
struct Draft<'a> {
    server: &'a Served,
    id: Value,
}

impl<'a> Draft<'a> {
    fn new(server: &'a Served) -> Self {
        let size = json!({ "width": 640, "height": 360 });
        let id = server.output("/create_draft", &size).expect("a draft")["draft_id"].clone();
        let draft = Self { server, id };
        let clip =
            json!({ "draft_id": draft.id, "video_url": media("clip.mp4"), "start": 0, "end": 1 });
        server.output("/add_video", &clip).expect("a clip");
        draft
    }

    fn name(&self) -> &str {
        self.id.as_str().expect("an id")
    }

    fn text(&self, text: &str) {
        let arguments = json!({ "draft_id": self.id, "text": text, "start": 0, "end": 1,
            "track_name": format!("track {text}") });
        self.server.output("/add_text", &arguments).expect("a text");
    }

    /// Saves it; returns the whole answer.
    fn save(&self) -> Value {
        let (status, text) = self
            .server
            .post("/save_draft", &json!({ "draft_id": self.id }));
        assert_eq!(status, 200, "{text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["success"], true, "{answer}");
        answer
    }

    fn link(&self) -> String {
        self.save()["output"]["draft_url"]
            .as_str()
            .expect("a link")
            .to_owned()
    }
}

#[test]
fn a_saved_draft_is_pulled_by_its_link() {
    let (home, computer) = (Home::embedded(), Computer::new());
    let server = serve(&home, 0);
    let draft = Draft::new(&server);
    let saved = draft.save();
    let link = saved["output"]["draft_url"].as_str().expect("a link");
    assert!(
        link.starts_with(&format!("{}/drafts/{}.zip?", server.url, draft.name())),
        "{link}"
    );
    assert_eq!(saved["download_url"], link);
    assert_eq!(saved["video_url"], link);
    computer.pull(&[link, "--server", &server.url]).success();
    computer.check(draft.name());
    let again = computer.pull(&[link, "--server", &server.url]).success();
    assert!(again.stdout.contains("Nothing was changed"), "{again:?}");
    draft.text("More");
    let newer = computer
        .pull(&[&draft.link(), "--server", &server.url])
        .success();
    assert!(newer.stdout.contains("was replaced"), "{newer:?}");
    computer.check(draft.name());
    // The server's folders are not in what it gives away.
    let here = home.path().display().to_string();
    let files = computer.files();
    let told = files
        .values()
        .any(|(bytes, _)| String::from_utf8_lossy(bytes).contains(&here));
    assert!(!told);
    // Neither the log nor the journal has a signature.
    let signature = link.split("signature=").nth(1).expect("a signature");
    assert!(!server.stderr().contains(signature));
}

#[test]
fn calls_of_mcp_give_links_too() {
    let home = Home::embedded();
    let server = serve(&home, 0);
    let mut client = McpOverHttp::connected(&server.url, "2025-06-18");
    let draft = client.call("create_draft", &json!({ "name": "夏 Trip" }));
    let id = draft["draft_id"].clone();
    let text = json!({ "draft_id": id, "text": "a", "start": 0, "end": 1 });
    client.call("add_text", &text);
    let saved = client.call("save_draft", &json!({ "draft_id": id, "name": "夏 Trip" }));
    let link = saved["download_url"].as_str();
    let link = link.unwrap_or_else(|| panic!("{saved}"));
    assert_eq!(saved["video_url"], link);
    let (status, head, _) = http_with_head("HEAD", link, &[], b"");
    assert_eq!(status, 200, "{head}");
    assert!(
        head.contains("filename*=UTF-8''%E5%A4%8F%20Trip.zip"),
        "{head}"
    );
    let plan = json!({ "plan": { "name": "Ad", "texts": [{ "text": "a", "duration": 1 }] } });
    let made = client.call("compose_draft", &plan);
    let link = made["report"]["download_url"].as_str();
    let (status, _) = http("GET", link.unwrap_or_else(|| panic!("{made}")), &[], b"");
    assert_eq!(status, 200);
}

#[test]
fn files_are_sent_in_whole_or_in_parts() {
    let home = Home::embedded();
    let server = serve(&home, 0);
    let link = Draft::new(&server).link();
    let get = |headers: &[(&str, &str)]| http_with_head("GET", &link, headers, b"");
    let (status, head, _) = get(&[]);
    assert_eq!(status, 200);
    let header = |head: &str, name: &str| {
        let line = head.lines().find(|line| {
            line.to_ascii_lowercase()
                .starts_with(&format!("{}:", name.to_ascii_lowercase()))
        });
        line.and_then(|line| line.split_once(": "))
            .map(|(_, value)| value.trim().to_owned())
    };
    let size: usize = header(&head, "content-length")
        .expect("a length")
        .parse()
        .unwrap();
    let tag = header(&head, "etag").expect("a tag");
    assert_eq!(header(&head, "accept-ranges").as_deref(), Some("bytes"));
    assert_eq!(
        header(&head, "x-content-type-options").as_deref(),
        Some("nosniff")
    );
    let (status, _, body) = http_with_head("HEAD", &link, &[], b"");
    assert_eq!((status, body.len()), (200, 0));
    for (headers, status, range) in [
        (
            vec![("Range", "bytes=0-3")],
            206,
            Some(format!("bytes 0-3/{size}")),
        ),
        (
            vec![("Range", "bytes=0-3"), ("If-Range", &*tag)],
            206,
            Some(format!("bytes 0-3/{size}")),
        ),
        (
            vec![("Range", "bytes=0-3"), ("If-Range", "\"other\"")],
            200,
            None,
        ),
        (
            vec![("Range", "bytes=99999999-")],
            416,
            Some(format!("bytes */{size}")),
        ),
        (vec![("If-None-Match", &*tag)], 304, None),
    ] {
        let (got, head, body) = get(&headers);
        assert_eq!(got, status, "{headers:?}: {head}");
        assert_eq!(header(&head, "content-range"), range, "{headers:?}: {head}");
        match status {
            206 => assert_eq!(body, "PK\u{3}\u{4}"),
            416 | 304 => assert!(body.is_empty(), "{headers:?}"),
            _ => {}
        }
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(http(method, &link, &[], b"").0, 405, "{method}");
    }
}

#[test]
fn changed_and_old_links_lead_nowhere_and_all_alike() {
    let home = Home::embedded();
    let settings = home.file("tools.toml", "[limits.delivery]\nlink_s = 2\n");
    let config = settings.display().to_string();
    let server = home.serve_http(&["--allow-dir", &folder_of_media(), "--config", &config]);
    let draft = Draft::new(&server);
    let link = draft.link();
    let (status, _) = http("GET", &link, &[], b"");
    assert_eq!(status, 200);
    let unknown = http("GET", &format!("{}/drafts/x.zip", server.url), &[], b"");
    assert_eq!(unknown.0, 404);
    for (from, to) in [
        ("tenant=local", "tenant=other"),
        ("tenant=local", "tenant=..%2F.."),
        ("key=drafts", "key=index"),
        ("expires=1", "expires=2"),
        (".zip?", ".zip?x&"),
        ("signature=", "signature=0"),
        ("/drafts/", "/drafts/../"),
        (draft.name(), "another"),
    ] {
        let changed = link.replacen(from, to, 1);
        assert_ne!(changed, link);
        let answer = http("GET", &changed, &[], b"");
        if from == ".zip?" {
            // A part that nothing reads changes nothing.
            assert_eq!(answer.0, 200);
        } else {
            assert_eq!(answer.0, 404, "{changed}: {answer:?}");
            if from != "/drafts/" {
                assert_eq!(answer, unknown, "{changed}");
            }
        }
    }
    until("the link has expired", || {
        http("GET", &link, &[], b"") == unknown
    });
    // The same draft has a new link.
    let (status, _) = http("GET", &draft.link(), &[], b"");
    assert_eq!(status, 200);
}

#[test]
fn the_reference_api_without_a_public_address_gives_no_links() {
    let home = Home::embedded();
    let engine = home.engine(&["--allow-dir", &folder_of_media()]);
    let draft = Draft::new(&engine);
    let saved = draft.save();
    assert_eq!(saved["output"]["draft_url"], "");
    assert!(saved.get("download_url").is_none(), "{saved}");
    assert_eq!(engine.get("/drafts").0, 404);
    assert!(!home.data().join("delivery").exists());
    let site = "https://capcut.example.com/api";
    let public = home.engine(&["--allow-dir", &folder_of_media(), "--public-url", site]);
    let link = Draft::new(&public).link();
    assert!(link.starts_with(&format!("{site}/drafts/")), "{link}");
    // Behind a proxy that removes the prefix.
    let (status, _) = http("GET", &link.replace(site, &public.url), &[], b"");
    assert_eq!(status, 200);
}

#[test]
fn saved_drafts_are_listed_newest_first() {
    let home = Home::embedded();
    let server = serve(&home, 0);
    let list = |query: &str| {
        let (status, text) = server.get(&format!("/drafts{query}"));
        assert_eq!(status, 200, "{text}");
        let list: Value = serde_json::from_str(&text).expect("JSON");
        list["drafts"].as_array().expect("a list").clone()
    };
    assert!(list("").is_empty());
    let (first, second) = (Draft::new(&server), Draft::new(&server));
    first.save();
    second.save();
    let all = list("");
    let ids: Vec<_> = all.iter().map(|row| row["draft_id"].clone()).collect();
    assert_eq!(ids, [second.id.clone(), first.id.clone()]);
    let row = &all[0];
    assert_eq!(row["name"], second.id);
    assert_eq!(row["edition"], "capcut");
    let (_, head, _) = http_with_head("HEAD", row["download_url"].as_str().unwrap(), &[], b"");
    assert!(
        head.to_lowercase()
            .contains(&format!("content-length: {}", row["bytes"])),
        "{head}"
    );
    let oldest = all[1]["version"].as_str().unwrap();
    let newest = all[0]["version"].as_str().unwrap();
    assert_eq!(list(&format!("?after={oldest}")).len(), 1);
    assert!(list(&format!("?after={newest}")).is_empty());
    assert_eq!(list(&format!("?before={newest}"))[0]["draft_id"], first.id);
}

/// `pull --watch`, killed when dropped.
struct Watching {
    child: Child,
    said: Said,
}

impl Watching {
    fn start(computer: &Computer, server: &str, more: &[&str]) -> Self {
        let line = [&["pull", "--server", server, "--watch"], more].concat();
        let mut child = computer
            .home
            .command(&line)
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let said = Said::collect(child.stderr.take().expect("stderr is piped"));
        let watching = Self { child, said };
        watching.until_said("waiting for new drafts");
        watching
    }

    fn until_said(&self, words: &str) {
        until(words, || self.said.text().contains(words));
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn new_drafts_of_a_server_are_pulled_until_stopped() {
    let (home, computer) = (Home::embedded(), Computer::new());
    let server = serve(&home, 0);
    let (url, port) = (server.url.clone(), server.port());
    Draft::new(&server).save();
    let watching = Watching::start(&computer, &url, &[]);
    watching.until_said("1 versions of drafts were saved on the server before");
    assert!(computer.names().is_empty());
    let draft = Draft::new(&server);
    let name = draft.name().to_owned();
    draft.save();
    until("the first draft is there", || {
        computer.listed() == [name.as_str()]
    });
    computer.check(&name);

    // The server restarts.
    drop(server);
    watching.until_said("trying again");
    let server = serve(&home, port);
    watching.until_said("the server answers again");
    let second = Draft::new(&server);
    second.save();
    until("the second draft is there", || computer.listed().len() == 2);
    computer.check(second.name());

    // The watcher restarts; what was saved meanwhile is pulled, and what the user removed is not pulled again.
    drop(watching);
    fs::remove_dir_all(computer.drafts.join(&name)).unwrap();
    second.text("While it was away");
    second.save();
    let _watching = Watching::start(&computer, &url, &[]);
    let document = computer
        .drafts
        .join(second.name())
        .join("draft_content.json");
    until("the new version is there", || {
        fs::read_to_string(&document).is_ok_and(|text| text.contains("While it was away"))
    });
    assert_eq!(computer.names(), [second.name()]);
}

#[test]
fn the_new_drafts_of_a_server_are_pulled_once() {
    let (home, computer) = (Home::embedded(), Computer::new());
    let server = serve(&home, 0);
    let draft = Draft::new(&server);
    draft.save();
    let pull = |more: &[&str]| computer.pull(&[&["--server", &server.url], more].concat());
    let first = pull(&[]).success();
    assert!(first.stderr.contains("add `--all`"), "{first:?}");
    assert!(computer.names().is_empty());
    let all = pull(&["--all"]).success();
    assert!(all.stdout.contains("The draft is in"), "{all:?}");
    computer.check(draft.name());
    let none = pull(&[]).success();
    assert_eq!(none.stdout, "");
    // Two versions: only the last one is needed.
    draft.text("Second");
    draft.save();
    draft.text("Third");
    draft.save();
    let newer = pull(&[]).success();
    assert_eq!(newer.stdout.matches("was replaced").count(), 1, "{newer:?}");
    computer.check(draft.name());
    // A draft of that name that is not the server's stays; the next call tries again what failed.
    let other = Draft::new(&server);
    let folder = computer.drafts.join(other.name());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("draft_content.json"), "{}").unwrap();
    other.save();
    let beside = pull(&[]).success();
    assert!(
        beside.stdout.contains("there is another draft named"),
        "{beside:?}"
    );
    computer.check(&format!("{} (2)", other.name()));
    drop(server);
    let away = computer.pull(&["--server", "http://127.0.0.1:1"]);
    assert_eq!(away.code, 4, "{away:?}");
    assert!(
        away.stderr.contains("no connection to 127.0.0.1"),
        "{away:?}"
    );
}

#[test]
fn links_and_lists_are_those_of_the_token() {
    let home = Home::embedded();
    let (alice, bob) = (add(&home, &["alice"]), add(&home, &["bob"]));
    let reader = add(&home, &["alice", "--read-only"]);
    let audit = home.path().join("audit.log");
    let server = home.serve_http(&["--audit-log", &audit.display().to_string()]);
    let ask = |method: &str, path: &str, token: Option<&str>, body: &Value| {
        let token = token.map(bearer);
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(token.as_deref().map(|token| ("Authorization", token)));
        let url = format!("{}{path}", server.url);
        http(method, &url, &headers, body.to_string().as_bytes())
    };
    let post = |path: &str, body: &Value| -> Value {
        let (status, text) = ask("POST", path, Some(&alice), body);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    };
    let made = post("/create_draft", &json!({}));
    let draft = &made["output"]["draft_id"];
    let saved = post("/save_draft", &json!({ "draft_id": draft }));
    let link = saved["download_url"].as_str().expect("a link");
    let named = post("/generate_draft_url", &json!({ "draft_id": draft }));
    let latest = named["output"]["draft_url"].as_str().expect("a link");
    let downloaded = |link: &str| {
        let (status, zip) = http("GET", link, &[], b"");
        (status, zip.len())
    };
    assert_eq!(downloaded(latest), downloaded(link));
    let unsaved = post("/create_draft", &json!({}));
    let unsaved = post(
        "/generate_draft_url",
        &json!({ "draft_id": unsaved["output"]["draft_id"] }),
    );
    let site = unsaved["output"]["draft_url"]
        .as_str()
        .expect("the configured site's link");
    assert!(!site.contains("/drafts/"), "{unsaved}");
    // The link is enough for who has it; nothing else is without a token.
    let (status, _) = http("GET", link, &[], b"");
    assert_eq!(status, 200, "{link}");
    assert_eq!(ask("GET", "/drafts", None, &json!({})).0, 401);
    let count = |token: &str| {
        let (status, text) = ask("GET", "/drafts", Some(token), &json!({}));
        assert_eq!(status, 200, "{text}");
        let list: Value = serde_json::from_str(&text).expect("JSON");
        list["drafts"].as_array().expect("drafts").len()
    };
    assert_eq!((count(&alice), count(&reader), count(&bob)), (1, 1, 0));
    let (_, query) = link.split_once('?').expect("a signature");
    let changed = link.replace("/drafts/", "/drafts/x");
    for wrong in [
        changed.clone(),
        link.split_once('?').expect("a query").0.to_owned(),
        format!("{link}0"),
    ] {
        assert_eq!(http("GET", &wrong, &[], b"").0, 404, "{wrong}");
    }
    assert_eq!(http("PUT", link, &[], b"x").0, 405);
    let log = fs::read_to_string(&audit).expect("an audit log");
    let secret = query.rsplit('=').next().expect("a signature");
    for text in [log, server.said.text()] {
        assert!(!text.contains(secret), "{text}");
    }
}
