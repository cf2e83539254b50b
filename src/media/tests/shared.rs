//! Fetched media in a store that several machines share: here a folder with the role of the bucket.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::SystemTime;

use tokio::task::JoinSet;

use super::super::testing::MediaServer;
use super::web::{local, network, quick, wave};
use super::*;
use crate::storage::ContentStore;

struct Machines {
    tasks: JoinSet<()>,
    server: MediaServer,
    bucket: tempfile::TempDir,
    data: [tempfile::TempDir; 2],
    limits: MediaLimits,
}

impl Machines {
    async fn new() -> Self {
        let mut tasks = JoinSet::new();
        let server = MediaServer::start(&mut tasks).await;
        server
            .add("a.wav", wave(80_000))
            .add("b.wav", wave(70_000))
            .add("small.wav", wave(800));
        let folder = || tempfile::tempdir().unwrap();
        Self {
            tasks,
            server,
            bucket: folder(),
            data: [folder(), folder()],
            limits: quick(),
        }
    }

    fn content(&self, machine: usize) -> ContentStore {
        let copies = self.data[machine].path().join("media/.copies");
        ContentStore::in_folder(self.bucket.path(), copies, self.limits.cache_bytes)
    }

    /// The media of a caller in a new process on a machine.
    fn media(&self, machine: usize, caller: &Caller) -> Media {
        let data = Some(self.data[machine].path());
        let content = Some(self.content(machine));
        MediaStore::sharing(self.limits.clone(), data, content).of(caller)
    }

    fn user(&self, machine: usize) -> Media {
        self.media(machine, &Caller::user())
    }

    /// What a draft does: it probes, and fetches on save.
    async fn draft(&self, media: &Media, url: &str) -> Result<Vec<u8>> {
        let to = self.data[0].path().join("out.wav");
        let facts = media.facts(url).await?;
        let fetched = media.fetch(url, &to, &|_, _| {}).await?;
        assert_eq!(facts.audio_duration, fetched.facts.audio_duration);
        Ok(std::fs::read(&to).unwrap())
    }

    /// The files in the bucket, by the start of their keys.
    fn objects(&self, prefix: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.bucket.path().join(prefix)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path => found.push(path),
                }
            }
        }
        found
    }

    /// Makes everything in the bucket this old.
    fn age(&self, age: Duration) {
        for path in self.objects("") {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let note = serde_json::from_str::<serde_json::Value>(&text);
            if let Ok(mut note) = note
                && let Some(seconds) = note["confirmed"]["secs_since_epoch"].as_u64()
            {
                note["confirmed"]["secs_since_epoch"] = (seconds - age.as_secs()).into();
                std::fs::write(&path, note.to_string()).unwrap();
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                file.set_modified(SystemTime::now() - age).unwrap();
            }
        }
    }

    async fn expire(&self, needed: &NeededMedia, age: Duration, excess: u64) -> Removed {
        let removed = remove_expired(&self.content(0), needed, age, excess).await;
        removed.unwrap()
    }
}

#[tokio::test]
async fn a_source_is_fetched_once_for_all_machines() {
    for (way, name) in [
        ("tagged", "a.wav"),
        ("dated", "a.wav"),
        ("plain", "small.wav"),
    ] {
        let it = Machines::new().await;
        let url = it.server.url(way, name);
        let bytes = it.draft(&it.user(0), &url).await.unwrap();
        let asked = it.server.requests();
        assert_eq!(it.draft(&it.user(1), &url).await.unwrap(), bytes);
        assert_eq!(it.server.requests(), asked, "{way}: confirmed a moment ago");
        assert_eq!(it.objects("sha256").len(), 1);
        it.age(FRESH_BEFORE);
        let media = it.user(1);
        assert_eq!(it.draft(&media, &url).await.unwrap(), bytes);
        if way == "plain" {
            assert!(it.server.requests() > asked, "it cannot be confirmed");
        } else {
            assert_eq!(it.server.requests(), asked + 1, "{way}: only asked");
        }
        // On a machine without a copy.
        std::fs::remove_dir_all(it.data[1].path()).unwrap();
        std::fs::create_dir(it.data[1].path()).unwrap();
        let asked = it.server.requests();
        assert_eq!(it.draft(&it.user(1), &url).await.unwrap(), bytes);
        assert_eq!(it.server.requests(), asked, "{way}: the note says so");
    }
}

/// A confirmation of this age is not recent.
const FRESH_BEFORE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_source_that_is_gone_is_replaced_by_what_was_fetched_but_not_for_others() {
    let mut it = Machines::new().await;
    let url = it.server.url("tagged", "a.wav");
    let bytes = it.draft(&it.user(0), &url).await.unwrap();
    it.draft(&it.media(0, &local()), &url).await.unwrap();
    it.age(Duration::from_hours(48));
    it.tasks.abort_all();
    while it.tasks.join_next().await.is_some() {}
    for caller in [Caller::user(), local()] {
        let media = it.media(1, &caller);
        assert_eq!(it.draft(&media, &url).await.unwrap(), bytes);
    }
    let refused = it.draft(&it.media(1, &network()), &url).await.unwrap_err();
    assert_eq!(refused.kind, Kind::InvalidArgument, "{refused}");
    let other = it.server.url("tagged", "b.wav");
    let error = it.draft(&it.user(1), &other).await.unwrap_err();
    assert_ne!(error.kind, Kind::InvalidArgument, "{error}");
    // Nothing stands in for content that was removed.
    for object in it.objects("sha256") {
        std::fs::remove_file(object).unwrap();
    }
    std::fs::remove_dir_all(it.data[1].path().join("media")).unwrap();
    assert!(it.draft(&it.user(1), &url).await.is_err());
}

