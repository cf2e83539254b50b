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
use super::{BlobStore, ContentStore, FolderStore, NewBlob, Storage, UserName, hex};
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
    assert_eq!(store.find("drafts/a/1.zip").await.unwrap(), None);
    assert_eq!(store.sha256("drafts/a/1.zip").await.unwrap(), None);
    assert_eq!(store.bytes("drafts/a/1.zip", 99).await.unwrap(), None);
    assert!(put(store, "drafts/a/1.zip", b"0123456789").await);
    assert!(!put(store, "drafts/a/1.zip", b"other").await);
    assert!(put(store, "drafts/b/2.zip", b"b").await);
    assert!(put(store, "drafts2/c", b"c").await);
    let found = store
        .find("drafts/a/1.zip")
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!((&*found.key, found.bytes), ("drafts/a/1.zip", 10));
    assert!(found.age() < Duration::from_mins(10), "{found:?}");
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
    let listed = async |prefix, after| {
        let files = store.list(prefix, after).await.expect("a list");
        let files = files.into_iter();
        let rows: Vec<(String, u64)> = files.map(|file| (file.key, file.bytes)).collect();
        rows
    };
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
        assert_eq!(store.find(name).await.unwrap(), None, "{name}");
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
    replaced(store, large).await;
    // What could not be put leaves nothing.
    assert_eq!(temporary(store.scratch().unwrap()), 0);
}

/// A file that takes the place of another one, also while it is read.
async fn replaced(store: &dyn BlobStore, large: usize) {
    let replace = async |key: &str, content: &[u8]| {
        let blob = new(store, content).await;
        store.replace(key, blob).await
    };
    replace("note.json", b"one").await.unwrap();
    replace("note.json", b"second").await.unwrap();
    assert_eq!(read(store, "note.json", 0..6).await, b"second");
    assert!(!put(store, "note.json", b"third").await);
    let old = vec![b'a'; large];
    assert!(put(store, "large.bin", &old).await);
    replace("large.bin", &vec![b'b'; large]).await.unwrap();
    let now = read(store, "large.bin", 0..large as u64).await;
    assert!(now.iter().all(|byte| *byte == b'b'));
    // One of several stays, whole.
    let race = (0..6_u8).map(|number| async move {
        let blob = new(store, &[b'0' + number; 100]).await;
        store.replace("note.json", blob).await
    });
    for replaced in futures::future::join_all(race).await {
        replaced.unwrap();
    }
    let stored = read(store, "note.json", 0..100).await;
    assert!(stored.iter().all(|byte| *byte == stored[0]));
    for key in ["", "../x", "a//b", ".new/x"] {
        assert!(replace(key, b"x").await.is_err(), "{key}");
        assert!(store.find(key).await.is_err(), "{key}");
    }
    for key in ["note.json", "large.bin"] {
        store.delete(key).await.unwrap();
    }
}

/// Files by their content, of two machines with one store.
async fn contents(store: &Arc<dyn BlobStore>) {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |folder: &Path| {
        let name: UserName = Arc::new(|| Box::pin(async { Ok("drafts".to_owned()) }));
        ContentStore::new(Arc::clone(store), folder.to_owned(), 1 << 20, name)
    };
    let (first, second) = (open(one.path()), open(other.path()));
    let keep = async |store: &ContentStore, content: &'static [u8]| {
        let blob = store.new_blob(move || Ok(content)).await.unwrap();
        let sha256 = blob.sha256.clone();
        (store.keep(blob, Some("wav")).await, sha256)
    };
    let (path, hash) = keep(&first, b"speech").await;
    let path = path.unwrap();
    assert_eq!(hash, hex(&Sha256::digest(b"speech")));
    assert_eq!(path, one.path().join(format!("{hash}.wav")));
    assert_eq!(fs::read(&path).unwrap(), b"speech");
    assert_eq!(first.content_of(&path), Some(&*hash));
    assert!(second.has(&hash, 6).await.unwrap());
    assert!(!second.has(&hash, 7).await.unwrap());
    // On another machine, where nothing is yet; many calls at the same time.
    let needed = (0..8).map(|_| second.local(&hash, Some("wav"), 6));
    for found in futures::future::join_all(needed).await {
        let there = found.unwrap().expect("a copy");
        assert_eq!(there, other.path().join(format!("{hash}.wav")));
        assert_eq!(fs::read(&there).unwrap(), b"speech");
    }
    let there = other.path().join(format!("{hash}.wav"));
    fs::remove_file(&there).unwrap();
    second.restore(&there).await.unwrap();
    assert_eq!(fs::read(&there).unwrap(), b"speech");
    second.restore(&other.path().join("0.wav")).await.unwrap();
    // The same content from two machines at the same time.
    let both = futures::future::join(keep(&first, b"race"), keep(&second, b"race")).await;
    assert_eq!(both.0.0.unwrap().file_name(), both.1.0.unwrap().file_name());
    // Content that is not what its key says is removed, and can be put again.
    let key = format!("sha256/{hash}");
    for damaged in [&b"forged"[..], b"cut"] {
        let blob = new(&**store, damaged).await;
        store.replace(&key, blob).await.unwrap();
        fs::remove_file(&there).unwrap();
        assert_eq!(second.local(&hash, Some("wav"), 6).await.unwrap(), None);
        assert!(!there.exists());
        assert_eq!(store.find(&key).await.unwrap(), None);
        let error = second.restore(&there).await.unwrap_err();
        assert!(
            error.message.contains("not in object storage any more"),
            "{error}"
        );
        keep(&first, b"speech").await.0.unwrap();
        second.restore(&there).await.unwrap();
        assert_eq!(fs::read(&there).unwrap(), b"speech");
    }
    // Content of another size is replaced at once.
    let blob = new(&**store, b"longer than it").await;
    store.replace(&key, blob).await.unwrap();
    keep(&first, b"speech").await.0.unwrap();
    assert!(first.has(&hash, 6).await.unwrap());
    // Only hashes are keys.
    for hash in [
        "",
        "../x",
        &hash[1..],
        &hash.to_uppercase(),
        &format!("{hash}/x"),
    ] {
        assert!(first.has(hash, 1).await.is_err(), "{hash}");
        assert!(first.local(hash, None, 1).await.is_err(), "{hash}");
    }
    assert_eq!(first.note("urls/a", "b").await.unwrap(), None);
    first.put_note("urls/a", "b", b"1".to_vec()).await.unwrap();
    second
        .put_note("urls/a", "b", b"22".to_vec())
        .await
        .unwrap();
    assert_eq!(
        first.note("urls/a", "b").await.unwrap().as_deref(),
        Some(&b"22"[..])
    );
    assert!(first.note("../a", "b").await.is_err());
    for folder in [one.path(), other.path()] {
        assert_eq!(temporary(folder), 0);
    }
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
    assert!(store.list("", None).await.unwrap().is_empty());
    contract(&store, 1 << 20).await;
    local(&store).await;
    let link = store.link("a.mp4", "a", Duration::from_mins(1)).await;
    assert_eq!(link.unwrap(), None);
    let store: Arc<dyn BlobStore> = Arc::new(FolderStore::new(folder.path().join("media")));
    contents(&store).await;
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
    contents(&saved).await;
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
    assert!(foreign.list("", None).await.unwrap().is_empty());
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
