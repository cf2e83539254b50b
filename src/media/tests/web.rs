//! Media over HTTP, with every kind of server failure.

use std::sync::Mutex;
use std::time::Instant;

use tokio::task::JoinSet;

use super::super::testing::MediaServer;
use super::*;
use crate::caller::{From, Manner};
use crate::golden;

pub(super) fn quick() -> MediaLimits {
    MediaLimits {
        connect_timeout_s: 2,
        answer_timeout_s: 1,
        probe_timeout_s: 10,
        min_speed_window_s: 1,
        retry_wait_ms: 1,
        ..MediaLimits::default()
    }
}

/// A sound of this many samples: media of any size.
pub(super) fn wave(samples: u32) -> Vec<u8> {
    let bytes = samples * 2;
    let mut wave = b"RIFF".to_vec();
    wave.extend_from_slice(&(bytes + 36).to_le_bytes());
    wave.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wave.extend_from_slice(&8000_u32.to_le_bytes());
    wave.extend_from_slice(&16_000_u32.to_le_bytes());
    wave.extend_from_slice(b"\x02\0\x10\0data");
    wave.extend_from_slice(&bytes.to_le_bytes());
    wave.resize(44 + bytes as usize, 7);
    wave
}

struct Web {
    _tasks: JoinSet<()>,
    server: MediaServer,
    media: Media,
    folder: tempfile::TempDir,
}

/// A client on this machine, and one on another machine.
pub(super) fn local() -> Caller {
    Caller::client(Manner::Api, From::Here, &Arc::default())
}

pub(super) fn network() -> Caller {
    Caller::client(Manner::Api, From::Network, &Arc::default())
}

impl Web {
    async fn new() -> Self {
        Self::with(quick(), Caller::user()).await
    }

