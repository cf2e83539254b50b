//! The studio: who gets in, what its routes answer, changes with their conflicts, and events.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Child;

use serde_json::{Value, json};

use crate::access::{add, bearer, create, id_of};
use crate::rendering::has_ffmpeg;
use crate::support::{Home, PATIENCE, Said, Served, http, http_with_head, media, until};

/// A running `capcut-mcp studio` with the cookie of its browser; killed when dropped.
struct Studio {
    /// Its address, without a trailing slash.
    url: String,
    /// The address that is valid once, without its host.
    link: String,
    cookie: String,
    child: Child,
    said: Said,
}

impl Drop for Studio {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Studio {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut line = vec!["studio", "--no-open"];
        line.extend(arguments);
        let mut child = home.command(&line).spawn().expect("the executable starts");
        let said = Said::collect(child.stderr.take().expect("stderr is piped"));
        let mut link = None;
        until("the studio says where it is", || {
            let text = said.text();
            link = text
                .split_once("The studio is at ")
                .and_then(|(_, rest)| rest.split_once('\n'))
                .map(|(link, _)| link.to_owned());
            link.is_some()
        });
        let link = link.expect("it was found");
        let path = link.strip_prefix("http://").expect("HTTP");
        let (host, path) = path.split_once('/').expect("a path");
        Self {
            url: format!("http://{host}"),
            link: format!("/{path}"),
            cookie: String::new(),
            child,
            said,
        }
    }

    /// With the cookie of a browser that opened it.
    fn opened(home: &Home) -> Self {
        let mut studio = Self::start(home, &[]);
        let (status, head, page) = studio.ask("GET", &studio.link.clone(), &[], b"");
        assert_eq!(status, 200, "{page}");
        assert!(page.contains("url=/studio/"), "{page}");
        studio.cookie = cookie_of(&head);
        studio
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, String, String) {
        let mut all = headers.to_vec();
        if !self.cookie.is_empty() {
            all.push(("Cookie", &self.cookie));
        }
        http_with_head(method, &format!("{}{path}", self.url), &all, body)
    }

    fn get(&self, path: &str) -> (u16, String) {
        let (status, _, body) = self.ask("GET", path, &[], b"");
        (status, body)
    }

    /// Sends JSON as the page does.
    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let headers = [
            ("Content-Type", "application/json"),
            ("Origin", self.url.as_str()),
        ];
        let (status, _, text) = self.ask("POST", path, &headers, body.to_string().as_bytes());
        let value = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
        (status, value)
    }

    fn data(&self, draft: &str) -> Value {
        let (status, text) = self.get(&format!("/studio/draft/{draft}/data"));
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// The first cookie that an answer sets.
fn cookie_of(head: &str) -> String {
    let line = head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("set-cookie:"));
    let line = line.unwrap_or_else(|| panic!("no cookie: {head}"));
    let (_, cookie) = line.split_once(':').expect("a header");
    cookie.split(';').next().expect("a value").trim().to_owned()
}

/// A draft with a title, made at a shell.
fn titled(home: &Home, name: &str) -> String {
    let draft = home
        .call(
            "create_draft",
            &json!({ "name": name, "width": 640, "height": 360 }),
        )
        .expect("a draft");
    let draft = draft["draft_id"].as_str().expect("an id").to_owned();
    let text = json!({ "draft_id": draft, "text": "Hello <b>&", "start": 0, "end": 2 });
    home.call("add_text", &text).expect("a text");
    draft
}

/// What an answer may load, and that no other site may use it.
fn check_headers(head: &str) {
    let head = head.to_ascii_lowercase();
    for header in [
        "content-security-policy: default-src 'none';",
        "cross-origin-resource-policy: same-origin",
        "referrer-policy: same-origin",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
    ] {
        assert!(head.contains(header), "{header} is not in {head}");
    }
    assert!(!head.contains("unsafe"), "{head}");
    assert!(!head.contains("access-control-allow-origin"), "{head}");
}

