//! Fetched media cached on disk, and access to them.

use std::path::PathBuf;

use tokio::task::JoinSet;

use super::super::cache::Removed;
use super::super::testing::MediaServer;
use super::web::{local, network, quick, wave};
use super::*;

struct Kept {
    _tasks: JoinSet<()>,
    server: MediaServer,
    data: tempfile::TempDir,
    out: tempfile::TempDir,
    limits: MediaLimits,
}

impl Kept {
    async fn new() -> Self {
        let mut tasks = JoinSet::new();
        let server = MediaServer::start(&mut tasks).await;
        server
            .add("a.wav", wave(80_000))
            .add("small.wav", wave(800));
        Self {
            _tasks: tasks,
            server,
            data: tempfile::tempdir().unwrap(),
            out: tempfile::tempdir().unwrap(),
            limits: quick(),
        }
    }

    /// A store as in another process, with an empty memory.
    fn store(&self) -> MediaStore {
        MediaStore::new(self.limits.clone(), Some(self.data.path()))
    }

    fn to(&self) -> PathBuf {
        self.out.path().join("out.wav")
    }

    /// What a draft does: it probes, and fetches on save.
    async fn draft(&self, media: &Media, url: &str) -> Vec<u8> {
        media.facts(url).await.unwrap();
        media.fetch(url, &self.to(), &|_, _| {}).await.unwrap();
        std::fs::read(self.to()).unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.data.path().join("media"));
        let mut files: Vec<_> = files
            .into_iter()
            .flatten()
            .map(|file| file.unwrap().path())
            .collect();
        files.sort();
        files
    }

    fn media_files(&self) -> Vec<PathBuf> {
        let mut files = self.files();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "media"));
        files
    }
}

#[tokio::test]
async fn a_batch_fetches_once_and_the_next_draft_revalidates() {
    for (way, name, first) in [
        // A probe and a fetch; the probe of a small file returns all of it.
        ("tagged", "a.wav", 2),
        ("dated", "a.wav", 2),
        ("tagged", "small.wav", 1),
        ("plain", "small.wav", 1),
    ] {
        let kept = Kept::new().await;
        let url = kept.server.url(way, name);
        let media = kept.store().of(&Caller::user());
        let drafts = (0..3).map(|number| {
            let to = kept.out.path().join(number.to_string());
            let (media, url) = (media.clone(), url.clone());
            async move {
                media.facts(&url).await.unwrap();
                media.fetch(&url, &to, &|_, _| {}).await.unwrap();
            }
        });
        futures::future::join_all(drafts).await;
        assert_eq!(kept.server.requests(), first, "{way} {name}");
        let next = kept.store().of(&Caller::user());
        let bytes = kept.draft(&next, &url).await;
        assert_eq!(
            bytes.len() as u64,
            if name == "a.wav" { 160_044 } else { 1644 }
        );
        assert_eq!(kept.server.requests(), first + 1, "{way} {name}");
        if way == "tagged" {
            assert!(kept.server.asked("if-none-match").pop().unwrap().is_some());
        }
        assert_eq!(kept.draft(&next, &url).await, bytes);
        assert_eq!(kept.server.requests(), first + 1, "confirmed a moment ago");
    }
}

#[tokio::test]
async fn a_source_that_changed_on_the_server_is_fetched_again() {
    for way in ["tagged", "dated", "ranges"] {
        let kept = Kept::new().await;
        let url = kept.server.url(way, "a.wav");
        assert_eq!(
            kept.draft(&kept.store().of(&Caller::user()), &url).await,
            wave(80_000)
        );
        kept.server.add("a.wav", wave(80_001));
        assert_eq!(
            kept.draft(&kept.store().of(&Caller::user()), &url).await,
            wave(80_001)
        );
        assert_eq!(
            kept.media_files().len(),
            1,
            "{way}: the old file is removed"
        );
        // A server that forbids caching.
        let unkept = kept.server.url("unkept", "a.wav");
        kept.draft(&kept.store().of(&Caller::user()), &unkept).await;
        assert_eq!(kept.media_files().len(), 1, "{way}");
    }
}

#[tokio::test]
async fn cached_files_are_private_and_do_not_show_addresses() {
    let kept = Kept::new().await;
    let url = format!("{}?token=secret", kept.server.url("tagged", "a.wav"));
    kept.draft(&kept.store().of(&Caller::user()), &url).await;
    assert_eq!(kept.files().len(), 2);
    for file in kept.files() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.contains("secret") && !name.contains("wav"), "{name}");
        let bytes = std::fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode(&file) & 0o777, 0o600, "{name}");
            assert_eq!(mode(file.parent().unwrap()) & 0o777, 0o700);
        }
    }
}

#[tokio::test]
async fn cached_files_are_refused_to_callers_who_may_not_fetch_them() {
    let kept = Kept::new().await;
    kept.server
        .add("to", kept.server.url("tagged", "a.wav").into_bytes());
    for name in [("tagged", "a.wav"), ("elsewhere", "to")] {
        let url = kept.server.url(name.0, name.1);
        let store = kept.store();
        for caller in [Caller::user(), local()] {
            kept.draft(&store.of(&caller), &url).await;
        }
        let asked = kept.server.requests();
        for store in [store, kept.store()] {
            let refused = store.of(&network());
            for error in [
                refused.facts(&url).await.unwrap_err(),
                refused
                    .fetch(&url, &kept.to(), &|_, _| {})
                    .await
                    .unwrap_err(),
            ] {
                assert_eq!(error.kind, Kind::InvalidArgument, "{error}");
            }
        }
        assert_eq!(kept.server.requests(), asked);
    }
}