    async fn with(limits: MediaLimits, caller: Caller) -> Self {
        let mut tasks = JoinSet::new();
        let server = MediaServer::start(&mut tasks).await;
        server.add("a.wav", wave(80_000));
        Self {
            _tasks: tasks,
            server,
            media: MediaStore::new(limits, None).of(&caller),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn facts(&self, way: &str, name: &str) -> Result<Arc<Facts>> {
        self.media.facts(&self.server.url(way, name)).await
    }

    async fn fetch(&self, way: &str, name: &str) -> Result<Fetched> {
        let to = self.folder.path().join("out");
        let fetched = self
            .media
            .fetch(&self.server.url(way, name), &to, &|_, _| {})
            .await;
        let left: Vec<_> = std::fs::read_dir(&self.folder)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        match &fetched {
            Ok(_) => {
                assert_eq!(left, ["out"]);
                std::fs::remove_file(to).unwrap();
            }
            Err(_) => assert!(left.is_empty(), "{way}: {left:?} was left behind"),
        }
        fetched
    }
}

#[tokio::test]
async fn every_way_of_serving_a_file_works_for_probe_and_fetch() {
    let web = Web::new().await;
    for way in [
        "ranges",
        "plain",
        "no-length",
        "redirect",
        "late",
        "500-once",
        "429-once",
    ] {
        let web = Web::with(quick(), local()).await;
        let facts = web
            .facts(way, "a.wav")
            .await
            .unwrap_or_else(|e| panic!("{way}: {e}"));
        assert_eq!(facts.audio_duration, Some(Micros(10_000_000)), "{way}");
        assert_eq!(facts.format, MediaFormat::Wav);
    }
    for way in [
        "ranges",
        "plain",
        "no-length",
        "redirect",
        "late",
        "500-once",
        "429-once",
        "half-once",
    ] {
        let web = Web::new().await;
        let fetched = web
            .fetch(way, "a.wav")
            .await
            .unwrap_or_else(|e| panic!("{way}: {e}"));
        assert_eq!(fetched.bytes, 160_044, "{way}");
        assert_eq!(fetched.facts.bytes, Some(160_044), "{way}");
        assert_eq!(fetched.facts.duration, Micros(10_000_000), "{way}");
    }
    assert_eq!(
        web.facts("plain", "a.wav").await.unwrap().bytes,
        Some(160_044)
    );
}

#[tokio::test]
async fn an_interrupted_download_is_resumed() {
    let rest = Some(format!("bytes={}-", 160_044 * 95 / 100));
    for (way, validator) in [
        ("breaks", "\"1\""),
        ("breaks-dated", "Sat, 01 Nov 2025 10:00:00 GMT"),
    ] {
        let web = Web::new().await;
        let to = web.folder.path().join("a.wav");
        let (url, steps) = (web.server.url(way, "a.wav"), Mutex::new(Vec::new()));
        let note = |bytes, total| steps.lock().unwrap().push((bytes, total));
        let fetched = web.media.fetch(&url, &to, &note).await.expect(way);
        assert_eq!(fetched.bytes, 160_044, "{way}");
        assert_eq!(std::fs::read(&to).unwrap(), wave(80_000), "{way}");
        assert_eq!(web.server.asked("range"), [None, rest.clone()], "{way}");
        let asked = web.server.asked("if-range");
        assert_eq!(asked, [None, Some(validator.to_owned())], "{way}");
        let steps = steps.into_inner().unwrap();
        assert!(steps.is_sorted(), "{way}: progress decreases: {steps:?}");
        assert!(steps.iter().all(|(_, total)| *total == Some(160_044)));
    }
}

#[tokio::test]
async fn a_download_restarts_if_the_source_may_have_changed() {
    for (way, requests) in [
        // The response to `If-Range` is the whole new source.
        ("breaks-changes", 2),
        ("breaks-ignores", 2),
        // Nothing shows that the source is the same, so no part is requested.
        ("breaks-unmarked", 2),
        ("breaks-weak", 2),
        // A different length; and a host that refuses parts.
        ("breaks-lies", 3),
        ("breaks-forbids", 3),
    ] {
        let web = Web::new().await;
        let to = web.folder.path().join("a.wav");
        let url = web.server.url(way, "a.wav");
        let fetched = web.media.fetch(&url, &to, &|_, _| {}).await.expect(way);
        assert_eq!(fetched.bytes, 160_044, "{way}");
        assert_eq!(std::fs::read(&to).unwrap(), wave(80_000), "{way}");
        assert_eq!(web.server.requests(), requests, "{way}");
    }
}

#[tokio::test]
async fn a_download_continues_until_it_has_its_full_length() {
    let limits = MediaLimits {
        tries: 10,
        ..quick()
    };
    let web = Web::with(limits, Caller::user()).await;
    let to = web.folder.path().join("a.wav");
    let url = web.server.url("breaks-pieces", "a.wav");
    web.media.fetch(&url, &to, &|_, _| {}).await.unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), wave(80_000));
    // 8,003 bytes are left, and arrive in parts of at most 2,000.
    assert_eq!(web.server.requests(), 6);
}

#[tokio::test]
async fn a_host_that_refuses_range_requests_gets_a_request_for_the_whole_file() {
    for way in ["part-400", "part-403", "part-405", "part-416", "part-501"] {
        let web = Web::new().await;
        let facts = web.facts(way, "a.wav").await.expect(way);
        assert_eq!(facts.duration, Micros(10_000_000), "{way}");
        assert_eq!(web.fetch(way, "a.wav").await.expect(way).bytes, 160_044);
    }
}