#[test]
fn an_address_is_valid_once_and_becomes_a_cookie() {
    let home = Home::embedded();
    let studio = Studio::opened(&home);
    // A second browser cannot use it, with or without the right token.
    let stranger = |path: &str| http("GET", &format!("{}{path}", studio.url), &[], b"").0;
    assert_eq!(stranger(&studio.link), 403);
    assert_eq!(stranger("/studio/open?token=wrong"), 403);
    assert_eq!(stranger("/studio/open"), 403);
    assert_eq!(stranger("/studio/"), 403);
    assert_eq!(stranger("/studio/draft/x"), 403);
    let wrong = format!("{}0", studio.cookie);
    let with = |cookie: &str| {
        let headers = [("Cookie", cookie)];
        http("GET", &format!("{}/studio/", studio.url), &headers, b"").0
    };
    assert_eq!(with(&studio.cookie), 200);
    assert_eq!(with(&wrong), 403);
    assert_eq!(with(&studio.cookie.replace('=', "x=")), 403);
    let (_, head, page) = studio.ask("GET", "/studio/", &[], b"");
    check_headers(&head);
    assert!(page.contains("There are no drafts yet"), "{page}");
    // Nothing but the line for its user has the token.
    let token = studio.link.split_once("token=").expect("a token").1;
    assert_eq!(studio.said.text().matches(token).count(), 1);
}

#[test]
fn a_browser_that_loads_pages_in_advance_does_not_use_the_address_up() {
    let home = Home::embedded();
    let draft = titled(&home, "Film");
    let studio = Studio::start(&home, &["Film"]);
    let (status, _, _) = studio.ask("GET", &studio.link, &[("Sec-Purpose", "prefetch")], b"");
    assert_eq!(status, 403);
    let (status, head, page) = studio.ask("GET", &studio.link, &[], b"");
    assert_eq!(status, 200, "{page}");
    assert!(
        page.contains(&format!("url=/studio/draft/{draft}")),
        "{page}"
    );
    let head = head.to_ascii_lowercase();
    assert!(head.contains("; httponly; samesite=strict"), "{head}");
    assert!(head.contains("path=/studio"), "{head}");
}

