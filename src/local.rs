//! Tools that run in this process with every backend, and the list of all tools.

mod cancel_job;
mod compose_batch;
pub(crate) mod compose_draft;
mod delete_draft;
mod get_animation_types;
mod get_video_duration;
pub(crate) mod health_check;
mod job_status;
mod list_drafts;
pub(crate) mod preview_draft;
mod recover_draft;
mod search_catalog;
mod validate_draft;

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::mend::Comfort;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::{Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::exec::{App, Context, Here, Progress};
use crate::tools::{
    self, Call, CatalogName, Hints, Manner, Object, ROUTED, Request, Spec, TextFile, Turn,
};
use crate::units::Edition;

/// A tool that runs in this process. Like [`tools::Tool`], but its `run` gets the whole [`App`].
pub(crate) trait LocalTool:
    Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static
{
    const NAME: &'static str;
    const TITLE: &'static str;
    const HINTS: Hints;
    const COMFORT: &'static [Comfort] = &[];
    /// The field of the reply with the path of a PNG file, which is also sent to clients that show images.
    const PICTURE: Option<&'static str> = None;
    /// Whether a cancelled call ends by itself and reports what it has done.
    const TELLS_WHEN_CANCELLED: bool = false;
    type Reply: Serialize + JsonSchema + Send + 'static;

    /// The draft of the call, if it names one.
    fn draft(&self) -> Option<&DraftId> {
        None
    }

    /// Problems that the schema does not cover, all together.
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }

    fn run(
        &self,
        app: &Arc<App>,
        context: &Context,
    ) -> impl Future<Output = Result<Self::Reply>> + Send;
}

/// Declares the local tools, in the order that clients see.
macro_rules! local {
    ($($module:ident :: $tool:ident),* $(,)?) => {
        /// The local tools.
        pub(crate) static LOCAL: [Spec; [$($module::$tool::NAME),*].len()] = [$(
            Spec::local::<$module::$tool, <$module::$tool as LocalTool>::Reply>(
                $module::$tool::NAME,
                $module::$tool::TITLE,
                $module::$tool::HINTS,
                $module::$tool::COMFORT,
                $module::$tool::PICTURE,
                decode::<$module::$tool>,
            )
        ),*];
    };
}

local! {
    compose_draft::ComposeDraft,
    compose_batch::ComposeBatch,
    job_status::JobStatus,
    cancel_job::CancelJob,
    get_video_duration::GetVideoDuration,
    search_catalog::SearchCatalog,
    get_animation_types::GetAnimationTypes,
    list_drafts::ListDrafts,
    delete_draft::DeleteDraft,
    preview_draft::PreviewDraft,
    validate_draft::ValidateDraft,
    recover_draft::RecoverDraft,
    health_check::HealthCheck,
}

/// Every tool, in the order that clients see.
pub(crate) fn all() -> impl Iterator<Item = &'static Spec> {
    ROUTED.iter().chain(&LOCAL)
}

/// The tool of that name.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static Spec>> = OnceLock::new();
    BY_NAME
        .get_or_init(|| all().map(|spec| (spec.name, spec)).collect())
        .get(name)
        .copied()
}

/// What to use instead of tools of similar servers.
const ADVICE: [(&[&str], &str); 11] = [
    (
        &[
            "render_video",
            "export_video",
            "render",
            "export",
            "render_draft",
            "export_draft",
            "get_render_status",
            "download_video",
            "publish_video",
        ],
        "the app renders videos: save the draft with `save_draft`, open it in CapCut or JianYing and export it there; \
         `preview_draft` shows its timeline",
    ),
    (
        &[
            "generate_video",
            "create_video",
            "make_video",
            "auto_generate_video",
            "compose_video",
        ],
        "`compose_draft` makes a whole draft from one plan, which the app renders",
    ),
    (
        &[
            "get_draft",
            "get_draft_info",
            "get_draft_status",
            "get_timeline",
            "get_tracks",
            "list_segments",
        ],
        "`query_script` returns a draft's document, `preview_draft` shows its timeline",
    ),
    (
        &["add_transition", "set_transition"],
        "use `transition` of `add_video` or `add_image`: it leads to the next clip of the track",
    ),
    (
        &["add_filter", "apply_filter"],
        "no tool adds filters: set them in the app; `add_effect` adds video effects",
    ),
    (
        &["add_mask", "set_mask"],
        "use `mask_type` of `add_video` or `add_image`",
    ),
    (
        &["add_animation", "add_text_animation", "add_image_animation"],
        "use `intro_animation` or `outro_animation` of `add_text` or `add_image`",
    ),
    (
        &["add_keyframe", "add_keyframes"],
        "did you mean `add_video_keyframe`?",
    ),
    (
        &[
            "trim_video",
            "cut_video",
            "split_video",
            "update_segment",
            "edit_segment",
            "delete_segment",
            "remove_segment",
        ],
        "segments cannot be changed after they were added: set `source_start` and `source_end` when you add them, or make a new \
         draft with `compose_draft`",
    ),
    (
        &[
            "upload_media",
            "upload_file",
            "upload_video",
            "import_media",
        ],
        "media need no upload: pass the URL or the absolute path to `add_video`, `add_audio` or `add_image`",
    ),
    (
        &[
            "text_to_speech",
            "generate_tts",
            "tts",
            "generate_image",
            "text_to_image",
        ],
        "no tool generates media: create the file elsewhere and add it with `add_audio` or `add_image`",
    ),
];

