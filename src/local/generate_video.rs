//! `generate_video`: a whole video from a theme. Voices and pictures are made by the configured providers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::compose_draft::{JobReply, amount, default_wait_s, spending};
use crate::args::input_rule::InputRule;
use crate::args::to_value;
use crate::compose::generated::{self, MadeReport, MadeRow, Spending};
use crate::compose::plan::Plan;
use crate::compose::report::{Detail, RunOutcome};
use crate::compose::theme::{self, GeneratedVideo, MadeFile, Scene, VideoWish};
use crate::compose::{self, RunStart};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::exec::jobs::{Handle, JobCall, JobStart};
use crate::exec::{App, Context};
use crate::local::preview_video;
use crate::local::{JobTool, LocalTool};
use crate::providers::{AssetOrder, Estimate, MakeContext, Makes, MaxCost, Spent, Wanted, rounded};
use crate::tool::{Hints, ReplyForm};

/// The range of lengths, in seconds.
const LENGTHS: std::ops::RangeInclusive<f64> = 3.0..=600.0;

/// Makes a video from a theme with the configured providers; write `scenes` yourself.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of its own"
)]
pub(crate) struct GenerateVideo {
    /// What it is about.
    pub theme: String,
    /// In order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scenes")]
    pub scenes: Option<Value>,
    /// Seconds.
    #[serde(default = "thirty")]
    pub duration: f64,
    /// "9:16", "16:9", "1:1", …
    #[serde(default = "portrait")]
    pub aspect_ratio: String,
    /// "picture" or "film".
    #[serde(default = "picture")]
    pub asset_type: String,
    /// Of all pictures.
    #[serde(default)]
    pub visual_style: String,
    /// Whether `say` is spoken.
    #[serde(default = "yes")]
    pub tts: bool,
    /// As the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// Of the words; default: that of the theme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// A file or URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub music: Option<String>,
    /// The draft's name; default: the theme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Provider of voices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speech_provider: Option<String>,
    /// Provider of pictures or films.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visual_provider: Option<String>,
    /// Provider that writes scenes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_provider: Option<String>,
    /// The folder that the draft is saved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_folder: Option<String>,
    /// Also makes an MP4.
    #[serde(default)]
    pub render: bool,
    /// Only says what it costs.
    #[serde(default)]
    pub dry_run: bool,
    /// An amount or "unknown".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "amount")]
    pub max_cost: Option<Value>,
    /// As for `compose_draft`.
    #[serde(default)]
    pub retry_uncertain: bool,
    /// Seconds to wait before the reply is `running`.
    #[serde(default = "default_wait_s")]
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub wait_s: f64,
    /// A repeated call with the same key is the same job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

fn scenes(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "array", "items": { "additionalProperties": true, "properties": {
        "say": { "type": "string" }, "show": { "type": "string" }, "seconds": { "type": "number" }
    } } })
}

fn thirty() -> f64 {
    30.0
}

fn portrait() -> String {
    "9:16".to_owned()
}

fn picture() -> String {
    "picture".to_owned()
}

fn yes() -> bool {
    true
}

/// Names of kinds of assets, as guides and people write them.
const PICTURES: [&str; 9] = [
    "picture",
    "pictures",
    "image",
    "images",
    "text2image",
    "text_to_image",
    "文生图像",
    "文生图",
    "文生图片",
];
const FILMS: [&str; 8] = [
    "film",
    "films",
    "video",
    "videos",
    "text2video",
    "text_to_video",
    "文生视频",
    "视频",
];