#[test]
fn foreign_hosts_origins_and_paths_are_refused() {
    let home = Home::embedded();
    let draft = titled(&home, "Film");
    let studio = Studio::opened(&home);
    let page = format!("/studio/draft/{draft}");
    let status = |method: &str, path: &str, headers: &[(&str, &str)]| {
        studio.ask(method, path, headers, b"{}").0
    };
    for (name, value) in [
        ("Origin", "https://example.com"),
        ("Origin", "http://127.0.0.1:1"),
        ("Origin", "http://localhost"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Via", "1.1 proxy"),
    ] {
        for path in [page.as_str(), "/studio/", "/studio/events"] {
            assert_eq!(
                status("GET", path, &[(name, value)]),
                403,
                "{name}: {value} {path}"
            );
        }
        let json = ("Content-Type", "application/json");
        assert_eq!(
            status("POST", &format!("{page}/edit"), &[(name, value), json]),
            403
        );
        assert_eq!(status("PUT", "/studio/files/a.srt", &[(name, value)]), 403);
    }
    let raw = |host: &str| {
        let address = studio.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let head = format!(
            "GET /studio/ HTTP/1.1\r\nHost: {host}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            studio.cookie
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut line = String::new();
        BufReader::new(stream)
            .read_line(&mut line)
            .expect("an answer");
        line.split(' ')
            .nth(1)
            .and_then(|code| code.parse::<u16>().ok())
            .expect("a status")
    };
    assert_eq!(raw(studio.url.trim_start_matches("http://")), 200);
    for host in [
        "example.com",
        "evil.test:80",
        "192.168.1.1",
        "host.docker.internal",
        "x y",
    ] {
        assert_eq!(raw(host), 403, "{host}");
    }
    for path in [
        "/studio/draft/dfd_cat_1700000000_0badcafe",
        "/studio/draft/..%2F..%2Fetc%2Fpasswd",
        "/studio/draft/%2e%2e/data",
        "/studio/draft/",
        "/studio/other",
        "/studio/studio.css/x",
        "/studio/files/a.png",
        "/etc/passwd",
        "/health",
        "/mcp",
        "/create_draft",
    ] {
        assert_eq!(studio.get(path).0, 404, "{path}");
    }
    for part in [
        "other",
        "download/",
        "download/../data",
        "download/x.txt",
        "video",
        "frame/x",
    ] {
        assert_eq!(studio.get(&format!("{page}/{part}")).0, 404, "{part}");
    }
    for part in ["data", "frame", "other", "download/draft.json"] {
        assert_eq!(
            studio.post(&format!("{page}/{part}"), &json!({})).0,
            404,
            "{part}"
        );
    }
    for (part, body) in [
        ("edit", json!({})),
        ("edit", json!([])),
        ("undo", json!({ "steps": 1 })),
    ] {
        assert_eq!(
            studio.post(&format!("{page}/{part}"), &body).0,
            400,
            "{part} {body}"
        );
    }
    let form = [
        ("Content-Type", "text/plain"),
        ("Origin", studio.url.as_str()),
    ];
    assert_eq!(
        studio.ask("POST", &format!("{page}/edit"), &form, b"{}").0,
        415
    );
    assert_eq!(status("DELETE", &page, &[]), 405);
}

#[test]
fn the_pages_are_complete_in_both_languages_and_escape_what_drafts_contain() {
    let home = Home::embedded();
    let draft = titled(&home, "<script>alert(1)</script>\"'&");
    let studio = Studio::opened(&home);
    for (language, words) in [("en", "Put into the app"), ("zh-CN", "放入剪辑应用")] {
        let path = format!("/studio/draft/{draft}?lang={language}");
        let (status, head, page) = studio.ask("GET", &path, &[], b"");
        assert_eq!(status, 200);
        check_headers(&head);
        assert!(page.contains(words) && page.contains(&format!("<html lang=\"{language}\">")));
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
        assert!(!page.contains("{{"), "{page}");
        // For browsers without JavaScript.
        assert!(page.contains(&format!(
            "<img class=\"still\" src=\"/studio/draft/{draft}/sheet\""
        )));
        let (_, list) = studio.get(&format!("/studio/?lang={language}"));
        assert!(list.contains("&lt;script&gt;alert(1)") && !list.contains("<script>alert"));
        assert!(!list.contains("{{"), "{list}");
    }
    let (status, head, css) = studio.ask("GET", "/studio/studio.css", &[], b"");
    assert_eq!(status, 200);
    check_headers(&head);
    assert!(css.contains("color-scheme: light dark"));
    let (_, list) = studio.get("/studio/?q=nothing");
    assert!(list.contains("No draft has this name"), "{list}");
}

#[test]
fn an_edit_is_in_the_history_and_a_conflict_changes_nothing() {
    let home = Home::embedded();
    let draft = titled(&home, "Film");
    let studio = Studio::opened(&home);
    let data = studio.data(&draft);
    let clip = data["tracks"][0]["clips"][0]["id"]
        .as_str()
        .expect("a clip")
        .to_owned();
    assert_eq!(data["tracks"][0]["clips"][0]["words"], "Hello <b>&");
    let seen = data["records"].as_u64().expect("a number");
    let edit = format!("/studio/draft/{draft}/edit");
    let says = |text: &str| json!([{ "op": "replace_text", "clip": clip, "text": text }]);
    let (status, reply) = studio.post(
        &edit,
        &json!({ "records": seen, "operations": says("Studio") }),
    );
    assert_eq!(status, 200, "{reply}");
    assert_eq!(reply["error"], Value::Null, "{reply}");
    // The page still shows the state before: its next change is refused.
    let (status, reply) = studio.post(
        &edit,
        &json!({ "records": seen, "operations": says("Late") }),
    );
    assert_eq!(status, 200);
    assert_eq!(
        (&reply["stale"], &reply["kind"]),
        (&json!(true), &json!("conflict")),
        "{reply}"
    );
    let undo = format!("/studio/draft/{draft}/undo");
    let (_, reply) = studio.post(&undo, &json!({ "records": seen, "steps": 1 }));
    assert_eq!(reply["stale"], true, "{reply}");

    // Another process changes the draft, too.
    let agent = json!({ "draft_id": draft, "operations": says("Agent") });
    home.call("edit_draft", &agent).expect("edited");
    let data = studio.data(&draft);
    assert_eq!(data["tracks"][0]["clips"][0]["words"], "Agent");
    let by: Vec<&Value> = data["history"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| &step["by"]["via"])
        .collect();
    assert_eq!(by, [&json!("shell"), &json!("studio"), &json!("shell")]);
    // Undo to the first step, and bring the last one back.
    let first = &data["history"][2];
    assert_eq!(first["distance"], json!({ "undo": 2 }), "{data}");
    let records = data["records"].clone();
    let (_, reply) = studio.post(&undo, &json!({ "records": records, "steps": 2 }));
    assert_eq!(reply["error"], Value::Null, "{reply}");
    let data = studio.data(&draft);
    assert_eq!(data["tracks"][0]["clips"][0]["words"], "Hello <b>&");
    assert_eq!(data["history"][0]["is_undone"], true);
    assert_eq!(
        data["history"][0]["distance"],
        json!({ "redo": 2 }),
        "{data}"
    );
    let redo = json!({ "records": data["records"], "steps": 2, "redo": true });
    studio.post(&undo, &redo);
    assert_eq!(
        studio.data(&draft)["tracks"][0]["clips"][0]["words"],
        "Agent"
    );
    // A wrong operation is told, and is no conflict.
    let records = studio.data(&draft)["records"].clone();
    let wrong =
        json!({ "records": records, "operations": [{ "op": "set", "clip": clip, "opacity": 7 }] });
    let (status, reply) = studio.post(&edit, &wrong);
    assert_eq!((status, &reply["stale"]), (200, &json!(false)), "{reply}");
    assert!(
        reply["error"]
            .as_str()
            .is_some_and(|error| error.contains("opacity")),
        "{reply}"
    );
    let history = home.run(&["history", &draft]).success().stdout;
    assert!(history.contains("by studio"), "{history}");
}

#[test]
fn changes_of_other_processes_arrive_as_events() {
    let home = Home::embedded();
    let draft = titled(&home, "Film");
    let studio = Studio::opened(&home);
    let address = studio.url.trim_start_matches("http://").to_owned();
    let listen = |path: &str| {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\n\r\n",
            studio.cookie
        );
        stream.write_all(head.as_bytes()).expect("sent");
        BufReader::new(stream)
    };
    let next = |stream: &mut BufReader<TcpStream>| -> Value {
        loop {
            let mut line = String::new();
            assert!(
                stream.read_line(&mut line).expect("an event") > 0,
                "the stream ended"
            );
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).expect("JSON");
            }
        }
    };
    let mut of_draft = listen(&format!("/studio/draft/{draft}/events"));
    let mut of_list = listen("/studio/events");
    let (before, drafts) = (next(&mut of_draft), next(&mut of_list));
    let text = json!({ "draft_id": draft, "text": "Agent", "start": 2, "end": 3 });
    home.call("add_text", &text).expect("added");
    let after = next(&mut of_draft);
    assert!(
        after["records"].as_u64() > before["records"].as_u64(),
        "{before} {after}"
    );
    assert_ne!(next(&mut of_list), drafts);
    home.call("delete_draft", &json!({ "draft_id": draft }))
        .expect("deleted");
    assert_eq!(next(&mut of_draft), json!({ "gone": true }));
    assert_eq!(studio.get(&format!("/studio/draft/{draft}")).0, 404);
}

