//! The journal alone, and several of them on one file as several processes have them.

use std::collections::HashSet;
use std::fs;
use std::sync::Barrier;
use std::thread;

use futures::FutureExt as _;
use serde_json::json;
use tempfile::TempDir;

use super::*;

const SERVER: &str = "http://127.0.0.1:9000";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn at(dir: &TempDir) -> Journal {
    Journal::at(dir.path())
}

fn id(number: u32) -> DraftId {
    DraftId::make(1_750_000_000, number)
}

fn draft(origin: &str, number: u32) -> NewDraft {
    NewDraft {
        origin: origin.into(),
        id: id(number),
        name: format!("Film {number}"),
        edition: "capcut".into(),
        reason: "no CapCut API answers".into(),
    }
}

fn record(sequence: u64) -> Record {
    Record {
        sequence,
        tool: "add_text".into(),
        arguments: json!({"text": "Grüße, 世界 🎬\n", "start": 0.1, "end": 1}),
        found: (sequence % 2 == 1).then(|| r#"{"font":{"id":"7"}}"#.to_owned()),
        reply: json!({"draft_id": id(1), "big": 9_007_199_254_740_993_i64}),
        engine_version: 3,
        at_ms: 1_750_000_000_000 + sequence.cast_signed(),
    }
}

/// As the engine gives it.
fn written(sequence: u64) -> Record<String> {
    let record = record(sequence);
    Record {
        sequence,
        tool: record.tool,
        arguments: record.arguments.to_string(),
        found: record.found,
        reply: record.reply.to_string(),
        engine_version: record.engine_version,
        at_ms: record.at_ms,
    }
}

/// A journal with drafts 1 to `count` of the engine, each with its first call.
fn filled(journal: &Journal, count: u32) {
    for number in 1..=count {
        journal.create(&draft(ENGINE, number), &record(0)).unwrap();
    }
}

fn sequences(journal: &Journal, draft: &DraftId) -> Vec<u64> {
    let records = journal.records(ENGINE, draft, 0).unwrap();
    records.iter().map(|record| record.sequence).collect()
}

#[track_caller]
fn check_error<T: std::fmt::Debug>(result: Result<T>, kind: Kind, parts: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.hint.is_some(), "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part:?} in {error}");
    }
}

#[test]
fn what_was_appended_is_read_back_as_it_was_after_a_restart_too() {
    let dir = folder();
    let journal = at(&dir);
    filled(&journal, 1);
    for sequence in 1..=4 {
        let appended = journal.append(ENGINE, &id(1), &record(sequence)).unwrap();
        assert_eq!(appended, Appended::Done);
    }
    let expected: Vec<_> = (0..=4).map(record).collect();
    assert_eq!(journal.records(ENGINE, &id(1), 0).unwrap(), expected);
    drop(journal);
    let again = at(&dir);
    assert_eq!(again.records(ENGINE, &id(1), 0).unwrap(), expected);
    assert_eq!(again.records(ENGINE, &id(1), 3).unwrap(), expected[3..]);
    assert_eq!(again.records(ENGINE, &id(1), 5).unwrap(), []);
    assert_eq!(again.last_sequence(ENGINE, &id(1)).unwrap(), Some(4));
    assert_eq!(again.last_sequence(SERVER, &id(1)).unwrap(), None);
}