#[tokio::test]
async fn every_server_failure_has_its_error_kind() {
    for (way, kind, word) in [
        ("403", Kind::Media, "403"),
        ("410", Kind::Media, "410"),
        ("500", Kind::Unavailable, "500"),
        ("503", Kind::Busy, "503"),
        ("loop", Kind::Media, "redirects"),
        ("silent", Kind::Timeout, "no answer within 1 s"),
        ("closes", Kind::Unsent, "closed the connection"),
    ] {
        let web = Web::new().await;
        for error in [
            web.facts(way, "a.wav").await.expect_err(way),
            web.fetch(way, "a.wav").await.expect_err(way),
            web.media
                .text(&web.server.url(way, "a.wav"), 1000)
                .await
                .expect_err(way),
        ] {
            assert_eq!(error.kind, kind, "{way}: {error}");
            assert!(error.message.contains(word), "{way}: {error}");
            assert!(
                error.message.contains(&web.server.url(way, "a.wav")),
                "{way}: {error}"
            );
        }
    }
    // Failures that only show while the body arrives.
    for (way, kind, word) in [
        ("half", Kind::Media, "cut off"),
        ("short-length", Kind::Media, "cut off"),
        ("no-length-half", Kind::Media, "cut off"),
        ("stalls", Kind::Timeout, "in 1 s"),
    ] {
        let web = Web::new().await;
        let error = web.fetch(way, "a.wav").await.expect_err(way);
        assert_eq!(error.kind, kind, "{way}: {error}");
        assert!(error.message.contains(word), "{way}: {error}");
    }
}

#[tokio::test]
async fn retries_are_limited_and_definite_responses_are_not_retried() {
    for (way, name, requests) in [
        ("500", "a.wav", 3),
        ("closes", "a.wav", 3),
        ("plain", "none", 1),
        ("403", "a.wav", 2),
        ("410", "a.wav", 1),
        ("loop", "a.wav", 11),
    ] {
        let web = Web::new().await;
        let error = web.facts(way, name).await.unwrap_err();
        // The HTTP client itself may retry once on a kept connection.
        assert!(
            (requests..=requests + 1).contains(&web.server.requests()),
            "{way}: {} {error}",
            web.server.requests()
        );
    }
}