#[test]
fn pictures_videos_and_downloads_are_those_of_the_draft() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::embedded();
    let draft = titled(&home, "Ein Film");
    let clip = json!({ "draft_id": draft, "video_url": media("clip.mp4"), "start": 0, "end": 2 });
    home.call("add_video", &clip).expect("a clip");
    let studio = Studio::opened(&home);
    let at = |part: &str| format!("/studio/draft/{draft}/{part}");
    for (part, kind) in [
        ("cover", "image/jpeg"),
        ("frame?at=1&pixels=320&v=1", "image/jpeg"),
        ("sheet", "image/jpeg"),
        ("timeline", "image/svg+xml"),
    ] {
        let (status, head, _) = studio.ask("GET", &at(part), &[], b"");
        assert_eq!(status, 200, "{part}: {head}");
        assert!(head.contains(kind), "{part}: {head}");
    }
    assert_eq!(studio.get(&at("frame?at=99")).0, 422);
    assert_eq!(studio.get(&at("frame?at=x")).0, 422);
    for (name, part) in [
        ("subtitles.srt", "Hello"),
        ("subtitles.vtt", "WEBVTT"),
        ("draft.json", "tracks"),
        ("timeline.svg", "<svg"),
        ("frame.png", "PNG"),
    ] {
        let (status, head, body) = studio.ask("GET", &at(&format!("download/{name}")), &[], b"");
        assert_eq!(status, 200, "{name}: {body}");
        assert!(head.contains("attachment; filename=\"Ein Film."), "{head}");
        assert!(body.contains(part), "{name}");
    }
    assert_eq!(studio.get(&at("download/draft.zip")).0, 409);
    let (status, reply) = studio.post(&at("save"), &json!({}));
    assert_eq!((status, &reply["error"]), (200, &Value::Null), "{reply}");
    assert!(
        reply["folder"]
            .as_str()
            .is_some_and(|folder| folder.contains("Ein Film")),
        "{reply}"
    );
    let (status, _, zip) = studio.ask("GET", &at("download/draft.zip"), &[], b"");
    assert!(status == 200 && zip.starts_with("PK"), "{status}");

    let (status, reply) = studio.post(&at("video"), &json!({}));
    assert_eq!(status, 200, "{reply}");
    until("the video is made", || {
        let video = studio.data(&draft)["video"].clone();
        assert_eq!(video["failed"], Value::Null);
        video["is_there"] == true && video["is_old"] == false
    });
    let (status, head, _) = studio.ask("HEAD", &at("video"), &[], b"");
    assert_eq!(status, 200);
    let head = head.to_ascii_lowercase();
    assert!(
        head.contains("accept-ranges: bytes") && head.contains("video/mp4"),
        "{head}"
    );
    let size = |head: &str| -> u64 {
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        line.and_then(|text| text.trim().parse().ok())
            .expect("a length")
    };
    let whole = size(&head);
    let (status, head, _) = studio.ask("GET", &at("video"), &[("Range", "bytes=10-19")], b"");
    let head = head.to_ascii_lowercase();
    assert_eq!((status, size(&head)), (206, 10), "{head}");
    assert!(
        head.contains(&format!("content-range: bytes 10-19/{whole}")),
        "{head}"
    );
    let beyond = format!("bytes={whole}-");
    assert_eq!(
        studio
            .ask("GET", &at("video"), &[("Range", &beyond)], b"")
            .0,
        416
    );
    let (_, page) = studio.get(&at("")[..at("").len() - 1]);
    assert!(page.contains("<video controls"), "{page}");
    // Another change makes it old; after a restart it is still known.
    let text = json!({ "draft_id": draft, "text": "More", "start": 2, "end": 3 });
    home.call("add_text", &text).expect("added");
    drop(studio);
    let studio = Studio::opened(&home);
    let video = &studio.data(&draft)["video"];
    assert_eq!(
        (&video["is_there"], &video["is_old"]),
        (&json!(true), &json!(true)),
        "{video}"
    );
}

