//! The stored state: the journal and its trash, and files that are kept for a limited time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Finding, broken};
use crate::engine::package::{prune_backups, prune_made};
use crate::exec::App;
use crate::journal::Journal;
use crate::local::preview_draft;
use crate::media::{self, Removed};
use crate::printable::counted;
use crate::units::Edition;

/// Whether every acknowledged call can be read.
pub(super) async fn journal(journal: &Arc<Journal>) -> Finding {
    const WHAT: &str = "journal";
    let Some(path) = journal.path().filter(|path| path.exists()) else {
        return Finding::ok(WHAT, "none yet; the first draft creates it");
    };
    let drafts = match journal.check().await {
        Ok(()) => journal.list(false, usize::MAX, None).await,
        Err(error) => Err(error),
    };
    match drafts {
        Ok(drafts) => Finding::ok(
            WHAT,
            format!(
                "{} ({}), intact",
                path.display(),
                counted(drafts.len(), "draft")
            ),
        ),
        Err(error) => broken(WHAT, &error),
    }
}

/// Removes temporary files that are older than `age`: previews, backups of drafts, fetched media.
pub(super) fn prune(app: &App, age: Duration) -> Vec<Finding> {
    let Ok(data) = app.settings.data_dir() else {
        return Vec::new();
    };
    let apps = Edition::ALL
        .iter()
        .flat_map(|edition| app.settings.drafts_dirs(*edition));
    let drafts: BTreeSet<PathBuf> = apps.cloned().chain([data.join("drafts")]).collect();
    let backups = drafts.iter().map(|drafts| prune_backups(drafts, age));
    let mended = prune_made(&data.join("backups"), age, made_by_lint);
    let backups = backups
        .chain([mended])
        .fold(Removed::default(), |all, one| Removed {
            files: all.files + one.files,
            bytes: all.bytes + one.bytes,
        });
    // Media past their maximum age are never used again.
    let media_age = age.min(Duration::from_secs(app.manifest.limits.media.cache_age_s));
    [
        ("previews", preview_draft::prune_older(data, age)),
        ("backups", backups),
        ("fetched media", media::prune_older(data, media_age)),
    ]
    .map(|(what, Removed { files, bytes })| {
        Finding::ok(
            what,
            format!(
                "removed {} of {bytes} bytes",
                counted(files as usize, "file")
            ),
        )
    })
    .into()
}

/// Removes what has expired from object storage, if there is any.
pub(super) async fn bucket(app: &App) -> Option<Finding> {
    const WHAT: &str = "stored objects";
    if !app.storage.is_bucket() {
        return None;
    }
    Some(match app.sweep(0).await {
        Ok(swept) => Finding::ok(WHAT, swept.to_string()),
        Err(error) => broken(WHAT, &error),
    })
}

/// When `lint --fix` made a backup, in microseconds. Its name ends with the second, plus a number if there were several
/// in one second.
fn made_by_lint(name: &str) -> Option<i64> {
    let mut parts = name.rsplit('-').map(|part| part.parse::<i64>().ok());
    // Seconds since 1970 exceed this since 2001; a smaller number is the counter within one second.
    let is_time = |second: &i64| *second >= 1_000_000_000;
    let last = parts.next()??;
    let second = Some(last)
        .filter(is_time)
        .or_else(|| parts.next()?.filter(is_time))?;
    second.checked_mul(1_000_000)
}

/// The deleted drafts. With `older_than`, those of at least this age are permanently removed.
pub(super) async fn trash(journal: &Arc<Journal>, older_than: Option<Duration>) -> Finding {
    const WHAT: &str = "trash";
    if journal.path().is_none_or(|path| !path.exists()) {
        return Finding::ok(WHAT, "empty");
    }
    if let Some(age) = older_than {
        return match journal.empty_trash(age).await {
            Ok(gone) if age > Duration::ZERO => {
                let drafts = counted(gone as usize, "draft");
                Finding::ok(WHAT, format!("permanently removed {drafts}"))
            }
            Ok(gone) => {
                let drafts = counted(gone as usize, "draft");
                Finding::ok(WHAT, format!("emptied: permanently removed {drafts}"))
            }
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
        Ok(count) => Finding::ok(WHAT, counted(count, "draft"))
            .hint("`delete_draft` with `restore` restores one, `doctor --empty-trash` permanently deletes them"),
        Err(error) => broken(WHAT, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_backups_say_when_they_were_made() {
        for (name, expected) in [
            ("trip-1764000000", Some(1_764_000_000_000_000)),
            ("my-trip-2-1764000000-3", Some(1_764_000_000_000_000)),
            ("trip-3", None),
            ("trip-1764000000-mine", None),
            ("notes of mine.txt", None),
        ] {
            assert_eq!(made_by_lint(name), expected, "{name}");
        }
    }
}
