//! What a draft is as a whole, compared with the plan: what differs becomes operations.

use capcut_draft::{Cover, Marker, Operation, Settings};
use serde_json::{Value, json};

use super::call::value_shown;
use super::{Differences, ResumedPlan};
use crate::args::{default, draft_settings};
use crate::compose::document::DraftSegments;
use crate::error::{Error, Result};
use crate::journal::DraftRow;
use crate::tools::Object;

/// The frame rate of drafts whose plan does not say another.
const FPS: f64 = 30.0;

/// What a draft was made with, by its call and by the plan of its last run.
pub(super) struct MadeWith<'a> {
    pub created: Option<&'a Object>,
    /// The arguments of `create_draft` of the last run's plan.
    pub planned: Option<&'a Object>,
}

impl MadeWith<'_> {
    fn settings(&self) -> Settings {
        let of = |arguments: &&Object| read(arguments).ok();
        let planned = self.planned.as_ref().and_then(of);
        let created = self.created.as_ref().and_then(of).unwrap_or_default();
        let planned = planned.unwrap_or_default();
        Settings {
            fps: planned.fps.or(created.fps),
            magnet: planned.magnet.or(created.magnet),
            cover: planned.cover.or(created.cover),
            markers: planned.markers.or(created.markers),
            width: planned.width.or(created.width),
            height: planned.height.or(created.height),
        }
    }
}

/// The settings among the arguments of `create_draft`.
fn read(arguments: &Object) -> Result<Settings> {
    let own = arguments
        .iter()
        .filter(|(key, _)| draft_settings::KEYS.contains(&key.as_str()));
    let own = own.map(|(key, value)| (key.clone(), value.clone()));
    let side = |name: &str| {
        let side = arguments.get(name).and_then(Value::as_f64);
        side.map(|side| side.round() as u32)
    };
    Ok(Settings {
        width: side("width"),
        height: side("height"),
        ..draft_settings::of_new(own.collect())?
    })
}

/// Compares the settings. What the plan does not set stays as it is.
pub(super) fn compare(
    row: &DraftRow,
    document: &DraftSegments,
    run: &ResumedPlan<'_>,
    made: &MadeWith<'_>,
) -> Result<Differences> {
    let mut found = Differences::default();
    let ResumedPlan { plan, create, .. } = run;
    let wanted = read(create)?;
    let base = made.settings();
    let now = &document.settings;
    let frame = 1e6 / wanted.fps.or(now.fps).unwrap_or(FPS);
    let mut change = Settings::default();
    let mut differs = |key: &str, values: [Value; 2], by_hand: bool| {
        if by_hand && !plan.replaces_edits() {
            found.faults.push(edited(key, &values[0], &values[1]));
        }
    };
    if let Some(fps) = wanted.fps
        && now.fps != Some(fps)
    {
        let by_hand = now.fps != Some(base.fps.unwrap_or(FPS));
        differs("fps", [json!(now.fps), json!(fps)], by_hand);
        change.fps = Some(fps);
    }
    if let Some(on) = wanted.magnet
        && now.magnet != Some(on)
    {
        let by_hand = now.magnet != Some(base.magnet.unwrap_or(true));
        differs("magnet", [json!(now.magnet), json!(on)], by_hand);
        change.magnet = Some(on);
    }
    if let Some(cover) = &wanted.cover
        && !same_cover(now.cover.as_ref(), Some(cover), frame)
    {
        let by_hand = !same_cover(now.cover.as_ref(), base.cover.as_ref(), frame);
        differs("cover", [json!(now.cover), json!(cover)], by_hand);
        change.cover = Some(cover.clone());
    }
    let markers = now.markers.as_deref().unwrap_or_default();
    if let Some(wanted) = &wanted.markers
        && !same_markers(markers, wanted, frame)
    {
        let by_hand = !same_markers(markers, base.markers.as_deref().unwrap_or_default(), frame);
        differs("markers", [json!(markers), json!(wanted)], by_hand);
        change.markers = Some(wanted.clone());
    }
    let says_canvas = plan.width.is_some()
        || plan.height.is_some()
        || plan.aspect_ratio.is_some()
        || plan.resolution.is_some();
    let usual = (default::width() as u32, default::height() as u32);
    let size = |settings: &Settings| {
        (
            settings.width.unwrap_or(usual.0),
            settings.height.unwrap_or(usual.1),
        )
    };
    let wanted = size(&wanted);
    if let Some((width, height)) = document.canvas {
        let is = (width.round() as u32, height.round() as u32);
        let shown = |(width, height): (u32, u32)| json!(format!("{width}x{height}"));
        if is != wanted && says_canvas {
            differs("canvas", [shown(is), shown(wanted)], is != size(&base));
            (change.width, change.height) = (Some(wanted.0), Some(wanted.1));
        } else if is != wanted {
            found.notes.push(format!(
                "the plan does not set the canvas; that of the draft is {}x{}",
                is.0, is.1
            ));
        }
    }
    let differ = |one: &Settings| one != &Settings::default();
    // Gaps are allowed before clips move, and closed after.
    let closes = change.magnet == Some(true);
    let magnet = change.magnet.take();
    let first = Settings {
        magnet: magnet.filter(|_| !closes),
        ..change
    };
    let last = Settings {
        magnet: magnet.filter(|_| closes),
        ..Settings::default()
    };
    for settings in [first, last].iter().filter(|one| differ(one)) {
        let operation = serde_json::to_value(Operation::Settings(Box::new(settings.clone())));
        let operation = operation
            .map_err(|error| Error::internal("settings cannot be written").source(error))?;
        found.operations.push(("settings", operation));
    }
    compare_names(row, document, run, made, &mut found);
    Ok(found)
}

