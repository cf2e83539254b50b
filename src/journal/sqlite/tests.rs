//! Tests of the file: opening, replacing, damaging and locking it, and several connections as in several processes.

use std::fs;
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::join_all;
use rusqlite::params;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::error::Kind;
use crate::journal::contract::{add, call, check_error, draft, fill, id, record, sequences};
use crate::journal::{ENGINE, Journal};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The journal of a user, with access to its file.
struct OpenJournal {
    journal: Journal,
    own: Arc<TenantJournal>,
}

impl std::ops::Deref for OpenJournal {
    type Target = Journal;

    fn deref(&self) -> &Journal {
        &self.journal
    }
}

impl OpenJournal {
    fn new(folder: Option<&Path>, sync: SyncMode) -> Self {
        let store = Arc::new(Sqlite::new(folder, sync));
        let own = store.of(&TenantName::local());
        Self {
            journal: Journal::new(store, TenantName::local()),
            own,
        }
    }

    /// Runs `work` on the connection for writing.
    fn with<T>(&self, work: impl FnMut(&mut Connection) -> rusqlite::Result<T>) -> T {
        let shared = &self.own.shared;
        shared.wait(&shared.writing, work).unwrap()
    }
}

fn at(dir: &TempDir) -> OpenJournal {
    with_sync(dir, SyncMode::Normal)
}

fn with_sync(dir: &TempDir, sync: SyncMode) -> OpenJournal {
    OpenJournal::new(Some(dir.path()), sync)
}

/// Another process that locks the file for writing, until it is dropped.
fn holding(dir: &TempDir) -> Connection {
    let other = Connection::open(dir.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[tokio::test]
async fn creating_a_journal_does_no_io() {
    let dir = folder();
    let path = dir.path().join("deep/below/journal.db");
    let journal = OpenJournal::new(path.parent(), SyncMode::Normal);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(journal.find(&id(1)).await.unwrap(), None);
    assert!(path.is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_processes_can_create_the_file() {
    for _ in 0..5 {
        let dir = folder();
        let made = (1..=6).map(|number| {
            let journal = at(&dir);
            tokio::spawn(async move { journal.create(&draft(ENGINE, number), &call(0)).await })
        });
        for made in join_all(made).await {
            made.unwrap().unwrap();
        }
        assert_eq!(at(&dir).list(false, 100, None).await.unwrap().len(), 6);
    }
}

/// Waiting for another process happens on another thread: the only thread of this runtime continues, and so do
/// readers.
#[tokio::test]
async fn a_locked_file_blocks_neither_the_runtime_nor_readers() {
    let dir = folder();
    let journal = Arc::new(at(&dir));
    fill(&journal, 2).await;
    let other = holding(&dir);
    let waiting: Vec<_> = (1..=2)
        .map(|number| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { add(&journal, &id(number), 1).await })
        })
        .collect();
    let saved = {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { journal.set_saved(ENGINE, &id(1), "/x", None).await })
    };
    for _ in 0..20 {
        assert_eq!(
            journal.last_sequence(ENGINE, &id(1)).await.unwrap(),
            Some(0)
        );
        assert_eq!(sequences(&journal, &id(2)).await, [0]);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    other.execute_batch("ROLLBACK").unwrap();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().unwrap(), Appended::Done(1));
    }
    saved.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_that_stays_locked_fails_the_call_and_records_nothing() {
    let dir = folder();
    let journal = Arc::new(at(&dir));
    fill(&journal, 3).await;
    let other = holding(&dir);
    let started = Instant::now();
    let appends = (1..=3).map(|number| {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { add(&journal, &id(number), 1).await })
    });
    for append in join_all(appends).await {
        let parts = ["journal.db", "another process has locked the file"];
        check_error(append.unwrap(), Kind::Unavailable, &parts);
    }
    assert!(started.elapsed() >= BUSY);
    drop(other);
    for number in 1..=3 {
        assert_eq!(sequences(&journal, &id(number)).await, [0]);
    }
    assert_eq!(add(&journal, &id(1), 1).await.unwrap(), Appended::Done(1));
}