#[test]
fn making_a_journal_touches_no_disk() {
    let dir = folder();
    let journal = Journal::at(dir.path().join("deep/below"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(journal.find(&id(1)).unwrap(), None);
    assert!(dir.path().join("deep/below/journal.db").is_file());
}

#[test]
fn a_draft_is_told_with_its_calls_and_times() {
    let journal = Journal::in_memory();
    filled(&journal, 1);
    let _ = journal.append(ENGINE, &id(1), &record(1)).unwrap();
    let row = journal.find(&id(1)).unwrap().unwrap();
    assert_eq!(
        row,
        DraftRow {
            origin: ENGINE.into(),
            id: id(1),
            name: "Film 1".into(),
            edition: "capcut".into(),
            reason: "no CapCut API answers".into(),
            created_ms: record(0).at_ms,
            modified_ms: record(1).at_ms,
            calls: 2,
            saved_to: None,
            deleted_ms: None,
            moved_to: None,
        }
    );
}

#[test]
fn an_id_is_created_once_per_origin() {
    let journal = Journal::in_memory();
    filled(&journal, 1);
    let again = journal.create(&draft(ENGINE, 1), &record(0));
    check_error(again, Kind::Conflict, &[id(1).as_str(), "create_draft"]);
    assert_eq!(sequences(&journal, &id(1)), [0]);
    journal.create(&draft(SERVER, 1), &record(0)).unwrap();
    let _ = journal.append(SERVER, &id(1), &record(1)).unwrap();
    assert_eq!(sequences(&journal, &id(1)), [0], "the origins are apart");
    let latest = journal.find(&id(1)).unwrap().unwrap();
    assert_eq!(latest.origin, SERVER);
}

#[test]
fn a_taken_sequence_is_a_conflict_and_keeps_what_is_there() {
    let dir = folder();
    let (first, second) = (at(&dir), at(&dir));
    filled(&first, 1);
    let one = Record {
        tool: "first".into(),
        ..record(1)
    };
    assert_eq!(first.append(ENGINE, &id(1), &one).unwrap(), Appended::Done);
    let late = second.append(ENGINE, &id(1), &record(1)).unwrap();
    assert_eq!(late, Appended::Conflict);
    // The later one sees at once what it missed, and goes on after it.
    assert_eq!(second.last_sequence(ENGINE, &id(1)).unwrap(), Some(1));
    assert_eq!(second.records(ENGINE, &id(1), 1).unwrap(), [one]);
    let next = second.append(ENGINE, &id(1), &record(2)).unwrap();
    assert_eq!(next, Appended::Done);
    assert_eq!(sequences(&first, &id(1)), [0, 1, 2]);
}

#[test]
fn a_gap_is_refused() {
    let journal = Journal::in_memory();
    filled(&journal, 1);
    let result = journal.append(ENGINE, &id(1), &record(2));
    check_error(result, Kind::Unavailable, &["1 calls", "call 2"]);
    assert_eq!(sequences(&journal, &id(1)), [0]);
}

#[test]
fn an_unknown_draft_is_refused_and_no_other_is_named() {
    let journal = Journal::in_memory();
    check_error(
        journal.append(ENGINE, &id(9), &record(1)),
        Kind::NotFound,
        &["create_draft"],
    );
    filled(&journal, 3);
    let typo = DraftId(id(2).as_str().replace("0002", "002"));
    check_error(
        journal.append(ENGINE, &typo, &record(1)),
        Kind::NotFound,
        &[typo.as_str()],
    );
    let error = unknown(&typo).to_string();
    assert!(!error.contains(id(2).as_str()), "{error}");
    check_error(journal.delete(&typo), Kind::NotFound, &[]);
    check_error(journal.set_saved(ENGINE, &typo, "/x"), Kind::NotFound, &[]);
    check_error(journal.set_name(SERVER, &id(1), "x"), Kind::NotFound, &[]);
}

#[test]
fn a_name_given_for_an_id_finds_the_draft() {
    let journal = Journal::in_memory();
    filled(&journal, 20);
    assert_eq!(journal.near("film 7", 1).unwrap(), [id(7)]);
    let near = journal.near("dfd_cat_1750000000_0000000f9", 2).unwrap();
    assert_eq!(near[0], id(15));
    assert_eq!(near.len(), 2);
}

#[test]
fn threads_and_journals_on_one_file_lose_and_double_nothing() {
    const JOURNALS: u64 = 3;
    const THREADS: u64 = 2;
    const CALLS: u64 = 100;
    let dir = folder();
    filled(&at(&dir), 2);
    thread::scope(|scope| {
        for journal in 0..JOURNALS {
            let shared = std::sync::Arc::new(at(&dir));
            for thread in 0..THREADS {
                let shared = shared.clone();
                scope.spawn(move || {
                    for call in 0..CALLS {
                        let marked = Record {
                            arguments: json!([journal, thread, call]),
                            ..record(0)
                        };
                        // One draft as the engine appends: at its own sequence, again on conflict.
                        loop {
                            let last = shared.last_sequence(ENGINE, &id(1)).unwrap().unwrap();
                            let record = Record {
                                sequence: last + 1,
                                ..marked.clone()
                            };
                            if shared.append(ENGINE, &id(1), &record).unwrap() == Appended::Done {
                                break;
                            }
                        }
                        // And one as answers of a server are added: wherever the end is.
                        shared.append_next(ENGINE, &id(2), &marked).unwrap();
                    }
                });
            }
        }
    });
    let journal = at(&dir);
    for draft in [id(1), id(2)] {
        let records = journal.records(ENGINE, &draft, 1).unwrap();
        let expected: Vec<u64> = (1..=JOURNALS * THREADS * CALLS).collect();
        let found: Vec<u64> = records.iter().map(|record| record.sequence).collect();
        assert_eq!(found, expected);
        let marks: HashSet<String> = records
            .iter()
            .map(|record| record.arguments.to_string())
            .collect();
        assert_eq!(marks.len(), records.len(), "each call once");
        // Calls of one thread stand in the order in which they were made.
        let mine: Vec<u64> = records
            .iter()
            .filter(|record| record.arguments[0] == 0 && record.arguments[1] == 0)
            .map(|record| record.arguments[2].as_u64().unwrap())
            .collect();
        assert!(mine.is_sorted());
    }
}

#[test]
fn many_may_make_the_file_at_once() {
    for _ in 0..5 {
        let dir = folder();
        let start = Barrier::new(6);
        thread::scope(|scope| {
            for number in 1..=6 {
                let (dir, start) = (&dir, &start);
                scope.spawn(move || {
                    let journal = at(dir);
                    start.wait();
                    journal.create(&draft(ENGINE, number), &record(0)).unwrap();
                });
            }
        });
        assert_eq!(at(&dir).list(false, 100, None).unwrap().len(), 6);
    }
}

#[test]
fn the_list_has_the_latest_first_and_is_searched_by_name_and_id() {
    let journal = Journal::in_memory();
    filled(&journal, 12);
    let late = Record {
        at_ms: record(0).at_ms + 60_000,
        ..record(1)
    };
    let _ = journal.append(ENGINE, &id(5), &late).unwrap();
    journal.set_name(ENGINE, &id(3), "Ägyptens Küste").unwrap();
    let ids = |limit, query| -> Vec<DraftId> {
        let rows = journal.list(false, limit, query).unwrap();
        rows.into_iter().map(|row| row.id).collect()
    };
    // A rename is a change too, and it was made now.
    assert_eq!(ids(3, None), [id(3), id(5), id(12)]);
    assert_eq!(ids(usize::MAX, None).len(), 12);
    assert_eq!(ids(10, Some(" ägypt")), [id(3)]);
    assert_eq!(ids(10, Some("film 1")), [id(12), id(11), id(10), id(1)]);
    assert_eq!(ids(2, Some("film 1")), [id(12), id(11)]);
    assert_eq!(ids(10, Some("_00000007")), [id(7)]);
    assert_eq!(ids(10, Some("%")), []);
}

#[test]
fn a_draft_in_the_trash_takes_no_calls_until_it_is_restored() {
    let journal = Journal::in_memory();
    filled(&journal, 2);
    journal.delete(&id(1)).unwrap();
    let deleted_ms = journal.find(&id(1)).unwrap().unwrap().deleted_ms;
    assert!(deleted_ms.is_some());
    journal.delete(&id(1)).unwrap();
    assert_eq!(
        journal.find(&id(1)).unwrap().unwrap().deleted_ms,
        deleted_ms
    );
    check_error(
        journal.append(ENGINE, &id(1), &record(1)),
        Kind::NotFound,
        &["trash", id(1).as_str()],
    );
    check_error(
        journal.append_next(ENGINE, &id(1), &record(1)),
        Kind::NotFound,
        &["trash"],
    );
    assert_eq!(journal.last_sequence(ENGINE, &id(1)).unwrap(), None);
    assert_eq!(journal.list(false, 10, None).unwrap().len(), 1);
    assert_eq!(journal.list(true, 10, None).unwrap().len(), 2);
    assert_eq!(journal.near(id(1).as_str(), 5).unwrap(), [id(2)]);
    journal.restore(&id(1)).unwrap();
    let appended = journal.append(ENGINE, &id(1), &record(1)).unwrap();
    assert_eq!(appended, Appended::Done);
}

#[test]
fn emptying_the_trash_forgets_only_what_has_lain_there_long_enough() {
    let journal = Journal::in_memory();
    filled(&journal, 3);
    journal.delete(&id(1)).unwrap();
    journal.delete(&id(2)).unwrap();
    let day = Duration::from_hours(24);
    assert_eq!(journal.empty_trash(day).unwrap(), 0);
    assert_eq!(journal.empty_trash(Duration::MAX).unwrap(), 0);
    assert_eq!(journal.empty_trash(Duration::ZERO).unwrap(), 2);
    assert_eq!(journal.find(&id(1)).unwrap(), None);
    assert_eq!(journal.records(ENGINE, &id(1), 0).unwrap(), []);
    assert_eq!(sequences(&journal, &id(3)), [0]);
    // A new draft does not inherit what is gone.
    journal.create(&draft(ENGINE, 2), &record(0)).unwrap();
    assert_eq!(sequences(&journal, &id(2)), [0]);
}

#[test]
fn where_a_draft_was_saved_or_moved_is_remembered() {
    let dir = folder();
    let journal = at(&dir);
    filled(&journal, 1);
    journal.set_saved(ENGINE, &id(1), "/drafts/Film").unwrap();
    journal.set_moved(ENGINE, &id(1), SERVER, &id(8)).unwrap();
    let row = at(&dir).find(&id(1)).unwrap().unwrap();
    assert_eq!(row.saved_to.as_deref(), Some("/drafts/Film"));
    assert_eq!(row.moved_to, Some((SERVER.into(), id(8))));
    // What it lives on as takes the calls.
    for refused in [
        journal.append(ENGINE, &id(1), &record(1)).map(drop),
        journal.append_next(ENGINE, &id(1), &record(1)).map(drop),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("lives on as"), "{error}");
    }
    // After a save the calls that follow are as quick as before it.
    let synchronous: i64 = journal
        .with(|connection| connection.pragma_query_value(None, "synchronous", |row| row.get(0)))
        .unwrap();
    assert_eq!(synchronous, 1);
}

#[test]
fn a_job_is_seen_by_other_processes_until_it_is_over() {
    let dir = folder();
    let (journal, other) = (at(&dir), at(&dir));
    let job = |id: &str, finished| Job {
        id: id.into(),
        kind: "compose".into(),
        draft: Some(super::tests::id(1)),
        state: json!({"done": 3, "of": 7}).to_string(),
        finished,
        pid: 4711,
        updated_ms: 0,
    };
    journal.job_put(&job("a", false)).unwrap();
    journal.job_put(&job("b", false)).unwrap();
    let found = other.job_get("a").unwrap().unwrap();
    assert!(found.updated_ms > 0);
    assert_eq!(
        Job {
            updated_ms: 0,
            ..found
        },
        job("a", false)
    );
    assert_eq!(other.jobs_unfinished().unwrap().len(), 2);
    journal.job_put(&job("a", true)).unwrap();
    let left = other.jobs_unfinished().unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id, "b");
    assert!(other.job_get("a").unwrap().unwrap().finished);
    assert_eq!(other.job_get("c").unwrap(), None);

    // What came of a job is forgotten after a week, an unfinished one never.
    journal
        .with(|connection| connection.execute("UPDATE jobs SET updated_ms = 0", []))
        .unwrap();
    journal.job_put(&job("d", true)).unwrap();
    assert_eq!(journal.job_get("a").unwrap(), None);
    assert!(journal.job_get("b").unwrap().is_some());
    assert!(journal.job_get("d").unwrap().is_some());
}