#[tokio::test]
async fn errors_for_non_media_say_what_it_is() {
    let web = Web::new().await;
    web.server
        .add("page", b"<!DOCTYPE html><html>sign in</html>".to_vec())
        .add("text", b"just words".to_vec())
        .add("empty", Vec::new())
        .add(
            "noise",
            (0..5000_u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x7f)
                .collect(),
        );
    for (name, word) in [
        ("page", "HTML page"),
        ("text", "text"),
        ("empty", "empty"),
        ("noise", "not media"),
        ("none", "404"),
    ] {
        for way in ["ranges", "plain", "no-length"] {
            for error in [
                web.facts(way, name).await.expect_err(name),
                web.fetch(way, name).await.expect_err(name),
            ] {
                assert_eq!(error.kind, Kind::Media, "{name} {way}: {error}");
                assert!(error.message.contains(word), "{name} {way}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn queries_and_passwords_stay_out_of_messages() {
    let web = Web::new().await;
    let address = web
        .server
        .url("ranges", "none")
        .replace("http://", "http://me:pass@");
    let error = web
        .media
        .facts(&format!("{address}?token=secret#x"))
        .await
        .unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(
        !text.contains("secret") && !text.contains("pass@"),
        "{text}"
    );
    assert!(web.server.log()[0].ends_with("?token=secret"));
}

#[tokio::test]
async fn names_may_contain_any_characters() {
    let web = Web::new().await;
    web.server
        .add("%E8%A7%86%E9%A2%91%20%E4%B8%80.wav", wave(8000));
    for name in ["视频 一.wav", "%E8%A7%86%E9%A2%91%20%E4%B8%80.wav"] {
        assert!(web.facts("ranges", name).await.is_ok(), "{name}");
    }
    // Both spellings are one address.
    assert_eq!(web.server.requests(), 1);
}

#[tokio::test]
async fn a_large_remote_file_takes_few_requests() {
    let folder = golden::media();
    let web = Web::new().await;
    for (name, requests) in [
        ("clip_a.mp4", 1),
        ("clip_b.mp4", 2),
        ("clip_d.webm", 1),
        ("bgm.mp3", 1),
        ("img_port.jpg", 1),
    ] {
        let mut bytes = std::fs::read(folder.join(name)).unwrap();
        if name == "clip_a.mp4" {
            // A second block of media data, as large as a long video's.
            bytes.extend_from_slice(&((8 << 20) + 8_u32).to_be_bytes());
            bytes.extend_from_slice(b"free");
            bytes.resize(bytes.len() + (8 << 20), 0);
        }
        web.server.add(name, bytes);
        let before = (web.server.requests(), web.server.bytes());
        web.facts("ranges", name).await.unwrap();
        assert!(
            web.server.requests() - before.0 <= requests,
            "{name}: {}",
            web.server.requests() - before.0
        );
        assert!(web.server.bytes() - before.1 <= 128 << 10, "{name}");
    }
}

#[tokio::test]
async fn a_source_that_changes_while_it_is_read_is_an_error() {
    let web = Web::new().await;
    // The size is at the start, the end is far away.
    let mut bytes = b"\0\0\0\x10ftypisom\0\0\0\0\0\x04\0\x08mdat".to_vec();
    bytes.resize(24 + 0x0004_0000, 0);
    web.server.add("m", bytes);
    let error = web.facts("changing", "m").await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(error.message.contains("changed"), "{error}");
}

#[tokio::test]
async fn fifty_callers_share_one_probe() {
    let web = Web::new().await;
    let url = web.server.url("late", "a.wav");
    let all = futures::future::join_all((0..50).map(|_| web.media.facts(&url))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(web.server.requests(), 1);
    // Remembered.
    web.media.clone().facts(&url).await.unwrap();
    assert_eq!(web.server.requests(), 1);

    let none = web.server.url("plain", "none");
    let all = futures::future::join_all((0..50).map(|_| web.media.facts(&none))).await;
    assert!(
        all.iter()
            .all(|r| r.as_ref().is_err_and(|e| e.kind == Kind::Media))
    );
    assert_eq!(web.server.requests(), 2);
    // A failure is not.
    web.server.add("none", wave(8000));
    web.media.facts(&none).await.unwrap();
    assert_eq!(web.server.requests(), 3);
}

#[tokio::test]
async fn a_cancelled_caller_does_not_cancel_the_others() {
    let web = Web::new().await;
    let url = web.server.url("late", "a.wav");
    let first = tokio::spawn({
        let (media, url) = (web.media.clone(), url.clone());
        async move { media.facts(&url).await.map(drop) }
    });
    while web.server.requests() == 0 {
        tokio::task::yield_now().await;
    }
    let second = web.media.facts(&url);
    let leave = async {
        first.abort();
        first.await.unwrap_err();
    };
    let (facts, ()) = tokio::join!(second, leave);
    assert!(facts.is_ok());
    assert_eq!(web.server.requests(), 1);
}

#[tokio::test]
async fn network_callers_cannot_reach_private_addresses() {
    let web = Web::with(quick(), local()).await;
    for to in [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/a.wav",
        "http://2852039166/",
        "http://[::ffff:192.168.0.1]/a.wav",
        "http://[fd00:ec2::254]/",
        "file:///etc/passwd",
    ] {
        web.server.add("to", to.as_bytes().to_vec());
        for error in [
            web.facts("elsewhere", "to").await.unwrap_err(),
            web.fetch("elsewhere", "to").await.unwrap_err(),
            web.media
                .text(&web.server.url("elsewhere", "to"), 100)
                .await
                .unwrap_err(),
        ] {
            assert_eq!(error.kind, Kind::InvalidArgument, "{to}: {error}");
        }
        if to.starts_with("http") {
            let error = web.media.facts(to).await.unwrap_err();
            assert_eq!(error.kind, Kind::InvalidArgument, "{to}: {error}");
            assert!(error.hint.unwrap().contains("--allow-host"));
        }
    }
    assert_eq!(
        web.media.facts("/etc/passwd").await.unwrap_err().kind,
        Kind::InvalidArgument
    );
    // A name is judged by its address, which is this machine.
    let address = web
        .server
        .url("ranges", "a.wav")
        .replace("127.0.0.1", "localhost");
    assert!(web.media.facts(&address).await.is_ok());
}

#[tokio::test]
async fn facts_fetched_by_one_caller_are_hidden_from_callers_without_access() {
    let mut tasks = JoinSet::new();
    let server = MediaServer::start(&mut tasks).await;
    server.add("a.wav", wave(80_000));
    let url = server.url("plain", "a.wav");
    let store = MediaStore::new(quick(), None);
    let to = tempfile::tempdir().unwrap();
    let to = to.path().join("a.wav");
    for caller in [Caller::user(), local()] {
        assert!(store.of(&caller).facts(&url).await.is_ok(), "{caller:?}");
    }
    let named = url.replace("127.0.0.1", "localhost");
    assert!(store.of(&Caller::user()).facts(&named).await.is_ok());
    for url in [url, named] {
        let refused = store.of(&network());
        for error in [
            refused.facts(&url).await.unwrap_err(),
            refused.fetch(&url, &to, &|_, _| {}).await.unwrap_err(),
            refused.text(&url, 1 << 20).await.unwrap_err(),
        ] {
            assert_eq!(error.kind, Kind::InvalidArgument, "{url}: {error}");
            assert!(error.to_string().contains("--allow-host"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_refused() {
    use std::net::{IpAddr, SocketAddr};
    let caller = local();
    let inside = SocketAddr::new(IpAddr::from([10, 0, 0, 7]), 80);
    let outside = SocketAddr::new(IpAddr::from([8, 8, 8, 8]), 80);
    assert!(
        caller
            .access
            .addresses("rebind.example", [inside])
            .is_empty()
    );
    assert_eq!(
        caller.access.addresses("rebind.example", [inside, outside]),
        [outside]
    );
}

#[tokio::test]
async fn an_unreachable_host_and_a_missing_file_have_different_errors() {
    let media = MediaStore::new(quick(), None).of(&Caller::user());
    // Systems do not assign ports that low, so nothing listens there.
    let error = media
        .facts("http://127.0.0.1:1/a.mp4?k=1")
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Unsent, "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    let error = media
        .facts("http://no-such-host.invalid/a.mp4")
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Unsent, "{error}");
}

#[tokio::test]
async fn size_limits_are_enforced() {
    let web = Web::with(
        MediaLimits {
            max_bytes: 100_000,
            ..quick()
        },
        Caller::user(),
    )
    .await;
    for way in ["plain", "no-length", "ranges"] {
        let error = web.fetch(way, "a.wav").await.unwrap_err();
        assert!(
            error.kind == Kind::Media && error.message.contains("100000"),
            "{way}: {error}"
        );
        let error = web
            .media
            .text(&web.server.url(way, "a.wav"), 1000)
            .await
            .unwrap_err();
        assert_eq!(error.kind, Kind::Media);
    }
    web.server.add("subs.srt", b"1\n".to_vec());
    assert_eq!(
        web.media
            .text(&web.server.url("plain", "subs.srt"), 2)
            .await
            .unwrap(),
        b"1\n"
    );
}

#[tokio::test]
async fn a_probe_times_out() {
    let web = Web::with(
        MediaLimits {
            probe_timeout_s: 1,
            answer_timeout_s: 30,
            min_speed_window_s: 30,
            ..quick()
        },
        Caller::user(),
    )
    .await;
    web.server.add(
        "m",
        b"\0\0\0\x10ftypisom\0\0\0\0\0\x04\0\x08mdat"
            .iter()
            .copied()
            .chain(std::iter::repeat_n(0, 300_000))
            .collect(),
    );
    for (way, name) in [("silent", "a.wav"), ("stalls", "m")] {
        let start = Instant::now();
        let error = web.facts(way, name).await.unwrap_err();
        assert_eq!(error.kind, Kind::Timeout, "{error}");
        assert!(start.elapsed().as_secs_f64() < 3.0);
    }
}

#[tokio::test]
async fn progress_ends_at_the_file_size() {
    let web = Web::new().await;
    let seen = Mutex::new(Vec::new());
    let to = web.folder.path().join("a.wav");
    let note = |bytes, total| seen.lock().unwrap().push((bytes, total));
    web.media
        .fetch(&web.server.url("plain", "a.wav"), &to, &note)
        .await
        .unwrap();
    let again = web.folder.path().join("b.wav");
    web.media
        .fetch(to.to_str().unwrap(), &again, &note)
        .await
        .unwrap();
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.first(), Some(&(0, Some(160_044))));
    assert_eq!(seen.last(), Some(&(160_044, Some(160_044))));
    assert_eq!(
        seen.iter().filter(|(bytes, _)| *bytes == 160_044).count(),
        2
    );
}

#[tokio::test]
async fn local_files_are_linked_or_copied_completely() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("视 频.wav");
    let to = folder.path().join("out/x.mp3");
    std::fs::create_dir(folder.path().join("out")).unwrap();
    std::fs::write(&from, wave(8000)).unwrap();
    for hard_links in [true, false] {
        let media = MediaStore::new(
            MediaLimits {
                hard_links,
                ..quick()
            },
            None,
        )
        .of(&Caller::user());
        for _ in 0..2 {
            let fetched = media
                .fetch(from.to_str().unwrap(), &to, &|_, _| {})
                .await
                .unwrap();
            assert_eq!(
                (fetched.bytes, fetched.facts.format),
                (16_044, MediaFormat::Wav)
            );
            assert_eq!(std::fs::read(&to).unwrap(), wave(8000));
            assert_eq!(
                std::fs::read_dir(folder.path().join("out"))
                    .unwrap()
                    .count(),
                1
            );
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
            assert_eq!(inode(&from) == inode(&to), hard_links);
        }
        std::fs::remove_file(&to).unwrap();
    }
    // A truncated file, a missing file, a folder: nothing is stored.
    let media = MediaStore::new(quick(), None).of(&Caller::user());
    std::fs::write(&from, &wave(8000)[..9000]).unwrap();
    for source in [
        from.clone(),
        folder.path().join("none.wav"),
        folder.path().to_owned(),
    ] {
        let error = media
            .fetch(source.to_str().unwrap(), &to, &|_, _| {})
            .await
            .unwrap_err();
        assert_eq!(error.kind, Kind::Media, "{error}");
        assert_eq!(
            std::fs::read_dir(folder.path().join("out"))
                .unwrap()
                .count(),
            0
        );
    }
}

#[tokio::test]
async fn a_changed_file_is_probed_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    let media = media();
    for samples in [8000, 16_000] {
        std::fs::write(&path, wave(samples)).unwrap();
        let facts = media.facts(path.to_str().unwrap()).await.unwrap();
        assert_eq!(facts.duration, Micros(i64::from(samples) * 125));
    }
}

#[tokio::test]
async fn a_dropped_download_leaves_no_file() {
    let web = Web::new().await;
    let to = web.folder.path().join("out");
    let url = web.server.url("stalls", "a.wav");
    let started = Mutex::new(0);
    let note = |bytes, _| *started.lock().unwrap() = bytes;
    {
        let fetch = web.media.fetch(&url, &to, &note);
        tokio::pin!(fetch);
        while *started.lock().unwrap() == 0 {
            tokio::select! {
                _ = &mut fetch => panic!("the fetch ended"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    assert_eq!(std::fs::read_dir(&web.folder).unwrap().count(), 0);
}

#[tokio::test]
async fn by_default_a_fetched_file_and_its_source_change_independently() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.wav"), folder.path().join("b.wav"));
    std::fs::write(&from, wave(8000)).unwrap();
    let media = MediaStore::new(MediaLimits::default(), None).of(&Caller::user());
    let source = from.to_str().unwrap();
    media.fetch(source, &to, &|_, _| {}).await.unwrap();
    let written_into = |path: &Path, at: u64| {
        use std::io::{Seek as _, SeekFrom, Write as _};
        let mut file = std::fs::File::options().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(b"changed").unwrap();
    };
    written_into(&from, 100);
    assert_eq!(std::fs::read(&to).unwrap(), wave(8000));
    std::fs::write(&from, wave(8000)).unwrap();
    written_into(&to, 100);
    assert_eq!(std::fs::read(&from).unwrap(), wave(8000));
}