#[tokio::test]
async fn a_call_is_recorded_even_if_its_caller_no_longer_waits() {
    let dir = folder();
    let journal = at(&dir);
    fill(&journal, 1).await;
    let other = holding(&dir);
    let calls: Vec<_> = (0..40).map(|_| call(1)).collect();
    let draft = id(1);
    for call in &calls {
        let appended = journal.append(ENGINE, &draft, call, CallPosition::End);
        assert!(appended.now_or_never().is_none());
    }
    drop(other);
    // Dropping the journal waits for pending writes.
    drop(journal);
    assert_eq!(sequences(&at(&dir), &id(1)).await.len(), 41);
}

#[tokio::test]
async fn set_saved_restores_the_sync_mode() {
    for (sync, synchronous) in [(SyncMode::Normal, 1), (SyncMode::Full, 2)] {
        let dir = folder();
        let journal = with_sync(&dir, sync);
        fill(&journal, 1).await;
        assert_eq!(add(&journal, &id(1), 1).await.unwrap(), Appended::Done(1));
        journal.set_saved(ENGINE, &id(1), "/x", None).await.unwrap();
        let now: i64 = journal.with(|connection| {
            connection.pragma_query_value(None, "synchronous", |row| row.get(0))
        });
        assert_eq!(now, synchronous);
    }
}

#[tokio::test]
async fn ended_jobs_are_kept_for_a_week_and_others_permanently() {
    let dir = folder();
    let journal = at(&dir);
    let add = async |id: &str| {
        let job = NewJob {
            id: id.to_owned(),
            kind: "compose_draft".into(),
            request: "{}".into(),
            state: "{}".into(),
            key: None,
            runner: Some("r".into()),
        };
        let lease = Duration::from_secs(60);
        assert_eq!(journal.job_add(&job, lease).await.unwrap(), JobAdded::New);
    };
    let end = async |id: &str| {
        let fence = Fence {
            job: id.into(),
            attempt: 1,
            part: 0,
        };
        let report = JobReport {
            state: "{}".into(),
            draft: None,
        };
        assert!(journal.job_end(&fence, &report).await.unwrap());
    };
    for id in ["a", "b", "d"] {
        add(id).await;
    }
    end("a").await;
    journal.with(|connection| connection.execute("UPDATE jobs SET updated_ms = 0", []));
    end("d").await;
    assert_eq!(journal.job_get("a").await.unwrap(), None);
    assert!(journal.job_get("b").await.unwrap().is_some());
    assert!(journal.job_get("d").await.unwrap().is_some());
    // Without reading the states of all jobs, of which a batch leaves thousands.
    let plan = journal.with(|connection| {
        let explained = format!("EXPLAIN QUERY PLAN {}", jobs::REMOVE_ENDED);
        connection.query_row(&explained, [0], |row| row.get::<_, String>(3))
    });
    assert!(plan.contains("INDEX ended_jobs"), "{plan}");
}

#[tokio::test]
async fn an_older_file_is_migrated_with_its_calls() {
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
        let records = journal.records(ENGINE, &id(key), 0).await.unwrap();
        let arguments: Vec<_> = records.iter().map(|record| &record.arguments).collect();
        let wanted: Vec<_> = (0..key).map(|sequence| json!([key, sequence])).collect();
        assert_eq!(arguments, wanted.iter().collect::<Vec<_>>());
        let (key, sequence) = (id(key), u64::from(key));
        assert_eq!(journal.find(&key).await.unwrap().unwrap().calls, sequence);
        let appended = add(&journal, &key, sequence).await.unwrap();
        assert_eq!(appended, Appended::Done(sequence));
        let last = journal.records(ENGINE, &key, sequence).await.unwrap();
        assert_eq!(last, [record(sequence)]);
        // A call without an id is never mistaken for another.
        let taken = add(&journal, &key, sequence - 1).await.unwrap();
        assert_eq!(taken, Appended::Conflict);
    }
    drop(journal);

    let mut connection = Connection::open(&path).unwrap();
    schema::migrate(&mut connection, schema::STEPS).unwrap();
    assert_eq!(schema::version(&connection).unwrap(), schema::STEPS.len());
}

