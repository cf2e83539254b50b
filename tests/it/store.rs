//! The command `store`: copies between folders and databases, backups, and what is restored from them.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::support::postgres::TestServer;
use crate::support::{Home, McpOverHttp, Ran, until};

const VERSION: &str = "2025-11-25";

/// A folder that a person or a server has as its store.
struct Folder {
    home: Home,
}

impl Folder {
    fn new() -> Self {
        Self {
            home: Home::embedded(),
        }
    }

    fn place(&self) -> String {
        self.home.data().to_string_lossy().into_owned()
    }

    fn text(&self, draft: &str, number: u32) {
        let added = json!({ "draft_id": draft, "text": format!("text {number}"), "start": number, "end": number + 1 });
        self.home.call("add_text", &added).expect("a text");
    }

    fn draft(&self, name: &str, texts: u32) -> String {
        let made = self.home.call("create_draft", &json!({ "name": name }));
        let draft = made.expect("a draft")["draft_id"]
            .as_str()
            .map(str::to_owned);
        let draft = draft.expect("an id");
        for number in 0..texts {
            self.text(&draft, number);
        }
        draft
    }
}

/// The changes of a draft.
fn history(home: &Home, draft: &str) -> Vec<Value> {
    let ran = home.run(&["history", draft, "--json"]).success();
    let steps = ran.json()["steps"].as_array().cloned().expect("steps");
    assert!(!steps.is_empty(), "{ran:?}");
    steps
}

/// The clips of a draft.
fn clips(home: &Home, draft: &str) -> Value {
    let shown = home.call("inspect_draft", &json!({ "draft_id": draft }));
    shown.expect("a draft")["tracks"].clone()
}

fn copy(home: &Home, from: &str, to: &str, more: &[&str]) -> Ran {
    let mut line = vec!["store", "copy", from, to, "--json"];
    line.extend(more);
    home.run(&line)
}

/// A home whose store is this database.
fn with_database(address: &str) -> Home {
    let mut home = Home::embedded();
    home.set("CAPCUT_MCP_STORE", address);
    home
}

#[test]
fn drafts_and_tokens_go_from_a_folder_into_a_database_and_back() {
    let Some(server) = TestServer::shared() else {
        return;
    };
    let own = Folder::new();
    let draft = own.draft("Küste 世界", 5);
    let trashed = own.draft("Trash", 1);
    let deleted = json!({ "draft_id": trashed });
    own.home.call("delete_draft", &deleted).expect("deleted");
    own.home.run(&["token", "add", "alice"]).success();
    let address = server.database();
    // A password does not have to be in the arguments.
    let file = own.home.file("address", format!("{address}\n"));
    let to = format!("@{}", file.display());
    let first = copy(&own.home, &own.place(), &to, &[]).success();
    let report = first.json();
    assert_eq!(report["drafts"], 2, "{report}");
    assert_eq!(report["calls"], 6 + 2, "{report}");
    assert_eq!(report["differences"], 0, "{report}");
    let again = copy(&own.home, &own.place(), &to, &[]).success().json();
    assert_eq!(again["written"], 0, "{again}");

    let team = with_database(&address);
    assert_eq!(history(&team, &draft), history(&own.home, &draft));
    assert_eq!(clips(&team, &draft), clips(&own.home, &draft));
    let tokens = team.run(&["token", "list", "--json"]).success().json();
    assert_eq!(tokens[0]["name"], "alice", "{tokens}");
    let restored = json!({ "draft_id": trashed, "restore": true });
    team.call("delete_draft", &restored).expect("restored");
    // Both go on: what the first one has since is added to the other one.
    own.text(&draft, 7);
    let later = copy(&own.home, &own.place(), &to, &[]).success().json();
    assert_eq!(later["written"], 1, "{later}");
    assert_eq!(clips(&team, &draft), clips(&own.home, &draft));

    let back = Folder::new();
    copy(&own.home, &to, &back.place(), &[]).success();
    assert_eq!(clips(&back.home, &draft), clips(&own.home, &draft));
    let tokens = back.home.run(&["token", "list", "--json"]).success();
    assert_eq!(tokens.json()[0]["name"], "alice");
    let edited = json!({ "draft_id": draft, "text": "after", "start": 20, "end": 21 });
    back.home.call("add_text", &edited).expect("it continues");
}

