//! What every store does, for the folder and for a real S3 server.

#[path = "../../tests/s3-server/start.rs"]
mod server;

use std::fs;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use hyper::body::Bytes;
use sha2::{Digest as _, Sha256};

use self::server::start_s3_server;
use super::section::{LinksOf, StorageKind, StorageSection};
use super::{BlobStore, FolderStore, NewBlob, Storage, hex};
use crate::error::{Error, Kind};
use crate::secrets::Hidden;
use crate::settings::StorageKeys;

const BUCKET: &str = "capcut-drafts";
const KEY_ID: &str = "AKIDCONTRACT";
const SECRET: &str = "contract-secret-0123456789";

async fn new(store: &dyn BlobStore, content: &[u8]) -> NewBlob {
    let scratch = store.scratch().expect("a folder");
    let blob = NewBlob::of(scratch, content.to_vec()).await;
    blob.expect("a file")
}

async fn put(store: &dyn BlobStore, key: &str, content: &[u8]) -> bool {
    let blob = new(store, content).await;
    store.put(key, blob).await.expect("put")
}

async fn read(store: &dyn BlobStore, key: &str, range: std::ops::Range<u64>) -> Vec<u8> {
    let read = store.read(key, range).await.expect("a file");
    let pieces: Vec<Bytes> = read.try_collect().await.expect("all of it");
    pieces.concat()
}

fn temporary(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".tmp"))
        .count()
}

/// `large` has more bytes than are sent in one request.
async fn contract(store: &dyn BlobStore, large: usize) {
    assert_eq!(store.size("drafts/a/1.zip").await.unwrap(), None);
    assert_eq!(store.sha256("drafts/a/1.zip").await.unwrap(), None);
    assert_eq!(store.bytes("drafts/a/1.zip", 99).await.unwrap(), None);
    assert!(put(store, "drafts/a/1.zip", b"0123456789").await);
    assert!(!put(store, "drafts/a/1.zip", b"other").await);
    assert!(put(store, "drafts/b/2.zip", b"b").await);
    assert!(put(store, "drafts2/c", b"c").await);
    assert_eq!(store.size("drafts/a/1.zip").await.unwrap(), Some(10));
    let hash = hex(&Sha256::digest(b"0123456789"));
    assert_eq!(store.sha256("drafts/a/1.zip").await.unwrap(), Some(hash));
    let bytes = store.bytes("drafts/a/1.zip", 10).await.unwrap();
    assert_eq!(bytes.as_deref(), Some(&b"0123456789"[..]));
    assert!(store.bytes("drafts/a/1.zip", 9).await.is_err());
    for (range, expected) in [
        (0..10, "0123456789"),
        (3..5, "34"),
        (9..10, "9"),
        (4..4, ""),
    ] {
        let part = read(store, "drafts/a/1.zip", range.clone()).await;
        assert_eq!(part, expected.as_bytes(), "{range:?}");
    }
    let beyond = match store.read("drafts/a/1.zip", 5..20).await {
        Ok(beyond) => beyond.try_collect::<Vec<Bytes>>().await.is_err(),
        Err(_) => true,
    };
    assert!(beyond);
    let listed = async |prefix, after| store.list(prefix, after).await.expect("a list");
    let all = [
        ("drafts/a/1.zip".to_owned(), 10),
        ("drafts/b/2.zip".to_owned(), 1),
    ];
    assert_eq!(listed("drafts/", None).await, all);
    assert_eq!(listed("drafts/b/", None).await, all[1..]);
    assert_eq!(listed("drafts/", Some("drafts/a/1.zip")).await, all[1..]);
    assert_eq!(listed("drafts/", Some("drafts/b/2.zip")).await, []);
    assert_eq!(listed("nothing/", None).await, []);
    assert_eq!(listed("", None).await.len(), 3);
    store.delete("drafts/a/1.zip").await.unwrap();
    store.delete("drafts/a/1.zip").await.unwrap();
    assert!(store.read("drafts/a/1.zip", 0..1).await.is_err());
    assert_eq!(listed("drafts/", None).await, all[1..]);
    for key in [
        "", "../x", "/x", "a//b", "a/../b", ".new/x", "a\\b", "c:x", "a\n",
    ] {
        let blob = new(store, b"x").await;
        assert!(store.put(key, blob).await.is_err(), "{key}");
        assert!(store.read(key, 0..1).await.is_err(), "{key}");
        assert!(store.delete(key).await.is_err(), "{key}");
    }
    for name in [
        "夏 天 🎬.mp4",
        "a+b=c&d.mp4",
        "100%.mp4",
        "#1~[x]{y}^`'!.mp4",
        "%2e%2e.srt",
        "é e\u{301}.png",
    ] {
        assert!(put(store, name, name.as_bytes()).await, "{name}");
        assert_eq!(
            read(store, name, 0..name.len() as u64).await,
            name.as_bytes()
        );
        let is_listed = listed("", None).await.iter().any(|(key, _)| key == name);
        assert!(is_listed, "{name}");
        store.delete(name).await.unwrap();
        assert_eq!(store.size(name).await.unwrap(), None, "{name}");
    }
    let content: Vec<u8> = (0..large).map(|at| (at / 7) as u8).collect();
    assert!(put(store, "large.bin", &content).await);
    assert!(!put(store, "large.bin", &content[1..]).await);
    let whole = read(store, "large.bin", 0..large as u64).await;
    assert!(whole == content, "the parts are in order");
    store.delete("large.bin").await.unwrap();
    // Only one of several files gets a key, whole.
    let race: Vec<_> = (0..6_u8)
        .map(|number| async move { put(store, "race.txt", &[b'0' + number; 100]).await })
        .collect();
    let won = futures::future::join_all(race).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    let winner = won.iter().position(|won| *won).expect("one");
    let stored = read(store, "race.txt", 0..100).await;
    assert_eq!(stored, [b'0' + winner as u8; 100]);
    store.delete("race.txt").await.unwrap();
    // What could not be put leaves nothing.
    assert_eq!(temporary(store.scratch().unwrap()), 0);
}