impl LocalTool for GenerateVideo {
    const NAME: &'static str = "generate_video";
    const TITLE: &'static str = "Generate video";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const REPORTS_WHEN_CANCELLED: bool = true;
    const REPLY_FORM: ReplyForm = ReplyForm {
        shows_draft: true,
        ..ReplyForm::JSON
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Alias("video_theme", "theme"),
        InputRule::Alias("topic", "theme"),
        InputRule::Alias("ai_asset_type", "asset_type"),
        InputRule::Alias("enable_tts", "tts"),
        InputRule::Alias("voice_type", "voice"),
        InputRule::Alias("style", "visual_style"),
        InputRule::Alias("background_music", "music"),
        InputRule::Rare("language"),
        InputRule::Rare("name"),
        InputRule::Rare("speech_provider"),
        InputRule::Rare("visual_provider"),
        InputRule::Rare("text_provider"),
        InputRule::Rare("draft_folder"),
        InputRule::Rare("retry_uncertain"),
        InputRule::Rare("wait_s"),
        InputRule::Rare("idempotency_key"),
    ];
    type Reply = JobReply;

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.theme.chars().any(char::is_alphanumeric) {
            faults.push("`theme` has no words: say what the video is about".to_owned());
        }
        if !LENGTHS.contains(&self.duration) {
            faults.push(format!(
                "`duration` is {} s; it must be from {} to {} s",
                self.duration,
                LENGTHS.start(),
                LENGTHS.end()
            ));
        }
        if self.is_film().is_none() {
            faults.push(format!(
                "`asset_type` is {:?}; it must be \"picture\" (文生图像) or \"film\" (文生视频)",
                self.asset_type
            ));
        }
        if let Some(scenes) = &self.scenes
            && let Err(fault) = theme::read_scenes(scenes)
        {
            faults.push(format!("`scenes` {fault}"));
        }
        if let Err(error) = spending(self.max_cost.as_ref(), false) {
            faults.push(error.message);
        }
        faults
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<JobReply> {
        let spending = spending(self.max_cost.as_ref(), self.retry_uncertain)?;
        let wish = self.wish();
        let key = self.idempotency_key.as_deref();
        let asked = JobCall::new(&self.as_job()?, &context.caller)?;
        if let Some(id) = app.jobs.with_key(Self::NAME, key, &asked).await? {
            return self.answered(app, &id, context).await;
        }
        let scenes = self.given_scenes()?;
        // Problems of the call are reported directly, not by a job.
        let estimate = self
            .estimate(app, &wish, scenes.as_deref(), context)
            .await?;
        if self.dry_run {
            return Ok(JobReply {
                status: "planned".to_owned(),
                message: format!("nothing was made or sent; {}", estimate.text()),
                report: Some(to_value(&GeneratedVideo {
                    status: "planned".to_owned(),
                    duration: wish.duration,
                    message: estimate.text(),
                    currency: estimate.currency.clone(),
                    scenes: scenes.iter().flatten().map(|scene| json!(scene)).collect(),
                    estimate: Some(estimate),
                    ..GeneratedVideo::default()
                })?),
                ..JobReply::default()
            });
        }
        generated::permit(app, &estimate, spending)?;
        app.job_within_quota().await?;
        let start = JobStart {
            kind: Self::NAME,
            call: &asked,
            key,
        };
        let (worker, caller, progress) = (
            Arc::clone(app),
            context.caller.clone(),
            context.progress.clone(),
        );
        let run = self.video_run(wish, scenes, spending);
        let work = move |handle: Handle| async move {
            let context = handle.context(caller, progress);
            made(&worker, run, &handle, &context).await
        };
        let id = app.jobs.start(start, work).await?;
        self.answered(app, &id, context).await
    }
}

impl JobTool for GenerateVideo {
    async fn work(&self, app: &Arc<App>, handle: &Handle, context: &Context) -> Result<Value> {
        let spending = spending(self.max_cost.as_ref(), self.retry_uncertain)?;
        let run = self.video_run(self.wish(), self.given_scenes()?, spending);
        made(app, run, handle, context).await
    }
}

/// Makes the video for a job.
async fn made(app: &Arc<App>, run: VideoRun, handle: &Handle, context: &Context) -> Result<Value> {
    let made = run.run(app, context, &|draft| handle.draft(draft)).await?;
    to_value(&made)
}

impl GenerateVideo {
    /// The call as a job knows it: how long the caller waits is not a part of the work.
    fn as_job(&self) -> Result<Value> {
        let mut call = to_value(self)?;
        if let Value::Object(call) = &mut call {
            for of_the_answer in ["wait_s", "idempotency_key"] {
                call.shift_remove(of_the_answer);
            }
        }
        Ok(call)
    }

