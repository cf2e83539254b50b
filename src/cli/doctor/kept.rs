//! What is kept of drafts: the journal and the trash in it.

use std::sync::Arc;
use std::time::Duration;

use super::{Finding, broken};
use crate::journal::Journal;

/// Whether everything that was acknowledged can be read.
pub(super) async fn journal(journal: &Arc<Journal>) -> Finding {
    const WHAT: &str = "journal";
    let Some(path) = journal.path().filter(|path| path.exists()) else {
        return Finding::ok(WHAT, "none yet; the first draft makes it");
    };
    let drafts = match journal.check().await {
        Ok(()) => journal.list(false, usize::MAX, None).await,
        Err(error) => Err(error),
    };
    match drafts {
        Ok(drafts) => Finding::ok(
            WHAT,
            format!("{} ({} drafts), sound", path.display(), drafts.len()),
        ),
        Err(error) => broken(WHAT, &error),
    }
}

/// The drafts that were deleted; forgotten for good if that is wanted.
pub(super) async fn trash(journal: &Arc<Journal>, empty: bool) -> Finding {
    const WHAT: &str = "trash";
    if journal.path().is_none_or(|path| !path.exists()) {
        return Finding::ok(WHAT, "empty");
    }
    if empty {
        return match journal.empty_trash(Duration::ZERO).await {
            Ok(gone) => Finding::ok(WHAT, format!("emptied: {gone} drafts are gone for good")),
            Err(error) => broken(WHAT, &error),
        };
    }
    let drafts = journal.list(true, usize::MAX, None).await;
    let deleted = drafts.map(|drafts| {
        let deleted = drafts.iter().filter(|row| row.deleted_ms.is_some());
        deleted.count()
    });
    match deleted {
        Ok(0) => Finding::ok(WHAT, "empty"),
        Ok(count) => Finding::ok(WHAT, format!("{count} drafts"))
            .hint("`delete_draft` with `restore` takes one out, `doctor --empty-trash` forgets them for good"),
        Err(error) => broken(WHAT, &error),
    }
}
