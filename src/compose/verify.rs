//! What was acknowledged, held against the draft itself.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Document;
use super::layout::Item;
use super::plan::Section;
use super::report::{Row, Status};
use crate::engine::edit::is_track_of_captions;
use crate::error::{Error, Kind};
use crate::printable::counted;

/// What was acknowledged but is not in the draft has failed; gives what is to be said of tracks that have
/// more segments than before the run and what it put there. A segment is one item's, so that of two items for one
/// place, of which one is lost, not both are taken for there.
pub(super) fn verify(
    document: &Document,
    items: &[&Item],
    rows: &mut [Row],
    before: &BTreeMap<String, usize>,
    shows_keyframes: bool,
) -> Vec<String> {
    let mut wanted = before.clone();
    let mut captioned: BTreeSet<&str> = BTreeSet::new();
    let mut taken: BTreeSet<(&str, usize)> = BTreeSet::new();
    let lost = Error::new(
        Kind::Unavailable,
        "was acknowledged, but it is not in the draft",
    )
    .hint("take the run up again with `resume`: only what is missing is done");
    for (item, row) in items.iter().zip(rows.iter_mut()) {
        debug_assert_eq!(item.path, row.item, "rows are in the order of their items");
        if item.section == Section::Keyframes {
            if row.status != Status::Ok {
                continue;
            }
            if !shows_keyframes {
                // On a reference server they are seen after a refresh, which would probe all media again.
                row.notes.push(
                    "was acknowledged; the server does not show keyframes before a save, so it was not checked"
                        .to_owned(),
                );
            } else if !document.holds(item) {
                row.fail(&lost);
            }
            continue;
        }
        let is_captions = item.section == Section::Subtitles;
        if is_captions {
            captioned.insert(item.track());
        }
        let places = document.places_of(item);
        let free = places
            .iter()
            .find(|place| is_captions || !taken.contains(&(item.track(), place.index)));
        match (row.status, free) {
            (Status::Ok, Some(place)) => {
                taken.insert((item.track(), place.index));
                row.start = row.start.or(Some(place.start));
                row.end = row.end.or(Some(place.end));
                if row.tries > 0 {
                    let track = item.track().to_owned();
                    *wanted.entry(track).or_default() += 1;
                }
            }
            (Status::Ok, None) => row.fail(&lost),
            (Status::Failed, Some(_)) => {
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
        let has_captions = || {
            let mut captioned = captioned.iter();
            captioned.any(|meant| is_track_of_captions(meant, &track))
        };
        if found > wanted && !has_captions() {
            more.push(format!(
                "track {track:?} has {}, of which this run knows {wanted}: look at the draft",
                counted(found, "segment")
            ));
        }
    }
    more
}
