//! The journal shared by several processes: locked, copied, private, and used for a single recovery.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::racy::{Manners, Racy};
use crate::support::Home;

fn text(draft: &str, start: u32) -> Value {
    json!({ "draft_id": draft, "text": "hello", "start": start, "end": start + 1 })
}

fn segments(home: &Home, draft: &str) -> usize {
    let script = home.call("query_script", &json!({ "draft_id": draft }));
    let script = script.expect("a script");
    let script: Value =
        serde_json::from_str(script["script"].as_str().expect("text")).expect("JSON");
    let tracks = script["tracks"].as_array().expect("tracks").iter();
    tracks
        .map(|track| track["segments"].as_array().map_or(0, Vec::len))
        .sum()
}

#[test]
fn a_locked_journal_blocks_neither_health_nor_other_drafts() {
    let home = Home::new();
    let engine = home.engine(&[]);
    let draft = engine.output("/create_draft", &json!({})).expect("a draft");
    let draft = draft["draft_id"].as_str().expect("an id").to_owned();
    engine.output("/add_text", &text(&draft, 0)).expect("added");
    // Calls on the same draft wait for each other, so this uses another draft.
    let other = engine.output("/create_draft", &json!({})).expect("a draft");
    let holder = Connection::open(home.data().join("journal.db")).expect("the journal");
    holder.execute_batch("BEGIN IMMEDIATE").expect("held");
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        for start in 1..=3 {
            let (engine, done, draft) = (&engine, done.clone(), &draft);
            scope.spawn(move || {
                let added = engine.output("/add_text", &text(draft, start));
                done.send(()).expect("heard");
                added.expect("added");
            });
        }
        for _ in 0..20 {
            assert_eq!(engine.get("/health").0, 200);
            let script = engine.output("/query_script", &json!({ "draft_id": other["draft_id"] }));
            script.expect("a script");
            thread::sleep(Duration::from_millis(5));
        }
        assert!(is_done.try_recv().is_err(), "nothing was acknowledged");
        holder.execute_batch("ROLLBACK").expect("released");
    });
    assert_eq!(is_done.try_iter().count(), 3);
}

#[test]
fn several_processes_with_a_lost_draft_recreate_it_once() {
    let racy = Racy::start(Manners {
        latency: Duration::from_millis(5),
        steady: true,
    });
    let mut home = Home::remote(&racy.server.url);
    home.set("CAPCUT_MCP_RECOVER", "auto");
    let draft = home.call("create_draft", &json!({})).expect("a draft");
    let draft = draft["draft_id"].as_str().expect("an id").to_owned();
    for start in 0..5 {
        home.call("add_text", &text(&draft, start)).expect("added");
    }
    racy.forget();
    let (home, draft) = (&home, &draft);
    let ids: Vec<Value> = thread::scope(|scope| {
        let calls = (5..9).map(|start| {
            scope.spawn(move || home.call("add_text", &text(draft, start)).expect("added"))
        });
        let calls: Vec<_> = calls.collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("a reply")["draft_id"].clone())
            .collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let drafts = home.call("list_drafts", &json!({ "include_deleted": true }));
    let drafts = drafts.expect("a list");
    assert_eq!(
        drafts["drafts"].as_array().expect("drafts").len(),
        2,
        "{drafts}"
    );
    assert_eq!(segments(home, draft), 9);
}

#[test]
fn a_copy_of_the_journal_file_is_complete_after_exit() {
    let home = Home::embedded();
    let draft = home.call("create_draft", &json!({})).expect("a draft");
    let draft = draft["draft_id"].as_str().expect("an id").to_owned();
    home.call("add_text", &text(&draft, 0)).expect("added");
    let other = Home::embedded();
    std::fs::create_dir_all(other.data()).expect("a folder");
    let name = |home: &Home| home.data().join("journal.db");
    std::fs::copy(name(&home), name(&other)).expect("copied");
    assert_eq!(segments(&other, &draft), 1);
}

#[cfg(unix)]
#[test]
fn the_data_folder_is_private_to_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let others = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o077;
    let home = Home::embedded();
    std::fs::create_dir_all(home.data()).expect("a folder");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(home.data(), open).expect("open");
    // A folder with the permissions that earlier versions used.
    std::fs::create_dir(home.data().join("previews")).expect("a folder");
    let draft = home.call("create_draft", &json!({})).expect("a draft");
    let shown = home.call("preview_draft", &json!({ "draft_id": draft["draft_id"] }));
    let shown = shown.expect("a preview");
    for kind in ["png", "svg"] {
        let file = Path::new(shown[kind].as_str().expect("a path"));
        assert!(file.starts_with(home.data().join("previews")));
        assert_eq!(others(file), 0);
    }
    assert_eq!(others(&home.data()), 0);
    for entry in std::fs::read_dir(home.data()).expect("a folder").flatten() {
        assert_eq!(others(&entry.path()), 0, "{}", entry.path().display());
    }
}

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    std::fs::read_to_string(path).expect("test data")
}

