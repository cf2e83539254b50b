//! What was acknowledged, held against the draft itself.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Document;
use super::layout::Item;
use super::plan::Section;
use super::report::{Row, Status};
use crate::error::{Error, Kind};

/// What was acknowledged but is not in the draft has failed; gives what is to be said of tracks that have
/// more segments than before the run and what it put there.
pub(super) fn verify(
    document: &Document,
    items: &[&Item],
    rows: &mut [Row],
    before: &BTreeMap<String, usize>,
) -> Vec<String> {
    let mut wanted = before.clone();
    let mut captioned: BTreeSet<&str> = BTreeSet::new();
    for (item, row) in items.iter().zip(rows.iter_mut()) {
        debug_assert_eq!(item.path, row.item, "rows are in the order of their items");
        // Keyframes cannot be seen on a reference server before a refresh, which would probe all media again.
        if item.section == Section::Keyframes {
            continue;
        }
        if item.section == Section::Subtitles {
            captioned.insert(item.track());
        }
        match (row.status, document.place_of(item)) {
            (Status::Ok, Some((start, end))) => {
                row.start = row.start.or(Some(start));
                row.end = row.end.or(Some(end));
                if row.tries > 0 {
                    let track = item.track().to_owned();
                    *wanted.entry(track).or_default() += 1;
                }
            }
            (Status::Ok, None) => row.fail(
                &Error::new(
                    Kind::Unavailable,
                    "was acknowledged, but it is not in the draft",
                )
                .hint("take the run up again with `resume`: only what is missing is done"),
            ),
            (Status::Failed, Some(_)) if row.tries > 0 => {
                row.notes
                    .push("something is in its place all the same".to_owned());
            }
            _ => {}
        }
    }
    let mut more = Vec::new();
    for (track, found) in document.counts() {
        let wanted = wanted.get(&track).copied().unwrap_or_default();
        // How many captions there are only the captions tell.
        if found > wanted && !captioned.contains(track.as_str()) {
            more.push(format!(
                "track {track:?} has {found} segments, of which this run knows {wanted}: look at the draft"
            ));
        }
    }
    more
}
