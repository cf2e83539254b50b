//! Drafts from links: interrupted downloads continue, and only public hosts and the named server are asked.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Computer, Maker};
use crate::support::{Answer, Asked, Delivery, Server, until};

/// A server with one file, which closes each connection after some bytes.
fn files(
    content: Vec<u8>,
    tag: &'static str,
    piece: Arc<AtomicUsize>,
    delivery: Option<Delivery>,
) -> Server {
    Server::start(move |asked| ranged(asked, &content, tag, &piece, delivery))
}

fn ranged(
    asked: &Asked,
    content: &[u8],
    tag: &str,
    piece: &AtomicUsize,
    delivery: Option<Delivery>,
) -> Answer {
    let total = content.len();
    let is_same = asked.headers.get("if-range").is_some_and(|it| it == tag);
    let from = asked.headers.get("range").filter(|_| is_same);
    let from = from.and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    let mut answer = match from {
        Some(from) if from >= total => {
            let mut answer = Answer::new(416, "application/zip", "");
            let range = format!("bytes */{total}");
            answer.headers.push(("Content-Range".to_owned(), range));
            answer
        }
        Some(from) => {
            let mut answer = Answer::new(206, "application/zip", &content[from..]);
            let range = format!("bytes {from}-{}/{total}", total - 1);
            answer.headers.push(("Content-Range".to_owned(), range));
            answer
        }
        None => Answer::new(200, "application/zip", content),
    };
    answer.headers.push(("ETag".to_owned(), tag.to_owned()));
    let piece = piece.load(Ordering::SeqCst);
    if let Some(delivery) = delivery {
        answer.delivery(delivery)
    } else if piece < answer.body.len() {
        answer.delivery(Delivery::CutAt(piece))
    } else {
        answer
    }
}

fn whole() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(usize::MAX))
}

#[test]
fn an_interrupted_download_continues_where_it_stopped() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let content = fs::read(maker.zip()).unwrap();
    let pieces = 4;
    let piece = Arc::new(AtomicUsize::new(content.len() / pieces + 1));
    let server = files(content.clone(), "\"one\"", piece, None);
    let url = format!("{}/drafts/Trip.zip?key=1", server.url);
    computer.pull(&[&url, "--server", &server.url]).success();
    computer.check("Trip");
    let asked = server.asked();
    assert_eq!(asked.len(), pieces, "{asked:?}");
    assert!(!asked[0].headers.contains_key("range"));
    for (index, asked) in asked.iter().enumerate().skip(1) {
        let from = index * (content.len() / pieces + 1);
        assert_eq!(asked.headers["range"], format!("bytes={from}-"));
        assert_eq!(asked.headers["if-range"], "\"one\"");
    }
    // A new link to the same file.
    let again = computer.pull(&[&format!("{url}&expires=9"), "--server", &server.url]);
    assert!(again.success().stdout.contains("Nothing was changed"));
    let left = fs::read_dir(computer.home.data().join("pull"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "nothing is left of the downloads");
}

#[test]
fn a_killed_download_is_continued_by_the_next_process() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let content = fs::read(maker.zip()).unwrap();
    let slow = Delivery::Slow(content.len() / 10, Duration::from_millis(200));
    let server = files(content.clone(), "\"one\"", whole(), Some(slow));
    let url = format!("{}/drafts/Trip.zip?key=1&signature=1", server.url);
    let folder = computer.home.data().join("pull");
    let there = || {
        let parts = fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut parts = parts.filter(|it| it.path().extension().is_some_and(|it| it == "part"));
        parts
            .next()
            .map_or(0, |part| part.metadata().unwrap().len())
    };
    let line = ["pull", &url, "--server", &server.url];
    let mut before = 0;
    for _ in 0..3 {
        let mut child = computer.home.command(&line).spawn().expect("it starts");
        until("more bytes are there", || {
            assert_eq!(child.try_wait().expect("its state"), None);
            there() > before
        });
        child.kill().unwrap();
        child.wait().unwrap();
        before = there();
        assert!(computer.names().is_empty());
    }
    assert!(before < content.len() as u64);
    let link = url.replace("signature=1", "signature=2");
    computer.pull(&[&link, "--server", &server.url]).success();
    computer.check("Trip");
    let asked = server.asked();
    let last = &asked.last().unwrap().headers["range"];
    assert_eq!(*last, format!("bytes={before}-"));
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_from_the_beginning() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let old = fs::read(maker.zip()).unwrap();
    maker.text("New");
    let new = fs::read(maker.zip()).unwrap();
    let count = AtomicUsize::new(0);
    let half = AtomicUsize::new(old.len() / 2);
    let server = Server::start(move |asked| match count.fetch_add(1, Ordering::SeqCst) {
        0 => ranged(asked, &old, "\"old\"", &half, None),
        _ => ranged(asked, &new, "\"new\"", &whole(), None),
    });
    let url = format!("{}/Trip.zip", server.url);
    computer.pull(&[&url, "--server", &server.url]).success();
    computer.check("Trip");
    let text = fs::read_to_string(computer.drafts.join("Trip/draft_content.json")).unwrap();
    assert!(text.contains("New"));
}