#[test]
fn a_file_from_the_browser_replaces_that_of_a_clip() {
    let home = Home::embedded();
    let draft = titled(&home, "Film");
    let image =
        json!({ "draft_id": draft, "image_url": media("picture.jpg"), "start": 0, "end": 2 });
    home.call("add_image", &image).expect("a picture");
    let studio = Studio::opened(&home);
    let bytes = std::fs::read(media("logo.png")).expect("a file");
    let origin = [("Origin", studio.url.as_str())];
    let (status, _, reply) = studio.ask("PUT", "/studio/files/1-logo.png", &origin, &bytes);
    assert_eq!(status, 201, "{reply}");
    let name = serde_json::from_str::<Value>(&reply).expect("JSON")["name"].clone();
    let data = studio.data(&draft);
    let clip = data["tracks"]
        .as_array()
        .expect("tracks")
        .iter()
        .find_map(|track| {
            let clip = track["clips"]
                .as_array()?
                .iter()
                .find(|clip| clip["kind"] == "image")?;
            Some(clip["id"].clone())
        });
    let edit = json!({ "records": data["records"], "operations": [{ "op": "replace_media", "clip": clip, "media": name }] });
    let (_, reply) = studio.post(&format!("/studio/draft/{draft}/edit"), &edit);
    assert_eq!(reply["error"], Value::Null, "{reply}");
    let text = studio.data(&draft)["tracks"].to_string();
    assert!(
        text.contains("1-logo.png") && !text.contains("picture.jpg"),
        "{text}"
    );
}

