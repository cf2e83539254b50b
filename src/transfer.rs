//! Copies of what stores contain: from a store into another one, into a backup, and out of one.
//!
//! What a store has is sent tenant by tenant, each as it is at one moment, while servers go on using it. Writing adds what is
//! missing, so that a copy that was interrupted is completed by the next one. Afterwards everything is read again from where
//! it was written and compared.

mod backup;
mod fingerprints;
mod place;

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::access::TenantName;
use crate::error::{Error, Kind, Result};
use crate::exec::jobs;
use crate::journal::{Imported, JobPhase, MergeRule, StorePart};

pub(crate) use backup::{BackupFile, BackupWriter};
use fingerprints::Fingerprints;
pub(crate) use place::StorePlace;

/// How many parts may wait for the receiver.
const AHEAD: usize = 4;
/// What is written at once: about this number of bytes, and at most this number of parts.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_PARTS: usize = 200;
/// The report names at most this number of differences.
const NAMED: usize = 20;

/// Where content is read.
#[async_trait]
pub(crate) trait TransferSource: Send + Sync {
    /// Sends everything; returns early if no one receives.
    async fn send(&self, to: mpsc::Sender<(TenantName, StorePart)>) -> Result<()>;
}

/// Where content is written.
#[async_trait]
pub(crate) trait TransferTarget: Send {
    async fn put(
        &mut self,
        who: &TenantName,
        parts: Vec<StorePart>,
        existing: MergeRule,
    ) -> Result<Vec<Imported>>;

    /// What was put is complete and on the disk.
    async fn finish(&mut self) -> Result<()>;
}

/// How content is copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransferTerms {
    /// What becomes of what is there already, but different.
    pub existing: MergeRule,
    pub open_jobs: OpenJobs,
}

/// What becomes of jobs that wait or run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenJobs {
    /// They are not copied: the servers of the source run them.
    LeaveOut,
    Include,
    /// They are copied as interrupted: what they did after the copy was made is not known, so that none continues by itself.
    Interrupt,
}

/// What was copied.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct TransferReport {
    /// How many names have something.
    pub tenants: usize,
    pub drafts: usize,
    pub calls: u64,
    pub jobs: usize,
    /// Requests to providers that may have cost money.
    pub creations: usize,
    /// Tokens, sessions, plans and other small values.
    pub values: usize,
    /// How many calls and other rows were missing or different where they were written.
    pub written: u64,
    /// Jobs that wait or run and were not copied.
    pub open_jobs_left_out: usize,
    /// What is not the same in both, the first of them by name.
    pub differences: usize,
    pub different: Vec<String>,
}

impl TransferReport {
    fn differ(&mut self, what: String) {
        self.differences += 1;
        if self.different.len() < NAMED {
            self.different.push(what);
        }
    }

    fn count(&mut self, part: &StorePart) {
        match part {
            StorePart::Draft(part) => {
                self.calls += part.calls.len() as u64;
                let is_first = part.calls.first().is_some_and(|call| call.sequence == 0);
                self.drafts += usize::from(is_first);
            }
            StorePart::Job(_) => self.jobs += 1,
            StorePart::Value(_) => self.values += 1,
            StorePart::Creation(_) => self.creations += 1,
        }
    }
}

/// Copies everything, and compares it with what is there afterwards: `again` reads what `to` has written. `told` is given the
/// counts so far after each batch.
pub(crate) async fn transfer(
    from: &dyn TransferSource,
    to: &mut dyn TransferTarget,
    again: &dyn TransferSource,
    terms: TransferTerms,
    told: &(dyn Fn(&TransferReport) + Sync),
) -> Result<TransferReport> {
    let mut report = TransferReport::default();
    let mut expected = Fingerprints::default();
    let (sender, receiver) = mpsc::channel(AHEAD);
    let written = write(receiver, to, terms, &mut report, &mut expected, told);
    let (sent, written) = tokio::join!(from.send(sender), written);
    // If writing failed, sending ended early, without an error of its own.
    written?;
    sent?;
    to.finish().await?;
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    let mut seen = Fingerprints::following(&expected);
    let compared = async {
        while let Some((who, part)) = receiver.recv().await {
            seen.add(&who, &part)?;
        }
        Ok::<_, Error>(())
    };
    let (sent, compared) = tokio::join!(again.send(sender), compared);
    compared?;
    sent?;
    for what in expected.missing_in(&seen, terms.existing) {
        report.differ(what);
    }
    Ok(report)
}