/// A file that calls use by its path.
async fn local(store: &dyn BlobStore) {
    assert_eq!(store.local("a.mp4").await.unwrap(), None);
    assert!(put(store, "a.mp4", b"video").await);
    let path = store.local("a.mp4").await.unwrap().expect("a path");
    assert_eq!(fs::read(&path).unwrap(), b"video");
    assert_eq!(path.file_name().unwrap(), "a.mp4");
    assert_eq!(store.local("a.mp4").await.unwrap(), Some(path.clone()));
    store.restore(&path).await.unwrap();
    store.restore(Path::new("/elsewhere/a.mp4")).await.unwrap();
    store.delete("a.mp4").await.unwrap();
    assert!(!path.exists());
    assert_eq!(store.local("a.mp4").await.unwrap(), None);
}

#[tokio::test]
async fn a_folder_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::new(folder.path().join("store"));
    assert_eq!(store.list("", None).await.unwrap(), []);
    contract(&store, 1 << 20).await;
    local(&store).await;
    let link = store.link("a.mp4", "a", Duration::from_mins(1)).await;
    assert_eq!(link.unwrap(), None);
}

/// A running S3 server with one bucket.
struct S3Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl S3Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let (child, port) = start_s3_server(folder.path(), KEY_ID, SECRET);
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    fn storage(&self, change: impl FnOnce(&mut StorageSection, &mut StorageKeys)) -> Storage {
        let mut section = StorageSection {
            kind: StorageKind::S3,
            endpoint: format!("http://localhost:{}", self.port),
            bucket: BUCKET.to_owned(),
            region: String::new(),
            prefix: "some/prefix".to_owned(),
            virtual_hosted_style: false,
            allow_http: true,
            links: LinksOf::Storage,
            cache_bytes: 1 << 20,
        };
        let mut keys = StorageKeys {
            key_id: Some(Hidden(KEY_ID.to_owned())),
            secret: Some(Hidden(SECRET.to_owned())),
            session: None,
        };
        change(&mut section, &mut keys);
        assert_eq!(section.faults(), []);
        Storage::new(section, keys)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn a_bucket_is_a_store(is_virtual_hosted: bool) {
    let (server, data) = (S3Server::start(), tempfile::tempdir().unwrap());
    let storage = server.storage(|section, _| section.virtual_hosted_style = is_virtual_hosted);
    storage.probe().await.unwrap();
    let saved = storage.saved(data.path(), "tenant").unwrap();
    contract(&*saved, (20 << 20) + 3).await;
    let uploads = storage.uploads(data.path(), "tenant").unwrap();
    contract_of_uploads(&server, &uploads, data.path()).await;
}

async fn contract_of_uploads(server: &S3Server, uploads: &Arc<dyn BlobStore>, data: &Path) {
    local(&**uploads).await;
    assert!(put(&**uploads, "b.mp4", b"first").await);
    // Another process, on another machine: nothing is here yet.
    let other_data = tempfile::tempdir().unwrap();
    let is_virtual = uploads.link("b.mp4", "b", Duration::from_mins(1)).await;
    let link = is_virtual.unwrap().expect("a link");
    let is_virtual_hosted = link.starts_with(&format!("http://{BUCKET}.localhost:"));
    let same = |section: &mut StorageSection, _: &mut StorageKeys| {
        section.virtual_hosted_style = is_virtual_hosted;
    };
    let storage = server.storage(same);
    let other = storage.uploads(other_data.path(), "tenant").unwrap();
    let here = uploads.local("b.mp4").await.unwrap().expect("a path");
    assert!(here.starts_with(data));
    let there = other.local("b.mp4").await.unwrap().expect("a path");
    assert!(there.starts_with(other_data.path()));
    assert_eq!(fs::read(&there).unwrap(), b"first");
    // A copy that was removed is fetched again, with the same time.
    let modified = fs::metadata(&there).unwrap().modified().unwrap();
    fs::remove_file(&there).unwrap();
    other.restore(&there).await.unwrap();
    assert_eq!(fs::read(&there).unwrap(), b"first");
    assert_eq!(fs::metadata(&there).unwrap().modified().unwrap(), modified);
    // A draft that uses a file never gets another one.
    uploads.delete("b.mp4").await.unwrap();
    fs::remove_file(&there).unwrap();
    let error = other.restore(&there).await.unwrap_err();
    assert!(error.message.contains("has been removed"), "{error}");
    assert!(put(&**uploads, "b.mp4", b"other").await);
    let error = other.restore(&there).await.unwrap_err();
    assert!(error.message.contains("another content"), "{error}");
    assert!(!there.exists());
    let path = other.local("b.mp4").await.unwrap().expect("a path");
    assert_ne!(path, there);
    assert_eq!(fs::read(path).unwrap(), b"other");
    // Many calls that need a file at the same time.
    let third = tempfile::tempdir().unwrap();
    let third = storage.uploads(third.path(), "tenant").unwrap();
    let paths = futures::future::join_all((0..8).map(|_| third.local("b.mp4"))).await;
    let paths: Vec<_> = paths
        .into_iter()
        .map(|path| path.unwrap().unwrap())
        .collect();
    assert!(paths.iter().all(|path| *path == paths[0] && path.is_file()));
    // Tenants do not share anything.
    let foreign = storage.uploads(other_data.path(), "other").unwrap();
    assert_eq!(foreign.local("b.mp4").await.unwrap(), None);
    assert_eq!(foreign.list("", None).await.unwrap(), []);
    assert_eq!(storage.used("other").await.unwrap(), 0);
    assert!(storage.used("tenant").await.unwrap() >= 5);
}

#[tokio::test]
async fn a_bucket_in_the_path_is_a_store() {
    a_bucket_is_a_store(false).await;
}

#[tokio::test]
async fn a_bucket_in_the_host_is_a_store() {
    a_bucket_is_a_store(true).await;
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let (server, data) = (S3Server::start(), tempfile::tempdir().unwrap());
    let check = async |what: &str, error: Error| {
        let text = format!("{error} {}", error.cause());
        assert!(text.contains(what), "{what}: {text}");
        assert!(!text.contains(SECRET) && !text.contains(KEY_ID), "{text}");
    };
    let secret = server.storage(|_, keys| keys.secret = Some(Hidden("wrong-secret-99".to_owned())));
    check("AWS_SECRET_ACCESS_KEY", secret.probe().await.unwrap_err()).await;
    // A request whose answer has no body says the same.
    let uploads = secret.uploads(data.path(), "t").unwrap();
    check(
        "AWS_SECRET_ACCESS_KEY",
        uploads.local("a.mp4").await.unwrap_err(),
    )
    .await;
    let bucket = server.storage(|section, _| section.bucket = "no-such-bucket".to_owned());
    // This server makes a bucket of that name as soon as something is written.
    let uploads = bucket.uploads(data.path(), "t").unwrap();
    check("no bucket named", uploads.local("a.mp4").await.unwrap_err()).await;
    let none = server.storage(|_, keys| keys.secret = None);
    check(
        "AWS_SECRET_ACCESS_KEY is not set",
        none.probe().await.unwrap_err(),
    )
    .await;
    let down = server.storage(|section, _| section.endpoint = "http://127.0.0.1:1".to_owned());
    let error = down.probe().await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    check("cannot be reached", error).await;
    let uploads = down.uploads(data.path(), "t").unwrap();
    let blob = new(&*uploads, b"x").await;
    assert!(uploads.put("a.srt", blob).await.is_err());
    assert_eq!(temporary(uploads.scratch().unwrap()), 0);
}