#[test]
fn private_hosts_are_asked_only_if_the_user_named_them() {
    let (maker, computer) = (Maker::new("Trip"), Computer::new());
    let content = fs::read(maker.zip()).unwrap();
    let server = files(content, "\"one\"", whole(), None);
    let url = format!("{}/Trip.zip", server.url);
    for (link, named) in [
        (url.clone(), None),
        (url.replace("127.0.0.1", "localhost"), None),
        (url.clone(), Some("http://192.168.77.1:8080")),
        ("http://10.0.0.1/x.zip".to_owned(), None),
        (
            "http://169.254.169.254/latest/meta-data".to_owned(),
            Some(server.url.as_str()),
        ),
        ("http://[::1]:9/x.zip".to_owned(), None),
    ] {
        let mut line = vec![link.as_str()];
        line.extend(named.iter().flat_map(|named| ["--server", named]));
        let refused = computer.pull(&line);
        assert_eq!(refused.code, 2, "{link}: {refused:?}");
        assert!(
            refused.stderr.contains("is not a public host"),
            "{link}: {refused:?}"
        );
        assert!(
            refused.stderr.contains("add `--allow-host "),
            "{link}: {refused:?}"
        );
    }
    assert_eq!(server.count("/Trip.zip"), 0);
    // Nor through the named server.
    let redirect = Server::start(|_| {
        let mut answer = Answer::new(302, "text/plain", "");
        let to = "http://169.254.169.254/x.zip".to_owned();
        answer.headers.push(("Location".to_owned(), to));
        answer
    });
    let refused = computer.pull(&[&format!("{}/x", redirect.url), "--server", &redirect.url]);
    assert!(
        refused.stderr.contains("is not a public host"),
        "{refused:?}"
    );
    assert!(computer.names().is_empty());
}

#[test]
fn the_token_goes_to_the_named_server_only() {
    let (maker, mut computer) = (Maker::new("Trip"), Computer::new());
    let content = fs::read(maker.zip()).unwrap();
    let other = files(content, "\"one\"", whole(), None);
    let target = format!("{}/Trip.zip", other.url);
    let server = Server::start(move |asked| {
        if asked
            .headers
            .get("authorization")
            .is_none_or(|it| it != "Bearer secret-token-1")
        {
            return Answer::new(401, "text/plain", "");
        }
        let mut answer = Answer::new(302, "text/plain", "");
        answer.headers.push(("Location".to_owned(), target.clone()));
        answer
    });
    let url = format!("{}/Trip.zip", server.url);
    let refused = computer.pull(&[&url, "--server", &server.url]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("`--token-file` or CAPCUT_MCP_TOKEN"),
        "{refused:?}"
    );
    let file = computer
        .home
        .file("token", "secret-token-1\n")
        .display()
        .to_string();
    computer
        .pull(&[&url, "--server", &server.url, "--token-file", &file])
        .success();
    assert!(
        other
            .asked()
            .iter()
            .all(|asked| !asked.headers.contains_key("authorization"))
    );
    computer.home.set("CAPCUT_MCP_TOKEN", "secret-token-1");
    let again = computer.pull(&[&url, "--server", &server.url]).success();
    assert!(again.stdout.contains("Nothing was changed"), "{again:?}");
    let empty = computer.home.file("empty", " \n").display().to_string();
    let refused = computer.pull(&[&url, "--server", &server.url, "--token-file", &empty]);
    assert!(refused.stderr.contains("is empty"), "{refused:?}");
}

#[test]
fn answers_that_are_no_draft_are_explained() {
    let computer = Computer::new();
    for (status, body, code, reason) in [
        (403, "", 2, "ask for a new link"),
        (404, "", 2, "ask for a new link"),
        (400, "", 3, "HTTP 400"),
        (200, "<html>Please log in</html>", 3, "is not a zip file"),
        (200, "", 3, "is not a zip file"),
    ] {
        let server = Server::start(move |_| Answer::new(status, "text/html", body));
        let url = format!("{}/Trip.zip?signature=hidden-part", server.url);
        let refused = computer.pull(&[&url, "--server", &server.url]);
        assert_eq!(refused.code, code, "{status}: {refused:?}");
        assert!(refused.stderr.contains(reason), "{status}: {refused:?}");
        assert!(
            !refused.stderr.contains("hidden-part"),
            "{status}: {refused:?}"
        );
        assert!(computer.names().is_empty());
    }
}