#[test]
fn an_older_file_is_migrated_with_its_calls() {
    let dir = folder();
    let path = dir.path().join("journal.db");
    let mut connection = Connection::open(&path).unwrap();
    schema::migrate(&mut connection, &schema::STEPS[..1]).unwrap();
    assert_eq!(schema::version(&connection).unwrap(), 1);
    for key in 1..=3 {
        connection
            .execute(
                "INSERT INTO drafts (key, origin, id, name, edition, reason, created_ms, changed_ms)
                 VALUES (?1, 'engine', ?2, 'Film', 'capcut', '', 1, 1)",
                params![key, id(key).as_str()],
            )
            .unwrap();
        for sequence in 0..key {
            connection
                .execute(
                    "INSERT INTO calls VALUES (?1, ?2, 5, 1, 'add_text', ?3, NULL, '{}')",
                    params![key, sequence, format!("[{key}, {sequence}]")],
                )
                .unwrap();
        }
    }
    drop(connection);

    let journal = at(&dir);
    for key in 1..=3 {
        let records = journal.records(ENGINE, &id(key), 0).unwrap();
        let arguments: Vec<_> = records.iter().map(|record| &record.arguments).collect();
        let wanted: Vec<_> = (0..key).map(|sequence| json!([key, sequence])).collect();
        assert_eq!(arguments, wanted.iter().collect::<Vec<_>>());
        assert_eq!(
            journal.find(&id(key)).unwrap().unwrap().calls,
            u64::from(key)
        );
        let next = record(key.into());
        assert_eq!(
            journal.append(ENGINE, &id(key), &next).unwrap(),
            Appended::Done
        );
        assert_eq!(
            journal.records(ENGINE, &id(key), key.into()).unwrap(),
            [next]
        );
    }
    drop(journal);

    let mut connection = Connection::open(&path).unwrap();
    schema::migrate(&mut connection, schema::STEPS).unwrap();
    assert_eq!(schema::version(&connection).unwrap(), schema::STEPS.len());
}

