//! The lines of a batch, in a report file or in the store beside its job: with them, a batch that was killed continues where
//! it stopped.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::report::{BatchLine, PlanKey};
use crate::error::{Error, Kind, Result};
use crate::journal::{self, Fence, Journal};
use crate::regular_file::{self, Links};

/// Where the lines of a batch are kept.
#[derive(Clone, Debug)]
pub(crate) enum ReportPlace {
    Nowhere,
    /// A file. Lines are appended as drafts finish; it is locked by this process.
    File(PathBuf),
    /// Beside the job with this right to write.
    Job(Arc<Journal>, Fence),
}

/// The lines of a batch.
pub(super) enum BatchLog {
    Nowhere,
    File {
        file: Mutex<File>,
        known: ReportedLines,
    },
    Job(Arc<Journal>, Fence),
}

/// The last line of every plan in a report.
pub(super) type ReportedLines = HashMap<PlanKey, BatchLine>;

impl BatchLog {
    /// Opens or creates a report.
    pub(super) fn open(place: &ReportPlace) -> Result<Self> {
        match place {
            ReportPlace::Nowhere => Ok(Self::Nowhere),
            ReportPlace::File(path) => Self::open_file(path),
            ReportPlace::Job(journal, fence) => Ok(Self::Job(Arc::clone(journal), fence.clone())),
        }
    }

    fn open_file(path: &Path) -> Result<Self> {
        let failed = |e| {
            Error::invalid(format!("the report {} cannot be written", path.display())).source(e)
        };
        let mut file = regular_file::append(path, Links::Refuse).map_err(|error| {
            failed(error).hint("use a file that a batch wrote, or one that does not exist yet")
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::conflict(format!(
                    "the report {} is in use by another batch",
                    path.display()
                ))
                .hint("wait until that batch has finished")
                .at_shell("use another file with `--report`"));
            }
            // Some network file systems have no locks.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                tracing::warn!("the report {} cannot be locked: {error}", path.display());
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let (known, whole) = read(BufReader::new(&file), path)?;
        if !whole {
            // New lines start after the unfinished one.
            file.write_all(b"\n").map_err(failed)?;
        }
        let file = Mutex::new(file);
        Ok(Self::File { file, known })
    }

    /// The last line of a plan, from before this run.
    pub(super) async fn before(&self, key: &PlanKey) -> Result<Option<BatchLine>> {
        match self {
            Self::Nowhere => Ok(None),
            Self::File { known, .. } => Ok(known.get(key).cloned()),
            Self::Job(_, fence) if fence.attempt <= 1 => Ok(None),
            Self::Job(journal, fence) => {
                let line = journal.value(&row_key(fence, key)).await?;
                // A line of another version may have another form: then only the journal is used.
                Ok(line.and_then(|line| serde_json::from_slice(&line).ok()))
            }
        }
    }

    /// Adds the last line of a plan.
    pub(super) async fn add(&self, key: &PlanKey, line: &BatchLine) -> Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::File { file, .. } => Self::append(file, line),
            Self::Job(journal, fence) => {
                // Links expire, and may name a key of the storage: each answer has new ones.
                let line = BatchLine {
                    download_url: line.download_url.as_ref().map(|_| String::new()),
                    ..line.clone()
                };
                let line = serde_json::to_vec(&line)
                    .map_err(|e| Error::internal("a line of the report").source(e))?;
                let lasts = Some(journal::KEPT);
                journal.put_value(&row_key(fence, key), &line, lasts).await
            }
        }
    }

    /// Adds the line of a draft that was just begun. Beside a job it is not needed: the ids of its drafts are known, and those
    /// of a server are in the journal.
    pub(super) fn add_begun(&self, line: &BatchLine) -> Result<()> {
        match self {
            Self::Nowhere | Self::Job(..) => Ok(()),
            Self::File { file, .. } => Self::append(file, line),
        }
    }

    fn append(file: &Mutex<File>, line: &BatchLine) -> Result<()> {
        let mut text = serde_json::to_string(line)
            .map_err(|e| Error::internal("a line of the report").source(e))?;
        text.push('\n');
        let mut file = file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|e| Error::new(Kind::Unavailable, "the report cannot be written").source(e))
    }
}

/// The key of a line in the store.
fn row_key(fence: &Fence, key: &PlanKey) -> String {
    format!("row {} {} {}", fence.job, key.print, key.occurrence)
}

/// The beginning of every line of a report.
const LINE_START: &[u8] = b"{\"index\":";
/// A file with a longer line is not a report.
const LINE_BYTES: u64 = 16 << 20;

