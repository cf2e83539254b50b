//! `compose`: a whole video from one plan, call after call.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli;
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::local;
use crate::tools::{Manner, Object};

/// Makes a whole video from one YAML, TOML or JSON plan and saves its draft.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp compose examples/first-draft.yaml
  capcut-mcp compose ad.toml --draft-folder ./drafts
  capcut-mcp compose ad.toml --json | jq -r .saved.folder

A plan holds the arguments of the tools, item by item: `name`, `width`, `height`, `audio`, `visuals`,
`texts`, `subtitles`, `stickers`, `effects`, `keyframes` and `save`. A picture or sound without a time
starts where the one before it ends. Paths are relative to the plan's file.")]
pub(super) struct Compose {
    /// The plan.
    file: PathBuf,
    /// The folder that the draft is saved into.
    #[arg(long, value_name = "DIR")]
    draft_folder: Option<PathBuf>,
    /// The replies as one JSON object.
    #[arg(long)]
    json: bool,
}

/// A plan: the arguments of the tools, item by item.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Plan {
    name: Option<String>,
    note: Option<String>,
    width: Option<f64>,
    height: Option<f64>,
    resolution: Option<String>,
    aspect_ratio: Option<String>,
    audio: Vec<Object>,
    visuals: Vec<Object>,
    texts: Vec<Object>,
    subtitles: Vec<Object>,
    stickers: Vec<Object>,
    effects: Vec<Object>,
    keyframes: Vec<Object>,
    save: Object,
}

/// An item of a plan as a call; its `draft_id` is still open.
#[derive(Debug)]
struct Step {
    place: String,
    tool: &'static str,
    arguments: Object,
    /// It starts where the one before it on its track ended.
    follows: bool,
}

impl Compose {
    pub(super) async fn run(self, app: Arc<App>) -> anyhow::Result<ExitCode> {
        let plan = read(&self.file)?;
        let mut save = plan.save.clone();
        if let Some(folder) = &self.draft_folder {
            let folder = std::path::absolute(folder)?;
            save.insert("draft_folder".to_owned(), json!(folder));
        }
        let create = plan.create();
        let base = std::path::absolute(&self.file)?;
        let steps = plan.steps(base.parent().unwrap_or(Path::new("")))?;
        let made = call(&app, "create_draft", create).await?;
        let draft = made["draft_id"].clone();
        let mut items = Vec::new();
        let mut ends = Ends::default();
        for step in steps {
            let Step {
                place,
                tool,
                mut arguments,
                follows,
            } = step;
            let track = (tool == "add_audio", arguments.get("track_name").cloned());
            if follows {
                place_after(tool, &mut arguments, ends.of(&track));
            }
            arguments.insert("draft_id".to_owned(), draft.clone());
            let reply = call(&app, tool, arguments)
                .await
                .map_err(|error| at(&place, error))?;
            ends.set(track, reply["end"].as_f64());
            let _ = writeln!(std::io::stderr(), "{place}: {tool} done");
            items.push(json!({ "item": place, "tool": tool, "reply": reply }));
        }
        save.insert("draft_id".to_owned(), draft.clone());
        let saved = call(&app, "save_draft", save).await?;
        if self.json {
            let all = json!({ "draft": made, "items": items, "saved": saved });
            return cli::print(&cli::json_text(&all));
        }
        cli::print(&summary(&draft, items.len(), &saved))
    }
}

/// Where each track ends so far; the flag tells sounds from pictures.
#[derive(Default)]
struct Ends(Vec<((bool, Option<Value>), f64)>);

impl Ends {
    fn of(&self, track: &(bool, Option<Value>)) -> f64 {
        let found = self.0.iter().find(|(known, _)| known == track);
        found.map_or(0.0, |(_, end)| *end)
    }

    fn set(&mut self, track: (bool, Option<Value>), end: Option<f64>) {
        let Some(end) = end else { return };
        match self.0.iter_mut().find(|(known, _)| *known == track) {
            Some((_, last)) => *last = last.max(end),
            None => self.0.push((track, end)),
        }
    }
}