    fn given_scenes(&self) -> Result<Option<Vec<Scene>>> {
        let scenes = self.scenes.as_ref().map(theme::read_scenes);
        scenes.transpose().map_err(Error::invalid)
    }

    fn video_run(
        &self,
        wish: VideoWish,
        scenes: Option<Vec<Scene>>,
        spending: Spending,
    ) -> VideoRun {
        let folder = self.draft_folder.as_ref();
        VideoRun {
            wish,
            scenes,
            spending,
            text_provider: self.text_provider.clone(),
            save: folder.map(|folder| json!({ "draft_folder": folder })),
            render: self.render,
        }
    }

    async fn answered(&self, app: &Arc<App>, id: &str, context: &Context) -> Result<JobReply> {
        let state = app.jobs.answered(id, self.wait_s, &context.cancel).await?;
        if let Some(error) = state.failure() {
            return Err(error);
        }
        let message = state
            .result
            .as_ref()
            .and_then(|made| made["message"].as_str());
        let message = message.map(str::to_owned);
        let mut reply = JobReply::of(id, state, Detail::All);
        if let Some(message) = message {
            reply.message = message;
        }
        Ok(reply)
    }
}

impl GenerateVideo {
    fn is_film(&self) -> Option<bool> {
        let kind = self.asset_type.trim().to_lowercase();
        if PICTURES.contains(&kind.as_str()) {
            Some(false)
        } else if FILMS.contains(&kind.as_str()) {
            Some(true)
        } else {
            None
        }
    }

    fn wish(&self) -> VideoWish {
        let is_given = |text: &&String| !text.trim().is_empty();
        VideoWish {
            theme: self.theme.trim().to_owned(),
            duration: self.duration,
            aspect_ratio: self.aspect_ratio.clone(),
            is_film: self.is_film().unwrap_or(false),
            style: self.visual_style.trim().to_owned(),
            is_spoken: self.tts,
            voice: self.voice.as_ref().filter(is_given).cloned(),
            language: self.language.clone().unwrap_or_else(|| {
                let is_han = self
                    .theme
                    .chars()
                    .any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter));
                if is_han {
                    "Chinese"
                } else {
                    "that of the theme"
                }
                .to_owned()
            }),
            music: self.music.as_ref().filter(is_given).cloned(),
            name: self
                .name
                .clone()
                .unwrap_or_else(|| self.theme.trim().chars().take(60).collect()),
            speech_provider: self.speech_provider.clone(),
            visual_provider: self.visual_provider.clone(),
        }
    }

    /// What the call costs at most. Without scenes, those of the text provider are only known when it was paid.
    async fn estimate(
        &self,
        app: &Arc<App>,
        wish: &VideoWish,
        scenes: Option<&[Scene]>,
        context: &Context,
    ) -> Result<Estimate> {
        let maker = maker(app)?;
        let able = |makes, name: Option<&str>, argument: &str| {
            maker.providers.choose(makes, name).map_err(|error| Error {
                message: format!("`{argument}`: {}", error.message),
                ..error
            })
        };
        if wish.is_spoken {
            able(
                Makes::Speech,
                wish.speech_provider.as_deref(),
                "speech_provider",
            )?;
        }
        let visual = if wish.is_film {
            Makes::Film
        } else {
            Makes::Picture
        };
        able(visual, wish.visual_provider.as_deref(), "visual_provider")?;
        if let Some(scenes) = scenes {
            let (_, estimate) = planned(app, wish, scenes, context).await?;
            return Ok(estimate);
        }
        let order = text_order(app, wish, self.text_provider.as_deref())?;
        let mut estimate = maker.estimate(std::slice::from_ref(&order)).await?;
        if let Some(text) = maker.finished(&order).await?
            && let Ok(scenes) = theme::scenes_of_text(&maker.text(&text)?)
        {
            let (_, rest) = planned(app, wish, &scenes, context).await?;
            estimate.join(&rest);
            return Ok(estimate);
        }
        // About as many scenes and words as will be asked for.
        let count = theme::scene_count(wish.duration);
        let words = "word ".repeat((wish.duration * 2.5 / count as f64) as usize + 1);
        let guessed: Vec<Scene> = (0..count)
            .map(|index| Scene {
                say: format!("{words}{index}."),
                show: format!("{} {index} {}", wish.theme, "x".repeat(150)),
                seconds: None,
            })
            .collect();
        let (_, rest) = planned(app, wish, &guessed, context).await?;
        estimate.join(&rest);
        Ok(estimate)
    }
}

