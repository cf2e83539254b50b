//! Lost connections, crashes of the server, and times without it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::AbortOnDropHandle;

use super::super::test_server::SOCKET_PORT;
use super::*;

const PASS: u8 = 0;
/// Drops the next answer of the server and closes the connection.
const CUT: u8 = 1;
/// The same, and refuses connections from then on.
const CUT_AND_REFUSE: u8 = 2;
const REFUSE: u8 = 3;

/// Between a store and a server.
struct Relay {
    folder: TempDir,
    mode: Arc<AtomicU8>,
    _task: AbortOnDropHandle<()>,
}

impl Relay {
    fn start(server: &TestServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let target = server.data().with_file_name(".s.PGSQL.5432");
        let mode = Arc::new(AtomicU8::new(PASS));
        let own = Arc::clone(&mode);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if own.load(Ordering::SeqCst) != REFUSE
                    && let Ok(server) = UnixStream::connect(&target).await
                {
                    tokio::spawn(relay(client, server, Arc::clone(&own)));
                }
            }
        });
        Self {
            folder,
            mode,
            _task: AbortOnDropHandle::new(task),
        }
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    /// The address of a database of the server, through this.
    fn address(&self, url: &str) -> String {
        let socket = self.folder.path().display().to_string().replace('/', "%2F");
        format!(
            "postgres://owner@{socket}/{}",
            url.rsplit('/').next().unwrap()
        )
    }
}