#[tokio::test]
async fn a_source_that_changed_has_new_content_for_all_machines() {
    for way in ["tagged", "dated"] {
        let it = Machines::new().await;
        let url = it.server.url(way, "a.wav");
        it.draft(&it.user(0), &url).await.unwrap();
        it.server.add("a.wav", wave(80_001));
        it.age(FRESH_BEFORE);
        let second = it.draft(&it.user(1), &url).await.unwrap();
        assert_eq!(second, wave(80_001), "{way}");
        let asked = it.server.requests();
        assert_eq!(it.draft(&it.user(0), &url).await.unwrap(), second);
        assert_eq!(it.server.requests(), asked, "{way}");
        // A source that forbids it is not shared.
        let notes = it.objects("notes").len();
        it.draft(&it.user(0), &it.server.url("unkept", "b.wav"))
            .await
            .unwrap();
        assert_eq!(it.objects("notes").len(), notes, "{way}");
    }
}

#[tokio::test]
async fn media_expire_unless_a_draft_needs_them_or_they_are_young() {
    let it = Machines::new().await;
    let urls = ["a.wav", "b.wav"].map(|name| it.server.url("tagged", name));
    for url in &urls {
        it.draft(&it.user(0), url).await.unwrap();
    }
    let needed = |url: &str| NeededMedia {
        urls: [source_key(url).unwrap()].into(),
        contents: HashSet::new(),
    };
    let hour = Duration::from_hours(1);
    let nothing = NeededMedia::default();
    let left = it.expire(&nothing, Duration::ZERO, u64::MAX).await;
    assert_eq!(left, Removed::default(), "they are young");
    it.age(3 * hour);
    let left = it.expire(&nothing, 4 * hour, 0).await;
    assert_eq!(left, Removed::default());
    let removed = it.expire(&needed(&urls[0]), 2 * hour, 0).await;
    assert_eq!((removed.files, removed.bytes), (1, 140_044));
    // One that was put again is young.
    it.server.add("c.wav", wave(80_000));
    it.draft(&it.user(0), &it.server.url("tagged", "c.wav"))
        .await
        .unwrap();
    it.expire(&nothing, 2 * hour, 0).await;
    assert_eq!(it.objects("sha256").len(), 1);
    assert_eq!(it.objects("notes/urls").len(), 1);
    let (media, url) = (it.user(1), it.server.url("tagged", "c.wav"));
    assert_eq!(it.draft(&media, &url).await.unwrap(), wave(80_000));
}

#[tokio::test]
async fn without_space_the_oldest_media_go_and_what_was_paid_for_last() {
    let it = Machines::new().await;
    let content = it.content(0);
    let blob = content.new_blob(|| Ok(&b"speech"[..])).await.unwrap();
    let made = blob.sha256.clone();
    content.keep(blob, Some("wav")).await.unwrap();
    content.put_note(MADE, &made, b"{}".to_vec()).await.unwrap();
    let urls = ["a.wav", "b.wav"].map(|name| it.server.url("tagged", name));
    let hour = Duration::from_hours(1);
    for url in &urls {
        it.draft(&it.user(0), url).await.unwrap();
        it.age(2 * hour);
    }
    let day = 24 * hour;
    let nothing = NeededMedia::default();
    let removed = it.expire(&nothing, Duration::ZERO, 0).await;
    assert_eq!(removed.files, 2, "what was paid for does not expire");
    assert!(content.has(&made, 6).await.unwrap());
    for url in &urls {
        it.draft(&it.user(0), url).await.unwrap();
    }
    it.age(2 * hour);
    let needs_first = NeededMedia {
        urls: [source_key(&urls[0]).unwrap()].into(),
        contents: HashSet::new(),
    };
    assert_eq!(it.expire(&needs_first, day, 1).await.files, 1);
    assert!(content.has(&made, 6).await.unwrap());
    assert_eq!(it.expire(&needs_first, day, 1).await.bytes, 6);
    assert!(!content.has(&made, 6).await.unwrap());
    assert_eq!(it.expire(&needs_first, day, u64::MAX).await.files, 0);
    assert_eq!(it.objects("sha256").len(), 1);
    // An asset that a draft needs stays.
    let blob = content.new_blob(|| Ok(&b"speech"[..])).await.unwrap();
    content.keep(blob, Some("wav")).await.unwrap();
    it.age(2 * hour);
    let needs_made = NeededMedia {
        urls: HashSet::new(),
        contents: [made.clone()].into(),
    };
    assert_eq!(
        it.expire(&needs_made, Duration::ZERO, u64::MAX).await.files,
        1
    );
    assert!(content.has(&made, 6).await.unwrap());
}