#[test]
fn a_copy_into_a_store_that_went_on_loses_nothing_and_says_what_differs() {
    let (own, other) = (Folder::new(), Folder::new());
    let draft = own.draft("Two ways", 2);
    copy(&own.home, &own.place(), &other.place(), &[]).success();
    own.text(&draft, 10);
    other.text(&draft, 20);
    let new = own.draft("New", 1);
    let ran = copy(&own.home, &own.place(), &other.place(), &[]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains(&draft) && ran.stderr.contains("another call 3"),
        "{ran:?}"
    );
    let texts = clips(&other.home, &draft).to_string();
    assert!(texts.contains("text 20") && !texts.contains("text 10"));
    // All others are copied.
    assert_eq!(clips(&other.home, &new), clips(&own.home, &new));
}

#[test]
fn what_is_no_store_is_refused_before_anything_is_made() {
    let own = Folder::new();
    own.draft("One", 0);
    let empty = Folder::new();
    let missing = own.home.path().join("missing");
    let file = own.home.file("notes.txt", "not a store");
    let cases: [(&str, &str, &[&str]); 7] = [
        (
            &empty.place(),
            &own.place(),
            &["there are no drafts in", "journal.db"],
        ),
        (
            &missing.to_string_lossy(),
            &own.place(),
            &["there are no drafts in"],
        ),
        (&own.place(), &own.place(), &["the same store"]),
        (
            &own.place(),
            "mysql://host/drafts",
            &["not a store", "postgres://"],
        ),
        (
            &own.place(),
            &file.to_string_lossy(),
            &["not a store", "store restore"],
        ),
        (
            &own.place(),
            &format!("@{}", missing.display()),
            &["cannot be read"],
        ),
        (
            &own.place(),
            "postgres://user:secret@127.0.0.1:1/drafts",
            &["127.0.0.1:1"],
        ),
    ];
    for (from, to, words) in cases {
        let ran = copy(&own.home, from, to, &[]);
        assert_ne!(ran.code, 0, "{from} {to}: {ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{word} in {ran:?}");
        }
        assert!(!ran.stderr.contains("secret"), "{ran:?}");
        assert!(ran.stderr.contains("hint: "), "{ran:?}");
    }
    assert!(!missing.exists());
}

#[test]
fn a_backup_is_restored_into_an_empty_store_and_changes_nothing_in_its_own() {
    let own = Folder::new();
    let draft = own.draft("Film", 4);
    own.home.run(&["token", "add", "alice"]).success();
    let file = own.home.path().join("all.backup");
    let path = file.to_string_lossy().into_owned();
    own.home.run(&["store", "backup", &path]).success();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let before = fs::read(&file).expect("a backup");
    let refused = own.home.run(&["store", "backup", &path]);
    assert!(
        refused.code != 0 && refused.stderr.contains("--replace"),
        "{refused:?}"
    );
    assert_eq!(fs::read(&file).expect("a backup"), before);

    own.text(&draft, 9);
    let kept = clips(&own.home, &draft);
    let report = own.home.run(&["store", "restore", &path, "--json"]);
    assert_eq!(report.success().json()["written"], 0);
    assert_eq!(clips(&own.home, &draft), kept);

    let empty = Folder::new();
    let restored = empty.home.run(&["store", "restore", &path, "--json"]);
    assert_eq!(restored.success().json()["drafts"], 1);
    assert_eq!(history(&empty.home, &draft).len(), 4);
    assert_eq!(
        empty
            .home
            .run(&["token", "list", "--json"])
            .success()
            .json()[0]["name"],
        "alice"
    );
    // What was permanently deleted comes back; what continued stays.
    let replaced = own.home.run(&["store", "backup", "--replace", &path]);
    replaced.success();
    let more = empty.home.run(&["store", "restore", &path, "--json"]);
    assert_eq!(more.success().json()["written"], 1);
    assert_eq!(clips(&empty.home, &draft), kept);
    assert_eq!(parts_left(own.home.path()), 0);
}

