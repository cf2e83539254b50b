//! Checks a plan before anything is created, and reports all problems.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};

use super::generated;
use super::item::{self, Item};
use super::known::KnownMedia;
use super::layout;
use super::plan::{Plan, Save};
use super::review;
use super::section::Section;
use super::template;
use crate::catalog;
use crate::draft::ids::DraftId;
use crate::draft::material::MediaKind;
use crate::engine::{Canvas, Engine};
use crate::error::{Error, Faults, Kind, Result};
use crate::exec::{App, Backend, Context};
use crate::media::Media;
use crate::tool::Request;
use crate::tools::add_subtitle::AddSubtitle;
use crate::tools::{self, Caller, Object};

/// How many files of this machine are checked concurrently.
const LOOKS: usize = 8;

/// A plan that passed all checks that are possible now.
#[derive(Clone)]
pub(crate) struct CheckedPlan {
    pub items: Vec<Item>,
    /// Arguments of `create_draft`.
    pub create: Object,
}

/// Reads the plan, or returns all its problems, each with its path. The checks are those of the backend that keeps
/// `draft`, or that would keep a new draft.
pub(crate) async fn check(
    app: &Arc<App>,
    plan: &Plan,
    draft: Option<&DraftId>,
    caller: &Caller,
) -> Result<CheckedPlan> {
    let (items, mut faults) = plan.items();
    let all = faults.is_empty();
    // Invalid keyframes do not matter here: the tracks come from the other items.
    let knows_tracks = faults.iter().all(|fault| fault.starts_with("keyframes["));
    let mut told = |path: &str, error: &Error| faults.extend(lines(path, error));
    let create = create_arguments(plan);
    let created = decode("create_draft", create.clone(), caller);
    if let Err(error) = &created {
        told("", error);
    }
    if let Some(template) = &plan.template
        && draft.is_none()
    {
        let context = Context::of(caller);
        let name = plan.name.as_deref();
        let filled = template.fill(app, name, template::TOOL, &context).await;
        if let Err(error) = filled {
            if error.kind != Kind::InvalidArgument && error.kind != Kind::NotFound {
                return Err(error);
            }
            told("template", &error);
        }
    }
    let keeper = app.keeper(draft).await;
    let mut edition = app.engine.edition();
    let mut knows_all_names = true;
    // A server that only has the API's calls.
    let mut remote = None;
    if let Ok(Backend::Remote(backend)) = &keeper {
        let server = backend.server(&app.journal).await.ok();
        if let Some(server) = &server {
            edition = server.edition;
            knows_all_names = server.dialect.names_are_ours();
        }
        if !server.as_ref().is_some_and(|server| server.takes_strict) {
            remote = Some((backend, server));
        }
    }
    let side = |name: &str| {
        let arguments = created
            .as_ref()
            .ok()
            .map(|request| &request.call().arguments);
        arguments.and_then(|arguments| arguments.get(name)?.as_f64())
    };
    let canvas = Canvas {
        width: side("width").unwrap_or_else(crate::args::default::width),
        height: side("height").unwrap_or_else(crate::args::default::height),
        edition,
    };
    if let (Some((backend, Some(server))), Ok(request), None) = (&remote, &created, draft)
        && let Err(error) = backend.refuse_beyond_api(&**request, &request.leaves(), server)
    {
        told("", &error);
    }
    if let Some(Save::With(arguments)) = &plan.save {
        let mut arguments = arguments.clone();
        arguments.insert("draft_id".to_owned(), json!("dfd_cat_0_00000000"));
        match decode("save_draft", arguments, caller) {
            Ok(request) => {
                for error in request.faults_on(canvas).0 {
                    told("save", &error);
                }
            }
            Err(error) => told("save", &error),
        }
    }

    let mut placed = layout::lay_out(items.clone(), &KnownMedia::default(), all);
    // The first repetition of a looped sound stands for all.
    placed.retain(|item| !item.is_repeated());
    let mut others = generated::faults(app, &items, (canvas.width as u32, canvas.height as u32));
    others.extend(review::conflicts(placed.iter()));
    if draft.is_none() && knows_tracks {
        others.extend(without_track(&placed));
    }
    // Only the embedded engine's files are checked: which files a server can read is only known to the server.
    if let Ok(Backend::Embedded(engine)) = &keeper {
        let looks: Vec<BoxFuture<'_, Vec<String>>> = placed
            .iter()
            .filter(|item| !item.is_made())
            .map(|item| look(engine, item, caller).boxed())
            .collect();
        let looked: Vec<Vec<String>> = futures::stream::iter(looks).buffered(LOOKS).collect().await;
        others.extend(looked.into_iter().flatten());
    }
    for mut item in placed {
        let arguments = std::mem::take(&mut item.arguments);
        // Names of the other edition are translated, as when the call runs.
        let read = item.spec.read(arguments, caller).and_then(|request| {
            let translated = request.in_edition(canvas.edition)?;
            Ok(translated.unwrap_or(request))
        });
        let found = match read {
            Ok(request) => {
                let mut found = request.faults_on(canvas);
                if remote.is_some()
                    && let Err(error) = request.only_here()
                {
                    found.add(error);
                }
                // If the server does not answer, this is checked with each call.
                if let Some((backend, Some(server))) = &remote
                    && let Err(error) =
                        backend.refuse_beyond_api(&*request, &request.leaves(), server)
                {
                    found.add(error);
                }
                found
            }
            Err(error) => Faults(vec![error]),
        };
        for error in found.0 {
            if knows_all_names || !catalog::is_unknown(&error) {
                told(item.plan_path(), &error);
            }
        }
    }
    faults.extend(others);
    refuse(
        faults
            .iter()
            .map(|fault| plan.places.located(fault))
            .collect(),
    )?;
    keeper?;
    Ok(CheckedPlan { items, create })
}