/// The last line of every plan, and whether the last line of the file is complete. A line that was cut off by a kill,
/// possibly within a character, is skipped; a file with any other content is not a report.
fn read(mut report: impl BufRead, path: &Path) -> Result<(ReportedLines, bool)> {
    let mut lines = ReportedLines::new();
    // Reports of earlier versions distinguish plans with the same content by their indexes.
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    let mut text = Vec::new();
    let mut whole = true;
    for number in 1.. {
        text.clear();
        let count = report
            .by_ref()
            .take(LINE_BYTES)
            .read_until(b'\n', &mut text)
            .map_err(|e| {
                Error::invalid(format!("the report {} cannot be read", path.display())).source(e)
            })?;
        if count == 0 {
            break;
        }
        whole = text.ends_with(b"\n");
        let text = text.trim_ascii();
        let line = match serde_json::from_slice::<BatchLine>(text) {
            Ok(line) => line,
            Err(error) => {
                let is_cut = (text.starts_with(LINE_START) || LINE_START.starts_with(text))
                    && (error.is_eof() || error.is_syntax());
                if is_cut {
                    continue;
                }
                return Err(Error::invalid(format!(
                    "{} is not a report of a batch (line {number}), so nothing was written to it",
                    path.display()
                ))
                .hint("use a file that a batch wrote, or one that does not exist yet"));
            }
        };
        let occurrence = line.occurrence.unwrap_or_else(|| {
            let places = places.entry(line.plan.clone()).or_default();
            let known = places.iter().position(|index| *index == line.index);
            known.unwrap_or_else(|| {
                places.push(line.index);
                places.len() - 1
            })
        });
        let key = PlanKey {
            print: line.plan.clone(),
            occurrence,
        };
        let draft_id = line.draft_id.clone();
        let before = lines.insert(key.clone(), line);
        if let (Some(before), None) = (before, draft_id)
            && let Some(line) = lines.get_mut(&key)
        {
            line.draft_id = before.draft_id;
        }
    }
    Ok((lines, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::batch::BatchEntry;
    use crate::compose::plan::Plan;

    fn open(path: &Path) -> Result<BatchLog> {
        BatchLog::open(&ReportPlace::File(path.to_owned()))
    }

    fn read_back(path: &Path) -> ReportedLines {
        match open(path).unwrap() {
            BatchLog::File { known, .. } => known,
            _ => unreachable!("it is a file"),
        }
    }

    #[test]
    fn a_report_cut_off_within_a_character_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.jsonl");
        let entry = BatchEntry::new("茶具".to_owned(), Ok(Plan::default()));
        let key = |occurrence| PlanKey {
            print: "p".to_owned(),
            occurrence,
        };
        let line = |index, status| BatchLine::new(index, &entry, &key(index), status);
        let log = open(&path).unwrap();
        log.add_begun(&line(0, "complete")).unwrap();
        drop(log);
        let whole = std::fs::read(&path).unwrap();
        let cut = whole.windows(3).position(|three| three == "具".as_bytes());
        let cut = &whole[..=cut.unwrap()];
        std::fs::write(&path, [&whole[..], cut].concat()).unwrap();
        let log = open(&path).unwrap();
        log.add_begun(&line(1, "complete")).unwrap();
        log.add_begun(&line(2, "started")).unwrap();
        let busy = open(&path).err().unwrap();
        assert_eq!(busy.kind, Kind::Conflict, "{busy}");
        drop(log);
        let lines = read_back(&path);
        let status = |index| lines[&key(index)].status.as_str();
        assert_eq!([0, 1, 2].map(status), ["complete", "complete", "started"]);
    }

    #[test]
    fn reports_of_earlier_versions_distinguish_equal_plans_by_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.jsonl");
        let line = |index, status| {
            format!(
                "{{\"index\":{index},\"label\":\"l\",\"plan\":\"p\",\"status\":\"{status}\"}}\n"
            )
        };
        let text = line(3, "started") + &line(5, "failed") + &line(3, "complete");
        std::fs::write(&path, text).unwrap();
        let lines = read_back(&path);
        let status = |occurrence| {
            let print = "p".to_owned();
            lines[&PlanKey { print, occurrence }].status.clone()
        };
        assert_eq!([0, 1].map(status), ["complete", "failed"]);
    }

    #[test]
    fn a_file_that_is_not_a_report_is_refused_and_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for text in [
            "My thesis\n",
            "My thesis",
            "{\"index\": 1}\n",
            "{\"index\":1,\"name\":\"mine\"}\n",
            "[]\n",
            "\n\n\0",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = open(&path).err().expect(text);
            assert_eq!(error.kind, Kind::InvalidArgument, "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        for text in ["", "\n", "{\"index\":0,\"la", "{\"in"] {
            std::fs::write(&path, text).unwrap();
            assert!(open(&path).is_ok(), "{text:?}");
        }
        assert!(open(folder.path()).is_err(), "a folder");
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            assert!(open(&link).is_err(), "a link");
        }
    }

    #[test]
    fn a_report_with_a_huge_line_is_refused_without_reading_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.jsonl");
        // The file is sparse: it needs no disk space, but reading it whole would need 64 GB of memory.
        let file = File::create(&path).unwrap();
        file.set_len(64 << 30).unwrap();
        let error = open(&path).err().unwrap();
        assert_eq!(error.kind, Kind::InvalidArgument, "{error}");
        assert!(error.to_string().contains("line 1"), "{error}");
        assert_eq!(file.metadata().unwrap().len(), 64 << 30);
    }
}