#[test]
fn a_journal_of_version_6_is_upgraded_by_its_first_use_and_keeps_documents_and_ids() {
    let home = Home::embedded();
    std::fs::create_dir_all(home.data()).expect("a folder");
    let path = home.data().join("journal.db");
    let open = || Connection::open(&path).expect("the journal");
    let version = |connection: &Connection| -> u32 {
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
        version.expect("a version")
    };
    open()
        .execute_batch(&data("journal-6.sql"))
        .expect("a journal of version 6");
    let rows = |connection: &Connection| {
        let mut calls = connection
            .prepare("SELECT place, tool, arguments, reply, hex(call) FROM calls ORDER BY place")
            .expect("calls");
        let rows = calls.query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                [1, 2, 3, 4].map(|column| row.get::<_, String>(column)),
            ))
        });
        let rows = rows.expect("rows").map(|row| {
            let (place, texts) = row.expect("a row");
            (place, texts.map(|text| text.expect("text")))
        });
        rows.collect::<Vec<_>>()
    };
    let before = rows(&open());
    assert_eq!((version(&open()), before.len()), (6, 22));

    let all = json!({ "include_deleted": true });
    let listed = home.call("list_drafts", &all).expect("drafts");
    let listed = listed["drafts"].as_array().expect("drafts").iter();
    let mut listed: Vec<(&str, &str, bool)> = listed
        .map(|draft| {
            let text = |key: &str| draft[key].as_str().expect("text");
            (text("draft_id"), text("name"), draft["deleted"] == true)
        })
        .collect();
    listed.sort_unstable();
    assert_eq!(
        listed,
        [
            ("dfd_cat_1795799425_f226aa16", "Trip", false),
            ("dfd_cat_1795799428_1a56ded9", "旅行", false),
            ("dfd_cat_1795799429_842aa1bb", "Old", true),
            ("dfd_cat_1795799430_17fecd2b", "Plan", false),
        ]
    );
    let script = |id: &str| {
        let script = home.call("query_script", &json!({ "draft_id": id }));
        script.expect("a script")["script"].clone()
    };
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    // What the executable that wrote the journal returned.
    let documents = read(&data("journal-6.json"));
    for (id, document) in documents.as_object().expect("documents") {
        assert_eq!(read(script(id).as_str().expect("text")), *document, "{id}");
    }
    assert!(version(&open()) > 6);
    assert_eq!(rows(&open()), before);
    let trashed = "dfd_cat_1795799429_842aa1bb";
    let restore = json!({ "draft_id": trashed, "restore": true });
    home.call("delete_draft", &restore).expect("restored");
    let restored = script(trashed);
    assert!(restored.as_str().expect("text").contains("In the trash"));
    let id = "dfd_cat_1795799425_f226aa16";
    let before = script(id);
    // What only this version can do works on the draft, too.
    let change = json!([{ "op": "replace_text", "clip": "Our holiday", "text": "Summer" }]);
    let edit = json!({ "draft_id": id, "operations": change });
    home.call("edit_draft", &edit).expect("edited");
    home.call("undo_draft", &json!({ "draft_id": id }))
        .expect("undone");
    assert_eq!(script(id), before);
}

#[test]
fn a_journal_of_a_newer_version_is_refused_and_its_bytes_stay() {
    let home = Home::embedded();
    let made = home
        .call("create_draft", &json!({ "name": "Kept" }))
        .expect("made");
    let path = home.data().join("journal.db");
    let connection = Connection::open(&path).expect("the journal");
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("newer");
    drop(connection);
    let before = std::fs::read(&path).expect("bytes");
    for (tool, arguments) in [
        ("query_script", json!({ "draft_id": made["draft_id"] })),
        ("create_draft", json!({})),
        ("list_drafts", json!({})),
    ] {
        let (_, error) = home.call(tool, &arguments).expect_err("refused");
        assert!(
            error.contains("99") && error.contains("--data-dir"),
            "{tool}: {error}"
        );
        assert_eq!(std::fs::read(&path).expect("bytes"), before, "{tool}");
    }
}
