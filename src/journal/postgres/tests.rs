//! What only this store has to do; what all stores do is in the contract.

mod outages;
mod safety;

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use tokio_postgres::NoTls;

use super::super::contract::{call, draft, id};
use super::super::*;
use super::Postgres;
use super::schema::{self, STEPS, Unfit};
use super::test_server::TestServer;

/// The store of the user of this process in a database.
fn journal(url: &str) -> Arc<Journal> {
    let store = Postgres::new(url).unwrap();
    Arc::new(Journal::new(Arc::new(store), TenantName::local()))
}

async fn client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A call whose arguments name it.
fn marked(mark: &str) -> NewRecord {
    NewRecord {
        arguments: serde_json::json!(mark).to_string(),
        ..call(0)
    }
}

/// The marks of the calls of a draft after its first one, in order.
async fn marks(journal: &Journal, draft: &DraftId) -> Vec<String> {
    let records = journal.records(ENGINE, draft, 1).await.unwrap();
    let marks = records.iter().map(|record| record.arguments.as_str());
    marks.map(|mark| mark.unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_start_at_the_same_time_make_the_tables_once() {
    let Some(server) = TestServer::shared() else {
        return;
    };
    let url = server.database();
    let starting = (0..8).map(|number| {
        let url = url.clone();
        tokio::spawn(async move {
            let journal = journal(&url);
            let created = journal.create(&draft(ENGINE, number), &call(0)).await;
            created.map(|()| journal)
        })
    });
    let mut ids = HashSet::new();
    for started in join_all(starting).await {
        ids.insert(started.unwrap().unwrap().id().await.unwrap());
    }
    assert_eq!(ids.len(), 1);
    let rows = journal(&url).list(false, 100, None).await.unwrap();
    assert_eq!(rows.len(), 8);
}

#[tokio::test]
async fn a_step_is_done_once_and_older_programs_go_on() {
    const NEXT: &str =
        "ALTER TABLE capcut_mcp.drafts ADD COLUMN colour text NOT NULL DEFAULT 'red'";
    let Some(server) = TestServer::shared() else {
        return;
    };
    let url = server.database();
    let old = journal(&url);
    old.create(&draft(ENGINE, 1), &call(0)).await.unwrap();
    let steps: Vec<&str> = STEPS.iter().copied().chain([NEXT]).collect();
    let migrations = (0..4).map(|_| async {
        let mut client = client(&url).await;
        schema::migrate(&mut client, &steps).await
    });
    for migrated in join_all(migrations).await {
        assert_eq!(migrated.unwrap(), Ok(()));
    }
    // The process that was there, and one of its version that starts now.
    for journal in [&old, &journal(&url)] {
        let at = CallPosition::End;
        let added = journal.append(ENGINE, &id(1), &call(1), at).await;
        assert!(matches!(added, Ok(Appended::Done(_))), "{added:?}");
    }
    let mut client = client(&url).await;
    // A step that fails leaves nothing behind.
    let failing: Vec<&str> = steps
        .iter()
        .copied()
        .chain(["CREATE TABLE capcut_mcp.half (); SELECT 1/0"])
        .collect();
    schema::migrate(&mut client, &failing).await.unwrap_err();
    let row = client
        .query_one(
            "SELECT version, to_regclass('capcut_mcp.half') IS NULL FROM capcut_mcp.format",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), i32::try_from(steps.len()).unwrap());
    assert!(row.get::<_, bool>(1));
}

#[tokio::test]
async fn a_database_that_only_newer_programs_can_use_is_refused() {
    let Some(server) = TestServer::shared() else {
        return;
    };
    let url = server.database();
    let first = journal(&url);
    first.create(&draft(ENGINE, 1), &call(0)).await.unwrap();
    let mut client = client(&url).await;
    let newer = "UPDATE capcut_mcp.format SET version = 99, oldest_program = 98";
    client.batch_execute(newer).await.unwrap();
    assert_eq!(
        schema::migrate(&mut client, STEPS).await.unwrap(),
        Err(Unfit::Newer(99))
    );
    let error = journal(&url).list(false, 1, None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[tokio::test]
async fn every_text_is_read_as_it_was_written() {
    const ODD: &str = "a\0b\u{1}c\u{2}\\ '\"%_ 世界 🎬 \u{10ffff}";
    let Some(server) = TestServer::shared() else {
        return;
    };
    let journal = journal(&server.database());
    let odd_id = DraftId(ODD.to_owned());
    let odd = NewDraftRow {
        origin: ODD.into(),
        id: odd_id.clone(),
        name: ODD.into(),
        edition: ODD.into(),
        reason: ODD.into(),
    };
    let text = serde_json::to_string(ODD).unwrap();
    let record = NewRecord {
        tool: ODD.into(),
        arguments: text.clone(),
        found: Some(text.clone()),
        reply: text.clone(),
        ..call(0)
    };
    journal.create(&odd, &record).await.unwrap();
    let next = NewRecord {
        call: Uuid::new_v4(),
        ..record
    };
    let added = journal.append(ODD, &odd_id, &next, CallPosition::End).await;
    assert_eq!(added.unwrap(), Appended::Done(1));
    journal.set_saved(ODD, &odd_id, ODD, None).await.unwrap();
    let moved = journal.set_moved((ODD, &odd_id), 1, (ODD, &odd_id)).await;
    assert!(moved.unwrap());
    let row = journal.find(&odd_id).await.unwrap().unwrap();
    assert_eq!(row.saved_to.as_deref(), Some(ODD));
    assert_eq!(row.moved_to, Some((ODD.to_owned(), odd_id.clone())));
    for text in [&row.origin, &row.name, &row.edition, &row.reason] {
        assert_eq!(text, ODD);
    }
    let found = journal.list(false, 10, Some("B\u{1}C")).await.unwrap();
    assert_eq!(found, [row]);
    for read in journal.records(ODD, &odd_id, 0).await.unwrap() {
        assert_eq!(
            (read.tool.as_str(), read.found.as_deref()),
            (ODD, Some(&*text))
        );
        assert_eq!((&read.arguments, &read.reply), (&ODD.into(), &ODD.into()));
    }

    let key = ODD.repeat(1000);
    let job = NewJob {
        id: ODD.into(),
        kind: ODD.into(),
        request: text.clone(),
        state: text.clone(),
        key: Some(key.clone()),
        runner: Some(ODD.into()),
    };
    assert_eq!(
        journal.job_add(&job, Duration::ZERO).await.unwrap(),
        JobAdded::New
    );
    let again = NewJob {
        id: "other".into(),
        ..job.clone()
    };
    let again = journal.job_add(&again, Duration::ZERO).await.unwrap();
    assert_eq!(again, JobAdded::Exists(ODD.into()));
    let read = journal.job_get(ODD).await.unwrap().unwrap();
    assert_eq!(
        (&read.key, &*read.runner, &*read.state),
        (&Some(key.clone()), ODD, &*text)
    );
    assert!(read.is_lost);
    assert_eq!(journal.job_with_key(&key).await.unwrap(), Some(read));

    assert!(
        journal
            .set_value(ODD, None, Some(b"\0\xff"), None)
            .await
            .unwrap()
    );
    assert_eq!(
        journal.value(ODD).await.unwrap().as_deref(),
        Some(&b"\0\xff"[..])
    );
    let holder = Uuid::new_v4();
    assert!(journal.lease(ODD, holder, Duration::MAX).await.unwrap());
    assert!(journal.is_leased(ODD).await.unwrap());
    let creation = CreationRow {
        key: ODD.into(),
        provider: ODD.into(),
        state: CreationState::Waiting,
        runner: ODD.into(),
        task: Some(ODD.into()),
        cost: 0.1,
        found: Some(text),
        claimed_ms: 7,
    };
    journal.put_creation(&creation).await.unwrap();
    assert_eq!(journal.creation(ODD).await.unwrap(), Some(creation));
    journal.check().await.unwrap();
}

/// 64 tasks, each with a draft of its own, and all of them with one more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_add_each_call_once() {
    const WRITERS: u32 = 64;
    const CALLS: usize = 20;
    let Some(server) = TestServer::shared() else {
        return;
    };
    let url = server.database();
    let journals = [journal(&url), journal(&url)];
    journals[0]
        .create(&draft(ENGINE, 1000), &call(0))
        .await
        .unwrap();
    let writers = (0..WRITERS).map(|number| {
        let journal = Arc::clone(&journals[number as usize % 2]);
        tokio::spawn(async move {
            journal
                .create(&draft(ENGINE, number), &call(0))
                .await
                .unwrap();
            for count in 0..CALLS {
                let mark = format!("{number} {count}");
                let at = CallPosition::Sequence(count as u64 + 1);
                let added = journal
                    .append(ENGINE, &id(number), &marked(&mark), at)
                    .await;
                assert_eq!(added.unwrap(), Appended::Done(count as u64 + 1));
                if count % 4 == 0 {
                    let end = CallPosition::End;
                    let added = journal.append(ENGINE, &id(1000), &marked(&mark), end).await;
                    assert!(matches!(added.unwrap(), Appended::Done(_)));
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    for number in 0..WRITERS {
        let expected: Vec<String> = (0..CALLS)
            .map(|count| format!("{number} {count}"))
            .collect();
        assert_eq!(marks(&journals[0], &id(number)).await, expected);
    }
    let shared = marks(&journals[0], &id(1000)).await;
    assert_eq!(shared.len(), WRITERS as usize * CALLS / 4);
    assert_eq!(shared.iter().collect::<HashSet<_>>().len(), shared.len());
    journals[0].check().await.unwrap();
}

/// One tenant has many jobs, others a few; no tenant has more running jobs than allowed at any time, and no job is given to
/// two workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_claims_are_fair_and_keep_the_limit_per_tenant() {
    const MOST: usize = 2;
    let Some(server) = TestServer::shared() else {
        return;
    };
    let url = server.database();
    let store = Arc::new(Postgres::new(&url).unwrap());
    let tenant = |name: &str| name.parse::<TenantName>().unwrap();
    let job = |id: String| NewJob {
        id,
        kind: "compose".into(),
        request: "{}".into(),
        state: "{}".into(),
        key: None,
        runner: None,
    };
    for (name, jobs) in [("big", 60), ("one", 3), ("two", 3)] {
        for number in 0..jobs {
            let job = job(format!("{name} {number}"));
            store
                .job_add(&tenant(name), &job, Duration::ZERO)
                .await
                .unwrap();
        }
    }
    let running: Arc<std::sync::Mutex<Vec<(String, usize)>>> = Arc::default();
    let order: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let workers = (0..8).map(|worker| {
        let store = Arc::new(Postgres::new(&url).unwrap());
        let (running, order) = (Arc::clone(&running), Arc::clone(&order));
        tokio::spawn(async move {
            let terms = ClaimTerms {
                runner: format!("worker {worker}"),
                lease: Duration::from_hours(1),
                per_tenant: MOST,
            };
            while order.lock().unwrap().len() < 66 {
                let Some(claimed) = store.job_claim(&terms).await.unwrap() else {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    continue;
                };
                let name = claimed.who.as_str().to_owned();
                {
                    order.lock().unwrap().push(claimed.job.id.clone());
                    let mut running = running.lock().unwrap();
                    match running.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, count)) => *count += 1,
                        None => running.push((name.clone(), 1)),
                    }
                    assert!(
                        running.iter().all(|(_, count)| *count <= MOST),
                        "{running:?}"
                    );
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                {
                    let mut running = running.lock().unwrap();
                    let own = running.iter_mut().find(|(known, _)| *known == name);
                    own.unwrap().1 -= 1;
                }
                let fence = Fence {
                    job: claimed.job.id.as_str().into(),
                    attempt: claimed.job.attempt,
                    part: 0,
                };
                let report = JobReport {
                    state: "{}".into(),
                    draft: None,
                };
                assert!(store.job_end(&claimed.who, &fence, &report).await.unwrap());
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    let order = order.lock().unwrap();
    assert_eq!(order.iter().collect::<HashSet<_>>().len(), 66, "each once");
    let small = order.iter().rposition(|id| !id.starts_with("big")).unwrap();
    assert!(small < 30, "others waited behind a batch: {order:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_want_the_same_at_the_same_time_one_gets_it() {
    const MANY: usize = 24;
    let Some(server) = TestServer::shared() else {
        return;
    };
    let url = server.database();
    let journals = [journal(&url), journal(&url), journal(&url)];
    let own = |number: usize| Arc::clone(&journals[number % 3]);
    let leased = join_all((0..MANY).map(|number| {
        let journal = own(number);
        tokio::spawn(async move {
            journal
                .lease("a", Uuid::new_v4(), Duration::from_hours(1))
                .await
        })
    }));
    let leased = leased
        .await
        .into_iter()
        .filter(|got| *got.as_ref().unwrap().as_ref().unwrap());
    assert_eq!(leased.count(), 1);
    let set = join_all((0..MANY).map(|number| {
        let journal = own(number);
        tokio::spawn(async move {
            journal
                .set_value("v", None, Some(number.to_string().as_bytes()), None)
                .await
        })
    }));
    let set = set
        .await
        .into_iter()
        .filter(|set| *set.as_ref().unwrap().as_ref().unwrap());
    assert_eq!(set.count(), 1);
    let added = join_all((0..MANY).map(|number| {
        let journal = own(number);
        let job = NewJob {
            id: number.to_string(),
            kind: "compose".into(),
            request: "{}".into(),
            state: "{}".into(),
            key: Some("same".into()),
            runner: None,
        };
        tokio::spawn(async move { journal.job_add(&job, Duration::ZERO).await })
    }));
    let added: Vec<JobAdded> = added
        .await
        .into_iter()
        .map(|added| added.unwrap().unwrap())
        .collect();
    assert_eq!(
        added
            .iter()
            .filter(|added| **added == JobAdded::New)
            .count(),
        1
    );
    // Creations of 0.1 each, with other keys, in a budget of 0.5.
    let budget = Some(Budget {
        most: 0.5,
        since_ms: 0,
    });
    let claims = join_all((0..MANY).map(|number| {
        let journal = own(number);
        let row = CreationRow {
            key: number.to_string(),
            provider: "voice".into(),
            state: CreationState::Sending,
            runner: String::new(),
            task: None,
            cost: 0.1,
            found: None,
            claimed_ms: 0,
        };
        tokio::spawn(async move { journal.claim_creation(&row, budget).await })
    }));
    let claims: Vec<CreationClaim> = claims
        .await
        .into_iter()
        .map(|claim| claim.unwrap().unwrap())
        .collect();
    let claimed = claims
        .iter()
        .filter(|claim| matches!(claim, CreationClaim::Claimed(_)));
    assert_eq!(claimed.count(), 5);
    assert!((journals[0].spent(0).await.unwrap() - 0.5).abs() < 1e-9);
}

#[tokio::test]
async fn a_process_learns_of_jobs_of_another_one() {
    let Some(server) = TestServer::shared() else {
        return;
    };
    let url = server.database();
    let (one, other) = (Postgres::new(&url).unwrap(), journal(&url));
    let most = Duration::from_mins(10);
    // It says once that it listens now.
    one.jobs_changed(most).await;
    let job = NewJob {
        id: "a".into(),
        kind: "compose".into(),
        request: "{}".into(),
        state: "{}".into(),
        key: None,
        runner: None,
    };
    other.job_add(&job, Duration::ZERO).await.unwrap();
    one.jobs_changed(most).await;
    let terms = ClaimTerms {
        runner: "one".into(),
        lease: Duration::from_hours(1),
        per_tenant: 1,
    };
    let claimed = one.job_claim(&terms).await.unwrap().unwrap();
    other.job_stop("a", "{}").await.unwrap();
    one.jobs_changed(most).await;
    let fence = Fence {
        job: "a".into(),
        attempt: claimed.job.attempt,
        part: 0,
    };
    let beat = one.job_beat(&claimed.who, &fence, None, Duration::from_hours(1));
    assert_eq!(beat.await.unwrap(), Beat::Stop);
}