/// Temporary files of backups.
fn parts_left(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder");
    entries
        .filter(|entry| {
            let name = entry.as_ref().expect("an entry").file_name();
            name.to_string_lossy().ends_with(".part")
        })
        .count()
}

#[test]
fn a_damaged_backup_restores_nothing() {
    let own = Folder::new();
    own.draft("Film", 30);
    let file = own.home.path().join("all.backup");
    own.home
        .run(&["store", "backup", &file.to_string_lossy()])
        .success();
    let whole = fs::read(&file).expect("a backup");
    let plain = unpacked(&whole);
    let lines: Vec<&str> = plain.lines().collect();
    assert!(lines.len() >= 4, "{plain}");
    let packed = |lines: &[&str]| packed(&format!("{}\n", lines.join("\n")));
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x40;
    let newer = plain.replacen("\"version\":1", "\"version\":2", 1);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (whole[..whole.len() / 2].to_vec(), "damaged"),
        (whole[..whole.len() - 30].to_vec(), "damaged"),
        (flipped, "damaged"),
        (packed(&lines[..lines.len() - 1]), "its end is missing"),
        (
            packed(&[&lines[..1], &lines[2..]].concat()),
            "not expected there",
        ),
        (
            packed(&[&lines[..lines.len() - 1], &lines[lines.len() - 2..]].concat()),
            "lines were changed or removed",
        ),
        (packed(&["{\"unknown\":1}"]), "not one of a backup"),
        (self::packed(&newer), "format 2"),
        (b"not a backup".to_vec(), "not a backup of a store"),
        (Vec::new(), "damaged"),
    ];
    let target = Folder::new();
    for (number, (bytes, words)) in cases.into_iter().enumerate() {
        let path = target.home.file("given.backup", bytes);
        let ran = target
            .home
            .run(&["store", "restore", &path.to_string_lossy()]);
        assert_ne!(ran.code, 0, "case {number}: {ran:?}");
        assert!(ran.stderr.contains(words), "case {number}: {ran:?}");
        assert!(!target.home.data().join("journal.db").exists());
    }
}

fn unpacked(bytes: &[u8]) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_string(&mut text)
        .expect("a gzip stream");
    text
}

fn packed(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text.as_bytes()).expect("packed");
    out.finish().expect("packed")
}

/// Edits one draft over HTTP until `stop`; returns how many edits were acknowledged.
fn edit_until(url: &str, stop: &AtomicBool, done: &AtomicU32) -> String {
    let mut client = McpOverHttp::connected(url, VERSION);
    let made = client.call("create_draft", &json!({ "name": "Busy" }));
    let draft = made["draft_id"].as_str().expect("an id").to_owned();
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        client.call(
            "add_text",
            &json!({ "draft_id": draft, "text": format!("n{number}"), "start": number, "end": number + 1 }),
        );
        number += 1;
        done.store(number, Ordering::SeqCst);
    }
    draft
}

#[test]
fn backups_copies_and_restores_while_servers_serve_lose_no_edit() {
    let mut homes = vec![Home::embedded()];
    if let Some(server) = TestServer::shared() {
        homes.push(with_database(&server.database()));
    }
    for home in homes {
        let served = home.serve_http(&[]);
        let (stop, done) = (AtomicBool::new(false), AtomicU32::new(0));
        let url = served.url.clone();
        let folder = tempfile::tempdir().expect("a folder");
        let mut least = Vec::new();
        let draft = std::thread::scope(|scope| {
            let editing = scope.spawn(|| edit_until(&url, &stop, &done));
            for number in 0..4 {
                until("an edit", || done.load(Ordering::SeqCst) > 3 * number + 3);
                let before = done.load(Ordering::SeqCst);
                let file = folder.path().join(format!("{number}.backup"));
                let path = file.to_string_lossy().into_owned();
                home.run(&["store", "backup", &path]).success();
                least.push((path.clone(), before, done.load(Ordering::SeqCst)));
                // Into the store that is in use.
                let report = home.run(&["store", "restore", &path, "--json"]).success();
                assert_eq!(report.json()["differences"], 0, "{report:?}");
            }
            stop.store(true, Ordering::SeqCst);
            editing.join().expect("the editor")
        });
        let count = done.load(Ordering::SeqCst);
        let whole = history(&home, &draft).len();
        assert_eq!(whole, usize::try_from(count).expect("a number"));
        for (path, before, after) in least {
            // A backup has everything that was acknowledged when it began, and a beginning of the rest.
            let other = Folder::new();
            other.home.run(&["store", "restore", &path]).success();
            let steps = history(&other.home, &draft).len();
            let most = usize::try_from(after).expect("a number") + 1;
            assert!(
                (usize::try_from(before).expect("a number")..=most).contains(&steps),
                "{before} {steps} {after}"
            );
        }
    }
}