#[test]
fn a_step_that_fails_leaves_the_file_as_it_was() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection, &schema::STEPS[..1]).unwrap();
    let steps = [
        schema::STEPS[0],
        "ALTER TABLE drafts ADD COLUMN note TEXT",
        "no SQL",
    ];
    schema::migrate(&mut connection, &steps).unwrap_err();
    assert_eq!(schema::version(&connection).unwrap(), 1);
    connection.prepare("SELECT note FROM drafts").unwrap_err();
}

#[test]
fn a_file_without_a_version_gets_the_tables() {
    let dir = folder();
    let path = dir.path().join("journal.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('kept')")
        .unwrap();
    filled(&at(&dir), 1);
    let connection = Connection::open(&path).unwrap();
    let text: String = connection
        .query_row("SELECT text FROM notes", [], |row| row.get(0))
        .unwrap();
    assert_eq!(text, "kept");
}

#[test]
fn a_newer_file_is_refused_and_not_touched() {
    let dir = folder();
    let path = dir.path().join("journal.db");
    for version in [7, -1] {
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!("PRAGMA user_version = {version}"))
            .unwrap();
        drop(connection);
        let before = fs::read(&path).unwrap();
        let journal = at(&dir);
        let parts = ["journal.db", "up to 2", "--data-dir"];
        check_error(journal.list(false, 1, None), Kind::Unavailable, &parts);
        check_error(
            journal.create(&draft(ENGINE, 1), &record(0)),
            Kind::Unavailable,
            &parts,
        );
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_file_that_is_no_journal_is_refused_and_not_touched() {
    let dir = folder();
    let path = dir.path().join("journal.db");
    let text = "this is not a database, but it is longer than a header. ".repeat(40);
    fs::write(&path, &text).unwrap();
    check_error(
        at(&dir).create(&draft(ENGINE, 1), &record(0)),
        Kind::Unavailable,
        &["journal.db", "damaged", "move it"],
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_damaged_file_is_an_error_and_never_an_empty_answer() {
    let dir = folder();
    let journal = at(&dir);
    filled(&journal, 200);
    journal
        .with(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
        .unwrap();
    drop(journal);
    at(&dir).check().unwrap();
    let path = dir.path().join("journal.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let journal = at(&dir);
    check_error(journal.check(), Kind::Unavailable, &["damaged"]);
    check_error(journal.list(true, 9, None), Kind::Unavailable, &["damaged"]);
    check_error(
        journal.records(ENGINE, &id(1), 0),
        Kind::Unavailable,
        &["damaged"],
    );
    check_error(
        journal.append(ENGINE, &id(1), &record(1)),
        Kind::Unavailable,
        &["damaged"],
    );
}

#[test]
fn a_record_whose_json_is_damaged_is_named() {
    let journal = Journal::in_memory();
    filled(&journal, 1);
    journal
        .with(|connection| connection.execute("UPDATE calls SET reply = '{'", []))
        .unwrap();
    check_error(
        journal.records(ENGINE, &id(1), 0),
        Kind::Unavailable,
        &["call 0", id(1).as_str()],
    );
}

#[test]
fn a_full_disk_fails_the_call_and_keeps_what_was_acknowledged() {
    let dir = folder();
    let journal = at(&dir);
    filled(&journal, 1);
    // SQLite reports its own limit as it reports a full disk.
    journal
        .with(|connection| {
            let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            connection.pragma_update_and_check(None, "max_page_count", pages + 4, |_| Ok(()))
        })
        .unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match journal.append(ENGINE, &id(1), &record(acknowledged + 1)) {
            Ok(appended) => assert_eq!(appended, Appended::Done),
            Err(error) => break error,
        }
        acknowledged += 1;
    };
    assert!(acknowledged > 0);
    check_error(
        Err::<(), _>(error),
        Kind::Unavailable,
        &["journal.db", "full"],
    );
    let expected: Vec<u64> = (0..=acknowledged).collect();
    assert_eq!(sequences(&at(&dir), &id(1)), expected);
    // With room again, the same call goes through.
    journal
        .with(|connection| {
            connection.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(()))
        })
        .unwrap();
    let again = journal.append(ENGINE, &id(1), &record(acknowledged + 1));
    assert_eq!(again.unwrap(), Appended::Done);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_with_the_way_out() {
    let dir = folder();
    fs::write(dir.path().join("file"), "").unwrap();
    let journal = Journal::at(dir.path().join("file/below"));
    check_error(
        journal.create(&draft(ENGINE, 1), &record(0)),
        Kind::Unavailable,
        &["below", "--data-dir"],
    );
    check_error(
        Journal::of(None).list(false, 1, None),
        Kind::Unavailable,
        &["--data-dir"],
    );
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_with_the_way_out() {
    let dir = folder();
    fs::create_dir(dir.path().join("journal.db")).unwrap();
    check_error(
        at(&dir).find(&id(1)),
        Kind::Unavailable,
        &["journal.db", "writable", "--data-dir"],
    );
}

#[cfg(unix)]
#[test]
fn a_journal_taken_away_is_noticed_before_anything_is_lost() {
    let dir = folder();
    let journal = at(&dir);
    filled(&journal, 1);
    let kept = dir.path().join("kept");
    fs::create_dir(&kept).unwrap();
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        fs::rename(dir.path().join(name), kept.join(name)).unwrap();
    }
    check_error(
        journal.append(ENGINE, &id(1), &record(1)),
        Kind::Unavailable,
        &["journal.db", "moved"],
    );
    // From then on it is what is there now.
    check_error(
        journal.append(ENGINE, &id(1), &record(1)),
        Kind::NotFound,
        &[id(1).as_str()],
    );
    assert_eq!(sequences(&Journal::at(kept), &id(1)), [0]);
}

#[test]
fn ten_thousand_drafts_are_listed() {
    let journal = Journal::in_memory();
    filled(&journal, 10_000);
    let rows = journal.list(false, usize::MAX, None).unwrap();
    assert_eq!(rows.len(), 10_000);
    assert_eq!(journal.list(false, 50, Some("film 99")).unwrap().len(), 50);
}

/// What many enter at once, each finds entered, or knows why not; what another process did to a draft is noticed.
#[tokio::test]
async fn entries_that_come_together_are_answered_one_by_one() {
    const DRAFTS: u32 = 40;
    let dir = folder();
    let journal = std::sync::Arc::new(at(&dir));
    let create = |number| {
        let journal = std::sync::Arc::clone(&journal);
        async move {
            journal
                .create_with_others(draft(ENGINE, number), written(0))
                .await
        }
    };
    // All of them twice: of two with one id the first is entered.
    let numbers = (1..=DRAFTS).chain(1..=DRAFTS);
    let created = futures::future::join_all(numbers.map(create)).await;
    for (number, created) in created.iter().enumerate() {
        match created {
            Ok(()) => assert!(number < DRAFTS as usize),
            Err(error) => {
                assert!(number >= DRAFTS as usize);
                assert_eq!(error.kind, Kind::Conflict, "{error}");
            }
        }
    }
    journal.delete(&id(3)).unwrap();
    let append = |number, sequence| {
        let journal = std::sync::Arc::clone(&journal);
        async move {
            let record = written(sequence);
            journal
                .append_with_others(ENGINE, &id(number), record)
                .await
        }
    };
    let _ = at(&dir).append(ENGINE, &id(2), &record(1)).unwrap();
    let appended = futures::future::join_all((1..=DRAFTS).map(|number| append(number, 1))).await;
    for (number, appended) in (1..=DRAFTS).zip(appended) {
        match number {
            2 => assert_eq!(appended.unwrap(), Appended::Conflict),
            3 => assert!(appended.unwrap_err().to_string().contains("in the trash")),
            _ => assert_eq!(appended.unwrap(), Appended::Done),
        }
    }
    // One after the other.
    for sequence in 2..=40 {
        assert_eq!(append(1, sequence).await.unwrap(), Appended::Done);
    }
    assert_eq!(sequences(&journal, &id(1)).len(), 41);
    for number in 4..=DRAFTS {
        assert_eq!(sequences(&journal, &id(number)), [0, 1]);
    }
    // At the end, wherever that is; and from those who give up waiting nothing is lost.
    let next = |number| {
        let journal = std::sync::Arc::clone(&journal);
        async move {
            journal
                .append_next_with_others(ENGINE, &id(number), written(9))
                .await
        }
    };
    let added = futures::future::join_all([1, 4, 1, 3, 1].map(next)).await;
    let added: Vec<_> = added.into_iter().map(Result::ok).collect();
    assert_eq!(added, [Some(41), Some(2), Some(42), None, Some(43)]);
    let given_up = (0..40).filter(|_| next(5).now_or_never().is_none());
    assert!(given_up.count() > 0);
    for _ in 0..1000 {
        if sequences(&journal, &id(5)).len() == 42 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(sequences(&journal, &id(5)).len(), 42);
}

/// Where a transaction cannot be written, all that are in it hear so, and nothing of it is there.
#[tokio::test]
async fn entries_that_come_together_fail_together() {
    const DRAFTS: u32 = 8;
    let dir = folder();
    let journal = std::sync::Arc::new(at(&dir));
    filled(&journal, DRAFTS);
    let limit = |pages: i64| {
        journal.with(|connection| {
            let now: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            connection.pragma_update_and_check(None, "max_page_count", now + pages, |_| Ok(()))
        })
    };
    limit(8).unwrap();
    let mut acknowledged = vec![0; DRAFTS as usize];
    let failed = loop {
        let calls = acknowledged.iter().zip(1..).map(|(sequence, number)| {
            let (journal, record) = (std::sync::Arc::clone(&journal), written(sequence + 1));
            async move {
                journal
                    .append_with_others(ENGINE, &id(number), record)
                    .await
            }
        });
        let ended = futures::future::join_all(calls.collect::<Vec<_>>()).await;
        let mut failed = Vec::new();
        for (acknowledged, ended) in acknowledged.iter_mut().zip(ended) {
            match ended {
                Ok(appended) => {
                    assert_eq!(appended, Appended::Done);
                    *acknowledged += 1;
                }
                Err(error) => failed.push(error),
            }
        }
        if !failed.is_empty() {
            break failed;
        }
    };
    assert!(failed.len() > 1, "they were entered together");
    for error in failed {
        check_error(
            Err::<(), _>(error),
            Kind::Unavailable,
            &["journal.db", "full"],
        );
    }
    for (acknowledged, number) in acknowledged.iter().zip(1..) {
        let expected: Vec<u64> = (0..=*acknowledged).collect();
        assert_eq!(sequences(&at(&dir), &id(number)), expected);
    }
    limit(1_000_000).unwrap();
    let (first, next) = (id(1), written(acknowledged[0] + 1));
    let again = journal.append_with_others(ENGINE, &first, next).await;
    assert_eq!(again.unwrap(), Appended::Done);
}