fn maker(app: &App) -> Result<&Arc<crate::providers::Maker>> {
    app.maker.as_ref().ok_or_else(|| {
        Error::invalid("nothing can be made without a data folder").hint("set `--data-dir`")
    })
}

/// The plan of what is made, checked, and what it costs.
async fn planned(
    app: &Arc<App>,
    wish: &VideoWish,
    scenes: &[Scene],
    context: &Context,
) -> Result<(Plan, Estimate)> {
    let plan = theme::made_plan(wish, scenes)?;
    let checked = compose::check(app, &plan, None, &context.caller).await?;
    let estimate = generated::estimate(
        app,
        &checked.items,
        compose::canvas_of(&plan, &context.caller),
        context,
    )
    .await?;
    Ok((plan, estimate))
}

fn text_order(app: &App, wish: &VideoWish, provider: Option<&str>) -> Result<AssetOrder> {
    let maker = maker(app)?;
    let provider = maker
        .providers
        .choose(Makes::Text, provider)
        .map_err(|error| Error {
            message: format!(
                "`scenes` is missing, and no provider can write them: {}",
                error.message
            ),
            ..error
        });
    let provider = provider.map_err(|error| {
        error.hint(
            "call again with `scenes`: a list of {\"say\": the words of the scene, \"show\": a description of its picture}; or configure a provider that makes \"text\"",
        )
    })?;
    Ok(AssetOrder {
        provider: provider.name().to_owned(),
        wanted: Wanted::Text {
            instructions: theme::instructions(wish),
            input: wish.theme.clone(),
        },
    })
}

/// A call whose problems were looked for.
struct VideoRun {
    wish: VideoWish,
    scenes: Option<Vec<Scene>>,
    spending: Spending,
    text_provider: Option<String>,
    save: Option<Value>,
    render: bool,
}