#[test]
fn a_failed_migration_step_changes_nothing() {
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

#[tokio::test]
async fn a_file_without_a_version_gets_the_tables() {
    let dir = folder();
    let path = dir.path().join("journal.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('kept')")
        .unwrap();
    fill(&at(&dir), 1).await;
    let connection = Connection::open(&path).unwrap();
    let text: String = connection
        .query_row("SELECT text FROM notes", [], |row| row.get(0))
        .unwrap();
    assert_eq!(text, "kept");
}

#[tokio::test]
async fn a_newer_file_is_refused_and_not_changed() {
    let dir = folder();
    let path = dir.path().join("journal.db");
    let newer = schema::STEPS.len() + 1;
    for version in [newer.to_string(), "-1".to_owned()] {
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!("PRAGMA user_version = {version}"))
            .unwrap();
        drop(connection);
        let before = fs::read(&path).unwrap();
        let journal = at(&dir);
        let known = format!("up to {}", schema::STEPS.len());
        let parts = ["journal.db", &known, "--data-dir"];
        let listed = journal.list(false, 1, None).await;
        check_error(listed, Kind::Unavailable, &parts);
        let created = journal.create(&draft(ENGINE, 1), &call(0)).await;
        check_error(created, Kind::Unavailable, &parts);
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_file_that_is_not_a_journal_is_refused_and_not_changed() {
    let dir = folder();
    let path = dir.path().join("journal.db");
    let text = "this is not a database, but it is longer than a header. ".repeat(40);
    fs::write(&path, &text).unwrap();
    check_error(
        at(&dir).create(&draft(ENGINE, 1), &call(0)).await,
        Kind::Unavailable,
        &["journal.db", "damaged", "move it"],
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_not_an_empty_answer() {
    let dir = folder();
    let journal = at(&dir);
    fill(&journal, 200).await;
    journal
        .with(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    drop(journal);
    at(&dir).check().await.unwrap();
    let path = dir.path().join("journal.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let journal = at(&dir);
    let damaged = ["damaged"];
    check_error(journal.check().await, Kind::Unavailable, &damaged);
    let listed = journal.list(true, 9, None).await;
    check_error(listed, Kind::Unavailable, &damaged);
    let records = journal.records(ENGINE, &id(1), 0).await;
    check_error(records, Kind::Unavailable, &damaged);
    check_error(add(&journal, &id(1), 1).await, Kind::Unavailable, &damaged);
}

#[tokio::test]
async fn the_error_names_a_record_with_damaged_json() {
    let dir = folder();
    let journal = at(&dir);
    fill(&journal, 1).await;
    journal.with(|connection| connection.execute("UPDATE calls SET reply = '{'", []));
    check_error(
        journal.records(ENGINE, &id(1), 0).await,
        Kind::Unavailable,
        &["call 0", id(1).as_str()],
    );
}

/// Simulates a full disk: SQLite reports its own page limit in the same way.
fn leave_pages(journal: &OpenJournal, pages: i64) {
    journal.with(|connection| {
        let now: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        connection.pragma_update_and_check(None, "max_page_count", now + pages, |_| Ok(()))
    });
}

#[tokio::test]
async fn a_full_disk_fails_the_call_and_keeps_acknowledged_calls() {
    let dir = folder();
    let journal = at(&dir);
    fill(&journal, 1).await;
    leave_pages(&journal, 4);
    let mut acknowledged = 0;
    let error = loop {
        match add(&journal, &id(1), acknowledged + 1).await {
            Ok(appended) => assert_eq!(appended, Appended::Done(acknowledged + 1)),
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
    assert_eq!(sequences(&at(&dir), &id(1)).await, expected);
    // With free space, the same call succeeds.
    leave_pages(&journal, 1_000_000);
    let again = add(&journal, &id(1), acknowledged + 1).await;
    assert_eq!(again.unwrap(), Appended::Done(acknowledged + 1));
}

/// If a transaction cannot be written, all of its calls fail, and none of them is recorded.
#[tokio::test]
async fn calls_that_are_written_together_fail_together() {
    const DRAFTS: u32 = 8;
    let dir = folder();
    let journal = Arc::new(at(&dir));
    fill(&journal, DRAFTS).await;
    leave_pages(&journal, 8);
    let mut acknowledged = vec![0; DRAFTS as usize];
    let failed = loop {
        // They arrive while another process locks the file, so they are written together.
        let other = holding(&dir);
        let calls: Vec<_> = acknowledged
            .iter()
            .zip(1..)
            .map(|(sequence, number)| {
                let (journal, sequence) = (Arc::clone(&journal), sequence + 1);
                tokio::spawn(async move { add(&journal, &id(number), sequence).await })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(other);
        let mut failed = Vec::new();
        for (acknowledged, ended) in acknowledged.iter_mut().zip(join_all(calls).await) {
            match ended.unwrap() {
                Ok(appended) => {
                    *acknowledged += 1;
                    assert_eq!(appended, Appended::Done(*acknowledged));
                }
                Err(error) => failed.push(error),
            }
        }
        if !failed.is_empty() {
            break failed;
        }
    };
    for error in failed {
        check_error(
            Err::<(), _>(error),
            Kind::Unavailable,
            &["journal.db", "full"],
        );
    }
    for (acknowledged, number) in acknowledged.iter().zip(1..) {
        let expected: Vec<u64> = (0..=*acknowledged).collect();
        assert_eq!(sequences(&at(&dir), &id(number)).await, expected);
    }
    leave_pages(&journal, 1_000_000);
    let again = add(&journal, &id(1), acknowledged[0] + 1).await;
    assert_eq!(again.unwrap(), Appended::Done(acknowledged[0] + 1));
}

#[tokio::test]
async fn a_folder_that_cannot_be_created_is_an_error_with_a_hint() {
    let dir = folder();
    fs::write(dir.path().join("file"), "").unwrap();
    let path = dir.path().join("file/below");
    check_error(
        OpenJournal::new(Some(&path), SyncMode::Normal)
            .create(&draft(ENGINE, 1), &call(0))
            .await,
        Kind::Unavailable,
        &["below", "--data-dir"],
    );
    check_error(
        OpenJournal::new(None, SyncMode::Normal)
            .list(false, 1, None)
            .await,
        Kind::Unavailable,
        &["--data-dir"],
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_error_with_a_hint() {
    let dir = folder();
    fs::create_dir(dir.path().join("journal.db")).unwrap();
    check_error(
        at(&dir).find(&id(1)).await,
        Kind::Unavailable,
        &["journal.db", "writable", "--data-dir"],
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_moved_journal_is_detected_before_calls_are_lost() {
    let dir = folder();
    let journal = at(&dir);
    fill(&journal, 1).await;
    let kept = dir.path().join("kept");
    fs::create_dir(&kept).unwrap();
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        fs::rename(dir.path().join(name), kept.join(name)).unwrap();
    }
    check_error(
        add(&journal, &id(1), 1).await,
        Kind::Unavailable,
        &["journal.db", "moved"],
    );
    // After that, the current file is used.
    check_error(
        add(&journal, &id(1), 1).await,
        Kind::NotFound,
        &[id(1).as_str()],
    );
    let kept = OpenJournal::new(Some(&kept), SyncMode::Normal);
    assert_eq!(sequences(&kept, &id(1)).await, [0]);
}

/// The log is deleted, shortened or emptied, or the file is emptied: no acknowledged call is lost.
#[cfg(unix)]
#[tokio::test]
async fn acknowledged_calls_survive_damage_to_the_files() {
    let cut = |path: &Path, bytes: u64| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(bytes).unwrap();
    };
    for attack in 0..6 {
        let dir = folder();
        let path = dir.path().join("journal.db");
        let log = dir.path().join("journal.db-wal");
        let journal = at(&dir);
        fill(&journal, 1).await;
        if attack == 4 {
            journal.with(|connection| {
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            });
        }
        for sequence in 1..=5 {
            let _ = add(&journal, &id(1), sequence).await.unwrap();
        }
        let length = fs::metadata(&log).unwrap().len();
        match attack {
            0 => fs::remove_file(&log).unwrap(),
            1 => cut(&log, 0),
            2 => cut(&log, length / 2),
            3 => cut(&log, length - 1),
            4 => cut(&path, 0),
            _ => {
                fs::remove_file(&log).unwrap();
                fs::write(&log, "").unwrap();
            }
        }
        // Later acknowledgements are true, whether or not the first call reports the damage.
        let mut acknowledged = Vec::new();
        for _ in 0..6 {
            let call = call(9);
            if journal
                .append(ENGINE, &id(1), &call, CallPosition::End)
                .await
                .is_ok()
            {
                acknowledged.push(call.call);
            }
        }
        drop(journal);
        let again = at(&dir);
        let mut found = Vec::new();
        if let Ok(Some(last)) = again.last_sequence(ENGINE, &id(1)).await {
            for sequence in 0..=last {
                let call =
                    again.with(|connection| rows::call_at(connection, ENGINE, &id(1), sequence));
                found.extend(call);
            }
        }
        for call in &acknowledged {
            assert!(
                found.contains(call),
                "attack {attack}: {acknowledged:?} in {found:?}"
            );
        }
        // A log that was only deleted is still open, so nothing is lost.
        if attack == 0 || attack == 5 {
            assert_eq!(acknowledged.len(), 6, "attack {attack}");
            assert_eq!(sequences(&again, &id(1)).await.len(), 12);
        }
    }
}

#[tokio::test]
async fn a_copy_of_the_file_alone_is_complete_after_a_clean_exit() {
    let dir = folder();
    let journal = at(&dir);
    fill(&journal, 3).await;
    assert_eq!(add(&journal, &id(1), 1).await.unwrap(), Appended::Done(1));
    drop(journal);
    let other = folder();
    let copy = other.path().join("journal.db");
    fs::copy(dir.path().join("journal.db"), copy).unwrap();
    assert_eq!(sequences(&at(&other), &id(1)).await, [0, 1]);
    assert_eq!(at(&other).list(false, 9, None).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_copy_of_the_file_has_another_journal_id() {
    let dir = folder();
    let journal = at(&dir);
    let id = journal.id().await.unwrap();
    drop(journal);
    assert_eq!(at(&dir).id().await.unwrap(), id);
    let other = folder();
    let copy = other.path().join("journal.db");
    fs::copy(dir.path().join("journal.db"), copy).unwrap();
    assert_ne!(at(&other).id().await.unwrap(), id);
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_and_its_files_are_accessible_to_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let above = folder();
    let data = above.path().join("data");
    let journal = || OpenJournal::new(Some(&data), SyncMode::Normal);
    let files = ["journal.db", "journal.db-wal", "journal.db-shm"].map(|name| data.join(name));
    fill(&journal(), 1).await;
    // Open the permissions as earlier versions left them.
    for round in 0..2 {
        assert_eq!(mode(&data), 0o700, "round {round}");
        for file in files.iter().filter(|file| file.exists()) {
            assert_eq!(mode(file), 0o600, "round {round}: {}", file.display());
            open(file, 0o644);
        }
        open(&data, 0o755);
        assert_eq!(sequences(&journal(), &id(1)).await, [0]);
    }
}

#[tokio::test]
async fn save_records_of_earlier_versions_become_internal() {
    let dir = folder();
    let mut connection = Connection::open(dir.path().join("journal.db")).unwrap();
    schema::migrate(&mut connection, &schema::STEPS[..2]).unwrap();
    let draft =
        "INSERT INTO drafts (key, origin, id, name, edition, reason, created_ms, changed_ms)
         VALUES (1, 'engine', ?1, 'Film', 'capcut', '', 1, 1)";
    connection.execute(draft, [id(1).as_str()]).unwrap();
    let tools = [
        "create_draft",
        "add_video",
        "query_script",
        "save_draft",
        "add_text",
    ];
    for (place, tool) in (0_i64..).zip(tools) {
        let call = "INSERT INTO calls (place, at_ms, engine_version, tool, arguments, reply)
             VALUES (1 << 32 | ?1, 5, 1, ?2, '{}', '{}')";
        connection.execute(call, params![place, tool]).unwrap();
    }
    drop(connection);
    let journal = at(&dir);
    let records = journal.records(ENGINE, &id(1), 0).await.unwrap();
    let internal: Vec<bool> = records.iter().map(|record| record.internal).collect();
    assert_eq!(internal, [false, false, true, true, false]);
    assert_eq!(journal.find(&id(1)).await.unwrap().unwrap().calls, 3);
}

#[tokio::test]
async fn ten_thousand_drafts_are_listed() {
    let dir = folder();
    let journal = at(&dir);
    fill(&journal, 10_000).await;
    let rows = journal.list(false, usize::MAX, None).await.unwrap();
    assert_eq!(rows.len(), 10_000);
    let rows = journal.list(false, 50, Some("film 99")).await.unwrap();
    assert_eq!(rows.len(), 50);
}
