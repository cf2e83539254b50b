//! `duck` of a sound: it is quieter while others sound, by loudness over time.

use capcut_draft::{DUCK_FADE, DUCKED, TimeRange, ducked};
use serde_json::{Value, json};

use super::item::Item;
use super::section::Section;
use crate::args::input_rule::FURTHER;
use crate::units::Micros;

/// Sets the loudness of the sounds with `duck`. Their times are known after the layout.
pub(super) fn apply(items: &mut [Item]) {
    for index in 0..items.len() {
        let Some(under) = Under::of(&items[index]) else {
            continue;
        };
        let others: Vec<&Item> = items.iter().filter(|other| under.is(other)).collect();
        if let Some(points) = points(&items[index], &others) {
            match points {
                Ok(points) => set(&mut items[index], &points),
                Err(note) => items[index].notes.push(note),
            }
        }
    }
}

/// The sounds under which one is quieter.
enum Under {
    /// Those without `duck`.
    Others,
    /// Those on a track or with an id.
    Named(String),
}

impl Under {
    fn of(item: &Item) -> Option<Self> {
        match item.extra("duck")? {
            Value::Bool(true) => Some(Self::Others),
            Value::String(name) => Some(Self::Named(name.clone())),
            _ => None,
        }
    }

    fn is(&self, other: &Item) -> bool {
        match self {
            Self::Others => other.section == Section::Audio && Self::of(other).is_none(),
            Self::Named(name) => {
                matches!(other.section, Section::Audio | Section::Visuals)
                    && (other.track() == name || other.extra_text("id") == Some(name))
            }
        }
    }
}

fn range((start, end): (f64, f64)) -> TimeRange {
    TimeRange::between(Micros::from_seconds(start).0, Micros::from_seconds(end).0)
}

/// Loudness by time; none if nothing sounds at the same time; a note if that is not known.
fn points(item: &Item, others: &[&Item]) -> Option<Result<Vec<(i64, f64)>, String>> {
    if others.is_empty() {
        return Some(Err(
            "`duck`: no other sound is there to be quieter under".to_owned()
        ));
    }
    let spans: Option<Vec<TimeRange>> = others.iter().map(|other| other.span.map(range)).collect();
    let (Some(own), Some(others)) = (item.span.map(range), spans) else {
        return Some(Err(
            "`duck` has no effect, as the length of a sound is unknown: set its `end` or `duration`"
                .to_owned(),
        ));
    };
    let loud = item.number("volume").unwrap_or(1.0);
    let points = ducked(own, &others, loud, DUCKED, DUCK_FADE);
    (!points.is_empty()).then_some(Ok(points))
}

fn set(item: &mut Item, points: &[(i64, f64)]) {
    let points: Vec<Value> = points
        .iter()
        .map(|(time, value)| json!({ "time": *time as f64 / 1e6, "value": value }))
        .collect();
    let properties = item.arguments.entry(FURTHER).or_insert_with(|| json!({}));
    if properties.get("volume_curve").is_some() {
        item.notes
            .push("`duck` has no effect, as `volume` is given over time".to_owned());
    } else {
        properties["volume_curve"] = points.into();
    }
}
