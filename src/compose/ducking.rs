//! `duck` of a sound: it is quieter while others speak or sound, by loudness over time.

use std::collections::BTreeSet;

use capcut_draft::{DuckShape, TimeRange, ducked, multiplied};
use capcut_sound::overlaps;
use serde_json::{Value, json};

use super::duck_shape::shape;
use super::item::{Item, round};
use super::known::SpeechBySource;
use super::section::Section;
use crate::args::input_rule::FURTHER;
use crate::units::Micros;

/// How many times a note names.
const SHOWN: usize = 8;

/// The sources of the sounds under which others are quieter.
pub(super) fn voices(items: &[Item]) -> BTreeSet<String> {
    let all: Vec<Under> = items.iter().filter_map(Under::of).collect();
    let is_voice = |item: &&Item| all.iter().any(|under| under.is(item));
    let voices = items.iter().filter(is_voice);
    voices
        .filter_map(|item| item.source().map(str::to_owned))
        .collect()
}

/// Sets the loudness of the sounds with `duck`. Their times are known after the layout.
pub(super) fn apply(items: &mut [Item], speech: &SpeechBySource) {
    for index in 0..items.len() {
        let Some(under) = Under::of(&items[index]) else {
            continue;
        };
        let shape = items[index].extra("duck").map(shape);
        let Some(Ok(shape)) = shape else {
            continue;
        };
        let own = &items[index];
        let is_other = |(other, item): &(usize, &Item)| *other != index && under.is(item);
        let others: Vec<&Item> = items
            .iter()
            .enumerate()
            .filter(is_other)
            .map(|(_, item)| item)
            .collect();
        // A voice that cannot be heard does not make music quieter at the right times.
        let unheard = others
            .iter()
            .filter_map(|other| speech.get(other.source()?)?.as_ref().err());
        if let Some(why) = unheard.into_iter().next() {
            items[index].fail("duck", why);
            continue;
        }
        let (points, notes) = points(own, &others, shape, speech);
        let own = &mut items[index];
        own.notes.extend(notes);
        if !points.is_empty() {
            set(own, &points);
        }
    }
}

/// The sounds under which one is quieter.
enum Under {
    /// Those without `duck`.
    Others,
    /// Those on tracks or with ids.
    Named(Vec<String>),
}

impl Under {
    fn of(item: &Item) -> Option<Self> {
        let names = |value: &Value| match value {
            Value::String(name) => vec![name.clone()],
            value => {
                let names = value.as_array().into_iter().flatten();
                names.filter_map(Value::as_str).map(str::to_owned).collect()
            }
        };
        match item.extra("duck")? {
            Value::Bool(false) => None,
            Value::Bool(true) => Some(Self::Others),
            Value::Object(members) => Some(match members.get("under") {
                Some(under) => Self::Named(names(under)),
                None => Self::Others,
            }),
            value => Some(Self::Named(names(value))),
        }
    }

    fn is(&self, other: &Item) -> bool {
        match self {
            Self::Others => other.section == Section::Audio && Self::of(other).is_none(),
            Self::Named(names) => {
                let is_named = |name: &String| {
                    other.track() == name || other.extra_text("id") == Some(name.as_str())
                };
                matches!(other.section, Section::Audio | Section::Visuals)
                    && names.iter().any(is_named)
            }
        }
    }
}

fn range((start, end): (f64, f64)) -> TimeRange {
    TimeRange::between(Micros::from_seconds(start).0, Micros::from_seconds(end).0)
}

/// When an item is heard on the timeline: where somebody speaks in its file, or from its start to its end.
fn sounding(item: &Item, speech: &SpeechBySource) -> Option<Vec<TimeRange>> {
    let clock = item.clock()?;
    let Some(Ok(spans)) = item.source().and_then(|source| speech.get(source)) else {
        return Some(vec![clock.target]);
    };
    let seconds = |micros: i64| micros as f64 / 1e6;
    let (from, to) = (seconds(clock.source.start), seconds(clock.source.end()));
    let shown = |time: f64| clock.time_of(time * 1e6);
    let heard = overlaps(spans, from, to);
    Some(
        heard
            .iter()
            .map(|span| TimeRange::between(shown(span.start), shown(span.end)))
            .collect(),
    )
}

/// Loudness by time, as factors; none if nothing sounds at the same time. And what to say about it.
fn points(
    item: &Item,
    others: &[&Item],
    shape: DuckShape,
    speech: &SpeechBySource,
) -> (Vec<(i64, f64)>, Vec<String>) {
    let without = |note: &str| (Vec::new(), vec![note.to_owned()]);
    if others.is_empty() {
        return without("`duck`: no other sound is there to be quieter under");
    }
    let spans: Option<Vec<Vec<TimeRange>>> =
        others.iter().map(|other| sounding(other, speech)).collect();
    let (Some(own), Some(spans)) = (item.span.map(range), spans) else {
        return without(
            "`duck` has no effect, as the length of a sound is unknown: set its `end` or `duration`",
        );
    };
    let mut notes = Vec::new();
    let points = ducked(own, &spans.concat(), 1.0, shape);
    if !speech.is_empty() && !points.is_empty() {
        notes.push(report(&points, shape));
    }
    (points, notes)
}

/// Where it is quiet.
fn report(points: &[(i64, f64)], shape: DuckShape) -> String {
    let seconds = |micros: i64| (micros as f64 / 1e4).round() / 100.0;
    let low: Vec<&[(i64, f64)]> = points
        .windows(2)
        .filter(|pair| pair[0].1 == shape.to && pair[1].1 == shape.to)
        .collect();
    let times: Vec<String> = low
        .iter()
        .take(SHOWN)
        .map(|pair| format!("{}–{} s", seconds(pair[0].0), seconds(pair[1].0)))
        .collect();
    let more = match low.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "`duck`: at {} % of its loudness at {}{more}",
        (shape.to * 100.0).round(),
        times.join(", ")
    )
}

/// Multiplies the loudness of a sound with factors over time.
fn set(item: &mut Item, factors: &[(i64, f64)]) {
    let loud = item.number("volume").unwrap_or(1.0);
    let properties = item.arguments.entry(FURTHER).or_insert_with(|| json!({}));
    let mut curve: Vec<(i64, f64)> = properties["volume_curve"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|point| {
            let time = point.get("time").or_else(|| point.get("at"))?.as_f64()?;
            Some((Micros::from_seconds(time).0, point["value"].as_f64()?))
        })
        .collect();
    curve.sort_by_key(|(time, _)| *time);
    if curve.is_empty() {
        curve.push((0, loud));
    }
    let points: Vec<Value> = multiplied(&curve, factors)
        .iter()
        .map(|(time, value)| json!({ "time": round(*time as f64 / 1e6), "value": value }))
        .collect();
    properties["volume_curve"] = points.into();
}
