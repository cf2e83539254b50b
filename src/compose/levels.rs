//! `loudness_lufs` of a sound or video: the volume at which the part that it plays has this loudness.

use std::collections::BTreeSet;

use capcut_draft::VolumeForLoudness;
use serde_json::{Value, json};

use super::item::{Item, round};
use super::known::{KnownMedia, PlayedPart};
use crate::args::input_rule::FURTHER;
use crate::units::Micros;

/// The key in a plan.
const KEY: &str = "loudness_lufs";

/// The part of its file that an item plays, with all its repetitions and pieces.
fn part(item: &Item, items: &[Item]) -> Option<PlayedPart> {
    let source = item.source()?.to_owned();
    let pieces = || {
        items
            .iter()
            .filter(|piece| piece.plan_path() == item.plan_path())
    };
    let micros = |seconds: f64| Micros::from_seconds(round(seconds));
    let starts = pieces().map(|piece| micros(piece.number("start").unwrap_or(0.0)));
    let ends = pieces().map(|piece| piece.number("end").filter(|end| *end > 0.0).map(micros));
    let ends: Option<Vec<Micros>> = ends.collect();
    Some(PlayedPart {
        source,
        start: starts.min().unwrap_or(Micros::ZERO),
        end: ends.and_then(|ends| ends.into_iter().max()),
    })
}

/// The parts whose loudness items need.
pub(super) fn parts(items: &[Item]) -> BTreeSet<PlayedPart> {
    items
        .iter()
        .filter(|item| item.extra(KEY).is_some())
        .filter_map(|item| part(item, items))
        .collect()
}

/// Sets the volume of items whose loudness is known.
pub(super) fn apply(items: &mut [Item], known: &KnownMedia) {
    for index in 0..items.len() {
        let own = &items[index];
        let Some(wanted) = own.extra_number(KEY) else {
            continue;
        };
        let measured = part(own, items).and_then(|part| known.loudness.get(&part));
        let change = match measured {
            // Before it was measured.
            None => continue,
            Some(Err(error)) => Err(error),
            Some(Ok((lufs, peak))) => Ok(VolumeForLoudness::new(wanted, *lufs, *peak)),
        };
        let item = &mut items[index];
        match change {
            Err(error) => item.fail(KEY, error),
            Ok(change) => {
                set(item, change.volume);
                if !item.is_repeated() {
                    item.notes.push(format!("`{KEY}`: {change}"));
                }
            }
        }
    }
}

/// Sets the volume of an item; a loudness over time is multiplied with it.
fn set(item: &mut Item, volume: f64) {
    item.arguments.insert("volume".to_owned(), json!(volume));
    let points = item
        .arguments
        .get_mut(FURTHER)
        .and_then(|properties| properties.get_mut("volume_curve"))
        .and_then(Value::as_array_mut);
    for point in points.into_iter().flatten() {
        if let Some(value) = point["value"].as_f64() {
            point["value"] = json!((value * volume).min(10.0));
        }
    }
}
