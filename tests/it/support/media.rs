//! A media server that serves each file in many ways, valid and invalid.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use super::{Answer, Asked, Delivery, Server, media};

/// A media server for the files of `examples/media`, with one path prefix for each way of answering:
/// `/range/NAME` with ranges, `/plain/NAME` without ranges, `/unmeasured/NAME` without a length,
/// `/truncated/NAME` cut in the middle, `/slow/NAME` in small pieces, `/redirect/NAME` through another address,
/// `/empty/NAME`, `/html/NAME` a web page instead, `/reset/NAME`, `/silent/NAME`; anything else is a 404.
pub(crate) fn media_server() -> Server {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/media");
    Server::start(move |asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        let missing = || Answer::new(404, "text/html", "<h1>Not Found</h1>");
        let Some((manner, name)) = path.trim_start_matches('/').split_once('/') else {
            return missing();
        };
        let Ok(bytes) = std::fs::read(folder.join(name)) else {
            return missing();
        };
        let kind = content_type(name);
        match manner {
            "range" => ranged(asked, kind, bytes),
            "plain" => Answer::new(200, kind, bytes),
            "unmeasured" => Answer::new(200, kind, bytes).delivery(Delivery::Unmeasured),
            "truncated" => {
                let half = bytes.len() / 2;
                Answer::new(200, kind, bytes).delivery(Delivery::CutAt(half))
            }
            "slow" => {
                let piece = bytes.len().div_ceil(20);
                let pause = Duration::from_millis(50);
                Answer::new(200, kind, bytes).delivery(Delivery::Slow(piece, pause))
            }
            "redirect" => {
                let mut answer = Answer::new(302, "text/html", "");
                answer
                    .headers
                    .push(("Location".to_owned(), format!("/range/{name}")));
                answer
            }
            "empty" => Answer::new(200, kind, ""),
            "html" => Answer::new(200, "text/html", "<html>Please log in</html>"),
            "reset" => Answer::new(200, kind, bytes).delivery(Delivery::Reset),
            "silent" => Answer::new(200, kind, bytes).delivery(Delivery::Silence),
            _ => missing(),
        }
    })
}

fn ranged(asked: &Asked, kind: &str, bytes: Vec<u8>) -> Answer {
    let total = bytes.len();
    let wanted = asked
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
        .and_then(|(from, to)| match (from.parse(), to.parse()) {
            (Ok(from), Ok(to)) => Some((from, to)),
            (Ok(from), Err(_)) => Some((from, total.saturating_sub(1))),
            (Err(_), Ok(last)) => Some((total.saturating_sub(last), total.saturating_sub(1))),
            _ => None,
        });
    let mut answer = match wanted {
        None => Answer::new(200, kind, bytes),
        Some((from, _)) if from >= total => {
            let mut answer = Answer::new(416, kind, "");
            answer
                .headers
                .push(("Content-Range".to_owned(), format!("bytes */{total}")));
            answer
        }
        Some((from, to)) => {
            let to = to.min(total - 1);
            let mut answer = Answer::new(206, kind, &bytes[from..=to]);
            answer.headers.push((
                "Content-Range".to_owned(),
                format!("bytes {from}-{to}/{total}"),
            ));
            answer
        }
    };
    answer
        .headers
        .push(("Accept-Ranges".to_owned(), "bytes".to_owned()));
    answer
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("mp4") => "video/mp4",
        Some("png") => "image/png",
        Some("jpg") => "image/jpeg",
        Some("mp3") => "audio/mpeg",
        Some("wav") => "audio/wav",
        Some("srt") => "application/x-subrip",
        _ => "application/octet-stream",
    }
}

#[test]
fn the_media_server_answers_in_every_way() {
    let server = media_server();
    let whole = std::fs::read(media("clip.mp4")).expect("the clip").len();
    let check = |path: &str, headers: &[(&str, &str)], status: u16, length: Option<usize>| {
        let url = format!("{}/{path}", server.url);
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
        let mut head = format!("GET /{path} HTTP/1.1\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").expect("a string takes it");
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.expect("a head") + 4;
        let line = String::from_utf8_lossy(&answer[..end]).into_owned();
        assert!(
            line.starts_with(&format!("HTTP/1.1 {status} ")),
            "{url}: {line}"
        );
        if let Some(length) = length {
            assert_eq!(answer.len() - end, length, "{url}: {line}");
        }
    };
    check("range/clip.mp4", &[], 200, Some(whole));
    check("range/clip.mp4", &[("Range", "bytes=10-19")], 206, Some(10));
    check("range/clip.mp4", &[("Range", "bytes=-5")], 206, Some(5));
    check(
        "range/clip.mp4",
        &[("Range", "bytes=99999999-")],
        416,
        Some(0),
    );
    check(
        "plain/clip.mp4",
        &[("Range", "bytes=10-19")],
        200,
        Some(whole),
    );
    check("unmeasured/clip.mp4", &[], 200, Some(whole));
    check("truncated/clip.mp4", &[], 200, Some(whole / 2));
    check("slow/clip.mp4", &[], 200, Some(whole));
    check("redirect/clip.mp4", &[], 302, Some(0));
    check("empty/clip.mp4", &[], 200, Some(0));
    check("html/clip.mp4", &[], 200, None);
    check("range/nothing.mp4", &[], 404, None);
    assert_eq!(server.count("/range/"), 5);
}