/// What to do instead of calling an unknown tool.
pub(crate) fn advice(tool: &str) -> Option<&'static str> {
    let tool = tool.to_lowercase().replace('-', "_");
    let found = ADVICE
        .iter()
        .find(|(names, _)| names.contains(&tool.as_str()));
    found.map(|(_, advice)| *advice)
}

/// The working document of a draft as text, from any backend.
pub(crate) async fn script(app: &Arc<App>, draft: &str, context: &Context) -> Result<String> {
    let spec = find("query_script").ok_or_else(|| Error::internal("no tool reads a draft"))?;
    let mut arguments = Object::new();
    arguments.insert("draft_id".into(), draft.into());
    let context = Context {
        cancel: context.cancel.clone(),
        ..Context::of(&context.caller)
    };
    let request = spec.decode(arguments, &context.caller)?;
    match app.run(request, context).await?.get_mut("script") {
        Some(Value::String(script)) => Ok(std::mem::take(script)),
        _ => Err(Error::internal("the reply has no document")),
    }
}

impl<T: LocalTool> Here for T {
    fn draft(&self) -> Option<&DraftId> {
        LocalTool::draft(self)
    }

    fn run<'a>(&'a self, app: &'a Arc<App>, context: &'a Context) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move { tools::to_value(&LocalTool::run(self, app, context).await?) })
    }
}

struct Local {
    spec: &'static Spec,
    tool: Box<dyn Here>,
    reports_when_cancelled: bool,
    call: Call,
}

fn decode<T: LocalTool>(spec: &'static Spec, call: Call) -> Result<Box<dyn Request>> {
    let tool: T = tools::typed(&call)?;
    if call.caller.manner == Manner::Strict {
        let faults = tool.faults();
        if !faults.is_empty() {
            return Err(Error::invalid(faults.join("\n")));
        }
    }
    Ok(Box::new(Local {
        spec,
        tool: Box::new(tool),
        reports_when_cancelled: T::TELLS_WHEN_CANCELLED,
        call,
    }))
}

impl Request for Local {
    fn spec(&self) -> &'static Spec {
        self.spec
    }

    fn draft(&self) -> Option<&DraftId> {
        self.tool.draft()
    }

    fn turn(&self) -> Turn {
        Turn::Free
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    fn names(&self) -> Vec<CatalogName<'_>> {
        Vec::new()
    }

    fn call(&self) -> &Call {
        &self.call
    }

    fn faults_on(&self, _canvas: Canvas) -> Faults {
        Faults::default()
    }

    fn only_here(&self) -> Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        &self.tool
    }

    fn patience(&self) -> Option<Duration> {
        None
    }

    fn reports_when_cancelled(&self) -> bool {
        self.reports_when_cancelled
    }

    fn run<'a>(
        &'a self,
        _engine: &'a Engine,
        _told: Option<&'a Progress>,
    ) -> BoxFuture<'a, Result<Value>> {
        let name = self.spec.name;
        Box::pin(async move {
            Err(Error::internal(format!(
                "`{name}` is not a tool of the engine"
            )))
        })
    }

    fn text_file(&self) -> Option<TextFile<'_>> {
        None
    }

    fn to_api(&self, _edition: Edition) -> Object {
        self.call.arguments.clone()
    }

    fn reply_from_api(&self, _output: Value) -> Result<Value> {
        Err(Error::internal(format!(
            "`{}` is not a tool of a server",
            self.spec.name
        )))
    }
}