/// The studio of an HTTP server as a browser with this cookie sees it.
fn visit(served: &Served, cookie: &str, path: &str) -> (u16, String, String) {
    let headers = [("Cookie", cookie), ("Accept", "text/html")];
    http_with_head("GET", &format!("{}{path}", served.url), &headers, b"")
}

/// Signs in with a token; returns the cookie.
fn signed_in(served: &Served, token: &str) -> String {
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", served.url.as_str()),
    ];
    let url = format!("{}/studio/sign-in", served.url);
    let (status, head, page) =
        http_with_head("POST", &url, &headers, format!("token={token}").as_bytes());
    assert_eq!(status, 200, "{page}");
    let lower = head.to_ascii_lowercase();
    assert!(lower.contains("; httponly; samesite=strict"), "{head}");
    assert!(!page.contains(token), "{page}");
    cookie_of(&head)
}

#[test]
fn under_a_server_its_tokens_decide_who_sees_and_changes_what() {
    let home = Home::embedded();
    let (alice, bob) = (add(&home, &["alice"]), add(&home, &["bob"]));
    let reader = add(&home, &["alice", "--read-only"]);
    let served = home.serve_http(&["--tools", "full"]);
    let (_, made) = create(&served, &[("Authorization", &bearer(&alice))]);
    let draft = id_of(&made);
    let page = format!("/studio/draft/{draft}");
    // Without a token there is the form, and no data.
    let (status, head, form) = visit(&served, "", &page);
    assert_eq!(status, 403);
    check_headers(&head);
    assert!(form.contains("name=\"token\""), "{form}");
    assert_eq!(
        http("GET", &format!("{}{page}/data", served.url), &[], b"").0,
        403
    );
    let wrong = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", served.url.as_str()),
    ];
    let sign_in = format!("{}/studio/sign-in", served.url);
    let (status, head, _) = http_with_head("POST", &sign_in, &wrong, b"token=wrong");
    assert_eq!(status, 403);
    assert!(!head.to_ascii_lowercase().contains("set-cookie"), "{head}");
    assert_eq!(
        http(
            "POST",
            &sign_in,
            &[("Origin", "https://example.com")],
            b"token=x"
        )
        .0,
        403
    );

    let own = signed_in(&served, &alice);
    let (status, head, text) = visit(&served, &own, &page);
    assert_eq!(status, 200);
    check_headers(&head);
    assert!(text.contains("data-rights=\"all\""), "{text}");
    // The token may be in the path of a link, once.
    let (status, head, landing) = visit(&served, "", &format!("/t/{alice}{page}"));
    assert_eq!(status, 200);
    assert!(
        landing.contains(&format!("url={page}\"")) && !landing.contains(&alice),
        "{landing}"
    );
    assert_eq!(cookie_of(&head), own);

    // Another tenant's draft is answered as one that does not exist.
    let foreign = signed_in(&served, &bob);
    let unknown = "/studio/draft/dfd_cat_1700000000_0badcafe";
    for part in [
        "",
        "/data",
        "/events",
        "/cover",
        "/frame",
        "/sheet",
        "/timeline",
        "/video",
        "/download/draft.json",
    ] {
        let of = |page: &str| {
            let (status, _, text) = visit(&served, &foreign, &format!("{page}{part}"));
            (status, text.replace(page, "PAGE"))
        };
        let answer = of(&page);
        assert_eq!(answer.0, 404, "{part}");
        assert_eq!(answer, of(unknown), "{part}");
    }
    let post = |cookie: &str, page: &str, part: &str| {
        let headers = [
            ("Cookie", cookie),
            ("Origin", served.url.as_str()),
            ("Content-Type", "application/json"),
        ];
        let body = json!({ "records": 1, "operations": [{ "op": "rename", "name": "x" }] });
        let url = format!("{}{page}/{part}", served.url);
        http("POST", &url, &headers, body.to_string().as_bytes())
    };
    for part in ["edit", "undo", "save", "check", "video"] {
        assert_eq!(post(&foreign, &page, part).0, 404, "{part}");
        assert_eq!(
            post(&foreign, &page, part),
            post(&foreign, unknown, part),
            "{part}"
        );
    }

    // A token that only reads sees the draft and changes nothing.
    let reading = signed_in(&served, &reader);
    let (status, _, text) = visit(&served, &reading, &page);
    assert_eq!(status, 200);
    assert!(text.contains("data-rights=\"read\""), "{text}");
    assert_eq!(visit(&served, &reading, &format!("{page}/data")).0, 200);
    for part in ["edit", "save", "check", "video"] {
        let (status, text) = post(&reading, &page, part);
        assert_eq!(status, 403, "{part}: {text}");
    }
    let put = [
        ("Cookie", reading.as_str()),
        ("Origin", served.url.as_str()),
    ];
    assert_eq!(
        http(
            "PUT",
            &format!("{}/studio/files/a.srt", served.url),
            &put,
            b"1"
        )
        .0,
        403
    );
    assert_eq!(post(&own, &page, "edit").0, 200);
    let (_, data) = http(
        "GET",
        &format!("{}{page}/data", served.url),
        &[("Cookie", &own)],
        b"",
    );
    assert!(
        data.contains("\"name\":\"x\"") && data.contains("\"studio\""),
        "{data}"
    );

    // A token that was revoked no longer counts.
    home.run(&["token", "revoke", "bob"]).success();
    until("the token is revoked", || {
        visit(&served, &foreign, "/studio/").0 == 403
    });
    let (status, head, _) = http_with_head(
        "POST",
        &format!("{}/studio/sign-out", served.url),
        &[("Cookie", &own), ("Origin", &served.url)],
        b"",
    );
    assert_eq!(status, 200);
    assert!(head.contains("Max-Age=0"), "{head}");
}

