//! The contract tests that run against every store, and helpers for tests of stores.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::json;
use tempfile::TempDir;

use super::*;

pub(super) const SERVER: &str = "http://127.0.0.1:9000";

pub(super) fn id(number: u32) -> DraftId {
    DraftId::make(1_750_000_000, number)
}

pub(super) fn draft(origin: &str, number: u32) -> NewDraftRow {
    NewDraftRow {
        origin: origin.into(),
        id: id(number),
        name: format!("Film {number}"),
        edition: "capcut".into(),
        reason: "no CapCut API answers".into(),
    }
}

/// The call that becomes `record(sequence)`.
pub(super) fn call(sequence: u64) -> NewRecord {
    let record = record(sequence);
    NewRecord {
        call: Uuid::new_v4(),
        tool: record.tool,
        arguments: record.arguments.to_string(),
        found: record.found,
        reply: record.reply.to_string(),
        engine_version: record.engine_version,
        at_ms: record.at_ms,
        internal: record.internal,
        document: None,
        name: None,
        fence: None,
    }
}

pub(super) fn record(sequence: u64) -> Record {
    Record {
        sequence,
        tool: "add_text".into(),
        arguments: json!({"text": "Grüße, 世界 🎬\n", "start": 0.1, "end": 1}),
        found: (sequence % 2 == 1).then(|| r#"{"font":{"id":"7"}}"#.to_owned()),
        reply: json!({"draft_id": id(1), "big": 9_007_199_254_740_993_i64}),
        engine_version: 3,
        at_ms: 1_750_000_000_000 + sequence.cast_signed(),
        internal: false,
    }
}

/// Makes drafts 1 to `count` of the engine, each with its first call.
pub(super) async fn fill(journal: &Journal, count: u32) {
    for number in 1..=count {
        let (draft, first) = (draft(ENGINE, number), call(0));
        journal.create(&draft, &first).await.unwrap();
    }
}

pub(super) async fn sequences(journal: &Journal, draft: &DraftId) -> Vec<u64> {
    let records = journal.records(ENGINE, draft, 0).await.unwrap();
    records.iter().map(|record| record.sequence).collect()
}

/// Adds `call(sequence)` of the engine at its sequence.
pub(super) async fn add(journal: &Journal, draft: &DraftId, sequence: u64) -> Result<Appended> {
    let at = CallPosition::Sequence(sequence);
    journal.append(ENGINE, draft, &call(sequence), at).await
}

#[track_caller]
pub(super) fn check_error<T: Debug>(result: Result<T>, kind: Kind, parts: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.next_step().is_some(), "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part:?} in {error}");
    }
}

/// A store that several processes open.
enum SharedStore {
    Folder(TempDir),
    Memory(Arc<dyn Store>),
    /// The address of a database.
    Database(String),
}

impl SharedStore {
    /// Opens it as another process does.
    fn process(&self) -> Arc<dyn Store> {
        match self {
            Self::Folder(folder) => in_folder(Some(folder.path()), SyncMode::Normal),
            Self::Memory(memory) => Arc::clone(memory),
            Self::Database(address) => in_postgres(address).unwrap(),
        }
    }

    fn open(&self) -> Arc<Journal> {
        Arc::new(Journal::new(self.process(), TenantName::local()))
    }

    /// The part of another tenant.
    fn tenant(&self, name: &str) -> Journal {
        Journal::new(self.process(), name.parse().unwrap())
    }
}

fn stores() -> Vec<SharedStore> {
    #[cfg_attr(
        not(unix),
        expect(unused_mut, reason = "PostgreSQL is started on Unix only")
    )]
    let mut stores = vec![
        SharedStore::Folder(tempfile::tempdir().unwrap()),
        SharedStore::Memory(Arc::<memory::MemoryStore>::default()),
    ];
    #[cfg(unix)]
    if let Some(server) = postgres::test_server::TestServer::shared() {
        stores.push(SharedStore::Database(server.database()));
    }
    stores
}

#[tokio::test]
async fn appended_calls_are_read_back_unchanged() {
    for store in stores() {
        let journal = store.open();
        fill(&journal, 1).await;
        for sequence in 1..=4 {
            let appended = add(&journal, &id(1), sequence).await.unwrap();
            assert_eq!(appended, Appended::Done(sequence));
        }
        let expected: Vec<_> = (0..=4).map(record).collect();
        assert_eq!(journal.records(ENGINE, &id(1), 0).await.unwrap(), expected);
        drop(journal);
        let again = store.open();
        let from = async |from| again.records(ENGINE, &id(1), from).await.unwrap();
        assert_eq!(from(0).await, expected);
        assert_eq!(from(3).await, expected[3..]);
        assert_eq!(from(5).await, []);
        assert_eq!(again.last_sequence(ENGINE, &id(1)).await.unwrap(), Some(4));
        assert_eq!(again.last_sequence(SERVER, &id(1)).await.unwrap(), None);
        again.check().await.unwrap();
    }
}