impl VideoRun {
    async fn run(
        self,
        app: &Arc<App>,
        context: &Context,
        known: &(dyn Fn(&DraftId) + Send + Sync),
    ) -> Result<GeneratedVideo> {
        let wish = &self.wish;
        let mut made = MadeReport::default();
        let mut spending = self.spending;
        let scenes = match self.scenes {
            Some(scenes) => scenes,
            None => {
                let maker = maker(app)?;
                let order = text_order(app, wish, self.text_provider.as_deref())?;
                let limits = &maker.providers.generate;
                let make = MakeContext {
                    cancel: context.cancel.clone(),
                    stop: context.cancel.clone(),
                    retry_uncertain: spending.retry_uncertain,
                    until: std::time::Instant::now()
                        + Duration::from_secs_f64(limits.run_timeout_s),
                    spent: Spent::default(),
                };
                let text = maker.make(&order, &make).await?;
                let cost = text.cost.unwrap_or(0.0);
                // What is left for the rest.
                let most = spending.max_cost.unwrap_or(limits.max_cost);
                if let MaxCost::Amount(most) = most {
                    spending.max_cost = Some(MaxCost::Amount((most - cost).max(0.0)));
                }
                made.cost += cost;
                if text.cost.is_none() {
                    made.unknown.push(text.by.clone());
                }
                made.assets.push(MadeRow {
                    item: "scenes".to_owned(),
                    make: Makes::Text.name().to_owned(),
                    by: text.by.clone(),
                    kept: text.is_kept,
                    cost: text.cost,
                    seconds: None,
                });
                theme::scenes_of_text(&maker.text(&text)?)?
            }
        };
        let (plan, _) = planned(app, wish, &scenes, context).await?;
        let (mut items, _) = plan.items();
        let report = compose::make_assets(app, &plan, &mut items, spending, context).await?;
        if let Some(report) = report {
            made.cost += report.cost;
            made.currency = report.currency;
            for name in report.unknown {
                if !made.unknown.contains(&name) {
                    made.unknown.push(name);
                }
            }
            made.assets.extend(report.assets);
        }
        let failed: Vec<String> = items
            .iter()
            .filter_map(|item| Some(format!("{}: {}", item.path, item.fault.as_ref()?)))
            .collect();
        if failed.len() == items.len() && !items.is_empty() {
            let first = items.iter().find_map(|item| item.fault.as_ref());
            let kind = first.map_or(Kind::Media, |error| error.kind);
            return Err(Error::new(
                kind,
                format!("nothing was made: {}", failed.join("; ")),
            ));
        }
        let media = app.media.of(&context.caller);
        let canvas = compose::canvas_of(&plan, &context.caller);
        let mut files = HashMap::new();
        for item in &items {
            if let Some(source) = item.source().filter(|_| item.fault.is_none()) {
                let facts = media.facts(source).await?;
                let seconds = facts.audio_duration.filter(|_| !facts.has_video);
                let seconds = seconds.unwrap_or(facts.duration).seconds();
                let size = (facts.width, facts.height);
                files.insert(source.to_owned(), MadeFile::new(seconds, size, canvas));
            }
        }
        let timed = theme::timed_plan(
            wish,
            &scenes,
            &items,
            &|source| files.get(source).copied(),
            self.save.as_ref(),
        )?;
        let taking = RunStart {
            checked: None,
            resume: None,
            spending: Spending::default(),
            known,
        };
        let run = compose::compose(app, &timed.plan, taking, context).await?;
        if run.is_empty() || !run.saved {
            let why = run
                .save_error
                .clone()
                .unwrap_or_else(|| run.faults().join("; "));
            return Err(Error::media(format!("the draft was not saved: {why}"))
                .hint("what was made is kept: the next call uses it, and pays nothing again"));
        }
        let mut notes = timed.notes;
        notes.extend(failed.iter().cloned());
        notes.extend(run.faults());
        notes.extend(run.notes.iter().cloned());
        let is_complete = failed.is_empty() && run.outcome == RunOutcome::Complete;
        let mut video = GeneratedVideo {
            status: if is_complete { "success" } else { "partial" }.to_owned(),
            draft_id: run.draft_id.clone(),
            duration: timed.duration,
            video_url: None,
            download_url: run.download_url.clone(),
            folder: run.folder.clone(),
            message: String::new(),
            cost: rounded(made.cost),
            currency: made.currency,
            unknown: made.unknown,
            made: made.assets,
            scenes: scenes.iter().map(|scene| json!(scene)).collect(),
            notes,
            estimate: None,
            video_file: None,
        };
        let rendered = if self.render {
            self::render(app, &mut video, context).await
        } else {
            Ok("`video_url` is null because `render` was not set: a draft is exported in the app, or as a preview with `render: true`".to_owned())
        };
        let of_video = match rendered {
            Ok(text) => text,
            Err(error) => {
                let text = format!("`video_url` is null: {}", error.for_client());
                video.notes.push(text.clone());
                text
            }
        };
        let price = match video.unknown.as_slice() {
            [] => format!("cost at most {} {}", video.cost, video.currency),
            unknown => format!(
                "cost at most {} {} and the unknown price of {}",
                video.cost,
                video.currency,
                unknown.join(", ")
            ),
        };
        video.message = format!(
            "{} s, {}, {price}; {of_video}",
            video.duration,
            run.save_summary()
        );
        Ok(video)
    }
}

/// Makes the preview MP4 and links to it.
async fn render(app: &Arc<App>, video: &mut GeneratedVideo, context: &Context) -> Result<String> {
    let draft = video
        .draft_id
        .clone()
        .ok_or_else(|| Error::internal("there is no draft"))?;
    let file = preview_video::whole(app, draft.clone(), context).await?;
    match app
        .link_video(&file, draft.as_str(), &context.caller)
        .await?
    {
        Some((link, key)) => {
            video.video_url = Some(link);
            video.video_file = Some(key);
        }
        None => video.video_url = Some(file.to_string_lossy().into_owned()),
    }
    Ok("`video_url` is a preview: the app's export is final".to_owned())
}