async fn write(
    mut from: mpsc::Receiver<(TenantName, StorePart)>,
    to: &mut dyn TransferTarget,
    terms: TransferTerms,
    report: &mut TransferReport,
    expected: &mut Fingerprints,
    told: &(dyn Fn(&TransferReport) + Sync),
) -> Result<()> {
    let mut batch = TransferBatch::default();
    while let Some((who, part)) = from.recv().await {
        if batch.who.as_ref() != Some(&who) {
            batch.write(to, terms, report, expected).await?;
            batch.who = Some(who.clone());
            report.tenants += 1;
        }
        let Some(part) = under(terms.open_jobs, part)? else {
            report.open_jobs_left_out += 1;
            continue;
        };
        report.count(&part);
        expected.add(&who, &part)?;
        batch.bytes += part.bytes();
        batch.parts.push(part);
        if batch.bytes >= BATCH_BYTES || batch.parts.len() >= BATCH_PARTS {
            batch.write(to, terms, report, expected).await?;
            told(report);
        }
    }
    batch.write(to, terms, report, expected).await
}

/// The part as it is copied; `None` if it is not.
fn under(rule: OpenJobs, part: StorePart) -> Result<Option<StorePart>> {
    let StorePart::Job(mut job) = part else {
        return Ok(Some(part));
    };
    if job.phase != JobPhase::Ended {
        match rule {
            OpenJobs::LeaveOut => return Ok(None),
            OpenJobs::Include => {}
            OpenJobs::Interrupt => {
                job.phase = JobPhase::Ended;
                job.state = jobs::interrupted(&job.kind, &job.state)?;
            }
        }
    }
    Ok(Some(StorePart::Job(job)))
}

/// Parts of one tenant that are written together.
#[derive(Default)]
struct TransferBatch {
    who: Option<TenantName>,
    parts: Vec<StorePart>,
    bytes: usize,
}

impl TransferBatch {
    async fn write(
        &mut self,
        to: &mut dyn TransferTarget,
        terms: TransferTerms,
        report: &mut TransferReport,
        expected: &mut Fingerprints,
    ) -> Result<()> {
        let parts = std::mem::take(&mut self.parts);
        self.bytes = 0;
        let Some(who) = self.who.as_ref().filter(|_| !parts.is_empty()) else {
            return Ok(());
        };
        let names: Vec<_> = parts.iter().map(fingerprints::name).collect();
        let done = to.put(who, parts, terms.existing).await?;
        for (name, done) in names.into_iter().zip(done) {
            let how = match done {
                Imported::Written(rows) => {
                    report.written += rows;
                    continue;
                }
                Imported::Differs(sequence) => format!("has another call {sequence} there"),
                Imported::KeyTaken => "has the idempotency key of another job there".to_owned(),
            };
            if expected.forget(who, &name) {
                report.differ(format!("{name} of {} {how}", who.as_str()));
            }
        }
        Ok(())
    }
}

/// What a command says if not all is the same.
pub(crate) fn not_the_same(report: &TransferReport, target: &str) -> Option<Error> {
    if report.differences == 0 {
        return None;
    }
    let mut text = format!(
        "{} of the copy differ from what is in the {target}:",
        crate::printable::counted(report.differences, "entry").replace("entrys", "entries")
    );
    for what in &report.different {
        text.push_str("\n  ");
        text.push_str(what);
    }
    if report.differences > report.different.len() {
        text.push_str(&format!(
            "\n  and {} others",
            report.differences - report.different.len()
        ));
    }
    Some(Error::new(Kind::Conflict, text).hint(
        "nothing that was there is lost, and everything else was copied; if servers use the target, stop them and run this again, or copy into an empty store",
    ))
}