/// At most this many problems are listed in one error.
const NAMED: usize = 100;

/// An error with all problems, if there are any.
pub(crate) fn refuse(mut faults: Vec<String>) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    let rest = faults.len().saturating_sub(NAMED);
    if rest > 0 {
        faults.truncate(NAMED);
        faults.push(format!("and {rest} more"));
    }
    Err(Error::invalid(faults.join("\n")))
}

/// Problems of keyframes on tracks that no item of the plan is on.
fn without_track(items: &[Item]) -> Vec<String> {
    let (keyframes, others): (Vec<&Item>, Vec<&Item>) = items
        .iter()
        .partition(|item| item.section == Section::Keyframes);
    let tracks: BTreeSet<&str> = others.iter().map(|item| item.track()).collect();
    let missing = keyframes
        .iter()
        .filter(|item| !tracks.contains(item.track()));
    let known = match tracks.len() {
        0 => "the plan has no tracks".to_owned(),
        _ => format!(
            "its tracks are {}",
            tracks.iter().copied().collect::<Vec<_>>().join(", ")
        ),
    };
    missing
        .map(|item| {
            format!(
                "{}.track_name: no item of the plan is on a track `{}`; {known}",
                item.path,
                item.track()
            )
        })
        .collect()
}

/// The problems of the item's file, if it is on this machine.
async fn look(engine: &Engine, item: &Item, caller: &Caller) -> Vec<String> {
    let text = |key: &str| item.arguments.get(key).and_then(Value::as_str);
    let kinds = [
        ("video_url", MediaKind::Video),
        ("image_url", MediaKind::Photo),
        ("audio_url", MediaKind::Audio),
    ];
    for (argument, kind) in kinds {
        if let Some(source) = text(argument).filter(|source| Media::is_here(source)) {
            let looked = engine.look(argument, source, kind, true, caller).await;
            return looked
                .err()
                .map_or_else(Vec::new, |error| lines(item.plan_path(), &error));
        }
    }
    if item.section == Section::Subtitles
        && let Ok(call) = AddSubtitle::of_item(&item.arguments)
        && call.files().all(Media::is_here)
    {
        let media = engine.media(caller);
        let read = call.captions(&media, caller, true).await;
        return read
            .err()
            .map_or_else(Vec::new, |error| lines(item.plan_path(), &error));
    }
    Vec::new()
}

/// "`transition`: …" of an item is `visuals[3].transition: …` of the plan, followed by its hint.
fn lines(path: &str, error: &Error) -> Vec<String> {
    let text = error.to_string();
    let (message, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
    let mut lines: Vec<String> = message.lines().map(|line| item::at(path, line)).collect();
    if let Some(last) = lines.last_mut().filter(|_| !hint.is_empty()) {
        *last = format!("{last} ({hint})");
    }
    lines
}

/// Pixels of the canvas of a plan.
pub(crate) fn canvas_of(plan: &Plan, caller: &Caller) -> (u32, u32) {
    let created = decode("create_draft", create_arguments(plan), caller).ok();
    let side = |name: &str| {
        let given = created.as_ref()?.call().arguments.get(name)?.as_f64()?;
        Some(given as u32)
    };
    (
        side("width").unwrap_or(1080),
        side("height").unwrap_or(1920),
    )
}

/// The arguments of `create_draft` of a plan.
pub(super) fn create_arguments(plan: &Plan) -> Object {
    let mut arguments = Object::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            arguments.insert(key.to_owned(), value);
        }
    };
    put("width", plan.width.map(Value::from));
    put("height", plan.height.map(Value::from));
    put("aspect_ratio", plan.aspect_ratio.clone().map(Value::from));
    put("resolution", plan.resolution.clone().map(Value::from));
    put("name", plan.name.clone().map(Value::from));
    put("note", plan.note.clone().map(Value::from));
    put("fps", plan.fps.clone());
    put("magnet", plan.magnet.clone());
    put("cover", plan.cover.clone());
    put("markers", plan.markers.clone());
    arguments
}

/// Decodes arguments of a tool to its request.
pub(crate) fn decode(tool: &str, arguments: Object, caller: &Caller) -> Result<Box<dyn Request>> {
    tools::routed(tool)
        .ok_or_else(|| Error::internal(format!("no tool `{tool}`")))?
        .decode(arguments, caller)
}