#[tokio::test]
async fn a_draft_and_its_cached_file_change_independently() {
    for hard_links in [false, true] {
        let mut kept = Kept::new().await;
        kept.limits.hard_links = hard_links;
        let url = kept.server.url("tagged", "a.wav");
        let media = kept.store().of(&Caller::user());
        kept.draft(&media, &url).await;
        kept.draft(&media, &url).await;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let links = std::fs::metadata(&kept.media_files()[0]).unwrap().nlink();
            assert_eq!(links, if hard_links { 2 } else { 1 });
        }
        // A file that another program changed is not used any more, even through a link.
        let file = kept.media_files().remove(0);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[1000] = 99;
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(kept.draft(&media, &url).await, wave(80_000));
    }
}

#[tokio::test]
async fn damaged_cache_entries_are_fetched_again() {
    let kept = Kept::new().await;
    let url = kept.server.url("tagged", "a.wav");
    kept.draft(&kept.store().of(&Caller::user()), &url).await;
    let file = kept.media_files().remove(0);
    let note = kept
        .files()
        .into_iter()
        .find(|other| *other != file)
        .unwrap();
    let (media, text) = (std::fs::read(&file).unwrap(), std::fs::read(&note).unwrap());
    let cut = |path: &Path, bytes: &[u8]| std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    for damage in [0, 1, 2] {
        match damage {
            0 => cut(&file, &media),
            1 => cut(&note, &text),
            // The note points outside the cache.
            _ => std::fs::write(
                &note,
                String::from_utf8_lossy(&text).replace(".media", "/../x"),
            )
            .unwrap(),
        }
        let bytes = kept.draft(&kept.store().of(&Caller::user()), &url).await;
        assert_eq!(bytes, wave(80_000), "{damage}");
        std::fs::write(&file, &media).unwrap();
        std::fs::write(&note, &text).unwrap();
    }
}

#[tokio::test]
async fn the_cache_is_limited_in_bytes_and_age() {
    let mut kept = Kept::new().await;
    kept.limits.cache_bytes = 400_000;
    for name in ["1.wav", "2.wav", "3.wav", "4.wav"] {
        kept.server.add(name, wave(80_000));
        kept.draft(
            &kept.store().of(&Caller::user()),
            &kept.server.url("tagged", name),
        )
        .await;
    }
    assert_eq!(kept.media_files().len(), 2);
    kept.server.add("large.wav", wave(400_000));
    kept.draft(
        &kept.store().of(&Caller::user()),
        &kept.server.url("tagged", "large.wav"),
    )
    .await;
    assert_eq!(
        kept.media_files().len(),
        2,
        "larger than the limit of the cache"
    );
    kept.limits.cache_age_s = 0;
    let asked = kept.server.requests();
    kept.draft(
        &kept.store().of(&Caller::user()),
        &kept.server.url("tagged", "4.wav"),
    )
    .await;
    assert_eq!(kept.server.requests(), asked + 2, "too old to be used");
    kept.limits.cache_bytes = 0;
    let other = Kept {
        limits: kept.limits.clone(),
        ..Kept::new().await
    };
    other
        .draft(
            &other.store().of(&Caller::user()),
            &other.server.url("tagged", "a.wav"),
        )
        .await;
    assert!(other.files().is_empty(), "nothing is cached");
}

#[tokio::test]
async fn cached_files_in_use_are_not_removed() {
    let kept = Kept::new().await;
    let url = kept.server.url("tagged", "a.wav");
    kept.draft(&kept.store().of(&Caller::user()), &url).await;
    let file = std::fs::File::open(&kept.media_files()[0]).unwrap();
    file.lock_shared().unwrap();
    assert_eq!(
        prune_older(kept.data.path(), Duration::ZERO),
        Removed::default()
    );
    assert_eq!(kept.files().len(), 2);
    drop(file);
    #[cfg(unix)]
    {
        let outside = kept.data.path().join("outside.media");
        std::fs::write(&outside, "mine").unwrap();
        std::os::unix::fs::symlink(&outside, kept.data.path().join("media/link.media")).unwrap();
    }
    let removed = prune_older(kept.data.path(), Duration::ZERO);
    assert_eq!(
        removed,
        Removed {
            files: 1,
            bytes: 160_044
        }
    );
    #[cfg(unix)]
    assert!(kept.data.path().join("outside.media").exists());
}

#[tokio::test]
async fn a_dead_host_times_out_sooner_than_a_slow_one() {
    let mut kept = Kept::new().await;
    kept.limits.first_answer_s = 1;
    kept.limits.answer_timeout_s = 3;
    let media = kept.store().of(&Caller::user());
    // A host that answered a moment ago has more time.
    media
        .facts(&kept.server.url("ranges", "a.wav"))
        .await
        .unwrap();
    let start = std::time::Instant::now();
    let url = kept.server.url("silent", "a.wav");
    let error = media.facts(&url).await.unwrap_err();
    assert!(error.message.contains("no answer within 3 s"), "{error}");
    let media = kept.store().of(&Caller::user());
    let error = media.facts(&url).await.unwrap_err();
    assert!(error.message.contains("no answer within 1 s"), "{error}");
    assert!(error.hint.unwrap().contains("first_answer_s"));
    assert!(start.elapsed().as_secs() >= 4);
    let asked = kept.server.requests();
    let error = media.fetch(&url, &kept.to(), &|_, _| {}).await.unwrap_err();
    assert!(error.message.contains("(tried "), "{error}");
    assert_eq!(kept.server.requests(), asked, "no further request");
}

#[test]
fn default_limits_spend_five_seconds_a_minute_on_a_dead_host() {
    let limits = MediaLimits::default();
    assert_eq!(
        (
            limits.connect_timeout_s,
            limits.first_answer_s,
            limits.dead_host_s
        ),
        (5, 5, 60)
    );
}
