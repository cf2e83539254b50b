//! What is exported from one store and imported into another is the same there.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::journal::contract::{SERVER, call, draft, id};
use crate::journal::{
    CallPosition, CreationClaim, CreationState, ENGINE, Fence, JobAdded, JobReport, NewJob,
    NewRecord, SyncMode, in_folder, in_postgres, now_ms,
};

type Opened = Arc<dyn PortableStore>;

/// Empty stores: two folders, and two databases if PostgreSQL is installed.
fn stores() -> (Vec<TempDir>, Vec<Opened>) {
    let folders = vec![tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut stores: Vec<Opened> = folders
        .iter()
        .map(|folder| in_folder(Some(folder.path()), SyncMode::Normal))
        .collect();
    #[cfg(unix)]
    if let Some(server) = crate::journal::postgres::test_server::TestServer::shared() {
        stores.extend((0..2).map(|_| in_postgres(&server.database()).unwrap()));
    }
    (folders, stores)
}

fn tenant(name: &str) -> TenantName {
    name.parse().unwrap()
}

async fn content(store: &Opened, who: &TenantName) -> Vec<StorePart> {
    let (sender, mut receiver) = mpsc::channel(1);
    let mut parts = Vec::new();
    let (done, ()) = tokio::join!(store.export(who, sender), async {
        while let Some(part) = receiver.recv().await {
            parts.push(part);
        }
    });
    done.unwrap();
    // Calls are divided into parts by how they are read.
    let mut whole: Vec<StorePart> = Vec::new();
    for part in parts {
        match (whole.last_mut(), part) {
            (Some(StorePart::Draft(before)), StorePart::Draft(next))
                if before.draft == next.draft =>
            {
                before.calls.extend(next.calls);
                before.documents.extend(next.documents);
            }
            (_, part) => whole.push(part),
        }
    }
    whole
}

async fn take(
    store: &Opened,
    who: &TenantName,
    parts: &[StorePart],
    existing: MergeRule,
) -> Vec<Imported> {
    store.import(who, parts, existing).await.unwrap()
}

fn job(number: u32, key: Option<&str>, runner: Option<&str>) -> NewJob {
    NewJob {
        id: format!("job_{number}"),
        kind: "compose_draft".into(),
        request: format!(r#"{{"name":"剪映 {number}"}}"#),
        state: r#"{"done":0}"#.into(),
        key: key.map(str::to_owned),
        runner: runner.map(str::to_owned),
    }
}

/// Everything that a store can have, with texts that are difficult to store.
async fn fill(store: &Opened, who: &TenantName) {
    let document = Arc::new(PackedDocument::of(b"{\"tracks\": []}").unwrap());
    let odd = "U+0000 \0, \u{1}\u{2}, \\u0000, 世界 🎬 'quoted' \"twice\"\n";
    let mut first = draft(ENGINE, 1);
    first.name = odd.to_owned();
    store.create(who, &first, &call(0)).await.unwrap();
    for sequence in 1..=450 {
        let record = NewRecord {
            found: (sequence % 3 == 0).then(|| odd.to_owned()),
            internal: sequence % 7 == 0,
            document: (sequence % 200 == 0).then(|| Arc::clone(&document)),
            name: (sequence == 300).then(|| format!("{odd} later")),
            ..call(sequence)
        };
        let at = CallPosition::Sequence(sequence);
        let _ = store
            .append(who, ENGINE, &id(1), &record, at)
            .await
            .unwrap();
    }
    store
        .set_saved(who, ENGINE, &id(1), "C:\\Drafts\\Küste", None)
        .await
        .unwrap();
    for number in 2..=4 {
        store
            .create(who, &draft(SERVER, number), &call(0))
            .await
            .unwrap();
    }
    store.delete(who, &id(2)).await.unwrap();
    let (from, to) = (id(3), id(1));
    let moved = store.set_moved(who, (SERVER, &from), 0, (ENGINE, &to));
    assert!(moved.await.unwrap());
    // The same id at another origin is another draft, with the same document.
    let opened = NewRecord {
        document: Some(document),
        ..call(0)
    };
    store.create(who, &draft(ENGINE, 4), &opened).await.unwrap();

    let lease = Duration::from_secs(60);
    for (number, key, runner) in [
        (1, Some("key \0"), None),
        (2, None, Some("runner")),
        (3, Some("other"), Some("runner")),
        (4, None, None),
    ] {
        let added = store.job_add(who, &job(number, key, runner), lease).await;
        assert_eq!(added.unwrap(), JobAdded::New);
    }
    let ended = JobReport {
        state: r#"{"done":1}"#.into(),
        draft: Some(id(1)),
    };
    let fence = Fence {
        job: "job_3".into(),
        attempt: 1,
        part: 0,
    };
    assert!(store.job_end(who, &fence, &ended).await.unwrap());
    store.job_stop(who, "job_2", "{}").await.unwrap();

    let hour = Duration::from_secs(3600);
    store
        .put_value(who, "plan \0", &[0, 255, 7], Some(hour))
        .await
        .unwrap();
    store.put_value(who, "empty", &[], None).await.unwrap();
    let gone = Duration::from_millis(1);
    store
        .put_value(who, "gone", b"x", Some(gone))
        .await
        .unwrap();
    for (key, state) in [
        ("a", CreationState::Made),
        ("b\0", CreationState::Uncertain),
    ] {
        let row = CreationRow {
            key: key.into(),
            provider: "voices".into(),
            state: CreationState::Sending,
            runner: "runner".into(),
            task: Some(odd.into()),
            cost: 0.1,
            found: None,
            claimed_ms: 0,
        };
        let claimed = store.claim_creation(who, &row, None).await.unwrap();
        let CreationClaim::Claimed(claimed) = claimed else {
            panic!("{claimed:?}");
        };
        let made = CreationRow { state, ..claimed };
        store.put_creation(who, &made).await.unwrap();
    }
    while store.value(who, "gone").await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_is_copied_is_the_same_in_every_other_store() {
    let who = tenant("alice");
    let (_folders, stores) = stores();
    let source = &stores[0];
    fill(source, &who).await;
    let all = content(source, &who).await;
    assert_eq!(all.len(), 5 + 4 + 2 + 2, "{all:#?}");
    for (number, target) in stores.iter().enumerate().skip(1) {
        // From the one before, so that each kind is read and written.
        let parts = content(&stores[number - 1], &who).await;
        let done = take(target, &who, &parts, MergeRule::Keep).await;
        let written: u64 = done
            .iter()
            .map(|done| match done {
                Imported::Written(rows) => *rows,
                other => panic!("{other:?}"),
            })
            .sum();
        assert_eq!(written, 451 + 4 + 4 + 2 + 2);
        assert_eq!(content(target, &who).await, all, "store {number}");
        assert_eq!(content(target, &TenantName::local()).await, []);
        target.check(&who).await.unwrap();
        for existing in [MergeRule::Keep, MergeRule::Replace] {
            let again = take(target, &who, &parts, existing).await;
            assert!(
                again.iter().all(|done| *done == Imported::Written(0)),
                "{again:?}"
            );
        }
        // It is a draft like others.
        let last = target.last_sequence(&who, ENGINE, &id(1)).await.unwrap();
        assert_eq!(last, Some(450));
        let found = target.find_at(&who, ENGINE, &id(1)).await.unwrap();
        let own = source.find_at(&who, ENGINE, &id(1)).await.unwrap();
        assert_eq!(found, own);
        let document = PackedDocument::of(b"{\"tracks\": []}").unwrap();
        let kept = target.document(&who, &document.hash).await.unwrap();
        assert_eq!(kept, Some(document));
        let spent = target.spent(&who, 0).await.unwrap();
        assert!((spent - 0.2).abs() < 1e-9, "{spent}");
    }
}

#[tokio::test]
async fn a_copy_that_was_interrupted_is_completed() {
    let who = TenantName::local();
    let (_folders, stores) = stores();
    fill(&stores[0], &who).await;
    let (sender, mut receiver) = mpsc::channel(1);
    let source = Arc::clone(&stores[0]);
    let sent = tokio::spawn(async move {
        let who = TenantName::local();
        source.export(&who, sender).await
    });
    let mut parts = Vec::new();
    while let Some(part) = receiver.recv().await {
        parts.push(part);
    }
    sent.await.unwrap().unwrap();
    assert!(parts.len() > 13, "the long draft has several parts");
    for target in &stores[1..] {
        // The second part alone does not fit.
        let alone = take(target, &who, &parts[1..2], MergeRule::Replace).await;
        assert_eq!(alone, [Imported::Differs(0)]);
        assert_eq!(content(target, &who).await, []);
        let _ = take(target, &who, &parts[..2], MergeRule::Replace).await;
        let before = target.last_sequence(&who, ENGINE, &id(1)).await.unwrap();
        assert!(before < Some(450), "{before:?}");
        let _ = take(target, &who, &parts, MergeRule::Replace).await;
        let all = content(&stores[0], &who).await;
        assert_eq!(content(target, &who).await, all);
    }
}

#[tokio::test]
async fn what_continued_there_is_kept_and_named() {
    let who = TenantName::local();
    let (_folders, stores) = stores();
    fill(&stores[0], &who).await;
    let before = content(&stores[0], &who).await;
    for target in &stores[1..] {
        let _ = take(target, &who, &before, MergeRule::Keep).await;
        // Both continue with other calls.
        let at = CallPosition::Sequence(451);
        let record = call(451);
        let _ = target
            .append(&who, ENGINE, &id(1), &record, at)
            .await
            .unwrap();
    }
    let record = call(451);
    let at = CallPosition::End;
    let _ = stores[0]
        .append(&who, ENGINE, &id(1), &record, at)
        .await
        .unwrap();
    let value = Some(Duration::from_secs(60));
    stores[0]
        .put_value(&who, "empty", b"new", value)
        .await
        .unwrap();
    stores[0].delete(&who, &id(4)).await.unwrap();
    let after = content(&stores[0], &who).await;
    for target in &stores[1..] {
        let there = content(target, &who).await;
        let done = take(target, &who, &after, MergeRule::Keep).await;
        assert_eq!(done[0], Imported::Differs(451));
        assert!(
            done[1..].iter().all(|done| *done == Imported::Written(0)),
            "{done:?}"
        );
        assert_eq!(content(target, &who).await, there);
        let _ = take(target, &who, &after, MergeRule::Replace).await;
        let replaced = content(target, &who).await;
        // All but the calls of the draft that differs.
        assert_eq!(replaced[1..], after[1..]);
        assert_eq!(replaced[0], there[0]);
    }
}

#[tokio::test]
async fn a_job_never_takes_the_key_of_another_one() {
    let who = TenantName::local();
    let (_folders, stores) = stores();
    let lease = Duration::from_secs(60);
    let own = job(1, Some("same"), None);
    let _ = stores[0].job_add(&who, &own, lease).await.unwrap();
    let parts = content(&stores[0], &who).await;
    for target in &stores[1..] {
        let other = job(9, Some("same"), None);
        let _ = target.job_add(&who, &other, lease).await.unwrap();
        for existing in [MergeRule::Keep, MergeRule::Replace] {
            let done = take(target, &who, &parts, existing).await;
            assert_eq!(done, [Imported::KeyTaken]);
        }
        assert_eq!(target.job_get(&who, "job_1").await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_imported_job_that_ran_is_taken_by_a_worker() {
    use crate::journal::{ClaimTerms, JobPhase};
    let who = tenant("bob");
    let (_folders, stores) = stores();
    let lease = Duration::from_secs(3600);
    let running = job(1, None, Some("elsewhere"));
    let _ = stores[0].job_add(&who, &running, lease).await.unwrap();
    let parts = content(&stores[0], &who).await;
    for target in &stores[1..] {
        let _ = take(target, &who, &parts, MergeRule::Replace).await;
        let terms = ClaimTerms {
            runner: "here".into(),
            lease,
            per_tenant: 1,
        };
        let claimed = target.job_claim(&terms).await.unwrap().unwrap();
        assert_eq!(claimed.who, who);
        assert_eq!(
            (claimed.job.attempt, claimed.job.phase),
            (2, JobPhase::Running)
        );
        // What was copied earlier does not take it away from its worker.
        let again = take(target, &who, &parts, MergeRule::Replace).await;
        assert_eq!(again, [Imported::Written(0)]);
        let there = target.job_get(&who, "job_1").await.unwrap().unwrap();
        assert_eq!(there.attempt, 2);
        assert!(there.updated_ms <= now_ms());
    }
}