fn place_after(tool: &str, arguments: &mut Object, start: f64) {
    if tool == "add_image" {
        let length = arguments
            .shift_remove("duration")
            .and_then(|length| length.as_f64())
            .unwrap_or(3.0);
        arguments.insert("start".to_owned(), json!(start));
        arguments.insert("end".to_owned(), json!(start + length));
    } else {
        arguments.insert("target_start".to_owned(), json!(start));
    }
}

async fn call(app: &Arc<App>, tool: &str, arguments: Object) -> Result<Value> {
    let spec =
        local::find(tool).ok_or_else(|| Error::internal(format!("there is no tool `{tool}`")))?;
    let request = spec.decode(arguments, Manner::Strict)?;
    app.run(request, Context::default()).await
}

/// Puts the item before every line of its error.
fn at(place: &str, mut error: Error) -> Error {
    let lines: Vec<_> = error
        .message
        .lines()
        .map(|line| format!("{place}: {line}"))
        .collect();
    error.message = lines.join("\n");
    error
}

fn summary(draft: &Value, items: usize, saved: &Value) -> String {
    let folder = saved["folder"]
        .as_str()
        .unwrap_or("the server's own folder");
    let mut text = format!(
        "Draft {} with {items} items is saved in\n  {folder}\n",
        draft.as_str().unwrap_or_default()
    );
    text.push_str(if saved["registered"] == json!(true) {
        "Open CapCut (or JianYing): it is in the list of projects.\n"
    } else {
        "Next: copy that folder into the app's drafts folder (`capcut-mcp doctor` tells where it is),\n\
         restart the app, and open the draft from its list of projects.\n"
    });
    text
}

/// Reads a plan and every item of it; gives how many there are.
#[cfg(test)]
pub(crate) fn check(file: &Path) -> Result<usize> {
    let steps = read(file)?.steps(file.parent().unwrap_or(Path::new("")))?;
    Ok(steps.len())
}

fn read(file: &Path) -> Result<Plan> {
    let place = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|e| Error::invalid(format!("{place} cannot be read")).source(e))?;
    let extension = file.extension().and_then(|ending| ending.to_str());
    parse(&text, extension.unwrap_or_default()).map_err(|mut error| {
        error.message = format!("{place}: {}", error.message);
        error
    })
}

fn parse(text: &str, extension: &str) -> Result<Plan> {
    let value: Value = match extension.to_ascii_lowercase().as_str() {
        "json" => serde_json::from_str(text).map_err(|e| Error::invalid(e.to_string()))?,
        "toml" => toml::from_str(text).map_err(|e| Error::invalid(e.to_string()))?,
        "yaml" | "yml" => {
            serde_saphyr::from_str(text).map_err(|e| Error::invalid(e.to_string()))?
        }
        other => {
            return Err(Error::invalid(format!("{other:?} is no kind of plan"))
                .hint("a plan ends in .yaml, .yml, .toml or .json"));
        }
    };
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = e.path().to_string();
        Error::invalid(format!("`{path}`: {}", e.into_inner()))
    })
}

impl Plan {
    fn create(&self) -> Object {
        let mut arguments = Object::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                arguments.insert(key.to_owned(), value);
            }
        };
        set("name", self.name.clone().map(Value::from));
        set("note", self.note.clone().map(Value::from));
        set("width", self.width.map(Value::from));
        set("height", self.height.map(Value::from));
        set("resolution", self.resolution.clone().map(Value::from));
        set("aspect_ratio", self.aspect_ratio.clone().map(Value::from));
        arguments
    }

    /// The items as calls in their order; what is surely wrong with any of them is told at once.
    fn steps(self, base: &Path) -> Result<Vec<Step>> {
        let sections = [
            ("audio", self.audio),
            ("visuals", self.visuals),
            ("texts", self.texts),
            ("subtitles", self.subtitles),
            ("stickers", self.stickers),
            ("effects", self.effects),
            ("keyframes", self.keyframes),
        ];
        let mut steps = Vec::new();
        let mut faults = Vec::new();
        for (section, items) in sections {
            for (index, item) in items.into_iter().enumerate() {
                let place = format!("{section}[{index}]");
                match step(section, place.clone(), item, base) {
                    Ok(step) => steps.push(step),
                    Err(error) => faults.push(at(&place, error).message),
                }
            }
        }
        if faults.is_empty() {
            Ok(steps)
        } else {
            Err(Error::invalid(faults.join("\n")))
        }
    }
}