async fn relay(mut client: UnixStream, mut server: UnixStream, mode: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(count) if count > 0 => {
                    if server.write_all(&asked[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = server.read(&mut answered) => match read {
                Ok(count) if count > 0 => {
                    match mode.load(Ordering::SeqCst) {
                        CUT => return mode.store(PASS, Ordering::SeqCst),
                        CUT_AND_REFUSE => return mode.store(REFUSE, Ordering::SeqCst),
                        _ => {}
                    }
                    if client.write_all(&answered[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_found_and_not_added_again() {
    let Some(server) = TestServer::shared() else {
        return;
    };
    let url = server.database();
    let relay = Relay::start(server);
    let journal = journal(&relay.address(&url));
    journal.create(&draft(ENGINE, 1), &call(0)).await.unwrap();
    for (sequence, at) in [(1, CallPosition::Sequence(1)), (2, CallPosition::End)] {
        relay.set(CUT);
        let added = journal.append(ENGINE, &id(1), &call(sequence), at).await;
        assert_eq!(added.unwrap(), Appended::Already(sequence));
    }
    relay.set(CUT);
    journal.create(&draft(ENGINE, 2), &call(0)).await.unwrap();
    assert_eq!(journal.records(ENGINE, &id(1), 0).await.unwrap().len(), 3);

    // The same for all that must not happen twice, or must not be told to have failed.
    relay.set(CUT);
    let moved = journal
        .set_moved((ENGINE, &id(2)), 0, (ENGINE, &id(3)))
        .await;
    assert!(moved.unwrap());
    let job = |id: &str, key: &str| NewJob {
        id: id.into(),
        kind: "compose".into(),
        request: "{}".into(),
        state: "{}".into(),
        key: Some(key.into()),
        runner: Some("one".into()),
    };
    let hour = Duration::from_hours(1);
    relay.set(CUT);
    assert_eq!(
        journal.job_add(&job("a", "k"), hour).await.unwrap(),
        JobAdded::New
    );
    relay.set(CUT);
    let exists = journal.job_add(&job("b", "k"), hour).await.unwrap();
    assert_eq!(exists, JobAdded::Exists("a".into()));
    let fence = Fence {
        job: "a".into(),
        attempt: 1,
        part: 0,
    };
    let report = JobReport {
        state: "\"done\"".into(),
        draft: None,
    };
    relay.set(CUT);
    assert!(journal.job_end(&fence, &report).await.unwrap());
    assert!(
        !journal.job_end(&fence, &report).await.unwrap(),
        "it has ended"
    );
    relay.set(CUT);
    assert!(
        journal
            .set_value("v", None, Some(b"1"), None)
            .await
            .unwrap()
    );
    relay.set(CUT);
    assert!(
        journal
            .set_value("v", Some(b"1"), Some(b"2"), None)
            .await
            .unwrap()
    );
    relay.set(CUT);
    assert!(
        journal
            .set_value("v", Some(b"2"), None, None)
            .await
            .unwrap()
    );
    let creation = CreationRow {
        key: "a".into(),
        provider: "voice".into(),
        state: CreationState::Sending,
        runner: "one".into(),
        task: None,
        cost: 0.5,
        found: None,
        claimed_ms: 0,
    };
    relay.set(CUT);
    let claim = journal.claim_creation(&creation, None).await.unwrap();
    let CreationClaim::Claimed(claimed) = claim else {
        panic!("{claim:?}");
    };
    assert_eq!(journal.spent(0).await.unwrap(), 0.5);
    relay.set(CUT);
    let aside = claimed.set_aside();
    assert!(
        journal
            .replace_creation(&claimed, Some(&aside))
            .await
            .unwrap()
    );
    relay.set(CUT);
    assert!(journal.replace_creation(&aside, None).await.unwrap());
    relay.set(CUT);
    let holder = Uuid::new_v4();
    assert!(journal.lease("l", holder, hour).await.unwrap());
}

#[tokio::test]
async fn an_outcome_that_cannot_be_known_is_an_error_that_says_so() {
    let Some(server) = TestServer::shared() else {
        return;
    };
    let url = server.database();
    let relay = Relay::start(server);
    let journal = journal(&relay.address(&url));
    journal.create(&draft(ENGINE, 1), &call(0)).await.unwrap();
    relay.set(CUT_AND_REFUSE);
    let lost = call(1);
    let error = journal
        .append(ENGINE, &id(1), &lost, CallPosition::End)
        .await;
    let error = error.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    assert!(error.to_string().contains("is not known"), "{error}");
    // Nothing was sent from here on: these are surely not stored.
    let error = journal
        .append(ENGINE, &id(1), &call(2), CallPosition::End)
        .await;
    let error = error.unwrap_err();
    assert_eq!(error.kind, Kind::Unsent, "{error}");
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    let error = journal.list(false, 1, None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsent, "{error}");
    relay.set(PASS);
    let again = journal
        .append(ENGINE, &id(1), &lost, CallPosition::End)
        .await;
    assert_eq!(again.unwrap(), Appended::Already(1));
    assert_eq!(journal.records(ENGINE, &id(1), 0).await.unwrap().len(), 2);
}

/// A server that stops while calls are added, and one that was away for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_fail_while_the_database_is_away_and_go_on_when_it_is_back() {
    let Some(server) = TestServer::start(SOCKET_PORT, "") else {
        return;
    };
    let url = server.database();
    let journal = journal(&url);
    journal.create(&draft(ENGINE, 1), &call(0)).await.unwrap();
    server.stop("fast");
    for _ in 0..2 {
        let error = journal
            .append(ENGINE, &id(1), &call(1), CallPosition::End)
            .await;
        let error = error.unwrap_err();
        assert_eq!(error.kind, Kind::Unsent, "{error}");
        assert!(error.to_string().contains("cannot be reached"), "{error}");
        assert!(error.next_step().is_some());
    }
    server.run();
    let added = journal
        .append(ENGINE, &id(1), &call(1), CallPosition::End)
        .await;
    assert_eq!(added.unwrap(), Appended::Done(1));
    // A restart within the patience of a call is not seen at all.
    server.stop("fast");
    let waiting = {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move {
            journal
                .append(ENGINE, &id(1), &call(2), CallPosition::End)
                .await
        })
    };
    server.run();
    assert_eq!(waiting.await.unwrap().unwrap(), Appended::Done(2));
}

/// Eight writers, and a server that crashes at least three times, until an answer was lost of a call that was stored. Calls
/// of unknown outcome are sent again, with their ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn crashes_of_the_server_lose_and_double_no_acknowledged_call() {
    const WRITERS: u32 = 8;
    const CRASHES: usize = 3;
    const MOST_CRASHES: usize = 40;
    // Even if the administrator chose speed for everything else.
    let Some(server) = TestServer::start(SOCKET_PORT, "synchronous_commit = off\n") else {
        return;
    };
    let url = server.database();
    let ended = Arc::new(AtomicBool::new(false));
    let (already, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let first = journal(&url);
    for number in 0..WRITERS {
        first
            .create(&draft(ENGINE, number), &call(0))
            .await
            .unwrap();
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let journal = if number % 2 == 0 {
                Arc::clone(&first)
            } else {
                journal(&url)
            };
            let (ended, already, written) = (
                Arc::clone(&ended),
                Arc::clone(&already),
                Arc::clone(&written),
            );
            tokio::spawn(async move {
                let mut count = 0;
                while !ended.load(Ordering::SeqCst) {
                    count += 1;
                    let call = marked(&format!("{number} {count}"));
                    let at = if number < 4 {
                        CallPosition::Sequence(count)
                    } else {
                        CallPosition::End
                    };
                    loop {
                        match journal.append(ENGINE, &id(number), &call, at).await {
                            Ok(Appended::Done(sequence)) => {
                                assert_eq!(sequence, count);
                                break;
                            }
                            Ok(Appended::Already(sequence)) => {
                                assert_eq!(sequence, count);
                                already.fetch_add(1, Ordering::SeqCst);
                                break;
                            }
                            Ok(Appended::Conflict) => {
                                panic!("another call has {count} of {number}")
                            }
                            Err(error) => assert!(
                                matches!(
                                    error.kind,
                                    Kind::Unsent | Kind::Unavailable | Kind::Timeout
                                ),
                                "{error}"
                            ),
                        }
                    }
                    written.fetch_add(1, Ordering::SeqCst);
                }
                count
            })
        })
        .collect();
    let mut crashes = 0;
    while crashes < CRASHES || already.load(Ordering::SeqCst) == 0 {
        assert!(crashes < MOST_CRASHES, "no answer was lost");
        let before = written.load(Ordering::SeqCst);
        while written.load(Ordering::SeqCst) < before + 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::task::block_in_place(|| {
            server.crash();
            server.run();
        });
        crashes += 1;
    }
    ended.store(true, Ordering::SeqCst);
    for (number, writer) in (0..WRITERS).zip(writers) {
        let count = writer.await.unwrap();
        let expected: Vec<String> = (1..=count)
            .map(|count| format!("{number} {count}"))
            .collect();
        assert_eq!(marks(&first, &id(number)).await, expected);
    }
    first.check().await.unwrap();
    eprintln!(
        "{} calls, {crashes} crashes, {} answers lost of stored calls",
        written.load(Ordering::SeqCst),
        already.load(Ordering::SeqCst)
    );
}

/// Statements that wait for a lock take all connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_finds_no_free_connection_says_so_and_others_go_on_later() {
    let Some(server) = TestServer::shared() else {
        return;
    };
    let url = server.database();
    let store = journal(&url);
    store.create(&draft(ENGINE, 1), &call(0)).await.unwrap();
    let mut locking = client(&url).await;
    let lock = locking.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE capcut_mcp.drafts")
        .await
        .unwrap();
    let waiting: Vec<_> = (0..super::super::database::CONNECTIONS)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.list(false, 10, None).await })
        })
        .collect();
    // All of them wait for the lock.
    let watching = client(&url).await;
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while watching
        .query_one(waits, &[])
        .await
        .unwrap()
        .get::<_, i64>(0)
        < i64::try_from(waiting.len()).unwrap()
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = store.find(&id(1)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Busy, "{error}");
    assert!(error.to_string().contains("all 10 connections"), "{error}");
    lock.rollback().await.unwrap();
    for listed in waiting {
        assert_eq!(listed.await.unwrap().unwrap().len(), 1);
    }
    assert!(store.find(&id(1)).await.unwrap().is_some());
}

/// A cancelled call leaves its connection usable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_calls_leave_the_store_usable() {
    let Some(server) = TestServer::shared() else {
        return;
    };
    let store = journal(&server.database());
    store.create(&draft(ENGINE, 1), &call(0)).await.unwrap();
    for _ in 0..100 {
        let store = Arc::clone(&store);
        let task = tokio::spawn(async move {
            let _ = store
                .append(ENGINE, &id(1), &call(1), CallPosition::End)
                .await;
            let _ = store.list(true, 10, None).await;
        });
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..4000))).await;
        task.abort();
    }
    let last = store
        .append(ENGINE, &id(1), &call(1), CallPosition::End)
        .await;
    let Appended::Done(last) = last.unwrap() else {
        panic!("it was sent once");
    };
    let records = store.records(ENGINE, &id(1), 0).await.unwrap();
    assert_eq!(records.len() as u64, last + 1);
    store.check().await.unwrap();
}
