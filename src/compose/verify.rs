//! Compares acknowledged items with the draft itself.

use std::collections::{BTreeMap, BTreeSet};

use super::document::DraftSegments;
use super::item::Item;
use super::report::{ItemReport, ItemStatus};
use super::section::Section;
use crate::engine::edit::is_track_of_captions;
use crate::error::{Error, Kind};
use crate::printable::counted;

/// Fails items that were acknowledged but are not in the draft. Returns notes about tracks that have more segments than
/// before the run plus its own. Each segment counts for one item only: of two items at one position of which one
/// is lost, only one is accepted.
pub(super) fn verify(
    document: &DraftSegments,
    items: &[&Item],
    rows: &mut [ItemReport],
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
    .hint("run the plan again with `resume`: only missing items are added");
    for (item, row) in items.iter().zip(rows.iter_mut()) {
        debug_assert_eq!(item.path, row.item, "rows are in the order of their items");
        if item.section == Section::Keyframes {
            if row.status != ItemStatus::Ok {
                continue;
            }
            if !shows_keyframes {
                // A reference server shows them only after a refresh, which would probe all media again.
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
            (ItemStatus::Ok, Some(place)) => {
                taken.insert((item.track(), place.index));
                row.start = row.start.or(Some(place.start));
                row.end = row.end.or(Some(place.end));
                if row.tries > 0 {
                    let track = item.track().to_owned();
                    *wanted.entry(track).or_default() += 1;
                }
            }
            (ItemStatus::Ok, None) => row.fail(&lost),
            (ItemStatus::Failed, Some(_)) => {
                row.notes.push(
                    "the draft has a segment at its position nevertheless: check the draft"
                        .to_owned(),
                );
            }
            _ => {}
        }
    }
    let mut more = Vec::new();
    for (track, found) in document.counts() {
        let wanted = wanted.get(&track).copied().unwrap_or_default();
        // The number of captions is not known from the item, so tracks of captions are skipped.
        let has_captions = || {
            let mut captioned = captioned.iter();
            captioned.any(|meant| is_track_of_captions(meant, &track))
        };
        if found > wanted && !has_captions() {
            more.push(format!(
                "track {track:?} has {}, but this run expected {wanted}: check the draft",
                counted(found, "segment")
            ));
        }
    }
    more
}