/// Compares the name and the note.
fn compare_names(
    row: &DraftRow,
    document: &DraftSegments,
    ResumedPlan { plan, .. }: &ResumedPlan<'_>,
    made: &MadeWith<'_>,
    found: &mut Differences,
) {
    let said = |arguments: Option<&'_ Object>, key: &str| {
        let value = arguments.and_then(|arguments| arguments.get(key)?.as_str());
        value.map(str::to_owned)
    };
    let created = said(made.created, "name");
    let own = created.or_else(|| Some(row.name.clone()).filter(|name| !name.is_empty()));
    let name = document.name.clone().or_else(|| own.clone());
    if let Some(wanted) = &plan.name
        && name.as_ref() != Some(wanted)
    {
        let base = said(made.planned, "name").or(own);
        if name != base && !plan.replaces_edits() {
            found
                .faults
                .push(edited("name", &json!(name), &json!(wanted)));
        }
        let rename = json!({ "op": "rename", "name": wanted });
        found.operations.push(("name", rename));
    }
    let note = said(made.created, "note");
    if let Some(wanted) = &plan.note
        && note.as_ref() != Some(wanted)
    {
        found.faults.push(format!(
            "note: the draft has {}, but the plan has {}; a note is stored when the draft is made and cannot be changed",
            value_shown("note", &json!(note)),
            value_shown("note", &json!(wanted))
        ));
    }
}

fn edited(key: &str, is: &Value, wanted: &Value) -> String {
    format!(
        "{key}: the draft has {}, but the plan has {}; it was edited by hand since",
        value_shown(key, is),
        value_shown(key, wanted)
    )
}

/// Whether two covers are the same, with times on frames; `frame` is the length of one in microseconds.
fn same_cover(one: Option<&Cover>, other: Option<&Cover>, frame: f64) -> bool {
    let chosen = |cover: Option<&Cover>| {
        let cover = cover.cloned();
        cover.filter(|cover| !matches!(cover, Cover::File(file) if Cover::is_usual(file)))
    };
    match (chosen(one), chosen(other)) {
        (Some(Cover::At(one)), Some(Cover::At(other))) => near(one.micros, other.micros, frame),
        (one, other) => one == other,
    }
}

fn near(one: i64, other: i64, frame: f64) -> bool {
    (one - other).abs() as f64 <= frame
}

fn same_markers(one: &[Marker], other: &[Marker], frame: f64) -> bool {
    let sorted = |markers: &[Marker]| {
        let mut sorted: Vec<Marker> = markers.to_vec();
        sorted.sort_by_key(|marker| marker.at);
        sorted
    };
    let (one, other) = (sorted(one), sorted(other));
    one.len() == other.len()
        && one.iter().zip(&other).all(|(one, other)| {
            near(one.at.micros, other.at.micros, frame)
                && one.title == other.title
                && one.color.eq_ignore_ascii_case(&other.color)
        })
}