#[test]
fn a_copy_and_a_backup_that_are_killed_are_completed_by_the_next_ones() {
    let own = Folder::new();
    let drafts: Vec<String> = (0..3).map(|_| own.draft("Long", 12)).collect();
    let target = Folder::new();
    let file = own.home.path().join("all.backup");
    let (from, to) = (own.place(), target.place());
    let path = file.to_string_lossy().into_owned();
    for wait_ms in [0, 2, 5, 10, 20, 40, 80] {
        for line in [
            vec!["store", "copy", &from, &to],
            vec!["store", "backup", "--replace", &path],
        ] {
            let mut child = own.home.command(&line).spawn().expect("it starts");
            std::thread::sleep(std::time::Duration::from_millis(wait_ms));
            let _ = child.kill();
            child.wait().expect("it ends");
        }
        if file.exists() {
            // It is complete.
            let empty = Folder::new();
            empty.home.run(&["store", "restore", &path]).success();
            assert_eq!(history(&empty.home, &drafts[2]).len(), 12);
        }
    }
    copy(&own.home, &from, &to, &[]).success();
    own.home
        .run(&["store", "backup", "--replace", &path])
        .success();
    for draft in &drafts {
        assert_eq!(clips(&target.home, draft), clips(&own.home, draft));
    }
}

#[test]
fn jobs_that_wait_are_copied_only_when_asked_and_are_interrupted_by_a_restore() {
    let Some(server) = TestServer::shared() else {
        return;
    };
    let own = with_database(&server.database());
    let served = own.serve_http(&["--workers", "0"]);
    let mut client = McpOverHttp::connected(&served.url, VERSION);
    let plan = json!({ "name": "Waits", "texts": [{ "text": "x", "duration": 1 }] });
    let begun = client.call("compose_draft", &json!({ "plan": plan, "wait_s": 0 }));
    assert_eq!(begun["status"], "waiting", "{begun}");
    let job = begun["job_id"].as_str().expect("an id").to_owned();
    let file = own.path().join("all.backup");
    let path = file.to_string_lossy().into_owned();
    own.run(&["store", "backup", &path]).success();

    let restored = with_database(&server.database());
    restored.run(&["store", "restore", &path]).success();
    let status = |home: &Home| home.call("job_status", &json!({ "job_id": job }));
    let state = status(&restored).expect("the job is known");
    assert_eq!(state["status"], "interrupted", "{state}");

    let to = server.database();
    let own_address = own_address(&own);
    let target = with_database(&to);
    let ran = copy(&own, &own_address, &to, &[]).success();
    assert_eq!(ran.json()["open_jobs_left_out"], 1, "{ran:?}");
    assert!(ran.stderr.contains("--with-jobs"), "{ran:?}");
    status(&target).expect_err("the job is not there");
    drop(served);
    copy(&own, &own_address, &to, &["--with-jobs"]).success();
    let state = status(&target).expect("the job is there");
    assert_eq!(state["status"], "waiting", "{state}");
    let mut worker = target.command(&["worker"]).spawn().expect("a worker");
    until("the end of the job", || {
        status(&target).expect("the job")["status"] == "complete"
    });
    let _ = worker.kill();
    let _ = worker.wait();
}

/// The address of the database of a home.
fn own_address(home: &Home) -> String {
    let command = home.command(&["help"]);
    let found = command
        .get_envs()
        .find(|(name, _)| *name == "CAPCUT_MCP_STORE");
    let value = found.and_then(|(_, value)| value).expect("an address");
    value.to_string_lossy().into_owned()
}