#[tokio::test]
async fn find_returns_a_draft_with_its_calls_and_times() {
    for store in stores() {
        let journal = store.open();
        fill(&journal, 1).await;
        let _ = add(&journal, &id(1), 1).await.unwrap();
        let expected = DraftRow {
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
        };
        let found = journal.find(&id(1)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&expected));
        let found = journal.find_at(ENGINE, &id(1)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&expected));
        assert_eq!(journal.find_at(SERVER, &id(1)).await.unwrap(), None);
        assert_eq!(journal.find(&id(2)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_id_is_created_once_per_origin() {
    for store in stores() {
        let journal = store.open();
        let first = call(0);
        journal.create(&draft(ENGINE, 1), &first).await.unwrap();
        let again = journal.create(&draft(ENGINE, 1), &call(0)).await;
        check_error(again, Kind::Conflict, &[id(1).as_str(), "create_draft"]);
        // Repeating the same call does not create a second draft.
        journal.create(&draft(ENGINE, 1), &first).await.unwrap();
        assert_eq!(sequences(&journal, &id(1)).await, [0]);
        let other = call(0);
        journal.create(&draft(SERVER, 1), &other).await.unwrap();
        let (id, late) = (id(1), call(1));
        let late = journal.append(SERVER, &id, &late, CallPosition::Sequence(1));
        let _ = late.await.unwrap();
        assert_eq!(sequences(&journal, &id).await, [0]);
        let latest = journal.find(&id).await.unwrap().unwrap();
        assert_eq!(latest.origin, SERVER);
    }
}

#[tokio::test]
async fn a_taken_sequence_is_a_conflict_and_keeps_the_first_call() {
    for store in stores() {
        let (first, second) = (store.open(), store.open());
        fill(&first, 1).await;
        assert_eq!(add(&first, &id(1), 1).await.unwrap(), Appended::Done(1));
        let late = add(&second, &id(1), 1).await.unwrap();
        assert_eq!(late, Appended::Conflict);
        // The second one immediately sees the call that it missed, and continues after it.
        assert_eq!(second.last_sequence(ENGINE, &id(1)).await.unwrap(), Some(1));
        let next = add(&second, &id(1), 2).await.unwrap();
        assert_eq!(next, Appended::Done(2));
        assert_eq!(sequences(&first, &id(1)).await, [0, 1, 2]);
    }
}

#[tokio::test]
async fn a_call_that_is_sent_twice_is_added_once() {
    for store in stores() {
        let (first, second) = (store.open(), store.open());
        fill(&first, 1).await;
        for (sequence, at) in [(1, CallPosition::Sequence(1)), (2, CallPosition::End)] {
            let call = call(sequence);
            let done = first.append(ENGINE, &id(1), &call, at).await.unwrap();
            assert_eq!(done, Appended::Done(sequence));
            for journal in [&first, &second] {
                let again = journal.append(ENGINE, &id(1), &call, at).await.unwrap();
                assert_eq!(again, Appended::Already(sequence));
            }
        }
        assert_eq!(sequences(&first, &id(1)).await, [0, 1, 2]);
    }
}

#[tokio::test]
async fn append_refuses_a_gap_in_the_sequence() {
    for store in stores() {
        let journal = store.open();
        fill(&journal, 1).await;
        let result = add(&journal, &id(1), 2).await;
        check_error(result, Kind::Unavailable, &["1 calls", "call 2"]);
        assert_eq!(sequences(&journal, &id(1)).await, [0]);
    }
}

#[tokio::test]
async fn an_unknown_draft_is_refused_without_naming_other_drafts() {
    for store in stores() {
        let journal = store.open();
        let result = add(&journal, &id(9), 1).await;
        check_error(
            result,
            Kind::NotFound,
            &["create_draft", "open_draft", "validate_draft"],
        );
        fill(&journal, 3).await;
        let typo = DraftId(id(2).as_str().replace("0002", "002"));
        let result = add(&journal, &typo, 1).await;
        check_error(result, Kind::NotFound, &[typo.as_str()]);
        let error = unknown(&typo).to_string();
        assert!(!error.contains(id(2).as_str()), "{error}");
        check_error(journal.delete(&typo).await, Kind::NotFound, &[]);
        let saved = journal.set_saved(ENGINE, &typo, "/x", None).await;
        check_error(saved, Kind::NotFound, &[]);
        let moved = journal
            .set_moved((SERVER, &id(1)), 0, (ENGINE, &id(2)))
            .await;
        assert!(!moved.unwrap());
    }
}

#[tokio::test]
async fn near_finds_drafts_by_name_and_by_similar_id() {
    for store in stores() {
        let journal = store.open();
        fill(&journal, 20).await;
        for name in ["film 7", "flim 7"] {
            assert_eq!(journal.near(name, 1).await.unwrap()[0].id, id(7));
        }
        let near = journal.near("dfd_cat_1750000000_0000000f9", 2).await;
        let near = near.unwrap();
        assert_eq!(near[0].id, id(15));
        assert_eq!(near.len(), 2);
    }
}

#[tokio::test]
async fn list_shows_the_latest_first_and_searches_names_and_ids() {
    for store in stores() {
        let journal = store.open();
        fill(&journal, 12).await;
        let late = NewRecord {
            at_ms: record(0).at_ms + 60_000,
            ..call(1)
        };
        let late = journal
            .append(ENGINE, &id(5), &late, CallPosition::End)
            .await;
        let _ = late.unwrap();
        let named = NewDraftRow {
            name: "Ägyptens Küste".into(),
            ..draft(ENGINE, 13)
        };
        let newest = NewRecord {
            at_ms: record(0).at_ms + 90_000,
            ..call(0)
        };
        journal.create(&named, &newest).await.unwrap();
        let ids = async |limit, query| -> Vec<DraftId> {
            let rows = journal.list(false, limit, query).await.unwrap();
            rows.into_iter().map(|row| row.id).collect()
        };
        assert_eq!(ids(3, None).await, [id(13), id(5), id(12)]);
        assert_eq!(ids(usize::MAX, None).await.len(), 13);
        assert_eq!(ids(10, Some(" ägypt")).await, [id(13)]);
        assert_eq!(
            ids(10, Some("film 1")).await,
            [id(12), id(11), id(10), id(1)]
        );
        assert_eq!(ids(2, Some("film 1")).await, [id(12), id(11)]);
        assert_eq!(ids(10, Some("_00000007")).await, [id(7)]);
        let renaming = NewRecord {
            name: Some("Nordsee".into()),
            ..call(1)
        };
        let at = CallPosition::Sequence(1);
        let renamed = journal.append(ENGINE, &id(13), &renaming, at).await;
        assert_eq!(renamed.unwrap(), Appended::Done(1));
        assert_eq!(ids(10, Some("nordsee")).await, [id(13)]);
        assert!(ids(10, Some("ägypt")).await.is_empty());
        let refused = NewRecord {
            name: Some("Ostsee".into()),
            ..call(1)
        };
        let conflict = journal.append(ENGINE, &id(13), &refused, at).await;
        assert_eq!(conflict.unwrap(), Appended::Conflict);
        assert_eq!(ids(10, Some("nordsee")).await, [id(13)]);
        assert_eq!(ids(10, Some("%")).await, []);
    }
}

#[tokio::test]
async fn a_draft_in_the_trash_refuses_calls_until_it_is_restored() {
    for store in stores() {
        let journal = store.open();
        fill(&journal, 2).await;
        journal.delete(&id(1)).await.unwrap();
        let deleted = async || journal.find(&id(1)).await.unwrap().unwrap().deleted_ms;
        let deleted_ms = deleted().await;
        assert!(deleted_ms.is_some());
        journal.delete(&id(1)).await.unwrap();
        assert_eq!(deleted().await, deleted_ms);
        for at in [CallPosition::Sequence(1), CallPosition::End] {
            let refused = journal.append(ENGINE, &id(1), &call(1), at).await;
            check_error(refused, Kind::NotFound, &["trash", id(1).as_str()]);
        }
        assert_eq!(journal.last_sequence(ENGINE, &id(1)).await.unwrap(), None);
        assert_eq!(journal.list(false, 10, None).await.unwrap().len(), 1);
        assert_eq!(journal.list(true, 10, None).await.unwrap().len(), 2);
        let near = journal.near(id(1).as_str(), 5).await.unwrap();
        assert_eq!(near.len(), 1);
        assert_eq!(near[0].id, id(2));
        journal.restore(&id(1)).await.unwrap();
        assert_eq!(add(&journal, &id(1), 1).await.unwrap(), Appended::Done(1));
    }
}

#[tokio::test]
async fn empty_trash_removes_only_drafts_of_the_given_age() {
    for store in stores() {
        let journal = store.open();
        fill(&journal, 3).await;
        journal.delete(&id(1)).await.unwrap();
        journal.delete(&id(2)).await.unwrap();
        let day = Duration::from_hours(24);
        assert_eq!(journal.empty_trash(day).await.unwrap(), 0);
        assert_eq!(journal.empty_trash(Duration::MAX).await.unwrap(), 0);
        assert_eq!(journal.empty_trash(Duration::ZERO).await.unwrap(), 2);
        assert_eq!(journal.find(&id(1)).await.unwrap(), None);
        assert_eq!(journal.records(ENGINE, &id(1), 0).await.unwrap(), []);
        assert_eq!(sequences(&journal, &id(3)).await, [0]);
        // A new draft with the same id does not inherit removed calls.
        journal.create(&draft(ENGINE, 2), &call(0)).await.unwrap();
        assert_eq!(sequences(&journal, &id(2)).await, [0]);
    }
}

#[tokio::test]
async fn a_document_is_kept_as_long_as_a_draft_uses_it() {
    for store in stores() {
        let journal = store.open();
        let opened = |text: &str| {
            let document = PackedDocument::of(text.as_bytes()).unwrap();
            NewRecord {
                document: Some(Arc::new(document)),
                ..call(0)
            }
        };
        let (shared, own) = (opened("{\"tracks\": []}"), opened("{}"));
        let hash = |record: &NewRecord| record.document.as_ref().unwrap().hash.clone();
        let stored = async |hash: &str| store.open().document(hash).await.unwrap();
        for number in [1, 2] {
            let first = NewRecord {
                call: Uuid::new_v4(),
                ..shared.clone()
            };
            journal
                .create(&draft(ENGINE, number), &first)
                .await
                .unwrap();
        }
        let at = CallPosition::Sequence(1);
        let added = journal.append(ENGINE, &id(1), &own, at).await.unwrap();
        assert_eq!(added, Appended::Done(1));
        for record in [&shared, &own] {
            assert_eq!(
                stored(&hash(record)).await.as_ref(),
                record.document.as_deref()
            );
        }
        // A record that is not accepted stores nothing.
        let other = opened("[]");
        let taken = journal.append(ENGINE, &id(1), &other, at).await.unwrap();
        assert_eq!(taken, Appended::Conflict);
        assert_eq!(stored(&hash(&other)).await, None);

        journal.delete(&id(1)).await.unwrap();
        assert_eq!(journal.empty_trash(Duration::ZERO).await.unwrap(), 1);
        assert_eq!(stored(&hash(&own)).await, None);
        assert!(stored(&hash(&shared)).await.is_some());
        journal.delete(&id(2)).await.unwrap();
        assert_eq!(journal.empty_trash(Duration::ZERO).await.unwrap(), 1);
        assert_eq!(stored(&hash(&shared)).await, None);
    }
}

#[tokio::test]
async fn saved_and_moved_locations_are_recorded() {
    for store in stores() {
        let journal = store.open();
        fill(&journal, 1).await;
        let saved = journal
            .set_saved(ENGINE, &id(1), "/drafts/Film", None)
            .await;
        saved.unwrap();
        let _ = add(&journal, &id(1), 1).await.unwrap();
        let to = id(8);
        // It does not move if calls were added since, and it moves only once.
        for (last, moves) in [(0, false), (1, true), (1, false)] {
            let moved = journal
                .set_moved((ENGINE, &id(1)), last, (SERVER, &to))
                .await;
            assert_eq!(moved.unwrap(), moves);
        }
        let row = store.open().find(&id(1)).await.unwrap().unwrap();
        assert_eq!(row.saved_to.as_deref(), Some("/drafts/Film"));
        assert_eq!(row.moved_to, Some((SERVER.into(), id(8))));
        assert!(row.modified_ms > record(0).at_ms);
        for at in [CallPosition::Sequence(2), CallPosition::End] {
            let refused = journal.append(ENGINE, &id(1), &call(2), at).await;
            check_error(refused, Kind::NotFound, &["continues as", id(8).as_str()]);
        }
    }
}

#[tokio::test]
async fn internal_records_belong_to_a_draft_but_are_not_counted_as_calls() {
    for store in stores() {
        let journal = store.open();
        fill(&journal, 1).await;
        let internal = NewRecord {
            internal: true,
            ..call(1)
        };
        let added = journal
            .append(ENGINE, &id(1), &internal, CallPosition::Sequence(1))
            .await;
        assert_eq!(added.unwrap(), Appended::Done(1));
        assert_eq!(add(&journal, &id(1), 2).await.unwrap(), Appended::Done(2));
        let records = journal.records(ENGINE, &id(1), 0).await.unwrap();
        let internal: Vec<bool> = records.iter().map(|record| record.internal).collect();
        assert_eq!(internal, [false, true, false]);
        assert_eq!(journal.find(&id(1)).await.unwrap().unwrap().calls, 2);
        assert_eq!(journal.list(false, 1, None).await.unwrap()[0].calls, 2);
        assert_eq!(
            journal.last_sequence(ENGINE, &id(1)).await.unwrap(),
            Some(2)
        );
    }
}

#[tokio::test]
async fn all_processes_see_the_same_journal_id() {
    let mut ids = HashSet::new();
    for store in stores() {
        let (one, other) = (store.open(), store.open());
        let id = one.id().await.unwrap();
        assert_eq!(other.id().await.unwrap(), id);
        // That of another tenant is another one.
        assert_ne!(store.tenant("other").id().await.unwrap(), id);
        assert!(ids.insert(id));
    }
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_is_released_or_expires() {
    const LONG: Duration = Duration::from_hours(1);
    for store in stores() {
        let (one, other) = (store.open(), store.open());
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        assert!(one.lease("a", first, LONG).await.unwrap());
        assert!(!other.lease("a", second, LONG).await.unwrap());
        assert!(other.lease("b", second, LONG).await.unwrap());
        assert!(one.lease("a", first, LONG).await.unwrap(), "renewed");
        other
            .store()
            .release(other.tenant(), "a", second)
            .await
            .unwrap();
        assert!(!other.lease("a", second, LONG).await.unwrap());
        one.store().release(one.tenant(), "a", first).await.unwrap();
        assert!(other.lease("a", second, Duration::ZERO).await.unwrap());
        assert!(one.lease("a", first, LONG).await.unwrap(), "it had expired");
    }
}

/// Each has its own connection, like a process, and two tasks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_appends_lose_and_duplicate_nothing() {
    const PROCESSES: u64 = 3;
    const TASKS: u64 = 2;
    const CALLS: u64 = 60;
    for store in stores() {
        fill(&store.open(), 2).await;
        let journals: Vec<_> = (0..PROCESSES).map(|_| store.open()).collect();
        let pairs = (0..PROCESSES).flat_map(|process| (0..TASKS).map(move |task| (process, task)));
        let tasks = pairs.map(|(process, task)| {
            let journal = Arc::clone(&journals[process as usize]);
            tokio::spawn(async move {
                for number in 0..CALLS {
                    let marked = NewRecord {
                        arguments: json!([process, task, number]).to_string(),
                        ..call(0)
                    };
                    // One draft as the engine appends: at a known sequence, with a retry on conflict.
                    loop {
                        let last = journal
                            .last_sequence(ENGINE, &id(1))
                            .await
                            .unwrap()
                            .unwrap();
                        let at = CallPosition::Sequence(last + 1);
                        match journal.append(ENGINE, &id(1), &marked, at).await.unwrap() {
                            Appended::Done(_) => break,
                            Appended::Conflict => {}
                            Appended::Already(_) => panic!("it was sent once"),
                        }
                    }
                    // And one as calls to a server are appended: at the end.
                    let marked = NewRecord {
                        call: Uuid::new_v4(),
                        ..marked
                    };
                    let added = journal
                        .append(ENGINE, &id(2), &marked, CallPosition::End)
                        .await;
                    assert!(matches!(added.unwrap(), Appended::Done(_)));
                }
            })
        });
        for task in join_all(tasks).await {
            task.unwrap();
        }
        for draft in [id(1), id(2)] {
            let records = store.open().records(ENGINE, &draft, 1).await.unwrap();
            let expected: Vec<u64> = (1..=PROCESSES * TASKS * CALLS).collect();
            let found: Vec<u64> = records.iter().map(|record| record.sequence).collect();
            assert_eq!(found, expected);
            let marks: HashSet<String> = records
                .iter()
                .map(|record| record.arguments.to_string())
                .collect();
            assert_eq!(marks.len(), records.len(), "each call once");
            // Calls of one task are in the order in which they were made.
            let mine: Vec<u64> = records
                .iter()
                .filter(|record| record.arguments[0] == 0 && record.arguments[1] == 0)
                .map(|record| record.arguments[2].as_u64().unwrap())
                .collect();
            assert!(mine.is_sorted());
        }
    }
}

/// Concurrent calls each get their own answer, even if some of them are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_calls_get_their_own_answers() {
    const DRAFTS: u32 = 40;
    for store in stores() {
        let journal = store.open();
        let create = |number| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { journal.create(&draft(ENGINE, number), &call(0)).await })
        };
        // All of them twice: of two drafts with the same id, one is created.
        let created = join_all((1..=DRAFTS).chain(1..=DRAFTS).map(create)).await;
        let refused = created
            .iter()
            .filter(|created| match created.as_ref().unwrap() {
                Ok(()) => false,
                Err(error) => error.kind == Kind::Conflict,
            });
        assert_eq!(refused.count(), DRAFTS as usize);
        journal.delete(&id(3)).await.unwrap();
        let _ = add(&store.open(), &id(2), 1).await.unwrap();
        let append = |number| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { add(&journal, &id(number), 1).await })
        };
        let appended = join_all((1..=DRAFTS).map(append)).await;
        for (number, appended) in (1..=DRAFTS).zip(appended) {
            match (number, appended.unwrap()) {
                (2, appended) => assert_eq!(appended.unwrap(), Appended::Conflict),
                (3, appended) => check_error(appended, Kind::NotFound, &["in the trash"]),
                (_, appended) => assert_eq!(appended.unwrap(), Appended::Done(1)),
            }
        }
        for number in 4..=DRAFTS {
            assert_eq!(sequences(&journal, &id(number)).await, [0, 1]);
        }
    }
}