fn step(section: &str, place: String, mut item: Object, base: &Path) -> Result<Step> {
    let has = |item: &Object, keys: &[&str]| keys.iter().any(|key| item.contains_key(*key));
    let tool = match section {
        "audio" => "add_audio",
        "visuals" if has(&item, &["video_url", "video_path"]) => "add_video",
        "visuals" if has(&item, &["image_url", "image_path"]) => "add_image",
        "visuals" => {
            return Err(Error::invalid(
                "neither `video_url` nor `image_url` is given",
            ));
        }
        "texts" => "add_text",
        "subtitles" => "add_subtitle",
        "stickers" => "add_sticker",
        "effects" => "add_effect",
        _ => "add_video_keyframe",
    };
    cli::anchor(&mut item, base);
    let follows = match tool {
        "add_image" => !has(&item, &["start", "end", "start_time"]),
        "add_video" | "add_audio" => !has(&item, &["target_start", "start_time"]),
        _ => false,
    };
    if section == "visuals" {
        // Clips and pictures follow each other on one track.
        item.entry("track_name")
            .or_insert_with(|| json!("video_main"));
    }
    let mut trial = item.clone();
    if follows {
        place_after(tool, &mut trial, 0.0);
    }
    trial.insert("draft_id".to_owned(), json!("dfd_cat_0_00000000"));
    if let Some(spec) = local::find(tool) {
        spec.decode(trial, Manner::Strict)?;
    }
    Ok(Step {
        place,
        tool,
        arguments: item,
        follows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_alike_in_three_notations() {
        let yaml = parse("name: Trip\nvisuals:\n  - image_url: a.png\n", "yaml");
        let toml = parse(
            "name = \"Trip\"\n[[visuals]]\nimage_url = \"a.png\"\n",
            "toml",
        );
        let json = parse(
            r#"{"name": "Trip", "visuals": [{"image_url": "a.png"}]}"#,
            "JSON",
        );
        for plan in [yaml, toml, json] {
            let plan = plan.expect("it reads");
            assert_eq!(plan.name.as_deref(), Some("Trip"));
            assert_eq!(plan.visuals[0]["image_url"], json!("a.png"));
        }
    }

    #[test]
    fn what_is_no_plan_is_refused_with_the_place() {
        let error = parse("nmae: Trip", "yaml").expect_err("a wrong key");
        assert!(error.to_string().contains("nmae"), "{error}");
        let error = parse("x", "txt").expect_err("no kind of plan");
        assert!(error.to_string().contains(".yaml"), "{error}");
    }

    #[test]
    fn items_follow_each_other_on_their_track() {
        let mut ends = Ends::default();
        let main = (false, Some(json!("video_main")));
        assert_eq!(ends.of(&main), 0.0);
        ends.set(main.clone(), Some(4.0));
        assert_eq!(ends.of(&main), 4.0);
        assert_eq!(ends.of(&(true, None)), 0.0);
        let mut image = Object::from_iter([("duration".to_owned(), json!(2))]);
        place_after("add_image", &mut image, 4.0);
        assert_eq!(Value::Object(image), json!({ "start": 4.0, "end": 6.0 }));
    }

    #[test]
    fn paths_are_relative_to_the_plan() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("captions.srt");
        std::fs::write(&file, "1").expect("a file");
        let item = Object::from_iter([("srt".to_owned(), json!("captions.srt"))]);
        let step = step("subtitles", "subtitles[0]".to_owned(), item, folder.path());
        assert_eq!(step.expect("a step").arguments["srt"], json!(file));
    }
}