#[test]
fn under_a_server_without_tokens_only_its_machine_sees_the_page() {
    let home = Home::embedded();
    let draft = titled(&home, "Film");
    let served = home.serve_http(&[]);
    let page = format!("{}/studio/draft/{draft}", served.url);
    assert_eq!(http("GET", &page, &[], b"").0, 200);
    assert_eq!(
        http("GET", &page, &[("X-Forwarded-For", "10.0.0.1")], b"").0,
        403
    );
    assert_eq!(
        http("GET", &page, &[("Origin", "http://localhost:3000")], b"").0,
        403
    );
    assert_eq!(
        http("GET", &page, &[("Origin", "https://example.com")], b"").0,
        403
    );
    assert_eq!(http("OPTIONS", &page, &[], b"").0, 405);
    let (_, list) = served.get("/studio");
    assert!(list.contains("Film"), "{list}");
}

#[test]
fn the_studio_ends_when_it_is_told_to() {
    let home = Home::embedded();
    let draft = titled(&home, "Film");
    let mut studio = Studio::opened(&home);
    let address = studio.url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).expect("it listens");
    let head = format!(
        "GET /studio/draft/{draft}/events HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\n\r\n",
        studio.cookie
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut line = String::new();
    BufReader::new(stream.try_clone().expect("a copy"))
        .read_line(&mut line)
        .expect("an answer");
    assert!(line.contains("200"), "{line}");
    #[cfg(unix)]
    {
        let id = studio.child.id().to_string();
        let told = std::process::Command::new("kill")
            .args(["-TERM", &id])
            .status();
        assert!(told.expect("kill runs").success());
        let mut ended = None;
        // An open stream of events does not keep it.
        until("the studio ends", || {
            ended = studio.child.try_wait().expect("its state");
            ended.is_some()
        });
        assert_eq!(
            ended.and_then(|ended| ended.code()),
            Some(0),
            "{}",
            studio.said.text()
        );
    }
}