fn creation(key: &str, cost: f64) -> CreationRow {
    CreationRow {
        key: key.to_owned(),
        provider: "voice".to_owned(),
        state: CreationState::Sending,
        runner: "one".to_owned(),
        task: None,
        cost,
        found: None,
        claimed_ms: 0,
    }
}

async fn claimed(journal: &Journal, key: &str, cost: f64, budget: Option<Budget>) -> CreationRow {
    match journal.claim_creation(&creation(key, cost), budget).await {
        Ok(CreationClaim::Claimed(row)) => row,
        other => panic!("{key}: {other:?}"),
    }
}

fn job(id: &str, key: Option<&str>, runner: Option<&str>) -> NewJob {
    NewJob {
        id: id.to_owned(),
        kind: "compose_draft".into(),
        request: r#"{"name":"剪映"}"#.into(),
        state: r#"{"done":0}"#.into(),
        key: key.map(str::to_owned),
        runner: runner.map(str::to_owned),
    }
}

fn fence(id: &str, attempt: u32) -> Fence {
    Fence {
        job: id.into(),
        attempt,
        part: 0,
    }
}

fn report(state: &str, draft: Option<DraftId>) -> JobReport {
    JobReport {
        state: state.into(),
        draft,
    }
}

fn terms(per_tenant: usize, lease: Duration) -> ClaimTerms {
    ClaimTerms {
        runner: "worker".into(),
        lease,
        per_tenant,
    }
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

/// Waits until a lease of [`SHORT`] has ended.
async fn lease_ends() {
    tokio::time::sleep(2 * SHORT).await;
}

#[tokio::test]
async fn jobs_are_visible_to_other_processes_and_end_once() {
    for store in stores() {
        let (journal, other) = (store.open(), store.open());
        let new = job("a", None, Some("here"));
        assert_eq!(journal.job_add(&new, LONG).await.unwrap(), JobAdded::New);
        let beat = async |attempt, state: &str, draft| {
            let report = report(state, draft);
            journal
                .job_beat(&fence("a", attempt), Some(&report), LONG)
                .await
                .unwrap()
        };
        assert_eq!(beat(1, r#"{"done":1}"#, Some(id(1))).await, Beat::Go);
        assert_eq!(beat(2, r#"{"done":9}"#, None).await, Beat::Lost);
        let found = other.job_get("a").await.unwrap().unwrap();
        assert!(found.updated_ms > 0);
        let expected = JobRow {
            id: "a".into(),
            kind: new.kind.clone(),
            draft: Some(id(1)),
            request: new.request.clone(),
            state: r#"{"done":1}"#.into(),
            key: None,
            phase: JobPhase::Running,
            attempt: 1,
            runner: "here".into(),
            is_lost: false,
            updated_ms: found.updated_ms,
        };
        assert_eq!(found, expected);
        assert_eq!(other.jobs_open().await.unwrap(), 1);
        let done = report(r#"{"done":2}"#, None);
        assert!(!journal.job_end(&fence("a", 2), &done).await.unwrap());
        assert!(journal.job_end(&fence("a", 1), &done).await.unwrap());
        assert!(!journal.job_end(&fence("a", 1), &done).await.unwrap());
        let ended = other.job_get("a").await.unwrap().unwrap();
        assert_eq!(ended.phase, JobPhase::Ended);
        assert_eq!(ended.state, r#"{"done":2}"#);
        assert_eq!(ended.draft, Some(id(1)));
        assert_eq!(beat(1, "{}", None).await, Beat::Lost, "it has ended");
        assert_eq!(other.jobs_open().await.unwrap(), 0);
        assert_eq!(other.job_get("c").await.unwrap(), None);
        assert!(other.job_stop("c", "{}").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_job_with_the_key_of_another_one_is_the_same_job() {
    for store in stores() {
        let (journal, other) = (store.open(), store.open());
        let adding = (0..8).map(|number| {
            let journal = if number % 2 == 0 { &journal } else { &other };
            let new = job(&format!("job{number}"), Some("k"), None);
            async move { journal.job_add(&new, LONG).await.unwrap() }
        });
        let added = join_all(adding).await;
        let new = added.iter().filter(|added| **added == JobAdded::New);
        assert_eq!(new.count(), 1, "{added:?}");
        let kept = other.job_with_key("k").await.unwrap().unwrap();
        let all = added.iter().filter(|added| **added != JobAdded::New);
        for same in all {
            assert_eq!(*same, JobAdded::Exists(kept.id.clone()));
        }
        assert_eq!(journal.job_with_key("other").await.unwrap(), None);
        let elsewhere = store.tenant("bob");
        assert_eq!(elsewhere.job_with_key("k").await.unwrap(), None);
        let new = job("b", Some("k"), None);
        assert_eq!(elsewhere.job_add(&new, LONG).await.unwrap(), JobAdded::New);
    }
}

#[tokio::test]
async fn workers_take_each_job_once_and_in_order() {
    for store in stores() {
        let (journal, other) = (store.open(), store.open());
        for number in 0..6 {
            let new = job(&format!("job{number}"), None, None);
            let _ = journal.job_add(&new, LONG).await.unwrap();
        }
        let first = journal.store().job_claim(&terms(100, LONG)).await.unwrap();
        let first = first.unwrap();
        assert_eq!(first.who, TenantName::local());
        assert_eq!(first.job.id, "job0");
        assert_eq!((first.job.attempt, first.job.phase), (1, JobPhase::Running));
        assert_eq!(first.job.runner, "worker");
        let claims = (0..8).map(|number| {
            let journal = if number % 2 == 0 { &journal } else { &other };
            async move { journal.store().job_claim(&terms(100, LONG)).await.unwrap() }
        });
        let mut taken: Vec<_> = join_all(claims).await.into_iter().flatten().collect();
        taken.sort_by(|a, b| a.job.id.cmp(&b.job.id));
        let taken: Vec<_> = taken.iter().map(|taken| taken.job.id.as_str()).collect();
        assert_eq!(taken, ["job1", "job2", "job3", "job4", "job5"]);
        // What goes back into the queue is behind the others.
        let _ = journal
            .job_add(&job("last", None, None), LONG)
            .await
            .unwrap();
        let back = report(r#"{"done":3}"#, Some(id(2)));
        assert!(journal.job_requeue(&fence("job1", 1), &back).await.unwrap());
        assert!(!journal.job_requeue(&fence("job1", 1), &back).await.unwrap());
        let next = async || {
            let claimed = other.store().job_claim(&terms(100, LONG)).await.unwrap();
            claimed.map(|claimed| (claimed.job.id, claimed.job.attempt, claimed.job.draft))
        };
        assert_eq!(next().await, Some(("last".into(), 1, None)));
        assert_eq!(next().await, Some(("job1".into(), 2, Some(id(2)))));
        assert_eq!(next().await, None);
    }
}

#[tokio::test]
async fn tenants_with_fewer_running_jobs_come_first() {
    for store in stores() {
        let (journal, bob) = (store.open(), store.tenant("bob"));
        for number in 0..4 {
            let new = job(&format!("a{number}"), None, None);
            let _ = journal.job_add(&new, LONG).await.unwrap();
        }
        let next = async |per_tenant| {
            let claimed = journal.store().job_claim(&terms(per_tenant, LONG)).await;
            claimed.unwrap().map(|claimed| claimed.job.id)
        };
        assert_eq!(next(2).await.as_deref(), Some("a0"));
        let _ = bob.job_add(&job("b0", None, None), LONG).await.unwrap();
        assert_eq!(next(2).await.as_deref(), Some("b0"));
        assert_eq!(next(2).await.as_deref(), Some("a1"));
        assert_eq!(next(2).await, None, "two are the most of a tenant");
        assert_eq!(next(3).await.as_deref(), Some("a2"));
    }
}

#[tokio::test]
async fn a_job_whose_lease_has_ended_is_taken_over_and_the_former_process_writes_nothing() {
    for store in stores() {
        let (journal, other) = (store.open(), store.open());
        fill(&journal, 1).await;
        let _ = journal.job_add(&job("a", None, None), LONG).await.unwrap();
        let claimed = journal.store().job_claim(&terms(9, SHORT)).await.unwrap();
        assert!(claimed.is_some());
        let with_fence = |attempt| NewRecord {
            fence: Some(fence("a", attempt)),
            ..call(1)
        };
        lease_ends().await;
        assert!(other.job_get("a").await.unwrap().unwrap().is_lost);
        let claimed = other.store().job_claim(&terms(9, LONG)).await.unwrap();
        let claimed = claimed.unwrap().job;
        assert_eq!((claimed.id.as_str(), claimed.attempt), ("a", 2));
        let late = async |record: &NewRecord, at| journal.append(ENGINE, &id(1), record, at).await;
        for at in [CallPosition::Sequence(1), CallPosition::End] {
            check_error(late(&with_fence(1), at).await, Kind::Cancelled, &["job a"]);
        }
        let created = journal.create(&draft(ENGINE, 2), &with_fence(1)).await;
        check_error(created, Kind::Cancelled, &["job a"]);
        assert_eq!(other.find(&id(2)).await.unwrap(), None);
        let saved = journal
            .set_saved(ENGINE, &id(1), "/late", Some(&fence("a", 1)))
            .await;
        check_error(saved, Kind::Cancelled, &["job a"]);
        let late = report("{}", None);
        let beat = journal.job_beat(&fence("a", 1), None, LONG).await.unwrap();
        assert_eq!(beat, Beat::Lost);
        assert!(!journal.job_end(&fence("a", 1), &late).await.unwrap());
        // The process that has it writes.
        let now = with_fence(2);
        let appended = other
            .append(ENGINE, &id(1), &now, CallPosition::Sequence(1))
            .await;
        assert_eq!(appended.unwrap(), Appended::Done(1));
        other
            .set_saved(ENGINE, &id(1), "/now", Some(&fence("a", 2)))
            .await
            .unwrap();
        other
            .create(&draft(ENGINE, 2), &with_fence(2))
            .await
            .unwrap();
        let row = other.find(&id(1)).await.unwrap().unwrap();
        assert_eq!(row.saved_to.as_deref(), Some("/now"));
        assert_eq!(sequences(&other, &id(1)).await, [0, 1]);
    }
}

#[tokio::test]
async fn a_running_job_is_asked_to_stop_and_one_that_no_process_runs_ends_at_once() {
    for store in stores() {
        let (journal, other) = (store.open(), store.open());
        for name in ["runs", "waits", "lost"] {
            let _ = journal.job_add(&job(name, None, None), LONG).await.unwrap();
        }
        let claim = async |lease| {
            let claimed = journal.store().job_claim(&terms(9, lease)).await.unwrap();
            claimed.unwrap().job.id
        };
        assert_eq!(claim(LONG).await, "runs");
        let was = other.job_stop("runs", "{}").await.unwrap().unwrap();
        assert_eq!(was.phase, JobPhase::Running);
        let beat = journal
            .job_beat(&fence("runs", 1), None, LONG)
            .await
            .unwrap();
        assert_eq!(beat, Beat::Stop);
        let was = other.job_stop("waits", r#"{"stopped":1}"#).await.unwrap();
        assert_eq!(was.unwrap().phase, JobPhase::Waiting);
        let stopped = journal.job_get("waits").await.unwrap().unwrap();
        assert_eq!(stopped.phase, JobPhase::Ended);
        assert_eq!(stopped.state, r#"{"stopped":1}"#);
        assert_eq!(claim(SHORT).await, "lost");
        lease_ends().await;
        let was = other.job_stop("lost", "{}").await.unwrap().unwrap();
        assert!(was.is_lost);
        let beat = journal
            .job_beat(&fence("lost", 1), None, LONG)
            .await
            .unwrap();
        assert_eq!(beat, Beat::Lost);
        assert!(
            journal
                .store()
                .job_claim(&terms(9, LONG))
                .await
                .unwrap()
                .is_none()
        );
    }
}

#[tokio::test]
async fn values_are_written_only_as_they_were_seen_and_expire() {
    for store in stores() {
        let (journal, other) = (store.open(), store.open());
        let set = async |seen: Option<&str>, new: Option<&str>| {
            let (seen, new) = (seen.map(str::as_bytes), new.map(str::as_bytes));
            journal.set_value("k", seen, new, None).await.unwrap()
        };
        let get = async || other.value("k").await.unwrap();
        assert_eq!(get().await, None);
        assert!(!set(Some("x"), Some("a")).await);
        assert!(set(None, Some("a\0")).await);
        assert!(!set(None, Some("b")).await);
        assert_eq!(get().await.as_deref(), Some("a\0".as_bytes()));
        assert!(set(Some("a\0"), Some("b")).await);
        assert_eq!(get().await.as_deref(), Some(&b"b"[..]));
        assert_eq!(store.tenant("bob").value("k").await.unwrap(), None);
        assert!(set(Some("b"), None).await);
        assert_eq!(get().await, None);
        journal.put_value("k", b"brief", Some(SHORT)).await.unwrap();
        lease_ends().await;
        assert_eq!(get().await, None);
        assert!(set(None, Some("again")).await);
        let raced = (0..8).map(|number| {
            let journal = if number % 2 == 0 { &journal } else { &other };
            let new = number.to_string();
            async move {
                let new = Some(new.as_bytes());
                journal
                    .set_value("k", Some(b"again"), new, None)
                    .await
                    .unwrap()
            }
        });
        let won = join_all(raced).await.into_iter().filter(|won| *won);
        assert_eq!(won.count(), 1);
    }
}

#[tokio::test]
async fn what_belongs_to_another_tenant_does_not_exist() {
    for store in stores() {
        let (journal, bob) = (store.open(), store.tenant("bob"));
        fill(&journal, 1).await;
        let _ = journal
            .job_add(&job("a", None, Some("r")), LONG)
            .await
            .unwrap();
        assert_eq!(bob.find(&id(1)).await.unwrap(), None);
        assert_eq!(bob.find_at(ENGINE, &id(1)).await.unwrap(), None);
        assert_eq!(bob.records(ENGINE, &id(1), 0).await.unwrap(), []);
        assert_eq!(bob.last_sequence(ENGINE, &id(1)).await.unwrap(), None);
        assert!(bob.list(true, 10, None).await.unwrap().is_empty());
        assert_eq!(bob.job_get("a").await.unwrap(), None);
        let unknown = bob
            .append(ENGINE, &id(1), &call(1), CallPosition::End)
            .await;
        check_error(unknown, Kind::NotFound, &["there is no draft"]);
        check_error(
            bob.delete(&id(1)).await,
            Kind::NotFound,
            &["there is no draft"],
        );
        // The same id is another draft.
        fill(&bob, 1).await;
        let _ = add(&bob, &id(1), 1).await.unwrap();
        bob.delete(&id(1)).await.unwrap();
        assert_eq!(sequences(&journal, &id(1)).await, [0]);
        let holder = Uuid::new_v4();
        assert!(journal.lease("k", holder, LONG).await.unwrap());
        assert!(!bob.is_leased("k").await.unwrap());
        assert!(journal.is_leased("k").await.unwrap());
        let tenants = journal.store().tenants().await.unwrap();
        assert_eq!(tenants, ["bob", "local"].map(|name| name.parse().unwrap()));
    }
}

#[tokio::test]
async fn a_finished_creation_counts_for_the_budget_from_when_it_was_claimed() {
    for store in stores() {
        let journal = store.open();
        let since_ms = now_ms() - 1000;
        let budget = Some(Budget {
            most: 0.3,
            since_ms,
        });
        for key in ["a", "b", "c"] {
            let mut row = claimed(&journal, key, 0.1, budget).await;
            assert!(row.claimed_ms >= since_ms);
            row.state = CreationState::Made;
            journal.put_creation(&row).await.unwrap();
        }
        let more = journal.claim_creation(&creation("d", 0.1), budget).await;
        assert!(matches!(more, Ok(CreationClaim::OverBudget(_))), "{more:?}");
        let again = journal.claim_creation(&creation("a", 0.1), None).await;
        assert!(matches!(again, Ok(CreationClaim::Exists(_))), "{again:?}");
        journal.drop_creation("c").await.unwrap();
        let row = claimed(&journal, "d", 0.1, budget).await;
        assert_eq!(journal.creation("d").await.unwrap(), Some(row));
    }
}

#[tokio::test]
async fn a_creation_that_has_changed_is_not_replaced() {
    for store in stores() {
        let (journal, other) = (store.open(), store.open());
        let seen = claimed(&journal, "a", 0.5, None).await;
        let made = CreationRow {
            state: CreationState::Made,
            found: Some("{}".to_owned()),
            ..seen.clone()
        };
        other.put_creation(&made).await.unwrap();
        let uncertain = CreationRow {
            state: CreationState::Uncertain,
            ..seen.clone()
        };
        for new in [Some(&uncertain), None] {
            assert!(!journal.replace_creation(&seen, new).await.unwrap());
        }
        assert_eq!(journal.creation("a").await.unwrap(), Some(made.clone()));
        // Of two that set it aside, one succeeds, and the key is free for one claim.
        let aside = made.set_aside();
        let first = journal.replace_creation(&made, Some(&aside)).await;
        assert!(first.unwrap());
        let second = claimed(&other, "a", 0.5, None).await;
        let late = journal.replace_creation(&made, Some(&aside)).await;
        assert!(!late.unwrap());
        assert_eq!(journal.creation("a").await.unwrap(), Some(second));
        assert_eq!(journal.spent(0).await.unwrap(), 1.0);
    }
}
